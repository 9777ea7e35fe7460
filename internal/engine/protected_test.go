package engine_test

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/health"
	"lifeboat/internal/plans"
	"lifeboat/internal/schedule"
)

// over has the words of an event about an alarm that is over.
type over struct {
	Target, Plan, Status, Alarm string
	Since                       time.Time `json:"sinceDateTime"`
	LastVerified                struct{ ID string }
}

// overs returns these events by their IDs, and checks that each closes an alarm that was published, that no alarm is closed twice, and that
// the alarm is in the event's ID.
func (s *harness) overs() map[string]over {
	s.t.Helper()
	all, closed := map[string]over{}, map[string]string{}
	alarms, _ := s.alarms()
	for _, kind := range []string{"protected", "left"} {
		for id, text := range s.published("lifeboat.target." + kind) {
			subject, data, _ := strings.Cut(text, " ")
			var o over
			if err := json.Unmarshal([]byte(data), &o); err != nil {
				s.t.Fatal(err)
			}
			if by := closed[o.Alarm]; by != "" || alarms[o.Alarm] == 0 || id != kind+"-"+strings.TrimPrefix(o.Alarm, "unprotected-") || subject != o.Target {
				s.t.Errorf("%s closes %s, which %q has closed; alarms %v", id, o.Alarm, by, alarms)
			}
			if closed[o.Alarm] = id; kind == "protected" {
				all[id] = o
			}
		}
	}
	return all
}

// byHand backs the target up now, for a plan that has it.
func (s *harness) byHand(plan backup.Plan, target string) backup.Run {
	s.t.Helper()
	s.provider.begin, s.provider.hash = nil, nil
	s.ids++
	run, err := s.backup("by hand "+s.now.Format(time.RFC3339)+target, plan, target)
	if err != nil {
		s.t.Fatal(err)
	}
	s.finish()
	return s.run(run.ID)
}

// TestAnAlarmIsOver: the first timer run after the backup says so, once, whether the scheduled time is far. The next alarm, and its end,
// have other IDs.
func TestAnAlarmIsOver(t *testing.T) {
	plan := nightly()
	s := rotten(t, plan)
	for round := range 3 {
		s.now = s.now.Add(3 * day).Truncate(day).Add(5 * time.Hour)
		s.runSchedule(plan)
		s.refuse()
		s.finish()
		s.now = s.now.Add(time.Hour)
		s.runSchedule(plan)
		before := s.overs()
		if ids, _ := s.alarms(); len(ids) != round+1 || len(before) != round {
			t.Fatalf("round %d: alarms %v, over %v", round, ids, before)
		}
		s.now = s.now.Add(time.Hour)
		run := s.byHand(plan, target)
		s.now = s.now.Add(time.Minute)
		s.runSchedule(plan)
		after := s.overs()
		maps.DeleteFunc(after, func(id string, _ over) bool { _, known := before[id]; return known })
		for id, o := range after {
			if len(after) != 1 || o.Target != target || o.Plan != "nightly" || o.Status != "protected" || o.LastVerified.ID != run.ID ||
				!o.Since.Equal(s.now.Add(-time.Minute)) {
				t.Errorf("round %d: %s says %+v", round, id, o)
			}
		}
		if len(after) != 1 {
			t.Fatalf("round %d: over %v", round, after)
		}
		s.storage.calls = 0
		if s.runSchedule(plan); s.storage.calls != 2 {
			t.Errorf("an idle timer run makes %d requests", s.storage.calls)
		}
		s.refuse()
	}
}

// TestTheEndOfAnAlarmSurvivesKills lets each storage call of the timer run fail that sees that the targets are backed up, before and after it
// took effect: with a scheduled time to be made at the same time, and without.
func TestTheEndOfAnAlarmSurvivesKills(t *testing.T) {
	plan := many(2)
	for _, at := range []time.Duration{3*day + 4*time.Hour, 4 * day} {
		for _, made := range []bool{false, true} {
			for k := 1; ; k++ {
				s := rotten(t, plan)
				s.now = begin.Add(3*day + 2*time.Hour)
				s.runSchedule(plan)
				s.finish()
				s.now = begin.Add(3*day + 3*time.Hour)
				s.runSchedule(plan)
				s.byHand(plan, plan.Targets[0])
				s.byHand(plan, plan.Targets[1])
				if n := len(s.overs()); n > 0 {
					t.Fatalf("%d are over before a timer run", n)
				}
				s.now = begin.Add(at)
				s.storage.calls, s.storage.failAt, s.storage.made = 0, k, made
				_, _ = s.engine.Schedule(t.Context(), []backup.Plan{plan})
				s.storage.failAt = 0
				reached := s.storage.calls >= k
				for _, later := range []time.Duration{time.Minute, time.Minute, 20 * time.Minute, 20 * time.Minute} {
					s.now = s.now.Add(later)
					s.runSchedule(plan)
					s.finish()
				}
				if ids, _ := s.alarms(); len(ids) != 2 || len(s.overs()) != 2 {
					t.Errorf("call %d fails at %s (made: %v): alarms %v, over %v", k, at, made, ids, s.overs())
				}
				s.storage.calls, s.storage.writes = 0, 0
				s.now = s.now.Add(time.Minute)
				if s.runSchedule(plan); s.storage.calls != 2 || s.storage.writes != 0 {
					t.Errorf("call %d fails at %s: a timer run later costs %d calls", k, at, s.storage.calls)
				}
				if !reached {
					if k < 6 {
						t.Errorf("only %d calls", k-1)
					}
					break
				}
			}
		}
	}
}

