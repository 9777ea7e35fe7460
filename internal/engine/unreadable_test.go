package engine_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/health"
	"lifeboat/internal/plans"
	"lifeboat/internal/restore"
)

// rowOf returns the one row whose partition and key begin with the texts.
func (s *harness) rowOf(partition, row string) backup.Row {
	s.t.Helper()
	var found []backup.Row
	for _, r := range s.storage.catalog.Rows() {
		if strings.HasPrefix(r.Partition, partition) && strings.HasPrefix(r.Row, row) {
			found = append(found, r)
		}
	}
	if len(found) != 1 {
		s.t.Fatalf("%d rows %s/%s, want one", len(found), partition, row)
	}
	return found[0]
}

// newer has a newer Lifeboat write the row.
func (s *harness) newer(key backup.Key) {
	s.t.Helper()
	s.putEntity(fmt.Sprintf(`{"PartitionKey":%q,"RowKey":%q,"Schema":2,"Writer":"newer","Shape":"another"}`, key.Partition, key.Row))
}

func (s *harness) putEntity(text string) {
	s.t.Helper()
	if err := s.storage.catalog.PutEntity([]byte(text)); err != nil {
		s.t.Fatal(err)
	}
}

// stays checks that the row is still as the newer Lifeboat wrote it.
func (s *harness) stays(key backup.Key) {
	s.t.Helper()
	for _, r := range s.storage.catalog.Rows() {
		if r.Key == key {
			if r.Err == nil {
				s.t.Errorf("row %s/%s was overwritten: %s", key.Partition, key.Row, r.Body)
			}
			return
		}
	}
	s.t.Errorf("row %s/%s is gone", key.Partition, key.Row)
}

// TestStepsKeepWhatANewerVersionAdded: a run, its recovery point, and the checkpoint of its plan, from the scheduled time to
// the expiry.
func TestStepsKeepWhatANewerVersionAdded(t *testing.T) {
	s := newHarness(t)
	plan := nightly()
	kept := func(partition, row, when string) {
		t.Helper()
		for _, r := range s.storage.catalog.Rows() {
			if strings.HasPrefix(r.Partition, partition) && strings.HasPrefix(r.Row, row) && !strings.Contains(string(r.Body), `"OfANewerVersion":"kept?"`) {
				t.Errorf("%s the row %s/%s has lost what a newer version added: %s", when, r.Partition, r.Row, r.Body)
			}
		}
	}
	add := func(partition, row string) {
		t.Helper()
		r := s.rowOf(partition, row)
		var body map[string]any
		if err := json.Unmarshal(r.Body, &body); err != nil {
			t.Fatal(err)
		}
		body["OfANewerVersion"] = "kept?"
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.storage.catalog.Apply(t.Context(), backup.Write{Op: backup.Replace, Key: r.Key, ETag: r.ETag, Body: text}); err != nil {
			t.Fatal(err)
		}
	}
	s.runSchedule(plan)
	add("schedule", "plan-nightly")
	s.now = begin.Add(day)
	s.runSchedule(plan)
	kept("schedule", "plan-", "after its first scheduled time")
	add("", "run-")
	add("schedule", "evaluated-")
	for s.step() {
		kept("", "run-", "after a step")
	}
	add("", "point-")
	s.now = begin.Add(2 * day)
	s.runSchedule(plan)
	s.finish()
	kept("schedule", "evaluated-", "after the next scheduled time")
	s.now = begin.Add(40 * day)
	s.cleanup()
	first := s.storage.catalog.Rows()
	i := slices.IndexFunc(first, func(r backup.Row) bool { return strings.Contains(string(r.Body), `"State":"expired"`) })
	if i < 0 || !strings.Contains(string(first[i].Body), `"OfANewerVersion":"kept?"`) {
		t.Errorf("the recovery point that expired has lost what a newer version added: %d", i)
	}
}

