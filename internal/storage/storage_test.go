package storage_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/google/uuid"

	"lifeboat/internal/azure"
	"lifeboat/internal/storage"
	"lifeboat/internal/testing/azurite/azuritetest"
)

func TestMain(m *testing.M) { os.Exit(azuritetest.Main(m)) }

type settings map[string]string

func (s settings) get(name string) string { return s[name] }

// headers records how the program presents itself.
type headers struct {
	http.RoundTripper
	agents, ids []string
}

func (h *headers) RoundTrip(r *http.Request) (*http.Response, error) {
	h.agents = append(h.agents, r.Header.Get("User-Agent"))
	h.ids = append(h.ids, r.Header.Get("X-Ms-Client-Request-Id"))
	return h.RoundTripper.RoundTrip(r)
}

// TestOpenOnAzurite: storage admits the clients of both kinds of connection, and they send the same headers as all clients.
func TestOpenOnAzurite(t *testing.T) {
	schemes := map[string]string{"identity": "Bearer", "connection string": "SharedKey"} // tables: SharedKeyLite
	for name, setting := range map[string]func(a *azuritetest.Account) settings{
		"identity": func(a *azuritetest.Account) settings {
			return settings{"AzureWebJobsStorage__accountName": a.Name}
		},
		"connection string": func(a *azuritetest.Account) settings {
			return settings{"AzureWebJobsStorage": "DefaultEndpointsProtocol=https;AccountName=" + a.Name +
				";AccountKey=" + a.Key + ";EndpointSuffix=core.windows.net"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			account := azuritetest.NewAccount(t)
			asked := &headers{RoundTripper: account.Options().Transport.(*http.Client).Transport}
			options := azure.Options("v1", uuid.NewString)
			options.Transport = &http.Client{Transport: asked}
			clients, err := storage.Open(setting(account).get, azuritetest.Identity, options)
			if err != nil {
				t.Fatal(err)
			}
			if clients.AccountName != account.Name {
				t.Errorf("account %s, want %s", clients.AccountName, account.Name)
			}
			if _, err := clients.Tables.CreateTable(t.Context(), "table", nil); err != nil {
				t.Error(err)
			}
			if _, err := clients.Queues.CreateQueue(t.Context(), "queue", nil); err != nil {
				t.Error(err)
			}
			if len(asked.agents) != 2 || len(asked.ids) != 2 || asked.ids[0] == asked.ids[1] || uuid.Validate(asked.ids[0]) != nil {
				t.Errorf("%d requests with the IDs %q", len(asked.agents), asked.ids)
			}
			for _, agent := range asked.agents {
				if !strings.HasPrefix(agent, "lifeboat/v1 ") {
					t.Errorf("a request of %q", agent)
				}
			}
			for _, r := range account.Requests(t) {
				if !strings.HasPrefix(r.AuthScheme, schemes[name]) {
					t.Errorf("%s %s came with %s, want %s", r.Method, r.Path, r.AuthScheme, schemes[name])
				}
			}
		})
	}
}

const key = "bm90IGEgc2VjcmV0"

