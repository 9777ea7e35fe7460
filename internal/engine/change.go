package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/request"
)

// changes is the row of a target whose changes make backups by a plan. A timer run reads it with the checkpoints. All times of
// changes are of Azure's clock: events come late, twice, and in any order.
type changes struct {
	// ForPlan is the plan's name. It is not called Plan: an older version would take the row for the checkpoint of the plan.
	ForPlan string `json:"ForPlan"`
	Target  string `json:"Target"`
	// First and Last are the times of the changes that no backup has yet; zero if there are none.
	First time.Time `json:"First,omitzero"`
	Last  time.Time `json:"Last,omitzero"`
	// Making is First of the changes whose backup is being made; zero if none is. It gives the request for the backup its ID.
	Making time.Time `json:"Making,omitzero"`
	// Covered is the time up to which changes are in a backup that was made or is being made.
	Covered time.Time `json:"Covered,omitzero"`

	backup.Carried
	etag string
}

func (s *schedulerState) addChanges(row backup.Row) error {
	c, err := backup.Decode[changes](row)
	if err != nil {
		return err
	}
	c.etag = row.ETag
	s.changes[row.Key] = c
	return nil
}

// due returns the time of the backup: when there were no changes for the plan's time, but not long after the first. Zero: there
// is nothing to back up.
func (c changes) due(plan backup.Plan) time.Time {
	quiet, latest := c.Last.Add(plan.Quiet), c.First.Add(backup.LongestQuiet)
	switch {
	case c.First.IsZero():
		return time.Time{}
	case latest.Before(quiet):
		return latest
	}
	return quiet
}

// Changed notes a change of a service for each plan that makes a backup of it, and returns the names of these plans. A timer run
// makes the backup. If the process dies before the note, the message comes again; a note that is there already is not written.
func (e *Engine) Changed(ctx context.Context, change request.Change, plans []backup.Plan) (noted []string, err error) {
	for _, plan := range plans {
		if plan.Quiet == 0 || !plan.Has(change.Target) {
			continue
		}
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
		c := changes{ForPlan: plan.Name, Target: change.Target}
		if err == nil {
			c, err = backup.Decode[changes](row)
		}
		if err != nil && !errors.Is(err, backup.ErrNotFound) {
			return err
		}
		at := change.Time
		if at.IsZero() || at.After(now) {
			at = now // no change is in the future: such a time would put the backup off
		}
		if !at.After(c.Covered) || !c.First.IsZero() && !at.Before(c.First) && !at.After(c.Last) {
			return nil
		}
		if c.First.IsZero() || at.Before(c.First) {
			c.First = at
		}
		c.Last = backup.Later(c.Last, at)
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
	ctx context.Context, plan backup.Plan, rows map[backup.Key]changes, now time.Time, report *ScheduleReport,
) error {
	if plan.Quiet == 0 || e.paused(plan) != "" {
		return nil
	}
	var errs []error
	for _, target := range plan.Targets {
		if c, ok := rows[backup.ChangesKey(plan.Name, target)]; ok {
			errs = append(errs, e.backUpChange(ctx, plan, target, c, now, report))
		}
	}
	return errors.Join(errs...)
}

func (e *Engine) backUpChange(
	ctx context.Context, plan backup.Plan, target string, c changes, now time.Time, report *ScheduleReport,
) error {
	key := backup.ChangesKey(plan.Name, target)
	if c.Making.IsZero() {
		if due := c.due(plan); due.IsZero() || now.Before(due) {
			return nil
		}
		// A change before now is in the backup also if its event comes later. Azure's clocks are not one clock.
		c.Making, c.Covered = c.First, backup.Later(c.Last, now.Add(-clockTolerance))
		c.First, c.Last = time.Time{}, time.Time{}
		etags, err := e.Catalog.Apply(ctx, backup.Write{Op: backup.Replace, Key: key, ETag: c.etag, Body: backup.Encode(c)})
		if errors.Is(err, backup.ErrChanged) {
			return nil // by another timer run, or a change: the next timer run sees it
		}
		if err != nil {
			return fmt.Errorf("note that a backup of the changes of %s is made: %w", target, err)
		}
		c.etag = etags[0]
	}
	id := "onChange." + plan.Name + "." + backup.Partition(target) + "." + c.Making.UTC().Format("20060102T150405.000000000Z")
	b, _, err := e.Backup(ctx, request.Backup{ID: id, Plan: plan.Name, Target: target}, []backup.Plan{plan})
	if err != nil {
		return fmt.Errorf("back the changes of %s up: %w", target, err)
	}
	for _, run := range b.Runs {
		report.Created = append(report.Created, run.ID)
	}
	c.Making = time.Time{}
	return e.apply(ctx, backup.Write{Op: backup.Replace, Key: key, ETag: c.etag, Body: backup.Encode(c)})
}
