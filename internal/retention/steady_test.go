package retention_test

import (
	"fmt"
	"testing"

	"lifeboat/internal/retention"
	"lifeboat/internal/schedule"
)

// TestSteady has the numbers of points that policies keep once they are full. People expect the sum of the counts.
func TestSteady(t *testing.T) {
	const daily, fourADay, hourly = "30 2 * * *", "0 2,8,14,20 * * *", "0 * * * *"
	for _, test := range []struct {
		schedule string
		policy   retention.Policy
		want     string
	}{
		{daily, retention.Policy{Daily: 7}, "7-7"},
		{daily, retention.Policy{Daily: 7, Weekly: 4}, "9-10"},
		{daily, retention.Policy{Daily: 7, Weekly: 4, Monthly: 12}, "19-21"},
		{daily, retention.Policy{Daily: 7, Weekly: 4, Monthly: 12, Yearly: 3}, "20-23"},
		{daily, retention.Policy{Last: 3, Daily: 7, Weekly: 4, Monthly: 12, Yearly: 3}, "20-23"},
		{daily, retention.Policy{Daily: 14, Weekly: 8, Monthly: 12, Yearly: 7}, "33-37"},
		// A table of a few years had 50: it is 49 on two Mondays of April in 2021, 2027 and 2038, and on no other day of 30 years.
		{daily, retention.Policy{Daily: 30, Weekly: 12, Monthly: 12, Yearly: 7}, "49-54"},
		{daily, retention.Policy{Daily: 7, Weekly: 5, Monthly: 12, Yearly: 75}, "93-96"},
		{daily, retention.Policy{Yearly: 399}, "399-399"},
		{daily, retention.Policy{Monthly: 300}, "300-300"},
		{"* * * * *", retention.Policy{Yearly: 100}, "100-100"},
		{"0 3 31 * *", retention.Policy{Monthly: 399}, "399-399"},
		{"0 3 * * MON#5", retention.Policy{Weekly: 399}, "399-399"},
		{"0 3 29 2 *", retention.Policy{Daily: 399}, "399-399"},
		{"0 3 29 2 *", retention.Policy{Hourly: 199, Daily: 200}, "200-200"},
		{daily, retention.Policy{Weekly: 52}, "52-52"},
		{daily, retention.Policy{Weekly: 52, Monthly: 12}, "60-63"},
		{fourADay, retention.Policy{Daily: 7, Weekly: 4, Monthly: 12, Yearly: 3}, "20-23"},
		{fourADay, retention.Policy{Hourly: 24, Daily: 7, Weekly: 4, Monthly: 12, Yearly: 3}, "37-41"},
		{hourly, retention.Policy{Hourly: 24, Daily: 7}, "29-30"},
		{hourly, retention.Policy{Hourly: 24, Daily: 7, Weekly: 4, Monthly: 12}, "41-44"},
		{"*/10 * * * *", retention.Policy{Hourly: 24, Daily: 7}, "29-30"},
		{"*/10 * * * *", retention.Policy{Hourly: 24, Daily: 7, Weekly: 4, Monthly: 12}, "41-44"},
		{"* * * * *", retention.Policy{Hourly: 24, Daily: 7}, "29-30"},
		{"* * * * *", retention.Policy{Daily: 7, Weekly: 4, Monthly: 12, Yearly: 3}, "20-23"},
		{hourly, retention.Policy{Weekly: 52, Monthly: 12}, "60-63"},
		{"*/10 8-10 * * *", retention.Policy{Hourly: 24, Daily: 7}, "24-24"},
		{"*/10 8-10 * * *", retention.Policy{Hourly: 5, Daily: 7}, "9-10"},
		{hourly, retention.Policy{Hourly: 48, Daily: 14, Weekly: 8, Monthly: 12}, "73-77"},
		{daily, retention.Policy{Within: 30 * day}, "30-30"},
		{daily, retention.Policy{Within: 30 * day, Monthly: 12}, "39-41"},
		{daily, retention.Policy{Last: 366}, "366-366"},
		{"*/5 * * * *", retention.Policy{Last: 24, Daily: 7}, "29-30"},
		{"*/5 * * * *", retention.Policy{Within: 90 * day}, "25919-25920"},
		{"15 * * * *", retention.Policy{Within: 260 * 7 * day}, "43680-43680"},
		{"* * * * *", retention.Policy{Within: 3650 * day}, "5256000-5256000"},
		{"0 4 1 * *", retention.Policy{Within: 3650 * day}, "119-120"},
		{"0 4 1 1 *", retention.Policy{Within: 3650 * day}, "9-10"},
		{"0 4 1 1 *", retention.Policy{Last: 100}, "100-100"},
	} {
		t.Run(fmt.Sprintf("%s %+v", test.schedule, test.policy), func(t *testing.T) {
			e, err := schedule.Parse(test.schedule)
			if err != nil {
				t.Fatal(err)
			}
			test.policy.Minimum = retention.DefaultMinimum
			zurich := zone(t, "Europe/Zurich")
			r := retention.Rules{Policy: test.policy, Zone: zurich}
			least, most := r.Steady(e.In(zurich))
			if got := fmt.Sprintf("%d-%d", least, most); got != test.want {
				t.Errorf("keeps %s, want %s", got, test.want)
			}
		})
	}
}

func BenchmarkSteady(b *testing.B) {
	e, err := schedule.Parse("0 * * * *")
	if err != nil {
		b.Fatal(err)
	}
	zurich := zone(b, "Europe/Zurich")
	r := retention.Rules{Policy: retention.Policy{Hourly: 48, Daily: 14, Weekly: 8, Monthly: 12, Minimum: 1}, Zone: zurich}
	b.ReportAllocs()
	for b.Loop() {
		r.Steady(e.In(zurich))
	}
}
