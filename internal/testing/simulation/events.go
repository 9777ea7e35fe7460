package simulation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
	"lifeboat/internal/request"
	"lifeboat/internal/restore"
)

// befall draws the events of the whole day: people's actions, and outages and faults that last for a while.
func (w *World) befall() {
	often := w.faultProfile.befalls
	if w.options.Calm {
		often = 300
	}
	for range 3 {
		if !w.choices.chance(often) {
			continue
		}
		after := time.Duration(w.choices.pick(24*60)) * time.Minute
		kinds := 18
		if w.options.Calm {
			kinds = 4
		}
		what := w.choices.pick(kinds)
		w.in(after, func() {
			if !w.ending {
				w.choices.track = ofTheDay
				w.figures.Happenings++
				w.happen(what)
			}
		})
	}
}

// setStopped sets the app setting LIFEBOAT_STOPPED, or removes it.
func (w *World) setStopped(to string) {
	w.host.stopped = to
	w.host.stoppedAt = w.now
	w.host.look()
	w.note(nil, "stopped: %q", w.host.stopped)
}

func (w *World) happen(what int) {
	c := w.choices
	long := func(options ...time.Duration) time.Duration { return oneOf(c, options...) }
	someone := func() *instance { return w.instances[c.pick(len(w.instances))] }
	somewhere := func() *service { return w.services[c.pick(len(w.services))] }
	// Each of these events makes everything take longer, also when it is over.
	begins := func(format string, args ...any) {
		w.disturb()
		w.note(nil, format, args...)
	}
	switch what {
	case 0:
		w.ask()
	case 1:
		w.note(nil, "EDIT of plan.yaml: %s", w.file.edit())
	case 2:
		p := &w.file.specs[c.pick(len(w.file.specs))]
		p.Paused = !p.Paused
		w.file.write()
		w.note(nil, "plan %s: paused is %t", p.Name, p.Paused)
	case 3:
		w.setStopped(map[bool]string{true: "stopped by a person", false: ""}[w.host.stopped == ""])
		if w.options.Calm && w.host.stopped != "" {
			w.in(12*time.Hour, func() { w.setStopped("") }) // a restore waits for a day before it is refused
		}
	case 4:
		d := long(10*time.Minute, 2*time.Hour, 9*time.Hour, 30*time.Hour, 3*day)
		begins("the app is DOWN for %s", d)
		w.host.down = w.now.Add(d)
		for _, i := range w.instances {
			i.die()
		}
		w.in(d, w.disturb)
	case 5:
		i := someone()
		begins("the process %s ends, and begins anew", i.name)
		i.die()
	case 6:
		i := someone()
		i.jump = long(3*time.Minute, 3*time.Hour, -3*time.Hour, 40*day, -400*day)
		d := long(20*time.Minute, 2*time.Hour, 9*time.Hour)
		begins("the clock of the process %s JUMPS by %s for %s", i.name, i.jump, d)
		w.in(d, func() {
			w.disturb()
			i.jump = 0
		})
	case 7:
		s := somewhere()
		d := long(5*time.Minute, time.Hour, 9*time.Hour)
		begins("STORM over %s for %s", s.name, d)
		s.stormy = w.now.Add(d)
	case 8:
		s := somewhere()
		d := long(10*time.Minute, time.Hour, 9*time.Hour)
		begins("our role on %s is LOST for %s", s.name, d)
		s.denied = w.now.Add(d)
	case 9:
		s := somewhere()
		d := long(6*time.Hour, 3*day)
		begins("the blobs of %s are PROTECTED for %s", s.name, d)
		s.locked = w.now.Add(d)
	case 10:
		d := long(time.Hour, day)
		begins("plan.yaml is BROKEN for %s", d)
		w.file.spoil()
		w.in(d, w.file.mend)
	case 12:
		// Calls 1 and 2 of a timer run are its listings, and each run takes three.
		a := &ambush{calls: 3 + c.pick(12)}
		pause := func() {
			p := &w.file.specs[c.pick(len(w.file.specs))]
			p.Paused = true
			w.file.write()
			w.note(nil, "plan %s is paused", p.Name)
			w.in(long(time.Hour, 30*time.Hour), func() {
				for i := range w.file.specs {
					w.file.specs[i].Paused = false
				}
				w.file.write()
			})
		}
		down := func() {
			d := long(30*time.Hour, 3*day)
			begins("the app is DOWN for %s", d)
			w.host.down = w.now.Add(d)
			w.in(d, w.disturb)
		}
		if a.then = pause; c.pick(2) == 0 {
			a.then = down
		}
		w.host.ambush = a
	case 13:
		s := somewhere()
		d := long(day, 5*day, 20*day)
		begins("%s holds little for %s", s.name, d)
		s.shrunk = w.now.Add(d)
	case 14:
		d := long(12*time.Hour, time.Hour, 30*time.Hour)
		begins("the queues of EVENTS take nothing for %s", d)
		w.silent = w.now.Add(d)
		w.in(d, w.disturb)
	case 15:
		if n := len(w.ledger.open); n > 0 {
			w.abandon(w.ledger.open[c.pick(n)].run.ID, 1)
		}
	case 16:
		s := somewhere()
		for range 1 + c.pick(4) {
			w.touch(s)
		}
	case 17:
		w.changeStop(true, c.pick(2) == 0)
		w.in(long(10*time.Minute, time.Hour, 9*time.Hour, 40*time.Hour), func() { w.changeStop(false, false) })
	case 11:
		d := long(time.Hour, 9*time.Hour)
		begins("plan.yaml cannot be READ for %s", d)
		w.file.away = true
		w.in(d, w.file.mend)
	}
}

