package memory_test

import (
	"testing"

	"lifeboat/internal/backup"
	"lifeboat/internal/testing/conformance"
	"lifeboat/internal/testing/memory"
)

func TestManifests(t *testing.T) {
	m, in := &memory.Manifests{}, backup.Storage{Account: "account", Container: "container"}
	conformance.TestManifests(t, conformance.ManifestHarness{
		Manifests: m, Storage: in, Read: func(_ *testing.T, name string) string { return string(m.Read(in, name)) },
	})
}
