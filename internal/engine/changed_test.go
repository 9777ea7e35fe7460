package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/manifest"
)

// showing is a service whose changes Azure shows: each look gets the next answer, and the last answer again and again. Without answers a
// look gets the change by its time, a quarter of an hour late.
type showing struct {
	*fakeProvider
	answers []shown
	// looks are the times of the looks.
	looks []time.Time
	// meanwhile is called within each look, unless it is nil.
	meanwhile func(look int)
}

// shown is an answer to a look.
type shown struct {
	change backup.Change
	err    error
}

func (p *showing) ReadChange(ctx context.Context, a backup.Attempt) (backup.Change, error) {
	if _, ok := ctx.Deadline(); !ok || a.Target != target || !a.Ran.To.After(a.Ran.From) {
		p.stage.t.Errorf("it looks at %s in %+v, with a deadline: %t", a.Target, a.Ran, ok)
	}
	p.looks = append(p.looks, p.stage.now)
	if p.meanwhile != nil {
		p.meanwhile(len(p.looks))
	}
	if len(p.answers) == 0 {
		at := editedAPI.change.Time
		if at.Before(a.Ran.From) || at.After(a.Ran.To) || p.stage.now.Before(at.Add(15*time.Minute)) {
			return backup.Change{}, nil
		}
		return editedAPI.change, nil
	}
	answer := p.answers[min(len(p.looks), len(p.answers))-1]
	return answer.change, answer.err
}

var (
	editedAPI = shown{change: backup.Change{Time: begin.Add(30 * time.Second), Resource: target + "/apis/echo", Operation: "apis/write"}}
	nothing   = shown{}
)

// withChanges makes a stage whose service has these answers.
func withChanges(t *testing.T, answers ...shown) (*harness, *showing) {
	t.Helper()
	s := newHarness(t)
	p := &showing{fakeProvider: s.provider, answers: answers}
	for kind := range s.engine.Providers {
		s.engine.Providers[kind] = p
	}
	return s, p
}

// noted checks that the point, its run, its newest manifest and the events have the change, or nothing of one.
func (s *harness) noted(id string, change backup.Change, late bool) {
	s.t.Helper()
	status := s.status(id)
	if status.Point == nil {
		s.t.Fatal("there is no recovery point")
	}
	run, p := status.Run, *status.Point
	if found := p.Changed.Found; run.Changed != p.Changed || found.IsZero() == late {
		s.t.Errorf("the run says %+v, the point %+v", run.Changed, p.Changed)
	}
	if p.Changed.Found = (time.Time{}); p.Changed != change || run.Look != (backup.Window{}) || run.Unpublished || run.State != backup.Succeeded {
		s.t.Errorf("the point says %+v, want %+v; the run is %+v", p.Changed, change, run)
	}
	const told = `"changedDuringBackup":{"dateTime":"2026-01-15T02:30:30Z","resource":"` + target + `/apis/echo","operation":"apis/write"}`
	for _, e := range s.storage.queue.Events() {
		if want := e.ID == id+".changed" || e.ID == id+".succeeded" && !late && change != (backup.Change{}); want != strings.Contains(string(e.Data), told) {
			s.t.Errorf("told %s: %s", e.ID, e.Data)
		}
	}
	if n, data := s.told(id + ".changed"); late != (n > 0) || n > 2 || late && (data["recoveryPoint"] != id || data["plan"] != "nightly" || data["target"] != target) {
		s.t.Errorf("told %d times of a late change: %v", n, data)
	}
	if n, _ := s.told(id + ".succeeded"); n < 1 || n > 2 {
		s.t.Errorf("told %d times of the end", n)
	}
	name := backup.ManifestFolder + "/" + id + ".changed.json"
	if there := slices.Contains(s.manifestNames(), name); there != late {
		s.t.Errorf("the manifests are %q", s.manifestNames())
	} else if there {
		var m manifest.Manifest
		if err := json.Unmarshal(s.manifests.Read(inFolder, name), &m); err != nil || !strings.Contains(string(m.Point), "apis/echo") {
			s.t.Errorf("%v: the manifest says %s", err, m.Point)
		}
	}
	if s.rows("inflight") != 0 || s.rows("lock") != 0 || s.rows("outbox") != 0 || len(s.storage.queue.Messages("execute")) != 0 {
		s.t.Errorf("left are %d entries of the index, %d locks, %d events and %d messages", s.rows("inflight"), s.rows("lock"), s.rows("outbox"), len(s.storage.queue.Messages("execute")))
	}
}

