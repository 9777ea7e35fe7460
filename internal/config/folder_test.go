package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lifeboat/internal/backup"
	"lifeboat/internal/config"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
)

// planFile returns the text of a file of plans: one plan of the name with the target.
func planFile(plan, target string) string {
	const scope = "/subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/b/providers/Microsoft."
	return `version: 1
plans:
  - name: ` + plan + `
    schedule: "0 2 * * *"
    keep: {within: 20d}
    storage: {account: ` + scope + `Storage/storageAccounts/contoso, container: backups}
    targets: [` + scope + target + `]
`
}

// folder makes a folder with these files.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestAFolderOfPlans: the plans of all files count together, in the order of their files, and only files of plans are read. Each
// file has defaults of its own.
func TestAFolderOfPlans(t *testing.T) {
	utc := strings.Replace(planFile("second", "ApiManagement/service/two"), "plans:\n", "defaults: {timeZone: Asia/Tokyo}\nplans:\n", 1)
	dir := folder(t, map[string]string{
		"b.yaml": planFile("first", "ApiManagement/service/one") + "\n\n# Lifeboat's file 3 \"x\"\n", "c.YML": utc + "\n\n", "README.md": "no plan", ".a.yaml": "no plan",
		"a.yaml": "version: 1\nplans: []",
	})
	if err := os.Mkdir(filepath.Join(dir, "d.yaml"), 0o700); err != nil {
		t.Fatal(err)
	}
	plans, _, err := reader.File(dir, 1)
	if err != nil || len(plans) != 2 || plans[0].Name != "first" || plans[1].Name != "second" || plans[0].Schedule.Zone.String() != "UTC" || plans[1].Schedule.Zone.String() != "Asia/Tokyo" {
		t.Fatalf("%+v, %v", plans, err)
	}
	source, err := config.Settings{Plan: dir, WaitFactor: 1}.PlanSource(reader, nil, azcore.ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	text, err := source.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second one with what plans select, which none does
		if plans, err := source.Parse(text); err != nil || len(plans) != 2 {
			t.Errorf("%+v, %v", plans, err)
		}
		text = backup.WithPicks(text, []backup.Pick{{Plan: "first", Key: "none"}})
	}
}

// TestMistakesInAFolder: each mistake names its file, and the rules of one file hold between two.
func TestMistakesInAFolder(t *testing.T) {
	one := planFile("one", "KeyVault/managedHSMs/contoso")
	for name, c := range map[string]struct{ a, b, says string }{
		"two of one name":     {one, planFile("one", "ApiManagement/service/x"), `/b.yaml:3: there are two plans with the name "one"`},
		"of one artifact":     {one, strings.Replace(planFile("two", "KeyVault/managedHSMs/contoso"), "managedHSMs/contoso", "managedHSMs/CONTOSO", 1), ""},
		"backups of one name": {one, strings.Replace(strings.Replace(planFile("two", "KeyVault/managedHSMs/contoso"), "resourceGroups/b/providers/Microsoft.KeyVault", "resourceGroups/c/providers/Microsoft.KeyVault", 1), "x", "x", 1), "/a.yaml:7) could get the same name"},
		"a broken file":       {"plans: [", planFile("two", "ApiManagement/service/x"), "/a.yaml:"},
		"in both":             {strings.Replace(one, "20d", "20y", 1), strings.Replace(planFile("two", "ApiManagement/service/x"), "20d", "20y", 1), "/b.yaml:5: "},
		"an empty file":       {"", one, "/a.yaml: the file is empty"},
	} {
		_, _, err := reader.File(folder(t, map[string]string{"a.yaml": c.a, "b.yaml": c.b}), 1)
		if c.says == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := reader.File(folder(t, nil), 1); err == nil || !strings.Contains(err.Error(), "no file whose name ends in .yaml") {
		t.Errorf("an empty folder: %v", err)
	}
	long := "version: 1\nplans: [] #" + strings.Repeat("x", 600_000)
	if _, _, err := reader.File(folder(t, map[string]string{"a.yaml": long, "b.yaml": long}), 1); err == nil || !strings.Contains(err.Error(), "the files are too long") {
		t.Errorf("long files: %.200v", err)
	}
	if _, _, err := reader.Parse("plan.yaml", []byte("# Lifeboat's file 1000 \"x\"\n"+one)); err == nil || !strings.Contains(err.Error(), "take it out") {
		t.Errorf("a mark of a file that is none: %v", err)
	}
}
