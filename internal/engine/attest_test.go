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
	"lifeboat/internal/health"
	"lifeboat/internal/plans"
)

// said is a statement of a service that this test invents: by whom, and when.
type said struct {
	By string    `json:"by"`
	At time.Time `json:"at"`
}

// keeping is a trait that wants two people within ten days.
func keeping() *backup.Custody {
	return &backup.Custody{
		Title: "key of the safe",
		Asks:  func(b backup.Blocks) bool { return strings.Contains(string(b), "safe") },
		Add: func(record json.RawMessage, statement []byte, _ time.Time) (json.RawMessage, error) {
			var s said
			if json.Unmarshal(statement, &s) != nil || s.By == "" {
				return nil, errors.New("nobody signed it")
			}
			var all []said
			_ = json.Unmarshal(record, &all)
			if slices.Contains(all, s) {
				return record, nil
			}
			return backup.Encode(append(all, s)), nil
		},
		Judge: func(_ backup.Blocks, record json.RawMessage, now time.Time) backup.Proof {
			var all []said
			_ = json.Unmarshal(record, &all)
			people, until := map[string]bool{}, time.Time{}
			for _, s := range all {
				if s.By == "stranger" {
					return backup.Proof{Status: backup.ProofConflict, Reason: backup.NewReason("OtherSafe", "it is another safe", "Look.")}
				}
				if now.Sub(s.At) < 10*day {
					people[s.By] = true
					if until.IsZero() || s.At.Add(10*day).Before(until) {
						until = s.At.Add(10 * day)
					}
				}
			}
			p := backup.Proof{Status: backup.ProofLate, Reason: backup.NewReason("SafeLate", "too few have looked", "Look."), Holders: len(people), Quorum: 2, Of: 3}
			switch {
			case all == nil:
				p.Status, p.Reason = backup.ProofUnknown, backup.NewReason("SafeUnknown", "nobody has looked", "Look.")
			case len(people) >= 2:
				p = backup.Proof{Status: backup.Proven, Holders: len(people), Quorum: 2, Of: 3, Proven: until.Add(-10 * day), Until: until}
			}
			return p
		},
	}
}

// kept returns a harness whose service has the trait, and the plan that asks.
func kept(t *testing.T) (*harness, backup.Plan) {
	s := newHarness(t)
	s.engine.Services = slices.Clone(known)
	for i := range s.engine.Services {
		if s.engine.Services[i].Type == "Microsoft.ApiManagement/service" {
			s.engine.Services[i].Custody = keeping()
		}
	}
	plan := nightly()
	plan.Settings.Blocks = `{"safe":{}}`
	return s, plan
}

func (s *harness) attest(id, by string, at time.Time, anew bool, plan backup.Plan) (backup.Proof, error) {
	return s.engine.Attest(s.t.Context(), engine.Attestation{ID: id, Target: target, Statement: backup.Encode(said{by, at}), Anew: anew}, []backup.Plan{plan})
}

// stated attests without an error, and returns the status.
func (s *harness) stated(by string, plan backup.Plan) backup.ProofStatus {
	s.t.Helper()
	p, err := s.attest("by "+by, by, s.now, false, plan)
	if err != nil {
		s.t.Fatal(err)
	}
	return p.Status
}

// custodyEvents returns the statuses that events told of, in their order, and each once.
func (s *harness) custodyEvents() string {
	var told []string
	seen := map[string]bool{}
	for _, e := range s.storage.queue.Events() {
		if e.Type != "lifeboat.custody.changed" || seen[e.ID] {
			continue
		}
		seen[e.ID] = true
		var data struct {
			Status string `json:"status"`
			Target string `json:"target"`
			Plan   string `json:"plan"`
		}
		if err := json.Unmarshal(e.Data, &data); err != nil || data.Target != target || data.Plan != "nightly" || e.Subject != target {
			s.t.Errorf("%+v, %v", e, err)
		}
		told = append(told, data.Status)
	}
	return strings.Join(told, " ")
}

