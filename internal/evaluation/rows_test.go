package evaluation_test

import (
	"testing"

	"lifeboat/internal/backup"
	"lifeboat/internal/checkpoint"
	"lifeboat/internal/evaluation"
	"lifeboat/internal/health"
)

// TestOlderVersionsPassOverMarks: they take an unknown row among the checkpoints for a checkpoint. So a mark, and the row about
// unknown artifacts, must look like checkpoints of no plan. This version takes neither for a checkpoint.
func TestOlderVersionsPassOverMarks(t *testing.T) {
	const target = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ApiManagement/service/a"
	unknown := health.Incomplete{Target: target, Plan: "nightly"}
	for _, row := range []backup.Row{
		{Key: health.Mark(target).Key, Body: health.Mark(target).Body},
		{Key: unknown.Key(), Body: backup.Encode(unknown)},
	} {
		if m, err := backup.Decode[checkpoint.Checkpoint](row); err != nil || m.Plan != "" || !m.InProgress.IsZero() || m.Paused != "" {
			t.Errorf("%s is read as %+v, %v", row.Body, m, err)
		}
		if row.Row >= backup.Behind(backup.CheckpointPrefix) {
			t.Errorf("%s is not where timer runs read", row.Row)
		}
		rows := evaluation.NewRows()
		if err := rows.Add(row); err != nil || len(rows.Checkpoints) > 0 {
			t.Errorf("%s is taken for %v, %v", row.Row, rows.Checkpoints, err)
		}
	}
}
