package toyservice_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// root is the path of the repository from here.
const root = "../../.."

// registered is the list of services with the toy: the one file outside of the two folders that adding it changes.
func registered(t *testing.T) (path, text string) {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(root, "internal", "services", "services.go"))
	if err != nil {
		t.Fatal(err)
	}
	was, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text = string(was)
	for after, line := range map[string]string{
		"\t\"lifeboat/internal/services/managedhsm\"\n": "\t\"lifeboat/internal/testing/toyservice\"\n",
		"\t\tledger.ConfidentialLedger(),\n":            "\t\ttoyservice.Service(),\n",
	} {
		if strings.Count(text, after) != 1 {
			t.Fatalf("%s has no line %q", path, after)
		}
		text = strings.Replace(text, after, after+line, 1)
	}
	return path, text
}

// TestTheProgramKnowsToys builds the real program with the toy in the list of services and nothing else changed: main.go, the
// commands and the reader of plans go by that list. The compiler is shown the longer list in place of the file, which stays as
// it is.
func TestTheProgramKnowsToys(t *testing.T) {
	dir := t.TempDir()
	path, text := registered(t)
	longer, overlay, program, yaml := filepath.Join(dir, "services.go"), filepath.Join(dir, "overlay.json"), filepath.Join(dir, "lifeboat"), filepath.Join(dir, "plan.yaml")
	replaced, err := json.Marshal(map[string]any{"Replace": map[string]string{path: longer}})
	if err != nil {
		t.Fatal(err)
	}
	for file, content := range map[string]string{longer: text, overlay: string(replaced), yaml: plan(box, "30d", "    toy: {colour: red}")} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-overlay", overlay, "-o", program, ".")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	check := func() (string, error) {
		out, err := exec.CommandContext(t.Context(), program, "plan", "check", yaml).CombinedOutput()
		return string(out), err
	}
	if out, err := check(); err != nil || !strings.Contains(out, "good: 1 plan, 1 target") {
		t.Errorf("%v\n%s", err, out)
	}
	if err := os.WriteFile(yaml, []byte(plan(box, "30d", "    toy: {colour: green}")), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := check(); err == nil || !strings.Contains(out, `"green" is neither blue nor red`) {
		t.Errorf("%v\n%s", err, out)
	}
}
