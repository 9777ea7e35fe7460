package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
	"lifeboat/internal/plans"
	"lifeboat/internal/roles"
)

// access is an Azure in which the roles are there, but for those whose words have the text.
type access struct {
	mu      sync.Mutex
	missing string
	looks   int
	// takes is the time that a look takes, by the process's clock.
	takes, late time.Duration
}

func (a *access) Granted(_ context.Context, r roles.Assignment) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.looks++
	a.late += a.takes
	if a.missing != "" && strings.Contains(r.Words(), a.missing) {
		return &backup.Fault{Kind: backup.Refused, Code: "RoleMissing", Message: r.Words() + ": no"}
	}
	return nil
}

func (a *access) Principal(context.Context) string { return "0c0ffee0-0000-4000-8000-00000000000a" }

// checking makes a harness with many targets, and the active plans.
func checking(t *testing.T, n int) (*harness, *access, plans.Active) {
	t.Helper()
	s := newHarness(t)
	a := &access{}
	s.engine.Access = a
	s.engine.Now = func() time.Time {
		a.mu.Lock()
		defer a.mu.Unlock()
		return s.now.Add(a.late)
	}
	plan := nightly()
	plan.Targets = nil
	for i := range n {
		plan.Targets = append(plan.Targets, fmt.Sprintf("%s-%d", target, i))
	}
	return s, a, plans.Active{Plans: []backup.Plan{plan}, Hash: "one", Since: s.now}
}

// goOn is the part of a timer run that checks.
func (s *harness) goOn(active plans.Active) error {
	row, _, err := s.engine.Catalog.Get(s.t.Context(), backup.CheckKey)
	if err != nil && !errors.Is(err, backup.ErrNotFound) {
		return err
	}
	return s.engine.CheckPlans(s.t.Context(), active, row)
}

// send is a timer run, which sends the events in the outbox.
func (s *harness) send(active plans.Active) {
	s.t.Helper()
	if _, err := s.engine.Schedule(s.t.Context(), active.Plans); err != nil {
		s.t.Fatal(err)
	}
}

// TestPlansAreChecked: a new text of plan.yaml is checked once, ten minutes later, and its end is one event; another text again.
func TestPlansAreChecked(t *testing.T) {
	s, a, active := checking(t, 1)
	a.missing = "Reader on"
	ended := func() int { return len(s.published("lifeboat.plan.checked")) }
	minute := func(minutes int) {
		for range minutes {
			s.now = s.now.Add(time.Minute)
			if err := s.goOn(active); err != nil {
				t.Fatal(err)
			}
			s.send(active)
		}
	}
	if minute(9); a.looks != 0 || ended() != 0 {
		t.Errorf("after nine minutes there were %d looks", a.looks)
	}
	minute(1)
	once := a.looks
	if minute(30); once == 0 || a.looks != once || ended() != 1 {
		t.Errorf("%d looks, then %d, and %d events", once, a.looks, ended())
	}
	for _, data := range s.published("lifeboat.plan.checked") {
		if !strings.Contains(data, `"result":"couldNotLook"`) || !strings.Contains(data, "the role Reader on account") || strings.Contains(data, "refused") {
			t.Errorf("the event is %s", data)
		}
	}
	active.Hash, active.Since = "two", s.now
	if minute(30); a.looks != 2*once || ended() != 2 {
		t.Errorf("after another text %d looks of %d, and %d events", a.looks, once, ended())
	}
	active.Hash, active.Since = "three", time.Time{}
	if minute(1); a.looks != 2*once {
		t.Errorf("a text of which it is not known since when it is active was looked at %d times", a.looks-2*once)
	}
}

