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

// mostFiles is the largest number of files of a backup: backup.Hashing.State has room for the hashes of that many files.
const mostFiles = 320

// progress is the progress of a verification, kept in backup.Hashing.State.
type progress struct {
	// Sums holds the SHA-256 of the files that were read, 32 bytes each, and Sum holds the state of the next file's hash.
	Sums []byte `json:"sums,omitempty"`
	Sum  []byte `json:"sum,omitempty"`
}

// Hash reads and hashes the next part of the folder's files. It lists the files again each time.
func (p *Provider) Hash(ctx context.Context, a backup.Attempt, done backup.Hashing) (backup.Verification, error) {
	f, err := p.list(ctx, a, false)
	if err != nil {
		return backup.Verification{}, azure.Reading(a.Storage, a.Artifact).Fault(err)
	}
	if err := check(a, f); err != nil {
		return backup.Verification{}, err
	}
	var at progress
	if done.ETag != f.fingerprint() || json.Unmarshal(done.State, &at) != nil {
		at, done = progress{}, backup.Hashing{} // another folder now, or none before: start again
	}
	v := backup.Verification{Size: f.Size, Modified: f.Newest, Hashing: backup.Hashing{ETag: f.fingerprint(), Offset: done.Offset}}
	read, err := p.hash(ctx, a, f, &at, done.Offset)
	switch {
	case bloberror.HasCode(err, bloberror.ConditionNotMet, bloberror.BlobNotFound, bloberror.InvalidRange):
		return backup.Verification{}, nil // it was changed since it was listed
	case err != nil && read == 0:
		return backup.Verification{}, azure.Reading(a.Storage, a.Artifact).Fault(err)
	}
	v.Hashing.Offset += read
	v.Hashing.State, err = json.Marshal(at)
	if at.read() < len(f.Files) || err != nil {
		return v, err
	}
	v.Done, v.Files = true, azure.Hashed(f.Files, at.Sums, a.Artifact+"/")
	v.SHA256 = digest(v.Files)
	return v, nil
}

// Prove has the HSM check whether it could restore the folder, which is the best evidence there is. The HSM's check says
// nothing about the folder if the app's identity may not ask, if the SAS does not work, or if the check may have come too
// late. Then the hashes alone are the evidence, and the warning says so.
func (p *Provider) Prove(ctx context.Context, a backup.Attempt, token string) (backup.Operation, error) {
	proof, err := p.proof(ctx, a, token)
	if err == nil {
		proof.Asked = proof.Done
		return proof.Operation, nil
	}
	fault := backup.AsFault(err)
	nothing := noEvidence(fault)
	if !nothing && fault.Kind == backup.Refused && !invalidBackup(fault.Said) {
		f, err := p.list(ctx, a, false)
		if err != nil {
			return backup.Operation{}, azure.Reading(a.Storage, a.Artifact).Fault(err)
		}
		nothing = p.checkTooLate(f)
	}
	if !nothing {
		return backup.Operation{}, fault
	}
	warning := "Verified by its hashes only: " + fault.Message
	if fault.Kind == backup.Unobservable {
		warning += " " + fault.Hint
	}
	return backup.Operation{Done: true, Warning: warning}, nil
}

// check refuses a folder that is no backup of the run.
func check(a backup.Attempt, f folder) error {
	switch {
	case len(f.Files) == 0:
		return azure.NoArtifact(a, "ArtifactMissing", "does not exist, although the backup ended well")
	case f.Size == 0:
		return azure.NoArtifact(a, "ArtifactEmpty", "is empty")
	case f.Oldest.Before(a.NotBefore.Add(-clockTolerance)):
		return azure.TooOld(a, f.Oldest)
	case len(f.Files) > mostFiles:
		return azure.NoArtifact(a, "TooManyFiles", fmt.Sprintf("consists of %d files, more than the %d that can be verified",
			len(f.Files), mostFiles))
	}
	return nil
}

// badSAS recognizes the HSM's words when it refuses a SAS (recorded 2021 to 2026). Since 2026 "Invalid Request" stands
// before these words; alone it says only that the request was bad.
var badSAS = azure.Sentences("The customer provided SAS token is malformed", "The SAS token does not contain the … field")

const badRequest = "Invalid Request"

// noEvidence reports whether a fault of the HSM's check says nothing about the backup: the app's identity may not ask, or
// the HSM's access to the folder did not work. A refusal in unknown words is a refusal of the backup.
func noEvidence(f *backup.Fault) bool {
	switch {
	case f.Kind == backup.Unobservable, azure.Denies(f.Code): // such as a lock on the account, whose key the SAS needs
		return true
	case f.Kind != backup.Refused || invalidBackup(f.Said):
		return false
	}
	return badSAS(f.Said) || strings.EqualFold(strings.TrimRight(f.Said, ". "), badRequest)
}

// checkTooLate reports whether the HSM may have refused the check only by its rule of Recent, because the app was down, the
// start was lost or the folder was large. Such a refusal says nothing about the backup except its age. The words of such
// a refusal were never recorded. checkTooLate allows for clockTolerance, because the storage's clock has whole seconds.
func (p *Provider) checkTooLate(f folder) bool { return f.Now.Sub(f.Newest) >= p.Recent-clockTolerance }

// read returns the number of files that were read.
func (at progress) read() int { return len(at.Sums) / sha256.Size }

// hash reads and hashes the next files, HashPart bytes at the most, and returns the number of bytes read.
func (p *Provider) hash(ctx context.Context, a backup.Attempt, f folder, at *progress, offset int64) (int64, error) {
	client, err := p.azure.Container(a.Storage)
	if err != nil {
		return 0, err
	}
	return azure.HashFiles(ctx, f.Files, at.read(), offset, &at.Sum, p.HashPart,
		func(file azure.File, offset, count int64) (azure.Part, error) {
			return azure.ReadPart(ctx, client, file.Name, offset, count, file.ETag)
		},
		func(_ azure.File, hash []byte) error {
			at.Sums = append(at.Sums, hash...)
			return nil
		})
}

// digest returns the SHA-256 of the list of files. The list has a line "<hash>  <name>" for each file, in the order of
// the names, as sha256sum writes it.
func digest(files []backup.File) string {
	sum := sha256.New()
	for _, f := range files {
		fmt.Fprintf(sum, "%s  %s\n", f.SHA256, f.Name)
	}
	return hex.EncodeToString(sum.Sum(nil))
}
