package engine_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/apps"
	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
	"lifeboat/internal/health"
	"lifeboat/internal/plans"
)

const (
	production = "contoso-app"
	staging    = "contoso-app/staging"
)

// member is an app on the storage of the harness. Its calls of the services are its own.
type member struct {
	*engine.Engine
	// calls are the calls of the services that it made, with their targets.
	calls []string
}

// cloud is the Azure that several apps see: each operation takes some minutes.
type cloud struct {
	s     *harness
	ends  map[string]time.Time
	began map[string]int
	// before is called before each start, unless it is nil.
	before func(target string)
}

func (s *harness) cloud() *cloud {
	return &cloud{s: s, ends: map[string]time.Time{}, began: map[string]int{}}
}

// app returns an app of that name.
func (c *cloud) app(name string) *member {
	e := c.s.another(0)
	m := &member{Engine: e}
	e.App = name
	ids := 0
	e.NewID = func() string {
		ids++
		return fmt.Sprintf("%s%d", strings.ReplaceAll(name, "/", "-"), ids)
	}
	note := func(call string, a backup.Attempt) { m.calls = append(m.calls, call+" "+a.Target) }
	e.Providers = map[string]backup.Provider{"microsoft.apimanagement/service": &fakeProvider{
		stage: c.s,
		ready: func(a backup.Attempt) error { note("ready", a); return nil },
		begin: func(a backup.Attempt) (backup.Operation, error) {
			note("begin", a)
			if c.before != nil {
				c.before(a.Target)
			}
			c.ends[a.Target] = c.s.now.Add(8 * time.Minute)
			c.began[a.Target]++
			return backup.Operation{Token: "token"}, nil
		},
		poll: func(a backup.Attempt) (backup.Operation, error) {
			note("poll", a)
			return backup.Operation{Token: "token", Done: !c.s.now.Before(c.ends[a.Target])}, nil
		},
		find: func(a backup.Attempt) (string, error) {
			note("find", a)
			if end, ok := c.ends[a.Target]; ok && !c.s.now.Before(end) {
				return a.Run + ".1", nil
			}
			return "", nil
		},
		delete: func(a backup.Attempt, _ bool) error { note("delete", a); return nil },
	}}
	return m
}

// refuses gives the app an identity without roles.
func (m *member) refuses(s *harness) {
	m.Providers = map[string]backup.Provider{"microsoft.apimanagement/service": &fakeProvider{stage: s, ready: func(a backup.Attempt) error {
		m.calls = append(m.calls, "ready "+a.Target)
		return &backup.Fault{Kind: backup.Refused, Code: "AuthorizationFailed", Message: "no role"}
	}}}
}

// together lets time pass: each minute both timers of each app run, and the apps take the messages by turns, another one first each
// minute.
func (s *harness) together(minutes int, plan func(m *member) []backup.Plan, members ...*member) {
	s.t.Helper()
	for minute := range minutes {
		s.now = s.now.Add(time.Minute)
		for _, m := range members {
			_, err := m.Schedule(s.t.Context(), plan(m))
			_, cleaned := m.Cleanup(s.t.Context())
			if err := errors.Join(err, cleaned); err != nil && !notOwner(err) {
				s.t.Errorf("%s: %v", m.App, err)
			}
		}
		for range 6 {
			for i := range members {
				s.engine = members[(minute+i)%len(members)].Engine
				s.deliver()
				s.now = s.now.Add(time.Second)
			}
		}
	}
}

func notOwner(err error) bool {
	_, ok := errors.AsType[*apps.NotOwner](err)
	return ok
}

// there returns what the health of the app says of the apps.
func (m *member) there(s *harness) health.Apps {
	s.t.Helper()
	_, timers, err := m.Health(s.t.Context(), plans.Active{})
	if err != nil {
		s.t.Fatal(err)
	}
	return timers.Apps
}

// visits returns the IDs of the events about second apps, without repeats, and checks that each names both apps.
func (s *harness) visits(app, owner string) (ids []string) {
	s.t.Helper()
	for _, e := range s.storage.queue.Events() {
		if e.Type != "lifeboat.app.refused" {
			continue
		}
		if data := string(e.Data); !strings.Contains(data, `"app":"`+app+`"`) || !strings.Contains(data, `"owner":"`+owner+`"`) {
			s.t.Errorf("%s: %s", e.ID, data)
		}
		if !slices.Contains(ids, e.ID) {
			ids = append(ids, e.ID)
		}
	}
	return ids
}

