package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/deletion"
	"lifeboat/internal/retention"
	"lifeboat/internal/stop"
)

// due is an entry of the index by which cleanup finds expired points without reading the history. It is written before the point,
// so that a crash leaves an entry too many, never one too few.
type due struct {
	Point   string    `json:"Point"`
	Target  string    `json:"Target"`
	Created time.Time `json:"Created"`

	row backup.Row
}

func (s *step) putDue(ctx context.Context, p backup.Point) error {
	key := backup.DueKey(p.Expires, p.ID)
	body := backup.Encode(due{Point: p.ID, Target: p.Target, Created: s.clock()})
	if _, err := s.Catalog.Apply(ctx, backup.Write{Op: backup.Put, Key: key, Body: body}); err != nil {
		return fmt.Errorf("note when the recovery point of run %s expires: %w", p.ID, err)
	}
	return nil
}

// CleanupReport says what one cleanup did.
type CleanupReport struct {
	// Scanned counts the targets with something due.
	Scanned int
	// Deletions are the deletions that this cleanup tried, with the reasons. Keep says that the point is still there, and the reason why.
	// Kept counts the other recovery points that it read, and left alone.
	Deletions []retention.Decision
	Kept      int
	// Stopped says why it deleted nothing, or nothing more; "" if it could.
	Stopped string
	// Failed are the errors of deletions; they are tried again.
	Failed []error
}

// Cleanup deletes expired points. It reads the index of due points, and only the points of those targets. It may be killed
// anywhere: a point stays "deleting" until its artifact is gone, and its entry until the point is expired. It returns an
// [apps.NotOwner] if another app owns the catalog, and does nothing.
func (e *Engine) Cleanup(ctx context.Context) (CleanupReport, error) {
	var report CleanupReport
	was, stopped, err := e.beginCleanup(ctx)
	if report.Stopped = stopped.Why(); err != nil {
		return report, err
	}
	own := e.Now()
	rows, now, err := e.Catalog.List(ctx, backup.DuePartition, "", backup.TimeKey(own.Add(backup.Resolution)), 1000)
	if err != nil {
		return report, fmt.Errorf("list what is due for cleanup: %w", err)
	}
	if err := e.checkClock(ctx, e.Now(), now); err != nil {
		return report, err
	}
	entries := map[string][]due{}
	var targets []string
	for _, row := range rows {
		d, err := backup.Decode[due](row)
		if err != nil {
			report.Failed = append(report.Failed, err)
			continue
		}
		if entries[d.Target] == nil {
			targets = append(targets, d.Target)
		}
		d.row = row
		entries[d.Target] = append(entries[d.Target], d)
	}
	for _, target := range targets {
		if report.Stopped != "" {
			break // the entries stay, so that the first cleanup after the stop goes on
		}
		report.Scanned++
		err := e.cleanTarget(ctx, target, entries[target], now, &report)
		if report.Stopped = stop.Reason(err); err != nil && report.Stopped == "" {
			report.Failed = append(report.Failed, fmt.Errorf("clean up %s: %w", target, err))
		}
	}
	return report, errors.Join(ctx.Err(), e.noteCleanup(ctx, was, now.Add(e.Now().Sub(own))))
}

func (e *Engine) cleanTarget(ctx context.Context, target string, entries []due, now time.Time, report *CleanupReport) error {
	// An older point is not due: it is expired, or kept for longer. So cleanup does not read more as the history grows. If it
	// misses the newest point because that point's run took too long, it keeps one point too many: never one too few.
	last := ""
	for _, d := range entries {
		last = max(last, e.reach(d))
	}
	points, err := e.points(ctx, target, last)
	if err != nil {
		return err
	}
	for i, p := range points {
		if p.State == backup.Expired || len(p.Readers) == 0 {
			continue
		}
		reader, err := e.reading(ctx, p)
		if err != nil {
			return err
		}
		if points[i].Readers = nil; reader != "" {
			points[i].Readers = []string{reader}
		}
	}
	for _, p := range points {
		if p.State == backup.Unreadable {
			report.Failed = append(report.Failed, fmt.Errorf("nothing of %s is deleted: %s", target, p.Reason.Message))
		}
	}
	decisions := retention.Retain(points, now)
	left := map[string]backup.Point{}
	for _, p := range points {
		left[p.ID] = p
	}
	for _, d := range decisions {
		if d.Keep {
			report.Kept++
			continue
		}
		p, err := e.expire(ctx, d, now)
		if stop.Reason(err) != "" {
			return err
		}
		if left[p.ID] = p; p.State != backup.Expired {
			d.Keep, d.Reason = true, p.Reason.Message
		}
		if err != nil {
			report.Failed = append(report.Failed, err)
			d.Reason = cmp.Or(d.Reason, err.Error())
		}
		report.Deletions = append(report.Deletions, d)
	}
	for i, p := range points {
		points[i] = left[p.ID]
	}
	if err := deletion.Note(ctx, e.Catalog, target, points, e.RecoveryPoint); err != nil {
		return err // the entries stay, so that the next cleanup notes it
	}
	if slices.ContainsFunc(entries, func(d due) bool { return left[d.Point].State == backup.Altered }) {
		// A manifest of that may wait in the outbox. The entries stay until a timer run knows of it.
		if err := e.Outbox().HandOver(ctx, backup.Partition(target)); err != nil {
			return err
		}
	}
	var errs []error
	for _, d := range entries {
		errs = append(errs, e.dropOrMove(ctx, d, left[d.Point], now))
	}
	return errors.Join(errs...)
}

