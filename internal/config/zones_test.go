package config_test

import (
	"os/exec"
	"strings"
	"testing"

	"lifeboat/internal/config"
)

// Where the machine has no time zones, as in a bare container, the program brings its own: they are linked into it, and
// a plan that names a zone which nobody knows is refused, not run by UTC.
func TestScenario16NoTimeZonesOnTheMachine(t *testing.T) {
	deps, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "lifeboat").Output()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains("\n"+string(deps), "\ntime/tzdata\n") {
		t.Error("the program does not link time/tzdata: in a bare container no plan with a time zone could be read")
	}
	for _, name := range []string{"Europe/Zurich", "America/New_York", "Australia/Lord_Howe", "America/Santiago"} {
		text := strings.Replace(good, "timeZone: Europe/Zurich", "timeZone: "+name, 1)
		plans, _, err := config.ParsePlan("plan.yaml", []byte(text))
		if err != nil || plans[0].Schedule.Zone.String() != name {
			t.Errorf("%s: %v", name, err)
		}
	}
	text := strings.Replace(good, "timeZone: Europe/Zurich", "timeZone: Europe/Zurych", 1)
	_, _, err = config.ParsePlan("plan.yaml", []byte(text))
	if err == nil || !strings.Contains(err.Error(), "Europe/Zurych") {
		t.Errorf("a zone that nobody knows: %v", err)
	}
}
