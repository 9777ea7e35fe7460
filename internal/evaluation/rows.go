package evaluation

import (
	"strings"

	"lifeboat/internal/backup"
	"lifeboat/internal/checkpoint"
	"lifeboat/internal/health"
)

// Rows are the rows that an evaluation goes by. They stand side by side with the others that a timer run reads.
type Rows struct {
	// ActivePlan is the row of the active plan.
	ActivePlan backup.Row
	// Checkpoints say up to when the scheduled times of a plan are dealt with, by the plan's name. They have all plans that ever were.
	// Unread says why a plan's checkpoint cannot be read: the plan stands still.
	Checkpoints map[string]*checkpoint.Checkpoint
	Unread      map[string]error
	// Incomplete are the targets with artifacts that the catalog does not know.
	Incomplete []health.Incomplete

	// marks has the ETags of the marks by the partitions of their targets.
	marks map[string]string
	// evaluated says when the targets of a plan were evaluated last, by the plan's name, and unevaluated why that row cannot be read.
	evaluated   map[string]health.Evaluation
	unevaluated map[string]error
}

// NewRows returns no rows.
func NewRows() Rows {
	return Rows{
		Checkpoints: map[string]*checkpoint.Checkpoint{}, Unread: map[string]error{},
		marks: map[string]string{}, evaluated: map[string]health.Evaluation{}, unevaluated: map[string]error{},
	}
}

// Add adds a row; one of no other kind is a checkpoint. The error names a row that cannot be read.
func (r *Rows) Add(row backup.Row) error {
	switch {
	case row.Key == backup.ActivePlanKey:
		r.ActivePlan = row
	case strings.HasPrefix(row.Row, backup.IncompletePrefix):
		i, err := backup.Decode[health.Incomplete](row)
		if i.RowETag = row.ETag; err == nil {
			r.Incomplete = append(r.Incomplete, i)
		}
		return err
	case strings.HasPrefix(row.Row, backup.MarkPrefix):
		r.marks[strings.TrimPrefix(row.Row, backup.MarkPrefix)] = row.ETag
	case strings.HasPrefix(row.Row, backup.EvaluatedPrefix):
		v, err := health.DecodeEvaluation(row)
		if err != nil {
			r.unevaluated[strings.TrimPrefix(row.Row, backup.EvaluatedPrefix)] = err
			return err
		}
		r.evaluated[v.Plan] = v
	default:
		c, err := backup.Decode[checkpoint.Checkpoint](row)
		if err != nil {
			r.Unread[strings.TrimPrefix(row.Row, backup.CheckpointPrefix)] = err
			return err
		}
		c.ETag = row.ETag
		r.Checkpoints[c.Plan] = &c
	}
	return nil
}