// TestTheEndOfAnAlarmInTwoTimerRuns: a second timer run happens as a whole before any one call of the first. They say the same.
func TestTheEndOfAnAlarmInTwoTimerRuns(t *testing.T) {
	plan := nightly()
	for _, at := range []time.Duration{3*day + 4*time.Hour, 4 * day} {
		for k := 1; ; k++ {
			s := rotten(t, plan)
			s.now = begin.Add(3*day + 2*time.Hour)
			s.runSchedule(plan)
			s.finish()
			s.byHand(plan, target)
			s.now = begin.Add(at)
			other, reached := s.another(0), false
			s.storage.calls = 0
			s.storage.before = func(call int) {
				if call != k || reached {
					return
				}
				reached = true
				if _, err := other.Schedule(t.Context(), []backup.Plan{plan}); err != nil {
					t.Errorf("the other timer run: %v", err)
				}
			}
			s.runSchedule(plan)
			s.storage.before = nil
			if !reached {
				break
			}
			for range 2 {
				s.now = s.now.Add(time.Minute)
				s.runSchedule(plan)
			}
			if ids, _ := s.alarms(); len(ids) != 1 || len(s.overs()) != 1 {
				t.Errorf("before call %d: alarms %v, over %v", k, ids, s.overs())
			}
		}
	}
}

// TestTheEndOfAnAlarmThatAnotherTimerRunDidNotSee: the backup ends before call k of a timer run. A second one begins, stops before its call m
// until the first has ended, and goes on. If the first has looked before the backup and saves the evaluation, the second has seen the
// backup and saves the facts alone: the alarm is over all the same.
func TestTheEndOfAnAlarmThatAnotherTimerRunDidNotSee(t *testing.T) {
	plan := nightly()
	for k := 1; ; k++ {
		for m := 1; ; m++ {
			s := rotten(t, plan)
			s.now = begin.Add(3*day + 2*time.Hour)
			s.runSchedule(plan)
			s.finish()
			s.now = begin.Add(4 * day)
			other, first, second := s.another(0), 0, 0
			stopped, goOn, done := make(chan bool, 2), make(chan bool), make(chan error, 1)
			reached, inBetween := false, false
			stop := func(int) {
				if second++; second == m {
					s.storage.before = nil
					stopped <- true
					<-goOn
				}
			}
			s.storage.before = func(int) {
				if first++; first != k {
					return
				}
				s.storage.before, reached = nil, true
				s.byHand(plan, target)
				s.storage.before = stop
				go func() {
					_, err := other.Schedule(t.Context(), []backup.Plan{plan})
					stopped <- false
					done <- err
				}()
				inBetween = <-stopped
				s.storage.before = nil
			}
			s.runSchedule(plan)
			if s.storage.before = nil; !reached {
				if k < 10 {
					t.Errorf("only %d calls", k-1)
				}
				return
			}
			close(goOn)
			if err := <-done; err != nil {
				t.Errorf("before call %d, the other at its call %d: %v", k, m, err)
			}
			for range 2 {
				s.now = s.now.Add(time.Minute)
				s.runSchedule(plan)
			}
			if ids, _ := s.alarms(); len(ids) != 1 || len(s.overs()) != 1 {
				t.Errorf("before call %d, the other at its call %d: alarms %v, over %v", k, m, ids, s.overs())
			}
			if !inBetween {
				break
			}
		}
	}
}

