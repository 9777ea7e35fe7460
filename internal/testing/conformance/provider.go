package conformance

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"lifeboat/internal/backup"
)

// ProviderFault is a fault that happens once, at the next opportunity.
type ProviderFault string

const (
	// LookThrottled: the service puts off the next check of a preflight by ThrottledFor.
	LookThrottled ProviderFault = "look throttled"
	// LookRefused: the next check of a preflight finds a reason why every backup fails.
	LookRefused ProviderFault = "look refused"
	// StartBusy: the service rejects the next start, because it is busy.
	StartBusy ProviderFault = "start busy"
	// StartRefused: the service refuses the next start for good.
	StartRefused ProviderFault = "start refused"
	// StartLost: the service accepts the next start, and the response is lost.
	StartLost ProviderFault = "start lost"
	// PollThrottled: the service puts off the next poll by ThrottledFor.
	PollThrottled ProviderFault = "poll throttled"
	// PollDenied: the next poll gets 403.
	PollDenied ProviderFault = "poll denied"
	// OperationFails: the service accepts the next start, and the operation fails.
	OperationFails ProviderFault = "operation fails"
	// OperationPasses: the same, for a reason that may pass. [TestPassing] alone injects it.
	OperationPasses ProviderFault = "operation passes"
	// ArtifactEmpty: the next start leads to success with an artifact of no bytes.
	ArtifactEmpty ProviderFault = "artifact empty"
	// ArtifactMissing: the next start leads to success without any artifact.
	ArtifactMissing ProviderFault = "artifact missing"
)

// ThrottledFor is the Retry-After that goes with LookThrottled and PollThrottled.
const ThrottledFor = 17 * time.Second

// ProviderHarness is an environment for a Provider: a service with its storage, where backups take well under a second.
type ProviderHarness struct {
	// Target is the service to back up, and Storage receives the backups.
	Target  string
	Storage backup.Storage
	// Blocks are the parts of a plan that hold for one service each; see [backup.Attempt].
	Blocks backup.Blocks
	// Provider returns a provider like a new process would: it shares nothing with the others except Azure's side.
	Provider func() backup.Provider
	// Inject makes the fault happen.
	Inject func(*testing.T, ProviderFault)
	// Starts returns the number of requests to start a backup that have reached the service.
	Starts func() int
	// Changes returns the number of requests, other than reads, that have reached the service and its storage.
	Changes func() int
	// Digest returns the SHA-256 in hex of an artifact as it is stored, or of the list of its files: a line "<hash>  <name>"
	// each.
	Digest func(t *testing.T, artifact string) string
	// Touch changes the metadata of an artifact, or of a file of it, and not its content.
	Touch func(t *testing.T, artifact string)
	// Stamped: the service names its artifacts itself, by the start time of their backups. Backups that start within seconds of
	// each other cannot be told apart then, and extra artifacts stay.
	Stamped bool
}

// providerTimeout is the time limit for a backup of the harness.
const providerTimeout = 30 * time.Second

// TestProvider checks that a Provider keeps the contract of [backup.Provider]. The subtests run one after the other and
// leave nothing running.
func TestProvider(t *testing.T, h ProviderHarness) {
	t.Run("preflight", h.testPreflight)
	for range 2 { // an existing container is no error
		a := h.attempt(newRun(), 1)
		a.Artifact, a.NotBefore = "", time.Time{}
		if err := h.prepare(t, a); err != nil {
			t.Fatalf("prepare: %v", err)
		}
	}
	t.Run("a backup from start to end", h.testBackup)
	t.Run("a busy service", h.testBusy)
	t.Run("a refused start", h.testRefused)
	t.Run("a start that came too late", h.testTooLate)
	t.Run("a lost start", h.testLost)
	t.Run("a failed operation", h.testFails)
	t.Run("polls without an answer", h.testPolls)
	t.Run("a token of nothing", h.testToken)
	t.Run("artifacts that are none", h.testVerify)
	t.Run("extras", h.testExtras)
	t.Run("a touched artifact", h.testTouched)
}

// attempt returns try n of a run, named as the engine names it.
func (h ProviderHarness) attempt(run string, n int) backup.Attempt {
	return backup.Attempt{
		Target: h.Target, Storage: h.Storage, Blocks: h.Blocks, Run: run, Artifact: fmt.Sprintf("%s.%d", run, n),
		NotBefore: time.Now(), QuietPeriod: time.Second,
	}
}

