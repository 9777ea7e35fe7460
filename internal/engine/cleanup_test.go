package engine_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/deletion"
	"lifeboat/internal/engine"
)

// points makes n succeeded runs, a day apart, and goes to the day after the last one's end. It returns their IDs, oldest first.
func (s *harness) points(n int) (ids []string) {
	s.t.Helper()
	for i := range n {
		run := s.ask(fmt.Sprint("request-", i))
		s.finish()
		s.ended(run.ID, backup.Succeeded, "")
		ids = append(ids, run.ID)
		s.now = begin.Add(time.Duration(i+1) * day)
	}
	s.now = begin.Add(time.Duration(n+30)*day + time.Hour)
	return ids
}

func (s *harness) cleanup() engine.CleanupReport {
	s.t.Helper()
	report, err := s.engine.Cleanup(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return report
}

// unpaced cleans up as if any number of points might go in a day.
func (s *harness) unpaced() {
	s.t.Helper()
	for wait := true; wait; wait = s.cleanup().Waiting > 0 {
		var ids []string
		for _, row := range s.storage.catalog.Rows() {
			if row.Row == backup.PaceRow {
				if _, err := s.storage.catalog.Apply(s.t.Context(), backup.Write{Op: backup.Delete, Key: row.Key, ETag: row.ETag}); err != nil {
					s.t.Fatal(err)
				}
			}
			if strings.HasPrefix(row.Row, backup.PointPrefix) {
				ids = append(ids, row.Partition+"-"+strings.TrimPrefix(row.Row, backup.PointPrefix))
			}
		}
		if err := deletion.PutOut(s.t.Context(), s.storage.catalog, target, ids, s.now, s.now); err != nil {
			s.t.Fatal(err)
		}
	}
}

// state returns the state of the run's recovery point.
func (s *harness) state(id string) backup.PointState {
	s.t.Helper()
	p := s.status(id).Point
	if p == nil {
		s.t.Fatalf("run %s has no recovery point", id)
	}
	return p.State
}

func TestCleanup(t *testing.T) {
	t.Run("nothing is due", func(t *testing.T) {
		s := newHarness(t)
		s.points(3)
		s.now = begin.Add(29 * day)
		s.cleanup() // notes that it came
		s.storage.calls, s.storage.writes = 0, 0
		if r := s.cleanup(); r.Scanned != 0 || s.storage.calls != 2 || s.storage.writes != 0 {
			t.Errorf("%+v in %d calls", r, s.storage.calls)
		}
	})
	t.Run("all are past their time, and the newest stays", func(t *testing.T) {
		s := newHarness(t)
		ids := s.points(3)
		r := s.cleanup()
		if r.Scanned != 1 || len(r.Deletions) != 2 || r.Kept != 1 || len(r.Failed) != 0 {
			t.Errorf("report %+v", r)
		}
		if s.state(ids[0]) != backup.Expired || s.state(ids[1]) != backup.Expired || s.state(ids[2]) != backup.Live {
			t.Errorf("states %s, %s, %s", s.state(ids[0]), s.state(ids[1]), s.state(ids[2]))
		}
		if fmt.Sprint(s.provider.deleted) != fmt.Sprintf("[%s.1 %s.1]", ids[1], ids[0]) {
			t.Errorf("deleted %q", s.provider.deleted)
		}
		if p := s.status(ids[0]).Point; !p.Deleted.Equal(s.now) || p.Reason.Message == "" {
			t.Errorf("the point does not tell when and why: %+v", p)
		}
		if s.rows("due") != 1 {
			t.Errorf("%d entries are left, want that of the newest", s.rows("due"))
		}
		if r := s.cleanup(); r.Scanned != 0 {
			t.Errorf("the newest is looked at again at once: %+v", r)
		}
		// A year later it is still there; with a newer one it goes.
		s.now = begin.Add(400 * day)
		s.cleanup()
		if s.state(ids[2]) != backup.Live {
			t.Error("the newest was deleted")
		}
		s.ask("request-new")
		s.finish()
		s.now = s.now.Add(7 * time.Hour)
		s.cleanup()
		if s.state(ids[2]) != backup.Expired {
			t.Error("it stays for ever")
		}
	})
	t.Run("the artifact was changed, and later somebody deleted it", func(t *testing.T) {
		s := newHarness(t)
		ids := s.points(2)
		s.provider.delete = func(backup.Attempt, bool) error { return fault(backup.Refused, "ArtifactChanged") }
		if r := s.cleanup(); len(r.Failed) != 1 {
			t.Errorf("report %+v", r)
		}
		if p := s.status(ids[0]).Point; p.State != backup.Deleting || p.Reason.Code != "ArtifactChanged" {
			t.Errorf("the point is %s: %+v", p.State, p.Reason)
		}
		s.provider.delete = nil
		if r := s.cleanup(); r.Scanned != 0 {
			t.Errorf("tried again at once: %+v", r)
		}
		s.now = s.now.Add(6 * time.Hour)
		s.cleanup()
		if s.state(ids[0]) != backup.Expired {
			t.Errorf("the point is %s", s.state(ids[0]))
		}
	})
	t.Run("one target's trouble does not stop the others", func(t *testing.T) {
		s := newHarness(t)
		ids := s.points(2)
		s.now = begin.Add(time.Hour)
		other := nightly()
		var others []string
		for i := range 2 {
			run, err := s.backup(fmt.Sprint("other-", i), other, target+"-two")
			if err != nil {
				t.Fatal(err)
			}
			s.finish()
			others = append(others, run.ID)
			s.now = s.now.Add(time.Hour)
		}
		s.now = begin.Add(60 * day)
		s.provider.delete = func(a backup.Attempt, _ bool) error {
			if a.Target == target {
				return fault(backup.Refused, "Forbidden")
			}
			return nil
		}
		if r := s.cleanup(); r.Scanned != 2 || len(r.Failed) != 1 || s.state(others[0]) != backup.Expired ||
			s.state(ids[0]) != backup.Deleting {
			t.Errorf("%+v; %s, %s", r, s.state(others[0]), s.state(ids[0]))
		}
	})
	t.Run("the entry of a run that never got its point", func(t *testing.T) {
		s := newHarness(t)
		run := s.ask("request-1")
		for s.run(run.ID).State != backup.Verifying {
			s.step()
		}
		s.storage.calls, s.storage.failAt = 0, 4 // get, list, index, save
		s.deliver()
		s.provider.hash = func(backup.Attempt, backup.Hashing) (backup.Verification, error) {
			return backup.Verification{}, fault(backup.Refused, "BlobNotFound")
		}
		s.finish()
		s.ended(run.ID, backup.Failed, "BlobNotFound")
		s.now = begin.Add(60 * day)
		if s.cleanup(); s.rows("due") != 0 {
			t.Errorf("%d entries are left", s.rows("due"))
		}
	})
}

// TestCleanupIsRepeatable lets every storage call fail, before and after it took effect, and the deletion itself, before and
// after; the next cleanups complete it, and the newest is there at every moment.
func TestCleanupIsRepeatable(t *testing.T) {
	check := func(t *testing.T, s *harness, ids []string, what string) {
		t.Helper()
		s.provider.delete = nil
		for range 3 {
			if s.state(ids[2]) != backup.Live {
				t.Fatalf("%s: the newest is %s", what, s.state(ids[2]))
			}
			s.now = s.now.Add(7 * time.Hour)
			s.cleanup()
		}
		if s.state(ids[0]) != backup.Expired || s.state(ids[1]) != backup.Expired || s.state(ids[2]) != backup.Live ||
			s.rows("due") != 1 {
			t.Errorf("%s: %s, %s, %s, %d entries", what, s.state(ids[0]), s.state(ids[1]), s.state(ids[2]), s.rows("due"))
		}
	}
	for _, made := range []bool{false, true} {
		for k := 1; ; k++ {
			s := newHarness(t)
			ids := s.points(3)
			s.storage.calls, s.storage.failAt, s.storage.made = 0, k, made
			_, _ = s.engine.Cleanup(t.Context())
			if s.storage.calls < k {
				break
			}
			check(t, s, ids, fmt.Sprintf("call %d fails (made: %v)", k, made))
		}
		s := newHarness(t)
		ids := s.points(3)
		s.provider.delete = func(a backup.Attempt, _ bool) error {
			if made {
				s.provider.deleted = append(s.provider.deleted, a.Artifact)
			}
			return errBroken
		}
		s.cleanup()
		check(t, s, ids, fmt.Sprintf("the deletion fails (made: %v)", made))
	}
}

// TestCleanupReadsNoHistory: points that expired long ago are not read again: the cost of a cleanup depends on the due points,
// not on the history.
func TestCleanupReadsNoHistory(t *testing.T) {
	s := newHarness(t)
	ids := s.points(20)
	s.cleanup()
	if p := s.status(ids[0]).Point; p.State != backup.Expired {
		t.Fatalf("the oldest point is %s", p.State)
	}
	read := 0
	s.storage.listed = func(rows []backup.Row) {
		for _, r := range rows {
			if r.Row == "point-"+ids[0][17:] {
				t.Error("the row of a point that was expired long ago was read")
			} else if strings.HasPrefix(r.Row, "point-") {
				read++
			}
		}
	}
	s.now = s.now.Add(7 * time.Hour)
	if s.cleanup(); read == 0 {
		t.Error("nothing was due")
	}
}

// TestCleanupKeepsTheMinimum checks that points past their time stay while they are among the newest ones that the plan keeps, and go
// once they are not: in the order of their age, also if cleanup dies after a deletion.
func TestCleanupKeepsTheMinimum(t *testing.T) {
	s := newHarness(t)
	plan := nightly()
	plan.Settings.KeepWithin, plan.Settings.KeepMinimum = day, 3
	made := func() string {
		s.now = s.now.Add(day)
		r := s.runSchedule(plan)
		if len(r.Created) != 1 {
			t.Fatalf("%+v", r)
		}
		s.finish()
		return r.Created[0]
	}
	s.runSchedule(plan)
	ids := []string{made(), made(), made(), made(), made()}
	want := func(states ...backup.PointState) {
		t.Helper()
		for i, state := range states {
			if is := s.state(ids[i]); is != state {
				t.Errorf("point %d is %s, want %s", i, is, state)
			}
		}
	}
	s.now = s.now.Add(9 * day)
	r := s.cleanup()
	want(backup.Expired, backup.Expired, backup.Live, backup.Live, backup.Live)
	if len(r.Deletions) != 2 || r.Kept != 3 {
		t.Errorf("%+v", r)
	}
	ids = append(ids, made())
	s.now = s.now.Add(7 * time.Hour) // it looks again at what it kept
	s.cleanup()
	want(backup.Expired, backup.Expired, backup.Expired, backup.Live, backup.Live, backup.Live)
	plan.Settings.KeepMinimum = 0 // from the next point on
	ids = append(ids, made())
	s.now = s.now.Add(7 * time.Hour)
	s.unpaced()
	want(backup.Expired, backup.Expired, backup.Expired, backup.Expired, backup.Expired, backup.Expired, backup.Live)
}

// TestCleanupSeesTheNewestOfAnOlderRun: a run that waited for its target is older than the run before it, and its recovery point
// is newer.
func TestCleanupSeesTheNewestOfAnOlderRun(t *testing.T) {
	s := newHarness(t)
	first := s.ask("first")
	s.now = s.now.Add(time.Second)
	plan := nightly()
	plan.OnDemandKeepWithin = day
	second, err := s.backup("second", plan, target)
	if err != nil {
		t.Fatal(err)
	}
	busy := true
	s.provider.begin = func(a backup.Attempt) (backup.Operation, error) {
		if a.Run == first.ID && busy {
			return backup.Operation{}, &backup.Fault{Kind: backup.Retryable, Code: "ServiceUpdating"}
		}
		busy = false
		return backup.Operation{Token: "token"}, nil
	}
	s.finish()
	s.now = s.now.Add(2 * day)
	s.cleanup()
	if a, b := s.status(first.ID).Point, s.status(second.ID).Point; a.State != backup.Live || b.State != backup.Expired {
		t.Errorf("the newer point is %s, the one past its time %s", a.State, b.State)
	}
}

// TestStorageKeepsTheArtifact: if storage protects the artifact of a point, the point keeps its state, says why and until when,
// and can be restored; its deletion is tried again when storage may have ended the protection.
func TestStorageKeepsTheArtifact(t *testing.T) {
	for _, test := range []struct {
		name  string
		until time.Duration // after the first try; 0: storage does not say
		again time.Duration
		words string
	}{
		{"nobody knows until when", 0, 6 * time.Hour, "which does not say until when"},
		{"for another hour", time.Hour, 6 * time.Hour, "until 2026-"},
		{"for two days", 2 * day, 2 * day, "until 2026-"},
		{"for a year, which somebody may end before", 365 * day, 7 * day, "until 2027-"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newHarness(t)
			ids := s.points(2)
			first, tries := s.now, 0
			s.provider.delete = func(backup.Attempt, bool) error {
				tries++
				f := fault(backup.Kept, "BlobImmutableDueToPolicy")
				f.Hint = "end the policy"
				if test.until > 0 {
					f.Until = first.Add(test.until)
				}
				return f
			}
			r := s.cleanup()
			p := s.status(ids[0]).Point
			if len(r.Failed) != 0 || p.State != backup.Live || p.Reason.Code != "KeptByStorage" ||
				p.KeptByStorage.Reason.Code != "BlobImmutableDueToPolicy" || p.KeptByStorage.Reason.Hint != "end the policy" ||
				!p.KeptByStorage.Again.Equal(first.Add(test.again)) || p.KeptByStorage.Until.IsZero() != (test.until == 0) {
				t.Fatalf("%+v; %+v", r, p)
			}
			told := 0
			for _, d := range r.Deletions {
				if d.Point.ID == ids[0] && d.Keep && strings.HasPrefix(d.Reason, "kept by storage") && strings.Contains(d.Reason, test.words) {
					told++
				}
			}
			if told != 1 {
				t.Errorf("deletions %+v", r.Deletions)
			}
			s.now = first.Add(test.again - time.Minute)
			if s.cleanup(); tries != 1 {
				t.Errorf("%d tries before its time", tries)
			}
			s.now = first.Add(test.again)
			if s.cleanup(); tries != 2 || s.state(ids[0]) != backup.Live {
				t.Errorf("%d tries, and the point is %s", tries, s.state(ids[0]))
			}
			s.provider.delete = nil
			s.now = s.now.Add(max(test.again, 7*day))
			if s.cleanup(); s.state(ids[0]) != backup.Expired {
				t.Errorf("the point is %s", s.state(ids[0]))
			}
			if p := s.status(ids[0]).Point; !p.KeptByStorage.Again.IsZero() || p.Reason.Code != "Expired" {
				t.Errorf("expired as %+v", p)
			}
		})
	}
	t.Run("one that is suspect", func(t *testing.T) {
		s := newHarness(t)
		ids := s.points(2)
		s.change(ids[0], func(p *backup.Point) {
			p.State, p.Suspicion = backup.Suspect, backup.Reason{Code: "SizeDropped", Message: "small"}
		})
		s.provider.delete = func(backup.Attempt, bool) error { return fault(backup.Kept, "LeaseIdMissing") }
		if s.cleanup(); s.state(ids[0]) != backup.Suspect {
			t.Errorf("it is %s", s.state(ids[0]))
		}
	})
	t.Run("one that an earlier version gave up", func(t *testing.T) {
		s := newHarness(t)
		ids := s.points(2)
		s.change(ids[0], func(p *backup.Point) { p.State = backup.Deleting })
		s.provider.delete = func(backup.Attempt, bool) error { return fault(backup.Kept, "LeaseIdMissing") }
		if s.cleanup(); s.state(ids[0]) != backup.Live {
			t.Errorf("it is %s", s.state(ids[0]))
		}
	})
	t.Run("every call of storage fails once", func(t *testing.T) {
		for _, made := range []bool{false, true} {
			for k := 1; ; k++ {
				s := newHarness(t)
				ids := s.points(2)
				s.provider.delete = func(backup.Attempt, bool) error { return fault(backup.Kept, "LeaseIdMissing") }
				s.storage.calls, s.storage.failAt, s.storage.made = 0, k, made
				_, _ = s.engine.Cleanup(t.Context())
				if s.storage.calls < k {
					break
				}
				s.now = s.now.Add(7 * time.Hour)
				if s.cleanup(); s.state(ids[0]) != backup.Live {
					t.Fatalf("call %d fails (made: %v): the point is %s", k, made, s.state(ids[0]))
				}
			}
		}
	})
}

