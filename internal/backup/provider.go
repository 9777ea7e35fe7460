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
	// empty. It changes nothing. Refused: a definite no, which only a person can change. Deferred, Throttled: it could not
	// look, or not now. Begin finds out what the identity may not look at.
	Preflight(ctx context.Context, a Attempt) error
	// Prepare makes what Begin needs, such as the container, where it is not there yet, and has the service itself look
	// whether the backup can be made, where it offers that. Unless it is Done it is called again with its token, after
	// RetryAfter; the token is "" at first, and after an error. It comes after Preflight, and its errors mean the same.
	Prepare(ctx context.Context, a Attempt, token string) (Operation, error)
	// Begin sends the one request that starts the backup, after Prepare has made what it needs. Deferred, Throttled: it was
	// certainly not started, try again later. Refused: it never will be. Uncertain: it may have been started.
	Begin(ctx context.Context, a Attempt) (Operation, error)
	// Poll asks once how the operation behind the token is getting on. Deferred, Throttled: no answer now, ask again. Refused:
	// the operation failed. Lapsed: it did, and a further attempt may do better. Denied: the service no longer tells.
	Poll(ctx context.Context, a Attempt, token string) (Operation, error)
	// Find looks for what any attempt of the run left, without changing anything. It returns the name of the newest
	// artifact, or "" if the service is settled and there is nothing of the run. An error means that it could not look,
	// or that the service is still at work on something, perhaps on what is looked for. Refused: it can never be told
	// which of several artifacts is the run's.
	Find(ctx context.Context, a Attempt) (string, error)
	// Verify reads the artifact and hashes a part of it, at most 1 GiB a call, or what it could read in the time that the
	// context leaves. Refused: it is missing, empty, or was not written by this run.
	Verify(ctx context.Context, a Attempt, done Hashing) (Verification, error)
	// Delete removes the artifacts of the run: all of them, or all but a.Artifact if extras is true. A file that is
	// gone already is no error. Refused: the artifact was changed since it was verified. Kept: storage protects it, and all of
	// a.Artifact is still there; what is protected after a part of it was deleted is Refused.
	Delete(ctx context.Context, a Attempt, etag string, extras bool) error
}

// Attempt is one try at starting the service's operation within a run.
type Attempt struct {
	// Target is the resource ID of the service.
	Target string
	// Storage is where the artifact goes.
	Storage Storage
	// Blocks are the parts of the plan that hold for one service each: a provider reads its own.
	Blocks Blocks
	// Run is the run's ID, the beginning of the names of all its artifacts.
	Run string
	// Artifact is the name of this attempt's artifact, or of the one found.
	Artifact string
	// NotBefore is when the run first meant to start: nothing older is its artifact.
	NotBefore time.Time
	// Lost are the times at which the run's requests were sent that Find is to look for: those whose answers were lost, or
	// the one whose operation the service no longer tells of.
	Lost []Window
	// Settled is how long what Find takes for complete must have been unchanged, where nothing else tells.
	Settled time.Duration
	// Taken are the names of artifacts that belong to other runs of the target: Find leaves them out.
	Taken []string
	// Reread: the artifact was verified before, and a restore wants to know whether it is still there. Verify reads and hashes
	// it, and asks the service nothing: a dry run reads too, and must not make a service write.
	Reread bool
}

// Window is a stretch of time, both ends included.
type Window struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
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
	// Artifact is the name of what the service left, where it is the service that gives it, and Done; else "".
	Artifact string
	// SKU is the tier of the service, once Done, where the service says it and a restore depends on it; else "".
	SKU string
	// Warning says, once Done, what the service left out, in its own words, or does not show; "" if nothing.
	Warning string
	// RetryAfter is the wait that the service asked for, 0 if it did not say.
	RetryAfter time.Duration
}

// Hashing is how far the hash of an artifact has got, kept between invocations.
type Hashing struct {
	// ETag of the artifact that was hashed so far; another one starts it afresh.
	ETag string `json:"etag,omitempty"`
	// Offset is the number of bytes hashed.
	Offset int64 `json:"offset,omitempty"`
	// State is the provider's: the marshalled state of the SHA-256, or more. At most 16 KiB.
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
	// Files are what the artifact consists of, where that is more than one blob of its name; SHA256 is then that of their
	// list.
	Files []File
	// Note says what could not be checked, and why; "" if everything was.
	Note string
	// Awaits: not Done, and the next call can do nothing but ask the service, which is looking itself; otherwise it comes
	// at once.
	Awaits bool
	// RetryAfter is the wait that the service asked for, 0 if it did not say.
	RetryAfter time.Duration
}

// File is one of those that an artifact consists of.
type File struct {
	// Name within the artifact.
	Name string `json:"name"`
	// Size in bytes.
	Size int64  `json:"size"`
	ETag string `json:"etag"`
	// SHA256 of the content, in lower-case hex.
	SHA256 string `json:"sha256"`
}

// FaultKind says what an error of a [Provider] means for the run.
type FaultKind string

const (
	// Deferred: certainly nothing was done; ask again after RetryAfter. A service that is busy with something else, or away.
	Deferred FaultKind = "deferred"
	// Throttled: turned away, since the service has too much to do; certainly nothing was done. Ask again after RetryAfter,
	// and ever less often: Azure Resource Manager's 429, and 503 where nothing can have been started.
	Throttled FaultKind = "throttled"
	// Refused: a final no, with the service's reason.
	Refused FaultKind = "refused"
	// Denied: the service no longer tells us (401, 403, 404, 410 for an operation that it had accepted).
	Denied FaultKind = "denied"
	// Lapsed: the operation failed because what it had been given to act with was no longer good, as a SAS past its time; what
	// it left, where that is known, is removed. A further attempt may be made, once.
	Lapsed FaultKind = "lapsed"
	// Uncertain: it may have been done, or not. The answer was lost.
	Uncertain FaultKind = "uncertain"
	// Kept: storage does not let the artifact be deleted, of which nothing is missing: an immutability policy, a legal hold
	// or a lease keeps it, until Fault.Until. Only Delete says so.
	Kept FaultKind = "kept"
)

// Fault is an error of a Provider, in the service's own words.
type Fault struct {
	Kind FaultKind
	// Code is the service's error code, such as AuthorizationFailed, or one of ours.
	Code string
	// Message says what failed, of which resource, and why: at its end what the service said.
	Message string
	// Said is what the service said, in its words alone; "" if nothing. Decisions look at it and never at Message, which has
	// names in it.
	Said string
	// Hint says what to do next.
	Hint string
	// RequestID is the x-ms-client-request-id of the request, by which Azure's support finds it; "" if none was sent.
	RequestID string
	// RetryAfter is the wait that the service asked for, 0 if it did not say.
	RetryAfter time.Duration
	// Until is when storage lets go of what is Kept; zero where it does not say.
	Until time.Time
}

func (f *Fault) Error() string { return fmt.Sprintf("%s: %s", f.Code, f.Message) }

// longestRetryAfter is the most that we wait on a service's word.
const longestRetryAfter = time.Hour

// Wait is RetryAfter within reason.
func (f *Fault) Wait() time.Duration { return min(f.RetryAfter, longestRetryAfter) }

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
