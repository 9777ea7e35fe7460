package engine

import (
	"context"

	"lifeboat/internal/backup"
	"lifeboat/internal/deletion"
)

// taken returns the artifacts of other runs of the target that are young enough to be mistaken for artifacts of the attempt's
// lost starts.
func (e *Engine) taken(ctx context.Context, a backup.Attempt) ([]string, error) {
	oldest := backup.Countdown(a.Earliest().Add(-deletion.LongestRun * e.Timings.Operation))
	points, err := backup.AllPoints(ctx, e.Catalog, a.Target, backup.PointPrefix+oldest)
	if err != nil {
		return nil, err
	}
	runs, err := e.runs(ctx, a.Target, backup.RunPrefix+oldest)
	if err != nil {
		return nil, err
	}
	return a.TakenBy(points, runs), nil
}
