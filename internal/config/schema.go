package config

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v4"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
	"lifeboat/internal/config/jsonschema"
)

//go:embed plan.base.json
var base string

// checked returns the schema by which the program checks: the fields of all plans, each service's own, and the forms of IDs.
func checked(services backup.Services) []byte {
	var fields strings.Builder
	seen := map[string]bool{}
	types, names := make([]string, 0, len(services)), make([]string, 0, len(services))
	for _, s := range services {
		if s.Block != nil && !seen[s.Block.Field] {
			seen[s.Block.Field] = true
			fmt.Fprintf(&fields, "        %q: %s,\n", s.Block.Field, strings.ReplaceAll(strings.TrimSpace(s.Block.Schema), "\n", "\n        "))
		}
		names = append(names, inAnyCase(s.Type))
		types = append(types, inAnyCase(s.Type)+"/"+strings.Trim(s.Name.String(), "^$"))
	}
	target := resourceID(strings.Join(types, "|"))
	return []byte(strings.NewReplacer("        \"$services\": true,\n", fields.String(),
		`"$target"`, strconv.QuoteToASCII("^"+target+"$"), `"$into"`, strconv.QuoteToASCII("^("+backup.Itself+"|"+target+")$"),
		`"$type"`, strconv.QuoteToASCII("^("+strings.Join(names, "|")+")$"),
		`"$account"`, strconv.QuoteToASCII("^"+resourceID(inAnyCase(azure.AccountType)+"/"+azure.AccountNames)+"$"),
	).Replace(base))
}

// resourceID returns the pattern of IDs of the types, each a type with the pattern of a name. It lets
// the name of a resource group have more than letters: the engines of regular expressions have no class in common for them.
func resourceID(types string) string {
	const letters = "0-9A-Za-z_()\u00aa\u00b5\u00ba\u00c0-\u1fff\u2071\u207f\u2090-\u209c\u2102-\u218b\u2c00-\u2fef\u3005-\ud7ff" +
		"\uf900-\ufefc\uff10-\uffdc-"
	return "/" + inAnyCase("subscriptions") + "/[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}/" + inAnyCase("resourceGroups") +
		"/[." + letters + "]{0,89}[" + letters + "]/" + inAnyCase("providers") + "/(" + types + ")/?"
}

// inAnyCase returns a pattern of the word with its letters large or small: JSON Schema has no flag for that.
func inAnyCase(word string) string {
	var pattern strings.Builder
	for _, c := range word {
		switch {
		case unicode.IsLetter(c):
			fmt.Fprintf(&pattern, "[%c%c]", unicode.ToUpper(c), unicode.ToLower(c))
		case c == '.':
			pattern.WriteString(`\.`)
		default:
			pattern.WriteRune(c)
		}
	}
	return pattern.String()
}

// compile makes the schema from its text. A broken text is our mistake, and every test finds it.
func compile(text []byte) *jsonschema.Schema {
	schema, err := jsonschema.Compile(text)
	if err != nil {
		panic(err)
	}
	return schema
}

// check compares the document with the schema. Each error names the line of its node; check marks the nodes with a wrong value, so
// that no mistake is reported twice.
func (r *reader) check(root *yaml.Node) {
	for _, m := range r.schema.Check(r.value(root)) {
		n, what := find(root, m.Location), named(m.Location)
		for _, name := range m.Missing {
			r.report(n, "%s needs the field %q", what, name)
		}
		for _, name := range m.Unknown {
			r.fail(keyOf(n, name), "%s has no field %q; it has %s", what, name, fields(m.Schema))
		}
		switch {
		case m.Missing != nil || m.Unknown != nil:
		case m.Pattern && explained[what]:
		case m.Pattern && what == "container" && unknownIn(n.Value) != "":
			r.fail(n, "%q: %s stands for nothing in the name of a container; %s does, for the name of the target in lower case", n.Value,
				unknownIn(n.Value), backup.TargetName)
		case m.Pattern && what == "within" && inMinutes.MatchString(n.Value):
			r.fail(n, "%s", months(n.Value))
		case m.Pattern && what == "within" && inDays(n.Value) != "":
			r.fail(n, "within %s: keep has no months and years, which have no fixed length: write %s", n.Value, inDays(n.Value))
		case (m.Pattern || m.Type) && slices.Contains(m.Location, "keep") && slices.Contains(endless, strings.ToLower(n.Value)):
			r.fail(n, "%s", withoutEnd(n.Value, what, slices.Contains(m.Location, "onDemand")))
		case what == "an item of replyTo" && slices.Contains(backup.OwnQueues, n.Value): // restore says more
		case m.Type:
			r.fail(n, "%s", otherType(m.Schema, n, what))
		default:
			r.fail(n, "%s", words(m.Schema, n, what))
		}
	}
}