// newRun returns the ID of a new run.
func newRun() string {
	random := make([]byte, 14)
	rand.Read(random) // never fails
	name := hex.EncodeToString(random)
	return name[:16] + "-8234567890-" + name[16:]
}

// preflight runs the preflight of a run without attempts.
func (h ProviderHarness) preflight(t *testing.T) error {
	t.Helper()
	a := h.attempt(newRun(), 1)
	a.Artifact, a.NotBefore = "", time.Time{}
	return h.Provider().Preflight(t.Context(), a)
}

func (h ProviderHarness) testPreflight(t *testing.T) {
	changes := h.Changes()
	if err := h.preflight(t); err != nil {
		t.Errorf("at first: %v", err)
	}
	h.Inject(t, LookThrottled)
	err := h.preflight(t)
	wantFault(t, err, backup.Throttled)
	if f := backup.AsFault(err); f.RetryAfter != ThrottledFor {
		t.Errorf("Retry-After %s, want %s", f.RetryAfter, ThrottledFor)
	}
	h.Inject(t, LookRefused)
	wantFault(t, h.preflight(t), backup.Refused)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	wantFault(t, h.Provider().Preflight(ended, h.attempt(newRun(), 1)), backup.Retryable)
	if err := h.preflight(t); err != nil {
		t.Errorf("after all that: %v", err)
	}
	if n := h.Changes() - changes; n != 0 {
		t.Errorf("looking sent %d requests that change something", n)
	}
	a := h.attempt(newRun(), 1)
	if err := h.prepare(t, a); err != nil || h.Changes() == changes {
		t.Errorf("prepare: %v, with %d requests that change something", err, h.Changes()-changes)
	}
	_, err = h.Provider().Prepare(ended, a, "")
	wantFault(t, err, backup.Retryable)
}

// prepare calls Prepare until the service has checked the target, each time as another process.
func (h ProviderHarness) prepare(t *testing.T, a backup.Attempt) error {
	t.Helper()
	var token string
	for deadline := time.Now().Add(providerTimeout); ; time.Sleep(20 * time.Millisecond) {
		operation, err := h.Provider().Prepare(t.Context(), a, token)
		if err != nil || operation.Done {
			return err
		}
		if token = operation.Token; token == "" || time.Now().After(deadline) {
			t.Fatalf("the preparation does not end: %+v", operation)
		}
	}
}

func (h ProviderHarness) testBackup(t *testing.T) {
	a, starts := h.attempt(newRun(), 1), h.Starts()
	h.wantFound(t, a, "")
	a = h.finish(t, a, h.begin(t, a))
	v := h.verify(t, a)
	if want := h.Digest(t, a.Artifact); v.SHA256 != want {
		t.Errorf("hash %s, want %s", v.SHA256, want)
	}
	if v.Size <= 0 || v.Hashing.ETag == "" || v.Modified.Before(a.NotBefore.Add(-time.Minute)) {
		t.Errorf("verification %+v lacks a size, an ETag or a date within the run", v)
	}
	h.wantFound(t, a, a.Artifact)
	h.deleteAll(t, a, v.Hashing.ETag)
	if n := h.Starts() - starts; n != 1 {
		t.Errorf("%d starts reached the service, want 1", n)
	}
}

func (h ProviderHarness) testBusy(t *testing.T) {
	a, starts := h.attempt(newRun(), 1), h.Starts()
	h.Inject(t, StartBusy)
	_, err := h.Provider().Begin(t.Context(), a)
	wantFault(t, err, backup.Retryable)
	if n := h.Starts() - starts; n != 1 {
		t.Errorf("%d starts reached the service, want 1: nothing is sent again by itself", n)
	}
	a = h.finish(t, a, h.begin(t, a))
	h.deleteAll(t, a, "")
}

func (h ProviderHarness) testRefused(t *testing.T) {
	a := h.attempt(newRun(), 1)
	h.Inject(t, StartRefused)
	_, err := h.Provider().Begin(t.Context(), a)
	wantFault(t, err, backup.Refused)
	h.wantFound(t, a, "")
}

func (h ProviderHarness) testTooLate(t *testing.T) {
	a, starts := h.attempt(newRun(), 1), h.Starts()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := h.Provider().Begin(ctx, a)
	wantFault(t, err, backup.Retryable)
	if n := h.Starts() - starts; n != 0 {
		t.Errorf("%d starts reached the service, want none after the time was over", n)
	}
}

