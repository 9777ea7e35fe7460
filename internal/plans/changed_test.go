package plans_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/plans"
)

// edits returns the data of the events about edits, by their IDs.
func (d *desk) edits() map[string]string {
	d.t.Helper()
	d.send()
	all := map[string]string{}
	for _, e := range d.sent {
		if e.Type == "lifeboat.plan.changed" {
			all[e.ID] = string(e.Data)
		}
	}
	return all
}

// head returns the row of the active plan.
func (d *desk) head() plans.Head {
	d.t.Helper()
	row, _, err := d.catalog.Catalog.Get(d.t.Context(), backup.ActivePlanKey)
	if err != nil {
		d.t.Fatal(err)
	}
	head, err := plans.ReadHead(row)
	if err != nil {
		d.t.Fatal(err)
	}
	return head
}

// TestAnEditIsToldOnceHoweverItsTimerRunDies: the process dies at each request of the timer run that makes an edit active, before or after
// the request took effect. There is one event, with what has changed, and it is there if the text is active. The same edit at another
// time is another event.
func TestAnEditIsToldOnceHoweverItsTimerRunDies(t *testing.T) {
	for _, made := range []bool{false, true} {
		for at := 1; ; at++ {
			d := newDesk(t, "good one a b")
			d.pass()
			d.restart()
			d.now = d.now.Add(time.Hour)
			d.text = []byte("good one b")
			d.catalog.failAt, d.catalog.made = d.catalog.calls+at, made
			_, err := d.book.Reconcile(t.Context())
			if err == nil && d.catalog.calls < d.catalog.failAt {
				if at < 4 {
					t.Errorf("died at %d requests only", at-1)
				}
				break
			}
			d.catalog.failAt = 0
			if active := d.head().Hash == backup.Digest("good one b", 32); active != (len(d.edits()) == 1) {
				t.Errorf("died at request %d, made %t: active %t, told %v", at, made, active, d.edits())
			}
			d.restart()
			d.now = d.now.Add(time.Minute)
			d.pass()
			d.pass()
			told := d.edits()
			if len(told) != 1 {
				t.Errorf("died at request %d, made %t: told %v", at, made, told)
			}
			for _, data := range told {
				if !strings.Contains(data, `"~ plan one: - target a: no more scheduled times for it here"`) || !strings.Contains(data, `"attention":["targets"]`) {
					t.Errorf("died at request %d, made %t: told %s", at, made, data)
				}
			}
			for _, text := range []string{"good one a b", "good one b"} {
				d.now = d.now.Add(time.Hour)
				d.text = []byte(text)
				d.pass()
			}
			if told := d.edits(); len(told) != 3 {
				t.Errorf("the same edit at another time: told %v", told)
			}
		}
	}
}

// TestAnEditWithoutAnEffectIsNoEvent: nor is the first plan, and a text that comes back after a mistake.
func TestAnEditWithoutAnEffectIsNoEvent(t *testing.T) {
	d := newDesk(t, "good one a")
	for _, text := range []string{"good one a", "good one a ", "bad", "good one a "} {
		d.text = []byte(text)
		d.now = d.now.Add(time.Hour)
		d.pass()
		d.pass()
	}
	if told := d.edits(); len(told) > 0 {
		t.Errorf("told %v", told)
	}
	d.text = []byte("bad")
	d.pass()
	d.text = []byte("good two a")
	d.pass()
	if told := d.edits(); len(told) != 1 || !slices.Equal(d.told(), []string{"refused", "accepted", "refused", "accepted"}) {
		t.Errorf("told %v and %v", told, d.told())
	}
}

