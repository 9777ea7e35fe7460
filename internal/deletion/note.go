package deletion

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"lifeboat/internal/backup"
	"lifeboat/internal/health"
)

// Note keeps the row by which health knows the undeleted recovery points of a target. The points are those that a
// cleanup read and that may count; load reads another one. The row is written after the points: a repeat of the cleanup writes it again.
func Note(ctx context.Context, catalog backup.Catalog, target string, points []backup.Point,
	load func(ctx context.Context, id string) (backup.Point, error),
) error {
	key := backup.DeletionKey(target)
	row, _, err := catalog.Get(ctx, key)
	if err != nil && !errors.Is(err, backup.ErrNotFound) {
		return fmt.Errorf("read which recovery points of %s could not be deleted: %w", target, err)
	}
	there := err == nil
	var was health.Undeleted
	if there {
		if was, err = backup.Decode[health.Undeleted](row); err != nil {
			return err
		}
	}
	read := func(id string) error {
		p, err := load(ctx, id)
		if err != nil && !errors.Is(err, backup.ErrNotFound) {
			return err
		}
		p.ID, points = id, append(slices.Clone(points), p)
		return nil
	}
	if there && !slices.ContainsFunc(points, func(p backup.Point) bool { return p.ID == was.Point }) {
		if err := read(was.Point); err != nil {
			return err
		}
	}
	is := health.NewUndeleted(target, points, was.Without(points)...)
	for is.Point == "" && len(is.IDs) > 0 { // the one that failed for the longest is gone: the row names another one
		if err := read(is.IDs[0]); err != nil {
			return err
		}
		is = health.NewUndeleted(target, points, was.Without(points)...)
	}
	is.Carried = was.Carried
	switch body := backup.Encode(is); {
	case is.Point == "" && !there:
		return nil
	case is.Point == "":
		_, err = catalog.Apply(ctx, backup.Write{Op: backup.Delete, Key: key, ETag: row.ETag})
	case there && string(body) == string(backup.Encode(was)):
		return nil
	default:
		_, err = catalog.Apply(ctx, backup.InsertOrReplace(key, row.ETag, body))
	}
	if _, raced := errors.AsType[*backup.WriteError](err); raced {
		return nil // another cleanup notes it
	}
	return err
}
