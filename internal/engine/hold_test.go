package engine_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
	"lifeboat/internal/request"
)

// wish is a person's wish to hold a point, under the ID of a request; zero: until it is released.
func wish(id, why string, until time.Time) backup.PersonHold {
	return backup.PersonHold{ID: backup.HoldID(id), By: "invocation " + id, Reason: why, Until: until}
}

// hold holds a point for a person, and returns the hold's ID.
func (s *harness) hold(id string, h backup.PersonHold) string {
	s.t.Helper()
	if _, err := s.engine.Hold(s.t.Context(), id, h); err != nil {
		s.t.Fatal(err)
	}
	return h.ID
}

// held returns the IDs of the holds of a point that have not ended, in a row.
func (s *harness) held(id string) string {
	s.t.Helper()
	p, err := s.engine.RecoveryPoint(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	var ids []string
	for _, h := range p.HeldBy(s.now) {
		ids = append(ids, h.ID)
	}
	return strings.Join(ids, " ")
}

// entry returns the key of a point's own entry in the index of due points.
func (s *harness) entry(id string) (key string) {
	for _, row := range s.storage.catalog.Rows() {
		if row.Partition == backup.DuePartition && strings.HasSuffix(row.Row, "-"+id) {
			key += row.Row
		}
	}
	return key
}

// TestHold: a held point stays at any age, and cleanup comes back to it once a week. It goes soon after its last hold was released.
func TestHold(t *testing.T) {
	s := newHarness(t)
	ids := s.points(3)
	id := ids[0]
	s.now = begin.Add(5 * day)
	since := s.now
	p, err := s.engine.Hold(t.Context(), id, wish("one", "case 4711", time.Time{}))
	want := backup.PersonHold{ID: backup.HoldID("one"), Since: since, By: "invocation one", Reason: "case 4711"}
	if err != nil || len(p.Holds) != 1 || p.Holds[0] != want {
		t.Fatalf("%+v, %v", p.Holds, err)
	}
	two := s.hold(id, wish("two", "a test", begin.Add(50*day)))
	s.timerUntilSettled()
	for hold, why := range map[string]string{want.ID: "case 4711", two: "a test"} {
		n, data := s.told(id + ".held." + hold)
		if n != 1 || data["type"] != "lifeboat.recovery-point.held" || data["requestReason"] != why || data["recoveryPoint"] != id ||
			data["target"] != target || (data["untilDateTime"] == nil) != (hold == want.ID) {
			t.Errorf("told %d times: %v", n, data)
		}
		if name := backup.ManifestFolder + "/" + id + ".held." + hold + ".json"; !slices.Contains(s.manifestNames(), name) {
			t.Errorf("no manifest %s among %q", name, s.manifestNames())
		}
	}

	s.now = begin.Add(33*day + time.Hour)
	if r := s.cleanup(); r.Scanned != 1 || len(r.Deletions) != 1 || s.states(ids...) != "live expired live" {
		t.Errorf("%+v: %s", r, s.states(ids...))
	}
	looks := map[string]bool{}
	s.now = begin.Add(34 * day)
	for range 4 * 28 { // a cleanup every six hours, for 28 days; the newest point is looked at each time
		s.now = s.now.Add(6 * time.Hour)
		s.cleanup()
		looks[s.entry(id)] = true
	}
	if len(looks) > 5 || s.state(id) != backup.Live {
		t.Errorf("looked at %d times in four weeks, and it is %s", len(looks)-1, s.state(id))
	}

	// The hold with an end is over by now, and its release is none. The other one is released twice.
	if _, err := s.engine.ReleaseHold(t.Context(), id, two, "invocation three"); !errors.Is(err, engine.ErrNotHeld) {
		t.Errorf("released a hold that is over: %v", err)
	}
	for range 2 {
		p, err := s.engine.ReleaseHold(t.Context(), id, want.ID, "invocation four")
		if err != nil || len(p.HeldBy(s.now)) != 0 || p.Released.Hold != want.ID || p.Released.By != "invocation four" {
			t.Fatalf("%+v, %v", p, err)
		}
	}
	if n, data := s.told(id + ".released." + want.ID); n != 1 || data["type"] != "lifeboat.recovery-point.released" ||
		data["by"] != "invocation four" || data["hold"] != want.ID {
		t.Errorf("told %d times: %v", n, data)
	}
	if s.cleanup(); s.state(id) != backup.Live {
		t.Errorf("it is %s at once", s.state(id))
	}
	s.now = s.now.Add(11 * time.Minute)
	if s.cleanup(); s.state(id) != backup.Expired {
		t.Errorf("it is %s, eleven minutes after the release", s.state(id))
	}
	s.now = s.now.Add(8 * day)
	if s.cleanup(); s.rows("due") != 1 {
		t.Errorf("%d entries are left, want that of the newest", s.rows("due"))
	}
}

// TestHoldsEnd: a hold with an end keeps a point until then, and cleanup comes back then.
func TestHoldsEnd(t *testing.T) {
	s := newHarness(t)
	ids := s.points(2)
	end := s.now.Add(3*day + time.Hour)
	s.hold(ids[0], wish("one", "a test", end))
	for _, at := range []time.Time{s.now, end.Add(-time.Second)} {
		if s.now = at; s.cleanup().Kept < 1 || s.state(ids[0]) != backup.Live {
			t.Fatalf("%s at %s", s.state(ids[0]), at)
		}
	}
	s.now = end.Add(backup.Resolution)
	if s.cleanup(); s.state(ids[0]) != backup.Expired {
		t.Errorf("it is %s when its hold is over", s.state(ids[0]))
	}
}

// TestAHoldAmidReading: cleanup has read a part of a touched artifact, and does not read on each time while a person holds the point.
func TestAHoldAmidReading(t *testing.T) {
	s := newHarness(t)
	id := s.points(2)[0]
	s.change(id, func(p *backup.Point) { p.Undeleted.Hashing.Offset = 3 })
	s.hold(id, wish("one", "why", time.Time{}))
	s.cleanup()
	if due, want := s.entry(id), backup.TimeKey(s.now.Add(7*day)); !strings.HasPrefix(due, want) {
		t.Errorf("it is looked at again at %s, want %s", due, want)
	}
}

// TestAReleasedPointIsCountedOnce: the entry that a release writes is no second point, and goes if the point stays for another reason.
func TestAReleasedPointIsCountedOnce(t *testing.T) {
	for _, wait := range []time.Duration{11 * time.Minute, 2 * time.Hour, 15 * day} {
		s := newHarness(t)
		ids := s.points(3)
		newest := ids[2]
		hold := s.hold(newest, wish("one", "a test", time.Time{}))
		s.cleanup()
		if _, err := s.engine.ReleaseHold(t.Context(), newest, hold, "me"); err != nil {
			t.Fatal(err)
		}
		if n := s.rows("due"); n != 2 {
			t.Errorf("%d entries after the release", n)
		}
		s.now = s.now.Add(wait)
		s.cleanup()
		if text, _ := s.stock(nightly()); text != "nightly:live:1:7" {
			t.Errorf("counted %s", text)
		}
		for range 5 {
			s.now = s.now.Add(3 * day)
			s.cleanup()
		}
		if s.rows("due") != 1 || s.state(newest) != backup.Live {
			t.Errorf("%d entries, and the newest is %s", s.rows("due"), s.state(newest))
		}
		s.ask("newer")
		s.finish()
		s.now = s.now.Add(7 * time.Hour)
		if s.cleanup(); s.state(newest) != backup.Expired {
			t.Errorf("it is %s behind a newer one", s.state(newest))
		}
	}
}

// TestARepeatedHoldIsOne: the same request, or the same wish of another one, is one hold. A repeat after the release holds nothing, and a
// repeated release ends no later hold.
func TestARepeatedHoldIsOne(t *testing.T) {
	s := newHarness(t)
	id := s.points(2)[1]
	one := wish("one", "a test", s.now.Add(day))
	for _, h := range []backup.PersonHold{one, one, wish("two", one.Reason, one.Until)} {
		if s.hold(id, h); s.held(id) != one.ID {
			t.Errorf("held %s", s.held(id))
		}
	}
	for name, other := range map[string]backup.PersonHold{
		"reason": wish("one", "another", one.Until), "end": wish("one", one.Reason, one.Until.Add(time.Hour)), "no end": wish("one", one.Reason, time.Time{}),
	} {
		if _, err := s.engine.Hold(t.Context(), id, other); !errors.Is(err, engine.ErrRequestReused) {
			t.Errorf("another %s: %v", name, err)
		}
	}
	if _, err := s.engine.ReleaseHold(t.Context(), id, one.ID, "me"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.engine.Hold(t.Context(), id, one); !errors.Is(err, engine.ErrHoldReleased) || !strings.Contains(err.Error(), "by me") {
		t.Errorf("repeated after its release: %v", err)
	}
	again := s.hold(id, wish("three", one.Reason, one.Until))
	if _, err := s.engine.ReleaseHold(t.Context(), id, one.ID, "me"); err != nil || s.held(id) != again {
		t.Errorf("the repeated release: %v, held %s", err, s.held(id))
	}
	if n, _ := s.told(id + ".released." + one.ID); n != 1 {
		t.Errorf("told %d times", n)
	}
}

func TestRefusedHolds(t *testing.T) {
	s := newHarness(t)
	ids := s.points(3)
	malformed := func(field, words string) func(error) bool {
		return func(err error) bool {
			wrong, ok := errors.AsType[*request.Error](err)
			return ok && wrong.Field == field && strings.Contains(wrong.Message, words)
		}
	}
	is := func(want error, words string) func(error) bool {
		return func(err error) bool { return errors.Is(err, want) && strings.Contains(err.Error(), words) }
	}
	s.provider.delete = func(backup.Attempt, bool) error { return fault(backup.Refused, "BlobImmutableDueToPolicy") }
	s.now = begin.Add(30*day + 6*time.Hour) // the oldest alone is past its time
	s.cleanup()
	s.provider.delete = nil
	deleting := ids[0]
	for _, c := range []struct {
		name, id string
		wish     backup.PersonHold
		refused  func(error) bool
	}{
		{"unknown", ids[0][:17] + "1234567890-0123456789ab", wish("x", "why", time.Time{}), is(backup.ErrNotFound, "")},
		{"no ID", "nonsense", wish("x", "why", time.Time{}), is(backup.ErrNotFound, "")},
		{"deleting", deleting, wish("x", "why", time.Time{}), is(engine.ErrNothingToHold, "the deletion of the recovery point "+deleting+" has begun: ")},
		{"no reason", ids[1], wish("x", "", time.Time{}), malformed("reason", "needs a reason")},
		{"blank", ids[1], wish("x", " ", time.Time{}), malformed("reason", "needs a reason")},
		{"long", ids[1], wish("x", strings.Repeat("ä", 1001), time.Time{}), malformed("reason", "1 to 1000")},
		{"two lines", ids[1], wish("x", "a\nb", time.Time{}), malformed("reason", "unreadable")},
		{"escape", ids[1], wish("x", "a\x1b[2Jb", time.Time{}), malformed("reason", "unreadable")},
		{"now", ids[1], wish("x", "why", s.now), malformed("until", "not later than now")},
		{"past", ids[1], wish("x", "why", s.now.Add(-day)), malformed("until", s.now.Add(-day).Format(time.RFC3339))},
	} {
		if _, err := s.engine.Hold(t.Context(), c.id, c.wish); !c.refused(err) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	s.now = s.now.Add(7 * time.Hour)
	s.cleanup()
	if _, err := s.engine.Hold(t.Context(), deleting, wish("x", "why", time.Time{})); !is(engine.ErrNothingToHold, "is expired")(err) {
		t.Errorf("expired: %v", err)
	}
	for i := range backup.MostHolds {
		s.hold(ids[2], wish(fmt.Sprint(i), strings.Repeat("<", 1000-i), time.Time{}))
	}
	if _, err := s.engine.Hold(t.Context(), ids[2], wish("x", "why", time.Time{})); !errors.Is(err, engine.ErrTooManyHolds) {
		t.Errorf("one more: %v", err)
	}
	for id, words := range map[string]string{ids[1]: "no person holds", ids[2]: `no hold of the recovery point ` + ids[2] + ` has the ID "x"`} {
		if _, err := s.engine.ReleaseHold(t.Context(), id, "x", "me"); !is(engine.ErrNotHeld, words)(err) {
			t.Errorf("release %s: %v", id, err)
		}
	}
	if _, err := s.engine.ReleaseHold(t.Context(), "nonsense", "x", "me"); !errors.Is(err, backup.ErrNotFound) {
		t.Errorf("release nothing: %v", err)
	}
}

// TestAPersonAndARestoreHold: a person's hold of a safety backup and the hold of the restore do not know each other.
func TestAPersonAndARestoreHold(t *testing.T) {
	s := newHarness(t)
	ids := s.points(2)
	id := ids[0]
	until := s.now.Add(5 * day)
	s.change(id, func(p *backup.Point) { p.Safety, p.Held = true, backup.Hold{Until: until, Reason: "not confirmed"} })
	if _, err := s.engine.ReleaseHold(t.Context(), id, "x", "me"); !errors.Is(err, engine.ErrNotHeld) ||
		!strings.Contains(err.Error(), "until a person confirms that restore") {
		t.Errorf("released what a restore holds: %v", err)
	}
	hold := s.hold(id, wish("one", "why", time.Time{}))
	if p := s.status(id).Point; !p.Held.Until.Equal(until) {
		t.Errorf("the restore's hold is %+v", p.Held)
	}
	s.change(id, func(p *backup.Point) { p.Held = backup.Hold{} })
	if s.cleanup(); s.state(id) != backup.Live {
		t.Errorf("confirmed, and %s", s.state(id))
	}
	s.change(id, func(p *backup.Point) { p.Held = backup.Hold{Until: until} })
	if _, err := s.engine.ReleaseHold(t.Context(), id, hold, "me"); err != nil {
		t.Fatal(err)
	}
	s.now = s.now.Add(7 * time.Hour)
	if s.cleanup(); s.state(id) != backup.Live {
		t.Errorf("released, and %s", s.state(id))
	}
	s.now = until.Add(7 * time.Hour)
	if s.cleanup(); s.state(id) != backup.Expired {
		t.Errorf("neither holds it, and it is %s", s.state(id))
	}
}

// TestHoldRacesCleanup lets a whole cleanup happen before each call of a hold, and the other way round: one of them wins.
func TestHoldRacesCleanup(t *testing.T) {
	for _, first := range []string{"hold", "cleanup"} {
		won := map[bool]int{}
		for k := 1; ; k++ {
			s := newHarness(t)
			id := s.points(2)[0]
			var refused, cleaned error
			hold := func() { _, refused = s.engine.Hold(t.Context(), id, wish("one", "why", time.Time{})) }
			clean := func() {
				report, err := s.engine.Cleanup(t.Context())
				cleaned = errors.Join(append(report.Failed, err)...)
			}
			one, other := hold, clean
			if first == "cleanup" {
				one, other = clean, hold
			}
			reached := false
			s.storage.calls = 0
			s.storage.before = func(call int) {
				if call == k && !reached {
					reached = true
					other()
				}
			}
			one()
			s.storage.before = nil
			if !reached {
				break
			}
			won[refused == nil]++
			s.settledAs(fmt.Sprintf("%s, call %d", first, k), id, refused, cleaned)
		}
		if won[true] == 0 || won[false] == 0 {
			t.Errorf("%s first: one of them never wins: %v", first, won)
		}
	}
}

// settledAs checks that either the hold or cleanup has won: also when all timers have come by.
func (s *harness) settledAs(name, id string, refused, cleaned error) {
	s.t.Helper()
	n, _ := s.told(id + ".held." + backup.HoldID("one"))
	switch state := s.state(id); {
	case refused != nil && (!errors.Is(refused, engine.ErrNothingToHold) || state != backup.Expired && state != backup.Deleting || n != 0):
		s.t.Errorf("%s: refused, and it is %s, told %d times: %v", name, state, n, refused)
	case refused == nil && (state != backup.Live || n != 1 || len(s.provider.deleted) > 0):
		s.t.Errorf("%s: held, and it is %s, told %d times, deleted %q", name, state, n, s.provider.deleted)
	case cleaned != nil && (refused != nil || !errors.Is(cleaned, backup.ErrChanged)):
		s.t.Errorf("%s: %s, cleanup: %v", name, state, cleaned)
	}
	s.timerUntilSettled()
	s.now = s.now.Add(30 * day)
	s.cleanup()
	if want := map[bool]backup.PointState{true: backup.Live, false: backup.Expired}[refused == nil]; s.state(id) != want {
		s.t.Errorf("%s: in the end it is %s, want %s", name, s.state(id), want)
	}
}

// TestHoldAfterAKilledCleanup: cleanup dies at each of its calls, before and after it took effect, and then a person holds the point, before
// the next cleanup comes.
func TestHoldAfterAKilledCleanup(t *testing.T) {
	for _, made := range []bool{false, true} {
		won := map[bool]int{}
		for k := 1; ; k++ {
			s := newHarness(t)
			id := s.points(2)[0]
			s.storage.calls, s.storage.failAt, s.storage.made, s.storage.fatal = 0, k, made, true
			died := s.dies(func() { _, _ = s.engine.Cleanup(t.Context()) })
			s.storage.failAt, s.storage.fatal = 0, false
			if !died {
				break
			}
			_, refused := s.engine.Hold(t.Context(), id, wish("one", "why", time.Time{}))
			won[refused == nil]++
			s.settledAs(fmt.Sprintf("call %d kills cleanup (made: %t)", k, made), id, refused, nil)
		}
		if won[true] == 0 || won[false] == 0 {
			t.Errorf("made: %t: one of them never wins: %v", made, won)
		}
	}
}

// TestHoldIsRepeatable: the process dies at each call of a hold and of a release, before and after it took effect. Then the request is not
// repeated, or is repeated, or the rescuer comes by before each call. Either nothing happened, or all of it, and that is published.
func TestHoldIsRepeatable(t *testing.T) {
	for _, what := range []string{"held", "released"} {
		for _, then := range []string{"nothing", "asked again", "rescued meanwhile", "cleaned meanwhile"} {
			for _, made := range []bool{false, true} {
				for k := 1; ; k++ {
					s := newHarness(t)
					id := s.points(2)[0]
					s.now = begin.Add(20 * day)
					s.timerUntilSettled()
					hold := wish("one", "why", time.Time{})
					call := func() error { _, err := s.engine.Hold(t.Context(), id, hold); return err }
					if what == "released" {
						s.hold(id, hold)
						s.timerUntilSettled()
						call = func() error { _, err := s.engine.ReleaseHold(t.Context(), id, hold.ID, "me"); return err }
					}
					if then == "cleaned meanwhile" && what == "released" {
						s.now = begin.Add(33 * day)
						s.ask("newest") // or cleanup would read the target because of the newest one
						s.finish()
						s.cleanup() // moves the entry far ahead
						s.timerUntilSettled()
					}
					s.storage.calls, s.storage.failAt, s.storage.made, s.storage.fatal = 0, k, made, true
					other := s.another(0)
					other.Catalog, other.Queue = s.storage.catalog, s.storage.queue
					s.storage.before = func(int) {
						switch then {
						case "rescued meanwhile":
							_, _ = other.Schedule(t.Context(), nil)
						case "cleaned meanwhile":
							_, _ = other.Cleanup(t.Context())
						}
					}
					var err error
					died := s.dies(func() { err = call() })
					s.storage.before, s.storage.failAt, s.storage.fatal = nil, 0, false
					if !died {
						if err != nil {
							t.Error(err)
						}
						break
					}
					if then == "asked again" {
						if err := call(); err != nil {
							t.Error(err)
						}
					}
					name := fmt.Sprintf("%s, call %d kills it (made: %t), %s", what, k, made, then)
					held := s.held(id) != ""
					done := held == (what == "held")
					s.timerUntilSettled()
					n, _ := s.told(id + "." + what + "." + hold.ID)
					if done != (n > 0) || n > 2 || then == "asked again" && !done || s.rows("inflight") != 0 || s.run(id).Unpublished {
						t.Errorf("%s: done: %t, told %d times, %d entries are left", name, done, n, s.rows("inflight"))
					}
					s.now = begin.Add(34 * day)
					s.cleanup()
					if want := map[bool]backup.PointState{true: backup.Live, false: backup.Expired}[held]; s.state(id) != want {
						t.Errorf("%s: held: %t, and cleanup leaves it %s", name, held, s.state(id))
					}
				}
			}
		}
	}
}
