package engine

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/request"
)

// Batch has the runs of one request, with the targets and settings that the plan had when the request first came.
type Batch struct {
	// ID is computed from the request's ID: 32 hex digits.
	ID      string
	Plan    string
	Request string
	Created time.Time
	// ReplyTo is the queue that gets the answers too, "" for none.
	ReplyTo string
	// Refused says why there are no runs, nil if there are.
	Refused *backup.Reason
	// Runs are the runs of the targets, in the plan's order. One that has not been made yet has no State.
	Runs []backup.Run

	fingerprint string
}

var batchID = regexp.MustCompile(`^[0-9a-f]{32}$`)

// Batch reads a batch and its runs, by its ID or by the ID of its request. It returns ErrNotFound if there is none.
func (e *Engine) Batch(ctx context.Context, id string) (Batch, time.Time, error) {
	b, now, err := e.claimedAs(ctx, id)
	if err == nil && b.Refused != nil {
		err = fmt.Errorf("%w: the request was refused: %s: %s", backup.ErrNotFound, b.Refused.Code, b.Refused.Message)
	}
	if err != nil {
		return Batch{}, now, fmt.Errorf("load batch %s: %w", id, err)
	}
	err = e.forEach(len(b.Runs), func(i int) error {
		_, err := e.made(ctx, &b.Runs[i])
		return err
	})
	return b, now, err
}

// claimedAs reads the claim of a request by the ID of its batch, or by its own: that may look like the other.
func (e *Engine) claimedAs(ctx context.Context, id string) (b Batch, now time.Time, err error) {
	if err = backup.ErrNotFound; batchID.MatchString(id) {
		b, now, err = e.claimedBefore(ctx, id)
	}
	if errors.Is(err, backup.ErrNotFound) && request.IsID(id) {
		b, now, err = e.claimedBefore(ctx, backup.Digest(id, 32))
	}
	return b, now, err
}

// BackupID returns the ID of the run that the ID means: its own, or the ID of the request that asked for it, for a backup or else
// for a restore. It returns ErrNotFound if there is no such request, or it asked for several backups. The run itself may not be
// there.
func (e *Engine) BackupID(ctx context.Context, id string) (string, error) {
	if _, err := backup.RunKey(id); err == nil {
		return id, nil
	}
	switch b, _, err := e.claimedAs(ctx, id); {
	case errors.Is(err, backup.ErrNotFound):
		return e.RestoreID(ctx, id)
	case err != nil:
		return "", err
	case b.Refused != nil:
		return "", fmt.Errorf("%w: the request was refused: %s: %s", backup.ErrNotFound, b.Refused.Code, b.Refused.Message)
	case len(b.Runs) > 1:
		return "", fmt.Errorf("%w: the request asked for %d backups, as the batch %s", backup.ErrNotFound, len(b.Runs), b.ID)
	default:
		return b.Runs[0].ID, nil
	}
}

// RestoreID is BackupID for a restore alone.
func (e *Engine) RestoreID(ctx context.Context, id string) (string, error) {
	if _, err := backup.RunKey(id); err == nil {
		return id, nil
	}
	if !request.IsID(id) {
		return "", backup.ErrNotFound
	}
	row, _, err := e.Catalog.Get(ctx, backup.RestoreClaimKey(id))
	if err != nil {
		return "", err
	}
	claim, err := backup.Decode[restoreClaim](row)
	if why := claim.over(); err == nil && why != nil {
		return "", fmt.Errorf("%w: %w", backup.ErrNotFound, why)
	}
	return claim.Run, err
}