// explained are the values whose patterns are for editors: the program itself refuses the same texts, and says what to write.
var explained = map[string]bool{"schedule": true, "a target": true, "an item of into": true, "an item of from": true, "account": true}

// otherType names the value, the type that the schema wants, and a difference of quotation marks.
func otherType(s *jsonschema.Schema, n *yaml.Node, what string) string {
	came := "has no value"
	switch tag := n.ShortTag(); {
	case n.Kind == yaml.MappingNode:
		came = "is a mapping"
	case n.Kind == yaml.SequenceNode:
		came = "is a list"
	case n.Kind != yaml.ScalarNode || n.Value == "" && tag == "!!null":
	case tag == "!!str", tag == "!!timestamp":
		came = fmt.Sprintf("is the text %q", n.Value)
	case tag == "!!bool":
		came = "is the word " + n.Value
	case tag == "!!null":
		came = fmt.Sprintf("is %s, which is nothing", n.Value)
	default:
		came = "is the number " + n.Value
	}
	wanted, quotes := "text", ""
	switch {
	case s.Const != nil:
		wanted = "the number " + strconv.FormatFloat(*s.Const, 'f', -1, 64)
	case s.Type == "boolean":
		wanted = "true or false"
	case s.Type == "integer":
		wanted = fmt.Sprintf("a whole number from %v to %v", *s.Minimum, *s.Maximum)
	case s.Type == "object":
		wanted = "a mapping of " + fields(s)
	case s.Type == "array":
		wanted = "a list of one or more"
		if s.MinItems == 0 {
			wanted = "a list, which may be empty: []"
		}
	}
	switch {
	case what == "container" && n.Kind == yaml.MappingNode: // {name} alone
		quotes = "; put it in quotes"
	case n.Kind != yaml.ScalarNode || n.Value == "":
	case n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 && len(s.Check(unquoted(n.Value))) == 0:
		quotes = "; take the quotes off"
	case wanted == "text" && len(s.Check(n.Value)) == 0:
		quotes = "; put it in quotes"
	case wanted == "text":
		quotes = ": " + n.Value + " " + s.ErrorMessage
	}
	return what + " " + came + ", and must be " + wanted + quotes
}

// unquoted returns what the text is without quotation marks.
func unquoted(text string) any {
	if slices.Contains([]string{"true", "True", "TRUE", "false", "False", "FALSE"}, text) {
		return strings.EqualFold(text, "true")
	}
	if n, ok := number(text); ok {
		return json.Number(n)
	}
	return text
}

// words returns the mistake of a value: the schema's own words, if it has some; editors show them too.
func words(s *jsonschema.Schema, n *yaml.Node, what string) string {
	message := s.ErrorMessage
	switch {
	case s.Type == "array" && message == "":
		return what + " must be a list of one or more"
	case s.Type == "array":
		return what + " " + message
	case s.Type == "object":
		return what + " " + message
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
	return scalar(n)
}

// scalar returns the value of a node without others below it.
func scalar(n *yaml.Node) any {
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

// pairs returns the keys and values of a mapping, and none of another node, or of nil.
func pairs(n *yaml.Node) func(func(key, value *yaml.Node) bool) {
	return func(yield func(key, value *yaml.Node) bool) {
		if n == nil || n.Kind != yaml.MappingNode {
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
		if one, many := strings.CutSuffix(location[len(location)-2], "s"); many {
			return "a " + one
		}
		return "an item of " + location[len(location)-2]
	}
	return last
}
