package engine_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/retention"
)

// thinning is a harness with a plan whose keep counts, of a service that restores backups of any age.
type thinning struct {
	*harness
	plan backup.Plan
	ids  []string
}

func newThinning(t *testing.T, keep backup.Counts) *thinning {
	t.Helper()
	s := &thinning{harness: newHarness(t), plan: nightly()}
	s.engine.Services = slices.Clone(known)
	for i := range s.engine.Services {
		s.engine.Services[i].Restorable = 0
	}
	s.plan.Settings.KeepWithin, s.plan.Settings.KeepCounts = 0, keep
	s.plan.Settings.KeepCounts.Zone = "UTC"
	s.runSchedule(s.plan)
	return s
}

// night has the plan's next scheduled time, and the cleanups that come after it.
func (s *thinning) night(size int64) string {
	s.t.Helper()
	id := s.made(size)
	s.cleanup()
	return id
}

// made has the plan's next scheduled time, without a cleanup after it.
func (s *thinning) made(size int64) string {
	s.t.Helper()
	s.now = s.plan.Schedule.Next(s.now)
	s.provider.hash = func(backup.Attempt, backup.Hashing) (backup.Verification, error) {
		return backup.Verification{Done: true, Hashing: backup.Hashing{ETag: "etag"}, Size: size, SHA256: "beef", Modified: s.now}, nil
	}
	r := s.runSchedule(s.plan)
	if len(r.Created) != 1 {
		s.t.Fatalf("%+v", r)
	}
	s.finish()
	s.ids = append(s.ids, r.Created...)
	return r.Created[0]
}

// there lists the points that are not expired, by their days, the newest first.
func (s *thinning) there() string {
	s.t.Helper()
	var days []string
	for _, id := range slices.Backward(s.ids) {
		if s.state(id) != backup.Expired {
			days = append(days, s.status(id).Point.Began.Format("01-02"))
		}
	}
	return strings.Join(days, " ")
}

// specified lists what the specification keeps of all points that there ever were.
func (s *thinning) specified() string {
	s.t.Helper()
	var points []retention.Point
	for _, id := range s.ids {
		points = append(points, retention.Point{ID: id, Began: s.status(id).Point.Began})
	}
	rules := retention.Rules{Policy: retention.PolicyOf(s.plan.Settings), Zone: time.UTC}
	var days []string
	for i, v := range slices.Backward(rules.Evaluate(points, retention.Clock{}, s.now)) {
		if v.Keep {
			days = append(days, points[i].Began.Format("01-02"))
		}
	}
	return strings.Join(days, " ")
}

// entries lists the keys of the entries of due points, without the times, and counts the points that they stand for.
func (s *thinning) entries() (points int) {
	of := map[string]bool{}
	for _, row := range s.storage.catalog.Rows() {
		if row.Partition != backup.DuePartition {
			continue
		}
		if strings.HasSuffix(row.Row, "-out") {
			s.t.Errorf("the entry %s is left", row.Row)
			continue
		}
		_, id, _ := strings.Cut(row.Row, "-")
		if of[id] {
			s.t.Errorf("%s has two entries", id)
		}
		of[id] = true
	}
	return len(of)
}

// TestCountsThinAHistory checks that each night leaves the points that the specification keeps of all that there ever were, with one
// entry each, and that a night costs the same number of requests, or one more, however long the history is.
func TestCountsThinAHistory(t *testing.T) {
	s := newThinning(t, backup.Counts{Daily: 7, Weekly: 4, Monthly: 3})
	const deletion = 7 // requests
	costs, waits, late := map[int]int{}, 0, 0
	for night := range 150 {
		deleted := len(s.provider.deleted)
		s.storage.calls = 0
		s.night(1000)
		cost := s.storage.calls - deletion*(len(s.provider.deleted)-deleted)
		if got, want := s.there(), s.specified(); got != want {
			if waits++; len(waiting(s.retained(time.Time{}))) != 1 || waits > 2 { // the third of a day waits
				t.Fatalf("night %d: there are %s, want %s", night, got, want)
			}
			late = night
		} else if night > 40 && night != late+1 {
			costs[cost]++
		}
	}
	s.now = s.now.Add(day - time.Minute)
	s.cleanup()
	if n, points := s.entries(), len(strings.Fields(s.there())); n != points {
		t.Errorf("%d points have entries, and %d are there", n, points)
	}
	least := slices.Min(slices.Collect(maps.Keys(costs)))
	if delete(costs, least+1); len(costs) != 1 { // a point far behind the newest costs a request of its own
		t.Errorf("beside its deletions a night costs these numbers of requests: %v", costs)
	}
	p := s.status(s.ids[len(s.ids)-7]).Point
	if p.State != backup.Live || !p.Expires.IsZero() {
		t.Errorf("%+v", p)
	}
}

