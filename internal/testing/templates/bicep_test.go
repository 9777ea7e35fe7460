package templates_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"lifeboat/internal/config"
	grants "lifeboat/internal/roles"
	"lifeboat/internal/services"
	"lifeboat/internal/testing/templates"
)

var update = flag.Bool("update", false, "write azuredeploy.json and the predictions anew")

// root is the repository, from this folder.
const root = "../../.."

// Where the predictions are made for: nothing of it exists.
const (
	subscription = "0c0ffee0-0000-4000-8000-000000000001"
	tenant       = "0c0ffee0-0000-4000-8000-000000000002"
	group        = "rg-lifeboat-prod"
	location     = "westeurope"
	deployment   = "lifeboat"
)

// TestTemplates needs bicep and shellcheck, so make templates runs it, and make test does not.
func TestTemplates(t *testing.T) {
	program, err := templates.Find()
	if err != nil {
		t.Fatal(err)
	}
	b, err := templates.Start(t.Context(), program)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	t.Run("lint", func(t *testing.T) { lint(t, program) })
	t.Run("format", func(t *testing.T) { format(t, b) })
	t.Run("compiled", func(t *testing.T) { compiled(t, b) })
	t.Run("predictions", func(t *testing.T) { predictions(t, program, b) })
	t.Run("plan", func(t *testing.T) { ofPlan(t, program, b) })
	t.Run("refused", func(t *testing.T) { refused(t, b) })
	t.Run("shellcheck", shellcheck)
}

// run runs a program in a folder, and returns what it wrote and whether it ended well.
func run(t *testing.T, folder string, program string, args ...string) (string, bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = folder
	out, err := cmd.CombinedOutput()
	if exit := new(exec.ExitError); err != nil && !asExit(err, &exit) {
		t.Fatal(program, err)
	}
	return string(out), err == nil
}

func asExit(err error, exit **exec.ExitError) bool {
	e, ok := err.(*exec.ExitError) //nolint:errorlint // exec returns it unwrapped
	*exit = e
	return ok
}

// lint checks that the linter has nothing to say, and that it would.
func lint(t *testing.T, program string) {
	if out, ok := run(t, root, program, "lint", "--pattern", "infra/**/*.bicep"); !ok || strings.TrimSpace(out) != "" {
		t.Errorf("bicep lint:\n%s", out)
	}
	folder := t.TempDir()
	write(t, filepath.Join(folder, "bicepconfig.json"), read(t, root+"/bicepconfig.json"))
	write(t, filepath.Join(folder, "bad.bicep"), "@description('Nobody asks for it.')\nparam unused string\n")
	if out, ok := run(t, folder, program, "lint", "bad.bicep"); ok || !strings.Contains(out, "Error no-unused-params") {
		t.Errorf("a parameter that nothing uses is no error:\n%s", out)
	}
}

// format checks that each file is as bicep format leaves it.
func format(t *testing.T, b *templates.Bicep) {
	for _, path := range bicepFiles(t) {
		var result struct{ Contents string }
		if err := b.Call("bicep/format", map[string]any{"path": absolute(t, path)}, &result); err != nil {
			t.Fatal(path, err)
		}
		if strings.TrimSpace(result.Contents) != strings.TrimSpace(read(t, path)) {
			t.Errorf("%s is not formatted: bicep format %[1]s", path)
		}
	}
}

// compiled checks that azuredeploy.json is app.bicep. A compiler of another version writes another version and other hashes.
func compiled(t *testing.T, b *templates.Bicep) {
	text := compile(t, b, root+"/infra/app.bicep")
	path := root + "/azuredeploy.json"
	if *update {
		write(t, path, text)
	}
	if err := sameTemplate(text, read(t, path)); err != nil {
		t.Errorf("azuredeploy.json is not of infra/app.bicep (go test ./internal/testing/templates -run TestTemplates -update): %v", err)
	}
	for name, change := range map[string][2]string{
		"another setting":  {`"LIFEBOAT_PLAN"`, `"LIFEBOAT_PLANS"`},
		"another hash":     {`"templateHash": "`, `"templateHash": "1`},
		"another grant":    {`'Storage Table Data Contributor'`, `'Storage Table Data Reader'`},
		"a missing output": {`"LIFEBOAT_APP"`, `"LIFEBOAT_SITE"`},
	} {
		changed := strings.Replace(text, change[0], change[1], 1)
		if changed == text {
			changed = strings.Replace(text, strings.Trim(change[0], "'"), strings.Trim(change[1], "'"), 1)
		}
		if changed == text {
			t.Fatal(name, "is no change")
		}
		if sameTemplate(text, changed) == nil {
			t.Errorf("%s was not seen", name)
		}
	}
	older := regexp.MustCompile(`"version": "0\.[0-9.]+"`).ReplaceAllString(text, `"version": "0.1.2.3"`)
	older = regexp.MustCompile(`"templateHash": "[0-9]+"`).ReplaceAllString(older, `"templateHash": "1"`)
	if err := sameTemplate(text, older); err != nil {
		t.Errorf("another version of the compiler makes a difference: %v", err)
	}
}

