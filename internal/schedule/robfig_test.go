package schedule_test

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/robfig/cron/v3"

	"lifeboat/internal/schedule"
	"lifeboat/internal/testing/figures"
)

// alone are forms that Lifeboat accepts, and robfig's parser, the parser of Kubernetes, refuses.
var alone = []*regexp.Regexp{
	regexp.MustCompile(`(^|[ ,])0?7(,|$)`),    // a lone 7 for Sunday
	regexp.MustCompile(`(?i)( L |#[1-5]|L$)`), // the last day, first Mondays, last Fridays
}

// theirs are forms that robfig's parser accepts, and Lifeboat refuses, since others read them in another way.
var theirs = []*regexp.Regexp{
	regexp.MustCompile(`(^| )[^ ?*]\S* \S+ [^ ?*]\S*$`),          // both day fields
	regexp.MustCompile(`(^| )\S*[^ ?*]\S* \S+ \S*[^ ?*]\S*$`),    // the same, with a * among the items
	regexp.MustCompile(` \S*(^|[ ,])(\*|\?|\d+|[A-Za-z]+)/\S+$`), // a step over the days of the week from one of them
	regexp.MustCompile(`[*?]-`),                                  // a range from *
	regexp.MustCompile(`\?`),                                     // ? outside the day fields, among items, or twice
	regexp.MustCompile(`(^|[ ,])(,|$)|,( |$)`),                   // empty items
	regexp.MustCompile(`\+`),                                     // signs
	regexp.MustCompile(`(^|[ ,])(\d+)-(\d+)`),                    // a range of one value
	regexp.MustCompile(`/`),                                      // a step past the end
	regexp.MustCompile(`(^|[ ,])\d{3,}`),                         // zeros before a number
	regexp.MustCompile(`29 0?2 |30 0?2 |31 0?(2|4|6|9|11) `),     // expressions that never come due
}

// TestAgainstRobfig: if both accept an expression, it comes at the same times; if one does, its form is in a list above.
func TestAgainstRobfig(t *testing.T) {
	parser := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)
	both, ours, others := 0, 0, 0
	for _, text := range plausible(4_000) {
		e, err := schedule.Parse(text)
		kubernetes, refused := parser.Parse(text)
		listed := func(forms []*regexp.Regexp) bool {
			for _, form := range forms {
				if form.MatchString(text) {
					return true
				}
			}
			return false
		}
		switch {
		case err == nil && refused == nil:
			both++
			s, at := e.In(time.UTC), firstDay
			for range 5 {
				next := kubernetes.Next(at)
				if got := s.Next(at); !got.Equal(next) {
					t.Errorf("%q after %s: %s, and in Kubernetes %s", text, at, got, next)
					break
				}
				at = next
			}
		case err == nil:
			if ours++; !listed(alone) {
				t.Errorf("%q is taken, and refused by Kubernetes: %v", text, refused)
			}
		case refused == nil:
			if others++; !listed(theirs) {
				t.Errorf("%q is taken by Kubernetes, and here it %v", text, err)
			}
		}
	}
	figures.Report(t, "%d generated expressions come at the same times as in Kubernetes; %d are taken here alone, %d there", both, ours, others)
	if both < 100 || ours < 10 || others < 100 {
		t.Error("too few to tell")
	}
}

// plausible makes expressions of five fields, most of them good ones.
func plausible(n int) []string {
	random := rand.New(rand.NewPCG(3, 4))
	places := [5]string{
		"0 30 5,20 */15 5/15 10-20 10-20/3 7-7 */60 59/2 +5 1,,2 05 005 ?", "2 2 0-6 */6 1,13 22-2 8-10 *-15 */1 4/12 23 ?",
		"1 15 L l 1-7 */2 1/1 1-31 31 29 ? 30 5,L */31", "1 JAN feb-APR */3 2 FEB/2 11-2 12 jun,JUL",
		"MON thu 1-5 MON-FRI 0-6 7 5-7 0 06 MON#1 fri#3 FRIL sunl 1/2 */2 MON-5 1-FRI SUN,sat FRI-MON MON-FRI/2 ? 1,? 6-6 L 2#1",
	}
	var texts []string
	for range n {
		fields := strings.Fields("* * * * *")
		for range 1 + random.IntN(3) {
			place := random.IntN(5)
			items := strings.Fields(places[place])
			fields[place] = items[random.IntN(len(items))]
		}
		texts = append(texts, strings.Join(fields, " "))
	}
	return texts
}
