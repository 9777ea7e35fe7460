package tzdata_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/testing/figures"
	"lifeboat/internal/tzdata"
	"lifeboat/internal/tzdata/wheel"
)

// old returns time zones of Go 1.26.8: those regions whose clocks have changed since, and some others.
func old(t *testing.T) *tzdata.Data {
	t.Helper()
	text, err := os.ReadFile("testdata/2025c.zip")
	if err != nil {
		t.Fatal(err)
	}
	packed, err := wheel.Pack(text)
	if err != nil {
		t.Fatal(err)
	}
	data, err := tzdata.Unpack(packed)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestAge prints the age of the time zones. It never fails because of the date: the reader decides.
func TestAge(t *testing.T) {
	data := tzdata.Embedded()
	text, err := os.ReadFile("zones.gz")
	if err != nil {
		t.Fatal(err)
	}
	head, err := gzip.NewReader(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	packed := head.ModTime.UTC()
	age := int(time.Since(packed).Hours() / 24)
	warning := ""
	if age > 120 {
		warning = "; warning: look for a newer version, and take it with make tzdata VERSION=…"
	}
	figures.Report(t, "time zones %s, packed %s, %d days ago%s", data.Version, packed.Format(time.DateOnly), age, warning)
	if packed.Year() < 2026 || data.Version < "2026f" || data.Version > packed.AddDate(1, 0, 0).Format("2006") {
		t.Errorf("version %s was packed on %s", data.Version, packed)
	}
}

// TestRegionsOf2026: six regions changed their clocks in 2026, and the data have the changes.
func TestRegionsOf2026(t *testing.T) {
	old := old(t)
	if old.Version != "2025c" {
		t.Fatalf("the old data are of %s", old.Version)
	}
	const winter, summer = "2027-01-15T00:00Z", "2027-07-15T00:00Z"
	for _, c := range []struct{ zone, at, before, now string }{
		{"America/Vancouver", winter, "-08:00", "-07:00"},
		{"America/Vancouver", summer, "-07:00", "-07:00"},
		{"America/Edmonton", winter, "-07:00", "-06:00"},
		{"America/Yellowknife", winter, "-07:00", "-06:00"},
		{"America/Inuvik", winter, "-07:00", "-06:00"},
		{"America/Edmonton", summer, "-06:00", "-06:00"},
		{"America/Winnipeg", winter, "-06:00", "-05:00"},
		{"America/Rainy_River", winter, "-06:00", "-05:00"},
		{"Africa/Casablanca", winter, "+01:00", "+00:00"},
		{"Africa/El_Aaiun", winter, "+01:00", "+00:00"},
		{"Africa/Casablanca", summer, "+01:00", "+00:00"},
		{"America/Havana", winter, "-05:00", "-04:00"},
		{"Europe/Chisinau", "2027-03-28T00:30Z", "+03:00", "+02:00"},
		{"Europe/Zurich", winter, "+01:00", "+01:00"},
	} {
		at, err := time.Parse("2006-01-02T15:04Z", c.at)
		if err != nil {
			t.Fatal(err)
		}
		for data, want := range map[*tzdata.Data]string{old: c.before, tzdata.Embedded(): c.now} {
			zone, err := data.Load(c.zone)
			if err != nil {
				t.Errorf("%s: %v", data.Version, err)
				continue
			}
			if got := at.In(zone).Format("-07:00"); got != want {
				t.Errorf("%s is %s at %s by %s, want %s", c.zone, got, c.at, data.Version, want)
			}
		}
	}
}

// TestLoad checks that only exact names of zones are loaded.
func TestLoad(t *testing.T) {
	for _, name := range []string{"Europe/Zurich", "UTC", "Etc/GMT+2", "EST5EDT", "America/Argentina/Buenos_Aires"} {
		if zone, err := tzdata.Embedded().Load(name); err != nil || zone.String() != name {
			t.Errorf("%s: %v, %v", name, zone, err)
		}
	}
	for _, name := range []string{
		"", ".", "Local", "europe/zurich", "Europe", "Europe/", "/Europe/Zurich", "../__init__.py", "zone.tab", "tzdata.zi", "__init__.py", "PST",
		"UTC+2", `Europe\Zurich`,
	} {
		if zone, err := tzdata.Embedded().Load(name); err == nil {
			t.Errorf("%q is %v", name, zone)
		}
	}
	for name, want := range map[string]string{"europe/zurich": "Europe/Zurich", "utc": "UTC", "ZONE.TAB": "", "PST": "", "": ""} {
		if got := tzdata.Embedded().Like(name); got != want {
			t.Errorf("like %q is %q, want %q", name, got, want)
		}
	}
}

// TestPack: the program has the zones of the wheel, byte for byte, and no others.
func TestPack(t *testing.T) {
	wheels, err := filepath.Glob("tzdata-*.whl")
	if err != nil || len(wheels) != 1 {
		t.Fatalf("%v, %v", wheels, err)
	}
	text, err := os.ReadFile(wheels[0])
	if err != nil {
		t.Fatal(err)
	}
	packed, err := wheel.Pack(text)
	if err != nil {
		t.Fatal(err)
	}
	embedded, err := os.ReadFile("zones.gz")
	if err != nil {
		t.Fatal(err)
	}
	want, wantHeader := gunzip(t, packed)
	got, header := gunzip(t, embedded)
	if !bytes.Equal(got, want) || header.Name != wantHeader.Name || !header.ModTime.Equal(wantHeader.ModTime) {
		t.Errorf("the program has other zones than %s: go run ./internal/cmd/zones", wheels[0])
	}
}

// gunzip unpacks a gzip: another version of Go may pack the same text into other bytes.
func gunzip(t *testing.T, packed []byte) ([]byte, gzip.Header) {
	t.Helper()
	reader, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	return text, reader.Header
}

// TestPackRefuses: a file that is not a package of time zones is refused.
func TestPackRefuses(t *testing.T) {
	for _, text := range []string{"", "no zip"} {
		if _, err := wheel.Pack([]byte(text)); err == nil || !strings.HasPrefix(err.Error(), "open the time zones: ") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestDiffer finds the first instant at which two zones differ, also one that lies between changes of both.
func TestDiffer(t *testing.T) {
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	load := func(data *tzdata.Data, name string) *time.Location {
		zone, err := data.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		return zone
	}
	for name, want := range map[string]string{
		"America/Vancouver": "2026-11-01T09:00Z", "Africa/Casablanca": "2026-09-20T01:00Z", "Europe/Zurich": "", "UTC": "",
	} {
		at, differ := tzdata.Differ(load(old(t), name), load(tzdata.Embedded(), name), from, from.AddDate(2, 0, 0))
		if got := at.UTC().Format("2006-01-02T15:04Z"); differ != (want != "") || differ && got != want {
			t.Errorf("%s differs from %s on: %t, want %s", name, got, differ, want)
		}
	}
	if _, differ := tzdata.Differ(load(old(t), "America/Vancouver"), load(tzdata.Embedded(), "America/Vancouver"), from, from.AddDate(0, 6, 0)); differ {
		t.Error("Vancouver differs before it changed its rules")
	}
}

// TestChanges finds each change of the clocks once, over the ends of leap years too.
func TestChanges(t *testing.T) {
	for name, want := range map[string]struct {
		changes int
		third   string
	}{
		"Europe/Zurich": {30, "2027-03-28T01:00:00Z"}, "Australia/Lord_Howe": {30, "2027-04-03T15:00:00Z"}, "UTC": {0, ""},
		"America/Vancouver": {1, ""}, "Africa/Casablanca": {3, "2026-09-20T01:00:00Z"},
	} {
		zone, err := tzdata.Embedded().Load(name)
		if err != nil {
			t.Fatal(err)
		}
		from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		changes := tzdata.Changes(zone, from, from.AddDate(15, 0, 0))
		third := ""
		if len(changes) > 2 {
			third = changes[2].UTC().Format(time.RFC3339)
		}
		if len(changes) != want.changes || third != want.third {
			t.Errorf("%s: %d changes, the third at %s; want %+v", name, len(changes), third, want)
		}
	}
}
