package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
	"lifeboat/internal/history"
	"lifeboat/internal/manifest"
	"lifeboat/internal/request"
)

// remembering makes a stage that prunes what is older than 40 days, with so many runs, a day apart, each kept for 30 days.
func remembering(t *testing.T, n int) (*harness, []string) {
	t.Helper()
	s := newHarness(t)
	s.engine.KeepHistory = 40 * day
	s.provider.hash = func(backup.Attempt, backup.Hashing) (backup.Verification, error) {
		return backup.Verification{
			Done: true, Hashing: backup.Hashing{ETag: "etag"}, Size: 7, SHA256: "beef", Modified: s.now,
			Files: []backup.File{{Name: "a", Size: 7, ETag: "e", SHA256: "ab"}},
		}, nil
	}
	return s, s.points(n)
}

// kinds counts the rows of the past by their kinds.
func (s *harness) kinds() string {
	var text []string
	for _, kind := range []string{"run-", "point-", "files-", "artifact-", "request-", "restore-", "deadletter", "schedule-missed-", "recorded-"} {
		n := 0
		for _, row := range s.storage.catalog.Rows() {
			if strings.HasPrefix(row.Row, kind) || strings.HasPrefix(row.Partition, kind) && row.Row == "request" || row.Partition == kind {
				n++
			}
		}
		text = append(text, fmt.Sprintf("%s%d", kind, n))
	}
	return strings.Join(text, " ")
}

// there are the keys of all rows but those with the time of something that cleanup did.
func (s *harness) there() (keys []string) {
	for _, row := range s.storage.catalog.Rows() {
		if !strings.HasPrefix(row.Row, "last-") {
			keys = append(keys, row.Partition+"/"+row.Row)
		}
	}
	return keys
}

// daily runs cleanup for so many days, until the time is up.
func (s *harness) daily(until time.Time) {
	s.t.Helper()
	for s.now.Before(until) {
		s.cleanup()
		s.now = s.now.Add(day)
	}
}

