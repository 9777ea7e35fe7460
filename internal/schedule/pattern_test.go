package schedule_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"lifeboat/docs"
	"lifeboat/internal/schedule"
)

// TestEditorsRefuseNothingThatIsTaken: the pattern in the published schema matches every accepted expression, and few others.
func TestEditorsRefuseNothingThatIsTaken(t *testing.T) {
	var schema struct {
		Defs struct {
			Plan struct {
				Properties struct {
					Schedule struct {
						Pattern  string
						Examples []string
						AllOf    []struct{ Not struct{ Pattern string } }
					}
				}
			}
		} `json:"$defs"`
	}
	if err := json.Unmarshal(docs.PlanSchema, &schema); err != nil {
		t.Fatal(err)
	}
	published := schema.Defs.Plan.Properties.Schedule
	pattern, err := regexp.Compile(published.Pattern)
	if err != nil {
		t.Fatal(err)
	}
	var no []*regexp.Regexp
	for _, rule := range published.AllOf {
		no = append(no, regexp.MustCompile(rule.Not.Pattern))
	}
	if len(no) < 4 {
		t.Errorf("%d rules about what no schedule may be", len(no))
	}
	text, err := os.ReadFile("testdata/dialects.txt")
	if err != nil {
		t.Fatal(err)
	}
	expressions := published.Examples
	for line := range strings.SplitSeq(string(text), "\n") {
		if expression, _, ok := strings.Cut(line, " => "); ok {
			expressions = append(expressions, strings.NewReplacer(`\t`, "\t", `\u00a0`, "\u00a0").Replace(expression))
		}
	}
	expressions = append(append(expressions, random(5_000)...), plausible(2_000)...)
	taken, held, refused := 0, 0, 0
	for _, expression := range expressions {
		_, err := schedule.Parse(expression)
		through := pattern.MatchString(expression) &&
			!slices.ContainsFunc(no, func(refused *regexp.Regexp) bool { return refused.MatchString(expression) })
		switch {
		case err == nil && !through:
			t.Errorf("an editor refuses %q", expression)
		case err == nil:
			taken++
		case through:
			refused++
		default:
			held++
		}
	}
	if taken < 100 || held < 4*refused {
		t.Errorf("%d expressions are taken; of the others the pattern holds back %d, and not %d", taken, held, refused)
	}
	for _, expression := range published.Examples {
		if _, err := schedule.Parse(expression); err != nil {
			t.Error(err)
		}
	}
}
