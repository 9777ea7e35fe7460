package backup

import (
	"fmt"
	"time"
)

// FailedAttempt is an attempt that the service has failed for a reason that may pass.
type FailedAttempt struct {
	// Attempt is its number among the attempts of the run.
	Attempt int `json:"attempt"`
	// Time is the time at which the run learned of its end.
	Time time.Time `json:"time"`
	// Code and Message are the same as in the [Fault].
	Code    string `json:"code"`
	Message string `json:"message"`
}

// mostOperations is the number of operations that a run begins at the most: the first one, and three further ones.
const mostOperations = 4

// Retry notes that the service has failed the run's latest attempt, and decides about a further one: it sets RetryAt. The first wait
// is as given, and each further one three times as long. There is no further attempt if there were too many, or if it would begin
// after the time of the run: the end of its window, the plan's next scheduled time, or the longest time that a run may wait.
// The reason says why the run waits, or why it ends.
func (r *Run) Retry(f *Fault, now time.Time, wait, longest time.Duration) (why Reason, again bool) {
	r.Failed = append(r.Failed[:len(r.Failed):len(r.Failed)], FailedAttempt{
		Attempt: r.Attempt, Time: now, Code: Bounded(f.Code), Message: Bounded(f.Message),
	})
	failed := len(r.Failed)
	for range failed - 1 {
		wait *= 3
	}
	at := now.Add(max(wait, f.Wait()))
	end := Later(r.Created, r.Start).Add(longest)
	if r.Restore != nil {
		end = r.Restore.Expires
	}
	for _, t := range []time.Time{r.Until, r.NextScheduledTime} {
		if !t.IsZero() && t.Before(end) {
			end = t
		}
	}
	over := ""
	switch {
	case failed >= mostOperations:
		over = fmt.Sprintf("it was the last of %d attempts", mostOperations)
	case r.Restore != nil && r.Restore.CanceledBy != "":
		over = "no further attempt is made, since the restore was canceled"
	case r.Restore != nil && r.Lost > 0:
		// Its late backup would not secure changes that others make while the run waits without the lock.
		over = "no further attempt is made, since the answer to an earlier start was lost"
	case !at.Before(end):
		over = fmt.Sprintf("no further attempt is made, since it would begin at %s, and the time of the run ends at %s", rfc3339(at), rfc3339(end))
	}
	if over != "" {
		return f.Reason().Reword(f.Code, fmt.Sprintf("%s (%s)", f.Message, over), f.Hint), false
	}
	r.RetryAt = at
	return f.Reason().Reword(f.Code, fmt.Sprintf("attempt %d of %d begins at %s, since the service failed the one before at %s: %s",
		failed+1, mostOperations, rfc3339(at), rfc3339(now), f.Message), f.Hint), true
}

// Early says that it is not yet time for the next attempt. A clock of whole seconds may be behind by one.
func (r Run) Early(now time.Time) bool { return now.Add(Resolution).Before(r.RetryAt) }

// Unrepeated returns the reason of a run whose time ended before its next attempt: the service's reason of the last failure.
func (r Run) Unrepeated(ended Reason) Reason {
	last := r.Failed[len(r.Failed)-1]
	return NewReason(last.Code, fmt.Sprintf("%s (no further attempt was made: %s)", last.Message, ended.Message), "Ask for a backup, or wait for the plan's next one.")
}

// torn returns the names that the failed attempts asked for.
func (r Run) torn() (names []string) {
	for _, f := range r.Failed {
		names = append(names, r.ArtifactName(f.Attempt))
	}
	return names
}

func rfc3339(t time.Time) string { return t.UTC().Format(time.RFC3339) }
