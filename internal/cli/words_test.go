package cli

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/api"
	"lifeboat/internal/backup"
	"lifeboat/internal/schedule"
)

// id returns a resource ID in the subscription with the number.
func id(subscription, name string) string {
	return "/subscriptions/0c0ffee0-0000-4000-8000-00000000000" + subscription + "/resourceGroups/g/providers/Microsoft.ApiManagement/service/" + name
}

// TestShortNamesTellTargetsApart checks that targets with the same short name get their whole ID, for any number of them and in
// any case.
func TestShortNamesTellTargetsApart(t *testing.T) {
	one, two, three, other := id("1", "twin"), id("2", "twin"), id("3", "twin"), id("1", "other")
	for name, c := range map[string]struct{ targets, want []string }{
		"all differ":            {[]string{one, other}, []string{"g/twin", "g/other"}},
		"two are alike":         {[]string{one, other, two}, []string{one, "g/other", two}},
		"three are alike":       {[]string{one, two, three}, []string{one, two, three}},
		"three, others between": {[]string{one, other, two, other, three}, []string{one, "g/other", two, "g/other", three}},
		"alike but for case":    {[]string{one, strings.ToUpper(two)}, []string{one, strings.ToUpper(two)}},
		"the same one twice":    {[]string{one, other, one}, []string{"g/twin", "g/other", "g/twin"}},
		"the same in capitals":  {[]string{one, strings.ToUpper(one)}, []string{"g/twin", "G/TWIN"}},
		"no resource IDs":       {[]string{"x", "y", one}, []string{"x", "y", "g/twin"}},
	} {
		if got := labels(c.targets); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// TestRetryAfterIsFollowedForAMinuteAtMost checks that a command does not sleep for hours.
func TestRetryAfterIsFollowedForAMinuteAtMost(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"": 0, "0": 0, "1": time.Second, "59": 59 * time.Second, "60": time.Minute, "61": time.Minute, "7200": time.Minute,
		"-1": 0, "soon": 0, "1.5": 0, "Wed, 21 Oct 2026 07:28:00 GMT": 0, "9223372036854775807": time.Minute,
	} {
		if got := retryAfter(http.Header{"Retry-After": {text}}); got != want {
			t.Errorf("Retry-After %q: %s, want %s", text, got, want)
		}
	}
}

// TestAgesAndSizesAndTimesForPeople checks the texts of ages, sizes and times.
func TestAgesAndSizesAndTimesForPeople(t *testing.T) {
	for seconds, want := range map[int64]string{
		0: "0s", 59: "59s", 60: "1m0s", 61: "1m1s", 3599: "59m59s", 3600: "1h0m", 3660: "1h1m", 86399: "23h59m", 86400: "1d0h",
		90000: "1d1h", 10 * 86400: "10d0h",
	} {
		if got := ago(seconds); got != want {
			t.Errorf("an age of %d s is %s, want %s", seconds, got, want)
		}
	}
	for n, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 1 << 20: "1.0 MiB", 1 << 30: "1.0 GiB", 1 << 40: "1.0 TiB", 1 << 50: "1024.0 TiB",
	} {
		if got := bytesOf(n); got != want {
			t.Errorf("%d bytes are %s, want %s", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "none", time.Second: "1s", 90 * time.Second: "90s", time.Minute: "1m", 90 * time.Minute: "90m", time.Hour: "1h", 36 * time.Hour: "36h",
		24 * time.Hour: "1d", 14 * 24 * time.Hour: "14d",
	} {
		if got := duration(d, "none"); got != want {
			t.Errorf("%s is written %s, want %s", d, got, want)
		}
	}
	for n, want := range map[int]string{0: "0 targets", 1: "1 target", 2: "2 targets"} {
		if got := count(n, "target"); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}

// TestFateOfARecoveryPoint checks that the text has the later of the point's own time and the end of its hold, or its final
// state.
func TestFateOfARecoveryPoint(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC) }
	for name, c := range map[string]struct {
		p    api.Point
		want string
	}{
		"live":             {api.Point{State: "live", Expires: day(5)}, "kept until 2026-01-05T00:00:00Z"},
		"held for longer":  {api.Point{State: "live", Expires: day(5), Held: day(8)}, "kept until 2026-01-08T00:00:00Z"},
		"held for less":    {api.Point{State: "live", Expires: day(9), Held: day(8)}, "kept until 2026-01-09T00:00:00Z"},
		"suspect":          {api.Point{State: "suspect", Expires: day(5)}, "suspect, kept until 2026-01-05T00:00:00Z"},
		"suspect and held": {api.Point{State: "suspect", Expires: day(5), Held: day(8)}, "suspect, kept until 2026-01-08T00:00:00Z"},
		"being deleted":    {api.Point{State: "deleting", Expires: day(5)}, "deleting"},
		"deleted":          {api.Point{State: "expired", Expires: day(5), Deleted: day(6)}, "deleted 2026-01-06T00:00:00Z"},
	} {
		if got := fate(c.p); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	for name, c := range map[string]struct {
		p    api.Point
		want string
	}{
		"decided":                  {api.Point{State: "expired", Decision: "it was\x1b old", Safety: true}, "it was  old"},
		"suspect":                  {api.Point{State: "suspect", Suspicion: &api.Problem{Code: "SizeSuspect"}, Safety: true}, "SizeSuspect"},
		"a safety backup":          {api.Point{State: "live", Safety: true}, "safety backup of the restore of the same ID"},
		"accepted with a reason":   {api.Point{State: "live", Suspicion: &api.Problem{Code: "SizeSuspect"}, AcceptedBy: "me", AcceptReason: "fine"}, "accepted by me: fine"},
		"accepted without a word":  {api.Point{State: "live", Suspicion: &api.Problem{Code: "SizeSuspect"}, AcceptedBy: "me"}, "accepted by me"},
		"nothing to be said of it": {api.Point{State: "live"}, ""},
	} {
		if got := why(c.p); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// TestALinkIsFollowedByItsPathAlone checks that the host in a link of the API is not used.
func TestALinkIsFollowedByItsPathAlone(t *testing.T) {
	for link, want := range map[string]string{
		"https://other/api/runs/x": "/api/runs/x", "https://other/api/runs?target=a%2Fb&after=c": "/api/runs?target=a%2Fb&after=c",
		"/api/runs/x": "/api/runs/x", "": "", "https://other/%zz": "",
	} {
		if got := pathOf(link); got != want {
			t.Errorf("%s: %q, want %q", link, got, want)
		}
	}
}

// TestProgressOfARun checks the line for each state of a run.
func TestProgressOfARun(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600))
	for want, v := range map[string]run{
		"running":                         {State: "running", Status: "Running"},
		"running, asked Azure 1 time":     {State: "running", Status: "Running", Polls: 1},
		"running, asked Azure 2 times":    {State: "running", Status: "Running", Polls: 2},
		"failed":                          {State: "failed", Status: "Failed", Polls: 2},
		"waiting: Busy: it is  at it":     {State: "waiting", Status: "NotStarted", Polls: 2, Waiting: &api.Problem{Code: "Busy", Message: "it is\x1b at it"}},
		"succeeded: 1.0 KiB, kept until ": {State: "succeeded", Status: "Succeeded", Polls: 2, Point: &api.Point{State: "live", Size: 1024}},
		"succeeded: 7 B, suspect, kept until : smaller": {
			State: "succeeded", Status: "Succeeded", Point: &api.Point{State: "suspect", Size: 7, Suspicion: &api.Problem{Code: "C", Message: "smaller"}},
		},
	} {
		v.LastUpdated = at
		if got := v.progress(); got != "2026-01-02T02:04:05Z  "+want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for status, over := range map[string]bool{
		"Succeeded": true, "Failed": true, "Canceled": true, "NotStarted": false, "Running": false, "": false,
	} {
		if (run{Status: status}).over() != over || (batch{Status: status}).over() != over {
			t.Errorf("%q: over is not %t", status, over)
		}
	}
}

// TestScheduledTimesOfAPausedPlanAreNone checks that a paused plan has no scheduled times.
func TestScheduledTimesOfAPausedPlanAreNone(t *testing.T) {
	const every = 1<<32 - 1
	p := backup.Plan{Schedule: schedule.Schedule{Second: 1, Minute: 1, Hour: 1, Day: every, Month: every, Weekday: every, Zone: time.UTC}}
	at := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	if got := scheduledTimes(p, at, 2); len(got) != 2 || !got[0].Equal(at.AddDate(0, 0, 1)) || !got[1].Equal(at.AddDate(0, 0, 2)) {
		t.Errorf("%v", got)
	}
	p.Paused = true
	if got := scheduledTimes(p, at, 2); len(got) != 0 {
		t.Errorf("paused: %v", got)
	}
}
