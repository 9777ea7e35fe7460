package ledger_test

import (
	"testing"
	"time"

	"lifeboat/internal/backup"
)

// lost makes the attempt for a search for lost starts.
func lost(times ...time.Time) backup.Attempt {
	a := attempt()
	a.Artifact = ""
	for _, t := range times {
		a.Lost = append(a.Lost, backup.Window{From: t, To: t.Add(3 * time.Minute)})
	}
	return a
}

// torn removes a file from a share.
func (w *wire) torn(share, file string) { delete(w.shares[share].files, file) }

// TestFind checks the search for the share of lost starts.
func TestFind(t *testing.T) {
	const second = "contoso-20261103033001"
	const chunk, snapshot = "ledger/ledger_1-10.committed", "snapshots/snapshot_20_21.committed"
	one, two := lost(started), lost(started.Add(time.Hour), started)
	for name, test := range map[string]struct {
		attempt backup.Attempt
		world   func(w *wire)
		found   string
		fault   fault
	}{
		"nothing":             {attempt: one, world: func(*wire) {}},
		"nothing was lost":    {attempt: lost(), world: func(w *wire) { w.backUp(share, started) }},
		"whole":               {attempt: one, world: func(w *wire) { w.backUp(share, started) }, found: share},
		"older":               {attempt: one, world: func(w *wire) { w.backUp(share, started.Add(-6*time.Second)) }},
		"clocks differ":       {attempt: one, world: func(w *wire) { w.backUp(share, started.Add(-5*time.Second)) }, found: share},
		"another's":           {attempt: one, world: func(w *wire) { w.backUp("contoso-2-20261103023001", started) }},
		"torn":                {attempt: one, world: func(w *wire) { w.backUp(share, started); w.torn(share, chunk) }},
		"without a snapshot":  {attempt: one, world: func(w *wire) { w.backUp(share, started); w.torn(share, snapshot) }},
		"empty":               {attempt: one, world: func(w *wire) { w.shares[share] = stored{made: started} }},
		"torn, and one whole": {attempt: two, world: func(w *wire) { w.backUp(share, started); w.torn(share, chunk); w.backUp(second, started) }, found: second},
		"not yet five minutes": {
			attempt: one, world: func(w *wire) { w.backUp(share, w.now.Add(-5*time.Minute-2*time.Second)) },
			fault: fault{kind: backup.Retryable, code: "StillBeingWritten", message: share, hint: "Lifeboat looks again"},
		},
		"five minutes": {attempt: one, world: func(w *wire) { w.backUp(share, w.now.Add(-5*time.Minute-3*time.Second)) }, found: share},
		"just made": {
			attempt: one, world: func(w *wire) { w.shares[share] = stored{made: w.now.Add(-time.Minute)} },
			fault: fault{kind: backup.Retryable, code: "StillBeingWritten", message: share, hint: "Lifeboat looks again"},
		},
		"two": {
			attempt: two, world: func(w *wire) { w.backUp(share, started); w.backUp(second, started) },
			fault: fault{kind: backup.Refused, code: "Ambiguous", message: share + ", " + second, hint: "account of its own"},
		},
		"one too many": {
			attempt: one, world: func(w *wire) { w.backUp(share, started); w.torn(share, chunk); w.backUp(second, started) },
			fault: fault{kind: backup.Refused, code: "Ambiguous", message: share + ", " + second, hint: "account of its own"},
		},
		"another run's": {attempt: others(one, share), world: func(w *wire) { w.backUp(share, started) }},
		"another run's, and its own": {
			attempt: others(one, share), world: func(w *wire) { w.backUp(share, started); w.backUp(second, started) }, found: second,
		},
		"at work": {
			attempt: one, world: func(w *wire) { w.replies[get] = answers(200, `{"properties":{"provisioningState":"Updating"}}`) },
			fault: fault{kind: backup.Retryable, code: "ServiceNotSettled", message: "Updating", hint: "Lifeboat looks again"},
		},
		"not to be seen": {attempt: one, world: func(w *wire) { w.replies[get] = refuses(403, "AuthorizationFailed", "no") }},
		"was deleted":    {attempt: one, world: func(w *wire) { w.replies[get] = refuses(404, "ResourceNotFound", "no") }},
		"its subscription is shut": {
			attempt: one, world: func(w *wire) { w.replies[get] = refuses(404, "SubscriptionNotFound", "no") },
			fault: fault{kind: backup.Retryable, code: "SubscriptionNotFound", hint: "tenant"},
		},
		"a policy denies the look": {
			attempt: one, world: func(w *wire) { w.replies[get] = refuses(403, "RequestDisallowedByPolicy", "no") },
			fault: fault{kind: backup.Retryable, code: "RequestDisallowedByPolicy", hint: "owner of the policy"},
		},
		"no look": {
			attempt: one, world: func(w *wire) { w.replies[get] = answers(500, "") },
			fault: fault{kind: backup.Retryable, code: "InternalServerError", hint: "Lifeboat asks again"},
		},
		"no key": {
			attempt: one, world: func(w *wire) { w.replies[keys] = refuses(403, "AuthorizationFailed", "no") },
			fault: fault{kind: backup.Retryable, code: "AuthorizationFailed", hint: "Reader and Data Access"},
		},
		"no list": {
			attempt: one, world: func(w *wire) { w.replies[list] = storageError(403, "AuthorizationFailure") },
			fault: fault{kind: backup.Retryable, code: "AuthorizationFailure", hint: "firewall"},
		},
		"no files": {
			attempt: one, world: func(w *wire) { w.backUp(share, started); w.replies[open] = cut },
			fault: fault{kind: backup.Retryable, code: "Unreachable", hint: "contosobackups.file"},
		},
		"deleted meanwhile": {attempt: one, world: func(w *wire) { w.backUp(share, started); w.replies[open] = storageError(404, "ShareNotFound") }},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWire()
			test.world(w)
			found, err := w.provider().Find(t.Context(), test.attempt)
			if test.fault.kind != "" {
				test.fault.check(t, err)
			} else if err != nil {
				t.Error(err)
			}
			if found != test.found {
				t.Errorf("found %q, want %q", found, test.found)
			}
		})
	}
	// An export has no snapshot.
	w := newWire()
	w.backUp(share, started)
	w.torn(share, snapshot)
	one.Target = plain
	if found, err := w.provider().Find(t.Context(), one); err != nil || found != share {
		t.Errorf("found %q, %v", found, err)
	}
}

