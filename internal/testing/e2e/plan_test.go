package e2e

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2"

	"lifeboat/internal/backup"
	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/figures"
	"lifeboat/internal/testing/stack"
)

// planApp is an app with plan.yaml in a file, or in a blob of its own storage account.
type planApp struct {
	*app
	blobs *azblob.Client       // nil: a file
	seen  map[string]planEvent // by ID
	count map[string]int       // counts the deliveries, by type
}

// planEvent is a CloudEvent about the plan.
type planEvent struct {
	ID, Type string
	Data     struct{ Reason struct{ Message string } }
}

func newPlanApp(t *testing.T, blob bool, c stack.AppConfig) *planApp {
	t.Helper()
	a := &planApp{app: prepare(t, c), seen: map[string]planEvent{}, count: map[string]int{}}
	if blob {
		account := a.config.Account
		a.blobs = planContainer(t, account)
		a.config.Settings = map[string]string{"LIFEBOAT_PLAN": "https://" + account + ".blob.core.windows.net/plans/plan.yaml"}
		a.place(c.Plan)
	}
	a.start(t)
	t.Cleanup(func() {
		if err := a.Stop(); err != nil {
			t.Errorf("stop the host: %v", err)
		}
	})
	return a
}

// planContainer makes the container plans in the account, and returns a client of a person who may write there.
func planContainer(t *testing.T, account string) *azblob.Client {
	t.Helper()
	world.Sim.Assign(world.Sim.ObjectID(probe), stack.Account(account), fakeazure.StorageBlobDataContributor)
	client, err := azblob.NewClient("https://"+account+".blob.core.windows.net", world.Sim.Credential(probe),
		&azblob.ClientOptions{ClientOptions: options()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.CreateContainer(t.Context(), "plans", nil); err != nil && !bloberror.HasCode(err, bloberror.ContainerAlreadyExists) {
		t.Fatal(err)
	}
	return client
}

// place writes the text to the plan.yaml that the program reads.
func (a *planApp) place(text string) {
	a.t.Helper()
	if a.blobs == nil {
		if err := a.edit(text); err != nil {
			a.t.Fatal(err)
		}
		return
	}
	if _, err := a.blobs.UploadBuffer(a.t.Context(), "plans", "plan.yaml", []byte(text), nil); err != nil {
		a.t.Fatal(err)
	}
}

// told waits for an event of the type whose reason has the word.
func (a *planApp) told(ctx context.Context, kind, word string) {
	a.t.Helper()
	for {
		for _, e := range a.seen {
			if e.Type == kind && strings.Contains(e.Data.Reason.Message, word) {
				return
			}
		}
		if ctx.Err() != nil {
			a.t.Fatalf("no event %s with %q; there are %v", kind, word, a.seen)
		}
		pause(ctx)
		a.receive(ctx)
	}
}

// receive removes all messages from the queue of events.
func (a *planApp) receive(ctx context.Context) {
	a.t.Helper()
	n := int32(32)
	events := a.queue("lifeboat-events")
	answer, err := events.DequeueMessages(ctx, &azqueue.DequeueMessagesOptions{NumberOfMessages: &n})
	if err != nil {
		return // the queue may not be there yet
	}
	for _, m := range answer.Messages {
		if _, err := events.DeleteMessage(ctx, *m.MessageID, *m.PopReceipt, nil); err != nil && ctx.Err() == nil {
			a.t.Error(err) // the message would come again, and be counted twice
		}
		var e struct{ Type string }
		if err := json.Unmarshal([]byte(*m.MessageText), &e); err != nil {
			a.t.Error(err)
		}
		if !strings.HasPrefix(e.Type, "lifeboat.plan.") {
			continue
		}
		var plan planEvent
		if err := json.Unmarshal([]byte(*m.MessageText), &plan); err != nil {
			a.t.Error(err)
		}
		a.seen[plan.ID] = plan
		a.count[plan.Type]++
	}
}

// scheduledTimeAfter waits until a scheduled run of a scheduled time after the instant succeeds.
func (a *planApp) scheduledTimeAfter(ctx context.Context, service string, after time.Time) {
	a.t.Helper()
	for {
		history, _, err := a.engine.History(ctx, stack.Service(service), "", 20)
		if err != nil && ctx.Err() == nil {
			a.t.Fatal(err)
		}
		for _, s := range history {
			if s.Run.ScheduledTime.After(after) && s.Run.State == backup.Succeeded {
				return
			}
		}
		if ctx.Err() != nil {
			a.t.Fatalf("no run of a scheduled time after %s succeeded: %+v", after, history)
		}
		pause(ctx)
	}
}

// TestBrokenPlan breaks plan.yaml while runs are in progress. The runs continue, and the schedule and requests by hand use the
// last good plan, even in a process that never saw it. An event reports it once, and a good plan ends it.
func TestBrokenPlan(t *testing.T) {
	t.Parallel()
	for name, blob := range map[string]bool{"file": false, "blob": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			services := newServices(t, 2)
			scheduled, asked := services[0], services[1]
			good := planFor("*/8 * * * * *", "1d", scheduled) +
				strings.Replace(planFor(yearly, "1d", asked)[strings.Index(planFor(yearly, "1d", asked), "  - name"):], "test", "asked", 1)
			a := newPlanApp(t, blob, stack.AppConfig{Plan: good, ScheduleTimer: "* * * * * *"})
			first, err := a.backup(ctx, asked, "before")
			if err != nil {
				t.Fatal(err)
			}
			a.scheduledTimeAfter(ctx, scheduled, time.Time{}) // so the schedule has seen the plan

			under, err := a.backup(ctx, asked, "under way")
			if err != nil {
				t.Fatal(err)
			}
			broken := strings.Replace(good, "schedule:", "shedule:", 1)
			a.place(broken)
			a.told(ctx, "lifeboat.plan.refused", `plan.yaml:6: a plan has no field "shedule"`)
			since := time.Now()
			second, err := a.backup(ctx, asked, "while broken")
			if err != nil {
				t.Fatal(err)
			}
			a.scheduledTimeAfter(ctx, scheduled, since)

			// A new process has never seen a good plan.
			pid := a.PID()
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			for a.PID() == pid || a.PID() == 0 {
				if ctx.Err() != nil {
					t.Fatal("the program is not started again")
				}
				pause(ctx)
			}
			since = time.Now()
			third, err := a.backup(ctx, asked, "after the restart")
			if err != nil {
				t.Fatal(err)
			}
			a.scheduledTimeAfter(ctx, scheduled, since)
			for _, id := range []string{first, under, second, third} {
				if s, err := a.await(ctx, id); err != nil || s.Run.State != backup.Succeeded {
					t.Errorf("run %s ended %s, %v: %+v", id, s.Run.State, err, s.Run.Reason)
				}
			}
			a.receive(ctx)
			if a.count["lifeboat.plan.refused"] != 1 || len(a.seen) != 1 {
				t.Errorf("one broken text made %v: %v", a.count, a.seen)
			}

			added := newServices(t, 1)[0]
			a.place(strings.TrimSuffix(good, "\n") + "\n      - " + stack.Service(added) + "\n")
			a.told(ctx, "lifeboat.plan.accepted", "")
			if _, err := a.backup(ctx, added, "healed"); err != nil {
				t.Errorf("the good plan does not heal it: %v", err)
			}
		})
	}
}

