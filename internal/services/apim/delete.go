package apim

import (
	"context"
	"fmt"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// Delete removes blobs of the run, with their snapshots: the verified one, if it still has the ETag, and then what lost
// attempts left, or only the latter. A blob that does not exist is gone; a container or an account that does not answer
// is not, since it may come back.
func (p *Provider) Delete(ctx context.Context, a backup.Attempt, etag string, extras bool) error {
	if !isArtifact(a.Run, a.Artifact) {
		return &backup.Fault{
			Kind: backup.Refused, Code: "NotAnArtifact",
			Message: fmt.Sprintf("%q is not the name of an artifact of the run %s", a.Artifact, a.Run),
			Hint:    "Nothing was deleted. See what the catalog holds for the run.",
		}
	}
	if !extras {
		if err := p.deleteBlob(ctx, a, etag); err != nil {
			return err
		}
	}
	items, err := p.artifacts(ctx, a)
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
			if f := backup.AsFault(err); f.Kind == backup.Kept {
				f.Kind = backup.Refused // the verified one may be gone
				return f
			}
			return err
		}
	}
	return nil
}

// deleteBlob deletes a.Artifact, if it has the ETag where one is given.
func (p *Provider) deleteBlob(ctx context.Context, a backup.Attempt, etag string) error {
	container, err := p.azure.Container(a.Storage)
	if err != nil {
		return err
	}
	client := container.NewBlobClient(a.Artifact)
	_, err = client.Delete(ctx, &blob.DeleteOptions{
		DeleteSnapshots: to.Ptr(blob.DeleteSnapshotsOptionTypeInclude), AccessConditions: azure.IfMatch(etag),
	})
	if err == nil || azure.Is(err, bloberror.BlobNotFound) {
		return nil
	}
	fault := azure.Deleting(a.Storage, a.Artifact).Fault(err)
	if fault.Kind != backup.Refused && fault.Kind != backup.Kept {
		return fault
	}
	properties, err := client.GetProperties(ctx, nil)
	if azure.Is(err, bloberror.BlobNotFound) {
		return nil // asked for an ETag, storage may answer 412 about a blob that does not exist (Azurite 3.37.0 does)
	}
	other := etag != "" && properties.ETag != nil && string(*properties.ETag) != etag
	if fault.Code == string(bloberror.ConditionNotMet) || other {
		fault.Message += " It was changed since it was verified."
	}
	if other { // what is kept is not what was verified
		fault.Kind = backup.Refused
	}
	// A policy of the whole container does not show in the properties of its blobs, nor does anything if they fail.
	if until := properties.ImmutabilityPolicyExpiresOn; until != nil {
		fault.Message += " Its immutability policy lasts until " + until.UTC().Format(time.RFC3339) + "."
		fault.Until = *until
	}
	if azure.Deref(properties.LegalHold) {
		fault.Message += " It is under a legal hold."
		fault.Until = time.Time{} // nobody knows when somebody ends it
	}
	return fault
}