// compile returns the template of a Bicep file.
func compile(t *testing.T, b *templates.Bicep, path string) string {
	t.Helper()
	var result struct {
		Success     bool
		Contents    string
		Diagnostics []struct{ Level, Code, Message string }
	}
	if err := b.Call("bicep/compile", map[string]any{"path": absolute(t, path)}, &result); err != nil {
		t.Fatal(path, err)
	}
	if !result.Success || len(result.Diagnostics) > 0 {
		t.Fatal(path, result.Diagnostics)
	}
	return result.Contents
}

// sameTemplate compares two templates. The notes of the generator about itself count only if both are of one version.
func sameTemplate(a, b string) error {
	var one, two any
	if err := json.Unmarshal([]byte(a), &one); err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(b), &two); err != nil {
		return err
	}
	version := func(template any) any {
		metadata, _ := template.(map[string]any)["metadata"].(map[string]any)
		generator, _ := metadata["_generator"].(map[string]any)
		return generator["version"]
	}
	if version(one) != version(two) {
		forget(one)
		forget(two)
	}
	return same("", one, two)
}

// forget removes the version of the generator, and its hashes, from a template and those in it.
func forget(value any) {
	switch value := value.(type) {
	case map[string]any:
		if generator, ok := value["_generator"].(map[string]any); ok {
			delete(generator, "version")
			delete(generator, "templateHash")
		}
		for _, v := range value {
			forget(v)
		}
	case []any:
		for _, v := range value {
			forget(v)
		}
	}
}

// same returns the first difference of two JSON values.
func same(at string, a, b any) error {
	switch x := a.(type) {
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok {
			break
		}
		for _, key := range slices.Sorted(maps.Keys(x)) {
			if _, ok := y[key]; !ok {
				return fmt.Errorf("%s/%s is missing", at, key)
			}
			if err := same(at+"/"+key, x[key], y[key]); err != nil {
				return err
			}
		}
		for _, key := range slices.Sorted(maps.Keys(y)) {
			if _, ok := x[key]; !ok {
				return fmt.Errorf("%s/%s is too many", at, key)
			}
		}
		return nil
	case []any:
		y, ok := b.([]any)
		if !ok || len(x) != len(y) {
			break
		}
		for i := range x {
			if err := same(fmt.Sprintf("%s/%d", at, i), x[i], y[i]); err != nil {
				return err
			}
		}
		return nil
	default:
		if a == b {
			return nil
		}
	}
	return fmt.Errorf("%s is %.200v, and not %.200v", at, b, a)
}

// predictions checks what each option deploys against infra/testdata. "bicep snapshot --mode validate" says in people's words how a
// prediction differs; but it overlooks outputs (0.49.2), so the whole of each is compared here as well.
func predictions(t *testing.T, program string, b *templates.Bicep) {
	paths, err := filepath.Glob(root + "/infra/testdata/*.bicepparam")
	if err != nil || len(paths) < 15 {
		t.Fatal(paths, err)
	}
	var wait sync.WaitGroup
	turns := make(chan struct{}, 2) // processors
	for _, path := range paths {
		now := predict(t, b, path)
		if *update {
			write(t, golden(path), now)
		}
		if err := samePrediction(now, read(t, golden(path))); err != nil {
			t.Errorf("%s is not what %s deploys (-update writes it): %v", golden(path), filepath.Base(path), err)
		}
		wait.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			if out, ok := validate(t, program, path); !ok {
				t.Errorf("bicep snapshot --mode validate %s:\n%s", filepath.Base(path), out)
			}
		})
	}
	wait.Wait()
	known, err := filepath.Glob(root + "/infra/testdata/*.snapshot.json")
	if err != nil || len(known) != len(paths) {
		t.Errorf("%d predictions of %d options: %v", len(known), len(paths), err)
	}

	folder := copyInfra(t)
	path := filepath.Join(folder, "infra/testdata/grants-hsm.bicepparam")
	right := read(t, golden(path))
	for change, overlooked := range map[[2]string]bool{
		{`"principalType": "ServicePrincipal"`, `"principalType": "User"`}:         false,
		{`"apiVersion": "2022-04-01"`, `"apiVersion": "2020-04-01"`}:               false,
		{`az keyvault role assignment create`, `az keyvault role assignment give`}: true,
	} {
		wrong := strings.Replace(right, change[0], change[1], 1)
		write(t, golden(path), wrong)
		if samePrediction(right, wrong) == nil {
			t.Errorf("%s was not seen", change[1])
		}
		if _, ok := validate(t, program, path); ok != overlooked {
			t.Errorf("bicep snapshot --mode validate overlooks %s: %v", change[1], ok)
		}
	}
}

