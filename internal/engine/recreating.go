package engine

import (
	"context"
	"fmt"

	"lifeboat/internal/backup"
	"lifeboat/internal/restore"
)

// recreating is the restore of a service that makes its deleted resource again. The resource shows the outcome of a lost start,
// though perhaps only at its end. So the run may begin the restore again if it sees no resource for long.
type recreating struct {
	restoring
	shows backup.Recreator
}

// checked looks for a lost start if the service is not ready, because the start may be what keeps it busy.
func (s recreating) checked(ctx context.Context, f *backup.Fault) (bool, error) {
	if f == nil || s.run.Lost == 0 {
		return s.restoring.checked(ctx, f)
	}
	if over, err := s.restoring.checked(ctx, nil); over {
		return true, err
	}
	return true, s.lookLater(ctx, f)
}

// notStarted looks for a lost start if a further start is rejected: the resource may be there by now.
func (s recreating) notStarted(ctx context.Context, f *backup.Fault) error {
	rejected := f.Kind == backup.Refused || f.Kind == backup.Retryable || f.Kind == backup.Throttled
	if rejected && s.run.Lost > 0 {
		return s.lookLater(ctx, f)
	}
	return s.restoring.notStarted(ctx, f)
}

func (s recreating) lookLater(ctx context.Context, f *backup.Fault) error {
	s.run.Restore.Step, s.run.Reason = backup.StepRestoring, f.Reason()
	return s.advance(ctx, max(f.Wait(), s.Timings.LookMax))
}

func (s recreating) sendSearch(ctx context.Context) (backup.Operation, error) {
	return within(ctx, func(ctx context.Context) (backup.Operation, error) {
		return s.shows.FindRestore(ctx, s.run.ProviderRestore())
	})
}

// searched begins the restore again only if the service shows nothing of it for the whole retry window.
func (s recreating) searched(ctx context.Context, l search) error {
	r, f := &s.run, l.fault
	switch {
	case f != nil && f.Kind == backup.Refused:
		return s.end(ctx, fails, f.Reason())
	case f != nil && f.Kind == backup.Unobservable:
		return s.restoring.searched(ctx, l)
	case f == nil && l.found.Done:
		return s.finished(ctx, l.found)
	case f == nil && l.found.Token != "":
		return s.accept(ctx, s, l.found)
	case f == nil && l.notFoundFor < s.Timings.RetryWindow:
		return s.advance(ctx, min(s.lookDelay(l), s.Timings.RetryWindow-l.notFoundFor))
	case l.waited >= s.Timings.Operation:
		return s.end(ctx, loses, r.Reason.Reword("StartLost", "the answer to the request that starts the restore was lost, and Lifeboat "+
			"could not find out its outcome: "+r.Reason.Message, restore.HintLost))
	case f == nil && restore.Expired(r.Restore.Expires, s.now) != nil:
		return s.end(ctx, loses, backup.NewReason("StartLost", "the answer to the request that starts the restore was lost, nothing shows that "+
			"it was started, and it is not sent again: "+restore.Expired(r.Restore.Expires, s.now).Message, restore.HintLost))
	case f == nil && r.Lost < mostLost:
		r.Check = ""
		return s.preflight(ctx, s)
	case f == nil:
		return s.end(ctx, loses, backup.NewReason("StartLost", fmt.Sprintf("the answers to %d requests to start the restore were lost, and "+
			"nothing shows that one was started", r.Lost), restore.HintLost))
	}
	r.Reason = f.Reason()
	return s.advance(ctx, s.lookDelay(l))
}

// finished ends the run well, unless another restore may have made the resource that was found after a lost start.
func (s recreating) finished(ctx context.Context, o backup.Operation) error {
	r := &s.run
	if r.Lost > 0 {
		conflicting, err := s.conflictingRestore(ctx)
		if err != nil {
			return err
		}
		if conflicting != "" {
			r.Finished, r.Restore.Warning = s.clock(), backup.Bounded(o.Warning)
			return s.end(ctx, loses, backup.NewReason("StartLost", "the service was restored, but does not show by which request: the answer to "+
				"this run's request was lost, and the outcome of restore "+conflicting+" into it is unknown", "See which backup it holds. Ask "+
				"again, under another ID, if that is not "+r.Restore.Point+"."))
		}
	}
	return s.restoring.finished(ctx, o)
}

// conflictingRestore returns another restore into the same target that ended unknown within the last two days, so that Azure may
// have worked on it until now; "" if there is none.
func (s recreating) conflictingRestore(ctx context.Context) (string, error) {
	// 200 runs cover two days, unless it is backed up every quarter of an hour.
	runs, err := s.listRuns(ctx, s.run.Target, backup.RunPrefix, backup.Behind(backup.RunPrefix), 200)
	if err != nil {
		return "", err
	}
	for _, o := range runs {
		if o.ID != s.run.ID && o.Restore != nil && o.State == backup.Unknown && s.now.Sub(o.Ended) < 2*s.Timings.Operation {
			return o.ID, nil
		}
	}
	return "", nil
}
