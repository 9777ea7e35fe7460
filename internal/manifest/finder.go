package manifest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/event"
	"lifeboat/internal/health"
)

// Finder finds the targets whose storage has artifacts that the catalog does not know, and tells of them.
type Finder struct {
	Keeper
	// Provider returns the provider of a target.
	Provider func(target string) (backup.Provider, error)
	// ForEach calls a function with 0 to n-1.
	ForEach func(n int, f func(int) error) error
	// Standing are the rows that stand.
	Standing []health.Incomplete
	// CallTime limits each search.
	CallTime time.Duration
}

// Evaluated searches where an evaluation of the plan's targets wants it, and notes the searches in is; outcomes are in the order of the
// targets, and one without a target could not be evaluated. Complete tells whether the plan is evaluated by then. A search that failed
// is made again at the plan's next evaluation. It returns the events about targets with unknown artifacts whose rows do not stand yet,
// and for each the writes of the event and of the row: a pair that is to be saved in one transaction, before the evaluation.
func (f Finder) Evaluated(
	ctx context.Context, plan backup.Plan, was health.Evaluation, is *health.Evaluation, outcomes []health.TargetHealth, complete bool,
	now time.Time,
) (pairs []backup.Write, events []backup.Event, err error) {
	in := func(i int) backup.Storage { return plan.Settings.Storage.For(plan.Targets[i]) }
	is.Searched = nil
	found, errs := make([]health.Incomplete, len(outcomes)), make([]error, len(outcomes))
	wants := func(i int) bool {
		h, key := outcomes[i], health.SearchKey(plan.Targets[i], in(i))
		return h.Target != "" && was.Searched.Wants(key, was.At.IsZero(), h.Blank)
	}
	_ = f.ForEach(len(outcomes), func(i int) error {
		if wants(i) {
			found[i], errs[i] = f.find(ctx, outcomes[i].Target, in(i))
		}
		return nil // the others are searched all the same
	})
	for i, h := range outcomes {
		key := health.SearchKey(plan.Targets[i], in(i))
		switch done, known := was.Searched[key]; {
		case h.Target == "" && known: // it could not be evaluated, and nothing is known anew
			is.Searched = is.Searched.With(key, done)
		case (wants(i) || known) && (errs[i] != nil || h.Blank || !complete):
			is.Searched = is.Searched.With(key, errs[i] == nil)
		}
		one := found[i]
		stands := slices.ContainsFunc(f.Standing, func(s health.Incomplete) bool { return s.Key() == one.Key() })
		if one.None() || errs[i] != nil || stands {
			continue
		}
		one.Plan, one.Found, one.Checked = plan.Name, now, now
		one.Alarm = backup.Digest(key+backup.TimeKey(was.At), 16)
		told := []backup.Event{event.CatalogIncomplete(one)}
		pairs = append(append(pairs, event.OutboxWrites(backup.SchedulePartition, told)...), backup.Write{
			Op: backup.Put, Key: one.Key(), Body: backup.Encode(one),
		})
		events = append(events, told...)
	}
	return pairs, events, errors.Join(errs...)
}

func (f Finder) find(ctx context.Context, target string, in backup.Storage) (health.Incomplete, error) {
	provider, _ := f.Provider(target) // without one only manifests are searched for
	ctx, cancel := context.WithTimeout(ctx, f.CallTime)
	defer cancel()
	return f.Search(ctx, provider, target, in)
}

// Recheck searches once a day whether the artifacts that the catalog does not know are still there. If they are not, it takes the alarm
// back. It returns the events that it put into the outbox.
func (f Finder) Recheck(ctx context.Context, all []health.Incomplete, now time.Time) (events []backup.Event, err error) {
	for _, was := range all {
		if !was.Due(now) {
			continue
		}
		is, unknown := f.find(ctx, was.Target, was.Storage)
		if unknown != nil {
			is = was
		}
		is.Plan, is.Found, is.Alarm, is.Checked, is.Carried = was.Plan, was.Found, was.Alarm, now, was.Carried
		writes := []backup.Write{{Op: backup.Replace, Key: was.Key(), ETag: was.RowETag, Body: backup.Encode(is)}}
		var over []backup.Event
		if is.None() {
			over = []backup.Event{event.CatalogComplete(was, now)}
			writes = append(event.OutboxWrites(backup.SchedulePartition, over), backup.Write{Op: backup.Delete, Key: writes[0].Key, ETag: was.RowETag})
		}
		_, unsaved := f.Catalog.Apply(ctx, writes...)
		if _, raced := errors.AsType[*backup.WriteError](unsaved); raced {
			continue // another timer run did it, or a person
		}
		if unsaved != nil {
			unsaved = fmt.Errorf("save whether the catalog knows the artifacts of %s: %w", was.Target, unsaved)
		}
		err = errors.Join(err, unknown, unsaved)
		events = append(events, over...)
	}
	return events, err
}
