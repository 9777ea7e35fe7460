package e2e

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/stack"
)

// TestCoverage: the app looks by its own identity which services in the subscriptions of its targets no plan has. Without the role Reader
// it says that it could not look. It sees a service of its own there all the same, by the role at that.
func TestCoverage(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	subscription, ids := estate(t)
	mine := ids["apim"]
	run := func(t *testing.T, reader bool, code int, words ...string) (out, metrics string) {
		t.Helper()
		a := prepare(t, stack.AppConfig{Plan: planOf(yearly, "1d", mine)})
		id := world.Sim.ObjectID(a.config.Name)
		world.Sim.Assign(id, mine, fakeazure.APIManagementServiceOperator)
		if reader {
			world.Sim.Assign(id, "/subscriptions/"+subscription, fakeazure.Reader)
		}
		a.start(t)
		t.Cleanup(func() {
			if err := a.Stop(); err != nil {
				t.Error(err)
			}
		})
		for _, function := range []string{"schedule", "cleanup", "cleanup"} {
			if err := a.Invoke(ctx, function); err != nil {
				t.Fatal(err)
			}
		}
		got, out, errs := command(ctx, t, a.URL(), a.Key("api"), "coverage")
		t.Logf("lifeboat coverage\n%s%s", out, errs)
		if got != code {
			t.Errorf("exit code %d, want %d", got, code)
		}
		for _, word := range words {
			if !strings.Contains(out+errs, word) {
				t.Errorf("no %q", word)
			}
		}
		searches := 0
		for _, c := range world.Sim.Calls() {
			if c.ObjectID == id && strings.HasSuffix(c.Path, "Microsoft.ResourceGraph/resources") {
				searches++
			}
		}
		if want := map[bool]int{true: 2, false: 0}[reader]; searches != want {
			t.Errorf("%d searches, want %d", searches, want)
		}
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, a.URL()+"/api/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("x-functions-key", a.Key("metrics"))
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return out, string(text)
	}
	_, metrics := run(t, false, 1, "subscription "+subscription+": could not look", "--role Reader", "--scope /subscriptions/"+subscription)
	if strings.Contains(metrics, "lifeboat_uncovered_services{") {
		t.Error("a number, though the app could not look")
	}
	out, metrics := run(t, true, 1, "subscription "+subscription+": 4 services that no plan has", "its tier Consumption has no backup", "the HSM is not activated")
	for name, id := range ids {
		if listed := strings.Contains(out, id[strings.LastIndex(id, "/")+1:]); listed == (name == "apim") {
			t.Errorf("%s is listed: %t", name, listed)
		}
	}
	for _, kind := range []string{"Microsoft.ApiManagement/service", "Microsoft.KeyVault/managedHSMs", "Microsoft.ConfidentialLedger/managedCCFs", "Microsoft.ConfidentialLedger/ledgers"} {
		if want := `lifeboat_uncovered_services{subscription="` + subscription + `",type="` + kind + `"} 1`; !strings.Contains(metrics, want+"\n") {
			t.Errorf("no %s", want)
		}
	}
}
