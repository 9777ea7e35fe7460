package admission

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"lifeboat/internal/backup"
)

// Rows has the rows of the permits and of the wait queue, as a timer run read them: in their order, restores first. Notes are the
// notes of the restores.
type Rows struct{ Permits, Queue, Notes []backup.Row }

// Add adds a row, and tells whether it belongs here.
func (r *Rows) Add(row backup.Row) bool {
	switch {
	case strings.HasPrefix(row.Row, backup.PermitPrefix):
		r.Permits = append(r.Permits, row)
	case strings.HasPrefix(row.Row, backup.QueuePrefix):
		r.Queue = append(r.Queue, row)
	case strings.HasPrefix(row.Row, backup.RestoreNotePrefix):
		r.Notes = append(r.Notes, row)
	default:
		return false
	}
	return true
}

// room returns the number of permits that the bound has left. A bound that limits nothing has room for the whole queue.
func (r Rows) room(b Bound) int { return r.roomBefore(b, b.Most) }

// roomBefore returns how many of the first n places of the bound are left.
func (r Rows) roomBefore(b Bound, n int) int {
	if b.Most <= 0 {
		return len(r.Queue)
	}
	left, end := n, b.place(n)
	for _, p := range r.Permits {
		if strings.HasPrefix(p.Row, b.prefix) && (p.Row < end || n == b.Most) {
			left--
		}
	}
	return left
}

// promised returns how many permits of a bound waiting restores take first, by the prefix of the bound. A restore whose plan has no
// permit left takes none.
func (r Rows) promised(first []note) map[string]int {
	promised := map[string]int{}
	for _, e := range first {
		plan := ofPlan(e.Of, e.Most)
		if plan.Most > 0 && r.room(plan) <= promised[plan.prefix] {
			continue
		}
		promised[backup.AllPermits]++
		promised[plan.prefix]++
	}
	return promised
}

// Dispatcher wakes runs in the wait queue.
type Dispatcher struct {
	Queue backup.Queue
	// Load reads a run by its ID.
	Load func(ctx context.Context, id string) (backup.Run, time.Time, error)
	// Apply makes writes. If another invocation changed or deleted a row meanwhile, that is fine.
	Apply func(ctx context.Context, writes ...backup.Write) error
	// Most is the bound of all runs.
	Most int
}

// Dispatch wakes as many runs as there are permits for, restores first, and returns their number. It wakes backups for the permits
// that are left then, and are not kept for restores. It decides nothing: a run that is woken acquires
// its permit itself, or stays in the queue.
func (d Dispatcher) Dispatch(ctx context.Context, rows Rows, now time.Time) (woken int, err error) {
	var errs []error
	all, plans := ofAll(d.Most), map[string]int{}
	room, backups := rows.room(all), rows.roomBefore(all, all.Most-all.Kept)
	for _, row := range rows.Queue {
		restores := strings.HasPrefix(row.Row, backup.RestoreQueuePrefix)
		if room <= woken || !restores && backups <= 0 {
			break
		}
		e, err := backup.Decode[entry](row)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if _, known := plans[e.Plan]; !known {
			plans[e.Plan] = rows.room(ofPlan(e.Plan, e.Most))
		}
		if plans[e.Plan] <= 0 {
			continue
		}
		waits, err := d.wake(ctx, row, e, now)
		if errs = append(errs, err); waits {
			woken++
			plans[e.Plan]--
			if !restores {
				backups--
			}
		}
	}
	errs = append(errs, d.drop(ctx, rows, now))
	if woken == 0 && len(rows.Queue) > 0 && len(rows.Permits) > 0 {
		// No run could begin. A process that died may have left a permit without an owner: each timer run checks one of them, by
		// chance. A count of the minutes would pick the same ones for ever if timer runs are several minutes apart.
		errs = append(errs, d.reclaim(ctx, rows.Permits[backup.Fraction(backup.TimeKey(now), uint64(len(rows.Permits)))]))
	}
	return woken, errors.Join(errs...)
}

// entering is longer than an invocation may take between the write of a run's row of the queue and the save of the run.
const entering = 10 * time.Minute

// wake sends a run its expected step message once more, or deletes the row of the queue if the run does not wait there: a row
// that stays would hold a permit back from backups.
func (d Dispatcher) wake(ctx context.Context, row backup.Row, e entry, now time.Time) (waits bool, err error) {
	run, _, err := d.Load(ctx, e.Run)
	switch {
	case err != nil && !errors.Is(err, backup.ErrNotFound):
		return false, fmt.Errorf("wake run %s: %w", e.Run, err)
	case err == nil && run.QueueRow == row.Row:
		return true, d.Queue.SendStep(ctx, run.StepMessage(), 0)
	case (run.State == backup.Queued || run.State == backup.Waiting) && (e.Since.IsZero() || now.Sub(e.Since) < entering):
		return false, nil // a run saves its row of the queue after writing it: it may be about to do so
	}
	return false, d.Apply(ctx, backup.Write{Op: backup.Delete, Key: row.Key, ETag: row.ETag})
}

// drop deletes the notes of restores that stand in the wait queue no more: an older version leaves them behind.
func (d Dispatcher) drop(ctx context.Context, rows Rows, now time.Time) error {
	var errs []error
	for _, row := range rows.Notes {
		n, err := backup.Decode[note](row)
		queued := slices.ContainsFunc(rows.Queue, func(q backup.Row) bool { return backup.RestoreNoteRow(q.Row) == row.Row })
		if !queued && (err != nil || now.Sub(n.Since) >= entering) {
			errs = append(errs, d.Apply(ctx, backup.Write{Op: backup.Delete, Key: row.Key, ETag: row.ETag}))
		}
	}
	return errors.Join(errs...)
}

// reclaim deletes a permit if its run has ended, or has another permit of the same bound instead.
func (d Dispatcher) reclaim(ctx context.Context, row backup.Row) error {
	p, err := backup.Decode[permit](row)
	if err != nil {
		return err
	}
	run, _, err := d.Load(ctx, p.Run)
	if err != nil && !errors.Is(err, backup.ErrNotFound) {
		return err
	}
	lost := err != nil || run.State.Final() && !run.Unpublished || len(run.Permits) > 0
	if !lost || slices.ContainsFunc(run.Permits, func(own backup.Permit) bool { return own.Row == row.Row }) {
		return nil
	}
	return d.Apply(ctx, backup.Write{Op: backup.Delete, Key: row.Key, ETag: row.ETag})
}
