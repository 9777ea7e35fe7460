package config

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"go.yaml.in/yaml/v4"

	"lifeboat/internal/backup"
)

// schema is the published JSON Schema of plan.yaml. It has the allowed keys and values; the reader gives them their meaning.
type schema struct {
	compiled *jsonschema.Schema
	document any
}

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
func compile(text []byte) schema {
	const url = "plan.schema.json"
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	compiler := jsonschema.NewCompiler()
	err = errors.Join(err, compiler.AddResource(url, document))
	compiled, compileErr := compiler.Compile(url)
	if err = errors.Join(err, compileErr); err != nil {
		panic(fmt.Sprintf("docs/%s: %v", url, err))
	}
	return schema{compiled: compiled, document: document}
}

// later are fields of the plan that other versions know, by their place.
var later = map[string][]string{
	"keep":    {"daily", "weekly", "monthly", "yearly", "minimum"},
	"restore": {"approvers"},
}

// check compares the document with the schema. Each error names the line of its node; check marks these nodes, so that no
// mistake is reported twice.
func (r *reader) check(root *yaml.Node) {
	err := r.schema.compiled.Validate(r.value(root))
	invalid, ok := errors.AsType[*jsonschema.ValidationError](err)
	switch {
	case ok:
		r.invalid(root, invalid)
	case err != nil:
		r.fail(root, "%v", err)
	}
}

func (r *reader) invalid(root *yaml.Node, e *jsonschema.ValidationError) {
	for _, cause := range e.Causes {
		r.invalid(root, cause)
	}
	if len(e.Causes) > 0 {
		return
	}
	n, what := find(root, e.InstanceLocation), named(e.InstanceLocation)
	switch k := e.ErrorKind.(type) {
	case *kind.Pattern:
		if what == "schedule" {
			return // the grammar refuses the same texts as the pattern, and says what to write
		}
		r.fail(n, "%s", r.schema.words(e, n, what))
	case *kind.AdditionalProperties:
		for _, name := range slices.Sorted(slices.Values(k.Properties)) {
			key := keyOf(n, name)
			if slices.Contains(later[what], name) {
				r.fail(key, "the field %q of %s is not known to this version of Lifeboat: take it out; it knows %s", name, what,
					r.schema.fields(e.SchemaURL))
				continue
			}
			r.fail(key, "%s has no field %q; it has %s", what, name, r.schema.fields(e.SchemaURL))
		}
	case *kind.Required:
		for _, name := range k.Missing {
			r.report(n, "%s needs the field %q", what, name)
		}
		r.bad[n] = true
	default:
		r.fail(n, "%s", r.schema.words(e, n, what))
	}
}

// words returns the mistake of a value: the schema's own words, if it has some; editors show them too.
func (s schema) words(e *jsonschema.ValidationError, n *yaml.Node, what string) string {
	part := s.at(e.SchemaURL)
	message, _ := part["errorMessage"].(string)
	switch {
	case part["type"] == "object":
		return fmt.Sprintf("%s must be a mapping of %s", what, s.fields(e.SchemaURL))
	case part["type"] == "array":
		return what + " must be a list of one or more"
	case n.Kind != yaml.ScalarNode:
		return fmt.Sprintf("%s must be one value: what stands here %s", what, message)
	case n.Value == "":
		return fmt.Sprintf(`%s has no value: "" %s`, what, message)
	case n.ShortTag() == "!!str":
		return fmt.Sprintf("%q %s", n.Value, message)
	}
	return fmt.Sprintf("%s %s %s", what, n.Value, message)
}

// at returns the part of the schema that the URL points to.
func (s schema) at(url string) map[string]any {
	_, pointer, _ := strings.Cut(url, "#")
	part, _ := s.document.(map[string]any)
	for name := range strings.SplitSeq(strings.Trim(pointer, "/"), "/") {
		if name != "" {
			part, _ = part[name].(map[string]any)
		}
	}
	return part
}

// fields returns the names of an object's fields, in alphabetical order.
func (s schema) fields(url string) string {
	properties, _ := s.at(url)["properties"].(map[string]any)
	return strings.Join(slices.Sorted(maps.Keys(properties)), ", ")
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
