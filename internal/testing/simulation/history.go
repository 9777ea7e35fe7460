package simulation

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"lifeboat/internal/backup"
)

// pruning is the moment at which a run was pruned, and its recovery point with it.
type pruning struct{ facts *facts }

// drawHistory draws the age from which on rows are pruned, 0 for never. It has a source of its own, so that all other choices of a world
// stay as they were.
func (w *World) drawHistory(seed uint64) {
	if !w.options.Calm {
		drawn := rand.New(rand.NewPCG(seed, 0x686973746f7279))
		w.history = []time.Duration{0, 8 * day, 0, 15 * day, 11 * day}[drawn.IntN(5)]
	}
}

// recordSpan is the time of one entry of the index of history, and keptRows the number of newest rows of a target that stay.
const (
	recordSpan = 7 * day
	keptRows   = 20
)

// nextPruning returns the time at which cleanup finds something to prune; zero if there is nothing.
func (h *host) nextPruning() time.Time {
	if h.w.history == 0 {
		return time.Time{}
	}
	rows, _, err := h.w.catalog.List(context.Background(), "schedule", "recorded-", "recorded.", 1)
	if err != nil || len(rows) == 0 {
		return time.Time{}
	}
	week, err := time.Parse("20060102", rows[0].Row[len("recorded-"):][:8])
	if err != nil {
		panic(err)
	}
	var last struct{ At time.Time }
	if row, _, err := h.w.catalog.Get(context.Background(), backup.ScheduleKey("last-history")); err == nil {
		if last, err = backup.Decode[struct{ At time.Time }](row); err != nil {
			panic(err)
		}
	}
	return backup.Later(week.Add(recordSpan+h.w.history), last.At.Add(day))
}

// wrotePruning notes that a run was pruned.
func (l *ledger) wrotePruning(w *World, write backup.Write) pruning {
	f := l.runs[write.Partition+"-"+strings.TrimPrefix(write.Row, "run-")]
	w.figures.Pruned++
	l.pruned[f.run.ID] = true
	return pruning{f}
}

// historySince returns the time from which on the history of an ended run counts.
func (l *ledger) historySince(f *facts) time.Time {
	if p := l.points[f.run.ID]; p != nil {
		return backup.Later(f.run.Ended, p.Deleted)
	}
	return f.run.Ended
}

// neededStays: nothing is pruned that is needed, and pruning leaves nothing behind.
func neededStays(w *World, moment any) string {
	switch m := moment.(type) {
	case pruning:
		return w.mayGo(m.facts)
	case ordered:
		f := w.ledger.byRequest[m.order.id]
		if m.run == "" && !m.order.fake && f != nil && w.meant[m.order.id] == string(m.order.body) && !w.ledger.pruned[f.run.ID] {
			return m.order.id + " was answered as one of the past, and its run is there"
		}
	case over:
		return w.orphans()
	}
	return ""
}

// mayGo returns why the run should not have been pruned, "" if it may.
func (w *World) mayGo(f *facts) string {
	r, p := f.run, w.ledger.points[f.run.ID]
	partition, row, _ := strings.Cut(r.ID, "-")
	name := f.name + " is pruned, and "
	switch {
	case !r.State.Final() || r.Unpublished:
		return name + "it has not ended: it is " + string(r.State)
	case p != nil && p.State != backup.Expired:
		return name + "its recovery point is " + string(p.State)
	case w.now.Sub(w.ledger.historySince(f)) < w.history-clockTolerance:
		return fmt.Sprintf("%sits history lasts until %s", name, w.ledger.historySince(f).Add(w.history).Format(time.RFC3339))
	case !w.older("run-", partition, "run-"+row, keptRows, func([]byte) bool { return true }):
		return name + "it is one of the newest runs"
	}
	if p != nil {
		if _, _, err := w.catalog.Get(context.Background(), p.Key()); err == nil {
			return name + "its recovery point is not"
		}
		if names, err := w.manifests.List(context.Background(), p.Storage, backup.ManifestFolder+"/"+p.ID+"."); err != nil || len(names) > 0 {
			return fmt.Sprintf("%sits manifests %q are left (%v)", name, names, err)
		}
		any := func([]byte) bool { return true }
		trusted := func(body []byte) bool {
			var o backup.Point
			return json.Unmarshal(body, &o) == nil && !o.Safety && (o.Suspicion.Code == "" || !o.Accepted.Time.IsZero())
		}
		if !w.older("point-", partition, "point-"+row, keptRows, any) || trusted(backup.Encode(p)) && !w.older("point-", partition, "point-"+row, 10, trusted) {
			return name + "its recovery point is one of the newest"
		}
	}
	if r.Restore != nil {
		row, _, err := w.catalog.Get(context.Background(), backup.RestoreClaimKey(r.Request))
		var claim struct {
			State backup.State
			Run   string
		}
		if err != nil || json.Unmarshal(row.Body, &claim) != nil || claim.State != r.State || claim.Run != r.ID {
			return fmt.Sprintf("%sthe claim of its request says %+v (%v)", name, claim, err)
		}
	}
	return ""
}

