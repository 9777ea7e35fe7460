package storage_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
	"lifeboat/internal/storage"
	"lifeboat/internal/testing/azurite/azuritetest"
)

// blobService is storage that refuses requests with a method to a container, and has no blob.
type blobService struct {
	method, container, code string
	status                  int
	asked                   []string
}

func (b *blobService) RoundTrip(r *http.Request) (*http.Response, error) {
	container, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	b.asked = append(b.asked, r.Method+" "+r.URL.Host+"/"+container)
	status, code, body := http.StatusNotFound, "BlobNotFound", ""
	switch {
	case b.container == container && b.method == r.Method:
		status, code = b.status, b.code
	case r.Method == http.MethodGet:
		status, code, body = http.StatusOK, "", `<?xml version="1.0" encoding="utf-8"?><EnumerationResults><Blobs/><NextMarker/></EnumerationResults>`
	case r.Header.Get("If-Match") == `"0x0"`:
		status, code = http.StatusPreconditionFailed, "ConditionNotMet"
	}
	header := http.Header{"Content-Type": {"application/xml"}}
	if code != "" {
		header.Set("X-Ms-Error-Code", code)
	}
	return &http.Response{StatusCode: status, Request: r, Header: header, Body: io.NopCloser(strings.NewReader(body))}, nil
}

// TestTheHostsBlobs: without its role on one of its containers the host's timers stop, or it loses its keys, so a look names that container. A
// container that the host has not made yet is in order, and so is a host with a key, or with its keys elsewhere.
func TestTheHostsBlobs(t *testing.T) {
	const locks, secrets = "azure-webjobs-hosts", "azure-webjobs-secrets"
	named := settings{"AzureWebJobsStorage__accountName": "contoso"}
	with := func(more settings) settings {
		all := settings{
			"AzureWebJobsStorage__queueServiceUri": "https://contoso.queue.core.windows.net",
			"AzureWebJobsStorage__tableServiceUri": "https://contoso.table.core.windows.net",
		}
		for name, value := range more {
			all[name] = value
		}
		return all
	}
	for name, test := range map[string]struct {
		settings settings
		blobs    blobService
		kind     backup.FaultKind
		words    string
		asked    int
	}{
		"all is in order":            {settings: named, asked: 6},
		"no list":                    {named, blobService{method: "GET", container: locks, status: 403, code: "AuthorizationPermissionMismatch"}, backup.Refused, locks, 4},
		"no write":                   {named, blobService{method: "PUT", container: secrets, status: 403, code: "AuthorizationPermissionMismatch"}, backup.Refused, secrets, 5},
		"no deletion":                {named, blobService{method: "DELETE", container: locks, status: 403, code: "AuthorizationPermissionMismatch"}, backup.Refused, locks, 6},
		"a firewall":                 {named, blobService{method: "GET", container: locks, status: 403, code: "AuthorizationFailure"}, backup.Unobservable, locks, 4},
		"no container yet":           {named, blobService{method: "GET", container: secrets, status: 404, code: "ContainerNotFound"}, "", "", 6},
		"keys elsewhere":             {settings: settings{"AzureWebJobsStorage__accountName": "contoso", "AzureWebJobsSecretStorageType": "keyvault"}, asked: 3},
		"a connection string":        {settings: settings{"AzureWebJobsStorage": "AccountName=contoso;AccountKey=" + key}},
		"an address":                 {settings: with(settings{"AzureWebJobsStorage__blobServiceUri": "https://contoso.blob.core.windows.net/"}), asked: 6},
		"no address of blobs":        {settings: with(nil)},
		"an address of another host": {settings: with(settings{"AzureWebJobsStorage__blobServiceUri": "https://contoso.example"}), kind: backup.Unobservable, words: "blobServiceUri"},
	} {
		t.Run(name, func(t *testing.T) {
			options := azcore.ClientOptions{Cloud: azure.Public.Configuration, Transport: &http.Client{Transport: &test.blobs}}
			clients, err := storage.Open(test.settings.get, azuritetest.Identity, options)
			if err != nil {
				t.Fatal(err)
			}
			found := clients.Host.Look(t.Context())
			if test.kind == "" && len(found) != 0 || test.kind != "" && (len(found) != 1 || found[0].Kind != test.kind || !strings.Contains(found[0].Message, test.words)) {
				t.Errorf("found %+v", found)
			}
			if len(test.blobs.asked) != test.asked {
				t.Errorf("asked %q", test.blobs.asked)
			}
			if slices.ContainsFunc(test.blobs.asked, func(asked string) bool {
				return !strings.Contains(asked, " contoso.blob.core.windows.net/azure-webjobs-")
			}) {
				t.Errorf("asked %q", test.blobs.asked)
			}
		})
	}
}
