package memory_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lifeboat/internal/backup"
	"lifeboat/internal/backup/backuptest"
	"lifeboat/internal/memory"
)

func TestCatalog(t *testing.T) {
	backuptest.TestCatalog(t, func(*testing.T) backup.Catalog { return memory.NewCatalog(time.Now) })
}

func TestCatalogClock(t *testing.T) {
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.FixedZone("CET", 3600))
	c := memory.NewCatalog(func() time.Time { return noon.Add(999 * time.Millisecond) })
	_, clock, _ := c.Get(t.Context(), backup.Key{Partition: "p", Row: "r"})
	if !clock.Equal(noon) || clock.Location() != time.UTC {
		t.Errorf("clock %v, want %v: rounded down, in UTC", clock, noon)
	}
}

func TestCatalogClone(t *testing.T) {
	put := func(c *memory.Catalog, row, body string) {
		t.Helper()
		key := backup.Key{Partition: "p", Row: row}
		if _, err := c.Apply(t.Context(), backup.Write{Op: backup.Put, Key: key, Body: json.RawMessage(body)}); err != nil {
			t.Fatal(err)
		}
	}
	history := func() *memory.Catalog {
		c := memory.NewCatalog(time.Now)
		put(c, "b", `{"N":1}`)
		put(c, "a", `{"N":2}`)
		put(c, "b", `{"N":3}`)
		return c
	}
	one, two := history(), history()
	if diff := cmp.Diff(one.Rows(), two.Rows()); diff != "" {
		t.Fatalf("equal histories differ:\n%s", diff)
	}
	clone := one.Clone(time.Now)
	put(clone, "a", `{"N":4}`)
	if diff := cmp.Diff(one.Rows(), two.Rows()); diff != "" {
		t.Errorf("a write to the clone changed the original:\n%s", diff)
	}
	put(one, "a", `{"N":4}`)
	if diff := cmp.Diff(one.Rows(), clone.Rows()); diff != "" {
		t.Errorf("the same write to both differs:\n%s", diff)
	}
}
