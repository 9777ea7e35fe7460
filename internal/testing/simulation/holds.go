package simulation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
)

// holder is a person who holds a recovery point, and perhaps releases it later. The request keeps its ID in each repeat.
type holder struct {
	point   string
	hold    backup.PersonHold
	release time.Duration // after the hold; 0: never
	tries   int
}

// wished may let a person hold a new recovery point: soon, or when cleanup is about to delete it. In three of four worlds people hold
// nothing, so that these stay as they are without holds.
func (w *World) wished(p *backup.Point) {
	if w.choices.seed%4 != 1 || w.ending || w.options.Calm || !w.choices.chance(200) {
		return
	}
	c := w.choices
	at := oneOf(c, w.now.Add(time.Hour), lastDay(p), lastDay(p).Add(5*time.Minute), lastDay(p).Add(6*time.Hour))
	h := &holder{point: p.ID, release: oneOf(c, time.Duration(0), 11*time.Minute, 2*day, 9*day, 20*day)}
	lasts := oneOf(c, time.Duration(0), 3*time.Hour, 5*day, 30*day)
	w.at(at, func() {
		h.hold = backup.PersonHold{ID: backup.HoldID(fmt.Sprint(p.ID, at)), Reason: "an audit"}
		if lasts > 0 {
			h.hold.Until = w.now.Add(lasts)
		}
		w.hold(h)
	})
}

// hold asks for the hold, again and again until there is an answer.
func (w *World) hold(h *holder) {
	if w.now.Before(w.host.down) {
		w.at(w.host.down, func() { w.hold(h) })
		return
	}
	w.choices.track = ofRequests
	h.tries++
	w.request(ofRequests, "hold "+w.ledger.runName(h.point), func(ctx context.Context, v *invocation, e *engine.Engine) (err error) {
		h.hold.By = fmt.Sprintf("invocation %d", v.id)
		_, err = e.Hold(ctx, h.point, h.hold)
		return err
	}, func(v *invocation) {
		switch {
		case errors.Is(v.err, engine.ErrNothingToHold), errors.Is(v.err, engine.ErrNotEnded):
			v.returned("")
		case v.died || v.err != nil:
			v.returned("")
			if h.tries < mostTries && !w.ending {
				w.in(time.Minute, func() { w.hold(h) })
			}
		default:
			v.returned("held")
			w.figures.Holds++
			w.check(holding{h.point, h.hold})
			if h.release > 0 {
				h.tries = 0
				w.in(h.release, func() { w.release(h) })
			}
		}
	})
}

// release asks for the end of the hold, again and again until there is an answer.
func (w *World) release(h *holder) {
	if w.ending {
		return
	}
	if w.now.Before(w.host.down) {
		w.at(w.host.down, func() { w.release(h) })
		return
	}
	w.choices.track = ofRequests
	h.tries++
	w.request(ofRequests, "release "+w.ledger.runName(h.point), func(ctx context.Context, v *invocation, e *engine.Engine) error {
		_, err := e.ReleaseHold(ctx, h.point, h.hold.ID, fmt.Sprintf("invocation %d", v.id))
		return err
	}, func(v *invocation) {
		v.returned("")
		if (v.died || v.err != nil) && !errors.Is(v.err, engine.ErrNotHeld) && h.tries < mostTries {
			w.in(time.Minute, func() { w.release(h) })
		}
	})
}

// heldLately tells whether a person held the point in the last seven hours, in which cleanup comes by.
func (w *World) heldLately(p *backup.Point) bool {
	const lately = 7 * time.Hour
	return len(p.HeldBy(w.now.Add(-lately))) > 0 || w.now.Sub(p.Released.Time) < lately
}

// heldStays: no recovery point is given up, and no artifact deleted, while a person holds it; and a hold that was answered is there.
func heldStays(w *World, moment any) string {
	holds := func(p *backup.Point) bool { return len(p.HeldBy(w.now.Add(clockTolerance))) > 0 }
	switch m := moment.(type) {
	case holding:
		p := w.ledger.points[m.point]
		if m.hold.Over(w.now.Add(clockTolerance)) || p.Released.Hold == m.hold.ID {
			return ""
		}
		if !holds(p) {
			return "the hold of the recovery point of " + w.ledger.runName(m.point) + " was answered, and nobody holds it"
		}
	case kept:
		if m.was != nil && holds(m.was) && canRestore(m.was) && !canRestore(m.is) && m.is.State != backup.Altered {
			return fmt.Sprintf("the recovery point of %s is %s while a person holds it", w.ledger.runName(m.is.ID), m.is.State)
		}
	case removed:
		if p := w.ledger.points[m.run]; p != nil && p.Artifact == m.blob.name && holds(p) {
			return w.ledger.artifactName(m.blob.name) + " is deleted while a person holds it"
		}
	}
	return ""
}