// TestASecondAppDoesNothing: a slot on production's storage account may be stopped, have no roles or another plan: production makes
// its backups as if it were alone, and the slot calls no service. Both healths name both.
func TestASecondAppDoesNothing(t *testing.T) {
	for n := range 8 {
		stopped, without, other := n&1 > 0, n&2 > 0, n&4 > 0
		t.Run(fmt.Sprintf("stopped %t, without roles %t, other plan %t", stopped, without, other), func(t *testing.T) {
			s := newHarness(t)
			c := s.cloud()
			first, second := c.app(production), c.app(staging)
			if stopped {
				second.Stopped = "stopped by LIFEBOAT_STOPPED: staging"
			}
			if without {
				second.refuses(s)
			}
			plan := many(3)
			plan.Settings.KeepWithin = 36 * time.Hour
			planOf := func(m *member) []backup.Plan {
				if m != second || !other {
					return []backup.Plan{plan}
				}
				older, more := plan, plan
				older.Schedule, more.Name = daily(time.UTC, 3, 0), "more"
				return []backup.Plan{older, more}
			}
			s.together(1, planOf, first)
			for day := 1; day <= 4; day++ {
				s.now = begin.Add(time.Duration(day)*24*time.Hour - 2*time.Minute)
				s.together(60, planOf, first, second)
			}
			if got := s.runStates(); got[backup.Succeeded] != 12 || len(got) != 1 {
				t.Errorf("the runs are %v, want 12 that succeeded", got)
			}
			for target, n := range c.began {
				if n != 4 {
					t.Errorf("%d operations of %s, want one a day", n, target)
				}
			}
			if len(second.calls) != 0 || len(s.missedRuns()) != 0 || s.rows("plan-more") != 0 {
				t.Errorf("the second app called %q; missed %+v; %d rows of its plan", second.calls, s.missedRuns(), s.rows("plan-more"))
			}
			if ids := s.visits(staging, production); len(ids) != 4 { // it was away for more than an hour
				t.Errorf("told %q", ids)
			}
			a, b := first.there(s), second.there(s)
			if a.Reason().Code != "SecondApp" || b.Reason().Code != "NotOwner" || len(a.Others) != 1 || a.Others[0].App != staging ||
				b.Owner != production {
				t.Errorf("health says %+v and %+v", a, b)
			}
			s.now = a.Others[0].LastSeen.Add(time.Hour + time.Second)
			if a := first.there(s); a.Reason().Code != "" || !a.Owns() {
				t.Errorf("an hour later health says %+v", a)
			}
		})
	}
}

// TestASecondAppIsToldOnce: whatever request the second app dies at, its event comes, always under the same ID.
func TestASecondAppIsToldOnce(t *testing.T) {
	for _, made := range []bool{false, true} {
		for at := 1; ; at++ {
			s := newHarness(t)
			c := s.cloud()
			first, second := c.app(production), c.app(staging)
			for _, m := range []*member{first, second} {
				if m == second {
					s.storage.calls, s.storage.failAt, s.storage.made = 0, at, made
				}
				_, _ = m.Schedule(t.Context(), nil)
			}
			reached := s.storage.calls >= at
			s.storage.failAt = 0
			for range 12 {
				s.now = s.now.Add(time.Minute)
				for _, m := range []*member{second, first} {
					_, _ = m.Schedule(t.Context(), nil)
				}
			}
			if ids := s.visits(staging, production); len(ids) != 1 {
				t.Errorf("request %d, made %t: told %q", at, made, ids)
			}
			if a := first.there(s); len(a.Others) != 1 || s.now.Sub(a.Others[0].LastSeen) > 5*time.Minute {
				t.Errorf("request %d, made %t: seen %+v at %s", at, made, a.Others, s.now)
			}
			if !reached {
				break
			}
		}
	}
}