// TestLooksForAChange: Lifeboat looks at once and, where Azure shows nothing yet, once more half an hour after the artifact was written.
func TestLooksForAChange(t *testing.T) {
	denied, away := shown{err: fault(backup.Refused, "AuthorizationFailed")}, shown{err: fault(backup.Retryable, "Unreachable")}
	for name, test := range map[string]struct {
		answers []shown
		script  func(s *harness)
		looks   int
		change  backup.Change
		late    bool
		// looked is the number of the look whose answer the run tells of.
		looked int
	}{
		"seen at once":              {answers: []shown{editedAPI}, looks: 1, change: editedAPI.change, looked: 1},
		"seen late":                 {answers: []shown{nothing, editedAPI}, looks: 2, change: editedAPI.change, late: true, looked: 2},
		"never seen":                {answers: []shown{nothing}, looks: 2, looked: 2},
		"nobody may look":           {answers: []shown{denied, editedAPI}, looks: 1},
		"nobody may look any more":  {answers: []shown{nothing, denied, editedAPI}, looks: 2, looked: 1},
		"no answer at first":        {answers: []shown{away, editedAPI}, looks: 2, change: editedAPI.change, late: true, looked: 2},
		"no answer, no fault":       {answers: []shown{{err: errors.New("cut")}, nothing}, looks: 2, looked: 2},
		"no answer at the late one": {answers: []shown{nothing, away, away, editedAPI}, looks: 4, change: editedAPI.change, late: true, looked: 4},
		"a lost start": {answers: []shown{editedAPI}, script: func(s *harness) {
			s.provider.begin = func(backup.Attempt) (backup.Operation, error) { return backup.Operation{}, errors.New("no answer") }
			s.provider.find = func(a backup.Attempt) (string, error) { return a.Run + ".1", nil }
		}},
		"verified late": {answers: []shown{nothing, editedAPI}, looks: 1, looked: 1, script: func(s *harness) {
			s.provider.prove = func(string) (backup.Operation, error) {
				done := !s.now.Before(begin.Add(40 * time.Minute))
				return backup.Operation{Token: "token", Done: done}, nil
			}
			s.provider.hash = func(backup.Attempt, backup.Hashing) (backup.Verification, error) {
				return backup.Verification{Done: true, Hashing: backup.Hashing{ETag: "etag"}, Size: 7, SHA256: "beef", Modified: begin.Add(2 * time.Minute)}, nil
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s, p := withChanges(t, test.answers...)
			if test.script != nil {
				test.script(s)
			}
			run := s.ask("request-1")
			for s.run(run.ID).State != backup.Succeeded && s.step() {
				continue
			}
			ended := s.run(run.ID)
			if n, _ := s.told(run.ID + ".succeeded"); n != 1 || s.rows("lock") != 0 || s.rows("permit") != 0 || len(p.looks) > 1 {
				t.Fatalf("at the end told %d times, %d locks, %d permits, %d looks", n, s.rows("lock"), s.rows("permit"), len(p.looks))
			}
			s.timerUntilSettled()
			s.noted(run.ID, test.change, test.late)
			if len(p.looks) != test.looks {
				t.Fatalf("it looked at %s", p.looks)
			}
			if written := ended.Look.To; test.looks > 1 && (p.looks[1].Before(written.Add(30*time.Minute)) || p.looks[1].After(written.Add(31*time.Minute))) {
				t.Errorf("written at %s, looked at %s", written, p.looks[1])
			}
			var looked time.Time
			if test.looked > 0 {
				looked = p.looks[test.looked-1]
			}
			if got := s.run(run.ID).Looked; !got.Equal(looked) {
				t.Errorf("the run tells of a look at %s, want %s", got, looked)
			}
		})
	}
}

// TestAServiceWithoutChangesCostsNoLook: a provider that shows no changes leaves no message and no note.
func TestAServiceWithoutChangesCostsNoLook(t *testing.T) {
	s := newHarness(t)
	run := s.ask("request-1")
	s.finish()
	if ended := s.ended(run.ID, backup.Succeeded, ""); ended.Look != (backup.Window{}) || !ended.Looked.IsZero() {
		t.Errorf("the run is %+v", ended)
	}
}

// TestALateLookIsGivenUp: where Azure does not answer for a day, nothing is said, and nothing is left.
func TestALateLookIsGivenUp(t *testing.T) {
	s, p := withChanges(t, nothing, shown{err: fault(backup.Throttled, "TooManyRequests")})
	run := s.ask("request-1")
	for range 10 { // some 33 hours
		s.timerUntilSettled()
	}
	s.noted(run.ID, backup.Change{}, false)
	if first, last := p.looks[1], p.looks[len(p.looks)-1]; last.Sub(first) < 23*time.Hour || last.Sub(first) > 25*time.Hour {
		t.Errorf("it looked from %s to %s", first, last)
	}
}

// TestALateChangeIsTold: whatever call fails, or kills its process, with and without effect, from the request to the late look, the
// backup succeeds and the change is told as it is, once or under one ID.
func TestALateChangeIsTold(t *testing.T) {
	for _, fatal := range []bool{false, true} {
		for _, made := range []bool{false, true} {
			for k := 1; ; k++ {
				s, p := withChanges(t)
				run := s.ask("request-1")
				s.storage.calls, s.storage.failAt, s.storage.made, s.storage.fatal = 0, k, made, fatal
				for range 12 {
					s.finish()
					s.now = s.now.Add(10 * time.Minute)
					s.dies(func() { _, _ = s.engine.Schedule(t.Context(), nil) })
				}
				if s.storage.calls < k {
					break
				}
				if change := editedAPI.change; s.run(run.ID).Lost > 0 {
					s.noted(run.ID, backup.Change{}, false) // it is not known when it ran
				} else {
					s.noted(run.ID, change, true)
				}
				if t.Failed() {
					t.Fatalf("call %d fails (made: %v, fatal: %v), after %d looks", k, made, fatal, len(p.looks))
				}
			}
		}
	}
}

// TestALostMessageOfTheLateLook: the rescuer sends it, a few minutes later.
func TestALostMessageOfTheLateLook(t *testing.T) {
	s, p := withChanges(t, nothing, editedAPI)
	run := s.ask("request-1")
	for s.run(run.ID).State != backup.Succeeded && s.step() {
		continue
	}
	for _, m := range s.storage.queue.Receive("execute", 32, 0) {
		if err := s.storage.queue.Delete("execute", m.ID, m.Receipt); err != nil {
			t.Fatal(err)
		}
	}
	s.now = s.now.Add(time.Hour)
	if left := s.storage.queue.Receive("execute", 32, time.Second); len(left) != 1 {
		t.Fatalf("%d messages for the late look", len(left))
	} else if err := s.storage.queue.Delete("execute", left[0].ID, left[0].Receipt); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		s.runSchedule()
		s.finish()
		s.now = s.now.Add(6 * time.Minute)
	}
	if s.noted(run.ID, editedAPI.change, true); len(p.looks) != 2 {
		t.Errorf("it looked at %s", p.looks)
	}
}