// TestTwoCleanupsOfWhatStorageKeeps: storage refuses an artifact to one cleanup, and another one deletes it a moment later. The
// first must not restore the point's state. Either of them may save first.
func TestTwoCleanupsOfWhatStorageKeeps(t *testing.T) {
	s := newHarness(t)
	ids := s.points(2)
	deleted, saved, ended := make(chan bool), make(chan bool), make(chan bool)
	s.provider.delete = func(backup.Attempt, bool) error {
		s.provider.delete = func(backup.Attempt, bool) error { // storage has ended the protection
			deleted <- true
			<-saved
			return nil
		}
		go func() {
			defer close(ended)
			_, _ = s.engine.Cleanup(t.Context())
		}()
		<-deleted
		return fault(backup.Kept, "LeaseIdMissing")
	}
	if r := s.cleanup(); len(r.Failed) != 1 {
		t.Errorf("it brought back what another one has deleted: %+v", r)
	}
	close(saved)
	<-ended
	if s.state(ids[0]) != backup.Expired {
		t.Errorf("its artifact is gone, and it is %s", s.state(ids[0]))
	}
}

// TestALongHistoryIsNotRead: a cleanup reads the newest recovery points, and the due ones. The artifact of a due point is spared by the
// newest one, and another due point goes. Only for backups by hand alone it reads on, in pages of 1,000: none is of a schedule's newest.
func TestALongHistoryIsNotRead(t *testing.T) {
	for _, c := range []struct {
		onDemand              bool
		few, many, rows, kept int
	}{{false, 2, 0, 66, 65}, {true, 1, 3, 2502, 2501}} {
		few, many, rows, kept := longHistory(t, c.onDemand)
		if few != c.few || many != c.many || rows != c.rows || kept != c.kept {
			t.Errorf("by hand %t: %d small lists, %d large ones, %d rows, and %d kept", c.onDemand, few, many, rows, kept)
		}
	}
}

