package e2e

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/stack"
)

// estate adds services of every type to a new subscription.
func estate(t *testing.T) (subscription string, ids map[string]string) {
	t.Helper()
	subscription, ids = uuid.NewString(), map[string]string{}
	mark := uuid.NewString()[:6]
	id := func(name, kind string) string {
		ids[name] = "/subscriptions/" + subscription + "/resourceGroups/prod/providers/" + kind + "/" + name + "-" + mark
		return ids[name]
	}
	for name, tier := range map[string]string{"apim": "Premium", "second": "Developer", "consumption": "Consumption", "v2": "BasicV2"} {
		if err := world.Sim.AddService(fakeazure.Service{ResourceID: id(name, "Microsoft.ApiManagement/service"), SKU: tier, SystemAssigned: true}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"hsm", "dormant"} {
		if err := world.Sim.AddHSM(fakeazure.HSM{ResourceID: id(name, "Microsoft.KeyVault/managedHSMs"), Identity: "writer"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := world.Sim.TuneHSM(ids["dormant"], func(o *fakeazure.HSMOptions) { o.Activation = fakeazure.NotActivated }); err != nil {
		t.Fatal(err)
	}
	for name, kind := range map[string]string{"ccf": "managedCCFs", "ledger": "ledgers"} {
		if err := world.Sim.AddLedger(fakeazure.Ledger{ResourceID: id(name, "Microsoft.ConfidentialLedger/"+kind)}); err != nil {
			t.Fatal(err)
		}
	}
	return subscription, ids
}

// TestInit: a person writes a first plan.yaml of the services that are there. It passes plan check, has a container for each target, and says what it
// leaves out. It writes over no file, and changes nothing in Azure.
func TestInit(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	subscription, ids := estate(t)
	who := "starter-" + uuid.NewString()
	id := world.Sim.ObjectID(who)
	folder := t.TempDir()
	file := filepath.Join(folder, "plan.yaml")
	says := func(want int, words string, args ...string) string {
		t.Helper()
		code, out, errs := commandIn(ctx, t, world.Environment(who), "", args...)
		if code != want || !strings.Contains(out+errs, words) {
			t.Fatalf("lifeboat %s: %d\n%s%s\nwant %d and %q", strings.Join(args, " "), code, out, errs, want, words)
		}
		return out + errs
	}
	says(1, "no subscription is shown to the sign-in here", "init", "-o", file)
	says(1, "nothing of the subscription "+subscription, "init", "-o", file, "--subscription", subscription)
	says(2, "is not the ID of a subscription", "init", "-o", file, "--subscription", "prod")
	world.Sim.Assign(id, "/subscriptions/"+subscription, fakeazure.Reader)
	says(1, `"contoso" `, "init", "-o", file, "--account", "contoso")
	if _, err := os.Stat(file); err == nil {
		t.Error("a refused one is written")
	}

	says(0, file+" written: 5 services in 1 subscription, 3 left out", "init", "-o", file, "--account", stack.Account(stack.Backups))
	written, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", written)
	says(0, "good: 5 plans, 5 targets", "plan", "check", file)
	containers := map[string]bool{}
	schedules := map[string]bool{}
	for line := range strings.Lines(string(written)) {
		if _, container, ok := strings.Cut(line, "      container: "); ok {
			containers[container] = true
		}
		if _, schedule, ok := strings.Cut(line, "schedule: "); ok {
			schedules[schedule] = true
		}
	}
	if len(containers) != 5 || len(schedules) != 5 {
		t.Errorf("%v, %v", containers, schedules)
	}
	for name, why := range map[string]string{
		"consumption": "its tier Consumption has no backup", "v2": "its tier BasicV2 has no backup", "dormant": "the HSM is not activated",
	} {
		if !strings.Contains(string(written), "\n# Left out: "+ids[name]+": "+why) {
			t.Errorf("nothing about %s", name)
		}
	}
	says(1, "is there already, and was left alone", "init", "-o", file)
	if again, err := os.ReadFile(file); err != nil || string(again) != string(written) {
		t.Errorf("%s, %v", again, err)
	}

	// With that plan the rest is new; without anything new the plan is an empty one, which passes too.
	rest := filepath.Join(folder, "rest.yaml")
	says(0, "rest.yaml written: 0 services in 1 subscription, 8 left out", "init", "-o", rest, "--plan", file, "--subscription", strings.ToUpper(subscription))
	says(0, "good: 0 plans, 0 targets", "plan", "check", rest)
	for _, c := range world.Sim.Calls() {
		if c.ObjectID == id && (c.Method != http.MethodPost || c.Host != "management.azure.com" || c.Path != "/providers/Microsoft.ResourceGraph/resources") {
			t.Errorf("it sent %s %s%s", c.Method, c.Host, c.Path)
		}
	}
}