// TestAnAppThatComesBackIsToldAgain: also if it was forgotten meanwhile. However many names a machine had, none hides the owner.
func TestAnAppThatComesBackIsToldAgain(t *testing.T) {
	s := newHarness(t)
	c := s.cloud()
	first, second := c.app(production), c.app(staging)
	for n, away := range []time.Duration{0, 2 * time.Hour, 25 * time.Hour, 300 * day} {
		s.now = s.now.Add(away)
		for range 3 {
			_, _ = first.Schedule(t.Context(), nil)
			_, _ = second.Schedule(t.Context(), nil)
		}
		if ids := s.visits(staging, production); len(ids) != n+1 {
			t.Errorf("back after %s: told %q", away, ids)
		}
	}
	for i := range 1200 {
		_, _ = c.app(fmt.Sprintf("machine-%d", i)).Schedule(t.Context(), nil)
	}
	if a := first.there(s); a.Owner != production {
		t.Errorf("health says %+v", a)
	}
	_, err := second.Schedule(t.Context(), nil)
	if no, ok := errors.AsType[*apps.NotOwner](err); !ok || no.Owner != production {
		t.Errorf("the second app: %v", err)
	}
	for range 3 {
		s.now = s.now.Add(25 * time.Hour)
		if _, err := first.Schedule(t.Context(), nil); err != nil {
			t.Error(err)
		}
	}
	if n := s.rows(backup.SchedulePartition); n > 10 {
		t.Errorf("%d rows are left", n)
	}
}

