package simulation

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
	"lifeboat/internal/plans"
	"lifeboat/internal/services"
)

// instance is one process of the handler, with its clock, its book, and its invocations under way.
type instance struct {
	w    *World
	name string
	// offset is the constant error of its clock. jump is added to the error while the clock is far off.
	offset, jump time.Duration
	// app is the app that it is an instance of, and owned is the time at which it last read that its app owns the catalog.
	app     *app
	owned   time.Time
	book    *plans.Store
	running []*invocation
}

func newInstance(w *World, n int) *instance {
	i := &instance{w: w, name: string(rune('A' + n))}
	// The error is up to a minute and a half, to the half second: less than the engine tolerates.
	i.offset = oneOf(w.choices, 0, time.Second, -30*time.Second, 90*time.Second, -90*time.Second, 500*time.Millisecond)
	return i
}

// restart forgets everything that the process knew.
func (i *instance) restart() {
	i.owned = time.Time{}
	i.book = &plans.Store{
		Catalog: present{i.w}, App: i.app.name, Parse: parsePlans,
		Read: func(ctx context.Context) ([]byte, error) { return i.app.file.read(ctx) },
	}
}

// die ends the process, and with it all its invocations.
func (i *instance) die() {
	for _, v := range slices.Clone(i.running) {
		v.doomed = true
		if v.next != nil && !v.inside {
			v.proceed()
		}
	}
	i.restart()
}

// invocation is one call of the engine by the host. It runs through, or takes turns with others. Then it stops before and
// after every outside call, and the world decides which invocation goes on.
type invocation struct {
	w     *World
	on    *instance
	id    int
	track int
	what  string
	begun time.Time
	// offset is the error of its clock. An adjusted clock does not change how spans are measured.
	offset time.Duration
	// turns says that it takes turns. yield stops it, next lets it go on, and inside is true while it runs.
	turns  bool
	yield  func(time.Time) bool
	next   func() (time.Time, bool)
	inside bool
	// doomed says that it dies at its next stop. dying says that it dies when it has the answer to its call.
	doomed, dying bool
	// died and err are its result; done is called at its end.
	died bool
	err  error
	done func(*invocation)
	// stepMessage is the message that it was invoked for. loaded is the run as it read it, and owner is its name in leases.
	stepMessage backup.StepMessage
	loaded      *backup.Run
	owner       string
	// request says that it serves a request after the handler has looked whether its app owns the catalog. unclaimed says that runs
	// were left to be taken over when it read its run. putBack says that it left its message to the other app.
	request, unclaimed, putBack bool
	// order is the request for a restore that it was invoked for. plans are the plans that it took for the active ones.
	order *order
	plans []backup.Plan
	// mayRestore says that its last question about a restore was not answered by: nothing of it is shown.
	mayRestore bool
	// looked is the time at which it looked at the switch last, zero if it never did. removes is the run whose artifact it has deleted
	// since.
	looked  time.Time
	removes string
	// look is its last look for a lost start.
	look *look
	// keeps are the runs whose artifacts storage refused to delete.
	keeps []string
	// fatal is the call at which it dies, if it is not 0.
	fatal int
	// calls and writes count the calls and the writes that it made.
	calls, writes int
}

// died is the value of the panic by which an invocation dies inside the engine.
type died struct{}

// These are the limits of the handler, and of the host.
const (
	handlerDeadline = 4 * time.Minute
	functionTimeout = 5 * time.Minute
)

// invoke has the instance do the work. It calls done when the invocation has ended, or died.
func (w *World) invoke(
	on *instance, track int, what string, work func(context.Context, *invocation, *engine.Engine) error, done func(*invocation),
) {
	w.figures.Invocations++
	v := &invocation{w: w, on: on, id: w.figures.Invocations, track: track, what: what, begun: w.now, offset: on.offset + on.jump, done: done, fatal: w.host.fatal}
	on.running = append(on.running, v)
	v.turns = w.weather > 0 && w.choices.chance(w.faultProfile.interleaved)
	body := func() {
		defer func() {
			if p := recover(); p != nil {
				if _, ok := p.(died); !ok {
					panic(p)
				}
				v.died = true
			}
		}()
		v.err = work(context.Background(), v, v.engine())
	}
	if !v.turns {
		before := w.choices.track
		w.present, w.choices.track = v, track
		body()
		w.choices.track = before
		v.end()
		return
	}
	w.figures.Interleaved++
	v.next, _ = iter.Pull(func(yield func(time.Time) bool) {
		v.yield = yield
		body()
	})
	v.proceed()
}

