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
	"lifeboat/internal/engine"
	"lifeboat/internal/retention"
)

// live lists the days of the points that count, the newest first.
func (s *thinning) live() string {
	s.t.Helper()
	var days []string
	for _, id := range slices.Backward(s.ids) {
		if p := s.point(id); p.Called() == backup.Live {
			days = append(days, p.Began.Format("01-02"))
		}
	}
	return strings.Join(days, " ")
}

// row reads the row of the plan's counts.
func (s *thinning) row() retention.Counted {
	s.t.Helper()
	row, _, err := s.storage.catalog.Get(s.t.Context(), backup.CountedKey(target, s.plan.Name))
	if err != nil {
		s.t.Fatal(err)
	}
	c, err := retention.ReadCounted(row)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// TestADeletedPointTakesNoPlace: a person deletes a point behind the newest 64, which cleanup does not read. From then on it takes no place
// of last, so the next night lets no other one go.
func TestADeletedPointTakesNoPlace(t *testing.T) {
	s := newThinning(t, backup.Counts{Last: 80})
	s.plan.Settings.SoftDelete = week
	for range 80 {
		s.night(1000)
	}
	if err := s.erase(s.ids[1], deletionOf("d", "it has a secret")); err != nil {
		t.Fatal(err)
	}
	s.night(1000)
	for range 3 {
		s.now = s.now.Add(time.Hour)
		s.cleanup()
	}
	if p := s.point(s.ids[0]); p.Called() != backup.Live {
		t.Errorf("79 other verified points count for last: 80, and the oldest is %s: %s", p.Called(), p.SoftDeletion.Reason)
	}
}

// TestADeletedPointIsNotTheOldest: a person deletes the point of the last week. From then on weekly: 2 has one week only, and keeps the
// oldest point that counts. So of the nights since there are two, and not one.
func TestADeletedPointIsNotTheOldest(t *testing.T) {
	s := newThinning(t, backup.Counts{Daily: 1, Weekly: 2})
	s.plan.Settings.SoftDelete = week
	var sunday string
	for s.now.Weekday() != time.Tuesday {
		if id := s.night(1000); s.now.Weekday() == time.Sunday {
			sunday = id
		}
	}
	if got := s.live(); got != "01-20 01-18" {
		t.Fatalf("there are %s", got)
	}
	if err := s.erase(sunday, deletionOf("d", "it has a secret")); err != nil {
		t.Fatal(err)
	}
	s.night(1000)
	if got := s.live(); got != "01-21 01-20" {
		t.Errorf("weekly: 2 of one week, and there are %s", got)
	}
}

// TestAPersonsChangeIsCounted kills the deletion and the undo of a point at each request. The point's place in the counts goes and comes with
// the point itself, and a repeat finishes the change.
func TestAPersonsChangeIsCounted(t *testing.T) {
	for _, made := range []bool{false, true} {
		for k := 1; ; k++ {
			s := newThinning(t, backup.Counts{Last: 3})
			s.plan.Settings.SoftDelete = week
			for range 3 {
				s.night(1000)
			}
			id := s.ids[1]
			killed := s.killed(k, made, func() error { return s.erase(id, deletionOf("d", "it has a secret")) })
			s.repeated(id, false, func() error { return s.erase(id, deletionOf("d", "it has a secret")) })
			s.night(1000)
			if got := s.live(); got != "01-19 01-18 01-16" {
				t.Fatalf("the request %d of the deletion fails (made: %t), and there are %s", k, made, got)
			}
			undo := wish("u", "it had none", s.now.Add(day))
			killed = s.killed(k, made, func() error { return s.undelete(id, undo) }) || killed
			s.repeated(id, true, func() error { return s.undelete(id, undo) })
			for range 9 {
				s.now = s.now.Add(day)
				s.cleanup()
			}
			if got := s.live(); got != "01-19 01-18 01-17" {
				t.Fatalf("the request %d of the undo fails (made: %t), and there are %s", k, made, got)
			}
			if !killed {
				break
			}
		}
	}
}

// killed makes a change whose request of that number is the last one, and says whether it has so many.
func (s *thinning) killed(k int, made bool, change func() error) bool {
	s.t.Helper()
	s.storage.calls, s.storage.failAt, s.storage.made, s.storage.fatal = 0, k, made, true
	s.dies(func() { _ = change() })
	killed := s.storage.calls >= k
	s.storage.failAt, s.storage.fatal = 0, false
	return killed
}

// repeated makes the change again. At any time the point has a place in the counts if, and only if, it is live.
func (s *thinning) repeated(id string, want bool, change func() error) {
	s.t.Helper()
	if holds, live := s.row().Holds(id), s.point(id).Live(); holds != live {
		s.t.Fatalf("after a kill the counts hold the point: %t, and it is live: %t", holds, live)
	}
	if err := change(); err != nil {
		s.t.Fatal(err)
	}
	if holds := s.row().Holds(id); holds != want {
		s.t.Fatalf("the counts hold the point: %t, want %t", holds, want)
	}
}

// TestNoDeletionWithoutItsRow: while the row of the counts cannot be read, a person deletes nothing: the point would keep its place in it.
func TestNoDeletionWithoutItsRow(t *testing.T) {
	s := newThinning(t, backup.Counts{Last: 3})
	s.plan.Settings.SoftDelete = week
	for range 3 {
		s.night(1000)
	}
	key := backup.CountedKey(target, s.plan.Name)
	if _, err := s.storage.catalog.Apply(t.Context(), backup.Write{Op: backup.Put, Key: key, Body: []byte(`{"Plan": 1}`)}); err != nil {
		t.Fatal(err)
	}
	if err := s.erase(s.ids[1], deletionOf("d", "it has a secret")); !errors.Is(err, backup.ErrUnreadable) || !strings.Contains(err.Error(), "nightly") {
		t.Error(err)
	}
	if _, err := s.engine.Forget(t.Context(), engine.Forgetting{Target: target, Deletion: deletionOf("f", "it is gone")}); !errors.Is(err, backup.ErrUnreadable) {
		t.Error(err)
	}
	if got := s.called(s.ids...); got != "live live live" {
		t.Errorf("they are %s", got)
	}
}

// TestPeopleAndCounts has people delete, undelete, hold and accept points of random histories, edits the counts, and breaks cleanups off.
// No point that the policy lets go is one that the specification keeps of the points that count at that time, and in the end no point
// stays that it does not keep.
func TestPeopleAndCounts(t *testing.T) {
	for seed := range uint64(9) {
		w := &peopled{dice: rand.New(rand.NewPCG(seed, 77)), gone: map[string]bool{}}
		w.thinning = newThinning(t, w.counts())
		w.plan.Settings.SoftDelete = []time.Duration{0, day, week}[w.dice.IntN(3)]
		w.plan.Settings.KeepMinimum = w.dice.IntN(4)
		w.horizon = time.Duration(w.dice.IntN(2)*(8+w.dice.IntN(20))) * day
		for i := range w.engine.Services {
			w.engine.Services[i].Restorable = w.horizon
		}
		for n := range 25 + w.dice.IntN(30) {
			w.backedUp(n)
			for range w.dice.IntN(3) {
				w.now = w.now.Add(time.Duration(1+w.dice.IntN(6)) * time.Hour)
				w.person(n)
				w.clean()
			}
		}
		for range 160 {
			w.now = w.now.Add(7 * time.Hour)
			w.cleanup()
			w.check()
		}
		w.settled()
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// peopled is a random world of [TestPeopleAndCounts].
type peopled struct {
	*thinning
	dice    *rand.Rand
	horizon time.Duration
	// gone are the points that went before, and so are not judged again.
	gone map[string]bool
}

func (w *peopled) counts() backup.Counts {
	c := backup.Counts{
		Last: max(0, w.dice.IntN(6)-3), Daily: max(0, w.dice.IntN(7)-2), Weekly: max(0, w.dice.IntN(5)-2), Monthly: max(0, w.dice.IntN(4)-2),
	}
	if !c.Any() {
		c.Last = 1
	}
	c.Zone = "UTC"
	return c
}

func (w *peopled) backedUp(n int) {
	w.t.Helper()
	size := int64(1000)
	if n > 5 && w.dice.IntN(6) == 0 {
		size = 10
	}
	w.made(size)
	w.clean()
}

// person has a person do something with one of the newest points, or edit the counts. The engine refuses some of it.
func (w *peopled) person(n int) {
	w.t.Helper()
	id := w.ids[max(0, len(w.ids)-1-w.dice.IntN(12))]
	ask := fmt.Sprint("q", n, w.dice.IntN(1000))
	wish := wish(ask, "y", w.now.Add(time.Duration(1+w.dice.IntN(9))*day))
	switch w.dice.IntN(7) {
	case 0, 1:
		_ = w.erase(id, deletionOf(ask, "x"))
	case 2:
		_ = w.undelete(id, wish)
	case 3:
		_, _ = w.engine.Hold(w.t.Context(), id, wish)
	case 4:
		_, _ = w.engine.Accept(w.t.Context(), id, "me", "")
	case 5:
		if w.dice.IntN(4) == 0 {
			w.plan.Settings.KeepCounts = w.counts()
			for w.point(w.made(1000)).State != backup.Live { // the edit counts from the next verified point on
				w.cleanup()
			}
			for _, id := range w.ids {
				w.gone[id] = w.goes(id)
			}
		}
	}
}

// clean cleans up, and may break off.
func (w *peopled) clean() {
	w.t.Helper()
	if w.dice.IntN(3) == 0 {
		w.storage.calls, w.storage.failAt, w.storage.made = 0, 1+w.dice.IntN(40), w.dice.IntN(2) == 0
	}
	_, _ = w.engine.Cleanup(w.t.Context())
	w.storage.failAt = 0
	w.check()
}

// goes says whether the policy lets a point go.
func (w *peopled) goes(id string) bool {
	p := w.point(id)
	return (p.IsSoftDeleted() || p.State == backup.Expired || p.State == backup.Deleting) && !p.SoftDeletion.Person()
}

// specified judges the points that count, and one besides.
func (w *peopled) specified(besides string) map[string]retention.Verdict {
	var points []retention.Point
	for _, id := range w.ids {
		if p := w.point(id); p.Live() || id == besides {
			points = append(points, retention.Point{ID: id, Began: p.Began})
		}
	}
	rules := retention.Rules{Policy: retention.PolicyOf(w.plan.Settings), Zone: time.UTC, Horizon: w.horizon}
	verdicts := map[string]retention.Verdict{}
	for _, v := range rules.Evaluate(points, retention.Clock{}, w.now) {
		verdicts[v.ID] = v
	}
	return verdicts
}

// check compares what went since with the specification.
func (w *peopled) check() {
	w.t.Helper()
	for _, id := range w.ids {
		goes := w.goes(id)
		if p := w.point(id); goes && !w.gone[id] && !p.Unaccepted() {
			if v := w.specified(id)[id]; v.Keep {
				w.t.Errorf("%s: %+v, minimum %d, horizon %s: the point of %s is %s, and the specification keeps it: %v", w.now.Format("01-02T15:04"),
					w.plan.Settings.KeepCounts, w.plan.Settings.KeepMinimum, w.horizon, p.Began.Format("01-02"), p.Called(), v.Reasons)
			}
		}
		w.gone[id] = goes
	}
}

// settled checks that the specification keeps each point of the end. Beyond the horizon also the newest one stays.
func (w *peopled) settled() {
	w.t.Helper()
	if w.horizon > 0 {
		return
	}
	verdicts := w.specified("")
	for _, id := range w.ids {
		p := w.point(id)
		if _, held := p.LongestHold(w.now); p.Live() && !held && !verdicts[id].Keep {
			w.t.Errorf("%+v: the point of %s stays: %v", w.plan.Settings.KeepCounts, p.Began.Format("01-02"), verdicts[id].Reasons)
		}
	}
}
