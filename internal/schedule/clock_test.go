package schedule_test

import (
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the same zones wherever the tests run

	"lifeboat/internal/schedule"
)

// TestDaysWhenClocksChange holds the scheduled times of a local day, and of the days beside it, in ten zones. Three kinds
// differ from Azure Functions: there */15 2 comes once in a missing hour, consecutive hours come twice in a repeated one, and
// an hour that is cut in half has a scheduled time of its own.
func TestDaysWhenClocksChange(t *testing.T) {
	for _, c := range []struct{ zone, text, after, want string }{
		// Zurich: 2027-03-28 has no 02:00 to 03:00, 2027-10-31 has it twice.
		{"Europe/Zurich", "30 2 * * *", "2027-03-27T12:00Z", "03-28T01:30 03-29T00:30 03-30T00:30"},
		{"Europe/Zurich", "30 2 * * *", "2027-10-30T12:00Z", "10-31T00:30 11-01T01:30 11-02T01:30"},
		{"Europe/Zurich", "*/15 2 * * *", "2027-03-27T12:00Z", "03-28T01:00 03-28T01:15 03-28T01:30 03-28T01:45 03-29T00:00"},
		{"Europe/Zurich", "*/15 2 * * *", "2027-10-30T12:00Z", "10-31T00:00 10-31T00:15 10-31T00:30 10-31T00:45 11-01T01:00"},
		{"Europe/Zurich", "0 1,2,3 * * *", "2027-10-30T12:00Z", "10-30T23:00 10-31T00:00 10-31T02:00 11-01T00:00"},
		{"Europe/Zurich", "15,45 2,3 * * *", "2027-10-30T12:00Z", "10-31T00:15 10-31T00:45 10-31T02:15 10-31T02:45 11-01T01:15"},
		{"Europe/Zurich", "0 */2 * * *", "2027-10-30T21:00Z", "10-30T22:00 10-31T00:00 10-31T03:00 10-31T05:00"},
		{"Europe/Zurich", "0 2,3 * * *", "2027-03-27T12:00Z", "03-28T01:00 03-29T00:00 03-29T01:00"},
		{"Europe/Zurich", "30 2 * * SUN", "2027-03-27T12:00Z", "03-28T01:30 04-04T00:30"},
		{"Europe/Zurich", "30 2 L * *", "2027-10-30T12:00Z", "10-31T00:30 11-30T01:30"},
		// New York: 2027-03-14 has no 02:00 to 03:00, 2027-11-07 has 01:00 to 02:00 twice.
		{"America/New_York", "30 2 * * *", "2027-03-13T12:00Z", "03-14T07:30 03-15T06:30"},
		{"America/New_York", "30 1 * * *", "2027-11-06T12:00Z", "11-07T05:30 11-08T06:30"},
		// Lord Howe: half an hour. 2027-04-04 has 01:30 to 02:00 twice, 2027-10-03 has no 02:00 to 02:30.
		{"Australia/Lord_Howe", "0 * * * *", "2027-04-03T13:00Z", "04-03T14:00 04-03T15:30 04-03T16:30"},
		{"Australia/Lord_Howe", "0 * * * *", "2027-10-02T14:00Z", "10-02T14:30 10-02T16:00 10-02T17:00"},
		{"Australia/Lord_Howe", "30 2 * * *", "2027-10-02T12:00Z", "10-02T15:30 10-03T15:30"},
		{"Australia/Lord_Howe", "0 2 * * *", "2027-10-02T12:00Z", "10-02T15:30 10-03T15:00"},
		{"Australia/Lord_Howe", "15 2 * * *", "2027-10-02T12:00Z", "10-02T15:45 10-03T15:15"},
		{"Australia/Lord_Howe", "30 1 * * *", "2027-04-03T12:00Z", "04-03T14:30 04-04T15:00"},
		// Santiago: 2027-09-05 begins at 01:00, 2027-04-03 has 23:00 to 24:00 twice.
		{"America/Santiago", "0 0 * * *", "2027-09-04T12:00Z", "09-05T04:00 09-06T03:00"},
		{"America/Santiago", "30 23 * * *", "2027-04-03T12:00Z", "04-04T02:30 04-05T03:30"},
		// Cairo: 2027-04-30 begins at 01:00, 2027-10-28 has 23:00 to 24:00 twice.
		{"Africa/Cairo", "0 0 * * *", "2027-04-29T12:00Z", "04-29T22:00 04-30T21:00"},
		{"Africa/Cairo", "30 23 * * *", "2027-10-28T12:00Z", "10-28T20:30 10-29T21:30"},
		// Beirut: 2027-03-28 begins at 01:00, 2027-10-30 has 23:00 to 24:00 twice.
		{"Asia/Beirut", "0 0 1,28 3 *", "2027-03-27T12:00Z", "03-27T22:00"},
		{"Asia/Beirut", "0 23 * * *", "2027-10-30T12:00Z", "10-30T20:00 10-31T21:00"},
		// Dublin: its winter is the exception in the data. 2027-03-28 has no 01:00 to 02:00.
		{"Europe/Dublin", "30 1 * * *", "2027-03-27T12:00Z", "03-28T01:30 03-29T00:30"},
		{"Europe/Dublin", "30 1 * * *", "2027-10-30T12:00Z", "10-31T00:30 11-01T01:30"},
		// Chatham: 2027-09-26 has no 02:45 to 03:45, 2027-04-04 has it twice.
		{"Pacific/Chatham", "0 3 * * *", "2027-09-25T12:00Z", "09-25T14:15 09-26T13:15"},
		{"Pacific/Chatham", "0 3 * * *", "2027-04-03T12:00Z", "04-03T13:15 04-04T14:15"},
		// Troll: two hours. 2027-03-28 has no 01:00 to 03:00, 2027-10-31 has it twice.
		{"Antarctica/Troll", "30 1,2 * * *", "2027-03-27T12:00Z", "03-28T01:30 03-28T02:30 03-28T23:30 03-29T00:30"},
		{"Antarctica/Troll", "30 1,2 * * *", "2027-10-30T12:00Z", "10-30T23:30 10-31T00:30 11-01T01:30 11-01T02:30"},
		// Zones whose clocks never change.
		{"Asia/Kathmandu", "30 2 * * *", "2027-03-27T12:00Z", "03-27T20:45 03-28T20:45"},
		{"UTC", "30 2 * * *", "2027-03-27T12:00Z", "03-28T02:30 03-29T02:30"},
	} {
		got := strings.Join(scheduledTimes(t, c.zone, c.text, c.after, strings.Count(c.want, " ")+1), " ")
		if got != c.want {
			t.Errorf("%s %q after %s:\n got %s\nwant %s", c.zone, c.text, c.after, got, c.want)
		}
	}
}

