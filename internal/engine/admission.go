package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"lifeboat/internal/backup"
)

// permit is one of the places that a bound has. A run that inserts the row of a permit may start an operation. The run holds it
// from before the preflight until its end, also while the service rejects callers. So in a storm only that many runs send
// requests. A run that waits for its own target holds none.
type permit struct {
	Run   string    `json:"Run"`
	Since time.Time `json:"Since"`

	backup.Carried
}

// inLine is the row of a run that found no permit. The rows sort by the time at which the runs joined the line; the tick wakes
// the first.
type inLine struct {
	Run string `json:"Run"`
	// Plan and Most are the plan's own bound, so that the tick need not load runs that cannot begin; Most is 0 without.
	Plan string `json:"Plan"`
	Most int    `json:"Most,omitempty"`
}

// bound says how many operations may be under way at once: of all runs, or of the runs of one plan.
type bound struct {
	prefix string // begins the rows of its permits
	most   int
}

func planBound(plan string, most int) bound {
	return bound{backup.PlanPermits(plan), most}
}

func (e *Engine) boundOfAll() bound { return bound{backup.AllPermits, e.Concurrency} }

// bounds returns the bounds that hold for the run.
func (e *Engine) bounds(r backup.Run) []bound {
	var bounds []bound
	for _, b := range []bound{e.boundOfAll(), planBound(r.Plan, r.Settings.Concurrency)} {
		if b.most > 0 {
			bounds = append(bounds, b)
		}
	}
	return bounds
}

// place returns the n-th place from the one that the run tries first, always the same for a run.
func (b bound) place(run string, n int) string {
	first := int(backup.Fraction(run, uint64(b.most)))
	return fmt.Sprintf("%s%04d", b.prefix, (first+n)%b.most)
}

// free returns a place that is not taken, "" if all are.
func (b bound) free(run string, taken map[string]permit) string {
	for n := range b.most {
		if _, ok := taken[b.place(run, n)]; !ok {
			return b.place(run, n)
		}
	}
	return ""
}

// admit gets the run the permits that it needs, or puts it into the line. It returns false if the run has to wait.
func (s *step) admit(ctx context.Context) (bool, error) {
	r := &s.run
	bounds := s.bounds(*r)
	if len(bounds) == 0 || len(r.Permits) > 0 {
		return true, nil
	}
	if r.Line == "" {
		// Mostly there is room. A repeat tries the same places, and so finds a permit that it took before it died.
		places := make([]string, 0, len(bounds))
		for _, b := range bounds {
			places = append(places, b.place(r.ID, 0))
		}
		if err := s.occupy(ctx, places); err == nil || !errors.Is(err, backup.ErrExists) {
			return err == nil, err
		}
	}
	var gone bool
	for range triesForAPermit {
		taken, own, err := s.permits(ctx)
		if err != nil {
			return false, err
		}
		if len(own) > 0 {
			// An invocation took these permits and died, or has not saved them yet. Perhaps another one is about to release them: the
			// write makes that fail.
			err := s.hold(ctx, own)
			if errors.Is(err, backup.ErrChanged) || errors.Is(err, backup.ErrNotFound) {
				return false, errLost
			}
			return err == nil, err
		}
		var places []string
		for _, b := range bounds {
			place := b.free(r.ID, taken)
			if place == "" {
				return false, s.lineUp(ctx, b)
			}
			places = append(places, place)
		}
		err = s.occupy(ctx, places)
		if gone = errors.Is(err, backup.ErrNotFound); !gone && !errors.Is(err, backup.ErrExists) {
			return err == nil, err
		}
	}
	if gone {
		return false, s.lineUp(ctx, bounds[0]) // its place in the line was deleted, and it has no permit
	}
	return false, errLost
}

// triesForAPermit is the number of times that a run looks for a place, if others take the places that it sees free. Then its
// wake-up is put back.
const triesForAPermit = 3

// permits reads which run holds which place, and makes the writes that take over the run's own permits.
func (s *step) permits(ctx context.Context) (taken map[string]permit, own []backup.Write, err error) {
	rows, _, err := s.Catalog.List(ctx, backup.SchedulePartition, backup.PermitPrefix, backup.Behind(backup.PermitPrefix), 1000)
	if err != nil {
		return nil, nil, fmt.Errorf("list the permits: %w", err)
	}
	taken = map[string]permit{}
	for _, row := range rows {
		p, unread := backup.Decode[permit](row)
		taken[row.Row] = p // also if it cannot be read: a run holds it
		if p.Run == s.run.ID && unread == nil {
			p.Since = s.clock()
			own = append(own, backup.Write{Op: backup.Replace, Key: row.Key, ETag: row.ETag, Body: backup.Encode(p)})
		}
	}
	return taken, own, nil
}

