package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/health"
	"lifeboat/internal/restore"
	"lifeboat/internal/retention"
)

// PreviewRestore says what the restore would do, by the active plans, and asks every guard that can be asked at once. The error
// is one of storage; the refusal of a guard stands in the preview.
func (e *Engine) PreviewRestore(ctx context.Context, q restore.Request, plans []backup.Plan) (restore.Preview, error) {
	row, now, err := e.Catalog.Get(ctx, backup.RestoreClaimKey(q.ID))
	var claim restoreClaim
	if err == nil {
		claim, err = backup.Decode[restoreClaim](row)
	}
	if err != nil && !errors.Is(err, backup.ErrNotFound) {
		return restore.Preview{}, err
	}
	p, err := e.outline(ctx, q, plans, now)
	if err != nil || p.Refusal() != nil {
		return p, err
	}
	if claim.Run != "" && claim.Fingerprint != q.Fingerprint() {
		p.Ask("the ID is free", backup.Refuse("RequestIdReused", "Ask under another ID.", "%v: %s", ErrRequestReused, q.ID))
		return p, nil
	}
	if why := claim.over(); why != nil {
		p.Ask("the request was not carried out yet", backup.Refuse(CarriedOut, otherID, "%v", why))
		return p, nil
	}
	provider, restorer, err := e.restorer(p.Destination)
	if err != nil {
		p.Ask("the service can be restored", backup.Refuse("RestoreNotSupported", "", "%v", err))
		return p, nil
	}
	stopped, err := e.Ownership().Holds(ctx)
	if err != nil {
		return p, err
	}
	p.WarnStopped(stopped)
	order := p.ProviderRestore()
	a := order.ProviderAttempt(p.Chosen.ID)
	if a.Files, err = e.Files(ctx, p.Chosen); err != nil {
		return p, err
	}
	v, err := hash(ctx, provider, a, backup.Hashing{})
	p.AskLater("the artifact is there, and is the verified one", v.Done, err, func() *backup.Reason { return restore.Changed(p.Chosen, v) })
	if p.Refusal() != nil {
		return p, nil
	}
	if v.Note != "" {
		p.Warn(backup.Refuse("NotAllChecked", "", "%s", v.Note))
	}
	ctx, notes := backup.Watch(ctx)
	err = limited(ctx, func(ctx context.Context) error { return restorer.PreflightRestore(ctx, order) })
	p.AskLater("the destination can take it", true, err, func() *backup.Reason { return nil })
	p.Note(notes)
	p.NotAsked(e.service(p.Destination))
	return p, nil
}

// outline asks the guards that the catalog and the plans answer.
func (e *Engine) outline(ctx context.Context, q restore.Request, plans []backup.Plan, now time.Time) (p restore.Preview, err error) {
	p = restore.NewPreview(q, plans, now)
	from, into := e.service(q.Target), e.service(p.Destination)
	defer func() { p.Hash = p.NewHash() }()
	if !p.Ask("the request has not expired", cmp.Or(restore.Expired(q.Until(now), now), restore.TooLong(q.Until(now), now))) {
		return p, nil
	}
	if !p.Ask("a plan allows it", p.Allow(q, plans, into)) || !p.Ask("answers may go to the queue", p.Answers(q)) ||
		!p.Ask("the service restores in this way", p.Fits(into)) {
		return p, nil
	}
	var why *backup.Reason
	if why, err = e.readable(ctx, q.Target, p.Destination); err == nil && why == nil {
		p.Chosen, why, err = e.choosePoint(ctx, q, now)
	}
	if err != nil {
		return p, err
	}
	if p.Chosen.ID != "" {
		p.Point = &restore.PreviewedPoint{
			ID: p.Chosen.ID, State: p.Chosen.Called(), Written: p.Chosen.Created, Age: int64(p.Chosen.Age(now).Seconds()),
			Size: p.Chosen.Size, SHA256: p.Chosen.SHA256,
		}
	}
	p.Describe(from, into)
	if err := e.describeCustody(ctx, &p, q.Target, plans); err != nil {
		return p, err
	}
	p.WarnUnsecured()
	if !p.Ask("there is a recovery point", why) || !p.Ask("the recovery point can be restored", restore.Usable(p.Chosen, from, now)) {
		return p, nil
	}
	switch p.Chosen.State {
	case backup.Suspect:
		p.Warn(&p.Chosen.Suspicion)
	case backup.Altered:
		p.Warn(&p.Chosen.KeptByStorage.Reason)
	}
	return p, nil
}

// readable refuses to restore from or into a target if this version cannot read one of its rows: a newer version may have noted
// there that something must not be overwritten, or why a recovery point must not be used. It reads the newest runs and recovery
// points.
func (e *Engine) readable(ctx context.Context, targets ...string) (*backup.Reason, error) {
	for i, target := range targets {
		if i > 0 && backup.Same(target, targets[0]) {
			continue
		}
		for _, kind := range []string{backup.PointPrefix, backup.RunPrefix} {
			rows, _, err := e.Catalog.List(ctx, backup.Partition(target), kind, backup.Behind(kind), 2*health.RecentRows)
			if err != nil {
				return nil, fmt.Errorf("look for rows of %s that cannot be read: %w", target, err)
			}
			if why := restore.Unreadable(kind, rows); why != nil {
				return why, nil
			}
		}
	}
	return nil, nil
}

// choosePoint finds the recovery point that is meant. The reason says why there is none.
func (e *Engine) choosePoint(ctx context.Context, q restore.Request, now time.Time) (backup.Point, *backup.Reason, error) {
	if q.Point != "" {
		p, err := e.RecoveryPoint(ctx, q.Point)
		switch {
		case errors.Is(err, backup.ErrUnreadable):
			return backup.Point{}, restore.RestoresNothing(err), nil
		case errors.Is(err, backup.ErrNotFound), err == nil && !backup.Same(p.Target, q.Target):
			return backup.Point{}, backup.Refuse("RecoveryPointNotFound", "lifeboat points "+q.Target+" lists them.",
				"%s has no recovery point %s", q.Target, q.Point), nil
		case err != nil:
			return backup.Point{}, nil, err
		}
		return p, nil, nil
	}
	points, err := backup.RecentPoints(ctx, e.Catalog, q.Target, 2*retention.Trailing, func(points []backup.Point) bool { return slices.ContainsFunc(points, q.Latest) })
	if err != nil {
		return backup.Point{}, nil, err
	}
	p, why := q.Newest(points)
	return p, why, nil
}

// restorer returns the provider of the destination.
func (e *Engine) restorer(destination string) (backup.Provider, backup.Restorer, error) {
	p, err := e.provider(destination)
	if err != nil {
		return nil, nil, err
	}
	r, ok := p.(backup.Restorer)
	if !ok {
		return nil, nil, fmt.Errorf("%s: its backups cannot be restored by Lifeboat", destination)
	}
	return p, r, nil
}