func (h ProviderHarness) testLost(t *testing.T) {
	a, starts := h.attempt(newRun(), 1), h.Starts()
	h.Inject(t, StartLost)
	_, err := h.Provider().Begin(t.Context(), a)
	wantFault(t, err, backup.Ambiguous)
	if n := h.Starts() - starts; n != 1 {
		t.Errorf("%d starts reached the service, want 1: whether it was received is not known", n)
	}
	looking := a
	looking.Artifact, looking.Lost = "", []backup.Window{{From: a.NotBefore, To: time.Now()}}
	for deadline := time.Now().Add(providerTimeout); ; pause(t, deadline) {
		found, err := h.Provider().Find(t.Context(), looking)
		if err != nil {
			wantFault(t, err, backup.Retryable) // the service is still working on it
		}
		if found != "" {
			a.Artifact = found
			break
		}
	}
	if got, want := h.verify(t, a).SHA256, h.Digest(t, a.Artifact); got != want {
		t.Errorf("hash %s of what was found, want %s", got, want)
	}
	h.deleteAll(t, a, "")
}

func (h ProviderHarness) testFails(t *testing.T) {
	a := h.attempt(newRun(), 1)
	h.Inject(t, OperationFails)
	operation, err := h.begin(t, a), error(nil)
	for deadline := time.Now().Add(providerTimeout); err == nil; pause(t, deadline) {
		if operation.Done {
			t.Fatal("the operation failed, and counts as done")
		}
		operation, err = h.Provider().Poll(t.Context(), a, operation.Token)
	}
	wantFault(t, err, backup.Refused)
	h.wantFound(t, a, "")
}

// stampsApart is a time after which two artifacts of a service that stamps them can be told apart. The engine waits for minutes.
const stampsApart = 7 * time.Second

// TestPassing checks a Provider whose service tells reasons that may pass from others. After a failed operation a further attempt under
// another name succeeds, also if the answer to its start is lost: the artifact of the failed one is not taken for it.
func TestPassing(t *testing.T, h ProviderHarness) {
	for _, lost := range []bool{false, true} {
		run := newRun()
		a := h.attempt(run, 1)
		a.Artifact = ""
		if err := h.prepare(t, a); err != nil {
			t.Fatalf("prepare: %v", err)
		}
		a = h.attempt(run, 1)
		h.Inject(t, OperationPasses)
		operation, err := h.begin(t, a), error(nil)
		for deadline := time.Now().Add(providerTimeout); err == nil; pause(t, deadline) {
			if operation.Done {
				t.Fatal("the operation failed, and counts as done")
			}
			operation, err = h.Provider().Poll(t.Context(), a, operation.Token)
		}
		wantFault(t, err, backup.Passing)
		for apart := time.Now().Add(stampsApart); h.Stamped && lost && time.Now().Before(apart); {
			pause(t, apart.Add(providerTimeout))
		}
		before := time.Now()
		b := h.attempt(run, 2)
		b.NotBefore, b.Torn = a.NotBefore, []string{a.Artifact}
		if lost {
			h.Inject(t, StartLost)
			_, err := h.Provider().Begin(t.Context(), b)
			wantFault(t, err, backup.Ambiguous)
			b.Artifact, b.Lost = "", []backup.Window{{From: before, To: time.Now()}}
			for deadline := time.Now().Add(providerTimeout); b.Artifact == ""; pause(t, deadline) {
				found, err := h.Provider().Find(t.Context(), b)
				if err != nil {
					wantFault(t, err, backup.Retryable)
				}
				b.Artifact = found
			}
		} else {
			operation := h.begin(t, b)
			for deadline := time.Now().Add(providerTimeout); !operation.Done; pause(t, deadline) {
				if operation, err = h.Provider().Poll(t.Context(), b, operation.Token); err != nil {
					t.Fatalf("poll the further attempt: %v", err)
				}
			}
			b.Artifact = cmp.Or(operation.Artifact, b.Artifact)
		}
		if got, want := h.verify(t, b).SHA256, h.Digest(t, b.Artifact); got != want || b.Artifact == a.Artifact {
			t.Errorf("the further attempt left %s with the hash %s, want %s", b.Artifact, got, want)
		}
		h.deleteAll(t, b, "")
	}
}

