package engine_test

// These are the scenarios in which retention fails in the world, one test each.

import (
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/restore"
)

// TestScenario12AllBackupsFailForSixtyDays: keep.within is half as long, and the last good backup is still there. With the first success it
// goes by its time, as ever.
func TestScenario12AllBackupsFailForSixtyDays(t *testing.T) {
	s := newHarness(t)
	good := s.nights(3, func(int) int64 { return 1000 })
	for _, id := range s.nights(60, func(int) int64 { s.cleanup(); return 0 }) {
		s.ended(id, backup.Failed, "ArtifactEmpty")
	}
	s.cleanup()
	if got := s.states(good...); got != "expired expired live" {
		t.Errorf("after 60 days of failures they are %s", got)
	}
	if h := s.health(nightly()); h.Point == nil || h.Point.ID != good[2] {
		t.Errorf("health knows %+v", h.Point)
	}
	fresh := s.nights(1, func(int) int64 { return 1000 })
	s.now = s.now.Add(7 * time.Hour)
	s.cleanup()
	if got := s.states(good[2], fresh[0]); got != "expired live" {
		t.Errorf("after the first success they are %s", got)
	}
}

// TestScenario17KeepShortenedByMistake: an edit makes 90 points one. The preview lists what would go, a few go a day and are soft-deleted, and
// after the edit is taken back the others stay, and a person brings the few back.
func TestScenario17KeepShortenedByMistake(t *testing.T) {
	s := edited(t, 90, week)
	preview := s.retained(time.Time{})
	if n := len(going(preview)) + len(waiting(preview)); n != 90 {
		t.Errorf("the preview lists %d of 90", n)
	}
	s.cleanup()
	s.now = s.now.Add(23 * time.Hour)
	s.cleanup()
	if got := s.begun(); got != 9 {
		t.Errorf("%d went in a day", got)
	}
	s.plan.Settings.KeepCounts.Last = 200
	s.night(1000)
	s.now = s.now.Add(3 * day)
	s.cleanup()
	if got := s.begun(); got > 18 {
		t.Errorf("%d went until the edit was taken back", got)
	}
	for _, id := range s.ids {
		if p := s.point(id); p.IsSoftDeleted() {
			if err := s.undelete(id, backup.PersonHold{ID: "u-" + id, By: "me", Reason: "the edit was wrong"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.now = s.now.Add(30 * day)
	s.cleanup()
	if got := s.begun(); got != 0 {
		t.Errorf("%d are lost in the end", got)
	}
}

// TestScenario18DeathAmidADeletion: cleanup dies before or behind each of its requests, so before or behind the deletion of the artifact. The
// next ones converge: the artifacts are gone, their points are expired, and no other is.
func TestScenario18DeathAmidADeletion(t *testing.T) {
	for _, made := range []bool{false, true} {
		for k := 1; ; k++ {
			s := newHarness(t)
			ids := s.points(3)
			s.storage.calls, s.storage.failAt, s.storage.made = 0, k, made
			_, _ = s.engine.Cleanup(t.Context())
			s.storage.failAt = 0
			if s.storage.calls < k {
				if k < 8 {
					t.Errorf("only %d calls", k)
				}
				break
			}
			for _, id := range ids {
				if slices.Contains(s.provider.deleted, id+".1") && restore.Usable(s.point(id), backup.Service{}, s.now) == nil {
					t.Errorf("call %d fails: the artifact of %s is gone, and it can be restored", k, id)
				}
			}
			for range 3 {
				s.now = s.now.Add(7 * time.Hour)
				s.cleanup()
			}
			if got := s.states(ids...); got != "expired expired live" || slices.Contains(s.provider.deleted, ids[2]+".1") {
				t.Errorf("call %d fails: in the end they are %s, and %q are deleted", k, got, s.provider.deleted)
			}
		}
	}
}

// TestScenario19DeletionRacesARestore: a restore begins to read a point between any two requests of the cleanup that deletes it. If it could
// note itself as a reader, the artifact stays.
func TestScenario19DeletionRacesARestore(t *testing.T) {
	noted := 0
	for k := 1; ; k++ {
		s := newHarness(t)
		ids := s.points(2)
		reader := backup.Run{ID: backup.NewRunID(target+"-two", begin, "reader"), State: backup.Running, Target: target + "-two", Restore: &backup.Restoring{}}
		if _, err := s.storage.catalog.Apply(t.Context(), backup.Write{Op: backup.Put, Key: reader.Key(), Body: backup.Encode(reader)}); err != nil {
			t.Fatal(err)
		}
		met, reads := false, false
		s.storage.calls = 0
		s.storage.before = func(call int) {
			if call != k || met {
				return
			}
			met = true
			row, _, err := s.storage.catalog.Get(t.Context(), backup.Point{ID: ids[0]}.Key())
			if err != nil {
				t.Fatal(err)
			}
			p, err := backup.DecodePoint(row)
			if err != nil {
				t.Fatal(err)
			}
			if reads = p.State == backup.Live; reads {
				p.Readers = []string{reader.ID}
				if _, err := s.storage.catalog.Apply(t.Context(), p.Replace()); err != nil {
					t.Fatal(err)
				}
			}
		}
		_, _ = s.engine.Cleanup(t.Context())
		s.storage.before = nil
		if !met {
			break
		}
		if reads {
			noted++
			s.now = s.now.Add(7 * time.Hour)
			s.cleanup()
			if s.state(ids[0]) != backup.Live || len(s.provider.deleted) != 0 {
				t.Errorf("a restore reads it before call %d, and it is %s", k, s.state(ids[0]))
			}
		}
	}
	if noted < 3 {
		t.Errorf("only %d restores could begin", noted)
	}
}

// TestScenario20StorageIsUnreachable: a silent account, a missing container and a missing role delete no row. Once storage is back, cleanup
// goes on.
func TestScenario20StorageIsUnreachable(t *testing.T) {
	for code, kind := range map[string]backup.FaultKind{
		"NoAnswer": backup.Retryable, "ContainerNotFound": backup.Refused, "AuthorizationFailed": backup.Refused, "AccountNotFound": backup.Unobservable,
	} {
		s := newHarness(t)
		ids := s.points(3)
		s.provider.delete = func(backup.Attempt, bool) error { return fault(kind, code) }
		for range 10 {
			s.cleanup()
			s.now = s.now.Add(7 * time.Hour)
		}
		if got := s.states(ids...); strings.Contains(got, "expired") {
			t.Errorf("%s: they are %s", code, got)
		}
		s.provider.delete = nil
		for range 30 {
			s.cleanup()
			s.now = s.now.Add(7 * time.Hour)
		}
		if got := s.states(ids...); got != "expired expired live" {
			t.Errorf("%s is over: they are %s", code, got)
		}
	}
}

// TestScenario23OlderThanTheServiceRestores: a policy of a year meets a service that restores 30 days. An older point cannot be restored, and
// takes no place of a younger one.
func TestScenario23OlderThanTheServiceRestores(t *testing.T) {
	s := newThinning(t, backup.Counts{Yearly: 1, Last: 3})
	s.plan.Settings.KeepMinimum = 3
	for i := range s.engine.Services {
		s.engine.Services[i].Restorable = 30 * day
	}
	for range 5 {
		s.night(1000)
	}
	old := s.ids[4]
	s.now = s.now.Add(40 * day)
	for range 3 {
		s.night(1000)
	}
	s.unpaced()
	if why := restore.Usable(s.point(old), backup.Service{Restorable: 30 * day}, s.now); why == nil {
		t.Error("a point of 40 days can be restored")
	}
	if got := s.states(s.ids...); got != "expired expired expired expired expired live live live" {
		t.Errorf("they are %s", got)
	}
}
