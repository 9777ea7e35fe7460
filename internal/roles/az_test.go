package roles_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lifeboat/internal/backup"
	"lifeboat/internal/roles"
	"lifeboat/internal/services"
)

// az writes down its words, and fails with the text of the first line of $FAKE_FAILS, "words|text", whose words the call has. It knows the
// identity of each service.
const az = `#!/bin/sh
printf '%s\n' "$*" >>"$FAKE_LOG"
while IFS='|' read -r words text; do
  case "$*" in *"$words"*) echo "$text" >&2; exit 1 ;; esac
done <"$FAKE_FAILS"
case "$*" in *principalId*) echo 0c0ffee0-0000-4000-8000-000000000009 ;; esac
`

// script runs the script of a plan with the az above, and returns what it says, its exit code and the calls of az.
func script(t *testing.T, give, revoke []roles.Assignment, fails string) (said string, code int, calls []string) {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{"az": az, "sleep": "#!/bin/sh\n", "fails": fails, "log": "", "roles.sh": roles.Az(give, revoke, "0c0ffee0")}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "sh", filepath.Join(dir, "roles.sh"))
	cmd.Env = []string{
		"PATH=" + dir + string(os.PathListSeparator) + os.Getenv("PATH"),
		"FAKE_LOG=" + filepath.Join(dir, "log"), "FAKE_FAILS=" + filepath.Join(dir, "fails"),
	}
	out, _ := cmd.CombinedOutput() // an exit code is no mistake here
	log, err := os.ReadFile(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode(), strings.Split(strings.TrimSpace(string(log)), "\n")
}

// TestTheScriptGoesOn: a step that Azure refuses is told, the others are made, and the script ends with 1.
func TestTheScriptGoesOn(t *testing.T) {
	all := roles.Of([]backup.Plan{plan("", nil, gateway), plan("", nil, vault), plan("", nil, ledger)}, services.All().Known())
	const assigns, again = "role assignment create", "not all was done"
	made := func(calls []string, words ...string) (n int) {
		for _, call := range calls {
			if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(call, w) }) {
				n++
			}
		}
		return n
	}
	said, code, calls := script(t, all, nil, "")
	if code != 0 || said != "" || made(calls, assigns) != len(all) {
		t.Fatalf("%d of %d, code %d: %s", made(calls, assigns), len(all), code, said)
	}
	exported := roles.ID(backup.Role{Name: "Lifeboat Ledger Backup"}, subscription+"3")
	read := roles.ID(backup.Role{Name: "Lifeboat Activity Log Reader"}, subscription+"1")
	for what, c := range map[string]struct {
		fails string
		says  []string
		tries map[string]int // by words of the calls
		gives int
	}{
		"a role of which Azure does not know an action": {
			"roleDefinitions/" + exported + "?|InvalidActionOrNotAction",
			[]string{"InvalidActionOrNotAction", "this role was not made: ", "not given at " + ledger},
			map[string]int{exported + " --scope": 0},
			len(all) - 1,
		},
		"a person without the permission at one scope": {
			"--scope " + ledger + "|AuthorizationFailed: no",
			[]string{"AuthorizationFailed: no", "not given at " + ledger},
			map[string]int{"--scope " + ledger: 1},
			len(all), // with that one try
		},
		"a role that is not known yet, or never": {
			read + " --scope|RoleDefinitionDoesNotExist",
			[]string{"RoleDefinitionDoesNotExist", "not given at " + subscription + "1"},
			map[string]int{read + " --scope": 6},
			len(all) + 5,
		},
		"no administrator of the HSM": {
			"keyvault role assignment create|Forbidden",
			[]string{"Forbidden", "not given on vault"},
			map[string]int{"keyvault role assignment create": 2},
			len(all),
		},
		"a service whose identity nobody shows": {
			"--url " + gateway + "|Forbidden", []string{"Forbidden", "its identity is not known"}, nil, len(all) - 1,
		},
		"an account that is not there": {
			"containers/c|ResourceNotFound",
			[]string{"ResourceNotFound", "this container was not made: "},
			nil, len(all) - 3 + 3*6,
		},
	} {
		said, code, calls := script(t, all, nil, c.fails+"\n")
		for _, text := range append(c.says, again) {
			if !strings.Contains(said, text) {
				t.Errorf("%s: it does not say %q:\n%s", what, text, said)
			}
		}
		for words, n := range c.tries {
			if is := made(calls, assigns, words); is != n {
				t.Errorf("%s: %d tries of %s, and not %d", what, is, words, n)
			}
		}
		if code != 1 || made(calls, assigns) != c.gives {
			t.Errorf("%s: it ends with %d, after %d assignments of %d:\n%s", what, code, made(calls, assigns), c.gives, said)
		}
	}
	said, code, calls = script(t, nil, all, "role assignment delete|AuthorizationFailed\n")
	if code != 1 || made(calls, "role assignment delete") < 4 || !strings.Contains(said, "not taken away at ") || !strings.Contains(said, again) {
		t.Errorf("it ends with %d, after %q: %s", code, calls, said)
	}
}

// TestARoleWaitsForTheOneInItsPlace: where a role was not given, none is taken away.
func TestARoleWaitsForTheOneInItsPlace(t *testing.T) {
	known := services.All().Known()
	old := roles.Of([]backup.Plan{plan(`{"ccf":{"apiVersion":"2025-06-10-preview"}}`, nil, ledger), plan("", nil, gateway)}, known)
	give, revoke := roles.Compare(old, roles.Of([]backup.Plan{plan("", nil, ledger)}, known))
	exported := roles.ID(backup.Role{Name: "Lifeboat Ledger Backup"}, subscription+"3")
	for fails, taken := range map[string]bool{"": true, exported + " --scope|no\n": false, "roleDefinitions/" + exported + "?|no\n": false} {
		said, code, calls := script(t, give, revoke, fails)
		is := slices.ContainsFunc(calls, func(c string) bool { return strings.Contains(c, "assignment delete") && strings.Contains(c, ledger) })
		other := slices.ContainsFunc(calls, func(c string) bool { return strings.Contains(c, "assignment delete") && !strings.Contains(c, ledger) })
		if is != taken || !other || (code == 0) != taken || strings.Contains(said, "not taken away at "+ledger) == taken {
			t.Errorf("%q: taken %t, elsewhere %t, code %d: %s", fails, is, other, code, said)
		}
	}
}

// TestCommandsAreQuoted: a name is one word of the shell, whatever letters it has.
func TestCommandsAreQuoted(t *testing.T) {
	a := roles.Assignment{Role: backup.Role{Name: "Managed HSM Backup", ID: "a role", Local: true}, Scope: vault + "'s own"}
	if got := a.Commands(); len(got) != 1 || !strings.Contains(got[0], `--hsm-name 'vault'\''s own' --role 'a role' --scope /`) {
		t.Error(got)
	}
}