func (h ProviderHarness) testPolls(t *testing.T) {
	a := h.attempt(newRun(), 1)
	operation := h.begin(t, a)
	h.Inject(t, PollThrottled)
	_, err := h.Provider().Poll(t.Context(), a, operation.Token)
	wantFault(t, err, backup.Throttled)
	if f := backup.AsFault(err); f.RetryAfter != ThrottledFor {
		t.Errorf("Retry-After %s, want %s", f.RetryAfter, ThrottledFor)
	}
	h.Inject(t, PollDenied)
	_, err = h.Provider().Poll(t.Context(), a, operation.Token)
	wantFault(t, err, backup.Unobservable)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = h.Provider().Poll(ended, a, operation.Token)
	wantFault(t, err, backup.Retryable)

	a = h.finish(t, a, operation) // the same token still leads there
	h.deleteAll(t, a, "")
}

func (h ProviderHarness) testToken(t *testing.T) {
	a, starts := h.attempt(newRun(), 1), h.Starts()
	for _, token := range []string{"", "{}", "not a token"} {
		_, err := h.Provider().Poll(t.Context(), a, token)
		wantFault(t, err, backup.Unobservable)
	}
	if n := h.Starts() - starts; n != 0 {
		t.Errorf("polling sent %d starts", n)
	}
}

func (h ProviderHarness) testVerify(t *testing.T) {
	never := h.attempt(newRun(), 1)
	_, err := h.Provider().Hash(t.Context(), never, backup.Hashing{})
	wantFault(t, err, backup.Refused)

	for _, fault := range []ProviderFault{ArtifactEmpty, ArtifactMissing} {
		a := h.attempt(newRun(), 1)
		h.Inject(t, fault)
		a = h.finish(t, a, h.begin(t, a))
		_, err := h.Provider().Hash(t.Context(), a, backup.Hashing{})
		wantFault(t, err, backup.Refused)
		h.wantFound(t, a, "")
		h.deleteAll(t, a, "")
	}

	old := h.attempt(newRun(), 1)
	old = h.finish(t, old, h.begin(t, old))
	later := old
	later.NotBefore = time.Now().Add(time.Hour)
	_, err = h.Provider().Hash(t.Context(), later, backup.Hashing{})
	wantFault(t, err, backup.Refused)
	h.wantFound(t, later, "")
	h.deleteAll(t, old, "")
}

func (h ProviderHarness) testExtras(t *testing.T) {
	run := newRun()
	first, second := h.attempt(run, 1), h.attempt(run, 2)
	other := h.attempt(run[:len(run)-1]+"x", 1) // another run with an almost equal beginning of its name
	for _, a := range []*backup.Attempt{&first, &second, &other} {
		*a = h.finish(t, *a, h.begin(t, *a))
	}
	kept := h.verify(t, first)
	for range 2 { // the second time nothing is left to delete
		if err := h.Provider().Delete(t.Context(), first, "", true); err != nil {
			t.Fatalf("delete the extras: %v", err)
		}
	}
	if h.Stamped {
		h.verify(t, second)
		h.delete(t, second, "")
	} else {
		h.wantFound(t, first, first.Artifact)
	}
	if again := h.verify(t, first); again.SHA256 != kept.SHA256 {
		t.Errorf("hash %s after the extras were deleted, was %s", again.SHA256, kept.SHA256)
	}

	if h.Stamped {
		h.delete(t, first, kept.Hashing.ETag)
	} else {
		h.finish(t, second, h.begin(t, second)) // an artifact that arrived late
		h.deleteAll(t, first, kept.Hashing.ETag)
	}
	h.verify(t, other)
	h.deleteAll(t, other, "")
}

// testTouched checks that an artifact is deleted only under the ETag that it has now, and that its hash is still the same.
func (h ProviderHarness) testTouched(t *testing.T) {
	a := h.attempt(newRun(), 1)
	a = h.finish(t, a, h.begin(t, a))
	v := h.verify(t, a)
	h.Touch(t, a.Artifact)
	for _, etag := range []string{`"0x8D00000000000000"`, v.Hashing.ETag} {
		wantFault(t, h.Provider().Delete(t.Context(), a, etag, false), backup.Touched)
	}
	a.Files, a.NotBefore = v.Files, time.Time{} // as a recovery point is read again
	again := h.verify(t, a)
	if again.SHA256 != v.SHA256 || again.Size != v.Size || again.Hashing.ETag == v.Hashing.ETag {
		t.Fatalf("touched it is %+v, and before it was %+v", again, v)
	}
	h.delete(t, a, again.Hashing.ETag)
	_, err := h.Provider().Hash(t.Context(), a, backup.Hashing{})
	wantFault(t, err, backup.Refused)
	a.Files, a.NotBefore = nil, time.Now()
	h.deleteAll(t, a, "")
}

