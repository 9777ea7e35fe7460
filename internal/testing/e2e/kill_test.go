package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"
	"github.com/google/uuid"

	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/figures"
	"lifeboat/internal/testing/stack"
)

// walkers is the number of parallel walkers, each with its own app. A walk waits for most of its time; more of them make
// storage slow.
const walkers = 4

// kill is an instant between two steps of the program: just before its n-th request leaves, or just after the request took
// effect but before its answer arrives.
type kill struct {
	n     int64
	phase fakeazure.Phase
}

func (k kill) String() string {
	return fmt.Sprintf("%s request %d", strings.ToLower(string(k.phase)), k.n)
}

// TestCrashAtEveryRequest kills the real program with SIGKILL at every instant between two of its requests, from the request for a backup
// to the event about its end: before the first one, and after each. A kill before a later request is the same as one after its
// predecessor, since the program keeps nothing in between. The host starts the program again. Every run must succeed, with at
// most one POST an attempt. A further attempt is allowed only if the POST was never sent, or had no visible effect for as long
// as the retry window.
func TestCrashAtEveryRequest(t *testing.T) {
	traced := func(trace fakeazure.Trace) func(*walker) {
		return func(w *walker) {
			w.fresh = func() string {
				service := newServices(t, 1)[0]
				tune(t, service, func(k *fakeazure.Options) { k.Trace = trace })
				return stack.Service(service)
			}
			w.evaluate = w.evaluateService
		}
	}
	ledgers := func(id func(string) string, add func(*stack.Stack, string, string) error) func(*walker) {
		return func(w *walker) {
			w.fresh = func() string { return newLedger(t, w.app, id, add) }
			w.evaluate = w.evaluateLedger
		}
	}
	beside(t, func() {
		for name, kind := range map[string]func(*walker){
			"API Management, the operation shows":          traced(fakeazure.TraceVisible),
			"API Management, no trace of it until its end": traced(fakeazure.TraceHidden),
			"Managed HSM": func(w *walker) {
				w.fresh = func() string { return newHSM(t, w.app) }
				w.evaluate = w.evaluateHSM
			},
			"Managed CCF":         ledgers(stack.CCF, (*stack.Stack).AddCCF),
			"Confidential Ledger": ledgers(stack.Ledger, (*stack.Stack).AddLedger),
		} {
			t.Run(name, func(t *testing.T) {
				points := make(chan kill)
				var done atomic.Bool
				go func() {
					defer close(points)
					points <- kill{1, fakeazure.Before}
					for n := int64(1); !done.Load(); n++ {
						points <- kill{n, fakeazure.After}
					}
				}()
				var tally tally
				var wait sync.WaitGroup
				for range walkers {
					w := newWalker(t)
					kind(w)
					wait.Go(func() {
						for k := range points {
							if !w.walk(k, &tally) {
								done.Store(true)
							}
						}
						w.settled(t.Context())
					})
				}
				wait.Wait()
				figures.Report(t, "%d walks, %d of them killed; %d runs made one POST in all, %d needed a second attempt", tally.walks.Load(),
					tally.killed.Load(), tally.single.Load(), tally.second.Load())
				if tally.killed.Load() < 30 {
					t.Errorf("only %d instants were killed at: the walk does not see the program's requests", tally.killed.Load())
				}
			})
		}
	})
}

// beside runs the cases of a test, one after the other, from the first moment on and beside all other tests. Cases that called
// Parallel themselves would begin only when every other test has begun, and these take longest.
func beside(t *testing.T, cases func()) {
	var wait sync.WaitGroup
	wait.Go(cases)
	t.Parallel()
	wait.Wait()
}

type tally struct{ walks, killed, single, second atomic.Int64 }

// walker is an app whose program is killed again and again.
type walker struct {
	*app
	// fresh adds a target to Azure's side; evaluate compares a run with the requests that the target received.
	fresh    func() (target string)
	evaluate func(k kill, run backup.Run, tally *tally)
	targets  []string
	runs     []string

	// armed is the next kill; requests counts the program's requests since it was armed.
	armed    atomic.Pointer[kill]
	requests atomic.Int64
	fired    atomic.Bool
}

func newWalker(t *testing.T) *walker {
	w := &walker{}
	w.app = newApp(t, stack.AppConfig{
		Plan: planFor(yearly, "1d", newServices(t, 1)...), ScheduleTimer: "*/2 * * * * *",
	})
	intercept(t, w.ObjectID, w.meet)
	return w
}

// meet is called before and after each of the program's requests.
func (w *walker) meet(e fakeazure.Exchange) fakeazure.Decision {
	k := w.armed.Load()
	if k == nil || idle(e) {
		return fakeazure.Pass
	}
	n := w.requests.Load()
	if e.Phase == fakeazure.Before {
		n = w.requests.Add(1)
	}
	if n < k.n || e.Phase != k.phase || !w.fired.CompareAndSwap(false, true) {
		return fakeazure.Pass
	}
	w.armed.Store(nil)
	if pid := w.PID(); pid != 0 {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			w.t.Errorf("kill %d: %v", pid, err)
		}
	}
	return fakeazure.Drop
}

// idle tells whether a request belongs to a timer run without work: the lists of checkpoints and of runs in flight, and the note
// that it came.
func idle(e fakeazure.Exchange) bool {
	return strings.Contains(e.Path, "last-run-") || e.Method == "GET" && strings.Contains(e.Query.Get("$filter"), "PartitionKey eq 'schedule'") ||
		e.Method == "GET" && strings.Contains(e.Query.Get("$filter"), "PartitionKey eq 'inflight'")
}

