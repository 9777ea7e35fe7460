package admission

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"lifeboat/internal/backup"
)

// permit is the row of one of the places that a bound has. A run that inserts the row may start an operation. The run keeps it
// from before the preflight until its end, also while the service rejects callers. So in a storm only that many runs send
// requests. A run that waits for its own target has none.
type permit struct {
	Run   string    `json:"Run"`
	Since time.Time `json:"Since"`

	backup.Carried
}

// entry is the row of a run in the wait queue. The rows sort by the time at which the runs entered it.
type entry struct {
	Run string `json:"Run"`
	// Plan and Most are the plan's own bound, so that the timer run need not load runs that cannot begin; Most is 0 without.
	Plan string `json:"Plan"`
	Most int    `json:"Most,omitempty"`
}

// Bound says how many operations may be under way at once: of all runs, or of the runs of one plan.
type Bound struct {
	prefix string // begins the rows of its permits
	// Whose says in words which operations it counts, and Most how many there may be; 0 does not limit them.
	Whose string
	Most  int
}

func ofAll(most int) Bound { return Bound{backup.AllPermits, "of all plans", most} }

func ofPlan(plan string, most int) Bound {
	return Bound{backup.PlanPermits(plan), "of the plan " + plan, most}
}

// Bounds returns the bounds that limit the run, if most operations of all runs may be under way.
func Bounds(most int, r backup.Run) []Bound {
	return slices.DeleteFunc([]Bound{ofAll(most), ofPlan(r.Plan, r.Settings.Concurrency)}, func(b Bound) bool { return b.Most <= 0 })
}

// free returns a place that no row has, "" if there is none. It begins at the same place each time that the run looks.
func (b Bound) free(run string, rows []backup.Row) string {
	first := int(backup.Fraction(run, uint64(b.Most)))
	for n := range b.Most {
		place := fmt.Sprintf("%s%04d", b.prefix, (first+n)%b.Most)
		if !slices.ContainsFunc(rows, func(row backup.Row) bool { return row.Row == place }) {
			return place
		}
	}
	return ""
}

// ErrConflict says that others were faster each time: another invocation of the run, or runs that took the places that it saw free.
var ErrConflict = errors.New("others acquire the permits faster")

// triesForAPermit is the number of times that a run looks for a place, if others take the places that it sees free.
const triesForAPermit = 3

// Applicant is a run that needs a permit of each of its bounds, in one invocation.
type Applicant struct {
	Catalog backup.Catalog
	Run     *backup.Run
	Bounds  []Bound
	// Clock is the catalog's clock.
	Clock func() time.Time
	// Leaving is called before a write that takes the run out of the wait queue.
	Leaving func(context.Context) error
}

// Acquire acquires the permits, notes them in the run, and deletes its row of the wait queue. It returns a bound that is full if
// there is one: then the run has to enter the queue, or to stay there.
func (a Applicant) Acquire(ctx context.Context) (full *Bound, err error) {
	if a.Run.QueueRow == "" {
		// Mostly there is room. A repeat tries the same places, and so finds a permit that it acquired before it died.
		if full, err = a.acquire(ctx, nil); !errors.Is(err, backup.ErrExists) {
			return full, err
		}
	}
	for range triesForAPermit {
		rows, _, unread := a.Catalog.List(ctx, backup.SchedulePartition, backup.PermitPrefix, backup.Behind(backup.PermitPrefix), 1000)
		if unread != nil {
			return nil, fmt.Errorf("list the permits: %w", unread)
		}
		if own := a.own(rows); len(own) > 0 {
			// An invocation acquired these permits and died, or has not saved them yet. Perhaps another one is about to release
			// them: the write makes that fail.
			if err = a.write(ctx, own); errors.Is(err, backup.ErrChanged) || errors.Is(err, backup.ErrNotFound) {
				return nil, ErrConflict
			}
			return nil, err
		}
		full, err = a.acquire(ctx, rows)
		if !errors.Is(err, backup.ErrExists) && !errors.Is(err, backup.ErrNotFound) {
			return full, err
		}
	}
	if errors.Is(err, backup.ErrNotFound) {
		return &a.Bounds[0], nil // its row of the queue was deleted, and it has no permit
	}
	return nil, ErrConflict
}

