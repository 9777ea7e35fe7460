package engine_test

import (
	"fmt"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/deletion"
)

// TestTroubleOfOneTarget: a target with two pages of due entries, and with a row that this version cannot read, or entries that it cannot
// read, do not stop the expiry of another target. A cleanup reads each page once.
func TestTroubleOfOneTarget(t *testing.T) {
	for name, body := range map[string]func(deletion.Due) []byte{
		"a row":   func(d deletion.Due) []byte { return backup.Encode(d) },
		"entries": func(deletion.Due) []byte { return []byte(`{"Point": 1}`) },
	} {
		s := newHarness(t)
		ids := s.points(2)
		other := target + "-trouble"
		var writes []backup.Write
		for i := range 2000 {
			made := begin.Add(-time.Duration(i) * time.Minute)
			id := backup.NewRunID(other, made, fmt.Sprint("n", i))
			due := deletion.Due{Point: id, Target: other, Created: made}
			writes = append(writes, backup.Write{Op: backup.Put, Key: backup.DueKey(made, id), Body: body(due)})
		}
		for len(writes) > 0 {
			if _, err := s.storage.catalog.Apply(t.Context(), writes[:100]...); err != nil {
				t.Fatal(err)
			}
			writes = writes[100:]
		}
		if _, err := s.storage.catalog.Apply(t.Context(), backup.Write{Op: backup.Put, Key: backup.DeletionKey(other), Body: []byte(`{"Point": 1}`)}); err != nil {
			t.Fatal(err)
		}
		s.storage.calls = 0
		if report, err := s.engine.Cleanup(t.Context()); err == nil && len(report.Failed) == 0 {
			t.Errorf("%s: nothing is said of the trouble", name)
		}
		if got := s.states(ids...); got != "expired live" {
			t.Errorf("%s: they are %s", name, got)
		}
		first := s.storage.calls
		s.storage.calls = 0
		_, _ = s.engine.Cleanup(t.Context())
		if s.storage.calls > first || first > 40 {
			t.Errorf("%s: cleanups have %d and %d requests", name, first, s.storage.calls)
		}
	}
}