// TestANewerRowStopsItsTargetAlone: nothing of the target is deleted or restored, and it says so; it is backed up as before, and
// everything goes on for the others.
func TestANewerRowStopsItsTargetAlone(t *testing.T) {
	for _, which := range []string{"the oldest recovery point", "the newest recovery point", "the newest run"} {
		t.Run(which, func(t *testing.T) {
			s, service, _ := restorable(t)
			plan := restoring(false)[0]
			other := target + "-two"
			plan.Targets, plan.Restore.Into = []string{target, other}, []string{backup.Itself, standby, target}
			ids := map[string][]string{}
			for i := range 3 {
				for _, to := range plan.Targets {
					run, err := s.backup(fmt.Sprint(to, i), plan, to)
					if err != nil {
						t.Fatal(err)
					}
					s.finish()
					ids[to] = append(ids[to], run.ID)
				}
				s.now = s.now.Add(day)
			}
			of, kind := ids[target][0], "point-"
			switch which {
			case "the newest recovery point":
				of = ids[target][2]
			case "the newest run":
				of, kind = ids[target][2], "run-"
			}
			key := backup.Key{Partition: of[:16], Row: kind + of[17:]}
			s.newer(key)
			s.stays(key)

			// Nothing of it is restored: not the newest, not by its ID, not into it.
			for i, q := range []restore.Request{
				{Target: target},
				{Target: target, Point: ids[target][1]},
				{Target: target, Point: of},
				{Target: other, Into: target},
				{Target: target, Into: standby},
			} {
				q.ID, q.Kind = fmt.Sprint("restore ", i), backup.RestoreFull
				run := s.restore(q, []backup.Plan{plan})
				if run.State != backup.StateRefused || run.Reason.Code != "RowUnreadable" || !strings.Contains(run.Reason.Message, key.Row) ||
					!strings.Contains(run.Reason.Message, "schema version 2") {
					t.Errorf("restore %+v: %s %+v", q, run.State, run.Reason)
				}
			}
			// Health names it, and goes on for the other.
			health, _, err := s.engine.Health(t.Context(), plans.Active{Plans: []backup.Plan{plan}})
			if err != nil || health[0].Reason.Code != "RowUnreadable" || health[1].Reason.Code == "RowUnreadable" || health[1].Point == nil {
				t.Errorf("%+v, %v", health, err)
			}
			// It is backed up as before.
			run, err := s.backup("again", plan, target)
			if err != nil {
				t.Fatal(err)
			}
			s.finish()
			s.ended(run.ID, backup.Succeeded, "")
			s.stays(key)
			if q := (restore.Request{ID: "of the other", Target: other, Kind: backup.RestoreFull}); s.restore(q, []backup.Plan{plan}).State != backup.Queued {
				t.Error("the other target is not restored")
			}
			s.finish()
			if len(service.started) != 1 {
				t.Errorf("%d restores were begun, want that of the other", len(service.started))
			}
			if kind == "run-" {
				return // cleanup reads no runs
			}
			// Nothing of it is deleted.
			s.now = s.now.Add(40 * day)
			s.provider.deleted = nil
			report := s.cleanup()
			if fmt.Sprint(s.provider.deleted) != fmt.Sprintf("[%s.1 %s.1]", ids[other][1], ids[other][0]) {
				t.Errorf("deleted %q", s.provider.deleted)
			}
			if len(report.Failed) != 1 || !strings.Contains(report.Failed[0].Error(), key.Row) || !strings.Contains(report.Failed[0].Error(), "nothing of "+target+" is deleted") {
				t.Errorf("failed: %v", report.Failed)
			}
			s.stays(key)
			points, _, err := s.engine.RecoveryPoints(t.Context(), target, "", 100)
			i := slices.IndexFunc(points, func(p backup.Point) bool { return p.ID == of })
			if err != nil || len(points) != 5 || points[i].State != backup.Unreadable || points[i].Reason.Code != "RowUnreadable" {
				t.Errorf("%+v, %v", points, err)
			}
		})
	}
}

