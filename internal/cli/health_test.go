package cli_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"lifeboat/internal/cli"
)

const ill = `{"overallStatus":"unprotected","plan":{"refused":true,"refusedSinceDateTime":"2026-03-28T10:00:00Z",` +
	`"activeSinceDateTime":"2026-03-01T10:00:00Z","error":{"code":"PlanInvalid","message":"the last good plan stays active",` +
	`"details":[{"code":"PlanInvalid","message":"plan.yaml:6: nonsense"}]}},"targets":[` +
	`{"target":"/subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/g/providers/Microsoft.ApiManagement/service/well",` +
	`"plan":"p","status":"protected","lastVerified":{"createdDateTime":"2026-03-28T09:00:00Z","ageInSeconds":10800},"nextScheduledTime":"2026-03-29T02:30:00Z"},` +
	`{"target":"/subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/g/providers/Microsoft.ApiManagement/service/twin",` +
	`"plan":"p","status":"late","lastVerified":{"createdDateTime":"2026-03-26T09:00:00Z","ageInSeconds":183600}},` +
	`{"target":"/subscriptions/0c0ffee0-0000-4000-8000-000000000002/resourceGroups/g/providers/Microsoft.ApiManagement/service/twin",` +
	`"plan":"p","status":"unprotected","reason":{"code":"AuthorizationFailed","message":"Azure's own\u001b words"}}]}`

// twins are targets that differ only in their subscriptions.
const twins = "0c0ffee0-0000-4000-8000-00000000000"

// TestHealth checks that the worst target comes first, and that a 503 with the body is an answer; after a 503 without it the
// command asks again.
func TestHealth(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status    int
		body      string
		code      int
		requests  int
		out, errs string
	}{
		"ill": {
			503, ill, 1, 1, `TARGET PLAN STATUS LAST VERIFIED AGE NEXT SCHEDULED REASON
` + twins + `2/g/service/twin p unprotected never none AuthorizationFailed: Azure's own words
` + twins + `1/g/service/twin p late 2026-03-26T09:00:00Z 2d3h none
well p protected 2026-03-28T09:00:00Z 3h0m 2026-03-29T02:30:00Z
plan.yaml is refused since 2026-03-28T10:00:00Z; the plan of 2026-03-01T10:00:00Z is active: ` +
				"PlanInvalid: the last good plan stays active PlanInvalid: plan.yaml:6: nonsense", "1 of 3 targets unprotected\n",
		},
		"well": {200, strings.Replace(strings.Replace(ill, `"unprotected"`, `"late"`, 2), `"refused":true`, `"refused":false`, 1), 0, 1, "3h0m", ""},
		"never a plan": {
			503, `{"overallStatus":"unprotected","plan":{"refused":true,"error":{"code":"PlanInvalid","message":"broken"}},"targets":[]}`,
			1, 1, "plan.yaml is refused: PlanInvalid: broken\n", "nothing is protected: there is no active plan\n",
		},
		"a silent timer": {
			503, `{"overallStatus":"unprotected","plan":{"refused":false},"timers":[{"timer":"schedule","silent":true,"reason":{"code":"TimerSilent",` +
				`"message":"no timer run","details":[{"code":"Hint","message":"First the role"}]}},{"timer":"cleanup","silent":false}],"targets":[],` +
				`"poison":[{"queue":"execute-poison","messages":2,"reason":{"code":"MessagesPoisoned","message":"2 messages, gone on 2026-03-28"}}]}`,
			1, 1, "timer schedule: TimerSilent: no timer run Hint: First the role queue execute-poison: MessagesPoisoned: 2 messages, gone on 2026-03-28",
			"1 timer silent\n",
		},
		"targets that have left": {
			200, `{"overallStatus":"protected","plan":{"refused":false},"targets":[],"departed":[{"target":"/a/b","plan":"p","leftDateTime":"2026-03-28T10:00:00Z",` +
				`"lastVerified":{"id":"point","createdDateTime":"2026-03-27T10:00:00Z"}},{"target":"/a/c","plan":"q","leftDateTime":"2026-03-28T10:00:00Z"}],"departedOmitted":7}`,
			0, 1, "no plan has /a/b since 2026-03-28T10:00:00Z, when it left p: its newest verified recovery point point is of 2026-03-27T10:00:00Z " +
				"no plan has /a/c since 2026-03-28T10:00:00Z, when it left q: no verified recovery point 7 more of them have left plan.yaml", "",
		},
		"two apps": {
			503, `{"overallStatus":"unprotected","plan":{"refused":false},"apps":{"app":"contoso-app","owner":"contoso-app","others":[{"app":"laptop",` +
				`"lastSeenDateTime":"2026-03-28T09:00:00Z"}],"reason":{"code":"SecondApp","message":"contoso-app and laptop"}},"targets":[]}`,
			1, 1, "apps: SecondApp: contoso-app and laptop", "several apps have the storage account\n",
		},
		"the host's 503":  {503, "The service is unavailable.", 1, 5, "", "GET ORIGIN/api/health: 503 Service Unavailable\n"},
		"no settings":     {503, `{"error":{"code":"NotConfigured","message":"LIFEBOAT_PLAN is missing"}}`, 1, 5, "", "NotConfigured: LIFEBOAT_PLAN is missing\n"},
		"another app":     {200, `{"status":"up"}`, 1, 1, "", "LIFEBOAT_URL the address of a Lifeboat app?\n"},
		"another's error": {500, ill, 1, 5, "", "500 Internal Server Error\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t, "", func(_ int, w http.ResponseWriter, _ *http.Request) bool {
				w.Header().Set("Retry-After", "1")
				w.WriteHeader(c.status)
				fmt.Fprint(w, c.body)
				return false
			})
			code, out, errs := a.run(t.Context(), "", "health")
			out, c.out = strings.Join(strings.Fields(out), " "), strings.Join(strings.Fields(c.out), " ")
			if code != c.code || len(a.requests) != c.requests || !strings.HasSuffix(errs, strings.Replace(c.errs, "ORIGIN", a.URL, 1)) ||
				!strings.Contains(out, c.out) || (c.out == "") != (out == "") {
				t.Errorf("%d after %d requests\n%s\n%s", code, len(a.requests), out, errs)
			}
			if c.requests > 1 {
				return
			}
			if code, out, _ := a.run(t.Context(), "", "health", "--json"); code != c.code || c.out != "" && strings.TrimSpace(out) != c.body {
				t.Errorf("as JSON: %d %s", code, out)
			}
		})
	}
}

