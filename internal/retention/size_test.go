package retention_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/retention"
)

// weighed reads recovery points, oldest first, an hour apart: "100" was never suspect, "10?" is suspect, "10!" was accepted,
// "10x" was suspect and has expired, "100-" has expired; the provider of "10d" has a doubt.
func weighed(text string) (points []backup.Point) {
	for i, word := range strings.Fields(text) {
		digits := strings.TrimRight(word, "?!x-d")
		size, err := strconv.ParseInt(digits, 10, 64)
		if err != nil {
			panic(err)
		}
		p := backup.Point{ID: word, State: backup.Live, Size: size, Created: begin.Add(time.Duration(i) * time.Hour)}
		mark := word[len(digits):]
		if mark != "" && mark != "-" {
			p.Suspicion.Code = "SizeSuspect"
		}
		switch mark {
		case "d":
			p.State, p.Suspicion.Code = backup.Suspect, "LedgerNotContinued"
		case "?":
			p.State = backup.Suspect
		case "!":
			p.Accepted.Time = p.Created
		case "x", "-":
			p.State = backup.Expired
		}
		points = append(points, p)
	}
	return points
}

func TestWeigh(t *testing.T) {
	for _, test := range []struct {
		name   string
		before string // oldest first
		size   int64
		live   bool
		made   string // the points that become live, newest first
		normal string // the size that the suspicion names
	}{
		{"the first", "", 1, true, "", ""},
		{"two tell nothing", "100 100", 1, true, "", ""},
		{"half", "100 100 100", 50, true, "", ""},
		{"under half", "100 100 100", 49, false, "", "100"},
		{"larger", "100 100 100", 1 << 40, true, "", ""},
		{"the median, not the mean", "1 100 100 100 9999", 49, false, "", "100"},
		{"the middle of an even number", "100 100 200 200", 74, false, "", "150"},
		{"expired ones tell too", "100- 100- 100", 49, false, "", "100"},
		{"the newest ten", "10 10 10 10 10 10 100 100 100 100 100 100 100 100 100 100", 49, false, "", "100"},
		{"no more than ten", "100 100 100 100 100 100 10 10 10 10 10 10 10 10 10 10", 5, true, "", ""},
		{"suspect ones tell nothing", "100 100 100 10? 1? 10? 1? 10? 1? 10? 1? 10? 1? 10? 1?", 20, false, "", "100"},
		{"suspect ones that expired tell nothing", "100 100 100 10x 1x 10x 1x", 20, false, "", "100"},
		{"neither do they count as three", "100 100 10?", 1, true, "", ""},
		{"what was accepted is normal", "100 100 100 10!", 5, true, "", ""},
		{"half of what was accepted", "100 100 100 10!", 4, false, "", "10"},
		{"the newest acceptance", "100 100 100 10! 40! 100", 19, false, "", "40"},
		{"a large one accepted does not raise what is normal", "100 100 100 900!", 50, true, "", ""},
		{"three like it", "100 100 100 10? 12?", 14, true, "12? 10?", ""},
		{"within a factor of two", "100 100 100 10? 20?", 20, true, "20? 10?", ""},
		{"not within a factor of two", "100 100 100 10? 20?", 21, false, "", "100"},
		{"two of the three alike", "100 100 100 10? 30?", 30, false, "", "100"},
		{"not with a doubted one", "100 100 100 10d 12?", 14, false, "", "100"},
		{"doubted ones tell nothing", "100 100 100 10d 10d 10d 10d", 49, false, "", "100"},
		{"only two", "100 100 100 10?", 10, false, "", "100"},
		{"not on end", "100 100 100 10? 10? 100", 10, false, "", "100"},
		{"a third after two that expired", "100 100 100 10x 10x", 10, true, "", ""},
		{"a third after one that expired", "100 100 100 10x 11?", 10, true, "11?", ""},
		{"the one after the three", "100 100 100 100 100 100 100 10! 11! 12!", 10, true, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := weighed(test.before)
			now := begin.Add(day)
			fresh := backup.Point{ID: "new", State: backup.Live, Size: test.size, Created: now}
			for range 2 {
				p, made := retention.CheckSize(fresh, before, now)
				if (p.State == backup.Live) != test.live || !test.live && p.State != backup.Suspect {
					t.Errorf("it is %s", p.State)
				}
				if !test.live && (p.Suspicion.Code != "SizeSuspect" || p.Suspicion.Hint == "" ||
					!strings.Contains(p.Suspicion.Message, fmt.Sprintf("has %d bytes", test.size)) ||
					!strings.Contains(p.Suspicion.Message, "of the "+test.normal+" that are normal")) {
					t.Errorf("%+v", p.Suspicion)
				}
				var ids []string
				for _, m := range made {
					ids = append(ids, m.ID)
					if m.State != backup.Live || m.Accepted.By != "run new" || !m.Accepted.Time.Equal(now) || m.Suspicion.Code == "" {
						t.Errorf("made live: %+v", m)
					}
				}
				if got := strings.Join(ids, " "); got != test.made {
					t.Errorf("it makes %q live, want %q", got, test.made)
				}
				slices.Reverse(before) // the order does not matter
			}
		})
	}
}

// TestDoubted: neither its size nor others like it make a point live that its provider doubts.
func TestDoubted(t *testing.T) {
	doubt := backup.Reason{Code: "LedgerNotContinued"}
	for _, before := range []string{"", "100 100 100", "100 100 100 10d 10d", "100 100 100 10? 10?"} {
		fresh := backup.Point{ID: "new", State: backup.Suspect, Suspicion: doubt, Size: 10, Created: begin.Add(day)}
		if p, made := retention.CheckSize(fresh, weighed(before), begin.Add(day)); p.State != backup.Suspect || p.Suspicion != doubt || made != nil {
			t.Errorf("after %s: %+v, %v", before, p, made)
		}
	}
}
