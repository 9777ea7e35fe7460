package config_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"lifeboat/internal/config"
)

// TestWhatBecameOfAPush checks every end of an upload, with what the blob then has: an upload without a clear answer is told by the text
// there, also to a person who stops it.
func TestWhatBecameOfAPush(t *testing.T) {
	const old, edited, other = "old", "new", "another one"
	lost := errors.New("read tcp 127.0.0.1:443: connection reset by peer")
	for name, c := range map[string]struct {
		was     string // the text that was shown; "": there was no blob
		status  int
		code    string
		lost    error
		has     string // the text that is there afterwards; "": none
		unread  bool   // the blob cannot be read afterwards
		stopped bool   // the person stops it
		unheard string
		want    string // in the error; "": it is written
	}{
		"written":                          {was: old, status: 201, has: edited},
		"the first":                        {status: 201, has: edited},
		"another sign-in was faster":       {was: old, status: 412, code: "ConditionNotMet", has: other, want: "has changed it since; nothing was written"},
		"another one made the first":       {status: 409, code: "BlobAlreadyExists", has: other, want: "has changed it since; nothing was written"},
		"a proxy has sent it twice":        {was: old, status: 412, code: "ConditionNotMet", has: edited, unheard: "412"},
		"faster, and gone":                 {was: old, status: 412, code: "ConditionNotMet", unread: true, want: "has changed it since; nothing was written"},
		"no answer, and written":           {was: old, lost: lost, has: edited, unheard: "connection reset"},
		"no answer, and the first":         {lost: lost, has: edited, unheard: "connection reset"},
		"no answer, and not written":       {was: old, lost: lost, has: old, want: "the text there is still the one before: push it again"},
		"no answer, and no first":          {lost: lost, want: "the text there is still the one before: push it again"},
		"no answer, and another":           {was: old, lost: lost, has: other, want: "has changed it since; nothing was written"},
		"no answer, and deleted":           {was: old, lost: lost, want: "has changed it since; nothing was written"},
		"no answer to either":              {was: old, lost: lost, unread: true, want: "it cannot be seen whether the new text is there"},
		"stopped, and written":             {was: old, lost: context.Canceled, stopped: true, has: edited, unheard: "canceled"},
		"a server gave up, and wrote":      {was: old, status: 500, code: "InternalError", has: edited, unheard: "500"},
		"a server gave up, and wrote none": {was: old, status: 503, code: "ServerBusy", has: old, want: "the text there is still the one before"},
		"refused":                          {was: old, status: 403, code: "AuthorizationPermissionMismatch", has: old, want: "Nothing was written"},
		"a lease":                          {was: old, status: 412, code: "LeaseIdMissing", has: old, want: "LeaseIdMissing"},
	} {
		ctx, stop := context.WithCancel(t.Context())
		uploaded, first := false, true
		etags := map[string]string{old: `"1"`, edited: `"2"`, other: `"3"`}
		b, err := config.NewPlanBlob(planBlob, anybody{}, azcore.ClientOptions{Transport: wire(func(r *http.Request) (int, map[string]string, string, error) {
			if err := r.Context().Err(); err != nil {
				return 0, nil, "", err
			}
			if r.Method == http.MethodPut {
				sent, err := io.ReadAll(r.Body)
				match, none := header(r, "If-Match"), header(r, "If-None-Match")
				if err != nil || string(sent) != edited || uploaded || match != etags[c.was] || (c.was == "") != (none == "*") {
					t.Errorf("%s: %q, %v, If-Match %s, If-None-Match %s, sent before: %t", name, sent, err, match, none, uploaded)
				}
				uploaded = true
				if c.stopped {
					stop()
				}
				return c.status, map[string]string{"X-Ms-Error-Code": c.code}, "", c.lost
			}
			has := c.has
			if first {
				has, first = c.was, false
			} else if c.unread {
				return 0, nil, "", lost
			}
			if has == "" {
				return http.StatusNotFound, map[string]string{"X-Ms-Error-Code": "BlobNotFound"}, "", nil
			}
			return http.StatusOK, map[string]string{"ETag": etags[has]}, has, nil
		})})
		if err != nil {
			t.Fatal(err)
		}
		shown, err := b.Read(ctx)
		if err != nil || shown.Exists() != (c.was != "") {
			t.Fatalf("%s: %v, %v", name, shown, err)
		}
		unheard, err := b.Write(ctx, []byte(edited), shown)
		stop()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if (unheard == nil) != (c.unheard == "") || unheard != nil && !strings.Contains(unheard.Error(), c.unheard) {
			t.Errorf("%s: unheard %v, want %q", name, unheard, c.unheard)
		}
	}
}

// header returns a header of the request; the SDK writes some names in lower case.
func header(r *http.Request, name string) string {
	for n, values := range r.Header {
		if strings.EqualFold(n, name) {
			return strings.Join(values, "")
		}
	}
	return ""
}

// TestPlanBlobSaysWhatToDo checks that a refusal comes with what a person at a shell can do.
func TestPlanBlobSaysWhatToDo(t *testing.T) {
	for _, c := range []struct {
		status int
		code   string
		lost   error
		want   string
	}{
		{403, "AuthorizationPermissionMismatch", nil, `az role assignment create --assignee OBJECT-ID --role "Storage Blob Data Contributor"`},
		{403, "AuthorizationFailure", nil, "The account contoso is private, or its firewall does not admit this machine"},
		{401, "InvalidAuthenticationInfo", nil, "az login --tenant"},
		{404, "ContainerNotFound", nil, "az storage container create --auth-mode login --account-name contoso -n plans"},
		{0, "", errors.New("dial tcp: lookup contoso: no such host"), "a private account answers in its own network only"},
		{409, "BlobArchived", nil, "Azure portal"},
	} {
		b, err := config.NewPlanBlob(planBlob, anybody{}, azcore.ClientOptions{Transport: wire(func(*http.Request) (int, map[string]string, string, error) {
			return c.status, map[string]string{"X-Ms-Error-Code": c.code}, "", c.lost
		})})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.ReadToWrite(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "read "+planBlob) {
			t.Errorf("%s: %v, want %s", c.code, err, c.want)
		}
	}
	b, err := config.NewPlanBlob(planBlob, anybody{}, azcore.ClientOptions{Transport: wire(func(*http.Request) (int, map[string]string, string, error) {
		return http.StatusOK, map[string]string{"ETag": "1"}, strings.Repeat("#", 1<<20+1), nil
	})})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Read(t.Context()); err == nil || !strings.Contains(err.Error(), "that is no plan.yaml") {
		t.Error(err)
	}
}
