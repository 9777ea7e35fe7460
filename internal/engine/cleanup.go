package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/deletion"
	"lifeboat/internal/health"
	"lifeboat/internal/retention"
	"lifeboat/internal/stop"
)

// CleanupReport says what one cleanup did.
type CleanupReport struct {
	// Scanned counts the targets with something due.
	Scanned int
	// Deletions are the deletions that this cleanup tried, with the reasons. Keep says that the point is still there, and the reason why.
	// Kept counts the other recovery points that it read, and left alone.
	Deletions []retention.Decision
	Kept      int
	// SoftDeleted are the recovery points that it soft-deleted, with the reasons.
	SoftDeleted []retention.Decision
	// Waiting counts the kept points that wait, since no more of their target may be deleted in a day.
	Waiting int
	// Stopped says why it deleted nothing, or nothing more; "" if it could.
	Stopped string
	// SurveyDue says that it is time for [Engine.Survey], with Coverage, the row as it was read, at Now by the catalog's clock.
	SurveyDue bool
	Coverage  health.Coverage
	Now       time.Time
	// Pruned counts the runs that were older than the history.
	Pruned int
	// Failed are the errors of deletions; they are tried again.
	Failed []error
}

// Cleanup deletes expired points. It reads the index of due points, and only the points of those targets. It may be killed
// anywhere: a point stays "deleting" until its artifact is gone, and its entry until the point is expired. Once in
// [health.CountEvery] it counts the recovery points. It returns an [apps.NotOwner] if another app owns the catalog, and does nothing.
func (e *Engine) Cleanup(ctx context.Context) (CleanupReport, error) {
	var report CleanupReport
	was, written, stopped, err := e.beginCleanup(ctx)
	if report.Stopped = stopped.Why(); err != nil {
		return report, err
	}
	own := e.Now()
	now, err := e.cleanDue(ctx, &report)
	if err != nil {
		return report, err
	}
	then := now.Add(e.Now().Sub(own))
	report.Coverage, report.Now = written.coverage, then
	report.SurveyDue = e.Search != nil && written.coverage.Due(then, then.Add(clockTolerance))
	err = errors.Join(ctx.Err(), e.noteCleanup(ctx, was, then), e.countStock(ctx, written.stock, then), written.coverage.Unread)
	pruned, unpruned := e.prune(ctx, written.pruned, report.Stopped, then) // last: it may take its time
	report.Pruned = pruned
	return report, errors.Join(err, unpruned)
}

// cleanupPage is the number of due entries that a cleanup reads at once.
const cleanupPage = 1000

// cleanDue cleans the targets up whose entries are due, and returns the time by the catalog's clock. It does a page, the next cleanup the
// next one. An entry stays due if it cannot be read, or its target cannot be cleaned up: then this one goes past it, so that no target's
// trouble stops the expiry of others.
func (e *Engine) cleanDue(ctx context.Context, report *CleanupReport) (now time.Time, err error) {
	from, until, troubled := "", backup.TimeKey(e.Now().Add(backup.Resolution)), map[string]bool{}
	for {
		rows, at, err := e.Catalog.List(ctx, backup.DuePartition, from, until, cleanupPage)
		if err != nil {
			return now, fmt.Errorf("list what is due for cleanup: %w", err)
		}
		if from == "" {
			now = at
			if err := e.checkClock(ctx, e.Now(), now); err != nil {
				return now, err
			}
		}
		targets, entries, failed := deletion.ReadDue(rows)
		report.Failed = append(report.Failed, failed...)
		past := len(failed) > 0
		for _, target := range targets {
			if report.Stopped != "" || ctx.Err() != nil {
				return now, nil // the entries stay, so that the first cleanup after the stop, or the next one, goes on
			}
			if !troubled[target] {
				troubled[target] = !e.cleanOne(ctx, target, entries[target], now, report)
			}
			past = past || troubled[target]
		}
		if len(rows) < cleanupPage || !past {
			return now, nil
		}
		from = rows[len(rows)-1].Row + "!"
	}
}

