package storage

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"lifeboat/internal/azure"
)

// prefix is the connection's name. The settings of its parts have two underscores after it.
const prefix = "AzureWebJobsStorage"

// connection holds the addresses of the services and the account key. Without a key the clients use a credential.
type connection struct {
	account, key   string
	tables, queues string // URLs
	// blobs is the URL of the blobs, which the host alone uses; "" if it is not known, and badBlobs says what is wrong with it.
	blobs    string
	badBlobs error
}

func findConnection(getenv func(string) string, cloud azure.Cloud) (connection, error) {
	part := func(name string) string { return getenv(prefix + "__" + name) }
	if text := getenv(prefix); text != "" {
		c, err := parseConnectionString(text, cloud)
		if err != nil {
			return c, fmt.Errorf("app setting %s: %w", prefix, err)
		}
		return c, nil
	}
	if account := part("accountName"); account != "" {
		if !azure.IsAccountName(account) {
			return connection{}, fmt.Errorf("app setting %s__accountName: %w", prefix, errAccountName)
		}
		return connection{
			account: account, tables: endpoint("https", account, "table", cloud.Storage),
			queues: endpoint("https", account, "queue", cloud.Storage), blobs: endpoint("https", account, "blob", cloud.Storage),
		}, nil
	}
	queues, tables := cmp.Or(part("queueServiceUri"), part("serviceUri")), part("tableServiceUri")
	if queues == "" && tables == "" {
		return connection{}, fmt.Errorf("storage is not configured: set the app setting %[1]s__accountName, or "+
			"%[1]s__queueServiceUri and %[1]s__tableServiceUri, or %[1]s to a connection string", prefix)
	}
	account, err := accountOf(tables, "table", cloud)
	if err != nil {
		return connection{}, fmt.Errorf("app setting %s__tableServiceUri: %w", prefix, err)
	}
	queueAccount, err := accountOf(queues, "queue", cloud)
	if err != nil {
		return connection{}, fmt.Errorf("app setting %s__queueServiceUri: %w", prefix, err)
	}
	if queueAccount != account {
		return connection{}, fmt.Errorf("app settings %[1]s__queueServiceUri and %[1]s__tableServiceUri are of two "+
			"accounts, %[2]s and %[3]s", prefix, queueAccount, account)
	}
	c := connection{account: account, tables: tables, queues: queues, blobs: part("blobServiceUri")}
	if c.blobs != "" {
		if _, err := accountOf(c.blobs, "blob", cloud); err != nil {
			c.blobs, c.badBlobs = "", fmt.Errorf("app setting %s__blobServiceUri: %w", prefix, err)
		}
	}
	return c, nil
}

var errAccountName = errors.New("not the name of a storage account: 3 to 24 lower-case letters and digits")

func endpoint(scheme, account, service, suffix string) string {
	return scheme + "://" + account + "." + service + "." + suffix
}

// accountOf returns the name of the account in a service's URL: the first part of the host or, if the host is an IP address as
// with Azurite, of the path. It refuses a host that is not of a storage account of the cloud, since it would get tokens for
// storage. It refuses a URL with a query and does not show it, because the query would be a shared access signature.
func accountOf(serviceURL, service string, cloud azure.Cloud) (string, error) {
	u, err := url.Parse(serviceURL)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("it must be an https URL without a query, such as https://{account}." + service + "." + cloud.Storage)
	}
	account, _, _ := strings.Cut(u.Hostname(), ".")
	path := strings.Trim(u.Path, "/")
	isIP := net.ParseIP(u.Hostname()) != nil
	if isIP {
		account, path = path, ""
	}
	if path != "" {
		return "", errors.New("it must not have a path: it is the address of the service")
	}
	if !azure.IsAccountName(account) {
		return "", errAccountName
	}
	if !isIP {
		return account, cloud.CheckStorageHost(u.Hostname(), service)
	}
	return account, nil
}

// parseConnectionString reads a connection string with an account key (Azure's documentation "Configure Azure Storage
// connection strings"). No error contains a part of it, because the key may stand anywhere in a broken string.
func parseConnectionString(text string, cloud azure.Cloud) (connection, error) {
	parts := map[string]string{}
	for part := range strings.SplitSeq(text, ";") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		name, value, found := strings.Cut(part, "=")
		if !found {
			return connection{}, errors.New("not a connection string: a part of it has no =")
		}
		parts[strings.ToLower(strings.TrimSpace(name))] = strings.TrimSpace(value)
	}
	if strings.EqualFold(parts["usedevelopmentstorage"], "true") {
		return developmentStorage(parts["developmentstorageproxyuri"])
	}
	c := connection{account: parts["accountname"], key: parts["accountkey"]}
	_, notBase64 := base64.StdEncoding.DecodeString(c.key)
	switch {
	case c.account == "" || c.key == "":
		return connection{}, errors.New("a connection string needs AccountName and AccountKey, or " +
			"UseDevelopmentStorage=true; a shared access signature is not enough")
	case !azure.IsAccountName(c.account):
		return connection{}, fmt.Errorf("its AccountName is %w", errAccountName)
	case notBase64 != nil:
		return connection{}, errors.New("its AccountKey is not base64")
	}
	scheme, suffix := cmp.Or(parts["defaultendpointsprotocol"], "https"), cmp.Or(parts["endpointsuffix"], cloud.Storage)
	c.tables = cmp.Or(parts["tableendpoint"], endpoint(scheme, c.account, "table", suffix))
	c.queues = cmp.Or(parts["queueendpoint"], endpoint(scheme, c.account, "queue", suffix))
	for name, endpoint := range map[string]string{"TableEndpoint": c.tables, "QueueEndpoint": c.queues} {
		u, err := url.Parse(endpoint)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery != "" {
			return connection{}, fmt.Errorf("its %s is not a URL of http or https", name)
		}
	}
	return c, nil
}

// These are the account of Azurite on a developer's machine and its key. The key is public, and the same everywhere (Azure's
// documentation "Use the Azurite emulator for local Azure Storage development").
const (
	developmentAccount = "devstoreaccount1"
	developmentKey     = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

// developmentStorage returns the connection to Azurite's usual ports, on the proxy's host if there is a proxy.
func developmentStorage(proxy string) (connection, error) {
	scheme, host := "http", "127.0.0.1"
	if proxy != "" {
		u, err := url.Parse(proxy)
		if err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" {
			return connection{}, errors.New("its DevelopmentStorageProxyUri is not a URL of http or https")
		}
		scheme, host = u.Scheme, u.Hostname()
	}
	at := func(port string) string {
		return scheme + "://" + net.JoinHostPort(host, port) + "/" + developmentAccount
	}
	return connection{account: developmentAccount, key: developmentKey, queues: at("10001"), tables: at("10002")}, nil
}
