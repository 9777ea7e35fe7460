package e2e

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"

	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/figures"
	"lifeboat/internal/testing/stack"
)

// TestAnOrphanDoesNoHarm: a dying host leaves its program behind, in the middle of its work, and the next host starts another
// one (measured with the host 4.1045, 2026-11). Here the old program stops after each of its requests, like a process without
// processor time. The new one gets the old one's current message, at once and not after the host's ten minutes, and completes
// the run. Then the old one continues. It does no harm: the run has succeeded with one request an attempt, one recovery point,
// and one artifact.
func TestAnOrphanDoesNoHarm(t *testing.T) {
	t.Parallel()
	instants := make(chan int64)
	var ended atomic.Bool
	go func() {
		defer close(instants)
		for n := int64(1); !ended.Load(); n++ {
			instants <- n
		}
	}()
	var stopped, second atomic.Int64
	var wait sync.WaitGroup
	for range walkers {
		o := newOrphan(t)
		wait.Go(func() {
			for n := range instants {
				run, was := o.live(n)
				if !was {
					ended.Store(true)
					continue
				}
				stopped.Add(1)
				if run.Attempt > 1 {
					second.Add(1)
				}
			}
		})
	}
	wait.Wait()
	figures.Report(t, "an orphan stopped behind each of %d requests: every run succeeded, %d with a second attempt", stopped.Load(), second.Load())
	if stopped.Load() < 15 {
		t.Errorf("only %d instants: the test does not see the old program's requests", stopped.Load())
	}
}

// orphan is an app with two programs: the old one, which has its own identity here so that its requests can be told apart, and
// the new one.
type orphan struct {
	*app
	old, fresh *process
	execute    *azqueue.QueueClient
	services   []string

	// stop is the number of the old program's request after which it stops, 0 for none; requests counts them.
	stop, requests atomic.Int64
	stopped        chan struct{}
}

func newOrphan(t *testing.T) *orphan {
	services := newServices(t, 40) // a service for each life
	// There is one permit for all operations: a permit that the old program keeps would block the next run, unless a timer run
	// releases it.
	o := &orphan{app: prepare(t, stack.AppConfig{
		Plan: planFor(yearly, "1d", services...), Settings: map[string]string{"LIFEBOAT_CONCURRENCY": "1"},
	}), services: services}
	old := o.config
	old.Name += "-orphan"
	old.Settings = maps.Clone(o.config.Settings)
	old.Settings["WEBSITE_SITE_NAME"] = o.config.Name // it is the same app
	for _, c := range []stack.AppConfig{o.config, old} {
		world.Grant(c.Name, c.Account)
	}
	o.old, o.fresh = newProcess(t, &app{config: old}), newProcess(t, o.app)
	o.execute = o.queue("execute")
	if _, err := o.execute.Create(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	intercept(t, world.Sim.ObjectID(old.Name), func(e fakeazure.Exchange) fakeazure.Decision {
		if e.Phase == fakeazure.After && o.stop.Load() > 0 && o.requests.Add(1) == o.stop.Load() {
			if err := syscall.Kill(o.old.pid, syscall.SIGSTOP); err != nil {
				t.Error(err)
			}
			close(o.stopped)
		}
		return fakeazure.Pass
	})
	return o
}

// live makes one run, with the old program stopped after its n-th request. It returns false if the run ended before that.
func (o *orphan) live(n int64) (run backup.Run, was bool) {
	ctx, cancel := context.WithTimeout(o.t.Context(), 2*time.Minute)
	defer cancel()
	service := o.services[0]
	o.services = o.services[1:]
	tune(o.t, service, func(k *fakeazure.Options) { k.Shortest, k.Longest = time.Minute, time.Minute })
	id, err := o.begin(ctx, service)
	if err != nil {
		o.t.Errorf("stopped behind request %d: %v", n, err)
		return run, false
	}
	o.requests.Store(0)
	o.stopped = make(chan struct{})
	o.stop.Store(n)
	var hanging sync.WaitGroup
	for {
		status, _, err := o.engine.Status(ctx, id)
		if err == nil && status.Run.State.Final() && !status.Run.Unpublished {
			break
		}
		if ctx.Err() != nil {
			o.t.Errorf("stopped behind request %d: the run is still %s", n, status.Run.State)
			break
		}
		o.deliver(ctx, &hanging)
	}
	o.stop.Store(0)
	select {
	case <-o.stopped:
		was = true
		if err := syscall.Kill(o.old.pid, syscall.SIGCONT); err != nil {
			o.t.Error(err)
		}
	default:
	}
	hanging.Wait()                     // the old program has finished its step
	for o.deliver(ctx, &hanging) > 0 { // a run that has waited leaves an unneeded step message for the end of its wait
		hanging.Wait()
	}
	status, _, err := o.engine.Status(ctx, id)
	if err != nil {
		o.t.Errorf("stopped behind request %d: %v", n, err)
		return status.Run, was
	}
	o.evaluate(ctx, n, service, status)
	return status.Run, was
}

// begin requests a backup from the new program.
func (o *orphan) begin(ctx context.Context, service string) (id string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, o.fresh.url+"/api/backups", strings.NewReader(`{"target": "`+stack.Service(service)+`"}`))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	var run struct{ ID string }
	if err := json.NewDecoder(response.Body).Decode(&run); err != nil || response.StatusCode != http.StatusAccepted {
		return "", fmt.Errorf("%s, %w", response.Status, err)
	}
	return run.ID, nil
}

