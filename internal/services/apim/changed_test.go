package apim_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/testing/fakeazure"
)

// owner changes services.
const owner = "owner"

// changeAPI changes an API of the service, as its owner.
func (w world) changeAPI(t *testing.T, service, name string) {
	t.Helper()
	body := `{"properties":{"displayName":"Echo","path":"echo","protocols":["https"]}}`
	w.ask(t, http.MethodPut, service+"/apis/"+name, body)
}

// ask sends a request of the owner through Resource Manager.
func (w world) ask(t *testing.T, method, path, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "https://management.azure.com"+path+"?api-version=2024-05-01", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	token, err := w.Credential(owner).GetToken(t.Context(), tokenOptions{Scopes: []string{"https://management.azure.com/.default"}})
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token.Token)
	r.Header.Set("Content-Type", "application/json")
	answer, err := w.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode >= 400 {
		t.Fatalf("%s %s: %s", method, path, answer.Status)
	}
}

// TestAChangeDuringTheBackup: the activity log tells of the first change of the service, or of anything in it, and of no other. Whatever
// the look answers, it is one request.
func TestAChangeDuringTheBackup(t *testing.T) {
	w := newWorld(t)
	subscription, _, _ := strings.Cut(groups, "/resourceGroups")
	at := func(o *fakeazure.ActivityLogOptions) { o.Late = time.Nanosecond }
	for i, test := range []struct {
		name    string
		options func(*fakeazure.ActivityLogOptions)
		scope   string
		// changes gets the service, and its neighbour in the same group.
		changes func(service, other string)
		outside bool
		want    string
	}{
		{"an API", at, subscription, func(s, _ string) { w.changeAPI(t, s, "echo"); w.changeAPI(t, s, "later") }, false, "/apis/echo"},
		{"another service's", at, subscription, func(_, o string) { w.changeAPI(t, o, "echo") }, false, ""},
		{"before the backup", at, subscription, func(s, _ string) { w.changeAPI(t, s, "echo") }, true, ""},
		{"an action", at, subscription, func(s, _ string) { w.ask(t, http.MethodPost, s+"/namedValues/secret/listValue", "") }, false, ""},
		{"the log is late", func(o *fakeazure.ActivityLogOptions) { o.Late = 50_000 * time.Hour }, subscription, func(s, _ string) { w.changeAPI(t, s, "echo") }, false, ""},
		{"the role at the group, where that is enough", func(o *fakeazure.ActivityLogOptions) { at(o); o.AtGroup = true }, groups + "/gateway", func(s, _ string) { w.changeAPI(t, s, "echo") }, false, "/apis/echo"},
		{"the role at the group, where it is not", at, groups + "/gateway", func(s, _ string) { w.changeAPI(t, s, "echo") }, false, ""},
		{"no role", at, "", func(s, _ string) { w.changeAPI(t, s, "echo") }, false, ""},
		{"many events of others after it", func(o *fakeazure.ActivityLogOptions) { at(o); o.Page = 1 }, subscription, func(s, o string) { w.changeAPI(t, s, "echo"); w.changeAPI(t, o, "echo") }, false, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			name := "changed" + string(rune('a'+i))
			service, other := w.service(t, name, nil), w.service(t, name+"x", nil)
			for _, id := range []string{service, other} {
				w.Assign(w.ObjectID(owner), id, fakeazure.APIManagementServiceContributor)
			}
			w.ask(t, http.MethodPut, service+"/namedValues/secret", `{"properties":{"displayName":"secret","value":"x","secret":true}}`)
			w.TuneActivityLog(func(o *fakeazure.ActivityLogOptions) { *o = fakeazure.ActivityLogOptions{}; test.options(o) })
			if test.scope != "" {
				w.Assign(w.ObjectID(app), test.scope, fakeazure.Reader)
				defer w.Unassign(w.ObjectID(app), test.scope)
			}
			from := time.Now()
			test.changes(service, other)
			to := time.Now().Add(time.Second)
			if test.outside {
				from = time.Now()
			}
			a := w.attempt(service, "changed")
			asked := w.ActivityLogRequests()
			a.Ran = backup.Window{From: from, To: to}
			c, err := w.provider().ReadChange(t.Context(), a)
			if refused := strings.Contains(test.name, "role") && test.want == ""; refused != (backup.AsFault(err) != nil && backup.AsFault(err).Kind == backup.Refused) {
				t.Fatalf("%+v, %v", c, err)
			}
			if n := w.ActivityLogRequests() - asked; n != 1 {
				t.Errorf("it asked %d times", n)
			}
			if got := strings.TrimPrefix(c.Resource, service); got != test.want || (test.want != "") != (c.Operation == "Microsoft.ApiManagement/service/apis/write") ||
				(test.want != "") != (!c.Time.Before(from.Truncate(time.Microsecond)) && !c.Time.After(to)) {
				t.Errorf("it tells of %+v, want %q", c, test.want)
			}
		})
	}
}

