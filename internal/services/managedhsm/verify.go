package managedhsm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// mostFiles bounds a backup: the hashes of so many files have room in backup.Hashing.State.
const mostFiles = 320

// progress is how far a verification has got, kept in backup.Hashing.State.
type progress struct {
	// Sums are the SHA-256 of the files that were read, 32 bytes each, and Sum is the state of that of the next one.
	Sums []byte `json:"sums,omitempty"`
	Sum  []byte `json:"sum,omitempty"`
	// Token continues the HSM's look whether it could restore the folder.
	Token string `json:"token,omitempty"`
}

// Verify reads and hashes the next part of the folder's files, which are listed afresh each time. Once all are read, it
// has the HSM look whether it could restore them, which is the best evidence there is; only of a folder that is read once
// more for a restore the hashes are all that is asked for. Where its look says nothing about the folder, since our identity
// may not ask, or the SAS does not do, or it may have come too late, the hashes alone are the evidence, and the note says
// so.
func (p *Provider) Verify(ctx context.Context, a backup.Attempt, done backup.Hashing) (backup.Verification, error) {
	f, err := p.list(ctx, a.Storage, a.Artifact, false)
	if err != nil {
		return backup.Verification{}, azure.Reading(a.Storage, a.Artifact).Fault(err)
	}
	if err := check(a, f); err != nil {
		return backup.Verification{}, err
	}
	var at progress
	if done.ETag != f.print() || json.Unmarshal(done.State, &at) != nil {
		at, done = progress{}, backup.Hashing{} // another folder now, or none before: afresh from the start
	}
	v := backup.Verification{Size: f.size, Modified: f.newest, Hashing: backup.Hashing{ETag: f.print(), Offset: done.Offset}}
	read, err := p.hash(ctx, a, f, &at, done.Offset)
	switch {
	case azure.Is(err, bloberror.ConditionNotMet, bloberror.BlobNotFound, bloberror.InvalidRange):
		return backup.Verification{}, nil // it was changed since it was listed
	case err != nil && read == 0:
		return backup.Verification{}, azure.Reading(a.Storage, a.Artifact).Fault(err)
	}
	v.Hashing.Offset += read
	if at.read() < len(f.files) {
		v.Hashing.State, err = json.Marshal(at)
		return v, err
	}

	proof := status{done: a.Reread}
	if !proof.done {
		proof, err = p.proof(ctx, backup.Restore{
			Target: a.Target, Storage: a.Storage, Artifact: a.Artifact, Blocks: a.Blocks, Kind: backup.RestoreFull,
		}, at.Token)
	}
	switch fault := backup.AsFault(err); {
	case fault != nil && (noEvidence(fault) || p.belated(f, fault)):
		v.Note = "Verified by its hashes only: " + fault.Message
		if fault.Kind == backup.Denied {
			v.Note += " " + fault.Hint
		}
	case fault != nil && (fault.Kind == backup.Refused || read == 0):
		return backup.Verification{}, fault
	case fault != nil: // asked again by the next call; what was read is kept
		v.Awaits, v.RetryAfter = true, fault.RetryAfter
		v.Hashing.State, err = json.Marshal(at)
		return v, err
	case !proof.done:
		at.Token, v.Awaits, v.RetryAfter = proof.token, true, proof.after
		v.Hashing.State, err = json.Marshal(at)
		return v, err
	}
	v.Done, v.Files = true, f.hashed(a.Artifact, at)
	v.SHA256 = digest(v.Files)
	return v, nil
}

// check refuses a folder that is no backup of the run.
func check(a backup.Attempt, f folder) error {
	switch {
	case len(f.files) == 0:
		return azure.NoArtifact(a, "ArtifactMissing", "does not exist, although the backup ended well")
	case f.size == 0:
		return azure.NoArtifact(a, "ArtifactEmpty", "is empty")
	case f.oldest.Before(a.NotBefore.Add(-clockTolerance)):
		return azure.TooOld(a, f.oldest)
	case len(f.files) > mostFiles:
		return azure.NoArtifact(a, "TooManyFiles", fmt.Sprintf("consists of %d files, more than the %d that can be verified",
			len(f.files), mostFiles))
	}
	return nil
}

// How an HSM refuses a SAS (recorded 2021 to 2026). Since 2026 "Invalid Request" stands before that; alone it says no more
// than that the request was bad.
var badSAS = azure.Sentences("The customer provided SAS token is malformed", "The SAS token does not contain the … field")

const badRequest = "Invalid Request"

// noEvidence tells whether a fault of the HSM's look says nothing about the backup: our identity may not ask, or what the
// HSM was given to get at the folder did not do. A no in words that nobody knows is one to the backup.
func noEvidence(f *backup.Fault) bool {
	switch {
	case f.Kind == backup.Denied:
		return true
	case f.Kind != backup.Refused || invalidBackup(f.Said):
		return false
	}
	return badSAS(f.Said) || strings.EqualFold(strings.TrimRight(f.Said, ". "), badRequest)
}

// belated tells whether the HSM may have refused the look by its rule of Recent alone, as the app was down, the start lost or
// the folder large: it does not speak of the backup, which is as old as that. In which words it refuses was never recorded.
// The folder was listed before the HSM refused, and by a clock of whole seconds.
func (p *Provider) belated(f folder, fault *backup.Fault) bool {
	return fault.Kind == backup.Refused && !invalidBackup(fault.Said) && f.now.Sub(f.newest) >= p.Recent-clockTolerance
}

// read is how many files were read.
func (at progress) read() int { return len(at.Sums) / sha256.Size }

// hash reads on from the offset, HashPart bytes at the most, and returns how many it read. The part before an error
// counts.
func (p *Provider) hash(ctx context.Context, a backup.Attempt, f folder, at *progress, offset int64) (int64, error) {
	client, err := p.azure.Container(a.Storage)
	if err != nil {
		return 0, err
	}
	for _, file := range f.files[:at.read()] {
		offset -= file.size // now within the next file
	}
	var read int64
	for at.read() < len(f.files) {
		file := f.files[at.read()]
		sum, ok := azure.Sum(at.Sum)
		if !ok {
			sum, offset = sha256.New(), 0
		}
		if count := min(p.HashPart-read, file.size-offset); count > 0 {
			part, err := azure.ReadPart(ctx, client, file.name, offset, count, file.etag)
			if err != nil {
				return read, err
			}
			n, err := part.Hash(sum, count)
			_ = part.Content.Close()
			if err != nil {
				return read, err
			}
			read, offset = read+n, offset+n
		}
		if offset < file.size {
			at.Sum, err = azure.State(sum)
			if err != nil || read >= p.HashPart || ctx.Err() != nil {
				return read, err
			}
			continue
		}
		at.Sums, at.Sum, offset = sum.Sum(at.Sums), nil, 0
	}
	return read, nil
}

// hashed are the files with their hashes, named within the folder.
func (f folder) hashed(folder string, at progress) []backup.File {
	var files []backup.File
	for i, file := range f.files {
		files = append(files, backup.File{
			Name: strings.TrimPrefix(file.name, folder+"/"), Size: file.size, ETag: file.etag,
			SHA256: hex.EncodeToString(at.Sums[i*sha256.Size : (i+1)*sha256.Size]),
		})
	}
	return files
}

// digest is the SHA-256 of the list of files: a line "<hash>  <name>" each, in the order of their names, as sha256sum
// writes them.
func digest(files []backup.File) string {
	sum := sha256.New()
	for _, f := range files {
		fmt.Fprintf(sum, "%s  %s\n", f.SHA256, f.Name)
	}
	return hex.EncodeToString(sum.Sum(nil))
}
