package handler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/api"
	"lifeboat/internal/backup"
	"lifeboat/internal/config"
	"lifeboat/internal/engine"
	"lifeboat/internal/plans"
	"lifeboat/internal/services"
	"lifeboat/internal/testing/memory"
)

// selectingApp is an app whose plan selects what there holds, by a clock.
type selectingApp struct {
	*app
	t       *testing.T
	now     time.Time
	text    string
	there   backup.Inventory
	failed  error
	looks   int
	catalog *memory.Catalog
	sent    *memory.Queue
}

const selectsFrom = "0c0ffee0-0000-4000-8000-000000000001"

func newSelectingApp(t *testing.T) *selectingApp {
	s := &selectingApp{t: t, now: time.Date(2026, 3, 28, 12, 0, 0, 0, time.UTC), text: fmt.Sprintf(`version: 1
plans:
  - name: nightly
    schedule: "0 2 1 1 *"
    keep: {within: 20d}
    storage: {account: %s, container: backups}
    select: {subscriptions: [%s], types: [Microsoft.ApiManagement/service], tags: {backup: "yes"}}
`, account, selectsFrom)}
	s.catalog = memory.NewCatalog(func() time.Time { return s.now })
	s.sent = memory.NewQueue(func() time.Time { return s.now })
	s.restart()
	return s
}

// restart begins another process with the same tables.
func (s *selectingApp) restart() {
	clock := func() time.Time { return s.now }
	reader := config.NewReader(services.All().Known())
	parse := func(text []byte) ([]backup.Plan, error) {
		all, _, err := reader.Parse("plan.yaml", text)
		return all, err
	}
	s.app = newApp(func(c *Config) {
		e := c.Engine
		c.Engine = &engine.Engine{
			Services: e.Services, Catalog: s.catalog, Queue: s.sent, Manifests: e.Manifests, Timings: e.Timings, NewID: e.NewID, Now: clock,
			Search: func(context.Context, []string) (backup.Inventory, error) {
				s.looks++
				return s.there, s.failed
			},
		}
		source := func(context.Context) ([]byte, error) { return []byte(s.text), nil }
		c.Plans, c.Now = &plans.Store{Catalog: s.catalog, Read: source, Parse: parse}, clock
	})
}

// has puts services with the tag, of these names, into Azure.
func (s *selectingApp) has(names ...string) {
	s.there = backup.Inventory{Subscriptions: []string{selectsFrom}}
	for _, name := range names {
		s.there.Services = append(s.there.Services, backup.Found{ID: serviceOf(name), Type: "Microsoft.ApiManagement/service", Tier: "Premium", Tags: map[string]string{"Backup": "yes"}})
	}
	others := []backup.Found{
		{ID: serviceOf("untagged"), Type: "Microsoft.ApiManagement/service", Tier: "Premium"},
		{ID: serviceOf("no"), Type: "Microsoft.ApiManagement/service", Tier: "Premium", Tags: map[string]string{"backup": "Yes"}},
		{ID: serviceOf("small"), Type: "Microsoft.ApiManagement/service", Tier: "Consumption", Tags: map[string]string{"backup": "yes"}},
		{
			ID: "/subscriptions/" + selectsFrom + "/resourceGroups/rg/providers/Microsoft.KeyVault/managedHSMs/contoso", Type: "Microsoft.KeyVault/managedHSMs",
			Activation: "Active", Tags: map[string]string{"backup": "yes"},
		},
	}
	s.there.Services = append(s.there.Services, others...)
}

func serviceOf(name string) string {
	return "/subscriptions/" + selectsFrom + "/resourceGroups/rg/providers/Microsoft.ApiManagement/service/" + name
}

// minutes makes timer runs, one a minute, and returns the names of the targets after them.
func (s *selectingApp) minutes(n int) string {
	s.t.Helper()
	for range n {
		s.now = s.now.Add(time.Minute)
		s.timer()
	}
	var v struct {
		Value []struct{ Target string } `json:"value"`
	}
	w := s.call("GET", "/api/targets", "")
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil || w.Code != 200 {
		s.t.Fatalf("%d %s", w.Code, w.Body)
	}
	var names []string
	for _, one := range v.Value {
		names = append(names, one.Target[strings.LastIndex(one.Target, "/")+1:])
	}
	return strings.Join(names, " ")
}

func (s *selectingApp) events(kind string) (n int) {
	for _, e := range s.sent.Events() {
		if e.Type == kind {
			n++
		}
	}
	return n
}

func (s *selectingApp) timer() { s.call("POST", "/schedule", `{"Data":{"timer":{}},"Metadata":{}}`) }