// proven returns what health says of the target, and the number of its requests.
func (s *harness) proven(all ...backup.Plan) (health.TargetHealth, int) {
	s.t.Helper()
	s.storage.calls = 0
	targets, _, err := s.engine.Health(s.t.Context(), plans.Active{Plans: all})
	if err != nil || len(targets) == 0 {
		s.t.Fatal(err)
	}
	return targets[0], s.storage.calls
}

// protect makes a live recovery point of now.
func (s *harness) protect(plan backup.Plan) {
	s.t.Helper()
	s.runSchedule(plan)
	if _, err := s.backup(fmt.Sprint("backup-", s.now), plan, target); err != nil {
		s.t.Fatal(err)
	}
	s.timerUntilSettled()
	s.now = s.now.Add(time.Minute)
	s.runSchedule(plan)
}

// TestCustody: from the first question to a proof that grows old, and is renewed.
func TestCustody(t *testing.T) {
	s, plan := kept(t)
	s.protect(plan)
	for range 3 { // unknown is told once, and is no alarm
		if h, _ := s.proven(plan); h.Status != health.Protected || h.Proof == nil || h.Proof.Status != backup.ProofUnknown || h.Reason.Code != "" {
			t.Fatalf("%+v %+v", h, h.Proof)
		}
		s.now = s.now.Add(day)
		s.protect(plan)
	}
	if got := s.custodyEvents(); got != "unknown" {
		t.Errorf("told %q", got)
	}
	s.now = s.now.Add(5 * time.Hour) // the proof grows old at another time than that of the schedule
	if got := s.stated("alice", plan); got != backup.ProofLate {
		t.Errorf("one of two: %s", got)
	}
	if h, _ := s.proven(plan); h.Status != health.Late || h.Reason.Code != "SafeLate" || h.Proof.Holders != 1 {
		t.Errorf("%+v", h)
	}
	if got := s.stated("bob", plan); got != backup.Proven {
		t.Errorf("two of two: %s", got)
	}
	before := fmt.Sprint(s.storage.catalog.Rows())
	at := s.now
	s.now = s.now.Add(time.Second)
	for range 2 { // a repeat, and a replay of the first statement
		for _, by := range []string{"alice", "bob"} {
			if p, err := s.attest("again", by, at, false, plan); err != nil || p.Status != backup.Proven {
				t.Fatal(p, err)
			}
		}
	}
	if after := fmt.Sprint(s.storage.catalog.Rows()); after != before {
		t.Errorf("a repeat changed the table: %s\n%s", before, after)
	}
	s.protect(plan)
	if h, calls := s.proven(plan); h.Status != health.Protected || h.Proof.Status != backup.Proven || calls != 3 {
		t.Errorf("%+v in %d requests", h, calls)
	}
	if got := s.custodyEvents(); got != "unknown late proven" {
		t.Errorf("told %q", got)
	}

	s.now = at.Add(10*day - time.Hour)
	s.protect(plan)
	s.now = at.Add(10*day + time.Minute)
	if h, _ := s.proven(plan); h.Status != health.Late || h.Proof.Status != backup.ProofLate { // health waits for no timer run
		t.Errorf("%+v", h)
	}
	for range 2 {
		s.now = s.now.Add(time.Minute)
		s.runSchedule(plan)
	}
	if got := s.custodyEvents(); got != "unknown late proven late" {
		t.Errorf("told %q", got)
	}

	if got := s.stated("stranger", plan); got != backup.ProofConflict {
		t.Error(got)
	}
	if h, _ := s.proven(plan); h.Status != health.Late || h.Reason.Code != "OtherSafe" {
		t.Errorf("%+v", h)
	}
	for _, by := range []string{"alice", "bob", "alice"} { // begun anew once, by the first, also when it comes again
		if _, err := s.attest("anew", by, s.now, true, plan); err != nil {
			t.Fatal(err)
		}
	}
	s.runSchedule(plan)
	if h, _ := s.proven(plan); h.Proof.Status != backup.Proven || h.Proof.Holders != 2 {
		t.Errorf("%+v", h.Proof)
	}
	if got := s.custodyEvents(); got != "unknown late proven late conflict late proven" {
		t.Errorf("told %q", got)
	}
	for _, by := range []string{"alice", "bob"} { // the second status is the same, and begins anew all the same
		s.now = s.now.Add(time.Minute)
		if p, err := s.attest("anew by "+by, by, s.now, true, plan); err != nil || p.Holders != 1 {
			t.Fatal(p, err)
		}
	}
	s.runSchedule(plan)
	if got := s.custodyEvents(); !strings.HasSuffix(got, "late proven late late") {
		t.Errorf("told %q", got)
	}
}

