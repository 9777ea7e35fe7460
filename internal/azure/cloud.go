package azure

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"

	// Its start gives the clouds their hosts and audiences of Resource Manager.
	_ "github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"

	"lifeboat/internal/backup"
	"lifeboat/internal/pattern"
)

// Cloud is one of Azure's clouds: which hosts are its own.
type Cloud struct {
	// Name is the value of the app setting LIFEBOAT_CLOUD. Other is the name by which az knows the cloud.
	Name, Other string
	// Configuration has the host of sign-in, and host and audience of Resource Manager.
	cloud.Configuration
	// Storage is the end of the names of storage accounts' hosts, HSM of Managed HSMs' hosts, and EventGrid of topics' hosts.
	Storage, HSM, EventGrid string
}

// The clouds have their hosts of sign-in and Resource Manager from azcore 1.24.0, which has no others. The ends of the other names
// are from azure-cli-core's table of clouds (cloud.py: storage_endpoint, mhsm_dns), and of topics from Azure's page "Event Grid on IoT Edge: event handlers". All have the same audience of storage in the
// SDK's clients, https://storage.azure.com, and a Managed HSM names its own.
var (
	Public     = Cloud{"public", "AzureCloud", cloud.AzurePublic, "core.windows.net", "managedhsm.azure.net", "eventgrid.azure.net"}
	Government = Cloud{
		"government", "AzureUSGovernment", cloud.AzureGovernment, "core.usgovcloudapi.net", "managedhsm.usgovcloudapi.net", "eventgrid.azure.us",
	}
	China = Cloud{"china", "AzureChinaCloud", cloud.AzureChina, "core.chinacloudapi.cn", "managedhsm.azure.cn", "eventgrid.azure.cn"}

	clouds = []Cloud{Public, Government, China}
)

// CloudSetting is the app setting that names the cloud.
const CloudSetting = "LIFEBOAT_CLOUD"

// NamedCloud returns the cloud that the app setting LIFEBOAT_CLOUD names, in any case: [Public] for "".
func NamedCloud(name string) (Cloud, error) {
	for _, c := range clouds {
		if name == "" || strings.EqualFold(name, c.Name) || strings.EqualFold(name, c.Other) {
			return c, nil
		}
	}
	return Public, fmt.Errorf("the app setting %s is %q: it must be public, government or china", CloudSetting, name)
}

// CloudOf returns the cloud of clients with the configuration: [Public] for clients without one.
func CloudOf(configuration cloud.Configuration) Cloud {
	for _, c := range clouds {
		if c.ActiveDirectoryAuthorityHost == configuration.ActiveDirectoryAuthorityHost {
			return c
		}
	}
	return Public
}

// management are the hosts of Resource Manager. It answers under regional names as well, such as
// centraluseuap.management.azure.com (recorded).
func (c Cloud) management() hosts {
	address, _ := url.Parse(c.Services[cloud.ResourceManager].Endpoint) // azcore's own
	return hosts{own: address.Hostname(), below: true}
}

// zones is the end of the names of storage accounts' hosts with a DNS zone (Azure's page "Storage account overview"). Only the public
// cloud is known to have them.
const zones = "storage.azure.net"

// storageHost returns the host of a service of the account, such as "blob".
func (c Cloud) storageHost(s backup.Storage, service string) string {
	if s.Zone != "" {
		return s.AccountName() + "." + s.Zone + "." + service + "." + zones
	}
	return s.AccountName() + "." + service + "." + c.Storage
}

// zone matches a host with a DNS zone behind the name of the account.
var zone = pattern.New(`^z[0-9]{2}\.([a-z]+)\.` + regexp.QuoteMeta(zones) + "$")

// CheckStorageHost refuses a host that is not of a storage account of the cloud. The service is such as "blob". A token for storage
// is good for every account that its identity may use, so it goes to no other host.
func (c Cloud) CheckStorageHost(host, service string) error {
	account, rest, _ := strings.Cut(strings.ToLower(host), ".")
	zoned := zone.FindStringSubmatch(rest)
	if accountName.MatchString(account) {
		switch {
		case rest == service+"."+c.Storage, zoned != nil && zoned[1] == service && c.Name == Public.Name:
			return nil
		}
		for _, other := range clouds {
			if rest == service+"."+other.Storage || zoned != nil && zoned[1] == service && other.Name == Public.Name {
				return fmt.Errorf("%s is a host of the cloud %s, and the app is in the cloud %s: set the app setting %s to %s", host, other.Name,
					c.Name, CloudSetting, other.Name)
			}
		}
	}
	return fmt.Errorf("%q is no host of a storage account, such as contoso.%s.%s", host, service, c.Storage)
}
