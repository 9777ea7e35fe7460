package retention_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/retention"
)

func TestCheckPolicy(t *testing.T) {
	for _, test := range []struct {
		policy retention.Policy
		want   string // "" for none
	}{
		{retention.Policy{Daily: 7, Minimum: 1}, ""},
		{retention.Policy{Within: day, Minimum: 1}, ""},
		{retention.Policy{Daily: 366, Weekly: 33, Minimum: 1}, ""},
		{retention.Policy{Daily: 7}, "minimum is 0, so the last good backup could be deleted: write 1 or more, or leave minimum out, which is 1"},
		{retention.Policy{Daily: 7, Minimum: -1}, "minimum is -1, so the last good backup"},
		{retention.Policy{Minimum: 1}, "every rule is off: write at least one of last, hourly, daily, weekly, monthly, yearly and within, or leave keep out"},
		{retention.Policy{Minimum: 5}, "every rule is off, and minimum is none: write last: 5"},
		{retention.Policy{Weekly: -1, Daily: 7, Minimum: 1}, "weekly is -1: write a number above 0, or leave weekly out"},
		{retention.Policy{Within: -day, Minimum: 1}, "within is -24h0m0s: write a time above 0 such as 30d"},
		{retention.Policy{Daily: 366, Weekly: 34, Minimum: 1}, "the counts and minimum are more than 400 in sum"},
		{retention.Policy{Hourly: 1 << 62, Daily: 1 << 62, Minimum: 1}, "the counts and minimum are more than 400 in sum"},
	} {
		err := test.policy.Check()
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.HasPrefix(err.Error(), test.want)) {
			t.Errorf("%+v: %v, want %q", test.policy, err, test.want)
		}
	}
}

// TestWorked checks that the clock runs while backups work, for the grace at most after each, and that late points lie between.
func TestWorked(t *testing.T) {
	at := func(days float64) time.Time { return begin.Add(time.Duration(days * float64(day))) }
	grace := retention.Grace(day)
	if short, none := retention.Grace(time.Hour), retention.Grace(0); grace != 2*day || short != 2*day || none != 0 {
		t.Errorf("the grace is %s for a day, %s for an hour, and %s without a schedule", grace, short, none)
	}
	clock := retention.Clock{Began: begin, Worked: 10 * day}
	for _, test := range []struct {
		at    float64
		grace time.Duration
		want  float64
	}{{0, grace, 10}, {1, grace, 11}, {2, grace, 12}, {40, grace, 12}, {40, 0, 50}, {-1, grace, 9}, {-5, grace, 8}} {
		if got := clock.At(at(test.at), test.grace); got != time.Duration(test.want*float64(day)) {
			t.Errorf("%v days after a success the clock shows %s, want %v days", test.at, got, test.want)
		}
	}
	next := retention.Point{Began: at(40), Worked: clock.At(at(40), grace)}
	if got := clock.Advance(next, grace, at(40)).At(at(41), grace); got != 13*day {
		t.Errorf("a day after the first success after a pause the clock shows %s", got)
	}
	for name, p := range map[string]retention.Point{
		"suspect": {Began: at(1), Unverified: "suspect"}, "a safety backup": {Began: at(1), Class: retention.Safety},
		"dated after now": {Began: at(9)}, "older": {Began: at(-1)},
	} {
		if got := clock.Advance(p, grace, at(2)); got != clock {
			t.Errorf("a point that is %s moves the clock to %+v", name, got)
		}
	}
}