// TestCheckGoesOn: a check that takes long goes on in the next timer runs, where it was, whatever dies in between, and ends once.
func TestCheckGoesOn(t *testing.T) {
	for k, made := 1, false; ; k, made = k+map[bool]int{true: 1}[made], !made { // each call fails, and then each dies behind its effect
		s, a, active := checking(t, 40)
		a.takes, s.now = 2*time.Second, s.now.Add(time.Hour)
		s.storage.failAt, s.storage.made = s.storage.calls+k, made
		failed := s.goOn(active) != nil
		s.storage.failAt = 0
		runs := 0
		for ended := false; !ended; runs++ {
			if runs > 40 {
				t.Fatalf("the check does not end, with a death at call %d", k)
			}
			s.now = s.now.Add(time.Minute)
			if err := s.goOn(active); err != nil {
				t.Fatal(err)
			}
			last, err := s.engine.LastCheck(t.Context())
			if err != nil || last.Looked > last.Total {
				t.Fatal(last, err)
			}
			ended = !last.Ended.IsZero()
		}
		a.takes, a.late = 0, 0
		s.send(active)
		last, _ := s.engine.LastCheck(t.Context())
		if last.Total != 41 || last.Looked != 41 || last.Ok != 41 || len(s.published("lifeboat.plan.checked")) != 1 {
			t.Errorf("with a death at call %d: %+v, %d events", k, last, len(s.published("lifeboat.plan.checked")))
		}
		if !failed {
			if k < 2 || runs < 2 {
				t.Errorf("only %d deaths, %d timer runs", k, runs)
			}
			return
		}
	}
}

// TestCheckByRequest: a request is checked at once, its repeat is the same check, another request is another one, and a part of the plans
// is looked at alone. Its end is no event.
func TestCheckByRequest(t *testing.T) {
	s, a, active := checking(t, 3)
	first, err := s.engine.Check(t.Context(), active, "one", "")
	if err != nil || first.Ended.IsZero() || first.Looked != 4 || len(first.Findings) != 0 {
		t.Fatal(first, err)
	}
	looks := a.looks
	if again, err := s.engine.Check(t.Context(), active, "one", ""); err != nil || a.looks != looks || again.Ended != first.Ended {
		t.Errorf("a repeat looked again: %+v, %v", again, err)
	}
	a.missing = "API Management Backup on"
	other, err := s.engine.Check(t.Context(), active, "two", "nightly")
	if err != nil || other.Ok != 1 || len(other.Findings) != 3 || other.Plan != "nightly" {
		t.Errorf("another request: %+v, %v", other, err)
	}
	for _, f := range other.Findings {
		if f.Result != "refused" || len(f.Commands) != 2 || !strings.Contains(f.Commands[1], "az role assignment create") {
			t.Errorf("%+v", f)
		}
	}
	s.send(active)
	if n := len(s.published("lifeboat.plan.checked")); n != 0 {
		t.Errorf("%d events", n)
	}
	if _, err := newHarness(t).engine.LastCheck(t.Context()); !errors.Is(err, engine.ErrNoCheck) {
		t.Errorf("before the first: %v", err)
	}
}

// TestCheckOfTheAppsOwn: what the app lacks of its own is a finding by its name, and one thing that cannot be looked at keeps no other back.
func TestCheckOfTheAppsOwn(t *testing.T) {
	s, _, active := checking(t, 1)
	fault := func(kind backup.FaultKind) func(context.Context) []*backup.Fault {
		return func(context.Context) []*backup.Fault {
			return []*backup.Fault{{Kind: kind, Code: "C", Message: "M", Hint: "H"}}
		}
	}
	s.engine.Own = []engine.Own{
		{What: "one", Look: fault(backup.Unobservable)}, {What: "two", Look: func(context.Context) []*backup.Fault { return nil }}, {What: "three", Look: fault(backup.Refused)},
	}
	r, err := s.engine.Check(t.Context(), active, "one", "")
	var found []string
	for _, f := range r.Findings {
		found = append(found, fmt.Sprint(f.What, " ", f.Result, " ", f.Reason.Code, f.Reason.Message, f.Reason.Hint, f.Target))
	}
	if err != nil || r.Ok != 1 || strings.Join(found, ", ") != "one couldNotLook CMH, three refused CMH" {
		t.Errorf("%d ok, %q, %v", r.Ok, found, err)
	}
}

// TestCheckFits: however many services lack however much, the row has room, and says how much it leaves out.
func TestCheckFits(t *testing.T) {
	s, a, active := checking(t, 900)
	a.missing = "on"
	r, err := s.engine.Check(t.Context(), active, "one", "")
	if err != nil || r.Ended.IsZero() || r.Looked != 901 || r.Omitted == 0 || len(backup.Encode(r)) > 64<<10 {
		t.Errorf("%d looked at, %d findings, %d omitted, %d bytes, %v", r.Looked, len(r.Findings), r.Omitted, len(backup.Encode(r)), err)
	}
}

