package engine_test

import (
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/health"
	"lifeboat/internal/plans"
	"lifeboat/internal/restore"
)

const ledgerTarget = "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/rg/providers/" +
	"Microsoft.ConfidentialLedger/ledgers/contoso-ledger"

// aLedger makes a stage with a plan of a Confidential Ledger that is called with the api-version.
func aLedger(t *testing.T, version string) (*harness, backup.Plan) {
	t.Helper()
	s := newHarness(t)
	s.engine.Providers["microsoft.confidentialledger/ledgers"] = s.provider
	plan := nightly()
	plan.Targets = []string{ledgerTarget}
	plan.Settings.Blocks = backup.NewBlocks(map[string]any{"ccf": map[string]string{"apiVersion": version, "restoreRegion": "westeurope"}})
	plan.Restore.Into = []string{backup.Itself}
	return s, plan
}

// TestWhatIsExportedOfALedgerIsACopy: Azure restores nothing from an export of a ledger, so Lifeboat never calls it a backup.
// While Azure had a restore of a ledger, the artifact was a backup.
func TestWhatIsExportedOfALedgerIsACopy(t *testing.T) {
	for _, c := range []struct {
		version string
		copies  bool
	}{{"", true}, {"2026-05-22-preview", true}, {"2026-02-23", true}, {"2025-06-10-preview", false}, {"2023-06-28-preview", false}} {
		t.Run("api-version "+c.version, func(t *testing.T) {
			s, plan := aLedger(t, c.version)
			s.runSchedule(plan)
			s.now = begin.Add(day)
			s.runSchedule(plan)
			s.finish()
			called, status, event := backup.Live, health.Protected, `"recoveryPointState":"live"`
			if c.copies {
				called, status, event = backup.CopyOnly, health.Copied, `"recoveryPointState":"copyOnly","copyOnly":true`
			}
			points, _, err := s.engine.RecoveryPoints(t.Context(), ledgerTarget, "", 10)
			if err != nil || len(points) != 1 || points[0].Called() != called || points[0].CopyOnly != c.copies || points[0].State != backup.Live {
				t.Fatalf("%+v, %v", points, err)
			}
			events := s.storage.queue.Events()
			if last := string(events[len(events)-1].Data); !strings.Contains(last, event) {
				t.Errorf("told %s, want %s", last, event)
			}
			for _, now := range []struct {
				after time.Duration
				want  health.Protection
			}{{time.Hour, status}, {day + 30*time.Minute, health.Late}, {3 * day, health.Unprotected}} {
				s.now = points[0].Created.Add(now.after)
				stands, _, err := s.engine.Health(t.Context(), plans.Active{Plans: []backup.Plan{plan}})
				if err != nil || stands[0].Status != now.want || (stands[0].Reason.Code == "CopyOnly") != (now.want == health.Copied) {
					t.Errorf("after %s: %+v, %v; want %s", now.after, stands, err, now.want)
				}
			}
			s.runSchedule(plan)
			if alarms, last := s.alarms(); len(alarms) != 1 || strings.Contains(string(last.Data), `"copyOnly":true`) != c.copies {
				t.Errorf("alarms %v, the last %s", alarms, last.Data)
			}
		})
	}
}

// TestACopyIsNeverRestored: neither as the latest nor by its ID, even if the plan has changed.
func TestACopyIsNeverRestored(t *testing.T) {
	s, plan := aLedger(t, "")
	run, err := s.backup("r", plan, ledgerTarget)
	if err != nil {
		t.Fatal(err)
	}
	s.finish()
	edited := plan
	edited.Settings.Blocks = `{"ccf":{"apiVersion":"2025-06-10-preview"}}`
	for id, by := range map[string]backup.Plan{"latest": plan, run.ID: plan, "latest, edited": edited, run.ID + ", edited": edited} {
		q := restore.Request{ID: "restore of " + id, Target: ledgerTarget, Kind: backup.RestoreFull}
		q.Point, _, _ = strings.Cut(id, ",")
		if q.Point == "latest" {
			q.Point = ""
		}
		restore, err := s.engine.Restore(t.Context(), q, []backup.Plan{by})
		if err != nil || restore.State != backup.StateRefused || restore.Reason.Code != "OneWay" {
			t.Errorf("%s: %s %+v, %v", id, restore.State, restore.Reason, err)
		}
	}
}

// TestTheNewestCopyStays: as the newest recovery point does, because it is the only copy of the ledger.
func TestTheNewestCopyStays(t *testing.T) {
	s, plan := aLedger(t, "")
	for _, id := range []string{"one", "two"} {
		if _, err := s.backup(id, plan, ledgerTarget); err != nil {
			t.Fatal(err)
		}
		s.finish()
		s.now = s.now.Add(day)
	}
	s.now = s.now.Add(400 * day)
	s.cleanup()
	points, _, err := s.engine.RecoveryPoints(t.Context(), ledgerTarget, "", 10)
	if err != nil || len(points) != 2 || points[0].State != backup.Live || points[1].State != backup.Expired {
		t.Errorf("%+v, %v", points, err)
	}
}