// longHistory returns the lists of a cleanup with two due points of 2,502, the rows that they had, and the points that it says it kept.
func longHistory(t *testing.T, onDemand bool) (few, many, read, kept int) {
	t.Helper()
	s := newHarness(t)
	ids := s.points(2) // both are past their time
	oldest := *s.status(ids[0]).Point
	const later = 2500
	for i := range later {
		p := oldest
		p.Created = oldest.Created.Add(2*day + time.Duration(i)*10*time.Minute)
		p.ID = backup.Partition(target) + "-" + backup.Countdown(p.Created) + "-" + fmt.Sprintf("%012x", i)
		p.Artifact, p.Expires, p.OnDemand = p.ID, s.now.Add(30*day), onDemand
		if i == later-1 {
			p.Artifact = s.status(ids[1]).Point.Artifact
		}
		s.put(p)
	}
	s.storage.listed = func(rows []backup.Row) {
		if len(rows) > 0 && strings.HasPrefix(rows[0].Row, backup.PointPrefix) {
			if read += len(rows); len(rows) <= 64 {
				few++
			} else {
				many++
			}
		}
	}
	r := s.cleanup()
	if len(r.Failed) > 0 || len(r.Deletions) != 1 || r.Deletions[0].Point.ID != ids[0] || s.state(ids[0]) != backup.Expired || s.state(ids[1]) != backup.Live {
		t.Errorf("failed %v; %+v", r.Failed, r.Deletions)
	}
	return few, many, read, r.Kept
}

