package health_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/health"
)

// TestCoverage checks what a look keeps, what later edits of the plans make of it, and that a subscription that was not looked through
// is never one without services.
func TestCoverage(t *testing.T) {
	const (
		one, two = "0c0ffee0-0000-4000-8000-000000000001", "0c0ffee0-0000-4000-8000-000000000002"
		kind     = "Microsoft.Test/things"
		other    = "Microsoft.Test/others"
	)
	services := backup.Services{
		{Type: kind, Unfit: func(f backup.Found) string { return map[string]string{"small": "it is small"}[f.Tier] }}, {Type: other},
	}
	id := func(subscription, name string) string {
		return "/subscriptions/" + subscription + "/resourceGroups/G/providers/" + kind + "/" + name
	}
	plans := []backup.Plan{{Name: "p", Targets: []string{id(one, "A"), id(two, "a")}}}
	at := time.Date(2026, 3, 28, 12, 0, 0, 0, time.UTC)
	there := backup.Inventory{Subscriptions: []string{strings.ToUpper(one)}, Services: []backup.Found{
		{ID: id(one, "a"), Type: kind}, {ID: id(one, "b"), Type: kind, Location: "x"}, {ID: id(one, "c"), Type: kind, Tier: "small"}, {ID: id(two, "b"), Type: kind},
	}}
	before := health.Coverage{ETag: "1", Failed: backup.Reason{Code: "Old"}}
	c := before.Saw(there, plans, services, at)
	if len(c.Looked) != 1 || c.Looked[0].Subscription != one || !maps.Equal(c.Looked[0].Uncovered, map[string]int{kind: 1, other: 0}) {
		t.Errorf("looked %+v", c.Looked)
	}
	want := []health.Uncovered{{ID: id(one, "b"), Location: "x"}, {ID: id(one, "c"), Unfit: "it is small"}}
	if !slices.Equal(c.Services, want) || c.Omitted != 0 || c.ETag != "1" || c.Failed.Code != "" || !c.At.Equal(at) {
		t.Errorf("%+v", c)
	}
	if unseen := c.Unseen(plans); !slices.Equal(unseen, []string{two}) {
		t.Errorf("unseen %v", unseen)
	}
	edited := []backup.Plan{{Name: "p", Targets: []string{id(one, "a"), strings.ToUpper(id(one, "b"))}}}
	now := c.In(edited)
	if !slices.Equal(now.Services, want[1:]) || now.Looked[0].Uncovered[kind] != 0 || c.Looked[0].Uncovered[kind] != 1 {
		t.Errorf("an edit that has it: %+v, and before %+v", now, c)
	}
	if now := c.In([]backup.Plan{{Targets: []string{id(two, "a")}}}); len(now.Looked) != 0 || len(now.Services) != 0 {
		t.Errorf("without a target there: %+v", now)
	}
	missed := c.Missed(backup.Reason{Code: "Throttled"}, at.Add(time.Hour))
	if !missed.At.Equal(at) || !slices.Equal(missed.Services, want) || missed.Failed.Code != "Throttled" {
		t.Errorf("no answer: %+v", missed)
	}
	for name, d := range map[string]struct {
		c    health.Coverage
		now  time.Time
		want bool
	}{
		"never looked": {health.Coverage{}, at, true}, "an hour ago": {c, at.Add(time.Hour), true}, "less": {c, at.Add(time.Hour - 1), false},
		"no answer":         {missed, at.Add(2*time.Hour - 1), false},
		"in time to come":   {c, at.Add(-time.Hour), true},
		"a newer version's": {health.Coverage{Unread: errors.New("x")}, at, false},
	} {
		if got := d.c.Due(d.now, d.now.Add(time.Minute)); got != d.want {
			t.Errorf("%s: due %t", name, got)
		}
	}

	// Many services and subscriptions fit into the row, and are counted.
	many := backup.Inventory{}
	for i := range 300 {
		subscription := fmt.Sprintf("0c0ffee0-0000-4000-8000-%012d", i)
		many.Subscriptions = append(many.Subscriptions, subscription)
		many.Services = append(many.Services, backup.Found{ID: id(one, strings.Repeat("n", 80)+fmt.Sprint(i)), Type: kind})
	}
	c = health.Coverage{}.Saw(many, nil, services, at)
	if n := len(backup.Encode(c.Services)); n > 32<<10 || len(c.Services)+c.Omitted != 300 || c.Looked[1].Uncovered[kind] != 300 || len(c.Services) < 50 {
		t.Errorf("%d bytes, %d services and %d more, %v", n, len(c.Services), c.Omitted, c.Looked[1])
	}
	if n := len(backup.Encode(c.Looked)); n > 32<<10 || len(c.Looked) < 50 {
		t.Errorf("%d bytes of %d subscriptions", n, len(c.Looked))
	}
}
