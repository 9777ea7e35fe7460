package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	azfile "github.com/Azure/azure-sdk-for-go/sdk/storage/azfile/file"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azfile/fileerror"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// mostListed is the largest number of files whose hashes have room in backup.Hashing.State. In a share with more files,
// Hash also hashes all files and records the hash of their list, but not the hash of each file.
const mostListed = 300

// progress is the progress of a verification, kept in backup.Hashing.State.
type progress struct {
	// Read is the number of files that were read, and Sum is the state of the SHA-256 of the next file.
	Read int    `json:"read,omitempty"`
	Sum  []byte `json:"sum,omitempty"`
	// List is the state of the SHA-256 of the list of files, and Sums holds the hashes in it, 32 bytes each.
	List []byte `json:"list,omitempty"`
	Sums []byte `json:"sums,omitempty"`
}

// Hash checks whether the share's ledger files join up, and reads and hashes the next part of all its files. It lists
// the files again each time.
func (p *Provider) Hash(ctx context.Context, a backup.Attempt, done backup.Hashing) (backup.Verification, error) {
	i, err := parse(a.Target, a.Blocks)
	if err != nil {
		return backup.Verification{}, err
	}
	if !isShare(i.name, a.Artifact) {
		return backup.Verification{}, noArtifact(a, "NotAnArtifact", "is not the name of a backup of "+i.name)
	}
	files, err := p.files(ctx, a.Storage, backup.Retryable)
	if err != nil {
		return backup.Verification{}, err
	}
	c, err := files.content(ctx, a.Artifact)
	switch {
	case isGone(err):
		return backup.Verification{}, noArtifact(a, "ArtifactMissing", "does not exist, although the backup ended well")
	case err != nil:
		return backup.Verification{}, files.fault(reading(a.Storage, a.Artifact), err)
	}
	if err := check(a, c); err != nil {
		return backup.Verification{}, err
	}
	var at progress
	if done.ETag != c.fingerprint() || json.Unmarshal(done.State, &at) != nil || at.Read > len(c.Files) {
		at, done = progress{}, backup.Hashing{} // another content now, or none before: start again
	}
	v := backup.Verification{Size: c.Size, Modified: c.Newest, Hashing: backup.Hashing{ETag: c.fingerprint(), Offset: done.Offset}}
	read, err := p.hash(ctx, files, a.Artifact, c, &at, done.Offset)
	switch {
	case errors.Is(err, errChanged) || fileerror.HasCode(err, fileerror.ResourceNotFound, fileerror.InvalidRange):
		return backup.Verification{}, nil // it was changed since it was listed
	case isGone(err):
		return backup.Verification{}, noArtifact(a, "ArtifactMissing", "was deleted while it was read")
	case err != nil && read == 0:
		return backup.Verification{}, files.fault(reading(a.Storage, a.Artifact), err)
	}
	v.Hashing.Offset += read
	if at.Read < len(c.Files) {
		v.Hashing.State, err = json.Marshal(at)
		return v, err
	}
	list, ok := azure.Sum(at.List)
	if !ok {
		return backup.Verification{}, nil
	}
	v.Done, v.SHA256, v.Note = true, hex.EncodeToString(list.Sum(nil)), i.note(c)
	if len(c.Files) <= mostListed {
		v.Files = azure.Hashed(c.Files, at.Sums, "")
	}
	return v, nil
}

// Prove is done: the service offers no check whether it could restore a share.
func (p *Provider) Prove(context.Context, backup.Attempt, string) (backup.Operation, error) {
	return backup.Operation{Done: true}, nil
}

// check refuses a share that is no backup of the run.
func check(a backup.Attempt, c content) error {
	switch chain := chainOf(c.Files); {
	case c.Size == 0:
		return noArtifact(a, "ArtifactEmpty", "is empty")
	case c.Oldest.Before(a.NotBefore.Add(-clockTolerance)):
		return noArtifact(a, "ArtifactTooOld", fmt.Sprintf("has a file that was written at %s, before the run started at %s",
			c.Oldest.UTC().Format(time.RFC3339), a.NotBefore.UTC().Format(time.RFC3339)))
	case chain.hole != "":
		return noArtifact(a, "LedgerIncomplete", "lacks "+chain.hole)
	}
	return nil
}

// oneWay says why an export cannot be restored.
const oneWay = "Azure restores no ledger from exported files: you can only read and audit them. " +
	"Since the api-version " + exportsSince + " Azure restores no Confidential Ledger."

// note names the limits of the verification of a good backup.
func (i instance) note(c content) string {
	var notes []string
	if i.exports {
		notes = append(notes, oneWay)
	}
	if chainOf(c.Files).snapshot == 0 {
		notes = append(notes, "There is no snapshot in it, so nothing shows whether the last ledger files are there.")
	}
	if len(c.Files) > mostListed {
		notes = append(notes, fmt.Sprintf("It has %d files. Lifeboat keeps the hash of their list, but not the list.", len(c.Files)))
	}
	return strings.Join(notes, " ")
}

// errChanged says that the file is no longer the listed file.
var errChanged = errors.New("the file was changed since it was listed")

// hash reads and hashes the next files, HashPart bytes at the most, and returns the number of bytes read.
func (p *Provider) hash(ctx context.Context, f *files, share string, c content, at *progress, offset int64) (int64, error) {
	list, ok := azure.Sum(at.List)
	if !ok {
		list = sha256.New()
	}
	return azure.HashFiles(ctx, c.Files, at.Read, offset, &at.Sum, p.HashPart,
		func(file azure.File, offset, count int64) (azure.Part, error) {
			return f.part(ctx, share, file, offset, count)
		},
		func(file azure.File, hash []byte) (err error) {
			fmt.Fprintf(list, "%x  %s\n", hash, file.Name) // as sha256sum writes it
			if len(c.Files) <= mostListed {
				at.Sums = append(at.Sums, hash...)
			}
			at.Read++
			at.List, err = azure.State(list)
			return err
		})
}

// part asks for count bytes of the file from the offset on.
func (f *files) part(ctx context.Context, share string, of azure.File, offset, count int64) (azure.Part, error) {
	ctx = policy.WithHTTPHeader(ctx, http.Header{"Accept-Encoding": {"identity"}}) // hashed as it is stored
	answer, err := f.client.NewShareClient(share).NewRootDirectoryClient().NewFileClient(of.Name).DownloadStream(ctx,
		&azfile.DownloadStreamOptions{Range: azfile.HTTPRange{Offset: offset, Count: count}})
	if err != nil {
		return azure.Part{}, err
	}
	if etag := string(azure.Deref(answer.ETag)); of.ETag != "" && etag != of.ETag {
		return azure.Part{}, errors.Join(errChanged, answer.Body.Close())
	}
	return azure.Part{Content: answer.Body, Size: of.Size, ETag: of.ETag, Modified: of.Modified}, nil
}
