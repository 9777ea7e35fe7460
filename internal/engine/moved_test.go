package engine_test

import (
	"archive/zip"
	"fmt"
	"io"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
)

// zoneOf returns a zone by the time zones in the file.
func zoneOf(t *testing.T, file, name string) *time.Location {
	t.Helper()
	archive, err := zip.OpenReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	entry, err := archive.Open("tzdata/zoneinfo/" + name)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(entry)
	if err != nil {
		t.Fatal(err)
	}
	z, err := time.LoadLocationFromTZData(name, text)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// TestARegionChangesItsRules: the program learns of it at any hour of a day. Each local day has its scheduled time once, if the
// zone moves forward or back, and at any place at which a timer run dies.
func TestARegionChangesItsRules(t *testing.T) {
	const old, fresh = "../tzdata/testdata/2025c.zip", "../tzdata/testdata/2026f.zip"
	for _, name := range []string{"America/Vancouver", "Africa/Casablanca", "America/Havana"} {
		before, after := zoneOf(t, old, name), zoneOf(t, fresh, name)
		begins := time.Date(2027, 1, 12, 0, 0, 0, 0, time.UTC)
		if begins.In(before).Format("15") == begins.In(after).Format("15") {
			t.Fatalf("%s is the same in both", name)
		}
		for hours := range 24 {
			for _, dies := range []bool{false, true} {
				learns := begins.Add(time.Duration(hours) * time.Hour)
				s := newHarness(t)
				s.now = begins.Add(-day / 2)
				runs := map[string]int{} // by local day, as the clocks of the time were thought to be
				for ; s.now.Before(begins.Add(5 * day / 2)); s.now = s.now.Add(30 * time.Minute) {
					plan := nightly()
					plan.Expression, plan.Schedule = "30 2 * * *", daily(before, 2, 30)
					if !s.now.Before(learns) {
						plan.Schedule.Zone = after
					}
					if dies && s.now.Equal(learns.Add(-30*time.Minute)) {
						// The last timer run before dies after it has noted a scheduled time as in progress, if there is one.
						s.storage.calls, s.storage.failAt, s.storage.made = 0, 3, true
						report, _ := s.engine.Schedule(t.Context(), []backup.Plan{plan})
						s.storage.failAt = 0
						count(t, s, plan, report, runs)
						continue
					}
					count(t, s, plan, s.runSchedule(plan), runs)
				}
				for d := range 2 {
					date := begins.AddDate(0, 0, d).Format(time.DateOnly)
					if runs[date] != 1 {
						t.Fatalf("%s, learnt at %s, a death: %t: %d runs on %s: %v", name, learns.Format(time.RFC3339), dies, runs[date], date, runs)
					}
				}
				if s.rows("schedule-missed-") != 0 {
					t.Fatalf("%s, learnt at %s: scheduled times were missed", name, learns)
				}
			}
		}
	}
}

// count counts runs by the local day of their scheduled time.
func count(t *testing.T, s *harness, plan backup.Plan, report engine.ScheduleReport, runs map[string]int) {
	t.Helper()
	for _, id := range report.Created {
		runs[s.run(id).ScheduledTime.In(plan.Schedule.Zone).Format(time.DateOnly)]++
	}
}

// TestAnEditOfTheZoneIsNoNewRule: after an edit of a plan's schedule or zone its scheduled times count from the last one on,
// also the scheduled times at a local time that was dealt with.
func TestAnEditOfTheZoneIsNoNewRule(t *testing.T) {
	s := newHarness(t)
	s.now = time.Date(2027, 1, 12, 0, 0, 0, 0, time.UTC)
	east, west := time.FixedZone("East", 3600), time.FixedZone("West", 0)
	plan := nightly()
	plan.Expression, plan.Schedule = "30 2 * * *", daily(east, 2, 30)
	s.runSchedule(plan)
	s.now = s.now.Add(90 * time.Minute)
	if r := s.runSchedule(plan); len(r.Created) != 1 {
		t.Fatalf("%+v", r)
	}
	plan.Schedule.Zone = west
	s.now = s.now.Add(time.Hour)
	if r := s.runSchedule(plan); len(r.Created) != 1 {
		t.Errorf("another zone: %+v", r)
	}
	plan.Schedule, plan.Expression = daily(west, 3, 30), "30 3 * * *"
	s.now = s.now.Add(time.Hour)
	if r := s.runSchedule(plan); len(r.Created) != 1 {
		t.Errorf("another expression: %s", fmt.Sprint(r))
	}
}
