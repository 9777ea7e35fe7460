package cli_test

import (
	"strings"
	"testing"

	"lifeboat/internal/cli"
)

// TestCheckWarns checks that a warning is shown with its line, and that the plan is good all the same.
func TestCheckWarns(t *testing.T) {
	path := edited(t, "30 2 * * *", "30 2 1 */3 *")
	code, out, errs := run("plan", "check", path)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if code != 0 || errs != "" || len(lines) != 3 || !strings.HasSuffix(lines[0], "good: 1 plan, 1 target") ||
		lines[1] != "  nightly-apim: the 1st of January, April, July and October at 02:30 in Europe/Zurich, 1 run on such a day, keeps 1 of each target" ||
		!strings.HasPrefix(lines[2], path+":13: warning: there are up to 92 days between two scheduled times") {
		t.Errorf("%d\n%s%s", code, out, errs)
	}
	if code, out, errs := run("plan", "check", edited(t)); code != 0 || strings.Contains(out, "warning") || errs != "" {
		t.Errorf("a plan that means what it says: %d\n%s%s", code, out, errs)
	}
}

// TestCheckWarnsOfManyScheduledTimes checks the count in the warning, and that there is none if the waits are shortened: then the
// timer run and the backups are faster too.
func TestCheckWarnsOfManyScheduledTimes(t *testing.T) {
	path := edited(t, "30 2 * * *", "* 30 2 * * *")
	for _, c := range []struct {
		factor string
		code   int
		want   string
	}{
		{"", 0, path + `:13: warning: "* 30 2 * * *" comes due 60 times in a row, 1s apart at the least, and has several scheduled times within a minute`},
		{"1", 0, "60 times in a row"},
		{"0.02", 0, ""},
		{"2", 2, "LIFEBOAT_WAIT_FACTOR"},
	} {
		getenv := func(name string) string { return map[string]string{"LIFEBOAT_WAIT_FACTOR": c.factor}[name] }
		code, out, errs := within(t.Context(), cli.Shell{Getenv: getenv}, "plan", "check", path)
		if code != c.code || !strings.Contains(out+errs, c.want) || c.want == "" && strings.Contains(out, "warning") {
			t.Errorf("with %q: %d\n%s%s", c.factor, code, out, errs)
		}
		if said := "every second from 02:30:00 to 02:30:59 in Europe/Zurich, 60 runs a day"; code == 0 && !strings.Contains(out, said) {
			t.Errorf("with %q: not in words:\n%s", c.factor, out)
		}
	}
}

// TestNextShowsAsManyScheduledTimesAsPeopleCanMean checks the greatest number of scheduled times.
func TestNextShowsAsManyScheduledTimesAsPeopleCanMean(t *testing.T) {
	for n, want := range map[string]int{"0": 2, "-1": 2, "10001": 2, "999999999999": 2, "1": 0} {
		if code, _, _ := run("plan", "next", edited(t), "-n", n); code != want {
			t.Errorf("-n %s: exit code %d, want %d", n, code, want)
		}
	}
}
