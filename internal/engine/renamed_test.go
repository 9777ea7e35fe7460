package engine_test

import (
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/schedule"
)

// TestARenameWhileTheAppWasDownIsTold: a plan gets another name while no timer run comes. Each of the timer run's requests fails, before or
// after it took effect, and the next timer run goes on. The scheduled times of the old name are one missed period, with one event; the
// new name begins now. A timer run that comes all along finds nothing missed.
func TestARenameWhileTheAppWasDownIsTold(t *testing.T) {
	e, err := schedule.Parse("30 2 * * *")
	if err != nil {
		t.Fatal(err)
	}
	old := nightly()
	old.Expression, old.Schedule = "30 2 * * *", e.In(time.UTC)
	renamed := old
	renamed.Name = "renamed"
	for _, down := range []bool{true, false} {
		for _, made := range []bool{false, true} {
			for k := 1; ; k++ {
				s := newHarness(t)
				s.now = time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)
				s.runSchedule(old)
				if !down {
					for range 5 {
						s.now = s.now.Add(day)
						s.runSchedule(old)
					}
				} else {
					s.now = s.now.Add(5 * day)
				}
				s.storage.calls, s.storage.failAt, s.storage.made = 0, k, made
				_, _ = s.engine.Schedule(t.Context(), []backup.Plan{renamed})
				s.storage.failAt = 0
				reached := s.storage.calls >= k
				s.now = s.now.Add(time.Minute)
				s.runSchedule(renamed)
				s.now = s.now.Add(time.Minute)
				s.runSchedule(renamed)
				told := map[string]string{}
				for _, event := range s.storage.queue.Events() {
					if event.Type == "lifeboat.schedule.missed" {
						told[event.ID] = string(event.Data)
					}
				}
				rows := s.rows("schedule-missed-")
				switch {
				case !down && (len(told) > 0 || rows > 0):
					t.Errorf("call %d, made %t: nothing was missed, and told %v", k, made, told)
				case down && (len(told) != 1 || rows != 1):
					t.Errorf("call %d, made %t: %d rows, told %v", k, made, rows, told)
				}
				for id, data := range told {
					if id != "missed-nightly.20260116T023000Z" || !strings.Contains(data, `"count":5`) || !strings.Contains(data, "does not hold the plan any more") {
						t.Errorf("call %d, made %t: told %s %s", k, made, id, data)
					}
				}
				if !reached {
					if k < 4 {
						t.Errorf("only %d calls", k-1)
					}
					break
				}
			}
		}
	}
}
