package jsonschema_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	reference "github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"lifeboat/internal/config/jsonschema"
)

// target and account are resource IDs.
const (
	inGroup = "/subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/größe/providers/"
	target  = inGroup + "Microsoft.ApiManagement/service/contoso"
	account = inGroup + "microsoft.storage/STORAGEACCOUNTS/contoso/"
)

// whole is a plan with every field.
const whole = `{
	"version": 1, "defaults": {"timeZone": "UTC", "storage": {"account": "` + account + `", "container": "backups", "zone": "z12"}},
	"plans": [{
		"name": "nightly", "targets": ["` + target + `", "` + inGroup + `Microsoft.KeyVault/managedHSMs/hsm"], "schedule": "30 2 * * *", "timeZone": "Europe/Zurich", "jitter": "20m", "window": "2h",
		"concurrency": 3, "identity": "system", "hsm": {"access": "sas"}, "ccf": {"restoreRegion": "westeurope", "apiVersion": "2025-06-10-preview"},
		"storage": {"account": "` + account + `", "container": "backups"}, "keep": {"within": "30d"}, "onDemand": {"keep": {"within": "90d"}},
		"restore": {"into": ["itself"], "approval": "none", "replyTo": ["answers"], "safetyBackup": true}, "paused": false
	}]
}`

// values are the values that a plan gets in place of others.
var values = []string{
	`null`, `true`, `0`, `1`, `1.0`, `1.5`, `-1`, `500`, `501`, `1e2`, `1e300`, `""`, `"x"`, `"é"`, `"1"`, `"sas"`, `"system"`, `"none"`, `"30d"`,
	`"400d"`, `"99999d"`, `"0d"`, `"a--b"`, `"* * * * *"`, `"2026-01-01"`, `"` + strings.Repeat("a", 64) + `"`, `"` + target + `/"`, `"` + target + `-"`, `"` + account + `"`,
	`"itself"`, `"Europe/Zurich"`, `"Europe/Zurych"`, `"execute"`, `"30m"`, `{}`, `{"within": 1}`,
	`{"access": "identity"}`, `{"x": 1, "y": 2}`, `[]`, `[1]`, `["x", "y-z"]`, `[{}]`,
}

// TestAgainstReference: this package finds the same mistakes as a module for all of JSON Schema, in 5,000 plans with one to three
// wrong values, fields too few or fields too many.
func TestAgainstReference(t *testing.T) {
	text, err := os.ReadFile("../../../docs/plan.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	document, compiler := checked(decode(t, string(text))), reference.NewCompiler()
	if text, err = json.Marshal(document); err != nil {
		t.Fatal(err)
	}
	ours, err := jsonschema.Compile(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := compiler.AddResource("plan.schema.json", document); err != nil {
		t.Fatal(err)
	}
	theirs := compiler.MustCompile("plan.schema.json")
	random := rand.New(rand.NewPCG(7, 8))
	good := 0
	for range 5_000 {
		plan := decode(t, whole)
		for range 1 + random.IntN(3) {
			plan = mutate(t, random, plan)
		}
		var want []string
		if err := theirs.Validate(plan); err != nil {
			invalid, ok := errors.AsType[*reference.ValidationError](err)
			if !ok {
				t.Fatal(err)
			}
			want = flatten(document, invalid)
		}
		var got []string
		for _, m := range ours.Check(plan) {
			got = append(got, mistake(m.Location, m.Schema.ErrorMessage, m.Pattern, m.Missing, m.Unknown))
		}
		if diff := cmp.Diff(set(want), set(got)); diff != "" {
			shown, _ := json.Marshal(plan)
			t.Fatalf("%s\n%s", shown, diff)
		}
		if len(want) == 0 {
			good++
		}
	}
	if good < 100 || good > 2_500 {
		t.Errorf("%d plans are good", good)
	}
}

// checked removes the rules that are for editors alone from a schema: the program does not check by them.
func checked(document any) any {
	switch document := document.(type) {
	case map[string]any:
		delete(document, "allOf")
		for _, part := range document {
			checked(part)
		}
	case []any:
		for _, part := range document {
			checked(part)
		}
	}
	return document
}

// set sorts the texts, and leaves out the ones that come again.
func set(texts []string) []string { return slices.Compact(slices.Sorted(slices.Values(texts))) }

func mistake(location []string, message string, pattern bool, missing, unknown []string) string {
	return fmt.Sprintf("/%s: %q pattern %t, missing %v, unknown %v", strings.Join(location, "/"), message, pattern, missing, set(unknown))
}

// flatten returns the mistakes that the reference found.
func flatten(document any, e *reference.ValidationError) (all []string) {
	for _, cause := range e.Causes {
		all = append(all, flatten(document, cause)...)
	}
	if len(e.Causes) > 0 {
		return all
	}
	part, _ := document.(map[string]any)
	_, pointer, _ := strings.Cut(e.SchemaURL, "#")
	for name := range strings.SplitSeq(strings.Trim(pointer, "/"), "/") {
		if name != "" {
			part, _ = part[name].(map[string]any)
		}
	}
	message, _ := part["errorMessage"].(string)
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		return []string{mistake(e.InstanceLocation, message, false, k.Missing, nil)}
	case *kind.AdditionalProperties:
		return []string{mistake(e.InstanceLocation, message, false, nil, k.Properties)}
	case *kind.Pattern:
		return []string{mistake(e.InstanceLocation, message, true, nil, nil)}
	}
	return []string{mistake(e.InstanceLocation, message, false, nil, nil)}
}

// mutate changes one value of the document, removes one field or adds one.
func mutate(t *testing.T, random *rand.Rand, value any) any {
	t.Helper()
	switch random.IntN(40) {
	case 0:
		return map[string]any{}
	case 1:
		return decode(t, values[random.IntN(len(values))])
	}
	switch value := value.(type) {
	case map[string]any:
		names := slices.Sorted(maps.Keys(value))
		if len(names) == 0 || random.IntN(12) == 0 {
			value["colour"] = decode(t, values[random.IntN(len(values))])
			return value
		}
		name := names[random.IntN(len(names))]
		if random.IntN(12) == 0 {
			delete(value, name)
		} else {
			value[name] = mutate(t, random, value[name])
		}
		return value
	case []any:
		if len(value) > 0 {
			i := random.IntN(len(value))
			value[i] = mutate(t, random, value[i])
			return value
		}
	}
	return decode(t, values[random.IntN(len(values))])
}

func decode(t *testing.T, text string) (value any) {
	t.Helper()
	value, err := reference.UnmarshalJSON(bytes.NewReader([]byte(text)))
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// TestCompileRefuses: a schema with a keyword that would not be checked is refused, at any depth.
func TestCompileRefuses(t *testing.T) {
	for _, text := range []string{
		``, `[]`, `{"format": "date"}`, `{"properties": {"a": {"items": {"uniqueItems": true}}}}`, `{"additionalProperties": {}}`, `{"enum": [1]}`,
		`{"$ref": "#/$defs/a"}`, `{"$defs": {"a": {"not": {"$ref": "#/$defs/b"}}}}`,
	} {
		if _, err := jsonschema.Compile([]byte(text)); err == nil {
			t.Errorf("%s is a schema", text)
		}
	}
}
