package engine_test

import (
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/retention"
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

// TestRetentionOfAnEdit: the answer about an edit lists what the edit makes expire, before any backup by it, and changes nothing.
func TestRetentionOfAnEdit(t *testing.T) {
	for _, c := range []struct {
		after  backup.Counts
		within time.Duration
		waits  int
	}{
		{backup.Counts{Last: 2}, 0, 8}, {backup.Counts{Last: 20}, 0, 0}, {backup.Counts{}, 4 * day, 6}, {backup.Counts{}, 0, 0},
	} {
		s := newThinning(t, backup.Counts{Last: 50})
		for range 10 {
			s.night(1000)
		}
		edit := retention.Edit{Plan: "nightly", Settings: backup.Settings{KeepCounts: c.after, KeepWithin: c.within}}
		writes := s.storage.writes
		r, err := s.engine.Retention(t.Context(), target, time.Time{}, edit)
		if got := len(waiting(r)) + len(going(r)); err != nil || got != c.waits || s.storage.writes != writes {
			t.Errorf("%s within %s: %d expire, want %d, %v", c.after, c.within, got, c.waits, err)
		}
		edit.Plan = "another"
		if r, err := s.engine.Retention(t.Context(), target, time.Time{}, edit); err != nil || len(waiting(r))+len(going(r)) != 0 {
			t.Errorf("an edit of another plan: %v", err)
		}
	}
	s := newThinning(t, backup.Counts{Last: 50})
	edit := retention.Edit{Plan: "nightly", Settings: backup.Settings{KeepCounts: backup.Counts{Zone: "Nowhere/At_all"}}}
	if _, err := s.engine.Retention(t.Context(), target, time.Time{}, edit); err == nil || !strings.Contains(err.Error(), "zone") {
		t.Errorf("of no zone: %v", err)
	}
}