// TestOpen checks the addresses of the clients' requests, and how the clients authenticate.
func TestOpen(t *testing.T) {
	for name, test := range map[string]struct {
		settings                        settings
		account, tables, queues, letsIn string // letsIn is part of the Authorization header
	}{
		"account name": {
			settings{"AzureWebJobsStorage__accountName": "contoso"},
			"contoso", "https://contoso.table.core.windows.net/", "https://contoso.queue.core.windows.net/", "Bearer",
		},
		"account name before addresses": {
			settings{
				"AzureWebJobsStorage__accountName":     "contoso",
				"AzureWebJobsStorage__tableServiceUri": "https://other.table.core.windows.net",
			},
			"contoso", "https://contoso.table.core.windows.net/", "https://contoso.queue.core.windows.net/", "Bearer",
		},
		"addresses": {
			settings{
				"AzureWebJobsStorage__queueServiceUri": "https://contoso.queue.core.windows.net/",
				"AzureWebJobsStorage__tableServiceUri": "https://contoso.table.core.windows.net",
			},
			"contoso", "https://contoso.table.core.windows.net/", "https://contoso.queue.core.windows.net/", "Bearer",
		},
		"addresses with a DNS zone": {
			settings{
				"AzureWebJobsStorage__queueServiceUri": "https://contoso.z12.queue.storage.azure.net",
				"AzureWebJobsStorage__tableServiceUri": "https://contoso.z12.table.storage.azure.net",
			},
			"contoso", "https://contoso.z12.table.storage.azure.net/", "https://contoso.z12.queue.storage.azure.net/", "Bearer",
		},
		"addresses in China": {
			settings{
				"LIFEBOAT_CLOUD":                       "China",
				"AzureWebJobsStorage__queueServiceUri": "https://contoso.queue.core.chinacloudapi.cn/",
				"AzureWebJobsStorage__tableServiceUri": "https://contoso.table.core.chinacloudapi.cn",
			},
			"contoso", "https://contoso.table.core.chinacloudapi.cn/", "https://contoso.queue.core.chinacloudapi.cn/", "Bearer",
		},
		"account name in Government": {
			settings{"LIFEBOAT_CLOUD": "AzureUSGovernment", "AzureWebJobsStorage__accountName": "contoso"},
			"contoso", "https://contoso.table.core.usgovcloudapi.net/", "https://contoso.queue.core.usgovcloudapi.net/", "Bearer",
		},
		"connection string in Government": {
			settings{"LIFEBOAT_CLOUD": "government", "AzureWebJobsStorage": "AccountName=contoso;AccountKey=" + key},
			"contoso", "https://contoso.table.core.usgovcloudapi.net/", "https://contoso.queue.core.usgovcloudapi.net/", "contoso:",
		},
		"alias and Azurite": {
			settings{
				"AzureWebJobsStorage__serviceUri":      "https://127.0.0.1:10001/devstoreaccount1",
				"AzureWebJobsStorage__tableServiceUri": "https://127.0.0.1:10002/devstoreaccount1/",
			},
			"devstoreaccount1", "https://127.0.0.1:10002/devstoreaccount1/", "https://127.0.0.1:10001/devstoreaccount1/",
			"Bearer",
		},
		"connection string before account name": {
			settings{
				"AzureWebJobsStorage":              " AccountName = contoso ; accountkey=" + key + ";",
				"AzureWebJobsStorage__accountName": "other",
			},
			"contoso", "https://contoso.table.core.windows.net/", "https://contoso.queue.core.windows.net/", "contoso:",
		},
		"connection string with all": {
			settings{"AzureWebJobsStorage": "DefaultEndpointsProtocol=http;AccountName=contoso;AccountKey=" + key +
				";EndpointSuffix=core.usgovcloudapi.net;TableEndpoint=https://tables.contoso.example"},
			"contoso", "https://tables.contoso.example/", "http://contoso.queue.core.usgovcloudapi.net/", "contoso:",
		},
		"development storage": {
			settings{"AzureWebJobsStorage": "UseDevelopmentStorage=true"},
			"devstoreaccount1", "http://127.0.0.1:10002/devstoreaccount1/", "http://127.0.0.1:10001/devstoreaccount1/",
			"devstoreaccount1:",
		},
		"development storage behind a proxy": {
			settings{"AzureWebJobsStorage": "UseDevelopmentStorage=true;DevelopmentStorageProxyUri=http://ipv4.fiddler"},
			"devstoreaccount1", "http://ipv4.fiddler:10002/devstoreaccount1/", "http://ipv4.fiddler:10001/devstoreaccount1/",
			"devstoreaccount1:",
		},
	} {
		t.Run(name, func(t *testing.T) {
			seen := &recorder{}
			cloud, err := azure.NamedCloud(test.settings["LIFEBOAT_CLOUD"])
			if err != nil {
				t.Fatal(err)
			}
			options := azcore.ClientOptions{Transport: &http.Client{Transport: seen}, Cloud: cloud.Configuration}
			options.Retry.MaxRetries = -1
			clients, err := storage.Open(test.settings.get, azuritetest.Identity, options)
			if err != nil {
				t.Fatal(err)
			}
			if clients.AccountName != test.account {
				t.Errorf("account %s, want %s", clients.AccountName, test.account)
			}
			_, noTable := clients.Tables.CreateTable(t.Context(), "table", nil)
			tables := *seen
			_, noQueue := clients.Queues.CreateQueue(t.Context(), "queue", nil)
			for _, err := range []error{noTable, noQueue} {
				if !errors.Is(err, errNoNetwork) {
					t.Fatal(err)
				}
			}
			for want, seen := range map[string]recorder{test.tables + "Tables": tables, test.queues + "queue": *seen} {
				if seen.url != want || !strings.Contains(seen.authorization, test.letsIn) {
					t.Errorf("asked %s with %.30s…; want %s with %s", seen.url, seen.authorization, want, test.letsIn)
				}
			}
		})
	}
}

