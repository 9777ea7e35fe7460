package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"lifeboat/internal/apps"
	"lifeboat/internal/backup"
	"lifeboat/internal/health"
	"lifeboat/internal/manifest"
	"lifeboat/internal/outbox"
	"lifeboat/internal/plans"
)

// Engine takes runs from their creation to their end, one step an invocation. It keeps nothing in memory: any number of processes
// may run it on one catalog.
type Engine struct {
	Catalog backup.Catalog
	Queue   backup.Queue
	// App is the name of the app that this process is an instance of.
	App string
	// Services are the services that Lifeboat backs up.
	Services backup.Services
	// Providers holds the providers by the resource type of their targets, in lower case: "microsoft.apimanagement/service".
	Providers map[string]backup.Provider
	// Manifests keeps the manifests of recovery points.
	Manifests backup.Manifests
	// Access looks whether roles are there; nil: a check leaves them out.
	Access Access
	// Own are the things of the app's own that a check looks at.
	Own     []Own
	Timings Timings
	// Concurrency is the number of operations of all runs that may be under way at once; 0 does not limit them.
	Concurrency int
	// Parallelism is the number of targets that one invocation processes concurrently; 0 means 16. With 1 nothing leaves the
	// invocation's own goroutine.
	Parallelism int
	// Stopped is the reason by the app setting LIFEBOAT_STOPPED, "" if that is not set: no plan makes runs, nothing is deleted and no
	// restore begins. Runs under way go on, and manual runs are made.
	Stopped string
	// Timers are the timers by the names of their functions, for health: "schedule" and "cleanup".
	Timers map[string]health.TimerSchedule
	// Left says what has left the plans by the row of the active plan, as [plans.Store.Left] does; nil: nothing.
	Left func(ctx context.Context, head plans.Head, all []backup.Plan, now time.Time) ([]plans.Left, error)
	// KeepHistory is the age from which on rows of the past are pruned: ended runs without a recovery point that is there, their requests,
	// missed periods, dead letters; 0 prunes none.
	KeepHistory time.Duration
	// Search finds the resources of the services in these subscriptions, and says which of them it went through with the right to see
	// all; nil: no service is looked for.
	Search func(ctx context.Context, subscriptions []string) (backup.Inventory, error)
	// Zone finds a time zone by its IANA name, in the program's own list.
	Zone func(name string) (*time.Location, error)
	// Now is this process's own clock. It measures short spans and checks that the catalog's clock is sane. Where the engine reads
	// no row, it also decides: whether a request that the host gave up has expired, whether an answer is older than seven days,
	// and the times of dead letters and refusals.
	Now func() time.Time
	// NewID makes a random ID of lower-case letters, digits and dashes, never the same twice.
	NewID func() string
}

// Timings has all the times that the engine lets pass. [DefaultTimings] are for Azure; tests on real parts and the demo shorten them
// all by one factor.
type Timings struct {
	// Poll is the least time between two polls if the service does not say, PollMax the most.
	Poll, PollMax time.Duration
	// Lease is the time that an invocation may take to start an operation. It gives the request up LeaseMargin before the lease
	// ends.
	Lease, LeaseMargin time.Duration
	// Look is the least time between two looks for a lost start, LookMax the most; after RetryWindow without a trace a further
	// attempt is made.
	Look, LookMax, RetryWindow time.Duration
	// QuietPeriod is the time for which an artifact of a lost start must have been unchanged to count as complete, if nothing else
	// tells.
	QuietPeriod time.Duration
	// PutBack is the delay of a step message that came too early or lost a race.
	PutBack time.Duration
	// Busy is the least time before a busy target is tried again.
	Busy time.Duration
	// Retry is the wait before a further attempt if the service has failed the first; each further wait is three times as long.
	Retry time.Duration
	// LateLook is the time after an artifact was written at which Azure is asked once more for changes made meanwhile. Its activity log
	// shows them 3 to 20 minutes late, as documented; the rest is for a slow day.
	LateLook time.Duration
	// Rescue is the time after a step message was due at which the rescuer checks its run. A step message that is late by
	// Overdue is sent again.
	Rescue, Overdue time.Duration
	// Operation is the time that a run may wait, run or verify before it is given up.
	Operation time.Duration
	// Recheck is the time after which cleanup comes back to a point that it had to keep or could not delete.
	Recheck time.Duration
}

// DefaultTimings are the engine's waits on Azure.
func DefaultTimings() Timings {
	return Timings{
		Poll: time.Minute, PollMax: 10 * time.Minute,
		Lease: 3 * time.Minute, LeaseMargin: time.Minute,
		Look: time.Minute, LookMax: 10 * time.Minute, RetryWindow: 45 * time.Minute,
		QuietPeriod: 2 * time.Minute,
		PutBack:     30 * time.Second,
		Busy:        time.Minute,
		Retry:       5 * time.Minute,
		LateLook:    30 * time.Minute,
		Rescue:      5 * time.Minute, Overdue: 2 * time.Minute,
		Operation: 24 * time.Hour,
		Recheck:   6 * time.Hour,
	}
}