// own returns the writes that take over the permits that the run has already.
func (a Applicant) own(rows []backup.Row) (writes []backup.Write) {
	for _, row := range rows {
		if p, unread := backup.Decode[permit](row); unread == nil && p.Run == a.Run.ID {
			p.Since = a.Clock()
			writes = append(writes, backup.Write{Op: backup.Replace, Key: row.Key, ETag: row.ETag, Body: backup.Encode(p)})
		}
	}
	return writes
}

// acquire takes a place of each bound and leaves the wait queue, or does neither. So two invocations of one run cannot acquire
// two permits: only one of them can delete the row of the queue. A row that cannot be read takes its place too: a run has it.
func (a Applicant) acquire(ctx context.Context, rows []backup.Row) (full *Bound, err error) {
	var writes []backup.Write
	for _, b := range a.Bounds {
		place := b.free(a.Run.ID, rows)
		if place == "" {
			return &b, nil
		}
		body := backup.Encode(permit{Run: a.Run.ID, Since: a.Clock()})
		writes = append(writes, backup.Write{Op: backup.Insert, Key: backup.ScheduleKey(place), Body: body})
	}
	return nil, a.write(ctx, append(writes, leave(a.Run.QueueRow)...))
}

// write makes the writes, permits first, and notes them in the run.
func (a Applicant) write(ctx context.Context, writes []backup.Write) error {
	if a.Run.QueueRow != "" {
		if err := a.Leaving(ctx); err != nil {
			return err
		}
	}
	etags, err := a.Catalog.Apply(ctx, writes...)
	if err != nil {
		return fmt.Errorf("acquire a permit for run %s: %w", a.Run.ID, err)
	}
	for i, w := range writes {
		if w.Op != backup.Delete {
			a.Run.Permits = append(a.Run.Permits, backup.Permit{Row: w.Row, ETag: etags[i]})
		}
	}
	return nil
}

// Release deletes permits of the run, and its row of the wait queue; "" if it is not there. A row that is gone, or belongs to
// another run by now, is fine. If a permit was written again, another invocation of the run has it: that one releases it, unless
// the run has ended.
func Release(ctx context.Context, catalog backup.Catalog, run backup.Run, permits []backup.Permit, queued string) error {
	var writes []backup.Write
	for _, p := range permits {
		writes = append(writes, backup.Write{Op: backup.Delete, Key: backup.ScheduleKey(p.Row), ETag: p.ETag})
	}
	for writes = append(writes, leave(queued)...); len(writes) > 0; {
		_, err := catalog.Apply(ctx, writes...)
		failed, ok := errors.AsType[*backup.WriteError](err)
		if !ok {
			return err
		}
		if w := &writes[failed.Index]; run.State.Final() && errors.Is(failed, backup.ErrChanged) {
			row, _, err := catalog.Get(ctx, w.Key)
			if err != nil && !errors.Is(err, backup.ErrNotFound) {
				return err
			}
			if p, unread := backup.Decode[permit](row); err == nil && unread == nil && p.Run == run.ID {
				w.ETag = row.ETag
				continue
			}
		}
		writes = slices.Delete(writes, failed.Index, failed.Index+1)
	}
	return nil
}

// ReleaseLeft deletes the permits of an ended run that its row does not name: an invocation died after it had acquired them.
func ReleaseLeft(ctx context.Context, catalog backup.Catalog, run backup.Run) error {
	const page = 1000
	for from, more := backup.PermitPrefix, true; more; {
		rows, _, err := catalog.List(ctx, backup.SchedulePartition, from, backup.Behind(backup.PermitPrefix), page)
		if err != nil {
			return fmt.Errorf("look for permits that run %s has left: %w", run.ID, err)
		}
		for _, row := range rows {
			if p, err := backup.Decode[permit](row); err != nil || p.Run != run.ID {
				continue // it says nothing of this run
			}
			if err := Release(ctx, catalog, run, []backup.Permit{{Row: row.Row, ETag: row.ETag}}, ""); err != nil {
				return err
			}
		}
		if more = len(rows) == page; more {
			from = rows[page-1].Row + "!"
		}
	}
	return nil
}

// Enter returns the write that puts the run into the wait queue, at its row there.
func Enter(r backup.Run) backup.Write {
	return backup.Write{Op: backup.Put, Key: backup.ScheduleKey(r.QueueRow), Body: backup.Encode(entry{r.ID, r.Plan, r.Settings.Concurrency})}
}