var errNoNetwork = errors.New("no network")

// recorder is a network that leads nowhere and remembers the last request.
type recorder struct{ url, authorization string }

func (r *recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	r.url, r.authorization = request.URL.String(), request.Header.Get("Authorization")
	return nil, errNoNetwork
}

// TestOpenRefuses: each error names the setting, and none holds a secret.
func TestOpenRefuses(t *testing.T) {
	const (
		secret = "c2VjcmV0IHNlY3JldCBzZWNyZXQ="
		queues = "https://a23.queue.core.windows.net"
		tables = "https://a23.table.core.windows.net"
		both   = "AccountName=contoso;AccountKey=" + secret
	)
	for name, test := range map[string]struct {
		settings settings
		want     string
	}{
		"nothing":             {settings{}, "set the app setting AzureWebJobsStorage__accountName"},
		"not an account name": {settings{"__accountName": "Contoso.evil/" + secret}, "__accountName: not the name"},
		"queues alone":        {settings{"__queueServiceUri": queues}, "__tableServiceUri: it must be an https URL"},
		"tables alone":        {settings{"__tableServiceUri": tables}, "__queueServiceUri: it must be an https URL"},
		"two accounts": {settings{
			"__queueServiceUri": queues,
			"__tableServiceUri": "https://b23.table.core.windows.net",
		}, "two accounts, a23 and b23"},
		// Both addresses are there, because the error for a missing one has the same text.
		"http address": {
			settings{"__tableServiceUri": "http://a23.table.core.windows.net", "__queueServiceUri": queues},
			"__tableServiceUri: it must be an https URL",
		},
		"http address of the queues": {
			settings{"__tableServiceUri": tables, "__queueServiceUri": "http://a23.queue.core.windows.net"},
			"__queueServiceUri: it must be an https URL",
		},
		"a signature": {
			settings{"__tableServiceUri": tables + "?sig=" + secret, "__queueServiceUri": queues},
			"__tableServiceUri: it must be an https URL without a query",
		},
		"a signature for the queues": {
			settings{"__tableServiceUri": tables, "__queueServiceUri": queues + "?sig=" + secret},
			"__queueServiceUri: it must be an https URL without a query",
		},
		"a fragment": {
			settings{"__tableServiceUri": tables + "#" + secret, "__queueServiceUri": queues},
			"__tableServiceUri: it must be an https URL",
		},
		"a password": {
			settings{"__tableServiceUri": "https://x:" + secret + "@a23.table.core.windows.net", "__queueServiceUri": queues},
			"__tableServiceUri: it must be an https URL",
		},
		"a path": {
			settings{"__tableServiceUri": tables + "/table", "__queueServiceUri": queues},
			"__tableServiceUri: it must not have a path",
		},
		"no account in the address": {
			settings{"__tableServiceUri": "https://A_B.table.core.windows.net", "__queueServiceUri": queues},
			"__tableServiceUri: not the name of a storage account",
		},
		"another cloud's address": {
			settings{"__tableServiceUri": "https://a23.table.core.usgovcloudapi.net", "__queueServiceUri": queues},
			"__tableServiceUri: a23.table.core.usgovcloudapi.net is a host of the cloud government, and the app is in the cloud public: set the app " +
				"setting LIFEBOAT_CLOUD to government",
		},
		"a host of nobody's": {
			settings{"__tableServiceUri": tables, "__queueServiceUri": "https://a23.queue.core.windows.net.example"},
			`__queueServiceUri: "a23.queue.core.windows.net.example" is no host of a storage account, such as contoso.queue.core.windows.net`,
		},
		"a host of another service": {
			settings{"__tableServiceUri": tables, "__queueServiceUri": "https://a23.z12.table.storage.azure.net"},
			`__queueServiceUri: "a23.z12.table.storage.azure.net" is no host of a storage account`,
		},
		"no connection string": {settings{"": secret[:20]}, "AzureWebJobsStorage: not a connection string"},
		"no key":               {settings{"": "AccountName=contoso"}, "needs AccountName and AccountKey"},
		"no account":           {settings{"": "AccountKey=" + secret}, "needs AccountName and AccountKey"},
		"a SAS string": {
			settings{"": "TableEndpoint=" + tables + ";SharedAccessSignature=" + secret},
			"signature is not enough",
		},
		"key not base64":  {settings{"": "AccountName=contoso;AccountKey=!" + secret}, "AccountKey is not base64"},
		"broken account":  {settings{"": "AccountName=CONTOSO;AccountKey=" + secret}, "AccountName is not the name"},
		"broken endpoint": {settings{"": both + ";QueueEndpoint=" + secret}, "QueueEndpoint is not a URL"},
		"broken protocol": {
			settings{"": "DefaultEndpointsProtocol=ftp;" + both},
			"is not a URL of http or https",
		},
		"broken proxy": {
			settings{"": "UseDevelopmentStorage=true;DevelopmentStorageProxyUri=" + secret}, "ProxyUri is not a URL",
		},
		"false": {settings{"": "UseDevelopmentStorage=false"}, "needs AccountName and AccountKey"},
	} {
		full := settings{}
		for setting, value := range test.settings {
			full["AzureWebJobsStorage"+setting] = value
		}
		_, err := storage.Open(full.get, azuritetest.Identity, azcore.ClientOptions{})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want an error with %q", name, err, test.want)
		} else if strings.Contains(err.Error(), secret[:10]) {
			t.Errorf("%s: the error holds the secret: %v", name, err)
		}
	}
}