// proceed lets an invocation that takes turns go on to its next stop.
func (v *invocation) proceed() {
	before := v.w.choices.track
	v.inside, v.w.present, v.w.choices.track = true, v, v.track
	at, more := v.next()
	v.inside, v.w.choices.track = false, before
	if !more {
		v.end()
		return
	}
	v.w.at(at, func() {
		if !v.ended() {
			v.proceed()
		}
	})
}

func (v *invocation) ended() bool { return !slices.Contains(v.on.running, v) }

func (v *invocation) end() {
	v.on.running = slices.DeleteFunc(v.on.running, func(o *invocation) bool { return o == v })
	if v.died {
		v.w.figures.Crashes++
	}
	v.done(v)
}

// known lists the services that Lifeboat backs up.
var known = services.All().Known()

// engine makes the real engine of this process, with the world in place of Azure.
func (v *invocation) engine() *engine.Engine {
	providers := map[string]backup.Provider{}
	for _, s := range v.w.services {
		providers[strings.ToLower(s.behaviour.Type)] = v
		if s.shows {
			providers[strings.ToLower(s.behaviour.Type)] = showing{v}
		}
	}
	stopped := v.w.host.stopped
	if v.on.app != v.w.works() {
		stopped = v.on.app.stopped
	}
	return &engine.Engine{
		Catalog: v, Queue: v, Manifests: manifests{v}, App: v.on.app.name, Services: known, Providers: providers,
		Timings: engine.DefaultTimings(), Stopped: stopped,
		Concurrency: v.w.concurrency, KeepHistory: v.w.history, Parallelism: 1,
		Zone: zone, Now: v.clock, NewID: v.w.newID, Left: v.on.book.Left,
	}
}

// clock returns the time of the process's own clock.
func (v *invocation) clock() time.Time { return v.w.now.Add(v.offset) }

// wait lets time pass, if the invocation takes turns; other invocations run meanwhile.
func (v *invocation) wait(d time.Duration) {
	if v.turns && !v.doomed {
		v.yield(v.w.now.Add(d))
		if v.w.now.Sub(v.begun) >= functionTimeout && !v.doomed {
			v.say("the host kills the process: five minutes are over")
			v.doomed = true
			v.w.disturb()
			v.w.in(0, v.on.die)
		}
	}
	if v.doomed || v.w.violation != nil {
		panic(died{})
	}
}

// before runs before each outside call. An error means that the call is not made.
func (v *invocation) before(call string) error {
	v.calls++
	v.w.figures.Calls++
	v.wait(v.delay())
	if v.fatal > 0 && v.calls == v.fatal {
		v.say("DIES before it can %s", call)
		v.doomed = true
		v.wait(0)
	}
	if v.w.happens(v.w.faultProfile.dies) {
		if v.w.choices.pick(2) == 0 {
			v.say("DIES before it can %s", call)
			v.doomed = true
			v.wait(0)
		}
		v.dying = true
	}
	if v.w.now.Sub(v.begun) >= handlerDeadline {
		return fmt.Errorf("%s: %w", call, context.DeadlineExceeded)
	}
	return nil
}

// after runs after each outside call.
func (v *invocation) after(call string) {
	if v.w.violation != nil {
		panic(died{})
	}
	if v.dying {
		v.say("DIES before it sees the answer to: %s", call)
		v.doomed = true
		v.wait(0)
	}
	v.wait(v.delay())
}

// delay draws the time of the way to a service, or back.
func (v *invocation) delay() time.Duration {
	if !v.turns || !v.w.happens(v.w.faultProfile.slow) {
		return 0
	}
	return oneOf(v.w.choices, 500*time.Millisecond, 2*time.Second, 10*time.Second, 40*time.Second, 75*time.Second)
}

// span returns the time that a context leaves. Nothing in the world takes real time, so this is the time that the engine
// allowed, less the moment in between. Half seconds are the smallest spans here.
func span(ctx context.Context) time.Duration {
	end, ok := ctx.Deadline()
	if !ok {
		return 1000 * time.Hour
	}
	const smallest = 500 * time.Millisecond
	return (time.Until(end) + smallest - 1).Truncate(smallest)
}

// present passes each call to the running invocation: a process has one book for all its invocations.
type present struct{ w *World }

func (p present) Get(ctx context.Context, key backup.Key) (backup.Row, time.Time, error) {
	return p.w.present.Get(ctx, key)
}

func (p present) List(ctx context.Context, partition, from, to string, limit int) ([]backup.Row, time.Time, error) {
	return p.w.present.List(ctx, partition, from, to, limit)
}

func (p present) Count(ctx context.Context, partition, from, to string, limit int) (int, error) {
	return p.w.present.Count(ctx, partition, from, to, limit)
}

func (p present) Apply(ctx context.Context, writes ...backup.Write) ([]string, error) {
	return p.w.present.Apply(ctx, writes...)
}
