package apim_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
	"lifeboat/internal/services/apim"
	"lifeboat/internal/testing/fakeazure"
)

// TestMarks: a mark comes, goes and comes again, and a person without the role is told so.
func TestMarks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	options := azure.Options("v1", uuid.NewString)
	options.Transport = w.Client()
	id := w.service(t, "marked", nil)
	w.Assign(w.ObjectID("person"), id, fakeazure.APIManagementServiceContributor)
	marker := apim.NewMarker(azure.New(w.Credential("person"), options))
	shows := func(want ...string) {
		t.Helper()
		if marks, err := marker.Marks(t.Context(), id, "lifeboat-prove-"); err != nil || !slices.Equal(marks, want) {
			t.Errorf("marks %v, %v; want %v", marks, err, want)
		}
	}
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	const mark = "lifeboat-prove-x"
	shows()
	ok(marker.Unmark(t.Context(), id, mark)) // there is none
	for range 2 {
		ok(marker.Mark(t.Context(), id, mark))
		ok(marker.Mark(t.Context(), id, mark)) // again
		shows(mark)
		ok(marker.Unmark(t.Context(), id, mark))
		shows()
	}
	if shown, err := marker.Shown(t.Context(), id); err != nil || shown.State != "Succeeded" {
		t.Errorf("%+v, %v", shown, err)
	}
	err := apim.NewMarker(azure.New(w.Credential("nobody"), options)).Mark(t.Context(), id, mark)
	if fault, ok := errors.AsType[*backup.Fault](err); !ok || fault.Kind != backup.Refused || !strings.Contains(fault.Hint, "API Management Service Contributor") {
		t.Errorf("nobody: %v", err)
	}
	if err := marker.Mark(t.Context(), strings.Replace(id, "service", "gateways", 1), mark); err == nil {
		t.Error("a mark in another type")
	}
}
