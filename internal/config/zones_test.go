package config_test

import (
	"archive/zip"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/config"
)

// TestScenario16NoTimeZonesOnTheMachine checks that the program uses its own time zones if the machine has none, as in a bare
// container, or old ones. A plan with an unknown zone is refused, not run by UTC.
func TestScenario16NoTimeZonesOnTheMachine(t *testing.T) {
	deps, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "lifeboat").Output()
	if err != nil {
		t.Fatal(err)
	}
	linked := "\n" + string(deps)
	if !strings.Contains(linked, "\nlifeboat/internal/tzdata\n") || strings.Contains(linked, "\ntime/tzdata\n") {
		t.Error("the program is to link time zones of its own, and not Go's")
	}
	for _, name := range []string{"Europe/Zurich", "America/New_York", "Australia/Lord_Howe", "America/Santiago"} {
		text := strings.Replace(good, "timeZone: Europe/Zurich", "timeZone: "+name, 1)
		plans, _, err := reader.Parse("plan.yaml", []byte(text))
		if err != nil || plans[0].Schedule.Zone.String() != name {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, want := range map[string]string{
		"Europe/Zurych": `plan.yaml:3: "Europe/Zurych" is not a time zone: give its IANA name, such as Europe/Zurich`,
		"europe/berlin": `plan.yaml:3: "europe/berlin" is not a time zone: give its IANA name, such as Europe/Berlin`,
		"utc":           `"utc" is not a time zone: give its IANA name, such as UTC`,
		"Local":         `"Local" is not a time zone`, "PST": `"PST" is not a time zone`, "UTC+2": `"UTC+2" is not a time zone`,
		"Z": `"Z" is not a time zone`, `""`: "plan.yaml:3: timeZone has no value",
	} {
		_, _, err := reader.Parse("plan.yaml", []byte(strings.Replace(good, "timeZone: Europe/Zurich", "timeZone: "+name, 1)))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
}

// TestZonesThatAreNotWhatTheyAreCalled checks that such zones are accepted, with a warning that names the probable one.
func TestZonesThatAreNotWhatTheyAreCalled(t *testing.T) {
	for name, want := range map[string]string{
		"EST":        "EST is -05:00 all year: write America/New_York, unless that is what you mean",
		"MST":        "MST is -07:00 all year: write America/Denver, unless that is what you mean",
		"Etc/GMT+2":  "Etc/GMT+2 is -02:00, since its sign is the other way round: for +02:00 write Etc/GMT-2, or better a place",
		"Etc/GMT-10": "Etc/GMT-10 is +10:00, since its sign is the other way round: for -10:00 write Etc/GMT+10, or better a place",
		"EST5EDT":    "", "Etc/GMT": "", "Etc/GMT0": "", "Etc/GMT+0": "", "UTC": "", "Europe/Zurich": "",
	} {
		text := strings.Replace(good, "timeZone: Europe/Zurich", "timeZone: "+name+" # there", 1)
		_, warnings, err := reader.Parse("plan.yaml", []byte(text))
		told := ""
		for _, warning := range warnings {
			if rest, ok := strings.CutPrefix(warning, "plan.yaml:3: warning: "); ok {
				told = rest
			}
		}
		if err != nil || told != want {
			t.Errorf("%s: %q, %v, want %q", name, told, err, want)
		}
	}
}

// TestTheProgramGoesByItsOwnTimeZones checks that the real program says 09:30Z in Vancouver's winter, although the machine's
// data, of 2025, say 10:30Z.
func TestTheProgramGoesByItsOwnTimeZones(t *testing.T) {
	dir := t.TempDir()
	program, zones, plan := filepath.Join(dir, "lifeboat"), filepath.Join(dir, "zoneinfo.zip"), filepath.Join(dir, "plan.yaml")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "lifeboat").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	old, err := zip.OpenReader("../tzdata/testdata/2025c.zip")
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	file, err := os.Create(zones)
	if err != nil {
		t.Fatal(err)
	}
	machine := zip.NewWriter(file) // as Go wants it: names alone, nothing compressed
	for _, entry := range old.File {
		name, ok := strings.CutPrefix(entry.Name, "tzdata/zoneinfo/")
		if !ok {
			continue
		}
		from, err := entry.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(from)
		if err != nil {
			t.Fatal(err)
		}
		to, err := machine.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := to.Write(text); err != nil {
			t.Fatal(err)
		}
	}
	if err := machine.Close(); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(good, "timeZone: Europe/Zurich", "timeZone: America/Vancouver", 1)
	if err := os.WriteFile(plan, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		command := exec.CommandContext(t.Context(), program, args...)
		command.Env = append(os.Environ(), "ZONEINFO="+zones)
		out, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	plans, _, err := reader.Parse("plan.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	// A year of scheduled times, in each winter of which the machine has another time.
	out, scheduledTimes := run("plan", "next", plan, "-n", "366"), 0
	for line := range strings.Lines(out) {
		if strings.Contains(line, " 02:30:00 -07:00  America/Vancouver  2") && strings.HasSuffix(line, "T09:30:00Z\n") {
			scheduledTimes++
		}
	}
	if scheduledTimes != 366*len(plans[0].Targets) || !strings.Contains(out, "\nby the time zones "+config.TimeZones()+"\n") {
		t.Errorf("not by its own:\n%s", out)
	}
	if out := run("plan", "check", plan); !strings.Contains(out, " on America/Vancouver is -07:00, by the time zones "+config.TimeZones()+
		" of Lifeboat, which count; this machine's own are older or newer, and say -08:00\n") {
		t.Errorf("the machine's own are not told of:\n%s", out)
	}
	if out := run("version"); !strings.Contains(out, "time zones "+config.TimeZones()) {
		t.Errorf("version says %s", out)
	}
	want := time.Date(2027, 1, 15, 9, 30, 0, 0, time.UTC)
	if got := plans[0].Schedule.Next(time.Date(2027, 1, 15, 0, 0, 0, 0, time.UTC)); !got.Equal(want) {
		t.Errorf("the next scheduled time is %s, want %s", got, want)
	}
}
