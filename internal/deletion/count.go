package deletion

import (
	"context"
	"errors"
	"fmt"

	"lifeboat/internal/backup"
	"lifeboat/internal/health"
)

// mostLooked is the greatest number of recovery points that a count reads themselves. It takes the others as they were.
const mostLooked = 500

// Count counts the recovery points that are not expired, by the index of due points: a request for each 1,000. A live point stays so
// until its entry is due and is written again. So it reads only the others itself, such as a suspect one that was accepted since. Load
// reads a point.
//
// A point whose run died between the entry and the point counts, though there is none, until its entry is due.
func Count(
	ctx context.Context, catalog backup.Catalog, load func(ctx context.Context, id string) (backup.Point, error),
) (health.Count, error) {
	count, looked := health.Count{}, 0
	for from := ""; ; {
		rows, _, err := catalog.List(ctx, backup.DuePartition, from, "~", 1000)
		if err != nil {
			return nil, fmt.Errorf("count the recovery points: %w", err)
		}
		for _, row := range rows {
			d, err := backup.Decode[Due](row)
			if err != nil || d.State == "" { // cleanup names what cannot be read once it is due
				continue
			}
			p := backup.Point{State: d.State, Plan: d.Plan, Size: d.Size}
			if d.State != backup.Live && d.State != backup.CopyOnly && looked < mostLooked {
				looked++
				if p, err = load(ctx, d.Point); errors.Is(err, backup.ErrUnreadable) {
					p = backup.Point{State: backup.Unreadable, Plan: d.Plan, Size: d.Size}
				} else if err != nil && !errors.Is(err, backup.ErrNotFound) {
					return nil, fmt.Errorf("count the recovery points: %w", err)
				}
			}
			if p.State != "" && p.State != backup.Expired {
				count.Add(p.Plan, p.Called(), p.Size)
			}
		}
		if len(rows) < 1000 {
			return count, nil
		}
		from = rows[len(rows)-1].Row + "!"
	}
}
