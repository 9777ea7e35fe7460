package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// These are the errors of a [Catalog] when a row is not as the caller believed. Test with [errors.Is].
var (
	// ErrNotFound: there is no such row.
	ErrNotFound = errors.New("no such row")
	// ErrExists: an insert found the row already there, written by another caller.
	ErrExists = errors.New("the row exists already")
	// ErrChanged: another caller changed the row since it was read.
	ErrChanged = errors.New("another invocation changed the row")
	// ErrUnreadable: the row is there, but this version cannot read it: a newer version or another program wrote it.
	ErrUnreadable = errors.New("this version of Lifeboat cannot read a row")
)

// MostWrites is the most writes of one transaction: a limit of Azure Table Storage (Azure's documentation "Performing entity group
// transactions").
const MostWrites = 100

// Catalog is the table: runs, recovery points, locks, indexes, checkpoints. It is a small ordered key-value store with optimistic
// locking and transactions within one partition, as Azure Table Storage has them.
//
// Reads also return the store's own clock (its Date header, whole seconds, rounded down): the engine schedules, leases
// and deletes by that clock, since several processes share it.
type Catalog interface {
	// Get reads one row. It returns ErrNotFound, with the clock, if there is none, and ErrUnreadable if it cannot be read.
	Get(ctx context.Context, key Key) (Row, time.Time, error)
	// List reads the rows of one partition with from <= row key < to, in the order of their keys, at most limit (1 to 1000). No
	// row is no error. A row that cannot be read has an Err in place of its body: it must not hide the others.
	List(ctx context.Context, partition, from, to string, limit int) ([]Row, time.Time, error)
	// Count counts these rows, up to limit, without their bodies: also rows that cannot be read.
	Count(ctx context.Context, partition, from, to string, limit int) (int, error)
	// Apply makes all the writes, or none of them: 1 to MostWrites, all in one partition, each of another row. It returns the new
	// ETags in the order of the writes ("" for a delete). If the store applied the writes but the response was lost, Apply
	// returns success. If all writes were deletes it cannot tell, and returns ErrNotFound. The error is a *WriteError around
	// ErrExists, ErrChanged or ErrNotFound if a row stood in the way; any other error leaves open whether the writes were made.
	Apply(ctx context.Context, writes ...Write) ([]string, error)
}

// Key names a row. Both parts have 1 to 512 characters, none of them a control character or one of / \ # ? '.
type Key struct{ Partition, Row string }

// Row is the catalog's content under a key.
type Row struct {
	Key
	// ETag changes with every write.
	ETag string
	// Body is a JSON object. A string in it has at most 32,768 UTF-16 code units, a number is a whole one.
	Body json.RawMessage
	// Err is an ErrUnreadable that names the row and says why it cannot be read; nil if it can.
	Err error
	// Parsed remembers what was read from the body. It is nil for a row that came over the network.
	Parsed Parsed
}

// Op says what a Write does.
type Op int

const (
	// Insert fails with ErrExists if there is a row already.
	Insert Op = iota
	// Replace needs the row's ETag; it fails with ErrChanged, or ErrNotFound.
	Replace
	// Put writes the row whether or not it exists.
	Put
	// Delete needs an ETag, or "*" for any; it fails with ErrChanged, or ErrNotFound.
	Delete
)

// Write is one change of one row.
type Write struct {
	Op Op
	Key
	ETag string          // for Replace and Delete
	Body json.RawMessage // for Insert, Replace and Put
}

// InsertOrReplace returns the write that replaces a row under the ETag of its last read; with "" it inserts the row.
func InsertOrReplace(key Key, etag string, body json.RawMessage) Write {
	if etag == "" {
		return Write{Op: Insert, Key: key, Body: body}
	}
	return Write{Op: Replace, Key: key, ETag: etag, Body: body}
}

// WriteError tells which of the writes given to [Catalog.Apply] failed; none was made.
type WriteError struct {
	// Index counts from 0.
	Index int
	// Err is ErrExists, ErrChanged or ErrNotFound.
	Err error
}

func (e *WriteError) Error() string { return fmt.Sprintf("write %d: %v", e.Index, e.Err) }
func (e *WriteError) Unwrap() error { return e.Err }

const (
	// Resolution is the resolution of the catalog's clock, which is a Date header: it may be this much behind.
	Resolution = time.Second
)
