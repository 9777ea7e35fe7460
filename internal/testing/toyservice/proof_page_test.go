package toyservice_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const here = "internal/testing/toyservice"

// TestOnlyTheListMentionsToys: no file of the program or of its tests outside of the folder of the toy knows of it, but for the
// list of services once it is registered there.
func TestOnlyTheListMentionsToys(t *testing.T) {
	list, text := registered(t)
	var mentions []string
	seen := 0
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			if path != root && strings.HasPrefix(name, ".") || name == "build" || name == "node_modules" || name == "toyservice" {
				return filepath.SkipDir
			}
			return nil
		}
		if ext := filepath.Ext(name); ext != ".go" && ext != ".json" && ext != ".yaml" {
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		seen++
		if whole, err := filepath.Abs(path); err == nil && whole == list {
			content = []byte(text)
		}
		lower := strings.ToLower(string(content))
		if strings.Contains(lower, "contoso.toys") || strings.Contains(lower, "toyservice") || strings.Contains(lower, "faketoys") {
			relative, _ := filepath.Rel(root, path)
			mentions = append(mentions, filepath.ToSlash(relative))
		}
		return nil
	})
	if err != nil || seen < 300 || !slices.Equal(mentions, []string{"internal/services/services.go"}) {
		t.Errorf("of %d files %q mention the toy: %v", seen, mentions, err)
	}
}

// TestThePageShowsTheDiff: docs/add-a-service.md has what adding the toy changes, file by file. The proofs are left out: no
// real service needs them.
func TestThePageShowsTheDiff(t *testing.T) {
	path, text := registered(t)
	was, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	rows := []string{fmt.Sprintf("%4d 0 internal/services/services.go", strings.Count(text, "\n")-strings.Count(string(was), "\n"))}
	err = filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasPrefix(entry.Name(), "proof_") {
			return err
		}
		content, err := os.ReadFile(path)
		rows = append(rows, fmt.Sprintf("%4d 0 %s/%s", strings.Count(string(content), "\n"), here, filepath.ToSlash(path)))
		return err
	})
	page, unread := os.ReadFile(filepath.Join(root, "docs", "add-a-service.md"))
	if err != nil || unread != nil {
		t.Fatal(err, unread)
	}
	if want := strings.Join(rows, "\n"); !strings.Contains(string(page), "\n```text\n"+want+"\n```\n") {
		t.Errorf("docs/add-a-service.md has another diff than:\n%s", want)
	}
}
