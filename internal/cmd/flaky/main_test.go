package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// project is a module with a test of each kind. Files beside the tests tell a run about the runs before it.
func project(t *testing.T) {
	t.Helper()
	// often fails in its second and fourth run.
	const often = `package often
import ("os"; "testing")
func TestSteady(t *testing.T) {}
func TestOften(t *testing.T) {
	t.Run("a case", func(t *testing.T) {
		before, _ := os.ReadFile("runs")
		if err := os.WriteFile("runs", append(before, '.'), 0o600); err != nil { t.Fatal(err) }
		if len(before)%2 == 1 { t.Errorf("this one came after %d", len(before)) }
	})
}
`
	for name, text := range map[string]string{
		"go.mod":                "module example\n",
		"often/often_test.go":   often,
		"exits/exits_test.go":   "package exits\nimport (\"os\"; \"testing\")\nfunc TestExits(t *testing.T) { println(\"farewell\"); os.Exit(1) }\n",
		"hangs/hangs_test.go":   "package hangs\nimport \"testing\"\nfunc TestHangs(t *testing.T) { select {} }\n",
		"panics/panics_test.go": "package panics\nimport \"testing\"\nfunc TestPanics(t *testing.T) { panic(\"alas\") }\n",
		"broken/broken_test.go": "package broken\nimport \"testing\"\nfunc TestBroken(t *testing.T) { undefined() }\n",
		"main/main_test.go":     "package main\nimport (\"os\"; \"testing\")\nfunc TestMain(m *testing.M) { m.Run(); os.Exit(3) }\nfunc TestFine(t *testing.T) {}\n",
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFlaky checks that the report has each test with the number of its failures, and the reason if a package could not run
// its tests.
func TestFlaky(t *testing.T) {
	t.Chdir(t.TempDir())
	project(t)
	for _, c := range []struct {
		args  string
		code  int
		says  []string // on either stream
		never string
	}{
		{"-n 4 ./often", 1, []string{
			"example/often: TestOften/a_case failed 2 of 4\n", "this one came after 1", "1 of 3 tests in 1 packages failed in 4 runs\n", "-shuffle=1",
		}, "TestSteady failed"},
		{"-n 3 -run Steady ./often ./exits", 0, []string{"0 of 1 tests in 1 packages failed in 3 runs\n"}, "first with"},
		{"-n 2 ./exits", 1, []string{"example/exits: the package itself (build, crash, time-out or TestMain) failed 2 of 2\n", "TestExits had not ended", "farewell"}, ""},
		{"-n 2 -timeout 2s ./hangs", 1, []string{"example/hangs: the package itself (build, crash, time-out or TestMain) failed 2 of 2\n", "timed out"}, ""},
		{"-n 2 ./panics", 1, []string{"example/panics: TestPanics failed 2 of 2\n", "alas"}, "itself"},
		{"-n 2 -run Steady ./often ./broken", 1, []string{"example/broken: the package itself (build, crash, time-out or TestMain) failed 2 of 2\n", "undefined: undefined"}, "TestSteady failed"},
		{"-n 2 ./main", 1, []string{"example/main: the package itself (build, crash, time-out or TestMain) failed 2 of 2\n"}, "TestFine failed"},
		{"-n 2 -run Nowhere ./often", 1, []string{"there is no test Nowhere in ./often\n"}, "of 0"},
		{"-n 2 -run ( ./often", 1, []string{"error parsing regexp"}, ""},
		{"-n 2 ./nowhere", 1, []string{"nowhere"}, ""},
		{"-n 0 ./often", 2, []string{"-n 0 is no number of runs"}, ""},
	} {
		t.Run(c.args, func(t *testing.T) {
			var out, errs bytes.Buffer
			code := flaky(t.Context(), strings.Fields(c.args), &out, &errs)
			said := out.String() + errs.String()
			if code != c.code || c.never != "" && strings.Contains(said, c.never) {
				t.Errorf("%d, want %d, and nothing of %q:\n%s", code, c.code, c.never, said)
			}
			for _, want := range c.says {
				if !strings.Contains(said, want) {
					t.Errorf("it does not say %q:\n%s", want, said)
				}
			}
		})
	}
}
