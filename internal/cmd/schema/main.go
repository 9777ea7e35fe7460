// Schema makes docs/plan.schema.json of the fields of all plans and those of each service, and docs/plan.strict.schema.json of
// that: the same without errorMessage, which editors show, and which validators in a strict mode do not know.
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

// words is an errorMessage with the comma before it, or else the one behind it.
var words = regexp.MustCompile(`,\s*"errorMessage": "(?:[^"\\]|\\.)*"|"errorMessage": "(?:[^"\\]|\\.)*",\s*`)

// strict is the schema without the words.
func strict(schema []byte) []byte { return words.ReplaceAll(schema, nil) }
