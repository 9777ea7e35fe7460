package engine

import (
	"context"
	"strings"

	"lifeboat/internal/backup"
)

// taken returns the artifacts of other runs of the target that are young enough to be mistaken for artifacts of the attempt's
// lost starts.
func (e *Engine) taken(ctx context.Context, a backup.Attempt) ([]string, error) {
	since := a.NotBefore
	for _, w := range a.Lost {
		if w.From.Before(since) {
			since = w.From
		}
	}
	oldest := backup.Countdown(since.Add(-longestRun * e.Timings.Operation))
	points, err := e.points(ctx, a.Target, backup.PointPrefix+oldest)
	if err != nil {
		return nil, err
	}
	runs, err := e.runs(ctx, a.Target, backup.RunPrefix+oldest)
	if err != nil {
		return nil, err
	}
	var taken []string
	for _, p := range points {
		if p.ID != a.Run {
			taken = append(taken, p.Artifact)
		}
	}
	for _, r := range runs {
		// If a service names its artifacts itself, it does not use the requested name.
		if r.ID != a.Run && r.Artifact != "" && !strings.HasPrefix(r.Artifact, r.ID+".") {
			taken = append(taken, r.Artifact)
		}
	}
	return taken, nil
}
