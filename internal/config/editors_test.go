package config_test

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"
)

// published is the published schema, as an editor has it: with keywords that the program does not know.
var published = sync.OnceValue(func() *jsonschema.Schema {
	text, err := os.ReadFile("../../docs/plan.schema.json")
	if err != nil {
		panic(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		panic(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("plan.schema.json", document); err != nil {
		panic(err)
	}
	return compiler.MustCompile("plan.schema.json")
})

// inAnEditor returns the mistake that an editor with the published schema finds in the text, nil if it finds none.
func inAnEditor(text string) error {
	var value any
	if err := yaml.Unmarshal([]byte(text), &value); err != nil {
		return err
	}
	return published().Validate(inJSON(value))
}

// inJSON returns a value of YAML in the types of JSON.
func inJSON(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for name, one := range value {
			value[name] = inJSON(one)
		}
	case map[any]any:
		fields := map[string]any{}
		for name, one := range value {
			text, _ := name.(string)
			fields[text] = inJSON(one)
		}
		return fields
	case []any:
		for i, one := range value {
			value[i] = inJSON(one)
		}
	case int:
		return json.Number(strconv.Itoa(value))
	case float64:
		return json.Number(strconv.FormatFloat(value, 'f', -1, 64))
	case time.Time: // a date is a text to editors
		return value.Format(time.DateOnly)
	}
	return value
}

// beyond are the mistakes that only the program finds, by a part of their words, and the reason.
var beyond = map[string]string{
	"there are two plans with the name":         "a schema compares no field of one item with another's",
	"stands here twice":                         "a schema compares with regard to large letters, and to a slash at the end",
	"jitter must be shorter than window":        "a schema compares no field with another",
	"a second document begins here":             "an editor shows each document alone",
	"write several plans with 1000 at the most": "an editor would not say what to do",
	"Lifeboat would take one for the other":     "a schema compares no names of targets",
	"itself does not count":                     "a schema compares the types of from with those of into, and says nothing of itself",
	"has no Managed CCF":                        "a pattern compares no dates",
	"has the manifests of file shares":          "for Azure it is a name like any other",
	"in sum":                                    "a schema adds nothing up",
	"the plan is too long":                      "aliases are written out before a schema sees the text",
}

// onlyTheProgram says whether only the program can find the mistake.
func onlyTheProgram(words string) bool {
	for part := range beyond {
		if strings.Contains(words, part) {
			return true
		}
	}
	return false
}

// TestEditorsRefuseWhatTheProgramRefuses checks that the published schema refuses at least four of five wrong plans of the tests, and
// each whose mistake a schema can tell.
func TestEditorsRefuseWhatTheProgramRefuses(t *testing.T) {
	missed := 0
	for name, c := range wrong {
		text := strings.Replace(good, c.old, c.new, 1)
		_, _, err := reader.Parse("plan.yaml", []byte(text))
		switch found := inAnEditor(text) != nil; {
		case err == nil:
			t.Errorf("%s is taken", name)
		case !found && !onlyTheProgram(err.Error()):
			t.Errorf("%s: an editor takes it, although the program says: %v", name, err)
		case !found:
			missed++
		}
	}
	// Without the patterns of IDs and the rules between fields an editor would take 31 of them.
	if missed*5 > 31 {
		t.Errorf("an editor takes %d of %d wrong plans", missed, len(wrong))
	}
	if err := inAnEditor(good); err != nil {
		t.Errorf("an editor refuses the good plan: %v", err)
	}
}

// TestEditorsTakeEveryGroup checks that the pattern of resource IDs has every character that a resource group may have.
func TestEditorsTakeEveryGroup(t *testing.T) {
	var schema struct {
		Defs struct {
			Storage struct {
				Properties struct{ Account struct{ Pattern string } }
			}
		} `json:"$defs"`
	}
	text, err := os.ReadFile("../../docs/plan.schema.json")
	if err != nil || json.Unmarshal(text, &schema) != nil {
		t.Fatal(err)
	}
	account := regexp.MustCompile(schema.Defs.Storage.Properties.Account.Pattern)
	matches := func(group string) bool {
		return account.MatchString("/subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/" + group +
			"/providers/Microsoft.Storage/storageAccounts/contosobackups")
	}
	for r := rune(1); r <= 0xFFFF; r++ {
		letter := unicode.IsLetter(r) || unicode.IsDigit(r)
		if letter && !unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) && !matches("g"+string(r)) {
			t.Errorf("an editor refuses %U", r)
		}
		if invisible := unicode.In(r, unicode.Cf, unicode.Zs) && r > 0x2000; invisible && matches("g"+string(r)) {
			t.Errorf("an editor takes %U", r)
		}
	}
	for group, want := range map[string]bool{"a.b": true, "a.": false, strings.Repeat("a", 90): true, strings.Repeat("a", 91): false, "": false, "a'": false} {
		if matches(group) != want {
			t.Errorf("the group %q: %t", group, !want)
		}
	}
}
