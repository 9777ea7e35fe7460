package managedhsm_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"lifeboat/internal/backup"
)

// denials are codes that deny a request for good, a few with statuses that look like "not now", and words of the advice.
var denials = []struct {
	status     int
	code, hint string
}{
	{409, "ReadOnlyDisabledSubscription", "enable it again"},
	{404, "SubscriptionStateForbidden", "enable it again"},
	{409, "MissingSubscriptionRegistration", "az provider register"},
	{409, "ScopeLocked", "az lock list"},
	{403, "RequestDisallowedByPolicy", "owner of the policy"},
	{409, "RequestDisallowedByPolicy", "owner of the policy"},
	{404, "SubscriptionNotFound", "tenant"},
	{429, "QuotaExceeded", "quota raised"},
	{409, "QuotaExceeded", "quota raised"},
}

// TestADenialIsRefusedAtOnce: a backup and a restore that Azure denies for good are refused by whichever request met the denial: the
// preflight's, the HSM's check, the key's, the start's. Clean-up tells the reason, and takes nothing for deleted.
func TestADenialIsRefusedAtOnce(t *testing.T) {
	signed := attempt()
	signed.Blocks = by("sas")
	whole := backup.Restore{Target: target, Storage: signed.Storage, Artifact: folder, Kind: backup.RestoreFull}
	signedWhole := whole
	signedWhole.Blocks = signed.Blocks
	one := whole
	one.Kind, one.Key = backup.RestoreKey, "rsa1"
	active := answers(200, `{"identity":{"userAssignedIdentities":{"one":{}}},"properties":{"provisioningState":"Succeeded"}}`)
	for _, d := range denials {
		no := refuses(d.status, d.code, "It is denied.")
		refused := fault{kind: backup.Refused, code: d.code, message: "It is denied.", hint: d.hint}
		unsure := refused
		unsure.kind = backup.Unobservable
		for _, c := range []struct {
			at   step
			want fault
			call func(w *wire) error
		}{
			{get, refused, func(w *wire) error { return w.provider().Preflight(t.Context(), attempt()) }},
			{inspect, refused, func(w *wire) error { return w.provider().Preflight(t.Context(), attempt()) }},
			{inspect, refused, func(w *wire) error { return w.provider().PreflightRestore(t.Context(), whole) }},
			{create, refused, func(w *wire) error { _, err := w.provider().Prepare(t.Context(), attempt(), ""); return err }},
			{check, refused, func(w *wire) error { _, err := w.provider().Prepare(t.Context(), attempt(), ""); return err }},
			{start, refused, func(w *wire) error { _, err := w.provider().Begin(t.Context(), attempt()); return err }},
			{keys, refused, func(w *wire) error { _, err := w.provider().Begin(t.Context(), signed); return err }},
			{keys, refused, func(w *wire) error { _, err := w.provider().BeginRestore(t.Context(), signedWhole); return err }},
			// The engine refuses a restore for a check that it cannot ask for, too.
			{prove, unsure, func(w *wire) error { _, err := w.provider().PrepareRestore(t.Context(), whole, ""); return err }},
			{restore, refused, func(w *wire) error { _, err := w.provider().BeginRestore(t.Context(), whole); return err }},
			{restoreKey, refused, func(w *wire) error { _, err := w.provider().BeginRestore(t.Context(), one); return err }},
			{list, unsure, func(w *wire) error { return w.provider().Delete(t.Context(), stored(), "", false) }},
		} {
			t.Run(fmt.Sprintf("%d %s to %s", d.status, d.code, c.at), func(t *testing.T) {
				w := &wire{replies: map[step]reply{get: active, inspect: answers(200, `{"properties":{}}`), create: answers(201, "")}}
				w.replies[c.at] = no
				c.want.check(t, c.call(w))
				asked := slices.DeleteFunc(slices.Clone(w.sent), func(s step) bool {
					return strings.HasSuffix(string(s), "?restype=container") // whether an account answers that Azure does not know
				})
				if asked[len(asked)-1] != c.at || slices.Index(asked, c.at) != len(asked)-1 {
					t.Errorf("sent %q", w.sent)
				}
			})
		}
	}
}

// TestADenialSaysNothingOfABackup: a lock on the account that came after the backup keeps Lifeboat from making a SAS for the HSM's
// proof. The backup counts by its hashes, and the note says why.
func TestADenialSaysNothingOfABackup(t *testing.T) {
	for _, at := range []step{keys, prove} {
		a := stored()
		a.Blocks = by("sas")
		w := readable("a")
		w.replies[keys] = keyed
		w.replies[at] = refuses(http.StatusConflict, "ScopeLocked", "The account is locked.")
		v, err := w.provider().Hash(t.Context(), a, backup.Hashing{})
		must(t, err)
		o, err := w.provider().Prove(t.Context(), a, "")
		if !v.Done || err != nil || !o.Done || !strings.Contains(o.Warning, "hashes only") || !strings.Contains(o.Warning, "The account is locked.") {
			t.Errorf("%s: %+v, %v", at, o, err)
		}
	}
}
