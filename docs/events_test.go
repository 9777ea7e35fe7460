package docs_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// object is an object of JSON.
type object = map[string]any

// TestEventsSchema: each example is valid, and is not any more with a member of another type or an empty one. Each type of event and each
// member of the schema has an example, and each member of an example stands in the schema. At one place a member has one type over all
// events.
func TestEventsSchema(t *testing.T) {
	schema := compiled(t, "events.schema.json")
	defs := eventDefs(t)
	seen, types := map[string]bool{}, map[string]map[string]bool{}
	for line := range strings.Lines(page(t, "examples/events.jsonl")) {
		if err := allows(schema, line); err != nil {
			t.Errorf("%s: %v", line, err)
		}
		var event object
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatal(err)
		}
		kind := event["type"].(string)
		seen[kind] = true
		for _, wrong := range []any{"lifeboat.unknown", "Lifeboat.stopped", "", nil, 7} {
			if refused(t, schema.Validate, event, event, "type", wrong); event["type"] != kind {
				t.Fatal("the event is another one")
			}
		}
		walk(event["data"], "", func(in object, name, place string) {
			if types[place] == nil {
				types[place] = map[string]bool{}
			}
			types[place][fmt.Sprintf("%T", in[name])] = true
			if !within(defs, defs[kind].(object)["properties"].(object)["data"], strings.Split(strings.TrimPrefix(place, "."), ".")) {
				t.Errorf("the schema has no data%s of %s", place, kind)
			}
			seen[shape(defs, kind)+place] = true
			for _, wrong := range []any{"", nil, 7.5, "wrong", true, object{}, []any{7.5}} {
				switch in[name].(type) {
				case string:
					if text, ok := wrong.(string); ok && text != "" && !strings.HasSuffix(name, "Time") {
						continue
					}
				case bool:
					if wrong == true {
						continue
					}
				}
				refused(t, schema.Validate, event, in, name, wrong)
			}
		})
	}
	for place, all := range types {
		if len(all) != 1 {
			t.Errorf("data%s has the types %v", place, slices.Sorted(maps.Keys(all)))
		}
	}
	for kind, def := range defs {
		if !strings.HasPrefix(kind, "lifeboat.") {
			continue
		}
		if !seen[kind] {
			t.Errorf("there is no example of %s", kind)
		}
		for _, place := range places(defs, def.(object)["properties"].(object)["data"], "") {
			if !strings.Contains(place, ".reason.") && !seen[shape(defs, kind)+place] {
				t.Errorf("no example of %s has data%s", kind, place)
			}
		}
	}
}

// shape returns the name of the definition of the data, which several types may share, or else the type.
func shape(defs object, kind string) string {
	name, _ := defs[kind].(object)["properties"].(object)["data"].(object)["$ref"].(string)
	return cmp.Or(name, kind)
}

func eventDefs(t *testing.T) object {
	t.Helper()
	var document struct {
		Defs object `json:"$defs"`
	}
	if err := json.Unmarshal([]byte(page(t, "events.schema.json")), &document); err != nil {
		t.Fatal(err)
	}
	return document.Defs
}

// refused checks that the event is invalid with another value of the member.
func refused(t *testing.T, validate func(any) error, event any, in object, name string, wrong any) {
	t.Helper()
	was := in[name]
	in[name] = wrong
	if validate(event) == nil {
		t.Errorf("%v is allowed for %s, which is %v, in %v", wrong, name, was, event)
	}
	in[name] = was
}

// walk visits each member of the value, at any depth; items of a list stand at the place of the list.
func walk(v any, place string, visit func(in object, name, place string)) {
	switch v := v.(type) {
	case object:
		for name := range v {
			visit(v, name, place+"."+name)
			walk(v[name], place+"."+name, visit)
		}
	case []any:
		for _, item := range v {
			walk(item, place, visit)
		}
	}
}

// properties returns the members that the schema of an object knows, or of the items of a list.
func properties(defs object, schema any) object {
	s, _ := schema.(object)
	if name, ok := s["$ref"].(string); ok {
		return properties(defs, defs[strings.TrimPrefix(name, "#/$defs/")])
	}
	if items, ok := s["items"]; ok {
		return properties(defs, items)
	}
	known, _ := s["properties"].(object)
	return known
}

func within(defs object, schema any, steps []string) bool {
	member, ok := properties(defs, schema)[steps[0]]
	return ok && (len(steps) == 1 || within(defs, member, steps[1:]))
}

func places(defs object, schema any, place string) (all []string) {
	for name, member := range properties(defs, schema) {
		all = append(append(all, place+"."+name), places(defs, member, place+"."+name)...)
	}
	return all
}

// TestEvents checks that api.md has each event, and each member of its data by the schema.
func TestEvents(t *testing.T) {
	defs, text := eventDefs(t), section(t, page(t, "api.md"), "Events")
	documented := map[string]bool{}
	for _, row := range cells(text) {
		name := strings.Trim(strings.Fields(row[0])[0], "`:,")
		if len(row) != 2 || strings.HasPrefix(name, "lifeboat.") && !strings.HasPrefix(row[1], "`") {
			continue
		}
		kinds := []string{name}
		if strings.HasSuffix(name, "*") {
			kinds = slices.DeleteFunc(slices.Collect(maps.Keys(defs)), func(kind string) bool {
				return !strings.HasPrefix(kind, strings.TrimSuffix(name, "*")) || kind == "lifeboat.restore.previewed"
			})
		}
		for _, kind := range kinds {
			for member := range set("`([A-Za-z]+)`", row[1]) {
				documented[kind+"."+member] = true
			}
		}
	}
	known := map[string]bool{}
	for kind, def := range defs {
		if strings.HasPrefix(kind, "lifeboat.") {
			if begin := kind[:strings.LastIndex(kind, ".")+1]; !strings.Contains(text, "`"+kind+"`") && !strings.Contains(text, "`"+begin+"` and ") {
				t.Errorf("api.md does not say when %s is sent", kind)
			}
			for name, member := range properties(defs, def.(object)["properties"].(object)["data"]) {
				known[kind+"."+name] = true
				if name != "reason" && name != "preview" { // the text above, and the answer to a dry run
					for part := range properties(defs, member) {
						known[name+"."+part] = true
					}
				}
			}
		}
	}
	same(t, "the member", documented, known)
	for _, part := range []string{"code", "message", "hint", "said", "requestId"} {
		if !strings.Contains(text, "`"+part+"`") || !within(defs, defs["reason"], []string{part}) {
			t.Errorf("a reason has no %s, or not in api.md", part)
		}
	}
}
