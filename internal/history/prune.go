package history

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"time"

	"lifeboat/internal/backup"
)

// Pruning has the things that pruning needs.
type Pruning struct {
	Catalog backup.Catalog
	// Age is the age from which on rows are pruned.
	Age time.Duration
	// Recheck is the longest time after which cleanup comes back to an expired point with manifests.
	Recheck time.Duration
	// Close has a repeat of the request for a restore answered without its run from now on.
	Close func(context.Context, backup.Run) error
	// ForEach calls a function with 0 to n-1, some of them at once.
	ForEach func(n int, f func(int) error) error
	// More says whether there is time for more.
	More func() bool
	// Now is the time by the catalog's clock.
	Now time.Time
}

// pageSize is the number of entries of the index that are read at once, and mostPages the number of these pages in one call.
const pageSize, mostPages = 100, 10

// Prune prunes the rows that are older than the history, and returns the number of runs that it pruned. The next call does the rest.
// Without anything to prune it costs two requests, once a day.
func (x Pruning) Prune(ctx context.Context, was Pruned) (runs int, err error) {
	from, to := backup.RecordPrefix, backup.Behind(backup.RecordKey(week(x.Now.Add(-x.Age-span)), "").Row)
	var errs []error
	for range mostPages {
		rows, _, err := x.Catalog.List(ctx, backup.SchedulePartition, from, to, pageSize)
		if err != nil {
			return runs, errors.Join(append(errs, fmt.Errorf("list what is older than the history: %w", err))...)
		}
		n, err := x.page(ctx, rows)
		runs, errs = runs+n, append(errs, err)
		if len(rows) < pageSize {
			if ctx.Err() == nil {
				errs = append(errs, x.done(ctx, was))
			}
			break
		}
		if from = rows[pageSize-1].Row + "!"; ctx.Err() != nil || !x.More() {
			break
		}
	}
	return runs, errors.Join(errs...)
}

// done notes that all was looked at.
func (x Pruning) done(ctx context.Context, was Pruned) error {
	is := Pruned{At: x.Now, Carried: was.Carried}
	_, err := x.apply(ctx, backup.InsertOrReplace(backup.PrunedKey, was.ETag, backup.Encode(is)))
	return err
}

// apply makes writes; raced tells that another process changed one of the rows, and that none was made.
func (x Pruning) apply(ctx context.Context, writes ...backup.Write) (raced bool, err error) {
	_, err = x.Catalog.Apply(ctx, writes...)
	if _, raced = errors.AsType[*backup.WriteError](err); raced {
		return true, nil
	}
	return false, err
}

// page prunes what the entries are about: target by target, and each other kind by itself.
func (x Pruning) page(ctx context.Context, rows []backup.Row) (runs int, err error) {
	var errs []error
	byTarget, targets, others := map[string][]record{}, []string{}, []record{}
	for _, row := range rows {
		r, err := backup.Decode[record](row)
		r.row = row
		switch {
		case err != nil:
			errs = append(errs, err)
		case r.Target == "":
			others = append(others, r)
		default:
			if byTarget[r.Target] == nil {
				targets = append(targets, r.Target)
			}
			byTarget[r.Target] = append(byTarget[r.Target], r)
		}
	}
	var due map[string]bool
	if len(targets) > 0 {
		if due, err = x.due(ctx); err != nil {
			return 0, err
		}
	}
	failed, unpruned, pruned := make([]error, len(others)), make([]error, len(targets)), make([]int, len(targets))
	_ = x.ForEach(len(others), func(i int) error {
		failed[i] = x.other(ctx, others[i])
		return nil // the others are pruned all the same
	})
	_ = x.ForEach(len(targets), func(i int) error {
		t := target{Pruning: x, id: targets[i], due: due}
		unpruned[i] = t.prune(ctx, byTarget[targets[i]])
		pruned[i] = t.runs
		return nil
	})
	for _, n := range pruned {
		runs += n
	}
	return runs, errors.Join(slices.Concat(errs, failed, unpruned)...)
}

