package backup

import (
	"context"
	"fmt"
	"iter"
)

// pageSize is the greatest number of rows that storage answers a query with, of
// https://learn.microsoft.com/rest/api/storageservices/query-timeout-and-pagination.
const pageSize = 1000

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

// PointPages lists the recovery points of a target, newest run first, up to the row key: a page for each request. It ends with an error.
func PointPages(ctx context.Context, catalog Catalog, target, to string) iter.Seq2[[]Point, error] {
	return func(yield func([]Point, error) bool) {
		for from := PointPrefix; ; {
			points, err := ListPoints(ctx, catalog, target, from, to, pageSize)
			if !yield(points, err) || err != nil || len(points) < pageSize {
				return
			}
			from = points[pageSize-1].Key().Row + "!"
		}
	}
}

// AllPoints lists the recovery points of a target, newest run first, up to the row key.
func AllPoints(ctx context.Context, catalog Catalog, target, to string) ([]Point, error) {
	var all []Point
	for page, err := range PointPages(ctx, catalog, target, to) {
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
	}
	return all, nil
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