// TestTwoLateLooks: the message comes twice, at once. The slower invocation changes nothing.
func TestTwoLateLooks(t *testing.T) {
	s, p := withChanges(t, nothing, editedAPI)
	run := s.ask("request-1")
	p.meanwhile = func(look int) {
		if look == 2 {
			message, _ := json.Marshal(s.run(run.ID).StepMessage())
			if _, err := s.engine.Execute(t.Context(), "twin", message); err != nil {
				t.Error(err)
			}
		}
	}
	s.timerUntilSettled()
	if s.noted(run.ID, editedAPI.change, true); len(p.looks) != 3 {
		t.Errorf("it looked at %s", p.looks)
	}
	if n, _ := s.told(run.ID + ".changed"); n != 1 {
		t.Errorf("told %d times", n)
	}
}

// TestALateLookRaces: another one changes the point at each call of the late look. Both changes are in the point, the newest manifest
// has both, and each is told; a point that is gone is left alone.
func TestALateLookRaces(t *testing.T) {
	hold := func(s *harness, id string) error {
		_, err := s.engine.Hold(s.t.Context(), id, backup.PersonHold{ID: "hold", By: "a person", Reason: "an incident"})
		return err
	}
	for name, test := range map[string]struct {
		act  func(s *harness, id string) error
		kept func(p backup.Point) bool
		gone bool
	}{
		"a hold": {hold, func(p backup.Point) bool { return len(p.Holds) == 1 }, false},
		"cleanup, which soft-deletes": {func(s *harness, id string) error {
			s.change(id, func(p *backup.Point) { p.Expires, p.SoftDelete = s.now, day })
			s.due(id)
			s.unpaced()
			return nil
		}, func(p backup.Point) bool { return p.IsSoftDeleted() }, false},
		"cleanup, which deletes": {func(s *harness, id string) error {
			s.change(id, func(p *backup.Point) { p.Expires = s.now })
			s.due(id)
			s.unpaced()
			return nil
		}, func(p backup.Point) bool { return p.State == backup.Expired }, true},
	} {
		t.Run(name, func(t *testing.T) {
			for k := 1; ; k++ {
				s, _ := withChanges(t)
				run := s.ask("request-1")
				for s.run(run.ID).State != backup.Succeeded && s.step() {
					continue
				}
				newer, late := s.ask("request-2"), s.run(run.ID) // it is the newest one, so that the other may expire
				for s.run(newer.ID).State != backup.Succeeded && s.step() {
					continue
				}
				reached := false
				s.now = late.Look.To.Add(31 * time.Minute)
				s.storage.calls = 0
				s.storage.before = func(call int) {
					if call == k && !reached {
						reached = true
						if err := test.act(s, run.ID); err != nil {
							t.Errorf("call %d: %v", k, err)
						}
					}
				}
				message, _ := json.Marshal(late.StepMessage())
				if _, err := s.execute("late", message); err != nil {
					t.Errorf("call %d: %v", k, err)
				}
				s.storage.before = nil
				if !reached {
					break
				}
				s.timerUntilSettled()
				point := s.status(run.ID).Point
				if !test.kept(*point) || point.Changed.Resource != editedAPI.change.Resource && point.State != backup.Expired {
					t.Fatalf("call %d: the point is %+v", k, point)
				}
				if n, _ := s.told(run.ID + ".changed"); n > 2 || (n > 0) != (point.Changed != backup.Change{}) {
					t.Fatalf("call %d: told %d times of %+v", k, n, point.Changed)
				}
				if test.gone {
					s.now = s.now.Add(day) // by then no manifest comes any more
					s.unpaced()
					if names := s.manifestNames(); slices.ContainsFunc(names, func(name string) bool { return strings.Contains(name, run.ID) }) {
						t.Errorf("call %d: left are %q", k, names)
					}
					continue
				}
				if newest := s.newestManifest(run.ID); !test.kept(newest) && name == "a hold" || newest.Changed != point.Changed {
					t.Errorf("call %d: the newest manifest has %+v", k, newest)
				}
			}
		})
	}
}

