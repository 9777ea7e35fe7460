package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/deletion"
	"lifeboat/internal/engine"
	"lifeboat/internal/health"
	"lifeboat/internal/request"
	"lifeboat/internal/restore"
	"lifeboat/internal/retention"
	"lifeboat/internal/stop"
)

const week = 7 * day

// softPoints makes recovery points that stay soft-deleted for a week. The oldest is past its time.
func (s *harness) softPoints(n int) (ids []string) {
	s.t.Helper()
	ids = s.points(n)
	for _, id := range ids {
		s.change(id, func(p *backup.Point) { p.SoftDelete = week })
	}
	s.now = begin.Add(30*day + 6*time.Hour)
	return ids
}

// putDue has cleanup look at a point when its time is over, which a test has changed.
func (s *harness) putDue(id string) {
	s.t.Helper()
	if err := deletion.PutDue(s.t.Context(), s.storage.catalog, s.point(id), nil, s.now); err != nil {
		s.t.Fatal(err)
	}
}

// point reads a recovery point.
func (s *harness) point(id string) backup.Point {
	s.t.Helper()
	p, err := s.engine.RecoveryPoint(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

// called returns the names of the states of the points, as people see them.
func (s *harness) called(ids ...string) string {
	s.t.Helper()
	var states []string
	for _, id := range ids {
		states = append(states, string(s.point(id).Called()))
	}
	return strings.Join(states, " ")
}

// deletionOf is a person's wish to delete a point, under the ID of a request.
func deletionOf(id, why string) backup.SoftDeletion {
	return backup.SoftDeletion{ID: backup.HoldID(id), By: "invocation " + id, Reason: why}
}

// erase deletes a point for a person. A plan has the target.
func (s *harness) erase(id string, d backup.SoftDeletion) error {
	_, err := s.engine.SoftDelete(s.t.Context(), id, d, true)
	return err
}

func (s *harness) undelete(id string, h backup.PersonHold) error {
	_, err := s.engine.Undelete(s.t.Context(), id, h)
	return err
}

// TestSoftDelete: a point that expires stays for its time, in its own words, and protects nothing. Then it is deleted.
func TestSoftDelete(t *testing.T) {
	s := newHarness(t)
	ids := s.softPoints(3)
	id := ids[0]
	marked := s.now
	r := s.cleanup()
	if len(r.SoftDeleted) != 1 || r.SoftDeleted[0].Point.ID != id || len(r.Deletions) != 0 || s.called(ids...) != "softDeleted live live" {
		t.Fatalf("%+v: %s", r, s.called(ids...))
	}
	p := s.point(id)
	want := backup.SoftDeletion{Since: marked, Until: marked.Add(week)}
	want.Reason = "the time of a backup by hand ended at " + p.Expires.UTC().Format(time.RFC3339) + ", and there is a newer one"
	if p.SoftDeletion != want || p.State != backup.Live || p.Live() || !p.InBaseline() {
		t.Errorf("%+v", p)
	}
	if key := s.entry(id); !strings.HasPrefix(key, backup.TimeKey(want.Until)) {
		t.Errorf("cleanup looks at it at %s", key)
	}
	if why := restore.Usable(p, backup.Service{}, s.now); why != nil {
		t.Errorf("it cannot be restored: %+v", why)
	}
	if (restore.Request{}).Latest(p) {
		t.Error("latest may mean it")
	}
	s.now = s.now.Add(2 * time.Hour)
	s.cleanup()
	if text, _ := s.stock(nightly()); !strings.Contains(text, ":softDeleted:1:7") {
		t.Errorf("counted %s", text)
	}
	s.now = want.Until.Add(-time.Second)
	if r := s.cleanup(); s.called(id) != "softDeleted" || len(s.provider.deleted) != 0 {
		t.Errorf("%+v: a second too early, it is %s", r, s.called(id))
	}
	s.now = want.Until
	s.cleanup()
	if s.now = s.now.Add(backup.Resolution); s.called(id) != "expired" {
		s.cleanup()
	}
	if s.called(ids...) != "expired softDeleted softDeleted" && s.called(ids...) != "expired softDeleted live" {
		t.Errorf("in the end they are %s", s.called(ids...))
	}
	if p := s.point(id); p.Reason.Message != want.Reason {
		t.Errorf("deleted since %s", p.Reason.Message)
	}
	for _, e := range s.storage.queue.Events() {
		if strings.Contains(e.Type, "recovery-point") {
			t.Errorf("the expiry is news: %s", e.Type)
		}
	}
}

// TestSoftDeletionsTimeIsThePoints: a run keeps the time of its plan, and gives it to its point.
func TestSoftDeletionsTimeIsThePoints(t *testing.T) {
	run := backup.Run{ID: "r", Settings: backup.Settings{SoftDelete: 3 * day}}
	if p := backup.NewPoint(run, backup.Verification{}, backup.Service{}); p.SoftDelete != 3*day {
		t.Errorf("the point stays for %s", p.SoftDelete)
	}
}

// TestASoftDeletedPointIsKept: a hold, a restore or storage keeps a soft-deleted point also at its end, and then it goes.
func TestASoftDeletedPointIsKept(t *testing.T) {
	for name, keep := range map[string]func(s *harness, id string) (end func()){
		"held": func(s *harness, id string) func() {
			hold := s.hold(id, wish("one", "why", time.Time{}))
			return func() { _, _ = s.engine.ReleaseHold(t.Context(), id, hold, "me") }
		},
		"read by a restore": func(s *harness, id string) func() {
			run := s.ask("restore")
			s.change(id, func(p *backup.Point) { p.Readers = []string{run.ID} })
			return s.finish
		},
		"kept by storage": func(s *harness, _ string) func() {
			s.provider.delete = func(backup.Attempt, bool) error { return fault(backup.Kept, "BlobImmutableDueToPolicy") }
			return func() { s.provider.delete = nil }
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newHarness(t)
			id := s.softPoints(3)[0]
			s.cleanup()
			end := keep(s, id)
			for range 12 {
				s.now = s.now.Add(day)
				s.cleanup()
			}
			if s.called(id) != "softDeleted" {
				t.Fatalf("it is %s", s.called(id))
			}
			end()
			for range 40 {
				s.now = s.now.Add(6 * time.Hour)
				s.cleanup()
			}
			if s.called(id) != "expired" || len(s.provider.deleted) == 0 {
				t.Errorf("in the end it is %s", s.called(id))
			}
		})
	}
}

// TestTheNewestIsLiveAgain: the policy has soft-deleted a point, and then the newer ones are lost. It is live again, stays, and health
// knows it. So is one that a person accepts meanwhile.
func TestTheNewestIsLiveAgain(t *testing.T) {
	s := newHarness(t)
	ids := s.softPoints(3)
	s.now = begin.Add(31*day + 6*time.Hour)
	if s.cleanup(); s.called(ids...) != "softDeleted softDeleted live" {
		t.Fatal(s.called(ids...))
	}
	if _, err := s.storage.catalog.Apply(t.Context(), backup.Write{Op: backup.Delete, Key: backup.Point{ID: ids[2]}.Key(), ETag: s.point(ids[2]).RowETag}); err != nil {
		t.Fatal(err)
	}
	for range 40 {
		s.now = s.now.Add(day)
		s.cleanup()
	}
	if p := s.point(ids[1]); p.Called() != backup.Live || s.called(ids[0]) != "expired" {
		t.Errorf("they are %s", s.called(ids[:2]...))
	}
	if is := s.health(nightly()); is.Point == nil || is.Point.ID != ids[1] {
		t.Errorf("health knows %+v", is.Point)
	}
}

// TestAnAcceptedPointIsLiveAgain: a suspect point was soft-deleted, and is the newest since a person accepted it.
func TestAnAcceptedPointIsLiveAgain(t *testing.T) {
	s := newHarness(t)
	ids := s.softPoints(3)
	s.change(ids[2], func(p *backup.Point) { p.State, p.Suspicion = backup.Suspect, backup.Reason{Code: "SizeSuspect"} })
	s.now = begin.Add(33 * day)
	if s.cleanup(); s.called(ids...) != "softDeleted live softDeleted" {
		t.Fatal(s.called(ids...))
	}
	if is := s.health(nightly()); is.Point == nil || is.Point.ID != ids[1] || is.Reason.Code == "SuspectRecoveryPoint" {
		t.Errorf("health: %+v, %+v", is.Point, is.Reason)
	}
	if _, err := s.engine.Accept(t.Context(), ids[2], "me", ""); err != nil {
		t.Fatal(err)
	}
	s.now = s.now.Add(6*time.Hour + time.Minute)
	if s.unpaced(); s.called(ids...) != "softDeleted softDeleted live" {
		t.Errorf("accepted, and they are %s", s.called(ids...))
	}
	s.now = s.now.Add(8 * day)
	if s.cleanup(); s.called(ids...) != "expired expired live" {
		t.Errorf("in the end they are %s", s.called(ids...))
	}
}

// TestAnAcceptedPointBeginsTheClock: the only backup of a plan is suspect, soft-deleted, and accepted then. Time counts from it on.
func TestAnAcceptedPointBeginsTheClock(t *testing.T) {
	s := newThinning(t, backup.Counts{})
	s.plan.Settings.KeepWithin, s.plan.Settings.KeepGrace, s.plan.Settings.SoftDelete = 5*day, 2*day, week
	other := s.night(1000)
	id := s.night(1000)
	s.change(id, func(p *backup.Point) {
		p.Plan, p.State, p.Suspicion = "another", backup.Suspect, backup.NewReason("SizeSuspect", "it is small", "")
	})
	s.now = s.now.Add(6 * day)
	if s.cleanup(); s.called(id) != "softDeleted" {
		t.Fatalf("%s and %s", s.called(id), s.called(other))
	}
	run := s.run(id)
	run.Plan = "another"
	if _, err := s.storage.catalog.Apply(t.Context(), backup.Write{Op: backup.Put, Key: run.Key(), Body: backup.Encode(run)}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.engine.Accept(t.Context(), id, "me", ""); err != nil {
		t.Fatal(err)
	}
	row, _, err := s.storage.catalog.Get(t.Context(), backup.CountedKey(target, "another"))
	if err != nil {
		t.Fatal(err)
	}
	if c, err := retention.ReadCounted(row); err != nil || !c.Clock.Began.Equal(s.point(id).Created) {
		t.Errorf("the clock of its plan is %+v, %v", c.Clock, err)
	}
}

// TestAnUndoAsTheTimeEnds: a person undoes a soft deletion so late that cleanup is to look at the same second as it would without.
func TestAnUndoAsTheTimeEnds(t *testing.T) {
	s := newHarness(t)
	id := s.softPoints(2)[0]
	s.cleanup()
	s.now = s.point(id).SoftDeletion.Until.Add(-10 * time.Minute)
	if err := s.undelete(id, wish("one", "we need it", time.Time{})); err != nil || s.called(id) != "live" {
		t.Errorf("%s: %v", s.called(id), err)
	}
}

// TestMinimumIsKept: a soft-deleted point stands in for none of keep.minimum, and is live again once it is one of these.
func TestMinimumIsKept(t *testing.T) {
	s := newHarness(t)
	ids := s.softPoints(4)
	for _, id := range ids {
		s.change(id, func(p *backup.Point) { p.OnDemand, p.Minimum, p.Expires = false, 2, p.Created.Add(day) })
		s.putDue(id)
	}
	s.now = begin.Add(10 * day)
	if s.cleanup(); s.called(ids...) != "softDeleted softDeleted live live" {
		t.Fatal(s.called(ids...))
	}
	if err := s.erase(ids[2], deletionOf("one", "it must not exist")); err != nil {
		t.Fatal(err)
	}
	s.now = s.now.Add(week + time.Hour) // cleanup reads so far when the time of the older ones is over
	if s.cleanup(); s.called(ids...) != "expired live expired live" {
		t.Errorf("in the end they are %s", s.called(ids...))
	}
}

// TestStoppedAppMarksNothing: while the app is stopped neither cleanup nor a person soft-deletes a point. A person may undo.
func TestStoppedAppMarksNothing(t *testing.T) {
	s := newHarness(t)
	ids := s.softPoints(3)
	s.cleanup()
	s.now = begin.Add(31*day + 6*time.Hour)
	s.engine.Stopped = "INC-7"
	s.cleanup()
	err := s.erase(ids[1], deletionOf("one", "why"))
	if s.called(ids...) != "softDeleted live live" || stop.Reason(err) == "" {
		t.Errorf("%s, %v", s.called(ids...), err)
	}
	if err := s.undelete(ids[0], wish("two", "why", time.Time{})); err != nil || s.called(ids...) != "live live live" {
		t.Errorf("%s, %v", s.called(ids...), err)
	}
	s.engine.Stopped = ""
	if s.cleanup(); s.called(ids...) != "live softDeleted live" {
		t.Error(s.called(ids...))
	}
}

// TestUndelete: an undo holds the point, and a repeat changes nothing. After its release the policy decides anew.
func TestUndelete(t *testing.T) {
	s := newHarness(t)
	ids := s.softPoints(3)
	id := ids[0]
	s.cleanup()
	undo := wish("one", "we need it", time.Time{})
	for range 2 {
		if err := s.undelete(id, undo); err != nil {
			t.Fatal(err)
		}
	}
	if s.called(id) != "live" || s.held(id) != undo.ID {
		t.Errorf("%s, held by %s", s.called(id), s.held(id))
	}
	for kind, why := range map[string]string{"held": undo.Reason, "recovered": undo.Reason} {
		if n, data := s.told(id + "." + kind + "." + undo.ID); n != 1 || data["type"] != "lifeboat.recovery-point."+kind || data["requestReason"] != why ||
			data["by"] != undo.By || data["recoveryPoint"] != id {
			t.Errorf("told %d times: %v", n, data)
		}
	}
	s.timerUntilSettled()
	if name := backup.ManifestFolder + "/" + id + ".recovered." + undo.ID + ".json"; !slices.Contains(s.manifestNames(), name) {
		t.Errorf("no manifest %s among %q", name, s.manifestNames())
	}
	for range 40 {
		s.now = s.now.Add(day)
		s.cleanup()
	}
	if s.called(id) != "live" {
		t.Errorf("held, and %s", s.called(id))
	}
	if _, err := s.engine.ReleaseHold(t.Context(), id, undo.ID, "me"); err != nil {
		t.Fatal(err)
	}
	s.now = s.now.Add(11 * time.Minute)
	if s.cleanup(); s.called(id) != "softDeleted" || !s.point(id).SoftDeletion.Until.Equal(s.now.Add(week)) {
		t.Errorf("released, and %+v", s.point(id).SoftDeletion)
	}
	if err := s.undelete(id, undo); !errors.Is(err, engine.ErrHoldReleased) {
		t.Errorf("a repeat after the release: %v", err)
	}
	s.now = s.now.Add(week + time.Minute)
	if s.cleanup(); s.called(id) != "expired" {
		t.Errorf("in the end it is %s", s.called(id))
	}
	if err := s.undelete(id, wish("two", "too late", time.Time{})); !errors.Is(err, engine.ErrNothingToHold) {
		t.Errorf("after the end: %v", err)
	}
	if err := s.undelete(ids[2], wish("three", "why", time.Time{})); !errors.Is(err, engine.ErrNotSoftDeleted) || s.held(ids[2]) != "" {
		t.Errorf("of a live point: %v", err)
	}
	if err := s.undelete(id, wish("four", " ", time.Time{})); errors.As(err, new(*request.Error)) == false {
		t.Errorf("without a reason: %v", err)
	}
}

// TestAShortUndo: the hold of an undo ends long before the mark would have ended. Then the policy decides anew, within a quarter of an hour.
func TestAShortUndo(t *testing.T) {
	s := newHarness(t)
	id := s.softPoints(2)[0]
	s.change(id, func(p *backup.Point) { p.SoftDelete = 300 * day })
	s.cleanup()
	s.now = s.now.Add(day)
	end := s.now.Add(40 * day)
	if err := s.undelete(id, wish("one", "why", end)); err != nil {
		t.Fatal(err)
	}
	for s.now.Before(end.Add(-time.Minute)) {
		s.now = s.now.Add(min(6*time.Hour, end.Add(-time.Minute).Sub(s.now)))
		if s.cleanup(); s.called(id) != "live" || s.rows("due") != 2 {
			t.Fatalf("at %s it is %s, with %d entries", s.now, s.called(id), s.rows("due"))
		}
	}
	s.now = end.Add(time.Minute)
	if s.cleanup(); s.called(id) != "softDeleted" {
		t.Errorf("the hold is over, and it is %s", s.called(id))
	}
}

// TestANewerPointOfAnOlderRun: the run of the newest point began before the one of the released point, and took longer. Cleanup sees it each
// time that it judges the released one, which stays soft-deleted.
func TestANewerPointOfAnOlderRun(t *testing.T) {
	s := newHarness(t)
	ids := s.softPoints(2)
	newest := s.point(ids[1]).Created.Add(time.Hour)
	s.change(ids[0], func(p *backup.Point) { p.Created, p.Expires = newest, newest.Add(90*day) })
	s.now = begin.Add(31*day + 6*time.Hour)
	if s.cleanup(); s.called(ids...) != "live softDeleted" {
		t.Fatal(s.called(ids...))
	}
	undo := wish("one", "why", time.Time{})
	if err := s.undelete(ids[1], undo); err != nil {
		t.Fatal(err)
	}
	s.now = s.now.Add(time.Hour)
	s.cleanup()
	if _, err := s.engine.ReleaseHold(t.Context(), ids[1], undo.ID, "me"); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		s.now = s.now.Add(11 * time.Minute)
		if s.cleanup(); s.called(ids...) != "live softDeleted" {
			t.Errorf("after the release they are %s", s.called(ids...))
		}
	}
}

// TestDeleteByAPerson: a person's deletion marks the point at once, and cleanup deletes it at the end of its own time, long before it
// would have expired. An undo ends it, and a late repeat of the deletion is known.
func TestDeleteByAPerson(t *testing.T) {
	for _, soft := range []time.Duration{0, week, 60 * day} {
		s := newHarness(t)
		ids := s.points(2)
		id := ids[0]
		s.now = begin.Add(5 * day)
		s.change(id, func(p *backup.Point) { p.SoftDelete = soft })
		d := deletionOf("one", "it has a secret")
		for range 2 {
			if err := s.erase(id, d); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.erase(id, deletionOf("two", "another's")); err != nil {
			t.Errorf("another person: %v", err)
		}
		p := s.point(id)
		if got := p.SoftDeletion; !got.Since.Equal(s.now) || !got.Until.Equal(s.now.Add(soft)) || got.By != d.By || got.Reason != d.Reason {
			t.Errorf("%+v", got)
		}
		if n, data := s.told(id + ".softdeleted." + d.ID); n != 1 || data["type"] != "lifeboat.recovery-point.softdeleted" ||
			data["requestReason"] != d.Reason || data["by"] != d.By || data["untilDateTime"] == nil {
			t.Errorf("told %d times: %v", n, data)
		}
		s.timerUntilSettled()
		if name := backup.ManifestFolder + "/" + id + ".softdeleted." + d.ID + ".json"; !slices.Contains(s.manifestNames(), name) && soft > 0 {
			t.Errorf("no manifest %s among %q", name, s.manifestNames())
		}
		until := p.SoftDeletion.Until.Add(11 * time.Minute)
		for s.now.Before(until) {
			if s.cleanup(); s.now.Before(p.SoftDeletion.Until) && s.called(id) != "softDeleted" {
				t.Fatalf("%s early, it is %s", p.SoftDeletion.Until.Sub(s.now), s.called(id))
			}
			s.now = s.now.Add(min(6*time.Hour, max(until.Sub(s.now), time.Minute)))
		}
		s.cleanup()
		if p := s.point(id); p.State != backup.Expired || !strings.Contains(p.Reason.Message, "deleted by "+d.By+": "+d.Reason) {
			t.Errorf("%s: in the end it is %s: %s", soft, p.State, p.Reason.Message)
		}
		if err := s.erase(id, d); err != nil {
			t.Errorf("a repeat after its end: %v", err)
		}
		if err := s.erase(id, deletionOf("three", "why")); !errors.Is(err, engine.ErrPointGone) || !strings.Contains(err.Error(), "there is nothing left of it: ") {
			t.Errorf("deleted twice: %v", err)
		}
		s.now = s.now.Add(8 * day)
		if s.cleanup(); s.rows("due") != 1 {
			t.Errorf("%s: %d entries are left", soft, s.rows("due"))
		}
	}
}

// TestUndoOfADeletionByAPerson: the point is live until its own end, and a late repeat of the deletion deletes nothing.
func TestUndoOfADeletionByAPerson(t *testing.T) {
	s := newHarness(t)
	id := s.softPoints(2)[0]
	s.now = begin.Add(5 * day)
	d, undo := deletionOf("one", "a mistake"), wish("two", "it was one", time.Time{})
	if err := errors.Join(s.erase(id, d), s.undelete(id, undo)); err != nil {
		t.Fatal(err)
	}
	if err := s.erase(id, d); !errors.Is(err, engine.ErrDeletionUndone) || !strings.Contains(err.Error(), "by "+undo.By) {
		t.Errorf("a repeat: %v", err)
	}
	if _, err := s.engine.ReleaseHold(t.Context(), id, undo.ID, "me"); err != nil {
		t.Fatal(err)
	}
	if err := s.erase(id, d); !errors.Is(err, engine.ErrDeletionUndone) {
		t.Errorf("a repeat after the release: %v", err)
	}
	looks := map[string]bool{}
	for s.now.Before(s.point(id).Expires.Add(-time.Hour)) {
		if s.cleanup(); s.called(id) != "live" {
			t.Fatalf("at %s it is %s", s.now, s.called(id))
		}
		looks[s.entry(id)] = true
		s.now = s.now.Add(6 * time.Hour)
	}
	if len(looks) > 4 {
		t.Errorf("cleanup looked at it %d times", len(looks)-1)
	}
	s.now = s.point(id).Expires.Add(time.Minute)
	if s.cleanup(); s.called(id) != "softDeleted" || s.point(id).SoftDeletion.Person() {
		t.Errorf("past its time it is %s: %+v", s.called(id), s.point(id).SoftDeletion)
	}
}

// TestAPersonTakesOver: a person deletes what the policy has soft-deleted. It goes when it would have gone, also as the newest.
func TestAPersonTakesOver(t *testing.T) {
	s := newHarness(t)
	ids := s.softPoints(2)
	id := ids[0]
	s.cleanup()
	until := s.point(id).SoftDeletion.Until
	s.now = s.now.Add(day)
	if err := s.erase(id, deletionOf("one", "why")); err != nil {
		t.Fatal(err)
	}
	if got := s.point(id).SoftDeletion; !got.Until.Equal(until) || got.Reason != "why" || !got.Since.Equal(s.now) {
		t.Errorf("%+v", got)
	}
	s.change(ids[1], func(p *backup.Point) { p.Safety = true })
	s.now = until.Add(time.Minute)
	if s.cleanup(); s.called(id) != "expired" {
		t.Errorf("it is %s", s.called(id))
	}
}

func TestRefusedDeletions(t *testing.T) {
	s := newHarness(t)
	ids := s.points(6)
	s.now = begin.Add(7 * day)
	reader := s.ask("restore")
	s.change(ids[1], func(p *backup.Point) { p.Readers = []string{reader.ID} })
	s.change(ids[2], func(p *backup.Point) {
		p.Safety, p.Held = true, backup.Hold{Until: s.now.Add(day), Reason: "not confirmed"}
	})
	s.change(ids[3], func(p *backup.Point) { p.State = backup.Deleting })
	s.change(ids[5], func(p *backup.Point) { p.Created = s.now.Add(365 * day) }) // a clock was wrong
	s.hold(ids[0], wish("one", "case 4711", time.Time{}))
	for _, c := range []struct {
		name, id string
		wanted   error
		words    string
	}{
		{"held", ids[0], engine.ErrHeld, "case 4711. Release it first: lifeboat release " + ids[0]},
		{"read", ids[1], engine.ErrInUse, reader.ID},
		{"held by a restore", ids[2], engine.ErrHeld, "lifeboat confirm " + ids[2]},
		{"deleting", ids[3], engine.ErrPointGone, "has begun"},
		{"newest", ids[4], engine.ErrNewest, "lifeboat backup " + target},
		{"none", ids[0][:17] + "1234567890-0123456789ab", backup.ErrNotFound, ""},
	} {
		if err := s.erase(c.id, deletionOf("x", "why")); !errors.Is(err, c.wanted) || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if err := s.erase(ids[4], deletionOf("x", "")); !errors.As(err, new(*request.Error)) {
		t.Errorf("without a reason: %v", err)
	}
	if _, err := s.engine.SoftDelete(t.Context(), ids[4], deletionOf("x", "why"), false); err != nil {
		t.Errorf("the newest of a target that no plan has: %v", err)
	}
	if err := s.erase(ids[4], deletionOf("x", "another")); !errors.Is(err, engine.ErrRequestReused) {
		t.Errorf("another reason under the ID: %v", err)
	}
	s.now = s.now.Add(11 * time.Minute)
	if s.cleanup(); s.called(ids[4]) != "expired" {
		t.Errorf("the newest of a target that no plan has is %s", s.called(ids[4]))
	}
}

// TestHealthWithoutSoftDeletedPoints: a target whose last points a person deletes is not protected.
func TestHealthWithoutSoftDeletedPoints(t *testing.T) {
	s := newHarness(t)
	ids := s.softPoints(1)
	s.now = begin.Add(2 * time.Hour)
	if is := s.health(nightly()); is.Status != health.Protected {
		t.Fatalf("%+v", is)
	}
	if _, err := s.engine.SoftDelete(t.Context(), ids[0], deletionOf("x", "why"), false); err != nil {
		t.Fatal(err)
	}
	if is := s.health(nightly()); is.Point != nil || is.Status == health.Protected {
		t.Errorf("%+v", is)
	}
}

// acts are the things that may happen to a point past its time. Each may be made again.
var acts = []struct {
	name string
	do   func(s *harness, id, reader string) error
}{
	{"mark", func(s *harness, _, _ string) error { return s.cleaned() }},
	{"undo", func(s *harness, id, _ string) error { return s.undelete(id, wish("undo", "undone", time.Time{})) }},
	{"hold", func(s *harness, id, _ string) error {
		_, err := s.engine.Hold(s.t.Context(), id, wish("hold", "held", time.Time{}))
		return err
	}},
	{"delete", func(s *harness, id, _ string) error { return s.erase(id, deletionOf("delete", "deleted")) }},
	{"restore", (*harness).reads},
	{"end", func(s *harness, _, _ string) error {
		s.now = backup.Later(s.now, begin.Add(45*day))
		return s.cleaned()
	}},
}

func (s *harness) cleaned() error {
	report, err := s.engine.Cleanup(s.t.Context())
	return errors.Join(append(report.Failed, err)...)
}

// reads has a run that has not ended read the point, as a restore does: under the ETag that it read.
func (s *harness) reads(id, reader string) error {
	p, err := s.engine.RecoveryPoint(s.t.Context(), id)
	if err != nil || restore.Usable(p, backup.Service{}, s.now) != nil || len(p.Readers) > 0 {
		return err
	}
	p.Readers = []string{reader}
	_, err = s.storage.Apply(s.t.Context(), p.Replace())
	return err
}

// TestEachOrderOfSoftDeletion: three of these acts happen, in each order, and the process dies after each write of the first or the
// second. Then the killed act is repeated, or is not. The artifact is never deleted before its time, nor while anybody needs it. Without a hold it is deleted in the end.
func TestEachOrderOfSoftDeletion(t *testing.T) {
	for i := range acts {
		for j := range acts {
			for k := range acts {
				if i == j || j == k || i == k {
					continue
				}
				for killed := range 2 {
					for write, n := 1, 1; write <= n; write++ {
						for _, again := range []bool{false, true} {
							n = ordered(t, []int{i, j, k}, killed, write, again)
						}
					}
				}
			}
		}
	}
}

// ordered lets the acts happen, kills the one at that place after that write, and returns how many writes that act would make.
func ordered(t *testing.T, order []int, killed, write int, again bool) (writes int) {
	t.Helper()
	s := newHarness(t)
	id := s.softPoints(2)[0]
	reader := s.ask("restore").ID
	name := fmt.Sprintf("killed after write %d of act %d, again: %t", write, killed+1, again)
	for _, i := range order {
		name += " " + acts[i].name
	}
	s.provider.delete = func(a backup.Attempt, _ bool) error {
		if p := s.storedPoint(a.Run); !p.IsSoftDeleted() || s.now.Before(p.SoftDeletion.Until) || p.SoftDeletion.Until.Before(p.Expires.Add(week)) ||
			len(p.HeldBy(s.now)) > 0 || s.stillReads(p) {
			t.Errorf("%s: deleted at %s: %+v", name, s.now, p)
		}
		return nil
	}
	for place, i := range order {
		s.now = s.now.Add(time.Minute)
		act := acts[i]
		if place != killed {
			s.done(name, act.name, id, act.do(s, id, reader))
			continue
		}
		first := s.storage.writes
		s.storage.before = func(int) {
			if s.storage.writes-first > write {
				panic(dead{})
			}
		}
		// A call that only reads may come next: the last write of the act is then its end.
		var err error
		died := s.dies(func() { err = act.do(s, id, reader) })
		s.storage.before = nil
		if writes = s.storage.writes - first; !died {
			s.done(name, act.name, id, err)
		}
		if again {
			s.done(name, act.name, id, act.do(s, id, reader))
		}
	}
	held := s.held(id) != ""
	s.finish() // the restore ends
	for range 2 {
		s.now = s.now.Add(20 * time.Minute)
		_, _ = s.engine.Schedule(t.Context(), nil)
	}
	for range 5 {
		s.now = s.now.Add(8 * day)
		s.cleanup()
	}
	switch p := s.point(id); {
	case held && (p.State != backup.Live || slices.Contains(s.provider.deleted, p.Artifact)):
		t.Errorf("%s: held, and in the end it is %s, deleted %q", name, p.State, s.provider.deleted)
	case !held && p.State != backup.Expired:
		t.Errorf("%s: in the end it is %s: %+v", name, p.Called(), p.SoftDeletion)
	}
	if s.rows("outbox-") > 0 {
		t.Errorf("%s: %d events wait", name, s.rows("outbox-"))
	}
	return writes
}

// done checks that an act that was answered is as it was answered.
func (s *harness) done(name, act, id string, err error) {
	s.t.Helper()
	p := s.storedPoint(id)
	held := len(p.HeldBy(s.now)) > 0
	wrong := false
	switch act {
	case "undo":
		wrong = err == nil && (!held || p.IsSoftDeleted()) ||
			err != nil && !errors.Is(err, engine.ErrNotSoftDeleted) && !errors.Is(err, engine.ErrNothingToHold)
	case "hold":
		wrong = err == nil && !held || err != nil && !errors.Is(err, engine.ErrNothingToHold)
	case "delete":
		wrong = err == nil && !p.IsSoftDeleted() || err != nil && !errors.Is(err, engine.ErrHeld) && !errors.Is(err, engine.ErrInUse) &&
			!errors.Is(err, engine.ErrPointGone) && !errors.Is(err, engine.ErrDeletionUndone)
	default:
		wrong = err != nil
	}
	if wrong {
		s.t.Errorf("%s: %s: %v, and the point is %s, held: %t, %+v", name, act, err, p.Called(), held, p.SoftDeletion)
	}
}

// storedPoint reads a point behind the back of a storage that kills.
func (s *harness) storedPoint(id string) backup.Point {
	row, _, err := s.storage.catalog.Get(context.Background(), backup.Point{ID: id}.Key())
	if err != nil {
		s.t.Fatal(err)
	}
	p, err := backup.DecodePoint(row)
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

// stillReads says whether a restore that has not ended reads the point.
func (s *harness) stillReads(p backup.Point) bool {
	return slices.ContainsFunc(p.Readers, func(id string) bool { return !s.run(id).State.Final() })
}

// TestTwoChangesInASecond: storage's clock has seconds. The later of two changes has the later time, and so the newer manifest.
func TestTwoChangesInASecond(t *testing.T) {
	s := newHarness(t)
	id := s.softPoints(3)[0]
	if err := s.erase(id, deletionOf("gone", "it has a secret")); err != nil {
		t.Fatal(err)
	}
	deleted := s.point(id).SoftDeletion.Since
	if err := s.undelete(id, wish("one", "we need it", time.Time{})); err != nil {
		t.Fatal(err)
	}
	if p := s.point(id); !p.Undone.Time.After(deleted) {
		t.Errorf("deleted at %s, and undone at %s", deleted, p.Undone.Time)
	}
}
