package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestInstall checks that make install puts a program that works where it should, and says what the PATH lacks.
func TestInstall(t *testing.T) {
	t.Parallel()
	prefix := filepath.Join(t.TempDir(), "some where")
	bin := filepath.Join(prefix, "bin")
	program := filepath.Join(bin, "lifeboat")
	other := filepath.Join(t.TempDir(), "lifeboat")
	if err := os.WriteFile(other, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	var others []string // a program that this machine has is none of the cases
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if _, err := os.Stat(filepath.Join(dir, "lifeboat")); err != nil {
			others = append(others, dir)
		}
	}
	path := strings.Join(others, ":")
	advice := "put it on the PATH: export PATH=\"" + bin + ":$PATH\"\n"
	for _, c := range []struct{ name, path, arg, gobin, says string }{
		{"not on the PATH", "", "PREFIX=" + prefix, "", advice},
		{"on the PATH", bin + ":", "PREFIX=" + prefix, "", ""},
		{"another one before it", filepath.Dir(other) + ":" + bin + ":", "PREFIX=" + prefix, "", "the shell finds another one first: " + other + "\n" + advice},
		{"GOBIN", bin + ":", "", bin, ""},
	} {
		if err := os.RemoveAll(program); err != nil {
			t.Fatal(err)
		}
		install := exec.CommandContext(t.Context(), "make", "--no-print-directory", "install", c.arg)
		if c.arg == "" {
			install.Args = install.Args[:3]
		}
		install.Dir = "../../.."
		install.Env = append(os.Environ(), "PATH="+c.path+path, "GOBIN="+c.gobin, "PREFIX=", "MAKEFLAGS=")
		out, err := install.CombinedOutput()
		if err != nil || string(out) != "installed "+program+"\n"+c.says {
			t.Errorf("%s: %v\n%s", c.name, err, out)
		}
		if out, err := exec.CommandContext(t.Context(), program, "version").Output(); err != nil || !strings.HasPrefix(string(out), "lifeboat ") {
			t.Errorf("%s: version: %v, %s", c.name, err, out)
		}
	}
}
