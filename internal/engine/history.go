package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/history"
	"lifeboat/internal/restore"
)

// pruneTime is the time after which one cleanup prunes nothing more. The next one goes on.
const pruneTime = time.Minute

// prune prunes what is older than the history, once a day, and returns the number of pruned runs. It deletes no backup, and prunes nothing
// while the app is stopped all the same: in an incident people read what was before.
func (e *Engine) prune(ctx context.Context, was history.Pruned, stopped string, now time.Time) (runs int, err error) {
	if e.KeepHistory == 0 || stopped != "" || ctx.Err() != nil || !was.Due(now, now.Add(clockTolerance)) {
		return 0, was.Unread
	}
	began := e.Now()
	return history.Pruning{
		Catalog: e.Catalog, Age: e.KeepHistory, Recheck: e.Timings.Recheck, Close: e.closeRestore, ForEach: e.forEach, Now: now,
		More: func() bool { return e.Now().Sub(began) < pruneTime },
	}.Prune(ctx, was)
}

// isHistory says whether a run with the ID may have been pruned. By then no step message of it has an effect.
func (e *Engine) isHistory(id string) bool {
	made, err := backup.RunTime(id)
	return err == nil && e.KeepHistory > 0 && e.Now().Sub(made) >= min(e.KeepHistory, backup.LeastHistory)
}

// ErrCarriedOut: the request was carried out, and its run was pruned since.
var ErrCarriedOut = errors.New("the request was carried out, and its run is history")

// closeRestore notes in the claim of a restore that its run has ended and is about to be pruned. The claim stays for good: from now on it
// alone answers a repeat of the request.
func (e *Engine) closeRestore(ctx context.Context, run backup.Run) error {
	key := backup.RestoreClaimKey(run.Request)
	row, _, err := e.Catalog.Get(ctx, key)
	if errors.Is(err, backup.ErrNotFound) {
		return nil // it was deleted by hand
	}
	if err != nil {
		return err
	}
	claim, err := backup.Decode[restoreClaim](row)
	if err != nil || claim.Run != run.ID || claim.State != "" {
		return err
	}
	claim.State, claim.Ended, claim.Request = run.State, run.Ended, ""
	_, err = e.Catalog.Apply(ctx, backup.Write{Op: backup.Replace, Key: key, ETag: row.ETag, Body: backup.Encode(claim)})
	return err
}

// over returns an ErrCarriedOut if the claim's run was pruned.
func (c restoreClaim) over() error {
	if c.State == "" {
		return nil
	}
	return fmt.Errorf("%w: the restore %s ended at %s, %s, and is not done again", ErrCarriedOut, c.Run, c.Ended.UTC().Format(time.RFC3339), c.State)
}

// neverMade makes sure that the run of the claim was never made: the process that wrote the claim died before. A run that was pruned since
// the claim was read has its end in the claim by now. A claim without an ETag was just made by this process.
func (e *Engine) neverMade(ctx context.Context, was backup.Row) error {
	if was.ETag == "" {
		return nil
	}
	row, _, err := e.Catalog.Get(ctx, was.Key)
	if err != nil {
		return fmt.Errorf("read the claim of a restore again: %w", err)
	}
	claim, err := backup.Decode[restoreClaim](row)
	if err != nil {
		return err
	}
	return claim.over()
}

// AnswerRepeat answers a request for a restore whose run was pruned, as why says. Nothing is restored.
func (e *Engine) AnswerRepeat(ctx context.Context, message []byte, q restore.Request, plans []backup.Plan, why error) error {
	return e.reject(ctx, message, q, plans, backup.NewReason(CarriedOut, why.Error(), otherID))
}

const otherID = "If you want another restore, ask for it under another ID."

// CarriedOut is the code of the answer to a request for a restore whose run was pruned.
const CarriedOut = "RequestCarriedOut"
