package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/event"
	"lifeboat/internal/manifest"
)

// readChange asks Azure, as soon as the artifact is verified, for a change of the resource during the backup. A late look follows if it
// shows none yet, unless the identity may not look. No backup fails by it.
func (s backingUp) readChange(ctx context.Context, ran backup.Window) {
	r := &s.run
	reader, ok := s.provider.(backup.ChangeReader)
	if !ok || ran == (backup.Window{}) {
		return
	}
	change, err := s.changeIn(ctx, reader, ran)
	f := backup.AsFault(err)
	if f == nil {
		r.Changed, r.Looked = change, s.clock()
	}
	soon := f != nil || s.clock().Before(ran.To.Add(s.Timings.LateLook))
	if refused := f != nil && f.Kind == backup.Refused; soon && !refused && r.Changed == (backup.Change{}) {
		r.Look = ran
	}
}

// changeIn asks Azure for a change of the resource in the time.
func (s *step) changeIn(ctx context.Context, reader backup.ChangeReader, ran backup.Window) (backup.Change, error) {
	a := s.run.ProviderAttempt(s.run.Artifact)
	a.Ran = ran
	return within(ctx, func(ctx context.Context) (backup.Change, error) { return reader.ReadChange(ctx, a) })
}

// lookDue returns the time of the late look at the changes during the run's backup; zero if there is none to make.
func lookDue(r backup.Run, w Timings) time.Time {
	if r.Look == (backup.Window{}) {
		return time.Time{}
	}
	return r.Look.To.Add(w.LateLook)
}

// awaitLook sends a message for the late look of a run that has ended. If it cannot be sent, or is lost, the rescuer sends it.
func (s *step) awaitLook(ctx context.Context) {
	if due := lookDue(s.run, s.Timings); !due.IsZero() {
		_ = s.Queue.SendStep(ctx, s.run.StepMessage(), max(due.Sub(s.clock()), 0)+backup.Resolution)
	}
}

// makeLastStep does the rest of a run that has ended: it releases and sends what is left, and makes the late look once that is due.
func (s *step) makeLastStep(ctx context.Context) error {
	if err := s.releaseAndPublish(ctx); err != nil {
		return err
	}
	due := lookDue(s.run, s.Timings)
	if due.IsZero() || s.stepMessage != s.run.StepMessage() || s.now.Before(due) {
		return nil
	}
	return s.lookLate(ctx, s.now.Sub(due) >= s.Timings.Operation)
}

// lookLate asks Azure once more for a change of the resource during the backup of a run that has ended. Where Azure does not answer, or
// the point cannot take a note now, the run stays as it is, and the rescuer has it tried again, until that is over.
func (s *step) lookLate(ctx context.Context, over bool) error {
	r := &s.run
	var change backup.Change
	provider, err := s.provider(r.Target)
	if reader, ok := provider.(backup.ChangeReader); err == nil && ok {
		change, err = s.changeIn(ctx, reader, r.Look)
		switch f := backup.AsFault(err); {
		case f == nil:
			r.Looked = s.clock()
		case f.Kind != backup.Refused && !over:
			return nil
		}
	}
	r.Look = backup.Window{}
	if change == (backup.Change{}) {
		return s.save(ctx)
	}
	p, err := s.RecoveryPoint(ctx, r.ID)
	switch {
	case errors.Is(err, backup.ErrNotFound), err == nil && p.State == backup.Expired, over && (err != nil || p.State == backup.Deleting):
		return s.save(ctx) // there is no backup any more
	case err != nil:
		return fmt.Errorf("note that the resource was changed during the backup of run %s: %w", r.ID, err)
	case p.State == backup.Deleting:
		return nil // it may come back
	}
	change.Found = backup.Later(s.clock(), p.LastChange().Add(time.Millisecond))
	r.Changed, p.Changed = change, change
	s.toOutbox(event.PointChanged(p), manifest.Note(p, manifest.Changed, change.Found))
	if err := s.save(ctx, p.Replace()); err != nil {
		return err
	}
	return s.releaseAndPublish(ctx)
}
