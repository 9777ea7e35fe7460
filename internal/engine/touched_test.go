package engine_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/health"
	"lifeboat/internal/manifest"
	"lifeboat/internal/plans"
)

// touched gives the artifact of the point another ETag, and these files and that hash. It is read in so many parts.
func (s *harness) touched(id string, parts int, sha string, files ...backup.File) {
	s.provider.delete = func(a backup.Attempt, extras bool) error {
		if !extras && a.Run == id && s.provider.etag != "new" && !slices.Contains(s.provider.deleted, a.Artifact) {
			return fault(backup.Touched, "ConditionNotMet")
		}
		return nil
	}
	s.provider.hash = func(_ backup.Attempt, h backup.Hashing) (backup.Verification, error) {
		h = backup.Hashing{ETag: "new", Offset: h.Offset + int64(7/parts), State: []byte{1}}
		if h.Offset < int64(7/parts*parts) {
			return backup.Verification{Hashing: h, Size: 7}, nil
		}
		return backup.Verification{Done: true, Hashing: h, Size: 7, SHA256: sha, Files: files}, nil
	}
}

// heard returns the types of the different events about a point, in the order in which they came first.
func (s *harness) heard(id string) string {
	seen := map[string]bool{}
	var types []string
	for _, e := range s.storage.queue.Events() {
		if name, ok := strings.CutPrefix(e.Type, "lifeboat.recovery-point."); ok && strings.HasPrefix(e.ID, id+".") && !seen[e.ID] {
			seen[e.ID] = true
			types = append(types, name)
		}
	}
	return strings.Join(types, " ")
}

// undeleted returns what health says of recovery points that could not be deleted.
func (s *harness) undeleted() []health.Undeleted {
	s.t.Helper()
	_, timers, err := s.engine.Health(s.t.Context(), plans.Active{})
	if err != nil {
		s.t.Fatal(err)
	}
	return timers.Undeleted
}

// TestATouchedArtifactIsDeleted: the metadata of an artifact was changed, so that it has another ETag. Its content is read
// again, a part at each cleanup, and then it is deleted under the new ETag. Until then it can be restored. No event tells of it.
func TestATouchedArtifactIsDeleted(t *testing.T) {
	for _, parts := range []int{1, 3} {
		s := newHarness(t)
		ids := s.points(2)
		s.touched(ids[0], parts, "beef")
		for n := range parts {
			if s.state(ids[0]) != backup.Live {
				t.Fatalf("%d parts: after %d it is %s", parts, n, s.state(ids[0]))
			}
			if r := s.cleanup(); len(r.Failed) > 0 {
				t.Fatalf("%d parts: %v", parts, r.Failed)
			}
			if p := s.status(ids[0]).Point; n < parts-1 && (p.Reason.Code != "ArtifactTouched" || p.Undeleted.Hashing.Offset == 0) {
				t.Errorf("%d parts: after %d it is %+v", parts, n+1, p)
			}
			s.now = s.now.Add(5 * time.Minute)
		}
		if s.state(ids[0]) != backup.Expired || s.provider.etag != "new" || s.heard(ids[0]) != "" || len(s.undeleted()) > 0 {
			t.Errorf("%d parts: it is %s, deleted under %q; told %q", parts, s.state(ids[0]), s.provider.etag, s.heard(ids[0]))
		}
		if p := s.status(ids[0]).Point; p.Undeleted.Hashing.Offset > 0 {
			t.Errorf("%d parts: %+v is left", parts, p.Undeleted)
		}
	}
}

