package handler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"lifeboat/internal/engine"
)

// cleanup deletes recovery points that are past their time.
func (h *handler) cleanup(ctx context.Context, _ invocation) (fields, error) {
	asked := h.Now()
	report, err := h.Engine.Cleanup(ctx)
	_ = h.standing.learn(err, asked)
	deletions := make([]fields, 0, len(report.Deletions))
	for _, d := range report.Deletions {
		deletions = append(deletions, fields{
			"run": d.Point.ID, "target": d.Point.Target, "deleted": !d.Keep, "reason": cut(d.Reason, 512),
		})
	}
	told := fitting(deletions)
	did := fields{"targets": report.Scanned, "kept": report.Kept, "deletions": told}
	if n := len(report.SoftDeleted); n > 0 {
		did["softDeleted"] = n
	}
	if report.Pruned > 0 {
		did["pruned"] = report.Pruned
	}
	if more := len(deletions) - len(told); more > 0 {
		did["omitted"] = more
	}
	if report.SurveyDue && err == nil {
		err = h.survey(ctx, report, did)
	}
	if report.Stopped != "" {
		did["note"] = cut(report.Stopped, mostOfError)
	}
	return did, did.stands(errors.Join(first(report.Failed), err))
}

// survey looks for services that no plan has. Without an active plan there is no subscription to look at.
func (h *handler) survey(ctx context.Context, report engine.CleanupReport, did fields) error {
	active, err := h.Plans.Current(ctx)
	if err != nil || len(active.Plans) == 0 {
		return nil //nolint:nilerr // the schedule's timer tells of a plan.yaml that cannot be read
	}
	did["surveyed"] = true
	return h.Engine.Survey(ctx, report.Coverage, active.Plans, report.Now)
}

// mostToTell is the greatest number of bytes of the deletions in a line of the log, and mostOfError of the error's text: the line has
// less than 4 KiB.
const (
	mostToTell  = 2 << 10
	mostOfError = 1 << 10
)

// fitting returns the first of these that fit into a line of the log.
func fitting(all []fields) []fields {
	size := 0
	for i, one := range all {
		text, err := json.Marshal(one)
		if size += len(text) + 1; err != nil || size > mostToTell {
			return all[:i]
		}
	}
	return all
}

// first returns the first error, and how many more there are: the log has one line for a cleanup of any number of targets.
func first(errs []error) error {
	switch len(errs) {
	case 0:
		return nil
	case 1:
		return errors.New(cut(errs[0].Error(), mostOfError))
	}
	return fmt.Errorf("%s; and %d more failures", cut(errs[0].Error(), mostOfError), len(errs)-1)
}

// cut returns at most so many bytes of a text.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + " …"
}