// TestTwoChecks: while a check of one plan goes on, a request for others is refused, names that one, and takes nothing from it. An hour
// later it gives way.
func TestTwoChecks(t *testing.T) {
	s, a, active := checking(t, 40)
	a.takes = 2 * time.Second
	first, err := s.engine.Check(t.Context(), active, "one", "nightly")
	if err != nil || !first.Ended.IsZero() {
		t.Fatal(first, err)
	}
	if other, err := s.engine.Check(t.Context(), active, "two", ""); !errors.Is(err, engine.ErrCheckUnderWay) || other.Plan != "nightly" {
		t.Errorf("another request: %+v, %v", other, err)
	}
	same, err := s.engine.Check(t.Context(), active, "three", "nightly")
	if err != nil || same.Request != "one" || same.Looked <= first.Looked {
		t.Errorf("another request for the same goes on with %+v, %v", same, err)
	}
	if other, err := s.engine.Check(t.Context(), plans.Active{Plans: active.Plans, Hash: "two"}, "four", ""); err != nil || other.Request != "four" {
		t.Errorf("a request for a new text: %+v, %v", other, err)
	}
	s.now = s.now.Add(time.Hour)
	if other, err := s.engine.Check(t.Context(), active, "five", ""); err != nil || other.Request != "five" {
		t.Errorf("an hour later: %+v, %v", other, err)
	}
}

// TestARequestIsNoCheckOfThePlans: a person's check of a new text of plan.yaml does not stand for the app's own, whose end is an event, and
// neither does the app's own of the text before, which was under way.
func TestARequestIsNoCheckOfThePlans(t *testing.T) {
	s, a, active := checking(t, 40)
	run := func(minutes int) {
		t.Helper()
		for range minutes {
			s.now = s.now.Add(time.Minute)
			if err := s.goOn(active); err != nil {
				t.Fatal(err)
			}
			s.send(active)
		}
	}
	events := func() int { return len(s.published("lifeboat.plan.checked")) }
	if _, err := s.engine.Check(t.Context(), active, "one", ""); err != nil {
		t.Fatal(err)
	}
	if run(9); events() != 0 {
		t.Errorf("%d events before the ten minutes", events())
	}
	a.takes = 2 * time.Second
	run(1)
	last, err := s.engine.LastCheck(t.Context())
	if err != nil || last.Request != "" || !last.Ended.IsZero() {
		t.Fatalf("the app's own is not under way: %+v, %v", last, err)
	}
	active.Hash, active.Since = "two", s.now
	a.takes, a.late = 0, 0
	if run(9); events() != 0 {
		t.Errorf("the check of the old text ended with %d events", events())
	}
	if run(2); events() != 1 {
		t.Errorf("the new text had %d events", events())
	}
	if last, err = s.engine.LastCheck(t.Context()); err != nil || last.Plans != "two" || last.Checked != "two" {
		t.Errorf("the last check is %+v, %v", last, err)
	}
	if _, err := s.engine.Check(t.Context(), active, "two", "nightly"); err != nil {
		t.Fatal(err)
	}
	if run(20); events() != 1 {
		t.Errorf("after a person's check there were %d events", events())
	}
}

// TestACheckOfANewerVersion: this version can neither read nor replace it. A request and each timer run say why.
func TestACheckOfANewerVersion(t *testing.T) {
	s, a, active := checking(t, 1)
	write := backup.Write{Op: backup.Insert, Key: backup.CheckKey, Body: json.RawMessage(`{"looked":"all"}`)}
	if _, err := s.engine.Catalog.Apply(t.Context(), write); err != nil {
		t.Fatal(err)
	}
	before, _, err := s.engine.Catalog.Get(t.Context(), backup.CheckKey)
	if err != nil {
		t.Fatal(err)
	}
	s.now = s.now.Add(time.Hour)
	if err := s.goOn(active); !errors.Is(err, backup.ErrUnreadable) || a.looks != 0 {
		t.Errorf("%d looks, %v", a.looks, err)
	}
	if _, err := s.engine.Check(t.Context(), active, "one", ""); err == nil || a.looks != 0 {
		t.Errorf("a request: %d looks, %v", a.looks, err)
	}
	after, _, err := s.engine.Catalog.Get(t.Context(), backup.CheckKey)
	if err != nil || after.ETag != before.ETag {
		t.Errorf("the row is another, %v", err)
	}
}