// deliver sends each visible message to the old program, or to the new one once the old one has stopped. Then it also sends
// the old one's current message. If there is no message, the new program gets a timer run.
func (o *orphan) deliver(ctx context.Context, hanging *sync.WaitGroup) int {
	hidden, most := int32(60), int32(32)
	answer, err := o.execute.DequeueMessages(ctx, &azqueue.DequeueMessagesOptions{VisibilityTimeout: &hidden, NumberOfMessages: &most})
	if err != nil {
		if ctx.Err() == nil {
			o.t.Error(err)
		}
		return 0
	}
	for _, m := range answer.Messages {
		data := `{"message":"` + base64.StdEncoding.EncodeToString([]byte(*m.MessageText)) + `"}`
		done := make(chan struct{})
		hanging.Go(func() {
			defer close(done)
			if !closed(o.stopped) {
				_ = o.old.invoke(ctx, "execute", data) // its result does not matter
			}
		})
		select {
		case <-done:
		case <-o.stopped:
		}
		if closed(o.stopped) {
			if err := o.fresh.invoke(ctx, "execute", data); err != nil {
				o.t.Errorf("the new program: %v", err)
			}
		}
		if _, err := o.execute.DeleteMessage(ctx, *m.MessageID, *m.PopReceipt, nil); err != nil {
			o.t.Error(err)
		}
	}
	if len(answer.Messages) == 0 {
		if err := o.fresh.invoke(ctx, "schedule", timerData); err != nil && ctx.Err() == nil {
			o.t.Errorf("a timer run: %v", err)
		}
		pause(ctx)
	}
	return len(answer.Messages)
}

func closed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// evaluate compares the results with the requests that Azure's side received.
func (o *orphan) evaluate(ctx context.Context, n int64, service string, status engine.Status) {
	run := status.Run
	if run.State != backup.Succeeded || status.Point == nil || status.Point.State != backup.Live {
		o.t.Errorf("stopped behind request %d: the run ended %s, %+v, with %+v", n, run.State, run.Reason, status.Point)
		return
	}
	var names []string
	for _, r := range posts(service) {
		if slices.Contains(names, r.BackupName) {
			o.t.Errorf("stopped behind request %d: two POSTs for the attempt %s", n, r.BackupName)
		}
		names = append(names, r.BackupName)
	}
	if len(names) == 0 || len(names) > 2 {
		o.t.Errorf("stopped behind request %d: started %q", n, names)
	}
	if left := blobsNamed(o.t, run.ID); len(left) != 1 || left[0] != run.Artifact {
		o.t.Errorf("stopped behind request %d: the recovery point has %s, and storage holds %q", n, run.Artifact, left)
	}
	if _, _, err := o.catalog.Get(ctx, backup.Key{Partition: run.ID[:16], Row: "lock"}); !errors.Is(err, backup.ErrNotFound) {
		o.t.Errorf("stopped behind request %d: the target is still locked: %v", n, err)
	}
}