// TestAnAlteredArtifactStays: the content of an artifact is another one. It is never deleted; the point says so, one event tells it,
// and health. Its restore is refused as long as it has that content. Once a person has deleted it, all of that is taken back.
func TestAnAlteredArtifactStays(t *testing.T) {
	for name, change := range map[string]func(s *harness, id string){
		"another content": func(s *harness, id string) { s.touched(id, 1, "dead") },
		"nothing in it": func(s *harness, id string) {
			s.touched(id, 1, "")
			s.provider.hash = func(backup.Attempt, backup.Hashing) (backup.Verification, error) {
				return backup.Verification{}, fault(backup.Refused, "ArtifactEmpty")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newHarness(t)
			s.engine.Providers["microsoft.apimanagement/service"] = &fakeRestorer{fakeProvider: s.provider}
			s.engine.Services = slices.Clone(s.engine.Services)
			for i := range s.engine.Services {
				s.engine.Services[i].Restorable = 0
			}
			ids := s.points(2)
			change(s, ids[0])
			for range 5 {
				if r := s.cleanup(); len(r.Failed) > 0 {
					t.Fatal(r.Failed)
				}
				p := s.status(ids[0]).Point
				if p.State != backup.Altered || p.Reason.Code != "ArtifactChanged" || !strings.Contains(p.Reason.Hint, "by its ID") ||
					p.KeptByStorage.Again.Sub(s.now) > 7*day {
					t.Fatalf("it is %+v", p)
				}
				if u := s.undeleted(); len(u) != 1 || u[0].Point != ids[0] || u[0].Points != 1 || u[0].Reason.Code != "ArtifactChanged" {
					t.Fatalf("health says %+v", u)
				}
				q := order("restore-1")
				q.Point, q.ReplyTo = ids[0], ""
				preview, err := s.engine.PreviewRestore(t.Context(), q, restoring(false))
				if err != nil || preview.Refusal() == nil || !strings.HasPrefix(preview.Refusal().Code, "Artifact") {
					t.Errorf("the preview: %+v, %v", preview.Refusal(), err)
				}
				s.now = s.now.Add(7 * day)
			}
			if told := s.heard(ids[0]); told != "altered" || slices.Contains(s.provider.deleted, ids[0]+".1") {
				t.Errorf("told %q; deleted %q", told, s.provider.deleted)
			}
			s.provider.delete = nil
			s.cleanup()
			if s.state(ids[0]) != backup.Expired || s.heard(ids[0]) != "altered deleted" || len(s.undeleted()) > 0 {
				t.Errorf("it is %s; told %q, health says %+v", s.state(ids[0]), s.heard(ids[0]), s.undeleted())
			}
		})
	}
}

// TestTheRestOfATouchedFolderIsDeleted: a deletion of several files was cut off, and then the rest was touched. It has
// verified files only, and is deleted. A rest with any other content stays.
func TestTheRestOfATouchedFolderIsDeleted(t *testing.T) {
	a, b := backup.File{Name: "a", Size: 3, SHA256: "aa"}, backup.File{Name: "b", Size: 4, SHA256: "bb"}
	other := backup.File{Name: "b", Size: 4, SHA256: "cc"}
	for _, test := range []struct {
		left []backup.File
		want backup.PointState
	}{{[]backup.File{b}, backup.Expired}, {[]backup.File{other}, backup.Altered}, {[]backup.File{a, other}, backup.Altered}} {
		s := newHarness(t)
		s.provider.hash = func(backup.Attempt, backup.Hashing) (backup.Verification, error) {
			return backup.Verification{
				Done: true, Hashing: backup.Hashing{ETag: "etag"}, Size: 7, SHA256: "beef", Modified: s.now, Files: []backup.File{a, b},
			}, nil
		}
		ids := s.points(2)
		s.provider.delete = func(backup.Attempt, bool) error { return fault(backup.Ambiguous, "AnswerLost") }
		if s.cleanup(); s.state(ids[0]) != backup.Deleting {
			t.Fatalf("it is %s", s.state(ids[0]))
		}
		s.touched(ids[0], 1, "dead", test.left...)
		s.now = s.now.Add(6 * time.Hour)
		if s.cleanup(); s.state(ids[0]) != test.want {
			t.Errorf("of %v the point is %s, want %s", test.left, s.state(ids[0]), test.want)
		}
	}
}

