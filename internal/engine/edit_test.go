package engine_test

import (
	"testing"
	"time"

	"lifeboat/internal/backup"
)

// TestManyExpire: the first backup after an edit tells if more than half of the points expire by it, with their number and a list. A held
// point and the newest one do not count.
func TestManyExpire(t *testing.T) {
	for _, c := range []struct {
		name        string
		nights      int
		after       backup.Counts
		afterWithin int
		held        int
		told, of    float64
	}{
		{"all but one", 9, backup.Counts{Last: 1}, 0, 0, 9, 10},
		{"just half", 9, backup.Counts{Last: 5}, 0, 0, 0, 0},
		{"one more", 9, backup.Counts{Last: 4}, 0, 0, 6, 10},
		{"more, and some are held", 9, backup.Counts{Last: 1}, 0, 4, 0, 0},
		{"to a time", 9, backup.Counts{}, 2, 0, 8, 10},
		{"to no rule", 9, backup.Counts{}, 0, 0, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newThinning(t, backup.Counts{Last: 50})
			for range c.nights {
				s.night(1000)
			}
			for _, id := range s.ids[:c.held] {
				s.change(id, func(p *backup.Point) { p.Holds = []backup.PersonHold{{ID: "a", By: "me", Reason: "a case"}} })
			}
			s.plan.Settings.KeepCounts, s.plan.Settings.KeepWithin = c.after, time.Duration(c.afterWithin)*day
			s.plan.Settings.KeepCounts.Zone = "UTC"
			id := s.night(1000)
			n, data := s.told("manyexpire-" + id)
			switch {
			case c.told == 0 && n != 0:
				t.Errorf("told of %v", data)
			case c.told == 0:
			case n != 1 || data["count"] != c.told || data["of"] != c.of || data["plan"] != "nightly" || data["target"] != target ||
				len(data["recoveryPoints"].([]any)) != int(c.told):
				t.Errorf("told %d times: %v", n, data)
			}
			if again := s.night(1000); c.told > 0 {
				if n, _ := s.told("manyexpire-" + again); n != 0 {
					t.Error("the next backup tells of it too")
				}
			}
			if rows := s.rows(backup.OutboxPrefix); rows != 0 {
				t.Errorf("%d events wait", rows)
			}
		})
	}
}