// older reports whether so many rows of the target of that kind are newer than the row.
func (w *World) older(kind, partition, row string, n int, counts func(body []byte) bool) bool {
	rows, _, err := w.catalog.List(context.Background(), partition, kind, row, 1000)
	if err != nil {
		panic(err)
	}
	for _, r := range rows {
		if counts(r.Body) {
			n--
		}
	}
	return n <= 0
}

// orphans tells of a row of the past without its run or its entry in the index, or of one that is too old.
func (w *World) orphans() string {
	indexed := map[string]bool{} // without the weeks
	for _, row := range w.rows("schedule", 1000) {
		if of, ok := strings.CutPrefix(row.Row, "recorded-"); ok {
			indexed[of[len("20060102-"):]] = true
		}
	}
	there := map[string]bool{}
	for _, row := range w.catalog.Rows() {
		if run, ok := strings.CutPrefix(row.Row, "run-"); ok {
			there[row.Partition+"-"+run] = true
		}
	}
	for _, row := range w.catalog.Rows() {
		of, owner := "", ""
		switch {
		case strings.HasPrefix(row.Row, "run-"):
			id := row.Partition + "-" + strings.TrimPrefix(row.Row, "run-")
			made, err := backup.RunTime(id)
			if err != nil {
				return err.Error()
			}
			of = "run-" + row.Partition + "-" + made.Truncate(recordSpan).Format("20060102")
			if what := w.overdue(w.ledger.runs[id]); what != "" {
				return what
			}
		case strings.HasPrefix(row.Row, "point-"):
			owner = row.Partition + "-" + strings.TrimPrefix(row.Row, "point-")
		case strings.HasPrefix(row.Row, "files-"):
			owner = row.Partition + "-" + strings.TrimPrefix(row.Row, "files-")[:23]
		case strings.HasPrefix(row.Row, "artifact-"):
			var claim struct{ Point string }
			if err := json.Unmarshal(row.Body, &claim); err != nil {
				return err.Error()
			}
			owner = claim.Point
		case strings.HasPrefix(row.Row, "schedule-missed-"):
			plan, _, _ := strings.Cut(strings.TrimPrefix(row.Row, "schedule-missed-"), ".")
			of = "missed-" + plan
		case row.Partition == "deadletter":
			of = "letter-" + row.Row
		case strings.HasPrefix(row.Partition, "request-"):
			of = row.Partition
		}
		if of != "" && !indexed[of] {
			return "no index leads to the row " + row.Partition + "/" + row.Row
		}
		if owner != "" && !there[owner] {
			return "the row " + row.Partition + "/" + row.Row + " is left, and its run " + w.ledger.runName(owner) + " is gone"
		}
	}
	return ""
}

// overdue returns that a run should have been pruned long ago, "" if not.
func (w *World) overdue(f *facts) string {
	p := w.ledger.points[f.run.ID]
	if w.history == 0 || p != nil && p.State != backup.Expired {
		return ""
	}
	over := w.ledger.historySince(f)
	free, ever := w.ledger.unneeded(f)
	if !ever {
		return ""
	}
	// A row is looked at within a week, and a week later if cleanup still comes back to it; one of the newest rows is looked at again
	// within five weeks.
	due := backup.Later(over.Add(w.history+2*recordSpan), free.Add(5*recordSpan))
	if late := w.now.Sub(due); late > 3*day {
		return fmt.Sprintf("%s is there, %s after its time: it was over at %s, not needed since %s, and a history lasts %s", f.name, late,
			over.Format(time.RFC3339), free.Format(time.RFC3339), w.history)
	}
	return ""
}

// unneeded returns the time since which neither the run nor its recovery point was one of the newest of its target.
func (l *ledger) unneeded(f *facts) (since time.Time, ever bool) {
	var runs, points, trusted []time.Time
	for _, o := range l.all {
		if o.run.Target != f.run.Target || o.run.ID >= f.run.ID {
			continue
		}
		runs = append(runs, o.run.Created)
		if p := l.points[o.run.ID]; p != nil {
			at := backup.Later(backup.Later(p.Created, o.run.Ended), p.Accepted.Time)
			points = append(points, at)
			if !p.Safety && (p.Suspicion.Code == "" || !p.Accepted.Time.IsZero()) {
				trusted = append(trusted, at)
			}
		}
	}
	nth := func(times []time.Time, n int) {
		if len(times) < n {
			ever = false
			return
		}
		slices.SortFunc(times, func(a, b time.Time) int { return cmp.Compare(a.Unix(), b.Unix()) })
		since = backup.Later(since, times[n-1])
	}
	ever = true
	nth(runs, keptRows)
	if l.points[f.run.ID] != nil {
		nth(points, keptRows)
		nth(trusted, 10)
	}
	return since, ever
}