// TestHealthHasAKeyOfItsOwn checks that the command prefers its own key.
func TestHealthHasAKeyOfItsOwn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ key, own, sent, says string }{
		"both":     {"k", "own", "own", "401 Unauthorized: LIFEBOAT_HEALTH_KEY is not a key of this app's function health, nor a host key: set LIFEBOAT_HEALTH_KEY to"},
		"only own": {"", "own", "own", "--function-name health` lists"},
		"only api": {"k", "", "k", "401 Unauthorized: LIFEBOAT_KEY is not a key of this app's function health, nor a host key: set LIFEBOAT_HEALTH_KEY to"},
		"none":     {"", "", "", "set LIFEBOAT_URL"},
	} {
		a := newApp(t, "", func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusUnauthorized)
			return false
		})
		environment := map[string]string{"LIFEBOAT_URL": a.URL, "LIFEBOAT_KEY": c.key, "LIFEBOAT_HEALTH_KEY": c.own}
		sh := cli.Shell{Getenv: func(name string) string { return environment[name] }}
		code, out, errs := within(context.Background(), sh, "health")
		if code == 0 || out != "" || !strings.Contains(errs, c.says) || c.sent != "" && a.keys[c.sent] != 1 {
			t.Errorf("%s: %d, %s, keys %v", name, code, errs, a.keys)
		}
	}
}

// TestHealthOfALostCatalogSaysWhy: all targets are protected, a plan is active, and storage has artifacts that the catalog does not know:
// the app answers 503. The last line does not say that there is no active plan.
func TestHealthOfALostCatalogSaysWhy(t *testing.T) {
	const body = `{"overallStatus":"unprotected","plan":{"refused":false},"targets":[` +
		`{"target":"/subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/g/providers/Microsoft.ApiManagement/service/well",` +
		`"plan":"p","status":"protected","lastVerified":{"createdDateTime":"2026-03-28T09:00:00Z","ageInSeconds":10800},` +
		`"reason":{"code":"CatalogIncomplete","message":"the container c has 7 artifacts of the target that the catalog does not know"}}]}`
	a := newApp(t, "", func(_ int, w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprint(w, body)
		return false
	})
	code, _, errs := a.run(t.Context(), "", "health")
	if code != 1 || strings.Contains(errs, "no active plan") || strings.Contains(errs, "nothing is protected") || !strings.Contains(errs, "storage has artifacts of 1 of 1 target that the catalog") {
		t.Errorf("%d %s", code, errs)
	}
}
