package engine_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/health"
	"lifeboat/internal/manifest"
	"lifeboat/internal/plans"
)

// inFolder is the storage of nightly's backups.
var inFolder = backup.Storage{Account: account, Container: "lifeboat"}

// manifestNames returns the names of the target's manifests.
func (s *harness) manifestNames() []string {
	s.t.Helper()
	names, err := (&s.manifests).List(s.t.Context(), inFolder, backup.ManifestFolder+"/")
	if err != nil {
		s.t.Fatal(err)
	}
	return names
}

// TestManifests: a point's manifest has all of its row and its files; an acceptance is one more; both go with the artifact.
func TestManifests(t *testing.T) {
	s := newHarness(t)
	files := []backup.File{{Name: "a", Size: 3, ETag: "e", SHA256: "ab"}}
	size := int64(700)
	s.provider.hash = func(backup.Attempt, backup.Hashing) (backup.Verification, error) {
		return backup.Verification{Done: true, Hashing: backup.Hashing{ETag: "etag"}, Size: size, SHA256: "beef", Modified: s.now, Files: files}, nil
	}
	ids := s.points(3)
	s.now = begin.Add(3 * day)
	size = 7
	small := s.ask("small")
	s.finish()
	if _, err := s.engine.Accept(t.Context(), small.ID, "invocation 1", "half was retired"); err != nil {
		t.Fatal(err)
	}
	want := []string{backup.ManifestFolder + "/" + small.ID + ".accepted.json", backup.ManifestFolder + "/" + small.ID + ".made.json"}
	for _, id := range ids {
		want = append(want, backup.ManifestFolder+"/"+id+".made.json")
	}
	slices.Sort(want)
	if got := s.manifestNames(); !slices.Equal(got, want) {
		t.Fatalf("%q, want %q", got, want)
	}
	for name, state := range map[string]backup.PointState{".made.json": backup.Suspect, ".accepted.json": backup.Live} {
		var m manifest.Manifest
		if err := json.Unmarshal(s.manifests.Read(inFolder, backup.ManifestFolder+"/"+small.ID+name), &m); err != nil {
			t.Fatal(err)
		}
		p, err := backup.DecodePoint(backup.Row{Body: m.Point})
		if err != nil || p.State != state || p.ID != small.ID || p.Storage != inFolder || p.Artifact == "" || !slices.Equal(m.Files, files) {
			t.Errorf("%s: %v, %+v, %+v", name, err, p, m.Files)
		}
	}
	s.now = begin.Add(40 * day)
	s.unpaced()
	want = slices.DeleteFunc(want, func(name string) bool { return !strings.Contains(name, small.ID) })
	if got := s.manifestNames(); !slices.Equal(got, want) {
		t.Errorf("after the deletion of all but the newest: %q, want %q", got, want)
	}
}

// TestAManifestThatCannotBeWritten: the backup succeeds, its event is sent, the next run of the target is made, and timer runs write
// the manifest once storage takes it; after seven days they give it up, and count that.
func TestAManifestThatCannotBeWritten(t *testing.T) {
	s := newHarness(t)
	failing := true
	s.manifests.Fail = func(call, _ string) error {
		if failing && call == "write" {
			return fault(backup.Refused, "AuthorizationPermissionMismatch")
		}
		return nil
	}
	plan := nightly()
	ids := s.points(1)
	s.now = begin.Add(time.Hour)
	if len(s.manifestNames()) != 0 || len(s.storage.queue.Events()) != 1 {
		t.Fatalf("%q, %d events", s.manifestNames(), len(s.storage.queue.Events()))
	}
	if run := s.status(ids[0]).Run; run.Unpublished {
		t.Error("the run is not settled")
	}
	s.runSchedule(plan)
	if len(s.manifestNames()) != 0 {
		t.Error("written")
	}
	failing = false
	s.runSchedule(plan)
	if got := s.manifestNames(); len(got) != 1 {
		t.Errorf("%q", got)
	}
	if n := s.rows("outbox-"); n != 0 {
		t.Errorf("%d rows are left in the outbox", n)
	}

	failing = true
	run := s.ask("later")
	s.finish()
	s.ended(run.ID, backup.Succeeded, "")
	s.now = s.now.Add(8 * day)
	s.runSchedule(plan)
	report, err := s.engine.Outbox().Look(t.Context())
	if err != nil || report.Undeliverable != 1 || !strings.Contains(report.Last, run.ID+".made") {
		t.Errorf("%v, %+v", err, report)
	}
}

