package cli_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/check"
	"lifeboat/internal/engine"
	"lifeboat/internal/health"
	"lifeboat/internal/roles"
)

// lacking is an Azure in which the app lacks the role with these words.
type lacking string

func (l lacking) Granted(_ context.Context, a roles.Assignment) error {
	if a.Words() != string(l) {
		return nil
	}
	return &backup.Fault{Kind: backup.Refused, Code: "RoleMissing", Message: a.Words() + ": no permission", Hint: "Give it the role."}
}

func (lacking) Principal(context.Context) string { return "0c0ffee0-0000-4000-8000-00000000000a" }

// TestCheckPrintsTheCommand: lifeboat check prints what is missing, the command that gives it, and the identity in it, and ends with 1. A
// role that is optional counts as not seen.
func TestCheckPrintsTheCommand(t *testing.T) {
	for words, want := range map[string][]string{
		"the role Lifeboat API Management Backup on " + eu + ", for the app": {
			"refused  the role Lifeboat API Management Backup on contoso-eu, for the app  RoleMissing", "az role assignment create --assignee-object-id \"$app\"",
			"app=0c0ffee0-0000-4000-8000-00000000000a", "18 of 19 ok", "1 refused, and 0 could not be looked at",
		},
		"the role Reader on account backups, for the app": {"could not look  the role Reader", "0 refused, and 1 could not be looked at"},
		"none": {"19 of 19 ok"},
	} {
		fleet := newFleet(t, func(e *engine.Engine) { e.Access = lacking(words) })
		code, out, errs := inFleet(t, fleet, 0, "check")
		if (code == 1) != (words != "none") {
			t.Errorf("%s: exit code %d", words, code)
		}
		for _, one := range want {
			if !strings.Contains(out+errs, one) {
				t.Errorf("%s: no %q in\n%s%s", words, one, out, errs)
			}
		}
	}
}

// change writes a row of the fleet anew.
func change(t *testing.T, e *engine.Engine, key backup.Key, to func(row backup.Row) any) {
	t.Helper()
	row, _, err := e.Catalog.Get(t.Context(), key)
	if err == nil {
		_, err = e.Catalog.Apply(t.Context(), backup.InsertOrReplace(key, row.ETag, backup.Encode(to(row))))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestCheckWaits: while the app checks other plans for another person, the command waits, and says so.
func TestCheckWaits(t *testing.T) {
	var made *engine.Engine
	fleet := newFleet(t, func(e *engine.Engine) { e.Access, made = lacking("none"), e })
	if code, _, errs := inFleet(t, fleet, 0, "check"); code != 0 {
		t.Fatal(errs)
	}
	change(t, made, backup.CheckKey, func(row backup.Row) any {
		r := check.Decode(row)
		r.Ended, r.Plan, r.Request = time.Time{}, "nightly", "of another"
		return r
	})
	ctx, stop := context.WithCancel(t.Context())
	if code, out, errs := inFleetUntil(ctx, t, fleet, 0, "waiting for a check of other plans\n", stop, "check"); code == 0 || out != "" {
		t.Errorf("exit code %d, %s%s", code, out, errs)
	}
	if code, out, errs := inFleet(t, fleet, 0, "check", "--plan", "nightly"); code != 0 {
		t.Errorf("of that plan: exit code %d, %s%s", code, out, errs)
	}
}

// TestCoverageOfAFailedLook: the command shows what was seen before, says why that is old, and ends with 1 though nothing is uncovered.
func TestCoverageOfAFailedLook(t *testing.T) {
	fleet := newFleet(t, func(e *engine.Engine) {
		change(t, e, backup.CoverageKey, func(row backup.Row) any {
			c := health.DecodeCoverage(row)
			c.Services, c.NotShown, c.Failed = nil, nil, backup.NewReason("SearchFailed", "no answer", "Look again.")
			return c
		})
	})
	code, out, errs := inFleet(t, fleet, 0, "coverage")
	if code != 1 || !strings.Contains(errs, "the last look failed") || !strings.Contains(out+errs, "no answer") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
}
