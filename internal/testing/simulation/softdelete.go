package simulation

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
	"lifeboat/internal/stop"
)

// softDelete returns the time of softDelete in the plans of a world. In three of four worlds it is off, and people delete nothing, so that
// these stay as they are without it.
func softDelete(seed uint64) time.Duration {
	if seed%4 != 2 {
		return 0
	}
	return []time.Duration{day, 3 * day, 9 * day, 0}[seed/4%4]
}

// deleter is a person who deletes a recovery point, or takes its deletion back. The request keeps its ID in each repeat.
type deleter struct {
	point string
	id    string
	// until is the time of the hold after an undo; 0: until it is released.
	lasts time.Duration
	tries int
}

// unwanted may let a person delete a new recovery point before its time, and let one take back the deletion, by this person or by the
// policy. The choices come from the point alone, so that they change no others.
func (w *World) unwanted(p *backup.Point) {
	if w.choices.seed%4 != 2 || w.ending || w.options.Calm {
		return
	}
	hash := fnv.New64a()
	hash.Write([]byte(p.ID))
	c := rand.New(rand.NewPCG(w.choices.seed, hash.Sum64()))
	soft := softDelete(w.choices.seed)
	var marked time.Time
	switch c.IntN(8) {
	case 0:
		marked = w.now.Add(pickOne(c, time.Hour, day, lastDay(p).Sub(w.now)-time.Hour))
		w.at(marked, func() { w.erase(&deleter{point: p.ID, id: "erase " + p.ID}) })
	case 1:
		marked = lastDay(p).Add(5 * time.Minute)
	case 2:
		if c.IntN(4) == 0 {
			at := pickOne(c, time.Hour, day)
			w.in(at, func() { w.forget(&deleter{id: "forget " + p.ID}, p.Target, "") })
			if c.IntN(2) == 0 { // a colleague holds one of the points before
				hold := backup.PersonHold{ID: backup.HoldID("keep " + p.ID), Reason: "an audit"}
				w.in(at/2, func() { w.hold(&holder{point: p.ID, hold: hold, release: 2 * day}) })
			}
		}
		return
	default:
		return
	}
	if c.IntN(3) == 0 {
		return
	}
	undone := marked.Add(pickOne(c, time.Minute, time.Hour, soft/2, soft-5*time.Minute, soft, soft+6*time.Hour))
	d := &deleter{point: p.ID, id: "undo " + p.ID, lasts: pickOne(c, 0, 3*time.Hour, 5*day)}
	w.at(backup.Later(undone, w.now), func() { w.undelete(d, pickOne(c, 11*time.Minute, 2*day, 9*day)) })
}

func pickOne(c *rand.Rand, all ...time.Duration) time.Duration { return all[c.IntN(len(all))] }

// later repeats a request of a person, unless the world ends.
func (d *deleter) later(w *World, again func()) {
	if d.tries < mostTries && !w.ending {
		w.in(time.Minute, again)
	}
}

// erase asks for the deletion, again and again until there is an answer.
func (w *World) erase(d *deleter) {
	if w.now.Before(w.host.down) {
		w.at(w.host.down, func() { w.erase(d) })
		return
	}
	w.choices.track = ofRequests
	d.tries++
	wish := backup.SoftDeletion{ID: backup.HoldID(d.id), Reason: "it has a secret"}
	w.request(ofRequests, "delete "+w.ledger.runName(d.point), func(ctx context.Context, v *invocation, e *engine.Engine) (err error) {
		wish.By = fmt.Sprintf("invocation %d", v.id)
		_, err = e.SoftDelete(ctx, d.point, wish, true)
		return err
	}, func(v *invocation) {
		refused := errors.Is(v.err, engine.ErrHeld) || errors.Is(v.err, engine.ErrInUse) || errors.Is(v.err, engine.ErrNewest) ||
			errors.Is(v.err, engine.ErrPointGone) || errors.Is(v.err, engine.ErrNotEnded) || errors.Is(v.err, engine.ErrDeletionUndone)
		switch {
		case v.died || v.err != nil && !refused && stop.Reason(v.err) == "":
			v.returned("")
			d.later(w, func() { w.erase(d) })
		case v.err != nil:
			v.returned("")
		default:
			v.returned("deleted")
			w.figures.SoftDeletions++
			w.check(erasing{d.point, wish.ID})
		}
	})
}

