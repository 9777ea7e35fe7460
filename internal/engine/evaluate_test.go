package engine_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
	"lifeboat/internal/schedule"
)

// alarms returns the events about targets that turned unprotected, by their IDs, with the number of times that each was sent.
func (s *harness) alarms() (ids map[string]int, last backup.Event) {
	ids = map[string]int{}
	for _, e := range s.storage.queue.Events() {
		if e.Type == "lifeboat.target.unprotected" {
			ids[e.ID]++
			last = e
		}
	}
	return ids, last
}

// rotten makes a target that was backed up once, at 03:30 of day 1, and whose backups Azure has refused since. It is unprotected
// from 03:30 of day 3 on.
func rotten(t *testing.T, plan backup.Plan) *harness {
	t.Helper()
	s := newHarness(t)
	s.engine.Services = slices.Clone(s.engine.Services)
	for i := range s.engine.Services {
		s.engine.Services[i].PointTime = backup.AtEnd
	}
	s.provider.hash = func(a backup.Attempt, _ backup.Hashing) (backup.Verification, error) {
		return backup.Verification{
			Done: true, Hashing: backup.Hashing{ETag: "etag"}, Size: 7, SHA256: "beef",
			Modified: s.now.Truncate(day).Add(3*time.Hour + 30*time.Minute),
		}, nil
	}
	s.runSchedule(plan)
	s.now = begin.Add(day)
	s.runSchedule(plan)
	s.finish()
	s.refuse()
	s.now = begin.Add(2 * day)
	s.runSchedule(plan)
	s.finish()
	if ids, _ := s.alarms(); len(ids) != 0 || s.rows("point-") != len(plan.Targets) {
		t.Fatalf("%d points, alarms %v", s.rows("point-"), ids)
	}
	return s
}

// refuse has Azure refuse all backups from now on.
func (s *harness) refuse() {
	s.provider.begin = func(backup.Attempt) (backup.Operation, error) {
		return backup.Operation{}, fault(backup.Refused, "AuthorizationFailed")
	}
}

// TestUnprotected: the alarm is published once when two intervals have passed, with the reason in Azure's words; again if the
// target was backed up in between; and never while it is protected.
func TestUnprotected(t *testing.T) {
	plan := nightly()
	s := rotten(t, plan)
	turns := begin.Add(3*day + time.Hour)
	for ; s.now.Before(begin.Add(6 * day)); s.now = s.now.Add(10 * time.Minute) {
		report := s.runSchedule(plan)
		s.finish()
		ids, e := s.alarms()
		if told := len(ids) > 0; told != s.now.After(turns) {
			t.Fatalf("at %s told of %v, turned at %s", s.now, ids, turns)
		}
		if len(report.Unprotected) == 0 {
			continue
		}
		var d struct {
			Target, Plan, Status string
			Since                time.Time `json:"sinceDateTime"`
			NextScheduledTime    time.Time
			Reason               backup.Reason
			LastVerified         struct {
				ID           string
				Created      time.Time `json:"createdDateTime"`
				AgeInSeconds int64
			}
			IntervalInSeconds int64
		}
		if err := json.Unmarshal(e.Data, &d); err != nil {
			t.Fatal(err)
		}
		if e.Subject != target || !e.Time.Equal(turns) || d.Target != target || d.Plan != "nightly" ||
			d.Status != "unprotected" || !d.Since.Equal(turns) || !d.NextScheduledTime.Equal(begin.Add(4*day)) ||
			d.Reason.Code != "AuthorizationFailed" || !strings.Contains(d.Reason.Message, "the last 2 runs ended") ||
			d.LastVerified.ID == "" || !d.LastVerified.Created.Equal(turns.Add(-2*day)) ||
			d.LastVerified.AgeInSeconds != int64(s.now.Sub(turns.Add(-2*day)).Seconds()) || d.IntervalInSeconds != 24*60*60 {
			t.Errorf("%s %s says %s", e.Subject, e.Time, e.Data)
		}
	}
	ids, _ := s.alarms()
	for id, n := range ids {
		if len(ids) != 1 || n != 1 || !strings.HasPrefix(id, "unprotected-nightly.") {
			t.Errorf("told of %v", ids)
		}
	}
	// It is backed up, and then fails again.
	s.provider.begin = nil
	s.runSchedule(plan)
	s.finish()
	s.refuse()
	for ; s.now.Before(begin.Add(10 * day)); s.now = s.now.Add(time.Hour) {
		s.runSchedule(plan)
		s.finish()
	}
	if ids, e := s.alarms(); len(ids) != 2 || ids[e.ID] != 1 || !e.Time.Equal(begin.Add(8*day+time.Hour)) {
		t.Errorf("after it was backed up once more: %v, %s", ids, e.Time)
	}
}