// TestWithinBesideCounts checks that a point stays as long as its time or a count holds it.
func TestWithinBesideCounts(t *testing.T) {
	s := newThinning(t, backup.Counts{Weekly: 2})
	s.plan.Settings.KeepWithin = 5 * day
	for range 40 {
		s.night(1000)
	}
	s.now = s.now.Add(time.Minute)
	s.cleanup()
	// The 22nd is the last day of its week.
	if got := s.there(); got != "02-24 02-23 02-22 02-21 02-20" {
		t.Errorf("there are %s", got)
	}
	for range 4 {
		s.night(1000)
	}
	if got := s.there(); got != "02-28 02-27 02-26 02-25 02-24 02-22" {
		t.Errorf("there are %s", got)
	}
}

// TestCountsOfHand checks that no count holds a backup by hand, and that none takes a place.
func TestCountsOfHand(t *testing.T) {
	s := newThinning(t, backup.Counts{Last: 2})
	s.plan.OnDemandKeepWithin = 3 * day
	s.night(1000)
	s.night(1000)
	s.now = s.now.Add(time.Hour)
	byHand := s.byHand(s.plan, target)
	s.night(1000)
	if got := s.there(); got != "01-18 01-17" || s.state(byHand.ID) != backup.Live {
		t.Errorf("there are %s, and the one by hand is %s", got, s.state(byHand.ID))
	}
	s.night(1000)
	s.night(1000)
	s.night(1000)
	if s.state(byHand.ID) != backup.Expired {
		t.Errorf("past its time it is %s", s.state(byHand.ID))
	}
}

// TestSuspectPointsAndCounts checks that a suspect point takes no place and does not go, and takes its place once it is accepted.
func TestSuspectPointsAndCounts(t *testing.T) {
	s := newThinning(t, backup.Counts{Last: 3})
	for range 4 {
		s.night(1000)
	}
	suspect := s.night(10)
	if got := s.there(); got != "01-20 01-19 01-18 01-17" || s.state(suspect) != backup.Suspect {
		t.Fatalf("there are %s, the last one %s", got, s.state(suspect))
	}
	for range 3 {
		s.night(1000)
	}
	if got := s.there(); got != "01-23 01-22 01-21 01-20" {
		t.Fatalf("there are %s", got)
	}
	if _, err := s.engine.Accept(t.Context(), suspect, "a person", ""); err != nil {
		t.Fatal(err)
	}
	s.now = s.now.Add(time.Hour)
	s.cleanup()
	if got := s.there(); got != "01-23 01-22 01-21" { // it is the fourth now
		t.Errorf("accepted, and there are %s", got)
	}
	suspect = s.night(10)
	if _, err := s.engine.Accept(t.Context(), suspect, "a person", ""); err != nil {
		t.Fatal(err)
	}
	s.now = s.now.Add(time.Hour)
	s.unpaced()
	if got := s.there(); got != "01-24 01-23 01-22" {
		t.Errorf("accepted, and there are %s", got)
	}
}

