package simulation

import (
	"context"
	"errors"
	"slices"
	"time"

	"lifeboat/internal/apps"
	"lifeboat/internal/engine"
	"lifeboat/internal/health"
	"lifeboat/internal/request"
)

// app is an app on the storage, with its instances, its settings and its plan.yaml. A world has one, or a second one that comes and
// goes: a slot, or a developer's machine. The host calls the timers of the app that owns the catalog; see visit for the other one.
type app struct {
	w         *World
	name      string
	instances []*instance
	file      *planFile
	// there says that it runs. next is the time of its next timer run while it does not own the catalog, and came counts its visits.
	there bool
	next  time.Time
	came  int
	// stopped is its LIFEBOAT_STOPPED, and denied says that its identity has no roles, while it does not own the catalog.
	stopped string
	denied  bool
}

// ownsTime is the time for which the handler takes its app for the owner after it last read that.
const ownsTime = time.Minute

// newApps makes the app of the world, and perhaps a second one. It draws last, so that a world without a second app is the same
// as if there could be none.
func newApps(w *World) {
	first := &app{w: w, instances: w.instances, file: w.file, there: true}
	w.apps = []*app{first}
	c := w.choices
	if !w.options.Calm && c.pick(4) == 3 {
		first.name = "first"
		second := &app{w: w, name: "second", file: w.file}
		for n := range 1 + c.pick(2) {
			second.instances = append(second.instances, newInstance(w, 'S'-'A'+n))
		}
		if c.pick(3) > 0 { // else both read the same blob
			second.file = w.file.other()
		}
		w.instances = slices.Concat(w.instances, second.instances)
		w.apps = append(w.apps, second)
	}
	for _, a := range w.apps {
		for _, i := range a.instances {
			i.app = a
			i.restart()
		}
	}
}

// other makes the plan.yaml of another app: one plan has a name of the first one's, but other times and targets.
func (f *planFile) other() *planFile {
	o := &planFile{w: f.w, edited: f.edited, left: f.left}
	var all []string
	for _, s := range f.w.services {
		all = append(all, s.target)
	}
	o.specs = append(o.specs, f.draw(f.specs[0].Name, all[:1]), f.draw("slot", all))
	o.write()
	return o
}

// works returns the app that owns the catalog.
func (w *World) works() *app {
	if len(w.apps) > 1 && w.ledger.owner.app == w.apps[1].name {
		return w.apps[1]
	}
	return w.apps[0]
}

// visitor returns the app that is there, and does not own the catalog; nil if none is.
func (w *World) visitor() *app {
	for _, a := range w.apps {
		if a.there && a != w.works() {
			return a
		}
	}
	return nil
}

// mostPutBack is the largest number of messages in a queue while an app alone is there that puts each back. With the world's faults
// each may become two there, so that days would make thousands of a few.
const mostPutBack = 40

// serves reports whether an app takes messages: the owner of the catalog, or the other one while there are few.
func (w *World) serves() bool {
	return !w.now.Before(w.host.down) ||
		len(w.queue.Messages(executeQueue)) < mostPutBack && len(w.queue.Messages(restoreQueue)) < mostPutBack &&
			len(w.queue.Messages(executeQueue+poison))+len(w.queue.Messages(restoreQueue+poison)) < mostPutBack
}

func (a *app) anyone() *instance { return a.instances[a.w.choices.pick(len(a.instances))] }

// taker returns the instance that gets the next message: of either app, if both are there.
func (h *host) taker() *instance {
	if a := h.w.visitor(); a != nil && (h.w.now.Before(h.down) || h.w.choices.pick(2) == 1) {
		return a.anyone()
	}
	return h.anyone()
}

// addressed returns the instance that gets a person's request. Some people ask the wrong app.
func (h *host) addressed() *instance {
	if a := h.w.visitor(); a != nil && h.w.choices.pick(4) == 3 {
		return a.anyone()
	}
	return h.anyone()
}

// request is invoke for a person's request, which an app without the catalog does not serve.
func (w *World) request(
	track int, what string, work func(context.Context, *invocation, *engine.Engine) error, done func(*invocation),
) {
	w.invoke(w.host.addressed(), track, what, func(ctx context.Context, v *invocation, e *engine.Engine) error {
		if err := v.owns(ctx, e); err != nil {
			return err
		}
		return work(ctx, v, e)
	}, done)
}

