package azure

import (
	"bytes"
	"context"
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
	if bloberror.HasCode(err, bloberror.ContainerNotFound) {
		if err := m.MakeContainer(ctx, in); err != nil {
			return err
		}
		err = put()
	}
	if HasStatus(err, http.StatusConflict) && !bloberror.HasCode(err, bloberror.BlobAlreadyExists) {
		// Storage may say first that a policy protects the blob.
		if _, missing := client.NewBlobClient(name).GetProperties(ctx, nil); missing == nil {
			return nil
		}
	}
	if err == nil || bloberror.HasCode(err, bloberror.BlobAlreadyExists) || HasStatus(err, http.StatusPreconditionFailed) {
		return nil
	}
	return blobs("write "+name+" into "+Place(in), in, Before).Fault(err)
}

// List implements [backup.Manifests]: one request.
func (m Manifests) List(ctx context.Context, in backup.Storage, prefix string) (names []string, err error) {
	client, err := m.Container(in)
	if err != nil {
		return nil, err
	}
	page, err := client.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Prefix: to.Ptr(prefix)}).NextPage(ctx)
	if bloberror.HasCode(err, bloberror.ContainerNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, Listing(in).Fault(err)
	}
	for _, item := range page.Segment.BlobItems {
		names = append(names, Deref(item.Name))
	}
	return names, nil
}

// Delete implements [backup.Manifests]: one request, with the snapshots.
func (m Manifests) Delete(ctx context.Context, in backup.Storage, name string) error {
	client, err := m.Container(in)
	if err != nil {
		return err
	}
	_, err = client.NewBlobClient(name).Delete(ctx, &blob.DeleteOptions{DeleteSnapshots: to.Ptr(blob.DeleteSnapshotsOptionTypeInclude)})
	if err == nil || bloberror.HasCode(err, bloberror.BlobNotFound, bloberror.ContainerNotFound) {
		return nil
	}
	return Deleting(in, name).Fault(err)
}
