package text_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/cli/text"
	"lifeboat/internal/tzdata"
)

// TestAgesAndSizesForPeople checks the texts of ages, sizes and counts.
func TestAgesAndSizesForPeople(t *testing.T) {
	for seconds, want := range map[int64]string{
		0: "0s", 59: "59s", 60: "1m0s", 61: "1m1s", 3599: "59m59s", 3600: "1h0m", 3660: "1h1m", 86399: "23h59m", 86400: "1d0h",
		90000: "1d1h", 10 * 86400: "10d0h",
	} {
		if got := text.Age(seconds); got != want {
			t.Errorf("an age of %d s is %s, want %s", seconds, got, want)
		}
	}
	for n, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 1 << 20: "1.0 MiB", 1 << 30: "1.0 GiB", 1 << 40: "1.0 TiB", 1 << 50: "1024.0 TiB",
	} {
		if got := text.Size(n); got != want {
			t.Errorf("%d bytes are %s, want %s", n, got, want)
		}
	}
	for n, want := range map[int]string{0: "0 targets", 1: "1 target", 2: "2 targets"} {
		if got := text.Count(n, "target"); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}

func zurich(t *testing.T) *time.Location {
	t.Helper()
	zone, err := tzdata.Embedded().Load("Europe/Zurich")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// TestClock checks how times are written: in the person's zone with an age, or in UTC.
func TestClock(t *testing.T) {
	now := time.Date(2026, 3, 29, 12, 0, 0, 0, time.UTC)
	local, utc := text.Clock{Zone: zurich(t), Now: now}, text.Clock{Now: now}
	for _, c := range []struct {
		back                 time.Duration
		local, utc, age, ago string
	}{
		{0, "2026-03-29 14:00 CEST", "2026-03-29T12:00:00Z", "0s", ", 0s ago"},
		{59 * time.Second, "2026-03-29 13:59 CEST", "2026-03-29T11:59:01Z", "59s", ", 59s ago"},
		{time.Minute, "2026-03-29 13:59 CEST", "2026-03-29T11:59:00Z", "1m", ", 1m0s ago"},
		{90 * time.Second, "2026-03-29 13:58 CEST", "2026-03-29T11:58:30Z", "1m", ", 1m30s ago"},
		{12 * time.Hour, "2026-03-29 01:00 CET", "2026-03-29T00:00:00Z", "12h", ", 12h0m ago"},
		{50 * time.Hour, "2026-03-27 11:00 CET", "2026-03-27T10:00:00Z", "2d", ", 2d2h ago"},
		{-3 * time.Hour, "2026-03-29 17:00 CEST", "2026-03-29T15:00:00Z", "0s", ", in 3h0m"},
	} {
		at := now.Add(-c.back)
		if local.At(at) != c.local || utc.At(at) != c.utc || local.Age(at) != c.age || local.Ago(at) != c.local+c.ago {
			t.Errorf("%s: %s %s %s %s", c.back, local.At(at), utc.At(at), local.Age(at), local.Ago(at))
		}
	}
	if local.At(time.Time{})+local.Age(time.Time{})+local.Ago(time.Time{}) != "" {
		t.Error("no time has a text")
	}
}

// TestReadTime checks every form in which a person may write a time.
func TestReadTime(t *testing.T) {
	now := time.Date(2026, 3, 29, 12, 0, 30, 0, time.UTC)
	local := text.Clock{Zone: zurich(t), Now: now}
	at := func(month time.Month, day, hour, minute int) time.Time {
		return time.Date(2026, month, day, hour, minute, 0, 0, time.UTC)
	}
	for written, want := range map[string]time.Time{
		"2h": now.Add(-2 * time.Hour), "90m": now.Add(-90 * time.Minute), "1d12h": now.Add(-36 * time.Hour), "2w": now.Add(-14 * 24 * time.Hour),
		"0s": now, "today": at(3, 28, 23, 0), "yesterday": at(3, 27, 23, 0), "tomorrow": at(3, 29, 22, 0), "yesterday 14:30": at(3, 28, 13, 30),
		"14:30": at(3, 29, 12, 30), "1:05": at(3, 29, 0, 5), "2026-01-31": at(1, 30, 23, 0), "2026-01-31 02:30": at(1, 31, 1, 30),
		"2026-01-31T02:30": at(1, 31, 1, 30), "2026-07-31 02:30:00": at(7, 31, 0, 30), "2026-01-31T02:30:00Z": at(1, 31, 2, 30),
		"2026-01-31T02:30:00+05:30": at(1, 30, 21, 0),
	} {
		if got, err := local.Read(written, -1); err != nil || !got.Equal(want) {
			t.Errorf("%q is %s, %v; want %s", written, got, err, want)
		}
	}
	if got, err := local.Read("2h", 1); err != nil || !got.Equal(now.Add(2*time.Hour)) {
		t.Errorf("in two hours: %s, %v", got, err)
	}
	for _, wrong := range []string{"", " ", "2", "h", "2y", "-2h", "2 h", "now", "yesterday ", "yesterday 25:00", "24:00", "2026-13-01", "31.01.2026", "today yesterday", "2h\x1b", "9999999d", "36501d", "106752d", "30000w", "36500d1s"} {
		if got, err := local.Read(wrong, -1); err == nil || !strings.Contains(err.Error(), "is no time: ") || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%q is %s, %v", wrong, got, err)
		}
	}
}

