package config_test

import (
	"strings"
	"testing"
)

// templated returns a plan whose storage has the container, and the targets and destinations of restores.
func templated(container string, targets, into []string) string {
	text := `version: 1
defaults:
  storage:
    account: /subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/b/providers/Microsoft.Storage/storageAccounts/contosobackups
    container: ` + container + `
plans:
  - name: nightly
    schedule: "30 2 * * *"
    keep: {within: 20d}
    targets:
`
	for _, target := range targets {
		text += "      - /subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/b/providers/" + target + "\n"
	}
	if len(into) > 0 {
		text += "    restore:\n      into:\n        - itself\n"
	}
	for _, target := range into {
		text += "        - /subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/b/providers/" + target + "\n"
	}
	return text
}

// TestContainerOfEachTarget: the name with {name} is checked for each target and each destination, but for file shares.
func TestContainerOfEachTarget(t *testing.T) {
	const apim, hsm, ledger = "Microsoft.ApiManagement/service/", "Microsoft.KeyVault/managedHSMs/", "Microsoft.ConfidentialLedger/ledgers/"
	long := strings.Repeat("a", 44)
	for name, c := range map[string]struct {
		container     string
		targets, into []string
		// want are parts of all mistakes, in the order of their lines; none for a plan that is accepted.
		want []string
	}{
		"one for each target":            {container: "apim-{name}", targets: []string{apim + "contoso", apim + "Fabrikam-2"}, into: []string{apim + "standby"}},
		"the name alone":                 {container: `"{name}"`, targets: []string{apim + "contoso"}},
		"a text behind":                  {container: "x{name}-copies", targets: []string{apim + "contoso"}},
		"63 letters":                     {container: "backups-of-api-mgmt{name}", targets: []string{apim + long}},
		"64 letters":                     {container: "backups-of-api-mgmt-{name}", targets: []string{apim + long}, want: []string{`plan.yaml:11: "backups-of-api-mgmt-` + long + `" would be`}},
		"two letters":                    {container: `"{name}"`, targets: []string{apim + "abc", apim + "ab"}, want: []string{`plan.yaml:12: "ab" would be the container for the backups of /subscriptions/`}},
		"two dashes in the name":         {container: "apim-{name}", targets: []string{apim + "Con--toso"}, want: []string{`plan.yaml:11: "apim-con--toso" would be the container for the backups of /subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/b/providers/Microsoft.ApiManagement/service/Con--toso (storage.container: apim-{name}), and is no name for one: 3 to 63 lower-case`}},
		"in several targets":             {container: "apim-{name}", targets: []string{apim + "a--b", apim + "contoso", apim + "c--d"}, want: []string{`plan.yaml:11: "apim-a--b"`, `plan.yaml:13: "apim-c--d"`}},
		"in a destination":               {container: "apim-{name}", targets: []string{apim + "contoso"}, into: []string{apim + "a--b"}, want: []string{`plan.yaml:15: "apim-a--b"`}},
		"in an HSM":                      {container: "c-{name}", targets: []string{hsm + "a--b"}, want: []string{`plan.yaml:11: "c-a--b"`}},
		"in a ledger, which has a share": {container: "c-{name}", targets: []string{ledger + "a--b"}},
		"in a name that has no template": {container: "copies", targets: []string{apim + "a--b"}},
		"the container of manifests":     {container: "lifeboat-{name}", targets: []string{apim + "Manifests"}, want: []string{`plan.yaml:11: lifeboat-manifests would be the container for the backups of /subscriptions/`}},
		"a target of a wrong type":       {container: "apim-{name}", targets: []string{"Microsoft.Sql/servers/a--b"}, want: []string{`plan.yaml:11: targets: `}},
		"another placeholder":            {container: "apim-{region}", targets: []string{apim + "a--b"}, want: []string{`plan.yaml:5: "apim-{region}": {region} stands for nothing in the name of a container; {name} does`}},
		"one more":                       {container: "{name}-{region}", targets: []string{apim + "contoso"}, want: []string{`plan.yaml:5: this is not YAML`}},
		"one more, in quotes":            {container: `"{name}-{region}"`, targets: []string{apim + "contoso"}, want: []string{`plan.yaml:5: "{name}-{region}": {region} stands for nothing`}},
		"in large letters":               {container: "apim-{Name}", targets: []string{apim + "contoso"}, want: []string{`plan.yaml:5: "apim-{Name}": {Name} stands for nothing`}},
		"twice":                          {container: "a{name}-{name}", targets: []string{apim + "contoso"}, want: []string{`plan.yaml:5: "a{name}-{name}" is no name for a container: 3 to 63 lower-case letters, digits and single dashes, and {name} once`}},
		"half of it":                     {container: "a{name", targets: []string{apim + "contoso"}, want: []string{`plan.yaml:5: "a{name" is no name for a container`}},
		"a dash first":                   {container: `"-{name}"`, targets: []string{apim + "contoso"}, want: []string{`plan.yaml:5: "-{name}" is no name for a container`}},
		"a dash last":                    {container: "a{name}-", targets: []string{apim + "contoso"}, want: []string{`plan.yaml:5: "a{name}-" is no name for a container`}},
		"two dashes":                     {container: "a--{name}", targets: []string{apim + "contoso"}, want: []string{`plan.yaml:5: "a--{name}" is no name for a container`}},
		"a large letter":                 {container: "APIM-{name}", targets: []string{apim + "contoso"}, want: []string{`plan.yaml:5: "APIM-{name}" is no name for a container`}},
		"without quotes":                 {container: "{name}", targets: []string{apim + "contoso"}, want: []string{`plan.yaml:5: container is a mapping, and must be text; put it in quotes`}},
	} {
		t.Run(name, func(t *testing.T) {
			plans, warnings, err := reader.Parse("plan.yaml", []byte(templated(c.container, c.targets, c.into)))
			var lines []string
			if err != nil {
				lines = strings.Split(err.Error(), "\n")
			}
			if len(lines) != len(c.want) {
				t.Fatalf("%d mistakes, want %d: %v", len(lines), len(c.want), err)
			}
			for i, want := range c.want {
				if !strings.HasPrefix(lines[i], want) {
					t.Errorf("%s\nwant %s", lines[i], want)
				}
			}
			if err == nil && (len(plans) != 1 || plans[0].Settings.Storage.Container != strings.Trim(c.container, `"`)) {
				t.Errorf("%+v", plans)
			}
			if strings.Contains(strings.Join(warnings, "\n"), "one container") {
				t.Errorf("warns %q", warnings)
			}
		})
	}
}

