package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"

	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
	"lifeboat/internal/schedule"
	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/figures"
	"lifeboat/internal/testing/stack"
)

// checkpoint is the row of the plan from planFor.
type checkpoint struct {
	Plan   string
	At     time.Time
	Paused string `json:",omitempty"`
}

const schedulePartition = "schedule"

var (
	checkpointKey = backup.Key{Partition: schedulePartition, Row: "plan-test"}
	// missedRunsKey is the key of the missed period for the leap days that the plan missed since longAgo.
	missedRunsKey = backup.Key{Partition: schedulePartition, Row: "schedule-missed-test.20120229T000000Z"}
	longAgo       = time.Date(2010, 1, 1, 0, 0, 0, 0, time.UTC)
	// latest is the newest leap day.
	latest = time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC)
)

// absent changes the plan's row as if the program had not read it since longAgo.
func (a *app) absent(ctx context.Context) error {
	_, err := a.catalog.Apply(ctx, backup.Write{Op: backup.Delete, Key: missedRunsKey, ETag: "*"})
	if err != nil && !errors.Is(err, backup.ErrNotFound) {
		return err
	}
	body, err := json.Marshal(checkpoint{Plan: "test", At: longAgo})
	if err == nil {
		_, err = a.catalog.Apply(ctx, backup.Write{Op: backup.Put, Key: checkpointKey, Body: body})
	}
	return err
}

func row[T any](ctx context.Context, a *app, key backup.Key) (v T, err error) {
	r, _, err := a.catalog.Get(ctx, key)
	if err == nil {
		err = json.Unmarshal(r.Body, &v)
	}
	return v, err
}

// settledAt waits until the plan's scheduled times are processed and all events are sent, and returns the runs of the service.
func (a *app) settledAt(ctx context.Context, service string, at time.Time) ([]engine.Status, error) {
	for {
		found, err := row[checkpoint](ctx, a, checkpointKey)
		pending, _, unread := a.catalog.List(ctx, schedulePartition, "outbox-", "pending.", 1)
		if err == nil && unread == nil && !found.At.Before(at) && found.Paused == "" && len(pending) == 0 {
			runs, _, err := a.engine.History(ctx, stack.Service(service), "", 100)
			return runs, err
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("the checkpoint is still %+v: %w", found, ctx.Err())
		}
		pause(ctx)
	}
}

// missedEvents counts the events about missed periods by their ID, and removes them from the queue.
func (a *app) missedEvents(ctx context.Context) (map[string]int, string) {
	told, data := map[string]int{}, ""
	most := int32(32)
	options := &azqueue.DequeueMessagesOptions{NumberOfMessages: &most}
	for {
		answer, err := a.queue("lifeboat-events").DequeueMessages(ctx, options)
		if err != nil {
			a.t.Error(err)
			return told, data
		}
		if len(answer.Messages) == 0 {
			return told, data
		}
		for _, m := range answer.Messages {
			var e struct {
				ID, Type string
				Data     json.RawMessage
			}
			if err := json.Unmarshal([]byte(*m.MessageText), &e); err != nil {
				a.t.Errorf("%s: %v", *m.MessageText, err)
			}
			if e.Type == "lifeboat.schedule.missed" {
				told[e.ID]++
				data = string(e.Data)
			}
		}
	}
}

