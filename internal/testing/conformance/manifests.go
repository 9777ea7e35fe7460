package conformance

import (
	"slices"
	"testing"

	"lifeboat/internal/backup"
)

// ManifestHarness is a store of manifests under test.
type ManifestHarness struct {
	Manifests backup.Manifests
	// Storage is an account with a container that is not there yet.
	Storage backup.Storage
	// Read returns the content of a manifest in Storage.
	Read func(t *testing.T, name string) string
}

// TestManifests checks the promises of [backup.Manifests].
func TestManifests(t *testing.T, h ManifestHarness) {
	ctx, m, in := t.Context(), h.Manifests, h.Storage
	list := func(prefix string, want ...string) {
		t.Helper()
		got, err := m.List(ctx, in, prefix)
		slices.Sort(got)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v, want %q", prefix, got, err, want)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	// There is no container.
	list("f/a.")
	must(m.Delete(ctx, in, "f/a.made.json"))
	// The first one makes it, and none is ever overwritten.
	must(m.Write(ctx, in, "f/a.made.json", []byte("first")))
	must(m.Write(ctx, in, "f/a.made.json", []byte("second")))
	if got := h.Read(t, "f/a.made.json"); got != "first" {
		t.Errorf("after another write the manifest is %q", got)
	}
	must(m.Write(ctx, in, "f/a.accepted.json", []byte("third")))
	must(m.Write(ctx, in, "f/ab.made.json", []byte("another point's")))
	list("f/a.", "f/a.accepted.json", "f/a.made.json")
	list("f/a", "f/a.accepted.json", "f/a.made.json", "f/ab.made.json")
	list("g/")
	// A repeat of a deletion changes nothing.
	must(m.Delete(ctx, in, "f/a.made.json"))
	must(m.Delete(ctx, in, "f/a.made.json"))
	list("f/a.", "f/a.accepted.json")
}