func (s *selectingApp) selection() (v api.Selection) {
	s.t.Helper()
	w := s.call("GET", "/api/selection", "")
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil || w.Code != 200 {
		s.t.Fatalf("%d %s", w.Code, w.Body)
	}
	return v
}

// TestSelection: a plan has the services that Azure shows with its tag, as of a look once an hour: another process too. A look without an
// answer changes nothing.
func TestSelection(t *testing.T) {
	s := newSelectingApp(t)
	if v := s.selection(); !v.Looked.IsZero() || len(v.Plans) != 0 {
		t.Errorf("before the first look: %+v", v)
	}
	s.has("one", "two")
	if got := s.minutes(1); got != "one two" || s.looks != 1 {
		t.Errorf("at first: %q, %d looks", got, s.looks)
	}
	s.has("one", "two", "three")
	if got := s.minutes(58); got != "one two" || s.looks != 1 {
		t.Errorf("within the hour: %q, %d looks", got, s.looks)
	}
	if got := s.minutes(3); got != "one three two" || s.looks != 2 {
		t.Errorf("after an hour: %q, %d looks", got, s.looks)
	}
	s.restart()
	if got := s.minutes(1); got != "one three two" || s.looks != 2 {
		t.Errorf("another process: %q, %d looks", got, s.looks)
	}
	s.failed = errors.New("no answer")
	if got := s.minutes(61); got != "one three two" || s.looks != 3 {
		t.Errorf("without an answer: %q, %d looks", got, s.looks)
	}
	if v := s.selection(); v.Error == nil || !strings.Contains(v.Error.Message, "no answer") || v.Tried.Equal(v.Looked) {
		t.Errorf("without an answer: %+v", v)
	}
	s.failed, s.there = nil, backup.Inventory{}
	if got := s.minutes(61); got != "one three two" {
		t.Errorf("without the role: %q", got)
	}
	if v := s.selection(); v.Waiting != nil || v.Error == nil || v.Error.Code != "NotReadable" || !strings.Contains(v.Error.Message, selectsFrom) {
		t.Errorf("without the role: %+v", v)
	}
	s.has("one", "three", "four")
	if got := s.minutes(61); got != "four one three" || s.selection().Error != nil {
		t.Errorf("at last: %q, %+v", got, s.selection())
	}
	s.text = strings.Replace(s.text, `tags: {backup: "yes"}`, `tags: {backup: "Yes"}`, 1)
	if got := s.minutes(1); got != "four one three" {
		t.Errorf("another selection before its look: %q", got)
	}
	if got := s.minutes(5); got != "four one three" || s.selection().Waiting == nil {
		t.Errorf("another selection that takes all: %q, %+v", got, s.selection())
	}
	s.accept(s.selection().Waiting.ID, 200)
	if got := s.minutes(1); got != "no" {
		t.Errorf("another selection: %q", got)
	}
	if n := s.events("lifeboat.plan.changed"); n != 3 {
		t.Errorf("%d events about changes, want 3: three, four, and what a person has accepted", n)
	}
	s.text = strings.Replace(s.text, "    select:", "    targets: ["+serviceOf("one")+"]\n    # select:", 1)
	if got := s.minutes(2); got != "one" || len(s.selection().Plans) != 0 {
		t.Errorf("nothing is selected any more: %q, %+v", got, s.selection())
	}
}

// TestSelectionBegins: a plan without an answer about its services is not active, and says why; a plan that named its targets keeps them until
// then, and until the app may read its subscription, whatever becomes of the row. Then both have what the look finds.
func TestSelectionBegins(t *testing.T) {
	s := newSelectingApp(t)
	s.failed = errors.New("no answer")
	s.now = s.now.Add(time.Minute)
	s.timer()
	for range 2 {
		if w := s.call("GET", "/api/targets", ""); w.Code != 503 || s.events("lifeboat.plan.refused") != 0 {
			t.Errorf("before an answer: %d %s", w.Code, w.Body)
		}
	}
	s.now = s.now.Add(time.Minute)
	s.timer()
	if w := s.call("GET", "/api/health", ""); !strings.Contains(w.Body.String(), "could not look for them yet") {
		t.Errorf("health does not say why: %s", w.Body)
	}
	s.failed = nil
	s.has("one", "two")
	if got := s.minutes(6); got != "one two" {
		t.Errorf("with an answer: %q", got)
	}

	s = newSelectingApp(t)
	selects := s.text
	s.text = strings.Replace(selects, "    select:", "    targets: ["+serviceOf("one")+", "+serviceOf("two")+"]\n    # select:", 1)
	s.minutes(1)
	s.text, s.there = selects, backup.Inventory{}
	if got := s.minutes(130); got != "one two" || s.selection().Error == nil {
		t.Errorf("without the role: %q, %+v", got, s.selection())
	}
	s.has("one", "two", "three")
	if got := s.minutes(61); got != "one three two" {
		t.Errorf("with the role: %q", got)
	}
	row, _, err := s.catalog.Get(t.Context(), backup.SelectionKey)
	if err == nil {
		_, err = s.catalog.Apply(t.Context(), backup.Write{Op: backup.Delete, Key: backup.SelectionKey, ETag: row.ETag})
	}
	if err != nil {
		t.Fatal(err)
	}
	s.failed = errors.New("no answer")
	if got := s.minutes(3); got != "one three two" {
		t.Errorf("without the row: %q", got)
	}
}