// TestReasons has every reason in words, and the time at which each answer may change.
func TestReasons(t *testing.T) {
	now := time.Date(2026, 11, 28, 3, 0, 0, 0, time.UTC)
	ago := func(days int) time.Time { return now.Add(-time.Duration(days)*day - 30*time.Minute) }
	r := retention.Rules{
		Policy: retention.Policy{Last: 1, Hourly: 1, Daily: 3, Weekly: 1, Monthly: 1, Yearly: 1, Within: 2 * day, Minimum: 1},
		Zone:   zone(t, "Europe/Zurich"), Grace: retention.Grace(day), Horizon: 30 * day, OnDemand: 5 * day, Safety: day,
	}
	clock := retention.Clock{Began: ago(0), Worked: 100 * day}
	point := func(id string, days int) retention.Point {
		return retention.Point{ID: id, Began: ago(days), Worked: time.Duration(100-days) * day}
	}
	with := func(p retention.Point, change func(*retention.Point)) retention.Point { change(&p); return p }
	points := []retention.Point{
		point("newest", 0), point("second", 1), point("third", 2), point("fourth", 3),
		with(point("asked", 4), func(p *retention.Point) { p.Class = retention.OnDemand }),
		with(point("asked long ago", 6), func(p *retention.Point) { p.Class = retention.OnDemand }),
		with(point("safety", 7), func(p *retention.Point) { p.Class = retention.Safety }),
		with(point("suspect", 8), func(p *retention.Point) { p.Unverified = "far smaller than the others" }),
		with(point("future", -3), func(*retention.Point) {}),
		with(point("marked", 9), func(p *retention.Point) { p.SoftDeleted = now.Add(7 * day) }),
		with(point("undone", 9), func(p *retention.Point) {
			p.SoftDeleted, p.Held = now.Add(7*day), backup.Hold{Reason: "undone"}
		}),
		with(point("held", 10), func(p *retention.Point) { p.Held = backup.Hold{Until: now.Add(day), Reason: "audit"} }),
		with(point("released", 10), func(p *retention.Point) { p.Held = backup.Hold{Until: now, Reason: "audit"} }),
		with(point("read", 11), func(p *retention.Point) { p.InUse = "restore-7" }),
		with(point("immutable", 12), func(p *retention.Point) {
			p.KeptByStorage = backup.KeptByStorage{Again: now.Add(6 * time.Hour), Reason: backup.NewReason("X", "a lease", "")}
		}),
		point("beyond", 30),
	}
	const ended = "none: within 2d has ended: its age is %s of time in which backups worked"
	for i, want := range []string{
		"last (1 of 1), hourly 2026-11-28T03+01:00 (1 of 1), daily 2026-11-28 (1 of 3), weekly 2026-W48 (1 of 1), " +
			"monthly 2026-11 (1 of 1), yearly 2026 (1 of 1), minimum (1 of 1), the newest verified recovery point of the target, " +
			"within 2d: its age is 30m of time in which backups worked; 2026-12-28T02:30:00Z",
		"daily 2026-11-27 (2 of 3), within 2d: its age is 1d30m of time in which backups worked; 2026-12-01T02:30:00Z",
		"daily 2026-11-26 (3 of 3), within 2d has ended: its age is 2d30m of time in which backups worked; 2026-12-01T02:30:00Z",
		fmt.Sprintf(ended, "3d30m"),
		"within 5d: its age is 4d30m of time in which backups worked; 2026-11-29T02:30:00Z",
		"none: within 5d has ended: its age is 6d30m of time in which backups worked",
		"none: within 1d has ended: its age is 7d30m of time in which backups worked",
		"not verified, so that no rule judges it: far smaller than the others",
		"dated 2026-12-01T02:30:00Z, which is still to come; 2026-12-01T02:30:00Z",
		"none: soft-deleted until 2026-12-05T03:00:00Z; 2026-12-05T03:00:00Z",
		"soft-deleted until 2026-12-05T03:00:00Z, held without end: undone",
		"within 2d has ended: its age is 10d30m of time in which backups worked, held until 2026-11-29T03:00:00Z: audit; 2026-11-29T03:00:00Z",
		fmt.Sprintf(ended, "10d30m"),
		"within 2d has ended: its age is 11d30m of time in which backups worked, the restore restore-7 reads it",
		"within 2d has ended: its age is 12d30m of time in which backups worked, " +
			"kept by storage, which does not say until when: a lease; 2026-11-28T09:00:00Z",
		"none: beyond the horizon: the service restores no backup older than 30d",
	} {
		v := r.Evaluate(points, clock, now)[i]
		if got := said(v); !sameReasons(got, want) {
			t.Errorf("%s:\n%s, want\n%s", v.ID, got, want)
		}
	}
	alone := retention.Rules{Policy: retention.Policy{Last: 1, Minimum: 1}, Zone: time.UTC, Horizon: 30 * day}
	for want, v := range map[string]retention.Verdict{
		"the newest verified recovery point of the target, beyond the horizon: the service restores no backup older than 30d": alone.
			Evaluate(points[len(points)-1:], clock, now)[0],
		"no rule limits its time, beyond the horizon: the service restores no backup older than 30d, " +
			"the newest verified recovery point of the target": retention.Rules{Zone: time.UTC, Horizon: 30 * day}.
			Evaluate(points[len(points)-1:], clock, now)[0],
		"none: no rule keeps it": alone.Evaluate(points[:2], clock, now)[1],
		"daily 2026-11-28 (1 of 3), minimum (1 of 1), the newest verified recovery point of the target": retention.Rules{
			Policy: retention.Policy{Daily: 3, Minimum: 1}, Zone: time.UTC,
		}.Evaluate(points[:1], clock, now)[0],
		"daily oldest (1 of 3)": retention.Rules{Policy: retention.Policy{Daily: 3, Minimum: 1}, Zone: time.UTC}.
			Evaluate([]retention.Point{points[0], with(points[0], func(p *retention.Point) { p.ID = "a" })}, clock, now)[1],
	} {
		if got := said(v); !sameReasons(got, want) {
			t.Errorf("%s:\n%s, want\n%s", v.ID, got, want)
		}
	}
}

