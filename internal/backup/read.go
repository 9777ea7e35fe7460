package backup

import (
	"context"
	"fmt"
)

// ListPoints lists at most n recovery points of a target in every state, newest run first, from one row key up to another. One that
// cannot be read is [Unreadable].
func ListPoints(ctx context.Context, catalog Catalog, target, from, to string, n int) ([]Point, error) {
	rows, _, err := catalog.List(ctx, Partition(target), from, to, n)
	if err != nil {
		return nil, fmt.Errorf("list the recovery points of %s: %w", target, err)
	}
	points := make([]Point, 0, len(rows))
	for _, row := range rows {
		p, err := DecodePoint(row)
		if err != nil {
			p = UnreadablePoint(row, target, err)
		}
		points = append(points, p)
	}
	return points, nil
}

// AllPoints lists the recovery points of a target, newest run first, up to the row key.
func AllPoints(ctx context.Context, catalog Catalog, target, to string) ([]Point, error) {
	var all []Point
	for from := PointPrefix; ; {
		points, err := ListPoints(ctx, catalog, target, from, to, 1000)
		if err != nil {
			return nil, err
		}
		all = append(all, points...)
		if len(points) < 1000 {
			return all, nil
		}
		from = points[999].Key().Row + "!"
	}
}

// RecentPoints lists the newest recovery points of a target, newest run first: a few, which cost one request, or all if these
// are not enough.
func RecentPoints(ctx context.Context, catalog Catalog, target string, few int, enough func([]Point) bool) ([]Point, error) {
	points, err := ListPoints(ctx, catalog, target, PointPrefix, Behind(PointPrefix), few)
	if err != nil || len(points) < few || enough(points) {
		return points, err
	}
	return AllPoints(ctx, catalog, target, Behind(PointPrefix))
}