// TestEditsOfCounts checks that an edit acts with the next backup, and that none takes a point which both rules hold.
func TestEditsOfCounts(t *testing.T) {
	for _, c := range []struct {
		name        string
		before      backup.Counts
		within      time.Duration
		after       backup.Counts
		afterWithin time.Duration
		was, is     string
	}{
		{"lower", backup.Counts{Last: 5}, 0, backup.Counts{Last: 2}, 0, "01-25 01-24 01-23 01-22 01-21", "01-26 01-25"},
		{"higher", backup.Counts{Last: 2}, 0, backup.Counts{Last: 4}, 0, "01-25 01-24", "01-26 01-25 01-24"},
		{"another one", backup.Counts{Last: 4}, 0, backup.Counts{Weekly: 2}, 0, "01-25 01-24 01-23 01-22", "01-26 01-25"},
		{"from a time to counts", backup.Counts{}, 5 * day, backup.Counts{Daily: 2}, 0, "01-25 01-24 01-23 01-22 01-21", "01-26 01-25 01-24 01-23 01-22"},
		{"from counts to a time", backup.Counts{Last: 5}, 0, backup.Counts{}, 3 * day, "01-25 01-24 01-23 01-22 01-21", "01-26 01-25 01-24"},
		{"to no rule", backup.Counts{Last: 3}, 0, backup.Counts{}, 0, "01-25 01-24 01-23", "01-26 01-25 01-24 01-23"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newThinning(t, c.before)
			s.plan.Settings.KeepWithin = c.within
			for range 10 {
				s.night(1000)
			}
			s.now = s.now.Add(time.Minute)
			s.cleanup()
			if got := s.there(); got != c.was {
				t.Errorf("before, there are %s, want %s", got, c.was)
			}
			s.plan.Settings.KeepCounts, s.plan.Settings.KeepWithin = c.after, c.afterWithin
			s.now = s.now.Add(10 * time.Hour)
			s.cleanup()
			if got := s.there(); got != c.was {
				t.Errorf("before the next backup there are %s, want %s", got, c.was)
			}
			s.night(1000)
			s.now = s.now.Add(time.Minute)
			s.unpaced()
			if got := s.there(); got != c.is {
				t.Errorf("after it there are %s, want %s", got, c.is)
			}
		})
	}
}

// TestAPlanThatLeavesKeepsItsCounts checks that the points of a plan which is gone stay as it said.
func TestAPlanThatLeavesKeepsItsCounts(t *testing.T) {
	s := newThinning(t, backup.Counts{Last: 3})
	for range 5 {
		s.night(1000)
	}
	was := s.there()
	s.plan.Name, s.plan.Settings.KeepCounts.Last = "renamed", 1
	s.runSchedule(s.plan)
	for range 5 {
		s.night(1000)
	}
	if got := s.there(); !strings.HasSuffix(got, was) || len(strings.Fields(got)) != 4 {
		t.Errorf("there are %s, want the last one and %s", got, was)
	}
}

// TestCountsOfTwoPlans checks that an edit of a plan judges the plan's own points alone: another plan's newer ones take no place.
func TestCountsOfTwoPlans(t *testing.T) {
	s := newThinning(t, backup.Counts{Last: 2})
	name := s.plan.Name
	s.night(1000)
	s.night(1000)
	s.plan.Name = "another"
	s.runSchedule(s.plan)
	s.night(1000)
	s.night(1000)
	s.plan.Name, s.plan.Settings.KeepCounts.Last = name, 3
	s.runSchedule(s.plan)
	s.night(1000)
	s.now = s.now.Add(7 * time.Hour)
	s.cleanup()
	if got := s.there(); got != "01-20 01-19 01-18 01-17 01-16" {
		t.Errorf("there are %s", got)
	}
}

// TestAnotherPlansBackupMakesAPointLive: the suspect point of a plan becomes live by two of another plan like it. The row of its own plan
// has it from then on, with the minimum of its run.
func TestAnotherPlansBackupMakesAPointLive(t *testing.T) {
	s := newThinning(t, backup.Counts{Last: 2})
	for range 3 {
		s.night(1000)
	}
	s.plan.Name, s.plan.Settings.KeepMinimum = "another", 4
	s.runSchedule(s.plan)
	id := s.night(100)
	s.plan.Name, s.plan.Settings.KeepMinimum = "nightly", 1
	s.runSchedule(s.plan)
	s.night(100)
	s.night(100)
	if got := s.state(id); got != backup.Live {
		t.Fatalf("the point is %s", got)
	}
	row, _, err := s.storage.catalog.Get(t.Context(), backup.CountedKey(target, "another"))
	if err != nil {
		t.Fatal(err)
	}
	if c, err := retention.ReadCounted(row); err != nil || !c.Holds(id) || c.Minimum != 4 || c.Clock.Began.IsZero() {
		t.Errorf("the row of its plan is %+v, %v", c, err)
	}
}

