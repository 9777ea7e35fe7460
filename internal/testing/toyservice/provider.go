package toyservice

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// clockTolerance bounds the difference between the clocks of the catalog and of the shelf.
const clockTolerance = 5 * time.Second

// Provider is the [backup.Provider] of toy boxes, and restores them. It keeps nothing between two calls, so that any process
// can go on where another stopped.
type Provider struct{ azure azure.Client }

var _ interface {
	backup.Provider
	backup.Restorer
} = (*Provider)(nil)

// New makes a Provider that acts with the identity behind cred, which needs the role Toy Box Operator on the boxes and on the
// shelf. The client that azure.New makes of opts sends nothing twice, and to no other host.
func New(cred azcore.TokenCredential, opts azcore.ClientOptions) *Provider {
	return &Provider{azure.New(cred, opts)}
}

// Preflight looks at the box. It changes nothing.
func (p *Provider) Preflight(ctx context.Context, a backup.Attempt) error {
	return p.idle(ctx, a.Target, azure.Before)
}

// Prepare makes the shelf. One that is there already is no error.
func (p *Provider) Prepare(ctx context.Context, a backup.Attempt, _ string) (backup.Operation, error) {
	_, err := p.send(ctx, call{what: "make the shelf", path: shelf(a.Storage), method: http.MethodPut, means: azure.Before})
	return backup.Operation{Done: err == nil}, err
}

// Begin sends the one request that starts a backup.
func (p *Provider) Begin(ctx context.Context, a backup.Attempt) (backup.Operation, error) {
	colour, err := colourOf(a.Blocks)
	if err != nil {
		return backup.Operation{}, err
	}
	return p.start(ctx, a.Target, "back up", "/backup", map[string]string{"file": file(a.Storage, a.Artifact), "colour": colour})
}

// Poll asks once.
func (p *Provider) Poll(ctx context.Context, a backup.Attempt, token string) (backup.Operation, error) {
	return p.follow(ctx, a.Target, "the backup", token)
}

// Find looks on the shelf for the newest file of the run that is one. A file is there once it is complete; as long as the box
// is at work, the file may still come.
func (p *Provider) Find(ctx context.Context, a backup.Attempt) (string, error) {
	if err := p.idle(ctx, a.Target, unclear); err != nil {
		return "", err
	}
	files, err := p.list(ctx, a)
	var newest stored
	for _, f := range files {
		if f.Size > 0 && !tooOld(a, f.Modified) && f.Modified.After(newest.Modified) {
			newest = f
		}
	}
	return newest.Name, err
}

// Hash reads and hashes the whole file: one of toys is small. internal/services/apim reads large ones in parts. Only an answer
// about the file itself is evidence against it: a shelf that is not there may come back.
func (p *Provider) Hash(ctx context.Context, a backup.Attempt, _ backup.Hashing) (backup.Verification, error) {
	c := call{what: "read " + a.Artifact, path: file(a.Storage, a.Artifact), means: unclear}
	came, err := p.send(ctx, c)
	modified, unread := http.ParseTime(came.header.Get("Last-Modified"))
	switch {
	case came.said.Code == noFile:
		return backup.Verification{}, azure.NoArtifact(a, "ArtifactMissing", "does not exist")
	case err != nil:
		return backup.Verification{}, err
	case unread != nil:
		return backup.Verification{}, c.fault(unread)
	case len(came.content) == 0:
		return backup.Verification{}, azure.NoArtifact(a, "ArtifactEmpty", "is empty")
	case tooOld(a, modified):
		return backup.Verification{}, azure.TooOld(a, modified)
	}
	sum := sha256.Sum256(came.content)
	return backup.Verification{
		Done: true, Hashing: backup.Hashing{ETag: came.header.Get("ETag")}, Size: int64(len(came.content)),
		SHA256: hex.EncodeToString(sum[:]), Modified: modified,
	}, nil
}

// Prove is done: the service has no check whether it could restore a file.
func (p *Provider) Prove(context.Context, backup.Attempt, string) (backup.Operation, error) {
	return backup.Operation{Done: true}, nil
}

// Delete removes the verified file if it has the ETag, and then what further attempts of the run left. It deletes nothing that
// has not the name of the run.
func (p *Provider) Delete(ctx context.Context, a backup.Attempt, etag string, extras bool) error {
	if !strings.HasPrefix(a.Artifact, a.Run+".") {
		return &backup.Fault{
			Kind: backup.Kept, Code: "NotAnArtifact", Message: a.Artifact + " is not the name of an artifact of the run " + a.Run,
			Hint: "Nothing was deleted. See the row of the run in the catalog.",
		}
	}
	remove := func(name, etag string) error {
		came, err := p.send(ctx, call{
			what: "delete " + name, path: file(a.Storage, name), method: http.MethodDelete, etag: etag, start: true, means: unlessTouched,
		})
		if came.said.Code == noFile { // gone already
			return nil
		}
		return err
	}
	if !extras {
		if err := remove(a.Artifact, etag); err != nil {
			return err
		}
	}
	files, err := p.list(ctx, a)
	for _, f := range files {
		if f.Name != a.Artifact && err == nil {
			err = remove(f.Name, "")
		}
	}
	if f := backup.AsFault(err); f != nil && !extras && f.Kind != backup.Ambiguous {
		f.Kind = backup.Refused // the verified file is gone
		return f
	}
	return err
}

