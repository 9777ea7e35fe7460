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
// write to it. The error is a *Fault: Refused, with the service's reason and the advice, or Retryable. It is ErrNoProvider if no
// provider serves the target.
func (e *Engine) Preflight(ctx context.Context, p backup.Plan, target string) error {
	provider, err := e.provider(target)
	if err != nil {
		return err
	}
	return limited(ctx, func(ctx context.Context) error {
		return provider.Preflight(ctx, backup.Run{Target: target, Settings: p.Settings.For(target)}.ProviderAttempt(""))
	})
}
