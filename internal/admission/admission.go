package admission

import (
	"cmp"
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
	// Since is the time at which the run last found no permit; zero if an older version wrote the row.
	Since time.Time `json:"Since,omitzero"`
}

// note is the row of a restore in the wait queue that tells every run of it. Older versions take it for a checkpoint of a plan without
// a name, and that changes nothing: so no member of it is called Plan.
type note struct {
	Run string `json:"Run"`
	// Of and Most are the plan and its own bound.
	Of    string    `json:"Of"`
	Most  int       `json:"Most,omitempty"`
	Since time.Time `json:"Since"`
	// Until is the time until which the restore may begin: then the note holds nothing back any more.
	Until time.Time `json:"Until,omitzero"`
}

// Bound says how many operations may be under way at once: of all runs, or of the runs of one plan.
type Bound struct {
	prefix string // begins the rows of its permits
	// Whose says in words which operations it counts, and Most how many there may be; 0 does not limit them.
	Whose string
	Most  int
	// Kept is the number of its last places, which no backup takes.
	Kept int
}

func ofAll(most int) Bound { return Bound{backup.AllPermits, "of all plans", most, kept(most)} }

// ofPlan keeps no place: a plan's own bound is a number that a person wrote for its backups.
func ofPlan(plan string, most int) Bound {
	return Bound{backup.PlanPermits(plan), "of the plan " + plan, most, 0}
}

// kept returns the number of places that are kept for restores: a tenth, and at least one. A bound of one keeps none, since no
// backup could begin then.
func kept(most int) int {
	if most < 2 {
		return 0
	}
	return max(1, most/10)
}

// Bounds returns the bounds that limit the run, if most operations of all runs may be under way.
func Bounds(most int, r backup.Run) []Bound {
	return slices.DeleteFunc([]Bound{ofAll(most), ofPlan(r.Plan, r.Settings.Concurrency)}, func(b Bound) bool { return b.Most <= 0 })
}

// Full returns the reason of a run that waits because the bound has no permit for it.
func (b Bound) Full(r backup.Run) backup.Reason {
	message := fmt.Sprintf("%d operations %s are under way, as many as may be at once", b.Most, b.Whose)
	if b.Kept > 0 && r.Restore == nil {
		message = fmt.Sprintf("%d operations %s may be under way at once, %d of them restores alone, and there is no room", b.Most, b.Whose, b.Kept)
	}
	return backup.NewReason("TooManyOperations", message, "The run begins when one of them has ended. Restores begin before backups.")
}

// free returns a place that no row has, "" if the run finds none. A restore looks among the kept places first, and no backup does.
func (b Bound) free(r backup.Run, rows []backup.Row) (place string) {
	if r.Restore != nil {
		place = b.among(b.Most-b.Kept, b.Kept, r.ID, rows)
	}
	return cmp.Or(place, b.among(0, b.Most-b.Kept, r.ID, rows))
}

// among looks for a free place among n from the first on. It begins at the same one each time that the run looks.
func (b Bound) among(first, n int, run string, rows []backup.Row) string {
	if n == 0 {
		return ""
	}
	begin := int(backup.Fraction(run, uint64(n)))
	for i := range n {
		place := b.place(first + (begin+i)%n)
		if !slices.ContainsFunc(rows, func(row backup.Row) bool { return row.Row == place }) {
			return place
		}
	}
	return ""
}

// place returns the row of the place with the number.
func (b Bound) place(n int) string { return fmt.Sprintf("%s%04d", b.prefix, n) }

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
	// Notes are the notes of the restores that wait, if the step has read them already; nil if not.
	Notes []backup.Row
	// Leaving is called before a write that takes the run out of the wait queue.
	Leaving func(context.Context) error
	// Beside are writes that are made together with the write of the permits.
	Beside []backup.Write
}