// due returns the IDs of the points with an entry by which cleanup comes back soon. One whose manifests are not deleted yet has one.
func (x Pruning) due(ctx context.Context) (map[string]bool, error) {
	all, to := map[string]bool{}, backup.TimeKey(x.Now.Add(2*x.Recheck))
	for from := ""; ; {
		rows, _, err := x.Catalog.List(ctx, backup.DuePartition, from, to, 1000)
		if err != nil {
			return nil, fmt.Errorf("list what cleanup still comes back to: %w", err)
		}
		for _, row := range rows {
			all[backup.DuePoint(row.Key)] = true
		}
		if len(rows) < 1000 {
			return all, nil
		}
		from = rows[999].Row + "!"
	}
}

// other prunes what the entry of no target is about, and then drops the entry.
func (x Pruning) other(ctx context.Context, r record) error {
	var err error
	switch {
	case r.Plan != "":
		err = x.missed(ctx, r.Plan)
	case r.Request != "":
		err = x.request(ctx, r.Request)
	default:
		err = x.letter(ctx, r.Letter)
	}
	if errors.Is(err, errRaced) {
		return nil // the entry stays for the next time
	}
	if err == nil {
		_, err = x.apply(ctx, backup.Write{Op: backup.Delete, Key: r.row.Key, ETag: r.row.ETag})
	}
	if err != nil {
		return fmt.Errorf("prune by the entry %s: %w", r.row.Row, err)
	}
	return nil
}

// dated is a row as far as its time goes.
type dated struct{ Time, Found time.Time }

// old says whether a row of that time is older than the history.
func (x Pruning) old(t time.Time) bool { return !t.Add(x.Age).After(x.Now) }

// missed prunes the old missed periods of the plan. One that was found later has an entry of its own.
func (x Pruning) missed(ctx context.Context, plan string) error {
	prefix := backup.MissedRunsPrefix + plan + "."
	to := prefix + backup.TimeKey(x.Now.Add(-x.Age))
	for from := prefix; ; {
		rows, _, err := x.Catalog.List(ctx, backup.SchedulePartition, from, to, backup.MostWrites)
		if err != nil {
			return err
		}
		var writes []backup.Write
		for _, row := range rows {
			m, err := backup.Decode[dated](row)
			if err != nil {
				return err
			}
			if x.old(m.Found) {
				writes = append(writes, backup.Write{Op: backup.Delete, Key: row.Key, ETag: row.ETag})
			}
		}
		if len(writes) > 0 {
			if raced, err := x.apply(ctx, writes...); raced || err != nil {
				return cmp.Or(err, errRaced)
			}
		}
		if len(rows) < backup.MostWrites {
			return nil
		}
		from = rows[len(rows)-1].Row + "!"
	}
}

// errRaced: another process changed one of the rows. The rest stays for the next time.
var errRaced = errors.New("another invocation changed it meanwhile")

// request prunes the claim of a request for backups, if it is old. A younger one under the same ID has an entry of its own.
func (x Pruning) request(ctx context.Context, hash string) error {
	key := backup.RequestKey(hash)
	rows, _, err := x.Catalog.List(ctx, key.Partition, "", "~", backup.MostWrites)
	if err != nil || len(rows) == 0 {
		return err
	}
	c, err := backup.Decode[dated](rows[0])
	if err != nil || !x.old(c.Time) {
		return err
	}
	var writes []backup.Write
	for _, row := range rows {
		writes = append(writes, backup.Write{Op: backup.Delete, Key: row.Key, ETag: row.ETag})
	}
	raced, err := x.apply(ctx, writes...)
	if raced && err == nil {
		err = errRaced
	}
	return err
}

// letter prunes a dead letter, if it is old.
func (x Pruning) letter(ctx context.Context, row string) error {
	key := backup.Key{Partition: backup.DeadLetterPartition, Row: row}
	one, _, err := x.Catalog.Get(ctx, key)
	if errors.Is(err, backup.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	l, err := backup.Decode[dated](one)
	if err == nil && x.old(l.Time) {
		_, err = x.apply(ctx, backup.Write{Op: backup.Delete, Key: key, ETag: one.ETag})
	}
	return err
}

// sorted returns the times in their order.
func sorted(times map[time.Time]bool) []time.Time {
	var all []time.Time
	for t := range times {
		all = append(all, t)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Before(all[j]) })
	return all
}
