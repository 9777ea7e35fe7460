package ledger_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/cli/ledger"
	"lifeboat/internal/testing/fakeazure/ccfwriter"
)

// folder writes a ledger into a new folder.
func folder(t *testing.T, change func(ccfwriter.File) ccfwriter.File) string {
	t.Helper()
	l := ccfwriter.New(ccfwriter.V6, 1)
	l.Open()
	l.Close()
	l.Transact(3)
	l.Sign()
	root := t.TempDir()
	for _, f := range l.Files() {
		f = change(f)
		path := filepath.Join(root, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func whole(f ccfwriter.File) ccfwriter.File { return f }

// run runs the command, while a second passes at each look at the clock.
func run(t *testing.T, watched bool, args ...string) (out, errs string, err error) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	now := time.Unix(0, 0)
	c := ledger.Command(ledger.Shell{
		Getenv: func(string) string { return "" },
		Stdout: &stdout, Stderr: &stderr, Width: func() int { return 0 }, Watched: func() bool { return watched },
		Now: func() time.Time { now = now.Add(time.Second); return now },
	})
	c.SilenceErrors, c.SilenceUsage = true, true
	c.SetArgs(args)
	c.SetContext(t.Context())
	err = c.Execute()
	return stdout.String(), stderr.String(), err
}

func TestVerify(t *testing.T) {
	copied := folder(t, whole)
	zeros := folder(t, func(f ccfwriter.File) ccfwriter.File {
		if strings.Contains(f.Name, "committed") {
			f.Content = make([]byte, len(f.Content))
		}
		return f
	})
	for _, c := range []struct {
		name, folder, out, err string
	}{
		{"a good copy", copied, "proven up to  2.6", ""},
		{"each signature", copied, "proven up to  2.6", ""},
		{"a copy in progress", zeros, "still being copied: verify it later", "is not proven: 1 file still being copied"},
		{"no ledger", t.TempDir(), "error NoLedger  there is no file of a ledger\n", "is not proven: 1 error"},
		{"no folder", filepath.Join(copied, "nothing"), "", "no such file"},
		{"a file", filepath.Join(copied, "ledger", "ledger_5"), "", "is no folder"},
	} {
		args := []string{"verify", c.folder}
		if c.name == "each signature" {
			args = append(args, "--every-signature")
		}
		out, errs, err := run(t, false, args...)
		if !strings.Contains(out, c.out) || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) || errs != "" {
			t.Errorf("%s: %s%s%v", c.name, out, errs, err)
		}
	}
}

func TestVerifyForPrograms(t *testing.T) {
	out, _, err := run(t, false, "verify", folder(t, whole), "-o", "json")
	if err != nil {
		t.Fatal(err)
	}
	var r map[string]any
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	if errors, ok := r["errors"].([]any); r["proven"] != true || r["signed"] != "2.6" || !ok || len(errors) != 0 {
		t.Error(out)
	}
	if _, _, err := run(t, false, "verify", t.TempDir(), "-o", "xml"); err == nil || !strings.Contains(err.Error(), "-o is one of table, json") {
		t.Error(err)
	}
}

func TestVerifyShowsItsProgress(t *testing.T) {
	_, errs, err := run(t, true, "verify", folder(t, whole))
	if err != nil || !strings.Contains(errs, " MB/s") || !strings.HasSuffix(errs, "\r\x1b[K") {
		t.Errorf("%q %v", errs, err)
	}
}
