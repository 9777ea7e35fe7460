package e2e

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"lifeboat/internal/backup"
	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/figures"
	"lifeboat/internal/testing/stack"
)

// TestCrashAtEveryRequestOfRestores kills the real program with SIGKILL after each of its requests, from the message with the request for
// a restore to the event about its end, and before the request that starts the restore. A kill before any other request is the
// same as one after its predecessor: the program keeps nothing in between. Every restore ends succeeded, or unknown if the
// service does not show the result of the start. At most one start ever reaches the service.
func TestCrashAtEveryRequestOfRestores(t *testing.T) {
	beside(t, func() {
		for name, kind := range map[string]struct {
			fresh func(*app) (target string)
			// plan has more lines of the plan; wound makes a restore possible again.
			plan  string
			wound func(target string) error
			// shows: the service shows whether it was restored, so no restore ends unknown.
			shows bool
			// every is the interval of the requests with a kill. Where there is a safety backup, most of the requests belong to it,
			// and TestCrashAtEveryRequest tests these.
			every int64
		}{
			"API Management": {
				fresh: func(*app) string {
					service := newServices(t, 1)[0]
					tune(t, service, func(k *fakeazure.Options) { k.Shortest = time.Minute })
					return stack.Service(service)
				},
				plan:  "    restore: {into: [itself], safetyBackup: true}\n",
				every: 3,
			},
			"Managed HSM": {
				fresh: func(a *app) string {
					hsm := newHSM(t, a)
					// A restore must come within 30 minutes after the safety backup. Here these are 15 seconds, too few after a kill.
					tuneHSM(t, hsm, func(k *fakeazure.HSMOptions) { k.BackupFirst = fakeazure.BackupUnchecked })
					return hsm
				},
				plan:  "    restore: {into: [itself]}\n",
				every: 3,
			},
			"Managed CCF": {
				fresh: func(a *app) string {
					target := newLedger(t, a, stack.CCF, (*stack.Stack).AddCCF)
					err := world.Sim.TuneLedger(target, func(k *fakeazure.LedgerOptions) {
						k.Backup, k.Restore = fakeazure.Range{Shortest: time.Minute}, fakeazure.Range{Shortest: 2 * time.Minute}
					})
					if err != nil {
						t.Fatal(err)
					}
					return target
				},
				plan: "    ccf: {restoreRegion: westeurope}\n    restore: {into: [itself]}\n",
				wound: func(target string) error {
					if _, err := world.Sim.LedgerState(target); err != nil {
						return nil // a walk before has deleted it
					}
					return world.Sim.DeleteLedger(target)
				},
				shows: true,
			},
		} {
			t.Run(name, func(t *testing.T) {
				points := make(chan kill)
				var done atomic.Bool
				go func() {
					defer close(points)
					points <- kill{atStart, fakeazure.Before}
					points <- kill{atStart, fakeazure.After}
					for n := int64(1); !done.Load(); n += max(1, kind.every) {
						points <- kill{n, fakeazure.After}
					}
				}()
				var tally restoreTally
				var wait sync.WaitGroup
				for range restoreWalkers {
					w := &restoreWalker{walker: newWalker(t), wound: kind.wound}
					intercept(t, w.ObjectID, w.meet)
					w.target = kind.fresh(w.app)
					if err := w.edit(planOf(yearly, "1d", w.target) + kind.plan); err != nil {
						t.Fatal(err)
					}
					w.recoverable(t.Context(), t, w.target)
					w.send, w.box = w.sender(t.Context(), t), w.mailbox(t.Context(), t, "lifeboat-events")
					wait.Go(func() {
						for k := range points {
							if !w.walk(k, &tally) {
								done.Store(true)
							}
						}
					})
				}
				wait.Wait()
				figures.Report(t, "%d restores of it, %d of them killed: %d succeeded, %d unknown", tally.walks.Load(), tally.killed.Load(),
					tally.succeeded.Load(), tally.unknown.Load())
				if tally.killed.Load() < 20 {
					t.Errorf("only %d instants were killed at: the walk does not see the program's requests", tally.killed.Load())
				}
				// The kills before and after the start are certain. The polls before decide how many more of the instants from the
				// intent to the token get a kill, and how often.
				if n := tally.unknown.Load(); kind.shows && n != 0 || !kind.shows && (n < 2 || n > tally.walks.Load()/2) {
					t.Errorf("%d of %d restores ended unknown", n, tally.walks.Load())
				}
			})
		}
	})
}

// restoreWalkers is the number of parallel walkers, each with its own app and target.
const restoreWalkers = 4

// atStart is not the number of a request: it stands for a kill at the request that starts the restore.
const atStart = -1

