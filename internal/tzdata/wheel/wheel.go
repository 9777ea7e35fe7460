// Package wheel packs the time zones of a wheel of PyPI's package tzdata in the form that is built into the program. The program
// itself does not need it.
package wheel

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

var version = regexp.MustCompile(`IANA_VERSION = "([0-9]{4}[a-z]+)"`)

// Pack reads a wheel, which is a zip, and returns its zones for the program: a gzip with the version as its name. In it stands a
// line for each text, with its size and the names of the zones that have it, then an empty line, then the texts. They are
// compressed together, since they have much in common. The files that the program needs from a wheel are not Python.
func Pack(wheel []byte) ([]byte, error) {
	archive, err := zip.NewReader(bytes.NewReader(wheel), int64(len(wheel)))
	if err != nil {
		return nil, fmt.Errorf("open the time zones: %w", err)
	}
	const about = "tzdata/__init__.py"
	text, err := fs.ReadFile(archive, about)
	if err != nil {
		return nil, fmt.Errorf("open the time zones: %w", err)
	}
	info, err := fs.Stat(archive, about)
	if err != nil {
		return nil, fmt.Errorf("open the time zones: %w", err)
	}
	said := version.FindSubmatch(text)
	if said == nil {
		return nil, errors.New("the time zones do not say which version they are")
	}
	zones := map[string]string{}
	for _, file := range archive.File {
		name, ok := strings.CutPrefix(file.Name, "tzdata/zoneinfo/")
		if !ok {
			continue
		}
		text, err := fs.ReadFile(archive, file.Name)
		if err != nil {
			return nil, fmt.Errorf("open the time zones: %w", err)
		}
		if bytes.HasPrefix(text, []byte("TZif")) { // not a table of them
			zones[name] = string(text)
		}
	}
	names := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(zones)) {
		names[zones[name]] += " " + name
	}
	texts := slices.SortedFunc(maps.Keys(names), func(a, b string) int { return strings.Compare(names[a], names[b]) })
	var packed bytes.Buffer
	out, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	out.Name, out.ModTime = string(said[1]), info.ModTime().UTC().Truncate(24*time.Hour)
	for _, text := range texts {
		fmt.Fprintf(out, "%d%s\n", len(text), names[text])
	}
	fmt.Fprintf(out, "\n%s", strings.Join(texts, ""))
	err = out.Close()
	return packed.Bytes(), err
}
