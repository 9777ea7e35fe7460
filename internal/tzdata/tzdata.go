// Package tzdata provides the time zones that the program contains, the same on each machine. The data are IANA's, in the
// package tzdata of PyPI, as it is published there. The program does not use the machine's own, nor Go's: they are as old as
// the image and the toolchain, and six regions changed their clocks in 2026 alone. To update it: make tzdata VERSION=2026f.
package tzdata

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"io"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Data is one version of the time zones.
type Data struct {
	// Version is IANA's version, such as 2026f.
	Version string

	// zones returns the text of each zone by its name. The text is in the format TZif.
	zones func() map[string][]byte
}

// packed has the zones of the wheel in this folder, as the package wheel packs them: a seventh of its bytes.
//
//go:embed zones.gz
var packed []byte

// Embedded returns the version of the time zones in the program.
var Embedded = sync.OnceValue(func() *Data {
	data, err := Unpack(packed)
	if err != nil {
		panic(err) // every test finds this mistake
	}
	return data
})

// Unpack reads what the package wheel has packed. It leaves the zones packed until the first use of one.
func Unpack(packed []byte) (*Data, error) {
	text, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("unpack the time zones: %w", err)
	}
	return &Data{Version: text.Name, zones: sync.OnceValue(func() map[string][]byte {
		zones := map[string][]byte{}
		all, err := io.ReadAll(text)
		index, texts, _ := bytes.Cut(all, []byte("\n\n"))
		for line := range strings.Lines(string(index)) {
			names := strings.Fields(line)
			size, sizeErr := strconv.Atoi(names[0])
			if err != nil || sizeErr != nil {
				panic("the time zones are broken") // every test finds this mistake
			}
			for _, name := range names[1:] {
				zones[name] = texts[:size]
			}
			texts = texts[size:]
		}
		return zones
	})}, nil
}

// Load returns the zone with the IANA name, spelled with its capitals, such as Europe/Zurich.
func (d *Data) Load(name string) (*time.Location, error) {
	text, ok := d.zones()[name]
	if !ok {
		return nil, fmt.Errorf("there is no time zone %q in %s", name, d.Version)
	}
	return time.LoadLocationFromTZData(name, text)
}

// Names returns the names of all zones, in alphabetical order.
func (d *Data) Names() []string { return slices.Sorted(maps.Keys(d.zones())) }

// Like returns the name that differs from this one only in its capitals; "" if there is none.
func (d *Data) Like(name string) string {
	for zone := range d.zones() {
		if strings.EqualFold(zone, name) {
			return zone
		}
	}
	return ""
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