// forget asks for the deletion of all points of a target, page by page, again and again until there is an answer.
func (w *World) forget(d *deleter, target, after string) {
	if w.now.Before(w.host.down) {
		w.at(w.host.down, func() { w.forget(d, target, after) })
		return
	}
	w.choices.track = ofRequests
	d.tries++
	wish := backup.SoftDeletion{ID: backup.HoldID(d.id), Reason: "the service is retired"}
	var page engine.Forgotten
	w.request(ofRequests, "forget "+w.service(target).name, func(ctx context.Context, v *invocation, e *engine.Engine) (err error) {
		wish.By = fmt.Sprintf("invocation %d", v.id)
		page, err = e.Forget(ctx, engine.Forgetting{Target: target, Deletion: wish, Planned: true, After: after})
		return err
	}, func(v *invocation) {
		switch {
		case v.died || v.err != nil && stop.Reason(v.err) == "":
			v.returned("")
			d.later(w, func() { w.forget(d, target, after) })
		case v.err != nil:
			v.returned("")
		default:
			v.returned("forgotten")
			w.figures.SoftDeletions += len(page.Points)
			w.check(forgot{target, wish.ID, page})
			if page.Next != "" {
				w.forget(d, target, page.Next)
			}
		}
	})
}

// undelete asks for the end of a soft deletion, again and again until there is an answer, and releases the hold later.
func (w *World) undelete(d *deleter, release time.Duration) {
	if w.now.Before(w.host.down) {
		w.at(w.host.down, func() { w.undelete(d, release) })
		return
	}
	w.choices.track = ofRequests
	hold := backup.PersonHold{ID: backup.HoldID(d.id), Reason: "it is needed"}
	if d.tries++; d.lasts > 0 {
		hold.Until = w.now.Add(d.lasts)
		if d.tries > 1 { // a repeat must be the same request
			d.id = fmt.Sprint(d.id, "+")
			hold.ID = backup.HoldID(d.id)
		}
	}
	w.request(ofRequests, "undelete "+w.ledger.runName(d.point), func(ctx context.Context, v *invocation, e *engine.Engine) (err error) {
		hold.By = fmt.Sprintf("invocation %d", v.id)
		_, err = e.Undelete(ctx, d.point, hold)
		return err
	}, func(v *invocation) {
		refused := errors.Is(v.err, engine.ErrNothingToHold) || errors.Is(v.err, engine.ErrNotSoftDeleted) || errors.Is(v.err, engine.ErrNotEnded)
		switch {
		case v.died || v.err != nil && !refused:
			v.returned("")
			d.later(w, func() { w.undelete(d, release) })
		case v.err != nil:
			v.returned("")
		default:
			v.returned("undeleted")
			w.figures.Undeletes++
			w.check(holding{d.point, hold})
			w.in(release, func() { w.release(&holder{point: d.point, hold: hold}) })
		}
	})
}

// lives tells whether the point can be restored, protects, and is to stay.
func lives(p *backup.Point) bool {
	return p.State == backup.Live && !p.Safety && p.SoftDeletion.Since.IsZero()
}

// leaves tells whether the change takes a point from those that live, or lets one go for good that the policy has soft-deleted.
func (m kept) leaves() bool {
	switch {
	case m.was == nil || m.is.Safety || m.is.SoftDeletion.ID != "":
		return false
	case lives(m.was):
		return !lives(m.is)
	}
	return m.was.State == backup.Live && m.is.State != backup.Live
}

// dueAt returns the time at which a cleanup has something to do about the point.
func dueAt(p *backup.Point) time.Time {
	if p.SoftDeletion.Since.IsZero() {
		return p.Expires
	}
	return p.SoftDeletion.Until
}

// softDeleted: a recovery point is given up only behind its time as a soft-deleted one, which is the one of its run. A person alone may end
// that, with a hold, or the rule for the newest. No held point gets into it. An answered deletion stands until an undo.
func softDeleted(w *World, moment any) string {
	switch m := moment.(type) {
	case kept:
		if m.was != nil {
			return w.softChange(m)
		}
	case removed:
		p := w.ledger.points[m.run]
		if p != nil && p.Artifact == m.blob.name && w.softOf(p) > 0 && w.now.Before(dueAt(p).Add(-clockTolerance)) {
			return w.ledger.artifactName(m.blob.name) + " is deleted, and its recovery point is soft-deleted for longer"
		}
	case erasing:
		p := w.ledger.points[m.point]
		if p.SoftDeletion.ID == "" && p.Undone.Deletion != m.id {
			return "the deletion of the recovery point of " + w.ledger.runName(m.point) + " was answered, and it stays"
		}
	case forgot:
		return w.forgotten(m)
	case over:
		for _, f := range w.ledger.all {
			p := w.ledger.points[f.run.ID]
			if p == nil || p.SoftDeletion.Since.IsZero() || !canRestore(p) || w.heldLately(p) || w.now.Sub(p.KeptByStorage.Until) < 7*time.Hour {
				continue
			}
			if w.now.Sub(p.SoftDeletion.Until) > 7*time.Hour && w.now.Sub(p.Held.Until) > 7*time.Hour {
				return fmt.Sprintf("the recovery point of %s is soft-deleted, and still there %s behind the end", f.name, w.now.Sub(p.SoftDeletion.Until))
			}
		}
	}
	return ""
}

