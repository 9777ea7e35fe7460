package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestComingFromNamesTests checks that each line about another tool names a test that is there, and its case.
func TestComingFromNamesTests(t *testing.T) {
	files := map[string]string{} // the text of the file that has the test
	root := os.DirFS("..")
	err := fs.WalkDir(root, "internal", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := fs.ReadFile(root, path)
		for line := range strings.Lines(string(text)) {
			if name, found := strings.CutPrefix(line, "func Test"); found {
				name, _, _ = strings.Cut(name, "(")
				files["Test"+name+" of "+filepath.ToSlash(filepath.Dir(path))] = string(text)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, row := range cells(page(t, "coming-from.md")) {
		n++
		name, example, _ := strings.Cut(strings.TrimPrefix(row[3], "`"), "`")
		example = strings.TrimPrefix(example, ": ")
		found := false
		for test, text := range files {
			named, _, _ := strings.Cut(test, " of ")
			found = found || named == name && strings.Contains(text, `"`+example+`"`) || named == name && example == ""
		}
		if !found {
			t.Errorf("%s: there is no test %s with a case %q", row[0], name, example)
		}
	}
	if n < 20 {
		t.Errorf("only %d lines", n)
	}
}
