package backup

// State is the state of a run. Only move, in internal/engine/states.go, changes the state of a saved run.
type State string

const (
	// Waiting: the run cannot begin yet, since its target is busy, the service throttles or could not be checked, or all permits
	// are taken; the next step message tries again. Holds no lock.
	Waiting State = "waiting"
	// Queued: created; its first step message begins it.
	Queued State = "queued"
	// Starting: the intent to start the operation is saved. The owner of the lease starts it; if the answer was lost, the next
	// invocation after the lease looks for the operation's artifact.
	Starting State = "starting"
	// Running: the service accepted the operation; each step message polls it once.
	Running State = "running"
	// Verifying: there is an artifact; each step message hashes a part of it.
	Verifying State = "verifying"

	// Succeeded: the artifact was verified, and a recovery point stands for it. Final.
	Succeeded State = "succeeded"
	// Failed: the service, or the verification, said no. Final.
	Failed State = "failed"
	// Superseded: a later scheduled time of the plan came due while the run still waited. Final.
	Superseded State = "superseded"
	// StateRefused: the preflight, a guard or the service's own check said no. The backup or restore was not started, but a
	// restore may have made its safety backup. Final. ([Refused] alone is the kind of a Fault.)
	StateRefused State = "refused"
	// Canceled: a person took a restore back before it began. Final.
	Canceled State = "canceled"
	// Missed: the window of its scheduled time passed before the run could begin. Final.
	Missed State = "missed"
	// Unknown: Lifeboat cannot find out the outcome of the operation. Final, and never taken for a success.
	Unknown State = "unknown"
)

// States are all of them, in the order of their declaration.
var States = []State{Waiting, Queued, Starting, Running, Verifying, Succeeded, Failed, Superseded, StateRefused, Canceled, Missed, Unknown}

// Final says that the run has ended; it will never change its state again.
func (s State) Final() bool {
	return s == Succeeded || s == Failed || s == Superseded || s == StateRefused || s == Missed || s == Unknown || s == Canceled
}

// HoldsLock says that a run in this state owns its target's lock.
func (s State) HoldsLock() bool { return s == Starting || s == Running || s == Verifying }