// walk makes one run of a new service and kills the program once. It returns false if the run ended before the kill.
func (w *walker) walk(k kill, tally *tally) bool {
	ctx, cancel := context.WithTimeout(w.t.Context(), 2*time.Minute)
	defer cancel()
	target := w.fresh()
	w.targets = append(w.targets, target)
	if err := w.edit(planOf(yearly, "1d", w.targets...)); err != nil {
		w.t.Error(err)
		return false
	}
	w.requests.Store(0)
	w.fired.Store(false)
	w.armed.Store(&k)
	id, err := w.backupOf(ctx, target, uuid.NewString())
	if err != nil {
		w.t.Errorf("killed %s: %v", k, err)
		return false
	}
	status, err := w.await(ctx, id)
	w.armed.Store(nil)
	tally.walks.Add(1)
	if err != nil {
		w.t.Errorf("killed %s: %v", k, err)
		return false
	}
	if w.fired.Load() {
		tally.killed.Add(1)
	}
	if status.Run.State != backup.Succeeded {
		w.t.Errorf("killed %s: the run ended %s: %+v", k, status.Run.State, status.Run.Reason)
	}
	w.evaluate(k, status.Run, tally)
	w.wantManifest(ctx, "killed "+k.String(), id)
	w.runs = append(w.runs, id)
	return w.fired.Load()
}

// settled checks that a walker's runs left nothing behind after all kills: no lock, no unsent event.
func (w *walker) settled(ctx context.Context) {
	told := map[string]bool{}
	q := w.queue("lifeboat-events")
	for most := int32(32); ; {
		answer, err := q.DequeueMessages(ctx, &azqueue.DequeueMessagesOptions{NumberOfMessages: &most})
		if err != nil {
			w.t.Error(err)
			return
		}
		if len(answer.Messages) == 0 {
			break
		}
		for _, m := range answer.Messages {
			var e struct {
				Specversion, Type string
				Data              struct{ Run string }
			}
			if err := json.Unmarshal([]byte(*m.MessageText), &e); err != nil || e.Specversion != "1.0" {
				w.t.Errorf("%s is no CloudEvent: %v", *m.MessageText, err)
			}
			told[e.Data.Run] = true
		}
	}
	for _, id := range w.runs {
		if !told[id] {
			w.t.Errorf("nobody was told of the end of run %s", id)
		}
		if _, _, err := w.catalog.Get(ctx, backup.Key{Partition: id[:16], Row: "lock"}); !errors.Is(err, backup.ErrNotFound) {
			w.t.Errorf("run %s has ended, and its target is still locked: %v", id, err)
		}
	}
}

// evaluateService compares the attempts with the requests that API Management received.
func (w *walker) evaluateService(k kill, run backup.Run, tally *tally) {
	requests := posts(run.Target[strings.LastIndex(run.Target, "/")+1:])
	began := map[string]time.Time{}
	for _, r := range requests {
		if _, twice := began[r.BackupName]; twice {
			w.t.Errorf("killed %s: two POSTs for the attempt %s", k, r.BackupName)
		}
		began[r.BackupName] = r.At
	}
	if len(requests) == 1 {
		tally.single.Add(1)
	}
	first, sent := began[run.ID+".1"]
	second, again := began[run.ID+".2"]
	w.evaluateAttempts(k, run, sent && again, second.Sub(first), tally)
}

// evaluateHSM compares the attempts with the requests that the HSM received.
func (w *walker) evaluateHSM(k kill, run backup.Run, tally *tally) {
	var sent []time.Time
	for _, r := range world.Sim.HSMRequests() {
		if r.HSM == run.Target && r.Kind == fakeazure.FullBackup {
			sent = append(sent, r.At)
		}
	}
	w.evaluateSent(k, run, sent, tally)
}

// evaluateLedger compares them with the requests that a Managed CCF or a Confidential Ledger received, and with its shares: one
// an operation, and the run's recovery point is one of them.
func (w *walker) evaluateLedger(k kill, run backup.Run, tally *tally) {
	var sent []time.Time
	for _, r := range world.Sim.LedgerRequests() {
		if r.Ledger == run.Target && (r.Kind == fakeazure.LedgerBackup || r.Kind == fakeazure.LedgerExport) {
			sent = append(sent, r.At)
		}
	}
	w.evaluateSent(k, run, sent, tally)
	if shares := shares(w.t, run.Target); len(shares) != len(sent) || shares[run.Artifact] == 0 {
		w.t.Errorf("killed %s: %d POSTs made the shares %v, and the run has %s", k, len(sent), shares, run.Artifact)
	}
}

// evaluateSent compares the attempts with the requests of a service without names for them: they count by their order.
func (w *walker) evaluateSent(k kill, run backup.Run, sent []time.Time, tally *tally) {
	if len(sent) == 1 {
		tally.single.Add(1)
	}
	if len(sent) == 0 || len(sent) > run.Attempt {
		w.t.Errorf("killed %s: %d POSTs in %d attempts", k, len(sent), run.Attempt)
		return
	}
	w.evaluateAttempts(k, run, len(sent) > 1, sent[len(sent)-1].Sub(sent[0]), tally)
}

// evaluateAttempts compares the time between a first and a second POST with the retry window.
func (w *walker) evaluateAttempts(k kill, run backup.Run, again bool, apart time.Duration, tally *tally) {
	if run.Attempt > 1 {
		tally.second.Add(1)
	}
	window := time.Duration(float64(engine.DefaultTimings().RetryWindow) * factor)
	if again && apart < window {
		w.t.Errorf("killed %s: a second POST %s after the first, before the retry window of %s was over", k, apart, window)
	}
	if run.Attempt > 2 {
		w.t.Errorf("killed %s: one kill made %d attempts", k, run.Attempt)
	}
}
