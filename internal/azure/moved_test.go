package azure_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// place is Resource Manager's and storage's side of accounts: the answers by the path of a request in lower case, 404 for any other.
type place struct {
	answers map[string]*http.Response
	sent    []string
}

func (p *place) Do(r *http.Request) (*http.Response, error) {
	at := strings.ToLower(r.URL.Path)
	if !strings.HasPrefix(r.URL.Host, "management.") {
		at = r.URL.Host + at
	}
	p.sent = append(p.sent, at)
	got := answer(404, `{"error":{"code":"ResourceNotFound","message":"The Resource was not found."}}`)
	if known := p.answers[at]; known != nil {
		got = known
	}
	got.Request = r
	return got, nil
}

const (
	storageIn = "/subscriptions/7a1c5b0e-3f44-4c2e-9d10-5e2b8f6a9c01/resourceGroups/"
	accountOf = "/providers/Microsoft.Storage/storageAccounts/contoso"
	blobsAt   = "contoso.blob.core.windows.net/lifeboat"
)

// TestAMovedAccountIsFoundByItsName: where Resource Manager does not know an account by the stored ID, or finds no role there, it is
// asked by the ID that a plan has for an account of that name and zone, and by no other.
func TestAMovedAccountIsFoundByItsName(t *testing.T) {
	stored := backup.Storage{Account: storageIn + "before" + accountOf, Container: "lifeboat"}
	plan := func(in, name, zone string) backup.Plan {
		return backup.Plan{Settings: backup.Settings{Storage: backup.Storage{
			Account: storageIn + in + strings.TrimSuffix(accountOf, "contoso") + name, Container: "another", Zone: zone,
		}}}
	}
	key := func() *http.Response {
		return answer(200, `{"keys":[{"value":"a2V5","permissions":"FULL"}]}`, "Date: Tue, 03 Nov 2026 02:30:00 GMT")
	}
	no := func(status int, code string) *http.Response {
		return answer(status, `{"error":{"code":"`+code+`","message":"No."}}`)
	}
	for _, c := range []struct {
		name  string
		plans []backup.Plan
		at    map[string]*http.Response
		// asked are the groups at whose ID the key was asked for, and code is the fault's, "" if there is the key.
		asked []string
		code  string
	}{
		{"not moved", []backup.Plan{plan("after", "contoso", "")}, map[string]*http.Response{"before": key()}, []string{"before"}, ""},
		{"moved", []backup.Plan{plan("after", "contoso", "")}, map[string]*http.Response{"after": key()}, []string{"before", "after"}, ""},
		{
			"moved, and its roles stayed behind",
			[]backup.Plan{plan("after", "CONTOSO", "")},
			map[string]*http.Response{"before": no(403, "AuthorizationFailed"), "after": key()},
			[]string{"before", "after"},
			"",
		},
		{
			"moved to another subscription, and the old one is gone",
			[]backup.Plan{plan("after", "contoso", "")},
			map[string]*http.Response{"before": no(404, "SubscriptionNotFound"), "after": key()},
			[]string{"before", "after"},
			"",
		},
		{
			"moved twice, and a plan is behind",
			[]backup.Plan{plan("between", "contoso", ""), plan("between", "contoso", ""), plan("before", "contoso", ""), plan("after", "contoso", "")},
			map[string]*http.Response{"after": key()},
			[]string{"before", "between", "after"},
			"",
		},
		{
			"moved, without a role at the new place",
			[]backup.Plan{plan("after", "contoso", "")},
			map[string]*http.Response{"after": no(403, "AuthorizationFailed")},
			[]string{"before", "after"},
			"AuthorizationFailed",
		},
		{
			"not moved, a role is missing, and another plan is behind",
			[]backup.Plan{plan("after", "contoso", ""), plan("between", "contoso", "")},
			map[string]*http.Response{"before": no(403, "AuthorizationFailed")},
			[]string{"before", "after", "between"},
			"AuthorizationFailed",
		},
		{
			"moved, without a role at the new place, and another plan is behind",
			[]backup.Plan{plan("after", "contoso", ""), plan("between", "contoso", "")},
			map[string]*http.Response{"after": no(403, "AuthorizationFailed")},
			[]string{"before", "after", "between"},
			"AuthorizationFailed",
		},
		{"moved, and no plan has it", []backup.Plan{plan("after", "fabrikam", "")}, nil, []string{"before"}, "ResourceNotFound"},
		{"another zone's", []backup.Plan{plan("after", "contoso", "z1")}, nil, []string{"before"}, "ResourceNotFound"},
		{"no plans", nil, nil, []string{"before"}, "ResourceNotFound"},
		{"locked", []backup.Plan{plan("after", "contoso", "")}, map[string]*http.Response{"before": no(409, "ScopeLocked")}, []string{"before"}, "ScopeLocked"},
	} {
		p, read := &place{answers: map[string]*http.Response{}}, 0
		at := func(in string) string { return strings.ToLower(storageIn + in + accountOf + "/listKeys") }
		for in, reply := range c.at {
			p.answers[at(in)] = reply
		}
		moved := azure.Moved(func(context.Context) []backup.Plan { read++; return c.plans })
		client := azure.New(&identity{}, azcore.ClientOptions{Transport: p, PerCallPolicies: []policy.Policy{moved}})
		got, now, err := client.AccountKey(t.Context(), stored, "")
		var asked []string
		for _, in := range c.asked {
			asked = append(asked, at(in))
		}
		if !slices.Equal(p.sent, asked) {
			t.Errorf("%s: asked %q, want %q", c.name, p.sent, asked)
		}
		if f := backup.AsFault(err); c.code == "" && (f != nil || got.Reveal() != "a2V5" || now.IsZero()) || c.code != "" && (f == nil || f.Code != c.code) {
			t.Errorf("%s: %v, want the code %q", c.name, err, c.code)
		}
		if wanted := len(asked) > 1 || c.code == "ResourceNotFound"; read > 1 || wanted != (read == 1) {
			t.Errorf("%s: the plans were read %d times", c.name, read)
		}
	}
}