// TestMissedScheduledTimesWithKills kills the real program between any two requests of a timer run that finds scheduled times
// missed: each time there is one run for the newest scheduled time, one missed period for the others, and an event under one ID.
func TestMissedScheduledTimesWithKills(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	w := newWalker(t)
	// The first timer runs of the walker find the plan new; only then is there a row to set back.
	if _, err := w.settledAt(ctx, "nobody", longAgo); err != nil {
		t.Fatal(err)
	}
	killed, walks := 0, 0
	for n := int64(1); n <= 10; n++ {
		for _, phase := range []fakeazure.Phase{fakeazure.Before, fakeazure.After} {
			k := kill{n, phase}
			service := newServices(t, 1)[0]
			if err := w.edit(planFor(yearly, "1d", service)); err != nil {
				t.Fatal(err)
			}
			w.requests.Store(0)
			w.fired.Store(false)
			w.armed.Store(&k)
			if err := w.absent(ctx); err != nil {
				t.Fatal(err)
			}
			runs, err := w.settledAt(ctx, service, latest)
			w.armed.Store(nil)
			if walks++; w.fired.Load() {
				killed++
			}
			if err != nil || len(runs) != 1 || !runs[0].Run.ScheduledTime.Equal(latest) {
				t.Fatalf("killed %s: the runs are %+v, %v", k, runs, err)
			}
			missedRuns, err := row[schedule.MissedRuns](ctx, w.app, missedRunsKey)
			if err != nil || missedRuns.Count != 3 || missedRuns.Last.Year() != 2020 || !strings.Contains(missedRuns.Why, "no timer run read") {
				t.Errorf("killed %s: the missed period is %+v, %v", k, missedRuns, err)
			}
			w.runs = append(w.runs, runs[0].Run.ID)
		}
	}
	for _, id := range w.runs {
		if status, err := w.await(ctx, id); err != nil || status.Run.State != backup.Succeeded {
			t.Errorf("run %s ended %s, %v: %+v", id, status.Run.State, err, status.Run.Reason)
		}
	}
	told, data := w.missedEvents(ctx)
	if len(told) != 1 || told["missed-test.20120229T000000Z"] < walks || !strings.Contains(data, `"count":3`) {
		t.Errorf("after %d walks, told %v: %s", walks, told, data)
	}
	figures.Report(t, "timer runs after missed scheduled times: %d walks, %d of them killed, %d events under one ID", walks, killed,
		told["missed-test.20120229T000000Z"])
	if killed < 12 {
		t.Errorf("only %d of %d walks were killed", killed, walks)
	}
}

// TestStopped: while LIFEBOAT_STOPPED is set the real program makes no runs, and a timer run costs as much as an idle one.
// Afterwards the program does not make up for missed runs, and the missed period gives the reason.
func TestStopped(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	service := newServices(t, 1)[0]
	a := prepare(t, stack.AppConfig{Plan: planFor(yearly, "1d", service)})
	world.Grant(a.config.Name, a.config.Account)
	a.App = &stack.App{ObjectID: world.Sim.ObjectID(a.config.Name)}
	a.config.Settings = map[string]string{"LIFEBOAT_STOPPED": "moving house"}
	stopped := newProcess(t, a)
	timer := func(p *process) {
		t.Helper()
		if err := p.invoke(ctx, "schedule", timerData); err != nil {
			t.Fatal(err)
		}
	}
	timer(stopped) // the plan is new
	body, err := json.Marshal(checkpoint{Plan: "test", At: longAgo, Paused: "stopped by LIFEBOAT_STOPPED: moving house"})
	if err != nil {
		t.Fatal(err)
	}
	if found, err := row[checkpoint](ctx, a, checkpointKey); err != nil || found.Paused == "" {
		t.Fatalf("the first timer run left %+v, %v", found, err)
	}
	if _, err := a.catalog.Apply(ctx, backup.Write{Op: backup.Put, Key: checkpointKey, Body: body}); err != nil {
		t.Fatal(err)
	}
	before, _ := spent(a)
	timer(stopped)
	if after, by := spent(a); after-before != 2 {
		t.Errorf("a timer run of a stopped app cost %d requests: %v", after-before, by)
	}
	a.config.Settings = nil
	going := newProcess(t, a)
	timer(going)
	timer(going)
	runs, err := a.settledAt(ctx, service, latest)
	if err != nil || len(runs) != 0 {
		t.Errorf("a burst of %d runs, %v", len(runs), err)
	}
	missedRuns, err := row[schedule.MissedRuns](ctx, a, missedRunsKey)
	if err != nil || missedRuns.Count != 4 || missedRuns.Why != "stopped by LIFEBOAT_STOPPED: moving house" {
		t.Errorf("the missed period is %+v, %v", missedRuns, err)
	}
	if told, _ := a.missedEvents(ctx); len(told) != 1 {
		t.Errorf("told %v", told)
	}
}
