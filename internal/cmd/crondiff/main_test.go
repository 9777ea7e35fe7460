package main

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/tzdata"
)

// TestKinds: a difference where the clocks change has a name; an hour's difference on another day has none.
func TestKinds(t *testing.T) {
	for _, c := range []struct{ zone, theirs, ours, want string }{
		{"Europe/Zurich", "2027-03-28T01:00Z", "2027-03-28T01:00Z 2027-03-28T01:15Z", ""},
		{"Europe/Zurich", "2027-03-28T01:00Z 2028-03-28T00:00Z", "2027-03-28T01:00Z 2027-03-28T01:15Z 2028-03-28T00:00Z", "missing"},
		{"Europe/Zurich", "2027-10-31T00:00Z 2027-10-31T01:00Z 2027-10-31T02:00Z", "2027-10-31T00:00Z 2027-10-31T02:00Z", "repeated"},
		{"Europe/Zurich", "2027-10-31T01:30Z 2028-10-30T23:30Z 2028-10-31T01:30Z", "2027-10-31T01:30Z 2028-10-31T00:30Z 2028-10-31T01:30Z", "stray"},
		{"Australia/Lord_Howe", "2027-04-03T14:30Z 2027-04-03T15:30Z 2027-04-03T16:00Z", "2027-04-03T14:30Z 2027-04-03T16:00Z", "stray"},
		// None of these is documented.
		{"Europe/Zurich", "2027-06-01T00:00Z 2027-06-02T00:00Z", "2027-06-01T00:00Z 2027-06-02T01:00Z", "none"},
		{"Europe/Zurich", "2027-10-31T01:30Z 2028-10-31T00:00Z 2028-10-31T01:30Z", "2027-10-31T01:30Z 2028-10-31T00:30Z 2028-10-31T01:30Z", "none"},
		{"Europe/Zurich", "2027-10-31T04:00Z 2027-11-01T02:00Z", "2027-10-31T04:00Z 2027-11-01T03:00Z", "none"},
		{"UTC", "2027-06-01T00:00Z", "2027-06-01T00:30Z", "none"},
	} {
		zone, err := tzdata.Embedded().Load(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		names := slices.Sorted(maps.Keys(kinds(times(t, c.ours), times(t, c.theirs), zone)))
		if got := strings.Join(names, " "); slices.Contains(names, "") != (c.want == "none") || c.want != "none" && got != c.want {
			t.Errorf("%s, theirs %s, ours %s: %q, want %s", c.zone, c.theirs, c.ours, names, c.want)
		}
	}
}

func times(t *testing.T, text string) (all []time.Time) {
	t.Helper()
	for _, word := range strings.Fields(text) {
		at, err := time.Parse("2006-01-02T15:04Z", word)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, at)
	}
	return all
}
