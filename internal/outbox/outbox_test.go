package outbox_test

import (
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/event"
	"lifeboat/internal/manifest"
	"lifeboat/internal/outbox"
	"lifeboat/internal/testing/memory"
)

// TestNoEventWaitsForAManifest: a storage account that hangs costs the time of a whole invocation, and the end of a run is to be told before.
func TestNoEventWaitsForAManifest(t *testing.T) {
	now := func() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }
	catalog, queue, sent := memory.NewCatalog(now), memory.NewQueue(now), -1
	store := &memory.Manifests{Fail: func(call, _ string) error {
		if call == "write" {
			sent = len(queue.Events())
		}
		return nil
	}}
	o := outbox.Outbox{Catalog: catalog, Queue: queue, Manifests: manifest.Keeper{Catalog: catalog, Store: store}, Now: now}
	run := backup.Run{ID: "run", Target: "target", State: backup.Succeeded, Ended: now()}
	point := backup.Point{ID: "run", Target: "target", State: backup.Live, Storage: backup.Storage{Account: "account", Container: "c"}}
	events := append([]backup.Event{manifest.NoteMade(point, nil, now())}, event.RunEnded(run, false)...)
	if done, left := o.Post(t.Context(), events, map[string]error{}); len(done) != len(events) || len(left) > 0 {
		t.Fatalf("done %v, left %v", done, left)
	}
	if sent != len(events)-1 {
		t.Errorf("when the manifest was written, %d of %d events had been sent", sent, len(events)-1)
	}
}
