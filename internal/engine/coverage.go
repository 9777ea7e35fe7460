package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/health"
)

// surveyTime is the time limit of a look for services that no plan has.
const surveyTime = time.Minute

// Survey looks for services that no plan has, and keeps the answer as a row, at the time now by the catalog's clock. The row is the one that
// a [CleanupReport] has. If the process dies before the row is saved, the next cleanup looks again; if two look at once, one of them
// saves. A look without an answer of Azure changes only why.
func (e *Engine) Survey(ctx context.Context, was health.Coverage, plans []backup.Plan, now time.Time) error {
	looking, cancel := context.WithTimeout(ctx, surveyTime)
	defer cancel()
	there, err := e.Search(looking, backup.Subscriptions(plans))
	if ctx.Err() != nil {
		return ctx.Err() // the invocation is over, and nothing is known
	}
	is := was.Saw(there, plans, e.Services, now)
	if err != nil {
		is = was.Missed(backup.AsFault(err).Reason(), now)
	}
	if err := e.apply(ctx, backup.InsertOrReplace(backup.CoverageKey, was.ETag, backup.Encode(is))); err != nil {
		return fmt.Errorf("save which services no plan has: %w", err)
	}
	return nil
}

// Coverage returns the row; the zero value if there is none yet.
func (e *Engine) Coverage(ctx context.Context) (health.Coverage, error) {
	row, _, err := e.Catalog.Get(ctx, backup.CoverageKey)
	switch {
	case errors.Is(err, backup.ErrNotFound):
		return health.Coverage{}, nil
	case err != nil:
		return health.Coverage{}, fmt.Errorf("read which services no plan has: %w", err)
	}
	c := health.DecodeCoverage(row)
	return c, c.Unread
}
