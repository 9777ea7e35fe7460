package backup

import (
	"context"
	"encoding/json"
	"fmt"
)

// RecoveryPoint reads the recovery point of the run with the ID. It returns ErrNotFound if there is none.
func (e *Engine) RecoveryPoint(ctx context.Context, id string) (Point, error) {
	if _, err := runKey(id); err != nil {
		return Point{}, fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	row, _, err := e.Catalog.Get(ctx, Point{ID: id}.key())
	if err != nil {
		return Point{}, fmt.Errorf("load the recovery point of run %s: %w", id, err)
	}
	return decodePoint(row)
}

// list are the writes that keep what the point's artifact consists of: rows beside its own.
func (p Point) list(files []File) []Write {
	if len(files) == 0 {
		return nil
	}
	var writes []Write
	key := p.key()
	for i, page := range pages(string(encode(files))) {
		row := fmt.Sprintf("files-%s-%03d", key.Row[len("point-"):], i)
		writes = append(writes, Write{Op: Put, Key: Key{key.Partition, row}, Body: page})
	}
	return writes
}

// Files lists what the artifact of a recovery point consists of; nothing where that is one blob of its name.
func (e *Engine) Files(ctx context.Context, p Point) ([]File, error) {
	key := p.key()
	prefix := "files-" + key.Row[len("point-"):]
	rows, _, err := e.Catalog.List(ctx, key.Partition, prefix+"-", prefix+".", 1000)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	list, err := text(rows)
	if err != nil {
		return nil, err
	}
	var files []File
	if err := json.Unmarshal([]byte(list), &files); err != nil {
		return nil, fmt.Errorf("the list of files of recovery point %s cannot be read: %w", p.ID, err)
	}
	return files, nil
}

// RecoveryPoints lists those of a target in every state, newest run first: at most top (1 to 1000), from the one after
// the ID "after". The second result is the ID to go on with, "" at the end.
func (e *Engine) RecoveryPoints(ctx context.Context, target, after string, top int) ([]Point, string, error) {
	from, err := rowAfter(target, after)
	if err != nil {
		return nil, "", err
	}
	points, err := e.listPoints(ctx, target, "point-"+from, allPoints, top)
	if err != nil || len(points) < top {
		return points, "", err
	}
	return points, points[top-1].ID, nil
}

// rowAfter is where rows of runs or recovery points go on after the one with the ID, without the kind that the row key
// begins with; "" for the newest.
func rowAfter(target, after string) (string, error) {
	if after == "" {
		return "", nil
	}
	key, err := runKey(after)
	if err != nil || key.Partition != partition(target) {
		return "", fmt.Errorf("%w: %s of %s", ErrNotFound, after, target)
	}
	return key.Row[len("run-"):] + "!", nil
}

// allPoints is behind the row keys of all recovery points.
const allPoints = "point."

// points are the recovery points of a target, newest run first, up to the row key.
func (e *Engine) points(ctx context.Context, target, to string) ([]Point, error) {
	var all []Point
	for from := "point-"; ; {
		points, err := e.listPoints(ctx, target, from, to, 1000)
		if err != nil {
			return nil, err
		}
		all = append(all, points...)
		if len(points) < 1000 {
			return all, nil
		}
		from = points[999].key().Row + "!"
	}
}

// recentPoints are the newest recovery points of a target, newest run first: a few, which cost one request, or all where
// these are not enough.
func (e *Engine) recentPoints(ctx context.Context, target string, enough func([]Point) bool) ([]Point, error) {
	const few = 2 * trailing
	points, err := e.listPoints(ctx, target, "point-", allPoints, few)
	if err != nil || len(points) < few || enough(points) {
		return points, err
	}
	return e.points(ctx, target, allPoints)
}

func (e *Engine) listPoints(ctx context.Context, target, from, to string, limit int) ([]Point, error) {
	rows, _, err := e.Catalog.List(ctx, partition(target), from, to, limit)
	if err != nil {
		return nil, fmt.Errorf("list the recovery points of %s: %w", target, err)
	}
	points := make([]Point, 0, len(rows))
	for _, row := range rows {
		p, err := decodePoint(row)
		if err != nil {
			p = unreadablePoint(row, target, err)
		}
		points = append(points, p)
	}
	return points, nil
}

func decodePoint(row Row) (Point, error) {
	p, err := decode[Point](row)
	p.etag = row.ETag
	return p, err
}
