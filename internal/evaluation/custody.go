package evaluation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"lifeboat/internal/backup"
	"lifeboat/internal/event"
)

// statements are the rows of statements by the partitions of their targets; nil if they were not read.
type statements map[string]stated

// stated is a row; with err a newer version wrote it, and it stays as it is.
type stated struct {
	backup.Statements
	err error
}

// statements reads them: one request for each 1,000 targets with statements, none if no plan wants any.
func (e Evaluator) statements(ctx context.Context, all []backup.Plan) (statements, error) {
	rows := statements{}
	if !slices.ContainsFunc(all, e.asks) {
		return rows, nil
	}
	for from := backup.StatementsPrefix; ; {
		page, _, err := e.Catalog.List(ctx, backup.SchedulePartition, from, backup.Behind(backup.StatementsPrefix), 1000)
		if err != nil {
			return nil, fmt.Errorf("list the statements about targets: %w", err)
		}
		for _, row := range page {
			s, err := backup.DecodeStatements(row)
			rows[strings.TrimPrefix(row.Row, backup.StatementsPrefix)] = stated{s, err}
		}
		if len(page) < 1000 {
			return rows, nil
		}
		from = page[len(page)-1].Row + "!"
	}
}

// asks says whether the plan wants statements about one of its targets. It looks at no target of a plan without blocks.
func (e Evaluator) asks(p backup.Plan) bool {
	return p.Settings.Blocks != "" && slices.ContainsFunc(p.Targets, func(target string) bool { return e.service(target).Asks(p) })
}

// proof says what the statements prove to the plan; nil if it does not ask, or if they were not read.
func (e Evaluator) proof(p backup.Plan, target string, rows statements) *backup.Proof {
	if rows == nil || p.Settings.Blocks == "" {
		return nil
	}
	service := e.service(target)
	if !service.Asks(p) {
		return nil
	}
	row := rows[backup.Partition(target)]
	if row.err != nil {
		return &backup.Proof{Status: backup.ProofUnknown, Reason: backup.UnreadableRow(row.err)}
	}
	_, proof, _ := row.Judge(service.Custody, p, e.Now)
	return &proof
}

// tellProofs publishes the status of each proof that has another one than was told. Where several plans want statements about a target, the
// first one tells. Another timer run, or a new statement, may be faster: then that one tells.
func (e Evaluator) tellProofs(ctx context.Context, plan backup.Plan, all []backup.Plan, rows statements, report *Report) error {
	if rows == nil || !e.asks(plan) {
		return nil
	}
	var errs []error
	for _, target := range plan.Targets {
		first, custody := backup.Asking(all, e.service(target), target)
		row := rows[backup.Partition(target)]
		if custody == nil || first.Name != plan.Name || row.err != nil {
			continue
		}
		row.Target = target
		is, proof, news := row.Judge(custody, plan, e.Now)
		if !news {
			continue
		}
		events := []backup.Event{event.CustodyChanged(target, plan.Name, proof, e.Now)}
		_, err := e.Catalog.Apply(ctx, append(event.OutboxWrites(backup.SchedulePartition, events), is.Write())...)
		if _, raced := errors.AsType[*backup.WriteError](err); raced {
			continue
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("save the status of the proof about %s: %w", target, err))
			continue
		}
		report.Events = append(report.Events, events...)
	}
	return errors.Join(errs...)
}