// PreflightRestore looks at the box that is restored into.
func (p *Provider) PreflightRestore(ctx context.Context, r backup.Restore) error {
	return p.idle(ctx, r.Target, azure.Before)
}

// PrepareRestore sees that the file is there: a box has no look of its own.
func (p *Provider) PrepareRestore(ctx context.Context, r backup.Restore, _ string) (backup.Operation, error) {
	v, err := p.Hash(ctx, r.ProviderAttempt(""), backup.Hashing{})
	return backup.Operation{Done: v.Done}, err
}

// BeginRestore sends the one request that starts a restore.
func (p *Provider) BeginRestore(ctx context.Context, r backup.Restore) (backup.Operation, error) {
	return p.start(ctx, r.Target, "restore", "/restore", map[string]string{"file": file(r.Storage, r.Artifact)})
}

// PollRestore asks once.
func (p *Provider) PollRestore(ctx context.Context, r backup.Restore, token string) (backup.Operation, error) {
	return p.follow(ctx, r.Target, "the restore", token)
}

// idle is nil for a box that is there and at work on nothing.
func (p *Provider) idle(ctx context.Context, target string, means meaning) error {
	came, err := p.send(ctx, call{what: "look at " + target, target: target, means: means})
	if err == nil && came.said.Status != "Idle" {
		return &backup.Fault{Kind: backup.Retryable, Code: "BoxBusy", Message: target + " is at work on something", Hint: hint(409, "", "")}
	}
	return err
}

// start sends a request that must not be sent twice. An answer that names no operation leaves open whether there is one.
func (p *Provider) start(ctx context.Context, target, what, path string, body map[string]string) (backup.Operation, error) {
	c := call{what: what + " " + target, target: target, path: path, method: http.MethodPost, body: body, start: true, means: azure.Before}
	came, err := p.send(ctx, c)
	if err != nil {
		return backup.Operation{}, err
	}
	var said struct{ Operation string }
	if err := came.into(&said); err != nil || !operationID.MatchString(said.Operation) {
		return backup.Operation{}, c.fault(errors.Join(errors.New("the answer names no operation"), err))
	}
	return backup.Operation{Token: said.Operation, RetryAfter: came.wait}, nil
}

// operationID matches a token. A path that is made of one leads to an operation.
var operationID = regexp.MustCompile(`^[0-9]+$`)

// follow asks for the operation. A word that it does not know counts as "not yet": to ask again does no harm.
func (p *Provider) follow(ctx context.Context, target, what, token string) (backup.Operation, error) {
	if !operationID.MatchString(token) {
		return backup.Operation{}, &backup.Fault{
			Kind: backup.Unobservable, Code: "InvalidToken", Message: what + " of " + target + " cannot be followed: its token is none",
			Hint: "Look at the box and at the shelf.",
		}
	}
	came, err := p.send(ctx, call{what: "follow " + what + " of " + target, target: target, path: "/operations/" + token, means: azure.Following})
	if err != nil {
		return backup.Operation{}, err
	}
	switch said := came.said; said.Status {
	case "Succeeded":
		return backup.Operation{Done: true}, nil
	case "Failed":
		return backup.Operation{}, &backup.Fault{
			Kind: backup.Refused, Code: cmp.Or(said.Code, "OperationFailed"), Message: what + " of " + target + " failed: " + said.Message, Said: said.Message,
			Hint: "See what the box says.", RequestID: said.RequestID,
		}
	}
	return backup.Operation{Token: token, RetryAfter: came.wait}, nil
}

// noFile is the code of an answer about a file that is not there.
const noFile = "NoSuchFile"

// stored is a file on the shelf.
type stored struct {
	Name     string
	Size     int64
	Modified time.Time
}

// list are the files of the run. The names of another run's may begin with almost the same ID: the dot tells.
func (p *Provider) list(ctx context.Context, a backup.Attempt) (files []stored, err error) {
	c := call{what: "list the shelf", path: shelf(a.Storage) + "?prefix=" + a.Run + ".", means: unclear}
	came, err := p.send(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := came.into(&files); err != nil {
		return nil, c.fault(err)
	}
	return files, nil
}

func tooOld(a backup.Attempt, written time.Time) bool {
	return written.Before(a.NotBefore.Add(-clockTolerance))
}

func shelf(s backup.Storage) string { return "/shelves/" + s.AccountName() + "/" + s.Container }

func file(s backup.Storage, name string) string { return shelf(s) + "/" + name }
