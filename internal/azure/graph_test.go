package azure_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
	"lifeboat/internal/testing/fakeazure"
)

// The subscriptions of the tests.
const (
	mine    = "0c0ffee0-0000-4000-8000-00000000aaaa"
	partly  = "0c0ffee0-0000-4000-8000-00000000bbbb"
	foreign = "0c0ffee0-0000-4000-8000-00000000cccc"
)

var graphTypes = []string{"Microsoft.ApiManagement/service", "Microsoft.KeyVault/managedHSMs"}

func graphWorld(t *testing.T) (*fakeazure.Sim, azure.Client) {
	t.Helper()
	s, err := fakeazure.Start(fakeazure.Config{Dir: t.TempDir(), Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	for i := range 5 {
		for _, subscription := range []string{mine, partly, foreign} {
			id := fmt.Sprintf("/subscriptions/%s/resourceGroups/G/providers/Microsoft.ApiManagement/service/contoso-%s-%d", subscription, subscription[32:], i)
			if err := s.AddService(fakeazure.Service{ResourceID: id, SKU: "Premium", Location: "West Europe"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.AddHSM(fakeazure.HSM{ResourceID: "/subscriptions/" + mine + "/resourceGroups/G/providers/Microsoft.KeyVault/managedHSMs/contoso-hsm"}); err != nil {
		t.Fatal(err)
	}
	tagged := fakeazure.Service{
		ResourceID: "/subscriptions/" + foreign + "/resourceGroups/G/providers/Microsoft.ApiManagement/service/contoso-tagged", SKU: "Premium",
		Tags: map[string]string{"Backup": "lifeboat", "team": "a"},
	}
	if err := s.AddService(tagged); err != nil {
		t.Fatal(err)
	}
	me := s.ObjectID("me")
	s.Assign(me, "/subscriptions/"+mine, fakeazure.Reader)
	s.Assign(me, "/subscriptions/"+partly+"/resourceGroups/G/providers/Microsoft.ApiManagement/service/contoso-bbbb-3", fakeazure.APIManagementServiceOperator)
	return s, azure.New(s.Credential("me"), azcore.ClientOptions{Transport: s.Client()})
}

// TestInventory checks that a search has every page, only what the identity may read, and says where it was: a subscription that is
// left out without a word is none of those.
func TestInventory(t *testing.T) {
	s, client := graphWorld(t)
	names := func(i backup.Inventory) (all []string) {
		for _, one := range i.Services {
			all = append(all, one.ID[strings.LastIndex(one.ID, "/")+1:])
		}
		return all
	}
	own := []string{"contoso-aaaa-0", "contoso-aaaa-1", "contoso-aaaa-2", "contoso-aaaa-3", "contoso-aaaa-4", "contoso-hsm"}
	for _, page := range []int{0, 1, 2, 6, 7} {
		s.TuneGraph(func(o *fakeazure.GraphOptions) { o.PageSize = page })
		for name, c := range map[string]struct{ asked, names, looked []string }{
			"all":             {nil, append(slices.Clone(own), "contoso-bbbb-3"), []string{mine, partly}},
			"one":             {[]string{mine}, own, []string{mine}},
			"upper case":      {[]string{strings.ToUpper(mine)}, own, []string{mine}},
			"one of two":      {[]string{foreign, mine}, own, []string{mine}},
			"none":            {[]string{foreign}, nil, nil},
			"one that is not": {[]string{"0c0ffee0-0000-4000-8000-00000000dddd"}, nil, nil},
		} {
			i, err := azure.Graph{Client: client}.Inventory(t.Context(), c.asked, graphTypes)
			if got := names(i); err != nil || !slices.Equal(got, c.names) || !slices.Equal(i.Subscriptions, c.looked) {
				t.Errorf("%s, pages of %d: %v in %v, %v", name, page, got, i.Subscriptions, err)
			}
			if name == "one" && (i.Services[0].Tier != "Premium" || i.Services[0].Location != "westeurope" || i.Services[0].Type != graphTypes[0] || i.Services[5].Activation != "Active") {
				t.Errorf("%+v", i.Services)
			}
		}
	}
	s.TuneGraph(func(o *fakeazure.GraphOptions) { o.Unseen = []string{mine} })
	if i, err := (azure.Graph{Client: client}).Inventory(t.Context(), []string{mine, partly}, graphTypes); err != nil || i.Looked(mine) || !i.Looked(partly) {
		t.Errorf("a role that does not show yet: %+v, %v", i, err)
	}
	if i, err := azure.New(s.Credential("nobody"), azcore.ClientOptions{Transport: s.Client()}).ReadsAll(t.Context(), mine, graphTypes); i || err != nil {
		t.Errorf("without a role: %t, %v", i, err)
	}
}

// TestASubscriptionBehind checks that a search that shows a subscription, and searches no resources, is no answer.
func TestASubscriptionBehind(t *testing.T) {
	s, client := graphWorld(t)
	s.TuneGraph(func(o *fakeazure.GraphOptions) { o.Behind = []string{mine} })
	if i, err := (azure.Graph{Client: client}).Inventory(t.Context(), []string{mine}, graphTypes); err == nil || !strings.Contains(err.Error(), "none of them was searched") {
		t.Errorf("%+v, %v", i, err)
	}
}

// TestTags checks that a search has the tags of each resource.
func TestTags(t *testing.T) {
	s, client := graphWorld(t)
	s.Assign(s.ObjectID("me"), "/subscriptions/"+foreign, fakeazure.Reader)
	i, err := azure.Graph{Client: client}.Inventory(t.Context(), []string{foreign}, graphTypes)
	if err != nil || len(i.Services) != 6 || len(i.Services[0].Tags) != 1 || i.Services[5].Tags["Backup"] != "lifeboat" || len(i.Services[5].Tags) != 2 {
		t.Errorf("%+v, %v", i, err)
	}
}

// TestReadsAll checks that roles at single resources, and roles for some of the types, do not count.
func TestReadsAll(t *testing.T) {
	s, client := graphWorld(t)
	s.Assign(s.ObjectID("me"), "/subscriptions/"+foreign, fakeazure.APIManagementServiceOperator)
	for subscription, want := range map[string]bool{mine: true, partly: false, foreign: false, "0c0ffee0-0000-4000-8000-00000000dddd": false} {
		if got, err := client.ReadsAll(t.Context(), subscription, graphTypes); got != want || err != nil {
			t.Errorf("%s: %t, %v", subscription, got, err)
		}
	}
	if got, err := client.ReadsAll(t.Context(), foreign, graphTypes[:1]); !got || err != nil {
		t.Errorf("one type: %t, %v", got, err)
	}
	s.Assign(s.ObjectID("me"), "/subscriptions/"+foreign, fakeazure.Role{Name: "readers", Actions: []string{"Microsoft.*/managed*/read"}})
	if got, err := client.ReadsAll(t.Context(), foreign, graphTypes); !got || err != nil {
		t.Errorf("two roles together: %t, %v", got, err)
	}
}

// TestAThrottledSearch checks that a search waits for a new quota if its caller waits, and else fails as one that Azure throttles.
func TestAThrottledSearch(t *testing.T) {
	s, client := graphWorld(t)
	var waited []time.Duration
	wait := func(_ context.Context, d time.Duration) bool { waited = append(waited, d); return true }
	s.TuneGraph(func(o *fakeazure.GraphOptions) { o.Throttle = 3 })
	i, err := azure.Graph{Client: client, Wait: wait}.Inventory(t.Context(), []string{mine}, graphTypes)
	if err != nil || len(i.Services) != 6 || !slices.Equal(waited, []time.Duration{time.Second, time.Second, time.Second}) {
		t.Errorf("%v, %v, waited %v", i, err, waited)
	}
	for _, wait := range []func(context.Context, time.Duration) bool{nil, wait} {
		s.TuneGraph(func(o *fakeazure.GraphOptions) { o.Throttle = 5 })
		_, err := azure.Graph{Client: client, Wait: wait}.Inventory(t.Context(), []string{mine}, graphTypes)
		f, ok := errors.AsType[*backup.Fault](err)
		if !ok || f.Kind != backup.Throttled {
			t.Errorf("%v", err)
		}
		s.TuneGraph(func(o *fakeazure.GraphOptions) { o.Throttle = 0 })
	}
}

// TestCovers checks that a search counts only subscriptions whose services the identity may all read, and that none of them is not all.
func TestCovers(t *testing.T) {
	s, client := graphWorld(t)
	covers := azure.Graph{Client: client}.Covers(graphTypes)
	i, err := covers(t.Context(), []string{partly, mine, foreign})
	if err != nil || !slices.Equal(i.Subscriptions, []string{mine}) || len(i.Services) != 6 {
		t.Errorf("%+v, %v", i, err)
	}
	s.TuneGraph(func(o *fakeazure.GraphOptions) { o.Unseen = []string{mine} }) // the role is too new
	if i, err := covers(t.Context(), []string{mine}); err != nil || len(i.Subscriptions)+len(i.Services) != 0 {
		t.Errorf("a new role: %+v, %v", i, err)
	}
	s.TuneGraph(func(o *fakeazure.GraphOptions) { o.Unseen = nil })
	for _, none := range [][]string{nil, {partly, foreign}} {
		if i, err := covers(t.Context(), none); err != nil || len(i.Subscriptions)+len(i.Services) != 0 {
			t.Errorf("%v: %+v, %v", none, i, err)
		}
	}
}
