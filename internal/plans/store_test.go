package plans_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/event"
	"lifeboat/internal/plans"
	"lifeboat/internal/schedule"
	"lifeboat/internal/testing/memory"
)

var (
	begin     = time.Date(2026, 1, 15, 2, 30, 0, 0, time.UTC)
	errBroken = errors.New("the connection broke")
)

// faulty is a catalog that counts the store's requests, and makes one of them fail, or every one.
type faulty struct {
	*memory.Catalog
	calls int
	// failAt is the number of the request that fails, counted from 1; made says whether it takes effect all the same.
	failAt int
	made   bool
	every  bool
	// race happens once, just before the row of the active plan is written.
	race func()
}

// next counts a request, and says whether it fails.
func (c *faulty) next() (fails bool) {
	c.calls++
	return c.every || c.calls == c.failAt
}

func (c *faulty) Get(ctx context.Context, key backup.Key) (backup.Row, time.Time, error) {
	if c.next() {
		return backup.Row{}, time.Time{}, errBroken
	}
	return c.Catalog.Get(ctx, key)
}

func (c *faulty) List(ctx context.Context, partition, from, to string, limit int) ([]backup.Row, time.Time, error) {
	if c.next() {
		return nil, time.Time{}, errBroken
	}
	return c.Catalog.List(ctx, partition, from, to, limit)
}

func (c *faulty) Apply(ctx context.Context, writes ...backup.Write) ([]string, error) {
	if race := c.race; race != nil && slices.ContainsFunc(writes, func(w backup.Write) bool { return w.Key == backup.ActivePlanKey }) {
		c.race = nil
		race()
	}
	if c.next() {
		if c.made {
			_, _ = c.Catalog.Apply(ctx, writes...)
		}
		return nil, errBroken
	}
	return c.Catalog.Apply(ctx, writes...)
}

// nightly is "30 2 * * *".
var nightly = func() schedule.Schedule {
	e, err := schedule.Parse("30 2 * * *")
	if err != nil {
		panic(err)
	}
	return e.In(time.UTC)
}()

// desk is plan.yaml under a person's hands, with the book that reads it. A text "good <name> <targets>" is one plan of that name.
type desk struct {
	t       *testing.T
	now     time.Time
	catalog *faulty
	text    []byte
	err     error
	book    *plans.Store
	// sent are the events that runs have taken out of the outbox.
	sent []backup.Event
}

func newDesk(t *testing.T, text string) *desk {
	d := &desk{t: t, now: begin, text: []byte(text)}
	d.catalog = &faulty{Catalog: memory.NewCatalog(func() time.Time { return d.now })}
	d.restart()
	return d
}

// another returns another process on the same catalog, with its own plan.yaml.
func (d *desk) another(text string) *desk {
	other := &desk{t: d.t, catalog: d.catalog, text: []byte(text)}
	other.restart()
	return other
}

// restart replaces the process by a new one, which remembers nothing.
func (d *desk) restart() {
	d.book = &plans.Store{
		Catalog: d.catalog,
		Read:    func(context.Context) ([]byte, error) { return d.text, d.err },
		Parse: func(text []byte) ([]backup.Plan, error) {
			name, ok := strings.CutPrefix(string(text), "good ")
			if !ok {
				return nil, fmt.Errorf("plan.yaml:1: %.40s", text)
			}
			name, targets, _ := strings.Cut(name, " ")
			p := backup.Plan{Name: name, Targets: strings.Fields(targets), Expression: "30 2 * * *", Schedule: nightly}
			p.Settings.KeepWithin = 20 * 24 * time.Hour
			return []backup.Plan{p}, nil
		},
	}
}

// settle makes one timer run of the schedule, and returns the names of the plans that were active. As the engine does, the
// timer run gives the store the row of the active plan, and sends the events.
func (d *desk) settle() (plans.Active, string, error) {
	d.t.Helper()
	active, err := d.book.Reconcile(d.t.Context())
	row, _, missing := d.catalog.Catalog.Get(d.t.Context(), backup.ActivePlanKey)
	if missing != nil && !errors.Is(missing, backup.ErrNotFound) {
		d.t.Fatal(missing)
	}
	d.book.Observe(row)
	d.send()
	return active, names(active), err
}

// send takes the events out of the outbox.
func (d *desk) send() {
	d.t.Helper()
	rows, _, err := d.catalog.Catalog.List(d.t.Context(), backup.SchedulePartition, backup.OutboxPrefix, backup.Behind(backup.OutboxPrefix), 1000)
	if err != nil {
		d.t.Fatal(err)
	}
	events, err := event.ReadOutbox(rows)
	if err != nil {
		d.t.Fatal(err)
	}
	if len(events) == 0 {
		return
	}
	if _, err := d.catalog.Catalog.Apply(d.t.Context(), event.Sent(backup.SchedulePartition, events)...); err != nil {
		d.t.Fatal(err)
	}
	d.sent = append(d.sent, events...)
}

