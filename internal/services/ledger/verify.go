package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	azfile "github.com/Azure/azure-sdk-for-go/sdk/storage/azfile/file"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azfile/fileerror"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
	"lifeboat/internal/services/ledger/ccf"
)

// stepTime is the time after which a step ends at the next signature. The engine ends a call of a provider after 80 seconds: the next one
// then goes on at the last save.
const stepTime = 45 * time.Second

// saveBytes is the number of bytes after which a step keeps its progress, in case that the next ones cannot be read.
const saveBytes = 64 << 20

// progress is the progress of a verification, kept in backup.Hashing.State.
type progress struct {
	// Ledger is the checkpoint of the ledger's verification.
	Ledger json.RawMessage `json:"ledger,omitempty"`
	// ByName: an older version hashed the long list in the order of the names.
	ByName bool `json:"byName,omitempty"`
	saved
}

// Hash verifies the next part of the ledger in the share, and hashes all files on the way. It lists the files again each time.
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
	if done.ETag != c.fingerprint() || json.Unmarshal(done.State, &at) != nil {
		at = progress{} // another content now, or none before: start again
	}
	s := p.step(files, a, i, c, at)
	v, err := s.run(ctx)
	switch {
	case errors.Is(err, errChanged) || fileerror.HasCode(err, fileerror.ResourceNotFound, fileerror.InvalidRange):
		return backup.Verification{}, nil // it was changed since it was listed
	case isGone(err):
		return backup.Verification{}, noArtifact(a, "ArtifactMissing", "was deleted while it was read")
	case err == nil || v.Hashing.State != nil: // progress, although perhaps an error came after it
		return v, nil
	}
	if fault, ok := errors.AsType[*backup.Fault](err); ok {
		return backup.Verification{}, fault
	}
	return backup.Verification{}, files.fault(reading(a.Storage, a.Artifact), err)
}

// step is one call of Hash.
type step struct {
	*once
	progress
	attempt  backup.Attempt
	instance instance
	content  content
	source   ccf.Source
	most     int64
	last     backup.Verification // zero before the first save
}

func (p *Provider) step(f *files, a backup.Attempt, i instance, c content, at progress) *step {
	s := &step{progress: at, attempt: a, instance: i, content: c, most: p.HashPart}
	s.once, s.source = ordered(c, at.saved, at.ByName, func(ctx context.Context, file azure.File, offset, count int64) ([]byte, error) {
		return f.part(ctx, a.Artifact, file, offset, count)
	})
	return s
}

// run goes on until all is done, or the step has read enough.
func (s *step) run(ctx context.Context) (backup.Verification, error) {
	soft, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	over := func() bool { return s.fetched >= s.most || soft.Err() != nil }
	var report ccf.Report
	if s.attempt.SHA256 == "" {
		verified, ended, err := s.verify(ctx, over)
		if err != nil || !ended {
			return s.last, err
		}
		report = verified
	}
	for mark := s.fetched; ; {
		more, err := s.hashNext(ctx)
		switch {
		case err != nil:
			return s.last, err
		case !more:
			return s.ended(report)
		case over() || s.fetched-mark >= saveBytes:
			if err := s.save(); err != nil || over() {
				return s.last, err
			}
			mark = s.fetched
		}
	}
}

// save keeps the progress so far.
func (s *step) save() (err error) {
	if s.saved, err = s.sums.save(); err != nil {
		return err
	}
	state, err := json.Marshal(s.progress)
	s.last = backup.Verification{Size: s.content.Size, Modified: s.content.Newest, Hashing: backup.Hashing{
		ETag: s.content.fingerprint(), Offset: s.sums.read(), State: state,
	}}
	return err
}

// ended returns the verification of a share that was read to its end.
func (s *step) ended(report ccf.Report) (backup.Verification, error) {
	sum, files, each := s.sums.all()
	if s.attempt.SHA256 != "" && sum != s.attempt.SHA256 && s.sums.long && !s.ByName {
		s.progress, s.sums = progress{ByName: true}, openSums(s.content.Files, saved{})
		return s.last, s.save()
	}
	v := backup.Verification{
		Done: true, Size: s.content.Size, Modified: s.content.Newest, SHA256: sum, Note: s.instance.note(s.content),
		Hashing: backup.Hashing{ETag: s.content.fingerprint(), Offset: s.sums.read()}, Files: azure.Hashed(files, each, ""),
	}
	if s.attempt.SHA256 == "" {
		v.Facts, v.Doubt = facts(report), s.doubt(report)
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

// part reads count bytes of the file from the offset on.
func (f *files) part(ctx context.Context, share string, of azure.File, offset, count int64) ([]byte, error) {
	ctx = policy.WithHTTPHeader(ctx, http.Header{"Accept-Encoding": {"identity"}}) // hashed as it is stored
	answer, err := f.client.NewShareClient(share).NewRootDirectoryClient().NewFileClient(of.Name).DownloadStream(ctx,
		&azfile.DownloadStreamOptions{Range: azfile.HTTPRange{Offset: offset, Count: count}})
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	if etag := string(azure.Deref(answer.ETag)); of.ETag != "" && etag != of.ETag {
		return nil, errChanged
	}
	content := make([]byte, count)
	if n, err := io.ReadFull(answer.Body, content); err != nil {
		return nil, fmt.Errorf("%d bytes came instead of %d: %w", n, count, err)
	}
	return content, nil
}
