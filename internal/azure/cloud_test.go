package azure_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// scopes is an identity that remembers for what its tokens were.
type scopes struct{ asked []string }

func (s *scopes) GetToken(_ context.Context, options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	s.asked = append(s.asked, options.Scopes...)
	return azcore.AccessToken{Token: "token", ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// TestClouds checks for each cloud the hosts that get requests, the audience of the tokens, and that no host of another cloud gets any.
func TestClouds(t *testing.T) {
	s := backup.Storage{
		Account: "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/contoso", Container: "c",
	}
	zoned := s
	zoned.Zone = "z12"
	for _, c := range []struct{ names, signIn, manager, audience, blob, hsm string }{
		{
			"|public|Public|AzureCloud", "https://login.microsoftonline.com/", "management.azure.com", "https://management.core.windows.net/",
			"contoso.blob.core.windows.net", "fort.managedhsm.azure.net",
		},
		{
			"government|Government|AzureUSGovernment|azureusgovernment", "https://login.microsoftonline.us/", "management.usgovcloudapi.net",
			"https://management.core.usgovcloudapi.net/", "contoso.blob.core.usgovcloudapi.net", "fort.managedhsm.usgovcloudapi.net",
		},
		{
			"china|China|AzureChinaCloud", "https://login.chinacloudapi.cn/", "management.chinacloudapi.cn", "https://management.core.chinacloudapi.cn/",
			"contoso.blob.core.chinacloudapi.cn", "fort.managedhsm.azure.cn",
		},
	} {
		for name := range strings.SplitSeq(c.names, "|") {
			cloud, err := azure.NamedCloud(name)
			if err != nil || cloud.ActiveDirectoryAuthorityHost != c.signIn {
				t.Errorf("%q: %+v, %v", name, cloud, err)
			}
		}
		cloud, _ := azure.NamedCloud(strings.Split(c.names, "|")[1])
		identity, w := &scopes{}, &wire{answer: http.Response{StatusCode: http.StatusOK}}
		client := azure.New(identity, azcore.ClientOptions{Transport: w, Cloud: cloud.Configuration})

		var shown map[string]any
		if err := client.Show(t.Context(), s.Account, "2024-01-01", &shown); err != nil {
			t.Errorf("%s: %v", cloud.Name, err)
		}
		if got := w.sent[0].URL.Host; got != c.manager || !slices.Equal(identity.asked, []string{c.audience + "/.default"}) {
			t.Errorf("%s: %s was asked, with tokens for %q", cloud.Name, got, identity.asked)
		}
		container, err := client.Container(s)
		if err != nil {
			t.Fatal(err)
		}
		identity.asked = nil
		if _, err := container.GetProperties(t.Context(), nil); err != nil {
			t.Errorf("%s: %v", cloud.Name, err)
		}
		if got := w.sent[1].URL.Host; got != c.blob || !slices.Equal(identity.asked, []string{"https://storage.azure.com/.default"}) {
			t.Errorf("%s: %s was asked, with tokens for %q", cloud.Name, got, identity.asked)
		}
		if got := client.HSMHost("Fort"); got != c.hsm {
			t.Errorf("%s: the HSM is at %s", cloud.Name, got)
		}
		if got := client.ContainerURL(zoned); got != "https://contoso.z12.blob.storage.azure.net/c" {
			t.Errorf("%s: with a DNS zone the container is at %s", cloud.Name, got)
		}
		for _, other := range []string{"management.azure.com", "management.usgovcloudapi.net", "management.chinacloudapi.cn", "management.azure.com.cn"} {
			before := len(w.sent)
			err := ask(t, client.Management().ClientOptions, identity, "https://"+other+"/x")
			if own := other == c.manager; (err == nil) != own || len(w.sent) > before != own {
				t.Errorf("%s: %s is its own: %t, %v", cloud.Name, other, !own, err)
			}
		}
	}
	for _, name := range []string{"germany", "AzureGermanCloud", "us", "public "} {
		if _, err := azure.NamedCloud(name); err == nil || !strings.Contains(err.Error(), "LIFEBOAT_CLOUD is ") || !strings.Contains(err.Error(), "public, government or china") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestStorageHosts checks which hosts are of storage accounts of a cloud: no other gets a token for storage.
func TestStorageHosts(t *testing.T) {
	const elsewhere, none = "set the app setting LIFEBOAT_CLOUD to ", "is no host of a storage account"
	for _, c := range []struct {
		cloud azure.Cloud
		host  string
		want  string // "" for a good one
	}{
		{azure.Public, "contoso.blob.core.windows.net", ""},
		{azure.Public, "CONTOSO.Blob.core.windows.net", ""},
		{azure.Public, "contoso.z00.blob.storage.azure.net", ""},
		{azure.Government, "contoso.blob.core.usgovcloudapi.net", ""},
		{azure.China, "contoso.blob.core.chinacloudapi.cn", ""},
		{azure.Public, "contoso.blob.core.chinacloudapi.cn", elsewhere + "china"},
		{azure.China, "contoso.blob.core.windows.net", elsewhere + "public"},
		{azure.Government, "contoso.z12.blob.storage.azure.net", elsewhere + "public"},
		{azure.Public, "contoso.queue.core.windows.net", none},
		{azure.Public, "contoso.z12.queue.storage.azure.net", none},
		{azure.Public, "contoso.z1.blob.storage.azure.net", none},
		{azure.Public, "contoso.blob.storage.azure.net", none},
		{azure.Public, "contoso.z12.blob.storage.azure.net.example", none},
		{azure.Public, "contoso.blob.core.windows.net.example", none},
		{azure.Public, "a.contoso.blob.core.windows.net", none},
		{azure.Public, "co.blob.core.windows.net", none},
		{azure.Public, "blob.core.windows.net", none},
		{azure.Public, "contoso.blob.core.windows.net:8443", none},
	} {
		err := c.cloud.CheckStorageHost(c.host, "blob")
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s in %s: %v, want %q", c.host, c.cloud.Name, err, c.want)
		}
	}
}
