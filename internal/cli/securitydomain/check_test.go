package securitydomain_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/cli/securitydomain"
	"lifeboat/internal/cli/usage"
	domain "lifeboat/internal/services/managedhsm/securitydomain"
	"lifeboat/internal/testing/fakeazure/domainwriter"
)

func thumbprint(h domainwriter.Holder) string {
	sum := sha256.Sum256(h.Cert.Raw)
	return hex.EncodeToString(sum[:])
}

func flip(jwe *string, part int) { *jwe = flipped(*jwe, part) }

// otherDownload is the file of another security domain for the same holders.
func otherDownload() domainwriter.File {
	return domainwriter.New("contoso-hsm", 2, people()["anchor"].Key, holders("alice", "bob", "carol")...).File()
}

// ofAnother replaces a share by the same holder's share of another download.
func ofAnother(n int) func(*world) []byte {
	return changed(func(_ *world, f *domainwriter.File) { f.SharedKeys.Shares[n] = otherDownload().SharedKeys.Shares[n] })
}

// content changes what alice's share has inside.
func content(change func([]byte) []byte) func(*world) []byte {
	return changed(func(w *world, f *domainwriter.File) {
		f.SharedKeys.Shares[0].Key = domainwriter.Wrap(&people()["alice"].Key.PublicKey, change(slices.Clone(w.three.Shares[0])))
	})
}

// words returns the arguments of a situation.
func (s situation) words() []string {
	words := []string{"check", "domain.json"}
	for _, word := range strings.Fields(s.args) {
		if name, ok := strings.CutPrefix(word, "k:"); ok {
			words = append(words, "--key", name+".key")
		} else {
			words = append(words, word)
		}
	}
	return words
}

// lay writes the file of a situation into the folder of the world.
func (s situation) lay(t *testing.T, w *world) {
	t.Helper()
	file := s.file
	if file == nil {
		file = plain
	}
	if err := os.RemoveAll(filepath.Join(w.folder, "domain.json")); err != nil {
		t.Fatal(err)
	}
	if content := file(w); content != nil {
		w.write(t, "domain.json", content)
	}
}

// now is after the certificates have expired.
func now() time.Time { return time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC) }

// run runs the command in the folder, and returns its exit code as the program does.
func run(ctx context.Context, password func(context.Context, string) ([]byte, error), args ...string) (out, errs string, code int) {
	var stdout, stderr bytes.Buffer
	c := securitydomain.Command(securitydomain.Shell{Stdout: &stdout, Stderr: &stderr, Now: now, Width: func() int { return 0 }, Version: "v1", Password: password})
	c.SilenceErrors, c.SilenceUsage = true, true
	c.SetArgs(args)
	err := c.ExecuteContext(ctx)
	if exit, ok := errors.AsType[usage.Exit](err); ok {
		return stdout.String(), stderr.String() + exit.Text, exit.Code
	}
	if err != nil {
		return stdout.String(), err.Error(), -1
	}
	return stdout.String(), stderr.String(), 0
}

func nobody(context.Context, string) ([]byte, error) { return nil, nil }

// answer is the part of the answer for programs that the cases state.
type answer struct {
	Outcome                 string
	SHA256                  string
	Errors, Warnings, Notes []struct{ Code string }
}

func TestSituations(t *testing.T) {
	w := newWorld(t)
	t.Chdir(w.folder)
	if len(situations) < 60 {
		t.Errorf("%d situations", len(situations))
	}
	for _, s := range situations {
		s.lay(t, w)
		before := listed(t, w.folder)
		out, errs, code := run(t.Context(), nobody, s.words()...)
		if code != s.code {
			t.Errorf("%s: exit code %d, not %d\n%s%s", s.name, code, s.code, out, errs)
		}
		for _, words := range strings.Split(s.expected, "|") {
			if !strings.Contains(out+errs, words) {
				t.Errorf("%s: no %q in\n%s%s", s.name, words, out, errs)
			}
		}
		if s.outcome != "" {
			s.json(t)
		} else if out != "" {
			t.Errorf("%s: it printed %s", s.name, out)
		}
		if after := listed(t, w.folder); !slices.Equal(before, after) {
			t.Errorf("%s: the files are others:\n%s\n%s", s.name, before, after)
		}
	}
}

// json checks the answer for programs.
func (s situation) json(t *testing.T) {
	t.Helper()
	out, _, code := run(t.Context(), nobody, append(s.words(), "-o", "json")...)
	var a answer
	if err := json.Unmarshal([]byte(out), &a); err != nil {
		t.Errorf("%s: %v\n%s", s.name, err, out)
	}
	var codes []string
	for _, f := range slices.Concat(a.Errors, a.Warnings, a.Notes) {
		codes = append(codes, f.Code)
	}
	if a.Outcome != s.outcome || strings.Join(codes, " ") != s.codes || code != s.code {
		t.Errorf("%s: %d %s %s, not %s %s", s.name, code, a.Outcome, codes, s.outcome, s.codes)
	}
}

