package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/deletion"
	"lifeboat/internal/event"
	"lifeboat/internal/manifest"
	"lifeboat/internal/retention"
)

// succeed ends the run with its recovery point, live or suspect, and with the acceptance of the points that it makes live. If
// cleanup or a person changed one of these meanwhile, nothing is saved, and the step is made again.
func (s *step) succeed(ctx context.Context, p backup.Point, files []backup.File) error {
	if s.run.Restore != nil {
		return s.safetyBackedUp(ctx, p, files)
	}
	page, err := backup.RecentPointsAndCounted(ctx, s.Catalog, p.Target, 2*retention.Trailing, func(points []backup.Point) bool {
		trusted := 0
		for _, p := range points {
			if p.InBaseline() {
				trusted++
			}
		}
		return trusted >= retention.Trailing
	})
	if err != nil {
		return err
	}
	if slices.ContainsFunc(page.Points, func(b backup.Point) bool { return b.ID == p.ID }) {
		return errConflict // another invocation was faster, and its recovery point must not be compared with itself
	}
	p, made := retention.CheckSize(p, page.Points, s.clock())
	counted, err := s.countMade(ctx, page, &p, made)
	if err != nil {
		return err
	}
	if err := deletion.PutDue(ctx, s.Catalog, p, counted.out, s.clock()); err != nil {
		return err
	}
	s.toOutbox(manifest.NoteMade(p, files, s.clock()))
	s.toOutbox(counted.events...)
	writes := append(p.Insert(files), counted.writes...)
	for _, m := range made {
		writes = append(writes, m.Replace())
		s.toOutbox(event.PointAccepted(m), manifest.Note(m, manifest.Accepted, m.Accepted.Time))
	}
	var why backup.Reason
	if p.State == backup.Suspect {
		why = p.Suspicion
	}
	before := s.run
	err = s.end(ctx, succeeds, why, writes...)
	if errors.Is(err, errTaken) {
		s.run, s.pending = before, nil
		return s.end(ctx, loses, artifactTaken(p))
	}
	return err
}

// artifactTaken is the reason of a run that found another run's artifact.
func artifactTaken(p backup.Point) backup.Reason {
	return backup.NewReason("ArtifactTaken", "the run found the artifact "+p.Artifact+", which belongs to another recovery point of the "+
		"target; the outcome of the run's own operation is unknown", "Ask for the backup again.")
}

// ErrPointGone: the recovery point is being deleted, or expired.
var ErrPointGone = errors.New("there is nothing left of it")

// Accept makes a suspect recovery point a live one, because a person vouches for it, and publishes an event. By names the
// request. A live point stays as it is. It returns ErrNotFound if there is no recovery point with the ID, and ErrPointGone if
// cleanup was faster.
func (e *Engine) Accept(ctx context.Context, id, by, why string) (backup.Point, error) {
	return e.changePoint(ctx, id, func(_ backup.Run, p *backup.Point, now time.Time) ([]backup.Event, error) {
		switch p.State {
		case backup.Live:
			return nil, nil
		case backup.Suspect:
			p.State, p.Accepted = backup.Live, backup.Acceptance{Time: now, By: by, Reason: why}
			return []backup.Event{event.PointAccepted(*p), manifest.Note(*p, manifest.Accepted, now)}, nil
		}
		return nil, fmt.Errorf("%w: the recovery point %s is %s: %s", ErrPointGone, id, p.State, p.Reason.Message)
	})
}

// changePoint makes one change of a recovery point, because a person wants it, under the ETag that it read: as often as another writer
// is faster. A change without events is none.
//
// It writes an index entry first, so that the rescuer sends the events after a crash. The entry is due after the save: before
// it, the rescuer would drop the entry.
func (e *Engine) changePoint(
	ctx context.Context, id string, change func(run backup.Run, p *backup.Point, now time.Time) ([]backup.Event, error),
) (backup.Point, error) {
	for {
		read := e.Now()
		run, now, err := e.load(ctx, id)
		if err != nil {
			return backup.Point{}, err
		}
		p, err := e.RecoveryPoint(ctx, id)
		if err != nil {
			return backup.Point{}, err
		}
		// The clock of storage has seconds. The manifest of the later of two changes in one second must be the newer one.
		now = backup.Later(now, p.LastChange().Add(time.Millisecond))
		s, was := e.newStep(run, now, read), p
		events, err := change(run, &p, now)
		switch {
		case err != nil:
			return p, err
		case events == nil:
			if run.State.Final() { // a safety backup's run may be under way
				_ = s.releaseAndPublish(ctx) // if an event is still unpublished, this is one more chance
			}
			return p, nil
		}
		if err := e.index(ctx, backup.InflightKey(now.Add(orphanAge), id, e.NewID()), id, now); err != nil {
			return backup.Point{}, err
		}
		s.toOutbox(events...)
		counted, err := e.recount(ctx, run, was, &p, now)
		if err != nil {
			return backup.Point{}, err
		}
		s.toOutbox(counted.events...)
		err = s.save(ctx, append(counted.writes, p.Replace())...)
		if errors.Is(err, errConflict) {
			continue // cleanup, another person or the run's own event: read what it is now
		}
		if err != nil {
			return backup.Point{}, err
		}
		_ = s.releaseAndPublish(ctx) // if it cannot be sent now, the rescuer sends it
		return p, nil
	}
}
