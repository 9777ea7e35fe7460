package deletion

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/stop"
)

// Due is an entry of the index by which cleanup finds expired points without reading the history. It is written before the point,
// so that a crash leaves an entry too many, never one too few.
type Due struct {
	Point   string    `json:"Point"`
	Target  string    `json:"Target"`
	Created time.Time `json:"Created"`
	// Plan, Size and State describe the point as it was when the entry was written, so that points are counted by the index. State is ""
	// if there may be no point.
	Plan  string            `json:"Plan,omitempty"`
	Size  int64             `json:"Size,omitempty"`
	State backup.PointState `json:"State,omitempty"`
	// Released says that the entry was written because a hold was released, or because a person deletes the point. The point has its own
	// entry besides, which may be due a week later: it was moved while the point was held. This one is dropped once the other one must have
	// come back.
	Released bool `json:"Released,omitempty"`
	// Out says that the entry was written because a new recovery point takes the place of this one in its plan's counts: its own one
	// may be under [backup.RestKey].
	Out bool `json:"Out,omitempty"`
	// Since is the time at which an entry with Released or Out was written. Older versions have it in Created.
	Since time.Time `json:"Since,omitzero"`

	row backup.Row
}

// dueOf returns the entry of the point as it is.
func dueOf(p backup.Point, created time.Time) json.RawMessage {
	return backup.Encode(Due{Point: p.ID, Target: p.Target, Created: created, Plan: p.Plan, Size: p.Size, State: p.Called()})
}

// firstLook is the time after which cleanup first looks at a point without a day on which it expires. The run may die before it makes
// the point, so its entry is not at rest from the beginning.
const firstLook = 24 * time.Hour

// PutDue writes the entry of a point that is about to be made, and has cleanup look at the points that it makes expire.
func PutDue(ctx context.Context, catalog backup.Catalog, p backup.Point, out []string, now time.Time) error {
	at := p.Expires
	if at.IsZero() {
		at = p.Created.Add(firstLook)
	}
	writes := []backup.Write{{Op: backup.Put, Key: backup.DueKey(at, p.ID), Body: dueOf(p, now)}}
	for _, id := range out {
		writes = append(writes, outEntry(id, p.Target, p.Created, now))
	}
	if err := put(ctx, catalog, writes); err != nil {
		return fmt.Errorf("note when the recovery point of run %s expires: %w", p.ID, err)
	}
	return nil
}

// PutOut has cleanup look at points that their plan's counts hold no longer, once this is saved.
func PutOut(ctx context.Context, catalog backup.Catalog, target string, out []string, at, now time.Time) error {
	var writes []backup.Write
	for _, id := range out {
		writes = append(writes, outEntry(id, target, at, now))
	}
	if err := put(ctx, catalog, writes); err != nil {
		return fmt.Errorf("note which recovery points of %s expire: %w", target, err)
	}
	return nil
}

// outEntry makes the write of an entry with Out. The time in the point's ID stands for its Created, which is later: so cleanup reads far
// enough.
func outEntry(id, target string, at, now time.Time) backup.Write {
	made, err := backup.RunTime(id)
	if err != nil {
		made = now
	}
	body := backup.Encode(Due{Point: id, Target: target, Created: made, Since: now, Out: true})
	return backup.Write{Op: backup.Put, Key: backup.DueOutKey(at, id), Body: body}
}

// put makes writes in as many transactions as they need.
func put(ctx context.Context, catalog backup.Catalog, writes []backup.Write) error {
	for part := range slices.Chunk(writes, backup.MostWrites) {
		if _, err := catalog.Apply(ctx, part...); err != nil {
			return err
		}
	}
	return nil
}

// PutReleased has cleanup look at a point at that time, since a hold of it is about to be released. The entry is not counted as a point.
func PutReleased(ctx context.Context, catalog backup.Catalog, p backup.Point, at, now time.Time) error {
	body := backup.Encode(Due{Point: p.ID, Target: p.Target, Created: p.Created, Since: now, Released: true})
	if _, err := catalog.Apply(ctx, backup.Write{Op: backup.Put, Key: backup.DueOnceKey(at, p.ID), Body: body}); err != nil {
		return fmt.Errorf("note that the recovery point of run %s is held no longer: %w", p.ID, err)
	}
	return nil
}

