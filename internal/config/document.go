package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"lifeboat/internal/backup"
	"lifeboat/internal/pattern"
)

// read returns the one document of the text, without aliases. Where only schedules without quotation marks keep the text from
// being YAML, it reports them, and reads the text as if they had some: its other mistakes are told too.
func (r *reader) read(text []byte) (*yaml.Node, error) {
	if err := r.readable(text); err != nil {
		return nil, err
	}
	root, err := r.document(text)
	if err != nil {
		quoted := r.quoteSchedules(text)
		if len(r.errs) == 0 {
			return nil, err
		}
		if root, err = r.document(quoted); err != nil {
			return nil, errors.Join(r.all(), err)
		}
	}
	if err := resolve(root); err != nil {
		return nil, fmt.Errorf("%s:%w", r.file, err)
	}
	return root.Content[0], nil
}

// all returns the mistakes found so far, in the order of their lines.
func (r *reader) all() error {
	slices.SortStableFunc(r.errs, byLine)
	var errs []error
	for _, err := range r.errs {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// readable checks the length and the encoding of the text.
func (r *reader) readable(text []byte) error {
	at := func(line int, reason string) error { return &lineError{file: r.file, line: line, reason: reason} }
	switch {
	case len(text) > longestPlan:
		return fmt.Errorf("%s: the file is too long: it may have at most %d bytes, 1 MiB, which is some 6,000 targets; put some of its plans "+
			"into the plan.yaml of another app", r.file, longestPlan)
	case bytes.HasPrefix(text, []byte("\xff\xfe")), bytes.HasPrefix(text, []byte("\xfe\xff")):
		return fmt.Errorf("%s: the file is in UTF-16, as PowerShell writes it with >: save it as UTF-8", r.file)
	case !utf8.Valid(text):
		line := 1
		for rest := text; ; line++ {
			first, next, _ := bytes.Cut(rest, []byte("\n"))
			if rest = next; !utf8.Valid(first) {
				return at(line, "this line is not UTF-8: save the file as UTF-8")
			}
		}
	}
	return nil
}

// place matches the YAML package's own way to tell the line of a mistake.
var place = pattern.New(`(?s)^yaml: line ([0-9]+): (.*)$`)

// document returns the only document of the text.
func (r *reader) document(text []byte) (*yaml.Node, error) {
	documents := yaml.NewDecoder(bytes.NewReader(text))
	notYAML := func(err error) error {
		told := place.FindStringSubmatch(err.Error())
		if told == nil {
			return fmt.Errorf("%s: this is not YAML: %w", r.file, err)
		}
		reason := "this is not YAML: " + told[2]
		line, _ := strconv.Atoi(told[1])
		if lines := strings.Split(string(text), "\n"); line <= len(lines) && tabbed.MatchString(lines[line-1]) {
			reason = "a tab stands at the beginning of the line: YAML takes spaces alone there"
		} else if line <= len(lines) && strings.Contains(lines[line-1], backup.TargetName) {
			reason += "; within braces, put a name with " + backup.TargetName + " in quotes"
		}
		return r.at(&yaml.Node{Line: line}, "%s", reason)
	}
	var root, more yaml.Node
	if err := documents.Decode(&root); err != nil && !errors.Is(err, io.EOF) {
		return nil, notYAML(err)
	}
	if len(root.Content) == 0 {
		return nil, fmt.Errorf("%s: the file is empty; a file without plans says: plans: []", r.file)
	}
	switch err := documents.Decode(&more); {
	case err == nil:
		return nil, fmt.Errorf("%s:%d: a second document begins here; a plan is one document", r.file, more.Line)
	case !errors.Is(err, io.EOF):
		return nil, notYAML(err)
	}
	return &root, nil
}

var (
	tabbed = pattern.New(`^ *\t`)
	// bare matches a line with a schedule without quotation marks, up to a comment or the end of a mapping in braces. Its first
	// character has a meaning of its own in YAML: * is for aliases, and @, % and the backtick begin no value.
	bare = pattern.New("^([^#]*?\\bschedule:[ \t]+)([*@%`](?:[^ ]#|,[^ ]|[^#},])*)(.*)$")
	// alias matches the whole name of an alias.
	alias = pattern.New(`^\*[0-9A-Za-z_-]+$`)
)

// quoteSchedules puts quotation marks around the schedules that need some, and reports each.
func (r *reader) quoteSchedules(text []byte) []byte {
	lines := strings.Split(string(text), "\n")
	for i, line := range lines {
		parts := bare.FindStringSubmatch(line)
		if parts == nil {
			continue
		}
		schedule := strings.TrimSpace(parts[2])
		if alias.MatchString(schedule) || strings.ContainsAny(schedule, `"\`) {
			continue
		}
		lines[i] = parts[1] + `"` + schedule + `"` + strings.Repeat(" ", len(parts[2])-len(schedule)) + parts[3]
		r.report(&yaml.Node{Line: i + 1}, "put the schedule in quotes, since %c has a meaning of its own in YAML: schedule: %q", schedule[0], schedule)
	}
	return []byte(strings.Join(lines, "\n"))
}
