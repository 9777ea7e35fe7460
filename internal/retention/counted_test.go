package retention_test

import (
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/retention"
)

// TestARowWithoutCountsHoldsNothing takes the counts out of a plan. Its row has the newest point still, and the point's own day counts: else
// it would stay for good once the plan is gone.
func TestARowWithoutCountsHoldsNothing(t *testing.T) {
	c, _ := retention.Counted{}.Renew("nightly", backup.Settings{KeepCounts: backup.Counts{Last: 1, Zone: "UTC"}}, 0, time.UTC)
	c, _ = c.Add(time.UTC, begin, backup.Point{ID: "p", Plan: "nightly", State: backup.Live, Created: begin})
	if !c.Holds("p") {
		t.Error("a count does not hold it")
	}
	if c, _ = c.Renew("nightly", backup.Settings{KeepWithin: day}, 0, time.UTC); c.Holds("p") {
		t.Error("no count is left, and it is held")
	}
}
