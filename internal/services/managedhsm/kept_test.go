package managedhsm_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/lease"

	"lifeboat/internal/backup"
	"lifeboat/internal/testing/fakeazure"
)

// TestWhatStorageKeepsOfAFolder checks that a folder goes as a whole, or is kept as a whole. The fault names the file
// that storage keeps for the longest, or for an unknown time.
func TestWhatStorageKeepsOfAFolder(t *testing.T) {
	const (
		host   = "https://contosobackups.blob.core.windows.net/lifeboat"
		soon   = "<ImmutabilityPolicyUntilDate>Thu, 03 Dec 2026 02:30:00 GMT</ImmutabilityPolicyUntilDate><ImmutabilityPolicyMode>unlocked</ImmutabilityPolicyMode>"
		late   = "<ImmutabilityPolicyUntilDate>Fri, 04 Dec 2026 02:30:00 GMT</ImmutabilityPolicyUntilDate><ImmutabilityPolicyMode>locked</ImmutabilityPolicyMode>"
		past   = "<ImmutabilityPolicyUntilDate>Mon, 02 Nov 2026 02:30:00 GMT</ImmutabilityPolicyUntilDate><ImmutabilityPolicyMode>locked</ImmutabilityPolicyMode>"
		held   = "<LegalHold>true</LegalHold>"
		leased = "<LeaseStatus>locked</LeaseStatus><LeaseState>leased</LeaseState>"
		until  = "2026-12-04T02:30:00Z"
	)
	submit := step("POST " + host + "?comp=batch&restype=container")
	immutable := answers(409, "", "X-Ms-Error-Code: BlobImmutableDueToPolicy")
	batch := func(results ...string) reply {
		var body strings.Builder
		for i, result := range results {
			body.WriteString("--b\r\nContent-Type: application/http\r\nContent-ID: " + string(rune('0'+i)) + "\r\n\r\nHTTP/1.1 " + result + "\r\n\r\n")
		}
		return answers(202, body.String()+"--b--\r\n", "Content-Type: multipart/mixed; boundary=b")
	}
	kept := batch("409 no\r\nx-ms-error-code: BlobImmutableDueToPolicy", "202 Accepted")
	for _, test := range []struct {
		name string
		a, b string // properties of the files a, which was written last, and b
		// gone says that an interrupted deletion has left a and b of three files.
		gone   bool
		first  reply // to the deletion of a by itself
		others reply // to the batch of the rest
		fault  fault
		until  string
		sent   int
	}{
		{name: "nothing keeps it", sent: 4},
		{name: "a policy that has let go", a: past, b: past, sent: 4},
		{
			name: "policies of two lengths", a: soon, b: late, until: until, sent: 1,
			fault: fault{kind: backup.Kept, code: "BlobImmutableDueToPolicy", message: folder + "/b is kept by an immutability policy until " + until, hint: "restored as before"},
		},
		{
			name: "a policy and a legal hold", a: late, b: held, sent: 1,
			fault: fault{kind: backup.Kept, code: "BlobImmutableDueToPolicy", message: "/b is under a legal hold", hint: "legal hold"},
		},
		{
			name: "a lease and a policy", a: leased, b: late, sent: 1,
			fault: fault{kind: backup.Kept, code: "LeaseIdMissing", message: "/a is leased", hint: "lease"},
		},
		{
			name: "a policy of the container", first: immutable, sent: 2,
			fault: fault{kind: backup.Kept, code: "BlobImmutableDueToPolicy", message: "409 Conflict", hint: "restored as before"},
		},
		{
			name: "a lease since the look", first: answers(412, "", "X-Ms-Error-Code: LeaseIdMissing"), sent: 2,
			fault: fault{kind: backup.Kept, code: "LeaseIdMissing", hint: "restored as before"},
		},
		{
			name: "one of the rest, since the look", others: kept, sent: 3,
			fault: fault{kind: backup.Refused, code: "BlobImmutableDueToPolicy", hint: "A part of it was deleted"},
		},
		{
			name: "what a deletion that was cut off has left", b: held, gone: true, sent: 1,
			fault: fault{kind: backup.Refused, code: "BlobImmutableDueToPolicy", hint: "A part of it was deleted"},
		},
		{
			name: "what it has left, and a policy of the container", gone: true, first: immutable, sent: 2,
			fault: fault{kind: backup.Refused, code: "BlobImmutableDueToPolicy", hint: "A part of it was deleted"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			file := func(name, second, properties string) string {
				return "<Blob><Name>" + folder + "/" + name + "</Name><Properties><Last-Modified>Tue, 03 Nov 2026 02:30:" + second +
					" GMT</Last-Modified><Etag>0x1</Etag><Content-Length>7</Content-Length>" + properties + "</Properties></Blob>"
			}
			of := func(files ...string) reply {
				return answers(200, `<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName="lifeboat"><Blobs>`+
					strings.Join(files, "")+`</Blobs><NextMarker/></EnumerationResults>`,
					"Content-Type: application/xml", "Date: Tue, 03 Dec 2026 01:00:00 GMT")
			}
			var included string
			listed := func(files ...string) reply {
				return func(r *http.Request) (*http.Response, error) {
					included = r.URL.Query().Get("include")
					return of(files...)(r)
				}
			}
			last := step("DELETE " + host + "/" + folder + "%2Fa")
			w := &wire{replies: map[step]reply{
				list: listed(file("a", "09", test.a), file("b", "01", test.b), file("c", "01", "")),
				last: answers(202, ""), submit: batch("202 Accepted", "202 Accepted"), step("DELETE " + host + "/" + folder): answers(404, "", "X-Ms-Error-Code: BlobNotFound"),
			}}
			if test.first != nil {
				w.replies[last] = test.first
			}
			if test.others != nil {
				w.replies[submit] = test.others
			}
			for _, name := range []string{"a", "b", "c"} {
				w.replies[step("GET "+host+"/"+folder+"%2F"+name)] = answers(206, "content", "ETag: 0x1",
					"Last-Modified: Tue, 03 Nov 2026 02:30:01 GMT", "Content-Range: bytes 0-6/7", "Content-Length: 7")
			}
			a := attempt()
			a.Artifact, a.NotBefore = folder, time.Time{}
			v, err := w.provider().Hash(t.Context(), a, backup.Hashing{})
			must(t, err)
			if test.gone {
				w.replies[list] = listed(file("a", "09", test.a), file("b", "01", test.b))
			}
			w.sent = nil
			err = w.provider().Delete(t.Context(), a, v.Hashing.ETag, false)
			if !strings.Contains(included, "immutabilitypolicy") || !strings.Contains(included, "legalhold") {
				t.Errorf("the list includes %q", included)
			}
			if len(w.sent) != test.sent {
				t.Errorf("sent %q", w.sent)
			}
			if test.fault.kind == "" {
				must(t, err)
				return
			}
			test.fault.check(t, err)
			told := ""
			if f := backup.AsFault(err); !f.Until.IsZero() {
				told = f.Until.UTC().Format(time.RFC3339)
			}
			if told != test.until {
				t.Errorf("until %q, want %q", told, test.until)
			}
		})
	}
}