type restoreTally struct{ walks, killed, succeeded, unknown atomic.Int64 }

// restoreWalker is a walker whose runs are restores of one target.
type restoreWalker struct {
	*walker
	target string
	wound  func(target string) error
	send   func(message string)
	box    *mailbox
}

// meet is called before and after each of the program's requests.
func (w *restoreWalker) meet(e fakeazure.Exchange) fakeazure.Decision {
	k := w.armed.Load()
	if k == nil || k.n != atStart {
		return w.walker.meet(e)
	}
	starts := e.Method != "GET" && strings.HasSuffix(e.Path, "/restore")
	if !starts || e.Phase != k.phase || !w.fired.CompareAndSwap(false, true) {
		return fakeazure.Pass
	}
	w.armed.Store(nil)
	if err := syscall.Kill(w.PID(), syscall.SIGKILL); err != nil {
		w.t.Errorf("kill: %v", err)
	}
	return fakeazure.Drop
}

// walk makes one restore and kills the program once. It returns false if the restore ended before the kill.
func (w *restoreWalker) walk(k kill, tally *restoreTally) bool {
	ctx, cancel := context.WithTimeout(w.t.Context(), 2*time.Minute)
	defer cancel()
	if w.wound != nil {
		if err := w.wound(w.target); err != nil {
			w.t.Error(err)
			return false
		}
	}
	before, request := restoresStarted(w.target), uuid.NewString()
	w.requests.Store(0)
	w.fired.Store(false)
	w.armed.Store(&k)
	w.send(text(map[string]any{"id": request, "target": w.target, "recoveryPoint": "latest"}))
	end := w.box.await(ctx, w.t, request, "succeeded", "unknown", "failed", "refused", "canceled")
	status, err := w.await(ctx, end.Data.Run)
	w.armed.Store(nil)
	tally.walks.Add(1)
	if err != nil {
		w.t.Errorf("killed %s: %v", k, err)
		return false
	}
	if w.fired.Load() {
		tally.killed.Add(1)
	}
	began := restoresStarted(w.target) - before
	switch status.Run.State {
	case backup.Succeeded:
		tally.succeeded.Add(1)
		if began != 1 {
			w.t.Errorf("killed %s: succeeded, and %d restores were started", k, began)
		}
	case backup.Unknown:
		tally.unknown.Add(1)
		if began > 1 {
			w.t.Errorf("killed %s: %d restores were started", k, began)
		}
		if !w.fired.Load() || status.Run.Lost != 1 || !status.Run.Accepted.IsZero() {
			w.t.Errorf("killed %s: unknown, though no answer to a start was lost: %+v", k, status.Run)
		}
	default:
		w.t.Errorf("killed %s: the restore ended %s: %+v", k, status.Run.State, status.Run.Reason)
	}
	lock := backup.Key{Partition: status.Run.ID[:16], Row: "lock"}
	if _, _, err := w.catalog.Get(ctx, lock); !errors.Is(err, backup.ErrNotFound) {
		w.t.Errorf("killed %s: the restore has ended, and its target is still locked: %v", k, err)
	}
	for busy(w.target) { // a restore that ended unknown may still run
		if ctx.Err() != nil {
			w.t.Errorf("killed %s: the service is still at work", k)
			return false
		}
		pause(ctx)
	}
	return w.fired.Load()
}

// restoresStarted counts the restores of the target that the service started.
func restoresStarted(target string) (n int) {
	for _, o := range world.Sim.Operations() {
		if strings.EqualFold(o.Service, target) && o.Kind == fakeazure.ServiceRestore {
			n++
		}
	}
	for _, o := range world.Sim.HSMOperations() {
		if strings.EqualFold(o.HSM, target) && (o.Kind == fakeazure.FullRestore || o.Kind == fakeazure.KeyRestore) {
			n++
		}
	}
	for _, o := range world.Sim.LedgerOperations() {
		if strings.EqualFold(o.Ledger, target) && o.Kind == fakeazure.LedgerRestore {
			n++
		}
	}
	return n
}

// busy tells whether an operation of the service is in progress.
func busy(target string) bool {
	for _, o := range world.Sim.Operations() {
		if strings.EqualFold(o.Service, target) && o.State == fakeazure.InProgress {
			return true
		}
	}
	for _, o := range world.Sim.HSMOperations() {
		if strings.EqualFold(o.HSM, target) && o.State == fakeazure.InProgress {
			return true
		}
	}
	for _, o := range world.Sim.LedgerOperations() {
		if strings.EqualFold(o.Ledger, target) && o.State == fakeazure.InProgress {
			return true
		}
	}
	return false
}
