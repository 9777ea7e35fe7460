package backup

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// LeastHistory is the least age from which on rows of the past may be pruned. A message mostly lives for seven days.
	LeastHistory = 30 * 24 * time.Hour
	// DefaultHistory is that age without a setting.
	DefaultHistory = 400 * 24 * time.Hour
)

// History is the row that says which runs of a target were pruned. It is written in the transaction that prunes them.
type History struct {
	// Runs counts them. First is the time at which the oldest of them was made, Last the time at which the newest was.
	Runs  int       `json:"Runs"`
	First time.Time `json:"First"`
	Last  time.Time `json:"Last"`

	Carried
	// RowETag is the ETag of the row, as it was read or written last.
	RowETag string `json:"-"`
}

// ReadHistory reads the row of the target; the zero value if nothing was pruned yet.
func ReadHistory(ctx context.Context, catalog Catalog, target string) (History, error) {
	row, _, err := catalog.Get(ctx, HistoryKey(target))
	switch {
	case errors.Is(err, ErrNotFound):
		return History{}, nil
	case err != nil:
		return History{}, fmt.Errorf("read what was pruned of %s: %w", target, err)
	}
	h, err := Decode[History](row)
	h.RowETag = row.ETag
	return h, err
}

// With returns the row with one more run, which was made at that time.
func (h History) With(created time.Time) History {
	if h.Runs == 0 || created.Before(h.First) {
		h.First = created
	}
	h.Runs, h.Last = h.Runs+1, Later(h.Last, created)
	return h
}

// Remove returns the writes that delete the row of the point, under the ETag that was read, its claim, and these rows of the list of its
// files.
func (p Point) Remove(files []Row) []Write {
	writes := []Write{
		{Op: Delete, Key: p.Key(), ETag: p.RowETag},
		{Op: Delete, Key: p.claimKey(), ETag: "*"},
	}
	for _, row := range files {
		writes = append(writes, Write{Op: Delete, Key: row.Key, ETag: "*"})
	}
	return writes
}