// TestBrokenFirstPlan: if there is no last good plan, callers get every line with an error.
func TestBrokenFirstPlan(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	service := newServices(t, 1)[0]
	good := planFor(yearly, "1d", service)
	a := newPlanApp(t, false, stack.AppConfig{
		Plan: strings.NewReplacer("schedule:", "shedule:", "1d", "1 day").Replace(good), ScheduleTimer: "* * * * * *",
	})
	a.told(ctx, "lifeboat.plan.refused", "shedule")
	response, text, err := a.request(ctx, "POST", "/api/backups", `{"target": "`+stack.Service(service)+`"}`, nil)
	if err != nil || response.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(text), "PlanInvalid") ||
		!strings.Contains(string(text), `plan.yaml:6: a plan has no field`) || !strings.Contains(string(text), "plan.yaml:7: ") {
		t.Errorf("a broken plan: %v %s", err, text)
	}
	a.place(good)
	if _, err := a.backup(ctx, service, "healed"); err != nil {
		t.Errorf("the good plan does not heal it: %v", err)
	}
}

// TestIdleTimerRunWithPlanBlob checks the contract of an idle timer run with plan.yaml in a blob: a conditional request for the
// blob, and two lists; while it is broken also one request for the active plan.
func TestIdleTimerRunWithPlanBlob(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	good := planFor(yearly, "1d", newServices(t, 1)...)
	a := newPlanApp(t, true, stack.AppConfig{Plan: good})
	for _, c := range []struct {
		text string
		want int
	}{
		{good, 3},
		{good + "broken: yes\n", 4}, // after the good one: reading the active plan costs a request only if there is one
	} {
		a.place(c.text)
		timers := func(n int) int {
			for range n {
				if err := a.Invoke(ctx, "schedule"); err != nil {
					t.Fatal(err)
				}
			}
			total, _ := spent(a.app)
			return total
		}
		before := timers(2)
		if n := timers(2) - before; n != 2*c.want {
			t.Errorf("two idle timer runs cost %d requests, want %d, with this plan in a blob:\n%s", n, 2*c.want, c.text)
		}
	}
	figures.Report(t, "an idle timer run of the schedule with plan.yaml in a blob: 3 requests, 4 while it is broken")
}

