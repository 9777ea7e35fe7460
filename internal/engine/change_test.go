package engine_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/request"
)

// changing returns a plan with two targets that are backed up ten minutes after their last change, and kept for a week then.
func changing() backup.Plan {
	plan := fleet(2)
	plan.Quiet, plan.OnDemandKeepWithin = 10*time.Minute, 7*24*time.Hour
	return plan
}

// onChange returns the runs that changes made, the oldest first, as the minutes after the time at which they were created.
func (s *harness) onChange(after time.Time) string {
	s.t.Helper()
	var all []string
	for _, row := range s.storage.catalog.Rows() {
		if !strings.HasPrefix(row.Row, "run-") {
			continue
		}
		run, err := backup.Decode[backup.Run](row)
		if err != nil {
			s.t.Fatal(err)
		}
		if strings.HasPrefix(run.Request, "onChange.") {
			all = append([]string{fmt.Sprintf("%s+%g", run.Target[len(target)+1:], run.Created.Sub(after).Minutes())}, all...)
			if run.Settings.KeepWithin != 7*24*time.Hour {
				s.t.Errorf("%s is kept for %s", run.ID, run.Settings.KeepWithin)
			}
		}
	}
	return strings.Join(all, " ")
}

// TestChanges lets events of changes come at some minutes, about changes of some minutes, and timer runs each minute.
func TestChanges(t *testing.T) {
	type event struct{ comes, changed int } // minutes; a change of the minute -1 has no time of its own
	for name, c := range map[string]struct {
		events []event
		want   string
	}{
		"none":                        {nil, ""},
		"one":                         {[]event{{1, 1}}, "0+11"},
		"several":                     {[]event{{1, 1}, {5, 5}, {9, 9}}, "0+19"},
		"one that comes late":         {[]event{{20, 1}}, "0+20"},
		"one without a time":          {[]event{{4, -1}}, "0+14"},
		"one that is repeated":        {[]event{{1, 1}, {2, 1}, {10, 1}, {11, 1}, {40, 1}}, "0+11"},
		"the last one comes first":    {[]event{{3, 3}, {4, 1}, {5, 2}}, "0+13"},
		"the first one comes at last": {[]event{{3, 3}, {30, 1}}, "0+13"},
		"two backups":                 {[]event{{1, 1}, {30, 30}}, "0+11 0+40"},
		"one without an end": {
			[]event{{1, 1}, {9, 9}, {18, 18}, {27, 27}, {36, 36}, {45, 45}, {54, 54}, {59, 59}, {60, 60}, {62, 62}, {62, 60}}, "0+61 0+72",
		},
		"one of the future":                 {[]event{{1, 100}}, "0+11"},
		"one that comes after its backup":   {[]event{{1, 1}, {20, 8}}, "0+11"},
		"one from just before the backup":   {[]event{{1, 1}, {13, 10}}, "0+11 0+20"},
		"one in the minute of its backup":   {[]event{{1, 1}, {11, 11}}, "0+21"},
		"one in the minute after a backup ": {[]event{{1, 1}, {12, 12}}, "0+11 0+22"},
	} {
		t.Run(name, func(t *testing.T) {
			s, plan := newHarness(t), changing()
			began := s.now
			for minute := range 90 {
				s.now = began.Add(time.Duration(minute) * time.Minute)
				for _, e := range c.events {
					if e.comes != minute {
						continue
					}
					change := request.Change{Target: strings.ToUpper(plan.Targets[0])}
					if e.changed >= 0 {
						change.Time = began.Add(time.Duration(e.changed) * time.Minute)
					}
					if noted, err := s.engine.Changed(t.Context(), change, []backup.Plan{plan}); err != nil || len(noted) != 1 {
						t.Fatal(noted, err)
					}
				}
				s.runSchedule(plan)
			}
			if got := s.onChange(began); got != c.want {
				t.Errorf("backups %s, want %s", got, c.want)
			}
		})
	}
}

// TestChangesOfOthers checks that nothing is noted of a service or a plan without onChange, that a paused plan makes its backup
// after the pause, and that each plan and target has its own.
func TestChangesOfOthers(t *testing.T) {
	s, plan := newHarness(t), changing()
	began := s.now
	note := func(target string, plans ...backup.Plan) string {
		noted, err := s.engine.Changed(t.Context(), request.Change{Target: target}, plans)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(noted, " ")
	}
	none := plan
	none.Quiet = 0
	if got := note(target+"-x", plan) + note(plan.Targets[0], none) + note(plan.Targets[0]); got != "" || s.rows("changes-") != 0 {
		t.Errorf("noted for %q", got)
	}
	other := plan
	other.Name, other.Quiet, other.Targets = "other", time.Minute, plan.Targets[1:]
	if got := note(plan.Targets[0], plan, other) + ", " + note(plan.Targets[1], plan, other); got != plan.Name+", "+plan.Name+" other" {
		t.Errorf("noted for %q", got)
	}
	plan.Paused = true
	for range 30 {
		s.now = s.now.Add(time.Minute)
		s.runSchedule(plan, other)
	}
	if got := s.onChange(began); got != "1+1" {
		t.Errorf("with a paused plan: %s", got)
	}
	plan.Paused = false
	s.runSchedule(plan, other)
	if got := s.onChange(began); strings.Count(got, "+30") != 2 || strings.Count(got, "+") != 3 {
		t.Errorf("after the pause: %s", got)
	}
}

// TestChangesSurvive lets every call to storage fail, made or not, and the process die before each and after each, while a change
// is noted and its backup is made, and while another one comes. There is one backup of each.
func TestChangesSurvive(t *testing.T) {
	for _, how := range []string{"fails", "is made and fails", "dies before", "dies after"} {
		for k := 1; ; k++ {
			s, plan := newHarness(t), changing()
			s.engine.Parallelism = 1
			s.runSchedule(plan) // the plan's own rows
			s.storage.calls = 0
			switch how {
			case "fails", "is made and fails":
				s.storage.failAt, s.storage.made = k, how == "is made and fails"
			case "dies before":
				s.storage.before = func(call int) {
					if call == k {
						panic(dead{})
					}
				}
			case "dies after":
				s.storage.failAt, s.storage.made, s.storage.fatal = k, true, true
			}
			began := s.now
			try := func(f func() error) (err error) {
				defer func() {
					if p := recover(); p != nil {
						err = errBroken
					}
				}()
				return f()
			}
			for minute := 0; minute < 60; minute += 5 {
				s.now = began.Add(time.Duration(minute) * time.Minute)
				if minute == 5 || minute == 30 {
					change := request.Change{Target: plan.Targets[0], Time: s.now}
					note := func() error { _, err := s.engine.Changed(t.Context(), change, []backup.Plan{plan}); return err }
					if try(note) != nil { // the message comes again
						if err := note(); err != nil {
							t.Fatalf("call %d %s: %v", k, how, err)
						}
					}
				}
				_ = try(func() error { _, err := s.engine.Schedule(t.Context(), []backup.Plan{plan}); return err })
			}
			got := strings.Fields(s.onChange(began))
			if len(got) != 2 {
				t.Errorf("call %d %s: backups %s", k, how, got)
			}
			row, _, err := s.storage.catalog.Get(t.Context(), backup.ChangesKey(plan.Name, plan.Targets[0]))
			if c, unread := request.DecodeChanges(row); err != nil || unread != nil || !c.Making.IsZero() || !c.First.IsZero() {
				t.Errorf("call %d %s: the row is left as %+v, %v, %v", k, how, c, err, unread)
			}
			if s.storage.calls < k {
				break
			}
		}
	}
}
