package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/retention"
)

// TestDiffListsWhatExpires checks that plan diff asks the app, and lists the recovery points that expire by an edit of keep: if they are more
// than half of a target's.
func TestDiffListsWhatExpires(t *testing.T) {
	a := newFleet(t)
	target := fleetTargets[1].id + "-counted"
	row, _ := retention.Counted{}.Renew("nightly", backup.Settings{KeepCounts: backup.Counts{Last: 50, Zone: "UTC"}}, 0, time.UTC)
	var ids []string
	for night := range 10 {
		began := fleetNow.Add(-time.Duration(night+1) * 24 * time.Hour)
		p := backup.Point{
			ID: backup.NewRunID(target, began, "nightly"), State: backup.Live, Target: target, Plan: "nightly", Artifact: began.String(),
			Began: began, Created: began.Add(25 * time.Minute), Counted: true,
		}
		row, _ = row.Add(time.UTC, fleetNow, p)
		ids = append(ids, p.ID)
		if _, err := a.catalog.Apply(t.Context(), backup.Write{Op: backup.Put, Key: p.Key(), Body: backup.Encode(p)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := a.catalog.Apply(t.Context(), row.Write(target)); err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	plan := func(keep string) string {
		text := "version: 1\ndefaults:\n  timeZone: Europe/Zurich\n  storage: {account: " + account + ", container: lifeboat}\nplans:\n" +
			"  - name: nightly\n    schedule: \"30 2 * * *\"\n    targets: [" + target + "]\n    keep: {" + keep + "}\n"
		path := filepath.Join(folder, strings.NewReplacer(": ", "", ", ", "").Replace(keep)+".yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for keep, want := range map[string]string{
		"last: 3": fmt.Sprintf("! plan nightly: 7 of the 10 recovery points of contoso-us-counted expire by the edit, some each day: %s\n", strings.Join(ids[3:], ", ")),
		"last: 5": "", "last: 60": "", "daily: 2": fmt.Sprintf("! plan nightly: 8 of the 10 recovery points of contoso-us-counted expire by the edit, some each day: %s\n",
			strings.Join(ids[2:], ", ")),
	} {
		code, out, errs := inFleet(t, a, 0, "plan", "diff", plan("last: 50"), plan(keep))
		if code != 0 || want != "" && !strings.Contains(out, want) || want == "" && strings.Contains(out, "expire by the edit") {
			t.Errorf("%s: %d %s%s, want %s", keep, code, out, errs, want)
		}
	}
}