// occupy takes all the places and leaves the line, or does neither. So two invocations of one run cannot take two permits: only
// one of them can delete the place in the line.
func (s *step) occupy(ctx context.Context, places []string) error {
	r := &s.run
	var writes []backup.Write
	for _, row := range places {
		writes = append(writes, backup.Write{
			Op: backup.Insert, Key: backup.ScheduleKey(row), Body: backup.Encode(permit{Run: r.ID, Since: s.clock()}),
		})
	}
	if r.Line != "" {
		writes = append(writes, backup.Write{Op: backup.Delete, Key: backup.ScheduleKey(r.Line), ETag: "*"})
	}
	return s.hold(ctx, writes)
}

// hold makes the writes, permits first, and notes them in the run.
func (s *step) hold(ctx context.Context, writes []backup.Write) error {
	r := &s.run
	if r.Line != "" {
		// The sweep would come only at the end of the wait in the line: from here on wake-ups are due sooner.
		if err := s.watch(ctx); err != nil {
			return err
		}
	}
	etags, err := s.Catalog.Apply(ctx, writes...)
	if err != nil {
		return fmt.Errorf("take a permit for run %s: %w", r.ID, err)
	}
	for i, w := range writes {
		if w.Op != backup.Delete {
			r.Permits = append(r.Permits, backup.Permit{Row: w.Row, ETag: etags[i]})
		}
	}
	if r.Line != "" {
		// The run now expects the wake-up in hand, and no more the one at the end of its wait.
		r.Line, r.Due = "", s.now
	}
	return nil
}

// lineUp lets the run wait for a permit. The run does not look again by itself: the tick wakes the first in the line when there
// is room. The run's own next wake-up comes when its time is over.
func (s *step) lineUp(ctx context.Context, full bound) error {
	r := &s.run
	// Shortly before it is due the wake-up in hand may be the run's own: Due counts from the time at which it was sent.
	hint := r.Line != "" && r.Due.After(s.now.Add(s.Waits.Sweep))
	if r.Line == "" {
		r.Line = backup.LineRow(s.now, r.ID)
	}
	body := backup.Encode(inLine{Run: r.ID, Plan: r.Plan, Most: r.Settings.Concurrency})
	if _, err := s.Catalog.Apply(ctx, backup.Write{Op: backup.Put, Key: backup.ScheduleKey(r.Line), Body: body}); err != nil {
		return fmt.Errorf("line run %s up: %w", r.ID, err)
	}
	if hint {
		return nil // the wake-up that ends the wait is still on its way
	}
	whose := "of all plans"
	if full.prefix != s.boundOfAll().prefix {
		whose = "of the plan " + r.Plan
	}
	r.Reason = backup.NewReason("TooManyOperations", fmt.Sprintf("%d operations %s are under way, as many as may be at once", full.most,
		whose), "It begins by itself when one of them has ended.")
	if err := s.waits(); err != nil {
		return err
	}
	over := s.now.Add(s.Waits.Operation - r.Waited(s.now))
	if r.Restore != nil {
		over = r.Restore.Expires
	}
	for _, end := range []time.Time{r.Until, r.NextSlot} {
		if !end.IsZero() && end.Before(over) {
			over = end
		}
	}
	return s.advance(ctx, min(max(over.Sub(s.clock()), backup.Resolution), backup.LongestDelay))
}

// watch puts a further entry into the index of runs in flight. A superfluous one does no harm.
func (s *step) watch(ctx context.Context) error {
	entry := backup.InflightKey(s.now.Add(max(s.Waits.Sweep, backup.Resolution)), s.run.ID, s.NewID())
	body := backup.Encode(inflight{Run: s.run.ID, Created: s.now})
	if _, err := s.Catalog.Apply(ctx, backup.Write{Op: backup.Put, Key: entry, Body: body}); err != nil {
		return fmt.Errorf("index run %s: %w", s.run.ID, err)
	}
	return nil
}