// TestADeletionThatFails: storage refuses a deletion, or cannot be reached. Where nothing was deleted the point is as before. One
// event tells of it, however often it is tried: at the first try if storage refuses, at the second if that may pass. A protection
// whose end is known needs no event. The deletion takes it all back.
func TestADeletionThatFails(t *testing.T) {
	until := func(f *backup.Fault) *backup.Fault {
		f.Until = begin.Add(400 * day)
		return f
	}
	for _, test := range []struct {
		fault        *backup.Fault
		state        backup.PointState
		first, later string
	}{
		{fault(backup.Unobservable, "AuthorizationPermissionMismatch"), backup.Live, "undeleted", "undeleted"},
		{fault(backup.Kept, "LeaseIdMissing"), backup.Live, "undeleted", "undeleted"},
		{until(fault(backup.Kept, "BlobImmutableDueToPolicy")), backup.Live, "", ""},
		{fault(backup.Retryable, "ContainerNotFound"), backup.Live, "", "undeleted"},
		{fault(backup.Throttled, "ServerBusy"), backup.Live, "", "undeleted"},
		{fault(backup.Ambiguous, "AnswerLost"), backup.Deleting, "", "undeleted"},
		{fault(backup.Refused, "LeaseIdMissing"), backup.Deleting, "undeleted", "undeleted"},
		{until(fault(backup.Refused, "KeptByVault")), backup.Deleting, "", ""},
	} {
		t.Run(fmt.Sprint(test.fault.Kind, " ", test.fault.Code), func(t *testing.T) {
			s := newHarness(t)
			ids := s.points(2)
			since := s.now
			s.provider.delete = func(backup.Attempt, bool) error { return test.fault }
			for n := range 5 {
				want := test.later
				if n == 0 {
					want = test.first
				}
				if r := s.cleanup(); s.state(ids[0]) != test.state || s.heard(ids[0]) != want || !test.fault.Until.IsZero() && len(r.Failed) > 0 {
					t.Fatalf("after %d tries it is %s, told %q, want %s, %q", n+1, s.state(ids[0]), s.heard(ids[0]), test.state, want)
				}
				u := s.undeleted()
				if want == "" && len(u) > 0 || want != "" && (len(u) != 1 || u[0].Point != ids[0] || u[0].Target != target ||
					u[0].Reason.Code != test.fault.Code || !u[0].Since.Equal(since)) {
					t.Fatalf("after %d tries health says %+v", n+1, u)
				}
				s.now = s.now.Add(7 * day)
			}
			s.provider.delete = nil
			s.cleanup()
			if told := strings.TrimSpace(s.heard(ids[0])); s.state(ids[0]) != backup.Expired || len(s.undeleted()) > 0 ||
				(test.later != "") != strings.HasSuffix(told, "deleted") && told != "undeleted deleted" {
				t.Errorf("it is %s; told %q, health says %+v", s.state(ids[0]), told, s.undeleted())
			}
		})
	}
}

// TestWhatStorageKeepsIsTakenBack: an event told that a point could not be deleted, and then storage says until when it keeps it: another event
// takes the first back, wherever the process dies, and health has nothing left. Failures after that count anew.
func TestWhatStorageKeepsIsTakenBack(t *testing.T) {
	kept, away := fault(backup.Kept, "KeptByVault"), fault(backup.Retryable, "ServiceUnavailable")
	kept.Until = begin.Add(400 * day)
	for _, made := range []bool{false, true} {
		for k := 1; ; k++ {
			s := newHarness(t)
			id := s.points(2)[0]
			cleanup := func(f *backup.Fault, want string, points int) {
				t.Helper()
				s.provider.delete = func(backup.Attempt, bool) error { return f }
				s.cleanup()
				s.runSchedule()
				s.now = s.now.Add(7 * day)
				if told := s.heard(id); told != want || len(s.undeleted()) != points {
					t.Errorf("call %d (made: %t): told %q, want %q; health says %+v", k, made, told, want, s.undeleted())
				}
			}
			cleanup(fault(backup.Unobservable, "AuthorizationPermissionMismatch"), "undeleted", 1)
			s.provider.delete = func(backup.Attempt, bool) error { return kept }
			s.storage.calls, s.storage.failAt, s.storage.made, s.storage.fatal = 0, k, made, true
			s.dies(func() { _, _ = s.engine.Cleanup(t.Context()) })
			over := s.storage.calls < k
			s.storage.failAt = 0
			s.now = s.now.Add(7 * day)
			cleanup(kept, "undeleted kept", 0)
			cleanup(kept, "undeleted kept", 0)
			cleanup(away, "undeleted kept", 0)
			cleanup(away, "undeleted kept undeleted", 1)
			cleanup(kept, "undeleted kept undeleted kept", 0)
			if p := s.status(id).Point; p.State != backup.Live || p.Undeleted.TakenBack != 2 || !p.Undeleted.Since.IsZero() {
				t.Errorf("call %d (made: %t): it is %s, %+v", k, made, p.State, p.Undeleted)
			}
			s.provider.delete = nil
			if s.cleanup(); s.state(id) != backup.Expired || s.heard(id) != "undeleted kept undeleted kept" {
				t.Errorf("call %d (made: %t): it is %s, told %q", k, made, s.state(id), s.heard(id))
			}
			if over {
				break
			}
		}
	}
}

