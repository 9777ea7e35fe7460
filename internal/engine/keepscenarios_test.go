package engine_test

// These are the scenarios in which retention fails in the world, one test each.

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/deletion"
	"lifeboat/internal/restore"
)

// TestScenario12AllBackupsFailForSixtyDays: keep.within is 5 days. Sixty days of failures delete none of three good backups, and
// the first success after them neither. Then backups work on, and the three go, each a day after the one before.
func TestScenario12AllBackupsFailForSixtyDays(t *testing.T) {
	for _, counts := range []backup.Counts{{}, {Last: 1}} {
		s := newThinning(t, counts)
		s.plan.Settings.KeepWithin, s.plan.Settings.KeepGrace = 5*day, 2*day
		for range 3 {
			s.night(1000)
		}
		good := s.ids
		for range 60 {
			s.now = s.plan.Schedule.Next(s.now)
			s.provider.hash = func(backup.Attempt, backup.Hashing) (backup.Verification, error) {
				return backup.Verification{}, fault(backup.Refused, "ArtifactEmpty")
			}
			failed := s.runSchedule(s.plan).Created
			s.finish()
			s.ended(failed[0], backup.Failed, "ArtifactEmpty")
			s.now = s.now.Add(7 * time.Hour)
			s.cleanup()
		}
		if got := s.states(good...); got != "live live live" { // the oldest is 4 days old: two nights, and the grace behind the last
			t.Errorf("%s: after 60 days of failures they are %s", counts, got)
		}
		said := ""
		for _, x := range s.retained(time.Time{}).Points {
			if x.Point.ID == good[1] {
				said = x.Causes[0].Words
			}
		}
		if want := "at the earliest: keep.within counts only time in which backups work, and none of plan nightly has worked since " +
			s.point(good[2]).Created.Format(time.RFC3339); !strings.HasSuffix(said, want) {
			t.Errorf("%s: %q, want %q", counts, said, want)
		}
		var seen []string
		for range 4 {
			s.made(1000)
			s.now = s.now.Add(7 * time.Hour)
			s.cleanup()
			seen = append(seen, s.states(good...))
			s.now = s.now.Add(10 * time.Hour)
		}
		if got, want := strings.Join(seen, ", "), "live live live, expired live live, expired expired live, expired expired expired"; got != want {
			t.Errorf("%s: after the first successes they are %s, want %s", counts, got, want)
		}
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

// TestScenario35MadeAnewUnderTheSameName: a service is deleted, and another one is made under its resource ID. The last good backup of the
// first one stays past its time, while the service could restore it, and the preview says why. A person can delete it.
func TestScenario35MadeAnewUnderTheSameName(t *testing.T) {
	first, second := begin.AddDate(-3, 0, 0), begin.Add(3*day+time.Hour)
	s := newThinning(t, backup.Counts{})
	s.plan.Settings.KeepWithin = 3 * day
	for i := range s.engine.Services {
		s.engine.Services[i].Restorable = 30 * day
	}
	nights := func(n int, created time.Time) {
		s.provider.poll = func(backup.Attempt) (backup.Operation, error) {
			return backup.Operation{Done: true, ServiceCreated: created}, nil
		}
		for range n {
			s.night(1000)
		}
	}
	nights(3, first)
	nights(1, time.Time{}) // an answer that says nothing is of neither
	nights(7, second)
	s.now = s.now.Add(7 * time.Hour)
	s.unpaced()
	if got, want := s.states(s.ids[:5]...), "expired expired live expired expired"; got != want {
		t.Fatalf("they are %s, want %s", got, want)
	}
	last := s.ids[2]
	want := "the newest verified recovery point of the service that was created at " + first.Format(time.RFC3339) + ", and made anew since under its name"
	for _, x := range s.retained(time.Time{}).Points {
		if x.Point.ID == last && (len(x.Causes) != 1 || x.Causes[0].Words != want || !x.Next.Equal(x.Point.Created.Add(30*day+1))) {
			t.Errorf("%+v", x)
		}
	}
	later := s.retained(s.point(last).Created.Add(30*day + time.Hour))
	if !slices.Contains(going(later), last) {
		t.Errorf("behind the time for which the service restores, only these go: %q", going(later))
	}
	if err := s.erase(last, backup.SoftDeletion{ID: "d", By: "me", Reason: "the first service is not needed"}); err != nil {
		t.Fatal(err)
	}
	s.now = s.now.Add(7 * time.Hour)
	s.cleanup()
	if got := s.state(last); got != backup.Expired {
		t.Errorf("a person has deleted it, and it is %s", got)
	}
}

// TestScenario38CleanupUnderTheFunctionLimit: all at once, two of the three points of each target are past their time, and the time of an
// invocation is over amid the cleanup. The next one goes on where it stopped, and each one holds no more than one page of the index.
func TestScenario38CleanupUnderTheFunctionLimit(t *testing.T) {
	const targets, limit = 2000, 4000 // the limit is in requests of an invocation
	s := newHarness(t)
	for n := range targets {
		of := fmt.Sprintf("%s-%d", target, n)
		for i := range 3 {
			created := begin.Add(time.Duration(i) * day)
			p := backup.Point{
				ID: backup.NewRunID(of, created, "nightly"), State: backup.Live, Target: of, Plan: "nightly", Created: created, Expires: created.Add(30 * day),
				Storage: backup.Storage{Account: account, Container: "lifeboat"}, ETag: "etag", Size: 1 << 20, SHA256: "beef",
			}
			p.Artifact = p.ID + ".1"
			s.put(p)
			if err := deletion.PutDue(t.Context(), s.storage.catalog, p, nil, created); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.now = begin.Add(31*day + time.Hour)
	invocations, calls := 0, 0
	for deleted := -1; deleted < len(s.provider.deleted); invocations++ {
		deleted = len(s.provider.deleted)
		ctx, over := context.WithCancel(t.Context())
		s.storage.calls = 0
		s.storage.before = func(call int) {
			if call == limit {
				over()
			}
		}
		report, _ := s.engine.Cleanup(ctx)
		over()
		if calls += s.storage.calls; s.storage.calls > limit+20 {
			t.Fatalf("an invocation goes on for %d requests behind its end", s.storage.calls-limit)
		}
		if len(report.Deletions) > 1000 || len(report.Failed) > 4 {
			t.Fatalf("an invocation holds %d deletions and %d failures", len(report.Deletions), len(report.Failed))
		}
		s.now = s.now.Add(5 * time.Minute)
	}
	gone := map[string]bool{} // the artifact that was deleted as the time was over is deleted again
	for _, artifact := range s.provider.deleted {
		gone[artifact] = true
	}
	if len(gone) != 2*targets || len(s.provider.deleted) > 2*targets+invocations {
		t.Errorf("%d of %d artifacts are deleted, in %d calls", len(gone), 2*targets, len(s.provider.deleted))
	}
	if invocations < 6 || calls > 9*2*targets {
		t.Errorf("%d invocations cost %d requests", invocations, calls)
	}
}
