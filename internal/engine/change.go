package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/checkpoint"
	"lifeboat/internal/request"
)

func (s *schedulerState) addChanges(row backup.Row) error {
	c, err := request.DecodeChanges(row)
	if err == nil {
		s.changes[row.Key] = c
	}
	return err
}

// Changed notes a change of a service for each plan that makes a backup of it, and returns the names of these plans. A timer run
// makes the backup. If the process dies before the note, the message comes again; a note that is there already is not written.
func (e *Engine) Changed(ctx context.Context, change request.Change, plans []backup.Plan) (noted []string, err error) {
	for _, plan := range plans {
		if plan.Quiet == 0 || !plan.Has(change.Target) {
			continue
		}
		change.Target = plan.Spelled(change.Target)
		if err := e.noteChange(ctx, plan, change); err != nil {
			return noted, fmt.Errorf("note a change of %s for the plan %s: %w", change.Target, plan.Name, err)
		}
		noted = append(noted, plan.Name)
	}
	return noted, nil
}

func (e *Engine) noteChange(ctx context.Context, plan backup.Plan, change request.Change) error {
	key := backup.ChangesKey(plan.Name, change.Target)
	for range 5 {
		row, now, err := e.Catalog.Get(ctx, key)
		c := request.Changes{ForPlan: plan.Name, Target: change.Target}
		if err == nil {
			c, err = request.DecodeChanges(row)
		}
		if err != nil && !errors.Is(err, backup.ErrNotFound) {
			return err
		}
		c, news := c.With(change.Time, now, clockTolerance)
		if !news {
			return nil
		}
		_, err = e.Catalog.Apply(ctx, backup.InsertOrReplace(key, row.ETag, backup.Encode(c)))
		if _, raced := errors.AsType[*backup.WriteError](err); !raced {
			return err
		}
	}
	return errors.New("other invocations note changes of it, again and again")
}

// backUpChanges makes the backups of the plan's targets that have changed, and are quiet. It writes in an order that survives a
// crash: (1) the row, with the changes that the backup being made will have; (2) the claim of the request and its run; (3) the row
// without that mark. A change that comes meanwhile belongs to the next backup.
func (e *Engine) backUpChanges(
	ctx context.Context, plan backup.Plan, look checkpoint.Look, rows map[backup.Key]request.Changes, report *ScheduleReport,
) error {
	if plan.Quiet == 0 || look.Paused(plan) != "" {
		return nil
	}
	var errs []error
	for _, target := range plan.Targets {
		if c, ok := rows[backup.ChangesKey(plan.Name, target)]; ok {
			errs = append(errs, e.backUpChange(ctx, plan, target, c, look.Now, report))
		}
	}
	return errors.Join(errs...)
}

func (e *Engine) backUpChange(
	ctx context.Context, plan backup.Plan, target string, c request.Changes, now time.Time, report *ScheduleReport,
) error {
	key := backup.ChangesKey(plan.Name, target)
	if c.Making.IsZero() {
		if due := c.Due(plan); due.IsZero() || now.Before(due) {
			return nil
		}
		c = c.Make(now.Add(-clockTolerance)) // Azure's clocks are not one clock
		etags, err := e.Catalog.Apply(ctx, backup.Write{Op: backup.Replace, Key: key, ETag: c.RowETag, Body: backup.Encode(c)})
		if errors.Is(err, backup.ErrChanged) {
			return nil // by another timer run, or a change: the next timer run sees it
		}
		if err != nil {
			return fmt.Errorf("note that a backup of the changes of %s is made: %w", target, err)
		}
		c.RowETag = etags[0]
	}
	b, _, err := e.Backup(ctx, request.Backup{ID: c.RequestID(target), Plan: plan.Name, Target: target}, []backup.Plan{plan})
	if err != nil {
		return fmt.Errorf("back the changes of %s up: %w", target, err)
	}
	for _, run := range b.Runs {
		report.Created = append(report.Created, run.ID)
	}
	c.Making = time.Time{}
	return e.apply(ctx, backup.Write{Op: backup.Replace, Key: key, ETag: c.RowETag, Body: backup.Encode(c)})
}