// WaitEnds returns the time at which a run gives up its wait in the queue: the longest wait, the restore's expiry, the end of the
// run's window, or the next scheduled time.
func WaitEnds(r backup.Run, longest time.Time) time.Time {
	until := longest
	if r.Restore != nil {
		until = r.Restore.Expires
	}
	for _, end := range []time.Time{r.Until, r.NextScheduledTime} {
		if !end.IsZero() && end.Before(until) {
			until = end
		}
	}
	return until
}

// leave returns the write that deletes the row of the wait queue; none without a row.
func leave(row string) []backup.Write {
	if row == "" {
		return nil
	}
	return []backup.Write{{Op: backup.Delete, Key: backup.ScheduleKey(row), ETag: "*"}}
}

// Rows has the rows of the permits and of the wait queue, as a timer run read them.
type Rows struct{ Permits, Queue []backup.Row }

// room returns the number of permits that the bound has left. A bound that limits nothing has room for the whole queue.
func (r Rows) room(b Bound) int {
	if b.Most <= 0 {
		return len(r.Queue)
	}
	for _, p := range r.Permits {
		if strings.HasPrefix(p.Row, b.prefix) {
			b.Most--
		}
	}
	return b.Most
}

// Dispatcher wakes runs in the wait queue.
type Dispatcher struct {
	Queue backup.Queue
	// Load reads a run by its ID.
	Load func(ctx context.Context, id string) (backup.Run, time.Time, error)
	// Apply makes writes. If another invocation changed or deleted a row meanwhile, that is fine.
	Apply func(ctx context.Context, writes ...backup.Write) error
	// Most is the bound of all runs.
	Most int
}

// Dispatch wakes as many runs as there are permits for, the first ones first, and returns their number. It decides nothing: a run
// that is woken acquires its permit itself, or stays in the queue.
func (d Dispatcher) Dispatch(ctx context.Context, rows Rows, now time.Time) (woken int, err error) {
	var errs []error
	all, plans := rows.room(ofAll(d.Most)), map[string]int{}
	for _, row := range rows.Queue {
		if all <= woken {
			break
		}
		e, err := backup.Decode[entry](row)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if _, known := plans[e.Plan]; !known {
			plans[e.Plan] = rows.room(ofPlan(e.Plan, e.Most))
		}
		if plans[e.Plan] <= 0 {
			continue
		}
		waits, err := d.wake(ctx, row, e.Run)
		if errs = append(errs, err); waits {
			woken++
			plans[e.Plan]--
		}
	}
	if woken == 0 && len(rows.Queue) > 0 && len(rows.Permits) > 0 {
		// No run could begin. A process that died may have left a permit without an owner: each timer run checks one of them, by
		// chance. A count of the minutes would pick the same ones for ever if timer runs are several minutes apart.
		errs = append(errs, d.reclaim(ctx, rows.Permits[backup.Fraction(backup.TimeKey(now), uint64(len(rows.Permits)))]))
	}
	return woken, errors.Join(errs...)
}

// wake sends a run its expected step message once more, or deletes the row of the queue if the run does not wait there.
func (d Dispatcher) wake(ctx context.Context, row backup.Row, id string) (waits bool, err error) {
	run, _, err := d.Load(ctx, id)
	switch {
	case err != nil && !errors.Is(err, backup.ErrNotFound):
		return false, fmt.Errorf("wake run %s: %w", id, err)
	case err == nil && run.QueueRow == row.Row:
		return true, d.Queue.SendStep(ctx, run.StepMessage(), 0)
	case run.State == backup.Queued || run.State == backup.Waiting:
		return false, nil // a run saves its row of the queue after writing it: it may be about to do so
	}
	return false, d.Apply(ctx, backup.Write{Op: backup.Delete, Key: row.Key, ETag: row.ETag})
}

// reclaim deletes a permit if its run has ended, or has another permit of the same bound instead.
func (d Dispatcher) reclaim(ctx context.Context, row backup.Row) error {
	p, err := backup.Decode[permit](row)
	if err != nil {
		return err
	}
	run, _, err := d.Load(ctx, p.Run)
	if err != nil && !errors.Is(err, backup.ErrNotFound) {
		return err
	}
	lost := err != nil || run.State.Final() && !run.Unpublished || len(run.Permits) > 0
	if !lost || slices.ContainsFunc(run.Permits, func(own backup.Permit) bool { return own.Row == row.Row }) {
		return nil
	}
	return d.Apply(ctx, backup.Write{Op: backup.Delete, Key: row.Key, ETag: row.ETag})
}
