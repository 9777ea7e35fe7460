package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/cli/ledger"
	"lifeboat/internal/cli/usage"
	"lifeboat/internal/testing/fakeazure/ccfwriter"
)

// code is the exit code of an error.
func code(err error) int {
	exit, own := errors.AsType[usage.Exit](err)
	switch {
	case err == nil:
		return 0
	case own:
		return exit.Code
	}
	return 1
}

// misused says whether the command could not use its arguments.
func misused(err error) bool {
	_, wrong := errors.AsType[usage.Error](err)
	return wrong
}

// copies makes the files of a copy on Monday and of one on Tuesday, in a folder each.
func copies(t *testing.T) (files []ccfwriter.File) {
	t.Helper()
	for day, until := range map[string]int{"monday": 20, "tuesday": 30} {
		for _, f := range history(1, until).Files() {
			files = append(files, ccfwriter.File{Name: day + "/" + f.Name, Content: bytes.Clone(f.Content)})
		}
	}
	return files
}

// TestSeveralCopiesAreRefused: a file of one copy would hide a damage of another one.
func TestSeveralCopiesAreRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(ccfwriter.File) ccfwriter.File
		want   []string
	}{
		{"two copies", whole, []string{" has several copies of a ledger, in the folders ", "monday/ledger and ", "tuesday/ledger: name one of them"}},
		{"two copies, one of them damaged", func(f ccfwriter.File) ccfwriter.File {
			if f.Name == "monday/ledger/ledger_8-14.committed" {
				f.Content[100] ^= 1
			}
			return f
		}, []string{"name one of them"}},
		{"a damaged file of the same name", func(f ccfwriter.File) ccfwriter.File {
			switch f.Name {
			case "monday/ledger/ledger_8-14.committed":
				f.Content[100] ^= 1
			case "monday/ledger/ledger_1-7.committed", "monday/ledger/ledger_15":
				f.Name = ""
			}
			return f
		}, []string{"the file ledger_8-14.committed in the folder ", "monday/ledger is another one than in ", "tuesday/ledger: name one of the folders"}},
		{"a cut file of the same name", func(f ccfwriter.File) ccfwriter.File {
			switch f.Name {
			case "monday/ledger/ledger_8-14.committed":
				f.Content = nil
			case "monday/ledger/ledger_1-7.committed", "monday/ledger/ledger_15":
				f.Name = ""
			}
			return f
		}, []string{"the file ledger_8-14.committed in the folder "}},
		{"one file more, with the same bytes", func(f ccfwriter.File) ccfwriter.File {
			if f.Name == "monday/ledger/ledger_1-7.committed" || f.Name == "monday/ledger/ledger_15" {
				f.Name = ""
			}
			return f
		}, nil},
		{"the older one is a part of the newer one", func(f ccfwriter.File) ccfwriter.File {
			if f.Name == "monday/ledger/ledger_15" {
				f.Name = ""
			}
			return f
		}, nil},
		{"the files of a ledger in two folders", func(f ccfwriter.File) ccfwriter.File {
			switch {
			case strings.HasPrefix(f.Name, "monday"):
				f.Name = ""
			case strings.HasSuffix(f.Name, "1-7.committed"):
				f.Name = "before/ledger_1-7.committed"
			}
			return f
		}, nil},
	} {
		folder := written(t, copies(t), c.change)
		for _, command := range [][]string{{"verify", folder}, {"log", folder}, {"governance", folder}, {"show", folder, "9"}, {"diff", folder, folder}} {
			out, _, err := run(t, false, command...)
			if want := min(len(c.want), 1); code(err) != want || want == 1 && out != "" {
				t.Errorf("%s: %s: %d %v\n%s", c.name, command[0], code(err), err, out)
			}
			for _, want := range c.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%s: %s: %q is not in %v", c.name, command[0], want, err)
				}
			}
		}
	}
}

