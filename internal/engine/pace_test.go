package engine_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
	"lifeboat/internal/schedule"
)

// edited makes so many points that stay, one a night. Then it edits the plan to keep only one, and makes that.
func edited(t *testing.T, n int, soft time.Duration) *thinning {
	t.Helper()
	s := newThinning(t, backup.Counts{Last: 200})
	s.plan.Settings.SoftDelete = soft
	for range n {
		s.night(1000)
	}
	s.plan.Settings.KeepCounts.Last = 1
	s.now = s.plan.Schedule.Next(s.now)
	r := s.runSchedule(s.plan)
	s.finish()
	s.ids = append(s.ids, r.Created...)
	s.now = s.now.Add(15 * time.Minute)
	return s
}

// begun counts the points that are soft-deleted or expired.
func (s *thinning) begun() (n int) {
	s.t.Helper()
	for _, id := range s.ids {
		if p := s.point(id); p.IsSoftDeleted() || p.State == backup.Expired {
			n++
		}
	}
	return n
}

// TestPace: a tenth of a target's points goes in a day, the oldest first, whether they are soft-deleted first or not. The others stay as they
// are, one event tells of them, and none is looked at before its day.
func TestPace(t *testing.T) {
	for _, soft := range []time.Duration{0, week} {
		t.Run(soft.String(), func(t *testing.T) {
			s := edited(t, 39, soft)
			r := s.cleanup()
			if got := s.begun(); got != 4 || r.Waiting != 35 {
				t.Fatalf("of 40 points %d went at once, and %d wait", got, r.Waiting)
			}
			for _, id := range s.ids[:4] {
				if state := s.point(id).Called(); state != backup.Expired && state != backup.SoftDeleted {
					t.Errorf("%s is %s: the oldest go first", id, state)
				}
			}
			told := backup.Partition(target) + ".deletionswait.1"
			n, data := s.told(told)
			if n != 1 || data["count"] != 35.0 || data["deletionsPerDay"] != 4.0 || len(data["recoveryPoints"].([]any)) != 35 {
				t.Errorf("told %d times: %v", n, data)
			}
			s.storage.calls = 0
			for range 23 {
				s.now = s.now.Add(time.Hour)
				if r := s.cleanup(); r.Scanned != 0 {
					t.Fatalf("it looks at %d targets on the same day", r.Scanned)
				}
			}
			days, before := 1, 4
			for ; s.begun() < 39 && days < 20; days++ {
				s.now = s.now.Add(day)
				s.cleanup()
				if now := s.begun(); now-before > 4 {
					t.Fatalf("%d went in a day", now-before)
				}
				before = s.begun()
			}
			if days < 10 || days > 18 { // a tenth of the rest, when points are deleted besides
				t.Errorf("the last one went after %d days", days)
			}
			s.now = s.now.Add(20 * day)
			s.cleanup()
			s.now = s.now.Add(time.Minute)
			s.cleanup()
			if got := s.there(); got != s.point(s.ids[39]).Began.Format("01-02") {
				t.Errorf("in the end there are %s", got)
			}
			if n, _ := s.told(told[:len(told)-1] + "2"); n != 0 {
				t.Error("a second event told of it")
			}
		})
	}
}

// TestPaceCosts: the pace costs no request where nothing goes, none for each deletion, and none for a longer history.
func TestPaceCosts(t *testing.T) {
	cost := map[int]int{}
	for _, n := range []int{5, 60} {
		s := newThinning(t, backup.Counts{Last: n})
		for range n + 3 {
			s.night(1000)
		}
		s.now = s.plan.Schedule.Next(s.now)
		s.runSchedule(s.plan)
		s.finish()
		s.storage.calls = 0
		r := s.cleanup()
		for _, d := range r.Deletions {
			if d.Keep {
				t.Fatalf("%+v", r)
			}
		}
		if len(r.Deletions) != 1 {
			t.Fatalf("%+v", r)
		}
		cost[n] = s.storage.calls
	}
	if cost[5] != cost[60] {
		t.Errorf("the deletion of one of 5 costs %d requests, one of 60 %d", cost[5], cost[60])
	}
}

// TestPaceOfTheSchedule: as many points go in a day as the schedule makes, with none that waits for long.
func TestPaceOfTheSchedule(t *testing.T) {
	s := newThinning(t, backup.Counts{})
	hourly, err := schedule.Parse("0 * * * *")
	if err != nil {
		t.Fatal(err)
	}
	s.plan.Schedule = hourly.In(time.UTC)
	s.plan.Settings.KeepWithin = 2 * day
	for range 5 * 24 {
		s.night(1000)
		if n := len(s.retained(time.Time{}).Points); n > 52 {
			t.Fatalf("%d points of two days are there", n)
		}
	}
	if n, _ := s.told(backup.Partition(target) + ".deletionswait.1"); n != 0 {
		t.Error("an event told of a schedule that goes on as ever")
	}
}

// TestPaceAmidDeaths: a cleanup dies at each of its requests, before it or behind it. No more points go in the day, and in the end all do.
func TestPaceAmidDeaths(t *testing.T) {
	for _, soft := range []time.Duration{0, week} {
		for _, made := range []bool{false, true} {
			for k := 1; ; k++ {
				s := edited(t, 5, soft)
				s.storage.calls, s.storage.failAt, s.storage.made = 0, k, made
				_, _ = s.engine.Cleanup(t.Context())
				s.storage.failAt = 0
				if s.storage.calls < k {
					if k < 8 {
						t.Errorf("only %d calls", k)
					}
					break
				}
				for range 20 {
					s.cleanup()
					s.now = s.now.Add(time.Hour)
				}
				if got := s.begun(); got != 2 {
					t.Errorf("soft-deleted for %s, call %d fails: %d points went in a day", soft, k, got)
				}
				s.timerUntilSettled()
				if n, _ := s.told(backup.Partition(target) + ".deletionswait.1"); n < 1 {
					t.Errorf("call %d fails, and nobody is told", k)
				}
				s.now = s.now.Add(20 * day)
				for range 5 {
					s.cleanup()
					s.now = s.now.Add(day + time.Hour)
				}
				if got := s.begun(); got != 5 {
					t.Errorf("call %d fails: in the end %d points went", k, got)
				}
			}
		}
	}
}

