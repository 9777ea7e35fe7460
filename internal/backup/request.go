package backup

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrRequestReused: the request's ID was used before, for something else.
var ErrRequestReused = errors.New("the ID of the request was used before for another request")

// Request asks for a backup by hand. The same ID always means the same run.
type Request struct {
	// ID is the caller's Repeatability-Request-ID, or that of the invocation.
	ID string
	// Plan gives the settings; Target is one of its targets, as the plan spells it.
	Plan   Plan
	Target string
}

// onDemand are the settings of a run that was asked for by hand.
func (p Plan) onDemand() Settings {
	s := p.Settings
	if p.OnDemandKeepWithin > 0 {
		s.KeepWithin = p.OnDemandKeepWithin
	}
	return s
}

// claimed is the row of a request: it fixes the time, and with it the run's ID, so that a repeat completes what a
// process that died left half done.
type claimed struct {
	Request     string    `json:"Request"`
	Fingerprint string    `json:"Fingerprint"`
	Run         string    `json:"Run"`
	Time        time.Time `json:"Time"`
}

// Backup creates the run that the request asks for, or returns the one that it asked for before.
func (e *Engine) Backup(ctx context.Context, q Request) (Run, error) {
	key := Key{Partition: "request-" + digest(q.ID, 32), Row: "request"}
	fingerprint := digest(q.Plan.Name+"\n"+partition(q.Target), 32)
	row, now, err := e.Catalog.Get(ctx, key)
	if errors.Is(err, ErrNotFound) {
		row.Body = encode(claimed{
			Request: q.ID, Fingerprint: fingerprint, Time: now, Run: newRunID(q.Target, now, "request "+q.ID),
		})
		_, err = e.Catalog.Apply(ctx, Write{Op: Insert, Key: key, Body: row.Body})
		if errors.Is(err, ErrExists) {
			row, _, err = e.Catalog.Get(ctx, key)
		}
	}
	if err != nil {
		return Run{}, fmt.Errorf("claim request %s: %w", q.ID, err)
	}
	claim, err := decode[claimed](row)
	if err != nil {
		return Run{}, err
	}
	if claim.Fingerprint != fingerprint {
		return Run{}, fmt.Errorf("%w: %s", ErrRequestReused, q.ID)
	}
	run := Run{ID: claim.Run, Target: q.Target, Plan: q.Plan.Name, Request: q.ID, Settings: q.Plan.onDemand()}
	fresh, err := e.create(ctx, &run, now)
	if err != nil && !fresh {
		return Run{}, err
	}
	if fresh {
		return run, nil // if its first wake-up could not be sent, the sweep sends it
	}
	run, _, err = e.load(ctx, claim.Run)
	return run, err
}

// Status is a run and the recovery point that it left, if it did.
type Status struct {
	Run   Run
	Point *Point
}

// Status reads a run and its recovery point. It returns ErrNotFound if there is none with the ID.
func (e *Engine) Status(ctx context.Context, id string) (Status, time.Time, error) {
	run, now, err := e.load(ctx, id)
	if err != nil || run.State != Succeeded {
		return Status{Run: run}, now, err
	}
	row, _, err := e.Catalog.Get(ctx, run.pointKey())
	if err != nil {
		return Status{Run: run}, now, fmt.Errorf("load the recovery point of run %s: %w", id, err)
	}
	p, err := decode[Point](row)
	return Status{Run: run, Point: &p}, now, err
}

// History lists the runs of a target, newest first, with their recovery points: at most top (1 to 1000), from the one
// after the run with the ID "after". The second result is the ID to go on with, "" at the end.
func (e *Engine) History(ctx context.Context, target, after string, top int) ([]Status, string, error) {
	from := ""
	if after != "" {
		key, err := runKey(after)
		if err != nil || key.Partition != partition(target) {
			return nil, "", fmt.Errorf("%w: run %s of %s", ErrNotFound, after, target)
		}
		from = key.Row[len("run-"):] + "!"
	}
	runs, _, err := e.Catalog.List(ctx, partition(target), "run-"+from, "run.", top)
	if err != nil {
		return nil, "", fmt.Errorf("list the runs of %s: %w", target, err)
	}
	if len(runs) == 0 {
		return nil, "", nil
	}
	last := runs[len(runs)-1].Row[len("run-"):]
	points := map[string]*Point{}
	rows, _, err := e.Catalog.List(ctx, partition(target), "point-"+from, "point-"+last+"!", 1000)
	if err != nil {
		return nil, "", fmt.Errorf("list the recovery points of %s: %w", target, err)
	}
	for _, row := range rows {
		p, err := decode[Point](row)
		if err != nil {
			return nil, "", err
		}
		points[p.ID] = &p
	}
	history := make([]Status, 0, len(runs))
	for _, row := range runs {
		run, err := decode[Run](row)
		if err != nil {
			return nil, "", err
		}
		history = append(history, Status{Run: run, Point: points[run.ID]})
	}
	if len(runs) < top {
		return history, "", nil
	}
	return history, history[len(history)-1].Run.ID, nil
}
