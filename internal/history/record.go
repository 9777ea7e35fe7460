// Package history prunes the rows of the past: runs with their expired recovery points, requests for backups, missed periods, dead
// letters. It may be killed anywhere, and run twice at once: a repeat goes on where the last one stopped.
//
// An index says where rows of the past may be, by the week from which on their history counts. So nothing searches the table: a timer
// run reads the entries whose time has come, and only the rows of those.
package history

import (
	"context"
	"fmt"
	"strings"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/schedule"
)

const (
	day = 24 * time.Hour
	// span is the time of one entry of the index. A row stays for so much longer than its history, at the most.
	span = 7 * day
)

// record is an entry of the index: one kind of rows. It is written before the rows, or with them, so that a crash leaves an entry too
// many, never one too few.
type record struct {
	// Target is the target whose runs it is about, if they were made in the week from Made on.
	Target string    `json:"Target,omitempty"`
	Made   time.Time `json:"Made,omitzero"`
	// Plan is the plan whose missed periods it is about.
	Plan string `json:"Plan,omitempty"`
	// Request is the hash of the ID of a request for backups.
	Request string `json:"Request,omitempty"`
	// Letter is the row of a dead letter.
	Letter string `json:"Letter,omitempty"`

	row backup.Row
}

// week returns the beginning of the week of the time: on Monday, in UTC.
func week(t time.Time) time.Time { return t.UTC().Truncate(span) }

// put returns the write of the entry: the same one for the whole week.
func (r record) put(from time.Time) backup.Write {
	of := ""
	switch {
	case r.Target != "":
		of = "run-" + backup.Partition(r.Target) + "-" + r.Made.Format("20060102")
	case r.Plan != "":
		of = "missed-" + r.Plan
	case r.Request != "":
		of = "request-" + r.Request
	default:
		of = "letter-" + r.Letter
	}
	return backup.Write{Op: backup.Put, Key: backup.RecordKey(week(from), of), Body: backup.Encode(r)}
}

// Ended returns the entry of a run that has ended. It is to be written before the run's outbox is done: until then the run is in flight.
func Ended(r backup.Run) backup.Write {
	made, err := backup.RunTime(r.ID)
	if err != nil {
		panic(err) // NewRunID made it
	}
	return record{Target: r.Target, Made: week(made)}.put(r.Ended)
}

// Missed returns the entry of a missed period.
func Missed(m schedule.MissedRuns) backup.Write { return record{Plan: m.Plan}.put(m.Found) }

// PutRequest writes the entry of the claim of a request for backups that is about to be made.
func PutRequest(ctx context.Context, catalog backup.Catalog, hash string, now time.Time) error {
	return write(ctx, catalog, record{Request: hash}, now)
}

// PutLetter writes the entry of a dead letter that is about to be kept.
func PutLetter(ctx context.Context, catalog backup.Catalog, key backup.Key, now time.Time) error {
	return write(ctx, catalog, record{Letter: key.Row}, now)
}

func write(ctx context.Context, catalog backup.Catalog, r record, now time.Time) error {
	w := r.put(now)
	if _, err := catalog.Apply(ctx, w); err != nil {
		return fmt.Errorf("index %s for the end of its history: %w", strings.TrimPrefix(w.Row, backup.RecordPrefix), err)
	}
	return nil
}

// Pruned says when the history was pruned last. It is a row of the catalog.
type Pruned struct {
	At time.Time `json:"At"`

	backup.Carried
	// ETag is the one that the row was read with, and Unread says why it cannot be read, nil if it can.
	ETag   string `json:"-"`
	Unread error  `json:"-"`
}

// DecodePruned reads the row.
func DecodePruned(row backup.Row) Pruned {
	p, err := backup.Decode[Pruned](row)
	p.ETag, p.Unread = row.ETag, err
	return p
}

// Due says that it is time to look again. A time later than latest comes from a clock that was wrong.
func (p Pruned) Due(now, latest time.Time) bool {
	return p.Unread == nil && (now.Sub(p.At) >= day || p.At.After(latest))
}
