package apim

import "lifeboat/internal/backup"

// work is what the service can be asked for, in words.
type work struct {
	noun, verb, past string
	// storage is what the service does with the blob.
	storage string
	// action is what the identity must be allowed for it.
	action string
}

var (
	backing   = work{"backup", "back up", "backed up", "write", "/backup/action"}
	restoring = work{"restore", "restore", "restored", "read", "/restore/action"}
)

// task is a backup of the attempt's target, or a restore of it from the artifact.
type task struct {
	backup.Attempt
	work
}

// no is the fault of a task that cannot succeed as things are.
func (t task) no(code, why, hint string) *backup.Fault {
	return &backup.Fault{
		Kind: backup.Refused, Code: code, Message: t.Target + " cannot be " + t.past + ": " + why, Hint: hint,
	}
}
