// Package memory keeps the catalog and the queues in memory, for tests and simulations. It refuses what Azure Storage
// refuses, is deterministic, and can be cloned: equal histories give equal states.
package memory

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/storage/entity"
)

// Catalog is a [backup.Catalog] in memory. Its methods may be called from any goroutine.
type Catalog struct {
	now func() time.Time
	mu  sync.Mutex
	// writes counts all writes ever made, so that no ETag is used twice, and two rows never share one.
	writes int
	// partitions has the rows of each partition in the order of their keys, so that the cost of a listing depends only on its own
	// rows. No body is ever changed in place.
	partitions map[string][]backup.Row
}

// NewCatalog returns an empty catalog on the clock.
func NewCatalog(now func() time.Time) *Catalog {
	return &Catalog{now: now, partitions: map[string][]backup.Row{}}
}

// Clone returns a separate catalog with the same rows, on the clock.
func (c *Catalog) Clone(now func() time.Time) *Catalog {
	c.mu.Lock()
	defer c.mu.Unlock()
	clone := &Catalog{now: now, writes: c.writes, partitions: maps.Clone(c.partitions)}
	for name, rows := range clone.partitions {
		clone.partitions[name] = slices.Clone(rows)
	}
	return clone
}

// Rows returns all rows in the order of their keys. The number in an ETag counts the writes to the catalog.
func (c *Catalog) Rows() []backup.Row {
	c.mu.Lock()
	defer c.mu.Unlock()
	var rows []backup.Row
	for _, name := range slices.Sorted(maps.Keys(c.partitions)) {
		rows = append(rows, c.partitions[name]...)
	}
	return rows
}

// Get implements [backup.Catalog].
func (c *Catalog) Get(ctx context.Context, key backup.Key) (backup.Row, time.Time, error) {
	if err := cmp.Or(ctx.Err(), entity.CheckKey(key)); err != nil {
		return backup.Row{}, time.Time{}, fmt.Errorf("get a row: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	row, ok := c.row(key)
	if !ok {
		return backup.Row{}, c.clock(), fmt.Errorf("get row %s/%s: %w", key.Partition, key.Row, backup.ErrNotFound)
	}
	if row.Err != nil {
		return backup.Row{}, c.clock(), fmt.Errorf("get row %s/%s: %w", key.Partition, key.Row, row.Err)
	}
	return row, c.clock(), nil
}

// PutEntity writes a row as another program may have put it into the table: an entity as JSON with minimal metadata.
func (c *Catalog) PutEntity(text []byte) error {
	r, _, err := entity.Decode(text)
	if err != nil && !errors.Is(err, backup.ErrUnreadable) {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put(r.Key, r.Body, err)
	return nil
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
	all := c.partitions[partition]
	first, _ := find(all, from)
	end, _ := find(all[first:], to)
	rows := append([]backup.Row(nil), all[first:first+min(end, limit)]...)
	return rows, c.clock(), nil
}

// Count implements [backup.Catalog].
func (c *Catalog) Count(ctx context.Context, partition, from, to string, limit int) (int, error) {
	rows, _, err := c.List(ctx, partition, from, to, limit)
	return len(rows), err
}

// Apply implements [backup.Catalog].
func (c *Catalog) Apply(ctx context.Context, writes ...backup.Write) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("apply writes: %w", err)
	}
	bodies, err := entity.Keep(writes)
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
		if w.Op == backup.Delete {
			c.remove(w.Key)
			continue
		}
		etags[i] = c.put(w.Key, bodies[i], nil)
	}
	return etags, nil
}

// find returns the index of the first row whose key is not before the key, and whether it is that row.
func find(rows []backup.Row, key string) (int, bool) {
	return slices.BinarySearchFunc(rows, key, func(r backup.Row, key string) int { return strings.Compare(r.Row, key) })
}

func (c *Catalog) row(key backup.Key) (backup.Row, bool) {
	rows := c.partitions[key.Partition]
	i, found := find(rows, key.Row)
	if !found {
		return backup.Row{}, false
	}
	return rows[i], true
}

// put writes a row, and returns its ETag.
func (c *Catalog) put(key backup.Key, body json.RawMessage, err error) string {
	c.writes++
	body = slices.Clip(body)
	row := backup.Row{Key: key, ETag: `W/"` + strconv.Itoa(c.writes) + `"`, Body: body, Err: err, Parsed: NewParsed(body)}
	rows := c.partitions[key.Partition]
	if i, found := find(rows, key.Row); found {
		rows[i] = row
	} else {
		c.partitions[key.Partition] = slices.Insert(rows, i, row)
	}
	return row.ETag
}

func (c *Catalog) remove(key backup.Key) {
	rows := c.partitions[key.Partition]
	if i, found := find(rows, key.Row); found {
		c.partitions[key.Partition] = slices.Delete(rows, i, i+1)
	}
	if len(c.partitions[key.Partition]) == 0 {
		delete(c.partitions, key.Partition)
	}
}

// conflict returns the reason why the write must fail, or nil.
func (c *Catalog) conflict(w backup.Write) error {
	row, exists := c.row(w.Key)
	switch {
	case w.Op == backup.Insert && exists:
		return backup.ErrExists
	case w.Op == backup.Insert || w.Op == backup.Put:
		return nil
	case !exists:
		return backup.ErrNotFound
	case w.ETag != row.ETag && (w.Op != backup.Delete || w.ETag != "*"):
		return backup.ErrChanged
	}
	return nil
}

// clock returns the time in whole seconds, like a Date header.
func (c *Catalog) clock() time.Time { return c.now().UTC().Truncate(time.Second) }
