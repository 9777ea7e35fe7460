package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/health"
	"lifeboat/internal/plans"
)

// editable gives the engine a plan.yaml whose text lists the targets of the plan nightly, each by its end.
func (s *harness) editable(text *string) *plans.Store {
	book := &plans.Store{
		App:     s.engine.App,
		Catalog: s.storage,
		Read:    func(context.Context) ([]byte, error) { return []byte(*text), nil },
		Parse: func(text []byte) ([]backup.Plan, error) {
			p := nightly()
			p.Targets, p.Expression = nil, "30 2 * * *"
			for name := range strings.FieldsSeq(string(text)) {
				if name, ok := strings.CutPrefix(name, "plan:"); ok {
					p.Name = name
					continue
				}
				p.Targets = append(p.Targets, target+name)
			}
			return []backup.Plan{p}, nil
		},
	}
	s.engine.Left = book.Left
	return book
}

// published returns the data of the events of the type, by their IDs.
func (s *harness) published(kind string) map[string]string {
	all := map[string]string{}
	for _, e := range s.storage.queue.Events() {
		if e.Type == kind {
			all[e.ID] = e.Subject + " " + string(e.Data)
		}
	}
	return all
}

// alarmed makes two targets unprotected, which were backed up once.
func alarmed(t *testing.T, text *string) (*harness, *plans.Store) {
	t.Helper()
	plan := nightly()
	plan.Targets = []string{target + "-a", target + "-b"}
	s := rotten(t, plan)
	*text = "-a -b"
	book := s.editable(text)
	s.settle(book)
	s.now = begin.Add(3*day + 2*time.Hour)
	s.settle(book)
	s.finish()
	if ids, _ := s.alarms(); len(ids) != 2 {
		t.Fatalf("alarms %v", ids)
	}
	return s, book
}

// TestAnAlarmAboutWhatHasLeftIsTakenBack: a target leaves its plan, or the whole plan gets another name, and each request of the timer run
// that sees it fails, before or after it took effect. One event takes the alarm back, and names it; the alarm of a target that stays
// holds. If the target comes back and is still unprotected, that is another alarm.
func TestAnAlarmAboutWhatHasLeftIsTakenBack(t *testing.T) {
	for edit, gone := range map[string][]string{"-b": {"-a"}, "plan:renamed -a -b": {"-a", "-b"}} {
		for _, made := range []bool{false, true} {
			for k := 1; ; k++ {
				var text string
				s, book := alarmed(t, &text)
				first, _ := s.alarms()
				text = edit
				s.now = s.now.Add(time.Minute)
				s.storage.calls, s.storage.failAt, s.storage.made = 0, k, made
				active, _ := book.Reconcile(t.Context())
				_, _ = s.engine.Schedule(t.Context(), active.Plans)
				s.storage.failAt = 0
				reached := s.storage.calls >= k
				for range 3 {
					s.now = s.now.Add(time.Minute)
					s.settle(book)
				}
				left := s.published("lifeboat.target.left")
				if len(left) != len(gone) {
					t.Errorf("%s, call %d, made %t: told %v", edit, k, made, left)
				}
				for id, data := range left {
					_, data, _ := strings.Cut(data, " ")
					var said struct{ Target, Plan, Alarm string }
					err := json.Unmarshal([]byte(data), &said)
					if err != nil || said.Plan != "nightly" || first[said.Alarm] == 0 || id != "left-"+strings.TrimPrefix(said.Alarm, "unprotected-") ||
						!slices.Contains(gone, strings.TrimPrefix(said.Target, target)) || !strings.Contains(data, `"lastVerified":{"id":"`) {
						t.Errorf("%s, call %d, made %t: told %s %s, of the alarms %v", edit, k, made, id, data, first)
					}
				}
				text = "-a -b"
				for range 2 {
					s.now = s.now.Add(day)
					s.settle(book)
					s.finish()
				}
				again := 0
				alarms, _ := s.alarms()
				for id := range alarms {
					if first[id] == 0 && strings.HasPrefix(id, "unprotected-nightly.") {
						again++
					}
				}
				if again != len(gone) {
					t.Errorf("%s, call %d, made %t: back and unprotected, alarms %v after %v", edit, k, made, alarms, first)
				}
				if !reached {
					if k < 8 {
						t.Errorf("%s: only %d calls", edit, k-1)
					}
					break
				}
			}
		}
	}
}