// TestARestoreThatHasNotBegunMeetsANewerRow: it is refused before anything is overwritten.
func TestARestoreThatHasNotBegunMeetsANewerRow(t *testing.T) {
	for _, row := range []string{"point-", "run-"} {
		s, service, point := restorable(t)
		run := s.restore(order("incident"), restoring(false))
		s.newer(backup.Key{Partition: point[:16], Row: row + point[17:]})
		s.finish()
		if run = s.run(run.ID); run.State != backup.StateRefused || run.Reason.Code != "RowUnreadable" || len(service.started) > 0 {
			t.Errorf("%s: %s %+v, %d begun", row, run.State, run.Reason, len(service.started))
		}
	}
}

// TestARowOfThePlansThatCannotBeReadStopsItsPlanAlone: the timer run names it, and goes on with the others.
func TestARowOfThePlansThatCannotBeReadStopsItsPlanAlone(t *testing.T) {
	one, two := nightly(), nightly()
	one.Name, two.Name, two.Targets = "one", "two", []string{target + "-two"}
	both := []backup.Plan{one, two}
	for row, made := range map[string]int{"plan-one": 1, "evaluated-one": 2, "last-run-schedule": 2, "plan-note": 2, "enqueued-note": 2, "permit-all.0000": 2, "active-plan": 2} {
		t.Run(row, func(t *testing.T) {
			s := newHarness(t)
			s.engine.Concurrency = 4
			s.runSchedule(both...)
			key := backup.Key{Partition: "schedule", Row: row}
			if row == "plan-note" { // a person's remark
				s.putEntity(`{"PartitionKey":"schedule","RowKey":"plan-note","Text":"somebody's remark","Rating":4.5}`)
			} else {
				s.newer(key)
			}
			s.now = begin.Add(day)
			report, err := s.engine.Schedule(t.Context(), both)
			quiet := strings.HasPrefix(row, "enqueued-") || strings.HasPrefix(row, "permit-")
			if len(report.Created) != made || (err == nil) != quiet && row != "enqueued-note" || err != nil && !strings.Contains(err.Error(), row) {
				t.Errorf("made %q, %v", report.Created, err)
			}
			s.finish()
			if s.rows("point-") != made {
				t.Errorf("%d recovery points, want %d", s.rows("point-"), made)
			}
			stands, _, err := s.engine.Health(t.Context(), plans.Active{Plans: both})
			if err != nil || len(stands) != 2 || (stands[0].Reason.Code == "RowUnreadable") != (row == "plan-one") || stands[1].Status != health.Protected {
				t.Errorf("%+v, %v", stands, err)
			}
			// A fortnight later the other is still evaluated, and the row is untouched.
			s.refuse()
			for range 14 {
				s.now = s.now.Add(day)
				_, _ = s.engine.Schedule(t.Context(), both)
				s.finish()
			}
			if alarms, _ := s.alarms(); len(alarms) < 1 {
				t.Errorf("alarms %v", alarms)
			}
			s.stays(key)
		})
	}
}

// TestAnIndexEntryThatCannotBeReadHidesNoOther: neither from the rescuer nor from cleanup. Both name it.
func TestAnIndexEntryThatCannotBeReadHidesNoOther(t *testing.T) {
	s := newHarness(t)
	ids := s.points(3)
	s.newer(backup.Key{Partition: "due", Row: "20260101T000000Z-somebody"})
	report := s.cleanup()
	if s.state(ids[0]) != backup.Expired || len(report.Failed) != 1 || !strings.Contains(report.Failed[0].Error(), "20260101T000000Z-somebody") {
		t.Errorf("%s, failed: %v", s.state(ids[0]), report.Failed)
	}
	run := s.ask("lost")
	for _, m := range s.storage.queue.Receive("execute", 32, time.Second) { // its first step message is lost
		if err := s.storage.queue.Delete("execute", m.ID, m.Receipt); err != nil {
			t.Fatal(err)
		}
	}
	s.newer(backup.Key{Partition: "inflight", Row: "20260101T000000Z-somebody"})
	s.now = s.now.Add(time.Hour)
	rescued, err := s.engine.Schedule(t.Context(), nil)
	if rescued.Requeued != 1 || err == nil || !strings.Contains(err.Error(), "20260101T000000Z-somebody") {
		t.Errorf("%+v, %v", rescued, err)
	}
	s.finish()
	s.ended(run.ID, backup.Succeeded, "")
}
