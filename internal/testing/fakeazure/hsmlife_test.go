package fakeazure_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/testing/fakeazure"
)

// newHSMBody returns the body of PUT of an HSM, as azure-cli sends it.
func newHSMBody(s *fakeazure.Sim) map[string]any {
	identity := group + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/hsm-writer"
	return map[string]any{
		"location": "westeurope", "sku": map[string]any{"family": "B", "name": "Standard_B1"},
		"identity": map[string]any{"type": "UserAssigned", "userAssignedIdentities": map[string]any{identity: map[string]any{}}},
		"properties": map[string]any{
			"tenantId": s.TenantID(), "initialAdminObjectIds": []string{s.ObjectID("administrator")}, "softDeleteRetentionInDays": 7,
			"networkAcls": map[string]any{"bypass": "None", "defaultAction": "Allow", "ipRules": []any{}},
		},
	}
}

// TestHSMIsMadeAndDeleted follows an HSM from the request for it to its deletion.
func TestHSMIsMadeAndDeleted(t *testing.T) {
	t.Parallel()
	s := start(t)
	must(t, s.AddHSM(fakeazure.HSM{ResourceID: fort}))
	s.Assign(s.ObjectID("app"), group, fakeazure.Contributor)
	must(t, s.TuneHSM("", func(k *fakeazure.HSMOptions) { k.Making = fakeazure.Range{Shortest: 5 * time.Minute} }))
	url := "https://management.azure.com" + castle + "?api-version=2024-11-01"
	put := func(body map[string]any) reply {
		text, err := json.Marshal(body)
		must(t, err)
		return send(t, s, "PUT", url, "app", string(text))
	}
	for why, change := range map[string]func(body, properties map[string]any){
		"location":                  func(body, _ map[string]any) { delete(body, "location") },
		"sku":                       func(body, _ map[string]any) { body["sku"] = map[string]any{"family": "A", "name": "standard"} },
		"tenantId":                  func(_, p map[string]any) { p["tenantId"] = s.ObjectID("app") },
		"initialAdminObjectIds":     func(_, p map[string]any) { p["initialAdminObjectIds"] = []string{"app"} },
		"softDeleteRetentionInDays": func(_, p map[string]any) { p["softDeleteRetentionInDays"] = 6 },
		"identity":                  func(body, _ map[string]any) { body["identity"] = map[string]any{"type": "SystemAssigned"} },
		"unknown field":             func(body, _ map[string]any) { body["kind"] = "hsm" },
	} {
		body := newHSMBody(s)
		change(body, body["properties"].(map[string]any))
		if r := put(body); r.StatusCode != 400 || !strings.Contains(string(r.body), why) {
			t.Errorf("%s: %d %s", why, r.StatusCode, r.body)
		}
	}
	accepted := put(newHSMBody(s))
	if accepted.StatusCode != 202 || len(accepted.body) != 0 || accepted.Header.Get("Retry-After") != "" {
		t.Fatalf("%d %s %v", accepted.StatusCode, accepted.body, accepted.Header)
	}
	shown := send(t, s, "GET", url, "app", "")
	if !strings.Contains(string(shown.body), `"provisioningState":"Provisioning"`) || !strings.Contains(string(shown.body), `"activationStatus":"Unknown"`) {
		t.Errorf("while it is made: %s", shown.body)
	}
	if r := put(newHSMBody(s)); r.StatusCode != 409 {
		t.Errorf("made twice: %d %s", r.StatusCode, r.body)
	}
	follow := func(r reply) reply {
		t.Helper()
		eventually(t, "the change is over", func() bool {
			location := r.Header.Get("Location")
			if !strings.Contains(location, "/providers/Microsoft.KeyVault/locations/westeurope/managedHsmOperationResults/") {
				t.Fatalf("the address is %s", location)
			}
			r = send(t, s, "GET", location, "app", "")
			return r.StatusCode == 200
		})
		return r
	}
	if r := follow(accepted); !strings.Contains(string(r.body), `"activationStatus":"NotActivated"`) || !strings.Contains(string(r.body), "hsm-writer") {
		t.Errorf("at its end: %s", r.body)
	}
	activateHSM(t, s, castle, castleURL)
	deleting := send(t, s, "DELETE", url, "app", "")
	if deleting.StatusCode != 202 || send(t, s, "GET", url, "app", "").StatusCode != 404 {
		t.Errorf("deleted: %d %s", deleting.StatusCode, deleting.body)
	}
	if r := follow(deleting); len(r.body) != 0 {
		t.Errorf("after its deletion: %s", r.body)
	}
	if r := send(t, s, "DELETE", url, "app", ""); r.StatusCode != 204 {
		t.Errorf("deleted twice: %d %s", r.StatusCode, r.body)
	}
	if r := put(newHSMBody(s)); r.StatusCode != 409 {
		t.Errorf("made under the name of a deleted one: %d %s", r.StatusCode, r.body)
	}
	unknown := strings.Replace(deleting.Header.Get("Location"), "managedHsmOperationResults/", "managedHsmOperationResults/0", 1)
	if r := send(t, s, "GET", unknown, "app", ""); r.StatusCode != 404 {
		t.Errorf("an unknown change: %d %s", r.StatusCode, r.body)
	}
}
