package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Provider is the adapter for one Azure service. None of its methods waits for Azure to finish something, and none repeats a
// request that starts something. Every error that a caller should tell from others is a *Fault; any other error counts as one of
// the kind Ambiguous.
type Provider interface {
	// Preflight checks whether the service can be backed up as the attempt says, before anything is started; a.Artifact is
	// empty. It changes nothing. Refused: a definite no, which only a person can change. Retryable, Throttled: it could not
	// check, or not now. If the identity may not check something, Begin finds it out.
	Preflight(ctx context.Context, a Attempt) error
	// Prepare makes the things that Begin needs and that are not there yet, such as the container. If the service can check
	// whether the backup can be made, Prepare has it do so. Unless it is Done it is called again with its token, after
	// RetryAfter; the token is "" at first, and after an error. It comes after Preflight, and its errors mean the same.
	Prepare(ctx context.Context, a Attempt, token string) (Operation, error)
	// Begin sends the one request that starts the backup, after Prepare has made what it needs. Retryable, Throttled: it was
	// certainly not started, try again later. Refused: it never will be. Passing: it was started, and has failed already. Ambiguous:
	// it may have been started.
	Begin(ctx context.Context, a Attempt) (Operation, error)
	// Poll asks once for the state of the operation behind the token. Retryable, Throttled: no answer now, ask again. Refused: the
	// operation failed. CredentialExpired, Passing: it did, and a further attempt may do better. Unobservable: the service no longer
	// shows it.
	Poll(ctx context.Context, a Attempt, token string) (Operation, error)
	// Find looks for the artifacts of any attempt of the run, without changing anything. It returns the name of the newest
	// artifact, or "" if the service is settled and there is nothing of the run. An error means that it could not look, or that
	// the service is still at work on something, perhaps on the run's artifact. Refused: it can never be known which of several
	// artifacts is the run's.
	Find(ctx context.Context, a Attempt) (string, error)
	// Hash reads the artifact and hashes a part of it: at most 1 GiB a call, or as much as it can read in the time that the
	// context leaves. It makes the service write nothing. If Prove takes several calls, Hash reads nothing twice meanwhile, but
	// sees whether the artifact is still the one that was hashed. Refused: it is missing, empty, damaged, or was not written by this run.
	Hash(ctx context.Context, a Attempt, done Hashing) (Verification, error)
	// Prove has the service itself check whether it could restore the artifact that was hashed, if the service offers that. Unless
	// it is Done it is called again with its token, after RetryAfter; the token is "" at first, and after an error the one
	// before. The Warning says what could not be checked, and why. Refused: the service could not restore it.
	Prove(ctx context.Context, a Attempt, token string) (Operation, error)
	// Delete removes the artifacts of the run: all of them, or all but a.Artifact if extras is true. A file that is gone
	// already is no error. Kept: storage protects it, and all of a.Artifact is still there. Touched: it has another ETag, and this
	// call deleted nothing. Retryable, Throttled, Unobservable: this call deleted nothing of a.Artifact. Refused: the rest cannot
	// be deleted, and a part is; Until says until when storage keeps that rest. Ambiguous: a part may be deleted, or all.
	Delete(ctx context.Context, a Attempt, etag string, extras bool) error
}

// Attempt is one try at starting the service's operation within a run.
type Attempt struct {
	// Target is the resource ID of the service.
	Target string
	// Storage is the container that the artifact is written to.
	Storage Storage
	// Blocks are the parts of the plan that hold for one service each: a provider reads its own.
	Blocks Blocks
	// Run is the run's ID, the beginning of the names of all its artifacts.
	Run string
	// Artifact is the name of this attempt's artifact, or of the one found.
	Artifact string
	// NotBefore is the time of the run's first intent. An older artifact belongs to another run.
	NotBefore time.Time
	// Lost lists when the run may have sent its lost requests. Find looks for their artifacts. For an operation that the service
	// no longer shows, it is the window of its one request.
	Lost []Window
	// QuietPeriod is the time for which an artifact must have been unchanged before Find takes it for complete, if nothing else
	// tells.
	QuietPeriod time.Duration
	// Taken are the names of artifacts that belong to other runs of the target: Find leaves them out.
	Taken []string
	// Torn are the names that were asked for by attempts that the service has failed. An artifact with such a name is no backup: Find
	// leaves it out.
	Torn []string
	// Files are the files that a recovery point was verified with. Any other file in its folder is a person's: a provider neither
	// reads nor deletes it. Nil if they are not known, or the artifact is one file.
	Files []File
	// Ran is the time in which the operation was under way that made the artifact; zero if it is not known. Only ReadChange gets it.
	Ran Window
	// SHA256 is the hash that the artifact was verified with: Hash only reads it again. "" if it was not verified yet.
	SHA256 string
	// Earlier are the facts of the newest recovery point of the target that counts as verified, and EarlierID is its ID. Only Hash gets
	// them, for a service whose backups contain the ones before; nil if there is none with facts.
	Earlier   []Fact
	EarlierID string
	// MayDelete returns an error if Poll must not delete the rest of a failed operation now; nil: it may.
	MayDelete func(context.Context) error
}

