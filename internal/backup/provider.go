package backup

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Provider is the adapter for one Azure service. None of its methods waits for Azure to finish something, and none
// repeats a request that starts something. Every error that a caller should tell from others is a *Fault; any other
// error counts as one of the kind Uncertain.
type Provider interface {
	// Preflight looks whether the service can be backed up as the attempt says, before anything is started; a.Artifact is
	// empty. It changes nothing but that the container exists afterwards. Refused: a definite no, which only a person can
	// change. Deferred: it could not look, or not now. What the identity may not look at is left for Begin to find out.
	Preflight(ctx context.Context, a Attempt) error
	// Begin sends the one request that starts the backup, into the container that Preflight made. Deferred: it was
	// certainly not started, try again later. Refused: it never will be. Uncertain: it may have been started.
	Begin(ctx context.Context, a Attempt) (Operation, error)
	// Poll asks once how the operation behind the token is getting on. Deferred: no answer now, ask again. Refused:
	// the operation failed. Denied: the service no longer tells.
	Poll(ctx context.Context, a Attempt, token string) (Operation, error)
	// Find looks for what any attempt of the run left, without changing anything. It returns the name of the newest
	// artifact, or "" if the service is settled and there is nothing of the run. An error means that it could not look,
	// or that the service is still at work on something, perhaps on what is looked for.
	Find(ctx context.Context, a Attempt) (string, error)
	// Verify reads the artifact and hashes a part of it, at most 1 GiB a call, or what it could read in the time that the
	// context leaves. Refused: it is missing, empty, or was not written by this run.
	Verify(ctx context.Context, a Attempt, done Hashing) (Verification, error)
	// Delete removes the artifacts of the run: all of them, or all but a.Artifact if extras is true. What is gone
	// already is no error. Refused: the artifact was changed since it was verified, or storage protects it.
	Delete(ctx context.Context, a Attempt, etag string, extras bool) error
}

// Attempt is one try at starting the service's operation within a run.
type Attempt struct {
	// Target is the resource ID of the service.
	Target string
	// Storage is where the artifact goes.
	Storage Storage
	// Identity is whom the service acts as towards the storage account; see [Settings].
	Identity string
	// Run is the run's ID, the beginning of the names of all its artifacts.
	Run string
	// Artifact is the name of this attempt's artifact, or of the one found.
	Artifact string
	// NotBefore is when the run first meant to start: nothing older is its artifact.
	NotBefore time.Time
}

// Storage is the container that a plan's backups are written to.
type Storage struct {
	// Account is the resource ID of the storage account.
	Account string `json:"account"`
	// Container is the name of the blob container.
	Container string `json:"container"`
}

// AccountName is the last segment of the account's resource ID.
func (s Storage) AccountName() string {
	r, err := ParseResource(s.Account)
	if err != nil {
		return ""
	}
	return r.Name
}

// Operation is how far the service has got.
type Operation struct {
	// Token continues the operation in any process: the SDK poller's resume token. Empty once Done.
	Token string
	// Done: the service says that it succeeded.
	Done bool
	// RetryAfter is the wait that the service asked for, 0 if it did not say.
	RetryAfter time.Duration
}

// Hashing is how far the hash of an artifact has got, kept between invocations.
type Hashing struct {
	// ETag of the artifact that was hashed so far; another one starts it afresh.
	ETag string `json:"etag,omitempty"`
	// Offset is the number of bytes hashed.
	Offset int64 `json:"offset,omitempty"`
	// State is the marshalled state of the SHA-256.
	State []byte `json:"state,omitempty"`
}

// Verification is what Verify found.
type Verification struct {
	// Done: all of it was hashed, and the rest of this is filled in.
	Done bool
	// Hashing is how far it has got.
	Hashing Hashing
	// Size in bytes.
	Size int64
	// SHA256 of the content, in lower-case hex.
	SHA256 string
	// Modified is when the artifact was written, by the storage's clock.
	Modified time.Time
}

// FaultKind says what an error of a [Provider] means for the run.
type FaultKind string

const (
	// Deferred: certainly nothing was done; ask again after RetryAfter. A service that is busy, throttled or away.
	Deferred FaultKind = "deferred"
	// Refused: a final no, with the service's reason.
	Refused FaultKind = "refused"
	// Denied: the service no longer tells us (401, 403, 404, 410 for an operation that it had accepted).
	Denied FaultKind = "denied"
	// Uncertain: it may have been done, or not. The answer was lost.
	Uncertain FaultKind = "uncertain"
)

// Fault is an error of a Provider, in the service's own words.
type Fault struct {
	Kind FaultKind
	// Code is the service's error code, such as AuthorizationFailed, or one of ours.
	Code string
	// Message is what the service said.
	Message string
	// Hint says what to do next.
	Hint string
	// RetryAfter is the wait that the service asked for, 0 if it did not say.
	RetryAfter time.Duration
}

func (f *Fault) Error() string { return fmt.Sprintf("%s: %s", f.Code, f.Message) }

// longestRetryAfter is the most that we wait on a service's word.
const longestRetryAfter = time.Hour

// wait is RetryAfter within reason.
func (f *Fault) wait() time.Duration { return min(f.RetryAfter, longestRetryAfter) }

// AsFault makes a *Fault of any error: one that is none counts as Uncertain.
func AsFault(err error) *Fault {
	if err == nil {
		return nil
	}
	if f, ok := errors.AsType[*Fault](err); ok {
		return f
	}
	return &Fault{Kind: Uncertain, Code: "Unreachable", Message: err.Error()}
}
