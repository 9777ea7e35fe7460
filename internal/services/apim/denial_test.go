package apim_test

import (
	"fmt"
	"testing"
	"time"

	"lifeboat/internal/backup"
)

// denials are Azure's codes that deny a request for good, a few with statuses that look like "not now", and words of the advice.
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
	{409, "ResourceQuotaExceeded", "quota raised"},
	{503, "QuotaExceeded", "quota raised"},
}

// TestADenialIsRefusedAtOnce: a backup and a restore that Azure denies for good are refused by whichever request met the denial: the
// preflight's, the key's, the start's. Clean-up tells the reason, and takes nothing for deleted.
func TestADenialIsRefusedAtOnce(t *testing.T) {
	for _, d := range denials {
		no := armSays(d.status, d.code, "It is denied.")
		want := fault{kind: backup.Refused, code: d.code, message: "It is denied.", hint: d.hint}
		fine := map[step]reply{
			get:    answers(200, `{"sku":{"name":"Developer"},"identity":{"type":"SystemAssigned"},"properties":{"provisioningState":"Succeeded"}}`),
			spaces: answers(200, `{"value":[]}`), inspect: answers(200, `{"location":"westeurope","properties":{}}`),
		}
		with := func(at step, more map[step]reply) *wire {
			w := &wire{replies: map[step]reply{at: no}}
			for s, r := range more {
				if s != at {
					w.replies[s] = r
				}
			}
			return w
		}
		keyed := attempt()
		keyed.Blocks = as("accessKey")
		keyedBack := bringBack()
		keyedBack.Blocks = keyed.Blocks
		for _, c := range []struct {
			at   step
			more map[step]reply
			call func(w *wire) error
		}{
			{get, nil, func(w *wire) error { return w.provider().Preflight(t.Context(), attempt()) }},
			{inspect, fine, func(w *wire) error { return w.provider().Preflight(t.Context(), attempt()) }},
			{rules, fine, func(w *wire) error { return w.provider().Preflight(t.Context(), attempt()) }},
			{get, nil, func(w *wire) error { return w.provider().PreflightRestore(t.Context(), bringBack()) }},
			{create, nil, func(w *wire) error { _, err := w.provider().Prepare(t.Context(), attempt(), ""); return err }},
			{start, nil, func(w *wire) error { _, err := w.provider().Begin(t.Context(), attempt()); return err }},
			{back, nil, func(w *wire) error { _, err := w.provider().BeginRestore(t.Context(), bringBack()); return err }},
			{keys, nil, func(w *wire) error { _, err := w.provider().Begin(t.Context(), keyed); return err }},
			{keys, nil, func(w *wire) error { _, err := w.provider().BeginRestore(t.Context(), keyedBack); return err }},
		} {
			t.Run(fmt.Sprintf("%d %s to %s", d.status, d.code, c.at), func(t *testing.T) {
				w := with(c.at, c.more)
				want.check(t, c.call(w))
				if n := w.count(c.at); n != 1 {
					t.Errorf("%d requests", n)
				}
			})
		}
		w := with(remove, nil)
		unsure := want
		unsure.kind = backup.Unobservable
		unsure.check(t, w.provider().Delete(t.Context(), attempt(), etag, false))
	}
}

// TestADenialSaysNothingOfAnOperation: a denial of the question leaves the look for a lost start undecided, and an operation's own
// failure counts by its status.
func TestADenialSaysNothingOfAnOperation(t *testing.T) {
	w := &wire{replies: map[step]reply{get: armSays(409, "ReadOnlyDisabledSubscription", "Denied.")}}
	found, err := w.provider().Find(t.Context(), attempt())
	if f := backup.AsFault(err); found != "" || f == nil || f.Kind == backup.Refused {
		t.Errorf("looked for a lost start: %q, %+v", found, f)
	}
	w.replies = map[step]reply{poll: armSays(429, "QuotaExceeded", "Slow down.", "Retry-After: 3")}
	_, err = w.provider().Poll(t.Context(), attempt(), token)
	fault{kind: backup.Throttled, code: "QuotaExceeded", hint: "Lifeboat asks again", after: 3 * time.Second}.check(t, err)
	w.replies = map[step]reply{poll: armSays(409, "ScopeLocked", "The account is locked.")}
	_, err = w.provider().Poll(t.Context(), attempt(), token)
	fault{kind: backup.Refused, code: "ScopeLocked", hint: "az lock list"}.check(t, err)
}