// TestNobodyAsked: a plan without the block costs no request, has no proof, and takes no statement.
func TestNobodyAsked(t *testing.T) {
	s, asking := kept(t)
	plan := nightly()
	s.protect(plan)
	s.proven(plan) // it notes once that no cleanup has come yet
	if h, calls := s.proven(plan); h.Proof != nil || h.Status != health.Protected || calls != 2 {
		t.Errorf("%+v in %d requests", h, calls)
	}
	if _, err := s.attest("one", "alice", s.now, false, plan); !errors.Is(err, engine.ErrNotAsked) {
		t.Errorf("stored: %v", err)
	}
	if got := s.custodyEvents(); got != "" || strings.Contains(fmt.Sprint(s.storage.catalog.Rows()), backup.StatementsPrefix) {
		t.Errorf("told %q", got)
	}
	wrong, err := s.engine.Attest(t.Context(), engine.Attestation{ID: "one", Target: target, Statement: []byte("{}")}, []backup.Plan{asking})
	if _, ok := errors.AsType[*engine.StatementError](err); !ok || wrong.Status != "" {
		t.Errorf("%+v, %v", wrong, err)
	}
	if other := (engine.Attestation{ID: "one", Target: target + "-other", Statement: []byte("{}")}); true {
		if _, err := s.engine.Attest(t.Context(), other, []backup.Plan{asking}); !errors.Is(err, engine.ErrNotAsked) {
			t.Errorf("a foreign target: %v", err)
		}
	}
}

// TestHealthOfManyProofs costs one request for all of them.
func TestHealthOfManyProofs(t *testing.T) {
	s, plan := kept(t)
	plan.Targets = nil
	for i := range 40 {
		plan.Targets = append(plan.Targets, fmt.Sprintf("%s-%d", target, i))
	}
	s.runSchedule(plan)
	s.now = s.now.Add(time.Minute)
	s.runSchedule(plan)
	s.proven(plan) // it notes once that no cleanup has come yet
	s.storage.calls = 0
	targets, _, err := s.engine.Health(t.Context(), plans.Active{Plans: []backup.Plan{plan}})
	calls := s.storage.calls
	if err != nil || len(targets) != 40 || targets[39].Proof == nil || calls != 3 {
		t.Errorf("%d targets in %d requests, %v", len(targets), calls, err)
	}
}

