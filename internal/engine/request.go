package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/history"
	"lifeboat/internal/request"
)

// ErrRequestReused: the request's ID was used before, for something else.
var ErrRequestReused = errors.New("the ID of the request was used before for another request")

// claimed is the row of a request: with the targets beside it, it fixes the runs and their IDs. So a repeat completes the work of
// a process that died, even if the plan has changed.
type claimed struct {
	Request     string `json:"Request"`
	Fingerprint string `json:"Fingerprint"`
	Plan        string `json:"Plan"`
	// Settings are the plan's, for all targets.
	Settings backup.Settings `json:"Settings"`
	Time     time.Time       `json:"Time"`
	// ReplyTo is the queue that gets the answers too, "" for none.
	ReplyTo string `json:"ReplyTo,omitempty"`
	// Refused says why the request makes no runs; nil if it does. Then it has no targets.
	Refused *backup.Reason `json:"Refused,omitempty"`
}

// batchTime ends the making of runs before the caller gives up: Azure's front end does so after 230 seconds. A repeat goes on
// from there.
const batchTime = 90 * time.Second

// Backup makes the runs that the request asks for, or completes and returns the runs of an earlier request with the same ID,
// whatever became of the plans. If no plan fits, the batch says so; then nothing is written, and the same request may be made later. The
// time is the catalog's. It returns ErrRequestReused if the ID stands for another request. After an error some of the runs may
// have been made; a repeat makes the others.
func (e *Engine) Backup(ctx context.Context, q request.Backup, plans []backup.Plan) (Batch, time.Time, error) {
	c, targets, no := newClaim(q, plans)
	b, now, err := e.claimBackup(ctx, c, targets)
	if errors.Is(err, backup.ErrNotFound) && no != nil {
		return Batch{Refused: no}, now, nil
	}
	return b, now, err
}

func newClaim(q request.Backup, plans []backup.Plan) (claimed, []string, *backup.Reason) {
	plan, targets, no := q.Choose(plans)
	return claimed{
		Request: q.ID, Fingerprint: q.Fingerprint(), Plan: plan.Name, Settings: plan.OnDemand(), ReplyTo: q.ReplyTo,
	}, targets, no
}

// claimBackup makes the runs of the targets, or completes the runs of the first request with the ID.
func (e *Engine) claimBackup(ctx context.Context, c claimed, targets []string) (Batch, time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, batchTime)
	defer cancel()
	b, fresh, now, err := e.claim(ctx, c, targets)
	if err != nil {
		return Batch{}, now, err
	}
	err = e.forEach(len(b.Runs), func(i int) error {
		run := &b.Runs[i]
		if !fresh {
			if made, err := e.made(ctx, run); made || err != nil {
				return err
			}
		}
		mine, err := e.create(ctx, run, now)
		if mine {
			return nil // if its first step message could not be sent, the rescuer sends it
		}
		if err == nil {
			_, err = e.made(ctx, run)
		}
		return err
	})
	return b, now, err
}

// claim returns the batch of the first request with the ID. If this is the first, the claim and its targets are written in one
// transaction. It returns ErrNotFound if it is the first, and has neither targets nor a refusal.
func (e *Engine) claim(ctx context.Context, c claimed, targets []string) (b Batch, fresh bool, now time.Time, err error) {
	id := backup.Digest(c.Request, 32)
	b, now, err = e.claimedBefore(ctx, id)
	if errors.Is(err, backup.ErrNotFound) && (len(targets) > 0 || c.Refused != nil) {
		c.Time = now
		if err = history.PutRequest(ctx, e.Catalog, id, now); err != nil {
			return Batch{}, false, now, err
		}
		writes := []backup.Write{{Op: backup.Insert, Key: backup.RequestKey(id), Body: backup.Encode(c)}}
		for i, page := range backup.Pages(strings.Join(targets, "\n")) {
			writes = append(writes, backup.Write{Op: backup.Insert, Key: backup.TargetsKey(id, i), Body: page})
		}
		_, err = e.Catalog.Apply(ctx, writes...)
		if errors.Is(err, backup.ErrExists) {
			b, now, err = e.claimedBefore(ctx, id)
		} else {
			b, fresh = c.batch(targets), true
		}
	}
	switch {
	case err != nil:
		return Batch{}, false, now, fmt.Errorf("claim request %s: %w", c.Request, err)
	case b.fingerprint != c.Fingerprint:
		return Batch{}, false, now, fmt.Errorf("%w: %s", ErrRequestReused, c.Request)
	}
	return b, fresh, now, nil
}

