package text_test

import (
	"strings"
	"testing"
	"time"

	"lifeboat/internal/cli/text"
)

// TestCalendar checks the weeks, the zone of the days, and which months stand where.
func TestCalendar(t *testing.T) {
	at := func(month time.Month, day, hour int) time.Time {
		return time.Date(2026, month, day, hour, 30, 0, 0, time.UTC)
	}
	marks := map[time.Time]string{
		at(1, 31, 23): text.Goes, // the first of February in Zurich
		at(2, 9, 1):   text.Goes, at(2, 9, 2): text.Stays, at(2, 9, 3): text.Goes,
		at(3, 1, 2): text.Stays, at(3, 30, 2): text.Goes, at(6, 1, 2): text.Stays, at(6, 2, 2): text.Goes, at(6, 2, 3): text.Waits,
	}
	clock := text.Clock{Zone: zurich(t)}
	for _, c := range []struct {
		width, most, earlier int
		want                 string
	}{
		{45, 0, 0, `2026-02         2026-03         2026-06
M T W T F S S   M T W T F S S   M T W T F S S
            x               #   # ~ . . . . .
. . . . . . .   . . . . . . .   . . . . . . .
# . . . . . .   . . . . . . .   . . . . . . .
. . . . . . .   . . . . . . .   . . . . . . .
. . . . . .     . . . . . . .   . .
                x .
`},
		{44, 2, 1, `2026-03         2026-06
M T W T F S S   M T W T F S S
            #   # ~ . . . . .
. . . . . . .   . . . . . . .
. . . . . . .   . . . . . . .
. . . . . . .   . . . . . . .
. . . . . . .   . .
x .
`},
		{3, 1, 2, `2026-06
M T W T F S S
# ~ . . . . .
. . . . . . .
. . . . . . .
. . . . . . .
. .
`},
	} {
		lines, earlier := clock.Calendar(marks, c.width, c.most)
		if got := strings.Join(lines, "\n"); got != c.want || earlier != c.earlier {
			t.Errorf("at %d, %d months: %d left out\n%s\nwant %d\n%s", c.width, c.most, earlier, got, c.earlier, c.want)
		}
	}
	if lines, _ := (text.Clock{}).Calendar(marks, 80, 0); !strings.HasPrefix(lines[0], "2026-01  ") {
		t.Errorf("in UTC:\n%s", strings.Join(lines, "\n"))
	}
	if lines, earlier := clock.Calendar(nil, 80, 1); len(lines) != 0 || earlier != 0 {
		t.Errorf("without a mark: %q", lines)
	}
}