// Scaled returns the waits times the factor. The lease keeps a few seconds: it is no wait on Azure, but the time that a request
// over the network may take.
func (w Timings) Scaled(factor float64) Timings {
	for _, d := range []*time.Duration{
		&w.LateLook, &w.Poll, &w.PollMax, &w.Lease, &w.LeaseMargin, &w.Look, &w.LookMax, &w.RetryWindow, &w.QuietPeriod, &w.PutBack, &w.Busy,
		&w.Retry, &w.Rescue, &w.Overdue, &w.Operation, &w.Recheck,
	} {
		*d = time.Duration(float64(*d) * factor)
	}
	w.Lease, w.LeaseMargin = max(w.Lease, 6*time.Second), max(w.LeaseMargin, 2*time.Second)
	return w
}

// PutBackDelay is the delay of a message that is put back, and is so late already. Each time that it is put back it may become
// two. If that was every few seconds, the few that storage doubles on a bad day would become thousands.
func (w Timings) PutBackDelay(late time.Duration) time.Duration {
	return max(w.PutBack, min(late, w.PollMax))
}

const (
	// clockTolerance is the greatest difference between our own clock and the catalog's. Above it nothing is scheduled or
	// deleted.
	clockTolerance = 2 * time.Minute
	// orphanAge is the age from which an index entry without its row can only come from a process that died between the two
	// writes: longer than any invocation may take. It is not one of the waits, since it does not wait for Azure.
	orphanAge = 10 * time.Minute
	// callTime is the time limit of one call of a provider. After two calls an invocation still has time to save their results:
	// a service that accepts a connection and never answers must not stop the run for ever. The request that starts an
	// operation has a limit of its own, the lease.
	callTime = 80 * time.Second
	// mostLost is the number of starts that a run may lose before it is given up as unknown.
	mostLost = 3
)

// Outcome says what an invocation did to a run, for the log.
type Outcome struct {
	Run, Target, Plan string
	From, To          backup.State
	// Note says why nothing was done, if nothing was.
	Note string
	// Reason says why the run waits, or how it ended.
	Reason backup.Reason
	// Warning says what a restore that has succeeded left as it was.
	Warning string
}

// ErrNoProvider is the error for a target of a type that no provider serves.
var ErrNoProvider = errors.New("no provider serves this type of resource")

func (e *Engine) provider(target string) (backup.Provider, error) {
	r, err := backup.ParseResource(target)
	if err != nil {
		return nil, err
	}
	p, ok := e.Providers[strings.ToLower(r.Type)]
	if !ok {
		return nil, fmt.Errorf("%w: %s", ErrNoProvider, r.Type)
	}
	return p, nil
}

// service returns the service of the target; the zero value if there is none.
func (e *Engine) service(target string) backup.Service {
	one, _ := e.Services.Of(target)
	return one
}

// Outbox sends the engine's events.
func (e *Engine) Outbox() outbox.Outbox {
	return outbox.Outbox{Catalog: e.Catalog, Queue: e.Queue, Manifests: e.keeper(), Now: e.Now}
}

// keeper writes and deletes manifests.
func (e *Engine) keeper() manifest.Keeper {
	return manifest.Keeper{Catalog: e.Catalog, Store: e.Manifests, Services: e.Services}
}

// Ownership tells whether this app owns the catalog.
func (e *Engine) Ownership() apps.App {
	return apps.App{Catalog: e.Catalog, Name: e.App, Announce: e.Outbox().Announce, Setting: e.Stopped}
}

// within gives a call of a provider its time limit.
func within[T any](ctx context.Context, call func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	return call(ctx)
}

// limited is within for a call that returns only an error.
func limited(ctx context.Context, call func(context.Context) error) error {
	_, err := within(ctx, func(ctx context.Context) (any, error) { return nil, call(ctx) })
	return err
}

// find asks a provider for the artifact of a lost start, or of an operation that the service no longer shows. If names do not
// show which run made an artifact, it leaves out the artifacts of other runs: it asks for those only if they can matter.
func (e *Engine) find(ctx context.Context, provider backup.Provider, a backup.Attempt) (string, error) {
	a.QuietPeriod = e.Timings.QuietPeriod
	find := func(ctx context.Context) (string, error) { return provider.Find(ctx, a) }
	found, err := within(ctx, find)
	if found == "" && !unidentifiable(err) || strings.HasPrefix(found, a.Run+".") {
		return found, err
	}
	taken, unread := e.taken(ctx, a)
	if unread != nil {
		return "", unread
	}
	if a.Taken = taken; len(taken) == 0 {
		return found, err
	}
	return within(ctx, find)
}

// hash has a provider read a part of an artifact.
func hash(ctx context.Context, provider backup.Provider, a backup.Attempt, done backup.Hashing) (backup.Verification, error) {
	return within(ctx, func(ctx context.Context) (backup.Verification, error) { return provider.Hash(ctx, a, done) })
}

// remove has a provider delete artifacts.
func remove(ctx context.Context, provider backup.Provider, a backup.Attempt, etag string, extras bool) error {
	return limited(ctx, func(ctx context.Context) error { return provider.Delete(ctx, a, etag, extras) })
}