// TestManifestsThatStorageKeeps: the point is expired all the same, and a later cleanup deletes its manifests.
func TestManifestsThatStorageKeeps(t *testing.T) {
	s := newHarness(t)
	ids := s.points(2)
	kept := true
	s.manifests.Fail = func(call, _ string) error {
		if kept && call == "delete" {
			return fault(backup.Kept, "BlobImmutableDueToPolicy")
		}
		return nil
	}
	if r := s.cleanup(); len(r.Failed) != 0 || s.state(ids[0]) != backup.Expired || len(s.manifestNames()) != 2 {
		t.Fatalf("%v, %s, %q", r.Failed, s.state(ids[0]), s.manifestNames())
	}
	kept = false
	s.now = s.now.Add(s.engine.Timings.Recheck + time.Minute)
	s.cleanup()
	if got := s.manifestNames(); len(got) != 1 || !strings.Contains(got[0], ids[1]) {
		t.Errorf("%q", got)
	}
}

// TestACrashAmongManifests dies at each call of a cleanup, before and after it took effect: the next cleanups leave no manifest.
func TestACrashAmongManifests(t *testing.T) {
	for at := 1; ; at++ {
		s := newHarness(t)
		ids := s.points(2)
		s.storage.calls, s.storage.failAt, s.storage.fatal, s.storage.made = 0, at, true, at%2 == 0
		died := s.dies(func() { _, _ = s.engine.Cleanup(t.Context()) })
		s.storage.failAt = 0
		s.now = s.now.Add(s.engine.Timings.Recheck + time.Minute)
		s.cleanup()
		if got := s.manifestNames(); len(got) != 1 || !strings.Contains(got[0], ids[1]) || s.state(ids[0]) != backup.Expired {
			t.Fatalf("died at call %d: %q, %s", at, got, s.state(ids[0]))
		}
		if !died {
			return
		}
	}
}

// withArtifacts lists artifacts besides.
type withArtifacts struct {
	*fakeProvider
	artifacts []backup.Artifact
	fails     error
	searches  int
}

func (w *withArtifacts) Artifacts(context.Context, string, backup.Storage) ([]backup.Artifact, error) {
	w.searches++
	return w.artifacts, w.fails
}