// TestADeletionThatWasToldIsTakenBack: the process dies at each request of the cleanup that tells of a failed deletion, and the next one
// deletes the artifact. Wherever an event told of the failure, another one takes it back.
func TestADeletionThatWasToldIsTakenBack(t *testing.T) {
	heard := 0
	for _, made := range []bool{false, true} {
		for k := 1; ; k++ {
			s := newHarness(t)
			ids := s.points(2)
			s.provider.delete = func(backup.Attempt, bool) error { return fault(backup.Kept, "LeaseIdMissing") }
			s.storage.calls, s.storage.failAt, s.storage.made, s.storage.fatal = 0, k, made, true
			s.dies(func() { _, _ = s.engine.Cleanup(t.Context()) })
			over := s.storage.calls < k
			s.storage.failAt, s.provider.delete = 0, nil
			s.now = s.now.Add(7 * day)
			s.cleanup()
			s.runSchedule()
			told := s.heard(ids[0])
			if strings.Contains(told, "undeleted") {
				heard++
			}
			if s.state(ids[0]) != backup.Expired || strings.Contains(told, "undeleted") && !strings.HasSuffix(told, " deleted") {
				t.Errorf("call %d (made: %t): it is %s, told %q", k, made, s.state(ids[0]), told)
			}
			if over {
				break
			}
		}
	}
	if heard < 3 {
		t.Errorf("only %d deaths came behind the event", heard)
	}
}

// TestAnEventAboutADeletionComesSoon: if the process dies before the event, the next cleanup sends it, however long a further try would
// have to wait.
func TestAnEventAboutADeletionComesSoon(t *testing.T) {
	for _, made := range []bool{false, true} {
		for k := 1; ; k++ {
			s := newHarness(t)
			ids := s.points(2)
			s.touched(ids[0], 1, "dead")
			s.storage.calls, s.storage.failAt, s.storage.made, s.storage.fatal = 0, k, made, true
			s.dies(func() { _, _ = s.engine.Cleanup(t.Context()) })
			over := s.storage.calls < k
			s.storage.failAt = 0
			s.now = s.now.Add(5 * time.Minute)
			s.cleanup()
			s.runSchedule()
			if s.heard(ids[0]) != "altered" || s.state(ids[0]) != backup.Altered {
				t.Errorf("call %d (made: %t): it is %s, told %q", k, made, s.state(ids[0]), s.heard(ids[0]))
			}
			if over {
				break
			}
		}
	}
}

// TestTheManifestOfAnAlteredPointComes: the process dies at each request of the cleanup that finds the content another one, the next try meets
// another failure, which an event tells, and a later one finds it altered again. The point has a manifest of that.
func TestTheManifestOfAnAlteredPointComes(t *testing.T) {
	for _, made := range []bool{false, true} {
		for k := 1; ; k++ {
			s := newHarness(t)
			ids := s.points(2)
			s.touched(ids[0], 1, "dead")
			s.storage.calls, s.storage.failAt, s.storage.made, s.storage.fatal = 0, k, made, true
			s.dies(func() { _, _ = s.engine.Cleanup(t.Context()) })
			over := s.storage.calls < k
			s.storage.failAt = 0
			s.provider.delete = func(backup.Attempt, bool) error { return fault(backup.Unobservable, "AuthorizationPermissionMismatch") }
			s.now = s.now.Add(5 * time.Minute)
			s.cleanup()
			s.now = s.now.Add(8 * day)
			s.touched(ids[0], 1, "dead")
			s.cleanup()
			s.runSchedule()
			names := strings.Join(s.manifestNames(), " ")
			if s.state(ids[0]) != backup.Altered || !strings.Contains(names, ids[0]+"."+string(manifest.Altered)) {
				t.Errorf("call %d (made: %t): it is %s, with the manifests %s", k, made, s.state(ids[0]), names)
			}
			if over {
				break
			}
		}
	}
}

