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
	was := plans.Selection{Picks: "before", Keys: []string{"before"}}
	picked := []backup.Pick{{Plan: "plan-0", Targets: []string{"one"}}}
	is, picks := was.Answer(there, selecting, services.All().Known(), picked, begin)
	if is.Picks != "before" || is.Failed.Code != "TooMuchSelected" || len(picks) != 1 || !is.Tried.Equal(begin) || !is.Looked.IsZero() {
		t.Errorf("%+v, %d picks", is, len(picks))
	}
	if is, picks = is.Answer(there, selecting[:2], services.All().Known(), picked, begin.Add(time.Hour)); is.Failed.Code != "" || len(picks) != 2 || len(picks[1].Targets) != 1000 {
		t.Errorf("%+v, %d picks", is, len(picks))
	}
}