// TestAnEditOfATextThatIsGone: if the old text cannot be read, the new one becomes active all the same, and the event says so.
func TestAnEditOfATextThatIsGone(t *testing.T) {
	d := newDesk(t, "good one a")
	d.pass()
	for _, row := range d.catalog.Rows() {
		if row.Partition == "plan" {
			if _, err := d.catalog.Catalog.Apply(t.Context(), backup.Write{Op: backup.Delete, Key: row.Key, ETag: "*"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	d.restart()
	d.text = []byte("good two a")
	if _, active, err := d.settle(); err != nil || active != "two" {
		t.Errorf("%q active, %v", active, err)
	}
	for _, data := range d.edits() {
		if !strings.Contains(data, "! the changes cannot be told: ") || !strings.Contains(data, `"attention":["targets"]`) {
			t.Errorf("told %s", data)
		}
	}
	if len(d.edits()) != 1 {
		t.Errorf("told %v", d.edits())
	}
}

// TestAGreatEditFitsIntoItsEvent: a thousand targets go. The event has the lines that tell of it as far as there is room, and says how many
// it leaves out.
func TestAGreatEditFitsIntoItsEvent(t *testing.T) {
	var targets []string
	for i := range 1000 {
		targets = append(targets, fmt.Sprintf("/subscriptions/%0200d", i))
	}
	d := newDesk(t, "good one a "+strings.Join(targets, " "))
	d.pass()
	d.text = []byte("good one a")
	d.pass()
	for _, data := range d.edits() {
		var said struct {
			Changes []string
			Omitted int
		}
		if err := json.Unmarshal([]byte(data), &said); err != nil || len(data) > 32<<10 || len(said.Changes) < 50 || len(said.Changes)+said.Omitted != 4000 {
			t.Errorf("%d bytes, %d lines, %d left out, %v", len(data), len(said.Changes), said.Omitted, err)
		}
		for _, line := range said.Changes[:50] {
			if !strings.HasPrefix(line, "! no plan has the target /subscriptions/0") {
				t.Errorf("the event has %q before what is no longer backed up", line)
			}
		}
	}
	if len(d.edits()) != 1 {
		t.Errorf("told %v", d.edits())
	}
}

// TestWhatHasLeft checks that for seven days the store knows which targets have left which plan, in this process and in the next, and which of them no
// plan has, and since when a target is back.
func TestWhatHasLeft(t *testing.T) {
	d := newDesk(t, "good one a b c")
	d.pass()
	left := func() string {
		t.Helper()
		active, _, err := d.settle()
		if err != nil {
			t.Fatal(err)
		}
		all, err := d.book.Left(t.Context(), d.head(), active.Plans, d.now)
		if err != nil {
			t.Fatal(err)
		}
		var words []string
		for _, l := range all {
			word := fmt.Sprintf("%s/%s %s %t", l.Plan, l.Target, l.At.Sub(begin), l.Gone)
			if !l.Back.IsZero() {
				word += fmt.Sprint(" back ", l.Back.Sub(begin))
			}
			words = append(words, word)
		}
		return strings.Join(words, ", ")
	}
	expect := func(after time.Duration, text, want string) {
		t.Helper()
		d.now, d.text = begin.Add(after), []byte(text)
		for _, process := range []string{"this process", "the next"} {
			if got := left(); got != want {
				t.Errorf("after %s, in %s: %s, want %s", after, process, got, want)
			}
			d.restart()
		}
	}
	const day = 24 * time.Hour
	expect(0, "good one a b c", "")
	expect(day, "good one B c", "one/a 24h0m0s true")
	expect(2*day, "good one c", "one/B 48h0m0s true, one/a 24h0m0s true")
	expect(3*day, "good one a c", "one/B 48h0m0s true, one/a 24h0m0s false back 72h0m0s")
	expect(4*day, "bad", "one/B 48h0m0s true, one/a 24h0m0s false back 72h0m0s")
	expect(5*day, "good two a c", "one/a 120h0m0s false, one/c 120h0m0s false, one/B 48h0m0s true")
	expect(9*day-time.Second, "good two a c", "one/a 120h0m0s false, one/c 120h0m0s false, one/B 48h0m0s true")
	expect(9*day, "good two a c", "one/a 120h0m0s false, one/c 120h0m0s false")
	expect(12*day, "good two a c", "")
	expect(13*day, "good two a", "two/c 312h0m0s true")
	if n := len(d.head().Before); n != 1 {
		t.Errorf("the row has %d texts of the past", n)
	}
}

// TestAnOldTextThatIsRefusedNow: an upgrade may refuse a text that was active. Nothing is known of its plans, and no timer run fails for it;
// a text whose rows were changed is an error.
func TestAnOldTextThatIsRefusedNow(t *testing.T) {
	d := newDesk(t, "good one a b")
	d.pass()
	d.now, d.text = d.now.Add(time.Hour), []byte("good one b")
	d.pass()
	for _, upgraded := range []bool{false, true} {
		d.restart()
		if parse := d.book.Parse; upgraded {
			d.book.Parse = func(text []byte) ([]backup.Plan, error) {
				if string(text) == "good one a b" {
					return nil, errors.New("refused since this version")
				}
				return parse(text)
			}
		}
		active, _, err := d.settle()
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			left, err := d.book.Left(t.Context(), d.head(), active.Plans, d.now)
			if err != nil || (len(left) == 0) != upgraded {
				t.Errorf("upgraded %t: %+v, %v", upgraded, left, err)
			}
		}
	}
	key := backup.PlanTextKey(d.head().Before[0].Hash, 0)
	row, _, err := d.catalog.Catalog.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.catalog.Catalog.Apply(t.Context(), backup.Write{Op: backup.Delete, Key: key, ETag: row.ETag}); err != nil {
		t.Fatal(err)
	}
	d.restart()
	if _, err := d.book.Left(t.Context(), d.head(), nil, d.now); err == nil {
		t.Error("a text that is gone is no error")
	}
}

// TestATextIsPastForSevenDays: from then on the row does not know it either.
func TestATextIsPastForSevenDays(t *testing.T) {
	for _, c := range []struct {
		after time.Duration
		known int
	}{{plans.Remembered - time.Second, 2}, {plans.Remembered, 1}} {
		d := newDesk(t, "good one a")
		d.pass()
		d.text = []byte("good one b")
		d.pass()
		d.now, d.text = d.now.Add(c.after), []byte("good one c")
		d.pass()
		if head := d.head(); len(head.Before) != c.known || head.Before[0].Hash != backup.Digest("good one b", 32) {
			t.Errorf("after %s: %+v", c.after, head.Before)
		}
	}
}

// TestManyEditsFitIntoTheRow: the row knows the newest texts, and one that comes and goes counts once.
func TestManyEditsFitIntoTheRow(t *testing.T) {
	d := newDesk(t, "good one a")
	for i := range 200 {
		d.now = d.now.Add(time.Minute)
		d.text = []byte(fmt.Sprintf("good one b%d", i))
		d.pass()
	}
	if head := d.head(); len(head.Before) != 50 || head.Before[0].Hash != backup.Digest("good one b198", 32) {
		t.Errorf("%d texts: %+v", len(head.Before), head.Before)
	}
	d = newDesk(t, "good one a")
	for i := range 200 {
		d.now = d.now.Add(time.Minute)
		d.text = []byte([]string{"good one a", "good one b"}[i%2])
		d.pass()
	}
	if head := d.head(); len(head.Before) > 2 {
		t.Errorf("%d texts: %+v", len(head.Before), head.Before)
	}
}
