package e2e

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/figures"
	"lifeboat/internal/testing/stack"
)

// storm stands before Azure Resource Manager: it rejects all requests until it is over, and then admits only so many a second,
// like its token buckets.
type storm struct {
	mu              sync.Mutex
	begins          time.Time
	lasts           time.Duration
	holds, left     float64
	perSecond       float64
	filled          time.Time
	asked, declined int
}

func (s *storm) hook(e fakeazure.Exchange) fakeazure.Decision {
	if e.Phase != fakeazure.Before || e.Host != "management.azure.com" {
		return fakeazure.Pass
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if s.asked == 0 {
		s.begins, s.filled = now, now
	}
	s.asked++
	s.left = min(s.holds, s.left+now.Sub(s.filled).Seconds()*s.perSecond)
	s.filled = now
	if now.Sub(s.begins) >= s.lasts && s.left >= 1 {
		s.left--
		return fakeazure.Pass
	}
	s.declined++
	status, code := http.StatusTooManyRequests, "SubscriptionRequestsThrottled"
	if s.declined%3 == 0 && e.Method == http.MethodGet { // a 503 to a POST is different: the POST may have had its effect
		status, code = http.StatusServiceUnavailable, "ServerBusy"
	}
	return fakeazure.Answer(status, http.Header{"Content-Type": {"application/json"}, "Retry-After": {"1"}},
		fmt.Appendf(nil, `{"error": {"code": %q, "message": "Too many requests."}}`, code))
}

// TestStorm: a hundred targets, or the number in LIFEBOAT_STORM, come due at once while Resource Manager rejects all requests.
// All backups end inside the window, with one POST each, and with no more parallel operations than the settings say. The
// rejected requests are at most a fifth of the rest.
func TestStorm(t *testing.T) {
	t.Parallel()
	targets, err := strconv.Atoi(os.Getenv("LIFEBOAT_STORM"))
	if err != nil {
		targets = 100
	}
	concurrency := max(10, targets/5)
	window := time.Duration(3+targets/25) * time.Minute
	ctx, cancel := context.WithTimeout(t.Context(), window+2*time.Minute)
	defer cancel()
	services := newServices(t, targets)
	a := newApp(t, stack.AppConfig{
		Plan: planFor(yearly, "1d", services...), ScheduleTimer: "*/1 * * * * *",
		Settings: map[string]string{"LIFEBOAT_CONCURRENCY": itoa(concurrency)},
	})
	s := &storm{lasts: 6 * time.Second, holds: 50, perSecond: 100}
	intercept(t, a.ObjectID, s.hook)

	// The scheduled time is a moment ahead: the checkpoint of the plan exists before.
	if _, err := a.settledAt(ctx, services[0], longAgo); err != nil {
		t.Fatal(err)
	}
	scheduledTime := time.Now().UTC().Truncate(time.Second).Add(5 * time.Second)
	plan := strings.Replace(planFor(yearly, "1d", services...), strconv.Quote(yearly), fmt.Sprintf("%q\n    window: %dm",
		scheduledTime.Format("5 4 15 2 1 *"), int(window.Minutes())), 1)
	before, _ := spent(a)
	if err := a.edit(plan); err != nil {
		t.Fatal(err)
	}
	left, polls, most := map[string]bool{}, 0, 0
	var last time.Time
	for _, name := range services {
		left[name] = true
	}
	for len(left) > 0 {
		for name := range left {
			history, _, err := a.engine.History(ctx, stack.Service(name), "", 10)
			if err != nil {
				t.Fatalf("%d of %d runs have not ended: %v", len(left), targets, err)
			}
			if len(history) == 0 || !history[0].Run.State.Final() {
				continue
			}
			run := history[0].Run
			delete(left, name)
			polls += run.Polls
			if run.Ended.After(last) {
				last = run.Ended
			}
			if run.State != backup.Succeeded || len(history) != 1 || !run.ScheduledTime.Equal(scheduledTime) || run.Ended.After(scheduledTime.Add(window)) {
				t.Errorf("run %s of %d, of the scheduled time %s, ended %s at %s: %+v", run.ID, len(history), run.ScheduledTime, run.State, run.Ended,
					run.Reason)
			}
			if n := len(posts(name)); n != 1 {
				// A rejected POST did not reach the service.
				t.Errorf("%d POSTs for %s", n, name)
			}
		}
		time.Sleep(time.Second) // the pause between two reads of storage
	}
	own := map[string]bool{}
	for _, name := range services {
		own[strings.ToLower(stack.Service(name))] = true
	}
	all := world.Sim.Operations()
	for _, op := range all {
		atOnce := 0
		for _, other := range all {
			if own[strings.ToLower(other.Service)] && !other.Started.After(op.Started) && other.Ended.After(op.Started) {
				atOnce++
			}
		}
		most = max(most, atOnce)
	}
	after, _ := spent(a)
	s.mu.Lock()
	defer s.mu.Unlock()
	amplified := math.Round(100*float64(s.asked)/float64(s.asked-s.declined)) / 100
	figures.Report(t, "%d targets due at once, at most %d operations at once, in a storm of 429 and 503 of %s: all ended within %s; %d requests "+
		"to Resource Manager, %d declined: amplified by %.2f; %.1f storage requests a backup without its polls; %d operations at once",
		targets, concurrency, s.lasts, last.Sub(scheduledTime).Round(time.Second), s.asked, s.declined, amplified,
		float64(after-before-3*polls)/float64(targets), most)
	if amplified > 1.2 {
		t.Errorf("the storm was amplified by %.2f", amplified)
	}
	if s.declined < concurrency {
		t.Errorf("only %d requests were declined: that was no storm", s.declined)
	}
	if most > concurrency || most < 2 {
		t.Errorf("%d operations at once, want up to %d", most, concurrency)
	}
}
