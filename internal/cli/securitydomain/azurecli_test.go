//go:build azurecli

package securitydomain_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// azureCase is a file with keys for Azure CLI, and its answer.
type azureCase struct {
	Name      string   `json:"name"`
	File      string   `json:"file"`
	Keys      []string `json:"keys"`
	Passwords []string `json:"passwords"`
	Opens     bool     `json:"opens"`
	Said      string   `json:"said"`
}

// python runs the script beside Azure CLI, whose Python LIFEBOAT_AZURECLI names, on the cases.
func python(t *testing.T, folder, mode string, in, out any) {
	t.Helper()
	script, err := filepath.Abs(filepath.Join(home, "../../testing/clients/azuredomains.py"))
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), os.Getenv("LIFEBOAT_AZURECLI"), "-W", "ignore", script, mode)
	c.Dir, c.Stdin, c.Stderr = folder, bytes.NewReader(must(json.Marshal(in))), os.Stderr
	c.Env = append(os.Environ(), "AZURE_CONFIG_DIR="+t.TempDir())
	answer, err := c.Output()
	if err != nil {
		t.Fatal(err, string(answer))
	}
	if err := json.Unmarshal(answer, out); err != nil {
		t.Fatal(err, string(answer))
	}
}

// home is the folder of this package.
var home = must(os.Getwd())

// notForAzure are situations whose damage Azure CLI would not see, or that are about this command alone: only the check sees them.
func notForAzure(s situation) bool {
	damage := strings.Fields(s.codes)
	return s.outcome == "" || !strings.Contains(s.args, "k:") || strings.Contains(s.args, "--holder") || strings.Contains(s.args, "--attestation") || strings.Contains(s.args, "--password-file wrong") ||
		slices.ContainsFunc(damage, func(code string) bool {
			return slices.Contains([]string{"PartMissing", "PartTwice", "ShareMissing"}, code)
		}) ||
		slices.Contains([]string{
			"ten megabytes", "a million shares", "many shares", "no file", "a large key file", "a folder as a key",
			"padded base64", "a line break in a share", "many parts", "a part with a wrapped key", "a raised quorum", "RSA1_5", "another cipher",
			"a compressed share", "a critical header", "a share that is null", "a damaged share of nobody's key",
		}, s.name)
}

// keyFilesOf returns the key files of a situation, the protected ones first: Azure CLI gives passwords by their order.
func keyFilesOf(s situation) (files, passwords []string) {
	for _, word := range strings.Fields(s.args) {
		if name, ok := strings.CutPrefix(word, "k:"); ok {
			files = append(files, name+".key")
		}
	}
	protected := func(name string) bool {
		return strings.Contains(s.args, "--password-file") && slices.Contains([]string{"pbes2.key", "legacy.key", "old.key", "scrypt.key"}, name)
	}
	slices.SortStableFunc(files, func(a, b string) int {
		switch {
		case protected(a) == protected(b):
			return 0
		case protected(a):
			return -1
		}
		return 1
	})
	for _, name := range files {
		if protected(name) {
			passwords = append(passwords, password)
		}
	}
	return files, passwords
}

// TestAgainstAzureCLI opens the situations with Azure CLI. The check opens each file that Azure CLI opens, and explains each refusal.
func TestAgainstAzureCLI(t *testing.T) {
	w := newWorld(t)
	var cases []azureCase
	var of []situation
	for _, s := range situations {
		if notForAzure(s) {
			continue
		}
		s.lay(t, w)
		name := "domain" + strings.ReplaceAll(s.name, " ", "-") + ".json"
		if err := os.Rename(filepath.Join(w.folder, "domain.json"), filepath.Join(w.folder, name)); err != nil {
			t.Fatal(err)
		}
		c := azureCase{Name: s.name, File: name}
		c.Keys, c.Passwords = keyFilesOf(s)
		cases, of = append(cases, c), append(of, s)
	}
	var answers []azureCase
	python(t, w.folder, "open", cases, &answers)
	if len(answers) != len(cases) || len(cases) < 60 {
		t.Fatalf("%d answers to %d cases", len(answers), len(cases))
	}
	opened := 0
	for i, a := range answers {
		s := of[i]
		switch {
		case a.Opens:
			opened++
			if s.outcome != recoverable {
				t.Errorf("%s: Azure CLI opens it, and the check says %s", s.name, s.outcome)
			}
		case s.outcome == recoverable && s.codes == "":
			t.Errorf("%s: the check opens it without a word, and Azure CLI says %q", s.name, a.Said)
		case s.outcome == noQuorum && s.codes == "" && !strings.Contains(a.Said, "should not less than"):
			t.Errorf("%s: Azure CLI says %q, and the check only that keys are missing", s.name, a.Said)
		}
		t.Logf("%-50s %-20s %s", s.name, s.outcome, strings.TrimSpace(map[bool]string{true: "opens"}[a.Opens]+a.Said))
	}
	if opened < 10 {
		t.Errorf("Azure CLI opens only %d", opened)
	}
}

// TestDomainsOfAzureCLI checks security domains that were written with the cryptography of Azure CLI, with key files of its library.
func TestDomainsOfAzureCLI(t *testing.T) {
	folder := t.TempDir()
	t.Chdir(folder)
	type made struct {
		File string   `json:"file"`
		Keys []string `json:"keys"`
	}
	var all []made
	python(t, folder, "make", map[string]string{"password": password}, &all)
	if err := os.WriteFile("passwords", []byte(password), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		args := []string{"check", m.File, "--password-file", "passwords", "-o", "json"}
		for _, key := range m.Keys {
			args = append(args, "--key", key)
		}
		out, errs, code := run(t.Context(), nobody, args...)
		if code != 0 || strings.Contains(out, "NotForAzureCLI") {
			t.Errorf("%s: %d %s%s", m.File, code, out, errs)
		}
	}
	if len(all) < 3 {
		t.Errorf("only %d security domains", len(all))
	}
	out, _, code := run(t.Context(), nobody, "check", "blob.json")
	if code != 3 || !strings.Contains(out, "it is a restore blob") {
		t.Errorf("the restore blob of Azure CLI: %d %s", code, out)
	}
}