// newestManifest returns the point as the manifest has it that was written last.
func (s *harness) newestManifest(id string) (p backup.Point) {
	s.t.Helper()
	var newest manifest.Manifest
	for _, name := range s.manifestNames() {
		var m manifest.Manifest
		if err := json.Unmarshal(s.manifests.Read(inFolder, name), &m); err != nil {
			s.t.Fatal(err)
		}
		if !strings.Contains(name, id) {
			continue
		}
		if m.Written.Equal(newest.Written) {
			s.t.Errorf("%s and the manifest %q have one time", name, newest.Change)
		}
		if m.Written.After(newest.Written) {
			newest = m
		}
	}
	p, err := backup.DecodePoint(backup.Row{Body: newest.Point})
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

// TestALateLookAtAPointThatIsBeingDeleted: a deletion that storage keeps from its end leaves the point there, and it is told. So a look
// waits for the outcome, a day at the most.
func TestALateLookAtAPointThatIsBeingDeleted(t *testing.T) {
	for _, back := range []bool{true, false} {
		s, p := withChanges(t, nothing, editedAPI)
		run := s.ask("request-1")
		for s.run(run.ID).State != backup.Succeeded && s.step() {
			continue
		}
		s.change(run.ID, func(p *backup.Point) { p.State = backup.Deleting })
		s.timerUntilSettled()
		if n, _ := s.told(run.ID + ".changed"); n != 0 || len(p.looks) < 3 || s.rows("inflight") != 1 {
			t.Fatalf("told %d times, after %d looks, %d entries", n, len(p.looks), s.rows("inflight"))
		}
		if back {
			s.change(run.ID, func(p *backup.Point) { p.State = backup.Live })
			s.timerUntilSettled()
			s.noted(run.ID, editedAPI.change, true)
			continue
		}
		for range 10 {
			s.timerUntilSettled()
		}
		s.noted(run.ID, backup.Change{}, false)
	}
}

// TestALateLookWhileStopped: a stop is no reason to say nothing of a change.
func TestALateLookWhileStopped(t *testing.T) {
	s, _ := withChanges(t, nothing, editedAPI)
	run := s.ask("request-1")
	for s.run(run.ID).State != backup.Succeeded && s.step() {
		continue
	}
	s.stop(true)
	s.timerUntilSettled()
	s.noted(run.ID, editedAPI.change, true)
}

// TestALateLookAfterATakeover: the app that has lost the catalog puts the message back, and the new owner makes the look.
func TestALateLookAfterATakeover(t *testing.T) {
	s, p := withChanges(t, nothing, editedAPI)
	s.runSchedule()
	run := s.ask("request-1")
	for s.run(run.ID).State != backup.Succeeded && s.step() {
		continue
	}
	former, next := s.engine, *s.engine
	next.App = staging
	if _, err := next.Ownership().TakeOver(t.Context(), former.App, "a person"); err != nil {
		t.Fatal(err)
	}
	s.now = s.now.Add(31 * time.Minute)
	s.deliver()
	if left := s.storage.queue.Messages("execute"); len(p.looks) != 1 || len(left) != 1 {
		t.Fatalf("the former owner made %d looks, and left %d messages", len(p.looks), len(left))
	}
	s.engine = &next
	s.timerUntilSettled()
	s.noted(run.ID, editedAPI.change, true)
}

// TestALateLookAtASafetyBackup: it comes once the restore has ended, by the restore's own row.
func TestALateLookAtASafetyBackup(t *testing.T) {
	s, r, point := restorable(t)
	p := &showing{fakeProvider: s.provider, answers: []shown{nothing, {change: backup.Change{Time: begin, Resource: target, Operation: "write"}}}}
	for kind := range s.engine.Providers {
		s.engine.Providers[kind] = struct {
			*showing
			backup.Restorer
		}{p, r}
	}
	_ = point
	run := s.restore(order("restore-1"), restoring(true))
	s.timerUntilSettled()
	status := s.status(run.ID)
	if run := status.Run; run.State != backup.Succeeded || len(p.looks) != 2 || p.looks[1].Before(run.Ended) || status.Point == nil || status.Point.Changed.Resource != target {
		t.Errorf("looks at %s, the run is %+v, its safety backup %+v", p.looks, run, status.Point)
	}
	if n, _ := s.told(run.ID + ".changed"); n != 1 {
		t.Errorf("told %d times", n)
	}
}

// TestLateLookCost: a late look without a finding costs five requests, the message and a further check by the rescuer among them.
func TestLateLookCost(t *testing.T) {
	cost := func(answers ...shown) int {
		s, _ := withChanges(t, answers...)
		s.runSchedule()
		s.ask("request-1")
		s.storage.calls = 0
		for end := begin.Add(2 * time.Hour); s.now.Before(end); s.now = s.now.Add(time.Minute) {
			s.deliver()
			s.runSchedule()
		}
		return s.storage.calls
	}
	denied, without := cost(shown{err: fault(backup.Refused, "AuthorizationFailed")}), cost(nothing)
	if without-denied != 5 {
		t.Errorf("%d requests with a late look, %d without", without, denied)
	}
	if with := cost(nothing, editedAPI); with-without != 6 {
		t.Errorf("%d requests with a late change, %d without", with, without)
	}
}
