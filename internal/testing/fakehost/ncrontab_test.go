package fakehost

import (
	"testing"
	"time"
)

func TestNCrontabNext(t *testing.T) {
	const layout = "2006-01-02 15:04:05.999"
	for _, c := range []struct{ expression, after, want string }{
		{"* * * * * *", "2026-11-21 04:00:00", "2026-11-21 04:00:01"},
		{"* * * * * *", "2026-11-21 04:00:00.9", "2026-11-21 04:00:01"},
		{"*/15 * * * * *", "2026-11-21 04:00:15", "2026-11-21 04:00:30"},
		{"0 * * * * *", "2026-11-21 04:00:00", "2026-11-21 04:01:00"},
		{"30 2 * * *", "2026-11-21 04:00:00", "2026-11-22 02:30:00"}, // five fields: second 0
		{"0 30 2 * * *", "2026-11-21 02:29:59", "2026-11-21 02:30:00"},
		{"0 0 0 29 2 *", "2026-11-21 04:00:00", "2028-02-29 00:00:00"},
		{"0 0 0 29 2 Mon", "2026-11-21 04:00:00", "2044-02-29 00:00:00"},
		{"0 0 0 29 2 Sun", "2088-03-01 00:00:00", "2128-02-29 00:00:00"}, // no leap year in 2100
		{"0 0 0 31 12 *", "2026-12-31 00:00:00", "2027-12-31 00:00:00"},
		// The day of the month and the day of the week must both match: the next Friday the 13th.
		{"0 0 0 13 * 5", "2026-11-21 04:00:00", "2027-08-13 00:00:00"},
		// Names are prefixes, and the first match counts.
		{"0 0 0 1 J *", "2026-11-21 04:00:00", "2027-01-01 00:00:00"},
		{"0 0 0 1 ju *", "2026-11-21 04:00:00", "2027-06-01 00:00:00"},
		{"0 0 0 1 july *", "2026-11-21 04:00:00", "2027-07-01 00:00:00"},
		{"0 0 0 * * T", "2026-11-21 04:00:00", "2026-11-24 00:00:00"},
		{"0 0 0 * * MON-FRI", "2026-11-21 04:00:00", "2026-11-23 00:00:00"},
		{"0 0 0 * * 0", "2026-11-21 04:00:00", "2026-11-22 00:00:00"},
		// Reversed ranges are swapped: 2 to 22 o'clock, not the night.
		{"0 0 22-2 * * *", "2026-11-21 22:00:00", "2026-11-22 02:00:00"},
		{"0 0 0 * * Fri-Mon", "2026-11-21 04:00:00", "2026-11-23 00:00:00"},
		// Steps: from n to the end; 0 counts as 1; past the end there is only the start.
		{"0 10/20 * * * *", "2026-11-21 04:31:00", "2026-11-21 04:50:00"},
		{"0 10/20 * * * *", "2026-11-21 04:50:00", "2026-11-21 05:10:00"},
		{"0 5-20/5 * * * *", "2026-11-21 04:20:00", "2026-11-21 05:05:00"},
		{"0 */0 * * * *", "2026-11-21 04:20:00", "2026-11-21 04:21:00"},
		{"0 0/99 * * * *", "2026-11-21 04:20:00", "2026-11-21 05:00:00"},
		{"0 1,2,50-55/5 * * * *", "2026-11-21 04:02:00", "2026-11-21 04:50:00"},
		{"\t0  0 12 * * * ", "2026-11-21 04:02:00", "2026-11-21 12:00:00"},
		{"01:00:00", "2026-11-21 04:02:03", "2026-11-21 05:02:03"},
		// Never.
		{"0 0 0 30 2 *", "2026-11-21 04:02:03", "0001-01-01 00:00:00"},
	} {
		after, err := time.Parse(layout, c.after)
		if err != nil {
			t.Fatal(err)
		}
		s, err := parseSchedule(c.expression)
		if err != nil {
			t.Errorf("%q: %v", c.expression, err)
			continue
		}
		if got := s.next(after).Format(layout); got != c.want {
			t.Errorf("%q after %s = %s, want %s", c.expression, c.after, got, c.want)
		}
	}
}

func TestNCrontabIsUTC(t *testing.T) {
	s, err := parseSchedule("0 0 12 * * *")
	if err != nil {
		t.Fatal(err)
	}
	zurich := time.FixedZone("Zurich", 3600)
	want := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	if got := s.next(time.Date(2026, 11, 21, 12, 30, 0, 0, zurich)); !got.Equal(want) {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestParseScheduleRefuses(t *testing.T) {
	for _, text := range []string{
		"", "*", "* * * *", "* * * * * * *", // numbers of fields
		"60 * * * * *", "* 60 * * * *", "* * 24 * * *", "* * * 0 * *", "* * * 32 * *", "* * * * 0 *", "* * * * 13 *",
		"* * * * * 7", "* * * * * 5-7", // Sunday is 0 alone
		"0 0 0 L * *", "0 0 0 15W * *", "0 0 0 ? * *", "0 0 0 * * 5#2", "0 0 0 * * 5L",
		"@daily", "0 0 0 * * Fryday", "0 0 0 * * Fridays", "Mon 0 0 * * *",
		", * * * * *", "1, * * * * *", "- * * * * *", "1- * * * * *", "-1 * * * * *", "+1 * * * * *",
		"1-2-3 * * * * *", "*/x * * * * *", "*/-1 * * * * *", "*/ * * * * *", "*-5 * * * * *", "5-* * * * * *",
		"00:00:00", "-00:01:00", "soon",
	} {
		if s, err := parseSchedule(text); err == nil {
			t.Errorf("%q was taken for %v", text, s)
		}
	}
}

func TestEveryMinuteHasNoMonitor(t *testing.T) {
	for text, want := range map[string]bool{
		"* * * * * *":     true,
		"*/30 * * * * *":  true,
		"0 * * * * *":     false, // one second of each minute
		"*/5 0 * * * *":   false,
		"*/5 * * * * Mon": false,
		"00:00:59":        true,
		"00:01:00":        false,
	} {
		s, err := parseSchedule(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := everyMinute(s); got != want {
			t.Errorf("%q = %t, want %t", text, got, want)
		}
	}
}