// ofPlan checks the template that lifeboat plan roles prints, where a user puts it: in infra. The linter has nothing to say, and
// infra/testdata/plan keeps the prediction.
func ofPlan(t *testing.T, program string, b *templates.Bicep) {
	folder := copyInfra(t)
	path := filepath.Join(folder, "infra/grants.plan.bicep")
	text := planTemplate(t)
	write(t, path, text)
	write(t, strings.TrimSuffix(path, ".bicep")+".bicepparam", "using 'grants.plan.bicep'\n")
	if out, ok := run(t, folder, program, "lint", path); !ok || strings.TrimSpace(out) != "" {
		t.Errorf("bicep lint:\n%s", out)
	}
	compile(t, b, path)
	var formatted struct{ Contents string }
	if err := b.Call("bicep/format", map[string]any{"path": path}, &formatted); err != nil {
		t.Fatal(err)
	}
	if formatted.Contents != text {
		t.Errorf("bicep format would write:\n%s", formatted.Contents)
	}
	now := predict(t, b, strings.TrimSuffix(path, ".bicep")+".bicepparam")
	if *update {
		write(t, planFolder+"grants.snapshot.json", now)
	}
	if err := samePrediction(now, read(t, planFolder+"grants.snapshot.json")); err != nil {
		t.Errorf("infra/testdata/plan/grants.snapshot.json is not what the grants of plan.yaml deploy (-update writes it): %v", err)
	}
}

// golden is the file with the prediction of a parameter file: where bicep looks for it.
func golden(path string) string { return strings.TrimSuffix(path, ".bicepparam") + ".snapshot.json" }

// ofSubscription says whether the template of a parameter file is for a subscription rather than for a resource group.
func ofSubscription(t *testing.T, path string) bool {
	t.Helper()
	using := regexp.MustCompile(`(?m)^using '(.+)'$`).FindStringSubmatch(read(t, path))
	if using == nil {
		t.Fatal(path, "uses nothing")
	}
	return strings.Contains(read(t, filepath.Join(filepath.Dir(path), using[1])), "\ntargetScope = 'subscription'\n")
}

// snapshot asks for a prediction. Bicep writes its outputs in another order at each run (0.49.2), so a kept one has them sorted.
func snapshot(t *testing.T, b *templates.Bicep, path string) (string, error) {
	t.Helper()
	metadata := map[string]any{"tenantId": tenant, "subscriptionId": subscription, "location": location, "deploymentName": deployment}
	if !ofSubscription(t, path) {
		metadata["resourceGroup"] = group
	}
	var result struct{ Snapshot string }
	err := b.Call("bicep/getSnapshot", map[string]any{"path": absolute(t, path), "metadata": metadata, "externalInputs": []any{}}, &result)
	return result.Snapshot, err
}

// predict returns a prediction as it is kept.
func predict(t *testing.T, b *templates.Bicep, path string) string {
	t.Helper()
	text, err := snapshot(t, b, path)
	if err != nil {
		t.Fatal(path, err)
	}
	var parts struct {
		PredictedResources json.RawMessage   `json:"predictedResources"`
		Diagnostics        []json.RawMessage `json:"diagnostics"`
		Outputs            map[string]any    `json:"outputs"` // written in the order of their names
	}
	if err := json.Unmarshal([]byte(text), &parts); err != nil {
		t.Fatal(path, err)
	}
	if len(parts.Diagnostics) > 0 {
		t.Errorf("%s: %s", path, parts.Diagnostics)
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(parts); err != nil {
		t.Fatal(path, err)
	}
	return out.String()
}

func samePrediction(now, kept string) error {
	var one, two any
	if err := json.Unmarshal([]byte(now), &one); err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(kept), &two); err != nil {
		return err
	}
	return same("", one, two)
}

// validate runs bicep snapshot --mode validate on a parameter file.
func validate(t *testing.T, program, path string) (string, bool) {
	args := []string{
		"snapshot", filepath.Base(path), "--mode", "validate", "--tenant-id", tenant, "--subscription-id", subscription,
		"--location", location, "--deployment-name", deployment,
	}
	if !ofSubscription(t, path) {
		args = append(args, "--resource-group", group)
	}
	return run(t, filepath.Dir(path), program, args...)
}

