package apim_test

import (
	"testing"

	"github.com/google/uuid"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
	"lifeboat/internal/testing/conformance"
	"lifeboat/internal/testing/fakeazure"
)

// TestManifests runs the suite on Azurite, and then on a container that is not there, and has the account refuse the app.
func TestManifests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	options := azure.Options("v1", uuid.NewString)
	options.Transport = w.Client()
	m, in := azure.Manifests{Client: azure.New(w.Credential(app), options)}, backup.Storage{Account: account, Container: backup.ManifestFolder}
	conformance.TestManifests(t, conformance.ManifestHarness{
		Manifests: m, Storage: in, Read: func(t *testing.T, name string) string { return string(w.content(t, in.Container, name)) },
	})
	gone := backup.Storage{Account: account, Container: "gone"}
	for range 2 {
		if f := backup.AsFault(m.Write(t.Context(), gone, "a.json", []byte("{}"))); f == nil || f.Code != "ContainerNotFound" {
			t.Errorf("into a container that was deleted: %+v", f)
		}
	}
	if err := m.Write(t.Context(), in, "kept.json", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	w.Unassign(w.ObjectID(app), account)
	if f := backup.AsFault(m.Write(t.Context(), in, "denied.json", []byte("{}"))); f == nil || f.Kind != backup.Refused || f.Hint == "" {
		t.Errorf("without a role: %+v", f)
	}
	if f := backup.AsFault(m.Delete(t.Context(), in, "kept.json")); f == nil || f.Kind != backup.Unobservable {
		t.Errorf("without a role: %+v", f)
	}
	w.Assign(w.ObjectID(app), account, fakeazure.StorageBlobDataContributor)
	if err := m.Delete(t.Context(), in, "kept.json"); err != nil {
		t.Error(err)
	}
}
