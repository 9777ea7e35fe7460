package simulation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
	"lifeboat/internal/health"
	"lifeboat/internal/plans"
)

// watched is the catalog as health sees it: it writes nothing. If it is blind, it shows no facts, so that health looks at each target.
type watched struct {
	backup.Catalog
	blind bool
}

func (c watched) List(ctx context.Context, partition, from, to string, limit int) ([]backup.Row, time.Time, error) {
	if c.blind && from == backup.FactsPrefix {
		return nil, time.Time{}, nil
	}
	return c.Catalog.List(ctx, partition, from, to, limit)
}

func (watched) Apply(context.Context, ...backup.Write) ([]string, error) {
	return nil, errors.New("health writes nothing here")
}

// healthOf returns what health says of the targets of the plans: by the facts, and by a look at each.
func (w *World) healthOf(active []backup.Plan) (told, seen []health.TargetHealth) {
	row, _, _ := w.catalog.Get(context.Background(), backup.ActivePlanKey)
	head, _ := plans.ReadHead(row) // without one the plans are as new as can be
	of := func(blind bool) []health.TargetHealth {
		catalog := watched{w.catalog, blind}
		texts := plans.Store{Catalog: catalog, App: w.ledger.owner.app, Parse: parsePlans}
		e := engine.Engine{
			Catalog: catalog, App: w.ledger.owner.app, Services: known, Timings: engine.DefaultTimings(), Parallelism: 1,
			Now: func() time.Time { return w.now }, Left: texts.Left,
		}
		targets, _, err := e.Health(context.Background(), plans.Active{Plans: active, Hash: head.Hash})
		if err != nil {
			panic(err) // the catalog itself never fails
		}
		return targets
	}
	return of(false), of(true)
}

// healthIsTrue checks that health by the facts never says that a target is better than a look at it shows, after each eighth timer
// run; in the end it says the same.
func healthIsTrue(w *World, moment any) string {
	switch m := moment.(type) {
	case timerRan:
		if m.v.died || m.v.err != nil || len(m.plans) == 0 {
			return ""
		}
		if w.ledger.evaluated = m.plans; w.figures.TimerRuns%8 != 0 { // it reads every target
			return ""
		}
		told, seen := w.healthOf(m.plans)
		for i, h := range told {
			if h.Status.Severity() < seen[i].Status.Severity() {
				return fmt.Sprintf("health says of %s that it is %s, and a look says %s, %s", w.service(h.Target).name, h.Status, seen[i].Status, seen[i].Reason.Message)
			}
		}
	case over:
		told, seen := w.healthOf(w.ledger.evaluated)
		for i, h := range told {
			if h.Status != seen[i].Status || h.AlertKey() != seen[i].AlertKey() || (h.LastRun == nil) != (seen[i].LastRun == nil) ||
				h.LastRun != nil && (h.LastRun.ID != seen[i].LastRun.ID || h.LastRun.State != seen[i].LastRun.State) {
				return fmt.Sprintf("in the end health says of %s: %+v, and a look says: %+v", w.service(h.Target).name, h, seen[i])
			}
		}
	}
	return ""
}
