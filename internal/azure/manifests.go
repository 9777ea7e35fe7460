package azure

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"lifeboat/internal/backup"
)

// Manifests keeps manifests as blobs. The identity needs Storage Blob Data Contributor on the storage accounts.
type Manifests struct{ Client }

var _ backup.Manifests = Manifests{}

// Write implements [backup.Manifests]: one request, unless there is no container yet.
func (m Manifests) Write(ctx context.Context, in backup.Storage, name string, content []byte) error {
	client, err := m.Container(in)
	if err != nil {
		return err
	}
	put := func() error {
		_, err := client.NewBlockBlobClient(name).Upload(ctx, streaming.NopCloser(bytes.NewReader(content)), &blockblob.UploadOptions{
			HTTPHeaders: &blob.HTTPHeaders{BlobContentType: to.Ptr("application/json")},
			AccessConditions: &blob.AccessConditions{
				ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfNoneMatch: to.Ptr(azcore.ETagAny)},
			},
		})
		return err
	}
	err = put()
	// A plan's container is made by a backup. One that was deleted since must stay so: in an empty one each artifact would seem deleted.
	if bloberror.HasCode(err, bloberror.ContainerNotFound) && in.Container == backup.ManifestFolder {
		if err := m.MakeContainer(ctx, in); err != nil {
			return err
		}
		err = put()
	}
	if HasStatus(err, http.StatusConflict) && !bloberror.HasCode(err, bloberror.BlobAlreadyExists) || LacksRole(err) && !ShutOut(err) {
		// Storage may say first that a policy protects the blob, or that the app's role overwrites none.
		if _, missing := client.NewBlobClient(name).GetProperties(ctx, nil); missing == nil {
			return nil
		}
	}
	if err == nil || bloberror.HasCode(err, bloberror.BlobAlreadyExists) || HasStatus(err, http.StatusPreconditionFailed) {
		return nil
	}
	return blobs("write "+name+" into "+Place(in), in, Before).Fault(err)
}

// mostManifest is the largest size of a manifest.
const mostManifest = 4 << 20

// Read returns the content of a manifest. The identity of a person needs Storage Blob Data Reader.
func (m Manifests) Read(ctx context.Context, in backup.Storage, name string) ([]byte, error) {
	client, err := m.Container(in)
	if err != nil {
		return nil, err
	}
	what := "read " + name + " in " + Place(in)
	answer, err := client.NewBlobClient(name).DownloadStream(ctx, nil)
	if err != nil {
		return nil, blobs(what, in, Before).Fault(err)
	}
	defer func() { _ = answer.Body.Close() }()
	content, err := io.ReadAll(io.LimitReader(answer.Body, mostManifest+1))
	switch {
	case err != nil:
		return nil, blobs(what, in, Before).Fault(err)
	case len(content) > mostManifest:
		return nil, fmt.Errorf("%s: it has more than %d bytes", what, mostManifest)
	}
	return content, nil
}

// mostListed is the number of blobs after which a list asks for no further page: a page has as many at most.
const mostListed = 5000

// List implements [backup.Manifests]: mostly one request.
func (m Manifests) List(ctx context.Context, in backup.Storage, prefix string) (names []string, err error) {
	all, err := m.Blobs(ctx, in, prefix)
	for _, item := range all {
		names = append(names, Deref(item.Name))
	}
	return names, err
}

// Blobs lists the blobs whose names begin with the prefix: at least the first 5,000, none if there is no container. Storage may answer
// a page with fewer than there are, or with none, and a marker for the next (Azure's documentation "List Blobs").
func (c Client) Blobs(ctx context.Context, in backup.Storage, prefix string) (found []*container.BlobItem, err error) {
	client, err := c.Container(in)
	if err != nil {
		return nil, err
	}
	for pages := client.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Prefix: to.Ptr(prefix)}); pages.More() && len(found) < mostListed; {
		page, err := pages.NextPage(ctx)
		if bloberror.HasCode(err, bloberror.ContainerNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, Listing(in).Fault(err)
		}
		found = append(found, page.Segment.BlobItems...)
	}
	return found, nil
}

// Delete implements [backup.Manifests]: one request, with the snapshots. In a vault the app may delete none; a rule of the vault does, or a
// person, and the runbook of the artifact says so.
func (m Manifests) Delete(ctx context.Context, in backup.Storage, name string) error {
	client, err := m.Container(in)
	if err != nil {
		return err
	}
	manifest := client.NewBlobClient(name)
	_, err = manifest.Delete(ctx, &blob.DeleteOptions{DeleteSnapshots: to.Ptr(blob.DeleteSnapshotsOptionTypeInclude)})
	if err == nil || bloberror.HasCode(err, bloberror.BlobNotFound, bloberror.ContainerNotFound) {
		return nil
	}
	f := Deleting(in, name).Fault(err)
	if m.InVault(ctx, in, manifest, f, err) {
		return nil
	}
	if f.Code == CodeNoRule {
		f.Kind = backup.Kept
	}
	return f
}
