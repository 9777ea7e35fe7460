package restore

import (
	"slices"
	"time"

	"lifeboat/internal/backup"
)

// Older returns the step message of the restore that goes first, and says why the other one waits: of the destination's older runs,
// newest first, it is the oldest restore that still waits. A restore whose time is over does not count; nor does one that waits for
// something else than the destination, such as its artifact.
func Older(runs []backup.Run, now time.Time) (backup.StepMessage, *backup.Fault) {
	for _, r := range slices.Backward(runs) {
		waits := r.State == backup.Queued || r.State == backup.Waiting
		if r.Restore == nil || !waits || !r.Restore.Expires.After(now) || r.Restore.Elsewhere {
			continue
		}
		return r.StepMessage(), &backup.Fault{
			Kind: backup.Retryable, Code: "TargetBusy", Message: "the restore " + r.ID + ", asked for before, waits for the target too",
			Hint: "lifeboat run " + r.ID + " shows for what. If it is not wanted any more: lifeboat cancel " + r.ID + ".",
		}
	}
	return backup.StepMessage{}, nil
}