// forEach calls f with 0 to n-1, Parallelism at a time. After an error no further call begins: if storage does not answer,
// each call takes its whole time.
func (e *Engine) forEach(n int, f func(int) error) error {
	errs := make([]error, n)
	var failed atomic.Bool
	var group sync.WaitGroup
	places := make(chan struct{}, min(cmp.Or(e.Parallelism, 16), max(n, 1)))
	for i := range n {
		places <- struct{}{}
		if failed.Load() {
			break
		}
		if cap(places) == 1 {
			if err := f(i); err != nil {
				return err
			}
			<-places
			continue
		}
		group.Go(func() {
			defer func() { <-places }()
			errs[i] = f(i)
			if errs[i] != nil {
				failed.Store(true)
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// load reads a run, and the catalog's clock.
func (e *Engine) load(ctx context.Context, id string) (backup.Run, time.Time, error) {
	key, err := backup.RunKey(id)
	if err != nil {
		return backup.Run{}, time.Time{}, fmt.Errorf("%w: %w", backup.ErrNotFound, err)
	}
	row, now, err := e.Catalog.Get(ctx, key)
	if err != nil {
		return backup.Run{}, now, fmt.Errorf("load run %s: %w", id, err)
	}
	run, err := backup.Decode[backup.Run](row)
	run.RowETag = row.ETag
	return run, now, err
}

// Execute handles one message of the queue "execute". It returns nil if the host may delete the message: the step was made, the
// message changes nothing, or it is a dead letter. After an error the host must deliver it again. The invocation's ID names this
// delivery.
func (e *Engine) Execute(ctx context.Context, invocation string, message []byte) (Outcome, error) {
	w, bad := backup.ParseStepMessage(message)
	read := e.Now() // before the answer: if that is slow to come, the lease must not be longer for it
	run, now, err := e.load(ctx, w.Run)
	var notes []backup.Row
	if errors.Is(err, backup.ErrNotFound) || errors.Is(err, backup.ErrUnreadable) || err == nil && run.App != e.App {
		others, _, standing := e.Ownership().Enter(ctx, backup.Behind(backup.AppsPrefix))
		if no, ok := errors.AsType[*apps.NotOwner](standing); ok {
			if bad == nil && err == nil && (run.State.Final() && !run.Unpublished && lookDue(run, e.Timings).IsZero() || w.Sequence < run.Sequence) {
				return Outcome{Run: w.Run, Note: "no app expects the step message"}, nil
			}
			return Outcome{Run: w.Run, Note: no.Error() + ": put back"}, e.Queue.Requeue(ctx, backup.ExecuteQueue, message, e.putBackDelay(run, now))
		}
		if standing != nil {
			return Outcome{Run: w.Run}, standing
		}
		run.App, notes = e.App, append([]backup.Row{}, others...)
	}
	if bad != nil {
		return Outcome{Note: "dead letter: " + bad.Error()}, e.DeadLetter(ctx, backup.ExecuteQueue, message, backup.NewReason(unreadableStep, bad.Error(), ""))
	}
	if errors.Is(err, backup.ErrNotFound) {
		why := "there is no run " + w.Run
		if e.isHistory(w.Run) {
			return Outcome{Run: w.Run, Note: why + ": it is history"}, nil
		}
		return Outcome{Run: w.Run, Note: "dead letter: " + why}, e.DeadLetter(ctx, backup.ExecuteQueue, message, backup.NewReason(unknownRun, why, ""))
	}
	if err != nil {
		return Outcome{Run: w.Run}, err
	}
	s := e.newStep(run, now, read)
	s.invocation, s.stepMessage, s.notes = invocation, w, notes
	out := Outcome{Run: run.ID, Target: run.Target, Plan: run.Plan, From: run.State, To: run.State}
	switch {
	case run.State.Final():
		out.Note = "the run has ended"
	case w.Sequence > run.Sequence:
		out.Note = "too early: put back"
		return out, e.Queue.SendStep(ctx, w, e.putBackDelay(run, now))
	case w.Sequence < run.Sequence, w.Nonce != run.Nonce:
		out.Note = "not the step message that the run expects"
		return out, nil
	case run.LeaseUntil.After(now):
		out.Note = "another invocation is starting the operation: put back"
		return out, e.Queue.SendStep(ctx, w, run.LeaseUntil.Sub(now))
	}
	if run.State.Final() {
		err = s.makeLastStep(ctx)
	} else {
		err = s.makeStep(ctx)
	}
	if errors.Is(err, errConflict) {
		out.Note = "another invocation was faster: put back"
		return out, e.Queue.SendStep(ctx, w, e.Timings.PutBack)
	}
	out.To, out.Reason, out.Warning = s.run.State, s.run.Reason, s.run.Warning()
	return out, err
}

// putBackDelay is the delay of a step message that is put back for another invocation or another app: it comes back when the one
// that the run expects is due, and then ever more rarely; without a run most rarely.
func (e *Engine) putBackDelay(run backup.Run, now time.Time) time.Duration {
	return max(min(run.Due.Sub(now), backup.LongestDelay), e.Timings.PutBackDelay(now.Sub(run.Due)))
}
