package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// said writes commands down for a test: each in a line, its words in brackets, with a ? if it may be a name alone.
func said(all []command) string {
	var b strings.Builder
	for _, c := range all {
		fmt.Fprintf(&b, "%s", c.Place)
		if c.Prose {
			b.WriteString(" ?")
		}
		for _, w := range c.Words {
			fmt.Fprintf(&b, " [%s]", w)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func TestCommands(t *testing.T) {
	for _, c := range []struct{ file, text, want string }{
		{"block.md", "A page.\n\n```\nexport K=$(az a b -n \"$APP\" -o tsv) # az is quick\naz c --query '{\n  x: y}' \\\n  --to \"$(lifeboat x | cut -d ')' -f 1)\" >f; az e\n```\n", `
block.md:4 [a] [b] [-n] [$APP] [-o] [tsv]
block.md:5 [c] [--query] [{
  x: y}] [--to] [$(lifeboat x | cut -d ')' -f 1)]
block.md:7 [e]
`},
		{"sentence.md", "See `az a b`, and (`az c d\n  --x \"[].{a:b}\"\n-o table`): `lifeboat plan roles -o az >f`, `az` 2.72, not az e f.\n", `
sentence.md:1 ? [a] [b]
sentence.md:1 ? [c] [d] [--x] [[].{a:b}] [-o] [table]
`},
		{"said.go", "package x\n\nvar a = \"Do it (az a b --n \" + name + \"), or az c. Or az d --e '\" + at(\"az f %[1]s --g %q\") + \"/x'. Not --az.\"\n\nvar b = f(\"az h \\\\\", \"  --i j\", \"k\")\n\nconst c = `\ncase $(az l --m \"$1?$2\" -o none 2>&1) in\n`\n", `
said.go:3 ? [a] [b] [--n] [VALUE]
said.go:3 ? [c]
said.go:3 ? [d] [--e] [VALUE/x]
said.go:3 ? [f] [%[1]s] [--g] [%q]
said.go:5 ? [h] [--i] [j]
said.go:8 ? [l] [--m] [$1?$2] [-o] [none]
`},
		{"run.sh", "# az a: why\necho \"az is not there: az b --c $D\" \"$1\"\nx=$(az d --e \"[].{f: g}\" --h=\"i j\" <k 2>/dev/null) || az l --m '*' &\ncat <<T\n  az n --o \\\\\n    p\n  $(az q \"unfinished)\nT\n", `
run.sh:1 ? [a]
run.sh:2 [b] [--c] [$D]
run.sh:3 [d] [--e] [[].{f: g}] [--h=i j]
run.sh:3 [l] [--m] [*]
run.sh:5 [n] [--o] [p]
run.sh:7 [q]
`},
		{"made.bicep", "// az a -f x.bicep\noutput roles array = ['az b --c \"${d}\" --e ${f[g].h!}', 'az i']\n", `
made.bicep:1 ? [a] [-f] [x.bicep]
made.bicep:2 ? [b] [--c] [${d}] [--e] [${f[g].h!}]
made.bicep:2 ? [i]
`},
	} {
		found, err := readers[filepath.Ext(c.file)](c.file, c.text)
		if got := "\n" + said(found); err != nil || got != c.want {
			t.Errorf("%s: %v%s\nwant%s", c.file, err, got, c.want)
		}
	}
}

// TestRepository checks that commands of each kind of file are found in the repository. The tests of "make azure-clients" read them all.
func TestRepository(t *testing.T) {
	all, err := repository("../../..")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, c := range all {
		file, _, _ := strings.Cut(c.Place, ":")
		for _, in := range []string{file, filepath.Dir(file), filepath.Ext(file)} {
			seen[in]++
		}
	}
	for in, least := range map[string]int{
		"docs/deploy.md": 5, "docs/runbooks": 40, ".md": 70, "infra/hooks": 15, ".bicep": 8, "docs/examples": 3, "internal/roles/az.go": 14, ".go": 35,
	} {
		if seen[in] < least {
			t.Errorf("%s has %d commands, fewer than %d", in, seen[in], least)
		}
	}
}
