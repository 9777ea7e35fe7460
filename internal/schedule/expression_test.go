package schedule_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"lifeboat/internal/schedule"
)

// TestParse reads expressions with one meaning everywhere, and expressions that Lifeboat accepts although some parsers do not.
func TestParse(t *testing.T) {
	const anyDay, anyMonth, anyWeekday, anyHour = 1<<32 - 2, 1<<13 - 2, 1<<7 - 1, 1<<24 - 1
	daily := func(change func(*schedule.Expression)) schedule.Expression {
		e := schedule.Expression{Schedule: schedule.Schedule{
			Second: 1, Minute: 1 << 30, Hour: 1 << 2, Day: anyDay, Month: anyMonth, Weekday: anyWeekday,
		}}
		change(&e)
		return e
	}
	on := func(days uint64) schedule.Expression {
		return daily(func(e *schedule.Expression) { e.Weekday = days })
	}
	for _, c := range []struct {
		text string
		want schedule.Expression
	}{
		{"30 2 * * *", on(anyWeekday)},
		{"  30  2 * * *  ", on(anyWeekday)},
		{"0 30 2 * * *", on(anyWeekday)},
		{"30 2 ? * *", on(anyWeekday)},
		{"30 2 * * ?", on(anyWeekday)},
		{"30 2 * * THU", on(1 << 4)},
		{"30 2 * * tHu", on(1 << 4)},
		{"30 2 * * MON,THU", on(1<<1 | 1<<4)},
		{"30 2 * * TUE-THU", on(1<<2 | 1<<3 | 1<<4)},
		{"30 2 * * MON-5", on(1<<6 - 2)},
		{"30 2 * * 1-FRI", on(1<<6 - 2)},
		{"30 2 * * MON-FRI/2", on(1<<1 | 1<<3 | 1<<5)},
		{"30 2 * * 0-6", on(anyWeekday)},
		{"30 2 * * 06", on(1 << 6)},
		{"30 2 ? * 1", on(1 << 1)},
		{"*/20,5 2 * * *", daily(func(e *schedule.Expression) { e.Minute = 1 | 1<<5 | 1<<20 | 1<<40 })},
		{"50/4 2 * * *", daily(func(e *schedule.Expression) { e.Minute = 1<<50 | 1<<54 | 1<<58 })},
		{"30 * * * *", daily(func(e *schedule.Expression) { e.Hour = anyHour })},
		{"15 30 2 * * *", daily(func(e *schedule.Expression) { e.Second = 1 << 15 })},
		{"0 30 2-2 * * *", on(anyWeekday)},
		{"30 2 31 * *", daily(func(e *schedule.Expression) { e.Day = 1 << 31 })},
		{"30 2 * JUL-sep *", daily(func(e *schedule.Expression) { e.Month = 1<<7 | 1<<8 | 1<<9 })},
		{"30 2 l * *", daily(func(e *schedule.Expression) { e.Last = 1 })},
		{"30 2 * * friL", daily(func(e *schedule.Expression) { e.Last, e.Weekday = 7, 1<<5 })},
		{"30 2 ? * MON#2", daily(func(e *schedule.Expression) { e.Day, e.Weekday = 1<<15-1<<8, 1<<1 })},
	} {
		if got, err := schedule.Parse(c.text); got != c.want || err != nil {
			t.Errorf("%q:\n got %+v, %v\nwant %+v", c.text, got, err, c.want)
		}
	}
}

// TestLoneSeven: 7 alone is Sunday, and the warning tells the writer how others read it.
func TestLoneSeven(t *testing.T) {
	for text, line := range map[string]string{"30 2 * * 7": "30 2 * * SUN", "0 30 2 * * MON,07": "0 30 2 * * MON,SUN"} {
		e, err := schedule.Parse(text)
		want := "7 among the days of the week is Sunday here, Saturday in Quartz and AWS, and refused by NCRONTAB and Kubernetes: " +
			`write SUN ("` + line + `")`
		if err != nil || e.Weekday&1 == 0 || e.Warning != want {
			t.Errorf("%q: %+v, %v", text, e, err)
		}
	}
	if e, err := schedule.Parse("30 2 * * SUN"); err != nil || e.Warning != "" {
		t.Errorf("SUN: %q, %v", e.Warning, err)
	}
}

// TestAnythingIsReadOrRefused: random texts are accepted or refused, and each line that a refusal proposes is accepted.
func TestAnythingIsReadOrRefused(t *testing.T) {
	taken, refused := 0, 0
	for _, text := range random(20_000) {
		_, err := schedule.Parse(text)
		if err == nil {
			taken++
			continue
		}
		refused++
		r, ok := errors.AsType[*schedule.Refusal](err)
		if !ok || r.Text != text || r.Reason == "" {
			t.Fatalf("%q: %v", text, err)
		}
		for _, line := range r.Write {
			if _, err := schedule.Parse(line); err != nil {
				t.Fatalf("%q: %v\nand then: %v", text, r, err)
			}
		}
	}
	if taken < 20 || refused < 5_000 {
		t.Errorf("%d taken, %d refused", taken, refused)
	}
}

// random makes expressions of items that cron expressions have, and of others.
func random(n int) []string {
	random := rand.New(rand.NewPCG(1, 2))
	items := strings.Fields("* ? 0 1 2 5 7 07 10 31 59 60 99 1-5 5-1 3-3 0-7 5-7 0-6 1-31 */1 */2 */07 */7 */60 */0 1/2 5/15 7/2 MON thu " +
		"FRI-MON MON-5 MON#1 MON#6 2#1 FRIL 5L l L LW L-3 15W JAN Ju Monday FEB/2 *-15 ?-5 ?/2 +5 1- -1 1/ / # ~ H H/2 % 2027 , ,, é")
	var texts []string
	for range n {
		fields := make([]string, 4+random.IntN(4))
		for i := range fields {
			fields[i] = "*"
			for n := random.IntN(4); n > 0; n-- {
				if item := items[random.IntN(len(items))]; fields[i] == "*" {
					fields[i] = item
				} else {
					fields[i] += "," + item
				}
			}
		}
		texts = append(texts, strings.Join(fields, " "))
	}
	return texts
}
