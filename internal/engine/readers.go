package engine

import (
	"context"
	"errors"
	"slices"

	"lifeboat/internal/backup"
)

// dropReader takes the run out of the readers of its recovery point. A reader whose run has ended does not count, so it may stay if
// another writer changed the point meanwhile.
func (s *step) dropReader(ctx context.Context) error {
	if s.run.Restore == nil || !s.run.Restore.Reading {
		return nil
	}
	p, err := s.RecoveryPoint(ctx, s.run.Restore.Point)
	switch {
	case errors.Is(err, backup.ErrNotFound), errors.Is(err, backup.ErrUnreadable): // a reader that has ended does not count
		return nil
	case err != nil:
		return err
	}
	n := len(p.Readers)
	if p.Readers = slices.DeleteFunc(p.Readers, func(id string) bool { return id == s.run.ID }); len(p.Readers) == n {
		return nil
	}
	return s.apply(ctx, p.Replace())
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