// TestScheduledTimesADay counts the scheduled times of a local day in Zurich: fixed hours have the usual number, every hour
// follows elapsed time.
func TestScheduledTimesADay(t *testing.T) {
	for text, want := range map[string][3]int{ // on an ordinary day, in spring, in autumn
		"30 2 * * *": {1, 1, 1}, "*/15 2 * * *": {4, 4, 4}, "0 */2 * * *": {12, 12, 12}, "0 * * * *": {24, 23, 25},
		"*/15 * * * *": {96, 92, 100}, "0 0-23 * * *": {24, 23, 25},
	} {
		for i, day := range []string{"2027-06-01", "2027-03-28", "2027-10-31"} {
			zurich := zone(t, "Europe/Zurich")
			begin, err := time.ParseInLocation(time.DateOnly, day, zurich)
			if err != nil {
				t.Fatal(err)
			}
			e, err := schedule.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for at := range e.In(zurich).After(begin.Add(-time.Second)) {
				if !at.Before(begin.AddDate(0, 0, 1)) {
					break
				}
				n++
			}
			if n != want[i] {
				t.Errorf("%q has %d scheduled times on %s, want %d", text, n, day, want[i])
			}
		}
	}
}

// scheduledTimes returns the next n, in UTC.
func scheduledTimes(t *testing.T, zoneName, text, after string, n int) []string {
	t.Helper()
	at, err := time.Parse("2006-01-02T15:04Z", after)
	if err != nil {
		t.Fatal(err)
	}
	e, err := schedule.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for scheduledTime := range e.In(zone(t, zoneName)).After(at) {
		if texts = append(texts, scheduledTime.Format("01-02T15:04")); len(texts) == n {
			break
		}
	}
	return texts
}

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}
