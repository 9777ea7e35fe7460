package queue_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/config"
	"lifeboat/internal/storage/queue"
	"lifeboat/internal/testing/azurite/azuritetest"
)

// TestTwoAppsOfOneName: two apps of one name on two storage accounts send 500 events each, under the same IDs. A reader of both tells
// all 1,000 apart, since CloudEvents takes source and ID together for the identity of an event.
func TestTwoAppsOfOneName(t *testing.T) {
	settings, err := config.FromEnvironment(func(k string) string {
		return map[string]string{"LIFEBOAT_PLAN": "plan.yaml", "WEBSITE_SITE_NAME": "contoso"}[k]
	})
	if err != nil {
		t.Fatal(err)
	}
	sources, ids, identities := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for range 2 {
		account := azuritetest.NewAccount(t)
		client := service(t, account, account.Options())
		q := queue.New(client, settings.Source(client.URL()))
		for i := range 500 {
			e := backup.Event{ID: fmt.Sprint("missed-nightly.", i), Type: "lifeboat.schedule.missed", Time: time.Now(), Data: json.RawMessage(`{}`)}
			if err := q.Publish(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
		for texts := receive(t, client.NewQueueClient(backup.EventsQueue)); len(texts) > 0; texts = receive(t, client.NewQueueClient(backup.EventsQueue)) {
			for _, text := range texts {
				var e struct{ Source, ID string }
				if err := json.Unmarshal([]byte(text), &e); err != nil {
					t.Fatal(err)
				}
				sources[e.Source], ids[e.ID], identities[e.Source+"\n"+e.ID] = true, true, true
			}
		}
	}
	if len(sources) != 2 || len(ids) != 500 || len(identities) != 1000 {
		t.Errorf("%d sources, %d IDs, %d identities", len(sources), len(ids), len(identities))
	}
}