func said(v retention.Verdict) string {
	var texts []string
	for _, r := range v.Reasons {
		texts = append(texts, r.String())
	}
	text := strings.Join(texts, ", ")
	if !v.Keep {
		text = "none: " + text
	}
	if !v.Next.IsZero() {
		text += "; " + v.Next.UTC().Format(time.RFC3339)
	}
	return text
}

// sameReasons compares without regard to the order of the reasons.
func sameReasons(a, b string) bool {
	split := func(text string) []string {
		list, next, _ := strings.Cut(text, "; ")
		all := strings.Split(list, ", ")
		slices.Sort(all)
		return append(all, next)
	}
	return slices.Equal(split(a), split(b))
}

// TestRowFits checks that the row of the greatest policy fits into a column of a table, and is the same after it was read again.
func TestRowFits(t *testing.T) {
	r := retention.Rules{Policy: retention.Policy{Last: retention.Most - 1, Minimum: 1}, Zone: zone(t, "America/Argentina/ComodRivadavia")}
	if err := r.Check(); err != nil {
		t.Fatal(err)
	}
	points := hourly(retention.Most + 50)
	points[0].Class = retention.OnDemand
	row, change := r.Add(r.Begin(retention.Clock{}), begin, points...)
	if len(row.Kept) != retention.Most || len(change.Out) != 50 {
		t.Errorf("the row has %d points, and %d fall out", len(row.Kept), len(change.Out))
	}
	text, err := json.Marshal(row)
	if err != nil || len(text) > 28_000 {
		t.Errorf("the row has %d characters: %v", len(text), err)
	}
	t.Logf("%d points in %d characters", len(row.Kept), len(text))
	var read retention.Row
	if err := json.Unmarshal(text, &read); err != nil || !reflect.DeepEqual(read, row) {
		t.Errorf("it is read as %+v: %v", read, err)
	}
	if err := json.Unmarshal([]byte(`{"kept":["a 1"]}`), &read); err == nil {
		t.Error("a row with half a point can be read")
	}
	if other := r; row.Rules != r.Key() {
		t.Errorf("the row is of other rules than %s", other.Key())
	} else if other.Minimum++; row.Rules == other.Key() {
		t.Error("an edit of minimum leaves the row as it is")
	}
}

// TestEachArrival has the history for which a floor ("add the newest until four are kept") leaves other points when it is applied at
// each arrival than once: the minimum does not.
func TestEachArrival(t *testing.T) {
	r := retention.Rules{
		Policy: retention.Policy{Daily: 3, Monthly: 2, Yearly: 1, Minimum: 4}, Zone: zone(t, "Europe/Zurich"), Grace: retention.Grace(day),
	}
	var times []time.Time
	for _, text := range []string{
		"2026-12-22 09:00", "2026-12-23 03:00", "2026-12-24 09:00", "2026-12-26 15:00", "2026-12-26 20:00", "2026-12-27 10:00", "2027-01-03 09:00",
	} {
		times = append(times, on(r.Zone, text))
	}
	points, row := history(r.Grace, times...), r.Begin(retention.Clock{})
	for _, p := range points {
		row, _ = r.Add(row, p.Began, p)
	}
	once := keptIDs(r, points, row.Clock, times[6])
	if each := ids(row); !slices.Equal(once, each) || !slices.Equal(once, []string{"p00003", "p00004", "p00005", "p00006"}) {
		t.Errorf("judged once %v stay, judged at each arrival %v", once, each)
	}
}