// TestUnknownArtifacts: artifacts of a catalog that is gone are an alarm, told once. It stands through new backups until they are
// gone. The storage is searched once.
func TestUnknownArtifacts(t *testing.T) {
	unknown := func(t *testing.T, artifacts []backup.Artifact) (*harness, *withArtifacts) {
		s := newHarness(t)
		w := &withArtifacts{fakeProvider: s.provider, artifacts: artifacts}
		s.engine.Providers["microsoft.apimanagement/service"] = w
		return s, w
	}
	told := func(s *harness) (types []string) {
		for _, e := range s.storage.queue.Events() {
			if strings.HasPrefix(e.Type, "lifeboat.catalog.") {
				types = append(types, strings.TrimPrefix(e.Type, "lifeboat.catalog."))
			}
		}
		return types
	}
	plan := nightly()
	ill := func(s *harness) (health.TargetHealth, bool) {
		targets, _, err := s.engine.Health(s.t.Context(), plans.Active{Plans: []backup.Plan{plan}})
		if err != nil {
			s.t.Fatal(err)
		}
		return targets[0], targets[0].Incomplete && targets[0].Reason.Code == "CatalogIncomplete"
	}
	old := []backup.Artifact{{Name: "old.1", Made: begin.Add(-day)}}

	t.Run("until they are gone", func(t *testing.T) {
		s, w := unknown(t, old)
		s.runSchedule(plan)
		s.runSchedule(plan)
		if h, is := ill(s); !is || w.searches != 1 || !slices.Equal(told(s), []string{"incomplete"}) {
			t.Fatalf("%+v after %d searches, told %q", h, w.searches, told(s))
		}
		s.now = begin.Add(23 * time.Hour)
		run := s.ask("a new one")
		s.finish()
		s.ended(run.ID, backup.Succeeded, "")
		s.now = begin.Add(24*time.Hour + 5*time.Minute)
		s.runSchedule(plan)
		if h, is := ill(s); !is || h.Status != health.Protected || w.searches != 2 {
			t.Errorf("after a backup and a day: %+v, %d searches", h, w.searches)
		}
		w.artifacts = nil
		s.now = s.now.Add(25 * time.Hour)
		s.runSchedule(plan)
		if h, is := ill(s); is || h.Incomplete || !slices.Equal(told(s), []string{"incomplete", "complete"}) {
			t.Errorf("once they are gone: %+v, told %q", h, told(s))
		}
	})
	t.Run("a manifest alone", func(t *testing.T) {
		s, _ := unknown(t, nil)
		id := backup.NewRunID(target, begin.Add(-day), "another catalog")
		if err := s.manifests.Write(t.Context(), inFolder, backup.ManifestFolder+"/"+id+".made.json", []byte("{}")); err != nil {
			t.Fatal(err)
		}
		s.runSchedule(plan)
		if h, is := ill(s); !is {
			t.Errorf("%+v", h)
		}
	})
	t.Run("a search that failed is made at the next scheduled time, although there is a point then", func(t *testing.T) {
		s, w := unknown(t, old)
		w.fails = fault(backup.Unobservable, "AuthorizationFailed")
		if _, err := s.engine.Schedule(t.Context(), []backup.Plan{plan}); err == nil {
			t.Error("the failed search is no error")
		}
		s.runSchedule(plan)
		if _, is := ill(s); is || w.searches != 1 {
			t.Fatalf("%d searches", w.searches)
		}
		w.fails = nil
		run := s.ask("the first")
		s.finish()
		s.ended(run.ID, backup.Succeeded, "")
		s.now = begin.Add(day)
		s.runSchedule(plan)
		if h, is := ill(s); !is || w.searches != 2 {
			t.Errorf("%+v after %d searches", h, w.searches)
		}
	})
	t.Run("a new target", func(t *testing.T) {
		s, w := unknown(t, nil)
		s.runSchedule(plan)
		s.now = begin.Add(day)
		s.runSchedule(plan)
		if h, is := ill(s); is || h.Incomplete || w.searches != 1 || len(told(s)) != 0 {
			t.Errorf("%+v, %d searches, told %q", h, w.searches, told(s))
		}
	})
	t.Run("a new plan for a target that has been backed up", func(t *testing.T) {
		s, w := unknown(t, nil)
		ids := s.points(1)
		s.now = begin.Add(time.Hour)
		// Its own artifact, one of a lost start, and its manifest.
		w.artifacts = []backup.Artifact{{Name: ids[0] + ".1", Made: begin}, {Name: "mhsm-late", Made: begin.Add(time.Minute)}}
		s.runSchedule(plan)
		if h, is := ill(s); is || w.searches != 1 {
			t.Errorf("%+v, %d searches", h, w.searches)
		}
		w.artifacts = append(w.artifacts, old...)
		plan.Name = "another"
		defer func() { plan.Name = "nightly" }()
		s.runSchedule(plan)
		if h, is := ill(s); !is {
			t.Errorf("with one of before: %+v", h)
		}
	})
}