// inEveryState returns production with runs in every state: one is queued, one runs, one was killed amid its start, and the last one waits.
func inEveryState(t *testing.T) (s *harness, c *cloud, first, second *member, plan backup.Plan) {
	t.Helper()
	s = newHarness(t)
	c = s.cloud()
	first, second = c.app(production), c.app(staging)
	plan = many(4)
	s.engine = first.Engine
	if _, err := first.Schedule(t.Context(), []backup.Plan{plan}); err != nil {
		t.Fatal(err)
	}
	c.before = func(target string) {
		if target == plan.Targets[1] {
			c.ends[target], c.began[target] = s.now.Add(8*time.Minute), 1 // Azure has begun, and no answer comes
			panic(dead{})
		}
	}
	for _, target := range plan.Targets[:2] {
		if _, err := s.backup(target, plan, target); err != nil {
			t.Fatal(err)
		}
	}
	s.deliver()
	c.before = nil
	for _, target := range plan.Targets[2:] {
		if _, err := s.backup(target, plan, target); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.backup("another", plan, plan.Targets[0]); err != nil { // waits for the first
		t.Fatal(err)
	}
	return s, c, first, second, plan
}

// settled lets both apps go on until all runs have ended, and checks that each succeeded by one operation of its own.
func (c *cloud) settled(what string, plan backup.Plan, first, second *member) {
	s := c.s
	s.t.Helper()
	s.together(90, func(*member) []backup.Plan { return []backup.Plan{plan} }, first, second)
	if got := s.runStates(); got[backup.Succeeded] != 5 || len(got) != 1 {
		s.t.Errorf("%s: the runs are %v, want five that succeeded", what, got)
	}
	want := map[string]int{plan.Targets[0]: 2, plan.Targets[1]: 1, plan.Targets[2]: 1, plan.Targets[3]: 1}
	if fmt.Sprint(c.began) != fmt.Sprint(want) {
		s.t.Errorf("%s: operations %v, want %v", what, c.began, want)
	}
}

// TestTakeoverAtEveryRequest: whatever request a takeover dies at, the new owner goes on with the runs, by a repeat or by its timer
// runs alone. No operation is started twice, and after a takeover the former owner makes no step more, but of the run whose start
// had a lease.
func TestTakeoverAtEveryRequest(t *testing.T) {
	t.Parallel()
	for _, made := range []bool{false, true} {
		for _, repeated := range []bool{false, true} {
			for at := 1; ; at++ {
				what := fmt.Sprintf("request %d, made %t, repeated %t", at, made, repeated)
				s, c, first, second, plan := inEveryState(t)
				s.storage.calls, s.storage.failAt, s.storage.made = 0, at, made
				_, err := second.Ownership().TakeOver(t.Context(), production, "a person")
				reached := s.storage.calls >= at
				s.storage.failAt = 0
				if (err != nil) != reached {
					t.Fatalf("%s: %v", what, err)
				}
				if repeated || second.there(s).Owner == production {
					again, err := second.Ownership().TakeOver(t.Context(), strings.ToUpper(production), "a person")
					if err != nil || again.Owner != staging || again.From != production {
						t.Fatalf("%s: %+v, %v", what, again, err)
					}
				}
				before := len(first.calls)
				c.settled(what, plan, first, second)
				for _, call := range first.calls[before:] {
					if !strings.HasSuffix(call, plan.Targets[1]) {
						t.Errorf("%s: the former owner calls %s", what, call)
					}
				}
				replaced := 0
				for _, e := range s.storage.queue.Events() {
					if e.Type == "lifeboat.app.replaced" {
						replaced++
					}
				}
				if ids := s.visits(production, staging); len(ids) != 1 || replaced != 1 {
					t.Errorf("%s: told of the former owner %q, and of the takeover %d times", what, ids, replaced)
				}
				if !reached {
					break
				}
			}
		}
	}
}

// TestTheRestOfATakeoverAtEveryRequest: a run was within a lease at the takeover, and the timer run that takes it over dies at any
// request. The next one goes on, also hours later, and each run succeeds by one operation of its own.
func TestTheRestOfATakeoverAtEveryRequest(t *testing.T) {
	t.Parallel()
	for _, made := range []bool{false, true} {
		for at := 1; ; at++ {
			what := fmt.Sprintf("request %d, made %t", at, made)
			s, c, first, second, plan := inEveryState(t)
			if _, err := second.Ownership().TakeOver(t.Context(), production, "a person"); err != nil {
				t.Fatal(err)
			}
			s.now = s.now.Add(time.Hour)
			s.storage.calls, s.storage.failAt, s.storage.made = 0, at, made
			_, _ = second.Schedule(t.Context(), []backup.Plan{plan})
			reached := s.storage.calls >= at
			s.storage.failAt = 0
			c.settled(what, plan, first, second)
			row, _, err := s.storage.catalog.Get(t.Context(), backup.OwnerKey)
			if err != nil || strings.Contains(string(row.Body), "Inherits") {
				t.Errorf("%s: the owner's row is %s, %v", what, row.Body, err)
			}
			if !reached {
				break
			}
		}
	}
}

// TestTakeoverAmidAStep: the catalog is taken over between any two requests of a step of the former owner's. No operation is
// started twice, and none is lost.
func TestTakeoverAmidAStep(t *testing.T) {
	t.Parallel()
	for at := 1; ; at++ {
		s, c, first, second, plan := inEveryState(t)
		taken := func() {
			if _, err := second.Ownership().TakeOver(t.Context(), production, "a person"); err != nil {
				t.Errorf("request %d: %v", at, err)
			}
		}
		s.storage.calls = 0
		s.storage.before = func(call int) {
			if call == at {
				s.storage.before = nil
				taken()
			}
		}
		s.engine = first.Engine
		for range 4 { // starts, polls, and waits
			s.now = s.now.Add(90 * time.Second)
			s.deliver()
		}
		reached := s.storage.before == nil
		s.storage.before = nil
		if !reached {
			taken()
		}
		c.settled(fmt.Sprintf("request %d", at), plan, first, second)
		if !reached {
			break
		}
	}
}

// TestTakeoverAmidAStart: the catalog is taken over while Azure answers the former owner's start. The run is left to that step, which
// saves the operation's token.
func TestTakeoverAmidAStart(t *testing.T) {
	s, c, first, second, plan := inEveryState(t)
	c.before = func(string) {
		c.before = nil
		if _, err := second.Ownership().TakeOver(t.Context(), production, "a person"); err != nil {
			t.Error(err)
		}
	}
	s.engine = first.Engine
	s.deliver()
	c.settled("amid a start", plan, first, second)
	if n := slices.IndexFunc(slices.Concat(first.calls, second.calls), func(call string) bool {
		return strings.HasPrefix(call, "find") && !strings.HasSuffix(call, plan.Targets[1])
	}); n >= 0 {
		t.Errorf("a token was lost: %q and then %q", first.calls, second.calls)
	}
}

// TestRunsWithinALeaseAreTakenOverLater: the new owner's next timer run may come long after the takeover. It takes over the run that
// was within a lease then, and the row of the owner says so, once: later timer runs do not look again.
func TestRunsWithinALeaseAreTakenOverLater(t *testing.T) {
	s, _, _, second, plan := inEveryState(t)
	if _, err := second.Ownership().TakeOver(t.Context(), production, "a person"); err != nil {
		t.Fatal(err)
	}
	named := func() (formers int) {
		t.Helper()
		for _, row := range s.storage.catalog.Rows() {
			if !strings.HasPrefix(row.Row, backup.RunPrefix) {
				continue
			}
			run, err := backup.Decode[backup.Run](row)
			if err != nil {
				t.Fatal(err)
			}
			if run.App != staging {
				formers++
			}
		}
		return formers
	}
	if n := named(); n != 1 {
		t.Errorf("%d runs have another name after the takeover, want the one within a lease", n)
	}
	s.now = s.now.Add(2 * time.Hour) // asleep, or being deployed
	for range 2 {
		s.storage.partitions = nil
		if _, err := second.Schedule(t.Context(), []backup.Plan{plan}); err != nil {
			t.Error(err)
		}
		looks := 0
		for _, partition := range s.storage.partitions {
			if partition == backup.InflightPartition {
				looks++
			}
		}
		row, _, err := s.storage.catalog.Get(t.Context(), backup.OwnerKey)
		if n := named(); n != 0 || err != nil || strings.Contains(string(row.Body), "Inherits") {
			t.Errorf("%d runs have another name; the owner's row is %s, %v", n, row.Body, err)
		}
		if s.now = s.now.Add(time.Minute); looks > 2 {
			t.Errorf("%d lists of the runs in flight", looks)
		}
	}
	s.storage.partitions = nil
	if _, err := second.Schedule(t.Context(), []backup.Plan{plan}); err != nil || len(s.storage.partitions) != 2 {
		t.Errorf("an idle timer run lists %q, %v", s.storage.partitions, err)
	}
}

// TestTakeoverNamesTheLoser: a takeover from an app that does not own the catalog changes nothing, and says which one does.
func TestTakeoverNamesTheLoser(t *testing.T) {
	s := newHarness(t)
	c := s.cloud()
	first, second := c.app(production), c.app(staging)
	refused := func(m *member, loser, says string) {
		t.Helper()
		if _, err := m.Ownership().TakeOver(t.Context(), loser, "a person"); !errors.Is(err, apps.ErrNotLoser) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s takes over from %q: %v, want %q", m.App, loser, err, says)
		}
	}
	refused(second, production, "no app owns it yet")
	if _, err := first.Schedule(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	refused(second, "contoso", production+" does")
	refused(second, staging, production+" does")
	refused(first, production, "owns it already")
	if _, err := second.Ownership().TakeOver(t.Context(), " Contoso-App ", "a person"); err != nil {
		t.Error(err)
	}
	refused(second, "contoso", "owns it already")
	if a := first.there(s); a.Owner != staging || a.Owns() {
		t.Errorf("%+v", a)
	}
}

// TestTheFirstOfTwoAppsOwnsTheCatalog: two apps come at once, and one of them works, whichever request they meet at.
func TestTheFirstOfTwoAppsOwnsTheCatalog(t *testing.T) {
	for at := 1; at <= 3; at++ {
		s := newHarness(t)
		c := s.cloud()
		first, second := c.app(production), c.app(staging)
		s.storage.before = func(call int) {
			if call == at {
				s.storage.before = nil
				if _, err := second.Schedule(t.Context(), nil); err != nil && !notOwner(err) {
					t.Error(err)
				}
			}
		}
		_, err := first.Schedule(t.Context(), nil)
		if err != nil && !notOwner(err) {
			t.Error(err)
		}
		a, b := first.there(s), second.there(s)
		if a.Owner != b.Owner || a.Owns() == b.Owns() || a.Owns() != (err == nil) {
			t.Errorf("request %d: %+v and %+v, %v", at, a, b, err)
		}
	}
}

// TestASecondAppPutsMessagesBack: also messages that mean nothing to it, since a newer owner may know them.
func TestASecondAppPutsMessagesBack(t *testing.T) {
	s := newHarness(t)
	c := s.cloud()
	first, second := c.app(production), c.app(staging)
	if _, err := first.Schedule(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	s.engine = first.Engine
	run := s.ask("1")
	step := s.storage.queue.Receive("execute", 1, time.Minute)[0].Body
	for _, body := range []string{string(step), "{}", `{"run":"0123456789abcdef-0123456789-0123456789ab","sequence":1,"nonce":"m"}`} {
		sent := len(s.storage.queue.Messages("execute"))
		out, err := second.Execute(t.Context(), "invocation", []byte(body))
		left := s.storage.queue.Messages("execute")
		if err != nil || !strings.Contains(out.Note, "put back") || !strings.Contains(out.Note, production) || len(left) != sent+1 ||
			string(left[sent].Body) != body {
			t.Errorf("%s: %+v, %v, %d messages", body, out, err, len(left))
		}
	}
	state := s.run(run.ID).State
	s.newer(run.Key())
	sent := len(s.storage.queue.Messages("execute"))
	if out, err := second.Execute(t.Context(), "invocation", step); err != nil || !strings.Contains(out.Note, "put back") ||
		len(s.storage.queue.Messages("execute")) != sent+1 {
		t.Errorf("a run that a newer version wrote: %+v, %v", out, err)
	}
	if s.rows("deadletter") != 0 || state != backup.Queued || len(second.calls) != 0 {
		t.Errorf("%d dead letters, the run is %s, calls %q", s.rows("deadletter"), state, second.calls)
	}
}

// TestASecondAppDropsWhatNoAppExpects: step messages of an ended run, and of a step already made. Copies of these would come back for as
// long as two apps share the queue. It leaves a run with an event still to send to the owner.
func TestASecondAppDropsWhatNoAppExpects(t *testing.T) {
	for name, dropped := range map[string]bool{"of a made step": true, "of the next step": false, "of an ended run": true, "of a run whose end is not told": false} {
		s := newHarness(t)
		c := s.cloud()
		first, second := c.app(production), c.app(staging)
		if _, err := first.Schedule(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		s.engine = first.Engine
		run := s.ask("1")
		old := run.StepMessage()
		switch s.step(); name {
		case "of the next step":
			old = s.run(run.ID).StepMessage()
		case "of an ended run":
			s.finish()
			old = s.ended(run.ID, backup.Succeeded, "").StepMessage()
		case "of a run whose end is not told": // its step died just behind the end
			s.finish()
			ended := s.ended(run.ID, backup.Succeeded, "")
			ended.Unpublished = true
			if _, err := s.storage.catalog.Apply(t.Context(), backup.Write{Op: backup.Put, Key: ended.Key(), Body: backup.Encode(ended)}); err != nil {
				t.Fatal(err)
			}
			old = ended.StepMessage()
		}
		body, err := json.Marshal(old)
		if err != nil {
			t.Fatal(err)
		}
		was, sent := s.run(run.ID), len(s.storage.queue.Messages("execute"))
		out, err := second.Execute(t.Context(), "invocation", body)
		more := len(s.storage.queue.Messages("execute")) - sent
		if now := s.run(run.ID); err != nil || (more == 0) != dropped || now.RowETag != was.RowETag {
			t.Errorf("%s: %+v, %v, %d more messages", name, out, err, more)
		}
	}
}

// TestASecondAppPutsMessagesBackEverMoreRarely: a step message that only a second app gets costs it few requests, however long the
// owner is away, and waits ten minutes at the most for an owner that comes back.
func TestASecondAppPutsMessagesBackEverMoreRarely(t *testing.T) {
	for name, known := range map[string]bool{"of a run": true, "of no run": false} {
		s := newHarness(t)
		c := s.cloud()
		first, second := c.app(production), c.app(staging)
		if _, err := first.Schedule(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		s.engine = first.Engine
		if known {
			s.ask("1")
		} else if err := s.storage.queue.SendStep(t.Context(), backup.StepMessage{Run: "0123456789abcdef-0123456789-0123456789ab", Sequence: 1, Nonce: "m"}, 0); err != nil {
			t.Fatal(err)
		}
		s.engine, s.storage.calls = second.Engine, 0
		var hours []int
		for range 3 {
			before := s.storage.calls
			for end := s.now.Add(time.Hour); s.now.Before(end); s.now = s.now.Add(time.Second) {
				s.deliver()
			}
			hours = append(hours, s.storage.calls-before)
		}
		left := s.storage.queue.Messages("execute")
		// Three requests each time, 30 seconds and then twice as long each time until ten minutes; and a note of the app in five minutes.
		if hours[0] > 3*11+13 || hours[1] > 3*6+7 || hours[2] > 3*6+7 || len(left) != 1 || left[0].Visible.After(s.now.Add(10*time.Minute)) {
			t.Errorf("%s: %v requests in three hours, %d messages", name, hours, len(left))
		}
	}
}