const (
	clientID   = "7f1a2c1e-53cb-4f0b-9b38-0c0ffee00001"
	resourceID = "/subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/g/providers/" +
		"Microsoft.ManagedIdentity/userAssignedIdentities/i"
)

func TestCredential(t *testing.T) {
	// azidentity reads the platform's endpoint from the environment itself.
	t.Setenv("IDENTITY_ENDPOINT", "http://127.0.0.1:1/msi/token")
	t.Setenv("IDENTITY_HEADER", "header")
	for name, test := range map[string]struct {
		settings settings
		managed  bool
		want     string
	}{
		"developer":        {settings{}, false, ""},
		"system-assigned":  {settings{"AzureWebJobsStorage__credential": "managedidentity"}, true, ""},
		"another spelling": {settings{"AzureWebJobsStorage__credential": "managedIdentity"}, true, ""},
		"platform":         {settings{"IDENTITY_ENDPOINT": "http://127.0.0.1:1/msi/token"}, true, ""},
		"older platform":   {settings{"MSI_ENDPOINT": "http://127.0.0.1:1/msi/token"}, true, ""},
		"both IDs": {settings{
			"AzureWebJobsStorage__credential": "managedidentity", "AzureWebJobsStorage__clientId": clientID,
			"AzureWebJobsStorage__managedIdentityResourceId": resourceID,
		}, false, "exclude each other"},
		"no GUID": {settings{
			"AzureWebJobsStorage__credential": "managedidentity", "AzureWebJobsStorage__clientId": "contoso-identity",
		}, false, "app setting AzureWebJobsStorage__clientId is no GUID: it must be the client ID of a user-assigned identity"},
		"a GUID in braces": {settings{
			"AzureWebJobsStorage__credential": "managedidentity", "AzureWebJobsStorage__clientId": "{" + clientID + "}",
		}, false, "app setting AzureWebJobsStorage__clientId is no GUID"},
		"a resource ID for a client ID": {settings{
			"AzureWebJobsStorage__credential": "managedidentity", "AzureWebJobsStorage__clientId": resourceID + "/",
		}, false, "app setting AzureWebJobsStorage__clientId is a resource ID, of i: it must be the client ID of the user-assigned identity, a GUID, " +
			"which the identity's page in the Azure portal shows"},
		"a client ID for a resource ID": {settings{
			"AzureWebJobsStorage__credential": "managedidentity", "AzureWebJobsStorage__managedIdentityResourceId": clientID,
		}, false, "app setting AzureWebJobsStorage__managedIdentityResourceId: \"" + clientID + "\" is not a resource ID"},
		"another resource's ID": {settings{
			"AzureWebJobsStorage__credential":                "managedidentity",
			"AzureWebJobsStorage__managedIdentityResourceId": strings.Replace(resourceID, "userAssignedIdentities", "identities", 1),
		}, false, "it is of a Microsoft.ManagedIdentity/identities, and not of a user-assigned identity"},
		"unknown": {settings{"AzureWebJobsStorage__credential": "password"}, false, "must be managedidentity"},
	} {
		t.Run(name, func(t *testing.T) {
			credential, err := storage.Credential(test.settings.get, azcore.ClientOptions{})
			if test.want != "" {
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("Credential = %v, want an error with %q", err, test.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, managed := credential.(*azidentity.ManagedIdentityCredential); managed != test.managed {
				t.Errorf("Credential = %T", credential)
			}
		})
	}
}

// TestIdentity checks which identity the program requests from the platform.
func TestIdentity(t *testing.T) {
	var asked url.Values
	platform := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.Query()
		_, _ = fmt.Fprintf(w, `{"access_token":"token","expires_on":"%d","resource":%q,"token_type":"Bearer"}`,
			time.Now().Add(time.Hour).Unix(), asked.Get("resource"))
	}))
	t.Cleanup(platform.Close)
	t.Setenv("IDENTITY_ENDPOINT", platform.URL+"/msi/token")
	t.Setenv("IDENTITY_HEADER", "header")
	for name, test := range map[string]struct {
		settings settings
		want     url.Values
	}{
		"system-assigned": {settings{"IDENTITY_ENDPOINT": platform.URL}, url.Values{}},
		"client ID":       {settings{"AzureWebJobsStorage__clientId": clientID}, url.Values{"client_id": {clientID}}},
		"resource ID": {
			settings{"AzureWebJobsStorage__managedIdentityResourceId": resourceID}, url.Values{"mi_res_id": {resourceID}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			test.settings["AzureWebJobsStorage__credential"] = "managedidentity"
			credential, err := storage.Credential(test.settings.get, azcore.ClientOptions{})
			if err != nil {
				t.Fatal(err)
			}
			resource := "https://" + strings.ToLower(rand.Text()) + ".example" // azidentity keeps tokens for the whole process
			scope := policy.TokenRequestOptions{Scopes: []string{resource + "/.default"}}
			if _, err := credential.GetToken(t.Context(), scope); err != nil {
				t.Fatal(err)
			}
			asked.Del("api-version")
			test.want.Set("resource", resource)
			if asked.Encode() != test.want.Encode() {
				t.Errorf("asked for %v, want %v", asked, test.want)
			}
		})
	}
}