// TestPlanFolder: the real program works by all files of a folder of blobs. An idle timer run lists the folder, and reads no file again. A file
// that is broken is named, and until it is good the last good files count.
func TestPlanFolder(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	services := newServices(t, 3)
	file := func(name string, service string) string {
		return strings.Replace(planFor(yearly, "1d", service), "name: test", "name: "+name, 1)
	}
	app := prepare(t, stack.AppConfig{})
	blobs, location := planContainer(t, app.config.Account), "https://"+app.config.Account+".blob.core.windows.net/plans/teams/"
	place := func(name, text string) {
		t.Helper()
		if _, err := blobs.UploadBuffer(ctx, "plans", name, []byte(text), nil); err != nil {
			t.Fatal(err)
		}
	}
	place("teams/a.yaml", file("a", services[0]))
	place("teams/b.yml", file("b", services[1]))
	place("teams/old/c.yaml", "no plan")
	place("teams/README.md", "no plan")
	place("d.yaml", "no plan")
	app.config.Settings = map[string]string{"LIFEBOAT_PLAN": location}
	app.start(t)
	t.Cleanup(func() {
		if err := app.Stop(); err != nil {
			t.Error(err)
		}
	})
	after := func(what string, want ...string) {
		t.Helper()
		if err := app.Invoke(ctx, "schedule"); err != nil {
			t.Fatal(err)
		}
		_, text, err := app.request(ctx, http.MethodGet, "/api/targets", "", nil)
		for i, service := range services {
			if has := strings.Contains(string(text), service); err != nil || has != slices.Contains(want, service) {
				t.Errorf("%s: service %d is a target: %t; %s, %v", what, i, has, text, err)
			}
		}
	}
	after("two files", services[0], services[1])
	after("the second timer run", services[0], services[1])
	before, _ := spent(app)
	for range 2 {
		if err := app.Invoke(ctx, "schedule"); err != nil {
			t.Fatal(err)
		}
	}
	if idle, _ := spent(app); idle-before != 2*3 {
		t.Errorf("two idle timer runs cost %d requests, want 6", idle-before)
	}
	place("teams/b.yml", file("b", services[2]))
	after("an edit", services[0], services[2])
	place("teams/b.yml", "plans: [")
	after("a broken file", services[0], services[2])
	if _, _, text := app.health(ctx); !strings.Contains(text, location+"b.yml:") {
		t.Errorf("health does not name the file: %s", text)
	}
	if _, err := blobs.DeleteBlob(ctx, "plans", "teams/b.yml", nil); err != nil {
		t.Fatal(err)
	}
	after("a file that is gone", services[0])
}
