package ledger_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
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
	const chunk, snapshot = "ledger/ledger_1-10.committed", "snapshots/snapshot_20_22.committed"
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

// verify verifies to the end, each call as another process, and returns the number of calls.
func verify(t *testing.T, w *wire, a backup.Attempt, part int64) (v backup.Verification, calls int, err error) {
	t.Helper()
	for !v.Done && err == nil && calls < 1000 {
		p := w.provider()
		p.HashPart = part
		v, err = p.Hash(t.Context(), a, v.Hashing)
		if calls++; len(v.Hashing.State) > 16<<10 {
			t.Fatalf("a state of %d bytes", len(v.Hashing.State))
		}
	}
	return v, calls, err
}

// digest computes the SHA-256 of the list of the named files of a share.
func (s stored) digest(names ...string) string {
	var b strings.Builder
	for _, name := range names {
		fmt.Fprintf(&b, "%x  %s\n", sha256.Sum256([]byte(s.files[name].content)), name)
	}
	sum := sha256.Sum256([]byte(b.String()))
	return hex.EncodeToString(sum[:])
}

func TestVerify(t *testing.T) {
	w := newWire()
	w.backUp(share, started)
	names := []string{
		"ledger/ledger_1-10.committed", "ledger/ledger_11-20.committed", "snapshots/old/snapshot_1_3.committed",
		"snapshots/snapshot_20_22.committed",
	}
	want := w.shares[share].digest(names...)
	for _, part := range []int64{1, 4, 10, 11, 1 << 30} { // one to ten: 10 bytes
		v, calls, err := verify(t, w, attempt(), part)
		must(t, err)
		if v.SHA256 != want || v.Size != 32 || v.Hashing.Offset != 32 || !v.Modified.Equal(started.Add(3*time.Second)) || v.Note != "" ||
			len(v.Files) != 4 {
			t.Errorf("in parts of %d: %+v", part, v)
		}
		if most := int(32/part) + 2; calls > most {
			t.Errorf("in parts of %d: %d calls, want %d at the most", part, calls, most)
		}
		for i, f := range v.Files {
			sum := sha256.Sum256([]byte(w.shares[share].files[names[i]].content))
			if f.Name != names[i] || f.SHA256 != hex.EncodeToString(sum[:]) || f.ETag == "" || f.Size != int64(len(w.shares[share].files[names[i]].content)) {
				t.Errorf("%+v", f)
			}
		}
	}
	a := attempt()
	a.Target = plain
	v, _, err := verify(t, w, a, 1<<30)
	if err != nil || !strings.Contains(v.Note, "restores no ledger") || strings.Contains(v.Note, "snapshot") {
		t.Errorf("note %q, %v", v.Note, err)
	}
	w.torn(share, names[3])
	v, _, err = verify(t, w, attempt(), 1<<30)
	if err != nil || !strings.Contains(v.Note, "no snapshot") {
		t.Errorf("note %q, %v", v.Note, err)
	}
}

// TestVerifyOfManyFiles checks that Verify keeps no list of too many files, but hashes them all.
func TestVerifyOfManyFiles(t *testing.T) {
	for _, files := range []int{300, 301, 2000} {
		w := newWire()
		w.shares[share] = stored{started, map[string]storedFile{}}
		var names []string
		for i := range files {
			name := fmt.Sprintf("ledger_%d-%d.committed", 1_000_000*i+1, 1_000_000*(i+1))
			w.shares[share].files[name] = storedFile{fmt.Sprint("file ", i), started, fmt.Sprint(i)}
			names = append(names, name)
		}
		v, _, err := verify(t, w, attempt(), 5000)
		must(t, err)
		if listed := len(v.Files) == files; listed != (files <= 300) || strings.Contains(v.Note, "but not the list") == listed {
			t.Errorf("%d files: %d listed, note %q", files, len(v.Files), v.Note)
		}
		slices.Sort(names)
		if want := w.shares[share].digest(names...); v.SHA256 != want {
			t.Errorf("%d files: %s, want %s", files, v.SHA256, want)
		}
	}
}

func TestVerifyRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		world func(w *wire)
		fault fault
	}{
		"missing":   {func(w *wire) { delete(w.shares, share) }, fault{kind: backup.Refused, code: "ArtifactMissing", message: "does not exist", hint: "again"}},
		"no files":  {func(w *wire) { w.shares[share] = stored{made: started} }, fault{kind: backup.Refused, code: "ArtifactEmpty", message: share, hint: "again"}},
		"a hole":    {func(w *wire) { w.torn(share, "ledger/ledger_1-10.committed") }, fault{kind: backup.Refused, code: "LedgerIncomplete", message: "lacks the transactions 1 to 10", hint: "again"}},
		"too short": {func(w *wire) { w.torn(share, "ledger/ledger_11-20.committed") }, fault{kind: backup.Refused, code: "LedgerIncomplete", message: "11 to 20, up to the snapshot", hint: "again"}},
		"no ledger": {func(w *wire) {
			w.shares[share] = stored{started, map[string]storedFile{"readme": {"hello", started, "1"}}}
		}, fault{kind: backup.Refused, code: "LedgerIncomplete", message: "all ledger files", hint: "again"}},
		"too old": {func(w *wire) {
			w.shares[share].files["more"] = storedFile{"x", started.Add(-6 * time.Second), "9"}
		}, fault{kind: backup.Refused, code: "ArtifactTooOld", message: "2026-11-03T02:29:54Z", hint: "again"}},
		"no key":  {func(w *wire) { w.replies[keys] = refuses(403, "AuthorizationFailed", "no") }, fault{kind: backup.Retryable, code: "AuthorizationFailed", hint: "Reader and Data Access"}},
		"no list": {func(w *wire) { w.replies[open] = storageError(403, "AuthenticationFailed") }, fault{kind: backup.Retryable, code: "AuthenticationFailed", hint: "rotated"}},
		"no read": {func(w *wire) { w.replies[read] = answers(503, "") }, fault{kind: backup.Throttled, code: "ServiceUnavailable", hint: "Lifeboat asks again"}},
		"cut off": {func(w *wire) { w.replies[read] = cut }, fault{kind: backup.Retryable, code: "Unreachable", hint: "contosobackups.file"}},
		"deleted": {func(w *wire) { w.replies[read] = storageError(404, "ShareNotFound") }, fault{kind: backup.Refused, code: "ArtifactMissing", message: "while it was read", hint: "again"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWire()
			w.backUp(share, started)
			test.world(w)
			_, err := w.provider().Hash(t.Context(), attempt(), backup.Hashing{})
			test.fault.check(t, err)
		})
	}
	a := attempt()
	a.Artifact = run + ".1"
	_, err := newWire().provider().Hash(t.Context(), a, backup.Hashing{})
	fault{kind: backup.Refused, code: "NotAnArtifact", hint: "again"}.check(t, err)
}

// TestVerifyOfAShareThatChanges checks that Verify starts again after a change.
func TestVerifyOfAShareThatChanges(t *testing.T) {
	w := newWire()
	w.backUp(share, started)
	p := w.provider()
	p.HashPart = 15
	v, err := p.Hash(t.Context(), attempt(), backup.Hashing{})
	must(t, err)
	w.shares[share].files["ledger/ledger_1-10.committed"] = storedFile{"ONE TO TEN", started.Add(time.Minute), "8"}
	next, err := p.Hash(t.Context(), attempt(), v.Hashing)
	must(t, err)
	if v.Hashing.Offset != 15 || next.Hashing.Offset != 15 || next.Hashing.ETag == v.Hashing.ETag {
		t.Errorf("%+v, then %+v", v, next)
	}
	for name, reply := range map[string]reply{
		"another file": answers(206, "ONE TO TEN", `Etag: "other"`),
		"shorter":      storageError(416, "InvalidRange"),
		"deleted":      storageError(404, "ResourceNotFound"),
	} {
		w.replies[read] = reply
		if v, err := w.provider().Hash(t.Context(), attempt(), next.Hashing); err != nil || v.Done || v.Hashing.ETag != "" {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
	}
	// The bytes before the cut of the stream count.
	w.replies[read] = func(r *http.Request) (*http.Response, error) {
		w.replies[read] = cut
		answer, err := answers(206, "", `Etag: "8"`)(r)
		answer.Body = io.NopCloser(io.MultiReader(strings.NewReader("ONE"), failing{}))
		return answer, err
	}
	v, err = w.provider().Hash(t.Context(), attempt(), backup.Hashing{})
	if err != nil || v.Done || v.Hashing.Offset != 3 {
		t.Errorf("%+v, %v", v, err)
	}
	delete(w.replies, read)
	if v, err = w.provider().Hash(t.Context(), attempt(), v.Hashing); err != nil || !v.Done {
		t.Errorf("%+v, %v", v, err)
	}
	if want := "bytes=3-9"; !slices.Contains(w.ranges, want) {
		t.Errorf("read %q, want %s among them", w.ranges, want)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("reset by peer") }

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
	w.shares[share].files["ledger/ledger_1-10.committed"] = storedFile{before.content, before.written, "9"}
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