// TestNoAlarmIsTakenBackThatDoesNotHold: a target that is protected leaves without an event, and a timer run after the edit costs nothing more.
func TestNoAlarmIsTakenBackThatDoesNotHold(t *testing.T) {
	s, text := newHarness(t), "-a -b"
	book := s.editable(&text)
	s.settle(book)
	s.now = begin.Add(day)
	s.settle(book)
	s.finish()
	text = "-b"
	s.now = s.now.Add(time.Minute)
	s.settle(book)
	s.now = s.now.Add(time.Minute)
	s.settle(book)
	s.storage.calls = 0
	s.now = s.now.Add(time.Minute)
	s.settle(book)
	if left := s.published("lifeboat.target.left"); len(left) > 0 || s.storage.calls != 2 {
		t.Errorf("told %v, and an idle timer run makes %d requests", left, s.storage.calls)
	}
}

// TestHealthNamesWhatHasLeft: for seven days, with the newest recovery point. A target that another plan has, or that came back, has not left.
func TestHealthNamesWhatHasLeft(t *testing.T) {
	s, text := newHarness(t), "-a -b"
	book := s.editable(&text)
	s.settle(book)
	s.now = begin.Add(day)
	s.settle(book)
	s.finish()
	look := func() (names []string) {
		t.Helper()
		active, err := book.Current(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, timers, err := s.engine.Health(t.Context(), active)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range timers.Departed {
			names = append(names, strings.TrimPrefix(d.Target, target))
			if d.Plan != "nightly" || d.Point == nil || !strings.HasPrefix(d.Point.ID, backup.Partition(d.Target)) {
				t.Errorf("%+v", d)
			}
		}
		return names
	}
	text = "-b"
	if got := look(); !slices.Equal(got, []string{"-a"}) {
		t.Errorf("before a timer run has seen the edit: %q", got)
	}
	left := s.now
	s.settle(book)
	for after, want := range map[time.Duration][]string{0: {"-a"}, 7*day - time.Second: {"-a"}, 7 * day: nil} {
		s.now = left.Add(after)
		if got := look(); !slices.Equal(got, want) {
			t.Errorf("after %s: %q", after, got)
		}
	}
	s.now, text = left.Add(day), "plan:renamed -a -b"
	s.settle(book)
	if got := look(); got != nil {
		t.Errorf("with all targets in a plan of another name: %q", got)
	}
}

// TestAnUnreadTargetThatHasLeftHidesNoOther: storage does not answer for a target that has left plan.yaml days ago. Health shows the
// targets that are there.
func TestAnUnreadTargetThatHasLeftHidesNoOther(t *testing.T) {
	s, text := newHarness(t), "-a -b"
	book := s.editable(&text)
	s.settle(book)
	text = "-a"
	s.now = s.now.Add(time.Hour)
	s.settle(book)
	active, err := book.Current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	catalog := &counting{Catalog: s.storage.catalog}
	reader := *s.engine
	reader.Catalog = catalog
	look := func() ([]health.TargetHealth, health.TimersHealth, error) { return reader.Health(t.Context(), active) }
	if targets, rest, err := look(); err != nil || len(targets) != 1 || len(rest.Departed) != 1 {
		t.Fatalf("before: %+v, %+v, %v", targets, rest.Departed, err)
	}
	catalog.fail = backup.Partition(target + "-b")
	if targets, _, err := look(); err != nil || len(targets) != 1 {
		t.Errorf("one target that has left cannot be read: %d targets, %v", len(targets), err)
	}
}

// TestWhatHasLeftCostsNoRequestEach: sixty targets have left plan.yaml; health asks for none of them by itself.
func TestWhatHasLeftCostsNoRequestEach(t *testing.T) {
	s, text := newHarness(t), "-a"
	for n := range 60 {
		text += fmt.Sprint(" -", n)
	}
	book := s.editable(&text)
	s.settle(book)
	text = "-a"
	s.now = s.now.Add(time.Hour)
	s.settle(book)
	active, err := book.Current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	catalog := &counting{Catalog: s.storage.catalog}
	reader := *s.engine
	reader.Catalog = catalog
	if _, rest, err := reader.Health(t.Context(), active); err != nil || len(rest.Departed) != 60 || catalog.n > 10 {
		t.Errorf("%d requests for one target, and %d that have left: %v", catalog.n, len(rest.Departed), err)
	}
}

// TestAnUnreadTargetThatHasLeftStopsNoAlarm: two targets are unprotected; one leaves plan.yaml, and storage does not answer for it. The other
// one is backed up: an event ends its alarm.
func TestAnUnreadTargetThatHasLeftStopsNoAlarm(t *testing.T) {
	var text string
	s, book := alarmed(t, &text)
	text = "-b"
	catalog := &counting{Catalog: s.storage.catalog, fail: backup.Partition(target + "-a")}
	s.engine.Catalog = catalog
	s.provider.begin = nil
	plan := nightly()
	plan.Targets = []string{target + "-b"}
	if _, err := s.backup("by hand", plan, target+"-b"); err != nil {
		t.Fatal(err)
	}
	s.provider.hash = nil
	s.finish()
	for range 60 {
		s.now = s.now.Add(time.Minute)
		active, _ := book.Reconcile(t.Context())
		_, _ = s.engine.Schedule(t.Context(), active.Plans)
	}
	if over := s.published("lifeboat.target.protected"); len(over) != 1 {
		t.Errorf("told that %d alarms are over", len(over))
	}
}

// TestATargetThatComesBackHasItsFirstInterval: a target leaves its plan for a week, and comes back. It is not unprotected before the
// plan can have backed it up.
func TestATargetThatComesBackHasItsFirstInterval(t *testing.T) {
	s, text := newHarness(t), "-a -b"
	book := s.editable(&text)
	s.settle(book)
	night := func() {
		s.now = s.now.Truncate(day).Add(day + 2*time.Hour + 31*time.Minute)
		s.settle(book)
		s.finish()
		s.now = s.now.Add(time.Hour)
		s.settle(book)
	}
	night()
	text = "-a"
	for range 7 {
		night()
	}
	text = "-a -b"
	s.now = s.now.Add(time.Hour)
	s.settle(book)
	active, err := book.Current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	targets, _, err := s.engine.Health(t.Context(), active)
	if err != nil || len(targets) != 2 {
		t.Fatal(targets, err)
	}
	if h := targets[1]; h.Status == health.Unprotected {
		t.Errorf("back for an instant: %s, deadline %s, %+v", h.Status, h.Deadline, h.Reason)
	}
	s.now = s.now.Add(15 * time.Minute)
	s.settle(book)
	if ids, _ := s.alarms(); len(ids) > 0 {
		t.Errorf("alarms %v", ids)
	}
}

// TestATargetThatComesBackUnprotectedStaysSo: a target is unprotected when it leaves its plan, and comes back a minute later: once, and again.
func TestATargetThatComesBackUnprotectedStaysSo(t *testing.T) {
	var text string
	s, book := alarmed(t, &text)
	for range 3 {
		for _, text = range []string{"-b", "-a -b"} {
			s.now = s.now.Add(time.Minute)
			s.settle(book)
		}
		active, err := book.Current(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		targets, _, err := s.engine.Health(t.Context(), active)
		if err != nil || len(targets) != 2 || targets[0].Status != health.Unprotected {
			t.Errorf("back: %+v, %v", targets, err)
		}
	}
}

// TestAMarkedTargetThatHasLeftIsShownAsUnread: a target that has left has changed since, and storage does not answer for it. Health shows it
// with the reason, beside the targets that are there.
func TestAMarkedTargetThatHasLeftIsShownAsUnread(t *testing.T) {
	s, text := newHarness(t), "-a -b"
	book := s.editable(&text)
	s.settle(book)
	text = "-a"
	s.now = s.now.Add(time.Hour)
	s.settle(book)
	active, err := book.Current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.storage.catalog.Apply(t.Context(), health.Mark(target+"-b")); err != nil {
		t.Fatal(err)
	}
	reader := *s.engine
	reader.Catalog = &counting{Catalog: s.storage.catalog, fail: backup.Partition(target + "-b")}
	targets, rest, err := reader.Health(t.Context(), active)
	if err != nil || len(targets) != 1 || len(rest.Departed) != 1 || rest.Departed[0].Reason().Code != "TargetUnread" {
		t.Errorf("%d targets, %+v, %v", len(targets), rest.Departed, err)
	}
}