// TestATouchedArtifactCanBeRestoredWhileItIsRead: reading it deletes nothing. If the process dies meanwhile the point is as before.
func TestATouchedArtifactCanBeRestoredWhileItIsRead(t *testing.T) {
	s := newHarness(t)
	ids := s.points(2)
	s.touched(ids[0], 1, "beef")
	read := s.provider.hash
	s.provider.hash = func(a backup.Attempt, h backup.Hashing) (backup.Verification, error) {
		if p := s.status(ids[0]).Point; p.State != backup.Live || p.Reason.Code != "ArtifactTouched" {
			t.Errorf("while it is read it is %s: %+v", p.State, p.Reason)
		}
		return read(a, h)
	}
	remove, calls := s.provider.delete, 0
	s.provider.delete = func(a backup.Attempt, extras bool) error {
		if calls++; s.state(ids[0]) != backup.Deleting {
			t.Errorf("removal %d begins while it is %s", calls, s.state(ids[0]))
		}
		return remove(a, extras)
	}
	if s.cleanup(); s.state(ids[0]) != backup.Expired || calls != 2 {
		t.Errorf("it is %s after %d removals", s.state(ids[0]), calls)
	}
}

// TestAFailedDeletionIsRepeatable: every call of storage fails once, made or not, or kills the process, while an artifact is touched,
// altered or refused, and while it is deleted after that. The point ends where it should, one event tells each thing, and health has nothing left.
func TestAFailedDeletionIsRepeatable(t *testing.T) {
	for name, test := range map[string]struct {
		fails func(s *harness, id string)
		state backup.PointState
		told  string
	}{
		"touched": {func(s *harness, id string) { s.touched(id, 2, "beef") }, backup.Expired, ""},
		"altered": {func(s *harness, id string) { s.touched(id, 2, "dead") }, backup.Altered, "altered"},
		"refused": {func(s *harness, _ string) {
			s.provider.delete = func(backup.Attempt, bool) error { return fault(backup.Kept, "LeaseIdMissing") }
		}, backup.Live, "undeleted"},
	} {
		t.Run(name, func(t *testing.T) {
			for mode := range 4 {
				made, dies := mode%2 == 1, mode > 1
				for k := 1; ; k++ {
					s := newHarness(t)
					ids := s.points(2)
					test.fails(s, ids[0])
					over := true
					s.storage.calls, s.storage.failAt, s.storage.made, s.storage.fatal = 0, k, made, dies
					tries := func() {
						for range 6 {
							s.dies(func() { _, _ = s.engine.Cleanup(t.Context()) })
							s.now = s.now.Add(7 * day)
						}
						over = over && s.storage.calls < k
						s.storage.failAt = 0
						for range 3 {
							s.cleanup()
							s.now = s.now.Add(7 * day)
						}
						s.runSchedule() // sends the events that are left
					}
					tries()
					if s.state(ids[0]) != test.state || s.heard(ids[0]) != test.told || (len(s.undeleted()) > 0) != (test.told != "") {
						t.Fatalf("call %d fails (made: %v, dies: %v): it is %s, told %q, health says %+v", k, made, dies, s.state(ids[0]), s.heard(ids[0]), s.undeleted())
					}
					s.provider.delete = nil
					s.storage.calls, s.storage.failAt = 0, k
					tries()
					if s.state(ids[0]) != backup.Expired || len(s.undeleted()) > 0 || test.told != "" && s.heard(ids[0]) != test.told+" deleted" {
						t.Fatalf("call %d fails as it is deleted (made: %v, dies: %v): it is %s, told %q, health says %+v", k, made, dies, s.state(ids[0]),
							s.heard(ids[0]), s.undeleted())
					}
					if over {
						break
					}
				}
			}
		})
	}
}
