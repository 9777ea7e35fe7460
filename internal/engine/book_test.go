package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
	"lifeboat/internal/plans"
)

// desk is plan.yaml under a person's hands, with the book that reads it. A text "good <name>" is one plan of that name.
type desk struct {
	*stage
	text []byte
	err  error
	book *plans.Store
}

func newDesk(t *testing.T, text string) *desk {
	d := &desk{stage: newStage(t), text: []byte(text)}
	d.restart()
	return d
}

// restart replaces the process by a new one, which remembers nothing.
func (d *desk) restart() {
	d.book = &plans.Store{
		Catalog: d.storage,
		Read:    func(context.Context) ([]byte, error) { return d.text, d.err },
		Parse: func(text []byte) ([]backup.Plan, error) {
			name, ok := strings.CutPrefix(string(text), "good ")
			if !ok {
				return nil, fmt.Errorf("plan.yaml:1: %.40s", text)
			}
			p := nightly()
			p.Name, _, _ = strings.Cut(name, " ")
			return []backup.Plan{p}, nil
		},
	}
}

// settle makes one tick of the schedule, and returns the names of the plans that were in force.
func (d *desk) settle() (plans.Active, string, error) {
	force, err := d.book.Reconcile(d.t.Context())
	report, scheduled := d.engine.Schedule(d.t.Context(), force.Plans)
	if scheduled == nil {
		d.book.Observe(report.ActivePlan)
	}
	return force, names(force), err
}

// pass makes a tick that must go well.
func (d *desk) pass() {
	d.t.Helper()
	if _, _, err := d.settle(); err != nil {
		d.t.Error(err)
	}
}

func names(f plans.Active) string {
	var all []string
	for _, p := range f.Plans {
		all = append(all, p.Name)
	}
	return strings.Join(all, " ")
}

// told returns the types and IDs of the events about the plan, each once, as a reader sees them that drops repeated IDs.
func (d *desk) told() []string {
	var all []string
	seen := map[string]bool{}
	for _, e := range d.storage.queue.Events() {
		if strings.HasPrefix(e.Type, "lifeboat.plan.") && !seen[e.ID] {
			seen[e.ID] = true
			all = append(all, strings.TrimPrefix(e.Type, "lifeboat.plan."))
		}
	}
	return all
}

// TestBrokenPlanLeavesTheLastGoodOneInForce: a broken edit stops nothing, in this process or in the next; it is published once;
// and a good text replaces it.
func TestBrokenPlanLeavesTheLastGoodOneInForce(t *testing.T) {
	d := newDesk(t, "good one")
	expect := func(when, plans, refused, told string) {
		t.Helper()
		force, got, err := d.settle()
		if err != nil || got != plans || (force.Refused == nil) != (refused == "") || force.Since.IsZero() {
			t.Fatalf("%s: %q in force since %s, refused %v, %v", when, got, force.Since, force.Refused, err)
		}
		current, err := d.book.Current(t.Context())
		if err != nil || names(current) != plans || (current.Refused == nil) != (refused == "") {
			t.Fatalf("%s: a caller finds %q in force, refused %v, %v", when, names(current), current.Refused, err)
		}
		if refused != "" && (!strings.Contains(current.Refused.Error(), refused) || current.RefusedSince.IsZero()) {
			t.Errorf("%s: refused since %s: %v", when, current.RefusedSince, current.Refused)
		}
		if got := strings.Join(d.told(), " "); got != told {
			t.Errorf("%s: told %q, want %q", when, got, told)
		}
	}
	expect("at first", "one", "", "")
	d.text = []byte("bad one")
	expect("broken", "one", "bad one", "refused")
	expect("still broken", "one", "bad one", "refused")
	d.restart()
	expect("broken, in a new process", "one", "bad one", "refused")
	d.text = []byte("bad two")
	expect("broken otherwise", "one", "bad two", "refused refused")
	d.text = []byte("bad one")
	expect("broken as at first", "one", "bad one", "refused refused")
	d.now = d.now.Add(time.Hour)
	d.text = []byte("good one")
	expect("healed", "one", "", "refused refused accepted")
	d.text = []byte("bad one")
	expect("the same mistake again", "one", "bad one", "refused refused accepted refused")
	d.text = []byte("good two")
	expect("healed by another plan", "two", "", "refused refused accepted refused accepted")
	d.err = errors.New("open plan.yaml: no such file or directory")
	expect("gone", "two", "no such file", "refused refused accepted refused accepted refused")
}

// TestUnreachablePlanIsNoRefusal: if storage gives no answer for the moment, the plan is not wrong, and nothing is published.
func TestUnreachablePlanIsNoRefusal(t *testing.T) {
	d := newDesk(t, "good one")
	d.pass()
	d.restart()
	d.err = &backup.Fault{Kind: backup.Deferred, Code: "PlanUnreachable", Message: "503"}
	for range 3 {
		if force, plans, err := d.settle(); err != nil || plans != "one" || force.Refused == nil {
			t.Errorf("%q in force, refused %v, %v", plans, force.Refused, err)
		}
	}
	if told := d.told(); len(told) > 0 {
		t.Errorf("told %q", told)
	}
}