// TestLinks follows a link to a file in the folder, and names what it does not read.
func TestLinks(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(t *testing.T, path string) // it changes the file at the path
		code   int
		want   string
	}{
		{"a link to the file", func(t *testing.T, path string) {
			must(t, os.Mkdir(filepath.Join(filepath.Dir(path), "pool"), 0o755))
			must(t, os.Rename(path, filepath.Join(filepath.Dir(path), "pool", "1")))
			must(t, os.Symlink(filepath.Join("pool", "1"), path))
		}, 0, "proven up to  2.28"},
		{"a link out of the folder", func(t *testing.T, path string) {
			outside := filepath.Join(t.TempDir(), "1")
			must(t, os.Rename(path, outside))
			must(t, os.Symlink(outside, path))
		}, 3, "ledger/ledger_8-14.committed: a link that leads to nothing in this folder"},
		{"a link to nothing", func(t *testing.T, path string) {
			must(t, os.Remove(path))
			must(t, os.Symlink("gone", path))
		}, 3, "note NotRead       ledger/ledger_8-14.committed: a link that leads to nothing in this folder"},
		{"a link to a folder", func(t *testing.T, path string) {
			must(t, os.Symlink(".", filepath.Join(filepath.Dir(path), "more")))
		}, 0, "ledger/more: a link to no file: it is not followed"},
		{"a socket in place of the file", func(t *testing.T, path string) {
			must(t, os.Remove(path))
			l, err := net.Listen("unix", path)
			must(t, err)
			t.Cleanup(func() { _ = l.Close() })
		}, 3, "ledger/ledger_8-14.committed: no file, but a pipe, a socket or a device"},
		{"a folder in place of the file", func(t *testing.T, path string) {
			must(t, os.Remove(path))
			must(t, os.Mkdir(path, 0o755))
		}, 3, "ledger/ledger_8-14.committed: a folder, where a file of the ledger should be"},
	} {
		folder := lived(t, 1, 30, whole)
		c.change(t, filepath.Join(folder, "ledger", "ledger_8-14.committed"))
		out, _, err := run(t, false, "verify", folder)
		if code(err) != c.code || !strings.Contains(out, c.want) {
			t.Errorf("%s: %v\n%s", c.name, err, out)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestStopped tells a person who stops a command that it has no answer.
func TestStopped(t *testing.T) {
	folder := lived(t, 1, 30, whole)
	for _, args := range [][]string{{"verify", folder}, {"log", folder}, {"show", folder, "9"}, {"governance", folder}, {"diff", folder, folder}} {
		ctx, stop := context.WithCancel(t.Context())
		var out bytes.Buffer
		c := ledger.Command(ledger.Shell{
			Getenv: func(string) string { return "" }, Stdout: &out, Stderr: &out, Width: func() int { return 0 },
			Watched: func() bool { stop(); return false }, // once it reads
			Now:     func() time.Time { return time.Unix(1, 0) },
		})
		c.SilenceErrors, c.SilenceUsage = true, true
		c.SetArgs(args)
		c.SetContext(ctx)
		err := c.Execute()
		if exit, _ := errors.AsType[usage.Exit](err); exit.Code != 130 || exit.Text != folder+": stopped: nothing was proven\n" {
			t.Errorf("%s: %d %v", args[0], code(err), err)
		}
		stop()
	}
}

// TestAWrongSnapshotIsToldOnce: the facts do not praise a snapshot that an error calls wrong.
func TestAWrongSnapshotIsToldOnce(t *testing.T) {
	l := history(1, 20)
	l.Pretend(ccfwriter.Write{Table: "public:records", Key: "9", Value: []byte("another")})
	l.Snapshot(0)
	l.Sign()
	out, _, err := run(t, false, "verify", written(t, l.Files(), whole))
	if code(err) != 3 || !strings.Contains(out, ".committed: wrong: see the error\n") || strings.Contains(out, "agree") ||
		!strings.Contains(out, "its public state is not that of the ledger: public:records\n") {
		t.Errorf("%v\n%s", err, out)
	}
}