// TestALostRowOfCountsDeletesNothing checks that cleanup deletes no counted point as long as the row is gone, or cannot be read, and that
// the next backup writes one that is gone anew. A row that cannot be read may also hold points from before the counts.
func TestALostRowOfCountsDeletesNothing(t *testing.T) {
	for _, unreadable := range []bool{false, true} {
		s := newThinning(t, backup.Counts{Last: 3})
		s.plan.Settings.KeepWithin = day
		if unreadable {
			s.plan.Settings.KeepCounts.Last, s.plan.Settings.KeepWithin = 0, 5*day
		}
		for range 2 {
			s.night(1000)
		}
		s.plan.Settings.KeepCounts.Last, s.plan.Settings.KeepWithin = 3, day
		s.night(1000)
		was := s.there()
		key := backup.CountedKey(target, "nightly")
		write := backup.Write{Op: backup.Delete, Key: key, ETag: "*"}
		if unreadable {
			write = backup.Write{Op: backup.Put, Key: key, Body: []byte(`{"Row": 7}`)}
		}
		if _, err := s.storage.catalog.Apply(t.Context(), write); err != nil {
			t.Fatal(err)
		}
		s.now = s.now.Add(20 * day)
		if r := s.cleanup(); unreadable != (len(r.Failed) > 0) || len(r.Deletions) > 0 {
			t.Errorf("unreadable: %t: %+v", unreadable, r)
		}
		if got := s.there(); got != was {
			t.Errorf("unreadable: %t: there are %s, want %s", unreadable, got, was)
		}
		s.now = s.now.Add(day)
		s.night(1000)
		s.now = s.now.Add(7 * time.Hour)
		s.cleanup()
		if n := len(strings.Fields(s.there())); n != map[bool]int{true: 4, false: 3}[unreadable] {
			t.Errorf("unreadable: %t: then there are %s", unreadable, s.there())
		}
	}
}

// TestCountsSurviveKills kills the night in which a point falls out, and the cleanup after it, at each of their calls, before and after it
// took effect. In the end the same points are there, with one entry each.
func TestCountsSurviveKills(t *testing.T) {
	for _, keep := range []backup.Counts{{Last: 2}, {Daily: 2, Weekly: 1}} {
		for _, made := range []bool{false, true} {
			for k := 1; ; k++ {
				s := newThinning(t, keep)
				for range 4 {
					s.night(1000)
				}
				s.now = s.plan.Schedule.Next(s.now)
				r := s.runSchedule(s.plan)
				s.ids = append(s.ids, r.Created...)
				s.storage.calls, s.storage.failAt, s.storage.made, s.storage.fatal = 0, k, made, true
				died := s.dies(func() {
					s.finish()
					_, _ = s.engine.Cleanup(t.Context())
				})
				s.storage.failAt, s.storage.fatal = 0, false
				if !died {
					break
				}
				at := s.now
				s.finish()
				s.timerUntilSettled()
				for range 9 {
					s.now = backup.Later(s.now, at).Add(7 * time.Hour)
					s.cleanup()
					s.finish()
				}
				if got, want := s.there(), s.specified(); got != want {
					t.Errorf("%+v, call %d (made: %t): there are %s, want %s", keep, k, made, got, want)
				}
				s.now = s.now.Add(8 * day)
				s.cleanup()
				if n, points := s.entries(), len(strings.Fields(s.there())); n != points {
					t.Errorf("%+v, call %d (made: %t): %d points have entries, and %d are there", keep, k, made, n, points)
				}
			}
		}
	}
}

// TestCleanupAmidANight lets cleanup come by before each call of the night in which a point falls out.
func TestCleanupAmidANight(t *testing.T) {
	for k := 1; ; k++ {
		s := newThinning(t, backup.Counts{Last: 2})
		for range 4 {
			s.night(1000)
		}
		s.now = s.plan.Schedule.Next(s.now)
		s.ids = append(s.ids, s.runSchedule(s.plan).Created...)
		other := s.another(0)
		other.Catalog, other.Queue = s.storage.catalog, s.storage.queue
		came := false
		s.storage.calls = 0
		s.storage.before = func(call int) {
			if call == k {
				came = true
				s.now = s.now.Add(time.Minute)
				_, _ = other.Cleanup(t.Context())
			}
		}
		s.finish()
		s.storage.before = nil
		if !came {
			break
		}
		for range 9 {
			s.now = s.now.Add(7 * time.Hour)
			s.cleanup()
		}
		if got, want := s.there(), s.specified(); got != want {
			t.Errorf("before call %d: there are %s, want %s", k, got, want)
		}
		if n, points := s.entries(), len(strings.Fields(s.there())); n != points {
			t.Errorf("before call %d: %d points have entries, and %d are there", k, n, points)
		}
	}
}

