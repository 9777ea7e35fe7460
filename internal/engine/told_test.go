package engine_test

import (
	"fmt"
	"strings"
	"testing"

	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
	"lifeboat/internal/request"
	"lifeboat/internal/restore"
)

// loud returns the resource ID as some of Azure's events spell it.
func loud(id string) string {
	return strings.Replace(strings.ToUpper(id), "/PROVIDERS/MICROSOFT.APIMANAGEMENT/SERVICE/", "/providers/microsoft.apimanagement/SERVICE/", 1)
}

// TestIDsAreStoredInThePlansSpelling: of a restore, its preview and its events, of a backup, and of a change.
func TestIDsAreStoredInThePlansSpelling(t *testing.T) {
	s, _, _ := restorable(t)
	q := order("incident")
	q.Target, q.Into = loud(target), loud(standby)
	p, err := s.engine.PreviewRestore(t.Context(), q, restoring(false))
	if err != nil || p.Target != target || p.Destination != standby {
		t.Errorf("the preview has %s and %s, %v", p.Target, p.Destination, err)
	}
	run := s.run(s.restore(q, restoring(false)).ID)
	if run.Target != standby || run.Restore.Source != target {
		t.Errorf("the restore has %s and %s", run.Restore.Source, run.Target)
	}
	s.finish()
	plan := nightly()
	plan.Quiet = 1
	made, err := s.backup("by hand", plan, loud(target))
	if err != nil || made.Target != target {
		t.Errorf("the backup has %s, %v", made.Target, err)
	}
	if _, err := s.engine.Changed(t.Context(), request.Change{Target: loud(target), Time: s.now}, []backup.Plan{plan}); err != nil {
		t.Fatal(err)
	}
	for _, row := range s.storage.catalog.Rows() {
		if strings.Contains(string(row.Body), "/SUBSCRIPTIONS/") {
			t.Errorf("%s/%s has another spelling: %s", row.Partition, row.Row, row.Body)
		}
	}
	for _, e := range s.storage.queue.Events() {
		if strings.Contains(string(e.Data)+e.Subject, "/SUBSCRIPTIONS/") {
			t.Errorf("the event %s has another spelling: %s %s", e.ID, e.Subject, e.Data)
		}
	}
}

// TestThePreviewOfACopyListsNoCall: no call restores it.
func TestThePreviewOfACopyListsNoCall(t *testing.T) {
	s, _, point := restorable(t)
	p, err := s.engine.RecoveryPoint(t.Context(), point)
	if err != nil {
		t.Fatal(err)
	}
	p.CopyOnly = true
	s.put(p)
	q := order("dry")
	q.Point = point
	preview, err := s.engine.PreviewRestore(t.Context(), q, restoring(true))
	if why := preview.Refusal(); err != nil || why == nil || why.Code != "OneWay" || len(preview.Calls) > 0 || preview.Safety {
		t.Errorf("%+v, %v", preview, err)
	}
}

// TestThePreviewSaysThatItCannotKnowTheKeys: no call shows the keys of a backup.
func TestThePreviewSaysThatItCannotKnowTheKeys(t *testing.T) {
	for kind, want := range map[backup.RestoreKind]bool{backup.RestoreKey: true, backup.RestoreFull: false} {
		p := restore.Preview{Kind: kind, Key: "rsa1"}
		p.NotAsked(backup.Service{})
		told := false
		for _, g := range p.Guards {
			told = told || g.Outcome == restore.Later && strings.Contains(g.Reason.Message, "rsa1")
		}
		if told != want {
			t.Errorf("%s: %+v", kind, p.Guards)
		}
	}
}

// TestEventsHaveThePlansSpelling: the answer to a request for a backup that comes by a message, and the event about a forgotten target.
func TestEventsHaveThePlansSpelling(t *testing.T) {
	s, _, _ := restorable(t)
	q := request.Backup{ID: "by message", Target: loud(target)}
	if b, err := s.engine.AnswerBackup(t.Context(), q, []backup.Plan{nightly()}, nil); err != nil || len(b.Runs) != 1 {
		t.Fatalf("%+v, %v", b, err)
	}
	s.finish()
	f := engine.Forgetting{Target: loud(target), Deletion: backup.SoftDeletion{ID: "request-2", By: "a person", Reason: "gone"}}
	if _, err := s.engine.Forget(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	for _, e := range s.storage.queue.Events() {
		if strings.Contains(string(e.Data)+e.Subject, "/SUBSCRIPTIONS/") {
			t.Errorf("%s has another spelling than the plan: %s %s", e.Type, e.Subject, e.Data)
		}
	}
}

// TestARestoreIsStoredInItsOwnPlansSpelling: two plans spell the target in two ways. One allows the restore, and the caller has its spelling;
// so has the run, in whichever order they stand.
func TestARestoreIsStoredInItsOwnPlansSpelling(t *testing.T) {
	s, _, _ := restorable(t)
	other := nightly()
	other.Name, other.Targets = "other", []string{loud(target)}
	for id, plans := range [][]backup.Plan{append(restoring(false), other), append([]backup.Plan{other}, restoring(false)...)} {
		run := s.run(s.restore(order(fmt.Sprint("incident-", id)), plans).ID)
		if run.Plan != "nightly" || run.Target != target || run.Restore.Source != target {
			t.Errorf("the restore of the plan %s has %s and %s", run.Plan, run.Restore.Source, run.Target)
		}
		s.finish()
	}
}