// testKept checks that a lease in real storage, and a policy or a hold, keep a folder whole, and let it go when they end.
func (w world) testKept(t *testing.T) {
	hsm := w.hsm(t, "kept", nil)
	a := w.finish(t, w.attempt(hsm, "kept"))
	v, _, err := w.verify(t, a, 1<<30)
	must(t, err)
	in := w.container(t, "kept")
	held, err := lease.NewBlobClient(in.NewBlobClient(a.Artifact+"/part-01"), nil)
	must(t, err)
	for _, test := range []struct {
		what        string
		begin, over func()
		code, words string
	}{
		{
			"a lease", func() { _, err = held.AcquireLease(t.Context(), -1, nil) },
			func() { _, err = held.BreakLease(t.Context(), &lease.BlobBreakOptions{BreakPeriod: to.Ptr(int32(0))}) },
			"LeaseIdMissing", "part-01 is leased",
		},
		{
			"a policy of the container", func() { w.immutable(t, fakeazure.Immutability{Container: "kept", Until: time.Now().Add(time.Hour)}) },
			func() { w.immutable(t, fakeazure.Immutability{}) }, "BlobImmutableDueToPolicy", "immutable due to a policy",
		},
		{
			"a legal hold of the container", func() { w.immutable(t, fakeazure.Immutability{Container: "kept", Hold: true}) },
			func() { w.immutable(t, fakeazure.Immutability{}) }, "BlobImmutableDueToPolicy", "legal holds",
		},
	} {
		test.begin()
		must(t, err)
		for range 2 {
			fault{kind: backup.Kept, code: test.code, message: test.words, hint: "restored as before"}.check(t,
				w.provider().Delete(t.Context(), a, v.Hashing.ETag, false))
		}
		if again, err := w.provider().Hash(t.Context(), a, backup.Hashing{}); err != nil || again.SHA256 != v.SHA256 || len(again.Files) != len(v.Files) {
			t.Errorf("%s: %v, %+v", test.what, err, again)
		}
		test.over()
		must(t, err)
	}
	must(t, w.provider().Delete(t.Context(), a, v.Hashing.ETag, false))
	if _, err := w.provider().Hash(t.Context(), a, backup.Hashing{}); backup.AsFault(err).Code != "ArtifactMissing" {
		t.Errorf("after its deletion: %v", err)
	}
}