// TestHistoryHasAnEnd: runs go with their recovery points, files, claims and requests, but the newest 20 stay, and the living.
func TestHistoryHasAnEnd(t *testing.T) {
	s, ids := remembering(t, 30)
	s.daily(begin.Add(69 * day))
	if got := s.kinds(); !strings.HasPrefix(got, "run-30 point-30 files-30 artifact-30 ") {
		t.Fatalf("before the history of the first is over: %s", got)
	}
	s.daily(begin.Add(140 * day))
	want := "run-20 point-20 files-20 artifact-20 request-0 restore-0 deadletter0 schedule-missed-0 "
	if got := s.kinds(); !strings.HasPrefix(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
	for i, id := range ids {
		if _, _, err := s.engine.Status(t.Context(), id); (i < 10) != errors.Is(err, backup.ErrNotFound) {
			t.Errorf("run %d: %v", i, err)
		}
	}
	if s.state(ids[29]) != backup.Live {
		t.Errorf("the newest point is %s", s.state(ids[29]))
	}
	pruned, err := backup.ReadHistory(t.Context(), s.storage.catalog, target)
	if err != nil || pruned.Runs != 10 || !pruned.First.Equal(begin) || !pruned.Last.Equal(begin.Add(9*day)) {
		t.Errorf("the target's row says %+v, %v", pruned, err)
	}
	list, next, err := s.engine.History(t.Context(), target, "", 100)
	if err != nil || len(list) != 20 || next != "" {
		t.Errorf("%d runs are listed, then %q, %v", len(list), next, err)
	}
	if list, _, err = s.engine.History(t.Context(), target, ids[5], 100); err != nil || len(list) != 0 {
		t.Errorf("behind a pruned run %d are listed, %v", len(list), err)
	}
}

// TestNothingNeededIsPruned: a run that has not ended stays at any age, and so does one with its point.
func TestNothingNeededIsPruned(t *testing.T) {
	s, ids := remembering(t, 30)
	s.hold(ids[0], backup.PersonHold{ID: "hold", Reason: "the court wants it"})
	s.now = begin.Add(-100 * day)
	old := s.ask("forgotten") // its step message is lost
	s.storage.queue.Receive("execute", 32, 600*day)
	s.now = begin.Add(61 * day)
	s.daily(begin.Add(200 * day))
	if s.state(ids[0]) != backup.Live {
		t.Errorf("the held point is %s", s.state(ids[0]))
	}
	if run := s.run(old.ID); run.State != backup.Queued {
		t.Errorf("the run that waits is %s", run.State)
	}
	if got := s.kinds(); !strings.HasPrefix(got, "run-22 point-21 ") {
		t.Errorf("got %s", got)
	}
	if _, err := s.engine.ReleaseHold(t.Context(), ids[0], "hold", "a person"); err != nil {
		t.Fatal(err)
	}
	s.daily(begin.Add(300 * day))
	if _, _, err := s.engine.Status(t.Context(), ids[0]); !errors.Is(err, backup.ErrNotFound) {
		t.Errorf("a point that nobody holds any more stays in the history: %v", err)
	}
}

// TestAKillInPruningConverges: cleanup dies at each of its requests, before it or behind it. No row is left
// without its run or its entry, and the next cleanup ends with the same rows.
func TestAKillInPruningConverges(t *testing.T) {
	last := begin.Add(110 * day)
	grown := func() *harness {
		s, _ := remembering(t, 22)
		s.engine.Parallelism, s.engine.KeepHistory = 1, 0
		s.daily(last)
		s.engine.KeepHistory, s.now = 40*day, last
		return s
	}
	whole := grown()
	whole.daily(last.Add(2 * day))
	want := whole.there()
	if whole.rows("run-") != 20 {
		t.Fatalf("an undisturbed cleanup leaves %s", whole.kinds())
	}
	deaths := 0
	for _, made := range []bool{false, true} {
		for k := 1; ; k++ {
			s := grown()
			s.storage.calls, s.storage.failAt, s.storage.fatal, s.storage.made = 0, k, true, made
			died := s.dies(func() { _, _ = s.engine.Cleanup(t.Context()) })
			s.storage.failAt, s.storage.fatal = 0, false
			if !died {
				break
			}
			deaths++
			s.whole(k)
			s.daily(last.Add(2 * day))
			s.whole(k)
			if got := s.there(); !slices.Equal(got, want) {
				t.Fatalf("after a death at request %d, made %t: %d rows, want %d: %s", k, made, len(got), len(want), s.kinds())
			}
		}
	}
	if deaths < 40 {
		t.Errorf("only %d deaths", deaths)
	}
}

// whole checks that each point, list of files and claim has its run, and each ended run its entry.
func (s *harness) whole(k int) {
	s.t.Helper()
	for _, row := range s.storage.catalog.Rows() {
		owner := ""
		switch kind, rest, _ := strings.Cut(row.Row, "-"); kind {
		case "point":
			owner = row.Partition + "-" + rest
		case "files":
			owner = row.Partition + "-" + rest[:23]
		case "artifact":
			var claim struct{ Point string }
			if err := json.Unmarshal(row.Body, &claim); err != nil {
				s.t.Fatal(err)
			}
			owner = claim.Point
		case "run":
			if s.rows("recorded-") == 0 {
				s.t.Errorf("death %d: no entry leads to %s", k, row.Row)
			}
		}
		if owner == "" {
			continue
		}
		if _, _, err := s.engine.Status(s.t.Context(), owner); err != nil {
			s.t.Errorf("death %d: %s is left without its run: %v", k, row.Row, err)
		}
	}
}

// TestPruningCostsNothingWithoutHistory: two requests once a day, and none otherwise, however much is stored.
func TestPruningCostsNothingWithoutHistory(t *testing.T) {
	for _, n := range []int{1, 25} {
		s, _ := remembering(t, n)
		s.daily(begin.Add(time.Duration(n+35) * day))
		if s.rows("run-") != n {
			t.Fatal("too late: something is history already")
		}
		cost := func(history time.Duration) int {
			s.engine.KeepHistory, s.storage.calls = history, 0
			s.cleanup()
			return s.storage.calls
		}
		s.cleanup()
		once := cost(0)
		if again := cost(40 * day); again != once {
			t.Errorf("of %d runs a cleanup costs %d requests, and %d with a history", n, once, again)
		}
		s.now = s.now.Add(day - time.Second)
		s.cleanup() // counts
		if again := cost(40 * day); again != once {
			t.Errorf("of %d runs a cleanup of the same day costs %d requests, without a history %d", n, again, once)
		}
		s.now = s.now.Add(time.Second)
		if again := cost(40 * day); again != once+2 {
			t.Errorf("of %d runs the first cleanup of a day costs %d requests, the others %d", n, again, once)
		}
	}
}

// TestPruningWaitsWhileStopped: pruning deletes no backup, but waits until the incident is over.
func TestPruningWaitsWhileStopped(t *testing.T) {
	s, _ := remembering(t, 30)
	s.engine.KeepHistory = 0
	s.daily(begin.Add(140 * day))
	s.engine.KeepHistory = 40 * day
	s.stop(false)
	s.daily(begin.Add(145 * day))
	if n := s.rows("run-"); n != 30 {
		t.Errorf("%d runs while the app is stopped", n)
	}
	s.resume()
	if s.cleanup(); s.rows("run-") != 20 {
		t.Errorf("%d runs after the stop", s.rows("run-"))
	}
}

// TestARestoreIsRememberedForGood: a request that comes again after its run was pruned is answered, and restores nothing.
func TestARestoreIsRememberedForGood(t *testing.T) {
	s, r, point := restorable(t)
	s.engine.KeepHistory = 40 * day
	plans := restoring(false)
	q := order("restore-1")
	first := s.restore(q, plans)
	s.finish()
	if s.run(first.ID).State != backup.Succeeded || len(r.started) != 1 {
		t.Fatalf("%+v", s.run(first.ID))
	}
	s.rescueAll()
	for i := range 30 {
		s.now = begin.Add(time.Duration(i+1) * day)
		s.ask(fmt.Sprint("later-", i))
		s.finish()
	}
	s.rescueAll()
	s.daily(begin.Add(150 * day))
	if _, _, err := s.engine.Status(t.Context(), first.ID); !errors.Is(err, backup.ErrNotFound) {
		t.Fatalf("the run is still there: %v", err)
	}
	if _, err := s.engine.RecoveryPoint(t.Context(), point); !errors.Is(err, backup.ErrNotFound) {
		t.Fatalf("the point is still there: %v", err)
	}
	row, _, err := s.storage.catalog.Get(t.Context(), backup.RestoreClaimKey("restore-1"))
	if err != nil || !strings.Contains(string(row.Body), `"State":"succeeded"`) || strings.Contains(string(row.Body), "restore-1") {
		t.Errorf("the claim is %s, %v", row.Body, err)
	}
	before := s.there()
	_, err = s.engine.Restore(t.Context(), q, plans)
	if !errors.Is(err, engine.ErrCarriedOut) || !strings.Contains(err.Error(), first.ID+" ended at ") {
		t.Errorf("a repeat is answered with %v", err)
	}
	other := q
	other.Reason = "another one"
	if _, err := s.engine.Restore(t.Context(), other, plans); !errors.Is(err, engine.ErrRequestReused) {
		t.Errorf("another request under the ID is answered with %v", err)
	}
	if _, err := s.engine.RestoreID(t.Context(), "restore-1"); !errors.Is(err, backup.ErrNotFound) || !errors.Is(err, engine.ErrCarriedOut) {
		t.Errorf("a question about it is answered with %v", err)
	}
	if s.finish(); len(r.started) != 1 || !slices.Equal(before, s.there()) {
		t.Errorf("%d restores were begun, and %d rows are there in place of %d", len(r.started), len(s.there()), len(before))
	}
	if err := s.engine.AnswerRepeat(t.Context(), []byte("message"), q, plans, engine.ErrCarriedOut); err != nil {
		t.Fatal(err)
	}
	events := s.storage.queue.Events()
	if e := events[len(events)-1]; e.Type != "lifeboat.restore.refused" || !strings.Contains(string(e.Data), engine.CarriedOut) {
		t.Errorf("told %s: %s", e.Type, e.Data)
	}
}

// TestARepeatBesidePruning: the run of a restore is pruned between any two requests of a repeat. It never restores again.
func TestARepeatBesidePruning(t *testing.T) {
	reached := 0
	for k := 1; ; k++ {
		s, r, _ := restorable(t)
		plans, q := restoring(false), order("restore-1")
		s.restore(q, plans)
		s.finish()
		s.rescueAll()
		for i := range 30 {
			s.now = begin.Add(time.Duration(i+1) * day)
			s.ask(fmt.Sprint("later-", i))
			s.finish()
		}
		s.rescueAll()
		s.daily(begin.Add(150 * day))
		prunes := *s.engine
		prunes.Catalog, prunes.KeepHistory = s.storage.catalog, 40*day
		done := false
		s.storage.calls = 0
		s.storage.before = func(call int) {
			if call == k && !done {
				done = true
				if _, err := prunes.Cleanup(t.Context()); err != nil {
					t.Error(err)
				}
			}
		}
		run, err := s.engine.Restore(t.Context(), q, plans)
		s.storage.before = nil
		if !errors.Is(err, engine.ErrCarriedOut) && (err != nil || run.State != backup.Succeeded) {
			t.Errorf("pruned before request %d: %s, %v", k, run.State, err)
		}
		if s.finish(); len(r.started) != 1 {
			t.Fatalf("pruned before request %d: %d restores", k, len(r.started))
		}
		if !done {
			break
		}
		if reached++; k == 1 && !errors.Is(err, engine.ErrCarriedOut) {
			t.Errorf("pruned before: %v", err)
		}
	}
	if reached < 2 {
		t.Errorf("a repeat makes %d requests", reached)
	}
}

// TestALateStepMessageOfAPrunedRun changes nothing, and is no dead letter.
func TestALateStepMessageOfAPrunedRun(t *testing.T) {
	s, ids := remembering(t, 30)
	message := backup.Encode(s.run(ids[0]).StepMessage())
	s.daily(begin.Add(140 * day))
	rows := s.there()
	out, err := s.execute("late", message)
	if err != nil || !strings.Contains(out.Note, "it is history") || !slices.Equal(rows, s.there()) {
		t.Errorf("%+v, %v", out, err)
	}
	young := backup.StepMessage{Run: backup.NewRunID(target, s.now.Add(-day), "nobody"), Sequence: 1, Nonce: "n"}
	if out, err := s.execute("young", backup.Encode(young)); err != nil || !strings.Contains(out.Note, "dead letter") {
		t.Errorf("%+v, %v", out, err)
	}
}

// TestARequestIsForgotten: with its runs; then the same ID asks for another backup.
func TestARequestIsForgotten(t *testing.T) {
	s, ids := remembering(t, 30)
	s.daily(begin.Add(140 * day))
	if _, err := s.engine.BackupID(t.Context(), "request-0"); !errors.Is(err, backup.ErrNotFound) {
		t.Errorf("the request is known: %v", err)
	}
	again := s.ask("request-0")
	if s.finish(); again.ID == ids[0] || s.run(again.ID).State != backup.Succeeded {
		t.Errorf("asked again: %+v", again)
	}
	if _, _, err := s.engine.Batch(t.Context(), "request-0"); err != nil {
		t.Errorf("the new request is not known: %v", err)
	}
}

// TestDeadLettersAndMissedPeriodsAreForgotten, and refusals without a run.
func TestDeadLettersAndMissedPeriodsAreForgotten(t *testing.T) {
	s := newHarness(t)
	s.engine.KeepHistory = 40 * day
	plan := nightly()
	s.runSchedule(plan)
	s.now = begin.Add(5 * day)
	s.runSchedule(plan)
	s.finish()
	no := backup.NewReason("Refused", "a test", "")
	if _, err := s.engine.AnswerBackup(t.Context(), request.Backup{ID: "refused", Plan: plan.Name}, []backup.Plan{plan}, &no); err != nil {
		t.Fatal(err)
	}
	letter := func(text string) {
		if _, err := s.execute("letter", []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	letter("once")
	letter("twice")
	if got := s.kinds(); !strings.Contains(got, "request-1 restore-0 deadletter2 schedule-missed-1 ") {
		t.Fatalf("got %s", got)
	}
	s.now = begin.Add(40 * day)
	letter("twice")
	s.daily(begin.Add(45 * day))
	if got := s.kinds(); !strings.Contains(got, "request-1 restore-0 deadletter2 schedule-missed-1 ") {
		t.Errorf("before their history is over: %s", got)
	}
	s.daily(begin.Add(60 * day))
	if got := s.kinds(); !strings.Contains(got, "request-0 restore-0 deadletter1 schedule-missed-0 ") {
		t.Errorf("after that: %s", got)
	}
	s.daily(begin.Add(100 * day))
	if got := s.kinds(); !strings.Contains(got, "deadletter0 ") {
		t.Errorf("in the end: %s", got)
	}
}

// TestTwoCleanupsPrune at once: neither harms the other, and one of them prunes.
func TestTwoCleanupsPrune(t *testing.T) {
	for k := range 30 {
		s, _ := remembering(t, 22)
		s.engine.KeepHistory = 0
		s.daily(begin.Add(110 * day))
		s.engine.KeepHistory = 40 * day
		other := *s.engine
		other.Catalog = s.storage.catalog
		s.storage.calls = 0
		s.storage.before = func(call int) {
			if call == k {
				if _, err := other.Cleanup(t.Context()); err != nil {
					t.Error(err)
				}
			}
		}
		s.cleanup()
		s.storage.before = nil
		s.whole(k)
		s.daily(s.now.Add(2 * day))
		pruned, err := backup.ReadHistory(t.Context(), s.storage.catalog, target)
		if s.rows("run-") != 20 || err != nil || pruned.Runs != 2 {
			t.Errorf("the other cleanup before request %d: %s, %+v, %v", k, s.kinds(), pruned, err)
		}
	}
}

// lister has one artifact of no recovery point.
type lister struct {
	*fakeProvider
	made time.Time
}

func (l lister) Artifacts(context.Context, string, backup.Storage) ([]backup.Artifact, error) {
	return []backup.Artifact{{Name: "late", Made: l.made}}, nil
}

// TestPrunedRunsStillAccountForArtifacts: an artifact that was made after the first run of the target may be of a lost start, also once
// that run was pruned.
func TestPrunedRunsStillAccountForArtifacts(t *testing.T) {
	s, _ := remembering(t, 30)
	s.daily(begin.Add(140 * day))
	k := manifest.Keeper{Catalog: s.storage.catalog, Store: &s.manifests, Services: known}
	for _, test := range []struct {
		made time.Time
		want int
	}{{begin.Add(day), 0}, {begin.Add(-day), 1}} {
		found, err := k.Search(t.Context(), lister{s.provider, test.made}, target, inFolder)
		if err != nil || found.Artifacts != test.want {
			t.Errorf("of an artifact of %s: %d unknown ones, %v", test.made, found.Artifacts, err)
		}
	}
}

// TestManyAreHistory: cleanup reads a page after the other, and leaves the rest for the next one.
func TestManyAreHistory(t *testing.T) {
	s := newHarness(t)
	for i := range 1150 {
		if err := history.PutRequest(t.Context(), s.storage.catalog, fmt.Sprintf("%032x", i), begin); err != nil {
			t.Fatal(err)
		}
	}
	s.engine.KeepHistory = 40 * day
	s.now = begin.Add(60 * day)
	if s.cleanup(); s.rows("recorded-") != 150 {
		t.Errorf("%d entries are left", s.rows("recorded-"))
	}
	if s.cleanup(); s.rows("recorded-") != 0 {
		t.Errorf("then %d entries are left", s.rows("recorded-"))
	}
}

// TestAClosedClaimOfAnotherVersion keeps what this version does not know.
func TestAClosedClaimOfAnotherVersion(t *testing.T) {
	s, _, _ := restorable(t)
	plans := restoring(false)
	run := s.restore(order("restore-1"), plans)
	s.finish()
	key := backup.RestoreClaimKey("restore-1")
	row, _, err := s.storage.catalog.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	body := strings.Replace(string(row.Body), "{", `{"Newer":"member",`, 1)
	if _, err := s.storage.catalog.Apply(t.Context(), backup.Write{Op: backup.Put, Key: key, Body: []byte(body)}); err != nil {
		t.Fatal(err)
	}
	for i := range 30 {
		s.now = begin.Add(time.Duration(i+1) * day)
		s.ask(fmt.Sprint("later-", i))
		s.finish()
	}
	s.rescueAll()
	s.engine.KeepHistory = 40 * day
	s.daily(begin.Add(150 * day))
	if row, _, err = s.storage.catalog.Get(t.Context(), key); err != nil || !strings.Contains(string(row.Body), `"Newer":"member"`) ||
		!strings.Contains(string(row.Body), run.ID) || !strings.Contains(string(row.Body), `"State":"succeeded"`) {
		t.Errorf("the claim is %s, %v", row.Body, err)
	}
}

// stuck are manifests that storage does not delete.
type stuck struct{ backup.Manifests }

func (stuck) Delete(context.Context, backup.Storage, string) error {
	return fault(backup.Kept, "BlobImmutableDueToPolicy")
}

// TestManifestsHoldTheirPoint: an expired point stays as long as cleanup still comes back to its manifests.
func TestManifestsHoldTheirPoint(t *testing.T) {
	s, ids := remembering(t, 30)
	s.engine.Manifests = stuck{&s.manifests}
	hours := func(until time.Time) { // cleanup comes back each six hours
		for ; s.now.Before(until); s.now = s.now.Add(6 * time.Hour) {
			s.cleanup()
		}
	}
	hours(begin.Add(120 * day))
	if n := s.rows("run-"); n != 30 || s.state(ids[0]) != backup.Expired {
		t.Errorf("%d runs, and the oldest point is %s", n, s.state(ids[0]))
	}
	s.engine.Manifests = &s.manifests
	hours(begin.Add(140 * day))
	if names := s.manifestNames(); s.rows("run-") != 20 || len(names) != 1 {
		t.Errorf("after the end of that: %s, and the manifests %q", s.kinds(), names)
	}
}