// Earliest returns the time before which the run sent no request: the time of its first lost request, or NotBefore.
func (a Attempt) Earliest() time.Time {
	first := a.NotBefore
	for _, w := range a.Lost {
		if w.From.Before(first) {
			first = w.From
		}
	}
	return first
}

// TakenBy returns the artifacts that belong to others of these recovery points and runs.
func (a Attempt) TakenBy(points []Point, runs []Run) (taken []string) {
	for _, p := range points {
		if p.ID != a.Run {
			taken = append(taken, p.Artifact)
		}
	}
	for _, r := range runs {
		// If a service names its artifacts itself, it does not use the requested name.
		if r.ID != a.Run && r.Artifact != "" && !strings.HasPrefix(r.Artifact, r.ID+".") {
			taken = append(taken, r.Artifact)
		}
	}
	return taken
}

// Window is a stretch of time, both ends included.
type Window struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// Storage is the container to which a plan's backups are written.
type Storage struct {
	// Account is the resource ID of the storage account. In a stored row it is a hint: a move to another group or subscription changes
	// the ID. The name at its end and Zone make the names of the account's hosts, and identify the account.
	Account string `json:"account"`
	// Container is the name of the blob container. In a plan it may have [TargetName]: For gives the name for one target.
	Container string `json:"container"`
	// Zone is the DNS zone in the names of the account's hosts, such as "z12"; "" for an account with names of the usual kind.
	Zone string `json:"zone,omitempty"`
	// Vault: the plan calls it a vault. For a time nothing there can be changed or deleted, and never by the app.
	Vault bool `json:"vault,omitempty"`
}

// TargetName stands, in the container of a plan, for the name of the target in lower case.
const TargetName = "{name}"

// For returns the storage for the backups of a service: a target of the plan, or a destination of its restores.
func (s Storage) For(service string) Storage {
	if strings.Contains(s.Container, TargetName) {
		r, _ := ParseResource(service) // plan.yaml was checked
		s.Container = strings.ReplaceAll(s.Container, TargetName, strings.ToLower(r.Name))
	}
	return s
}

// AccountName is the last segment of the account's resource ID.
func (s Storage) AccountName() string {
	r, err := ParseResource(s.Account)
	if err != nil {
		return ""
	}
	return r.Name
}

// account identifies the account: by its name and zone, or by what stands in place of an ID.
func (s Storage) account() string {
	return strings.ToLower(cmp.Or(s.AccountName(), "/"+s.Account)) + "." + s.Zone
}

// SameAccount tells whether both are in one account, wherever it was moved.
func (s Storage) SameAccount(other Storage) bool { return s.account() == other.account() }

// Operation is the progress of an operation of the service.
type Operation struct {
	// Token continues the operation in any process: the SDK poller's resume token. Empty once Done.
	Token string
	// Done: the service says that it succeeded.
	Done bool
	// Artifact is the name of the artifact once Done, if the service names it; else "".
	Artifact string
	// SKU is the tier of the service, once Done, if the service says it and a restore depends on it; else "".
	SKU string
	// ServiceCreated is the time at which the service itself was created, once Done, if it says it; else zero.
	ServiceCreated time.Time
	// Warning says, once Done, what the service left out, in its own words, or does not show, or what a person may have to do now;
	// "" if nothing.
	Warning string
	// Partly says, once Done, that a restore left a part as it was.
	Partly bool
	// Asked says, once Done, that the service itself was asked whether it could restore the artifact, and answered that it could.
	Asked bool
	// RetryAfter is the wait that the service asked for, 0 if it did not say.
	RetryAfter time.Duration
}

// Hashing is the progress of an artifact's hash, kept between invocations.
type Hashing struct {
	// ETag is the ETag of the artifact that was hashed so far; another one starts it afresh.
	ETag string `json:"etag,omitempty"`
	// Offset is the number of bytes hashed.
	Offset int64 `json:"offset,omitempty"`
	// State is the provider's: the marshalled state of the SHA-256, or more. It has at most 22 KiB.
	State []byte `json:"state,omitempty"`
}