// forgotten returns what is wrong with a page of points that a person had Lifeboat forget. No held one goes, and a live one is left.
func (w *World) forgotten(m forgot) string {
	partition := backup.Partition(m.target)
	for _, one := range m.page.Points {
		p := w.ledger.points[one.Point.ID]
		switch {
		case p == nil:
			return one.Point.ID + " is forgotten, and there is none"
		case one.Stays == nil && canRestore(p) && p.SoftDeletion.ID == "" && p.Undone.Deletion != m.id:
			return "the recovery point of " + w.ledger.runName(p.ID) + " is forgotten, and stays"
		case one.Stays != nil && p.SoftDeletion.ID == m.id && len(p.HeldBy(w.now)) == 0 && len(p.Readers) == 0:
			return "the recovery point of " + w.ledger.runName(p.ID) + " is said to stay, and is forgotten"
		}
	}
	if m.page.Next == "" && len(w.ledger.live[partition]) == 0 {
		for _, id := range w.ledger.byTarget[m.target] {
			if p := w.ledger.points[id]; p.State == backup.Live && !p.Safety && p.SoftDeletion.ID == m.id {
				return "no recovery point of " + w.service(m.target).name + " is left, which a plan has"
			}
		}
	}
	return ""
}

// softOf returns the time of softDelete that the run of the point has.
func (w *World) softOf(p *backup.Point) time.Duration {
	return w.ledger.runs[p.ID].run.Settings.SoftDelete
}

// softChange returns what is wrong with the change of a point's mark.
func (w *World) softChange(m kept) string {
	name, soft := "the recovery point of "+w.ledger.runName(m.is.ID), w.softOf(m.is)
	was, is := m.was.SoftDeletion, m.is.SoftDeletion
	gone := canRestore(m.was) && !canRestore(m.is) && m.is.State != backup.Altered
	switch {
	case gone && was.Since.IsZero() && soft > 0:
		return name + " is given up, and was never soft-deleted"
	case gone && !was.Since.IsZero() && w.now.Before(was.Until.Add(-clockTolerance)):
		return fmt.Sprintf("%s is given up %s before the end of its time as a soft-deleted one", name, was.Until.Sub(w.now))
	case was.Since.IsZero() && !is.Since.IsZero():
		switch {
		case is.Until.Sub(is.Since) != soft || is.Since.Sub(w.now).Abs() > handlerDeadline+clockTolerance:
			return fmt.Sprintf("%s is soft-deleted from %s to %s, at %s", name, is.Since, is.Until, w.now)
		case is.ID == "" && !m.is.Expires.IsZero() && w.now.Before(w.firstDay(m.was, m.is.Expires).Add(-clockTolerance)):
			return name + " is soft-deleted before its time"
		case len(m.is.HeldBy(w.now.Add(clockTolerance))) > 0:
			return name + " is soft-deleted while a person holds it"
		case is.ID == "" && m.v != nil && !w.stoppedSince(m.v).IsZero() && m.v.begun.After(w.stoppedSince(m.v)):
			return name + " is soft-deleted while the app is stopped"
		}
	case !was.Since.IsZero() && !is.Since.IsZero() && !was.Until.Equal(is.Until):
		return name + " has another end of its time as a soft-deleted one"
	case !was.Since.IsZero() && is.Since.IsZero() && len(m.is.HeldBy(w.now.Add(-handlerDeadline))) == 0:
		newer := slices.ContainsFunc(m.others, func(o *backup.Point) bool { return o.Created.After(m.is.Created) })
		n, rank := w.minimum(m.is, m.others, clockTolerance)
		if was.ID != "" || newer && (rank < 0 || rank >= n) {
			return name + " is soft-deleted no longer, and nobody wanted that"
		}
	}
	return ""
}
