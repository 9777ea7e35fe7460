package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
	"lifeboat/internal/request"
)

// fleet returns the plan with n targets.
func fleet(n int) backup.Plan {
	p := nightly()
	p.Targets = nil
	for i := range n {
		p.Targets = append(p.Targets, fmt.Sprintf("%s-%d", target, i))
	}
	return p
}

// askAll asks for a backup of every target of the plan.
func (s *harness) askAll(id string, plan backup.Plan) engine.Batch {
	s.t.Helper()
	b, _, err := s.engine.Backup(s.t.Context(), request.Backup{ID: id, Plan: plan.Name}, []backup.Plan{plan})
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

// wantBatch checks that the batch has a run for each target of the plan, in its order, all in the state, and that the
// catalog has no other runs.
func (s *harness) wantBatch(b engine.Batch, plan backup.Plan, state backup.State) {
	s.t.Helper()
	if len(b.Runs) != len(plan.Targets) || s.rows("run-") != len(plan.Targets) {
		s.t.Fatalf("%d runs in the batch, %d in the catalog, of %d targets", len(b.Runs), s.rows("run-"), len(plan.Targets))
	}
	for i, r := range b.Runs {
		if r.Target != plan.Targets[i] || r.State != state || r.Plan != plan.Name || r.Request != b.Request ||
			r.Settings != plan.Settings {
			s.t.Errorf("run %d is %+v", i, r)
		}
	}
}

// read returns the batch as it is.
func (s *harness) read(id string) engine.Batch {
	s.t.Helper()
	b, _, err := s.engine.Batch(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

func TestBatch(t *testing.T) {
	t.Run("a run for every target, and they succeed", func(t *testing.T) {
		s, plan := newHarness(t), fleet(40)
		b := s.askAll("request-1", plan)
		s.wantBatch(b, plan, backup.Queued)
		s.finish()
		s.wantBatch(s.read(b.ID), plan, backup.Succeeded)
		if len(s.provider.begun) != 40 {
			t.Errorf("%d backups were started", len(s.provider.begun))
		}
	})
	t.Run("a repeat is the same batch, whatever became of the plan", func(t *testing.T) {
		s, plan := newHarness(t), fleet(3)
		b := s.askAll("request-1", plan)
		s.now = s.now.Add(time.Hour)
		edited := fleet(5)
		edited.Settings.KeepWithin = time.Hour
		for _, now := range []backup.Plan{plan, edited, {Name: plan.Name}} {
			again := s.askAll("request-1", now)
			s.wantBatch(again, plan, backup.Queued)
			if again.ID != b.ID || again.Runs[1].ID != b.Runs[1].ID {
				t.Errorf("batch %s, and then %s", b.ID, again.ID)
			}
		}
		if other := s.askAll("request-2", plan); other.ID == b.ID || other.Runs[0].ID == b.Runs[0].ID {
			t.Error("one batch for two requests")
		}
	})
	t.Run("an ID used before", func(t *testing.T) {
		s, plan := newHarness(t), fleet(2)
		other := fleet(2)
		other.Name = "other"
		s.askAll("all", plan)
		s.ask("one")
		runs := s.rows("run-")
		for name, q := range map[string]request.Backup{
			"another plan": {ID: "all", Plan: other.Name}, "for one target": {ID: "one", Plan: "nightly"},
		} {
			if _, _, err := s.engine.Backup(t.Context(), q, []backup.Plan{other, nightly()}); !errors.Is(err, engine.ErrRequestReused) {
				t.Errorf("%s: %v", name, err)
			}
		}
		_, err := s.backup("all", plan, plan.Targets[0])
		if !errors.Is(err, engine.ErrRequestReused) || s.rows("run-") != runs {
			t.Errorf("for all targets: %v, %d runs more", err, s.rows("run-")-runs)
		}
	})
	t.Run("what is not there", func(t *testing.T) {
		s := newHarness(t)
		for _, id := range []string{"", "x", "0123456789abcdef0123456789abcdef", "0123456789abcdef0123456789ABCDEF"} {
			if _, _, err := s.engine.Batch(t.Context(), id); !errors.Is(err, backup.ErrNotFound) {
				t.Errorf("%q: %v", id, err)
			}
		}
		gone, _, err := s.engine.Backup(t.Context(), request.Backup{ID: "request-1", Plan: "gone"}, []backup.Plan{nightly()})
		if err != nil || gone.Refused == nil || gone.Refused.Code != "UnknownPlan" {
			t.Errorf("a plan that is gone: %+v, %v", gone, err)
		}
		if n := len(s.storage.catalog.Rows()); n != 0 {
			t.Errorf("%d rows are left of nothing", n)
		}
	})
	t.Run("as many targets as a plan may have, with long names", func(t *testing.T) {
		s, plan := newHarness(t), fleet(backup.MostTargets)
		for i := range plan.Targets {
			plan.Targets[i] += strings.Repeat("é", 900)
		}
		b := s.askAll("request-1", plan)
		if s.rows("targets-") < 2 {
			t.Error("the targets should need more than one row")
		}
		s.wantBatch(s.askAll("request-1", plan), plan, backup.Queued)
		s.wantBatch(s.read(b.ID), plan, backup.Queued)
	})
}

// TestBatchSurvivesDeathAnywhere: the process dies before each of its calls, and a repeat, after the plan was edited, completes
// the batch: one run for every target that the plan had, and all succeed.
func TestBatchSurvivesDeathAnywhere(t *testing.T) {
	plan := fleet(3)
	for k := 1; ; k++ {
		s := newHarness(t)
		ctx, die := context.WithCancel(t.Context())
		s.storage.before = func(call int) {
			if call >= k {
				die()
			}
		}
		_, _, err := s.engine.Backup(ctx, request.Backup{ID: "request-1", Plan: plan.Name}, []backup.Plan{plan})
		died := ctx.Err() != nil
		die()
		s.storage.before = nil
		if died && err == nil && s.rows("run-") < 3 {
			t.Errorf("died before call %d: no error", k)
		}
		s.now = s.now.Add(7 * time.Minute)
		after := plan
		if s.rows("request-") > 0 {
			after = fleet(1)
		}
		b := s.askAll("request-1", after)
		s.runSchedule() // sends the step messages that were not sent
		s.finish()
		s.wantBatch(s.read(b.ID), plan, backup.Succeeded)
		if len(s.provider.begun) != 3 {
			t.Errorf("died before call %d: begun %q", k, s.provider.begun)
		}
		s.now = s.now.Add(time.Hour)
		s.runSchedule()
		if s.rows("inflight") != 0 {
			t.Errorf("died before call %d: %d entries are left", k, s.rows("inflight"))
		}
		if !died {
			if k < 10 {
				t.Errorf("only %d calls", k-1)
			}
			break
		}
	}
}

// TestHalfDoneBatches lets each call fail in turn, made or not, while the others go well: the repeat completes it.
func TestHalfDoneBatches(t *testing.T) {
	plan := fleet(3)
	for _, made := range []bool{false, true} {
		for k := 1; ; k++ {
			s := newHarness(t)
			s.storage.failAt, s.storage.made = k, made
			_, _, err := s.engine.Backup(t.Context(), request.Backup{ID: "request-1", Plan: plan.Name}, []backup.Plan{plan})
			if s.storage.calls < k {
				break
			}
			if err != nil && !errors.Is(err, errBroken) {
				t.Errorf("call %d: %v", k, err)
			}
			s.storage.failAt = 0
			s.now = s.now.Add(7 * time.Minute)
			b := s.askAll("request-1", plan)
			s.runSchedule()
			s.finish()
			s.wantBatch(s.read(b.ID), plan, backup.Succeeded)
			if len(s.provider.begun) != 3 {
				t.Errorf("call %d fails (made: %t): begun %q", k, made, s.provider.begun)
			}
		}
	}
}

// TestTwoProcessesMakeOneBatch: the same request comes to another process between any two calls of the first.
func TestTwoProcessesMakeOneBatch(t *testing.T) {
	plan := fleet(3)
	for k := 1; ; k++ {
		s := newHarness(t)
		var other engine.Batch
		s.storage.before = func(call int) {
			if call == k {
				other = s.askAll("request-1", plan)
			}
		}
		b := s.askAll("request-1", plan)
		if other.ID == "" {
			break
		}
		if other.ID != b.ID {
			t.Errorf("between calls %d and %d: batches %s and %s", k-1, k, b.ID, other.ID)
		}
		s.finish()
		s.wantBatch(s.read(b.ID), plan, backup.Succeeded)
		if len(s.provider.begun) != 3 {
			t.Errorf("between calls %d and %d: begun %q", k-1, k, s.provider.begun)
		}
	}
}
