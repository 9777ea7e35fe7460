package apim_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
)

// gone is the answer to a deletion.
var gone = answers(202, "")

// deletions returns the names deleted, with their conditions, and fails the test if a deletion left the snapshots out.
func (w *wire) deletions(t *testing.T) (names []string) {
	t.Helper()
	for _, r := range w.sent {
		if stepOf(r) != remove {
			continue
		}
		if r.Header.Get("X-Ms-Delete-Snapshots") != "include" {
			t.Errorf("%s is deleted without its snapshots", r.URL.Path)
		}
		names = append(names, strings.TrimSpace(strings.TrimPrefix(r.URL.Path, "/lifeboat/")+" "+r.Header.Get("If-Match")))
	}
	slices.Sort(names)
	return names
}

func TestDeleteTouchesOnlyArtifactsOfTheRun(t *testing.T) {
	all := listing(run+".1 9 60", run+".2 9 90", run+".3 0 99", run+".2.json 9 60", run+".x 9 60")
	for name, test := range map[string]struct {
		etag   string
		extras bool
		want   []string
	}{
		"all":              {etag: etag, want: []string{run + ".1", run + ".2 " + etag, run + ".3"}},
		"all, without tag": {want: []string{run + ".1", run + ".2", run + ".3"}},
		"extras":           {extras: true, want: []string{run + ".1", run + ".3"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := &wire{replies: map[step]reply{list: all, remove: gone}}
			if err := w.provider().Delete(t.Context(), attempt(), test.etag, test.extras); err != nil {
				t.Fatal(err)
			}
			if got := w.deletions(t); fmt.Sprint(got) != fmt.Sprint(test.want) {
				t.Errorf("deleted %q, want %q", got, test.want)
			}
		})
	}
}

func TestDeleteRefusesOtherNames(t *testing.T) {
	for _, name := range []string{"", run, run + ".", run + ".2.json", "other.1", "../" + run + ".1"} {
		a, w := attempt(), &wire{}
		a.Artifact = name
		err := w.provider().Delete(t.Context(), a, "", false)
		if f := backup.AsFault(err); f == nil || f.Kind != backup.Kept || f.Code != "NotAnArtifact" {
			t.Errorf("%q: error %v, want a refusal", name, err)
		}
		w.expect(t)
	}
	a, w := attempt(), &wire{}
	a.Run, a.Artifact = "", ".1"
	if err := w.provider().Delete(t.Context(), a, "", false); err == nil {
		t.Error("deleted the artifact of no run")
	}
}

