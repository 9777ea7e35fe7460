package engine

import (
	"context"
	"errors"
	"slices"

	"lifeboat/internal/backup"
	"lifeboat/internal/event"
	"lifeboat/internal/manifest"
)

// dropReader takes the run out of the readers of its recovery point, and notes that the point was restored if the restore has succeeded. A
// reader whose run has ended does not count, so it may stay if another writer changed the point meanwhile; the note is made in any case.
func (s *step) dropReader(ctx context.Context) error {
	if s.run.Restore == nil || !s.run.Restore.Reading {
		return nil
	}
	for {
		p, err := s.RecoveryPoint(ctx, s.run.Restore.Point)
		switch {
		case errors.Is(err, backup.ErrNotFound), errors.Is(err, backup.ErrUnreadable): // a reader that has ended does not count
			return nil
		case err != nil:
			return err
		}
		n, restored := len(p.Readers), s.run.State == backup.Succeeded && p.Restored.Before(s.run.Ended)
		p.Readers = slices.DeleteFunc(p.Readers, func(id string) bool { return id == s.run.ID })
		if len(p.Readers) < n || restored {
			var noted []backup.Event
			if restored {
				p.Restored = s.run.Ended
				noted = []backup.Event{manifest.NoteRestored(p, s.run.ID, s.clock())}
			}
			_, err = s.Catalog.Apply(ctx, append(event.OutboxWrites(p.Key().Partition, noted), p.Replace())...)
		}
		if _, raced := errors.AsType[*backup.WriteError](err); raced && restored {
			continue
		} else if err != nil && !raced {
			return err
		}
		if s.run.State != backup.Succeeded {
			return nil
		}
		return s.Outbox().HandOver(ctx, p.Key().Partition) // also if an earlier invocation died before
	}
}

// reading says which restore still reads the recovery point, "" if none does.
func (e *Engine) reading(ctx context.Context, p backup.Point) (string, error) {
	for _, id := range p.Readers {
		run, _, err := e.load(ctx, id)
		if errors.Is(err, backup.ErrNotFound) {
			continue // its row was deleted by hand
		}
		if err != nil {
			return "", err
		}
		if !run.State.Final() {
			return id, nil
		}
	}
	return "", nil
}