// owns does what the handler does before it serves a request.
func (v *invocation) owns(ctx context.Context, e *engine.Engine) error {
	if len(v.w.apps) == 1 {
		return nil
	}
	v.request = true
	asked := v.w.now
	if !v.on.owned.IsZero() && asked.Sub(v.on.owned) < ownsTime {
		return nil
	}
	err := e.Ownership().Check(ctx)
	if err == nil {
		v.on.owned = asked
	} else if _, no := errors.AsType[*apps.NotOwner](err); no {
		v.on.owned = time.Time{}
	}
	return err
}

// leaves does what the handler does with a message of a queue of requests: an app without the catalog puts it back. If nothing shows
// which app that is, it puts a request off that the host gave up. It reports whether the message was dealt with.
func (v *invocation) leaves(ctx context.Context, e *engine.Engine, queue string, d delivery) (bool, error) {
	err := v.owns(ctx, e)
	if err == nil {
		return false, nil
	}
	first, body, delay := request.Original(d.body, v.w.now), d.body, e.Timings.PollMax
	if _, no := errors.AsType[*apps.NotOwner](err); !no {
		if queue == d.queue || queue == executeQueue {
			return true, err
		}
		later, failed := e.PutOff(ctx, queue, first)
		if later {
			v.w.ledger.forgive(d.body)
			v.putBack = true
			return true, nil
		}
		return true, errors.Join(err, failed)
	}
	v.putBack = true
	v.w.figures.PutBack++
	if queue != executeQueue {
		body, delay = first.Encode(), e.Timings.PutBackDelay(v.w.now.Sub(first.Sent))
	}
	return true, v.Requeue(ctx, d.queue, body, delay)
}

// meet perhaps has the app without the catalog come today.
func (w *World) meet() {
	if len(w.apps) == 1 {
		return
	}
	c := w.choices
	c.track = ofApps
	if !c.chance(350) {
		return
	}
	w.in(time.Duration(c.pick(24*60))*time.Minute, func() {
		if !w.ending {
			c.track = ofApps
			w.visit()
		}
	})
}

// visit has the app without the catalog come for a while, with any settings. A person may have it take over.
func (w *World) visit() {
	a, c := w.apps[0], w.choices
	if a == w.works() {
		a = w.apps[1]
	}
	if a.there || !w.ledger.owner.known {
		return
	}
	long := oneOf(c, 20*time.Minute, 2*time.Hour, 9*time.Hour, 30*time.Hour, 2*day)
	a.stopped, a.denied = oneOf(c, "", "stopped by LIFEBOAT_STOPPED"), c.pick(2) == 1
	a.came++
	a.there, a.next = true, w.now.Add(time.Duration(c.pick(60))*time.Second)
	w.figures.Visits++
	w.note(nil, "the app %s COMES for %s: stopped %t, without roles %t, another plan.yaml %t", a.name, long, a.stopped != "", a.denied, a.file != w.file)
	w.leave(a, long)
	switch c.pick(4) {
	case 2:
		w.in(time.Duration(c.pick(int(long/time.Minute)))*time.Minute, func() { w.takeOver(a, w.works().name, 1) })
	case 3: // amid a start
		w.eager = a
	}
}

// leave has the app go after a while, unless it works then, or has gone and come again.
func (w *World) leave(a *app, after time.Duration) {
	visit := a.came
	w.in(after, func() {
		if a != w.works() && a.came == visit {
			w.goes(a)
		}
	})
}

func (w *World) goes(a *app) {
	if !a.there {
		return
	}
	w.note(nil, "the app %s GOES", a.name)
	a.there = false
	for _, i := range a.instances {
		i.die()
	}
	visit, owner := a.came, w.ledger.owner
	w.in(health.OtherAppTime+2*time.Second, func() {
		if a.came == visit && owner.since.Equal(w.ledger.owner.since) {
			w.check(gone{a.name})
		}
	})
}

