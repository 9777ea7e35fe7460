package engine_test

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
	"lifeboat/internal/health"
	"lifeboat/internal/plans"
	"lifeboat/internal/request"
	"lifeboat/internal/restore"
)

// TestATargetIsTheSameInAnyCase: its share of the jitter, its runs and its partition belong to the resource, in any spelling by
// plan.yaml, a request or Azure.
func TestATargetIsTheSameInAnyCase(t *testing.T) {
	shares := map[string]map[string]time.Duration{}
	ids := map[string]string{}
	for _, spell := range []func(string) string{strings.ToLower, strings.ToUpper} {
		plan := many(20)
		plan.Jitter = 6 * time.Hour
		for i, target := range plan.Targets {
			plan.Targets[i] = spell(target)
		}
		s := newHarness(t)
		s.runSchedule(plan)
		s.now = begin.Add(day)
		for _, id := range s.runSchedule(plan).Created {
			run := s.run(id)
			name := strings.ToLower(run.Target)
			if shares[name] == nil {
				shares[name] = map[string]time.Duration{}
			}
			shares[name][run.Target] = run.Due.Sub(run.ScheduledTime)
			if before, ok := ids[name]; ok && before != id {
				t.Errorf("%s has the run %s, and in another case %s", name, before, id)
			}
			ids[name] = id
		}
	}
	if len(shares) != 20 {
		t.Fatalf("%d targets", len(shares))
	}
	for name, each := range shares {
		first := time.Duration(-1)
		for spelled, share := range each {
			if first >= 0 && share != first {
				t.Errorf("%s begins after %s, and in another case after %s", spelled, share, first)
			}
			first = share
		}
		if len(each) != 2 {
			t.Errorf("%s was spelled in %d ways", name, len(each))
		}
	}
}

// TestAPermitAcquiredTwiceIsReclaimed: its run lives on with the other one.
func TestAPermitAcquiredTwiceIsReclaimed(t *testing.T) {
	for _, bound := range []string{"all", "plan-nightly"} {
		s := newHarness(t)
		plan := many(2)
		s.engine.Concurrency, plan.Settings.Concurrency = 3, 2 // one of the three is kept for restores
		o := s.operate(2 * time.Hour)
		ask := func(target string) backup.Run {
			t.Helper()
			run, err := s.backup(target, plan, target)
			if err != nil {
				t.Fatal(err)
			}
			return run
		}
		first := ask(plan.Targets[0])
		s.minutes(3, plan)
		held := s.run(first.ID).Permits
		if len(held) != 2 || len(o.began) != 1 {
			t.Fatalf("the first run holds %v, and %q began", held, o.began)
		}
		// The process that took it died before it could save that, and the repeat took another place.
		extra := fmt.Sprintf("permit-%s.0000", bound)
		for _, p := range held {
			if p.Row == extra {
				extra = fmt.Sprintf("permit-%s.0001", bound)
			}
		}
		_, err := s.storage.catalog.Apply(t.Context(), backup.Write{
			Op: backup.Insert, Key: backup.Key{Partition: "schedule", Row: extra}, Body: fmt.Appendf(nil, `{"Run":%q}`, first.ID),
		})
		if err != nil {
			t.Fatal(err)
		}
		ask(plan.Targets[1])
		s.minutes(30, plan)
		if len(o.began) != 2 || s.run(first.ID).State != backup.Running {
			t.Errorf("%s: %q began; the first is %s", extra, o.began, s.run(first.ID).State)
		}
		if now := s.run(first.ID).Permits; fmt.Sprint(now) != fmt.Sprint(held) {
			t.Errorf("the first run holds %v, and held %v", now, held)
		}
	}
}

// aged makes the newest recovery point of the target as old as given.
func (s *harness) aged(target string, created time.Time) {
	s.t.Helper()
	points, _, err := s.engine.RecoveryPoints(s.t.Context(), target, "", 1)
	if err != nil || len(points) != 1 {
		s.t.Fatalf("%d points, %v", len(points), err)
	}
	points[0].Created, points[0].AsOf = created, created
	s.put(points[0])
}

