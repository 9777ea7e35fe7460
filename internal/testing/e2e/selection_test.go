package e2e

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/api"
	"lifeboat/internal/backup"
	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/stack"
)

// TestSelectedTargets: the real program has the services as targets that Azure shows with the tag of its plan, and
// backs one up.
func TestSelectedTargets(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	subscription, ids := estate(t)
	selects := "    select: {subscriptions: [" + subscription + "], types: [microsoft.apimanagement/SERVICE], tags: {Environment: test}}\n"
	a := prepare(t, stack.AppConfig{Plan: strings.Replace(planOf(yearly, "1d"), "    targets:\n", selects, 1)})
	id := world.Sim.ObjectID(a.config.Name)
	world.Sim.Assign(id, "/subscriptions/"+subscription, fakeazure.Reader)
	a.start(t)
	t.Cleanup(func() {
		if err := a.Stop(); err != nil {
			t.Error(err)
		}
	})
	for range 2 { // the first one looks, and the second one finds another text
		if err := a.Invoke(ctx, "schedule"); err != nil {
			t.Fatal(err)
		}
	}
	code, out, errs := command(ctx, t, a.URL(), a.Key("api"), "selection", "-o", "name")
	targets := strings.Fields(out)
	slices.Sort(targets)
	if want := []string{ids["apim"], ids["second"]}; code != 0 || !slices.Equal(targets, want) {
		t.Fatalf("exit code %d, the targets are %q, want %q; %s", code, targets, want, errs)
	}
	world.Sim.Assign(id, ids["apim"], fakeazure.APIManagementServiceOperator)
	world.Sim.Assign(world.Sim.ObjectID(ids["apim"]), stack.Account(stack.Backups), fakeazure.StorageBlobDataContributor)
	run, err := a.backupOf(ctx, ids["apim"], "selected")
	if err != nil {
		t.Fatal(err)
	}
	if status, err := a.await(ctx, run); err != nil || status.Run.State != backup.Succeeded {
		t.Errorf("%v: %+v", err, status.Run)
	}
	missing := func() bool {
		return slices.ContainsFunc(a.check("").Findings, func(f api.Finding) bool {
			return strings.Contains(f.Error.Message, subscription) && strings.Contains(f.Error.Message, "Reader")
		})
	}
	if missing() {
		t.Errorf("the check misses a role that is there: %+v", a.check("").Findings)
	}
	if world.Sim.Unassign(id, "/subscriptions/"+subscription, fakeazure.Reader); !missing() {
		t.Errorf("the check does not miss the role Reader on the subscription: %+v", a.check("").Findings)
	}
}
