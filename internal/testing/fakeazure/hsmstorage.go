package fakeazure

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

// hsmFailure is the statusDetails of a failed operation: Azure gives no other reason.
type hsmFailure string

func (f hsmFailure) Error() string { return string(f) }

const (
	// resourceNotFound stands for a missing container and for storage that denies access (recorded 2020, 2021).
	resourceNotFound hsmFailure = "ResourceNotFound"
	// invalidBackup stands for a folder that cannot be restored (recorded 2020).
	invalidBackup hsmFailure = "Invalid backup provided"
)

// archiveName is the last blob of a folder: with it the folder is complete.
const archiveName = "archive.json"

// archive is a backup. The other blobs are opaque; a restore only counts and measures them.
type archive struct {
	HSM            string           `json:"hsm"`
	SecurityDomain string           `json:"securityDomain"`
	Vault          vault            `json:"vault"`
	Blobs          map[string]int64 `json:"blobs"`
}

// hsmContainer is a container with an HSM's access to it.
type hsmContainer struct{ *container.Client }

// open returns the container of an operation if the storage gives the HSM the permissions: by the SAS, or by its identity's
// role.
func (m *managedHSMs) open(o *hsmOperation, permissions string) (hsmContainer, error) {
	p := o.storage
	parts := containerURI.FindStringSubmatch(p.StorageResourceURI)
	if parts == nil {
		return hsmContainer{}, resourceNotFound
	}
	account, ok := m.storage.account(parts[1])
	if !ok || account.BlobAddr == "" {
		return hsmContainer{}, resourceNotFound
	}
	uri := strings.TrimSuffix(p.StorageResourceURI, "/")
	// The client connects to the emulator directly, without the proxy: this traffic is Azure's own.
	options := &container.ClientOptions{ClientOptions: azcore.ClientOptions{
		Transport: &http.Client{Transport: m.storage.own}, Retry: policy.RetryOptions{MaxRetries: -1},
	}}
	if p.identity() {
		if !m.admitsIdentity(o.hsm, account, parts[2], permissions) {
			return hsmContainer{}, resourceNotFound
		}
		client, err := container.NewClient(uri, credential{m.directory, o.hsm.Identity}, options)
		return hsmContainer{client}, err
	}
	delegated := p.sas.Has("skoid")
	if account.Firewall.Deny || (account.NoSharedKey && !delegated) || !grants(p.sas, permissions) ||
		(delegated && o.options.DelegationSAS == RefuseDelegationSAS) {
		return hsmContainer{}, resourceNotFound
	}
	client, err := container.NewClientWithNoCredential(uri+"?"+strings.TrimPrefix(p.Token, "?"), options)
	return hsmContainer{client}, err
}

// admitsIdentity checks the firewall, which admits a trusted service, and the role assignments. The emulator does not know the
// assignments.
func (m *managedHSMs) admitsIdentity(h *hsm, a StorageAccount, name, permissions string) bool {
	if a.Firewall.Deny && a.Firewall.Bypass != "" && !strings.Contains(a.Firewall.Bypass, "AzureServices") {
		return false
	}
	action := blobServices + "/containers/blobs/read"
	if permissions == backupPermissions {
		action = blobServices + "/containers/blobs/write"
	}
	return h.Identity != "" &&
		m.roles.allow(m.directory.objectID(h.Identity), a.ResourceID+"/blobServices/default/containers/"+name, action)
}

// put writes one blob of a folder.
func (c hsmContainer) put(ctx context.Context, folder, name string, content []byte) error {
	_, err := c.NewBlockBlobClient(folder+"/"+name).UploadBuffer(ctx, content, &blockblob.UploadBufferOptions{})
	if err != nil {
		return fmt.Errorf("%w: %w", resourceNotFound, err)
	}
	return nil
}

// check makes sure that the container exists, by requesting a blob: a container's SAS cannot read the container itself.
func (c hsmContainer) check(ctx context.Context) error {
	_, err := c.NewBlobClient(archiveName).GetProperties(ctx, nil)
	if err == nil || bloberror.HasCode(err, bloberror.BlobNotFound) {
		return nil
	}
	return fmt.Errorf("%w: %w", resourceNotFound, err)
}

// read returns the archive of a folder, if the folder is complete.
func (c hsmContainer) read(ctx context.Context, folder string) (archive, error) {
	var a archive
	found := make(map[string]int64)
	prefix := folder + "/"
	pager := c.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Prefix: &prefix})
	for pager.More() {
		page, err := pager.NextPage(ctx)
		if err != nil {
			return a, fmt.Errorf("%w: %w", resourceNotFound, err)
		}
		for _, item := range page.Segment.BlobItems {
			found[strings.TrimPrefix(*item.Name, prefix)] = *item.Properties.ContentLength
		}
	}
	if _, ok := found[archiveName]; !ok {
		return a, invalidBackup
	}
	stream, err := c.NewBlobClient(prefix+archiveName).DownloadStream(ctx, nil)
	if err != nil {
		return a, fmt.Errorf("%w: %w", resourceNotFound, err)
	}
	defer stream.Body.Close()
	text, err := io.ReadAll(stream.Body)
	if err != nil || json.Unmarshal(text, &a) != nil {
		return a, errors.Join(invalidBackup, err)
	}
	for name, size := range a.Blobs {
		if got, ok := found[name]; !ok || got != size {
			return a, invalidBackup
		}
	}
	return a, nil
}
