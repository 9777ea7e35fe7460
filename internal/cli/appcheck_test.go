package cli_test

import (
	"context"
	"strings"
	"testing"

	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
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
