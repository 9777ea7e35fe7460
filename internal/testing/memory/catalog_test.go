package memory_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lifeboat/internal/backup"
	"lifeboat/internal/testing/conformance"
	"lifeboat/internal/testing/memory"
)

func TestCatalog(t *testing.T) {
	conformance.TestCatalog(t, func(*testing.T) backup.Catalog { return memory.NewCatalog(time.Now) })
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

// TestPutEntity: an entity from another program reads as from the table itself, and hides no other row.
func TestPutEntity(t *testing.T) {
	c := memory.NewCatalog(time.Now)
	for _, text := range []string{
		`{"PartitionKey":"p","RowKey":"a","Schema":1,"Writer":"x","New":"kept?","Rating":4.5}`,
		`{"PartitionKey":"p","RowKey":"b","Schema":2,"Writer":"x"}`,
		`{"PartitionKey":"p","RowKey":"c","Text":"somebody's remark"}`,
	} {
		if err := c.PutEntity([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.PutEntity([]byte(`[]`)); err == nil {
		t.Error("what is no entity was taken")
	}
	rows, _, err := c.List(t.Context(), "p", "", "~", 10)
	if err != nil || len(rows) != 3 || rows[0].Err != nil || !strings.Contains(string(rows[0].Body), `"Rating":4.5`) {
		t.Fatalf("%+v, %v", rows, err)
	}
	for _, row := range rows[1:] {
		_, _, err := c.Get(t.Context(), row.Key)
		if !errors.Is(err, backup.ErrUnreadable) || !errors.Is(row.Err, backup.ErrUnreadable) || len(row.Body) > 0 {
			t.Errorf("row %s: %+v, %v", row.Row, row, err)
		}
	}
	kept := backup.Write{Op: backup.Replace, Key: rows[0].Key, ETag: rows[0].ETag, Body: rows[0].Body}
	if _, err := c.Apply(t.Context(), kept); err != nil {
		t.Errorf("a row as it was read is refused: %v", err)
	}
}
