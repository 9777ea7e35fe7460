package config

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"lifeboat/internal/backup"
	"lifeboat/internal/config/jsonschema"
)

//go:embed plan.base.json
var base string

// Schema returns the published JSON Schema of plan.yaml for the services: the fields of all plans, and each service's own.
func Schema(services backup.Services) []byte {
	const place = "        \"$services\": true,\n"
	var fields strings.Builder
	seen := map[string]bool{}
	for _, s := range services {
		if s.Block != nil && !seen[s.Block.Field] {
			seen[s.Block.Field] = true
			fmt.Fprintf(&fields, "        %q: %s,\n", s.Block.Field, strings.ReplaceAll(strings.TrimSpace(s.Block.Schema), "\n", "\n        "))
		}
	}
	return []byte(strings.Replace(base, place, fields.String(), 1))
}

// compile makes the schema from its text. A broken text is our mistake, and every test finds it.
func compile(text []byte) *jsonschema.Schema {
	schema, err := jsonschema.Compile(text)
	if err != nil {
		panic(err)
	}
	return schema
}

// check compares the document with the schema. Each error names the line of its node; check marks these nodes, so that no
// mistake is reported twice.
func (r *reader) check(root *yaml.Node) {
	for _, m := range r.schema.Check(r.value(root)) {
		n, what := find(root, m.Location), named(m.Location)
		for _, name := range m.Missing {
			r.report(n, "%s needs the field %q", what, name)
			r.bad[n] = true
		}
		for _, name := range m.Unknown {
			r.fail(keyOf(n, name), "%s has no field %q; it has %s", what, name, fields(m.Schema))
		}
		switch {
		case m.Missing != nil || m.Unknown != nil:
		case m.Pattern && what == "schedule": // the grammar refuses the same texts as the pattern, and says what to write
		default:
			r.fail(n, "%s", words(m.Schema, n, what))
		}
	}
}

// words returns the mistake of a value: the schema's own words, if it has some; editors show them too.
func words(s *jsonschema.Schema, n *yaml.Node, what string) string {
	message := s.ErrorMessage
	switch {
	case s.Type == "object":
		return fmt.Sprintf("%s must be a mapping of %s", what, fields(s))
	case s.Type == "array":
		return what + " must be a list of one or more"
	case n.Kind != yaml.ScalarNode:
		return fmt.Sprintf("%s must be one value: this %s", what, message)
	case n.Value == "":
		return fmt.Sprintf(`%s has no value: "" %s`, what, message)
	case n.ShortTag() == "!!str":
		return fmt.Sprintf("%q %s", n.Value, message)
	}
	return fmt.Sprintf("%s %s %s", what, n.Value, message)
}

// fields returns the names of an object's fields, in alphabetical order.
func fields(s *jsonschema.Schema) string {
	return strings.Join(slices.Sorted(maps.Keys(s.Properties)), ", ")
}

// value returns the node in the types of JSON, for the schema. Numbers and texts in YAML's other notations stay text.
func (r *reader) value(n *yaml.Node) any {
	switch n.Kind {
	case yaml.MappingNode:
		fields := map[string]any{}
		for key, value := range pairs(n) {
			if _, twice := fields[key.Value]; twice {
				r.fail(key, "the field %q stands here twice", key.Value)
				continue
			}
			fields[key.Value] = r.value(value)
		}
		return fields
	case yaml.SequenceNode:
		items := make([]any, len(n.Content))
		for i, item := range n.Content {
			items[i] = r.value(item)
		}
		return items
	}
	switch n.ShortTag() {
	case "!!null":
		return nil
	case "!!bool":
		return strings.EqualFold(n.Value, "true")
	case "!!int", "!!float":
		if number, ok := number(n.Value); ok {
			return json.Number(number)
		}
	}
	return n.Value
}

// number returns a number of YAML 1.2, as editors read it, in JSON's notation: 012 is 12, 0o12 is 10, and 10.0 is 10.
func number(text string) (string, bool) {
	base, digits := 10, text
	if rest, ok := strings.CutPrefix(text, "0x"); ok {
		base, digits = 16, rest
	} else if rest, ok := strings.CutPrefix(text, "0o"); ok {
		base, digits = 8, rest
	}
	if n, err := strconv.ParseInt(digits, base, 64); err == nil && (base == 10 || strings.Trim(digits[:1], "+-") != "") {
		return strconv.FormatInt(n, 10), true
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || strings.Trim(text, "+-.0123456789eE") != "" {
		return "", false
	}
	return strconv.FormatFloat(f, 'f', -1, 64), true
}

// pairs returns the keys and values of a mapping, and none of another node.
func pairs(n *yaml.Node) func(func(key, value *yaml.Node) bool) {
	return func(yield func(key, value *yaml.Node) bool) {
		if n.Kind != yaml.MappingNode {
			return
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if !yield(n.Content[i], n.Content[i+1]) {
				return
			}
		}
	}
}

// find follows a location of JSON to its node, or to the nearest node above it.
func find(n *yaml.Node, location []string) *yaml.Node {
	for _, step := range location {
		next := field(n, step)
		if i, err := strconv.Atoi(step); err == nil && n.Kind == yaml.SequenceNode && i < len(n.Content) {
			next = n.Content[i]
		}
		if next == nil {
			return n
		}
		n = next
	}
	return n
}

// keyOf returns the node of a field's name, or the mapping itself.
func keyOf(n *yaml.Node, name string) *yaml.Node {
	for key := range pairs(n) {
		if key.Value == name {
			return key
		}
	}
	return n
}

// named returns the name, for people, of the field at the location.
func named(location []string) string {
	if len(location) == 0 {
		return "the file"
	}
	last := location[len(location)-1]
	if _, err := strconv.Atoi(last); err == nil && len(location) > 1 {
		return "a " + strings.TrimSuffix(location[len(location)-2], "s")
	}
	return last
}
