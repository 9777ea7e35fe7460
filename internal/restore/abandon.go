package restore

import (
	"errors"
	"fmt"

	"lifeboat/internal/backup"
)

// ErrBegun: the restore was begun, and Azure does not answer that it shows nothing of it.
var ErrBegun = errors.New("the restore was begun")

// Over reads Azure's answer about a restore that was begun. It returns nil if the service shows nothing of it, and ErrBegun if the
// restore runs, or has ended, or if there was no answer.
func Over(answer backup.Operation, err error) error {
	switch f := backup.AsFault(err); {
	case f == nil && answer.Done, f != nil && f.Kind == backup.Refused:
		return fmt.Errorf("%w, and Azure says that it has ended: the next step of the run tells how", ErrBegun)
	case f == nil && answer.Token != "":
		return fmt.Errorf("%w, and Azure says that it runs", ErrBegun)
	case f != nil && f.Kind != backup.Unobservable:
		return fmt.Errorf("%w, and Azure cannot be asked whether it runs: %w", ErrBegun, f)
	}
	return nil
}

// HintLost says what to do after a restore whose outcome is unknown.
const HintLost = "Look at the service before anything else: it may be as it was, or restored, or half of each. Ask again, " +
	"under another ID, only once you know."

// GivenUp returns the reason of a run that is given up as it is; who says by whom.
func GivenUp(r backup.Run, code, who string) backup.Reason {
	const atWork = "%s while it was %s; the service may still be at work on it, and refuse other work until that has ended"
	left := fmt.Sprintf(atWork, who, r.State)
	switch {
	case !r.MayRun() && r.Restore != nil:
		return backup.NewReason(code, who+"; nothing was restored", "")
	case !r.MayRun():
		return backup.NewReason(code, who+"; nothing was begun", "")
	case r.MayRestore():
		return backup.NewReason(code, left, HintLost)
	case r.Restore != nil:
		left = "nothing was restored: the safety backup was " + left
	}
	return backup.NewReason(code, left, "Ask again. What the operation still writes is no recovery point.")
}