// TestBrokenFirstPlan: without a last good plan the error is the error of plan.yaml, and it is published all the same.
func TestBrokenFirstPlan(t *testing.T) {
	d := newDesk(t, "bad")
	for range 2 {
		if _, plans, err := d.settle(); plans != "" || err == nil || !strings.Contains(err.Error(), "plan.yaml:1: bad") {
			t.Errorf("%q in force, %v", plans, err)
		}
	}
	if _, err := d.book.Current(t.Context()); err == nil || err.Error() != "plan.yaml:1: bad" {
		t.Errorf("a caller is told %v", err)
	}
	if told := d.told(); len(told) != 1 || told[0] != "refused" {
		t.Errorf("told %q", told)
	}
}

// TestSettledBookMakesNoRequest: a tick under a good plan costs only its two lists; under the same broken one it also asks which
// plan is in force.
func TestSettledBookMakesNoRequest(t *testing.T) {
	for text, want := range map[string]int{"good one": 2, "bad": 3} {
		d := newDesk(t, "good one")
		d.pass()
		d.text = []byte(text)
		d.pass()
		before := d.storage.calls
		d.pass()
		if n := d.storage.calls - before; n != want {
			t.Errorf("%s: %d requests for a tick, want %d", text, n, want)
		}
	}
}

// TestBookLearnsOfOthers: a book learns from the tick's own list that another process changed the row.
func TestBookLearnsOfOthers(t *testing.T) {
	d := newDesk(t, "good one")
	d.pass()
	other := newDesk(t, "good old")
	other.stage = d.stage
	other.restart()
	other.pass()
	d.pass() // sees it
	d.pass() // and puts it right
	d.text = []byte("bad")
	d.restart()
	if _, plans, err := d.settle(); err != nil || plans != "one" {
		t.Errorf("%q in force, %v", plans, err)
	}
}

// TestBookRemembersNoPlan: after a time without ticks a process uses the plan in force, and not the one that it remembers.
func TestBookRemembersNoPlan(t *testing.T) {
	for name, err := range map[string]error{
		"unreachable": &backup.Fault{Kind: backup.Deferred, Code: "PlanUnreachable", Message: "503"},
		"broken":      errors.New("open plan.yaml: no such file or directory"),
	} {
		d := newDesk(t, "good one")
		d.pass()
		d.err = err
		d.pass()
		other := newDesk(t, "good two")
		other.stage = d.stage
		other.restart()
		other.pass()
		if _, plans, err := d.settle(); err != nil || plans != "two" {
			t.Errorf("%s: %q in force, %v", name, plans, err)
		}
	}
}

// TestBookSurvivesDeathAnywhere: the process dies at each of its requests, before or after it took effect. The next process ends
// up in the same state.
func TestBookSurvivesDeathAnywhere(t *testing.T) {
	for _, edit := range []string{"bad", "good two"} {
		for _, made := range []bool{false, true} {
			for at := 1; ; at++ {
				d := newDesk(t, "good one")
				d.pass()
				d.text = []byte("bad at first")
				d.pass()
				d.text = []byte(edit)
				d.storage.failAt, d.storage.made = d.storage.calls+at, made
				if _, _, err := d.settle(); err == nil && d.storage.calls < d.storage.failAt {
					break
				}
				d.storage.failAt = 0
				d.restart()
				if _, plans, err := d.settle(); err != nil || edit == "bad" && plans != "one" {
					t.Errorf("%.8s, died at request %d (made: %t): %.8s in force, %v", edit, at, made, plans, err)
				}
				want := "refused accepted"
				if edit == "bad" {
					want = "refused refused"
				}
				if told := strings.Join(d.told(), " "); told != want {
					t.Errorf("%.8s, died at request %d (made: %t): told %q", edit, at, made, told)
				}
				// The text is whole: a new process can go back to it.
				d.text = []byte("bad at last")
				d.restart()
				if _, plans, err := d.settle(); err != nil || plans == "" || edit == "good two" && plans != "two" {
					t.Errorf("%.8s, died at request %d (made: %t): then %.8s in force, %v", edit, at, made, plans, err)
				}
			}
		}
	}
}

// TestBookKeepsLongTexts: a text of many columns, in more than one row, comes back as it was.
func TestBookKeepsLongTexts(t *testing.T) {
	d := newDesk(t, "good long "+strings.Repeat("é€😀", 90_000))
	d.pass()
	d.text = []byte("bad")
	d.restart()
	if _, plans, err := d.settle(); err != nil || plans != "long" {
		t.Errorf("%q in force, %v", plans, err)
	}
	if n := d.rows("plan"); n < 3 {
		t.Errorf("%d rows, one of them the watermark: the text should need more than one", n)
	}
}

// TestOnDemandKeepWithin: a manual backup is kept for as long as its plan says for manual ones.
func TestOnDemandKeepWithin(t *testing.T) {
	s := newStage(t)
	plan := nightly()
	plan.OnDemandKeepWithin = 7 * 24 * time.Hour
	run, err := s.engine.Backup(t.Context(), engine.Request{ID: "one", Plan: plan, Target: target})
	if err != nil || run.Settings.KeepWithin != 7*24*time.Hour {
		t.Errorf("kept for %s, %v", run.Settings.KeepWithin, err)
	}
	if run := s.ask("two"); run.Settings.KeepWithin != 30*24*time.Hour {
		t.Errorf("without a word about it kept for %s", run.Settings.KeepWithin)
	}
}
