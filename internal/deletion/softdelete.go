package deletion

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/retention"
)

// Mark soft-deletes the point: its artifact stays for the point's own time. Nothing is marked while nothing may be deleted.
func (d Deletion) Mark(ctx context.Context, decided retention.Decision) (backup.Point, error) {
	if err := d.MayBegin(ctx); err != nil {
		return decided.Point, err
	}
	p := decided.Point
	p.SoftDeletion = backup.SoftDeletion{Since: d.Now, Until: d.Now.Add(p.SoftDelete), Reason: decided.Reason}
	if err := d.letGo(ctx, &p, decided); err != nil {
		return decided.Point, err
	}
	return p, nil
}

// Unmark ends the soft deletion of a point that the policy never deletes.
func (d Deletion) Unmark(ctx context.Context, decided retention.Decision) (backup.Point, error) {
	p := decided.Point
	p.SoftDeletion = backup.SoftDeletion{}
	if err := d.save(ctx, &p); err != nil {
		return decided.Point, err
	}
	return p, nil
}

// MoveDue has cleanup look at the point at that time, since a person is about to delete it, or to undelete it. Its own entry is moved if it
// stands at the time from. Otherwise, as when cleanup moves it just now, the point gets one besides, which is not counted as a point.
func MoveDue(ctx context.Context, catalog backup.Catalog, p backup.Point, from, at, now time.Time) error {
	if from.IsZero() {
		from = p.Created.Add(firstLook)
	}
	own := backup.DueKey(from, p.ID)
	row, _, err := catalog.Get(ctx, own)
	if err == nil {
		writes := []backup.Write{{Op: backup.Put, Key: backup.DueKey(at, p.ID), Body: dueOf(p, p.Created)}}
		if writes[0].Key != own { // else it stands at that second already
			writes = append(writes, backup.Write{Op: backup.Delete, Key: own, ETag: row.ETag})
		}
		_, err = catalog.Apply(ctx, writes...)
	}
	if _, raced := errors.AsType[*backup.WriteError](err); raced || errors.Is(err, backup.ErrNotFound) {
		if p.Counted || p.Expires.IsZero() { // its own entry may be at rest
			return PutOut(ctx, catalog, p.Target, []string{p.ID}, at, now)
		}
		return PutReleased(ctx, catalog, p, at, now)
	}
	if err != nil {
		return fmt.Errorf("move the index entry of run %s: %w", p.ID, err)
	}
	return nil
}
