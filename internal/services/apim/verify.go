package apim

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// Hash reads and hashes the next part of the artifact with a single request, whose headers show the rest. Only an
// answer about the blob itself is evidence against the blob. A storage account that does not answer, or refuses the app,
// is no evidence.
func (p *Provider) Hash(ctx context.Context, a backup.Attempt, done backup.Hashing) (backup.Verification, error) {
	client, err := p.azure.Container(a.Storage)
	if err != nil {
		return backup.Verification{}, err
	}
	sum, done := resume(done)
	part, err := azure.ReadPart(ctx, client, a.Artifact, done.Offset, p.HashPart, done.ETag)
	switch {
	case done.Offset > 0 && bloberror.HasCode(err, bloberror.ConditionNotMet, bloberror.InvalidRange):
		return backup.Verification{}, nil // the blob was written again: hash it from the start
	case bloberror.HasCode(err, bloberror.BlobNotFound):
		return backup.Verification{}, azure.NoArtifact(a, "ArtifactMissing", "does not exist, although the backup ended well")
	case bloberror.HasCode(err, bloberror.InvalidRange):
		return backup.Verification{}, azure.NoArtifact(a, "ArtifactEmpty", "is empty")
	case err != nil:
		return backup.Verification{}, azure.Reading(a.Storage, a.Artifact).Fault(err)
	}
	defer part.Content.Close()
	earliest := a.NotBefore.Add(-clockTolerance)
	switch {
	case part.Size == 0:
		return backup.Verification{}, azure.NoArtifact(a, "ArtifactEmpty", "is empty")
	case part.Modified.Before(earliest):
		return backup.Verification{}, azure.TooOld(a, part.Modified)
	}
	n, err := part.Hash(sum, min(p.HashPart, part.Size-done.Offset))
	if err != nil {
		return backup.Verification{}, azure.Reading(a.Storage, a.Artifact).Fault(err)
	}
	v := backup.Verification{
		Hashing: backup.Hashing{ETag: part.ETag, Offset: done.Offset + n}, Size: part.Size, Modified: part.Modified,
	}
	if v.Hashing.Offset == part.Size {
		v.Done, v.SHA256 = true, hex.EncodeToString(sum.Sum(nil))
		return v, nil
	}
	v.Hashing.State, err = azure.State(sum)
	return v, err
}

// Prove is done: API Management has no check whether it could restore a blob.
func (p *Provider) Prove(context.Context, backup.Attempt, string) (backup.Operation, error) {
	return backup.Operation{Done: true}, nil
}

var _ backup.ChangeReader = (*Provider)(nil)

// ReadChange reads whether the service was changed during the backup, since changes made then may be missing from it.
func (p *Provider) ReadChange(ctx context.Context, a backup.Attempt) (backup.Change, error) {
	return p.azure.Changed(ctx, a.Target, a.Ran)
}

// resume continues a saved hash, or starts a new hash.
func resume(done backup.Hashing) (hash.Hash, backup.Hashing) {
	if sum, ok := azure.Sum(done.State); ok && done.Offset > 0 && done.ETag != "" {
		return sum, done
	}
	return sha256.New(), backup.Hashing{}
}
