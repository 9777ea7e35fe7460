package ledger_test

import (
	"strings"
	"testing"

	"lifeboat/internal/backup"
	"lifeboat/internal/testing/fakeazure"
)

// testContinuity follows a ledger that grows, is restored, and is made anew under its name. The simulator knows nothing of the verifier.
func (w world) testContinuity(t *testing.T) {
	id := w.add(t, ccfs+"growing", nil)
	var earlier backup.Verification
	next := func(code string) backup.Attempt {
		t.Helper()
		a := w.backUp(t, w.attempt(id))
		a.Earlier, a.EarlierID = earlier.Facts, "the-one-before"
		v, err := w.provider().Hash(t.Context(), a, backup.Hashing{})
		must(t, err)
		if !v.Done || v.Doubt.Code != code || code != "" && !strings.Contains(v.Doubt.Message, "the-one-before") {
			t.Errorf("%+v", v)
		}
		earlier = v
		return a
	}
	first := next("")
	was := earlier
	must(t, w.AppendToLedger(id, "nine", "ten"))
	next("")
	newest := earlier

	must(t, w.DeleteLedger(id))
	r := backup.Restore{Target: id, Storage: first.Storage, Artifact: first.Artifact, Kind: backup.RestoreFull, Region: "westeurope"}
	operation, err := w.provider().BeginRestore(t.Context(), r)
	must(t, err)
	eventually(t, "the restore ends", func() bool {
		if !operation.Done {
			operation, err = w.provider().PollRestore(t.Context(), r, operation.Token)
			must(t, err)
		}
		return operation.Done
	})
	earlier = was
	next("") // a recovery goes on from the backup
	if service := "serviceKeySha256"; backup.FactOf(earlier.Facts, service) == backup.FactOf(was.Facts, service) {
		t.Error("a recovery has the same key")
	}
	earlier = newest
	next("LedgerNotContinued") // it is not the ledger that the newer backup has

	must(t, w.DeleteLedger(id))
	must(t, w.AddLedger(fakeazure.Ledger{ResourceID: id, Entries: []string{"one", "two", "three", "four", "five", "six", "seven", "eight"}}))
	next("LedgerNotContinued") // the same entries, of another service
}
