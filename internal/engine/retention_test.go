package engine_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/deletion"
	"lifeboat/internal/engine"
	"lifeboat/internal/request"
	"lifeboat/internal/retention"
)

// retained is the answer about the target at a time; zero: now.
func (s *harness) retained(at time.Time) engine.Retention {
	s.t.Helper()
	r, err := s.engine.Retention(s.t.Context(), target, at)
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// going lists the points of an answer that go.
func going(r engine.Retention) (ids []string) {
	for _, x := range r.Points {
		if !x.Stays {
			ids = append(ids, x.Point.ID)
		}
	}
	return ids
}

// waiting lists the points of an answer that wait, since only so many are deleted in a day.
func waiting(r engine.Retention) (ids []string) {
	for _, x := range r.Points {
		if x.Stays && strings.HasPrefix(x.Causes[0].Words, "waits: ") {
			ids = append(ids, x.Point.ID)
		}
	}
	return ids
}

// pastOf makes the past of a seed: some weeks of backups and edits, with points in all states.
func pastOf(t *testing.T, seed uint64) *thinning {
	t.Helper()
	dice := rand.New(rand.NewPCG(seed, 5))
	keep := func() (backup.Counts, time.Duration) {
		c := backup.Counts{Zone: "UTC"}
		for _, n := range []*int{&c.Last, &c.Daily, &c.Weekly, &c.Monthly} {
			*n = max(dice.IntN(7)-3, 0)
		}
		return c, time.Duration(dice.IntN(3)*dice.IntN(12)) * day
	}
	s := newThinning(t, backup.Counts{Last: 1})
	if seed%2 == 1 {
		s.plan.Settings.KeepGrace = 2 * day
	}
	restorable := time.Duration(dice.IntN(2)*(5+dice.IntN(20))) * day
	for i := range s.engine.Services {
		s.engine.Services[i].Restorable = restorable
	}
	for range 8 + dice.IntN(16) {
		if dice.IntN(6) == 0 {
			s.plan.Settings.KeepCounts, s.plan.Settings.KeepWithin = keep()
			s.plan.Settings.KeepMinimum = dice.IntN(4)
		}
		s.plan.OnDemandKeepWithin = time.Duration(1+dice.IntN(20)) * day
		if dice.IntN(8) == 0 {
			s.now = s.now.Add(time.Hour)
			s.ids = append(s.ids, s.byHand(s.plan, target).ID)
		}
		s.night([]int64{1000, 1000, 1000, 10}[dice.IntN(4)])
		if seed%2 == 1 && dice.IntN(6) == 0 { // nothing works for some days
			s.now = s.now.Add(time.Duration(dice.IntN(9)) * day)
			s.plan.Paused = true
			s.runSchedule(s.plan)
			s.plan.Paused = false
			s.runSchedule(s.plan)
		}
	}
	s.now = s.now.Add(time.Duration(dice.IntN(20)) * time.Hour)
	reader := backup.Run{ID: backup.NewRunID(target+"-two", begin, "reader"), State: backup.Running, Target: target + "-two", Restore: &backup.Restoring{}}
	if _, err := s.storage.catalog.Apply(t.Context(), backup.Write{Op: backup.Put, Key: reader.Key(), Body: backup.Encode(reader)}); err != nil {
		t.Fatal(err)
	}
	for i, id := range s.ids {
		later := s.now.Add(time.Duration(1+dice.IntN(20)) * day)
		event := dice.IntN(24)
		s.change(id, func(p *backup.Point) {
			if p.State == backup.Expired {
				return
			}
			switch event {
			case 0:
				p.Holds = []backup.PersonHold{{ID: "a", Reason: "one", Until: later}, {ID: "b", Reason: "two", Until: later.Add(day)}}
			case 1:
				p.Holds = []backup.PersonHold{{ID: "a", Reason: "one"}}
			case 2:
				p.Safety, p.Held, p.Expires = true, backup.Hold{Until: later, Reason: "a restore"}, p.Created.Add(3*day)
			case 3:
				p.Readers = []string{reader.ID}
			case 4:
				p.Readers = []string{s.ids[0]} // its run has ended
			case 5:
				p.KeptByStorage = backup.KeptByStorage{Again: later, Reason: backup.Reason{Message: "a lease"}}
			case 6:
				p.State = backup.Deleting
			case 7:
				p.Artifact = s.status(s.ids[max(i-1, 0)]).Point.Artifact
			case 8:
				p.Expires = p.Created
			case 9:
				p.Expires = later
			case 10:
				p.SoftDelete = 3 * day
			case 11:
				p.SoftDeletion = backup.SoftDeletion{Since: s.now, Until: later, Reason: "the policy"}
			case 12:
				p.SoftDeletion = backup.SoftDeletion{ID: "a", By: "a person", Since: s.now, Until: later, Reason: "a secret"}
			}
		})
	}
	write := backup.Write{Op: backup.Delete, Key: backup.CountedKey(target, "nightly"), ETag: "*"}
	switch dice.IntN(12) {
	case 0:
		write = backup.Write{Op: backup.Put, Key: write.Key, Body: []byte(`{"Row": 7}`)}
		fallthrough
	case 1:
		if _, err := s.storage.catalog.Apply(t.Context(), write); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// gone says how far each point is on its way: 1 if it is soft-deleted, 2 if it is expired.
func (s *thinning) gone() map[string]int {
	s.t.Helper()
	far := map[string]int{}
	for _, id := range s.ids {
		switch p := s.status(id).Point; {
		case p.State == backup.Expired:
			far[id] = 2
		case p.IsSoftDeleted():
			far[id] = 1
		}
	}
	return far
}

// deletedAt lists the points that a cleanup at the time soft-deletes or deletes. If it looks at all of them, each has an entry that is due,
// and none waits.
func (s *thinning) deletedAt(at time.Time, all bool) (ids []string) {
	s.t.Helper()
	if all {
		if err := deletion.PutOut(s.t.Context(), s.storage.catalog, target, s.ids, at, at); err != nil {
			s.t.Fatal(err)
		}
	}
	was := s.gone()
	s.now = at
	if all {
		s.unpaced()
	} else {
		s.cleanup()
	}
	for id, far := range s.gone() {
		if far > was[id] {
			ids = append(ids, id)
		}
	}
	return ids
}

// TestRetentionSaysWhatCleanupDeletes compares the answers about many histories with the cleanups at those times. Each answer says why, and
// no point that stays goes before the time that the answer names.
func TestRetentionSaysWhatCleanupDeletes(t *testing.T) {
	said := map[bool]int{}
	for seed := range uint64(36) {
		s := pastOf(t, seed)
		ahead := []time.Duration{0, time.Hour, 3 * day, 9 * day, 20 * day, 400 * day}
		writes := s.storage.writes
		var answers []engine.Retention
		for _, d := range ahead {
			answers = append(answers, s.retained(s.now.Add(d)))
		}
		if s.storage.writes != writes {
			t.Fatalf("seed %d: the answers wrote", seed)
		}
		for i, earlier := range answers {
			for _, x := range earlier.Points {
				said[x.Stays]++
				if len(x.Causes) == 0 || x.Causes[0].Words == "" || !x.Stays && !x.Next.IsZero() {
					t.Fatalf("seed %d, %s: %+v", seed, ahead[i], x)
				}
				for j, later := range answers[i:] {
					if (x.Next.IsZero() || later.At.Before(x.Next)) && x.Stays && slices.Contains(going(later), x.Point.ID) {
						t.Fatalf("seed %d: %s after %s it goes: %+v", seed, ahead[i+j], ahead[i], x)
					}
				}
			}
		}
		pick := int(seed) / 2 % len(ahead)
		want, waiting := going(answers[pick]), waiting(answers[pick])
		for _, all := range []bool{true, false} {
			again := pastOf(t, seed)
			got := again.deletedAt(answers[pick].At, all)
			if all {
				want = append(slices.Clone(want), waiting...)
			} else {
				want = going(answers[pick])
			}
			slices.Sort(want)
			slices.Sort(got)
			stands := seed%2 == 1 && ahead[pick] > time.Hour // the clock stands still where no backup comes, and the answer takes it to go on
			if all && !stands && !slices.Equal(got, want) || slices.ContainsFunc(got, func(id string) bool { return !slices.Contains(want, id) }) {
				t.Fatalf("seed %d, %s, all %t: cleanup deletes\n%q, and it should be\n%q", seed, ahead[pick], all, got, want)
			}
		}
	}
	if said[true] < 1000 || said[false] < 100 {
		t.Errorf("the answers are too much alike: %v", said)
	}
}

// TestRetentionSaysAllReasons checks each reason, and the time at which it ends.
func TestRetentionSaysAllReasons(t *testing.T) {
	s := newThinning(t, backup.Counts{Daily: 2, Weekly: 2})
	s.plan.Settings.KeepWithin, s.plan.Settings.KeepMinimum = 3*day, 2
	for range 4 {
		s.night(1000)
	}
	s.change(s.ids[3], func(p *backup.Point) {
		p.Holds = []backup.PersonHold{{ID: "a", By: "me", Reason: "an audit", Until: begin.Add(40 * day)}, {ID: "b", By: "you", Reason: "a case"}}
	})
	for range 4 {
		s.night(1000)
	}
	s.now = s.now.Add(time.Hour)
	s.change(s.ids[5], func(p *backup.Point) {
		p.Readers, p.KeptByStorage = []string{s.ids[0]}, backup.KeptByStorage{Again: begin, Reason: backup.Reason{Message: "a lease"}}
	})
	tell := func(at time.Time) string {
		var lines []string
		for _, x := range s.retained(at).Points {
			line := map[bool]string{true: "stays", false: "goes"}[x.Stays]
			if !x.Next.IsZero() {
				line += " until " + x.Next.Format("01-02 15:04")
			}
			for _, c := range x.Causes {
				line += "; " + c.Words
			}
			lines = append(lines, x.Point.Began.Format("01-02 ")+line)
		}
		return strings.Join(lines, "\n")
	}
	const minimum = "one of the 2 newest verified recovery points of the target that a schedule has made: keep.minimum"
	const newest = "the newest verified recovery point of the target"
	if got, want := tell(time.Time{}), `01-23 stays; kept by plan nightly, `+newest+`, daily 2026-01-23 (1 of 2), weekly 2026-W04 (1 of 2); kept until 2026-01-26T02:31:00Z: keep.within; `+newest+`; `+minimum+`
01-22 stays; kept by plan nightly, daily 2026-01-22 (2 of 2); kept until 2026-01-25T02:31:00Z: keep.within; `+minimum+`
01-21 stays until 01-24 02:31; kept until 2026-01-24T02:31:00Z: keep.within
01-19 stays; held until it is released, by you: a case; held until 2026-02-24T02:30:00Z, by me: an audit
01-18 stays; kept by plan nightly, weekly 2026-W03 (2 of 2)`; got != want {
		t.Errorf("now\n%s\nwant\n%s", got, want)
	}
	if got, want := tell(begin.Add(10*day)), `01-23 stays`; !strings.HasPrefix(got, want) ||
		!strings.Contains(got, "\n01-21 goes; keep.within ended at 2026-01-24T02:31:00Z, and there is a newer one; "+
			"cleanup tries again what it could not do before: kept by storage, which does not say until when: a lease\n") {
		t.Errorf("in some days\n%s", got)
	}
}

// TestRetentionOfTheHorizon checks that a count's hold of a point which the service cannot restore any more may end where another one takes
// its place.
func TestRetentionOfTheHorizon(t *testing.T) {
	s := newThinning(t, backup.Counts{Monthly: 2})
	for i := range s.engine.Services {
		s.engine.Services[i].Restorable = 20 * day
	}
	first := s.night(1000)
	s.night(1000)
	s.now = s.now.Add(time.Hour)
	next := func() time.Time {
		points := s.retained(time.Time{}).Points
		x := points[len(points)-1]
		if x.Point.ID != first || !x.Stays || x.Causes[0].Words != "kept by plan nightly, monthly oldest (1 of 2)" {
			t.Fatalf("%+v", x.Causes)
		}
		return x.Next
	}
	if end := next(); !end.IsZero() {
		t.Errorf("no other point can take its place, and it may go at %s", end)
	}
	s.plan.Settings.KeepWithin = 30 * day
	s.night(1000)
	s.night(1000)
	s.change(first, func(p *backup.Point) { p.Expires = s.now }) // a person edited its plan since it was made
	if end, want := next(), begin.Add(21*day+1); !end.Equal(want) {
		t.Errorf("it may go at %s, want %s", end, want)
	}
}

// TestRetentionRefuses checks the times and targets that have no answer, and what a stop says.
func TestRetentionRefuses(t *testing.T) {
	s := newHarness(t)
	s.points(2)
	wrong, ok := errors.AsType[*request.Error](func() error {
		_, err := s.engine.Retention(t.Context(), target, s.now.Add(-time.Second))
		return err
	}())
	if !ok || wrong.Field != "at" || !strings.Contains(wrong.Message, "is earlier than now") {
		t.Errorf("before now: %v", wrong)
	}
	if r, err := s.engine.Retention(t.Context(), target+"-two", time.Time{}); err != nil || len(r.Points) != 0 || !r.At.Equal(s.now) {
		t.Errorf("a target without points: %+v, %v", r, err)
	}
	if r := s.retained(time.Time{}); len(r.Points) != 2 || r.Stopped != "" {
		t.Errorf("%+v", r)
	}
	s.stop(false)
	if r := s.retained(time.Time{}); !strings.Contains(r.Stopped, "stopped since") || fmt.Sprint(going(r)) == "[]" {
		t.Errorf("stopped: %+v", r)
	}
	for k := 1; ; k++ {
		s.storage.calls, s.storage.failAt = 0, k
		if _, err := s.engine.Retention(t.Context(), target, time.Time{}); err == nil {
			break
		} else if !errors.Is(err, errBroken) {
			t.Errorf("call %d fails: %v", k, err)
		}
	}
}

// TestRetentionUnderAnEdit compares the answers about an edit with the ones once the edit has come, and a backup after it.
func TestRetentionUnderAnEdit(t *testing.T) {
	changed := 0
	for seed := range uint64(40) {
		dice := rand.New(rand.NewPCG(seed, 6))
		keep := func() (s backup.Settings) {
			for _, n := range []*int{&s.KeepCounts.Last, &s.KeepCounts.Daily, &s.KeepCounts.Weekly, &s.KeepCounts.Monthly, &s.KeepMinimum} {
				*n = max(dice.IntN(8)-3, 0)
			}
			s.KeepWithin = time.Duration(dice.IntN(2)*dice.IntN(30)) * day
			if !s.KeepCounts.Any() && s.KeepWithin == 0 {
				s.KeepMinimum = 0 // it is no rule
			}
			s.KeepCounts.Zone = "UTC"
			return s
		}
		before, after, nights := keep(), keep(), 3+dice.IntN(20)
		restorable := time.Duration(dice.IntN(2)*(10+dice.IntN(20))) * day
		past := func(last backup.Settings) *thinning {
			s := newThinning(t, before.KeepCounts)
			for i := range s.engine.Services {
				s.engine.Services[i].Restorable = restorable
			}
			put := func(from backup.Settings) {
				to := &s.plan.Settings
				to.KeepCounts, to.KeepWithin, to.KeepMinimum = from.KeepCounts, from.KeepWithin, from.KeepMinimum
			}
			put(before)
			for range nights {
				s.night(1000)
			}
			put(last)
			s.made(1000)
			return s
		}
		asked, put := past(before), past(after)
		for _, ahead := range []time.Duration{0, 12 * day, 90 * day} {
			at := asked.now.Add(ahead)
			got, err := asked.engine.Retention(t.Context(), target, at, retention.Edit{Plan: "nightly", Settings: after})
			if err != nil {
				t.Fatal(err)
			}
			want, plain := put.retained(at), asked.retained(at)
			if len(got.Points) != len(want.Points) {
				t.Fatalf("seed %d: %d points, want %d", seed, len(got.Points), len(want.Points))
			}
			for i, x := range got.Points {
				if i == 0 { // the day of the newest one is the day of the plan by which it was made
					continue
				}
				if is := want.Points[i]; x.Stays != is.Stays || fmt.Sprint(x.Causes) != fmt.Sprint(is.Causes) {
					t.Fatalf("seed %d, %s to %s, after %s: %s\n%t %v, and once the edit has come\n%t %v",
						seed, before.KeepCounts, after.KeepCounts, ahead, x.Point.ID, x.Stays, x.Causes, is.Stays, is.Causes)
				}
				if x.Stays != plain.Points[i].Stays {
					changed++
				}
			}
		}
	}
	if changed < 100 {
		t.Errorf("edits change %d answers", changed)
	}
}