func TestDeleteAnswers(t *testing.T) {
	missing := blobSays(404, "BlobNotFound", "The specified blob does not exist.")
	protected := blobSays(409, "BlobImmutableDueToPolicy", "This operation is not permitted as the blob is immutable.")
	for name, test := range map[string]struct {
		remove, list, properties reply
		fault                    fault
		until                    string // the time until which storage keeps the blob, if storage says it
	}{
		"gone already": {remove: missing, list: listing(run + ".1 9 9")},
		"no container": {
			remove: blobSays(404, "ContainerNotFound", "The specified container does not exist."),
			fault:  fault{kind: backup.Retryable, code: "ContainerNotFound", hint: "restore it"},
		},
		"container gone in between, and the verified blob before": {
			remove: gone, list: blobSays(404, "ContainerNotFound", "The specified container does not exist."),
			fault: fault{kind: backup.Refused, code: "ContainerNotFound", hint: "restore it"},
		},
		"no such account": {remove: unknown, fault: fault{kind: backup.Retryable, code: "Unreachable"}},
		"away":            {remove: answers(503, ""), fault: fault{kind: backup.Ambiguous, code: "ServiceUnavailable", hint: "tries the deletion again"}},
		"no role": {
			remove: blobSays(403, "AuthorizationPermissionMismatch", "No."), properties: answers(403, ""),
			fault: fault{
				kind: backup.Unobservable, code: "AuthorizationPermissionMismatch", message: run + ".2", hint: "Storage Blob Data",
			},
		},
		"changed": {
			remove: blobSays(412, "ConditionNotMet", "The condition is not met."), properties: answers(200, ""),
			fault: fault{kind: backup.Touched, code: "ConditionNotMet", message: "since it was verified", hint: "reads it again"},
		},
		"gone already, and so without the ETag": {
			remove: blobSays(412, "ConditionNotMet", "The condition is not met."), list: listing(),
			properties: answers(404, "", "X-Ms-Error-Code: BlobNotFound"),
		},
		"leased": {
			remove:     blobSays(412, "LeaseIdMissing", "There is currently a lease on the blob."),
			properties: answers(200, ""),
			fault:      fault{kind: backup.Kept, code: "LeaseIdMissing", message: "There is currently a lease on the blob.", hint: "restored as before"},
		},
		"leased, and touched": {
			remove:     blobSays(412, "LeaseIdMissing", "There is currently a lease on the blob."),
			properties: answers(200, "", `ETag: "0x8DEADBEEF"`),
			fault:      fault{kind: backup.Kept, code: "LeaseIdMissing", hint: "restored as before"},
		},
		"immutable until": {
			remove:     protected,
			properties: answers(200, "", "X-Ms-Immutability-Policy-Until-Date: Wed, 02 Dec 2026 02:30:00 GMT"),
			fault: fault{
				kind: backup.Kept, code: "BlobImmutableDueToPolicy", message: "until 2026-12-02T02:30:00Z", hint: "kept",
			},
			until: "2026-12-02T02:30:00Z",
		},
		"legal hold": {
			remove: protected, properties: answers(200, "", "X-Ms-Legal-Hold: true",
				"X-Ms-Immutability-Policy-Until-Date: Wed, 02 Dec 2026 02:30:00 GMT"),
			fault: fault{kind: backup.Kept, code: "BlobImmutableDueToPolicy", message: "legal hold"},
		},
		"immutable, nobody says until when": {
			remove: protected, properties: answers(403, ""),
			fault: fault{kind: backup.Kept, code: "BlobImmutableDueToPolicy", message: "the blob is immutable"},
		},
		"being copied": {
			remove: blobSays(409, "PendingCopyOperation", "There is currently a pending copy operation."),
			fault:  fault{kind: backup.Retryable, code: "PendingCopyOperation"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := &wire{replies: map[step]reply{remove: test.remove, list: test.list, properties: test.properties}}
			err := w.provider().Delete(t.Context(), attempt(), etag, false)
			if test.fault.kind == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			test.fault.check(t, err)
			until := ""
			if f := backup.AsFault(err); !f.Until.IsZero() {
				until = f.Until.UTC().Format(time.RFC3339)
			}
			if until != test.until {
				t.Errorf("kept until %q, want %q", until, test.until)
			}
		})
	}
}

// denied is the answer to a deletion by an identity without the role.
var denied = blobSays(403, "AuthorizationPermissionMismatch", "No.")

// aged is the answer about a blob that was made on a day, by a storage service at the start of another day.
func aged(made, now string, more ...string) reply {
	at := func(date string) string {
		d, err := time.Parse(time.DateOnly, date)
		if err != nil {
			panic(err)
		}
		return d.Format(http.TimeFormat)
	}
	return answers(200, "", append(more, "X-Ms-Creation-Time: "+at(made), "Date: "+at(now))...)
}

// keeping is the answer about a container whose policy keeps each blob for some days; 0: it has none.
func keeping(days int, hold bool) reply {
	return answers(200, fmt.Sprintf(`{"properties":{"hasImmutabilityPolicy":%v,"hasLegalHold":%v,"immutabilityPolicy":{"properties":`+
		`{"immutabilityPeriodSinceCreationInDays":%d,"state":"Unlocked"}}}}`, days > 0, hold, days))
}

