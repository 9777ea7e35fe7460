package engine_test

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
	"lifeboat/internal/plans"
	"lifeboat/internal/restore"
	"lifeboat/internal/stop"
)

// stop sets the switch.
func (s *harness) stop(backups bool) {
	s.t.Helper()
	q := stop.Request{ID: "stop-" + s.engine.NewID(), By: "a person", Reason: "who deleted the vault?", Backups: backups}
	if now, err := s.engine.Ownership().SetStop(s.t.Context(), q); err != nil || now.Why() == "" {
		s.t.Fatalf("stopped: %+v, %v", now, err)
	}
}

func (s *harness) resume() {
	s.t.Helper()
	if now, err := s.engine.Ownership().Resume(s.t.Context(), "resume-"+s.engine.NewID(), "a person"); err != nil || now.Switch.On() {
		s.t.Fatalf("resumed: %+v, %v", now, err)
	}
}

// expiring makes two more recovery points of the target; the first two are past their time.
func (s *harness) expiring(first string) (due []string) {
	s.t.Helper()
	due = []string{first}
	for _, id := range []string{"second", "third"} {
		s.now = s.now.Add(time.Hour)
		run := s.ask(id)
		s.finish()
		s.rescueAll()
		if id == "second" {
			due = append(due, run.ID)
		}
	}
	for _, id := range due {
		s.change(id, func(p *backup.Point) { p.Expires = s.now })
		s.due(id)
	}
	return due
}

// TestStop: while the app is stopped, by the switch or by the app setting, nothing is deleted, no restore begins, and a preview says
// so. Backups go on unless the switch says otherwise. After it all goes on.
func TestStop(t *testing.T) {
	for name, c := range map[string]struct {
		setting string
		backups bool
	}{"the switch": {}, "the switch, with backups": {backups: true}, "the app setting": {setting: "stopped by LIFEBOAT_STOPPED", backups: true}} {
		s, service, point := restorable(t)
		s.expiring(point)
		s.runSchedule(nightly())
		begin, end := func() { s.stop(c.backups) }, s.resume
		if c.setting != "" {
			begin, end = func() { s.engine.Stopped = c.setting }, func() { s.engine.Stopped = "" }
		}
		begin()
		report, err := s.engine.Cleanup(t.Context())
		if err != nil || report.Stopped == "" || len(report.Deletions)+len(report.Failed) > 0 || len(service.deleted) > 0 {
			t.Errorf("%s: a cleanup: %+v, %v, deleted %q", name, report, err, service.deleted)
		}
		preview, err := s.engine.PreviewRestore(t.Context(), order("preview"), restoring(true))
		if err != nil || !slices.ContainsFunc(preview.Guards, func(g restore.Guard) bool { return g.Outcome == restore.Warned && g.Reason.Code == stop.Code }) {
			t.Errorf("%s: a preview: %+v, %v", name, preview.Guards, err)
		}
		q := order("restore-1")
		q.Expires = s.now.Add(3 * day)
		run := s.restore(q, restoring(true))
		service.begun = nil
		s.deliver()
		if now := s.run(run.ID); now.State != backup.Waiting || now.Reason.Code != stop.Code || len(service.begun) > 0 {
			t.Errorf("%s: a restore is %s: %+v, %q", name, now.State, now.Reason, service.begun)
		}
		s.now = s.now.Add(day)
		made := s.runSchedule(nightly()).Created
		if (len(made) == 0) != c.backups {
			t.Errorf("%s: plans make the runs %q", name, made)
		}
		_, timers, err := s.engine.Health(t.Context(), plans.Active{})
		if err != nil || timers.Stopped.Why() == "" || (timers.Stopped.Backups() != "") != c.backups {
			t.Errorf("%s: health: %+v, %v", name, timers.Stopped, err)
		}
		s.ask("by hand")
		end()
		s.finish()
		s.rescueAll()
		if report, err := s.engine.Cleanup(t.Context()); err != nil || report.Stopped != "" || len(service.deleted) != 2 {
			t.Errorf("%s: the cleanup after it: %+v, %v, deleted %q", name, report, err, service.deleted)
		}
		if now := s.run(run.ID); now.State != backup.Succeeded {
			t.Errorf("%s: a restore after it is %s: %+v", name, now.State, now.Reason)
		}
	}
}

