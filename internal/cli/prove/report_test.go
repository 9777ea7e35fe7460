package prove

import (
	"os"
	"strings"
	"testing"
)

// TestQuestionsAreOpen: each question that a report answers is a row of the tables of open questions.
func TestQuestionsAreOpen(t *testing.T) {
	text, err := os.ReadFile("../../../docs/design.md")
	if err != nil {
		t.Fatal(err)
	}
	_, open, found := strings.Cut(string(text), "\n## Open questions about Azure\n")
	if !found || len(Questions()) < 5 {
		t.Fatal(found, len(Questions()))
	}
	for _, q := range Questions() {
		if !strings.Contains(open, "\n| "+q.Question+" |") {
			t.Errorf("%q is no row there", q.Question)
		}
	}
}

// TestACodeIsNoName: what has not the form of a code does not come into a report.
func TestACodeIsNoName(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "InvalidParameters": "InvalidParameters", "500": "500", "contoso-eu": "hidden", "/subscriptions/x": "hidden", "Blob contoso": "hidden",
		strings.Repeat("x", 61): "hidden",
	} {
		if got := word(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}
