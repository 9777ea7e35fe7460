package text

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"lifeboat/internal/pattern"
)

// Clock writes and reads times for people.
type Clock struct {
	// Zone is the zone of the times; nil means UTC, in the form of RFC 3339.
	Zone *time.Location
	// Now is the time from which ages count.
	Now time.Time
}

// At returns the time to the minute with its zone, such as "2026-01-31 03:30 CET"; "" if it is zero.
func (c Clock) At(t time.Time) string {
	switch {
	case t.IsZero():
		return ""
	case c.Zone == nil:
		return t.UTC().Format(time.RFC3339)
	}
	return t.In(c.Zone).Format("2006-01-02 15:04 MST")
}

// Local returns the time with its day of the week on the clocks of the zone, to the second, such as
// "Sat 2026-01-31 03:30:00 +01:00".
func Local(t time.Time, zone *time.Location) string {
	return t.In(zone).Format("Mon 2006-01-02 15:04:05 -07:00")
}

// Age returns the time since then in its largest unit, such as "3h"; "" if it is zero, and "0s" if it is yet to come.
func (c Clock) Age(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	switch s := max(int64(c.Now.Sub(t).Seconds()), 0); {
	case s >= 86400:
		return fmt.Sprintf("%dd", s/86400)
	case s >= 3600:
		return fmt.Sprintf("%dh", s/3600)
	case s >= 60:
		return fmt.Sprintf("%dm", s/60)
	default:
		return fmt.Sprintf("%ds", s)
	}
}

// Ago returns the time with its age, such as "2026-01-31 03:30 CET, 3h2m ago", or for a time to come "…, in 3h2m".
func (c Clock) Ago(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	if seconds := int64(c.Now.Sub(t).Seconds()); seconds >= 0 {
		return c.At(t) + ", " + Age(seconds) + " ago"
	}
	return c.At(t) + ", in " + Age(int64(t.Sub(c.Now).Seconds()))
}

// longest is the longest duration that a person may write: far more than recovery points are kept, and far below an overflow.
const longest = 36_500 * 24 * time.Hour

var (
	amount = pattern.New(`^(\d{1,6}[wdhms])+$`)
	part   = pattern.New(`(\d+)([wdhms])`)
	ofDay  = pattern.New(`^(?:(today|yesterday|tomorrow)(?: (\d{1,2}:\d{2}))?|(\d{1,2}:\d{2}))$`)
	units  = map[string]time.Duration{"w": 7 * 24 * time.Hour, "d": 24 * time.Hour, "h": time.Hour, "m": time.Minute, "s": time.Second}
	days   = map[string]int{"yesterday": -1, "tomorrow": 1}
	forms  = []string{"2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly}
)

// Read reads a time that a person wrote: a time of RFC 3339; a date, or a date and time, of the clock's zone; today, yesterday or
// tomorrow, when that day begins, or with a time such as "yesterday 14:30"; a time of today; or a duration such as 2h, 3d or 1d12h.
// The duration counts back from now if sign is -1, and forward if it is 1.
func (c Clock) Read(text string, sign time.Duration) (time.Time, error) {
	zone := c.Zone
	if zone == nil {
		zone = time.UTC
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	for _, form := range forms {
		if t, err := time.ParseInLocation(form, text, zone); err == nil {
			return t, nil
		}
	}
	if amount.MatchString(text) {
		var sum time.Duration
		for _, m := range part.FindAllStringSubmatch(text, -1) {
			n, _ := strconv.Atoi(m[1])
			if time.Duration(n) > (longest-sum)/units[m[2]] {
				return time.Time{}, fmt.Errorf("%q is no time: it is more than a hundred years", text)
			}
			sum += time.Duration(n) * units[m[2]]
		}
		return c.Now.Add(sign * sum), nil
	}
	if m := ofDay.FindStringSubmatch(text); m != nil {
		now := c.Now.In(zone)
		var hour, minute int
		if at := m[2] + m[3]; at != "" {
			clock, err := time.Parse("15:04", at)
			if err != nil {
				return time.Time{}, fmt.Errorf("%q is no time: a day has no %s", Plain(text), at)
			}
			hour, minute, _ = clock.Clock()
		}
		return time.Date(now.Year(), now.Month(), now.Day()+days[m[1]], hour, minute, 0, 0, zone), nil
	}
	return time.Time{}, fmt.Errorf("%q is no time: write one such as 2h, yesterday, %s", Plain(text),
		strings.Join([]string{"14:30", "2026-01-31", `"2026-01-31 14:30"`, "2026-01-31T13:30:00Z"}, ", "))
}