// TestAStopAmidACleanup comes at each call of a cleanup: at most the one deletion that was under way is made, and the cleanup after the
// stop makes the others at once.
func TestAStopAmidACleanup(t *testing.T) {
	before := map[int]int{}
	for k := 1; ; k++ {
		s, service, point := restorable(t)
		s.expiring(point)
		s.storage.calls = 0
		atStop := -1
		s.storage.before = func(call int) {
			if call == k {
				s.storage.before = nil
				atStop = len(service.deleted)
				s.stop(false)
			}
		}
		if _, err := s.engine.Cleanup(t.Context()); err != nil {
			t.Fatalf("call %d: %v", k, err)
		}
		if atStop < 0 {
			break
		}
		n := len(service.deleted)
		if before[n]++; n > atStop+1 {
			t.Errorf("call %d: %d artifacts were deleted at the stop, and %d after the cleanup", k, atStop, n)
		}
		if report, err := s.engine.Cleanup(t.Context()); err != nil || report.Stopped == "" || len(service.deleted) != n {
			t.Errorf("call %d: the next cleanup: %+v, %v, deleted %q", k, report, err, service.deleted)
		}
		s.resume()
		if _, err := s.engine.Cleanup(t.Context()); err != nil || len(service.deleted) != 2 || s.rows("point-") != 3 {
			t.Errorf("call %d: after the stop: %v, deleted %q", k, err, service.deleted)
		}
	}
	if before[0] == 0 || before[1] == 0 || before[2] == 0 {
		t.Errorf("deletions before the stop: %v", before)
	}
}

// TestADeletionThatWasBegunWaits: a stop holds it up, too.
func TestADeletionThatWasBegunWaits(t *testing.T) {
	s, service, point := restorable(t)
	due := s.expiring(point)
	for _, id := range due {
		s.change(id, func(p *backup.Point) { p.State = backup.Deleting })
	}
	s.stop(false)
	if _, err := s.engine.Cleanup(t.Context()); err != nil || len(service.deleted) > 0 {
		t.Fatalf("%v, deleted %q", err, service.deleted)
	}
	s.resume()
	if _, err := s.engine.Cleanup(t.Context()); err != nil || len(service.deleted) != 2 {
		t.Fatalf("after it: %v, deleted %q", err, service.deleted)
	}
}

// TestAStopAmidARestore comes at each call of a restore, with a safety backup and without: the restore begins then only within the step
// that was being made. It waits otherwise, with its lock from the safety backup on, and goes on after the stop.
func TestAStopAmidARestore(t *testing.T) {
	for _, safety := range []bool{false, true} {
		waited, locked := 0, 0
		for k := 1; ; k++ {
			s, service, _ := restorable(t)
			run := s.restore(order("restore-1"), restoring(safety))
			s.storage.calls = 0
			stopped := false
			s.storage.before = func(call int) {
				if call == k {
					s.storage.before, stopped = nil, true
					s.stop(false)
				}
			}
			for !stopped && s.step() {
			}
			if !stopped {
				break
			}
			begun := len(service.started)
			for range 20 {
				s.step()
			}
			now := s.run(run.ID)
			if len(service.started) != begun || (begun == 0) != (now.Reason.Code == stop.Code) {
				t.Fatalf("safety %t, call %d: %d restores were begun in the step, and %d later; %s: %+v", safety, k, begun, len(service.started), now.State, now.Reason)
			}
			if begun == 0 {
				waited++
				if now.State.HoldsLock() != !now.Restore.SafetyBackedUp.IsZero() || now.State.HoldsLock() != (s.rows("lock") == 1) {
					t.Errorf("safety %t, call %d: it is %s, with %d locks", safety, k, now.State, s.rows("lock"))
				}
				locked += s.rows("lock")
			}
			s.resume()
			s.finish()
			if now := s.run(run.ID); now.State != backup.Succeeded || len(service.started) != 1 {
				t.Errorf("safety %t, call %d: it is %s after the stop: %+v", safety, k, now.State, now.Reason)
			}
		}
		if waited == 0 || (locked > 0) != safety {
			t.Errorf("safety %t: %d waited, %d of them with the lock", safety, waited, locked)
		}
	}
}