// TestAChangeIsShownLater: the log shows nothing of a change at first, and the same question finds it later.
func TestAChangeIsShownLater(t *testing.T) {
	w := newWorld(t)
	service := w.service(t, "later", nil)
	subscription, _, _ := strings.Cut(groups, "/resourceGroups")
	w.Assign(w.ObjectID(app), subscription, fakeazure.Reader)
	w.Assign(w.ObjectID(owner), service, fakeazure.APIManagementServiceContributor)
	a := w.attempt(service, "later")
	a.Ran = backup.Window{From: time.Now(), To: time.Now().Add(time.Minute)}
	w.changeAPI(t, service, "echo")
	w.TuneActivityLog(func(o *fakeazure.ActivityLogOptions) { o.Late = 1000 * time.Hour })
	if c, err := w.provider().ReadChange(t.Context(), a); err != nil || c != (backup.Change{}) {
		t.Errorf("at first: %+v, %v", c, err)
	}
	w.TuneActivityLog(func(o *fakeazure.ActivityLogOptions) { o.Late = time.Nanosecond })
	if c, err := w.provider().ReadChange(t.Context(), a); err != nil || c.Resource != service+"/apis/echo" {
		t.Errorf("later: %+v, %v", c, err)
	}
}

// TestReadChange: each answer is a change, none, a refusal for good, or no answer that counts.
func TestReadChange(t *testing.T) {
	event := func(at, operation, of, status string) string {
		return `{"eventTimestamp":"` + at + `","operationName":{"value":"` + operation + `"},"resourceId":"` + of + `","status":{"value":"` + status + `"}}`
	}
	const write = "Microsoft.ApiManagement/service/apis/write"
	for name, test := range map[string]struct {
		reply reply
		want  bool
		fault backup.FaultKind
	}{
		"403":            {armSays(403, "AuthorizationFailed", "No."), false, backup.Refused},
		"404":            {armSays(404, "SubscriptionNotFound", "No."), false, backup.Refused},
		"429":            {answers(429, ""), false, backup.Throttled},
		"500":            {answers(500, ""), false, backup.Retryable},
		"cut":            {cut, false, backup.Retryable},
		"no connection":  {unknown, false, backup.Retryable},
		"nonsense":       {answers(200, "<html>"), false, backup.Retryable},
		"nothing":        {answers(200, `{"value":[]}`), false, ""},
		"no time":        {answers(200, `{"value":[{}]}`), false, ""},
		"a failed write": {answers(200, `{"value":[`+event("2026-01-02T03:05:00Z", write, target+"/apis/a", "Failed")+`]}`), false, ""},
		"a started one":  {answers(200, `{"value":[`+event("2026-01-02T03:05:00Z", write, target+"/apis/a", "Started")+`]}`), false, ""},
		"its tags":       {answers(200, `{"value":[`+event("2026-01-02T03:05:00Z", "Microsoft.Resources/tags/write", target, "Succeeded")+`]}`), false, ""},
		"a longer name":  {answers(200, `{"value":[`+event("2026-01-02T03:05:00Z", write, target+"2/apis/a", "Succeeded")+`]}`), false, ""},
		"out of time":    {answers(200, `{"value":[`+event("2026-01-02T04:05:00Z", write, target+"/apis/a", "Succeeded")+`]}`), false, ""},
		"a deletion, in capitals": {answers(200, `{"value":[`+
			event("2026-01-02T03:05:00.5Z", "MICROSOFT.APIMANAGEMENT/SERVICE/APIS/DELETE", strings.ToUpper(target)+"/APIS/A", "Succeeded")+`]}`), true, ""},
		"the service itself": {answers(200, `{"value":[`+event("2026-01-02T03:05:00Z", "Microsoft.ApiManagement/service/write", target, "Succeeded")+`]}`), true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := &wire{replies: map[step]reply{look: test.reply}}
			a := attempt()
			a.Ran = backup.Window{From: time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC), To: time.Date(2026, 1, 2, 3, 30, 0, 0, time.UTC)}
			c, err := w.provider().ReadChange(t.Context(), a)
			kind := backup.FaultKind("")
			if f := backup.AsFault(err); f != nil {
				kind = f.Kind
			}
			if kind != test.fault || (c != backup.Change{}) != test.want {
				t.Errorf("%+v, %v", c, err)
			}
			w.expect(t, look)
		})
	}
}
