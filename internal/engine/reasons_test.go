package engine_test

import (
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/retention"
)

// TestAFutureStartStays: a point whose backup began after now (the clock of the process that made it was wrong) never expires.
func TestAFutureStartStays(t *testing.T) {
	s := newThinning(t, backup.Counts{Last: 2})
	s.night(1000)
	future := s.night(1000)
	s.change(future, func(p *backup.Point) { p.Began = s.now.AddDate(5, 0, 0) })
	row, _, err := s.storage.catalog.Get(t.Context(), backup.CountedKey(target, s.plan.Name))
	if err != nil {
		t.Fatal(err)
	}
	c, _ := retention.ReadCounted(row)
	c.Row = c.Row.Remove(future)
	if _, err := s.storage.catalog.Apply(t.Context(), c.Write(target)); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		s.night(1000)
	}
	if state := s.point(future).Called(); state != backup.Live {
		t.Errorf("it is %s", state)
	}
}

// TestPreviewAfterTheSoftDeletion: in 60 days the point of a plan that keeps two is long gone, as seven days of soft deletion are over.
func TestPreviewAfterTheSoftDeletion(t *testing.T) {
	s := newThinning(t, backup.Counts{})
	s.plan.Settings.KeepWithin, s.plan.Settings.SoftDelete = 3*day, week
	s.night(1000)
	s.night(1000)
	for _, x := range s.retained(s.now.Add(60 * day)).Points {
		if x.Stays {
			continue
		}
		for _, c := range x.Causes {
			if strings.Contains(c.Words, "its backup is there for 7d more") {
				t.Errorf("%s: its day was %s, and in 60 days it says: %s", x.Point.ID, x.Point.Expires, c.Words)
			}
		}
	}
}

// TestTheHorizonIsAReason: a count holds a point no longer because the service cannot restore it. The preview says so.
func TestTheHorizonIsAReason(t *testing.T) {
	s := newThinning(t, backup.Counts{Daily: 30})
	for i := range s.engine.Services {
		s.engine.Services[i].Restorable = 10 * day
	}
	for range 14 {
		s.made(1000)
	}
	r := s.retained(time.Time{})
	for _, x := range r.Points {
		words := ""
		for _, c := range x.Causes {
			words += c.Words + "; "
		}
		if !x.Stays && !strings.Contains(words, "restore") {
			t.Errorf("daily: 30, 14 days, and that of %s goes, %s old, because: %s", x.Point.Began.Format("01-02"), s.now.Sub(x.Point.Began), words)
		}
	}
	if len(going(r)) == 0 {
		t.Error("none goes")
	}
}

// TestWordsOfABackupByHand: nothing in the plan says keep.within, so it is no reason for a backup by hand.
func TestWordsOfABackupByHand(t *testing.T) {
	s := newThinning(t, backup.Counts{Last: 2})
	s.plan.OnDemandKeepWithin = 90 * day
	s.night(1000)
	id := s.byHand(s.plan, target).ID
	s.night(1000)
	for _, x := range s.retained(time.Time{}).Points {
		for _, c := range x.Causes {
			if x.Point.ID == id && strings.Contains(c.Words, ": keep.within") {
				t.Errorf("it says: %s", c.Words)
			}
		}
	}
}

// TestTheNewestBeyondTheHorizon: the only point is older than the service restores, so it is no good one. The explanation says so.
func TestTheNewestBeyondTheHorizon(t *testing.T) {
	s := newThinning(t, backup.Counts{Daily: 30})
	for i := range s.engine.Services {
		s.engine.Services[i].Restorable = 10 * day
	}
	s.made(1000)
	s.now = s.now.Add(40 * day)
	words := ""
	for _, c := range s.retained(time.Time{}).Points[0].Causes {
		words += c.Words + "; "
	}
	if !strings.Contains(words, "restore") {
		t.Errorf("it cannot be restored for 30 days, and stays because: %s", words)
	}
}

// TestWhyAPointThatWaitsGoes: the explanation of a point that waits says which rule lets it go, too.
func TestWhyAPointThatWaitsGoes(t *testing.T) {
	s := edited(t, 20, 0)
	r := s.retained(time.Time{})
	if len(waiting(r)) == 0 {
		t.Fatal("none waits")
	}
	for _, x := range r.Points {
		if x.Waits && len(x.Causes) < 2 {
			t.Fatalf("all that it says is: %s", x.Causes[0].Words)
		}
	}
}
