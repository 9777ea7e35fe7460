package config_test

import (
	"strings"
	"testing"
)

// TestFromNamesWhatHasLeft checks that each entry of restore.from has a destination of its type, named by its resource ID, and
// that its service's block may stand in the plan.
func TestFromNamesWhatHasLeft(t *testing.T) {
	const (
		scope = "/subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/prod/providers/"
		apim  = scope + "Microsoft.ApiManagement/service/"
		hsm   = scope + "Microsoft.KeyVault/managedHSMs/"
		ccf   = scope + "Microsoft.ConfidentialLedger/managedCCFs/"
	)
	for name, c := range map[string]struct {
		restore string
		err     string // "" if the plan is good
		warning string // "" if there is none
	}{
		"a twin":                   {"{from: [" + apim + "gone], into: [" + apim + "twin]}", "", ""},
		"into where it was":        {"{from: [" + apim + "gone/], into: [" + strings.ToUpper(apim) + "GONE]}", "", ""},
		"another type, and block":  {"{from: [" + hsm + "gone-1], into: [itself, " + hsm + "twin-1]}\n    hsm: {access: sas}", "", ""},
		"itself is none":           {"{from: [" + apim + "gone], into: [itself]}", `plan.yaml:17: into names no Microsoft.ApiManagement/service by its resource ID that recovery points of ` + apim + `gone could be restored into; itself does not count`, ""},
		"no destination of a type": {"{from: [" + apim + "gone, " + hsm + "gone-1], into: [" + apim + "twin]}", "into names no Microsoft.KeyVault/managedHSMs by its resource ID", ""},
		"no resource ID":           {"{from: [gone], into: [" + apim + "twin]}", `plan.yaml:17: restore.from: "gone" is not a resource ID`, ""},
		"no service of ours":       {"{from: [" + scope + "Microsoft.Web/sites/gone], into: [" + apim + "twin]}", "resources of the type Microsoft.Web/sites cannot be backed up", ""},
		"twice":                    {"{from: [" + apim + "gone, " + strings.ToUpper(apim) + "GONE], into: [" + apim + "twin]}", "stands here twice", ""},
		"an empty list":            {"{from: [], into: [" + apim + "twin]}", "plan.yaml:17: from must be a list of one or more", ""},
		"a CCF and safety":         {"{from: [" + ccf + "gone-1], into: [" + ccf + "gone-1], safetyBackup: true}", "there is nothing left for a safetyBackup", ""},
		"still a target": {
			"{from: [" + apim + "contoso], into: [" + apim + "twin]}", "",
			"plan.yaml:17: warning: " + apim + "contoso has no effect in from while it is a target of the plan nightly-apim: that plan says what it may be restored into",
		},
	} {
		text := strings.Replace(good, "timeZone: UTC", "restore: "+c.restore, 1)
		plans, warnings, err := reader.Parse("plan.yaml", []byte(text))
		if found := inAnEditor(text); err == nil && found != nil || err != nil && found == nil && !onlyTheProgram(err.Error()) {
			t.Errorf("%s: an editor says %v, the program %v", name, found, err)
		}
		if c.err == "" && (err != nil || len(plans[1].Restore.From) != 1) || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%s: %v, want %q", name, err, c.err)
		}
		if told := strings.Join(warnings, "\n"); strings.Contains(told, "in from") != (c.warning != "") || !strings.Contains(told, c.warning) {
			t.Errorf("%s: the warnings %q, want %q", name, told, c.warning)
		}
	}
}
