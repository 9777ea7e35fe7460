package cli_test

import (
	"strings"
	"testing"
)

// TestCheckWarns: what a plan hardly means is shown with its line, and the plan is good all the same.
func TestCheckWarns(t *testing.T) {
	path := edited(t, "30 2 * * *", "30 2 1 */3 *")
	code, out, errs := run("plan", "check", path)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if code != 0 || errs != "" || len(lines) != 2 || !strings.HasSuffix(lines[0], "good: 1 plan, 1 target") ||
		!strings.HasPrefix(lines[1], path+":13: warning: there are up to 92 days between two slots") {
		t.Errorf("%d\n%s%s", code, out, errs)
	}
	if code, out, errs := run("plan", "check", edited(t)); code != 0 || strings.Contains(out, "warning") || errs != "" {
		t.Errorf("a plan that means what it says: %d\n%s%s", code, out, errs)
	}
}

// TestNextShowsAsManySlotsAsPeopleCanMean.
func TestNextShowsAsManySlotsAsPeopleCanMean(t *testing.T) {
	for n, want := range map[string]int{"0": 2, "-1": 2, "10001": 2, "999999999999": 2, "1": 0} {
		if code, _, _ := run("plan", "next", edited(t), "-n", n); code != want {
			t.Errorf("-n %s: exit code %d, want %d", n, code, want)
		}
	}
}