// TestPaceOfTwoCleanups: another cleanup comes between any two requests of a cleanup. Together they let no more go in a day.
func TestPaceOfTwoCleanups(t *testing.T) {
	for _, soft := range []time.Duration{0, week} {
		for k := 1; ; k++ {
			s := edited(t, 5, soft)
			s.storage.calls = 0
			met := false
			s.storage.before = func(call int) {
				if call == k && !met {
					met = true
					s.cleanup()
				}
			}
			_, err := s.engine.Cleanup(t.Context())
			s.storage.before = nil
			if !met {
				break
			}
			if err != nil {
				t.Errorf("another one comes before call %d: %v", k, err)
			}
			s.cleanup()
			if got := s.begun(); got != 2 {
				t.Errorf("another one comes before call %d: %d points went in a day", k, got)
			}
		}
	}
}

// TestAPersonHasNoPace: a person deletes as many points as there are, and these leave room for the ones that cleanup deletes.
func TestAPersonHasNoPace(t *testing.T) {
	s := newThinning(t, backup.Counts{Last: 200})
	for range 8 {
		s.night(1000)
	}
	for i, id := range s.ids[:6] {
		if err := s.erase(id, deletionOf(fmt.Sprint("erase ", i), "a secret")); err != nil {
			t.Fatal(err)
		}
	}
	s.now = s.now.Add(15 * time.Minute)
	s.cleanup()
	if got := s.states(s.ids...); got != strings.Repeat("expired ", 6)+"live live" {
		t.Errorf("they are %s", got)
	}
}

// TestPaceIsUnreadable: a newer version has written the row of the pace. Nothing of the target is deleted, and cleanup says why.
func TestPaceIsUnreadable(t *testing.T) {
	s := edited(t, 5, 0)
	row := backup.Write{Op: backup.Put, Key: backup.PaceKey(target), Body: []byte(`{"Begun": "many"}`)}
	if _, err := s.storage.catalog.Apply(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	r := s.cleanup()
	if s.begun() != 0 || len(r.Failed) != 1 || !strings.Contains(r.Failed[0].Error(), "nothing of "+target+" is deleted") {
		t.Errorf("%d points went: %v", s.begun(), r.Failed)
	}
}

// TestPreviewOfThePace: the points that wait say so, and when their time comes; at that time they go.
func TestPreviewOfThePace(t *testing.T) {
	s := edited(t, 9, 0)
	now := s.retained(time.Time{})
	if got := len(going(now)); got != 2 {
		t.Fatalf("%d go now", got)
	}
	var wait []engine.Retention
	for _, x := range now.Points {
		if x.Stays && x.Causes[0].Words != "waits: at most 2 of the target's recovery points are deleted a day" && x.Point.ID != s.ids[9] {
			t.Errorf("%s stays: %+v", x.Point.ID, x.Causes)
		}
		if !x.Next.IsZero() {
			wait = append(wait, s.retained(x.Next))
			if !slices.Contains(going(wait[len(wait)-1]), x.Point.ID) {
				t.Errorf("at %s %s still stays", x.Next, x.Point.ID)
			}
			if early := s.retained(x.Next.Add(-time.Second)); slices.Contains(going(early), x.Point.ID) {
				t.Errorf("a second before %s %s goes", x.Next, x.Point.ID)
			}
		}
	}
	if len(wait) != 7 {
		t.Errorf("%d wait", len(wait))
	}
}

// TestPaceOfALongHistory checks that all points of an edit go in the end, also the ones far behind the newest, which a cleanup does not
// read unless they are due.
func TestPaceOfALongHistory(t *testing.T) {
	s := edited(t, 180, 0)
	first := s.cleanup()
	if got := s.begun(); got != 18 || first.Waiting != 162 {
		t.Fatalf("of 181 points %d went at once, and %d wait", got, first.Waiting)
	}
	last, days := s.begun(), 0
	for ; days < 60 && last < 180; days++ {
		for range 4 {
			s.now = s.now.Add(6 * time.Hour)
			s.cleanup()
		}
		is := s.begun()
		if is-last > 18 || is == last {
			t.Errorf("on day %d, %d points went", days+1, is-last)
		}
		last = is
	}
	if last != 180 {
		t.Errorf("after %d days %d of 181 points are gone", days, last)
	}
}

// TestPaceOfBackupsByHand: another system asks for a backup each hour, kept for two days.
func TestPaceOfBackupsByHand(t *testing.T) {
	s := newThinning(t, backup.Counts{Daily: 3})
	s.plan.OnDemandKeepWithin = 2 * day
	most := 0
	for range 12 {
		for range 22 {
			s.now = s.now.Add(time.Hour)
			s.byHand(s.plan, target)
			s.cleanup()
		}
		s.night(1000)
		n := 0
		for _, x := range s.retained(time.Time{}).Points {
			if x.Point.OnDemand && x.Point.Called() == backup.Live {
				n++
			}
		}
		most = max(most, n)
	}
	if told, _ := s.told(backup.Partition(target) + ".deletionswait.1"); most > 54 || told != 0 {
		t.Errorf("of 22 a day for two days there are %d, and %d events tell that deletions wait", most, told)
	}
}
