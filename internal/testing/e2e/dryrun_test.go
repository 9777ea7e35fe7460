package e2e

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"lifeboat/internal/backup"
	"lifeboat/internal/restore"
	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/stack"
)

// TestDryRunsOnlyRead requests a dry run of a restore of every service with every kind of access to storage. It checks that
// the dry run calls all guards, and that every request of the program meanwhile, to Azure and to its own storage, is a read.
// It does not run in parallel to other tests, because a request signed with a key does not name its sender.
func TestDryRunsOnlyRead(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	const writer = "dry-run-writer"
	a := newApp(t, stack.AppConfig{Plan: planFor(yearly, "1d", newServices(t, 1)...)})
	backups := stack.Account(stack.Backups)
	world.Sim.Assign(a.ObjectID, backups, fakeazure.StorageAccountKeyOperator)
	world.Sim.Assign(world.Sim.ObjectID(writer), backups, fakeazure.StorageBlobDataContributor)
	services := newServices(t, 2)
	system, keyed := stack.Service(services[0]), stack.Service(services[1])
	user := stack.Service("s" + strings.ReplaceAll(uuid.NewString(), "-", "")[:20])
	if err := world.Sim.AddService(fakeazure.Service{ResourceID: user, SKU: "Developer", UserAssigned: []string{writer}}); err != nil {
		t.Fatal(err)
	}
	ccf := newLedger(t, a, stack.CCF, (*stack.Stack).AddCCF)
	exported := newLedger(t, a, stack.Ledger, (*stack.Stack).AddLedger)
	ledger := newLedger(t, a, stack.Ledger, (*stack.Stack).AddLedger)
	const region = "    ccf: {restoreRegion: westeurope}\n"
	cases := []struct {
		name, target, plan string
		gone               bool // it is only restored after its deletion
		refusal            string
	}{
		{name: "API Management, by its own identity", target: system},
		{name: "API Management, by an identity of the user's", target: user, plan: "    identity: " + world.Sim.ClientID(writer) + "\n"},
		{name: "API Management, by the account's key", target: keyed, plan: "    identity: accessKey\n"},
		{name: "Managed HSM, by its identity", target: newHSM(t, a), plan: "    hsm: {access: identity}\n"},
		{name: "Managed HSM, by SAS", target: newHSM(t, a), plan: "    hsm: {access: sas}\n"},
		{name: "Managed CCF", target: ccf, plan: region, gone: true},
		{
			name: "Confidential Ledger, a backup", target: ledger, gone: true,
			plan: "    ccf: {restoreRegion: westeurope, apiVersion: 2025-06-10-preview}\n",
		},
		{name: "Confidential Ledger, an export", target: exported, plan: region, refusal: "OneWay"},
	}
	plans := planFor(yearly, "1d", newServices(t, 1)...)
	for i, c := range cases {
		plans += "  - name: plan-" + string(rune('a'+i)) + "\n    schedule: \"" + yearly + "\"\n    keep: {within: 1d}\n    targets: [" +
			c.target + "]\n    restore: {into: [itself]}\n" + c.plan
	}
	if err := a.edit(plans); err != nil {
		t.Fatal(err)
	}
	runs := make([]string, len(cases)) // they run in parallel
	for i, c := range cases {
		var err error
		if runs[i], err = a.backupOf(ctx, c.target, uuid.NewString()); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
	}
	for i, c := range cases {
		if status, err := a.await(ctx, runs[i]); err != nil || status.Run.State != backup.Succeeded {
			t.Fatalf("%s: %s, %v: %+v", c.name, status.Run.State, err, status.Run.Reason)
		}
		if c.gone {
			if err := world.Sim.DeleteLedger(c.target); err != nil {
				t.Fatal(err)
			}
		}
	}
	a.empty(ctx, t, "execute")

	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			before := len(world.Sim.Calls())
			request := map[string]any{"id": c.name, "target": c.target, "recoveryPoint": "latest", "dryRun": true}
			response, said, err := a.request(ctx, http.MethodPost, "/api/restores", text(request), nil)
			var plan restore.Preview
			if err != nil || response.StatusCode != http.StatusOK || json.Unmarshal(said, &plan) != nil {
				t.Fatalf("%v, %v, %s", response, err, said)
			}
			if why := plan.Refusal(); (why == nil) != (c.refusal == "") || why != nil && why.Code != c.refusal {
				t.Errorf("refused: %+v", why)
			}
			if (len(plan.Calls) == 0) != (c.refusal == "OneWay") {
				t.Errorf("the calls are %q", plan.Calls)
			}
			last := plan.Guards[len(plan.Guards)-1]
			if hsm := strings.HasPrefix(c.name, "Managed HSM"); (last.Outcome == restore.Later) != hsm ||
				hsm && !strings.Contains(last.Reason.Message, "PreFullRestore") {
				t.Errorf("the last guard is %+v", last)
			}
			hosts := map[string]bool{}
			for _, call := range world.Sim.Calls()[before:] {
				if call.ObjectID != a.ObjectID && call.ObjectID != "" {
					continue // a request of the host itself, or of another test
				}
				name := c.target[strings.LastIndex(c.target, "/")+1:]
				if call.ObjectID == "" && !strings.Contains(strings.ToLower(call.Host+call.Path), strings.ToLower(name)) {
					continue // another test sends it without a token: to an HSM for its challenge, or with a SAS
				}
				hosts[call.Host[strings.Index(call.Host, ".")+1:]] = true
				read := call.Method == http.MethodGet || call.Method == http.MethodHead ||
					call.Method == http.MethodPost && strings.HasSuffix(strings.ToLower(call.Path), "/listkeys")
				if !read {
					t.Errorf("sent %s %s%s", call.Method, call.Host, call.Path)
				}
			}
			// The program sends Azure no request about a copy, because it restores nothing from it.
			asks := c.refusal == ""
			if !hosts["table.core.windows.net"] || hosts["azure.com"] != asks || (hosts["blob.core.windows.net"] || hosts["file.core.windows.net"]) != asks {
				t.Errorf("asked only %v", hosts)
			}
		})
	}
}