// TestNobodyIsToldTwiceWhileOneTargetCannotBeRead: others turn unprotected one after another, and each is published once.
func TestNobodyIsToldTwiceWhileOneTargetCannotBeRead(t *testing.T) {
	plan := many(4)
	s := rotten(t, plan)
	for i, target := range plan.Targets[:3] {
		s.aged(target, begin.Add(day+time.Duration(i)*time.Hour+30*time.Minute))
	}
	for _, row := range s.storage.catalog.Rows() {
		if strings.HasPrefix(row.Row, "point-") && strings.Contains(string(row.Body), plan.Targets[3]) {
			w := backup.Write{Op: backup.Put, Key: row.Key, Body: []byte(`{"Created":"never"}`)}
			if _, err := s.storage.catalog.Apply(t.Context(), w); err != nil {
				t.Fatal(err)
			}
		}
	}
	for hour := range 4 {
		s.now = begin.Add(3*day + time.Duration(hour)*time.Hour)
		for range 3 {
			if _, err := s.engine.Schedule(t.Context(), []backup.Plan{plan}); err == nil {
				t.Error("nobody is told of the broken row")
			}
			ids, e := s.alarms()
			if len(ids) != min(hour, 3) || len(ids) > 0 && ids[e.ID] != 1 {
				t.Errorf("%d h later told of %v", hour, ids)
			}
			s.now = s.now.Add(time.Second)
		}
	}
	ids, _ := s.alarms()
	for id, n := range ids {
		if n != 1 {
			t.Errorf("%s was told %d times", id, n)
		}
	}
}

