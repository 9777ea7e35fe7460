package config_test

import (
	"bytes"
	"os"
	"testing"

	"lifeboat/internal/config"
	"lifeboat/internal/services"
)

// reader is the program's.
var reader = config.NewReader(services.All().Known())

// TestTheSchemaIsPublished: docs has the schema that the program reads plan.yaml by.
func TestTheSchemaIsPublished(t *testing.T) {
	published, err := os.ReadFile("../../docs/plan.schema.json")
	if err != nil || !bytes.Equal(published, config.Schema(services.All().Known())) {
		t.Errorf("docs/plan.schema.json is not the program's: run make schema (%v)", err)
	}
}