// begin starts a backup. The service accepts it.
func (h ProviderHarness) begin(t *testing.T, a backup.Attempt) backup.Operation {
	t.Helper()
	operation, err := h.Provider().Begin(t.Context(), a)
	if err != nil {
		t.Fatalf("begin: %v", err)
	}
	if (operation.Token == "") != operation.Done {
		t.Fatalf("begin: %+v, want either a token or done", operation)
	}
	return operation
}

// finish polls until the service says that it is done, each time as another process. It returns the attempt with the name of
// its artifact.
func (h ProviderHarness) finish(t *testing.T, a backup.Attempt, operation backup.Operation) backup.Attempt {
	t.Helper()
	for deadline := time.Now().Add(providerTimeout); !operation.Done; {
		var err error
		if operation, err = h.Provider().Poll(t.Context(), a, operation.Token); err != nil {
			t.Fatalf("poll: %v", err)
		}
		if !operation.Done {
			pause(t, deadline)
		}
	}
	if (operation.Artifact != "") != h.Stamped {
		t.Fatalf("the service named the artifact %q", operation.Artifact)
	}
	a.Artifact = cmp.Or(operation.Artifact, a.Artifact)
	return a
}

// verify hashes a good artifact and has the service check it, each part as another process.
func (h ProviderHarness) verify(t *testing.T, a backup.Attempt) (v backup.Verification) {
	t.Helper()
	token := ""
	for deadline := time.Now().Add(providerTimeout); ; pause(t, deadline) {
		next, err := h.Provider().Hash(t.Context(), a, v.Hashing)
		if err != nil {
			t.Fatalf("hash %s: %v", a.Artifact, err)
		}
		if next.Hashing.ETag != v.Hashing.ETag {
			token = "" // it is about another content
		}
		if v = next; !v.Done {
			continue
		}
		proof, err := h.Provider().Prove(t.Context(), a, token)
		switch f := backup.AsFault(err); {
		case f == nil && proof.Done:
			return v
		case f == nil:
			token = proof.Token
		case f.Kind != backup.Retryable && f.Kind != backup.Throttled:
			t.Fatalf("prove %s: %v", a.Artifact, err)
		}
	}
}

// delete deletes the artifact of the run, twice: deleting it again is no error.
func (h ProviderHarness) delete(t *testing.T, a backup.Attempt, etag string) {
	t.Helper()
	for range 2 {
		if err := h.Provider().Delete(t.Context(), a, etag, false); err != nil {
			t.Fatalf("delete %s: %v", a.Artifact, err)
		}
	}
}

// deleteAll deletes all artifacts of the run, and checks that none can be found.
func (h ProviderHarness) deleteAll(t *testing.T, a backup.Attempt, etag string) {
	t.Helper()
	h.delete(t, a, etag)
	h.wantFound(t, a, "")
}

// wantFound searches for the artifact of a start between a.NotBefore and now, until no artifact is being written any more.
func (h ProviderHarness) wantFound(t *testing.T, a backup.Attempt, want string) {
	t.Helper()
	a.Artifact, a.Lost = "", []backup.Window{{From: a.NotBefore, To: time.Now()}}
	found, err := h.Provider().Find(t.Context(), a)
	for deadline := time.Now().Add(providerTimeout); h.Stamped && err != nil; pause(t, deadline) {
		wantFault(t, err, backup.Retryable)
		found, err = h.Provider().Find(t.Context(), a)
	}
	if err != nil || found != want {
		t.Errorf("found %q (%v), want %q", found, err, want)
	}
}

// wantFault checks that the fault has the kind, and a hint for a person.
func wantFault(t *testing.T, err error, kind backup.FaultKind) {
	t.Helper()
	f := backup.AsFault(err)
	if f == nil {
		t.Fatalf("no error, want one that is %s", kind)
	}
	if f.Kind != kind || f.Code == "" || f.Message == "" || f.Hint == "" {
		t.Fatalf("fault %+v, want one that is %s, with a code, a message and a hint", *f, kind)
	}
}

// pause waits a moment between two checks, until the deadline.
func pause(t *testing.T, deadline time.Time) {
	t.Helper()
	if time.Now().After(deadline) {
		t.Fatalf("the backup is not done after %s", providerTimeout)
	}
	<-time.After(20 * time.Millisecond)
}
