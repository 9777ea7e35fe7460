package engine_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
)

// sized makes a backup of the size by hand, a day after the last one, and returns the run's ID.
func (s *harness) sized(size int64) string {
	s.t.Helper()
	run := s.askSized(size)
	s.finish()
	return run.ID
}

func (s *harness) askSized(size int64) backup.Run {
	s.t.Helper()
	s.now = s.now.Add(day)
	s.provider.hash = func(backup.Attempt, backup.Hashing) (backup.Verification, error) {
		return backup.Verification{
			Done: true, Hashing: backup.Hashing{ETag: "etag"}, Size: size, SHA256: "beef", Modified: s.now,
		}, nil
	}
	return s.ask(fmt.Sprint("sized-", s.now))
}

// states returns the states of the recovery points, in a row.
func (s *harness) states(ids ...string) string {
	s.t.Helper()
	var states []string
	for _, id := range ids {
		states = append(states, string(s.state(id)))
	}
	return strings.Join(states, " ")
}

// told counts the events with the ID, and checks that they are the same.
func (s *harness) told(id string) (n int, data map[string]any) {
	s.t.Helper()
	var first backup.Event
	for _, e := range s.storage.queue.Events() {
		if e.ID != id {
			continue
		}
		if n++; n == 1 {
			first = e
		}
		if e.Type != first.Type || string(e.Data) != string(first.Data) {
			s.t.Errorf("event %s was %s %s and is %s %s", id, first.Type, first.Data, e.Type, e.Data)
		}
	}
	if n > 0 {
		if err := json.Unmarshal(first.Data, &data); err != nil {
			s.t.Error(err)
		}
		data["type"] = first.Type
	}
	return n, data
}

// timerUntilSettled lets messages and rescuers do everything that is left to do.
func (s *harness) timerUntilSettled() {
	s.t.Helper()
	for range 20 {
		s.finish()
		s.now = s.now.Add(10 * time.Minute)
		_, _ = s.engine.Schedule(s.t.Context(), nil)
	}
}

// suspicious makes three good points and n suspect ones, of about the same size.
func suspicious(t *testing.T, n int64) (*harness, []string) {
	t.Helper()
	s := newHarness(t)
	var ids []string
	for range 3 {
		ids = append(ids, s.sized(1000))
	}
	for i := range n {
		ids = append(ids, s.sized(100+i))
	}
	return s, ids
}

func TestSuspect(t *testing.T) {
	s, ids := suspicious(t, 1)
	id := ids[3]
	run := s.ended(id, backup.Succeeded, "SizeSuspect")
	if _, data := s.told(id + ".succeeded"); data["recoveryPointState"] != "suspect" || data["recoveryPoint"] != id ||
		!strings.Contains(fmt.Sprint(data["reason"]), "SizeSuspect") {
		t.Errorf("told: %v", data)
	}
	if _, data := s.told(ids[2] + ".succeeded"); data["recoveryPointState"] != "live" || data["reason"] != nil {
		t.Errorf("told: %v", data)
	}
	if got := s.states(ids...); got != "live live live suspect" {
		t.Errorf("states %s", got)
	}

	accepted, err := s.engine.Accept(t.Context(), id, "invocation one", "looked at it")
	if err != nil || accepted.State != backup.Live || accepted.Suspicion != run.Reason ||
		accepted.Accepted != (backup.Acceptance{Time: s.now, By: "invocation one", Reason: "looked at it"}) {
		t.Fatalf("%+v, %v", accepted, err)
	}
	s.now = s.now.Add(time.Hour)
	again, err := s.engine.Accept(t.Context(), id, "invocation two", "also looked")
	if err != nil || again.State != backup.Live || again.Accepted.By != "invocation one" {
		t.Errorf("again: %+v, %v", again, err)
	}
	if n, data := s.told(id + ".accepted"); n != 1 || data["type"] != "lifeboat.recovery-point.accepted" ||
		data["recoveryPoint"] != id || data["requestReason"] != "looked at it" || data["target"] != target {
		t.Errorf("told %d times: %v", n, data)
	}
	s.timerUntilSettled()
	if n, _ := s.told(id + ".accepted"); n != 1 || s.rows("inflight") != 0 {
		t.Errorf("told %d times, %d entries are left", n, s.rows("inflight"))
	}
	// From now on a backup of that size is good.
	next := s.sized(100)
	if s.ended(next, backup.Succeeded, ""); s.state(next) != backup.Live {
		t.Errorf("the next is %s", s.state(next))
	}
}