// TestAnAlarmHoldsWhileItsTargetIsUnprotected: a newer point that is too old as well, or is suspect, ends no alarm and begins no other. It
// ends by a backup, by an acceptance, or when the target leaves its plan: by one of them alone.
func TestAnAlarmHoldsWhileItsTargetIsUnprotected(t *testing.T) {
	for end, kind := range map[string]string{"backup": "protected", "accept": "protected", "leave": "left"} {
		var text string
		s, book := alarmed(t, &text)
		plan := nightly()
		plan.Targets = []string{target + "-a", target + "-b"}
		first, _ := s.alarms()
		old := s.byHand(plan, target+"-a")
		p := *s.status(old.ID).Point
		p.Created, p.AsOf = begin.Add(day+2*time.Hour), begin.Add(day+2*time.Hour)
		s.put(p)
		s.now = s.now.Add(time.Hour)
		suspect := s.byHand(plan, target+"-a")
		p = *s.status(suspect.ID).Point
		p.State, p.Suspicion = backup.Suspect, backup.NewReason("SizeSuspect", "it is small", "")
		s.put(p)
		for range 3 {
			s.now = s.now.Add(time.Minute)
			s.settle(book)
		}
		if ids, _ := s.alarms(); !maps.Equal(ids, first) || len(s.overs()) > 0 {
			t.Fatalf("%s: alarms %v after %v, over %v", end, ids, first, s.overs())
		}
		switch end {
		case "backup":
			s.byHand(plan, target+"-a")
		case "accept":
			if _, err := s.engine.Accept(t.Context(), suspect.ID, "me", ""); err != nil {
				t.Fatal(err)
			}
		case "leave":
			text = "-b"
		}
		s.now = s.now.Add(time.Minute)
		s.settle(book)
		s.overs()
		for other, want := range map[string]int{kind: 1, map[string]string{"left": "protected", "protected": "left"}[kind]: 0} {
			if got := s.published("lifeboat.target." + other); len(got) != want {
				t.Errorf("%s: %s of %v", end, other, got)
			}
		}
		s.byHand(plan, target+"-b") // with the other one it ends too, once
		text = "-a"
		for range 3 {
			s.now = s.now.Add(time.Minute)
			s.settle(book)
		}
		s.overs()
		if n := len(s.published("lifeboat.target.protected")) + len(s.published("lifeboat.target.left")); n != 2 {
			t.Errorf("%s: %d alarms of two are over", end, n)
		}
	}
}

// TestAnEditEndsAnAlarm: at once, though the next scheduled time is a month away. Edited back, the alarm at the same recovery point has
// another ID.
func TestAnEditEndsAnAlarm(t *testing.T) {
	text := "30 2 * * *"
	plan := nightly()
	plan.Expression = text
	s := rotten(t, plan)
	book := &plans.Store{
		App: s.engine.App, Catalog: s.storage,
		Read: func(context.Context) ([]byte, error) { return []byte(text), nil },
		Parse: func(text []byte) ([]backup.Plan, error) {
			p := plan
			if p.Expression = string(text); p.Expression != plan.Expression {
				p.Schedule.Day = 1
			}
			return []backup.Plan{p}, nil
		},
	}
	s.engine.Left = book.Left
	s.now = begin.Add(3*day + 2*time.Hour)
	s.settle(book)
	s.finish()
	for round := 1; round < 4; round++ {
		if ids, _ := s.alarms(); len(ids) != round || len(s.overs()) != round-1 {
			t.Fatalf("round %d: alarms %v, over %v", round, ids, s.overs())
		}
		text = "30 2 1 * *"
		s.now = s.now.Add(time.Minute)
		s.settle(book)
		if ended := s.overs(); len(ended) != round || slices.ContainsFunc(slices.Collect(maps.Values(ended)), func(o over) bool {
			return o.Status == "unprotected" || o.Since.Before(begin.Add(3*day)) || o.LastVerified.ID == ""
		}) {
			t.Errorf("round %d: over %v", round, ended)
		}
		text = "30 2 * * *"
		for range 3 * 24 {
			s.now = s.now.Add(time.Hour)
			s.settle(book)
			s.finish()
		}
	}
}

// TestAnEvaluationForgetsNoAlarmOfWhatHasLeft: a timer run goes by a text of plan.yaml that could not be saved, and evaluates the plan. The
// next one saves the text, and takes the alarm back.
func TestAnEvaluationForgetsNoAlarmOfWhatHasLeft(t *testing.T) {
	var text string
	s, book := alarmed(t, &text)
	text = "-b"
	plans, err := book.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	s.now = begin.Add(4*day + time.Hour)
	s.runSchedule(plans...)
	s.finish()
	if left := s.published("lifeboat.target.left"); len(left) > 0 {
		t.Errorf("before the text is saved: %v", left)
	}
	s.now = s.now.Add(time.Minute)
	s.settle(book)
	s.overs()
	if left := s.published("lifeboat.target.left"); len(left) != 1 {
		t.Errorf("left: %v", left)
	}
}