// TestARestoreExpiresWhileStopped: at its own time, in each phase, and the reason names the stop.
func TestARestoreExpiresWhileStopped(t *testing.T) {
	for _, safetyBackedUp := range []bool{false, true} {
		s, service, point := restorable(t)
		q := order("restore-1")
		q.Expires = s.now.Add(3 * time.Hour)
		run := s.restore(q, restoring(true))
		for safetyBackedUp && s.run(run.ID).Restore.SafetyBackedUp.IsZero() && s.step() {
		}
		s.stop(false)
		s.finish()
		s.rescueAll()
		now := s.run(run.ID)
		if now.State != backup.StateRefused || now.Reason.Code != "RequestExpired" || !strings.Contains(now.Reason.Message, "who deleted the vault?") {
			t.Errorf("safety backup %t: it is %s: %+v", safetyBackedUp, now.State, now.Reason)
		}
		if len(service.started) > 0 || s.rows("lock") > 0 || len(s.readers(point)) > 0 || now.Ended.Sub(q.Expires) > time.Hour {
			t.Errorf("safety backup %t: begun %d, %d locks, ended %s", safetyBackedUp, len(service.started), s.rows("lock"), now.Ended)
		}
	}
}

// TestALostRestoreIsNotBegunAgainWhileStopped: it keeps its lock.
func TestALostRestoreIsNotBegunAgainWhileStopped(t *testing.T) {
	s, service, _ := recreatable(t)
	service.starts = func(backup.Restore) (backup.Operation, error) {
		return backup.Operation{}, fault(backup.Ambiguous, "ConnectionReset")
	}
	service.trace = func() (backup.Operation, error) { return backup.Operation{}, nil }
	run := s.restore(order("restore-1"), restoring(false))
	for len(service.started) == 0 && s.step() {
	}
	s.stop(false)
	for end := s.now.Add(6 * time.Hour); s.now.Before(end) && s.step(); {
		if len(service.started) != 1 || s.rows("lock") != 1 {
			t.Fatalf("begun %d times, %d locks; %+v", len(service.started), s.rows("lock"), s.run(run.ID).Reason)
		}
	}
	service.starts = nil
	s.resume()
	s.finish()
	if now := s.run(run.ID); now.State != backup.Succeeded || len(service.started) != 2 {
		t.Errorf("after it: %s, begun %d times: %+v", now.State, len(service.started), now.Reason)
	}
}

// TestARowOfTheSwitchThatCannotBeRead stops deletions and restores, and no backups; the timer run names it.
func TestARowOfTheSwitchThatCannotBeRead(t *testing.T) {
	s, service, point := restorable(t)
	s.expiring(point)
	s.runSchedule(nightly())
	broken := backup.Write{Op: backup.Put, Key: backup.StopKey, Body: []byte(`{"Since":"yesterday"}`)}
	if _, err := s.storage.catalog.Apply(t.Context(), broken); err != nil {
		t.Fatal(err)
	}
	if report, err := s.engine.Cleanup(t.Context()); err != nil || !strings.Contains(report.Stopped, backup.StopKey.Row) || len(service.deleted) > 0 {
		t.Errorf("a cleanup: %+v, %v, deleted %q", report, err, service.deleted)
	}
	run := s.restore(order("restore-1"), restoring(false))
	s.deliver()
	if now := s.run(run.ID); now.State != backup.Waiting || now.Reason.Code != stop.Code {
		t.Errorf("a restore is %s: %+v", now.State, now.Reason)
	}
	s.now = s.now.Add(day)
	report, err := s.engine.Schedule(t.Context(), []backup.Plan{nightly()})
	if len(report.Created) != 1 || err == nil || !strings.Contains(err.Error(), backup.StopKey.Row) {
		t.Errorf("a timer run: %+v, %v", report, err)
	}
	if _, err := s.engine.Ownership().Resume(t.Context(), "id", "a person"); !errors.Is(err, backup.ErrUnreadable) ||
		!strings.Contains(err.Error(), "delete it") {
		t.Errorf("resumed: %v", err)
	}
	if now := s.run(run.ID); !strings.Contains(now.Reason.Hint, "delete it") {
		t.Errorf("the restore waits with the hint %q", now.Reason.Hint)
	}
}

