package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const changelog = `# Changelog

## [Unreleased]

### Added

- What comes next.

## [0.1.1] - 2027-01-02

- A [link](x).

## [0.1.0] - 2027-01-01

- The first.

[0.1.0]: https://example.com/v0.1.0
`

// TestNotes checks that a release tells of its version alone, and before it has a section, of the section Unreleased.
func TestNotes(t *testing.T) {
	for version, want := range map[string]string{
		"v0.1.0": "- The first.", "v0.1.1": "- A [link](x).", "v0.2.0": "### Added\n\n- What comes next.", "v0.1": "### Added\n\n- What comes next.",
	} {
		made, err := notes([]byte(changelog), version, "go1.2.3")
		if err != nil {
			t.Fatal(err)
		}
		said, check, _ := strings.Cut(string(made), "\n\n### Check the files\n")
		if said != want {
			t.Errorf("the notes of %s are %q, want %q", version, said, want)
		}
		if !strings.Contains(check, "GOTOOLCHAIN=go1.2.3 make release VERSION="+version+"`") {
			t.Errorf("the notes do not say how to make %s: %s", version, check)
		}
	}
	if _, err := notes([]byte("# Changelog\n"), "v0.1.0", "go1.2.3"); err == nil {
		t.Error("a changelog that says nothing gave notes")
	}
}

// TestTemplate checks that only the default of the package's address changes.
func TestTemplate(t *testing.T) {
	const before = `{
  "metadata": {"packageUri": {"defaultValue": "no"}}, "outputs": [{"defaultValue": ""}],
  "parameters": {
    "alertEmail": { "type": "string", "defaultValue": "" },
    "packageUri": { "metadata": {"defaultValue": "no"}, "defaultValue" :  "" , "type": "string" }
  },
  "resources": []
}
`
	const uri = `https://example.com/a"b&c/app.zip`
	made, err := template([]byte(before), uri)
	if err != nil {
		t.Fatal(err)
	}
	value, _ := json.Marshal(uri)
	if want := strings.Replace(before, `"defaultValue" :  ""`, `"defaultValue" :  `+string(value), 1); string(made) != want {
		t.Errorf("the template is %s", made)
	}
	for _, wrong := range []string{`{"parameters": {}}`, `{"parameters": {"packageUri": {"type": "string"}}}`, `{"parameters": []}`, `{"parameters": {"packageUri"`} {
		if made, err := template([]byte(wrong), uri); err == nil {
			t.Errorf("%s became %s", wrong, made)
		}
	}
}

// TestSBOM checks that the document names the modules, and does not depend on the machine that made it.
func TestSBOM(t *testing.T) {
	said := `{"bomFormat": "CycloneDX", "metadata": {"tools": [{"name": "cyclonedx-gomod", "hashes": [{"alg": "MD5", "content": "beef"}]}]},
		"components": [{"name": "example.com/module", "hashes": [{"alg": "SHA-256", "content": "cafe"}]}]}`
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "said.json"), []byte(said), 0o600); err != nil {
		t.Fatal(err)
	}
	made := filepath.Join(folder, "made.json")
	if err := run(t.Context(), []string{"sbom", "v0.1.0", "lifeboat", made, "sh", "-c", `cat "$0" && echo "$@" >"$0.args"`, filepath.Join(folder, "said.json")}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(made)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "beef") || !strings.Contains(string(text), "cafe") || !strings.Contains(string(text), `"cyclonedx-gomod"`) {
		t.Errorf("the document is %s", text)
	}
	args, err := os.ReadFile(filepath.Join(folder, "said.json.args"))
	if err != nil || !strings.HasSuffix(string(args), " -version v0.1.0 lifeboat\n") {
		t.Errorf("the arguments are %q, %v", args, err)
	}
	if err := run(t.Context(), []string{"sbom", "v0.1.0", "lifeboat", made}); !errors.Is(err, errUsage) {
		t.Errorf("without a command the answer is %v", err)
	}
	for _, wrong := range [][]string{{"false"}, {"echo", "{}"}, {"echo"}} {
		if made, err := sbom(t.Context(), "v0.1.0", "lifeboat", wrong); err == nil {
			t.Errorf("%q gave %s", wrong, made)
		}
	}
}
