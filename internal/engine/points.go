package engine

import (
	"context"
	"fmt"
	"strings"

	"lifeboat/internal/backup"
)

// RecoveryPoint reads the recovery point of the run with the ID. It returns ErrNotFound if there is none.
func (e *Engine) RecoveryPoint(ctx context.Context, id string) (backup.Point, error) {
	if _, err := backup.RunKey(id); err != nil {
		return backup.Point{}, fmt.Errorf("%w: %w", backup.ErrNotFound, err)
	}
	row, _, err := e.Catalog.Get(ctx, backup.Point{ID: id}.Key())
	if err != nil {
		return backup.Point{}, fmt.Errorf("load the recovery point of run %s: %w", id, err)
	}
	return backup.DecodePoint(row)
}

// Files lists the files of the artifact of a recovery point; nothing if the artifact is one blob of its name.
func (e *Engine) Files(ctx context.Context, p backup.Point) ([]backup.File, error) {
	return backup.ReadFiles(ctx, e.Catalog, p)
}

// RecoveryPoints lists a target's recovery points in every state, newest run first: at most top (1 to 1000), from the one after
// the ID "after". The second result is the ID to go on with, "" at the end.
func (e *Engine) RecoveryPoints(ctx context.Context, target, after string, top int) ([]backup.Point, string, error) {
	from, err := rowAfter(target, after)
	if err != nil {
		return nil, "", err
	}
	points, err := backup.ListPoints(ctx, e.Catalog, target, backup.PointPrefix+from, backup.Behind(backup.PointPrefix), top)
	if err != nil || len(points) < top {
		return points, "", err
	}
	return points, points[top-1].ID, nil
}

// rowAfter returns the row key from which rows of runs or recovery points go on after the given ID, without the kind that begins
// the key; "" for the newest.
func rowAfter(target, after string) (string, error) {
	if after == "" {
		return "", nil
	}
	key, err := backup.RunKey(after)
	if err != nil || key.Partition != backup.Partition(target) {
		return "", fmt.Errorf("%w: %s of %s", backup.ErrNotFound, after, target)
	}
	return strings.TrimPrefix(key.Row, backup.RunPrefix) + "!", nil
}
