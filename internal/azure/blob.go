package azure

import (
	"context"
	"crypto/sha256"
	"encoding"
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
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"lifeboat/internal/backup"
)

// Part is a part of a blob's content, and the facts about the whole blob in its headers.
type Part struct {
	Content io.ReadCloser
	// Size is the size of the whole blob, in bytes.
	Size     int64
	ETag     string
	Modified time.Time
}

// ReadPart requests count bytes of the blob from the offset on. It reads the version with the ETag, or any version if etag is
// "".
func ReadPart(ctx context.Context, in *container.Client, name string, offset, count int64, etag string) (Part, error) {
	options := &blob.DownloadStreamOptions{
		Range: blob.HTTPRange{Offset: offset, Count: count}, AccessConditions: IfMatch(etag),
	}
	// The program hashes a blob as it is stored. Go would unpack a blob marked as gzip without this header.
	ctx = policy.WithHTTPHeader(ctx, http.Header{"Accept-Encoding": {"identity"}})
	answer, err := in.NewBlobClient(name).DownloadStream(ctx, options)
	if err != nil {
		return Part{}, err
	}
	whole := Deref(answer.ContentLength)
	if _, total, ranged := strings.Cut(Deref(answer.ContentRange), "/"); ranged {
		whole, err = strconv.ParseInt(total, 10, 64)
	}
	if err != nil || answer.ETag == nil || answer.LastModified == nil {
		return Part{}, errors.Join(errors.New("the answer lacks a size, an ETag or a date"), err, answer.Body.Close())
	}
	return Part{answer.Body, whole, string(*answer.ETag), *answer.LastModified}, nil
}

// Hash adds the content of the part to the sum. The caller wants count bytes. If the stream is cut, or the time is over, the
// bytes before that count; only if there are none does Hash return an error.
func (p Part) Hash(sum hash.Hash, count int64) (int64, error) {
	n, err := io.Copy(sum, p.Content)
	if err == nil && n != count {
		err = fmt.Errorf("%d bytes came instead of %d: %w", n, count, io.ErrUnexpectedEOF)
	}
	if n > 0 {
		err = nil
	}
	return n, err
}

// IfMatch returns the condition that the blob still has the ETag, or no condition for "".
func IfMatch(etag string) *blob.AccessConditions {
	if etag == "" {
		return nil
	}
	return &blob.AccessConditions{
		ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfMatch: to.Ptr(azcore.ETag(etag))},
	}
}

// Sum returns the SHA-256 whose State was saved, or false if the saved bytes are no such state.
func Sum(saved []byte) (hash.Hash, bool) {
	sum := sha256.New()
	return sum, sum.(encoding.BinaryUnmarshaler).UnmarshalBinary(saved) == nil
}

// State returns the state of the sum so far, to be saved.
func State(sum hash.Hash) ([]byte, error) { return sum.(encoding.BinaryMarshaler).MarshalBinary() }

// NoArtifact returns the fault for an artifact that is not a backup of the run.
func NoArtifact(a backup.Attempt, code, what string) *backup.Fault {
	return &backup.Fault{
		Kind: backup.Refused, Code: code,
		Message: fmt.Sprintf("%s in %s %s", a.Artifact, Place(a.Storage), what),
		Hint:    "Ask for the backup again. If that ends the same way, ask Azure's support about the service's backups.",
	}
}

// TooOld returns the fault for an artifact written before its run.
func TooOld(a backup.Attempt, modified time.Time) *backup.Fault {
	return NoArtifact(a, "ArtifactTooOld", fmt.Sprintf("was written at %s, before the run started at %s",
		modified.UTC().Format(time.RFC3339), a.NotBefore.UTC().Format(time.RFC3339)))
}

// StillWritten returns the fault for an artifact that may not be complete yet, by the time of its last change.
func StillWritten(artifact string, changed time.Time) *backup.Fault {
	return &backup.Fault{
		Kind: backup.Retryable, Code: "StillBeingWritten", Hint: "Lifeboat looks again.",
		Message: artifact + " was still being written at " + changed.UTC().Format(time.RFC3339),
	}
}

// Touched returns the fault for the deletion of an artifact whose ETag is no longer the ETag of its verification.
func Touched(deleting Call) *backup.Fault {
	return &backup.Fault{
		Kind: backup.Touched, Code: "ArtifactTouched", Message: deleting.What + ": it was changed since it was verified", Hint: hintTouched,
	}
}

const hintTouched = "Nothing was deleted. Lifeboat reads it again, and deletes it if only its metadata was changed."
