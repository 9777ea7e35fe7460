package backup_test

import (
	"testing"

	"lifeboat/internal/backup"
)

// TestAnOperationThatLapsedIsStartedOnceMore: what it was given to act with ran out. A second time is a failure.
func TestAnOperationThatLapsedIsStartedOnceMore(t *testing.T) {
	lapsed := &backup.Fault{Kind: backup.Lapsed, Code: "SASExpired", Message: "the SAS has expired"}
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
			s := newStage(t)
			polls := 0
			s.provider.poll = func(a backup.Attempt) (backup.Operation, error) {
				if polls++; polls <= test.lapses {
					return backup.Operation{}, lapsed
				}
				return backup.Operation{Done: true}, nil
			}
			begins := 0
			s.provider.begin = func(backup.Attempt) (backup.Operation, error) {
				if begins++; begins == 2 && test.busy {
					return backup.Operation{}, &backup.Fault{Kind: backup.Deferred, Code: "Conflict", Message: "busy"}
				}
				return backup.Operation{Token: "token"}, nil
			}
			run := s.ask("lapsed")
			s.finish()
			s.ended(run.ID, test.state, test.code)
			if len(s.provider.begun) != test.starts || s.run(run.ID).Attempt != test.starts {
				t.Errorf("begun %q, %d attempts", s.provider.begun, s.run(run.ID).Attempt)
			}
		})
	}
}
