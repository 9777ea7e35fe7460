package simulation

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"lifeboat/internal/backup"
)

// keptForRestores is the number of places that backups leave to restores.
func keptForRestores(ofAllPlans int) int {
	if ofAllPlans < 2 {
		return 0
	}
	return max(1, ofAllPlans/10)
}

// restores reports whether the run restores.
func (l *ledger) restores(run string) bool {
	f := l.runs[run]
	return f != nil && f.run.Restore != nil
}

// heldByBackups counts the permits of all plans that backups hold.
func (l *ledger) heldByBackups() (n int) {
	for row, run := range l.permits {
		if strings.HasPrefix(row, ofAll) && !l.restores(run) {
			n++
		}
	}
	return n
}

// roomFor reports whether the run in the wait queue could begin.
func (l *ledger) roomFor(p place, ofAllPlans int) bool {
	if ofAllPlans > 0 {
		full := l.held(ofAll) >= ofAllPlans
		if full || !l.restores(p.Run) && l.heldByBackups() >= ofAllPlans-keptForRestores(ofAllPlans) {
			return false
		}
	}
	return p.Most == 0 || l.held(ofPlan(p.Plan)) < p.Most
}

// restoresFirst checks what a backup leaves to restores, and that a restore takes a free permit at the next timer run.
func restoresFirst(w *World, moment any) string {
	switch m := moment.(type) {
	case passing:
		run := w.ledger.permits[m.row]
		if w.concurrency == 0 || run == "" || w.ledger.restores(run) || !strings.HasPrefix(m.row, ofAll) {
			return ""
		}
		if most := w.concurrency - keptForRestores(w.concurrency); w.ledger.heldByBackups() > most {
			return fmt.Sprintf("backups hold %d permits, and may hold %d of %d", w.ledger.heldByBackups(), most, w.concurrency)
		}
		if !m.anew {
			return "" // the run has had it since before, and takes it over from an invocation that died
		}
		free := w.concurrency - w.ledger.held(ofAll)
		for _, row := range slices.Sorted(maps.Keys(w.ledger.queue)) {
			p := w.ledger.queue[row]
			f := w.ledger.runs[p.Run]
			// An invocation that read the notes before may be slow.
			if f == nil || f.run.Restore == nil || f.run.QueueRow != row || w.now.Sub(p.since) <= strandedAfter {
				continue
			}
			if p.Most > 0 && w.ledger.held(ofPlan(p.Plan)) >= p.Most {
				continue // its plan has no permit, or the backup took the plan's last one, with the one of all plans
			}
			if free--; free < 0 {
				return fmt.Sprintf("%s takes the permit that %s waits for since %s", w.ledger.runName(run), f.name, p.since.Format(time.RFC3339))
			}
		}
	case passed:
		for row, p := range w.ledger.queue {
			if !w.ledger.restores(p.Run) || !w.ledger.roomFor(p, w.concurrency) {
				delete(w.free, row)
			} else if w.free[row].IsZero() {
				w.free[row] = w.now
			}
		}
		for _, row := range slices.Sorted(maps.Keys(w.free)) {
			p, waits := w.ledger.queue[row]
			if !waits {
				delete(w.free, row)
			} else if w.undisturbed(w.free[row]) && w.ledger.runs[p.Run].run.QueueRow == row {
				return fmt.Sprintf("%s waits for a permit, and one is free since %s", w.ledger.runName(p.Run), w.free[row].Format(time.RFC3339))
			}
		}
	}
	return ""
}

// oldestFirst checks that no older restore into the same service waits for nothing else when a restore is sent. The older one was
// there before the younger one looked.
func oldestFirst(w *World, moment any) string {
	m, ok := moment.(restoreAsking)
	if !ok || m.facts.run.Restore == nil {
		return ""
	}
	r := m.facts.run
	for _, f := range w.ledger.open {
		o := f.run
		waits := (o.State == backup.Queued || o.State == backup.Waiting) && o.Restore != nil && o.Restore.Expires.After(w.now)
		if !waits || o.Target != r.Target || o.ID <= r.ID || o.Restore.Elsewhere {
			continue
		}
		if began := cmp.Or(r.Started, r.Intent); o.Created.Before(began.Add(-strandedAfter)) && w.undisturbed(o.Created) {
			return fmt.Sprintf("%s is sent, and %s waits since %s", m.facts.name, f.name, o.Created.Format(time.RFC3339))
		}
	}
	return ""
}