// pass makes a timer run that must go well.
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

// told returns the types of the events about the plan, each once, as a reader sees them that drops repeated IDs. An event that is
// still in the outbox counts.
func (d *desk) told() []string {
	d.t.Helper()
	d.send()
	var all []string
	seen := map[string]bool{}
	for _, e := range d.sent {
		if strings.HasPrefix(e.Type, "lifeboat.plan.") && e.Type != "lifeboat.plan.changed" && !seen[e.ID] {
			seen[e.ID] = true
			all = append(all, strings.TrimPrefix(e.Type, "lifeboat.plan."))
		}
	}
	return all
}

// TestBrokenPlanLeavesTheLastGoodOneActive: a broken edit stops nothing, in this process or in the next; it is published once;
// and a good text replaces it.
func TestBrokenPlanLeavesTheLastGoodOneActive(t *testing.T) {
	d := newDesk(t, "good one")
	expect := func(when, plans, refused, told string) {
		t.Helper()
		active, got, err := d.settle()
		if err != nil || got != plans || (active.Refused == nil) != (refused == "") || active.Since.IsZero() {
			t.Fatalf("%s: %q active since %s, refused %v, %v", when, got, active.Since, active.Refused, err)
		}
		current, err := d.book.Current(t.Context())
		if err != nil || names(current) != plans || (current.Refused == nil) != (refused == "") {
			t.Fatalf("%s: a caller finds %q active, refused %v, %v", when, names(current), current.Refused, err)
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
	d.err = &backup.Fault{Kind: backup.Retryable, Code: "PlanUnreachable", Message: "503"}
	for range 3 {
		if active, plans, err := d.settle(); err != nil || plans != "one" || active.Refused == nil {
			t.Errorf("%q active, refused %v, %v", plans, active.Refused, err)
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
			t.Errorf("%q active, %v", plans, err)
		}
	}
	if _, err := d.book.Current(t.Context()); err == nil || err.Error() != "plan.yaml:1: bad" {
		t.Errorf("a caller is told %v", err)
	}
	if told := d.told(); len(told) != 1 || told[0] != "refused" {
		t.Errorf("told %q", told)
	}
}

// TestSettledBookMakesNoRequest: a timer run under a good plan costs no request of its own; under the same broken one it asks
// which plan is active.
func TestSettledBookMakesNoRequest(t *testing.T) {
	for text, want := range map[string]int{"good one": 0, "bad": 1} {
		d := newDesk(t, "good one")
		d.pass()
		d.text = []byte(text)
		d.pass()
		before := d.catalog.calls
		d.pass()
		if n := d.catalog.calls - before; n != want {
			t.Errorf("%s: %d requests for a timer run, want %d", text, n, want)
		}
	}
}

// TestBookLearnsOfOthers: a book learns from a timer run's own read that another process changed the row.
func TestBookLearnsOfOthers(t *testing.T) {
	d := newDesk(t, "good one")
	d.pass()
	d.another("good old").pass()
	d.pass() // sees it
	d.pass() // and puts it right
	d.text = []byte("bad")
	d.restart()
	if _, plans, err := d.settle(); err != nil || plans != "one" {
		t.Errorf("%q active, %v", plans, err)
	}
}

// TestTheSlowerTimerRunKnowsNoTime: of two timer runs that find an edit at once, one saves it. The other one has its plans, and not the time
// of the text before it.
func TestTheSlowerTimerRunKnowsNoTime(t *testing.T) {
	d := newDesk(t, "good a")
	d.pass()
	d.now = begin.Add(time.Hour)
	d.catalog.race = d.another("good b").pass
	slow := d.another("good b").book
	active, err := slow.Reconcile(t.Context())
	if err != nil || names(active) != "b" || !active.Since.IsZero() {
		t.Errorf("the slower one: %+v, %v", active, err)
	}
	if active, err = slow.Reconcile(t.Context()); err != nil || !active.Since.Equal(d.now) {
		t.Errorf("the next timer run: %+v, %v", active, err)
	}
}

// TestBookRemembersNoPlan: after a time without timer runs a process uses the active plan, and not the one that it remembers.
func TestBookRemembersNoPlan(t *testing.T) {
	for name, err := range map[string]error{
		"unreachable": &backup.Fault{Kind: backup.Retryable, Code: "PlanUnreachable", Message: "503"},
		"broken":      errors.New("open plan.yaml: no such file or directory"),
	} {
		d := newDesk(t, "good one")
		d.pass()
		d.err = err
		d.pass()
		d.another("good two").pass()
		if _, plans, err := d.settle(); err != nil || plans != "two" {
			t.Errorf("%s: %q active, %v", name, plans, err)
		}
	}
}

// TestBookSurvivesDeathAnywhere: the process dies at each of its requests, before or after it took effect. The next process ends
// up in the same state.
func TestBookSurvivesDeathAnywhere(t *testing.T) {
	for _, c := range []struct {
		edit string
		made bool
		// sends: the timer run goes on in spite of the error, and sends the events.
		sends bool
	}{
		{"bad", false, true},
		{"bad", true, true},
		{"bad", false, false},
		{"bad", true, false},
		{"good two", false, true},
		{"good two", true, true},
		{"good two", false, false},
		{"good two", true, false},
	} {
		for at := 1; ; at++ {
			d := newDesk(t, "good one")
			d.pass()
			d.text = []byte("bad at first")
			d.pass()
			d.text = []byte(c.edit)
			d.catalog.failAt, d.catalog.made = d.catalog.calls+at, c.made
			_, err := d.book.Reconcile(t.Context())
			if c.sends {
				d.send()
			}
			if err == nil && d.catalog.calls < d.catalog.failAt {
				if at < 4 {
					t.Errorf("%+v: died at %d requests only", c, at-1)
				}
				break
			}
			d.catalog.failAt = 0
			d.restart()
			if _, plans, err := d.settle(); err != nil || c.edit == "bad" && plans != "one" {
				t.Errorf("%+v, died at request %d: %.8s active, %v", c, at, plans, err)
			}
			want := "refused accepted"
			if c.edit == "bad" {
				want = "refused refused"
			}
			if told := strings.Join(d.told(), " "); told != want {
				t.Errorf("%+v, died at request %d: told %q", c, at, told)
			}
			// The text is whole: a new process can go back to it.
			d.text = []byte("bad at last")
			d.restart()
			if _, plans, err := d.settle(); err != nil || plans == "" || c.edit == "good two" && plans != "two" {
				t.Errorf("%+v, died at request %d: then %.8s active, %v", c, at, plans, err)
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
		t.Errorf("%q active, %v", plans, err)
	}
	n := 0
	for _, row := range d.catalog.Rows() {
		if row.Partition == "plan" {
			n++
		}
	}
	if n < 2 {
		t.Errorf("%d rows: the text should need more than one", n)
	}
}

// TestAKeptPlanThatWasChangedIsNotUsed: another program wrote to the table.
func TestAKeptPlanThatWasChangedIsNotUsed(t *testing.T) {
	for _, change := range []func(body string) string{
		func(body string) string { return strings.Replace(body, "good one", "good two", 1) },
		func(string) string { return `{}` },
	} {
		d := newDesk(t, "good one")
		d.pass()
		for _, row := range d.catalog.Rows() {
			if row.Partition == "plan" {
				w := backup.Write{Op: backup.Put, Key: row.Key, Body: []byte(change(string(row.Body)))}
				if _, err := d.catalog.Catalog.Apply(t.Context(), w); err != nil {
					t.Fatal(err)
				}
			}
		}
		d.text = []byte("bad")
		d.restart()
		if active, err := d.book.Current(t.Context()); err == nil || len(active.Plans) > 0 {
			t.Errorf("active is %q, %v", names(active), err)
		}
	}
}

// TestARefusedPlanIsToldOnceHoweverOftenTheTimerRunDies: a timer run that dies before its save publishes nothing, and the event
// has the same ID at any time at which the text is found.
func TestARefusedPlanIsToldOnceHoweverOftenTheTimerRunDies(t *testing.T) {
	for _, edit := range []string{"bad", "good two"} {
		var ids []string
		for deaths := range 4 {
			d := newDesk(t, "good one")
			d.pass()
			if edit == "good two" {
				d.text = []byte("bad at first")
				d.pass()
			}
			told := len(d.told())
			d.text = []byte(edit)
			for range deaths {
				d.now = d.now.Add(time.Minute)
				d.restart()
				d.catalog.every = true
				_, _ = d.book.Reconcile(t.Context())
				d.catalog.every = false
				if now := d.told(); len(now) != told {
					t.Errorf("%s: died, and told %q", edit, now)
				}
			}
			d.restart()
			d.pass()
			d.pass()
			if now := d.told(); len(now) != told+1 {
				t.Errorf("%s: told %q", edit, now)
			}
			ids = append(ids, d.sent[len(d.sent)-1].ID)
		}
		if slices.Sort(ids); ids[0] != ids[3] {
			t.Errorf("%s: the same event has the IDs %q", edit, ids)
		}
	}
}

// TestSinceWhenAPlanIsRefused: the time is that at which a timer run saw this text, and no other one.
func TestSinceWhenAPlanIsRefused(t *testing.T) {
	d := newDesk(t, "good one")
	d.pass()
	d.now = begin.Add(time.Hour)
	d.text = []byte("bad")
	d.pass()
	d.now = begin.Add(2 * time.Hour)
	for text, since := range map[string]time.Time{"bad": begin.Add(time.Hour), "bad in another way": {}} {
		d.text = []byte(text)
		active, err := d.book.Current(t.Context())
		if err != nil || !active.RefusedSince.Equal(since) || !active.Since.Equal(begin) || active.Refused == nil || names(active) != "one" {
			t.Errorf("%q: refused since %s, active since %s, %v", text, active.RefusedSince, active.Since, err)
		}
	}
	d.text = []byte("good one")
	d.pass()
	d.text = []byte("bad") // as before: published again, since a good text came in between
	d.pass()
	if told := strings.Join(d.told(), " "); told != "refused accepted refused" {
		t.Errorf("told %s", told)
	}
}

// TestReadHead: a missing row is the zero value, an unreadable row is an error, and members of a newer version stay.
func TestReadHead(t *testing.T) {
	for _, test := range []struct {
		name, etag, body string
		want             string // the hash
		again            string // the body that is written back
		err              error
	}{
		{"no row", "", `{"Hash":"h"}`, "", `{"Hash":""}`, nil},
		{"never a good text", "etag", `{"Refused":"r","RefusedSince":"2026-01-15T02:30:00Z"}`, "", `{"Refused":"r","RefusedSince":"2026-01-15T02:30:00Z"}`, nil},
		{"active", "etag", `{"Hash":"h","Since":"2026-01-15T02:30:00Z"}`, "h", `{"Hash":"h","Since":"2026-01-15T02:30:00Z"}`, nil},
		{"of a newer version", "etag", `{"Hash":"h","New":[1]}`, "h", `{"Hash":"h","New":[1]}`, nil},
		{"of a time that is none", "etag", `{"Hash":"h","Since":"never"}`, "", "", backup.ErrUnreadable},
	} {
		t.Run(test.name, func(t *testing.T) {
			head, err := plans.ReadHead(backup.Row{Key: backup.ActivePlanKey, ETag: test.etag, Body: []byte(test.body)})
			if !errors.Is(err, test.err) || err == nil && head.Hash != test.want {
				t.Fatalf("%+v, %v", head, err)
			}
			if err == nil && test.etag != "" && string(backup.Encode(head)) != test.again {
				t.Errorf("written back as %s", backup.Encode(head))
			}
		})
	}
}

// TestObserve: a store that was given the row makes no request for it. A row that cannot be read changes nothing that it knows.
func TestObserve(t *testing.T) {
	for _, test := range []struct {
		name  string
		row   func(row backup.Row) backup.Row
		calls int
	}{
		{"the row", func(row backup.Row) backup.Row { return row }, 0},
		{"no row", func(backup.Row) backup.Row { return backup.Row{} }, 1},
		{"a row that cannot be read", func(row backup.Row) backup.Row { row.Body = []byte(`{"Since":"never"}`); return row }, 1},
		{"the row, and then one that cannot be read", nil, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := newDesk(t, "good one")
			d.pass()
			row, _, err := d.catalog.Catalog.Get(t.Context(), backup.ActivePlanKey)
			if err != nil {
				t.Fatal(err)
			}
			d.restart()
			if test.row == nil {
				d.book.Observe(row)
				row.Body = []byte(`{"Since":"never"}`)
				d.book.Observe(row)
			} else {
				d.book.Observe(test.row(row))
			}
			before := d.catalog.calls
			active, err := d.book.Reconcile(t.Context())
			if n := d.catalog.calls - before; err != nil || names(active) != "one" || n != test.calls {
				t.Errorf("%q active after %d requests, want %d; %v", names(active), n, test.calls, err)
			}
		})
	}
}

// TestCurrentChangesNothing: a caller writes no row, under a good text and under a broken one, before the first timer run and
// after it.
func TestCurrentChangesNothing(t *testing.T) {
	for _, test := range []struct {
		text, want string
		ran        bool
		calls      int
	}{
		{"good two", "two", false, 0}, {"good two", "two", true, 0}, {"bad", "", false, 1}, {"bad", "one", true, 2},
	} {
		d := newDesk(t, "good one")
		if test.ran {
			d.pass()
		}
		before := fmt.Sprint(d.catalog.Rows())
		d.text = []byte(test.text)
		d.restart()
		d.catalog.calls = 0
		active, err := d.book.Current(t.Context())
		if names(active) != test.want || (err == nil) != (test.want != "") || d.catalog.calls != test.calls {
			t.Errorf("%s, ran: %t: %q active after %d requests, %v", test.text, test.ran, names(active), d.catalog.calls, err)
		}
		if after := fmt.Sprint(d.catalog.Rows()); after != before {
			t.Errorf("%s, ran: %t: the rows were %s and are %s", test.text, test.ran, before, after)
		}
	}
}