// TestDeathsOfStatements: each call to storage of a statement, and of the timer run that tells of its age, fails once, made or not. The repeat
// makes all of it, and each event is told under one ID.
func TestDeathsOfStatements(t *testing.T) {
	for _, made := range []bool{false, true} {
		for k := 1; ; k++ {
			s, plan := kept(t)
			s.protect(plan)
			fail := func(do func() error) {
				s.storage.calls, s.storage.failAt, s.storage.made = 0, k, made
				_ = do()
				s.storage.failAt = 0
			}
			at := s.now
			fail(func() error { _, err := s.attest("one", "alice", at, false, plan); return err })
			reached := s.storage.calls >= k
			for _, by := range []string{"alice", "bob"} {
				if _, err := s.attest("one", by, at, false, plan); err != nil {
					t.Fatal(err)
				}
			}
			s.runSchedule(plan)
			s.now = at.Add(9 * day)
			s.protect(plan)
			s.now = at.Add(10*day + time.Minute)
			fail(func() error { _, err := s.engine.Schedule(t.Context(), []backup.Plan{plan}); return err })
			reached = reached || s.storage.calls >= k
			for range 3 {
				s.now = s.now.Add(11 * time.Minute)
				s.runSchedule(plan)
			}
			if got := s.custodyEvents(); got != "unknown late proven late" {
				t.Errorf("call %d fails (made: %t): told %q", k, made, got)
			}
			if h, _ := s.proven(plan); h.Proof.Status != backup.ProofLate {
				t.Errorf("call %d fails (made: %t): %+v", k, made, h.Proof)
			}
			if !reached {
				break
			}
		}
	}
}

// TestTwoStateAtOnce: another statement comes between the read and the save.
func TestTwoStateAtOnce(t *testing.T) {
	s, plan := kept(t)
	s.protect(plan)
	s.storage.calls = 0
	s.storage.before = func(call int) {
		if call == 2 {
			s.storage.before = nil
			s.stated("bob", plan)
		}
	}
	if got := s.stated("alice", plan); got != backup.Proven {
		t.Errorf("%s: a statement was lost", got)
	}
}

// TestAPreviewTellsOfCustody: when it was proven last, and by how many of how many; also of a target that has left.
func TestAPreviewTellsOfCustody(t *testing.T) {
	s, _, _ := restorable(t)
	asking, plan := kept(t)
	s.engine.Services = asking.engine.Services
	plan.Restore = restoring(false)[0].Restore
	at := s.now
	preview := func(p backup.Plan) *backup.Proof {
		t.Helper()
		v, err := s.engine.PreviewRestore(t.Context(), order("first"), []backup.Plan{p})
		if err != nil {
			t.Fatal(err)
		}
		if v.Custody == nil {
			return nil
		}
		if v.Custody.Title != "key of the safe" {
			t.Errorf("%+v", v.Custody)
		}
		return &v.Custody.Proof
	}
	if p := preview(restoring(false)[0]); p != nil {
		t.Errorf("nobody asked: %+v", p)
	}
	if p := preview(plan); p == nil || p.Status != backup.ProofUnknown {
		t.Errorf("%+v", p)
	}
	s.stated("alice", plan)
	s.stated("bob", plan)
	left := plan
	left.Targets, left.Restore.From, left.Restore.Into = []string{standby}, []string{target}, []string{target}
	for name, p := range map[string]backup.Plan{"there": plan, "left": left} {
		if p := preview(p); p == nil || p.Status != backup.Proven || p.Holders != 2 || p.Of != 3 || !p.Proven.Equal(at) {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

// TestStatementsOfANewerVersion: a row that this version cannot read stays as it is. Health says so, and no event tells of anything.
func TestStatementsOfANewerVersion(t *testing.T) {
	s, plan := kept(t)
	s.protect(plan)
	row := backup.Write{Op: backup.Put, Key: backup.StatementsKey(target), Body: []byte(`{"Target":7}`)}
	if _, err := s.storage.catalog.Apply(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	if h, _ := s.proven(plan); h.Status != health.Protected || h.Proof.Status != backup.ProofUnknown || h.Proof.Reason.Code != "RowUnreadable" {
		t.Errorf("%+v", h.Proof)
	}
	if _, err := s.attest("one", "alice", s.now, false, plan); !errors.Is(err, backup.ErrUnreadable) {
		t.Errorf("stored: %v", err)
	}
	s.now = s.now.Add(day)
	s.runSchedule(plan)
	is, _, err := s.storage.catalog.Get(t.Context(), row.Key)
	if err != nil || string(is.Body) != string(row.Body) || s.custodyEvents() != "unknown" {
		t.Errorf("%s, %v, told %q", is.Body, err, s.custodyEvents())
	}
}