// TestUnprotectedSurvivesKills lets every storage call fail, before and after it took effect, of the timer run that finds the
// targets unprotected: with a scheduled time to be made at the same time, and without.
func TestUnprotectedSurvivesKills(t *testing.T) {
	plan := many(2)
	for _, at := range []time.Duration{3*day + 2*time.Hour, 4 * day} {
		for _, made := range []bool{false, true} {
			for k := 1; ; k++ {
				s := rotten(t, plan)
				s.now = begin.Add(3 * day)
				s.runSchedule(plan)
				s.finish()
				s.now = begin.Add(at)
				s.storage.calls, s.storage.failAt, s.storage.made = 0, k, made
				report, err := s.engine.Schedule(t.Context(), []backup.Plan{plan})
				s.storage.failAt = 0
				if s.storage.calls < k {
					break
				}
				if err == nil && report.Unsent == 0 {
					t.Errorf("call %d fails at %s, and nobody is told", k, at)
				}
				for range 3 {
					s.now = s.now.Add(time.Minute)
					s.runSchedule(plan)
					s.finish()
				}
				if ids, _ := s.alarms(); len(ids) != 2 {
					t.Errorf("call %d fails at %s (made: %v): told of %v", k, at, made, ids)
				}
				s.storage.calls, s.storage.writes = 0, 0
				s.now = s.now.Add(time.Minute)
				if s.runSchedule(plan); s.storage.calls != 2 || s.storage.writes != 0 {
					t.Errorf("call %d fails at %s: a timer run later costs %d calls", k, at, s.storage.calls)
				}
			}
		}
	}
}

// TestUnprotectedTwoTimerRuns: a second timer run happens as a whole before any one call of the first. If an event is published
// twice, it has one ID.
func TestUnprotectedTwoTimerRuns(t *testing.T) {
	plan := nightly()
	for k := 1; ; k++ {
		s := rotten(t, plan)
		s.now = begin.Add(4 * day)
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
		s.now = s.now.Add(time.Minute)
		s.runSchedule(plan)
		if ids, e := s.alarms(); len(ids) != 1 || ids[e.ID] > 2 {
			t.Errorf("before call %d: told of %v", k, ids)
		}
	}
}

// TestUnprotectedWithoutAnyPoint: two intervals after the plan's first run. Many runs later it is still one event.
func TestUnprotectedWithoutAnyPoint(t *testing.T) {
	s := newHarness(t)
	s.refuse()
	plan := nightly()
	for ; s.now.Before(begin.Add(15 * day)); s.now = s.now.Add(time.Hour) {
		s.runSchedule(plan)
		s.finish()
		// The first run was made at day 1.
		if ids, _ := s.alarms(); len(ids) > 0 != s.now.After(begin.Add(3*day)) || len(ids) > 1 {
			t.Fatalf("at %s: %v", s.now, ids)
		}
	}
}

// TestUnprotectedByEdit: a plan that asks for more, or has another name, is evaluated by its present text, once its first scheduled time
// has had its interval.
func TestUnprotectedByEdit(t *testing.T) {
	for name, edit := range map[string]func(*backup.Plan){
		"every hour": func(p *backup.Plan) { p.Schedule.Hour, p.Expression = schedule.EveryHour, "30 * * * *" },
		"renamed": func(p *backup.Plan) {
			p.Name, p.Schedule.Hour, p.Expression = "hourly", schedule.EveryHour, "30 * * * *"
		},
	} {
		plan := nightly()
		plan.Expression = "30 2 * * *"
		s := rotten(t, plan)
		edit(&plan)
		s.now = begin.Add(2*day + 20*time.Minute)
		if s.runSchedule(plan); len(s.storage.queue.Messages("execute")) > 0 {
			t.Fatalf("%s: a scheduled time is due: the test wants none", name)
		}
		for _, after := range []time.Duration{time.Hour, 2 * time.Hour, 3 * time.Hour} {
			s.now = begin.Add(2*day + after)
			s.runSchedule(plan)
			if ids, _ := s.alarms(); (len(ids) == 1) != (after > 2*time.Hour) {
				t.Errorf("%s, after %s: %v", name, after, ids)
			}
		}
	}
}

