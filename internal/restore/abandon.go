package restore

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"lifeboat/internal/backup"
)

// ErrBegun: the restore was begun, and Azure does not answer that it shows nothing of it.
var ErrBegun = errors.New("the restore was begun")

// Over reads Azure's answer about a restore that was begun. It returns nil if the service shows nothing of it, and ErrBegun if the
// restore runs, or has ended, or if there was no answer. Without a right to ask there is none.
func Over(answer backup.Operation, err error) error {
	switch f := backup.AsFault(err); {
	case f == nil && answer.Done, f != nil && f.Kind == backup.Refused:
		return fmt.Errorf("%w, and Azure says that it has ended: the next step of the run tells how", ErrBegun)
	case f == nil && answer.Token != "":
		return fmt.Errorf("%w, and Azure says that it runs", ErrBegun)
	case f != nil && (f.Kind != backup.Unobservable || !f.Gone):
		return fmt.Errorf("%w, and Azure cannot be asked whether it runs: %w", ErrBegun, f)
	}
	return nil
}

// Preemptable says whether a restore with preempt may end another run of its destination at the time now: a backup that waits, or
// hangs. It hangs once its operation, or the verification behind it, has lasted for the window. A backup whose start is being sent
// is left alone.
func Preemptable(r backup.Run, now time.Time, window time.Duration) bool {
	if r.Restore != nil || r.State.Final() || r.LeaseUntil.After(now) {
		return false
	}
	return !r.State.HoldsLock() || now.Sub(backup.Later(r.Intent, r.Finished)) >= window
}

// Behind says which run holds the destination of a restore, of what kind it is, and since when; r is the zero value if that is not
// known.
func Behind(r backup.Run) *backup.Fault {
	f := &backup.Fault{Kind: backup.Retryable, Code: "TargetBusy", Message: "another run of the target is under way"}
	if r.ID == "" {
		return f
	}
	kind := "backup"
	f.Hint = "If it hangs, end it: lifeboat abandon " + r.ID + ". Or ask for the restore again with preempt, under another ID."
	if r.Restore != nil {
		kind, f.Hint = "restore", "lifeboat run "+r.ID+" shows it."
	}
	f.Message = fmt.Sprintf("the %s %s of the plan %s has the target since %s, and is %s", kind, r.ID, r.Plan,
		cmp.Or(r.Started, r.Intent, r.Created).UTC().Format(time.RFC3339), r.State)
	return f
}

// HintLost says what to do after a restore whose outcome is unknown.
const HintLost = "Look at the service before anything else: it may be as it was, or restored, or half of each. Ask again, " +
	"under another ID, only once you know."

// GivenUp returns the reason of a run that is given up as it is; by says by whose word.
func GivenUp(r backup.Run, code, by string) backup.Reason {
	const atWork = "%s while it was %s; the service may still be at work on it, and refuse other work until that has ended"
	left := fmt.Sprintf(atWork, by, r.State)
	switch {
	case !r.MayRun() && r.Restore != nil:
		return backup.NewReason(code, by+"; nothing was restored", "")
	case !r.MayRun() && len(r.Failed) > 0:
		return backup.NewReason(code, by+" while it waited for a further attempt; the service has failed the attempts before, and is at work on none", "")
	case !r.MayRun():
		return backup.NewReason(code, by+"; nothing was begun", "")
	case r.MayRestore():
		return backup.NewReason(code, left, HintLost)
	case r.Restore != nil:
		left = "nothing was restored: the safety backup was " + left
	}
	return backup.NewReason(code, left, "Ask again. What the operation still writes is no recovery point.")
}

// wayOut says what to do if the destination cannot be backed up.
const wayOut = "If the destination cannot be backed up any more, ask again, under another ID, with noSafetyBackup and a reason (lifeboat " +
	"restore --no-safety-backup --reason): then nothing brings back what the restore overwrites. The plan must allow it."

// Unsecured returns the reason of a restore that ends at its safety backup, for that backup's reason. A refusal keeps its code.
func Unsecured(why backup.Reason, refused bool) backup.Reason {
	code := "SafetyBackupFailed"
	if refused {
		code = why.Code
	}
	return why.Reword(code, "nothing was restored, since the destination could not be backed up first: "+why.Message+" ("+why.Code+")",
		strings.TrimSpace(why.Hint+" "+wayOut))
}
