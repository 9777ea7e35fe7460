// Schema makes docs/plan.schema.json from the fields of all plans and the fields of each service. From that it makes
// docs/plan.strict.schema.json without errorMessage, because editors show it, but validators in a strict mode do not know it.
package main

import (
	"fmt"
	"os"
	"regexp"

	"lifeboat/internal/config"
	"lifeboat/internal/services"
)

const source, copied = "docs/plan.schema.json", "docs/plan.strict.schema.json"

func main() {
	text := config.Schema(services.All().Known())
	err := os.WriteFile(source, text, 0o644)
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
