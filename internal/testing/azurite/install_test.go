package azurite

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckNodeVersion(t *testing.T) {
	for version, ok := range map[string]bool{
		"v20.20.2": true, "v22.0.0": true, "v100.1.0": true,
		"v19.9.0": false, "v8.1.2": false, "": false, "nonsense": false,
	} {
		if err := checkNodeVersion(version); (err == nil) != ok {
			t.Errorf("checkNodeVersion(%q) = %v, want ok %t", version, err, ok)
		}
	}
}

func TestCheckNode(t *testing.T) {
	fake := func(t *testing.T, programs map[string]string) {
		t.Helper()
		dir := t.TempDir()
		for name, script := range programs {
			if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		t.Setenv("PATH", dir)
	}
	for name, c := range map[string]struct {
		programs map[string]string
		want     string
	}{
		"nothing":       {nil, "npm is not installed"},
		"no Node.js":    {map[string]string{"npm": ""}, "node is not installed"},
		"old Node.js":   {map[string]string{"npm": "", "node": "echo v18.20.4"}, "v18.20.4 is too old"},
		"broken":        {map[string]string{"npm": "", "node": "exit 7"}, "exit status 7"},
		"recent enough": {map[string]string{"npm": "", "node": "echo v22.1.0"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			fake(t, c.programs)
			err := checkNode(t.Context())
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("checkNode = %v, want %q", err, c.want)
			}
		})
	}
}

func TestLockFile(t *testing.T) {
	if bytes.Contains(packageLock, []byte(`"resolved"`)) {
		t.Error("package-lock.json names the registry it was made with: leave the resolved fields out")
	}
	var lock struct {
		Packages map[string]struct {
			Version, Integrity string
		} `json:"packages"`
	}
	if err := json.Unmarshal(packageLock, &lock); err != nil {
		t.Fatal(err)
	}
	if got := lock.Packages["node_modules/azurite"].Version; got != version() {
		t.Errorf("package-lock.json has Azurite %q, package.json %q", got, version())
	}
	for name, p := range lock.Packages {
		if name != "" && p.Integrity == "" {
			t.Errorf("package-lock.json: %s has no integrity", name)
		}
	}
}
