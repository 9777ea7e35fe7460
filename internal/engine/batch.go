package engine

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"lifeboat/internal/backup"
)

// Batch has the runs of one request, with the targets and settings that the plan had when the request first came.
type Batch struct {
	// ID is computed from the request's ID: 32 hex digits.
	ID      string
	Plan    string
	Request string
	Created time.Time
	// Runs are the runs of the targets, in the plan's order. One that has not been made yet has no State.
	Runs []backup.Run

	fingerprint string
}

// batchTime ends the making of runs before the caller gives up: Azure's front end does so after 230 seconds. A repeat goes on
// from there.
const batchTime = 90 * time.Second

var batchID = regexp.MustCompile(`^[0-9a-f]{32}$`)

// BackupAll creates a run for every target of the request's plan, or completes and returns the batch of an earlier request with
// the same ID. With a plan without targets it only returns an earlier batch, or ErrNotFound if there was none. The time is the
// catalog's. After an error some of the runs may have been made; a repeat makes the others.
func (e *Engine) BackupAll(ctx context.Context, q Request) (Batch, time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, batchTime)
	defer cancel()
	return e.request(ctx, q, "every target", q.Plan.Targets)
}

// Batch reads a batch and its runs. It returns ErrNotFound if there is none with the ID.
func (e *Engine) Batch(ctx context.Context, id string) (Batch, time.Time, error) {
	if !batchID.MatchString(id) {
		return Batch{}, time.Time{}, fmt.Errorf("%w: %q is not the ID of a batch", backup.ErrNotFound, id)
	}
	b, now, err := e.claimedBefore(ctx, id)
	if err != nil {
		return Batch{}, now, fmt.Errorf("load batch %s: %w", id, err)
	}
	err = e.forEach(len(b.Runs), func(i int) error {
		_, err := e.made(ctx, &b.Runs[i])
		return err
	})
	return b, now, err
}
