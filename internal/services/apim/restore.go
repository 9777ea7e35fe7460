package apim

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

var _ backup.Restorer = (*Provider)(nil)

// PreflightRestore makes the first call of PrepareRestore only. It leaves the rest of the hash of a rewritten blob to
// PrepareRestore.
func (p *Provider) PreflightRestore(ctx context.Context, r backup.Restore) error {
	_, err := p.PrepareRestore(ctx, r, "")
	return err
}

// PrepareRestore checks whether the backup can be restored into the target, and changes nothing. It checks the service
// and the storage account as Preflight does, then the tier and the blob. If the blob was written again since its recovery
// point was recorded, PrepareRestore hashes it, at most 1 GiB a call: the caller calls again with the operation's token
// until the operation is Done. The errors mean the same as those of [backup.Provider.Prepare].
func (p *Provider) PrepareRestore(ctx context.Context, r backup.Restore, token string) (backup.Operation, error) {
	t, err := restore(r)
	if err != nil {
		return backup.Operation{}, err
	}
	var done backup.Hashing
	if token != "" {
		if err := json.Unmarshal([]byte(token), &done); err != nil {
			done = backup.Hashing{} // start again
		}
	} else {
		changed, err := p.checkRestore(ctx, t, r)
		if err != nil || !changed {
			return backup.Operation{Done: err == nil}, err
		}
	}
	v, err := p.Hash(ctx, t.Attempt, done)
	switch f := backup.AsFault(err); {
	case f != nil && f.Kind == backup.Refused:
		f.Message, f.Hint = strings.TrimSuffix(f.Message, ", although the backup ended well"), hintArtifact
		return backup.Operation{}, f
	case f != nil:
		return backup.Operation{}, f
	case !v.Done:
		saved, err := json.Marshal(v.Hashing)
		return backup.Operation{Token: string(saved)}, err
	case v.SHA256 != r.SHA256:
		return backup.Operation{}, t.no("ArtifactChanged", fmt.Sprintf("%s in %s has the SHA-256 %s, and the recovery point "+
			"%s", r.Artifact, azure.Place(r.Storage), v.SHA256, r.SHA256), hintArtifact)
	}
	return backup.Operation{Done: true}, nil
}

// BeginRestore sends the one request that starts a restore. Retryable and Throttled mean that the restore was certainly
// not started, and Refused means that it never will be. Ambiguous means that it may have been started; the caller must
// not send the request again, because a second restore would lose the changes made since the first.
func (p *Provider) BeginRestore(ctx context.Context, r backup.Restore) (backup.Operation, error) {
	t, err := restore(r)
	if err != nil {
		return backup.Operation{}, err
	}
	o, err := p.start(ctx, t)
	if err == nil && o.Done {
		err = p.settled(ctx, t)
	}
	f := backup.AsFault(err)
	switch {
	case f == nil:
		return o, nil
	case o.Done && f.Kind != backup.Refused: // the restore was started, and there is no token with which to ask about it
		f.Kind, f.Hint = backup.Ambiguous, hintUnobservable(t)
	case f.Kind == backup.Ambiguous:
		f.Hint = hintUnobservable(t)
	}
	return backup.Operation{}, f
}

// PollRestore asks once for the state of the restore behind the token. The restore is done when the service says so and
// has settled as well.
func (p *Provider) PollRestore(ctx context.Context, r backup.Restore, token string) (backup.Operation, error) {
	t, err := restore(r)
	if err != nil {
		return backup.Operation{}, err
	}
	o, err := p.follow(ctx, t, token)
	if err != nil || !o.Done {
		return o, err
	}
	// A later call can ask for the operation's result again: some clients do (recorded).
	if err := p.settled(ctx, t); err != nil {
		return backup.Operation{}, err
	}
	return o, nil
}

// restore returns the task of a restore. It refuses any restore but the full restore of an artifact.
func restore(r backup.Restore) (task, error) {
	if r.Kind != backup.RestoreFull || r.Key != "" || r.Artifact == "" {
		return task{}, &backup.Fault{
			Kind: backup.Refused, Code: "InvalidRestore",
			Message: fmt.Sprintf("%q with the key %q from %q is no restore of an API Management service", r.Kind, r.Key, r.Artifact),
			Hint:    "Nothing was done. Name a recovery point of an API Management service, which is restored as a whole.",
		}
	}
	return task{r.ProviderAttempt(""), restoring}, nil
}

// hintArtifact is the hint about a blob that is no longer the recorded backup.
const hintArtifact = "Take another recovery point. If the storage account keeps deleted blobs or older versions, the " +
	"backup can be brought back in the Azure portal."

// checkRestore makes the checks that need no content, and reports whether the blob was written again since it was
// recorded.
func (p *Provider) checkRestore(ctx context.Context, t task, r backup.Restore) (changed bool, err error) {
	service, err := p.look(ctx, t)
	if err != nil {
		return false, err
	}
	if sku := skuOf(service); r.SKU != "" && !strings.EqualFold(string(sku), r.SKU) {
		return false, t.no("TierDiffers", fmt.Sprintf("its tier is %s, and the backup is of the tier %s", sku, r.SKU), hintSameTier)
	}
	p.compare(ctx, t, r, service)
	container, err := p.azure.Container(r.Storage)
	if err != nil {
		return false, err
	}
	found, err := container.NewBlobClient(r.Artifact).GetProperties(ctx, nil)
	switch size := azure.Deref(found.ContentLength); {
	case bloberror.HasCode(err, bloberror.BlobNotFound, bloberror.ContainerNotFound):
		return false, t.no("ArtifactMissing", r.Artifact+" in "+azure.Place(r.Storage)+" does not exist", hintArtifact)
	case err != nil:
		return false, azure.Reading(r.Storage, r.Artifact).Fault(err)
	case azure.Deref(found.AccessTier) == string(blob.AccessTierArchive):
		return false, t.no("ArtifactArchived", r.Artifact+" in "+azure.Place(r.Storage)+" is in the access tier Archive",
			"Move it back to an online access tier, which takes hours, and restore then.")
	case size != r.Size:
		return false, t.no("ArtifactChanged", fmt.Sprintf("%s in %s has %d bytes, and the recovery point %d", r.Artifact,
			azure.Place(r.Storage), size, r.Size), hintArtifact)
	}
	return string(azure.Deref(found.ETag)) != r.ETag, nil
}

// settled reads the service after a restore has ended. It returns nil if the service has settled successfully.
func (p *Provider) settled(ctx context.Context, t task) error {
	service, _, err := p.show(ctx, t, inspecting(t))
	if err != nil {
		return err
	}
	switch state := stateOf(service); state {
	case settledState:
		return nil
	case "Failed", "Canceled":
		return ended(t, azure.Body{State: state})
	default:
		return unsettled(t, state)
	}
}
