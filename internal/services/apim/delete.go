package apim

import (
	"context"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// Delete removes blobs of the run, with their snapshots. It deletes the verified blob, if that still has the ETag, and
// then the blobs of lost attempts; with extras it deletes only the latter. A missing blob counts as deleted. A missing
// container, or an account without an answer, is an error, because it may come back.
func (p *Provider) Delete(ctx context.Context, a backup.Attempt, etag string, extras bool) error {
	if !isArtifact(a.Run, a.Artifact) {
		return azure.NotAnArtifact(a.Artifact, "an artifact of the run "+a.Run)
	}
	if extras {
		return p.deleteCopies(ctx, a)
	}
	if err := p.deleteBlob(ctx, a, etag); err != nil {
		return err
	}
	f := backup.AsFault(p.deleteCopies(ctx, a))
	if f == nil {
		return nil
	}
	if f.Kind == backup.Kept {
		f.Hint = hintCopy
	}
	if f.Kind != backup.Ambiguous {
		f.Kind = backup.Refused // the verified one is gone
	}
	return f
}

const hintCopy = "The recovery point is gone but for this copy of a lost attempt, and Lifeboat tries its deletion again. It needs no one where a " +
	"policy keeps it. Else end the legal hold or the lease in the Azure portal."

// deleteCopies deletes the blobs of lost attempts.
func (p *Provider) deleteCopies(ctx context.Context, a backup.Attempt) error {
	items, err := p.blobsOf(ctx, a)
	if err != nil {
		return azure.Listing(a.Storage).Fault(err)
	}
	for _, item := range items {
		extra := a
		extra.Artifact = *item.Name
		if extra.Artifact == a.Artifact {
			continue
		}
		if err := p.deleteBlob(ctx, extra, ""); err != nil {
			return err
		}
	}
	return nil
}

// deleteBlob deletes a.Artifact. If an ETag is given, the blob must have it.
func (p *Provider) deleteBlob(ctx context.Context, a backup.Attempt, etag string) error {
	container, err := p.azure.Container(a.Storage)
	if err != nil {
		return err
	}
	client := container.NewBlobClient(a.Artifact)
	_, err = client.Delete(ctx, &blob.DeleteOptions{
		DeleteSnapshots: to.Ptr(blob.DeleteSnapshotsOptionTypeInclude), AccessConditions: azure.IfMatch(etag),
	})
	if err == nil || bloberror.HasCode(err, bloberror.BlobNotFound) {
		return nil
	}
	fault := azure.Undeleted(azure.Deleting(a.Storage, a.Artifact), err)
	if fault.Kind == backup.Touched {
		if _, err := client.GetProperties(ctx, nil); bloberror.HasCode(err, bloberror.BlobNotFound) {
			return nil // storage may answer a conditional request for a missing blob with 412 (Azurite 3.37.0 does)
		}
		fault.Message += " It was changed since it was verified."
		return fault
	}
	if p.azure.InVault(ctx, a.Storage, client, fault, err) {
		return nil
	}
	return fault
}
