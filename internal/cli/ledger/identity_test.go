package ledger_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lifeboat/internal/testing/fakeazure/ccfwriter"
)

// TestTheServiceIsPinned compares the identity with a certificate, and with the SHA-256 of a key.
func TestTheServiceIsPinned(t *testing.T) {
	l, other := history(1, 14), ccfwriter.New(ccfwriter.V6, 99)
	folder, keys := written(t, l.Files(), whole), t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(keys, name)
		must(t, os.WriteFile(path, []byte(content), 0o644))
		return path
	}
	for _, c := range []struct {
		name, value string
		code        int
		want        string
	}{
		{"its certificate", file("own.pem", l.Certificate()), 0, ""},
		{"its key", l.Service(), 0, ""},
		{"its key in capitals", strings.ToUpper(l.Service()), 0, ""},
		{"another certificate", file("other.pem", other.Certificate()), 3, "error ServiceIdentityDiffers  the identity is " + l.Service() + ", and should be " + other.Service() + "\n"},
		{"another key", other.Service(), 3, "error ServiceIdentityDiffers  "},
		{"no certificate", file("empty.pem", ""), 2, ""},
		{"a part of a key", l.Service()[:40], 2, ""},
		{"nothing", "", 2, ""},
	} {
		out, _, err := run(t, false, "verify", folder, "--service-certificate", c.value)
		if misused(err) != (c.code == 2) || c.code != 2 && code(err) != c.code || !strings.Contains(out, c.want) || (c.code == 2) != (out == "") {
			t.Errorf("%s: %v\n%s", c.name, err, out)
		}
	}
	out, _, err := run(t, false, "verify", folder, "--service-certificate", other.Service(), "-o", "json")
	var r struct {
		Proven bool
		Errors []struct{ Code string }
	}
	if e := json.Unmarshal([]byte(out), &r); e != nil || code(err) != 3 || r.Proven || len(r.Errors) != 1 || r.Errors[0].Code != "ServiceIdentityDiffers" {
		t.Errorf("%v %v\n%s", e, err, out)
	}
}
