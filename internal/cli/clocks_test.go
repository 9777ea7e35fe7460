package cli_test

import (
	"strings"
	"testing"
)

// TestNextTellsOfClocks checks that plan next describes the scheduled times on days when clocks change, and the times at which
// Azure Functions would differ.
func TestNextTellsOfClocks(t *testing.T) {
	const spring, autumn = "go from 02:00 to 03:00 at 01:00Z: ", "go from 03:00 to 02:00 at 16:00Z: "
	for _, c := range []struct{ zone, schedule, n, want string }{
		{"Europe/Zurich", "30 2 * * *", "1", "2026-03-29: the clocks of Europe/Zurich " + spring + "the scheduled time in between comes as much later"},
		{"Europe/Zurich", "*/15 2 * * *", "1", "2026-03-29: the clocks of Europe/Zurich " + spring + "the 4 scheduled times in between come as " +
			"much later, each of them; Azure Functions has the first alone, at 03:00"},
		{"Europe/Zurich", "0 * * * *", "24", "2026-03-29: the clocks of Europe/Zurich " + spring +
			"scheduled times follow elapsed time, and the missing time has none"},
		{"Europe/Zurich", "30 4 * * *", "3", ""},
		{"Europe/Zurich", "30 2 1 * *", "9", ""},
		{"UTC", "30 2 * * *", "9", ""},
		{"Europe/Zurich", "30 4 31 12 *", "9", ""}, // over the ends of leap years
		{"Australia/Sydney", "30 2 * * *", "9", "2026-04-05: the clocks of Australia/Sydney " + autumn +
			"scheduled times in the repeated time come once, the first time"},
		{"Australia/Sydney", "0 1,2,3 5 4 *", "9", "2026-04-05: the clocks of Australia/Sydney " + autumn + "scheduled times in the repeated time come " +
			"once, the first time; Azure Functions has them twice, since the next hour is named too"},
		{"Australia/Sydney", "0 * 5 4 *", "9", "2026-04-05: the clocks of Australia/Sydney " + autumn +
			"scheduled times follow elapsed time, and the repeated time has its scheduled times twice"},
		{"Australia/Lord_Howe", "0 * 4 10 *", "9", "2026-10-04: the clocks of Australia/Lord_Howe go from 02:00 to 02:30 at 15:30Z: scheduled times " +
			"follow elapsed time and the minutes that the clocks show; Azure Functions has one more, at 02:30"},
		{"Australia/Lord_Howe", "30 1,2 5 4 *", "9", "2026-04-05: the clocks of Australia/Lord_Howe go from 02:00 to 01:30 at 15:00Z: scheduled times " +
			"in the repeated time come once, the first time; Azure Functions has more, since the next hour is named too"},
		{"Australia/Lord_Howe", "30 1 5 4 *", "9", "2026-04-05: the clocks of Australia/Lord_Howe go from 02:00 to 01:30 at 15:00Z: scheduled times " +
			"in the repeated time come once, the first time"},
		{"Australia/Lord_Howe", "30 * 5 4 *", "9", "2026-04-05: the clocks of Australia/Lord_Howe go from 02:00 to 01:30 at 15:00Z: scheduled times " +
			"follow elapsed time, and the repeated time has its scheduled time twice; Azure Functions takes the next one by the old clocks in place of " +
			"the second"},
		{"America/Santiago", "0 0 * 9 *", "9", "2026-09-06: the clocks of America/Santiago go from 00:00 to 01:00 at 04:00Z: the scheduled time in " +
			"between comes as much later"},
	} {
		path := edited(t, "timeZone: Europe/Zurich", "timeZone: "+c.zone+" # there", `"30 2 * * *"`, `"`+c.schedule+`" # then`)
		code, out, errs := run("plan", "next", path, "-n", c.n)
		var told []string
		for line := range strings.SplitSeq(out, "\n") {
			if strings.HasPrefix(line, "  ") {
				told = append(told, strings.TrimSpace(line))
			}
		}
		if code != 0 || strings.Join(told, "\n") != c.want {
			t.Errorf("%s %q: %d %s\n got %q\nwant %q", c.zone, c.schedule, code, errs, told, c.want)
		}
	}
}