// others returns the attempt of a run after other runs have taken the shares.
func others(a backup.Attempt, shares ...string) backup.Attempt {
	a.Taken = shares
	return a
}

func TestDelete(t *testing.T) {
	w := newWire()
	w.backUp(share, started)
	w.backUp("contoso-1", started)
	v, _, err := verify(t, w, attempt(), 1<<30)
	must(t, err)
	a := attempt()
	must(t, w.provider().Delete(t.Context(), a, v.Hashing.ETag, true)) // extras: no share can be proven to be one
	for _, name := range []string{"", run + ".1", "contoso", "contoso-2-20261103023001", share + "/x"} {
		b := a
		b.Artifact = name
		fault{kind: backup.Kept, code: "NotAnArtifact", hint: "Nothing was deleted"}.check(t, w.provider().Delete(t.Context(), b, "", false))
	}
	before := w.shares[share].files["ledger/ledger_1-10.committed"]
	w.shares[share].files["ledger/ledger_1-10.committed"] = storedFile{content: before.content, written: before.written, etag: "9"}
	fault{kind: backup.Touched, code: "ArtifactTouched", hint: "reads it again"}.check(t, w.provider().Delete(t.Context(), a, v.Hashing.ETag, false))
	w.shares[share].files["ledger/ledger_1-10.committed"] = before
	for name, test := range map[string]struct {
		step  step
		reply reply
		fault fault
	}{
		"a lease":       {remove, storageError(412, "LeaseIdMissing"), fault{kind: backup.Kept, code: "LeaseIdMissing", hint: "restored as before"}},
		"no account":    {keys, refuses(404, "ResourceNotFound", "no"), fault{kind: backup.Unobservable, code: "ResourceNotFound", hint: "moved to another"}},
		"no role":       {keys, refuses(403, "AuthorizationFailed", "no"), fault{kind: backup.Unobservable, code: "AuthorizationFailed", hint: "Reader and Data Access"}},
		"not allowed":   {remove, storageError(403, "KeyBasedAuthenticationNotPermitted"), fault{kind: backup.Unobservable, code: "KeyBasedAuthenticationNotPermitted", hint: "allowSharedKeyAccess"}},
		"throttled":     {remove, answers(503, ""), fault{kind: backup.Ambiguous, code: "ServiceUnavailable", hint: "tries the deletion again"}},
		"no connection": {remove, unknown, fault{kind: backup.Retryable, code: "Unreachable", hint: "contosobackups.file"}},
		"another":       {remove, storageError(409, "ShareSnapshotInProgress"), fault{kind: backup.Retryable, code: "ShareSnapshotInProgress", hint: "plan.yaml"}},
		"no look":       {open, answers(500, ""), fault{kind: backup.Retryable, code: "InternalServerError", hint: "Lifeboat asks again"}},
	} {
		t.Run(name, func(t *testing.T) {
			w.replies[test.step], test.reply = test.reply, w.replies[test.step]
			test.fault.check(t, w.provider().Delete(t.Context(), a, v.Hashing.ETag, false))
			w.replies[test.step] = test.reply
		})
	}
	if len(w.shares) != 2 {
		t.Fatalf("left: %v", w.shares)
	}
	w.replies[remove] = storageError(409, "ShareBeingDeleted")
	must(t, w.provider().Delete(t.Context(), a, v.Hashing.ETag, false))
	delete(w.replies, remove)
	for range 2 {
		must(t, w.provider().Delete(t.Context(), a, v.Hashing.ETag, false))
	}
	if _, ok := w.shares["contoso-1"]; !ok || len(w.shares) != 1 {
		t.Errorf("left: %v", w.shares)
	}
}

