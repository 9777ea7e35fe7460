package cli_test

import (
	"os"
	"strings"
	"testing"
)

// TestSelectionIsAccepted: what waits counts after --accept with its ID, and a repeat says the same. Another ID is refused.
func TestSelectionIsAccepted(t *testing.T) {
	fleet := newFleet(t)
	_, out, _ := inFleet(t, fleet, 0, "selection")
	_, id, ok := strings.Cut(out, "if that is right: lifeboat selection --accept ")
	id, _, _ = strings.Cut(id, "\n")
	if !ok || len(id) != 32 {
		t.Fatal(out)
	}
	if code, _, errs := inFleet(t, fleet, 0, "selection", "--accept", strings.Repeat("0", 32)); code != 1 || !strings.Contains(errs, "SelectionChanged") {
		t.Errorf("another ID: %d, %s", code, errs)
	}
	for range 2 {
		code, out, errs := inFleet(t, fleet, 0, "selection", "--accept", id)
		if code != 0 || !strings.Contains(out, "plan nightly selects 1 target\n") || strings.Contains(out, "waits") {
			t.Errorf("%d, %s%s", code, out, errs)
		}
	}
}

// TestDiffCountsSelectedTargets: plan diff has the targets of the app's last look, and says so where it cannot ask.
func TestDiffCountsSelectedTargets(t *testing.T) {
	fleet := newFleet(t)
	planFolder(t)
	text, err := os.ReadFile("plan.yaml")
	if err != nil {
		t.Fatal(err)
	}
	const line = "    select: {subscriptions: [0c0ffee0-0000-4000-8000-000000000001], tags: {backup: lifeboat}}\n"
	edit := strings.Replace(string(text), "  - name: nightly\n", "  - name: nightly\n"+line, 1)
	if err := os.WriteFile("new.yaml", []byte(edit), 0o600); err != nil || edit == string(text) {
		t.Fatal(err, edit)
	}
	code, out, errs := inFleet(t, fleet, 0, "plan", "diff", "plan.yaml", "new.yaml")
	for _, want := range []string{"selects targets besides, in the subscriptions 0c0ffee0-0000-4000-8000-000000000001, tagged backup=lifeboat", "+ target " + eu + "-new"} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("%d, no %q in %s%s", code, want, out, errs)
		}
	}
	code, out, errs = inFleet(t, fleet, 0, "plan", "roles", "new.yaml", "--was", "plan.yaml")
	if code != 0 || !strings.Contains(out, "contoso-eu-new") || strings.Contains(out, "No longer needed") {
		t.Errorf("roles: %d, %s%s", code, out, errs)
	}
	other := strings.Replace(edit, "backup: lifeboat", "backup: other", 1)
	if err := os.WriteFile("new.yaml", []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs = inFleet(t, fleet, 0, "plan", "diff", "plan.yaml", "new.yaml")
	if code != 0 || !strings.Contains(out, "+ target "+eu+"-new") || !strings.Contains(out, "? plan nightly: the targets that it selects are not known: the app has not looked for them") {
		t.Errorf("another selection: %d, %s%s", code, out, errs)
	}
	if code, _, errs := inFleet(t, fleet, 0, "plan", "roles", "new.yaml", "--was", "plan.yaml"); code != 1 || !strings.Contains(errs, "plan nightly: the targets that it selects are not known: the app has not looked for them") {
		t.Errorf("before its look: %d, %s", code, errs)
	}
	if err := os.WriteFile("new.yaml", []byte(edit), 0o600); err != nil {
		t.Fatal(err)
	}
	fleet.Close()
	if _, out, _ := inFleet(t, fleet, 0, "plan", "diff", "plan.yaml", "new.yaml"); !strings.Contains(out, "? plan nightly: the targets that it selects are not known: ") {
		t.Errorf("without the app: %s", out)
	}
}
