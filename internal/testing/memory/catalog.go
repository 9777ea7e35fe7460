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
	writes     int
	partitions map[string]*partition
}

// partition keeps the keys of its rows in order, so that the cost of a listing depends only on its own rows.
type partition struct {
	keys []string
	rows map[string]version
}

// version is the last version of a row.
type version struct {
	number int
	body   json.RawMessage // never changed in place
	parsed *backup.Parsed
	err    error // the reason if it cannot be read, or nil
}

func (v version) etag() string { return `W/"` + strconv.Itoa(v.number) + `"` }

// NewCatalog returns an empty catalog on the clock.
func NewCatalog(now func() time.Time) *Catalog {
	return &Catalog{now: now, partitions: map[string]*partition{}}
}

// Clone returns a separate catalog with the same rows, on the clock.
func (c *Catalog) Clone(now func() time.Time) *Catalog {
	c.mu.Lock()
	defer c.mu.Unlock()
	clone := &Catalog{now: now, writes: c.writes, partitions: map[string]*partition{}}
	for name, p := range c.partitions {
		clone.partitions[name] = &partition{keys: slices.Clone(p.keys), rows: maps.Clone(p.rows)}
	}
	return clone
}

// Rows returns all rows in the order of their keys. The number in an ETag counts the writes to the catalog.
func (c *Catalog) Rows() []backup.Row {
	c.mu.Lock()
	defer c.mu.Unlock()
	var rows []backup.Row
	for _, name := range slices.Sorted(maps.Keys(c.partitions)) {
		p := c.partitions[name]
		for _, key := range p.keys {
			rows = append(rows, row(backup.Key{Partition: name, Row: key}, p.rows[key]))
		}
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
	v, ok := c.version(key)
	if !ok {
		return backup.Row{}, c.clock(), fmt.Errorf("get row %s/%s: %w", key.Partition, key.Row, backup.ErrNotFound)
	}
	if v.err != nil {
		return backup.Row{}, c.clock(), fmt.Errorf("get row %s/%s: %w", key.Partition, key.Row, v.err)
	}
	return row(key, v), c.clock(), nil
}

// PutEntity writes a row as another program may have put it into the table: an entity as JSON with minimal metadata.
func (c *Catalog) PutEntity(text []byte) error {
	r, _, err := entity.Decode(text)
	if err != nil && !errors.Is(err, backup.ErrUnreadable) {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writes++
	c.put(r.Key, version{number: c.writes, body: r.Body, parsed: backup.NewParsed(r.Body), err: err})
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
	var rows []backup.Row
	if p := c.partitions[partition]; p != nil {
		first, _ := slices.BinarySearch(p.keys, from)
		for _, key := range p.keys[first:] {
			if key >= to || len(rows) == limit {
				break
			}
			rows = append(rows, row(backup.Key{Partition: partition, Row: key}, p.rows[key]))
		}
	}
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
		c.writes++
		v := version{number: c.writes, body: bodies[i], parsed: backup.NewParsed(bodies[i])}
		c.put(w.Key, v)
		etags[i] = v.etag()
	}
	return etags, nil
}

func (c *Catalog) version(key backup.Key) (version, bool) {
	p := c.partitions[key.Partition]
	if p == nil {
		return version{}, false
	}
	v, ok := p.rows[key.Row]
	return v, ok
}

func (c *Catalog) put(key backup.Key, v version) {
	p := c.partitions[key.Partition]
	if p == nil {
		p = &partition{rows: map[string]version{}}
		c.partitions[key.Partition] = p
	}
	if i, found := slices.BinarySearch(p.keys, key.Row); !found {
		p.keys = slices.Insert(p.keys, i, key.Row)
	}
	p.rows[key.Row] = v
}

func (c *Catalog) remove(key backup.Key) {
	p := c.partitions[key.Partition]
	if p == nil {
		return
	}
	if i, found := slices.BinarySearch(p.keys, key.Row); found {
		p.keys = slices.Delete(p.keys, i, i+1)
		delete(p.rows, key.Row)
	}
	if len(p.keys) == 0 {
		delete(c.partitions, key.Partition)
	}
}

// conflict returns the reason why the write must fail, or nil.
func (c *Catalog) conflict(w backup.Write) error {
	v, exists := c.version(w.Key)
	switch {
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

// clock returns the time in whole seconds, like a Date header.
func (c *Catalog) clock() time.Time { return c.now().UTC().Truncate(time.Second) }

// row returns a row. Its body is the catalog's own: nobody may change it.
func row(k backup.Key, v version) backup.Row {
	return backup.Row{Key: k, ETag: v.etag(), Body: slices.Clip(v.body), Err: v.err, Parsed: v.parsed}
}
