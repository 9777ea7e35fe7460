package templates_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// fake is an az that writes down how it was called, and answers as the test says: for each line of FAKE_ANSWERS, "words|code|answer",
// the first whose words the call has. A code of another call is 0, and its answer is empty.
const fake = `#!/bin/sh
printf 'az' >>"$FAKE_LOG"
for word in "$@"; do printf ' %s' "$word" >>"$FAKE_LOG"; done
printf '\n' >>"$FAKE_LOG"
while IFS='|' read -r words code answer; do
  case "$*" in
    *"$words"*)
      [ "$code" = 0 ] && printf '%b' "$answer" || printf '%b' "$answer" >&2
      exit "$code" ;;
  esac
done <"$FAKE_ANSWERS"
exit 0
`

// answer is the answer of az to a call with the words.
type answer struct {
	words string
	code  int
	says  string
}

// hooked is the outcome of a hook.
type hooked struct {
	out   string
	ended int
	calls []string
}

// hook runs a hook in a copy of infra, with a fake of az, or none, and one of azd that must not be called.
func hook(t *testing.T, name string, env map[string]string, az bool, answers ...answer) hooked {
	t.Helper()
	folder := copyInfra(t)
	bin := filepath.Join(folder, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	programs := []string{"azd"}
	if az {
		programs = append(programs, "az")
	}
	for _, program := range programs {
		write(t, filepath.Join(bin, program), strings.Replace(fake, "printf 'az'", "printf '"+program+"'", 1))
	}
	for _, program := range []string{"sh", "awk", "tr", "grep", "cat", "dirname", "sleep", "sed"} {
		path, err := exec.LookPath(program)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path, filepath.Join(bin, program)); err != nil {
			t.Fatal(err)
		}
	}
	var lines strings.Builder
	for _, a := range answers {
		fmt.Fprintf(&lines, "%s|%d|%s\n", a.words, a.code, strings.ReplaceAll(a.says, "\n", `\n`))
	}
	log, replies := filepath.Join(folder, "log"), filepath.Join(folder, "answers")
	write(t, replies, lines.String())
	for _, program := range programs {
		if err := os.Chmod(filepath.Join(bin, program), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(folder, "infra/hooks", name+".sh"))
	cmd.Dir = folder // azd starts hooks in the folder of the project
	cmd.Env = []string{"PATH=" + bin, "FAKE_LOG=" + log, "FAKE_ANSWERS=" + replies, "LIFEBOAT_HOOK_PAUSE=0"}
	all := map[string]string{
		"AZURE_SUBSCRIPTION_ID": subscription, "AZURE_ENV_NAME": "prod", "AZURE_LOCATION": "westeurope", "AZURE_RESOURCE_GROUP": "rg-lifeboat-prod",
		"LIFEBOAT_APP": "func-lifeboat-1", "LIFEBOAT_URL": "https://func-lifeboat-1.azurewebsites.net", "LIFEBOAT_STORAGE_ACCOUNT": "stlifeboat1",
		"LIFEBOAT_PLAN_URL":     "https://stlifeboat1.blob.core.windows.net/lifeboat-config/plan.yaml",
		"LIFEBOAT_PRINCIPAL_ID": "0c0ffee0-0000-4000-8000-000000000003", "LIFEBOAT_ROLES": "[]",
	}
	for k, v := range env {
		all[k] = v
	}
	for k, v := range all {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	out, err := cmd.CombinedOutput()
	got := hooked{out: string(out)}
	if exit := new(exec.ExitError); err != nil {
		if !asExit(err, &exit) {
			t.Fatal(err)
		}
		got.ended = exit.ExitCode()
	}
	if text, err := os.ReadFile(log); err == nil {
		got.calls = strings.Split(strings.TrimSpace(string(text)), "\n")
	}
	for _, call := range got.calls {
		if strings.HasPrefix(call, "azd") || strings.Contains(call, " delete") || strings.Contains(call, " purge") {
			t.Errorf("%s called %s", name, call)
		}
	}
	return got
}

// called counts the calls of az with the words.
func (h hooked) called(words string) (n int) {
	for _, call := range h.calls {
		if strings.Contains(call, words) {
			n++
		}
	}
	return n
}

func (h hooked) must(t *testing.T, ended int, says ...string) {
	t.Helper()
	if h.ended != ended {
		t.Errorf("it ended with %d, and not %d:\n%s", h.ended, ended, h.out)
	}
	for _, text := range says {
		if !strings.Contains(h.out, text) {
			t.Errorf("it does not say %q:\n%s", text, h.out)
		}
	}
}

func TestPreprovision(t *testing.T) {
	t.Parallel()
	regions := answer{"list-flexconsumption-locations", 0, "North Europe\nWest Europe\n"}
	h := hook(t, "preprovision", nil, true, answer{"provider show", 0, "Registered\n"}, regions)
	h.must(t, 0)
	if h.called("provider show") != 6 || h.called("provider register") != 0 || h.out != "" {
		t.Error(h.calls, h.out)
	}

	h = hook(t, "preprovision", nil, true, answer{"--namespace Microsoft.App ", 0, "NotRegistered\n"}, answer{"provider show", 0, "Registered\n"}, regions)
	h.must(t, 0, "registering the resource provider Microsoft.App\n")
	if h.called("provider register") != 1 || h.called("provider register --subscription "+subscription+" --namespace Microsoft.App --wait") != 1 {
		t.Error(h.calls)
	}

	h = hook(t, "preprovision", nil, true, answer{"provider show", 1, "no\n"}, answer{"provider register", 1, "AuthorizationFailed\n"}, regions)
	h.must(t, 0, "Microsoft.Web could not be registered")

	h = hook(t, "preprovision", map[string]string{"AZURE_LOCATION": "moonbase"}, true, answer{"provider show", 0, "Registered\n"}, regions)
	h.must(t, 0, "the region moonbase has no Flex Consumption plan")

	h = hook(t, "preprovision", map[string]string{"AZURE_SUBSCRIPTION_ID": "", "AZURE_LOCATION": ""}, true)
	h.must(t, 0)
	if len(h.calls) != 0 {
		t.Error(h.calls)
	}

	h = hook(t, "preprovision", nil, false)
	h.must(t, 0, "az is not installed")
}

func TestPostprovision(t *testing.T) {
	t.Parallel()
	const upload = "storage blob upload"
	h := hook(t, "postprovision", map[string]string{"LIFEBOAT_PACKAGE_URI": "https://x.example/app.zip"}, true)
	h.must(t, 0, "A first plan, which backs up nothing, is at https://stlifeboat1", "func-lifeboat-1 in the resource group rg-lifeboat-prod",
		"--parameters principalId=0c0ffee0-0000-4000-8000-000000000003", "lifeboat plan roles plan.yaml --principal 0c0ffee0")
	if h.called(upload) != 1 || h.called("--if-none-match *") != 1 || h.called("--overwrite") != 0 || h.called("infra/starter.yaml") != 1 {
		t.Error(h.calls)
	}
	if strings.Contains(h.out, "make package") || strings.Contains(h.out, "$LIFEBOAT") || strings.Contains(h.out, "no roles yet") {
		t.Error(h.out)
	}

	h = hook(t, "postprovision", nil, true)
	h.must(t, 0, "az functionapp deployment source config-zip --resource-group rg-lifeboat-prod --name func-lifeboat-1 --src build/app.zip")

	h = hook(t, "postprovision", nil, true, answer{upload, 1, "ERROR: The specified blob already exists.\nErrorCode:BlobAlreadyExists\n"})
	h.must(t, 0, "There is a plan already, which stays as it is")
	if h.called(upload) != 1 {
		t.Error(h.calls)
	}

	h = hook(t, "postprovision", nil, true, answer{upload, 1, "ERROR: You do not have the required permissions needed to perform this operation.\n"})
	h.must(t, 0, "required permissions", "No plan could be uploaded", "--file infra/starter.yaml")
	if h.called(upload) != 8 {
		t.Errorf("%d tries", h.called(upload))
	}

	h = hook(t, "postprovision", nil, true, answer{upload, 1, "ERROR: public access is not permitted\n"})
	h.must(t, 0, "public access is not permitted", "No plan could be uploaded")
	if h.called(upload) != 1 {
		t.Errorf("%d tries", h.called(upload))
	}

	h = hook(t, "postprovision", map[string]string{"LIFEBOAT_PLAN": "https://other.blob.core.windows.net/plans/plan.yaml"}, true)
	h.must(t, 0, "The plan is your own")
	if len(h.calls) != 0 {
		t.Error(h.calls)
	}

	h = hook(t, "postprovision", map[string]string{"LIFEBOAT_ROLES": `["az role assignment create --role a --scope /b","az role assignment create --role c --scope /d"]`}, true)
	h.must(t, 0, "The app has no roles yet", "\naz role assignment create --role a --scope /b\naz role assignment create --role c --scope /d\n")

	h = hook(t, "postprovision", nil, false)
	h.must(t, 0, "az is not installed", "Next:")
}

func TestPredown(t *testing.T) {
	t.Parallel()
	exists := answer{"group exists", 0, "true\n"}
	const ours = "Microsoft.Storage/storageAccounts\\tstlifeboat1\\tprod\nMicrosoft.Web/sites\\tfunc-lifeboat-1\\tprod\n"
	own := "/subscriptions/" + subscription + "/resourceGroups/rg-lifeboat-prod/providers/Microsoft.Storage/storageAccounts/stlifeboat1/providers/x/1"
	const backups = "/subscriptions/B/resourceGroups/rg-lifeboat-backups/providers/Microsoft.Storage/storageAccounts/b/providers/x/2"
	h := hook(t, "predown", nil, true, exists, answer{"resource list", 0, ours}, answer{"account list", 0, subscription + "\nB\n"},
		answer{"role assignment list --subscription B", 0, backups + "\n"}, answer{"role assignment list", 0, own + "\n"})
	h.must(t, 0, "the table lifeboat of stlifeboat1", "The backups stay", "  az role assignment delete --ids "+backups+"\n",
		"az keyvault role assignment delete --hsm-name NAME --assignee-object-id 0c0ffee0-0000-4000-8000-000000000003")
	if strings.Contains(h.out, own) {
		t.Errorf("a grant that goes with the group is to be revoked:\n%s", h.out)
	}

	for _, foreign := range []string{
		"Microsoft.ApiManagement/service\\tcontoso", "Microsoft.KeyVault/managedHSMs\\tcontoso-hsm", "microsoft.confidentialledger/ledgers\\tcontoso-ledger",
		"Microsoft.ConfidentialLedger/managedCCFs\\tcontoso-ccf", "MICROSOFT.STORAGE/STORAGEACCOUNTS\\tstbackups",
	} {
		for _, tag := range []string{"None", "prod"} { // a policy may give each resource the tags of its group
			h = hook(t, "predown", nil, true, exists, answer{"resource list", 0, ours + foreign + "\\t" + tag + "\n"})
			h.must(t, 1, "Nothing was deleted.", strings.ReplaceAll(foreign, "\\t", " "))
			if strings.Contains(h.out, "Revoke") || strings.Contains(h.out, "stlifeboat1") {
				t.Error(h.out)
			}
		}
	}
	for _, foreign := range []string{
		"Microsoft.Sql/servers/databases\\torders/master\\tNone", "Microsoft.Web/sites\\tshop\\tother", "Microsoft.Insights/actionGroups\\ton-call\\tNone",
	} {
		h = hook(t, "predown", nil, true, exists, answer{"resource list", 0, ours + foreign + "\n"})
		words := strings.Split(foreign, "\\t")
		h.must(t, 1, "Nothing was deleted.", words[0]+" "+words[1])
	}
	h = hook(t, "predown", nil, true, exists, answer{"resource list", 0, ours + // Azure makes these by itself, without tags
		"Microsoft.Network/networkInterfaces\\tpep-blob.nic.1\\tNone\nmicrosoft.alertsmanagement/smartDetectorAlertRules\\tFailure Anomalies - appi\\tNone\n" +
		"microsoft.insights/actiongroups\\tApplication Insights Smart Detection\\tNone\n"})
	h.must(t, 0, "azd down deletes the resource group rg-lifeboat-prod")

	h = hook(t, "predown", map[string]string{"AZURE_RESOURCE_GROUP": "", "LIFEBOAT_STORAGE_ACCOUNT": "", "LIFEBOAT_PRINCIPAL_ID": ""}, true, exists, answer{"resource list", 0, ours})
	h.must(t, 0, "azd down deletes the resource group rg-lifeboat-prod", "the table lifeboat of its account")

	hook(t, "predown", nil, true, exists, answer{"resource list", 1, "AuthorizationFailed\n"}).must(t, 1, "Nothing was deleted.", "cannot list")
	hook(t, "predown", nil, true, answer{"group exists", 1, "Please run az login\n"}).must(t, 1, "Nothing was deleted.", "az login")
	hook(t, "predown", nil, false).must(t, 1, "Nothing was deleted.", "az is not installed")
	h = hook(t, "predown", nil, true, answer{"group exists", 0, "false\n"})
	h.must(t, 0)
	if len(h.calls) != 1 {
		t.Error(h.calls)
	}

	// A look that az refused stands in the list: "none" would be believed.
	h = hook(t, "predown", nil, true, exists, answer{"resource list", 0, ours}, answer{"account list", 0, subscription + "\nB\n"},
		answer{"role assignment list --subscription B", 1, "unrecognized arguments: --assignee-object-id\n"})
	h.must(t, 0, "  (not all: az cannot list the grants in the subscription B; look there by hand, or with az 2.72 or later)\n")
	if strings.Contains(h.out, "(none") {
		t.Errorf("none, though it did not look everywhere:\n%s", h.out)
	}
	h = hook(t, "predown", nil, true, exists, answer{"resource list", 0, ours}, answer{"account list", 1, "no\n"})
	h.must(t, 0, "  (not all: az cannot list the grants in other subscriptions than "+subscription+";")
	h = hook(t, "predown", nil, true, exists, answer{"resource list", 0, ours}, answer{"account list", 0, subscription + "\n"})
	h.must(t, 0, "  (none that this sign-in can see)\n")
}
