package engine_test

import (
	"testing"
	"time"

	"lifeboat/internal/backup"
)

// TestMinimumOfTwoPlans: a plan with minimum: 5 backs a target up each night. The backup of another plan of the target, which says no
// minimum, ends that minimum neither while the first plan works nor once it is paused.
func TestMinimumOfTwoPlans(t *testing.T) {
	s := newThinning(t, backup.Counts{Last: 1})
	s.plan.Settings.KeepMinimum = 5
	for range 8 {
		s.night(1000)
	}
	monthly := nightly()
	monthly.Name = "monthly"
	monthly.Settings.KeepWithin, monthly.Settings.KeepCounts = 0, backup.Counts{Monthly: 3, Zone: "UTC"}
	s.now = s.now.Add(time.Minute)
	s.runSchedule(s.plan, monthly)
	s.now = monthly.Schedule.Next(s.now)
	s.plan.Paused = true
	r := s.runSchedule(s.plan, monthly)
	s.finish()
	if len(r.Created) != 1 {
		t.Fatalf("%+v", r)
	}
	s.ids = append(s.ids, r.Created...)
	s.now = s.now.Add(time.Minute)
	s.unpaced()
	if got := s.there(); got != "01-24 01-23 01-22 01-21 01-20" {
		t.Errorf("of minimum: 5 there are %s", got)
	}
}

// TestAnEditOfMinimumIsTold: minimum 30 becomes 1, and nearly all points expire by it: beside a count, and beside keep.within alone. An
// edit that makes it greater, or that is no edit, is not told.
func TestAnEditOfMinimumIsTold(t *testing.T) {
	for _, test := range []struct {
		counts backup.Counts
		within time.Duration
		least  int
		told   int
	}{
		{backup.Counts{Last: 1}, 0, 1, 1},
		{backup.Counts{}, day, 1, 1},
		{backup.Counts{}, day, 0, 1},
		{backup.Counts{}, day, 31, 0},
		{backup.Counts{Last: 1}, 0, 30, 0},
		{backup.Counts{}, 60 * day, 1, 0},
	} {
		s := newThinning(t, test.counts)
		s.plan.Settings.KeepWithin, s.plan.Settings.KeepMinimum = test.within, 30
		for range 30 {
			s.night(1000)
		}
		s.plan.Settings.KeepMinimum = test.least
		id := s.night(1000)
		if n, _ := s.told("manyexpire-" + id); n != test.told {
			r := s.retained(time.Time{})
			t.Errorf("%+v: %d of %d points go or wait to go after the edit, and %d events tell of it", test, len(going(r))+len(waiting(r)), len(r.Points), n)
		}
	}
}
