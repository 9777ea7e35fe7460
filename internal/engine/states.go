package engine

import (
	"fmt"
	"slices"

	"lifeboat/internal/backup"
)

// cause says why a run moves from one state to another.
type cause string

const (
	begins            cause = "begins"     // the intent of an attempt is saved
	takesOver         cause = "takes over" // the lease ended without an answer: look for the artifact
	accepts           cause = "accepts"    // the service accepted the operation
	postpones         cause = "postpones"  // the target or the service is busy
	retries           cause = "retries"    // the service failed the backup for a reason that may pass: a further attempt follows
	finds             cause = "finds"      // the artifact of a lost operation was found
	finishes          cause = "finishes"   // the service says that it is done
	succeeds          cause = "succeeds"   // the artifact was verified
	fails             cause = "fails"      // a final no
	supersedes        cause = "supersedes" // a later scheduled time is due
	refuses           cause = "refuses"    // the preflight, a guard or the service's own check said no
	misses            cause = "misses"     // the window of its scheduled time has passed
	loses             cause = "loses"      // the outcome of the operation cannot be known
	keepsSafetyBackup cause = "secures"    // the safety backup of a restore was verified: the restore itself is next
	restores          cause = "restores"   // the service says that the restore is done
	cancels           cause = "cancels"    // given up before anything was begun; a restore also behind its safety backup
	abandons          cause = "abandons"   // given up while the service may be at work on it
	notes             cause = "notes"      // no arrow: only a note is saved, and a later step acts by it
)

// transition is one arrow of the state machine; docs/states.md draws them all.
type transition struct {
	from  []backup.State
	cause cause
	to    backup.State
}

var transitions = []transition{
	{[]backup.State{backup.Queued, backup.Waiting, backup.Starting, backup.Running}, begins, backup.Starting}, // Running if its credential expired
	{[]backup.State{backup.Starting}, takesOver, backup.Starting},
	{[]backup.State{backup.Starting}, accepts, backup.Running},
	{[]backup.State{backup.Queued, backup.Waiting, backup.Starting}, postpones, backup.Waiting},
	{[]backup.State{backup.Starting, backup.Running}, retries, backup.Waiting},
	{[]backup.State{backup.Waiting, backup.Starting, backup.Running}, finds, backup.Verifying},
	{[]backup.State{backup.Starting, backup.Running}, finishes, backup.Verifying},
	{[]backup.State{backup.Verifying}, succeeds, backup.Succeeded},
	{[]backup.State{backup.Queued, backup.Waiting, backup.Starting, backup.Running, backup.Verifying}, fails, backup.Failed},
	{[]backup.State{backup.Queued, backup.Waiting}, supersedes, backup.Superseded},
	{[]backup.State{backup.Queued, backup.Waiting, backup.Starting}, refuses, backup.StateRefused},
	{[]backup.State{backup.Queued, backup.Waiting}, misses, backup.Missed},
	{[]backup.State{backup.Waiting, backup.Starting, backup.Running, backup.Verifying}, loses, backup.Unknown},
	{[]backup.State{backup.Verifying}, keepsSafetyBackup, backup.Starting},
	{[]backup.State{backup.Starting, backup.Running}, restores, backup.Succeeded},
	{[]backup.State{backup.Queued, backup.Waiting, backup.Starting, backup.Running, backup.Verifying}, cancels, backup.Canceled},
	{[]backup.State{backup.Waiting, backup.Starting, backup.Running, backup.Verifying}, abandons, backup.Unknown},
}

// move makes the transition. A cause that does not fit the state is a bug of the engine, not of its surroundings.
func move(r *backup.Run, c cause) error {
	for _, t := range transitions {
		if t.cause == c && slices.Contains(t.from, r.State) {
			r.State = t.to
			return nil
		}
	}
	return fmt.Errorf("run %s is %s: nothing %s it from there", r.ID, r.State, c)
}