// TestASecondEditRaisesNoAlarm: a nightly plan becomes hourly, and ten minutes later, before the first hourly time, it becomes one for
// each ten minutes. Its target, which is backed up each night and was protected until then, has the first interval of the second edit.
func TestASecondEditRaisesNoAlarm(t *testing.T) {
	s := newHarness(t)
	plan := nightly()
	plan.Expression = "30 2 * * *"
	s.runSchedule(plan)
	s.now = begin.Add(day)
	s.runSchedule(plan)
	s.finish()
	s.now = s.now.Add(17 * time.Hour).Truncate(time.Hour).Add(10 * time.Minute)
	s.runSchedule(plan)
	if h := s.health(plan); h.Status != health.Protected {
		t.Fatalf("before: %+v", h)
	}
	edit := func(expression string) backup.Plan {
		e, err := schedule.Parse(expression)
		if err != nil {
			t.Fatal(err)
		}
		edited := plan
		edited.Expression, edited.Schedule = expression, e.In(plan.Schedule.Zone)
		return edited
	}
	hourly := edit("0 * * * *")
	s.runSchedule(hourly) // its backup takes half an hour
	if h := s.health(hourly); h.Status == health.Unprotected {
		t.Fatalf("after the first edit: %+v", h)
	}
	s.now = s.now.Add(time.Minute)
	often := edit("*/10 * * * *")
	s.runSchedule(often)
	if h := s.health(often); h.Status == health.Unprotected {
		t.Errorf("after the second edit, at %s: %s, deadline %s, %+v", s.now, h.Status, h.Deadline, h.Reason)
	}
	s.now = s.now.Truncate(10 * time.Minute).Add(10*time.Minute + time.Second) // the first scheduled time of the second edit
	s.runSchedule(often)
	if ids, _ := s.alarms(); len(ids) > 0 {
		t.Errorf("alarms %v", ids)
	}
}

// TestEditsSilenceNoAlarm: a target that was not backed up for two nights is unprotected. However often a person edits its schedule, from a
// minute to a month and back, it stays so, as far as the new schedule does not take the point for young.
func TestEditsSilenceNoAlarm(t *testing.T) {
	s := newHarness(t)
	edit := func(expression string) backup.Plan {
		e, err := schedule.Parse(expression)
		if err != nil {
			t.Fatal(err)
		}
		plan := nightly()
		plan.Expression, plan.Schedule = expression, e.In(plan.Schedule.Zone)
		return plan
	}
	s.runSchedule(edit("30 2 * * *"))
	s.now = begin.Add(day)
	s.runSchedule(edit("30 2 * * *"))
	s.finish()
	s.provider.begin = func(backup.Attempt) (backup.Operation, error) {
		return backup.Operation{}, fault(backup.Retryable, "Busy")
	}
	for end := s.now.Add(3 * day); s.now.Before(end); s.now = s.now.Add(time.Hour) {
		s.runSchedule(edit("30 2 * * *"))
		s.deliver()
	}
	for i, expression := range []string{"0 * * * *", "*/10 * * * *", "0 3 1 * *", "0 * * * *", "30 * * * *", "30 2 * * *"} {
		s.now = s.now.Add(time.Minute)
		plan := edit(expression)
		s.runSchedule(plan)
		if h := s.health(plan); (h.Status == health.Unprotected) == (expression == "0 3 1 * *") {
			t.Errorf("after edit %d, to %s: %s, deadline %s", i, expression, h.Status, h.Deadline)
		}
	}
}

// TestEditsDoNotGoOnForEver: a plan is edited each hour, and makes no backup any more. Its target is unprotected after a day of edits.
func TestEditsDoNotGoOnForEver(t *testing.T) {
	s := newHarness(t)
	plan := nightly()
	plan.Expression = "*/10 * * * *"
	e, err := schedule.Parse(plan.Expression)
	if err != nil {
		t.Fatal(err)
	}
	plan.Schedule = e.In(plan.Schedule.Zone)
	s.runSchedule(plan)
	s.now = begin.Add(10 * time.Minute)
	s.runSchedule(plan)
	s.finish()
	s.provider.begin = func(backup.Attempt) (backup.Operation, error) {
		return backup.Operation{}, fault(backup.Retryable, "Busy")
	}
	began := s.now
	var alarmed time.Time
	for i := 0; s.now.Before(began.Add(3 * day)); i++ {
		plan.Expression = []string{"*/30 * * * *", "15 * * * *"}[i%2]
		if e, err = schedule.Parse(plan.Expression); err != nil {
			t.Fatal(err)
		}
		plan.Schedule = e.In(plan.Schedule.Zone)
		s.runSchedule(plan)
		if h := s.health(plan); h.Status == health.Unprotected && alarmed.IsZero() {
			alarmed = s.now
		}
		s.now = s.now.Add(25 * time.Minute)
	}
	if after := alarmed.Sub(began); after < 12*time.Hour || after > 27*time.Hour {
		t.Errorf("unprotected after %s", after)
	}
}
