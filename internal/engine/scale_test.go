package engine_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lifeboat/internal/backup"
)

// perCall is the time that a call to storage takes in these tests.
const perCall = 8 * time.Millisecond

// slow is storage whose every call takes perCall. It counts the calls by partition and second.
type slow struct {
	*storage
	began   time.Time
	mu      sync.Mutex
	seconds map[string]int
	last    time.Duration
}

func (s *slow) wait(partition string) {
	time.Sleep(perCall)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seconds[fmt.Sprint(partition, " ", int(time.Since(s.began).Seconds()))]++
}

func (s *slow) List(ctx context.Context, partition, from, to string, limit int) ([]backup.Row, time.Time, error) {
	s.wait(partition)
	return s.storage.List(ctx, partition, from, to, limit)
}

func (s *slow) Get(ctx context.Context, key backup.Key) (backup.Row, time.Time, error) {
	s.wait(key.Partition)
	return s.storage.Get(ctx, key)
}

func (s *slow) Apply(ctx context.Context, writes ...backup.Write) ([]string, error) {
	s.wait(writes[0].Partition)
	return s.storage.Apply(ctx, writes...)
}

func (s *slow) SendStep(ctx context.Context, m backup.StepMessage, delay time.Duration) error {
	time.Sleep(perCall)
	s.mu.Lock()
	s.last = time.Since(s.began)
	s.mu.Unlock()
	return s.storage.SendStep(ctx, m, delay)
}

// TestTenThousandTargetsAreDueAtOnce: all of them have a run within two minutes, by two calls for each and one more for each hundred, and no
// partition gets more than 500 calls in its busiest second. So it is if the timer run dies in the middle, and the next one makes the rest.
func TestTenThousandTargetsAreDueAtOnce(t *testing.T) {
	for _, dies := range []bool{false, true} {
		t.Run(fmt.Sprintf("dies %t", dies), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const n = 10_000
				s := newHarness(t)
				plan := many(n)
				s.runSchedule(plan)
				s.now = s.now.Add(24 * time.Hour)
				slowly := &slow{storage: s.storage, began: time.Now(), seconds: map[string]int{}}
				s.engine.Catalog, s.engine.Queue = slowly, slowly
				s.storage.calls, s.storage.writes = 0, 0
				if dies {
					ctx, kill := context.WithTimeout(t.Context(), 5*time.Second)
					_, err := s.engine.Schedule(ctx, []backup.Plan{plan})
					if kill(); err == nil {
						t.Fatal("it did not die")
					}
				}
				if _, err := s.engine.Schedule(t.Context(), []backup.Plan{plan}); err != nil {
					t.Fatal(err)
				}
				runs, awake := map[string]bool{}, map[string]bool{}
				for _, row := range s.storage.catalog.Rows() {
					if row.Row == "" || row.Partition == backup.InflightPartition {
						continue
					}
					if run, err := backup.Decode[backup.Run](row); err == nil && run.Plan == plan.Name && !run.ScheduledTime.IsZero() && run.Sequence > 0 {
						runs[run.Target] = true
					}
				}
				for _, m := range s.storage.queue.Messages(backup.ExecuteQueue) {
					if step, err := backup.ParseStepMessage(m.Body); err == nil {
						awake[step.Run] = true
					}
				}
				if len(runs) != n || !dies && len(awake) != n {
					t.Errorf("%d targets have a run, and %d runs a step message", len(runs), len(awake))
				}
				if slowly.last > 2*time.Minute {
					t.Errorf("the last run is made after %s", slowly.last)
				}
				busiest := slices.MaxFunc(slices.Collect(maps.Keys(slowly.seconds)), func(a, b string) int { return slowly.seconds[a] - slowly.seconds[b] })
				if slowly.seconds[busiest] > 500 {
					t.Errorf("partition and second %s: %d calls", busiest, slowly.seconds[busiest])
				}
				t.Logf("the last of %d runs is made after %s; %d calls; the busiest partition and second is %s, with %d calls", n, slowly.last,
					s.storage.calls, busiest, slowly.seconds[busiest])
			})
		})
	}
}