// TestRevCleanupCost: of an hourly plan that keeps 52 weeks a cleanup reads as many rows of each target as of a young one, and says what it
// deletes.
func TestRevCleanupCost(t *testing.T) {
	const targets, n = 3, 8736
	s := newHarness(t)
	keep := n * time.Hour
	for k := range targets {
		other := fmt.Sprintf("%s%d", target, k)
		for i := range n + 1 {
			created := begin.Add(time.Duration(i) * time.Hour)
			p := backup.Point{
				ID: backup.NewRunID(other, created, "hourly"), State: backup.Live, Target: other, Plan: "hourly", Created: created, Expires: created.Add(keep),
				Storage: backup.Storage{Account: account, Container: "lifeboat"}, ETag: "etag", Size: 1 << 20, SHA256: strings.Repeat("0", 64),
			}
			p.Artifact = p.ID + ".1"
			s.put(p)
			if i == 0 {
				if err := deletion.PutDue(t.Context(), s.storage.catalog, p, nil, created); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	s.now = begin.Add(keep + time.Minute)
	rows := 0
	s.storage.listed = func(r []backup.Row) { rows += len(r) }
	r := s.cleanup()
	if len(s.provider.deleted) != targets || len(r.Deletions) != targets || rows > 100*targets {
		t.Errorf("to delete %d artifacts, %d rows were read, and %d deletions are told: %v", len(s.provider.deleted), rows, len(r.Deletions), r.Failed)
	}
}

// TestCleanupReadsOnForTheMinimum checks that a due point goes if the plan keeps more points than a cleanup reads at first.
func TestCleanupReadsOnForTheMinimum(t *testing.T) {
	s := newHarness(t)
	first := ""
	for i := range 150 {
		created := begin.Add(time.Duration(i) * day)
		p := backup.Point{
			ID: backup.NewRunID(target, created, "nightly"), State: backup.Live, Target: target, Plan: "nightly", Created: created, Expires: created.Add(150 * day),
			Minimum: backup.MostMinimum, Storage: backup.Storage{Account: account, Container: "lifeboat"}, ETag: "etag", SHA256: "beef",
		}
		p.Artifact = p.ID + ".1"
		s.put(p)
		if i == 0 {
			first = p.ID
			if err := deletion.PutDue(t.Context(), s.storage.catalog, p, nil, created); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.engine.Services = slices.Clone(known)
	for i := range s.engine.Services {
		s.engine.Services[i].Restorable = 0
	}
	s.now = begin.Add(150*day + time.Minute)
	if r := s.cleanup(); len(r.Deletions) != 1 || r.Deletions[0].Point.ID != first {
		t.Errorf("%d deletions", len(r.Deletions))
	}
}
