package backup

import (
	"fmt"
	"slices"
	"strings"
)

// State is where a run stands. Only move, in this file, changes it.
type State string

const (
	// Waiting: the target is busy; the next wake-up tries again. Holds no lock.
	Waiting State = "waiting"
	// Queued: created; its first wake-up begins it.
	Queued State = "queued"
	// Starting: the intent to start the operation is saved. The owner of the lease starts it; if the answer was lost,
	// the next invocation after the lease looks for what was started.
	Starting State = "starting"
	// Running: the service accepted the operation; each wake-up polls it once.
	Running State = "running"
	// Verifying: there is an artifact; each wake-up hashes a part of it.
	Verifying State = "verifying"

	// Succeeded: the artifact was verified, and a recovery point stands for it. Final.
	Succeeded State = "succeeded"
	// Failed: the service, or the verification, said no. Final.
	Failed State = "failed"
	// Superseded: a later slot of the plan came due while the run still waited. Final.
	Superseded State = "superseded"
	// StateRefused: the preflight said no, and nothing was started. Final. ([Refused] alone is the kind of a Fault.)
	StateRefused State = "refused"
	// Canceled: a person took a restore back before it began. Final.
	Canceled State = "canceled"
	// Missed: the window of its slot passed before the run could begin. Final.
	Missed State = "missed"
	// Unknown: what became of the operation cannot be found out. Final, and never taken for a success.
	Unknown State = "unknown"
)

// cause is why a run moves from one state to another.
type cause string

const (
	begins     cause = "begins"     // the intent of an attempt is saved
	takesOver  cause = "takes over" // the lease ended without an answer: look for what was started
	accepts    cause = "accepts"    // the service took the operation on
	postpones  cause = "postpones"  // the target or the service is busy
	finds      cause = "finds"      // the artifact of a lost operation was found
	finishes   cause = "finishes"   // the service says that it is done
	succeeds   cause = "succeeds"   // the artifact was verified
	fails      cause = "fails"      // a final no
	supersedes cause = "supersedes" // a later slot is due
	refuses    cause = "refuses"    // the preflight said no
	misses     cause = "misses"     // the window of its slot has passed
	loses      cause = "loses"      // the truth cannot be known
	secures    cause = "secures"    // the safety backup of a restore was verified: the restore itself is next
	restores   cause = "restores"   // the service says that the restore is done
	cancels    cause = "cancels"    // a person took it back
)

// transition is one arrow of the state machine; docs/states.md draws them all.
type transition struct {
	from  []State
	cause cause
	to    State
}

var transitions = []transition{
	{[]State{Queued, Waiting, Starting, Running}, begins, Starting}, // of Running: its operation lapsed
	{[]State{Starting}, takesOver, Starting},
	{[]State{Starting}, accepts, Running},
	{[]State{Queued, Waiting, Starting}, postpones, Waiting},
	{[]State{Waiting, Starting, Running}, finds, Verifying},
	{[]State{Starting, Running}, finishes, Verifying},
	{[]State{Verifying}, succeeds, Succeeded},
	{[]State{Queued, Waiting, Starting, Running, Verifying}, fails, Failed},
	{[]State{Queued, Waiting}, supersedes, Superseded},
	{[]State{Queued, Waiting, Starting}, refuses, StateRefused},
	{[]State{Queued, Waiting}, misses, Missed},
	{[]State{Waiting, Starting, Running, Verifying}, loses, Unknown},
	{[]State{Verifying}, secures, Starting},
	{[]State{Starting, Running}, restores, Succeeded},
	{[]State{Queued, Waiting}, cancels, Canceled},
}

// move makes the transition. A cause that does not fit the state is a bug of the engine, not of its surroundings.
func move(r *Run, c cause) error {
	for _, t := range transitions {
		if t.cause == c && slices.Contains(t.from, r.State) {
			r.State = t.to
			return nil
		}
	}
	return fmt.Errorf("run %s is %s: nothing %s it from there", r.ID, r.State, c)
}

// Final says that the run has ended; it will never change its state again.
func (s State) Final() bool {
	return s == Succeeded || s == Failed || s == Superseded || s == StateRefused || s == Missed || s == Unknown || s == Canceled
}

// holdsLock says that a run in this state owns its target's lock.
func (s State) holdsLock() bool { return s == Starting || s == Running || s == Verifying }

// Diagram is the state machine as a Mermaid state diagram; docs/states.md holds it word for word.
func Diagram() string {
	var b strings.Builder
	b.WriteString("stateDiagram-v2\n    [*] --> queued\n")
	for _, t := range transitions {
		for _, from := range t.from {
			fmt.Fprintf(&b, "    %s --> %s: %s\n", from, t.to, t.cause)
		}
	}
	for _, s := range []State{Succeeded, Failed, Superseded, StateRefused, Canceled, Missed, Unknown} {
		fmt.Fprintf(&b, "    %s --> [*]\n", s)
	}
	return b.String()
}
