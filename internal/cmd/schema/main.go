// Schema makes docs/plan.strict.schema.json of docs/plan.schema.json: the same without errorMessage, which editors show, and
// which validators in a strict mode do not know.
package main

import (
	"fmt"
	"os"
	"regexp"
)

const source, copied = "docs/plan.schema.json", "docs/plan.strict.schema.json"

func main() {
	text, err := os.ReadFile(source)
	if err == nil {
		err = os.WriteFile(copied, strict(text), 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "schema:", err)
		os.Exit(1)
	}
}

// words is an errorMessage with the comma before it, or else the one behind it.
var words = regexp.MustCompile(`,\s*"errorMessage": "(?:[^"\\]|\\.)*"|"errorMessage": "(?:[^"\\]|\\.)*",\s*`)

// strict is the schema without the words.
func strict(schema []byte) []byte { return words.ReplaceAll(schema, nil) }
