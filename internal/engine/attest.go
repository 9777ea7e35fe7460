package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/event"
	"lifeboat/internal/restore"
)

// ErrNotAsked: no plan wants statements about the target.
var ErrNotAsked = errors.New("no plan asks for statements about it")

// StatementError says why a text is no statement that can be stored.
type StatementError struct{ Err error }

func (e *StatementError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *StatementError) Unwrap() error { return e.Err }

// Attestation is a statement about a target, under the ID of its request. Anew: it takes the place of all earlier ones.
type Attestation struct {
	ID, Target string
	Statement  []byte
	Anew       bool
}

// Attest checks a statement and stores it, and says what is proven by then. A repeat, and a statement that says less than the stored ones,
// changes nothing, unless another request began anew in between. Where several statements have one ID, the first alone begins anew.
//
// It returns ErrNotAsked if none of the plans wants statements about the target, and a [*StatementError] for one that cannot be stored.
func (e *Engine) Attest(ctx context.Context, a Attestation, plans []backup.Plan) (backup.Proof, error) {
	plan, custody := backup.Asking(plans, e.service(a.Target), a.Target)
	if custody == nil {
		return backup.Proof{}, ErrNotAsked
	}
	for range 3 {
		s, now, err := e.statements(ctx, a.Target)
		if err != nil {
			return backup.Proof{}, err
		}
		record, begun := s.Record, a.Anew && s.Newest != a.ID
		if begun {
			s.Record, s.Newest = nil, a.ID
		}
		if s.Record, err = custody.Add(s.Record, a.Statement, now); err != nil {
			return backup.Proof{}, &StatementError{err}
		}
		s.Target = plan.Spelled(a.Target)
		is, proof, told := s.Judge(custody, plan, now)
		told = told || begun && record != nil // a person forgot the earlier ones
		if !begun && !told && bytes.Equal(s.Record, record) {
			return proof, nil
		}
		writes := []backup.Write{is.Write()}
		if told {
			changed := event.CustodyChanged(is.Target, plan.Name, proof, now)
			writes = append(event.OutboxWrites(backup.SchedulePartition, []backup.Event{changed}), writes...)
		}
		_, err = e.Catalog.Apply(ctx, writes...)
		if _, raced := errors.AsType[*backup.WriteError](err); raced {
			continue
		}
		if err != nil {
			return backup.Proof{}, fmt.Errorf("save a statement about %s: %w", a.Target, err)
		}
		return proof, nil
	}
	return backup.Proof{}, errors.New("other callers store statements about the target again and again")
}

// describeCustody says in the preview what statements about the target prove, by a plan that asks for them: without the thing in custody
// nothing is restored.
func (e *Engine) describeCustody(ctx context.Context, p *restore.Preview, target string, plans []backup.Plan) error {
	service := e.service(target)
	plan, custody := backup.Asking(plans, service, target)
	if custody == nil && service.Asks(p.Allowing) { // the target has left
		plan, custody = p.Allowing, service.Custody
	}
	if custody == nil {
		return nil
	}
	s, now, err := e.statements(ctx, target)
	switch {
	case errors.Is(err, backup.ErrUnreadable):
		p.Custody = &restore.PreviewedCustody{Title: custody.Title, Proof: backup.Proof{Status: backup.ProofUnknown, Reason: backup.UnreadableRow(err)}}
	case err != nil:
		return err
	default:
		_, proof, _ := s.Judge(custody, plan, now)
		p.Custody = &restore.PreviewedCustody{Title: custody.Title, Proof: proof}
	}
	return nil
}

// statements reads the row of the statements about the target, which is empty before the first.
func (e *Engine) statements(ctx context.Context, target string) (s backup.Statements, now time.Time, err error) {
	row, now, err := e.Catalog.Get(ctx, backup.StatementsKey(target))
	switch {
	case err == nil:
		s, err = backup.DecodeStatements(row)
	case errors.Is(err, backup.ErrNotFound):
		return s, now, nil
	}
	if err != nil {
		err = fmt.Errorf("read the statements about %s: %w", target, err)
	}
	return s, now, err
}
