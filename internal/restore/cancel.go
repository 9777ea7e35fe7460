package restore

import "lifeboat/internal/backup"

// Cancellation is the outcome of a person's word that a restore shall not begin.
type Cancellation int

const (
	// CancelsNow: nothing that must be waited for is under way, so the restore ends.
	CancelsNow Cancellation = iota
	// CancelsLater: the service is at work on the safety backup. The restore ends behind that, since it keeps the lock until then.
	CancelsLater
	// CanceledBefore: the same was said before.
	CanceledBefore
	// CancelsNothing: the restore was begun, or may have been, or it has ended.
	CancelsNothing
)

// Cancel says how the restore is canceled, as it is.
func Cancel(r backup.Run) Cancellation {
	switch {
	case r.State == backup.Canceled, r.Restore.CanceledBy != "" && !r.State.Final():
		return CanceledBefore
	case r.State.Final():
		return CancelsNothing
	case r.MayRun() && r.Restore.Step == backup.StepSafetyBackup:
		return CancelsLater
	case r.MayRun():
		return CancelsNothing
	}
	return CancelsNow
}

// NoteCancel notes that the restore ends behind its safety backup.
func NoteCancel(r *backup.Run, by string) {
	r.Restore.CanceledBy, r.Restore.CanceledOver = by, r.RowETag
}

// TakeCancel takes over the note from the row, and tells whether that is all that has changed in the row since the step read or
// saved it. A step that has just started the safety backup goes on with it then: otherwise the token would be lost. A step that ends
// the run, or has begun more, is made again.
func TakeCancel(r *backup.Run, row backup.Run) bool {
	if r.Restore == nil || row.Restore == nil || r.Restore.Step != backup.StepSafetyBackup || r.State.Final() ||
		row.Restore.CanceledBy == "" || row.Restore.CanceledOver != r.RowETag {
		return false
	}
	r.Restore.CanceledBy, r.Restore.CanceledOver = row.Restore.CanceledBy, row.Restore.CanceledOver
	r.RowETag = row.RowETag
	return true
}

// Canceled returns the reason of a canceled restore: by says by whose word, and why says why its safety backup failed, if it did.
func Canceled(by string, why backup.Reason) backup.Reason {
	said := "canceled by " + by + "; nothing was restored"
	if why.Code == "" || why.Code == codeCanceled {
		return backup.NewReason(codeCanceled, said, "")
	}
	return why.Reword(codeCanceled, said+", and there is no safety backup: "+why.Message+" ("+why.Code+")", why.Hint)
}

const codeCanceled = "Canceled"