// TestDeleteInAVault: a policy of the container keeps the blob, be it that the app may delete there or not, and storage says until when. Where
// the app may not, a rule of the vault deletes the blob; only where none has done that, a person must know.
func TestDeleteInAVault(t *testing.T) {
	immutable := blobSays(409, "BlobImmutableDueToPolicy", "The blob is immutable.")
	for name, test := range map[string]struct {
		remove, properties, container reply
		fault                         fault
		until                         string
	}{
		"the policy keeps it": {
			denied, aged("2026-11-10", "2026-12-01"), keeping(30, false),
			fault{kind: backup.Kept, code: "KeptByVault", message: "the account contosobackups keeps it until 2026-12-10T00:00:00Z", hint: "need not act"},
			"2026-12-10",
		},
		"the policy is over, and Azure can restore it": {
			denied, aged("2026-11-03", "2026-11-30"), keeping(7, false),
			fault{kind: backup.Kept, code: "KeptByVault", message: "kept it until 2026-11-10T00:00:00Z", hint: "a rule of lifecycle management should delete it"},
			"2026-11-10",
		},
		"the rule has some days": {
			denied, aged("2026-11-03", "2026-12-10"), keeping(30, false), fault{kind: backup.Kept, code: "KeptByVault", hint: "need not act"}, "2026-12-03",
		},
		"a longer policy": {
			denied, aged("2026-01-01", "2026-12-10"), keeping(365, false), fault{kind: backup.Kept, code: "KeptByVault"}, "2027-01-01",
		},
		"no rule": {
			denied, aged("2026-11-03", "2026-12-12"), keeping(30, false),
			fault{kind: backup.Unobservable, code: "VaultWithoutRule", message: "contosobackups: No.", hint: "a rule of lifecycle management"},
			"",
		},
		"no vault": {
			denied, aged("2026-11-03", "2026-12-01"), keeping(0, false),
			fault{kind: backup.Unobservable, code: "AuthorizationPermissionMismatch", hint: "Storage Blob Data"},
			"",
		},
		"the app may not see whether it is one": {
			denied, aged("2026-11-03", "2026-12-01"), armSays(403, "AuthorizationFailed", "No."),
			fault{kind: backup.Unobservable, code: "AuthorizationPermissionMismatch", hint: "Storage Blob Data"},
			"",
		},
		"nobody says whether it is one": {
			denied, aged("2026-11-10", "2026-12-01"), answers(503, ""),
			fault{kind: backup.Retryable, code: "AuthorizationPermissionMismatch", message: "could not look whether a policy keeps it", hint: "looks again"},
			"",
		},
		"nobody shows the blob": {
			denied, answers(429, ""), keeping(30, false),
			fault{kind: backup.Retryable, code: "AuthorizationPermissionMismatch", message: "could not look whether a policy keeps it", hint: "looks again"},
			"",
		},
		"storage protects it, and nobody says until when": {
			immutable, aged("2026-11-10", "2026-12-01"), answers(503, ""),
			fault{kind: backup.Retryable, code: "BlobImmutableDueToPolicy", message: "could not look whether a policy keeps it", hint: "looks again"},
			"",
		},
		"a policy without days": {
			denied, aged("2026-11-10", "2026-12-01"), answers(200, `{"properties":{"hasImmutabilityPolicy":true}}`),
			fault{kind: backup.Unobservable, code: "AuthorizationPermissionMismatch", hint: "a rule of lifecycle management"},
			"",
		},
		"deleted by the rule": {denied, answers(404, "", "X-Ms-Error-Code: BlobNotFound"), nil, fault{}, ""},
		"a firewall": {
			blobSays(403, "AuthorizationFailure", "No."), nil, nil, fault{kind: backup.Unobservable, code: "AuthorizationFailure", hint: "firewall"}, "",
		},
		"a policy of the account": {
			denied, aged("2026-11-03", "2026-12-01", "X-Ms-Immutability-Policy-Until-Date: Thu, 03 Dec 2026 00:00:00 GMT"), nil,
			fault{kind: backup.Kept, code: "KeptByVault"},
			"2026-12-03",
		},
		"the app may delete, after the policy": {
			immutable, aged("2026-11-10", "2026-12-01"), keeping(30, false),
			fault{kind: backup.Kept, code: "BlobImmutableDueToPolicy", message: "lasts until 2026-12-10T00:00:00Z", hint: "restored as before"},
			"2026-12-10",
		},
		"a legal hold of the container": {
			immutable, aged("2026-11-10", "2026-12-01"), keeping(30, true), fault{kind: backup.Kept, code: "BlobImmutableDueToPolicy", message: "legal hold"}, "",
		},
		"a legal hold, and the app may not delete": {
			denied, aged("2026-11-10", "2026-12-01"), keeping(30, true),
			fault{kind: backup.Kept, code: "LegalHold", message: "under a legal hold in the account contosobackups", hint: "end the legal hold in the Azure portal"},
			"",
		},
		"a legal hold of the blob, and the app may not delete": {
			denied, aged("2026-11-10", "2026-12-01", "X-Ms-Legal-Hold: true"), nil, fault{kind: backup.Kept, code: "LegalHold"}, "",
		},
		"a lease in a vault": {
			blobSays(412, "LeaseIdMissing", "There is a lease."), aged("2026-11-10", "2026-12-01"), nil, fault{kind: backup.Kept, code: "LeaseIdMissing"}, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := &wire{replies: map[step]reply{remove: test.remove, properties: test.properties, policies: test.container, list: listing()}}
			err := w.provider().Delete(t.Context(), attempt(), etag, false)
			if test.fault.kind == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			test.fault.check(t, err)
			if until := backup.AsFault(err).Until; until.IsZero() != (test.until == "") || !until.IsZero() && until.UTC().Format(time.DateOnly) != test.until {
				t.Errorf("kept until %s, want %s", until, test.until)
			}
		})
	}
}

