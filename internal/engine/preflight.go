package engine

import (
	"context"

	"lifeboat/internal/backup"
)

// checkKeep refuses to make a recovery point that would expire before it was made, or after the end of any calendar: plan.yaml
// cannot say so, and a run with such a time is a mistake of ours. A zero time means none: such a point is kept.
func checkKeep(s backup.Settings) *backup.Reason {
	if s.KeepWithin >= 0 && s.KeepWithin <= backup.LongestKeep {
		return nil
	}
	return backup.Refuse("InvalidKeep", "This is a mistake of Lifeboat's own: report it, with keep.within of the plan.", "the plan keeps recovery "+
		"points for %s, which is less than nothing or more than %d days: nothing was begun", s.KeepWithin, int(backup.LongestKeep.Hours()/24))
}

// Preflight asks the target's provider whether the plan could back it up now, as every run does before it starts, and changes
// nothing. It cannot see facts that only a write shows: whether our identity may make the container, and whether the service may
// write to it. The error is a *Fault: Refused, with the service's reason and the advice, or Deferred. It is ErrNoProvider if no
// provider serves the target.
func (e *Engine) Preflight(ctx context.Context, p backup.Plan, target string) error {
	provider, err := e.provider(target)
	if err != nil {
		return err
	}
	_, err = within(ctx, func(ctx context.Context) (any, error) {
		return nil, provider.Preflight(ctx, backup.Run{Target: target, Settings: p.Settings}.ProviderAttempt(""))
	})
	return err
}

// preflight asks whether the service can be backed up at all, and makes the things that the backup needs, before the first intent
// of the run is saved. The answer is not kept: if the process dies here, or another run holds the target, it is asked for again.
// If the service itself checks, and takes its time over that, the run keeps its permits meanwhile.
func (s *step) preflight(ctx context.Context, provider backup.Provider) error {
	r := &s.run
	if why := checkKeep(r.Settings); why != nil {
		return s.end(ctx, refuses, *why)
	}
	prepared, f := s.prepare(ctx, func(ctx context.Context) (backup.Operation, error) {
		if r.Check == "" {
			if err := provider.Preflight(ctx, r.ProviderAttempt("")); err != nil {
				return backup.Operation{}, err
			}
		}
		return provider.Prepare(ctx, r.ProviderAttempt(""), r.Check)
	})
	switch {
	case f == nil && prepared.Done:
		return s.attempt(ctx, provider)
	case f == nil:
		r.Reason = backup.NewReason("Preparing", "the service looks whether it can make the backup", "")
		return s.advance(ctx, s.pollDelay(r.CheckSince, prepared.RetryAfter))
	case f.Kind == backup.Refused:
		return s.end(ctx, refuses, f.Reason())
	default:
		return s.postpone(ctx, f)
	}
}

// prepare has the service itself check, for half a lease. The lease and the deadline of the start count from the service's
// answer: the check does not use them up.
func (s *step) prepare(
	ctx context.Context, look func(context.Context) (backup.Operation, error),
) (backup.Operation, *backup.Fault) {
	r := &s.run
	ctx, cancel := context.WithTimeout(ctx, s.Waits.Lease/2)
	defer cancel()
	before := s.Now()
	prepared, err := look(ctx)
	took := s.Now().Sub(before)
	s.now, s.read = s.now.Add(took), s.read.Add(took)
	if r.Check == "" {
		r.CheckSince = s.now
	}
	r.Check = prepared.Token
	return prepared, backup.AsFault(err)
}