// TestEvaluationCosts: a request for each of a thousand targets, after all their runs were made; then nothing.
func TestEvaluationCosts(t *testing.T) {
	t.Parallel()
	plan := many(1000)
	s := rotten(t, plan)
	s.now = begin.Add(3*day + 2*time.Hour)
	s.runSchedule(plan) // their runs; and all of them have turned
	if ids, _ := s.alarms(); len(ids) != 1000 || slices.Max(slices.Collect(maps.Values(ids))) != 1 {
		t.Errorf("told of %d targets", len(ids))
	}
	s.finish()
	s.now = s.now.Add(time.Hour)
	s.runSchedule(plan) // the rescuer
	s.now = begin.Add(4 * day)
	s.storage.calls, s.storage.writes = 0, 0
	created := len(s.runSchedule(plan).Created)
	// The two lists of every timer run; two for each run, and one for the index entries of a hundred; the checkpoint before and after; the two lists of the facts, a list for
	// each target, and a write for each hundred; the row of the evaluation; the note that the timer run came.
	if want := 2 + 2*1000 + 10 + 2 + 2 + 1000 + 10 + 1 + 1; created != 1000 || s.storage.calls != want || s.storage.writes != 2*1000+24 {
		t.Errorf("%d runs cost %d calls, want %d; %d writes", created, s.storage.calls, want, s.storage.writes)
	}
	s.storage.calls = 0
	if s.runSchedule(plan); s.storage.calls != 2 {
		t.Errorf("an idle timer run costs %d calls", s.storage.calls)
	}
}

// TestEvaluationGoesOnWithoutSome: a target that cannot be evaluated does not keep the events about others back, and is not
// forgotten.
func TestEvaluationGoesOnWithoutSome(t *testing.T) {
	plan := many(3)
	s := rotten(t, plan)
	var sound backup.Row
	for _, row := range s.storage.catalog.Rows() {
		if strings.HasPrefix(row.Row, "point-") && strings.Contains(string(row.Body), target+"-1") {
			sound = row
		}
	}
	put := func(body json.RawMessage) {
		t.Helper()
		w := backup.Write{Op: backup.Put, Key: sound.Key, Body: body}
		if _, err := s.storage.catalog.Apply(t.Context(), w); err != nil {
			t.Fatal(err)
		}
	}
	put(json.RawMessage(`{"Created":"never"}`))
	s.now = begin.Add(3*day + 2*time.Hour)
	for range 2 {
		_, err := s.engine.Schedule(t.Context(), []backup.Plan{plan})
		if err == nil || !strings.Contains(err.Error(), "1 of the 3 targets of plan nightly") {
			t.Errorf("nobody is told of the broken row: %v", err)
		}
		if ids, e := s.alarms(); len(ids) != 2 || ids[e.ID] != 1 {
			t.Errorf("told of %v", ids)
		}
	}
	put(sound.Body)
	s.runSchedule(plan)
	if ids, e := s.alarms(); len(ids) != 3 || e.Subject != target+"-1" {
		t.Errorf("told of %v", ids)
	}
}

// TestEvaluationByWrongClocks: a timer run with clocks that are too far apart evaluates nothing. If a clock was wrong for one
// timer run, later timer runs evaluate all the same.
func TestEvaluationByWrongClocks(t *testing.T) {
	plan := nightly()
	s := rotten(t, plan)
	s.now = begin.Add(2*day + 30*time.Minute)
	s.engine.Now = func() time.Time { return s.now.Add(400 * day) }
	if _, err := s.engine.Schedule(t.Context(), []backup.Plan{plan}); !errors.Is(err, engine.ErrClock) {
		t.Fatal(err)
	}
	if ids, _ := s.alarms(); len(ids) != 0 {
		t.Errorf("told of %v", ids)
	}
	s.engine.Now = func() time.Time { return s.now }
	body := fmt.Sprintf(`{"Plan":"nightly","At":%q}`, begin.Add(400*day).Format(time.RFC3339))
	w := backup.Write{Op: backup.Put, Key: backup.Key{Partition: "schedule", Row: "evaluated-nightly"}, Body: []byte(body)}
	if _, err := s.storage.catalog.Apply(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	s.now = begin.Add(3*day + 2*time.Hour)
	s.runSchedule(plan)
	if ids, _ := s.alarms(); len(ids) != 1 {
		t.Errorf("after an evaluation in the future: %v", ids)
	}
}