// TestTheSwitchSurvives lets each request of a stop and of a resume fail, made or not. A repeat under the ID ends it; each event comes
// once. A repeat that comes late changes nothing any more.
func TestTheSwitchSurvives(t *testing.T) {
	for k := 1; k <= 5; k++ {
		for _, made := range []bool{false, true} {
			s := newHarness(t)
			s.storage.calls, s.storage.failAt, s.storage.made = 0, k, made
			app := s.engine.Ownership()
			q := stop.Request{ID: "one", By: "a person", Reason: "words"}
			for range 2 {
				now, err := app.SetStop(t.Context(), q)
				if err == nil && !now.Switch.On() {
					t.Errorf("call %d: %+v", k, now)
				}
			}
			for range 2 {
				if now, err := app.Resume(t.Context(), "two", "another person"); err == nil && now.Switch.On() {
					t.Errorf("call %d: %+v", k, now)
				}
			}
			s.storage.failAt = 0
			if now, err := app.SetStop(t.Context(), q); err != nil || now.Switch.On() {
				t.Errorf("call %d: a late repeat of the stop stops: %+v, %v", k, now, err)
			}
			s.stop(true)
			if now, err := app.Resume(t.Context(), "two", "another person"); err != nil || !now.Switch.On() || !now.Switch.Backups {
				t.Errorf("call %d: a late repeat of the resume resumes: %+v, %v", k, now, err)
			}
			if _, err := app.Resume(t.Context(), "three", "another person"); err != nil {
				t.Fatal(err)
			}
			s.stop(true)
			for _, id := range []string{"two", "three"} {
				if now, err := app.Resume(t.Context(), id, "another person"); err != nil || !now.Switch.On() {
					t.Errorf("call %d: a repeat of the resume %s resumes a later stop: %+v, %v", k, id, now, err)
				}
			}
			s.runSchedule()
			var told []string
			for _, e := range s.storage.queue.Events() {
				told = append(told, e.Type)
			}
			slices.Sort(told) // they have one time here
			if got := strings.Join(told, " "); got != "lifeboat.resumed lifeboat.resumed lifeboat.stopped lifeboat.stopped lifeboat.stopped" {
				t.Errorf("call %d, made %t: told %s", k, made, got)
			}
		}
	}
}

// TestCancelBehindTheSafetyBackup: canceled at any moment of its safety backup, the restore keeps its lock until Azure has ended it,
// keeps its point, and begins nothing.
func TestCancelBehindTheSafetyBackup(t *testing.T) {
	running := func(s *harness, id string) bool { return s.run(id).State == backup.Running }
	for name, c := range map[string]struct {
		until  func(s *harness, id string) bool
		set    func(s *harness, service *fakeRestorer, cancel func())
		points int
		// looks tells that it looks for a lost start first.
		looks bool
	}{
		"the service is at it": {until: running, points: 2},
		"it is verified":       {until: func(s *harness, id string) bool { return s.run(id).State == backup.Verifying }, points: 2},
		"its start is being sent": {set: func(_ *harness, service *fakeRestorer, cancel func()) {
			service.begin = func(backup.Attempt) (backup.Operation, error) {
				cancel()
				return backup.Operation{Token: "token"}, nil
			}
		}, points: 2},
		"its start is being rejected": {set: func(_ *harness, service *fakeRestorer, cancel func()) {
			service.begin = func(backup.Attempt) (backup.Operation, error) {
				cancel()
				return backup.Operation{}, fault(backup.Retryable, "Conflict")
			}
		}, points: 1},
		"its start is lost": {set: func(_ *harness, service *fakeRestorer, cancel func()) {
			service.begin = func(backup.Attempt) (backup.Operation, error) {
				cancel()
				return backup.Operation{}, fault(backup.Ambiguous, "ConnectionReset")
			}
		}, points: 1, looks: true},
		"it fails": {until: running, set: func(_ *harness, service *fakeRestorer, _ func()) {
			service.poll = func(backup.Attempt) (backup.Operation, error) {
				return backup.Operation{}, fault(backup.Refused, "Failed")
			}
		}, points: 1},
	} {
		s, service, point := restorable(t)
		run := s.restore(order("restore-1"), restoring(true))
		canceled := false
		cancel := func() {
			canceled = true
			for range 2 { // a repeat changes nothing
				now, err := s.engine.CancelRestore(t.Context(), run.ID, "a person")
				if err != nil || now.State.Final() || now.Restore.CanceledBy != "a person" || s.rows("lock") != 1 {
					t.Errorf("%s: canceled: %s, %v, %d locks", name, now.State, err, s.rows("lock"))
				}
			}
		}
		if c.set != nil {
			c.set(s, service, cancel)
		}
		for !canceled {
			if c.until != nil && c.until(s, run.ID) {
				cancel()
				break
			}
			if !s.step() {
				t.Fatalf("%s: it never came so far", name)
			}
		}
		s.finish()
		s.rescueAll()
		now := s.run(run.ID)
		if now.State != backup.Canceled || now.Reason.Code != "Canceled" || s.rows("lock") > 0 {
			t.Errorf("%s: it ends %s: %+v, %d locks", name, now.State, now.Reason, s.rows("lock"))
		}
		if len(service.started) > 0 || len(service.begun) != 1 || s.rows("point-") != c.points || len(s.readers(point)) > 0 || (now.Ended.Sub(now.Created) >= s.engine.Timings.RetryWindow) != c.looks {
			t.Errorf("%s: %d restores, backups %q, %d points, %+v", name, len(service.started), service.begun, s.rows("point-"), now.Reason)
		}
		if (c.points == 2) == now.Restore.SafetyBackedUp.IsZero() || s.story(run.ID) != "accepted canceled" && s.story(run.ID) != "accepted waiting canceled" {
			t.Errorf("%s: backed up at %s, told %s", name, now.Restore.SafetyBackedUp, s.story(run.ID))
		}
		if c.points == 2 {
			if status, err := s.engine.ConfirmRestore(t.Context(), run.ID); err != nil || !status.Point.Held.Until.IsZero() || status.Point.State != backup.Live {
				t.Errorf("%s: confirmed: %+v, %v", name, status.Point, err)
			}
		}
	}
}

