package config_test

import (
	"bytes"
	"os"
	"testing"

	"lifeboat/internal/config"
	"lifeboat/internal/services"
)

// reader is the program's reader.
var reader = config.NewReader(services.All().Known())

// TestTheSchemaIsPublished checks that docs has the program's schema of plan.yaml.
func TestTheSchemaIsPublished(t *testing.T) {
	published, err := os.ReadFile("../../docs/plan.schema.json")
	if err != nil || !bytes.Equal(published, config.Schema(services.All().Known())) {
		t.Errorf("docs/plan.schema.json is not the program's: run make schema (%v)", err)
	}
}
