package docs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// readers are the pages for users. A reader needs no other page to understand one.
var readers = []string{"get-started.md", "plan.md", "restore.md", "operate.md", "services.md", "api.md", "security.md"}

// builders are the pages for people who change Lifeboat that say for whom they are. CONTRIBUTING.md links them.
var builders = []string{"add-a-service.md"}

// page is the text of a page, by its path from this folder.
func page(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// pages are the texts of all pages for users and contributors, by their paths from this folder.
func pages(t *testing.T, patterns ...string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, pattern := range patterns {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			t.Fatal(pattern, paths, err)
		}
		for _, path := range paths {
			found[path] = page(t, path)
		}
	}
	return found
}

// section is the part of a page under the heading, without the sections below it.
func section(t *testing.T, text, heading string) string {
	t.Helper()
	_, part, found := strings.Cut("\n"+text, "\n## "+heading+"\n")
	if !found {
		t.Fatalf("there is no section %q", heading)
	}
	part, _, _ = strings.Cut(part, "\n## ")
	return part
}

// cells are the rows of all tables in the text, without their heads.
func cells(text string) (rows [][]string) {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if !strings.HasPrefix(line, "| ") || i+1 < len(lines) && strings.HasPrefix(lines[i+1], "|---") {
			continue
		}
		var row []string
		for cell := range strings.SplitSeq(strings.Trim(line, "|"), " |") {
			row = append(row, strings.TrimSpace(cell))
		}
		rows = append(rows, row)
	}
	return rows
}

// set returns the texts that the first group of the pattern finds.
func set(pattern, text string) map[string]bool {
	found := map[string]bool{}
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		found[m[1]] = true
	}
	return found
}

// same reports the words that only one of two sets has.
func same(t *testing.T, what string, documented, coded map[string]bool) {
	t.Helper()
	for name := range documented {
		if !coded[name] {
			t.Errorf("%s %s is documented, and the code does not have it", what, name)
		}
	}
	for name := range coded {
		if !documented[name] {
			t.Errorf("%s %s is not documented", what, name)
		}
	}
	if len(coded) < 3 {
		t.Errorf("the code has only %d of %s", len(coded), what)
	}
}

// withoutCode returns the lines of a page, with empty lines in place of code.
func withoutCode(text string) []string {
	lines, code := strings.Split(text, "\n"), false
	for i, line := range lines {
		fence := strings.HasPrefix(strings.TrimSpace(line), "```")
		if code || fence {
			lines[i] = ""
		}
		code = code != fence
	}
	return lines
}

// begins matches the beginning of a page that says for whom it is.
var begins = regexp.MustCompile(`^# [^\n]+\n\nThis page is for `)

// TestPages checks that the README is one page, and that each page for users names its readers, has no empty section, and links
// all other pages.
func TestPages(t *testing.T) {
	readme := page(t, "../README.md")
	if lines := strings.Count(readme, "\n"); lines > 130 {
		t.Errorf("README.md has %d lines, more than 130", lines)
	}
	for _, name := range readers {
		text := page(t, name)
		if !begins.MatchString(text) {
			t.Errorf("%s does not begin by saying for whom it is", name)
		}
		if !strings.Contains(readme, "](docs/"+name+")") {
			t.Errorf("README.md does not link %s", name)
		}
		end := section(t, text, "Other pages")
		for _, other := range append([]string{"../README.md"}, readers...) {
			if other != name && !strings.Contains(end, "]("+other+")") {
				t.Errorf("%s does not link %s at its end", name, other)
			}
		}
	}
	for _, name := range builders {
		if !begins.MatchString(page(t, name)) || section(t, page(t, name), "Other pages") == "" {
			t.Errorf("%s does not begin by saying for whom it is, or does not end with other pages", name)
		}
		if !strings.Contains(page(t, "../CONTRIBUTING.md"), "](docs/"+name+")") {
			t.Errorf("CONTRIBUTING.md does not link %s", name)
		}
	}
	for _, path := range slices.Concat([]string{"../README.md", "deploy.md", "ledger.md"}, readers, builders) {
		lines := withoutCode(page(t, path))
		if empty := regexp.MustCompile(`(?m)^(##[^\n]*)\n\s*(##|\z)`).FindString(page(t, path)); empty != "" {
			t.Errorf("%s has an empty section %q", path, empty)
		}
		for i, line := range lines {
			if n := utf8.RuneCountInString(line); n > 130 {
				t.Errorf("%s:%d has %d characters, more than 130", path, i+1, n)
			}
		}
	}
}

// anchors are the anchors that GitHub makes of the headings of a page.
func anchors(text string) map[string]bool {
	found := map[string]bool{}
	for _, line := range withoutCode(text) {
		if !strings.HasPrefix(line, "#") {
			continue
		}
		anchor := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, strings.TrimSpace(strings.TrimLeft(line, "#")))
		for unique, n := anchor, 1; ; n++ {
			if !found[unique] {
				found[unique] = true
				break
			}
			unique = fmt.Sprintf("%s-%d", anchor, n)
		}
	}
	return found
}

// TestLinks checks that each relative link leads to an existing file, and to a heading of that file.
func TestLinks(t *testing.T) {
	links := 0
	for path, text := range pages(t, "../*.md", "*.md", "runbooks/*.md") {
		for i, line := range withoutCode(text) {
			for _, m := range regexp.MustCompile(`\]\(([^)\s]+)\)`).FindAllStringSubmatch(line, -1) {
				if strings.Contains(m[1], "://") {
					continue
				}
				links++
				file, anchor, _ := strings.Cut(m[1], "#")
				to := path
				if file != "" {
					to = filepath.Join(filepath.Dir(path), file)
				}
				there, err := os.ReadFile(to)
				if err != nil {
					t.Errorf("%s:%d: %v", path, i+1, err)
				} else if anchor != "" && !anchors(string(there))[anchor] {
					t.Errorf("%s:%d: %s has no heading #%s", path, i+1, to, anchor)
				}
			}
		}
	}
	if links < 100 {
		t.Errorf("only %d links were seen", links)
	}
}