// TestAnAccountThatAnswersIsThere: Resource Manager's 404 is no evidence against an account that answers by its own name.
func TestAnAccountThatAnswersIsThere(t *testing.T) {
	stored := backup.Storage{Account: storageIn + "before" + accountOf, Container: "lifeboat"}
	blob := func(status int, code string) *http.Response { return answer(status, "", "X-Ms-Error-Code: "+code) }
	for name, c := range map[string]struct {
		blobs *http.Response
		there bool
	}{
		"the container answers":      {answer(200, ""), true},
		"there is no such container": {blob(404, "ContainerNotFound"), true},
		"the app has no role":        {blob(403, "AuthorizationPermissionMismatch"), false},
		"it is another tenant's":     {blob(401, "InvalidAuthenticationInfo"), false},
		"it is disabled":             {blob(403, "AccountIsDisabled"), false},
		"nothing answers":            {nil, false},
	} {
		p := &place{answers: map[string]*http.Response{blobsAt: c.blobs}}
		client := azure.New(&identity{}, azcore.ClientOptions{Transport: p})
		if _, err := client.Account(t.Context(), stored, true); backup.AsFault(err) == nil || len(p.sent) != 1 {
			t.Errorf("%s, and a key is needed: %v", name, err)
		}
		shown, err := client.Account(t.Context(), stored, false)
		f := backup.AsFault(err)
		if shown != nil || c.there != (f == nil) {
			t.Errorf("%s: %+v, %v", name, shown, err)
		}
		if f != nil && (f.Kind != backup.Refused || f.Code != "ResourceNotFound" || !strings.Contains(f.Hint, "moved to another group")) {
			t.Errorf("%s: %+v", name, f)
		}
	}
}