// Verification is the result of [Provider.Hash].
type Verification struct {
	// Done: all of it was hashed, and the rest of this is filled in.
	Done bool
	// Hashing is the progress so far.
	Hashing Hashing
	// Size is in bytes.
	Size int64
	// SHA256 is the hash of the content, in lower-case hex.
	SHA256 string
	// Modified is the time at which the artifact was written, by the storage's clock.
	Modified time.Time
	// Files are the parts of the artifact if it is more than one blob of its name; SHA256 is then the hash of their list.
	Files []File
	// Note says what could not be checked, and why; "" if everything was.
	Note string
	// Facts are found in the artifact itself.
	Facts []Fact
	// Doubt says why the artifact is a good one, and perhaps not the right one: a person must decide. Its zero value is no doubt.
	Doubt Reason
}

// Fact is a fact that a provider found in an artifact, by a name of the provider's own.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// FactOf returns the value of the fact with the name, "" if there is none.
func FactOf(facts []Fact, name string) string {
	for _, f := range facts {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// File is one file of an artifact.
type File struct {
	// Name is the name within the artifact.
	Name string `json:"name"`
	// Size is in bytes.
	Size int64  `json:"size"`
	ETag string `json:"etag"`
	// SHA256 is the hash of the content, in lower-case hex.
	SHA256 string `json:"sha256"`
}

// FaultKind says what an error of a [Provider] means for the run.
type FaultKind string

const (
	// Retryable: certainly nothing was done; ask again after RetryAfter. The service is busy with something else, or away.
	Retryable FaultKind = "retryable"
	// Throttled: rejected, since the service has too much to do; certainly nothing was done. Ask again after RetryAfter, and ever
	// less often: Azure Resource Manager's 429, and a 503 to a request that cannot have started anything.
	Throttled FaultKind = "throttled"
	// Refused: a final no, with the service's reason.
	Refused FaultKind = "refused"
	// Unobservable: the service no longer shows us the operation that it had accepted (401, 403, 404, 410).
	Unobservable FaultKind = "unobservable"
	// CredentialExpired: the operation failed because its credential was no longer good, such as an expired SAS. If its remains
	// are known, they are removed. A further attempt may be made, once.
	CredentialExpired FaultKind = "credentialExpired"
	// Passing: the backup has ended without success, as the service itself says, for a reason that may pass. A further attempt may be
	// made, a few times.
	Passing FaultKind = "passing"
	// Ambiguous: it may have been done, or not. The answer was lost.
	Ambiguous FaultKind = "ambiguous"
	// Kept: storage does not let the artifact be deleted, and nothing of it is missing: an immutability policy, a legal hold or a
	// lease keeps it, until Fault.Until. Only Delete says so.
	Kept FaultKind = "kept"
	// Touched: the artifact has another ETag than when it was verified, so its metadata was changed, or its content. Only
	// Delete says so.
	Touched FaultKind = "touched"
)

// ServiceFailed is the code of a preflight's fault if the service says that it has failed: a person must mend it.
const ServiceFailed = "ServiceFailed"

// Fault is an error of a Provider, in the service's own words.
type Fault struct {
	Kind FaultKind
	// Gone tells that the service answered, and knows nothing of the thing asked about: 404 or 410, and not for want of a right.
	Gone bool
	// Code is the service's error code, such as AuthorizationFailed, or one of Lifeboat's.
	Code string
	// Message says what failed, for which resource, and why: at its end the words of the service.
	Message string
	// Said has only the words of the service; "" if nothing. Decisions use it and never Message, because Message has names in it.
	Said string
	// Hint says what to do next.
	Hint string
	// RequestID is the x-ms-client-request-id of the request, by which Azure's support finds it; "" if none was sent.
	RequestID string
	// RetryAfter is the wait that the service asked for, 0 if it did not say.
	RetryAfter time.Duration
	// Until is the time at which storage ends the protection if Kept; zero if it does not say.
	Until time.Time
}

func (f *Fault) Error() string { return fmt.Sprintf("%s: %s", f.Code, f.Message) }

// longestRetryAfter is the longest wait that a service can ask for.
const longestRetryAfter = time.Hour

// Wait returns RetryAfter, limited to longestRetryAfter.
func (f *Fault) Wait() time.Duration { return min(f.RetryAfter, longestRetryAfter) }

// AsFault makes a *Fault of any error: an error that is none counts as Ambiguous.
func AsFault(err error) *Fault {
	if err == nil {
		return nil
	}
	if f, ok := errors.AsType[*Fault](err); ok {
		return f
	}
	return &Fault{Kind: Ambiguous, Code: "Unreachable", Message: err.Error()}
}
