package diff_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/diff"
	"lifeboat/internal/schedule"
)

// TestLowerCounts has the edits that let recovery points expire, and those that do not.
func TestLowerCounts(t *testing.T) {
	week := 7 * 24 * time.Hour
	for name, c := range map[string]struct {
		old, edited backup.Counts
		was, within time.Duration // keep.within
		want        string
	}{
		"lower":                 {backup.Counts{Daily: 14, Weekly: 4}, backup.Counts{Daily: 7, Weekly: 4}, 0, 0, "! plan p: lower counts (daily 7, not 14): recovery points that nothing else holds expire"},
		"two":                   {backup.Counts{Daily: 14, Weekly: 4}, backup.Counts{Daily: 7}, 0, 0, "! plan p: lower counts (daily 7, not 14, weekly 0, not 4): recovery points that nothing else holds expire"},
		"higher":                {backup.Counts{Daily: 7}, backup.Counts{Daily: 14}, 0, 0, ""},
		"the first":             {backup.Counts{}, backup.Counts{Last: 1}, 0, 0, "! plan p: until now no recovery point of its schedule expired; then each one does that no rule of keep holds"},
		"none":                  {backup.Counts{Daily: 7}, backup.Counts{}, 0, 0, ""},
		"the first, and an age": {backup.Counts{}, backup.Counts{Last: 1}, 0, week, "! plan p: until now no recovery point of its schedule expired; then each one does that no rule of keep holds"},
		"the first of all":      {backup.Counts{}, backup.Counts{Last: 1}, week, week, ""},
		"none, but an age":      {backup.Counts{Last: 3}, backup.Counts{}, week, week, "! plan p: lower counts (last 0, not 3): recovery points that nothing else holds expire"},
		"one for another one":   {backup.Counts{Daily: 7}, backup.Counts{Last: 7}, 0, 0, "! plan p: lower counts (daily 0, not 7): recovery points that nothing else holds expire"},
	} {
		t.Run(name, func(t *testing.T) {
			daily, err := schedule.Parse("30 2 * * *")
			if err != nil {
				t.Fatal(err)
			}
			old := backup.Plan{Name: "p", Expression: "30 2 * * *", Schedule: daily.In(time.UTC)}
			edited := old
			old.Settings.KeepCounts, old.Settings.KeepWithin = c.old, c.was
			edited.Settings.KeepCounts, edited.Settings.KeepWithin = c.edited, c.within
			lines := diff.Edit{Old: []backup.Plan{old}, New: []backup.Plan{edited}}.Lines(diff.Basis{})
			warnings := slices.DeleteFunc(lines, func(line string) bool { return !strings.HasPrefix(line, "! ") })
			if got := strings.Join(warnings, "\n"); got != c.want {
				t.Errorf("%s\nwant %s", got, c.want)
			}
		})
	}
}

// TestTheZoneOfCounts tells of an edit of the zone alone, since another zone has other days.
func TestTheZoneOfCounts(t *testing.T) {
	daily, err := schedule.Parse("30 2 * * *")
	if err != nil {
		t.Fatal(err)
	}
	zoned := func(counts backup.Counts, zone string) []backup.Plan {
		if counts.Any() {
			counts.Zone = zone
		}
		return []backup.Plan{{Name: "p", Expression: "30 2 * * *", Schedule: daily.In(time.UTC), Settings: backup.Settings{KeepCounts: counts}}}
	}
	for name, c := range map[string]struct {
		old, edited []backup.Plan
		want        bool
	}{
		"the zone":             {zoned(backup.Counts{Daily: 7}, "UTC"), zoned(backup.Counts{Daily: 7}, "Europe/Zurich"), true},
		"nothing":              {zoned(backup.Counts{Daily: 7}, "UTC"), zoned(backup.Counts{Daily: 7}, "UTC"), false},
		"the counts too":       {zoned(backup.Counts{Daily: 7}, "UTC"), zoned(backup.Counts{Daily: 8}, "Europe/Zurich"), false},
		"the zone, and no day": {zoned(backup.Counts{}, "UTC"), zoned(backup.Counts{}, "Europe/Zurich"), false},
	} {
		lines := diff.Edit{Old: c.old, New: c.edited}.Lines(diff.Basis{})
		told := slices.ContainsFunc(lines, func(line string) bool {
			return strings.HasPrefix(line, "~ plan p: the counts of keep go by the days of Europe/Zurich, not UTC")
		})
		if told != c.want {
			t.Errorf("%s: %q", name, lines)
		}
	}
}
