package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// reader walks a YAML document and collects everything wrong with it, each with file and line.
type reader struct {
	file string
	errs []error
}

func (r *reader) fail(n *yaml.Node, format string, args ...any) {
	r.errs = append(r.errs, fmt.Errorf("%s:%d: %s", r.file, n.Line, fmt.Sprintf(format, args...)))
}

// mapping hands the value of each field to its function. Unknown, repeated and missing fields are errors.
func (r *reader) mapping(n *yaml.Node, what string, required []string, fields map[string]func(*yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		r.fail(n, "%s must be a mapping of %s", what, known(fields))
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		read, ok := fields[key.Value]
		switch {
		case !ok:
			r.fail(key, "%s has no field %q; it has %s", what, key.Value, known(fields))
			continue
		case seen[key.Value]:
			r.fail(key, "the field %q of %s stands here twice", key.Value, what)
			continue
		}
		seen[key.Value] = true
		read(value)
	}
	for _, name := range required {
		if !seen[name] {
			r.fail(n, "%s needs the field %q", what, name)
		}
	}
}

func known(fields map[string]func(*yaml.Node)) string {
	return strings.Join(slices.Sorted(maps.Keys(fields)), ", ")
}

func (r *reader) text(n *yaml.Node, what string) string {
	if n.Kind != yaml.ScalarNode || n.Value == "" || n.Tag == "!!null" {
		r.fail(n, "%s must be a text", what)
		return ""
	}
	return n.Value
}

func (r *reader) list(n *yaml.Node, what string) []*yaml.Node {
	if n.Kind != yaml.SequenceNode || len(n.Content) == 0 {
		r.fail(n, "%s must be a list of one or more", what)
		return nil
	}
	return n.Content
}