// claimedBefore reads a claim and its targets.
func (e *Engine) claimedBefore(ctx context.Context, id string) (Batch, time.Time, error) {
	rows, now, err := e.Catalog.List(ctx, backup.RequestKey(id).Partition, "", "~", 1000)
	if err != nil {
		return Batch{}, now, err
	}
	if len(rows) == 0 {
		return Batch{}, now, backup.ErrNotFound
	}
	c, err := backup.Decode[claimed](rows[0])
	if err != nil || c.Refused != nil {
		return c.batch(nil), now, err
	}
	targets, err := backup.JoinPages(rows[1:])
	if err == nil && targets == "" {
		err = fmt.Errorf("the claim %s has no targets", rows[0].Partition)
	}
	return c.batch(strings.Split(targets, "\n")), now, err
}

// batch returns the runs of the claim, without reading any of them.
func (c claimed) batch(targets []string) Batch {
	b := Batch{
		ID: backup.Digest(c.Request, 32), Plan: c.Plan, Request: c.Request, Created: c.Time, ReplyTo: c.ReplyTo, Refused: c.Refused,
		fingerprint: c.Fingerprint,
	}
	for _, target := range targets {
		b.Runs = append(b.Runs, backup.Run{
			ID: backup.NewRunID(target, c.Time, "request "+c.Request), Target: target, Plan: c.Plan, Request: c.Request,
			Settings: c.Settings.For(target), ReplyTo: c.ReplyTo,
		})
	}
	return b
}

// made reads the run as it is, and tells whether it has been made at all.
func (e *Engine) made(ctx context.Context, run *backup.Run) (bool, error) {
	found, _, err := e.load(ctx, run.ID)
	if errors.Is(err, backup.ErrNotFound) {
		return false, nil
	}
	if err == nil {
		*run = found
	}
	return err == nil, err
}

// Status is a run and the recovery point that it left, if it did.
type Status struct {
	Run   backup.Run
	Point *backup.Point
}

// Status reads a run and its recovery point. It returns ErrNotFound if there is none with the ID.
func (e *Engine) Status(ctx context.Context, id string) (Status, time.Time, error) {
	run, now, err := e.load(ctx, id)
	if err != nil || run.Restore == nil && run.State != backup.Succeeded || run.Restore != nil && run.Restore.SafetyBackedUp.IsZero() {
		return Status{Run: run}, now, err
	}
	p, err := e.RecoveryPoint(ctx, id)
	if err != nil {
		return Status{Run: run}, now, err
	}
	return Status{Run: run, Point: &p}, now, nil
}

// History lists the runs of a target, newest first, with their recovery points: at most top (1 to 1000), from the one after the
// run with the ID "after". The second result is the ID to go on with, "" at the end.
func (e *Engine) History(ctx context.Context, target, after string, top int) ([]Status, string, error) {
	from, err := rowAfter(target, after)
	if err != nil {
		return nil, "", err
	}
	runs, err := e.listRuns(ctx, target, backup.RunPrefix+from, backup.Behind(backup.RunPrefix), top)
	if err != nil || len(runs) == 0 {
		return nil, "", err
	}
	last := runs[len(runs)-1].ID
	points, err := backup.ListPoints(ctx, e.Catalog, target, backup.PointPrefix+from, backup.Point{ID: last}.Key().Row+"!", 1000)
	if err != nil {
		return nil, "", err
	}
	pointOf := map[string]*backup.Point{}
	for i, p := range points {
		pointOf[p.ID] = &points[i]
	}
	history := make([]Status, 0, len(runs))
	for _, run := range runs {
		history = append(history, Status{Run: run, Point: pointOf[run.ID]})
	}
	if len(runs) < top {
		return history, "", nil
	}
	return history, last, nil
}