// listed returns the names and hashes of the files in a folder.
func listed(t *testing.T, folder string) (files []string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		content, err := os.ReadFile(filepath.Join(folder, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(content)
		files = append(files, e.Name()+" "+hex.EncodeToString(sum[:8]))
	}
	return files
}

// TestAPersonIsAsked opens protected keys by what a person types, and stops when the person gives up.
func TestAPersonIsAsked(t *testing.T) {
	w := newWorld(t)
	t.Chdir(w.folder)
	situation{}.lay(t, w)
	var prompts []string
	types := func(typed string, err error) func(context.Context, string) ([]byte, error) {
		return func(_ context.Context, prompt string) ([]byte, error) {
			prompts = append(prompts, prompt)
			return []byte(typed), err
		}
	}
	args := []string{"check", "domain.json", "--key", "pbes2.key", "--key", "bob.key"}
	out, errs, code := run(t.Context(), types(password, nil), args...)
	if code != 0 || !slices.Equal(prompts, []string{"password of pbes2.key: "}) {
		t.Errorf("%d %q\n%s%s", code, prompts, out, errs)
	}
	if out, _, code := run(t.Context(), types("wrong", nil), args...); code != 2 || !strings.Contains(out, "no password that was given opens it") {
		t.Errorf("%d %s", code, out)
	}
	if _, errs, code := run(t.Context(), types("", errors.New("stopped")), args...); code != 1 || errs != "stopped\n" {
		t.Errorf("%d %s", code, errs)
	}
	prompts = nil
	if out, _, code := run(t.Context(), types("", nil), append(args, "--password-file", "passwords")...); code != 0 || prompts != nil {
		t.Errorf("%d %q %s", code, prompts, out)
	}
}

// TestWrongWords checks that each wrong word has the exit code of a wrong use: 2 would say that there is no quorum.
func TestWrongWords(t *testing.T) {
	for _, args := range [][]string{{}, {"chek"}, {"check"}, {"check", ""}, {"check", "a", "b"}, {"check", "a", "-x"}} {
		if out, errs, code := run(t.Context(), nobody, args...); code != 1 || out != "" || !strings.Contains(errs, "usage: ") {
			t.Errorf("%q: %d %s%s", args, code, out, errs)
		}
	}
}

// TestStatement writes statements: only of a good check, to a new file, which has the holder's signature.
func TestStatement(t *testing.T) {
	w := newWorld(t)
	t.Chdir(w.folder)
	situation{}.lay(t, w)
	args := func(more ...string) []string { return append([]string{"check", "domain.json"}, more...) }
	out, errs, code := run(t.Context(), nobody, args("--key", "bob.key", "--holder", "--statement", "bob.json")...)
	if code != 0 || !strings.Contains(out, "opens share 2 of 3") {
		t.Fatalf("%d %s%s", code, out, errs)
	}
	content, err := os.ReadFile("bob.json")
	if err != nil {
		t.Fatal(err)
	}
	s, err := domain.ReadStatement(content)
	if err != nil || !slices.Equal(s.Opened, []string{strings.ToUpper(thumbprint(people()["bob"]))}) || s.Tool != "lifeboat v1" || !s.Checked.Equal(now()) {
		t.Errorf("%+v %v", s, err)
	}
	for name, c := range map[string]struct {
		args []string
		code int
		err  string
	}{
		"the file is there":         {args("--key", "bob.key", "--holder", "--statement", "bob.json"), 1, "bob.json is there already"},
		"the security domain":       {args("--key", "bob.key", "--holder", "--statement", "domain.json"), 1, "domain.json is there already"},
		"a link to nothing":         {args("--key", "bob.key", "--holder", "--statement", "link"), 1, "link is there already"},
		"no folder":                 {args("--key", "bob.key", "--holder", "--statement", "none/s.json"), 1, "write the statement: open none/s.json"},
		"a foreign key":             {args("--key", "frank.key", "--holder", "--statement", "s.json"), 2, "no statement was written"},
		"a foreign key beside some": {args("--key", "alice.key", "--key", "bob.key", "--key", "frank.key", "--statement", "s.json"), 3, "no statement was written"},
		"no certificate":            {args("--key", "bare.key", "--holder", "--statement", "s.json"), 1, "cannot sign without the certificate of share 1"},
	} {
		if err := os.Symlink("nowhere", "link"); err != nil && !errors.Is(err, os.ErrExist) {
			t.Fatal(err)
		}
		before := listed(t, w.folder)
		if _, errs, code := run(t.Context(), nobody, c.args...); code != c.code || !strings.Contains(errs, c.err) {
			t.Errorf("%s: %d %s", name, code, errs)
		}
		if after := listed(t, w.folder); !slices.Equal(before, after) {
			t.Errorf("%s: the files are others:\n%s\n%s", name, before, after)
		}
	}
	out, errs, code = run(t.Context(), nobody, args("--key", "alice.key", "--key", "bob.key", "--statement", "both.json")...)
	if content, err = os.ReadFile("both.json"); code != 0 || err != nil {
		t.Fatal(code, out, errs, err)
	}
	if s, err := domain.ReadStatement(content); err != nil || s.Parts != domain.Authentic || s.ID != w.three.ID {
		t.Errorf("%+v %v", s, err)
	}
}