func TestAcceptWhatIsGone(t *testing.T) {
	s, ids := suspicious(t, 1)
	s.sized(1000)
	s.now = s.now.Add(31 * day)
	s.provider.delete = func(backup.Attempt, bool) error { return fault(backup.Refused, "BlobImmutableDueToPolicy") }
	s.unpaced()
	for _, want := range []backup.PointState{backup.Deleting, backup.Expired} {
		p, err := s.engine.Accept(t.Context(), ids[3], "invocation one", "")
		if !errors.Is(err, engine.ErrPointGone) || p.State != want || !strings.Contains(err.Error(), string(want)) {
			t.Errorf("%s: %v", p.State, err)
		}
		s.provider.delete = nil
		s.now = s.now.Add(7 * time.Hour)
		s.unpaced()
	}
	for _, id := range []string{"nonsense", ids[0][:17] + "1234567890-0123456789ab"} {
		if _, err := s.engine.Accept(t.Context(), id, "", ""); !errors.Is(err, backup.ErrNotFound) {
			t.Errorf("%s: %v", id, err)
		}
	}
}

// TestAcceptRacesCleanup lets a whole cleanup happen before each call of an acceptance, and the other way round: one of
// them wins.
func TestAcceptRacesCleanup(t *testing.T) {
	for _, first := range []string{"accept", "cleanup"} {
		for k := 1; ; k++ {
			s, ids := suspicious(t, 1)
			s.sized(1000) // the newest live one, so that the accepted one may expire
			s.now = s.now.Add(29*day + 12*time.Hour)
			var accepted, cleaned error
			accept := func() { _, accepted = s.engine.Accept(t.Context(), ids[3], "invocation one", "") }
			clean := func() {
				report, err := s.engine.Cleanup(t.Context())
				cleaned = errors.Join(append(report.Failed, err)...)
			}
			one, other := accept, clean
			if first == "cleanup" {
				one, other = clean, accept
			}
			reached := false
			s.storage.calls = 0
			s.storage.before = func(call int) {
				if call == k && !reached {
					reached = true
					other()
				}
			}
			one()
			s.storage.before = nil
			if !reached {
				break
			}
			state := s.state(ids[3])
			n, _ := s.told(ids[3] + ".accepted")
			switch {
			case accepted != nil && (!errors.Is(accepted, engine.ErrPointGone) || state != backup.Expired || n != 0):
				t.Errorf("%s, call %d: %s, told %d times, %v", first, k, state, n, accepted)
			case accepted == nil && n != 1:
				t.Errorf("%s, call %d: %s, told %d times", first, k, state, n)
			case cleaned != nil && (accepted != nil || state != backup.Live || !errors.Is(cleaned, backup.ErrChanged)):
				t.Errorf("%s, call %d: %s, cleanup: %v", first, k, state, cleaned)
			}
		}
	}
}

