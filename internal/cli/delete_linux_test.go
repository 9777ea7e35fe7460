package cli_test

import (
	"bytes"
	"strings"
	"testing"

	"lifeboat/internal/backup"
)

// TestADeletionAsks checks that a deletion on a terminal shows the point and the time, and goes on only if the person types the name of
// the target.
func TestADeletionAsks(t *testing.T) {
	t.Parallel()
	for typed, c := range map[string]struct {
		says string
		code int
	}{
		"contoso-eu\n": {"soft-deleted, there until 2026-04-04", 0},
		"yes\n":        {"that is not its name: nothing was deleted\n", 1},
		"\x04":         {"that is not its name: nothing was deleted\n", 1},
	} {
		a, terminal := newFleet(t), newConsole(t, 120)
		ended := make(chan int, 1)
		var out bytes.Buffer
		go func() {
			ended <- terminal.at(t.Context(), t, a.URL, &out, "delete", suspectRun, "--reason", "why")
		}()
		terminal.wait(t, "Type contoso-eu to go on: ", 1)
		if said := terminal.text(); !strings.Contains(said, suspectRun+"  suspect, kept until ") ||
			!strings.Contains(said, "The backup of contoso-eu of 2026-03-26 03:25 CET, 2d9h ago is DELETED, at 2026-04-04 14:00 CEST.") {
			t.Errorf("asked behind\n%s", said)
		}
		if _, err := terminal.person.WriteString(typed); err != nil {
			t.Fatal(err)
		}
		code := <-ended
		if c.code != 0 {
			terminal.wait(t, c.says, 1)
		}
		if code != c.code || !strings.Contains(terminal.text()+out.String(), c.says) {
			t.Errorf("%q: %d, %s%s", typed, code, terminal.text(), out.String())
		}
		row, _, err := a.catalog.Get(t.Context(), backup.Point{ID: suspectRun}.Key())
		if err != nil {
			t.Fatal(err)
		}
		if p, err := backup.DecodePoint(row); err != nil || p.IsSoftDeleted() != (c.code == 0) {
			t.Errorf("%q: %+v, %v", typed, p.SoftDeletion, err)
		}
	}
}

// TestForgetAsks checks that lifeboat forget on a terminal lists what goes and what stays, and goes on only if the person types the name of
// the target.
func TestForgetAsks(t *testing.T) {
	t.Parallel()
	for typed, c := range map[string]struct {
		says string
		code int
	}{
		"contoso-eu\n": {"1 deleted (20.0 MiB), 3 stay (60.0 MiB)", 0},
		"yes\n":        {"that is not its name: nothing was deleted\n", 1},
	} {
		a, terminal := newFleet(t), newConsole(t, 120)
		ended := make(chan int, 1)
		var out bytes.Buffer
		go func() {
			ended <- terminal.at(t.Context(), t, a.URL, &out, "forget", "contoso-eu", "--reason", "why")
		}()
		terminal.wait(t, "Type contoso-eu to go on: ", 1)
		if said := terminal.text(); !strings.Contains(said, "The backups of contoso-eu are DELETED: 1 recovery point, 3 stay (60.0 MiB).") ||
			!strings.Contains(said, suspectRun) || !strings.Contains(said, "stays  it is the newest verified") {
			t.Errorf("asked behind\n%s", said)
		}
		if _, err := terminal.person.WriteString(typed); err != nil {
			t.Fatal(err)
		}
		code := <-ended
		if c.code != 0 {
			terminal.wait(t, c.says, 1)
		}
		if code != c.code || !strings.Contains(terminal.text()+out.String(), c.says) {
			t.Errorf("%q: %d, %s%s", typed, code, terminal.text(), out.String())
		}
		row, _, err := a.catalog.Get(t.Context(), backup.Point{ID: suspectRun}.Key())
		if err != nil {
			t.Fatal(err)
		}
		if p, err := backup.DecodePoint(row); err != nil || p.IsSoftDeleted() != (c.code == 0) {
			t.Errorf("%q: %+v, %v", typed, p.SoftDeletion, err)
		}
	}
}