// TestAnEditMendsABadSelection: a plan is refused if a look finds a service that it may not have, and the next text of plan.yaml is looked for,
// though it is not active.
func TestAnEditMendsABadSelection(t *testing.T) {
	s := newSelectingApp(t)
	s.has("one")
	s.minutes(2)
	s.text = strings.Replace(strings.Replace(s.text, "types: [Microsoft.ApiManagement/service], ", "", 1), "container: backups}", "container: backups, vault: true}", 1)
	if got := s.minutes(7); got != "one" || s.events("lifeboat.plan.refused") != 1 {
		t.Errorf("an HSM into a vault: %q, %d events", got, s.events("lifeboat.plan.refused"))
	}
	s.has("one", "two")
	s.text = strings.Replace(s.text, "select: {", "select: {types: [Microsoft.ApiManagement/service], ", 1)
	if got := s.minutes(61); got != "one two" || s.events("lifeboat.plan.accepted") != 1 {
		t.Errorf("mended: %q, %d events", got, s.events("lifeboat.plan.accepted"))
	}
}

// TestALossWaits: a look that takes more than half of its services from a plan changes nothing until a person agrees to exactly that, or
// until another look takes less. The plans that were good go on.
func TestALossWaits(t *testing.T) {
	s := newSelectingApp(t)
	s.has("one", "two", "three", "four")
	s.minutes(1)
	s.has("one", "two")
	if got := s.minutes(61); got != "one two" {
		t.Errorf("half may leave: %q", got)
	}
	s.has("new")
	if got := s.minutes(62); got != "one two" {
		t.Errorf("all left: %q", got)
	}
	v := s.selection()
	if v.Waiting == nil || len(v.Waiting.Leaving) != 2 || len(v.Waiting.Plans) != 1 || len(v.Waiting.Plans[0].Targets) != 1 {
		t.Fatalf("%+v", v)
	}
	if w := s.call("GET", "/api/health", ""); !strings.Contains(w.Body.String(), "lose more than half") {
		t.Errorf("health says nothing of it: %s", w.Body)
	}
	since, refused := v.Waiting.Since, s.events("lifeboat.plan.refused")
	s.has("new", "newer")
	if got := s.minutes(61); got != "one two" || !s.selection().Waiting.Since.Equal(since) || s.selection().Waiting.ID == v.Waiting.ID ||
		s.events("lifeboat.plan.refused") != refused {
		t.Errorf("another look: %q, %+v", got, s.selection())
	}
	s.accept(v.Waiting.ID, 409)
	s.accept("", 400)
	id := s.selection().Waiting.ID
	s.accept(id, 200)
	s.accept(id, 200)
	if got := s.minutes(1); got != "new newer" || s.selection().Waiting != nil {
		t.Errorf("accepted: %q, %+v", got, s.selection())
	}
	s.has()
	if got := s.minutes(61); got != "new newer" || s.selection().Waiting == nil {
		t.Errorf("none is left: %q, %+v", got, s.selection())
	}
	s.has("newer")
	if got := s.minutes(62); got != "newer" || s.selection().Waiting != nil {
		t.Errorf("another look takes less: %q, %+v", got, s.selection())
	}
	s.has("newer", "x", "y", "z", "u")
	s.minutes(61)
	s.has()
	s.minutes(61)
	s.text = strings.Replace(s.text, "select: {", "select: {resourceGroups: [rg], ", 1)
	if got := s.minutes(7); got != "newer u x y z" || s.selection().Waiting == nil {
		t.Errorf("an edit agrees to no loss: %q, %+v", got, s.selection())
	}
}

// accept agrees to what waits under the ID.
func (s *selectingApp) accept(id string, want int) {
	s.t.Helper()
	if w := s.call("POST", "/api/selection/accept", `{"id":"`+id+`"}`); w.Code != want {
		s.t.Errorf("accept: %d %s, want %d", w.Code, w.Body, want)
	}
}
