package apim

import (
	"context"
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"

	"lifeboat/internal/backup"
)

// Verify reads and hashes the next part of the artifact with a single request, whose headers tell the rest. Only an
// answer about the blob itself is evidence against it; a storage account that does not answer, or not to us, is none.
func (p *Provider) Verify(ctx context.Context, a backup.Attempt, done backup.Hashing) (backup.Verification, error) {
	sum, done := resume(done)
	part, err := p.readPart(ctx, a, done)
	switch {
	case done.Offset > 0 && is(err, bloberror.ConditionNotMet, bloberror.InvalidRange):
		return backup.Verification{}, nil // it is another blob now: afresh from the start
	case is(err, bloberror.BlobNotFound):
		return backup.Verification{}, refuse(a, "ArtifactMissing", "does not exist, although the backup ended well")
	case is(err, bloberror.InvalidRange):
		return backup.Verification{}, refuse(a, "ArtifactEmpty", "is empty")
	case err != nil:
		return backup.Verification{}, interpretError(reading, a, err)
	}
	defer part.content.Close()
	earliest := a.NotBefore.Add(-clockTolerance)
	switch {
	case part.size == 0:
		return backup.Verification{}, refuse(a, "ArtifactEmpty", "is empty")
	case part.modified.Before(earliest):
		return backup.Verification{}, refuse(a, "ArtifactTooOld", fmt.Sprintf("was written at %s, before the run "+
			"started at %s", part.modified.UTC().Format(time.RFC3339), a.NotBefore.UTC().Format(time.RFC3339)))
	}
	n, err := io.Copy(sum, part.content)
	if want := min(p.HashPart, part.size-done.Offset); err == nil && n != want {
		err = fmt.Errorf("%d bytes came instead of %d: %w", n, want, io.ErrUnexpectedEOF)
	}
	if err != nil && n == 0 {
		return backup.Verification{}, interpretError(reading, a, err)
	}
	// What came before the stream was cut, or the time was over, counts: the next call goes on from there.
	v := backup.Verification{
		Hashing: backup.Hashing{ETag: part.etag, Offset: done.Offset + n}, Size: part.size, Modified: part.modified,
	}
	if v.Hashing.Offset == part.size {
		v.Done, v.SHA256 = true, hex.EncodeToString(sum.Sum(nil))
		return v, nil
	}
	v.Hashing.State, err = sum.(encoding.BinaryMarshaler).MarshalBinary()
	return v, err
}

// resume goes on with a saved hash, or starts one.
func resume(done backup.Hashing) (hash.Hash, backup.Hashing) {
	sum := sha256.New()
	if done.Offset > 0 && done.ETag != "" && sum.(encoding.BinaryUnmarshaler).UnmarshalBinary(done.State) == nil {
		return sum, done
	}
	return sha256.New(), backup.Hashing{}
}

// part is a piece of a blob's content, and what its headers say of all of it.
type part struct {
	content  io.ReadCloser
	size     int64 // of the whole blob
	etag     string
	modified time.Time
}

// readPart asks for the next HashPart bytes of the blob that the hash was begun with.
func (p *Provider) readPart(ctx context.Context, a backup.Attempt, done backup.Hashing) (part, error) {
	client, err := p.container(a)
	if err != nil {
		return part{}, err
	}
	options := &blob.DownloadStreamOptions{
		Range: blob.HTTPRange{Offset: done.Offset, Count: p.HashPart}, AccessConditions: ifMatch(done.ETag),
	}
	// What is stored is hashed as it is stored: Go would unpack a blob marked as gzip unless told not to.
	ctx = policy.WithHTTPHeader(ctx, http.Header{"Accept-Encoding": {"identity"}})
	answer, err := client.NewBlobClient(a.Artifact).DownloadStream(ctx, options)
	if err != nil {
		return part{}, err
	}
	whole := deref(answer.ContentLength)
	if _, total, ranged := strings.Cut(deref(answer.ContentRange), "/"); ranged {
		whole, err = strconv.ParseInt(total, 10, 64)
	}
	if err != nil || answer.ETag == nil || answer.LastModified == nil {
		return part{}, errors.Join(errors.New("the answer lacks a size, an ETag or a date"), err, answer.Body.Close())
	}
	return part{answer.Body, whole, string(*answer.ETag), *answer.LastModified}, nil
}

// ifMatch is the condition that the blob still has the ETag, or none for "".
func ifMatch(etag string) *blob.AccessConditions {
	if etag == "" {
		return nil
	}
	return &blob.AccessConditions{
		ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfMatch: to.Ptr(azcore.ETag(etag))},
	}
}

// refuse is the fault of an artifact that is no backup of this run.
func refuse(a backup.Attempt, code, what string) *backup.Fault {
	return &backup.Fault{
		Kind: backup.Refused, Code: code,
		Message: fmt.Sprintf("%s in the container %s of the storage account %s %s",
			a.Artifact, a.Storage.Container, a.Storage.AccountName(), what),
		Hint: "Ask for the backup again. If that ends the same way, ask Azure's support about the service's backups.",
	}
}
