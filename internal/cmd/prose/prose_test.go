package main

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

// clean is a tree without findings. It has the words of every rule in places where they are allowed.
var clean = map[string]string{
	"main.go": `// Command demo says "who is it?", and runs ` + "`what is left`" + `.
package main

import "os" // the only one

// usage is the help text.
const usage = ` + "`usage:\n  demo start  starts the program\n`" + `

// The limits of the service.
const (
	low  = 1 // the least
	High = 9
)

// question has a field with a name that a sentence may not begin with.
type question struct {
	// What says what it asks.
	What string
}

// demo copies the file. Its size must be greater than that of the last one:
//
//	What this line says is code.
//
// A run that waits says that it is late, and asks which file it is.
func demo() {
	os.Exit(low + High) // the process ends
}
`,
	"docs/guide.md": "# Guide\n\nThe app makes a backup.\n\n| Question | Answer |\n|---|---|\n| What is kept? | the backup |\n| Who may read it? | " +
		"the owner |\n\n```sh\nlifeboat # what is left is nobody's\n```\n\n1. Start the app, with `whoever is there`.\n",
	"main_test.go":           "package main\n\nvar nobody = \"nobody asks\"\n",
	"internal/cmd/a/main.go": "package main\n\nvar why = \"somebody asks\"\n",
	"Makefile":               "# What is here is not checked.\nhelp: ## Show this list\n\t@echo what is this\n",
	"testdata/a.go":          "// what is here is another's.\npackage main\n",
	"build/a.md":             "What is built is not read.\n",
	".hidden/other.md":       "Whoever reads this is nobody.\n",
}

// TestClean checks that the rules find nothing in the clean tree.
func TestClean(t *testing.T) {
	if code, out := run(clean); code != 0 {
		t.Errorf("exit code %d:\n%s", code, out)
	}
}

// TestPlanted plants bad sentences into a copy of the clean tree, and expects each of them, where it is, and no more.
func TestPlanted(t *testing.T) {
	planted := []struct{ rule, file, before, line, found string }{
		{opening, "main.go", "func demo", "// demo ends:\n//\n// What it leaves stays there.", "What"},
		{opening, "main.go", "\tos.Exit", "\t// Who asks gets an answer.", "Who"},
		{opening, "docs/guide.md", "| Question", "## Of these files one is kept\n", "Of"},
		{opening, "docs/guide.md", "| Who may", "| What is left | nothing |", "What"},
		{opening, "Makefile", "help:", "stop: ## Whoever started it may stop it", "Whoever"},
		{headless, "main.go", "const usage", "// usage is what help prints.", "is what"},
		{headless, "main.go", "\tlow ", "\t// low is that of the service.", "is that of"},
		{headless, "main.go", "\tHigh", "\t// High answers those of a day.", "those of without"},
		{headless, "docs/guide.md", "# Guide", "The app waits: what it has read so far is kept.\n", ": what it has read so far is"},
		{headless, "docs/guide.md", "1. Start", "1. Tell somebody.", "somebody"},
		{headless, "Makefile", "help:", "test: ## Say in the log: N is how many there are", "is how"},
		{doc, "main.go", "type planted", "// A number of things.\ntype planted int", "the comment of planted begins with number"},
		{doc, "main.go", "func first", "// Returns the first.\nfunc first() {}", "the comment of first begins with Returns"},
		{doc, "main.go", "var second", "// firstly, this is another.\nvar second = 2", "the comment of second begins with firstly"},
		{coined, "main.go", "// The limits", "// A fake, or a stand-in, is\n// enough.\n", "stand-in"},
		{coined, "docs/guide.md", "The app makes", "Each look-alike listens on a port.\n", "look-alike"},
		{coined, "Makefile", "help:", "run: ## Run a kill walk", "kill walk"},
		{relatives, "main.go", "// The limits", "// A run that is waiting for a permit that was lost fails.\n", "that"},
		{relatives, "docs/guide.md", "```sh", "The app, which runs in Azure, asks the user who started it.\n", "who"},
		{relatives, "docs/guide.md", "1. Start", "1. A file that has a name\n   which is long is cut.", "which"},
		{headless, "main.go", "// The limits", "// It sends the mail to whatever\n// is there.\n", "whatever is"},
		{actor, "main.go", "\tos.Exit", "\tprintln(\"it ends, and nobody asks\")", "nobody in a message"},
		{actor, "main.go", "var third", "var third = \"Somebody wrote to it.\"", "Somebody in a message"},
		{actor, "main.go", "var fourth", "var fourth = `It is tried again by itself.`", "by itself in a message"},
	}
	if len(planted) < 20 {
		t.Errorf("%d sentences", len(planted))
	}
	tree := maps.Clone(clean)
	var want []string
	for _, p := range planted {
		text := tree[p.file]
		at := strings.Index(text, "\n"+p.before) + 1
		if strings.HasPrefix(text, p.before) {
			at = 0
		} else if at == 0 {
			at = len(text)
		}
		tree[p.file] = text[:at] + p.line + "\n" + text[at:]
	}
	for _, p := range planted {
		before, _, _ := strings.Cut(tree[p.file], p.line)
		want = append(want, fmt.Sprintf("%s:%d: %s: %s", p.file, strings.Count(before, "\n")+1, p.rule, p.found))
	}
	_, out := run(tree)
	lines := strings.Split(out, "\n")
	for _, w := range want {
		place, text, _ := strings.Cut(w, ": ")
		n := slices.IndexFunc(lines, func(line string) bool {
			file, rest, _ := strings.Cut(line, ": ")
			return strings.HasPrefix(rest, text) && near(file, place)
		})
		if n < 0 {
			t.Errorf("not found: %s", w)
			continue
		}
		lines = slices.Delete(lines, n, n+1)
	}
	for _, line := range lines {
		if strings.Contains(line, ".go:") || strings.Contains(line, ".md:") || strings.Contains(line, "Makefile:") {
			t.Errorf("found as well: %s", line)
		}
	}
	for _, rule := range []string{opening, headless, doc, coined, relatives, actor} {
		n := 0
		for _, p := range planted {
			if p.rule == rule {
				n++
			}
		}
		if n < 3 || !strings.Contains(out, fmt.Sprintf("%5d %s\n", n, rule)) {
			t.Errorf("%d sentences against the rule %s, in\n%s", n, rule, out)
		}
	}
}

// near tells whether a place, file:line:column, is on one of the three lines of a planted sentence.
func near(place, planted string) bool {
	file, number, _ := strings.Cut(planted, ":")
	first, _ := strconv.Atoi(number)
	for line := first; line < first+3; line++ {
		if strings.HasPrefix(place, fmt.Sprintf("%s:%d:", file, line)) {
			return true
		}
	}
	return false
}

// TestItself checks that the command keeps its own rules, and that no pattern in the list of words matches its standard word.
func TestItself(t *testing.T) {
	var out strings.Builder
	if code := prose(os.DirFS("../../.."), []string{"internal/cmd/prose"}, &out, &out); code != 0 {
		t.Errorf("exit code %d:\n%s", code, &out)
	}
	for pattern, w := range patterns {
		if pattern.MatchString(w.standard) || w.why == "" {
			t.Errorf("the word %s: %s, %q", w.coined, w.standard, w.why)
		}
	}
}

func run(tree map[string]string) (int, string) {
	var out strings.Builder
	files := fstest.MapFS{}
	for name, text := range tree {
		files[name] = &fstest.MapFile{Data: []byte(text), Mode: fs.ModePerm}
	}
	code := prose(files, nil, &out, &out)
	return code, out.String()
}
