package cli_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/api"
	"lifeboat/internal/backup"
	"lifeboat/internal/cli"
	"lifeboat/internal/health"
)

// supported runs support against an app that gives these answers, with these settings.
func supported(t *testing.T, h any, runs any, settings map[string]string) (code int, out, errs string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := h
		if r.URL.Path == "/api/runs" {
			v = runs
		}
		if err := json.NewEncoder(w).Encode(v); err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	environment := map[string]string{"LIFEBOAT_URL": server.URL, "LIFEBOAT_KEY": "k1", "LIFEBOAT_HEALTH_KEY": "k2"}
	for name, value := range settings {
		environment[name] = value
	}
	sh := cli.Shell{Version: "abc123", Getenv: func(name string) string { return environment[name] }}
	code, out, errs = within(t.Context(), sh, "support")
	if strings.Contains(out, server.URL) || strings.Contains(out, strings.TrimPrefix(server.URL, "http://")) {
		t.Errorf("the address is in the report: %s", out)
	}
	return code, out, errs
}

// TestSupport checks the whole report of an app with trouble.
func TestSupport(t *testing.T) {
	t.Parallel()
	hsm := "/subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/g/providers/Microsoft.KeyVault/managedHSMs/alpha"
	h := api.Health{
		OverallStatus: health.Unprotected, TimeZones: "2026f", Version: "0c1d2e3f4-dirty",
		Plan:   api.PlanHealth{Hash: strings.Repeat("0a", 16), Refused: true, Error: &api.Problem{Code: "PlanRefused", Message: "m"}},
		Timers: []api.TimerHealth{{Timer: "schedule", Silent: true, Reason: &api.Problem{Code: "TimerSilent", Message: "m"}}},
		Targets: []api.TargetHealth{
			{Target: target, Plan: "nightly", Status: health.Protected, Verified: &api.Verified{ID: "r1", Age: 60}, Interval: 3600},
			{
				Target: hsm, Plan: "weekly", Status: health.Unprotected, Reason: &api.Problem{Code: "AuthorizationFailed", Message: "m"},
				LastRun: &api.LastRun{ID: "r2", State: backup.Failed},
			},
		},
		Poison: []api.Poison{
			{Queue: "execute-poison", Messages: 3, Reason: api.Problem{Code: "PoisonMessages", Message: "m"}},
			{Queue: "bluebird-poison", Messages: 1, Reason: api.Problem{Code: "EventsPoisoned", Message: "m"}},
		},
	}
	runs := api.Page[api.Run]{Value: []api.Run{{
		ID: "r2", Status: "Failed", State: backup.Failed, Kind: "backup", Target: hsm, Created: now.Add(-time.Minute),
		Ended: now.Add(-30 * time.Second), Attempts: 2, Polls: 5, Error: &api.Problem{Code: "AuthorizationFailed", Message: "m"},
	}}}
	code, out, errs := supported(t, h, runs, map[string]string{"LIFEBOAT_PLAN": "https://x/plan.yaml"})
	var got struct {
		Program  map[string]string
		Settings []string
		Health   map[string]any
		Targets  []map[string]any
		Runs     []map[string]any
		Missing  []string
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != 0 || errs != "" {
		t.Fatalf("%v: %d, %s%s", err, code, out, errs)
	}
	if got.Program["version"] != "abc123" || !strings.HasPrefix(got.Program["go"], "go1.") || !strings.Contains(got.Program["system"], "/") {
		t.Errorf("%v", got.Program)
	}
	got.Program = nil
	compact, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"Program":null,"Settings":["LIFEBOAT_HEALTH_KEY","LIFEBOAT_KEY","LIFEBOAT_PLAN","LIFEBOAT_URL"],` +
		`"Health":{"planHash":"0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a","planRefused":"PlanRefused","poison":[{"code":"PoisonMessages","messages":3,"name":"execute-poison"},{"code":"EventsPoisoned","messages":1,"name":"hidden"}],` +
		`"reasons":{"AuthorizationFailed":1},"status":"unprotected","targets":{"protected":1,"unprotected":1},"timeZones":"2026f",` +
		`"timers":[{"code":"TimerSilent","name":"schedule","silent":true}],"version":"0c1d2e3f4-dirty"},` +
		`"Targets":[{"code":"AuthorizationFailed","lastRun":"failed","plan":"plan 2","status":"unprotected","target":"target 2","type":"Microsoft.KeyVault/managedHSMs"},` +
		`{"intervalInSeconds":3600,"plan":"plan 1","status":"protected","target":"target 1","type":"Microsoft.ApiManagement/service","verifiedAgeInSeconds":60}],` +
		`"Runs":[` + strings.Repeat(`{"attempts":2,"beganSecondsAgo":60,"code":"AuthorizationFailed","kind":"backup","polls":5,"state":"failed","target":"target 2","tookInSeconds":30},`, 2)
	want = strings.TrimSuffix(want, ",") + `],"Missing":null}`
	if string(compact) != want {
		t.Errorf("\n%s\nwant\n%s", compact, want)
	}
}

// TestSupportWithoutAnApp checks that the report has what it can have, and says why it has no more.
func TestSupportWithoutAnApp(t *testing.T) {
	t.Parallel()
	code, out, errs := run("support")
	if code != 0 || !strings.Contains(out, `"settings": []`) || !strings.Contains(out, `"missing": [
    "health"
  ]`) || !strings.HasPrefix(errs, "the report has no health: set LIFEBOAT_URL") {
		t.Errorf("%d, %s%s", code, out, errs)
	}
	a := newApp(t, "", nil)
	if code, out, errs := a.run(t.Context(), "", "support"); code != 0 || !strings.Contains(out, `"pending": 3`) || errs != "" {
		t.Errorf("an app without runs: %d, %s%s", code, out, errs)
	}
}

// planted is a name that an organization has, and forms of it in which it could come out.
const planted = "contosohush"

// plant fills every text of an answer with the name, in one of several forms, and every number and list.
func plant(v reflect.Value, n *int) {
	switch v.Kind() {
	case reflect.String:
		forms := []string{planted, "Contosohush", "ContosohushFailed", planted + "-poison", "x " + planted, "Microsoft.Contosohush/service", "key1=" + planted + "=="}
		v.SetString(forms[*n%len(forms)])
		*n++
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		plant(v.Elem(), n)
	case reflect.Slice:
		if v.Type() == reflect.TypeFor[[]api.Problem]() { // its details have details
			v.Set(reflect.ValueOf([]api.Problem{{Code: planted, Message: planted, Target: planted}}))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 3, 3))
		for i := range v.Len() {
			plant(v.Index(i), n)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(now))
			return
		}
		for i := range v.NumField() {
			plant(v.Field(i), n)
		}
	}
}

// TestSupportHasNoNames plants a name into every text of the API's answers, in each of its forms, and secrets into the settings, and
// checks that none comes out.
func TestSupportHasNoNames(t *testing.T) {
	t.Parallel()
	const subscription = "5ec2e700-0000-4000-8000-00000000beef"
	id := "/subscriptions/" + subscription + "/resourceGroups/" + planted + "/providers/Microsoft.ApiManagement/service/" + planted
	settings := map[string]string{}
	for _, name := range []string{
		"LIFEBOAT_KEY", "LIFEBOAT_HEALTH_KEY", "LIFEBOAT_PLAN", "LIFEBOAT_STOPPED", "AzureWebJobsStorage", "AzureWebJobsStorage__accountName", "WEBSITE_SITE_NAME",
		"WEBSITE_HOSTNAME", "AZURE_CLIENT_ID",
	} {
		settings[name] = "topsecret" + name
	}
	for n := range 7 { // each text has each form once
		var h api.Health
		var runs api.Page[api.Run]
		count := n
		plant(reflect.ValueOf(&h).Elem(), &count)
		plant(reflect.ValueOf(&runs).Elem(), &count)
		h.Targets[0].Target, h.Targets[1].Target = id, strings.ToUpper(id)
		runs.Value[0].Target = id
		// Azure's codes may repeat a key.
		h.Targets[2].Reason.Code, runs.Value[1].Error.Code = "topsecretLIFEBOAT", "TopsecretAzureWebJobsStorage"
		settings["LIFEBOAT_STOPPED"] = "topsecret"
		code, out, _ := supported(t, h, runs, settings)
		if code != 0 || !strings.Contains(out, `"target 1"`) || !strings.Contains(out, `"hidden"`) || strings.Contains(out, `"missing"`) {
			t.Fatalf("%d, %s", code, out)
		}
		for _, secret := range []string{planted, subscription, "topsecret", "00000000beef", "key1"} {
			if strings.Contains(strings.ToLower(out), secret) {
				t.Errorf("form %d: %s is in the report:\n%s", n, secret, out)
			}
		}
	}
}