// TestASlowStepLeavesACanceledRunAlone: while a step asks how the safety backup is, a person cancels, and another delivery of its message
// brings the run to its end. The slow step loses the race, although the note of the cancellation stood in its way first.
func TestASlowStepLeavesACanceledRunAlone(t *testing.T) {
	for name, steps := range map[string]int{"one step further": 1, "to its end": 9} {
		s, service, _ := restorable(t)
		run := s.restore(order("restore-1"), restoring(true))
		for s.run(run.ID).State != backup.Running {
			if !s.step() {
				t.Fatal("the safety backup never runs")
			}
		}
		body := func() []byte {
			text, err := json.Marshal(s.run(run.ID).StepMessage())
			if err != nil {
				t.Fatal(err)
			}
			return text
		}
		var ahead backup.Run
		slow := true
		service.poll = func(backup.Attempt) (backup.Operation, error) {
			if !slow {
				return backup.Operation{Done: true}, nil
			}
			slow = false
			if _, err := s.engine.CancelRestore(t.Context(), run.ID, "a person"); err != nil {
				t.Fatal(err)
			}
			for range steps {
				if _, err := s.execute("another", body()); err != nil {
					t.Fatal(err)
				}
			}
			ahead = s.run(run.ID)
			return backup.Operation{Token: "token"}, nil
		}
		out, err := s.execute("slow", body())
		now := s.run(run.ID)
		if err != nil || !strings.Contains(out.Note, "faster") || now.RowETag != ahead.RowETag || steps > 1 && now.State != backup.Canceled {
			t.Errorf("%s: %+v, %v; the run is %s, and was %s", name, out, err, now.State, ahead.State)
		}
		s.finish()
		s.rescueAll()
		if now := s.run(run.ID); now.State != backup.Canceled || s.rows("lock")+s.rows("inflight") > 0 {
			t.Errorf("%s: at last it is %s: %+v", name, now.State, now.Reason)
		}
	}
}