// manual is a backup asked for by hand. Its sender repeats it under its ID until there is an answer.
type manual struct {
	request request.Backup
	plan    backup.Plan
	tries   int
	// run is the ID in the answer.
	run string
}

const mostTries = 20

func (w *World) ask() {
	plans := w.file.plans
	p := plans[w.choices.pick(len(plans))]
	r := &manual{plan: p, request: request.Backup{
		ID: "request-" + w.newID(), Plan: p.Name, Target: p.Targets[w.choices.pick(len(p.Targets))],
	}}
	w.requests = append(w.requests, r)
	w.figures.Requests++
	w.post(r)
	if w.weather > 0 && w.choices.pick(2) == 1 {
		// Another person asks for the same, just after.
		other := &manual{request: r.request, plan: r.plan}
		other.request.ID = "request-" + w.newID()
		w.requests = append(w.requests, other)
		w.figures.Requests++
		w.in(2*time.Second, func() { w.post(other) })
	}
	if w.weather > 0 && w.choices.pick(4) == 3 {
		w.figures.Duplicates++
		w.post(r) // an impatient client
	}
}

// post sends the request, perhaps once more.
func (w *World) post(r *manual) {
	if w.now.Before(w.host.down) {
		w.at(w.host.down, func() { w.post(r) })
		return
	}
	r.tries++
	var run backup.Run
	w.request(ofRequests, "api", func(ctx context.Context, _ *invocation, e *engine.Engine) error {
		b, _, err := e.Backup(ctx, r.request, []backup.Plan{r.plan})
		if err == nil {
			run = b.Runs[0]
		}
		return err
	}, func(v *invocation) {
		if v.died || v.err != nil {
			v.returned("")
			if r.tries < mostTries && !w.ending {
				w.in(time.Minute, func() { w.post(r) })
			}
			return
		}
		v.returned("%s", w.ledger.runName(run.ID))
		w.check(answered{request: r, run: run.ID})
		r.run = run.ID
	})
}

// suspected may let a person look at a suspect recovery point, soon, later, or when cleanup is about to delete it.
func (w *World) suspected(p *backup.Point) {
	if w.ending {
		return
	}
	switch w.choices.pick(5) {
	case 1:
		w.in(10*time.Minute, func() { w.accept(p.ID, 1) })
	case 2:
		w.in(26*time.Hour, func() { w.accept(p.ID, 1) })
	case 3, 4:
		w.at(lastDay(p).Add(oneOf(w.choices, 0, 5*time.Minute)), func() { w.accept(p.ID, 1) })
	}
}

// accept asks for the acceptance of a recovery point, again and again until there is an answer.
func (w *World) accept(point string, try int) {
	if w.now.Before(w.host.down) {
		w.at(w.host.down, func() { w.accept(point, try) })
		return
	}
	w.choices.track = ofRequests
	var p backup.Point
	w.request(ofRequests, "accept "+w.ledger.runName(point), func(ctx context.Context, v *invocation, e *engine.Engine) (err error) {
		p, err = e.Accept(ctx, point, fmt.Sprintf("invocation %d", v.id), "somebody looked at it")
		return err
	}, func(v *invocation) {
		switch {
		case errors.Is(v.err, engine.ErrPointGone):
			v.returned("")
		case v.died || v.err != nil:
			v.returned("")
			if try < mostTries && !w.ending {
				w.in(time.Minute, func() { w.accept(point, try+1) })
			}
		default:
			v.returned("it is %s", p.State)
			w.check(vouched{p})
		}
	})
}

// abandon lets a person give a run up, again and again until there is an answer.
func (w *World) abandon(run string, try int) {
	if w.ending || w.now.Before(w.host.down) {
		return
	}
	w.choices.track = ofRequests
	w.request(ofRequests, "abandon "+w.ledger.runName(run), func(ctx context.Context, _ *invocation, e *engine.Engine) error {
		_, err := e.Abandon(ctx, run, "a person")
		return err
	}, func(v *invocation) {
		v.returned("")
		switch {
		case errors.Is(v.err, engine.ErrOver), errors.Is(v.err, engine.ErrStarting), errors.Is(v.err, restore.ErrBegun):
		case v.died || v.err != nil:
			if try < mostTries {
				w.in(time.Minute, func() { w.abandon(run, try+1) })
			}
		default:
			w.check(abandoned{run})
		}
	})
}