// TestAcceptIsRepeatable: the process dies at each call of an acceptance, before and after it took effect. Then the request is
// not repeated, or is repeated, or the rescuer comes by before each call. Either nothing happened, or the point is live and
// that is published.
func TestAcceptIsRepeatable(t *testing.T) {
	for _, then := range []string{"nothing", "asked again", "rescued meanwhile"} {
		for _, made := range []bool{false, true} {
			for k := 1; ; k++ {
				s, ids := suspicious(t, 1)
				id := ids[3]
				s.timerUntilSettled() // drops the index entry of the run itself
				s.storage.calls, s.storage.failAt, s.storage.made = 0, k, made
				if then == "rescued meanwhile" {
					rescuer := s.another(0)
					rescuer.Catalog, rescuer.Queue = s.storage.catalog, s.storage.queue
					s.storage.before = func(int) { _, _ = rescuer.Schedule(t.Context(), nil) }
				}
				_, err := s.engine.Accept(t.Context(), id, "invocation one", "")
				if s.storage.calls < k {
					break
				}
				s.storage.before = nil
				if then == "asked again" {
					if _, err = s.engine.Accept(t.Context(), id, "invocation two", ""); err != nil {
						t.Error(err)
					}
				}
				s.timerUntilSettled()
				n, _ := s.told(id + ".accepted")
				if state := s.state(id); (state == backup.Live) != (n > 0) || n > 2 || err == nil && state != backup.Live ||
					s.rows("inflight") != 0 || s.run(id).Unpublished {
					t.Errorf("call %d fails (made: %v), %s: %v, %s, told %d times, %d entries are left", k, made, then, err, state,
						n, s.rows("inflight"))
				}
			}
		}
	}
}

// TestThreeLikeIt: the third makes all three live, at any place at which the process dies, and each is published once or under
// one ID.
func TestThreeLikeIt(t *testing.T) {
	for _, made := range []bool{false, true} {
		for k := 1; ; k++ {
			s, ids := suspicious(t, 2)
			ids = append(ids, s.askSized(102).ID)
			s.storage.calls, s.storage.failAt, s.storage.made = 0, k, made
			s.timerUntilSettled()
			if s.storage.calls < k {
				break
			}
			s.storage.failAt = 0
			if got := s.states(ids...); got != "live live live live live live" {
				t.Fatalf("call %d fails (made: %v): states %s", k, made, got)
			}
			for _, event := range []string{ids[3] + ".accepted", ids[4] + ".accepted", ids[5] + ".succeeded"} {
				if n, data := s.told(event); n < 1 || n > 2 || strings.HasSuffix(event, "accepted") && data["by"] != "run "+ids[5] ||
					strings.HasSuffix(event, "succeeded") && data["recoveryPointState"] != "live" {
					t.Errorf("call %d fails (made: %v): %s was told %d times: %v", k, made, event, n, data)
				}
			}
			if run := s.run(ids[5]); run.Unpublished || run.Reason.Code != "" || s.rows("inflight") != 0 ||
				s.rows("lock") != 0 {
				t.Errorf("call %d fails (made: %v): %+v, %d entries", k, made, run, s.rows("inflight"))
			}
			if next := s.sized(101); s.state(next) != backup.Live {
				t.Errorf("the new size is not the new normal: %s", s.state(next))
			}
		}
	}
}

// TestThirdRacesAcceptance: a person accepts the first of two suspect points at any moment of the third of that size. The third's
// state depends on the facts when it is saved, and each acceptance is published by one event.
func TestThirdRacesAcceptance(t *testing.T) {
	for k := 1; ; k++ {
		s, ids := suspicious(t, 2)
		reached := false
		s.storage.calls = 0
		s.storage.before = func(call int) {
			if call != k || reached {
				return
			}
			reached = true
			if _, err := s.engine.Accept(t.Context(), ids[4], "invocation one", ""); err != nil {
				t.Error(err)
			}
		}
		ids = append(ids, s.sized(102))
		s.storage.before = nil
		if !reached {
			break
		}
		s.timerUntilSettled()
		// Accepted before the save: its size is normal, and the third is no longer one of three.
		got := s.states(ids[3:]...)
		if got != "live live live" && got != "suspect live live" {
			t.Errorf("call %d: states %s", k, got)
		}
		for i, state := range strings.Fields(got)[:2] {
			if n, _ := s.told(ids[3+i] + ".accepted"); (n == 1) != (state == "live") {
				t.Errorf("call %d: %s is %s and was told %d times", k, ids[3+i], state, n)
			}
		}
		if s.rows("lock") != 0 || s.rows("inflight") != 0 {
			t.Errorf("call %d: loose ends", k)
		}
	}
}