// timer runs the timers of an app that does not own the catalog.
func (a *app) timer() {
	w := a.w
	w.choices.track = ofApps
	a.next = ceil(w.now.Add(oneOf(w.choices, 5*time.Minute, time.Minute, 20*time.Minute)), timerPeriod)
	owner := w.ledger.owner.since
	w.invoke(a.anyone(), ofApps, "schedule", func(ctx context.Context, v *invocation, e *engine.Engine) error {
		active, unsettled := v.on.book.Reconcile(ctx)
		report, err := e.Schedule(ctx, active.Plans)
		if err == nil {
			v.on.book.Observe(report.ActivePlan)
			err = unsettled
		}
		return err
	}, func(v *invocation) {
		v.returned("")
		if no, ok := errors.AsType[*apps.NotOwner](v.err); ok && no.Error() == v.err.Error() && owner.Equal(w.ledger.owner.since) {
			w.check(refusedToWork{v})
		}
	})
	if w.choices.pick(3) == 2 {
		w.invoke(a.anyone(), ofApps, "cleanup", func(ctx context.Context, _ *invocation, e *engine.Engine) error {
			_, err := e.Cleanup(ctx)
			return err
		}, func(v *invocation) { v.returned("") })
	}
}

// takeOver lets a person have the app take the catalog over. The call may die at any request. Then the person repeats it, or leaves
// the rest to the timer runs.
func (w *World) takeOver(a *app, loser string, try int) {
	c := w.choices
	if w.ending || !a.there || a == w.works() && try == 1 || loser == a.name {
		return
	}
	c.track = ofApps
	repeats := c.pick(2) == 0
	if c.pick(3) == 2 {
		w.host.fatal = 1 + c.pick(12)
	}
	w.note(nil, "somebody has %s TAKE OVER from %s", a.name, loser)
	w.invoke(a.anyone(), ofApps, "takeover", func(ctx context.Context, _ *invocation, e *engine.Engine) error {
		_, err := e.Ownership().TakeOver(ctx, loser, "a person")
		return err
	}, func(v *invocation) {
		v.returned("")
		if (v.died || v.err != nil) && !errors.Is(v.err, apps.ErrNotLoser) && repeats && try < mostTries {
			w.disturb()
			w.in(time.Minute, func() { w.takeOver(a, loser, try+1) })
		}
	})
	w.host.fatal = 0
}

// handOver goes on with the app that has taken the catalog over: the host calls its timers, and its plan.yaml counts. It has got its
// roles before. It may be away at first. The app that lost goes soon, or stays for a while.
func (w *World) handOver() {
	a, c := w.works(), w.choices
	was := w.apps[0]
	if was == a {
		was = w.apps[1]
	}
	track := c.track
	c.track = ofApps
	w.figures.Takeovers++
	w.disturb()
	a.denied, was.stopped = false, ""
	w.host.stoppedAt = w.now // its setting counts from now on
	if was.came++; w.ending {
		w.in(0, func() { w.goes(was) })
	} else {
		was.next = w.now.Add(time.Minute)
		w.leave(was, oneOf(c, 10*time.Minute, 0, 2*time.Hour, day))
		if d := oneOf(c, 0, 0, 12*time.Minute, 3*time.Hour); d > 0 {
			w.note(nil, "the app %s is AWAY for %s", a.name, d)
			w.host.down = w.now.Add(d)
			w.in(d, w.disturb)
		}
	}
	c.track = track
	if w.file != a.file {
		w.file.replacedBy(a.file)
		w.file = a.file
	}
	w.host.look()
}

// replacedBy notes that the plans of this file count no more, and those of the other do.
func (f *planFile) replacedBy(o *planFile) {
	for _, p := range slices.Concat(f.specs, o.specs) {
		f.edited[p.Name] = f.w.now
	}
	for _, p := range f.specs {
		for _, target := range p.Targets {
			if !o.wants(p.Name, target) {
				f.left[[2]string{p.Name, target}] = f.w.now
			}
		}
	}
}

// forgive takes a message out of the given-up ones, since it is a message again. An app that put it back may have given it
// another form.
func (l *ledger) forgive(body []byte) {
	l.poisoned = slices.DeleteFunc(l.poisoned, func(given string) bool {
		return given == string(body) || string(undated([]byte(given))) == string(undated(body))
	})
}

// undated returns the message without the time at which it was sent first.
func undated(body []byte) []byte {
	p := request.Original(body, time.Time{})
	p.Sent = time.Time{}
	return p.Encode()
}
