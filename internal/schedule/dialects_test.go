package schedule_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/schedule"
)

// firstDay is the instant after which the tables list times: a Friday.
var firstDay = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)

// said returns the line that testdata/dialects.txt should have for an expression: its next three times after firstDay in UTC, or
// the reason for its refusal.
func said(expression string) string {
	e, err := schedule.Parse(expression)
	if err != nil {
		text, _ := strings.CutPrefix(err.Error(), strings.SplitAfterN(err.Error(), `" `, 2)[0])
		return text
	}
	var times []string
	at := firstDay
	for range 3 {
		at = e.In(time.UTC).Next(at)
		times = append(times, at.Format("2006-01-02T15:04:05"))
	}
	return strings.Join(times, " ")
}

// TestDialects reads expressions as they are written elsewhere. Each is accepted with the times that its writer meant, or refused
// with the line to write.
func TestDialects(t *testing.T) {
	text, err := os.ReadFile("testdata/dialects.txt")
	if err != nil {
		t.Fatal(err)
	}
	count, dialects := 0, 0
	for block := range strings.SplitSeq(strings.TrimSpace(string(text)), "\n") {
		if strings.HasPrefix(block, "#") {
			dialects++
			continue
		}
		expression, want, ok := strings.Cut(block, " => ")
		expression = strings.NewReplacer(`\t`, "\t", `\u00a0`, "\u00a0").Replace(expression)
		if got := said(expression); !ok || got != want {
			t.Errorf("%s\n got: %s\nwant: %s", expression, got, want)
		}
		count++
	}
	if count < 120 || dialects < 9 {
		t.Errorf("%d expressions of %d dialects", count, dialects)
	}
}

// TestEveryLineToWriteIsTaken: a line that a refusal proposes is accepted, and no two lines are the same.
func TestEveryLineToWriteIsTaken(t *testing.T) {
	text, err := os.ReadFile("testdata/dialects.txt")
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for block := range strings.SplitSeq(string(text), "\n") {
		expression, _, _ := strings.Cut(block, " => ")
		_, err := schedule.Parse(expression)
		refused, ok := errors.AsType[*schedule.Refusal](err)
		if !ok {
			continue
		}
		seen := map[string]bool{}
		for _, line := range refused.Write {
			if _, err := schedule.Parse(line); err != nil || seen[line] {
				t.Errorf("%s: write %q: %v, twice: %t", expression, line, err, seen[line])
			}
			seen[line] = true
			lines++
		}
	}
	if lines < 80 {
		t.Errorf("%d lines", lines)
	}
}
