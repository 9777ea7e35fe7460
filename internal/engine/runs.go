package engine

import (
	"context"
	"fmt"

	"lifeboat/internal/backup"
)

// runs returns the runs of a target, newest first, up to the row key.
func (e *Engine) runs(ctx context.Context, target, to string) ([]backup.Run, error) {
	var all []backup.Run
	for from := backup.RunPrefix; ; {
		runs, err := e.listRuns(ctx, target, from, to, 1000)
		all = append(all, runs...)
		if err != nil || len(runs) < 1000 {
			return all, err
		}
		from = runs[999].Key().Row + "!"
	}
}

// listRuns returns at most n runs of a target, backups and restores, newest first.
func (e *Engine) listRuns(ctx context.Context, target, from, to string, n int) ([]backup.Run, error) {
	rows, _, err := e.Catalog.List(ctx, backup.Partition(target), from, to, n)
	if err != nil {
		return nil, fmt.Errorf("list the runs of %s: %w", target, err)
	}
	runs := make([]backup.Run, 0, len(rows))
	for _, row := range rows {
		run, err := backup.Decode[backup.Run](row)
		if err != nil {
			return nil, err
		}
		runs = append(runs, run)
	}
	return runs, nil
}