func TestPreflight(t *testing.T) {
	storage := func(kind, sku, properties string) reply {
		return answers(200, `{"kind":"`+kind+`","sku":{"name":"`+sku+`"},"properties":{`+properties+`}}`)
	}
	good := storage("StorageV2", "Standard_LRS", `"allowSharedKeyAccess":true,"networkAcls":{"defaultAction":"Allow"}`)
	state := func(s string) reply { return answers(200, `{"properties":{"provisioningState":"`+s+`"}}`) }
	vault := func(state string) string {
		return `"immutableStorageWithVersioning":{"enabled":true,"immutabilityPolicy":{"state":"` + state + `","immutabilityPeriodSinceCreationInDays":30}}`
	}
	for name, test := range map[string]struct {
		service, account reply
		fault            fault
	}{
		"good":           {service: state("Succeeded"), account: good},
		"never set":      {service: state("Succeeded"), account: storage("Storage", "Standard_GRS", "")},
		"premium files":  {service: state("Succeeded"), account: storage("FileStorage", "Premium_LRS", "")},
		"not to be seen": {service: refuses(403, "AuthorizationFailed", "no"), account: refuses(403, "AuthorizationFailed", "no")},
		"does not exist": {refuses(404, "ResourceNotFound", "no such thing"), good, fault{kind: backup.Refused, code: "ResourceNotFound", message: "no such thing", hint: "plan.yaml"}},
		"failed":         {state("Failed"), good, fault{kind: backup.Refused, code: "ServiceNotReady", message: "Failed", hint: "portal"}},
		"as recorded":    {service: answers(200, older), account: good},
		"newer":          {service: answers(200, newer), account: good},
		"cancelled":      {state("Cancelled"), good, fault{kind: backup.Refused, code: "ServiceNotReady", message: "Cancelled", hint: "portal"}},
		"no resource":    {answers(200, "null"), good, fault{kind: backup.Retryable, code: "Unreachable", message: "no resource", hint: "Lifeboat asks again"}},
		"being deleted":  {state("Deleting"), good, fault{kind: backup.Refused, code: "ServiceNotReady", message: "Deleting", hint: "portal"}},
		"being made":     {state("Creating"), good, fault{kind: backup.Retryable, code: "ServiceNotSettled", message: "Creating", hint: "Lifeboat asks again"}},
		"throttled":      {answers(429, "", "Retry-After: 5"), good, fault{kind: backup.Throttled, code: "TooManyRequests", hint: "Lifeboat asks again", after: 5 * time.Second}},
		"no account":     {state("Succeeded"), refuses(404, "ResourceNotFound", "no"), fault{kind: backup.Refused, code: "ResourceNotFound", hint: "plan.yaml"}},
		"no keys":        {state("Succeeded"), storage("StorageV2", "Standard_LRS", `"allowSharedKeyAccess":false`), fault{kind: backup.Refused, code: "KeyAccessDisabled", message: "allowSharedKeyAccess", hint: "keys"}},
		"a firewall":     {state("Succeeded"), storage("StorageV2", "Standard_LRS", `"networkAcls":{"defaultAction":"Deny"}`), fault{kind: backup.Refused, code: "FirewallWithSAS", hint: "without one"}},
		"a vault": {
			state("Succeeded"), storage("StorageV2", "Standard_GRS", vault("Unlocked")+`,"allowSharedKeyAccess":false`),
			fault{kind: backup.Refused, code: "ImmutableStorage", message: "contosobackups has an immutability policy, which protects blobs", hint: "API Management alone"},
		},
		"a locked vault":  {state("Succeeded"), storage("StorageV2", "Standard_GRS", vault("Locked")), fault{kind: backup.Refused, code: "ImmutableStorage", hint: "a vault"}},
		"no vault yet":    {service: state("Succeeded"), account: storage("StorageV2", "Standard_GRS", vault("Disabled"))},
		"room for vaults": {service: state("Succeeded"), account: storage("StorageV2", "Standard_GRS", `"immutableStorageWithVersioning":{"enabled":true}`)},
		"blobs alone":     {state("Succeeded"), storage("BlobStorage", "Standard_LRS", ""), fault{kind: backup.Refused, code: "NoFileService", message: "BlobStorage", hint: "StorageV2"}},
		"premium blobs":   {state("Succeeded"), storage("BlockBlobStorage", "Premium_LRS", ""), fault{kind: backup.Refused, code: "NoFileService", message: "BlockBlobStorage", hint: "StorageV2"}},
		"premium general": {state("Succeeded"), storage("StorageV2", "Premium_LRS", ""), fault{kind: backup.Refused, code: "NoFileService", message: "premium StorageV2", hint: "StorageV2"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWire()
			w.replies[get], w.replies[inspect] = test.service, test.account
			err := w.provider().Preflight(t.Context(), attempt())
			if test.fault.kind == "" {
				must(t, err)
				w.expect(t, get, inspect)
			} else {
				test.fault.check(t, err)
			}
		})
	}
	w := newWire()
	operation, err := w.provider().Prepare(t.Context(), attempt(), "")
	if err != nil || !operation.Done {
		t.Errorf("%+v, %v", operation, err)
	}
	w.expect(t, keys, list)
	w.replies[list] = storageError(403, "KeyBasedAuthenticationNotPermitted")
	_, err = w.provider().Prepare(t.Context(), attempt(), "")
	fault{kind: backup.Refused, code: "KeyBasedAuthenticationNotPermitted", hint: "allowSharedKeyAccess"}.check(t, err)
	w.replies[keys] = refuses(403, "AuthorizationFailed", "The client has no listKeys")
	_, err = w.provider().Prepare(t.Context(), attempt(), "")
	fault{kind: backup.Refused, code: "AuthorizationFailed", message: "no listKeys", hint: "listkeys/action"}.check(t, err)
}