// TestLeftPermitsAreFoundHoweverOftenATimerRunComes: each timer run checks another one, also if the number of permits and the
// minutes between two timer runs have a common divisor.
func TestLeftPermitsAreFoundHoweverOftenATimerRunComes(t *testing.T) {
	for _, every := range []time.Duration{time.Minute, 5 * time.Minute, time.Hour} {
		for lost := range 10 {
			s := newHarness(t)
			s.engine.Concurrency = 10
			other, err := s.backup("other", nightly(), target+"-other")
			if err != nil {
				t.Fatal(err)
			}
			for i := range 10 {
				holder := other.ID
				if i == lost {
					holder = "0123456789abcdef-0123456789-0123456789ab"
				}
				_, err := s.storage.catalog.Apply(t.Context(), backup.Write{
					Op: backup.Insert, Key: backup.Key{Partition: "schedule", Row: fmt.Sprintf("permit-all.%04d", i)}, Body: fmt.Appendf(nil, `{"Run":%q}`, holder),
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			s.storage.queue.Receive("execute", 32, 30*day) // the other one goes on
			run := s.ask("request")
			s.deliver()
			if s.run(run.ID).QueueRow == "" {
				t.Fatal("it does not stand in the wait queue")
			}
			timers := 0
			for ; s.rows("permit-") == 10 && timers < 200; timers++ {
				s.now = s.now.Add(every)
				s.runSchedule()
			}
			if timers == 200 {
				t.Errorf("with a timer run each %s permit %d of 10 is never looked at", every, lost)
			}
		}
	}
}

// left puts a recovery point of the target that was written at the given time.
func (s *harness) left(target string, state backup.PointState, created time.Time) backup.Point {
	s.t.Helper()
	id := s.ask("partition").ID[:17]
	p := backup.Point{
		ID: fmt.Sprintf("%s%010d-000000000000", id, 9_999_999_999-created.Unix()), State: state, Target: target, Plan: "nightly",
		Created: created, Expires: created.AddDate(0, 0, 30), Size: 7, SHA256: "beef",
	}
	s.put(p)
	return p
}

// makeActive notes that the text of the plans has been active since the beginning.
func (s *harness) makeActive() {
	s.t.Helper()
	key := backup.Key{Partition: "schedule", Row: "active-plan"}
	body := fmt.Appendf(nil, `{"Hash":"0","Since":%q}`, begin.Format(time.RFC3339))
	if _, err := s.storage.catalog.Apply(s.t.Context(), backup.Write{Op: backup.Insert, Key: key, Body: body}); err != nil {
		s.t.Fatal(err)
	}
}

// TestManySuspectPointsHideNoLiveOne: a target with a live recovery point behind any number of suspect ones is protected,
// for the alarm, for health and for a restore alike.
func TestManySuspectPointsHideNoLiveOne(t *testing.T) {
	for _, suspects := range []int{0, 9, 10, 11, 25} {
		s := newHarness(t)
		plan := restoring(false)[0]
		s.makeActive()
		s.runSchedule(plan)
		s.now = begin.Add(5 * day)
		live := s.left(target, backup.Live, s.now.Add(-20*time.Hour))
		for i := range suspects {
			s.left(target, backup.Suspect, s.now.Add(-time.Duration(suspects-i)*30*time.Minute))
		}
		s.runSchedule(plan)
		if ids, e := s.alarms(); len(ids) != 0 {
			t.Errorf("behind %d suspect ones: a false alarm, %s", suspects, e.Data)
		}
		stands, _, err := s.engine.Health(t.Context(), plans.Active{Plans: []backup.Plan{plan}})
		if err != nil || stands[0].Point == nil || stands[0].Point.ID != live.ID || stands[0].Status == health.Unprotected {
			t.Errorf("behind %d suspect ones: %+v, %v", suspects, stands, err)
		}
		p, err := s.engine.PreviewRestore(t.Context(), order("restore-1"), []backup.Plan{plan})
		if err != nil || p.Point == nil || p.Point.ID != live.ID {
			t.Errorf("behind %d suspect ones a restore would bring back %+v, %v", suspects, p.Point, err)
		}
	}
}

// TestALedgerIsTheSameInAnyCase: it is restored under its own name, in any spelling by the request, the plan or both.
func TestALedgerIsTheSameInAnyCase(t *testing.T) {
	s, _, _ := restorable(t)
	for _, kind := range []string{"managedCCFs", "ledgers"} {
		id := strings.Replace(vault, "Microsoft.KeyVault/managedHSMs", "Microsoft.ConfidentialLedger/"+kind, 1)
		for _, spelled := range []string{id, strings.ToUpper(id), strings.ToLower(id)} {
			plans := restoring(false)
			plans[0].Targets, plans[0].Restore.Into = []string{id}, []string{strings.ToUpper(id)}
			q := order("restore-1")
			q.Target, q.Into = id, spelled
			p, err := s.engine.PreviewRestore(t.Context(), q, plans)
			if why := p.Refusal(); err != nil || why == nil || why.Code != "NoRecoveryPoint" { // all guards before that have passed
				t.Errorf("%s into %s: %+v, %v", id, spelled, why, err)
			}
			q.Target, q.Into = spelled, ""
			p, err = s.engine.PreviewRestore(t.Context(), q, plans)
			if why := p.Refusal(); err != nil || why == nil || why.Code != "NoRecoveryPoint" {
				t.Errorf("%s into itself: %+v, %v", spelled, why, err)
			}
			// A destination that no plan backs up has no spelling of a plan.
			other := strings.Replace(spelled, strings.Split(spelled, "/")[4], "other-group", 1)
			plans[0].Restore.Into = []string{other}
			q.Target, q.Into = id, other
			p, err = s.engine.PreviewRestore(t.Context(), q, plans)
			if why := p.Refusal(); err != nil || why == nil || why.Code != "NoRecoveryPoint" {
				t.Errorf("into %s: %+v, %v", other, why, err)
			}
		}
	}
}

// TestARestoreThatMayHaveBegunIsNotCanceled: from the sending of a request that may have begun something, with any answer, until
// its end. This holds also while the restore waits again behind a lost start.
func TestARestoreThatMayHaveBegunIsNotCanceled(t *testing.T) {
	uncanceled := func(s *harness, id string) {
		t.Helper()
		was := s.run(id).State
		now, err := s.engine.CancelRestore(t.Context(), id, "a person")
		if !errors.Is(err, engine.ErrNotWaiting) || now.State != was || s.run(id).State != was {
			t.Errorf("it was %s, and is %s: %v", was, s.run(id).State, err)
		}
	}
	for _, start := range []error{nil, fault(backup.Ambiguous, "ConnectionReset")} {
		s, service, _ := recreatable(t)
		service.starts = func(backup.Restore) (backup.Operation, error) { return backup.Operation{Token: "restore token"}, start }
		service.trace = func() (backup.Operation, error) { return backup.Operation{}, fault(backup.Retryable, "Unreachable") }
		run := s.restore(order("restore-1"), restoring(false))
		for len(service.started) == 0 && s.step() {
		}
		for range 5 {
			uncanceled(s, run.ID)
			s.step()
		}
	}
	s, service, _ := restorable(t)
	service.can = func(backup.Restore) error { return fault(backup.Retryable, "Updating") }
	run := s.restore(order("restore-1"), restoring(true))
	s.deliver()
	for _, row := range s.storage.catalog.Rows() {
		if row.Row == "run-"+run.ID[17:] { // like a run whose safety backup's start was lost, and could not take the lock again
			body := strings.Replace(string(row.Body), "{", `{"Lost":1,`, 1)
			if _, err := s.storage.catalog.Apply(t.Context(), backup.Write{Op: backup.Put, Key: row.Key, Body: []byte(body)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if now := s.run(run.ID); now.State != backup.Waiting || now.Lost != 1 {
		t.Fatalf("it is %s, with %d lost starts", now.State, now.Lost)
	}
	uncanceled(s, run.ID)
}

// TestCleanupSeesTheNewestOfTheLongestRun: a run waited, lost three starts, and took the longest time to back up and to verify.
// It is older than the runs that were made meanwhile, and its recovery point is newer.
func TestCleanupSeesTheNewestOfTheLongestRun(t *testing.T) {
	s := newHarness(t)
	longest := 6 * s.engine.Timings.Operation
	put := func(run, created, noted time.Time) backup.Point {
		t.Helper()
		p := s.left(target, backup.Live, run)
		p.Created, p.Expires = created, created.Add(time.Hour)
		s.put(p)
		body := fmt.Appendf(nil, `{"Point":%q,"Target":%q,"Created":%q}`, p.ID, target, noted.Format(time.RFC3339))
		key := backup.Key{Partition: "due", Row: p.Expires.Format("20060102T150405Z") + "-" + p.ID}
		if _, err := s.storage.catalog.Apply(t.Context(), backup.Write{Op: backup.Insert, Key: key, Body: body}); err != nil {
			t.Fatal(err)
		}
		return p
	}
	end := begin.Add(longest)
	long := put(begin.Add(time.Minute), end, end)
	short := put(end.Add(-2*time.Hour), end.Add(-time.Hour), end.Add(-time.Minute))
	s.now = end.Add(30 * time.Minute) // the time of the short one is over, but not yet the time of the long one
	if _, err := s.engine.Cleanup(t.Context()); err != nil {
		t.Fatal(err)
	}
	state := func(p backup.Point) backup.PointState {
		t.Helper()
		now, err := s.engine.RecoveryPoint(t.Context(), p.ID)
		if err != nil {
			t.Fatal(err)
		}
		return now.State
	}
	if state(long) != backup.Live || state(short) != backup.Expired {
		t.Errorf("the newest is %s, the one before it %s", state(long), state(short))
	}
}

// TestWhatIsNoIDIsNotAskedFor: no caller can make the catalog look for a row that cannot exist, or with an invalid key.
func TestWhatIsNoIDIsNotAskedFor(t *testing.T) {
	s := newHarness(t)
	batch, run := strings.Repeat("0", 32), "0123456789abcdef-0123456789-0123456789ab"
	odd := []string{"", "x", "..", "a/b", "a#b", "a?b", `a\b`, "a'b", "a\x00b", "\xff", strings.Repeat("0", 2000)}
	asks := map[string]struct {
		ask  func(id string) error
		good string
		bad  []string
	}{
		"a batch": {
			func(id string) error { _, _, err := s.engine.Batch(t.Context(), id); return err }, batch,
			[]string{batch[1:] + "\n"},
		},
	}
	// Each of these may be the ID of a request, and no table key holds it.
	for _, id := range append(odd[1:8:8], batch[1:], batch+"0", strings.Repeat("A", 32), strings.Repeat("g", 32), " "+batch[1:], run) {
		s.storage.partitions = nil
		if _, _, err := s.engine.Batch(t.Context(), id); !errors.Is(err, backup.ErrNotFound) || len(s.storage.partitions) != 1 ||
			!regexp.MustCompile(`^request-[0-9a-f]{32}$`).MatchString(s.storage.partitions[0]) {
			t.Errorf("a batch %q: %v from %q", id, err, s.storage.partitions)
		}
	}
	ofRun := []string{
		batch, run[1:], run + "0", strings.ToUpper(run), strings.Replace(run, "-", "_", 1), strings.Replace(run, "a", "g", 1), run + "-",
		run[:16] + "-01234567a9-0123456789ab", run[:17] + "0123456789-0123456789xb", " " + run[1:],
	}
	for name, ask := range map[string]func(id string) error{
		"a run":                func(id string) error { _, _, err := s.engine.Status(t.Context(), id); return err },
		"a recovery point":     func(id string) error { _, err := s.engine.RecoveryPoint(t.Context(), id); return err },
		"a point to accept":    func(id string) error { _, err := s.engine.Accept(t.Context(), id, "me", ""); return err },
		"a restore to cancel":  func(id string) error { _, err := s.engine.CancelRestore(t.Context(), id, "me"); return err },
		"a restore to confirm": func(id string) error { _, err := s.engine.ConfirmRestore(t.Context(), id); return err },
	} {
		c := asks[name]
		c.ask, c.good, c.bad = ask, run, ofRun
		asks[name] = c
	}
	for name, list := range map[string]func(after string) error{
		"runs": func(after string) error { _, _, err := s.engine.History(t.Context(), target, after, 1); return err },
		"points": func(after string) error {
			_, _, err := s.engine.RecoveryPoints(t.Context(), target, after, 1)
			return err
		},
	} {
		for _, id := range append(ofRun, run) { // the last one is of another target
			s.storage.calls = 0
			if err := list(id); !errors.Is(err, backup.ErrNotFound) || s.storage.calls != 0 {
				t.Errorf("the %s after %q: %v after %d calls", name, id, err, s.storage.calls)
			}
		}
		if err := list(""); err != nil {
			t.Errorf("the %s from the first one on: %v", name, err)
		}
	}
	for name, c := range asks {
		for _, id := range append(c.bad, odd...) {
			if name == "a batch" && request.IsID(id) {
				continue
			}
			s.storage.calls = 0
			if err := c.ask(id); !errors.Is(err, backup.ErrNotFound) || s.storage.calls != 0 {
				t.Errorf("%s %q: %v after %d calls", name, id, err, s.storage.calls)
			}
		}
		s.storage.calls = 0
		if err := c.ask(c.good); !errors.Is(err, backup.ErrNotFound) || s.storage.calls == 0 {
			t.Errorf("%s that could be: %v after %d calls", name, err, s.storage.calls)
		}
	}
}

// TestEachTargetsAlarmComesInTime: a timer run finds that a target is unprotected within ten minutes of that, for each of the
// plan's targets, and in any order in which they turn so.
func TestEachTargetsAlarmComesInTime(t *testing.T) {
	for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 2, 0}} {
		plan := many(3)
		s := rotten(t, plan)
		turns := map[string]time.Time{}
		for i, target := range plan.Targets {
			created := begin.Add(day + time.Duration(order[i])*time.Hour + 30*time.Minute)
			s.aged(target, created)
			turns[target] = created.Add(2 * day)
		}
		told := map[string]time.Time{}
		for s.now = begin.Add(3 * day); s.now.Before(begin.Add(3*day + 4*time.Hour)); s.now = s.now.Add(time.Minute) {
			for _, h := range s.runSchedule(plan).Unprotected {
				told[h.Target] = s.now
			}
		}
		for target, turned := range turns {
			if late := told[target].Sub(turned); told[target].IsZero() || late <= 0 || late > 11*time.Minute {
				t.Errorf("%v: %s turned unprotected at %s, and that was told at %s", order, target, turned, told[target])
			}
		}
	}
}

// TestAJitterOfMoreThanSevenDays: it spreads over seven, because no message of a queue can wait for longer.
func TestAJitterOfMoreThanSevenDays(t *testing.T) {
	plan := many(60)
	plan.Schedule.Day, plan.Jitter = 1<<15, 20*day // the 15th of each month
	s := newHarness(t)
	s.runSchedule(plan)
	s.now = time.Date(2026, 2, 15, 2, 30, 0, 0, time.UTC)
	most := time.Duration(0)
	for _, id := range s.runSchedule(plan).Created {
		run := s.run(id)
		most = max(most, run.Due.Sub(run.ScheduledTime))
	}
	if most > 7*day || most < 6*day {
		t.Errorf("the last one begins after %s", most)
	}
}

// TestAWindowEndsWithTheNextScheduledTime: a run has no end of its own if the next scheduled time's run takes its place before.
func TestAWindowEndsWithTheNextScheduledTime(t *testing.T) {
	for window, until := range map[time.Duration]time.Duration{0: 0, time.Hour: time.Hour, day - time.Second: day - time.Second, day: 0, 30 * time.Hour: 0} {
		plan := nightly()
		plan.Window = window
		s := newHarness(t)
		s.runSchedule(plan)
		s.now = begin.Add(day)
		run := s.run(s.runSchedule(plan).Created[0])
		if want := s.now.Add(until); until == 0 != run.Until.IsZero() || until > 0 && !run.Until.Equal(want) || !run.NextScheduledTime.Equal(begin.Add(2*day)) {
			t.Errorf("a window of %s: until %s, next scheduled time %s", window, run.Until, run.NextScheduledTime)
		}
	}
}

// TestAPlanOfARestoreIsTheSameInAnyCase: its hash depends on the destination, not on its spelling in the request.
func TestAPlanOfARestoreIsTheSameInAnyCase(t *testing.T) {
	s, _, _ := restorable(t)
	hashes := map[string]bool{}
	for _, into := range []string{standby, strings.ToUpper(standby), strings.ToLower(standby)} {
		q := order("restore-1")
		q.Into = into
		p, err := s.engine.PreviewRestore(t.Context(), q, restoring(false))
		if err != nil || p.Refusal() != nil {
			t.Errorf("into %s: %+v, %v", into, p.Refusal(), err)
		}
		hashes[p.Hash] = true
	}
	if len(hashes) != 1 {
		t.Errorf("%d plans of one restore", len(hashes))
	}
}

// TestWhatMayStillComeToBeIsNotForgotten: the entry by which cleanup finds a recovery point is written before the point. It stays
// while the run is under way, and goes once the run has ended without a recovery point.
func TestWhatMayStillComeToBeIsNotForgotten(t *testing.T) {
	s := newHarness(t)
	s.refuse()
	run := s.ask("request")
	body := fmt.Appendf(nil, `{"Point":%q,"Target":%q,"Created":%q}`, run.ID, target, begin.Format(time.RFC3339))
	key := backup.Key{Partition: "due", Row: begin.Format("20060102T150405Z") + "-" + run.ID}
	if _, err := s.storage.catalog.Apply(t.Context(), backup.Write{Op: backup.Insert, Key: key, Body: body}); err != nil {
		t.Fatal(err)
	}
	if s.cleanup(); s.rows("due") != 1 {
		t.Errorf("under way, it has %d entries", s.rows("due"))
	}
	s.finish()
	s.now = s.now.Add(s.engine.Timings.Recheck + time.Minute)
	if s.cleanup(); s.rows("due") != 0 {
		t.Errorf("after it failed, it has %d entries", s.rows("due"))
	}
}

// TestAnotherLetterIsAnotherService: ſ is an s only if letters are folded, and Azure does not fold them: no service has such a name,
// and a request for one is refused.
func TestAnotherLetterIsAnotherService(t *testing.T) {
	for _, letter := range []string{"ſ", "ß"} {
		into := strings.Replace(standby, "contoso", "conto"+letter+"o", 1)
		body := fmt.Appendf(nil, `{"id":"restore-1","target":%q,"into":%q,"recoveryPoint":"latest"}`, target, into)
		if _, err := restore.ParseRequest(body, ""); err == nil || !strings.Contains(err.Error(), "into") || !strings.Contains(err.Error(), fmt.Sprintf("U+%04X", []rune(letter)[0])) {
			t.Errorf("into %s: %v", into, err)
		}
	}
}

// TestAPlaceInTheWaitQueueIsWrittenBeforeItsRunSavesThat: a timer run in between leaves the place, as long as the run waits at
// all.
func TestAPlaceInTheWaitQueueIsWrittenBeforeItsRunSavesThat(t *testing.T) {
	for _, state := range []backup.State{backup.Queued, backup.Waiting, backup.Running, backup.Failed} {
		s := newHarness(t)
		s.engine.Concurrency = 1
		run := s.ask("request")
		switch state {
		case backup.Waiting:
			s.provider.ready = func(backup.Attempt) error { return fault(backup.Retryable, "Updating") }
			s.deliver()
		case backup.Running:
			s.deliver()
		case backup.Failed:
			s.refuse()
			s.finish()
		}
		if now := s.run(run.ID); now.State != state {
			t.Fatalf("it is %s, want %s", now.State, state)
		}
		key := backup.Key{Partition: "schedule", Row: "enqueued-20260115T023000Z-" + run.ID}
		w := backup.Write{Op: backup.Put, Key: key, Body: fmt.Appendf(nil, `{"Run":%q,"Plan":"nightly"}`, run.ID)}
		if _, err := s.storage.catalog.Apply(t.Context(), w); err != nil {
			t.Fatal(err)
		}
		for _, row := range s.storage.catalog.Rows() { // there is room
			if strings.HasPrefix(row.Row, "permit-") {
				d := backup.Write{Op: backup.Delete, Key: row.Key, ETag: "*"}
				if _, err := s.storage.catalog.Apply(t.Context(), d); err != nil {
					t.Fatal(err)
				}
			}
		}
		s.runSchedule()
		if stays := state == backup.Queued || state == backup.Waiting; (s.rows("enqueued-") == 1) != stays {
			t.Errorf("of a run that is %s there are %d places in the wait queue", state, s.rows("enqueued-"))
		}
	}
}