// TestTemplateWithinBraces: YAML ends the text at a brace there, and the mistake says what to do.
func TestTemplateWithinBraces(t *testing.T) {
	text := strings.Replace(templated("x", []string{"Microsoft.ApiManagement/service/contoso"}, nil), "  storage:\n    account: ", "  storage: {account: ", 1)
	text = strings.Replace(text, "\n    container: x", ", container: a-{name}}", 1)
	if _, _, err := reader.Parse("plan.yaml", []byte(text)); err == nil || !strings.HasPrefix(err.Error(), "plan.yaml:3: this is not YAML") ||
		!strings.Contains(err.Error(), "put a name with {name} in quotes") {
		t.Errorf("%v", err)
	}
	if _, _, err := reader.Parse("plan.yaml", []byte(strings.Replace(text, "a-{name}", `"a-{name}"`, 1))); err != nil {
		t.Error(err)
	}
}

// TestOneContainerForTwoTargets: a name with {name} that gives two services one container is not what its author has meant.
func TestOneContainerForTwoTargets(t *testing.T) {
	const apim, hsm = "Microsoft.ApiManagement/service/contoso", "Microsoft.KeyVault/managedHSMs/Contoso"
	for container, want := range map[string]string{
		"c-{name}": "plan.yaml:12: warning: the backups of /subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/b/providers/" + hsm,
		"copies":   "",
	} {
		_, warnings, err := reader.Parse("plan.yaml", []byte(templated(container, []string{apim, hsm}, nil)))
		if all := strings.Join(warnings, "\n"); err != nil || !strings.HasPrefix(all, want) || (want == "") != !strings.Contains(all, "one container") {
			t.Errorf("%s: %q, %v", container, all, err)
		}
	}
}
