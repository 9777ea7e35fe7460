package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/retention"
)

// countedFleet makes a fleet whose one target has 40 points, all of them held by last: 50, or by minimum: 50 beside last: 1.
func countedFleet(t *testing.T, last, minimum int) (a *app, plan func(keep string) string) {
	t.Helper()
	a = newFleet(t)
	target := fleetTargets[1].id + "-counted"
	row, _ := retention.Counted{}.Renew("nightly", backup.Settings{KeepCounts: backup.Counts{Last: last, Zone: "Europe/Zurich"}}, 0, time.UTC)
	for night := range 40 {
		began := fleetNow.Add(-time.Duration(40-night) * 12 * time.Hour)
		p := backup.Point{
			ID: backup.NewRunID(target, began, "nightly"), State: backup.Live, Target: target, Plan: "nightly", Artifact: began.String(),
			Began: began, Created: began.Add(25 * time.Minute), Counted: true, Minimum: minimum,
		}
		row, _ = row.Add(time.UTC, fleetNow, p)
		if _, err := a.catalog.Apply(t.Context(), backup.Write{Op: backup.Put, Key: p.Key(), Body: backup.Encode(p)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := a.catalog.Apply(t.Context(), row.Write(target)); err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	return a, func(keep string) string {
		text := "version: 1\ndefaults:\n  timeZone: Europe/Zurich\n  storage: {account: " + account + ", container: lifeboat}\nplans:\n" +
			"  - name: nightly\n    schedule: \"30 2 * * *\"\n    targets: [" + target + "]\n    keep: {" + keep + "}\n"
		path := filepath.Join(folder, strings.NewReplacer(": ", "", ", ", "").Replace(keep)+".yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
}

// TestDiffListsWhatALowerMinimumExpires: minimum 50 becomes 1, and 39 of 40 points expire by it.
func TestDiffListsWhatALowerMinimumExpires(t *testing.T) {
	a, plan := countedFleet(t, 1, 50)
	code, out, errs := inFleet(t, a, 0, "plan", "diff", plan("last: 1, minimum: 50"), plan("last: 1"))
	if code != 0 || !strings.Contains(out, "expire by the edit") {
		t.Errorf("%d %s%s", code, out, errs)
	}
}

// TestPreviewCountsWhatWaits: last 50 becomes 1 by mistake. Four go at once, and the preview says everywhere that 35 more wait to go: in the
// sums, the table, the calendar and the line of a target.
func TestPreviewCountsWhatWaits(t *testing.T) {
	a, plan := countedFleet(t, 50, 1)
	target := fleetTargets[1].id + "-counted"
	code, out, errs := inFleet(t, a, 0, "retention", "preview", target, "--plan", plan("last: 1"))
	for _, want := range []string{
		"1 stays (0 B), 4 go (0 B)\n35 wait (0 B) to go on later days\n", "~ waits to go", "x ~ ~ ~ ~ ~ ~\n",
		"waits: at most 4 of the target's recovery points are deleted a day; then it goes: no rule of keep holds it",
	} {
		if code != 0 || !strings.Contains(out, want) {
			t.Fatalf("%d %s%s, want %q", code, out, errs, want)
		}
	}
	if got := strings.Count(out, "  waits  "); got != 35 {
		t.Errorf("%d wait in the table:\n%s", got, out)
	}
}

// TestTheCostHasSoftDeletedPoints: a soft-deleted point is still stored, and costs as much as before.
func TestTheCostHasSoftDeletedPoints(t *testing.T) {
	a := newFleet(t)
	folder := t.TempDir()
	cost := func(soft string) string {
		text := "version: 1\ndefaults:\n  timeZone: Europe/Zurich\n  storage: {account: " + account + ", container: lifeboat}\nplans:\n" +
			"  - name: nightly\n    schedule: \"30 2 * * *\"\n    targets: [" + fleetTargets[0].id + "]\n    keep: {last: 3}\n    softDelete: " + soft + "\n"
		path := filepath.Join(folder, soft+".yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		code, out, errs := inFleet(t, a, 0, "plan", "check", path)
		if code != 0 || !strings.Contains(out, "at the newest sizes") {
			t.Fatalf("%d %s%s", code, out, errs)
		}
		_, line, _ := strings.Cut(out, "\n")
		return line
	}
	for soft, want := range map[string]string{
		"off": "    60.0 MiB in the end, at the newest sizes\n", "7d": "    200.0 MiB in the end, at the newest sizes, with 7 soft-deleted points of each\n",
		"36h": "    80.0 MiB to 100.0 MiB in the end, at the newest sizes, with 2 soft-deleted points of each\n",
	} {
		if got := cost(soft); !strings.Contains(got, want) {
			t.Errorf("softDelete %s: %s, want %s", soft, got, want)
		}
	}
}
