package managedhsm_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
	"lifeboat/internal/services/managedhsm"
	"lifeboat/internal/testing/fakeazure"
)

// TestMarks: a mark comes, goes and comes again, also where purge protection keeps a deleted key and its name.
func TestMarks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	options := azure.Options("v1", uuid.NewString)
	options.Transport = w.Client()
	const mark = "lifeboat-prove-x"
	for name, protected := range map[string]bool{"open": false, "protected": true} {
		id := w.hsm(t, name, func(k *fakeazure.HSMOptions) { k.PurgeProtection = protected })
		marker := managedhsm.NewMarker(azure.New(w.Credential("officer"), options))
		shows := func(want ...string) {
			t.Helper()
			if marks, err := marker.Marks(t.Context(), id, "lifeboat-prove-"); err != nil || !slices.Equal(marks, want) {
				t.Errorf("%s: marks %v, %v; want %v", name, marks, err, want)
			}
		}
		shows()
		must(t, marker.Unmark(t.Context(), id, mark)) // there is none
		for range 2 {
			must(t, marker.Mark(t.Context(), id, mark))
			must(t, marker.Mark(t.Context(), id, mark)) // again
			shows(mark)
			must(t, marker.Unmark(t.Context(), id, mark))
			shows()
			must(t, marker.Unmark(t.Context(), id, mark))
		}

		// A person without the role that purges: the mark goes, and the name is not free.
		must(t, w.AssignHSM(id, w.ObjectID("user"), fakeazure.ManagedHSMCryptoUser))
		user := managedhsm.NewMarker(azure.New(w.Credential("user"), options))
		must(t, user.Mark(t.Context(), id, "lifeboat-prove-y"))
		must(t, user.Unmark(t.Context(), id, "lifeboat-prove-y"))
		shows()
		err := user.Mark(t.Context(), id, "lifeboat-prove-y")
		fault, ok := errors.AsType[*backup.Fault](err)
		if !ok || fault.Kind != backup.Refused || !strings.Contains(fault.Hint, "Managed HSM Crypto Officer") {
			t.Errorf("%s: %v", name, err)
		}
		must(t, marker.Mark(t.Context(), id, "lifeboat-prove-y"))
		shows("lifeboat-prove-y")
		if err := marker.Mark(t.Context(), strings.Replace(id, "managedHSMs", "vaults", 1), mark); err == nil {
			t.Errorf("%s: a mark in a vault", name)
		}
	}
}
