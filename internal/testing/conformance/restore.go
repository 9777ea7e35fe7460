package conformance

import (
	"context"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
)

// RestoreFault is a fault of a restore that happens once, at the next opportunity.
type RestoreFault string

const (
	// RestoreBusy: the service rejects the next start, because it is busy.
	RestoreBusy RestoreFault = "restore busy"
	// RestoreRefused: the service refuses the next start for good.
	RestoreRefused RestoreFault = "restore refused"
	// RestoreLost: the service accepts the next start, and the response is lost.
	RestoreLost RestoreFault = "restore lost"
	// RestoreFails: the service accepts the next start, and the operation fails.
	RestoreFails RestoreFault = "restore fails"
	// RestoreUntold: the next poll gets 403.
	RestoreUntold RestoreFault = "restore untold"
	// RestoreAway: the next poll gets 503.
	RestoreAway RestoreFault = "restore away"
)

// RestoreHarness is an environment for a Restorer.
type RestoreHarness struct {
	// Restorer returns a restorer like a new process would.
	Restorer func() backup.Restorer
	// Ready returns a restore that succeeds, once. Its content is not in the target yet.
	Ready func(*testing.T) backup.Restore
	// Restored fails the test unless the restored content is there again.
	Restored func(*testing.T, backup.Restore)
	// Warning has words of the warning that a good restore ends with; "" for none.
	Warning string
	// Inject makes the fault happen.
	Inject func(*testing.T, RestoreFault)
	// Starts returns the number of requests to start a restore that have reached the service. Idle waits until the service
	// restores nothing.
	Starts func() int
	Idle   func(*testing.T)
}

// TestRestorer checks that a restorer checks a restore first, starts it once, lets any process follow it by its token, and
// never repeats it.
func TestRestorer(t *testing.T, h RestoreHarness) {
	t.Run("a restore from start to end", func(t *testing.T) {
		r, starts := h.Ready(t), h.Starts()
		if err := h.prepare(t, r); err != nil {
			t.Fatalf("prepare: %v", err)
		}
		if n := h.Starts() - starts; n != 0 {
			t.Errorf("the preparation sent %d starts", n)
		}
		operation := h.begin(t, r)
		for _, fault := range []struct {
			fault RestoreFault
			kind  backup.FaultKind
		}{{RestoreUntold, backup.Unobservable}, {RestoreAway, backup.Throttled}} {
			h.Inject(t, fault.fault)
			_, err := h.Restorer().PollRestore(t.Context(), r, operation.Token)
			wantFault(t, err, fault.kind)
		}
		for deadline := time.Now().Add(providerTimeout); !operation.Done; pause(t, deadline) {
			next, err := h.Restorer().PollRestore(t.Context(), r, operation.Token)
			switch f := backup.AsFault(err); {
			case f == nil:
				operation = next
			case f.Kind != backup.Unobservable && f.Kind != backup.Retryable && f.Kind != backup.Throttled:
				t.Fatalf("poll: %v", err)
			}
		}
		if (operation.Warning == "") != (h.Warning == "") || !strings.Contains(operation.Warning, h.Warning) {
			t.Errorf("warning %q, want %q", operation.Warning, h.Warning)
		}
		h.Restored(t, r)
		if n := h.Starts() - starts; n != 1 {
			t.Errorf("%d starts reached the service, want 1", n)
		}
	})
	t.Run("a start that is no start", func(t *testing.T) {
		r := h.Ready(t)
		for _, fault := range []struct {
			fault RestoreFault
			kind  backup.FaultKind
		}{{RestoreBusy, backup.Retryable}, {RestoreRefused, backup.Refused}} {
			starts := h.Starts()
			h.Inject(t, fault.fault)
			_, err := h.Restorer().BeginRestore(t.Context(), r)
			wantFault(t, err, fault.kind)
			if n := h.Starts() - starts; n != 1 {
				t.Errorf("%s: %d starts reached the service, want 1", fault.fault, n)
			}
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		starts := h.Starts()
		_, err := h.Restorer().BeginRestore(ended, r)
		wantFault(t, err, backup.Retryable)
		if n := h.Starts() - starts; n != 0 {
			t.Errorf("%d starts reached the service after the time was over", n)
		}
	})
	t.Run("a backup that is not there", func(t *testing.T) {
		r := h.Ready(t)
		r.Artifact += "0"
		wantFault(t, h.prepare(t, r), backup.Refused)
	})
	t.Run("a lost start", func(t *testing.T) {
		r, starts := h.Ready(t), h.Starts()
		h.Inject(t, RestoreLost)
		_, err := h.Restorer().BeginRestore(t.Context(), r)
		wantFault(t, err, backup.Ambiguous)
		h.Idle(t)
		if n := h.Starts() - starts; n != 1 {
			t.Errorf("%d starts reached the service, want 1: nothing is sent again by itself", n)
		}
	})
	t.Run("a failed restore", func(t *testing.T) {
		r := h.Ready(t)
		h.Inject(t, RestoreFails)
		operation, err := h.begin(t, r), error(nil)
		for deadline := time.Now().Add(providerTimeout); ; pause(t, deadline) {
			_, err = h.Restorer().PollRestore(t.Context(), r, operation.Token)
			if f := backup.AsFault(err); f != nil && f.Kind == backup.Refused {
				break
			}
		}
		wantFault(t, err, backup.Refused)
	})
	t.Run("a token of nothing", func(t *testing.T) {
		r, starts := h.Ready(t), h.Starts()
		for _, token := range []string{"", "{}", "not a token"} {
			_, err := h.Restorer().PollRestore(t.Context(), r, token)
			wantFault(t, err, backup.Unobservable)
		}
		if n := h.Starts() - starts; n != 0 {
			t.Errorf("polling sent %d starts", n)
		}
	})
}

// prepare prepares a restore to the end, each call as a new process.
func (h RestoreHarness) prepare(t *testing.T, r backup.Restore) error {
	t.Helper()
	operation := backup.Operation{}
	for deadline := time.Now().Add(providerTimeout); ; pause(t, deadline) {
		var err error
		operation, err = h.Restorer().PrepareRestore(t.Context(), r, operation.Token)
		if err != nil || operation.Done {
			return err
		}
	}
}

// begin starts a restore. The service accepts it.
func (h RestoreHarness) begin(t *testing.T, r backup.Restore) backup.Operation {
	t.Helper()
	operation, err := h.Restorer().BeginRestore(t.Context(), r)
	if err != nil || operation.Done || operation.Token == "" {
		t.Fatalf("begin: %+v, %v", operation, err)
	}
	return operation
}
