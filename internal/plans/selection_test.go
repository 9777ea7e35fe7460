package plans_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/plans"
	"lifeboat/internal/services"
)

// TestTooMuchSelected: more services than there is room for change nothing.
func TestTooMuchSelected(t *testing.T) {
	const subscription = "0c0ffee0-0000-4000-8000-000000000001"
	there := backup.Inventory{Subscriptions: []string{subscription}}
	for i := range 1000 {
		there.Services = append(there.Services, backup.Found{
			ID:   fmt.Sprintf("/subscriptions/%s/resourceGroups/%s/providers/Microsoft.ApiManagement/service/contoso-%d", subscription, strings.Repeat("g", 80), i),
			Type: "Microsoft.ApiManagement/service", Tier: "Premium",
		})
	}
	var selecting []backup.Plan
	for i := range 3 {
		selecting = append(selecting, backup.Plan{Name: fmt.Sprint("plan-", i), Select: &backup.Select{Subscriptions: []string{subscription}}})
	}
	was := plans.Selection{Picks: "before"}
	is, _ := was.Answer(there, selecting, nil, services.All().Known(), nil, begin)
	if is.Picks != "before" || is.Failed.Code != "TooMuchSelected" || is.Due(selecting, begin.Add(59*time.Minute), begin.Add(time.Hour)) || !is.Tried.Equal(begin) || !is.Looked.IsZero() {
		t.Errorf("%+v", is)
	}
	if is, picks := is.Answer(there, selecting[:2], nil, services.All().Known(), nil, begin.Add(time.Hour)); is.Failed.Code != "" || len(picks) != 2 || len(picks[1].Targets) != 1000 {
		t.Errorf("%+v, %d picks", is, len(picks))
	}
}

// TestWhatIsTooMuchToLose: more than half of the services of a plan, in one look or within a day, or all of several in a subscription.
func TestWhatIsTooMuchToLose(t *testing.T) {
	const one, two = "0c0ffee0-0000-4000-8000-000000000001", "0c0ffee0-0000-4000-8000-000000000002"
	plan := backup.Plan{Name: "nightly", Select: &backup.Select{Subscriptions: []string{one, two}}}
	there := func(n, m int) (found backup.Inventory) {
		found.Subscriptions = []string{one, two}
		for i, count := range []int{n, m} {
			for k := range count {
				found.Services = append(found.Services, backup.Found{
					ID:   fmt.Sprintf("/subscriptions/%s/resourceGroups/RG/providers/Microsoft.ApiManagement/service/contoso-%d-%d", found.Subscriptions[i], i, k),
					Type: "Microsoft.ApiManagement/service", Tier: "Premium",
				})
			}
		}
		return found
	}
	for _, c := range []struct {
		name  string
		looks [][2]int
		every time.Duration
		waits bool
	}{
		{"half", [][2]int{{4, 2}, {2, 1}}, time.Hour, false},
		{"more than half", [][2]int{{4, 3}, {2, 1}}, time.Hour, true},
		{"the only one", [][2]int{{1, 0}, {0, 0}}, time.Hour, true},
		{"the only one of a subscription", [][2]int{{4, 1}, {4, 0}}, time.Hour, false},
		{"all of a subscription", [][2]int{{4, 2}, {4, 0}}, time.Hour, true},
		{"half and half again", [][2]int{{8, 0}, {4, 0}, {2, 0}}, time.Hour, true},
		{"half, and half again days later", [][2]int{{8, 0}, {4, 0}, {4, 0}, {2, 0}}, 25 * time.Hour, false},
	} {
		now, is := begin, plans.Selection{}
		var active []backup.Plan
		kept := map[string][]backup.Pick{}
		for _, look := range c.looks {
			if is.Waiting != "" {
				t.Errorf("%s: waits too soon", c.name)
			}
			now = now.Add(c.every)
			var picks []backup.Pick
			is, picks = is.Answer(there(look[0], look[1]), []backup.Plan{plan}, active, services.All().Known(), kept[is.Base], now)
			kept[is.Picks] = picks
			active = []backup.Plan{{Name: plan.Name, Select: plan.Select, Targets: picks[0].Targets}}
		}
		if (is.Waiting != "") != c.waits {
			t.Errorf("%s: %+v", c.name, is)
		}
	}
}

// TestPicksKeepTheirSpelling: another spelling of a resource group is no other pick.
func TestPicksKeepTheirSpelling(t *testing.T) {
	const subscription = "0c0ffee0-0000-4000-8000-000000000001"
	plan := backup.Plan{Name: "nightly", Select: &backup.Select{Subscriptions: []string{subscription}}}
	look := func(group string, was plans.Selection, active ...backup.Plan) (plans.Selection, []backup.Pick) {
		id := "/subscriptions/" + subscription + "/resourceGroups/" + group + "/providers/Microsoft.ApiManagement/service/contoso"
		there := backup.Inventory{Subscriptions: []string{subscription}, Services: []backup.Found{{ID: id, Type: "Microsoft.ApiManagement/service", Tier: "Premium"}}}
		return was.Answer(there, []backup.Plan{plan}, active, services.All().Known(), nil, begin)
	}
	is, picks := look("Prod", plans.Selection{})
	if again, _ := look("PROD", is, backup.Plan{Name: "nightly", Targets: picks[0].Targets}); again.Picks != is.Picks || again.Waiting != "" {
		t.Errorf("%+v, %+v", is, again)
	}
}
