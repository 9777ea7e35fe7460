package docs_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"lifeboat/internal/restore"
)

// published is the schema of requests for restores.
func published(t *testing.T) *jsonschema.Schema { return compiled(t, "restore.schema.json") }

func compiled(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource(name, document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile(name)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// allows says whether the schema takes the message.
func allows(schema *jsonschema.Schema, message string) error {
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(message))
	if err != nil {
		return err
	}
	return schema.Validate(v)
}

// beyond are messages of the corpus that only the program can refuse, since no schema can express their mistakes.
var beyond = map[string]string{
	"before-never-set":            "a time that stands for none",
	"expires-before-time":         "the same",
	"expires-beyond-time":         "the same",
	"point-before-february":       "a day that is not in the calendar",
	"duplicate-id":                "a name twice",
	"duplicate-escaped":           "the same",
	"duplicate-in-data":           "the same",
	"size-64k-and-one":            "too long",
	"cloud-event-base64-broken":   "what is in base64",
	"lone-surrogate-reason":       "half a character",
	"terminal-reason":             "control characters but those of lines",
	"cloud-event-base64-not-text": "what is in base64",
}

// TestRestoreSchema compares the schema with the program, on every message of the fuzzer's corpus and on its own examples.
func TestRestoreSchema(t *testing.T) {
	schema := published(t)
	files, err := filepath.Glob("../internal/restore/testdata/fuzz/FuzzRestoreRequest/*")
	if err != nil || len(files) < 100 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	good, bad := 0, 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		message, err := strconv.Unquote(strings.TrimSuffix(strings.TrimPrefix(string(text), "go test fuzz v1\n[]byte("), ")\n"))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		_, refused := restore.ParseRequest([]byte(message), "")
		invalid := allows(schema, message)
		if only := beyond[filepath.Base(file)] != ""; (refused != nil) != (invalid != nil || only) || only && invalid != nil {
			t.Errorf("%s: the program says %v, the schema %v", file, refused, invalid)
		}
		if refused == nil {
			good++
		} else {
			bad++
		}
	}
	if good < 10 || bad < 50 {
		t.Errorf("%d good messages, %d bad ones", good, bad)
	}
	text, err := os.ReadFile("restore.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var document struct{ Examples []json.RawMessage }
	if err := json.Unmarshal(text, &document); err != nil || len(document.Examples) < 3 {
		t.Fatalf("%d examples, %v", len(document.Examples), err)
	}
	for _, example := range document.Examples {
		if _, err := restore.ParseRequest(example, ""); err != nil || allows(schema, string(example)) != nil {
			t.Errorf("%s: %v, %v", example, err, allows(schema, string(example)))
		}
	}
}
