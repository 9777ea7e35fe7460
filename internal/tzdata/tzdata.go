// Package tzdata provides the time zones that the program contains, the same on each machine. The data are IANA's, in the
// package tzdata of PyPI, as it is published there. The program does not use the machine's own, nor Go's: they are as old as
// the image and the toolchain, and six regions changed their clocks in 2026 alone. To update it: make tzdata VERSION=2026f.
package tzdata

import (
	"archive/zip"
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"sort"
	"strings"
	"sync"
	"time"
)

// Data is one version of the time zones.
type Data struct {
	// Version is IANA's version, such as 2026f.
	Version string
	// Packed is the day on which the package was made.
	Packed time.Time

	zones fs.FS
}

// wheel is a Python package: a zip. The files that the program needs from it are not Python.
//
//go:embed tzdata-*.whl
var wheel embed.FS

// Embedded returns the version of the time zones in the program.
var Embedded = sync.OnceValue(func() *Data {
	names, err := fs.Glob(wheel, "*.whl")
	if err == nil && len(names) != 1 {
		err = fmt.Errorf("%d packages of time zones are built in", len(names))
	}
	var text []byte
	if err == nil {
		text, err = wheel.ReadFile(names[0])
	}
	data, openErr := Open(text)
	if err = errors.Join(err, openErr); err != nil {
		panic(err) // every test finds this mistake
	}
	return data
})

var version = regexp.MustCompile(`IANA_VERSION = "([0-9]{4}[a-z]+)"`)

// Open reads a wheel of the package.
func Open(wheel []byte) (*Data, error) {
	archive, err := zip.NewReader(bytes.NewReader(wheel), int64(len(wheel)))
	if err != nil {
		return nil, fmt.Errorf("open the time zones: %w", err)
	}
	about, err := archive.Open("tzdata/__init__.py")
	if err != nil {
		return nil, fmt.Errorf("open the time zones: %w", err)
	}
	defer about.Close()
	text, err := io.ReadAll(about)
	if err != nil {
		return nil, fmt.Errorf("open the time zones: %w", err)
	}
	info, err := about.Stat()
	if err != nil {
		return nil, fmt.Errorf("open the time zones: %w", err)
	}
	said := version.FindSubmatch(text)
	zones, err := fs.Sub(archive, "tzdata/zoneinfo")
	if said == nil || err != nil {
		return nil, errors.Join(errors.New("the time zones do not say which version they are"), err)
	}
	return &Data{Version: string(said[1]), Packed: info.ModTime().UTC().Truncate(24 * time.Hour), zones: zones}, nil
}

// Load returns the zone with the IANA name, spelled with its capitals, such as Europe/Zurich.
func (d *Data) Load(name string) (*time.Location, error) {
	text, err := fs.ReadFile(d.zones, name)
	if err != nil {
		return nil, fmt.Errorf("find the time zone: %w", err)
	}
	return time.LoadLocationFromTZData(name, text)
}

// Like returns the name that differs from this one only in its capitals; "" if there is none.
func (d *Data) Like(name string) (like string) {
	_ = fs.WalkDir(d.zones, ".", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && strings.EqualFold(path, name) {
			if _, err := d.Load(path); err == nil {
				like = path
			}
		}
		return err
	})
	return like
}

// Changes returns the instants after from and up to until at which the zone's clocks change, to the second. It checks each
// hour, because time.Time.ZoneBounds stands still at the end of leap years (seen with Go 1.26.8).
func Changes(zone *time.Location, from, until time.Time) []time.Time {
	var changes []time.Time
	ahead := func(at time.Time) int { _, ahead := at.In(zone).Zone(); return ahead }
	for at := from; at.Before(until); at = at.Add(time.Hour) {
		if before := ahead(at); ahead(at.Add(time.Hour)) != before {
			changes = append(changes, first(at, func(t time.Time) bool { return ahead(t) != before }))
		}
	}
	return changes
}

// Differ returns the first instant, from one instant up to another, at which the clocks of two zones differ; false if they
// never do.
func Differ(a, b *time.Location, from, until time.Time) (time.Time, bool) {
	differ := func(at time.Time) bool {
		_, ours := at.In(a).Zone()
		_, theirs := at.In(b).Zone()
		return ours != theirs
	}
	if differ(from) {
		return from, true
	}
	for at := from; at.Before(until); at = at.Add(time.Hour) {
		if differ(at.Add(time.Hour)) {
			return first(at, differ), true
		}
	}
	return time.Time{}, false
}

// first returns the first second at which the condition holds, in the hour after the instant. It must hold at the end of the
// hour.
func first(at time.Time, so func(time.Time) bool) time.Time {
	seconds := sort.Search(3600, func(n int) bool { return so(at.Add(time.Duration(n) * time.Second)) })
	return at.Add(time.Duration(seconds) * time.Second).Truncate(time.Second)
}