// ReadDue returns the entries by their targets, and the targets in the order of their first entries.
func ReadDue(rows []backup.Row) (targets []string, entries map[string][]Due, failed []error) {
	entries = map[string][]Due{}
	for _, row := range rows {
		d, err := backup.Decode[Due](row)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		if entries[d.Target] == nil {
			targets = append(targets, d.Target)
		}
		d.row = row
		entries[d.Target] = append(entries[d.Target], d)
	}
	return targets, entries, failed
}

// LongestRun is the longest time that a run takes, in Timings.Operation: one to wait for its target, one to look for each of three
// lost starts, one for the service, one to verify.
const LongestRun = 6

// Reach returns the row key up to which cleanup reads points for the sake of a due one. It is the key of the due point itself or
// further: up to the oldest run that took so long that its point can be newer all the same.
func (d Due) Reach(operation time.Duration) string {
	reach := backup.PointPrefix + backup.Countdown(d.Created.Add(-LongestRun*operation))
	if _, err := backup.RunKey(d.Point); err != nil {
		return reach // the entry is broken, and dropped
	}
	return max(reach, backup.Point{ID: d.Point}.Key().Row+"!")
}

// Behind returns the IDs of the due points whose rows stand behind a row of their target. A broken entry names none.
func Behind(entries []Due, row string) (ids []string) {
	for _, d := range entries {
		if _, err := backup.RunKey(d.Point); err == nil && (backup.Point{ID: d.Point}).Key().Row > row && !slices.Contains(ids, d.Point) {
			ids = append(ids, d.Point)
		}
	}
	return ids
}

// Index has the things that the end of a due entry needs.
type Index struct {
	Catalog backup.Catalog
	// Load reads a run, and Apply makes writes that another process may make at the same time.
	Load  func(ctx context.Context, id string) (backup.Run, time.Time, error)
	Apply func(ctx context.Context, writes ...backup.Write) error
	// MayBegin returns an error while nothing may be deleted. RemoveManifests deletes the manifests of an expired point. RemoveLate
	// deletes what the operation of a run that was given up has written since, where its name shows the run.
	MayBegin        func(context.Context) error
	RemoveManifests func(context.Context, backup.Point) error
	RemoveLate      func(context.Context, backup.Run) error
	// Recheck is the least time after which a failed deletion is tried again.
	Recheck time.Duration
	// Now is the time by the catalog's clock.
	Now time.Time
}

// lateManifest is the time after a person's change of a point in which its manifest may still arrive: an invocation ends after five minutes,
// and storage may take its last request some minutes later.
const lateManifest = 15 * time.Minute

// Look is the answer of a review about a point that stays.
type Look struct {
	// Rests says that only a new recovery point, or a person, can make it expire.
	Rests bool
	// Next is the time from which on it may expire; zero if that is not known.
	Next time.Time
}

