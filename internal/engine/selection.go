package engine

import (
	"context"
	"errors"
	"fmt"

	"lifeboat/internal/backup"
	"lifeboat/internal/plans"
)

// ErrSelectionChanged is the error of a person's agreement to picks that wait no more, since another look has found others.
var ErrSelectionChanged = errors.New("other services wait by now")

// Select looks for the targets that the asked plans select, of plan.yaml without picks, if it is time, and keeps the answer: the next read of
// plan.yaml has it. The active plans have their picks, and the row is the one that a timer run has read anyway. The picks are kept before
// the row that names them. If the process dies in between, or two look at once, a text is kept that no row names. A look without an answer
// changes only why.
func (e *Engine) Select(ctx context.Context, asked, active []backup.Plan, row backup.Row) error {
	now := e.Now()
	was := plans.DecodeSelection(row)
	if asked != nil && !plans.Selects(asked) && was.Unread == nil && was.Picks+was.Waiting != "" {
		return e.apply(ctx, backup.InsertOrReplace(backup.SelectionKey, was.ETag, backup.Encode(was.Ended())))
	}
	if e.Search == nil || !was.Due(asked, now, now.Add(clockTolerance)) {
		return was.Unread
	}
	base, err := plans.LoadPicks(ctx, e.Catalog, was.Base)
	if err != nil {
		return err
	}
	var subscribed []backup.Plan // only what is selected from
	for _, p := range asked {
		if p.Select != nil {
			subscribed = append(subscribed, backup.Plan{Select: p.Select})
		}
	}
	looking, cancel := context.WithTimeout(ctx, surveyTime)
	defer cancel()
	there, err := e.Search(looking, backup.Subscriptions(subscribed))
	if ctx.Err() != nil {
		return ctx.Err() // the invocation is over, and nothing is known
	}
	var is plans.Selection
	if err != nil {
		is = was.Missed(backup.AsFault(err).Reason(), now)
	} else {
		var picks []backup.Pick
		if is, picks = was.Answer(there, asked, active, e.Services, base, now); is.Picks != was.Picks || is.Waiting != was.Waiting {
			if _, err := plans.KeepPicks(ctx, e.Catalog, picks); err != nil {
				return err
			}
		}
	}
	if err := e.apply(ctx, backup.InsertOrReplace(backup.SelectionKey, was.ETag, backup.Encode(is))); err != nil {
		return fmt.Errorf("save what the plans select: %w", err)
	}
	if is.Failed.Code != "" {
		return fmt.Errorf("look for what the plans select: %s: %s", is.Failed.Code, is.Failed.Message)
	}
	return nil
}

// Selection returns the row, the picks that count, and those that wait for a person; nil if none do.
func (e *Engine) Selection(ctx context.Context) (is plans.Selection, picks, waiting []backup.Pick, err error) {
	row, _, err := e.Catalog.Get(ctx, backup.SelectionKey)
	if err != nil && !errors.Is(err, backup.ErrNotFound) {
		return is, nil, nil, fmt.Errorf("read what the plans select: %w", err)
	}
	if is = plans.DecodeSelection(row); is.Unread != nil {
		return is, nil, nil, is.Unread
	}
	if picks, err = plans.LoadPicks(ctx, e.Catalog, is.Picks); err == nil {
		waiting, err = plans.LoadPicks(ctx, e.Catalog, is.Waiting)
	}
	return is, picks, waiting, err
}

// AcceptSelection lets the picks count that wait under the hash. A repeat changes nothing. It is ErrSelectionChanged if others wait by now, or
// none.
func (e *Engine) AcceptSelection(ctx context.Context, hash string) error {
	row, _, err := e.Catalog.Get(ctx, backup.SelectionKey)
	if err != nil && !errors.Is(err, backup.ErrNotFound) {
		return fmt.Errorf("read what the plans select: %w", err)
	}
	is := plans.DecodeSelection(row)
	switch {
	case is.Unread != nil:
		return is.Unread
	case hash != "" && is.Picks == hash && is.Waiting == "":
		return nil
	case hash == "" || is.Waiting != hash:
		return ErrSelectionChanged
	}
	_, err = e.Catalog.Apply(ctx, backup.InsertOrReplace(backup.SelectionKey, is.ETag, backup.Encode(is.Accepted(e.Now()))))
	if errors.Is(err, backup.ErrChanged) || errors.Is(err, backup.ErrNotFound) {
		return ErrSelectionChanged
	}
	if err != nil {
		return fmt.Errorf("save what the plans select: %w", err)
	}
	return nil
}