// release deletes the run's permits, and its place in the line. A row that is gone, or belongs to another run by now, is fine. If
// a permit was written again, another invocation of the run holds it: that one releases it, unless the run has ended.
func (e *Engine) release(ctx context.Context, run backup.Run, permits []backup.Permit, line string) error {
	var writes []backup.Write
	for _, p := range permits {
		writes = append(writes, backup.Write{Op: backup.Delete, Key: backup.ScheduleKey(p.Row), ETag: p.ETag})
	}
	if line != "" {
		writes = append(writes, backup.Write{Op: backup.Delete, Key: backup.ScheduleKey(line), ETag: "*"})
	}
	for len(writes) > 0 {
		_, err := e.Catalog.Apply(ctx, writes...)
		failed, ok := errors.AsType[*backup.WriteError](err)
		if !ok {
			return err
		}
		if run.State.Final() && errors.Is(failed, backup.ErrChanged) {
			row, _, err := e.Catalog.Get(ctx, writes[failed.Index].Key)
			if err != nil && !errors.Is(err, backup.ErrNotFound) {
				return err
			}
			if p, broken := backup.Decode[permit](row); err == nil && broken == nil && p.Run == run.ID {
				writes[failed.Index].ETag = row.ETag
				continue
			}
		}
		writes = append(writes[:failed.Index], writes[failed.Index+1:]...)
	}
	return nil
}

// gate has the rows of the permits and of the line, as a tick read them.
type gate struct{ permits, line []backup.Row }

// callUp wakes as many runs in the line as there are permits for, the first ones first. It decides nothing: a run that is woken
// takes its permit itself, or stays in the line.
func (e *Engine) callUp(ctx context.Context, g gate, now time.Time, report *ScheduleReport) error {
	if len(g.line) == 0 {
		return nil
	}
	room := func(b bound) int {
		if b.most <= 0 {
			return len(g.line)
		}
		held := 0
		for _, p := range g.permits {
			if strings.HasPrefix(p.Row, b.prefix) {
				held++
			}
		}
		return b.most - held
	}
	all := room(e.boundOfAll())
	plans := map[string]int{}
	var errs []error
	for _, row := range g.line {
		if all <= 0 {
			break
		}
		w, err := backup.Decode[inLine](row)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if _, known := plans[w.Plan]; !known {
			plans[w.Plan] = room(planBound(w.Plan, w.Most))
		}
		if plans[w.Plan] <= 0 {
			continue
		}
		woken, err := e.call(ctx, row, w)
		if err != nil {
			errs = append(errs, err)
		}
		if woken {
			report.Called++
			all--
			plans[w.Plan]--
		}
	}
	if report.Called == 0 && len(g.permits) > 0 {
		// No run could begin. A process that died may have left a permit without an owner: check one of them each tick, by chance. A
		// count of the minutes would pick the same ones for ever if ticks are several minutes apart.
		errs = append(errs, e.reclaim(ctx, g.permits[backup.Fraction(backup.TimeKey(now), uint64(len(g.permits)))]))
	}
	return errors.Join(errs...)
}

// call sends a run in the line its expected wake-up once more, or drops its place if it does not wait there.
func (e *Engine) call(ctx context.Context, row backup.Row, w inLine) (bool, error) {
	run, _, err := e.load(ctx, w.Run)
	switch {
	case errors.Is(err, backup.ErrNotFound) || err == nil && run.Line != row.Row:
		// A run saves its place after writing it: if the place is new, the run may be about to save it.
		if run.State == backup.Queued || run.State == backup.Waiting {
			return false, nil
		}
		return false, e.apply(ctx, backup.Write{Op: backup.Delete, Key: row.Key, ETag: row.ETag})
	case err != nil:
		return false, fmt.Errorf("call run %s: %w", w.Run, err)
	}
	return true, e.Queue.Wake(ctx, run.Wakeup(), 0)
}

// reclaim deletes a permit if its run has ended, or holds another permit of the same bound instead.
func (e *Engine) reclaim(ctx context.Context, row backup.Row) error {
	p, err := backup.Decode[permit](row)
	if err != nil {
		return err
	}
	run, _, err := e.load(ctx, p.Run)
	if err != nil && !errors.Is(err, backup.ErrNotFound) {
		return err
	}
	lost := err != nil || run.State.Final() && !run.Owes || len(run.Permits) > 0
	for _, held := range run.Permits {
		lost = lost && held.Row != row.Row
	}
	if !lost {
		return nil
	}
	return e.apply(ctx, backup.Write{Op: backup.Delete, Key: row.Key, ETag: row.ETag})
}
