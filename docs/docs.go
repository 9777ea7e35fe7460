// Package docs carries the documents that the program itself needs.
package docs

import _ "embed"

// PlanSchema is the JSON Schema of plan.yaml (draft 2020-12), as it is published beside the example.
//
//go:embed plan.schema.json
var PlanSchema []byte