// TestWhoMayDeleteIsNotGuessed: Lifeboat speaks of a lost role only where the plan of the backup names no vault.
func TestWhoMayDeleteIsNotGuessed(t *testing.T) {
	for name, test := range map[string]struct {
		properties, container reply
		kind                  backup.FaultKind
		vault, other          string
	}{
		"under a policy":     {aged("2026-11-10", "2026-12-01"), keeping(30, false), backup.Kept, "tells you if none does", "has lost the role"},
		"without a rule":     {aged("2026-11-03", "2026-12-12"), keeping(30, false), backup.Unobservable, "Give the account a rule", "has lost the role"},
		"without a policy":   {aged("2026-11-03", "2026-12-01"), keeping(0, false), backup.Unobservable, "Give the account a rule", "Storage Blob Data"},
		"nobody may see one": {aged("2026-11-03", "2026-12-01"), answers(403, ""), backup.Unobservable, "Lifeboat Vault Writer", "Storage Blob Data"},
	} {
		for vault, want := range map[bool]string{true: test.vault, false: test.other} {
			a, w := attempt(), &wire{replies: map[step]reply{remove: denied, properties: test.properties, policies: test.container}}
			a.Storage.Vault = vault
			f := backup.AsFault(w.provider().Delete(t.Context(), a, etag, false))
			if f == nil || f.Kind != test.kind || !strings.Contains(f.Hint, want) || vault == strings.Contains(f.Hint, "Storage Blob Data") {
				t.Errorf("%s, vault: %t: %v", name, vault, f)
			}
		}
	}
}

// TestACopyThatStays checks deletions after which only the copy of a lost attempt is left: the verified blob is gone all the same, and its recovery
// point cannot come back. A person must know of the copy unless a policy keeps it.
func TestACopyThatStays(t *testing.T) {
	for name, test := range map[string]struct {
		remove, properties reply
		fault              fault
		until              bool
	}{
		"it has a lease": {
			blobSays(412, "LeaseIdMissing", "There is currently a lease on the blob."), answers(200, ""),
			fault{kind: backup.Refused, code: "LeaseIdMissing", message: run + ".1", hint: "copy of a lost attempt"},
			false,
		},
		"a vault keeps it": {
			denied, aged("2026-11-10", "2026-12-01"), fault{kind: backup.Refused, code: "KeptByVault", message: "2026-12-10", hint: "copy of a lost attempt"}, true,
		},
		"no rule of the vault deletes it": {
			denied, aged("2026-11-03", "2026-12-12"), fault{kind: backup.Refused, code: "VaultWithoutRule", hint: "a rule of lifecycle management"}, false,
		},
		"storage is away": {answers(500, ""), nil, fault{kind: backup.Ambiguous, code: "InternalServerError", message: run + ".1"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := &wire{replies: map[step]reply{list: listing(run + ".1 9 9"), properties: test.properties, policies: keeping(30, false)}}
			w.replies[remove] = func(r *http.Request) (*http.Response, error) {
				if strings.HasSuffix(r.URL.Path, ".1") {
					return test.remove(r)
				}
				return gone(r)
			}
			err := w.provider().Delete(t.Context(), attempt(), etag, false)
			test.fault.check(t, err)
			if until := backup.AsFault(err).Until; until.IsZero() == test.until {
				t.Errorf("kept until %s", until)
			}
		})
	}
}
