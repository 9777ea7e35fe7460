package ledger_test

import (
	"fmt"
	"testing"

	"lifeboat/internal/backup"
)

// denials are codes that deny a request for good, a few with statuses that look like "not now", and words of the advice.
var denials = []struct {
	status     int
	code, hint string
}{
	{409, "ReadOnlyDisabledSubscription", "enable it again"},
	{403, "SubscriptionDisabled", "enable it again"},
	{409, "MissingSubscriptionRegistration", "az provider register"},
	{409, "ScopeLocked", "az lock list"},
	{403, "RequestDisallowedByPolicy", "owner of the policy"},
	{409, "RequestDisallowedByPolicy", "owner of the policy"},
	{404, "SubscriptionNotFound", "tenant"},
	{429, "QuotaExceeded", "quota raised"},
	{409, "QuotaExceeded", "quota raised"},
}

// TestADenialIsRefusedAtOnce: a backup and a restore that Azure denies for good are refused by whichever request met the denial: the
// preflight's, the key's, the start's. Clean-up tells the reason, and takes nothing for deleted.
func TestADenialIsRefusedAtOnce(t *testing.T) {
	for _, d := range denials {
		no := refuses(d.status, d.code, "It is denied.")
		refused := fault{kind: backup.Refused, code: d.code, message: "It is denied.", hint: d.hint}
		unsure, later := refused, refused
		unsure.kind, later.kind = backup.Unobservable, backup.Retryable
		for _, c := range []struct {
			name string
			at   step
			want fault
			call func(w *wire) error
		}{
			{"preflight", get, refused, func(w *wire) error { return w.provider().Preflight(t.Context(), attempt()) }},
			{"preflight", inspect, refused, func(w *wire) error { return w.provider().Preflight(t.Context(), attempt()) }},
			{"preparation", keys, refused, func(w *wire) error { _, err := w.provider().Prepare(t.Context(), attempt(), ""); return err }},
			{"backup", keys, refused, func(w *wire) error { _, err := w.provider().Begin(t.Context(), attempt()); return err }},
			{"backup", start, refused, func(w *wire) error { _, err := w.provider().Begin(t.Context(), attempt()); return err }},
			{"restore", keys, refused, func(w *wire) error { _, err := w.provider().BeginRestore(t.Context(), toRestore()); return err }},
			{"restore", get, refused, func(w *wire) error { return w.provider().PreflightRestore(t.Context(), toRestore()) }},
			{"restore", restore, refused, func(w *wire) error { _, err := w.provider().BeginRestore(t.Context(), toRestore()); return err }},
			// A backup is no worse for a key that Azure denies later.
			{"verification", keys, later, func(w *wire) error { _, err := w.provider().Hash(t.Context(), attempt(), backup.Hashing{}); return err }},
			{"clean-up", keys, unsure, func(w *wire) error { return w.provider().Delete(t.Context(), attempt(), "", false) }},
		} {
			t.Run(fmt.Sprintf("%s, %d %s to %s", c.name, d.status, d.code, c.at), func(t *testing.T) {
				w := newWire()
				if c.name == "restore" {
					w = deleted()
				}
				w.backUp(share, started)
				if w.replies[inspect] == nil {
					w.replies[inspect] = answers(200, `{"kind":"StorageV2","sku":{"name":"Standard_LRS"},"properties":{}}`)
				}
				w.replies[c.at] = no
				c.want.check(t, c.call(w))
				if last := w.sent[len(w.sent)-1]; last != c.at || w.count(c.at) != 1 || len(w.shares) != 1 {
					t.Errorf("sent %q, and %d shares are left", w.sent, len(w.shares))
				}
			})
		}
	}
}
