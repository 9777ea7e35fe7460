package backup

import (
	"reflect"
	"slices"
	"testing"
)

// TestAnArtifactIsReadByWhatItIsRestoredBy: the fields that a restore shares with an attempt have the restore's values when the
// artifact is read. One of them is Blocks: its api-version says whether a ledger's share is a backup or an export.
func TestAnArtifactIsReadByWhatItIsRestoredBy(t *testing.T) {
	r := Restore{
		Target: "target", Storage: Storage{Account: "account", Container: "container"}, Artifact: "artifact", SHA256: "beef", Blocks: `{"ccf":{"apiVersion":"2025-06-10-preview"}}`,
	}
	a := r.ProviderAttempt("run")
	if a.Run != "run" {
		t.Errorf("the run is %q", a.Run)
	}
	var shared []string
	for field, value := range reflect.ValueOf(a).Fields() {
		ordered := reflect.ValueOf(r).FieldByName(field.Name)
		if !ordered.IsValid() {
			continue
		}
		shared = append(shared, field.Name)
		if ordered.IsZero() {
			t.Errorf("%s is not set in the test's restore", field.Name)
		}
		if got, want := value.Interface(), ordered.Interface(); got != want {
			t.Errorf("%s is %+v, want %+v", field.Name, got, want)
		}
	}
	if want := []string{"Target", "Storage", "Blocks", "Artifact", "SHA256"}; !slices.Equal(shared, want) {
		t.Errorf("%v are compared, want %v", shared, want)
	}
}
