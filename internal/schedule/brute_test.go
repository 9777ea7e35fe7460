package schedule_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/schedule"
	"lifeboat/internal/tzdata"
	"lifeboat/internal/tzdata/wheel"
)

// TestNextAgainstBruteForce reads the clocks of every minute around each day on which clocks change, from 2026 to 2040, and
// around 200 other days, in ten zones, by two versions of the time zones. Each scheduled time is after the last one, the clocks
// show then what the expression says, and none is left out. LIFEBOAT_BRUTE is the number of expressions that each day is tried
// with.
func TestNextAgainstBruteForce(t *testing.T) {
	each := 1
	if n, err := strconv.Atoi(os.Getenv("LIFEBOAT_BRUTE")); err == nil {
		each = n
	}
	text, err := os.ReadFile("../tzdata/testdata/2025c.zip")
	if err != nil {
		t.Fatal(err)
	}
	packed, err := wheel.Pack(text)
	if err != nil {
		t.Fatal(err)
	}
	old, err := tzdata.Unpack(packed)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(5, 6))
	days, tried := 0, 0
	for _, data := range []*tzdata.Data{old, tzdata.Embedded()} {
		for _, name := range []string{
			"Europe/Zurich", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Africa/Cairo", "Asia/Beirut", "Europe/Dublin",
			"Pacific/Chatham", "Antarctica/Troll", "Africa/Casablanca",
		} {
			zone, err := data.Load(name)
			if err != nil {
				t.Fatal(err)
			}
			from, to := time.Date(2026, 1, 1, 12, 0, 0, 0, zone), time.Date(2041, 1, 1, 0, 0, 0, 0, zone)
			var noons []time.Time
			for _, at := range tzdata.Changes(zone, from, to) {
				y, m, d := at.Add(-time.Minute).In(zone).Date()
				noons = append(noons, time.Date(y, m, d, 12, 0, 0, 0, zone))
			}
			for range 20 {
				noons = append(noons, from.AddDate(0, 0, random.IntN(15*365)))
			}
			for _, noon := range noons {
				day := readClocks(noon)
				days++
				for range each {
					text := onDay(random, noon)
					e, err := schedule.Parse(text)
					if err != nil {
						t.Fatal(err)
					}
					tried++
					want := day.scheduledTimes(e)
					var got []time.Time
					last := day.begin.Add(-time.Nanosecond)
					for scheduledTime := range e.In(zone).After(last) {
						if !scheduledTime.After(last) {
							t.Fatalf("%s %q: %s follows %s", name, text, scheduledTime, last)
						}
						if last = scheduledTime; !scheduledTime.Before(day.end) {
							break
						}
						got = append(got, scheduledTime)
					}
					if !slices.EqualFunc(got, want, time.Time.Equal) {
						t.Fatalf("%s of %s, %q around %s:\n got %v\nwant %v", name, data.Version, text, noon.Format(time.DateOnly), got, want)
					}
				}
			}
		}
	}
	if days < 500 || tried < days {
		t.Errorf("%d days, %d expressions", days, tried)
	}
}

// onDay makes an expression that may come due on the day, or beside it.
func onDay(random *rand.Rand, noon time.Time) string {
	pick := func(from ...string) string { return from[random.IntN(len(from))] }
	hours := fmt.Sprint(random.IntN(24))
	switch random.IntN(4) {
	case 0:
		hours = "*"
	case 1:
		hours = pick("*/2", "0-4", "1,2,3", "0,23", "2,3", "0,1", "22,23", "*/3", "1-23/2")
	}
	days := pick("* * *", "* * *", fmt.Sprintf("%d %d *", noon.Day(), noon.Month()), "* * "+strings.ToUpper(noon.Format("Mon")), "L * *",
		fmt.Sprintf("* * %s#%d", noon.Format("Mon"), (noon.Day()+6)/7), "* * "+noon.Format("Mon")+"L", "*/2 * *", "* "+noon.Format("Jan")+" *")
	return pick("0", "30", "*/15", "59", "15,45", fmt.Sprint(random.IntN(60)), "*/7") + " " + hours + " " + days
}

// clocks has the local times of a zone in each minute of a day, and of more than a day before and after it.
type clocks struct {
	begin, end time.Time // the compared time
	minutes    []time.Time
	walls      []int64             // the local time in each minute, as if it were in UTC
	first      map[int64]time.Time // the first minute with the local time
}

func readClocks(noon time.Time) clocks {
	y, m, d := noon.Date()
	c := clocks{
		begin: time.Date(y, m, d, 0, 0, 0, 0, noon.Location()).Add(-2 * time.Hour),
		end:   time.Date(y, m, d+1, 0, 0, 0, 0, noon.Location()).Add(2 * time.Hour), first: map[int64]time.Time{},
	}
	for at := noon.Add(-44 * time.Hour); at.Before(noon.Add(44 * time.Hour)); at = at.Add(time.Minute) {
		c.minutes = append(c.minutes, at)
		_, ahead := at.Zone()
		shown := at.Unix() + int64(ahead)
		c.walls = append(c.walls, shown)
		if _, before := c.first[shown]; !before {
			c.first[shown] = at
		}
	}
	return c
}

// scheduledTimes returns the scheduled times of the expression from begin up to end.
func (c clocks) scheduledTimes(e schedule.Expression) []time.Time {
	var scheduledTimes []time.Time
	on := func(t time.Time) bool {
		length := time.Date(t.Year(), t.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day()
		return e.Day>>t.Day()&1 == 1 && e.Month>>int(t.Month())&1 == 1 && e.Weekday>>int(t.Weekday())&1 == 1 &&
			(e.Last == 0 || t.Day() > length-e.Last) && e.Minute>>t.Minute()&1 == 1 && e.Hour>>t.Hour()&1 == 1
	}
	if e.Hour == 1<<24-1 { // elapsed time
		for _, at := range c.minutes {
			if on(at) {
				scheduledTimes = append(scheduledTimes, at)
			}
		}
	} else {
		noon := c.begin.Add(14 * time.Hour)
		for named := time.Date(noon.Year(), noon.Month(), noon.Day()-1, 0, 0, 0, 0, time.UTC); named.Before(c.end.Add(26 * time.Hour)); named = named.Add(time.Minute) {
			if !on(named) || named.Unix() < c.walls[0] || named.Unix() > c.walls[len(c.walls)-1] {
				continue
			}
			at, shown := c.first[named.Unix()]
			for i := 0; !shown && i+1 < len(c.walls); i++ { // the clocks jump over it: the offset before holds
				if c.walls[i] < named.Unix() && c.walls[i+1] > named.Unix() {
					at, shown = c.minutes[i].Add(time.Duration(named.Unix()-c.walls[i])*time.Second), true
				}
			}
			if shown {
				scheduledTimes = append(scheduledTimes, at)
			}
		}
	}
	slices.SortFunc(scheduledTimes, time.Time.Compare)
	scheduledTimes = slices.CompactFunc(scheduledTimes, time.Time.Equal)
	return slices.DeleteFunc(scheduledTimes, func(at time.Time) bool { return at.Before(c.begin) || !at.Before(c.end) })
}
