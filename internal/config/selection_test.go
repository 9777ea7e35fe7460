package config_test

import (
	"strings"
	"testing"

	"lifeboat/internal/backup"
)

const selecting = `version: 1
defaults:
  storage: {account: /subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/b/providers/Microsoft.Storage/storageAccounts/contoso, container: backups}
plans:
  - name: nightly
    schedule: "0 2 * * *"
    keep: {within: 20d}
    hsm: {access: sas}
    targets: [/subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/b/providers/Microsoft.ApiManagement/service/named]
    select: {subscriptions: [0c0ffee0-0000-4000-8000-000000000001]}
`

// TestSelectedTargets: a text with picks has the targets of its selections, each once, behind the named ones, and its lines count as in the
// file. Picks of other selections do not count, and a person cannot write some.
func TestSelectedTargets(t *testing.T) {
	const scope = "/subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/b/providers/Microsoft."
	apim, hsm := scope+"ApiManagement/service/", scope+"KeyVault/managedHSMs/contoso-1"
	key := backup.Select{Subscriptions: []string{"0c0ffee0-0000-4000-8000-000000000001"}}.Key()
	parse := func(text string, picks ...backup.Pick) []string {
		t.Helper()
		plans, _, err := reader.Parse("plan.yaml", backup.WithPicks([]byte(text), picks))
		if err != nil {
			t.Fatal(err)
		}
		return plans[0].Targets
	}
	pick := backup.Pick{Plan: "nightly", Key: key, Targets: []string{strings.ToUpper(apim + "named"), apim + "two", hsm}}
	want := strings.Join([]string{apim + "named", apim + "two", hsm}, " ")
	other := backup.Pick{Plan: "other", Key: "other", Targets: []string{apim + "three"}}
	if got := strings.Join(parse(selecting, other, pick), " "); got != want {
		t.Errorf("%s", got)
	}
	if got := parse(string(backup.WithPicks([]byte(selecting), []backup.Pick{other})), pick); len(got) != 3 {
		t.Errorf("a text with picks: %v", got)
	}
	if got := parse(strings.Replace(selecting, "nightly", "renamed", 1), pick); len(got) != 3 {
		t.Errorf("a renamed plan: %v", got)
	}
	if got := parse(strings.Replace(selecting, "select: {", "select: {tags: {a: b}, ", 1), pick); len(got) != 1 {
		t.Errorf("a selection that was not looked for yet: %v", got)
	}
	if got := parse(selecting, other); len(got) != 1 {
		t.Errorf("without a pick: %v", got)
	}
	if got := parse(strings.ReplaceAll(selecting, "targets:", "# targets:")); len(got) != 0 {
		t.Errorf("without targets: %v", got)
	}
	bad := backup.Pick{Plan: "nightly", Key: key, Targets: []string{"/subscriptions/none"}}
	for name, c := range map[string]struct{ text, says string }{
		"neither":              {strings.ReplaceAll(strings.ReplaceAll(selecting, "targets:", "# targets:"), "    select:", "    # select:"), `a plan needs the field "targets", or "select"`},
		"no subscription":      {strings.Replace(selecting, "select: {subscriptions: [0c0ffee0-0000-4000-8000-000000000001]}", "select: {tags: {a: b}}", 1), `select needs the field "subscriptions"`},
		"a name of one":        {strings.Replace(selecting, "select: {subscriptions: [0c0ffee0-0000-4000-8000-000000000001]}", "select: {subscriptions: [production]}", 1), `"production" is not the ID of a subscription`},
		"another type":         {strings.Replace(selecting, "select: {", "select: {types: [Microsoft.Sql/servers], ", 1), "is no type of service that Lifeboat backs up"},
		"a tag that is a word": {strings.Replace(selecting, "select: {", "select: {tags: {a: true}, ", 1), "the value of the tag a must be text"},
		"an unused block":      {strings.Replace(selecting, "select: {", "select: {types: [Microsoft.ApiManagement/service], ", 1), "hsm is for Managed HSM, and the plan has no such target"},
		"a bad pick":           {string(backup.WithPicks([]byte(selecting), []backup.Pick{bad})), "plan.yaml:5: select: "},
		"two of one name": {
			string(backup.WithPicks([]byte(selecting), []backup.Pick{{Plan: "nightly", Key: key, Targets: []string{hsm, strings.Replace(hsm, "resourceGroups/b", "resourceGroups/c", 1)}}})),
			"plan.yaml:10: the backups of " + strings.Replace(hsm, "resourceGroups/b", "resourceGroups/c", 1) + " and " + hsm + " (line 10) could get the same name",
		},
		"an HSM into a vault": {
			string(backup.WithPicks([]byte(strings.Replace(strings.Replace(selecting, "container: backups", "container: backups, vault: true", 1), "    hsm: {access: sas}\n", "", 1)), []backup.Pick{pick})),
			"plan.yaml:9: storage.vault: a Managed HSM cannot be backed up into a vault",
		},
		"a forged pick": {selecting + "# Selected by Lifeboat: all\n", "the last line is not what Lifeboat has written there"},
	} {
		if _, _, err := reader.Parse("plan.yaml", []byte(c.text)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
