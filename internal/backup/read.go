package backup

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// pageSize is the greatest number of rows that storage answers a query with, of
// https://learn.microsoft.com/rest/api/storageservices/query-timeout-and-pagination.
const pageSize = 1000

// ListPoints lists at most n recovery points of a target in every state, newest run first, from one row key up to another. One that
// cannot be read is [Unreadable].
func ListPoints(ctx context.Context, catalog Catalog, target, from, to string, n int) ([]Point, error) {
	page, err := listPage(ctx, catalog, target, from, to, n)
	return page.Points, err
}

// Page has rows of a target's partition, as one request reads them.
type Page struct {
	// Pace is the row under [PaceKey]; the zero row if it was not read, or there is none.
	Pace Row
	// Counted are the rows under [CountedKey]. They come before the points.
	Counted []Row
	Points  []Point
}

func (p Page) rows() int {
	n := len(p.Counted) + len(p.Points)
	if p.Pace.Row != "" {
		n++
	}
	return n
}

func listPage(ctx context.Context, catalog Catalog, target, from, to string, n int) (Page, error) {
	rows, _, err := catalog.List(ctx, Partition(target), from, to, n)
	if err != nil {
		return Page{}, fmt.Errorf("list the recovery points of %s: %w", target, err)
	}
	page := Page{Points: make([]Point, 0, len(rows))}
	for _, row := range rows {
		if row.Row == PaceRow {
			page.Pace = row
			continue
		}
		if strings.HasPrefix(row.Row, CountedPrefix) {
			page.Counted = append(page.Counted, row)
			continue
		}
		p, err := DecodePoint(row)
		if err != nil {
			p = UnreadablePoint(row, target, err)
		}
		page.Points = append(page.Points, p)
	}
	return page, nil
}

// PointPages lists the recovery points of a target, newest run first, up to the row key: a page for each request. From is PaceRow,
// CountedPrefix or PointPrefix. It ends with an error.
func PointPages(ctx context.Context, catalog Catalog, target, from, to string) iter.Seq2[Page, error] {
	return func(yield func(Page, error) bool) {
		for from := from; ; {
			page, err := listPage(ctx, catalog, target, from, to, pageSize)
			if !yield(page, err) || err != nil || page.rows() < pageSize || len(page.Points) == 0 {
				return
			}
			from = page.Points[len(page.Points)-1].Key().Row + "!"
		}
	}
}

// FewPages is PointPages, but it reads a few rows first, and ends once enough says so after a page.
func FewPages(ctx context.Context, catalog Catalog, target, from, to string, few int, enough func() bool) iter.Seq2[Page, error] {
	return func(yield func(Page, error) bool) {
		page, err := listPage(ctx, catalog, target, from, to, few)
		if !yield(page, err) || err != nil || page.rows() < few || len(page.Points) == 0 || enough() {
			return
		}
		for page, err := range PointPages(ctx, catalog, target, page.Points[len(page.Points)-1].Key().Row+"!", to) {
			if !yield(page, err) || enough() {
				return
			}
		}
	}
}

// PointsOf lists recovery points of a target by their IDs, newest run first, and some beside them. Points that stand one behind the
// other cost one request.
func PointsOf(ctx context.Context, catalog Catalog, target string, ids []string) iter.Seq2[Page, error] {
	return func(yield func(Page, error) bool) {
		var rows []string
		for _, id := range ids {
			rows = append(rows, Point{ID: id}.Key().Row)
		}
		slices.Sort(rows)
		for len(rows) > 0 {
			page, err := listPage(ctx, catalog, target, rows[0], rows[len(rows)-1]+"!", min(len(rows), pageSize))
			if !yield(page, err) || err != nil || len(page.Points) == 0 {
				return
			}
			last := page.Points[len(page.Points)-1].Key().Row
			rows = slices.DeleteFunc(rows, func(row string) bool { return row <= last })
		}
	}
}

// AllPoints lists the recovery points of a target, newest run first, up to the row key.
func AllPoints(ctx context.Context, catalog Catalog, target, to string) ([]Point, error) {
	var all []Point
	for page, err := range PointPages(ctx, catalog, target, PointPrefix, to) {
		if err != nil {
			return nil, err
		}
		all = append(all, page.Points...)
	}
	return all, nil
}

// RecentPoints lists the newest recovery points of a target, newest run first: a few, which cost one request, or all if these
// are not enough.
func RecentPoints(ctx context.Context, catalog Catalog, target string, few int, enough func([]Point) bool) ([]Point, error) {
	page, err := recent(ctx, catalog, target, PointPrefix, few, enough)
	return page.Points, err
}

// RecentPointsAndCounted is RecentPoints, with the rows under [CountedKey] besides.
func RecentPointsAndCounted(ctx context.Context, catalog Catalog, target string, few int, enough func([]Point) bool) (Page, error) {
	return recent(ctx, catalog, target, CountedPrefix, few, enough)
}

func recent(ctx context.Context, catalog Catalog, target, from string, few int, enough func([]Point) bool) (Page, error) {
	page, err := listPage(ctx, catalog, target, from, Behind(PointPrefix), few)
	if err != nil || page.rows() < few || enough(page.Points) {
		return page, err
	}
	all := Page{}
	for page, err := range PointPages(ctx, catalog, target, from, Behind(PointPrefix)) {
		if err != nil {
			return Page{}, err
		}
		all.Counted, all.Points = append(all.Counted, page.Counted...), append(all.Points, page.Points...)
	}
	return all, nil
}
