package managedhsm

import (
	"context"
	"fmt"
	"slices"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// mostInBatch is how many requests Blob Storage takes in one batch.
const mostInBatch = 256

// Delete removes the folder with all that is in it, if it is still what was verified, or what a deletion that was cut off
// left of that. Each blob goes under the ETag that it was listed with. A folder of a lost start that came to light after
// another was taken for the run's stays, since nothing proves whose it is: extras are none.
func (p *Provider) Delete(ctx context.Context, a backup.Attempt, etag string, extras bool) error {
	if extras {
		return nil
	}
	call := azure.Deleting(a.Storage, a.Artifact)
	if !isFolder(a.Artifact) {
		return &backup.Fault{
			Kind: backup.Refused, Code: "NotAnArtifact",
			Message: fmt.Sprintf("%q is not the name of a folder that a Managed HSM wrote", a.Artifact),
			Hint:    "Nothing was deleted. See what the catalog holds for the run.",
		}
	}
	f, err := p.list(ctx, a.Storage, a.Artifact)
	if err != nil {
		return azure.Listing(a.Storage).Fault(err)
	}
	if len(f.files) > 0 && !f.isRestOf(etag) {
		return &backup.Fault{
			Kind: backup.Refused, Code: "ArtifactChanged", Message: call.What + ": it was changed since it was verified",
			Hint: "It is kept. If nobody needs it, delete it in the Azure portal.",
		}
	}
	client, err := p.azure.Container(a.Storage)
	if err != nil {
		return err
	}
	for files := range slices.Chunk(f.files, mostInBatch) {
		if err := deleteBatch(ctx, client, files, call); err != nil {
			return err
		}
	}
	// An account with a hierarchical namespace keeps directories that are empty, and one without has none.
	for _, directory := range append(f.directories, a.Artifact) {
		if _, err := client.NewBlobClient(directory).Delete(ctx, nil); err != nil && !azure.Is(err, bloberror.BlobNotFound) {
			return call.Fault(err)
		}
	}
	return nil
}

// deleteBatch deletes files with their snapshots, in one request.
func deleteBatch(ctx context.Context, client *container.Client, files []file, call azure.Call) error {
	batch, err := client.NewBatchBuilder()
	if err != nil {
		return call.Fault(err)
	}
	for _, file := range files {
		err := batch.Delete(file.name, &container.BatchDeleteOptions{DeleteOptions: blob.DeleteOptions{
			DeleteSnapshots: to.Ptr(blob.DeleteSnapshotsOptionTypeInclude), AccessConditions: azure.IfMatch(file.etag),
		}})
		if err != nil {
			return call.Fault(err)
		}
	}
	answer, err := client.SubmitBatch(ctx, batch, nil)
	if err != nil {
		return call.Fault(err)
	}
	for _, item := range answer.Responses {
		if item.Error != nil && !azure.Is(item.Error, bloberror.BlobNotFound) {
			return call.Fault(item.Error)
		}
	}
	return nil
}