// DropOrMove drops the index entry if its point is expired or never came to be; otherwise it moves the entry to a later time. The
// point is the zero value if it was not among the points that were read. While nothing may be deleted, an entry with something left
// to delete stays as it is.
func (x Index) DropOrMove(ctx context.Context, d Due, p backup.Point, look Look) error {
	stays := p.State != backup.Expired
	var late error
	if !stays {
		// The entry goes last: after a crash the next cleanup deletes the rest of the manifests.
		if late = x.MayBegin(ctx); late == nil {
			late = x.RemoveManifests(ctx, p)
		}
		if stays = late != nil; stays && backup.AsFault(late).Kind == backup.Kept {
			late = nil // it is deleted once nothing protects it
		}
	}
	if p.State == "" {
		// The run ended without the point, or has just made it, or is about to.
		run, _, err := x.Load(ctx, d.Point)
		if err != nil && !errors.Is(err, backup.ErrNotFound) {
			return err
		}
		stays = err == nil && (run.State == backup.Succeeded || !run.State.Final())
		if run.GivenUp() {
			// Cleanup looks for it as long as for a kept point.
			stays = x.Now.Sub(run.Ended) < LongestKept*x.Recheck
			if late = x.MayBegin(ctx); late == nil {
				late = x.RemoveLate(ctx, run)
			}
			if late != nil && backup.AsFault(late).Kind == backup.Kept {
				late = nil
			}
		}
	}
	if stop.Reason(late) != "" {
		return late
	}
	if p.State == backup.Expired && x.Now.Sub(p.LastChange()) < lateManifest {
		stays = true // a manifest of that may arrive behind the deletion of the others
	}
	hold, held := p.LongestHold(x.Now)
	held = held && p.State != backup.Deleting && p.State != backup.Expired
	writes := []backup.Write{{Op: backup.Delete, Key: d.row.Key, ETag: d.row.ETag}}
	if d.Out {
		more, own, err := x.out(ctx, d, look)
		if err != nil {
			return err
		}
		writes = append(writes, more...)
		// Its own one comes later than the end of a soft deletion, and perhaps than the time at which its manifests can be deleted.
		d.Released = !own && (p.IsSoftDeleted() || p.State == backup.Expired)
		stays = stays && (own || d.Released)
	}
	if d.Released {
		needed := p.IsSoftDeleted() || !x.Now.Before(p.Expires) && x.Now.Sub(backup.Later(d.Since, d.Created)) < LongestKept*x.Recheck
		stays = stays && p.State != "" && needed
	}
	if stays {
		wait := max(x.Recheck, backup.Resolution, p.KeptByStorage.Again.Sub(x.Now), look.Next.Sub(x.Now))
		switch {
		case p.IsSoftDeleted() && x.Now.Before(p.SoftDeletion.Until):
			wait = max(p.SoftDeletion.Until.Sub(x.Now), backup.Resolution)
		case !p.IsSoftDeleted(): // it was undeleted before its time was over
			wait = max(wait, p.Expires.Sub(x.Now))
		}
		if p.Undeleted.Hashing.Offset > 0 {
			wait = backup.Resolution // the next timer run reads on
		}
		if held && !x.Now.Before(p.SoftDeletion.Until) { // nothing but time or its release ends a hold, and the release writes an entry: no need to come back each time
			wait = LongestKept * x.Recheck
			if !hold.Until.IsZero() {
				wait = min(wait, max(hold.Until.Sub(x.Now), backup.Resolution))
			}
		}
		key, body := backup.DueKey(x.Now.Add(wait), d.Point), d.row.Body
		if d.Released {
			key = backup.DueOnceKey(x.Now.Add(wait), d.Point)
		} else if look.Rests {
			key = backup.RestKey(d.Point)
		}
		if !d.Released && p.State != "" && p.State != backup.Unreadable {
			body = dueOf(p, d.Created)
		}
		if key == d.row.Key { // cleanup reads entries that are due within the resolution
			writes = []backup.Write{{Op: backup.Replace, Key: key, ETag: d.row.ETag, Body: body}}
		} else {
			writes = append(writes, backup.Write{Op: backup.Put, Key: key, Body: body})
		}
	}
	if err := x.Apply(ctx, writes...); err != nil {
		return fmt.Errorf("move the index entry of run %s: %w", d.Point, err)
	}
	return late
}

// out returns the writes for the end of an entry of a point that no count holds any more, and says whether the point then needs an entry
// of its own. If its own one is at rest, this one takes its place. While a count still holds the point, the run that makes it expire
// may be about to save that: so the entry stays for a week.
func (x Index) out(ctx context.Context, d Due, look Look) (writes []backup.Write, own bool, err error) {
	rest, _, err := x.Catalog.Get(ctx, backup.RestKey(d.Point))
	switch {
	case errors.Is(err, backup.ErrNotFound):
		return nil, false, nil // its own entry has a time
	case err != nil:
		return nil, false, err
	case !look.Rests:
		return []backup.Write{{Op: backup.Delete, Key: rest.Key, ETag: rest.ETag}}, true, nil
	case x.Now.Sub(d.Since) < LongestKept*x.Recheck:
		return []backup.Write{outEntry(d.Point, d.Target, x.Now.Add(x.Recheck), d.Since)}, false, nil
	}
	return nil, false, nil
}
