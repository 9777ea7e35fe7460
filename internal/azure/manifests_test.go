package azure_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// answers is a transport that gives its answers in their order.
type answers struct {
	t    *testing.T
	left []*http.Response
	sent []string
}

func (a *answers) Do(r *http.Request) (*http.Response, error) {
	a.sent = append(a.sent, r.Method+" "+r.URL.Query().Get("marker"))
	if len(a.left) == 0 {
		a.t.Fatalf("sent %q", a.sent)
	}
	next := a.left[0]
	a.left, next.Request = a.left[1:], r
	return next, nil
}

var manifestsIn = backup.Storage{Account: storageIn + "g" + accountOf, Container: "lifeboat"}

// page is a page of a list of blobs.
func page(blobs, marker string) *http.Response {
	return answer(200, `<?xml version="1.0"?><EnumerationResults><Blobs>`+blobs+`</Blobs><NextMarker>`+marker+`</NextMarker></EnumerationResults>`,
		"Content-Type: application/xml")
}

func blob(name string) string {
	return "<Blob><Name>" + name + "</Name><Properties></Properties></Blob>"
}

// TestAListOfManifestsEndsAtFiveThousand: a folder of very many costs one request, as long as storage answers whole pages.
func TestAListOfManifestsEndsAtFiveThousand(t *testing.T) {
	for first, requests := range map[int]int{4999: 2, 5000: 1} {
		a := &answers{t: t, left: []*http.Response{page(strings.Repeat(blob("m/a"), first), "two"), page(blob("m/b"), "three")}}
		names, err := azure.Manifests{Client: azure.New(&identity{}, azcore.ClientOptions{Transport: a})}.List(t.Context(), manifestsIn, "m/")
		if err != nil || len(names) != 5000 || len(a.sent) != requests {
			t.Errorf("%d names, %v, with %d requests", len(names), err, len(a.sent))
		}
	}
}

// TestAListOfManifestsGoesOnBehindAnEmptyPage: storage may answer a page without a blob, and a marker for the next one.
func TestAListOfManifestsGoesOnBehindAnEmptyPage(t *testing.T) {
	a := &answers{t: t, left: []*http.Response{page("", "two"), page(blob("m/a"), "three"), page(blob("m/b"), "")}}
	names, err := azure.Manifests{Client: azure.New(&identity{}, azcore.ClientOptions{Transport: a})}.List(t.Context(), manifestsIn, "m/")
	if err != nil || !slices.Equal(names, []string{"m/a", "m/b"}) || !slices.Equal(a.sent, []string{"GET ", "GET two", "GET three"}) {
		t.Errorf("%q, %v; sent %q", names, err, a.sent)
	}
}

// TestAManifestIsWrittenOnce: a manifest that is there already is as good as written, by whatever answer storage says so.
func TestAManifestIsWrittenOnce(t *testing.T) {
	no := func(status int, code string) *http.Response { return answer(status, "", "X-Ms-Error-Code: "+code) }
	for _, c := range []struct {
		name    string
		answers []*http.Response
		written bool
	}{
		{"new", []*http.Response{answer(201, "")}, true},
		{"there already", []*http.Response{no(409, "BlobAlreadyExists")}, true},
		{"there already, as a condition", []*http.Response{no(412, "ConditionNotMet")}, true},
		{"there already, and protected", []*http.Response{no(409, "BlobImmutableDueToPolicy"), answer(200, "")}, true},
		{"protected, and not there", []*http.Response{no(409, "BlobImmutableDueToPolicy"), no(404, "BlobNotFound")}, false},
		{"no role", []*http.Response{no(403, "AuthorizationPermissionMismatch"), no(403, "AuthorizationPermissionMismatch")}, false},
		{"there already, and the role overwrites nothing", []*http.Response{no(403, "AuthorizationPermissionMismatch"), answer(200, "")}, true},
		{"a firewall", []*http.Response{no(403, "AuthorizationFailure")}, false},
	} {
		a := &answers{t: t, left: c.answers}
		err := azure.Manifests{Client: azure.New(&identity{}, azcore.ClientOptions{Transport: a})}.Write(t.Context(), manifestsIn, "m/a.json", []byte("{}"))
		if f := backup.AsFault(err); (f == nil) != c.written || len(a.left) > 0 {
			t.Errorf("%s: %v; sent %q", c.name, err, a.sent)
		}
	}
}

// TestAManifestOfAVaultIsDeletedByItsRule: a cleanup that may not delete one fails if the role is only missing, and not if a policy keeps it.
func TestAManifestOfAVaultIsDeletedByItsRule(t *testing.T) {
	no := func(status int, code string) *http.Response { return answer(status, "", "X-Ms-Error-Code: "+code) }
	there := func(now string) *http.Response {
		return answer(200, "", "X-Ms-Creation-Time: Mon, 02 Nov 2026 00:00:00 GMT", "Date: "+now)
	}
	const soon, late = "Tue, 10 Nov 2026 00:00:00 GMT", "Fri, 01 Jan 2027 00:00:00 GMT"
	policy := func(days string) *http.Response {
		return answer(200, `{"properties":{"hasImmutabilityPolicy":true,"immutabilityPolicy":{"properties":{"immutabilityPeriodSinceCreationInDays":`+days+`}}}}`)
	}
	denied := "AuthorizationPermissionMismatch"
	for _, c := range []struct {
		name    string
		answers []*http.Response
		kind    backup.FaultKind
	}{
		{"deleted", []*http.Response{answer(202, "")}, ""},
		{"the policy keeps it", []*http.Response{no(403, denied), there(soon), policy("30")}, backup.Kept},
		{"there is no rule", []*http.Response{no(403, denied), there(late), policy("30")}, backup.Kept},
		{"the rule has deleted it", []*http.Response{no(403, denied), no(404, "BlobNotFound")}, ""},
		{"no vault", []*http.Response{no(403, denied), there(soon), answer(200, `{"properties":{}}`)}, backup.Unobservable},
	} {
		a := &answers{t: t, left: c.answers}
		err := azure.Manifests{Client: azure.New(&identity{}, azcore.ClientOptions{Transport: a})}.Delete(t.Context(), manifestsIn, "m/a.json")
		if f := backup.AsFault(err); (f == nil) != (c.kind == "") || f != nil && f.Kind != c.kind || len(a.left) > 0 {
			t.Errorf("%s: %v; sent %q", c.name, err, a.sent)
		}
	}
}
