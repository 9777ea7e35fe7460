package main

import (
	"os"
	"strings"
	"testing"

	"lifeboat/internal/cli"
)

// TestPage checks that docs/cli.md agrees with the program's help.
func TestPage(t *testing.T) {
	text, err := os.ReadFile("../../../docs/cli.md")
	if err != nil || string(text) != markdown(cli.Commands(cli.Shell{})) {
		t.Errorf("docs/cli.md does not agree with the help texts (%v): make manual", err)
	}
}

// TestMan checks that there is a page for each command, and that no text of it is read as an instruction to troff.
func TestMan(t *testing.T) {
	folder := t.TempDir()
	if err := writeMan(cli.Commands(cli.Shell{}), folder); err != nil {
		t.Fatal(err)
	}
	for name, wants := range map[string][]string{
		"lifeboat.1":         {".TH \"LIFEBOAT\" 1 \"\" Lifeboat\n", ".TP\n.BR lifeboat\\-plan (1)\n"},
		"lifeboat-plan.1":    {".BR lifeboat\\-plan\\-check (1)\n", ".SH SEE ALSO\n.BR lifeboat (1)\n"},
		"lifeboat-restore.1": {"\\fB\\-\\-before\\fR \\fITIME\\fR\n", "\\fB\\-o, \\-\\-output\\fR \\fIFORM\\fR\n", "\n.SH EXAMPLES\n.nf\nlifeboat restore contoso\\-eu \\-\\-dry\\-run\n"},
		"lifeboat-help.1":    {"lifeboat help plan check\n"},
	} {
		text, err := os.ReadFile(folder + "/" + name)
		if err != nil {
			t.Error(err)
		}
		for _, want := range wants {
			if !strings.Contains(string(text), want) {
				t.Errorf("%s has no %q:\n%s", name, want, text)
			}
		}
	}
	if got := roff(".a\\n\n'b -c"); got != "\\&.a\\en\n\\&'b \\-c" {
		t.Errorf("%q", got)
	}
}
