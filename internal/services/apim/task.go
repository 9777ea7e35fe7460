package apim

import (
	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// work holds the words for a kind of request to the service.
type work struct {
	noun, verb, past string
	// storage is the verb for the service's access to the blob.
	storage string
	// action is the end of the name of the permission that the identity needs.
	action string
}

var (
	backing   = work{"backup", "back up", "backed up", "write", "/backup/action"}
	restoring = work{"restore", "restore", "restored", "read", "/restore/action"}
)

// task is a backup of the attempt's target, or a restore of the target from the artifact.
type task struct {
	backup.Attempt
	work
}

// no returns the fault of a task that cannot succeed as things are.
func (t task) no(code, why, hint string) *backup.Fault {
	return azure.Cannot(t.Target, t.past, code, why, hint)
}