// expire deletes the artifact of one point, and returns the point as it is then.
func (e *Engine) expire(ctx context.Context, d retention.Decision, now time.Time) (backup.Point, error) {
	provider, err := e.provider(d.Point.Target)
	if err != nil {
		return d.Point, err
	}
	files, err := e.Files(ctx, d.Point)
	if err != nil {
		return d.Point, err
	}
	return deletion.Deletion{
		Catalog: e.Catalog, Provider: provider, Announce: e.Outbox().Announce, CallTime: callTime, Recheck: e.Timings.Recheck, Now: now,
		MayBegin: e.Ownership().MayBegin,
	}.Delete(ctx, d, files)
}

// dropOrMove drops the index entry if its point is expired or never came to be; otherwise it moves the entry to a later time. The
// point is the zero value if it was not among the points that were read.
func (e *Engine) dropOrMove(ctx context.Context, d due, p backup.Point, now time.Time) error {
	stays := p.State != backup.Expired
	var late error
	if !stays {
		// The entry goes last: after a crash the next cleanup deletes the rest of the manifests.
		late = limited(ctx, func(ctx context.Context) error { return e.keeper().Delete(ctx, p) })
		if stays = late != nil; stays && backup.AsFault(late).Kind == backup.Kept {
			late = nil // it is deleted once nothing protects it
		}
	}
	if p.State == "" {
		// The run ended without the point, or has just made it, or is about to.
		run, _, err := e.load(ctx, d.Point)
		if err != nil && !errors.Is(err, backup.ErrNotFound) {
			return err
		}
		stays = err == nil && (run.State == backup.Succeeded || !run.State.Final())
		if run.GivenUp() {
			stays, late = now.Sub(run.Ended) < deletion.LongestKept*e.Timings.Recheck, e.removeLate(ctx, run)
		}
		if stop.Reason(late) != "" {
			return late
		}
	}
	writes := []backup.Write{{Op: backup.Delete, Key: d.row.Key, ETag: d.row.ETag}}
	if stays {
		wait := max(e.Timings.Recheck, backup.Resolution, p.KeptByStorage.Again.Sub(now))
		if p.Undeleted.Hashing.Offset > 0 {
			wait = backup.Resolution // the next timer run reads on
		}
		later := backup.DueKey(now.Add(wait), d.Point)
		writes = append(writes, backup.Write{Op: backup.Put, Key: later, Body: d.row.Body})
	}
	if err := e.apply(ctx, writes...); err != nil {
		return fmt.Errorf("move the index entry of run %s: %w", d.Point, err)
	}
	return late
}

// removeLate deletes what the operation of a run that was given up has written since, where its name shows the run. Cleanup looks
// for it as long as for a kept point.
func (e *Engine) removeLate(ctx context.Context, run backup.Run) error {
	provider, err := e.provider(run.Target)
	if err == nil {
		err = e.Ownership().MayBegin(ctx)
	}
	if err == nil {
		err = remove(ctx, provider, run.ProviderAttempt(run.ArtifactName(0)), "", true)
	}
	if err != nil {
		return fmt.Errorf("delete what the abandoned run %s has written: %w", run.ID, err)
	}
	return nil
}

// longestRun is the longest time that a run takes, in Timings.Operation: one to wait for its target, one to look for each of three
// lost starts, one for the service, one to verify.
const longestRun = 6

// reach returns the row key up to which cleanup reads points for the sake of a due one. It is the key of the due point itself or
// further: up to the oldest run that took so long that its point can be newer all the same.
func (e *Engine) reach(d due) string {
	reach := backup.PointPrefix + backup.Countdown(d.Created.Add(-longestRun*e.Timings.Operation))
	if _, err := backup.RunKey(d.Point); err != nil {
		return reach // the entry is broken, and dropped
	}
	return max(reach, backup.Point{ID: d.Point}.Key().Row+"!")
}