// TestAPointTakesAPlaceAgain checks that a point past its day stays if the one in its place is beyond what the service can restore: a point
// that is in no count while it is within its time is added again before it expires.
func TestAPointTakesAPlaceAgain(t *testing.T) {
	s := newThinning(t, backup.Counts{Monthly: 2})
	s.engine.Services, s.plan.Settings.KeepWithin = known, 29*day
	for s.now.Before(time.Date(2026, 3, 29, 2, 30, 0, 0, time.UTC)) {
		s.night(1000)
	}
	there := func(day string) bool { return slices.Contains(strings.Fields(s.there()), day) }
	if !there("02-28") || !there("03-01") || there("02-27") {
		t.Fatalf("there are %s", s.there())
	}
	s.now = s.now.Add(34 * time.Hour) // nothing was backed up in the night
	key := backup.CountedKey(target, s.plan.Name)
	was := s.rowOf(key.Partition, key.Row)
	s.storage.before = func(int) { // another invocation is faster, whenever this one comes to write the row
		_, _ = s.storage.catalog.Apply(t.Context(), backup.Write{Op: backup.Put, Key: key, Body: was.Body})
	}
	r := s.cleanup()
	s.storage.before = nil
	if len(r.Failed) > 0 || len(r.Deletions) > 0 || !there("03-01") {
		t.Errorf("beside another invocation: %+v, there are %s", r, s.there())
	}
	s.cleanup()
	if !there("03-01") {
		t.Errorf("there are %s: the 1st of March is the oldest that can be restored, and February has none", s.there())
	}
	for range 5 {
		s.night(1000)
	}
	if !there("03-31") || there("02-28") || there("03-01") {
		t.Errorf("there are %s", s.there())
	}
}

// TestHeldPointsAndCounts checks that a held point takes its place in the counts and outlives it, and goes once it is released.
func TestHeldPointsAndCounts(t *testing.T) {
	s := newThinning(t, backup.Counts{Last: 2})
	first := s.night(1000)
	s.now = s.now.Add(30 * time.Hour)
	s.cleanup() // its entry is at rest
	s.plan.Schedule = nightly().Schedule
	hold := wish("one", "why", time.Time{})
	s.hold(first, hold)
	for range 12 {
		s.night(1000)
	}
	if s.state(first) != backup.Live {
		t.Fatalf("held, and it is %s", s.state(first))
	}
	if _, err := s.engine.ReleaseHold(t.Context(), first, hold.ID, "me"); err != nil {
		t.Fatal(err)
	}
	s.timerUntilSettled()
	s.now = s.now.Add(time.Hour)
	s.cleanup()
	if s.state(first) != backup.Expired {
		t.Errorf("released, and it is %s", s.state(first))
	}
	s.now = s.now.Add(8 * day)
	s.cleanup()
	if n, points := s.entries(), len(strings.Fields(s.there())); n != points {
		t.Errorf("%d points have entries, and %d are there", n, points)
	}
}

// TestWhyACountHolds checks that cleanup says which rule holds a point.
func TestWhyACountHolds(t *testing.T) {
	s := newThinning(t, backup.Counts{Daily: 2, Weekly: 2})
	for range 9 {
		s.night(1000)
	}
	row, _, err := s.storage.catalog.Get(t.Context(), backup.CountedKey(target, "nightly"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := retention.ReadCounted(row)
	if err != nil {
		t.Fatal(err)
	}
	var why []string
	for _, p := range c.Row.Kept {
		why = append(why, fmt.Sprint(time.Unix(p.Began, 0).UTC().Format("01-02"), ": ", c.Why(p.ID, time.UTC, s.now)))
	}
	slices.SortFunc(why, func(a, b string) int { return cmp.Compare(b, a) })
	want := []string{
		"01-24: kept by plan nightly, the newest verified recovery point of the target, daily 2026-01-24 (1 of 2), weekly 2026-W04 (1 of 2)",
		"01-23: kept by plan nightly, daily 2026-01-23 (2 of 2)",
		"01-18: kept by plan nightly, weekly 2026-W03 (2 of 2)",
	}
	if !slices.Equal(why, want) {
		t.Errorf("%q", why)
	}
}