// TestCancelAndRestoreRace lets a cancellation and the steps of a restore meet at every call of both: exactly one wins.
func TestCancelAndRestoreRace(t *testing.T) {
	t.Parallel()
	dice := rand.New(rand.NewPCG(3, 4))
	canceled, restored := 0, 0
	for range 1500 {
		s, service, _ := restorable(t)
		run := s.restore(order("restore-1"), restoring(dice.IntN(2) == 0))
		var outcome error
		done := false
		cancel := func() {
			done = true
			_, outcome = s.engine.CancelRestore(t.Context(), run.ID, "a person")
		}
		amid := func(at int, then func()) {
			n := 0
			s.storage.before = func(int) {
				if n++; n == at {
					s.storage.before = nil
					then()
				}
			}
		}
		if dice.IntN(2) == 0 {
			amid(1+dice.IntN(60), cancel)
		} else {
			for range dice.IntN(6) {
				s.step()
			}
			amid(1+dice.IntN(4), func() { s.step() })
			cancel()
			s.storage.before = nil
		}
		s.finish()
		s.storage.before = nil
		if !done {
			cancel()
		}
		s.rescueAll()
		is := s.run(run.ID)
		switch {
		case outcome == nil && is.State == backup.Canceled && len(service.started) == 0:
			canceled++
		case errors.Is(outcome, engine.ErrNotWaiting) && is.State == backup.Succeeded && len(service.started) == 1:
			restored++
		default:
			t.Fatalf("canceled: %v, and it is %s, begun %d times: %+v", outcome, is.State, len(service.started), is.Reason)
		}
		if s.rows("lock") > 0 || s.rows("inflight") > 0 {
			t.Fatalf("%d locks, %d in flight", s.rows("lock"), s.rows("inflight"))
		}
	}
	if canceled < 300 || restored < 300 {
		t.Errorf("canceled %d times, restored %d times: they hardly meet", canceled, restored)
	}
}

// TestCancelSurvives lets each call of a cancellation and of everything behind it fail, made or not, or the process die there. The
// safety backup is started once, its point is kept, and nothing is restored.
func TestCancelSurvives(t *testing.T) {
	for _, how := range []string{"fails", "is made and fails", "dies before", "dies after"} {
		for k := 1; ; k++ {
			s, service, point := restorable(t)
			run := s.restore(order("restore-1"), restoring(true))
			for s.run(run.ID).State != backup.Running && s.step() {
			}
			s.storage.calls = 0
			switch how {
			case "fails", "is made and fails":
				s.storage.failAt, s.storage.made = k, how == "is made and fails"
			case "dies before":
				s.storage.before = func(call int) {
					if call == k {
						panic(dead{})
					}
				}
			case "dies after":
				s.storage.failAt, s.storage.made, s.storage.fatal = k, true, true
			}
			cancel := func() (err error) {
				if s.dies(func() { _, err = s.engine.CancelRestore(t.Context(), run.ID, "a person") }) {
					err = errBroken
				}
				return err
			}
			if err := cancel(); err != nil {
				if err = cancel(); err != nil {
					t.Fatalf("call %d %s: canceled again: %v", k, how, err)
				}
			}
			for range 12 {
				s.finish()
				s.now = s.now.Add(10 * time.Minute)
				s.dies(func() { _, _ = s.engine.Schedule(t.Context(), nil) })
			}
			if s.storage.calls < k {
				break
			}
			now := s.run(run.ID)
			if now.State != backup.Canceled || len(service.started) > 0 || len(service.begun) != 1 || s.rows("point-") != 2 {
				t.Errorf("call %d %s: %s (%+v), %d backups, %d restores, %d points", k, how, now.State, now.Reason, len(service.begun), len(service.started), s.rows("point-"))
			}
			if s.rows("lock") != 0 || now.Unpublished || s.rows("inflight") != 0 || len(s.readers(point)) > 0 && s.readers(point)[0] != run.ID ||
				s.story(run.ID) != "accepted canceled" {
				t.Errorf("call %d %s: %d locks, unpublished %t, %d in flight, told %s", k, how, s.rows("lock"), now.Unpublished, s.rows("inflight"), s.story(run.ID))
			}
		}
	}
}

// TestAStoppedRestoreWaitsUntilItExpires: a restore that may begin for three days has its safety backup when the app is stopped (lifeboat
// stop --help: "A restore waits, until it expires"). After a day it fails, with the advice to see what else is changing the service.
func TestAStoppedRestoreWaitsUntilItExpires(t *testing.T) {
	s, service, _ := restorable(t)
	q := order("restore-1")
	q.Expires = s.now.Add(3 * day)
	run := s.restore(q, restoring(true))
	for s.run(run.ID).Restore.SafetyBackedUp.IsZero() && s.step() {
	}
	s.stop(false)
	for end := s.now.Add(30 * time.Hour); s.now.Before(end) && s.step(); {
	}
	if now := s.run(run.ID); now.State.Final() {
		t.Errorf("%s before it expires it is %s: %+v", q.Expires.Sub(now.Ended), now.State, now.Reason)
	}
	s.resume()
	s.finish()
	if now := s.run(run.ID); now.State != backup.Succeeded || len(service.started) != 1 {
		t.Errorf("after the stop it is %s: %+v", now.State, now.Reason)
	}
}
