package e2e

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/stop"
	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/stack"
)

// second starts a second instance of the app.
func (a *app) second(t *testing.T, settings map[string]string) *app {
	t.Helper()
	c := a.config
	c.Name, c.Log = a.config.Name+"-two", nil
	c.Settings = map[string]string{"WEBSITE_SITE_NAME": a.config.Name}
	for k, v := range settings {
		c.Settings[k] = v
	}
	return newApp(t, c)
}

// lifeboat runs a command against the app, and fails the test unless it ends with the exit code.
func (a *app) lifeboat(ctx context.Context, t *testing.T, want int, args ...string) string {
	t.Helper()
	code, out, errs := command(ctx, t, a.URL(), a.Key("api"), args...)
	if code != want {
		t.Fatalf("lifeboat %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), code, want, out, errs)
	}
	return out + errs
}

// restoresBegun counts the requests that start a restore of the service.
func restoresBegun(service string) (n int) {
	for _, c := range world.Sim.Calls() {
		if c.Method == http.MethodPost && strings.EqualFold(c.Path, stack.Service(service)+"/restore") {
			n++
		}
	}
	return n
}

// TestStopAndResume: a person stops the app at one instance. In both instances nothing is deleted and restores wait; backups are made.
// After the resume all of it goes on. The app setting does the same.
func TestStopAndResume(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	service := newServices(t, 1)[0]
	target := stack.Service(service)
	a := newApp(t, stack.AppConfig{Plan: planFor(yearly, "1s", service) + "    restore: {into: [itself], safetyBackup: false}\n", ScheduleTimer: everyOther})
	b := a.second(t, nil)
	box := a.mailbox(ctx, t, "lifeboat-events")
	old := a.recoverable(ctx, t, target)
	a.recoverable(ctx, t, target)
	a.past(ctx, old)
	if _, text, err := a.request(ctx, http.MethodPost, "/api/stop", `{"reason": "", "backups": false}`, nil); err != nil || !strings.Contains(string(text), "needs a reason") {
		t.Errorf("a stop without words: %s, %v", text, err)
	}
	for range 2 {
		if out := a.lifeboat(ctx, t, 0, "stop", "--reason", "INC-7"); !strings.Contains(out, "INC-7: nothing is deleted, and no restore begins\n") {
			t.Errorf("stopped: %s", out)
		}
	}
	kept := func(who *app) {
		t.Helper()
		for range 3 {
			if err := who.Invoke(ctx, "cleanup"); err != nil {
				t.Fatal(err)
			}
		}
		if p, err := a.engine.RecoveryPoint(ctx, old.ID); err != nil || p.State != backup.Live {
			t.Errorf("the recovery point past its time is %s, %v", p.State, err)
		}
	}
	kept(a)
	kept(b)
	var waiting []string
	for i, who := range []*app{a, b} {
		request := map[string]any{"id": "restore" + itoa(i), "target": target, "recoveryPoint": "latest"}
		id := who.restore(ctx, t, request)
		if run, err := a.reaches(ctx, id, backup.Waiting); err != nil || run.Reason.Code != stop.Code {
			t.Errorf("the restore waits: %v, %+v", err, run.Reason)
		}
		waiting = append(waiting, id)
	}
	status, _, text := b.health(ctx)
	if status != http.StatusOK || !strings.Contains(text, `"stop":{"stopped":true,"reason":"stopped since`) || strings.Contains(text, `"stopped":"`) {
		t.Errorf("health: %d %s", status, text)
	}
	last := a.recoverable(ctx, t, target) // backups go on
	for _, id := range waiting {
		if run, err := a.reaches(ctx, id, backup.Waiting); err != nil || run.Attempt > 0 {
			t.Errorf("it did not wait: %v, %+v", err, run)
		}
	}

	if n := restoresBegun(service); n != 0 {
		t.Errorf("%d restores were begun", n)
	}
	if out := b.lifeboat(ctx, t, 0, "resume"); !strings.Contains(out, "not stopped") {
		t.Errorf("resumed: %s", out)
	}
	for _, id := range waiting {
		if end, err := a.await(ctx, id); err != nil || end.Run.State != backup.Succeeded || end.Run.Restore.Point == last.ID {
			t.Errorf("the restore after the stop: %v, %s: %+v", err, end.Run.State, end.Run.Reason)
		}
	}
	if n := restoresBegun(service); n != len(waiting) {
		t.Errorf("%d restores were begun after the stop", n)
	}
	b.expired(ctx, t, old.ID)
	for !strings.Contains(strings.Join(box.texts, "\n"), "lifeboat.resumed") {
		if ctx.Err() != nil {
			t.Fatalf("told %s", box.texts)
		}
		pause(ctx)
		box.collect(ctx, t)
	}
	if all := strings.Join(box.texts, "\n"); strings.Count(all, "lifeboat.stopped") != 1 || !strings.Contains(all, "INC-7") {
		t.Errorf("told %s", all)
	}
}

// past waits until the time of the recovery point is over, by the storage's clock too.
func (a *app) past(ctx context.Context, p backup.Point) {
	for time.Now().Before(p.Expires.Add(time.Second)) && ctx.Err() == nil {
		pause(ctx)
	}
}

// TestTheAppSettingStops: LIFEBOAT_STOPPED keeps an app from deleting, too, and resume does not end that. Without it the same recovery
// point is deleted.
func TestTheAppSettingStops(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	service := newServices(t, 1)[0]
	target := stack.Service(service)
	a := newApp(t, stack.AppConfig{
		Plan:     planFor(yearly, "1s", service) + "    restore: {into: [itself], safetyBackup: false}\n",
		Settings: map[string]string{"LIFEBOAT_STOPPED": "INC-8"},
	})
	old := a.recoverable(ctx, t, target)
	a.recoverable(ctx, t, target)
	a.past(ctx, old)
	for range 3 {
		if err := a.Invoke(ctx, "cleanup"); err != nil {
			t.Fatal(err)
		}
	}
	if p, err := a.engine.RecoveryPoint(ctx, old.ID); err != nil || p.State != backup.Live {
		t.Errorf("the recovery point past its time is %s, %v", p.State, err)
	}
	id := a.restore(ctx, t, map[string]any{"id": "restore", "target": target, "recoveryPoint": "latest"})
	if run, err := a.reaches(ctx, id, backup.Waiting); err != nil || run.Reason.Code != stop.Code || !strings.Contains(run.Reason.Message, "INC-8") {
		t.Errorf("the restore waits: %v, %+v", err, run.Reason)
	}
	if out := a.lifeboat(ctx, t, 0, "resume"); !strings.Contains(out, "INC-8") || !strings.Contains(out, "LIFEBOAT_STOPPED must be removed") {
		t.Errorf("resumed: %s", out)
	}
	if out := a.lifeboat(ctx, t, 0, "cancel", id); !strings.Contains(out, "canceled") {
		t.Errorf("canceled: %s", out)
	}
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	delete(a.config.Settings, "LIFEBOAT_STOPPED")
	a.start(t)
	a.expired(ctx, t, old.ID)
}

// TestCancelBehindASafetyBackup: the restore is canceled while Azure makes its safety backup. It keeps the lock until that has ended, its
// recovery point is kept, and nothing is restored.
func TestCancelBehindASafetyBackup(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	service := newServices(t, 1)[0]
	target := stack.Service(service)
	a := newApp(t, stack.AppConfig{Plan: planFor(yearly, "1d", service) + "    restore: {into: [itself], safetyBackup: required}\n"})
	a.recoverable(ctx, t, target)
	begun := len(posts(service))
	tune(t, service, func(k *fakeazure.Options) { k.Shortest, k.Longest = 10*time.Minute, 10*time.Minute })
	id := a.restore(ctx, t, map[string]any{"id": "restore", "target": target, "recoveryPoint": "latest"})
	if _, err := a.reaches(ctx, id, backup.Running); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if out := a.lifeboat(ctx, t, 0, "cancel", id); !strings.Contains(out, "running; it ends canceled once its safety backup has ended") {
			t.Errorf("canceled: %s", out)
		}
	}
	if n := a.rows(ctx, id[:16], "lock"); n != 1 {
		t.Errorf("%d locks", n)
	}
	end, err := a.await(ctx, id)
	if err != nil || end.Run.State != backup.Canceled || end.Run.Reason.Code != "Canceled" || end.Run.Restore.SafetyBackedUp.IsZero() {
		t.Fatalf("%v: %s %+v", err, end.Run.State, end.Run.Reason)
	}
	if p, err := a.engine.RecoveryPoint(ctx, id); err != nil || p.State != backup.Live || !p.Safety {
		t.Errorf("its recovery point: %+v, %v", p, err)
	}
	if n := len(posts(service)) - begun; n != 1 || restoresBegun(service) != 0 || a.rows(ctx, id[:16], "lock") != 0 {
		t.Errorf("%d backups and %d restores were begun, %d locks", n, restoresBegun(service), a.rows(ctx, id[:16], "lock"))
	}
	if out := a.lifeboat(ctx, t, 0, "confirm", id); !strings.Contains(out, "safety backup") {
		t.Errorf("confirmed: %s", out)
	}
}
