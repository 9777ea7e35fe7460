package simulation

import (
	"context"
	"fmt"
	"slices"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
	"lifeboat/internal/stop"
)

// changeStop lets a person stop the app, or resume it, again and again under one ID until there is an answer.
func (w *World) changeStop(on, backups bool) {
	w.choices.track = ofRequests
	w.tryStop(w.newID(), on, backups, 1)
}

func (w *World) tryStop(id string, on, backups bool, try int) {
	if w.now.Before(w.host.down) {
		w.at(w.host.down, func() { w.tryStop(id, on, backups, try) })
		return
	}
	if on && w.ending {
		return
	}
	w.choices.track = ofRequests
	what := map[bool]string{true: "stop", false: "resume"}[on]
	w.request(ofRequests, what, func(ctx context.Context, _ *invocation, e *engine.Engine) error {
		var err error
		if on {
			_, err = e.Ownership().SetStop(ctx, stop.Request{ID: id, By: "a person", Reason: "an incident", Backups: backups})
		} else {
			_, err = e.Ownership().Resume(ctx, id, "a person")
		}
		return err
	}, func(v *invocation) {
		v.returned("")
		if (v.died || v.err != nil) && try < mostTries {
			w.in(time.Minute, func() { w.tryStop(id, on, backups, try+1) })
		}
	})
}

// wroteStop notes whether the switch is set, and since when.
func (l *ledger) wroteStop(w *World, write backup.Write) {
	is := read[stop.Switch](write)
	switch {
	case !is.On():
		l.stopped = time.Time{}
	case l.stopped.IsZero():
		l.stopped = w.now
		w.figures.Stops++
	}
	if l.stopsRuns = is.On() && is.Backups; l.stopsRuns {
		l.runStops++
	}
	w.host.look()
}

// makesNoRuns says whether no plan makes runs at present.
func (h *host) makesNoRuns() bool { return h.stopped != "" || h.w.ledger.stopsRuns || h.w.ending }

// atDusk returns the plans as they are at the end of the last day, when none makes runs any more.
func (w *World) atDusk(plans []backup.Plan) []backup.Plan {
	if !w.ending {
		return plans
	}
	plans = slices.Clone(plans)
	for i := range plans {
		plans[i].Paused = true
	}
	return plans
}

// stoppedSince returns the time since which the app of the invocation is stopped, for certain; zero if it is not. The setting is the one of the
// app that works: a former app has none, and goes on with its own runs until they are the other app's.
func (w *World) stoppedSince(v *invocation) time.Time {
	since := w.ledger.stopped
	if v.on.app == w.works() && w.host.stopped != "" && (since.IsZero() || w.host.stoppedAt.Before(since)) {
		since = w.host.stoppedAt
	}
	return since
}

// stops checks that each deletion and each restore begins after a look at the switch, and not after one that showed it set.
func stops(w *World, moment any) string {
	var v *invocation
	what := ""
	switch m := moment.(type) {
	case removed:
		if m.v.removes != "" && m.v.removes != m.run {
			return w.ledger.artifactName(m.blob.name) + " is deleted without a look at the switch"
		}
		v, what = m.v, w.ledger.artifactName(m.blob.name)+" is deleted"
		v.removes = m.run
	case restoreAsking:
		v, what = m.v, m.facts.name+" begins"
	default:
		return ""
	}
	since := w.stoppedSince(v)
	switch {
	case v.looked.IsZero():
		return what + " without a look at the switch"
	case !since.IsZero() && v.begun.After(since):
		return fmt.Sprintf("%s, and the app is stopped since %s", what, since.Format(time.RFC3339))
	case !w.ledger.stopped.IsZero() && v.looked.After(w.ledger.stopped):
		return what + " after a look that showed the app stopped"
	}
	return ""
}

// canceledStays checks that a restore does not begin after its cancellation was noted, and ends canceled unless a person abandons it.
func canceledStays(w *World, moment any) string {
	switch m := moment.(type) {
	case canceled:
		w.ledger.runs[m.run].canceled = true
	case restoreAsking:
		if m.facts.canceled || m.facts.run.Restore.CanceledBy != "" {
			return m.facts.name + " begins, and is canceled"
		}
	case over:
		for _, f := range w.ledger.all {
			if f.run.Restore != nil && f.run.Restore.CanceledBy != "" {
				w.figures.CanceledLater++
				if f.run.State != backup.Canceled && !givenUp(f.run) {
					return fmt.Sprintf("%s was canceled behind its safety backup, and is %s", f.name, f.run.State)
				}
			}
		}
	}
	return ""
}
