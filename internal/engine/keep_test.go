package engine_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
)

// TestWhatCannotBeKeptIsNotMade: a plan that keeps recovery points for less than nothing, as a time that overflowed does, is
// refused before anything is begun, and nothing is deleted for it.
func TestWhatCannotBeKeptIsNotMade(t *testing.T) {
	overflowed := 999_999
	for _, keep := range []time.Duration{time.Duration(overflowed) * day, -time.Second, backup.LongestKeep + time.Second} {
		t.Run(keep.String(), func(t *testing.T) {
			s := newHarness(t)
			good := s.ask("good")
			s.finish()
			plan := nightly()
			plan.Settings.KeepWithin = keep
			for i := range 5 {
				s.now = s.now.Add(time.Hour)
				run, err := s.backup(fmt.Sprint("r", i), plan, target)
				if err != nil {
					t.Fatal(err)
				}
				s.finish()
				if run = s.ended(run.ID, backup.StateRefused, "InvalidKeep"); !strings.Contains(run.Reason.Message, keep.String()) {
					t.Errorf("the reason does not say for how long: %+v", run.Reason)
				}
			}
			s.cleanup()
			if len(s.provider.begun) != 1 || len(s.provider.deleted) != 0 || s.state(good.ID) != backup.Live {
				t.Errorf("begun %q, deleted %q", s.provider.begun, s.provider.deleted)
			}
		})
	}
	t.Run("no time at all", func(t *testing.T) {
		s := newHarness(t)
		plan := nightly()
		plan.Settings.KeepWithin = 0
		for i := range 3 {
			if _, err := s.backup(fmt.Sprint("r", i), plan, target); err != nil {
				t.Fatal(err)
			}
			s.finish()
			s.now = s.now.Add(day)
			s.cleanup()
		}
		if s.rows("point-") != 3 || len(s.provider.deleted) > 0 {
			t.Errorf("%d recovery points, deleted %q", s.rows("point-"), s.provider.deleted)
		}
	})
	t.Run("a hundred years", func(t *testing.T) {
		s := newHarness(t)
		plan := nightly()
		plan.Settings.KeepWithin = backup.LongestKeep
		run, err := s.backup("r", plan, target)
		if err != nil {
			t.Fatal(err)
		}
		s.finish()
		if p := s.status(run.ID).Point; p == nil || p.Expires.Sub(p.Created) != backup.LongestKeep {
			t.Errorf("%+v", p)
		}
	})
}

// TestWhatExpiredBeforeItWasWrittenStays: an older version made recovery points whose time overflowed. They were not meant to
// expire, so they stay, in any state, and the decision says why.
func TestWhatExpiredBeforeItWasWrittenStays(t *testing.T) {
	for _, state := range []backup.PointState{backup.Live, backup.Suspect, backup.Deleting} {
		t.Run(string(state), func(t *testing.T) {
			s := newHarness(t)
			ids := s.points(3)
			broken := *s.status(ids[0]).Point
			broken.State, broken.Expires = state, broken.Created.Add(-200*366*day)
			s.put(broken)
			report := s.cleanup()
			if s.state(ids[0]) != state || s.state(ids[1]) != backup.Expired || s.state(ids[2]) != backup.Live {
				t.Errorf("states %s, %s, %s", s.state(ids[0]), s.state(ids[1]), s.state(ids[2]))
			}
			if fmt.Sprint(s.provider.deleted) != fmt.Sprintf("[%s.1]", ids[1]) {
				t.Errorf("deleted %q", s.provider.deleted)
			}
			if len(report.Deletions) != 1 || report.Deletions[0].Point.ID != ids[1] || report.Kept != 2 {
				t.Errorf("%+v", report)
			}
		})
	}
}

// TestARequestIsGoodForAHundredYears: it is refused if it says that it is for longer.
func TestARequestIsGoodForAHundredYears(t *testing.T) {
	for _, c := range []struct {
		after time.Duration
		code  string
	}{{backup.LongestKeep, ""}, {backup.LongestKeep + time.Second, "ExpiresTooLate"}, {250 * 366 * day, "ExpiresTooLate"}} {
		s, service, _ := restorable(t)
		q := order("incident")
		q.Expires = s.now.Add(c.after)
		run, err := s.engine.Restore(t.Context(), q, restoring(false))
		if err != nil || run.Reason.Code != c.code || (run.State == backup.StateRefused) != (c.code != "") {
			t.Errorf("%s: %s %+v, %v", c.after, run.State, run.Reason, err)
		}
		if len(service.started) > 0 {
			t.Errorf("%s: begun %d times", c.after, len(service.started))
		}
	}
}
