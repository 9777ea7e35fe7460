package schedule_test

import (
	"testing"
	"time"

	"lifeboat/internal/schedule"
)

// TestWords: the words tell facts that cannot be seen in an expression, with its runs a day.
func TestWords(t *testing.T) {
	for _, c := range []struct {
		text, want string
		runs       int
	}{
		{"30 2 * * *", "every day at 02:30", 1},
		{"30 2 * * 1", "Mondays at 02:30", 1},
		{"0 0 2 * * 7", "Sundays at 02:00", 1},
		{"0 0 2 * * 1", "Mondays at 02:00", 1},
		{"*/30 8-10 * * 1-5", "every 30 minutes from 08:00 to 10:30 on weekdays", 6},
		{"* 30 2 * * *", "every second from 02:30:00 to 02:30:59", 60},
		{"0 5 * * * 0", "every hour at 5 minutes past on Sundays", 24},
		{"*/10 * * * * *", "every 10 seconds", 8640},
		{"* * * * *", "every minute", 1440},
		{"* * * * * *", "every second", 86400},
		{"15 * * * *", "every hour at 15 minutes past", 24},
		{"1 * * * *", "every hour at 1 minute past", 24},
		{"0 */6 * * *", "every 6 hours", 4},
		{"30 */2 * * *", "every 2 hours from 00:30", 12},
		{"1-59/2 * * * *", "every 2 minutes from 00:01", 720},
		{"0 */2 * FEB,JUN *", "every 2 hours in February and June", 12},
		{"30 2,14 1,15 * *", "the 1st and 15th of every month at 02:30 and 14:30", 2},
		{"0 8-10 * 1-3,7 *", "every day in January to March and July at 08:00, 09:00 and 10:00", 3},
		{"30 15 10 * * SAT,SUN", "Saturdays and Sundays at 10:15:30", 1},
		{"30 2 * * MON#1", "the first Monday of every month at 02:30", 1},
		{"30 2 * * WED#5", "the fifth Wednesday of every month at 02:30", 1},
		{"30 2 * JUL FRIL", "the last Friday of July at 02:30", 1},
		{"30 2 L * *", "the last day of every month at 02:30", 1},
		{"0 0 29 2 *", "the 29th of February at 00:00", 1},
		{"30 2 2,3,11,12,13,21-23 * *", "the 2nd, 3rd, 11th, 12th, 13th, 21st, 22nd and 23rd of every month at 02:30", 1},
		{"*/7 * * * *", "every day at the minutes 0, 7, 14, 21, 28, 35, 42, 49 and 56 of every hour", 216},
		{"5,20,22 2-4 * * MON", "Mondays at the minutes 5, 20 and 22 of the hours 2 to 4", 9},
		{"0,30 5 * * * *", "every day at the seconds 0 and 30 of the minute 5 of every hour", 48},
	} {
		e, err := schedule.Parse(c.text)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		if got := e.Words(); got != c.want || e.RunsADay() != c.runs {
			t.Errorf("%q is said as %q, %d runs a day; want %q, %d", c.text, got, e.RunsADay(), c.want, c.runs)
		}
	}
}

// TestInARow counts the scheduled times of a day that are closer together than a given time.
func TestInARow(t *testing.T) {
	for _, c := range []struct {
		text        string
		less, least time.Duration
		want        int
	}{
		{"30 2 * * *", time.Hour, 0, 1},
		{"* 30 2 * * *", time.Minute, time.Second, 60},
		{"* 30 2 * * *", time.Second, time.Second, 1},
		{"0,10,20 2,14 * * *", time.Hour, 10 * time.Minute, 3},
		{"0,10,20,50 2 * * *", 11 * time.Minute, 10 * time.Minute, 3},
		{"0,30,40,50 2 * * *", 11 * time.Minute, 10 * time.Minute, 3},
	} {
		e, err := schedule.Parse(c.text)
		if got, least := e.InARow(c.less); err != nil || got != c.want || least != c.least {
			t.Errorf("%q, less than %s: %d, at least %s, %v; want %d, %s", c.text, c.less, got, least, err, c.want, c.least)
		}
	}
}
