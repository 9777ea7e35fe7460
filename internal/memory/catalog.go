// Package memory keeps the catalog and the queues in memory, for tests and simulations. It refuses what Azure Storage
// refuses, is deterministic, and can be cloned: equal histories give equal states.
package memory

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/storage/entity"
)

// Catalog is a [backup.Catalog] in memory. Its methods may be called from any goroutine.
type Catalog struct {
	now  func() time.Time
	mu   sync.Mutex
	rows map[backup.Key]version
}

// version is what a row was last. It stays when the row is deleted, so that no ETag ever comes back.
type version struct {
	number int
	body   json.RawMessage // nil: deleted
}

func (v version) etag() string { return fmt.Sprintf(`W/"%d"`, v.number) }

// NewCatalog returns an empty catalog on the clock.
func NewCatalog(now func() time.Time) *Catalog {
	return &Catalog{now: now, rows: map[backup.Key]version{}}
}

// Clone returns a catalog of its own with the same rows, on the clock.
func (c *Catalog) Clone(now func() time.Time) *Catalog {
	c.mu.Lock()
	defer c.mu.Unlock()
	return &Catalog{now: now, rows: maps.Clone(c.rows)} // bodies are never changed in place
}

// Rows returns all rows in the order of their keys. The number in an ETag counts the writes of its row.
func (c *Catalog) Rows() []backup.Row {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sorted(func(backup.Key) bool { return true })
}

// Get implements [backup.Catalog].
func (c *Catalog) Get(ctx context.Context, key backup.Key) (backup.Row, time.Time, error) {
	if err := cmp.Or(ctx.Err(), entity.CheckKey(key)); err != nil {
		return backup.Row{}, time.Time{}, fmt.Errorf("get a row: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	v := c.rows[key]
	if v.body == nil {
		return backup.Row{}, c.clock(), fmt.Errorf("get row %s/%s: %w", key.Partition, key.Row, backup.ErrNotFound)
	}
	return row(key, v), c.clock(), nil
}

// List implements [backup.Catalog].
func (c *Catalog) List(
	ctx context.Context, partition, from, to string, limit int,
) ([]backup.Row, time.Time, error) {
	if err := cmp.Or(ctx.Err(), entity.CheckList(partition, from, to, limit)); err != nil {
		return nil, time.Time{}, fmt.Errorf("list rows: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	rows := c.sorted(func(k backup.Key) bool { return k.Partition == partition && from <= k.Row && k.Row < to })
	return rows[:min(len(rows), limit)], c.clock(), nil
}

// Apply implements [backup.Catalog].
func (c *Catalog) Apply(ctx context.Context, writes ...backup.Write) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("apply writes: %w", err)
	}
	entities, err := entity.Encode(writes, "memory")
	if err != nil {
		return nil, fmt.Errorf("apply writes: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, w := range writes {
		if err := c.conflict(w); err != nil {
			return nil, &backup.WriteError{Index: i, Err: err}
		}
	}
	etags := make([]string, len(writes))
	for i, w := range writes {
		v := version{number: c.rows[w.Key].number + 1}
		if w.Op != backup.Delete {
			read, _, err := entity.Decode(entities[i])
			if err != nil {
				panic(fmt.Sprintf("an entity that was just encoded: %v", err))
			}
			v.body = read.Body
			etags[i] = v.etag()
		}
		c.rows[w.Key] = v
	}
	return etags, nil
}

// conflict says what stands in the write's way.
func (c *Catalog) conflict(w backup.Write) error {
	v := c.rows[w.Key]
	switch exists := v.body != nil; {
	case w.Op == backup.Insert && exists:
		return backup.ErrExists
	case w.Op == backup.Insert || w.Op == backup.Put:
		return nil
	case !exists:
		return backup.ErrNotFound
	case w.ETag != v.etag() && (w.Op != backup.Delete || w.ETag != "*"):
		return backup.ErrChanged
	}
	return nil
}

func (c *Catalog) sorted(wanted func(backup.Key) bool) []backup.Row {
	var rows []backup.Row
	for k, v := range c.rows {
		if v.body != nil && wanted(k) {
			rows = append(rows, row(k, v))
		}
	}
	slices.SortFunc(rows, func(a, b backup.Row) int {
		return cmp.Or(strings.Compare(a.Partition, b.Partition), strings.Compare(a.Row, b.Row))
	})
	return rows
}

// clock has whole seconds, like a Date header.
func (c *Catalog) clock() time.Time { return c.now().UTC().Truncate(time.Second) }

// row copies the body: it is the caller's.
func row(k backup.Key, v version) backup.Row {
	return backup.Row{Key: k, ETag: v.etag(), Body: slices.Clone(v.body)}
}
