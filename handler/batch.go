package handler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"lifeboat/internal/api"
	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
)

// notMade is the state of a batch's run that is not made yet.
const notMade backup.State = "notMade"

// acceptBatch answers the request that made the batch, and every repeat of it.
func (h *handler) acceptBatch(w http.ResponseWriter, r *http.Request, b engine.Batch, now time.Time) {
	noteBatch(w, b)
	v := viewBatch(b, h.origin(r))
	v.Status = unended(v.Status)
	w.Header().Set("Repeatability-Result", "accepted")
	h.underWay(w, r, "/api/batches/"+b.ID, batchWait(b, now), v)
}

// getBatch answers 202 while any run of the batch is under way and 200 once all have ended.
func (h *handler) getBatch(w http.ResponseWriter, r *http.Request) error {
	var b engine.Batch
	var now time.Time
	_, err := meant(r, func(ctx context.Context, id string) (_ string, err error) {
		b, now, err = h.Engine.Batch(ctx, id)
		return "", err
	})
	if errors.Is(err, backup.ErrNotFound) {
		return refuse(http.StatusNotFound, "BatchNotFound", r.PathValue("id"), "there is no batch %s%s", r.PathValue("id"), because(err))
	}
	if err != nil {
		return err
	}
	noteBatch(w, b)
	v := viewBatch(b, h.origin(r))
	if v.Ended.IsZero() {
		h.underWay(w, r, "/api/batches/"+b.ID, batchWait(b, now), v)
		return nil
	}
	writeJSON(w, http.StatusOK, v)
	return nil
}

// noteBatch adds the batch of a request to its log line.
func noteBatch(w http.ResponseWriter, b engine.Batch) {
	if seen, ok := w.(*statusWriter); ok {
		seen.about["batch"], seen.about["plan"], seen.about["runs"] = b.ID, b.Plan, len(b.Runs)
	}
}

// batchWait is the time until a caller may ask again: the time until the next step of any run. Each answer reads all runs, so
// it grows with them: a caller that waits for a thousand runs asks no more than once in 50 seconds.
func batchWait(b engine.Batch, now time.Time) time.Duration {
	wait, ended := time.Minute, true
	for _, run := range b.Runs {
		if !run.State.Final() {
			wait, ended = min(wait, run.Due.Sub(now)), false
		}
	}
	if ended {
		return time.Second
	}
	return min(max(wait, time.Second, time.Duration(len(b.Runs))*time.Second/20), time.Minute)
}

func viewBatch(b engine.Batch, origin string) api.Batch {
	v := api.Batch{
		ID: b.ID, Status: "NotStarted", Kind: "batch", Plan: b.Plan, Request: b.Request, Created: b.Created,
		LastUpdated: b.Created, Counts: map[backup.State]int{}, Runs: []api.BatchRun{},
	}
	var failures []api.Problem
	final, ended := 0, time.Time{}
	for _, run := range b.Runs {
		state, status := cmp.Or(run.State, notMade), cmp.Or(statuses[run.State], "NotStarted")
		if status != "NotStarted" {
			v.Status = "Running"
		}
		v.Counts[state]++
		v.Runs = append(v.Runs, api.BatchRun{
			ID: run.ID, Target: run.Target, Status: status, State: state, Href: origin + "/api/runs/" + run.ID,
		})
		v.LastUpdated = backup.Later(v.LastUpdated, run.Updated)
		if run.State.Final() {
			final++
			ended = backup.Later(ended, run.Ended)
		}
		if run.State.Final() && run.State != backup.Succeeded {
			failures = append(failures, *viewEnd(run))
		}
	}
	if final < len(b.Runs) {
		return v
	}
	v.Status, v.Ended = "Succeeded", ended
	if len(failures) > 0 {
		v.Status = "Failed"
		v.Error = &api.Problem{
			Code: "BatchIncomplete", Target: b.Plan, Details: failures,
			Message: fmt.Sprintf("%d of %d backups did not succeed", len(failures), len(b.Runs)),
		}
	}
	return v
}
