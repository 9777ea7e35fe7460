package history

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"lifeboat/internal/backup"
)

// target prunes the old runs of a target with their recovery points.
type target struct {
	Pruning
	id  string
	due map[string]bool
	// floor has the newest rows, which stay.
	floor floor
	// row is the row of the target's history, and runs the number of runs that were pruned.
	row  backup.History
	runs int
	// again has the weeks for which the entries of the weeks of runs are written again.
	again map[time.Time]map[time.Time]bool
	errs  []error
}

// prune prunes what the entries are about. Then it drops the entries; where runs stay, it writes others for the weeks from which on their
// own history counts. An entry goes after its rows.
func (t *target) prune(ctx context.Context, records []record) error {
	if err := t.prepare(ctx); err != nil {
		return fmt.Errorf("prune the history of %s: %w", t.id, err)
	}
	t.again = map[time.Time]map[time.Time]bool{}
	looked := map[time.Time]bool{}
	var writes []backup.Write
	for _, r := range records {
		if !looked[r.Made] {
			if err := t.week(ctx, r.Made); err != nil {
				if errors.Is(err, errRaced) {
					break // another timer run is at it
				}
				t.errs = append(t.errs, err)
				continue
			}
			looked[r.Made] = true
		}
		writes = append(writes, backup.Write{Op: backup.Delete, Key: r.row.Key, ETag: r.row.ETag})
	}
	if err := t.move(ctx, writes, looked); err != nil {
		t.errs = append(t.errs, err)
	}
	if len(t.errs) == 0 {
		return nil
	}
	return fmt.Errorf("prune the history of %s: %w", t.id, errors.Join(t.errs...))
}

// move drops the entries, and writes the others before that.
func (t *target) move(ctx context.Context, drops []backup.Write, looked map[time.Time]bool) error {
	var writes []backup.Write
	for _, made := range sorted(looked) {
		for _, from := range sorted(t.again[made]) {
			writes = append(writes, record{Target: t.id, Made: made}.put(from))
		}
	}
	for part := range slices.Chunk(slices.Concat(writes, drops), backup.MostWrites) {
		if raced, err := t.apply(ctx, part...); raced || err != nil {
			return err // the entries come again
		}
	}
	return nil
}

// prepare reads which of the newest rows stay, and the row of the target's history.
func (t *target) prepare(ctx context.Context) error {
	here := backup.Partition(t.id)
	runs, _, err := t.Catalog.List(ctx, here, backup.RunPrefix, backup.Behind(backup.RunPrefix), Kept)
	if err != nil {
		return err
	}
	if t.floor.run = behindAll; len(runs) == Kept {
		t.floor.run = runs[Kept-1].Row
	}
	if err = t.newestPoints(ctx); err != nil {
		return err
	}
	t.row, err = backup.ReadHistory(ctx, t.Catalog, t.id)
	return err
}

// newestPoints reads which recovery points stay, whatever their age.
func (t *target) newestPoints(ctx context.Context) error {
	const few = 2 * Kept
	var all []backup.Point
	for from := backup.PointPrefix; ; {
		points, err := backup.ListPoints(ctx, t.Catalog, t.id, from, backup.Behind(backup.PointPrefix), few)
		if err != nil {
			return err
		}
		if all = append(all, points...); t.floor.add(all) || len(points) < few {
			return nil
		}
		from = points[few-1].Key().Row + "!"
	}
}

// week prunes the runs that were made in the week, and notes when to look at those again that stay.
func (t *target) week(ctx context.Context, made time.Time) error {
	first, end := backup.Countdown(made.Add(span-time.Second)), backup.Countdown(made.Add(-time.Second))
	t.again[made] = map[time.Time]bool{}
	if backup.RunPrefix+end <= t.floor.run { // all of them are among the newest
		t.later(made)
		return nil
	}
	for from := first; from < end; {
		rows, _, err := t.Catalog.List(ctx, backup.Partition(t.id), backup.RunPrefix+from, backup.RunPrefix+end, pageSize)
		if err != nil || len(rows) == 0 {
			return err
		}
		to := end
		if len(rows) == pageSize {
			to = strings.TrimPrefix(rows[pageSize-1].Row, backup.RunPrefix) + "!"
		}
		points, err := backup.ListPoints(ctx, t.Catalog, t.id, backup.PointPrefix+from, backup.PointPrefix+to, 1000)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if err := t.run(ctx, made, row, points); err != nil {
				return err
			}
		}
		from = to
	}
	return nil
}

// later has the newest rows looked at again after four weeks: by then there may be newer ones.
func (t *target) later(made time.Time) { t.again[made][week(t.Now.Add(4*span-t.Age))] = true }

// run prunes one run, or notes when to look at it again.
func (t *target) run(ctx context.Context, made time.Time, row backup.Row, points []backup.Point) error {
	r, err := backup.Decode[backup.Run](row)
	if r.RowETag = row.ETag; err != nil {
		t.errs, t.again[made][week(t.Now)] = append(t.errs, err), true
		return nil
	}
	var p backup.Point
	if i := slices.IndexFunc(points, func(p backup.Point) bool { return p.ID == r.ID }); i >= 0 {
		p = points[i]
	}
	switch from := since(r, p, t.Now); {
	case !r.State.Final() || r.Unpublished || t.due[r.ID]: // it is not over: next week
		t.again[made][week(t.Now.Add(-t.Age))] = true
	case !t.old(from):
		t.again[made][week(from)] = true
	case t.floor.keeps(r, p):
		t.later(made)
	default:
		return t.remove(ctx, r, p)
	}
	return nil
}

// remove prunes one run with its recovery point, in one transaction. Before that no request needs the run any more: a repeat of a request
// for a restore is answered without it, and one for backups is forgotten.
func (t *target) remove(ctx context.Context, r backup.Run, p backup.Point) error {
	var err error
	switch {
	case r.Restore != nil:
		err = t.Close(ctx, r)
	case r.Request != "":
		err = t.request(ctx, backup.Digest(r.Request, 32))
	}
	if err != nil {
		return fmt.Errorf("prune the request of run %s: %w", r.ID, err)
	}
	is := t.row.With(r.Created)
	writes := []backup.Write{
		backup.InsertOrReplace(backup.HistoryKey(t.id), t.row.RowETag, backup.Encode(is)),
		{Op: backup.Delete, Key: r.Key(), ETag: r.RowETag},
	}
	if p.State != "" {
		files, _, err := t.Catalog.List(ctx, p.Key().Partition, p.FilesPrefix(), backup.Behind(p.FilesPrefix()), backup.MostWrites)
		if err != nil {
			return fmt.Errorf("list the files of the recovery point of run %s: %w", r.ID, err)
		}
		writes = append(writes, p.Remove(files)...)
	}
	for {
		etags, err := t.Catalog.Apply(ctx, writes...)
		failed, ok := errors.AsType[*backup.WriteError](err)
		switch {
		case err == nil:
			t.row, t.row.RowETag = is, etags[0]
			t.runs++
			return nil
		case !ok:
			return fmt.Errorf("prune run %s: %w", r.ID, err)
		case failed.Index < 3 || !errors.Is(err, backup.ErrNotFound):
			return errRaced
		}
		writes = slices.Delete(writes, failed.Index, failed.Index+1) // a claim or a list that is not there
	}
}
