// Schema makes docs/plan.strict.schema.json from docs/plan.schema.json. It removes errorMessage, because editors show it, but
// validators in a strict mode do not know it.
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

// words matches an errorMessage with the comma before it, or else with the comma after it.
var words = regexp.MustCompile(`,\s*"errorMessage": "(?:[^"\\]|\\.)*"|"errorMessage": "(?:[^"\\]|\\.)*",\s*`)

// strict returns the schema without the words.
func strict(schema []byte) []byte { return words.ReplaceAll(schema, nil) }