// TestThirdAndItsTwin: two invocations verify at once. The slower one finds the run's own recovery point among the target's
// points, and does not compare the run with itself.
func TestThirdAndItsTwin(t *testing.T) {
	s, ids := suspicious(t, 1)
	run := s.askSized(100)
	verified := s.provider.hash
	for s.run(run.ID).State != backup.Verifying {
		s.step()
	}
	message := s.storage.queue.Messages("execute")[0].Body
	s.provider.hash = func(a backup.Attempt, h backup.Hashing) (backup.Verification, error) {
		s.provider.hash = verified
		if out, err := s.engine.Execute(t.Context(), "twin", message); err != nil || out.To != backup.Succeeded {
			t.Errorf("the faster one: %+v, %v", out, err)
		}
		return verified(a, h)
	}
	s.finish()
	if got := s.states(append(ids, run.ID)...); !strings.HasSuffix(got, "suspect suspect") {
		t.Errorf("the recovery points are %s", got)
	}
	s.ended(run.ID, backup.Succeeded, "SizeSuspect")
}

// TestSuspectCost: an ordinary backup costs one request more than without the comparison, however long the history.
func TestSuspectCost(t *testing.T) {
	s := newHarness(t)
	cost := func(size int64) int {
		s.storage.calls = 0
		s.sized(size)
		return s.storage.calls
	}
	cost(1000) // makes the app the owner of the catalog
	first := cost(1000)
	for range 50 {
		if n := cost(1000); n != first {
			t.Fatalf("the first cost %d calls, this one %d", first, n)
		}
	}
}

// TestBackupsThatFollow: a provider hears of the newest point that counts as verified, and a point that it doubts stays suspect until a
// person accepts it.
func TestBackupsThatFollow(t *testing.T) {
	s := newHarness(t)
	s.engine.Services = slices.Clone(known)
	for i := range s.engine.Services {
		s.engine.Services[i].Contains = true
	}
	var heard string
	made := func(end string, doubt backup.Reason) string {
		s.now = s.now.Add(day)
		s.provider.hash = func(a backup.Attempt, _ backup.Hashing) (backup.Verification, error) {
			heard = a.EarlierID + " " + backup.FactOf(a.Earlier, "end")
			return backup.Verification{
				Done: true, Hashing: backup.Hashing{ETag: "etag"}, Size: 1000, SHA256: "beef", Modified: s.now,
				Facts: []backup.Fact{{Name: "end", Value: end}}, Doubt: doubt,
			}, nil
		}
		id := s.ask(fmt.Sprint("made-", s.now)).ID
		s.finish()
		return id
	}
	good := made("2.10", backup.Reason{})
	if heard != " " {
		t.Errorf("the first hears of %q", heard)
	}
	var doubted []string
	for range 4 {
		doubted = append(doubted, made("2.5", backup.Reason{Code: "LedgerNotContinued", Message: "2.5 before 2.10", Hint: "Look."}))
		if heard != good+" 2.10" {
			t.Errorf("the next hears of %q", heard)
		}
	}
	if got := s.states(append([]string{good}, doubted...)...); got != "live suspect suspect suspect suspect" {
		t.Errorf("states %s", got)
	}
	last := doubted[len(doubted)-1]
	run := s.ended(last, backup.Succeeded, "LedgerNotContinued")
	if want := "Look. If it is right, accept it: lifeboat accept " + last; run.Reason.Hint != want {
		t.Errorf("hint %q", run.Reason.Hint)
	}
	_, told := s.told(last + ".succeeded")
	if told["recoveryPointState"] != "suspect" || !strings.Contains(fmt.Sprint(told["reason"]), "2.5 before 2.10") {
		t.Errorf("told: %v", told)
	}
	if _, err := s.engine.Accept(t.Context(), last, "invocation one", ""); err != nil {
		t.Fatal(err)
	}
	if made("2.6", backup.Reason{}); heard != last+" 2.5" {
		t.Errorf("after the acceptance it hears of %q", heard)
	}
}