// cleanOne cleans a target up, and says whether it could, or was stopped.
func (e *Engine) cleanOne(ctx context.Context, target string, entries []deletion.Due, now time.Time, report *CleanupReport) bool {
	report.Scanned++
	err := e.cleanTarget(ctx, target, entries, now, report)
	if report.Stopped = stop.Reason(err); err == nil || report.Stopped != "" {
		return true
	}
	report.Failed = append(report.Failed, fmt.Errorf("clean up %s: %w", target, err))
	return false
}

// countStock counts the recovery points if it is time, also while nothing is deleted. A count that is cut off leaves the last one.
func (e *Engine) countStock(ctx context.Context, was health.Stock, now time.Time) error {
	if ctx.Err() != nil || !was.Due(now, now.Add(clockTolerance)) {
		return was.Unread
	}
	count, err := deletion.Count(ctx, e.Catalog, e.RecoveryPoint)
	if err != nil {
		return err
	}
	body := backup.Encode(health.Stock{At: now, Points: count.Stocked(), Carried: was.Carried})
	if err := e.apply(ctx, backup.InsertOrReplace(backup.StockKey, was.ETag, body)); err != nil {
		return fmt.Errorf("save how many recovery points there are: %w", err)
	}
	return nil
}

func (e *Engine) cleanTarget(ctx context.Context, target string, entries []deletion.Due, now time.Time, report *CleanupReport) error {
	r, err := e.read(ctx, target, entries, now, false)
	if err != nil {
		return err
	}
	decisions, others := r.review.Decide()
	if len(r.review.Waiting().Points) > 0 { // the pace goes by the number of all points
		if r, err = e.read(ctx, target, entries, now, true); err != nil {
			return err
		}
		decisions, others = r.review.Decide()
	}
	review, left, pace := r.review, r.left, r.pace
	report.Failed = append(report.Failed, r.failed...)
	switch err := e.countAgain(ctx, target, review, now); {
	case errors.Is(err, errConflict):
		return nil // the entries stay: the next cleanup decides by the new rows
	case err != nil:
		return err
	}
	pace = pace.After(review.Waiting())
	if err := e.wake(ctx, target, decisions, entries, now); err != nil {
		return err
	}
	report.Kept += others
	looks := map[string]deletion.Look{}
	if err := e.unmark(ctx, decisions, left, now); err != nil {
		return err // before another one is deleted in favor of a point that is not live yet
	}
	for _, d := range decisions {
		if d.Keep {
			if report.Kept++; d.Waits {
				report.Waiting++
			}
			looks[d.Point.ID] = deletion.Look{Rests: d.Rests, Next: d.Next}
			continue
		}
		act := e.expire
		if d.Mark {
			act = e.softDelete
		}
		p, err := act(ctx, d, &pace, now)
		if stop.Reason(err) != "" {
			return err
		}
		if errors.Is(err, deletion.ErrPaceChanged) {
			return nil // the entries stay: the next cleanup decides by the new row
		}
		if err != nil { // perhaps it is not saved: its entry must not go a week away
			p.KeptByStorage.Again = time.Time{}
		}
		if left[p.ID] = p; d.Mark && err == nil {
			report.SoftDeleted = append(report.SoftDeleted, d)
			continue
		}
		if p.State != backup.Expired {
			d.Keep, d.Reason = true, p.Reason.Message
		}
		if err != nil {
			report.Failed = append(report.Failed, err)
			d.Reason = cmp.Or(d.Reason, err.Error())
		}
		report.Deletions = append(report.Deletions, d)
	}
	switch err := e.wait(ctx, target, review.Waiting(), entries, pace, now); {
	case errors.Is(err, errConflict):
		return nil
	case err != nil:
		return err
	}
	var undeleted []backup.Point
	for _, id := range slices.Sorted(maps.Keys(left)) {
		undeleted = append(undeleted, left[id])
	}
	if err := deletion.Note(ctx, e.Catalog, target, undeleted, e.RecoveryPoint); err != nil {
		return err // the entries stay, so that the next cleanup notes it
	}
	if slices.ContainsFunc(entries, func(d deletion.Due) bool { return left[d.Point].State == backup.Altered }) {
		// A manifest of that may wait in the outbox. The entries stay until a timer run knows of it.
		if err := e.Outbox().HandOver(ctx, backup.Partition(target)); err != nil {
			return err
		}
	}
	if slices.ContainsFunc(decisions, func(d retention.Decision) bool { return d.Unmark || !d.Keep && d.Point.Unaccepted() }) {
		if err := e.mark(ctx, target); err != nil { // health goes by no other that is deleted: the newest live one stays
			return err
		}
	}
	var errs []error
	for _, d := range entries {
		errs = append(errs, e.dueIndex(now).DropOrMove(ctx, d, left[d.Point], looks[d.Point]))
	}
	return errors.Join(errs...)
}

