package engine_test

import (
	"testing"

	"lifeboat/internal/backup"
)

// TestAnOperationWhoseCredentialExpiredIsStartedOnceMore: its credential expired. A second time is a failure.
func TestAnOperationWhoseCredentialExpiredIsStartedOnceMore(t *testing.T) {
	credentialExpired := &backup.Fault{Kind: backup.CredentialExpired, Code: "SASExpired", Message: "the SAS has expired"}
	for name, test := range map[string]struct {
		lapses int
		busy   bool
		state  backup.State
		code   string
		starts int
	}{
		"once":           {1, false, backup.Succeeded, "", 2},
		"once, and busy": {1, true, backup.Succeeded, "", 3},
		"twice":          {2, false, backup.Failed, "SASExpired", 2},
	} {
		t.Run(name, func(t *testing.T) {
			s := newHarness(t)
			polls := 0
			s.provider.poll = func(a backup.Attempt) (backup.Operation, error) {
				if polls++; polls <= test.lapses {
					return backup.Operation{}, credentialExpired
				}
				return backup.Operation{Done: true}, nil
			}
			begins := 0
			s.provider.begin = func(backup.Attempt) (backup.Operation, error) {
				if begins++; begins == 2 && test.busy {
					return backup.Operation{}, &backup.Fault{Kind: backup.Retryable, Code: "Conflict", Message: "busy"}
				}
				return backup.Operation{Token: "token"}, nil
			}
			run := s.ask("expired")
			s.finish()
			s.ended(run.ID, test.state, test.code)
			if len(s.provider.begun) != test.starts || s.run(run.ID).Attempt != test.starts {
				t.Errorf("begun %q, %d attempts", s.provider.begun, s.run(run.ID).Attempt)
			}
		})
	}
}

// TestALapseSurvivesFailures lets every single call fail, made or not, of a run whose first operation lapses.
func TestALapseSurvivesFailures(t *testing.T) {
	calls := 0
	for _, made := range []bool{false, true} {
		for k := 1; ; k++ {
			s := newHarness(t)
			s.provider.poll = func(backup.Attempt) (backup.Operation, error) {
				if len(s.provider.begun) == 1 {
					return backup.Operation{}, &backup.Fault{Kind: backup.CredentialExpired, Code: "SASExpired", Message: "the SAS has expired"}
				}
				return backup.Operation{Done: true}, nil
			}
			run := s.ask("expired")
			s.storage.calls, s.storage.failAt, s.storage.made = 0, k, made
			s.finish()
			if s.storage.calls < k {
				break
			}
			calls++
			s.storage.failAt = 0
			_, locked := s.lock()
			r := s.run(run.ID)
			if r.State != backup.Succeeded || locked || r.Attempt > 3 || len(s.provider.begun) != 2 && r.Lost == 0 {
				t.Fatalf("call %d fails (made: %v): %s, locked %v, %d attempts, begun %q, %d lost", k, made, r.State, locked, r.Attempt,
					s.provider.begun, r.Lost)
			}
		}
	}
	t.Logf("%d calls failed, one at a time", calls)
}