// refused checks that options which contradict each other are refused before anything is deployed, with the reason.
func refused(t *testing.T, b *templates.Bicep) {
	for name, reason := range map[string]string{
		"no-subnet":                "network is existing, and appSubnetId is empty",
		"no-endpoint-subnet":       "network is existing, and endpointSubnetId is empty",
		"zones-elsewhere":          "privateDns is new, and network is existing",
		"endpoint-without-network": "endpoints need a network",
		"sign-in-for-anybody":      "without them any identity of the tenant gets in",
		"availability-from-inside": "availability needs publicNetworkAccess",
		"people-without-a-topic":   "eventsTeams and eventsTickets need eventGrid",
		"people-in-a-network":      "eventsTeams and eventsTickets need roleAssignments, and network none",
		"two-topics":               "eventGrid makes a topic, and eventsTopic names another",
	} {
		_, err := snapshot(t, b, root+"/infra/testdata/refused/"+name+".bicepparam")
		if err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%s: the error is %v, and not about: %s", name, err, reason)
		}
	}
}

// shellcheck checks the hooks, a script of plan roles with all kinds of lines, and that it would find something.
func shellcheck(t *testing.T) {
	program, err := exec.LookPath("shellcheck")
	if err != nil {
		program = os.Getenv("SHELLCHECK")
	}
	if program == "" {
		t.Fatal("there is no shellcheck here: make templates installs it, or put it onto the PATH, or its path into SHELLCHECK")
	}
	paths, err := filepath.Glob(root + "/infra/hooks/*.sh")
	if err != nil || len(paths) != 3 {
		t.Fatal(paths, err)
	}
	paths = append(paths, filepath.Join(t.TempDir(), "roles.sh"))
	write(t, paths[3], rolesScript(t))
	if out, ok := run(t, ".", program, append([]string{"--enable=all", "--exclude=SC2250,SC2312", "--shell=sh"}, paths...)...); !ok {
		t.Errorf("shellcheck:\n%s", out)
	}
	bad := filepath.Join(t.TempDir(), "bad.sh")
	write(t, bad, "#!/bin/sh\nrm -rf $1\n")
	if out, ok := run(t, ".", program, bad); ok || !strings.Contains(out, "SC2086") {
		t.Errorf("a word without quotes is no error:\n%s", out)
	}
}

// rolesScript is the script of plan roles for an edit: it gives and takes away roles of each kind.
func rolesScript(t *testing.T) string {
	t.Helper()
	const before, middle = "/subscriptions/" + subscription + "/resourceGroups/live/providers/", ", container: copies}\n"
	of := func(name, targets string) []grants.Assignment {
		known := services.All().Known()
		plans, _, err := config.NewReader(known).Parse(name, []byte("version: 1\ndefaults:\n  storage: {account: "+before+
			"Microsoft.Storage/storageAccounts/copies"+middle+"plans:\n  - name: p\n    schedule: 0 3 * * *\n    keep: {within: 20d}\n"+
			"    targets: ["+targets+"]\n"))
		if err != nil {
			t.Fatal(err)
		}
		return grants.Of(plans, known)
	}
	old := of("old.yaml", before+"Microsoft.ApiManagement/service/gone, "+before+"Microsoft.KeyVault/managedHSMs/gone")
	edited := of("new.yaml", before+"Microsoft.ApiManagement/service/new, "+before+"Microsoft.KeyVault/managedHSMs/new, "+before+
		"Microsoft.ConfidentialLedger/ledgers/new")
	_, revoke := grants.Compare(old, edited)
	script := grants.Az(edited, revoke, tenant)
	for _, line := range []string{"define", "container", "give", "take", "local_give", "local_take"} {
		if !strings.Contains(script, "\n"+line+" ") {
			t.Errorf("the script of an edit has no line with %s:\n%s", line, script)
		}
	}
	return script
}

// copyInfra copies infra and bicepconfig.json into a folder.
func copyInfra(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	if err := os.CopyFS(filepath.Join(folder, "infra"), os.DirFS(root+"/infra")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(folder, "bicepconfig.json"), read(t, root+"/bicepconfig.json"))
	return folder
}

// bicepFiles are all Bicep files, without the parameter files.
func bicepFiles(t *testing.T) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(root+"/infra", func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".bicep") {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil || len(paths) < 15 {
		t.Fatal(paths, err)
	}
	return paths
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}