// wake has the next cleanup look at the points that this one deletes without an entry of theirs that is due: it may be at rest, or stand
// at the time until which the point was to wait.
func (e *Engine) wake(ctx context.Context, target string, decisions []retention.Decision, entries []deletion.Due, now time.Time) error {
	var out []string
	for _, d := range decisions {
		there := slices.ContainsFunc(entries, func(due deletion.Due) bool { return due.Point == d.Point.ID })
		if !d.Keep && !there && (d.Paced || d.Point.Counted || d.Point.Expires.IsZero()) {
			out = append(out, d.Point.ID)
		}
	}
	if len(out) == 0 {
		return nil
	}
	return deletion.PutOut(ctx, e.Catalog, target, out, now, now)
}

// expire deletes the artifact of one point, and returns the point as it is then.
func (e *Engine) expire(ctx context.Context, d retention.Decision, pace *retention.Pace, now time.Time) (backup.Point, error) {
	provider, err := e.provider(d.Point.Target)
	if err != nil {
		return d.Point, err
	}
	files, err := e.Files(ctx, d.Point)
	if err != nil {
		return d.Point, err
	}
	expiry := e.deletion(now)
	expiry.Provider, expiry.Pace = provider, pace
	return expiry.Delete(ctx, d, files)
}

// deletion returns a deletion without its provider.
func (e *Engine) deletion(now time.Time) deletion.Deletion {
	return deletion.Deletion{
		Catalog: e.Catalog, Announce: e.Outbox().Announce, CallTime: callTime, Recheck: e.Timings.Recheck, Now: now,
		MayBegin: e.Ownership().MayBegin,
	}
}

// softDelete soft-deletes one point, and returns it as it is then.
func (e *Engine) softDelete(ctx context.Context, d retention.Decision, pace *retention.Pace, now time.Time) (backup.Point, error) {
	begin := e.deletion(now)
	begin.Pace = pace
	return begin.Mark(ctx, d)
}

// unmark ends the soft deletion of each point that the policy never deletes.
func (e *Engine) unmark(ctx context.Context, decisions []retention.Decision, left map[string]backup.Point, now time.Time) error {
	for i, d := range decisions {
		if !d.Unmark {
			continue
		}
		p, err := e.deletion(now).Unmark(ctx, d)
		if err != nil {
			return err
		}
		decisions[i].Point, left[p.ID] = p, p
	}
	return nil
}

// dueIndex drops or moves the entries of due points.
func (e *Engine) dueIndex(now time.Time) deletion.Index {
	return deletion.Index{
		Catalog: e.Catalog, Load: e.load, Apply: e.apply, MayBegin: e.Ownership().MayBegin, RemoveLate: e.removeLate, Recheck: e.Timings.Recheck, Now: now,
		RemoveManifests: func(ctx context.Context, p backup.Point) error {
			return limited(ctx, func(ctx context.Context) error { return e.keeper().Delete(ctx, p) })
		},
	}
}

// removeLate deletes what the operation of a run that was given up has written since.
func (e *Engine) removeLate(ctx context.Context, run backup.Run) error {
	provider, err := e.provider(run.Target)
	if err == nil {
		err = remove(ctx, provider, run.ProviderAttempt(run.ArtifactName(0)), "", true)
	}
	if err != nil {
		return fmt.Errorf("delete what the abandoned run %s has written: %w", run.ID, err)
	}
	return nil
}