// TestTable checks which columns stay, and how cells are shortened, at several widths.
func TestTable(t *testing.T) {
	table := text.NewTable(text.Column{Name: "ID"}, text.Column{Name: "NAME", Cut: true, Distinct: true},
		text.Column{Name: "EMPTY", Rank: 2}, text.Column{Name: "SIZE", Rank: 3}, text.Column{Name: "REASON", Rank: 2, Cut: true})
	table.Row("0123456789", "contoso-production-a", "", "1 KiB", "AuthorizationFailed: it’s not allowed")
	table.Row("012345678a", "contoso-production-b", "", "12 KiB", "")
	table.Row("012345678b", "short", "", "", "")
	for _, c := range []struct {
		width int
		want  string
	}{
		{0, `ID          NAME                  SIZE    REASON
0123456789  contoso-production-a  1 KiB   AuthorizationFailed: it’s not allowed
012345678a  contoso-production-b  12 KiB
012345678b  short
`},
		{60, `ID          NAME                  SIZE    REASON
0123456789  contoso-production-a  1 KiB   AuthorizationFail…
012345678a  contoso-production-b  12 KiB
012345678b  short
`},
		{46, `ID          NAME                  REASON
0123456789  contoso-production-a  Authorizati…
012345678a  contoso-production-b
012345678b  short
`},
		{43, `ID          NAME                  SIZE
0123456789  contoso-production-a  1 KiB
012345678a  contoso-production-b  12 KiB
012345678b  short
`},
		{36, `ID          NAME
0123456789  contoso-production-a
012345678a  contoso-production-b
012345678b  short
`},
		{30, `ID          NAME
0123456789  …toso-production-a
012345678a  …toso-production-b
012345678b  short
`},
	} {
		var out bytes.Buffer
		if err := table.Print(&out, c.width); err != nil || out.String() != c.want {
			t.Errorf("at %d: %v\n%s\nwant\n%s", c.width, err, &out, c.want)
		}
	}
}

// TestCutNamesStayDistinct checks that a name is never shortened to that of another.
func TestCutNamesStayDistinct(t *testing.T) {
	table := text.NewTable(text.Column{Name: "TARGET", Cut: true, Distinct: true}, text.Column{Name: "STATE"})
	for _, name := range []string{"contoso-prod-1-europe-west", "contoso-prod-2-europe-west", "contoso-prod-1-europe-west"} {
		table.Row(name, "ok")
	}
	var out bytes.Buffer
	if err := table.Print(&out, 20); err != nil || out.String() != "TARGET          STATE\n…1-europe-west  ok\n…2-europe-west  ok\n…1-europe-west  ok\n" {
		t.Errorf("%v\n%s", err, &out)
	}
}

// TestDetails checks that values are folded between words, below their own column.
func TestDetails(t *testing.T) {
	var d text.Details
	d.Row("run", "a-long-id-that-has-no-space-at-all")
	d.Row("nothing", "")
	d.Row("error", "Azure\x1b said no", "and then this")
	for width, want := range map[int]string{
		0:  "run    a-long-id-that-has-no-space-at-all\nerror  Azure  said no\n       and then this\n",
		17: "run    a-long-id-that-has-no-space-at-all\nerror  Azure \n       said no\n       and then\n       this\n",
	} {
		var out bytes.Buffer
		if err := d.Print(&out, width); err != nil || out.String() != want {
			t.Errorf("at %d: %v\n%q\nwant\n%q", width, err, &out, want)
		}
	}
}

// TestYAML checks that the members keep their order, and that a text stays a text.
func TestYAML(t *testing.T) {
	got, err := text.YAML([]byte(`{"b":"1","a":[1,2.50,true,null,"2026-01-02T00:00:00Z","\ud83d\ude00 é\n","no"],"empty":[],"none":{},"n":{"x":{"y":123456789012345678}}}`))
	if want := `b: "1"
a:
    - 1
    - 2.50
    - true
    - null
    - "2026-01-02T00:00:00Z"
    - "\U0001F600 é\n"
    - "no"
empty: []
none: {}
"n":
    x:
        "y": 123456789012345678
`; err != nil || string(got) != want {
		t.Errorf("%v\n%s", err, got)
	}
	for _, wrong := range []string{"", "{", "[1", "{} {}", "x"} {
		if got, err := text.YAML([]byte(wrong)); err == nil {
			t.Errorf("%q: %s", wrong, got)
		}
	}
}