// Acquire acquires the permits, notes them in the run, and deletes its row of the wait queue. It returns a bound that has none for
// the run if there is one: then the run has to enter the queue, or to stay there.
func (a Applicant) Acquire(ctx context.Context) (full *Bound, err error) {
	first, err := a.restoresFirst(ctx)
	if err != nil {
		return nil, err
	}
	if a.Run.QueueRow == "" && len(first) == 0 {
		// Mostly there is room. A repeat tries the same places, and so finds a permit that it acquired before it died.
		if full, err = a.acquire(ctx, nil, first); !errors.Is(err, backup.ErrExists) {
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
		full, err = a.acquire(ctx, rows, first)
		if !errors.Is(err, backup.ErrExists) && !errors.Is(err, backup.ErrNotFound) {
			return full, err
		}
	}
	if errors.Is(err, backup.ErrNotFound) {
		return &a.Bounds[0], nil // its row of the queue was deleted, and it has no permit
	}
	return nil, ErrConflict
}

// restoresFirst returns the restores in the wait queue that begin before the run: for a backup all, for a restore the older ones.
func (a Applicant) restoresFirst(ctx context.Context) (first []note, err error) {
	behind, rows := backup.Behind(backup.RestoreNotePrefix), a.Notes
	if own := Row(*a.Run, a.Clock()); strings.HasPrefix(own, backup.RestoreQueuePrefix) {
		behind = backup.RestoreNoteRow(own)
	}
	if rows == nil {
		rows, _, err = a.Catalog.List(ctx, backup.SchedulePartition, backup.RestoreNotePrefix, behind, 1000)
		if err != nil {
			return nil, fmt.Errorf("list the restores that wait for a permit: %w", err)
		}
	}
	for _, row := range rows {
		// A row that cannot be read holds nothing up.
		n, err := backup.Decode[note](row)
		over := !n.Until.IsZero() && a.Clock().After(n.Until)
		if err == nil && !over && n.Run != a.Run.ID && row.Row >= backup.RestoreNotePrefix && row.Row < behind {
			first = append(first, n)
		}
	}
	return first, nil
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
func (a Applicant) acquire(ctx context.Context, rows []backup.Row, first []note) (full *Bound, err error) {
	var writes []backup.Write
	permits := Rows{Permits: rows}
	promised := permits.promised(first)
	for _, b := range a.Bounds {
		place := b.free(*a.Run, rows)
		if n := promised[b.prefix]; place == "" || n > 0 && permits.room(b) <= n {
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
	etags, err := a.Catalog.Apply(ctx, slices.Concat(writes, a.Beside)...)
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
// the run has ended. The writes beside are made in the same transaction.
func Release(
	ctx context.Context, catalog backup.Catalog, run backup.Run, permits []backup.Permit, queued string, beside ...backup.Write,
) error {
	writes := slices.Clone(beside)
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

// Row returns the run's row of the wait queue: the one that it has, or the one that it would enter now. Restores stand before all
// backups, the oldest first; backups stand by the time of their arrival.
func Row(r backup.Run, now time.Time) string {
	switch {
	case r.QueueRow != "":
		return r.QueueRow
	case r.Restore != nil:
		return backup.RestoreQueueRow(r.Created, now, r.ID)
	}
	return backup.QueueRow(now, r.ID)
}

// Enter returns the writes that put the run into the wait queue, at its row there.
func Enter(r backup.Run, now time.Time) []backup.Write {
	e := entry{Run: r.ID, Plan: r.Plan, Most: r.Settings.Concurrency, Since: now}
	writes := []backup.Write{{Op: backup.Put, Key: backup.ScheduleKey(r.QueueRow), Body: backup.Encode(e)}}
	if strings.HasPrefix(r.QueueRow, backup.RestoreQueuePrefix) {
		key := backup.ScheduleKey(backup.RestoreNoteRow(r.QueueRow))
		writes = append(writes, backup.Write{Op: backup.Put, Key: key, Body: backup.Encode(note{r.ID, e.Plan, e.Most, now, r.Restore.Expires})})
	}
	return writes
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

// leave returns the writes that delete the row of the wait queue, and the restore's note beside it; none without a row.
func leave(row string) (writes []backup.Write) {
	if row != "" {
		writes = append(writes, backup.Write{Op: backup.Delete, Key: backup.ScheduleKey(row), ETag: "*"})
	}
	if strings.HasPrefix(row, backup.RestoreQueuePrefix) {
		writes = append(writes, backup.Write{Op: backup.Delete, Key: backup.ScheduleKey(backup.RestoreNoteRow(row)), ETag: "*"})
	}
	return writes
}
