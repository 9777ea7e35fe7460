package handler

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/health"
)

// TestACopyIsCalledOneEverywhere checks that a copy is called one in health, without an alarm; in metrics; and in the list of
// recovery points.
func TestACopyIsCalledOneEverywhere(t *testing.T) {
	const account = "/subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/backups"
	const ledger = "/subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/g/providers/Microsoft.ConfidentialLedger/ledgers/contoso"
	d := healthHandler(t)
	plans, err := d.plans()
	if err != nil {
		t.Fatal(err)
	}
	plans[0].Targets = []string{ledger}
	var run struct{ ID string }
	if err := json.Unmarshal(d.call("POST", "/api/backups", `{"target":"`+ledger+`"}`).Body.Bytes(), &run); err != nil {
		t.Fatal(err)
	}
	partition, row, _ := strings.Cut(run.ID, "-")
	body, err := json.Marshal(backup.Point{
		ID: run.ID, State: backup.Live, Target: ledger, Plan: "nightly", Created: time.Now(), CopyOnly: true,
		Storage: backup.Storage{Account: account, Zone: "z12"}, Artifact: "contoso-1",
	})
	if err != nil {
		t.Fatal(err)
	}
	key := backup.Key{Partition: partition, Row: "point-" + row}
	if _, err := d.catalog.Apply(t.Context(), backup.Write{Op: backup.Insert, Key: key, Body: body}); err != nil {
		t.Fatal(err)
	}
	v := d.health(t, 200)
	if v.OverallStatus != health.Copied || v.Targets[0].Status != health.Copied || v.Targets[0].Reason == nil || v.Targets[0].Reason.Code != "CopyOnly" ||
		v.Targets[0].Verified == nil || !v.Targets[0].Verified.CopyOnly {
		t.Errorf("health: %+v", v)
	}
	for _, path := range []string{"/api/recovery-points?target=" + ledger, "/api/recovery-points/" + run.ID} {
		if w := d.call("GET", path, ""); w.Code != 200 || !strings.Contains(w.Body.String(),
			`"state":"copyOnly","copyOnly":true,"storageAccount":"backups","blob":"/contoso-1","fileShare":{"storageAccountId":"`+account+`","zone":"z12","name":"contoso-1"}`) {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	m := map[string]float64{}
	for name, value := range d.scrape(t) {
		for _, want := range []string{"status=\"copyOnly\"", "status=\"protected\"", "lifeboat_copy_timestamp", "lifeboat_recovery_point_timestamp"} {
			if strings.Contains(name, want) {
				m[want] = value
			}
		}
	}
	_, counted := m["lifeboat_recovery_point_timestamp"]
	if m[`status="copyOnly"`] != 1 || m[`status="protected"`] != 0 || m["lifeboat_copy_timestamp"] == 0 || counted {
		t.Errorf("metrics: %v", m)
	}
}
