package engine_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/schedule"
)

func fault(kind backup.FaultKind, code string) *backup.Fault {
	return &backup.Fault{Kind: kind, Code: code, Message: "in the words of the service"}
}

func TestRunSucceeds(t *testing.T) {
	s := newHarness(t)
	run := s.ask("request-1")
	var states []backup.State
	for _, want := range []time.Duration{time.Minute, 0, 0} {
		out := s.deliver()
		if len(out) != 1 {
			t.Fatalf("delivered %v", out)
		}
		states = append(states, out[0].To)
		if held := out[0].To != backup.Succeeded; held != (s.rows("lock") == 1) {
			t.Errorf("the run is %s, and the lock is held: %v", out[0].To, !held)
		}
		s.now = s.now.Add(want)
	}
	if got := fmt.Sprint(states); got != "[running verifying succeeded]" {
		t.Errorf("states %s", got)
	}
	run = s.ended(run.ID, backup.Succeeded, "")
	p := s.status(run.ID).Point
	if p == nil || p.State != backup.Live || p.Artifact != run.ID+".1" || p.Size != 7 || p.SHA256 != "beef" ||
		!p.Expires.Equal(p.Created.Add(30*24*time.Hour)) {
		t.Errorf("the recovery point is %+v", p)
	}
	if s.rows("due") != 1 {
		t.Errorf("%d entries tell when it expires", s.rows("due"))
	}
	if s.now = s.now.Add(10 * time.Minute); s.runSchedule().Scanned != 1 || s.rows("inflight") != 0 {
		t.Errorf("the rescuer leaves %d entries", s.rows("inflight"))
	}
}

// TestRunEnds scripts the service for each way that a run can take, and checks how it ended.
func TestRunEnds(t *testing.T) {
	uncertain := errors.New("no answer")
	for _, test := range []struct {
		name   string
		script func(s *harness)
		state  backup.State
		code   string
		begun  int
		check  func(t *testing.T, s *harness, run backup.Run)
	}{
		{
			name: "done at once", state: backup.Succeeded, begun: 1,
			script: func(s *harness) {
				s.provider.begin = func(backup.Attempt) (backup.Operation, error) { return backup.Operation{Done: true}, nil }
			},
			check: func(t *testing.T, s *harness, _ backup.Run) {
				if s.provider.polls != 0 {
					t.Errorf("polled %d times", s.provider.polls)
				}
			},
		},
		{
			name: "refused", state: backup.Failed, code: "InvalidTier", begun: 1,
			script: func(s *harness) {
				s.provider.begin = func(backup.Attempt) (backup.Operation, error) {
					return backup.Operation{}, &backup.Fault{
						Kind: backup.Refused, Code: "InvalidTier", Message: strings.Repeat("é", 5000), Hint: "scale it",
						Said: strings.Repeat("ü", 5000), RequestID: "request-1",
					}
				}
			},
			check: func(t *testing.T, _ *harness, run backup.Run) {
				if said := run.Reason.Said; said != strings.Repeat("ü", 2048)+" …" || run.Reason.RequestID != "request-1" {
					t.Errorf("said %d bytes in answer to %q", len(said), run.Reason.RequestID)
				}
				m := run.Reason.Message
				if len(m) > 4096+len(" …") || !strings.HasPrefix(m, strings.Repeat("é", 2048)) || !strings.HasSuffix(m, " …") ||
					run.Reason.Hint != "scale it" {
					t.Errorf("the reason has %d bytes, hint %q", len(m), run.Reason.Hint)
				}
			},
		},
		{
			name: "busy at first", state: backup.Succeeded, begun: 3,
			script: func(s *harness) {
				s.provider.begin = func(a backup.Attempt) (backup.Operation, error) {
					if !strings.HasSuffix(a.Artifact, ".3") {
						return backup.Operation{}, fault(backup.Retryable, "ServiceLocked")
					}
					return backup.Operation{Token: "token"}, nil
				}
			},
		},
		{
			name: "busy for a day", state: backup.Failed, code: "WaitedTooLong",
			script: func(s *harness) {
				s.provider.begin = func(backup.Attempt) (backup.Operation, error) {
					f := fault(backup.Retryable, "ServiceLocked")
					f.Said, f.RequestID = "it is locked", "request-1"
					return backup.Operation{}, f
				}
			},
			check: func(t *testing.T, _ *harness, run backup.Run) {
				if run.Reason.Said != "it is locked" || run.Reason.RequestID != "request-1" {
					t.Errorf("what the service said is lost: %+v", run.Reason)
				}
				if waited := run.Ended.Sub(run.Created); waited < 24*time.Hour || waited > 24*time.Hour+10*time.Minute {
					t.Errorf("it waited %s", waited)
				}
				if !strings.Contains(run.Reason.Message, "in the words of the service") {
					t.Errorf("the reason does not say what it waited for: %s", run.Reason.Message)
				}
			},
		},
		{
			name: "the answer to the start was lost, and the artifact found", state: backup.Succeeded, begun: 1,
			script: func(s *harness) {
				s.provider.begin = func(backup.Attempt) (backup.Operation, error) { return backup.Operation{}, uncertain }
				s.provider.find = func(a backup.Attempt) (string, error) {
					if s.now.Before(begin.Add(10 * time.Minute)) {
						return "", nil
					}
					return a.Run + ".1", nil
				}
			},
			check: func(t *testing.T, s *harness, run backup.Run) {
				if s.provider.polls != 0 || run.Lost != 1 || run.Artifact != run.ID+".1" {
					t.Errorf("polled %d times; %+v", s.provider.polls, run)
				}
			},
		},
		{
			name: "the answer was lost, and nothing found: begun again, and extra copies deleted", state: backup.Succeeded, begun: 2,
			script: func(s *harness) {
				s.provider.begin = func(a backup.Attempt) (backup.Operation, error) {
					if strings.HasSuffix(a.Artifact, ".1") {
						return backup.Operation{}, uncertain
					}
					if waited := s.now.Sub(begin); waited < 45*time.Minute || waited > 55*time.Minute {
						t.Errorf("begun again after %s", waited)
					}
					return backup.Operation{Token: "token"}, nil
				}
			},
			check: func(t *testing.T, s *harness, run backup.Run) {
				if fmt.Sprint(s.provider.deleted) != "[all but "+run.ID+".2]" {
					t.Errorf("deleted %q", s.provider.deleted)
				}
			},
		},
		{
			name: "the answer was lost three times", state: backup.Unknown, code: "StartLost", begun: 3,
			script: func(s *harness) {
				s.provider.begin = func(backup.Attempt) (backup.Operation, error) { return backup.Operation{}, uncertain }
			},
			check: func(t *testing.T, s *harness, run backup.Run) {
				for i, name := range s.provider.begun {
					if name != fmt.Sprintf("%s.%d", run.ID, i+1) {
						t.Errorf("attempt %d is named %s", i+1, name)
					}
				}
			},
		},
		{
			name: "the answer was lost, and it cannot be looked", state: backup.Unknown, code: "StartLost", begun: 1,
			script: func(s *harness) {
				s.provider.begin = func(backup.Attempt) (backup.Operation, error) { return backup.Operation{}, uncertain }
				s.provider.find = func(backup.Attempt) (string, error) { return "", fault(backup.Unobservable, "Forbidden") }
			},
		},
		{
			name: "lost, then busy, then found", state: backup.Succeeded, begun: 2,
			script: func(s *harness) {
				s.provider.begin = func(a backup.Attempt) (backup.Operation, error) {
					if strings.HasSuffix(a.Artifact, ".1") {
						return backup.Operation{}, uncertain
					}
					return backup.Operation{}, fault(backup.Retryable, "ServiceLocked")
				}
				s.provider.find = func(a backup.Attempt) (string, error) {
					if len(s.provider.begun) < 2 {
						return "", nil
					}
					return a.Run + ".1", nil
				}
			},
			check: func(t *testing.T, _ *harness, run backup.Run) {
				if run.Artifact != run.ID+".1" {
					t.Errorf("the artifact is %s", run.Artifact)
				}
			},
		},
		{
			name: "lost, then busy for a day", state: backup.Unknown, code: "WaitedTooLong",
			script: func(s *harness) {
				s.provider.begin = func(a backup.Attempt) (backup.Operation, error) {
					if strings.HasSuffix(a.Artifact, ".1") {
						return backup.Operation{}, uncertain
					}
					return backup.Operation{}, fault(backup.Retryable, "ServiceLocked")
				}
			},
		},
		{
			name: "lost, then busy, then it cannot be looked: not begun blindly", state: backup.Unknown, code: "WaitedTooLong",
			begun: 2,
			script: func(s *harness) {
				s.provider.begin = func(a backup.Attempt) (backup.Operation, error) {
					if strings.HasSuffix(a.Artifact, ".1") {
						return backup.Operation{}, uncertain
					}
					return backup.Operation{}, fault(backup.Retryable, "ServiceLocked")
				}
				s.provider.find = func(backup.Attempt) (string, error) {
					if len(s.provider.begun) < 2 {
						return "", nil
					}
					return "", fault(backup.Unobservable, "Forbidden")
				}
			},
		},
		{
			name: "the operation failed", state: backup.Failed, code: "BackupFailed", begun: 1,
			script: func(s *harness) {
				s.provider.poll = func(backup.Attempt) (backup.Operation, error) {
					return backup.Operation{}, fault(backup.Refused, "BackupFailed")
				}
			},
		},
		{
			name: "polls that fail are asked again", state: backup.Succeeded, begun: 1,
			script: func(s *harness) {
				s.provider.poll = func(backup.Attempt) (backup.Operation, error) {
					switch s.provider.polls {
					case 1:
						return backup.Operation{}, uncertain
					case 2:
						return backup.Operation{}, fault(backup.Retryable, "TooManyRequests")
					case 3:
						return backup.Operation{}, fault(backup.Unobservable, "AuthorizationFailed")
					case 4:
						return backup.Operation{Token: "token"}, nil
					}
					return backup.Operation{Done: true}, nil
				}
			},
			check: func(t *testing.T, s *harness, run backup.Run) {
				if s.provider.polls != 5 || !run.UnobservableSince.IsZero() {
					t.Errorf("%d polls, denied since %s", s.provider.polls, run.UnobservableSince)
				}
			},
		},
		{
			name: "an operation without an end", state: backup.Unknown, code: "OperationTooLong", begun: 1,
			script: func(s *harness) {
				s.provider.poll = func(backup.Attempt) (backup.Operation, error) { return backup.Operation{Token: "token"}, nil }
			},
			check: func(t *testing.T, _ *harness, run backup.Run) {
				if took := run.Ended.Sub(run.Accepted); took < 24*time.Hour || took > 24*time.Hour+10*time.Minute {
					t.Errorf("given up after %s", took)
				}
			},
		},
		{
			name: "denied, then found", state: backup.Succeeded, begun: 1,
			script: func(s *harness) {
				s.provider.poll = func(backup.Attempt) (backup.Operation, error) {
					return backup.Operation{}, fault(backup.Unobservable, "ResourceNotFound")
				}
				s.provider.find = func(a backup.Attempt) (string, error) {
					if s.provider.polls < 4 {
						return "", nil
					}
					return a.Run + ".1", nil
				}
			},
		},
		{
			name: "denied without an end", state: backup.Unknown, code: "AuthorizationFailed", begun: 1,
			script: func(s *harness) {
				s.provider.poll = func(backup.Attempt) (backup.Operation, error) {
					return backup.Operation{}, fault(backup.Unobservable, "AuthorizationFailed")
				}
			},
			check: func(t *testing.T, _ *harness, run backup.Run) {
				if took := run.Ended.Sub(run.UnobservableSince); took < 45*time.Minute || took > 55*time.Minute {
					t.Errorf("given up after %s", took)
				}
			},
		},
		{
			name: "hashed in three parts", state: backup.Succeeded, begun: 1,
			script: func(s *harness) {
				s.provider.hash = func(_ backup.Attempt, h backup.Hashing) (backup.Verification, error) {
					h = backup.Hashing{ETag: "etag", Offset: h.Offset + 1<<30, State: []byte{byte(len(h.State) + 1)}}
					return backup.Verification{Done: h.Offset == 3<<30, Hashing: h, Size: h.Offset, Modified: s.now}, nil
				}
			},
			check: func(t *testing.T, s *harness, run backup.Run) {
				if p := s.status(run.ID).Point; p.Size != 3<<30 {
					t.Errorf("size %d", p.Size)
				}
			},
		},
		{
			name: "the artifact is empty", state: backup.Failed, code: "EmptyArtifact", begun: 1,
			script: func(s *harness) {
				s.provider.hash = func(backup.Attempt, backup.Hashing) (backup.Verification, error) {
					return backup.Verification{}, fault(backup.Refused, "EmptyArtifact")
				}
			},
		},
		{
			name: "the artifact cannot be read for a day", state: backup.Unknown, code: "Forbidden", begun: 1,
			script: func(s *harness) {
				s.provider.hash = func(backup.Attempt, backup.Hashing) (backup.Verification, error) {
					return backup.Verification{}, fault(backup.Unobservable, "Forbidden")
				}
			},
		},
		{
			name: "the service could not restore the artifact", state: backup.Failed, code: "InvalidBackup", begun: 1,
			script: func(s *harness) {
				s.provider.prove = func(string) (backup.Operation, error) {
					return backup.Operation{}, fault(backup.Refused, "InvalidBackup")
				}
			},
		},
		{
			name: "the service cannot be asked for a day", state: backup.Unknown, code: "Unreachable", begun: 1,
			script: func(s *harness) {
				s.provider.prove = func(string) (backup.Operation, error) {
					return backup.Operation{}, fault(backup.Retryable, "Unreachable")
				}
			},
			check: func(t *testing.T, _ *harness, run backup.Run) {
				if !strings.HasPrefix(run.Reason.Message, "the service could not check the artifact: ") {
					t.Errorf("ended for %q", run.Reason.Message)
				}
			},
		},
		{
			name: "the service checks for more than a day", state: backup.Unknown, code: "VerifyTooLong", begun: 1,
			script: func(s *harness) {
				s.provider.prove = func(string) (backup.Operation, error) { return backup.Operation{Token: "look"}, nil }
			},
			check: func(t *testing.T, _ *harness, run backup.Run) {
				if !strings.Contains(run.Reason.Message, "still checks whether it could restore") {
					t.Errorf("ended for %q", run.Reason.Message)
				}
			},
		},
		{
			name: "the check of another content counts for nothing", state: backup.Succeeded, begun: 1,
			script: func(s *harness) {
				content, tokens := "first", 0
				s.provider.hash = func(backup.Attempt, backup.Hashing) (backup.Verification, error) {
					return backup.Verification{Done: true, Hashing: backup.Hashing{ETag: content}, Size: 7, SHA256: "beef", Modified: s.now}, nil
				}
				s.provider.prove = func(token string) (backup.Operation, error) {
					if want := content; tokens > 0 && token != "" && token != want {
						s.t.Errorf("the check %q continues, and the content is %q", token, want)
					}
					if tokens++; tokens == 1 {
						content = "second"
						return backup.Operation{Token: "first"}, nil
					}
					return backup.Operation{Done: token == "second", Token: "second"}, nil
				}
			},
			check: func(t *testing.T, s *harness, run backup.Run) {
				if p := s.status(run.ID).Point; p.ETag != "second" {
					t.Errorf("the recovery point has the ETag %q", p.ETag)
				}
			},
		},
		{
			name: "extra copies that cannot be deleted do no harm", state: backup.Succeeded, begun: 2,
			script: func(s *harness) {
				s.provider.begin = func(a backup.Attempt) (backup.Operation, error) {
					if strings.HasSuffix(a.Artifact, ".1") {
						return backup.Operation{}, uncertain
					}
					return backup.Operation{Token: "token"}, nil
				}
				s.provider.delete = func(backup.Attempt, bool) error { return fault(backup.Refused, "Immutable") }
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newHarness(t)
			test.script(s)
			run := s.ask("request-1")
			s.finish()
			run = s.ended(run.ID, test.state, test.code)
			if test.begun > 0 && len(s.provider.begun) != test.begun {
				t.Errorf("begun %d times, want %d", len(s.provider.begun), test.begun)
			}
			if test.check != nil {
				test.check(t, s, run)
			}
		})
	}
}

func TestRetryAfterIsObeyed(t *testing.T) {
	s := newHarness(t)
	s.provider.begin = func(backup.Attempt) (backup.Operation, error) {
		f := fault(backup.Retryable, "ServiceLocked")
		f.RetryAfter = 17 * time.Minute
		return backup.Operation{}, f
	}
	run := s.run(s.ask("request-1").ID)
	s.deliver()
	run = s.run(run.ID)
	if want := begin.Add(17 * time.Minute); run.State != backup.Waiting || !run.Due.Equal(want) ||
		!s.storage.queue.Messages("execute")[0].Visible.Equal(want) {
		t.Errorf("%s until %s, want %s", run.State, run.Due, want)
	}
	if s.rows("lock") != 0 {
		t.Error("a run that waits holds the lock")
	}
}

// TestAStepOfAnotherVersionIsNotTaken: a restore whose step this version does not know is left as it is, and the error names it.
func TestAStepOfAnotherVersionIsNotTaken(t *testing.T) {
	s, service, _ := restorable(t)
	run := s.restore(order("restore-1"), restoring(true))
	row, _, err := s.storage.catalog.Get(t.Context(), run.Key())
	if err != nil {
		t.Fatal(err)
	}
	body := bytes.Replace(row.Body, []byte(`"Restore":{`), []byte(`"Restore":{"step":"later",`), 1)
	w := backup.Write{Op: backup.Replace, Key: row.Key, ETag: row.ETag, Body: body}
	if _, err := s.storage.catalog.Apply(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	message := s.storage.queue.Messages("execute")
	if _, err := s.engine.Execute(t.Context(), "one", message[len(message)-1].Body); err == nil || !strings.Contains(err.Error(), `the step "later"`) {
		t.Errorf("the error is %v", err)
	}
	if len(service.started) != 0 || len(s.provider.begun) != 0 || s.run(run.ID).State != run.State {
		t.Errorf("%d restores and %d backups began; the run is %s", len(service.started), len(s.provider.begun), s.run(run.ID).State)
	}
}

// TestLooksOfTheServiceGrowRarer: the service's own checks, before a backup or after it, are polled as an operation is, also if
// the service never says when to ask again.
func TestLooksOfTheServiceGrowRarer(t *testing.T) {
	for name, script := range map[string]func(s *harness, asked *int, over func() bool){
		"before": func(s *harness, asked *int, over func() bool) {
			s.provider.prepare = func(string) (backup.Operation, error) {
				*asked++
				return backup.Operation{Token: "look", Done: over()}, nil
			}
		},
		"after": func(s *harness, asked *int, over func() bool) {
			s.provider.prove = func(string) (backup.Operation, error) {
				*asked++
				return backup.Operation{Token: "look", Done: over()}, nil
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newHarness(t)
			asked, since := 0, time.Time{}
			script(s, &asked, func() bool {
				if since.IsZero() {
					since = s.now
				}
				return s.now.Sub(since) >= 8*time.Hour
			})
			// Neither is measured from the creation of the run: it waited for hours before.
			busy := begin.Add(3 * time.Hour)
			s.provider.ready = func(backup.Attempt) error {
				if s.now.Before(busy) {
					return fault(backup.Retryable, "NotReady")
				}
				return nil
			}
			run := s.ask("request-1")
			s.finish()
			s.ended(run.ID, backup.Succeeded, "")
			if asked < 70 || asked > 80 {
				t.Errorf("a look of 8 hours was asked about %d times, want about 73", asked)
			}
		})
	}
}

// TestPolls counts what the growing delay costs.
func TestPolls(t *testing.T) {
	for _, test := range []struct {
		lasts time.Duration
		want  int
	}{{30 * time.Minute, 22}, {8 * time.Hour, 73}} {
		s := newHarness(t)
		s.provider.begin = func(backup.Attempt) (backup.Operation, error) {
			return backup.Operation{Token: "token", RetryAfter: time.Minute}, nil
		}
		s.provider.poll = func(backup.Attempt) (backup.Operation, error) {
			if s.now.Sub(begin) >= test.lasts {
				return backup.Operation{Done: true}, nil
			}
			return backup.Operation{Token: "token", RetryAfter: time.Minute}, nil
		}
		run := s.ask("request-1")
		s.finish()
		s.ended(run.ID, backup.Succeeded, "")
		if s.provider.polls != test.want {
			t.Errorf("an operation of %s takes %d polls, want %d", test.lasts, s.provider.polls, test.want)
		}
		if most := 21 + 3*test.want; s.storage.calls > most {
			t.Errorf("an operation of %s takes %d storage requests, want at most %d", test.lasts, s.storage.calls, most)
		}
	}
}

func TestSuperseded(t *testing.T) {
	for _, test := range []struct {
		name  string
		fault error
		state backup.State
	}{
		{"busy until the next scheduled time", fault(backup.Retryable, "ServiceLocked"), backup.Superseded},
		{"with a lost start behind it, nobody knows", nil, backup.Unknown},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newHarness(t)
			s.provider.begin = func(a backup.Attempt) (backup.Operation, error) {
				if test.fault == nil && strings.HasSuffix(a.Artifact, ".1") {
					return backup.Operation{}, errors.New("no answer")
				}
				return backup.Operation{}, fault(backup.Retryable, "ServiceLocked")
			}
			hourly := nightly()
			hourly.Schedule.Hour = schedule.EveryHour
			s.runSchedule(hourly) // the plan is new
			s.now = begin.Add(time.Hour)
			created := s.runSchedule(hourly).Created
			if len(created) != 1 {
				t.Fatalf("created %v", created)
			}
			s.finish()
			run := s.ended(created[0], test.state, "Superseded")
			if late := run.Ended.Sub(begin.Add(2 * time.Hour)); late < 0 || late > 10*time.Minute {
				t.Errorf("it ended %s after the next scheduled time", late)
			}
		})
	}
}

// TestALostStartIsNotRepeatedLate: the answer to a start is lost, and nothing of it is found. A further attempt begins only while the
// run has time: within its window, and before the plan's next scheduled time.
func TestALostStartIsNotRepeatedLate(t *testing.T) {
	for _, test := range []struct {
		name    string
		window  time.Duration
		hours   uint64
		starts  int
		state   backup.State
		message string
	}{
		{"the window is long enough", 2 * time.Hour, 1 << 2, 2, backup.Succeeded, ""},
		{"the window has ended", 40 * time.Minute, 1 << 2, 1, backup.Unknown, "no further attempt is made, since the window of its scheduled time ended at 2026-01-16T03:10:00Z"},
		{"the next scheduled time is due", 0, 1<<2 | 1<<3, 1, backup.Unknown, "no further attempt is made, since the plan's next scheduled time is due"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newHarness(t)
			starts := 0
			s.provider.begin = func(backup.Attempt) (backup.Operation, error) {
				if starts++; starts == 1 {
					return backup.Operation{}, fault(backup.Ambiguous, "AnswerLost")
				}
				return backup.Operation{Token: "token"}, nil
			}
			plan := nightly()
			plan.Window, plan.Schedule.Hour = test.window, test.hours
			if test.window == 0 {
				plan.Schedule.Minute = 1<<30 | 1<<10 // 2:10, 2:30, 3:10, 3:30
			}
			s.runSchedule(plan) // the plan is new
			s.now = plan.Schedule.Next(s.now)
			created := s.runSchedule(plan).Created
			if len(created) != 1 {
				t.Fatalf("created %v", created)
			}
			s.finish()
			code := ""
			if test.state == backup.Unknown {
				code = "StartLost"
			}
			run := s.ended(created[0], test.state, code)
			if starts != test.starts || !strings.Contains(run.Reason.Message, test.message) {
				t.Errorf("%d starts: %+v", starts, run.Reason)
			}
		})
	}
}

func TestTwoRunsOfOneTarget(t *testing.T) {
	s := newHarness(t)
	running := 0
	s.provider.begin = func(backup.Attempt) (backup.Operation, error) {
		if running++; running > 1 {
			t.Error("two operations at once")
		}
		return backup.Operation{Token: "token"}, nil
	}
	s.provider.poll = func(backup.Attempt) (backup.Operation, error) {
		running--
		return backup.Operation{Done: true}, nil
	}
	one, two := s.ask("request-1"), s.ask("request-2")
	s.deliver()
	if first, second := s.run(one.ID), s.run(two.ID); first.State != backup.Running || second.State != backup.Waiting ||
		second.Reason.Code != "TargetBusy" || second.Attempt != 0 {
		t.Errorf("one is %s, the other %s (%s)", first.State, second.State, second.Reason.Code)
	}
	s.finish()
	s.ended(one.ID, backup.Succeeded, "")
	s.ended(two.ID, backup.Succeeded, "")
}

// TestFoundWhileAnotherRunHasTheLock: a run that gave its lock up finds its lost artifact, and waits for the lock.
func TestFoundWhileAnotherRunHasTheLock(t *testing.T) {
	s := newHarness(t)
	one := s.ask("request-1")
	lost := true
	s.provider.begin = func(a backup.Attempt) (backup.Operation, error) {
		switch {
		case a.Run != one.ID:
			return backup.Operation{Token: "token"}, nil
		case lost:
			lost = false
			return backup.Operation{}, errors.New("no answer")
		default:
			return backup.Operation{}, fault(backup.Retryable, "ServiceLocked")
		}
	}
	for s.run(one.ID).State != backup.Waiting {
		s.step()
	}
	s.provider.find = func(a backup.Attempt) (string, error) { return a.Run + ".1", nil }
	s.provider.poll = func(backup.Attempt) (backup.Operation, error) {
		if s.provider.polls < 5 {
			return backup.Operation{Token: "token"}, nil
		}
		return backup.Operation{Done: true}, nil
	}
	two := s.ask("request-2")
	s.deliver()
	for s.run(one.ID).Reason.Code != "TargetBusy" {
		s.step()
	}
	if first, second := s.run(one.ID), s.run(two.ID); first.State != backup.Waiting || second.State != backup.Running {
		t.Errorf("one is %s, the other %s", first.State, second.State)
	}
	s.finish()
	s.ended(one.ID, backup.Succeeded, "")
	s.ended(two.ID, backup.Succeeded, "")
}

func TestLockDeletedByHand(t *testing.T) {
	s := newHarness(t)
	run := s.ask("request-1")
	s.deliver()
	row, _ := s.lock()
	if _, err := s.storage.catalog.Apply(t.Context(), backup.Write{Op: backup.Delete, Key: row.Key, ETag: "*"}); err != nil {
		t.Fatal(err)
	}
	s.finish()
	s.ended(run.ID, backup.Succeeded, "")
}

func TestNoProvider(t *testing.T) {
	s := newHarness(t)
	run := s.ask("request-1")
	s.engine.Providers = nil
	s.finish()
	s.ended(run.ID, backup.Failed, "NoProvider")
}

// TestStepMessages: a step message that the run does not expect changes nothing.
func TestStepMessages(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(w *backup.StepMessage)
		kept   bool
	}{
		{"lower", func(w *backup.StepMessage) { w.Sequence-- }, false},
		{"another nonce", func(w *backup.StepMessage) { w.Nonce = "other" }, false},
		{"higher", func(w *backup.StepMessage) { w.Sequence++ }, true},
		{"higher with the same nonce, and far", func(w *backup.StepMessage) { w.Sequence += 50 }, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newHarness(t)
			run := s.ask("request-1")
			s.deliver()
			run = s.run(run.ID)
			w := backup.StepMessage{Run: run.ID, Sequence: run.Sequence, Nonce: run.Nonce}
			test.change(&w)
			body, err := json.Marshal(w)
			if err != nil {
				t.Fatal(err)
			}
			rows, sent := fmt.Sprint(s.storage.catalog.Rows()), len(s.storage.queue.Messages("execute"))
			if _, err := s.engine.Execute(t.Context(), "invocation", body); err != nil {
				t.Fatal(err)
			}
			if now := fmt.Sprint(s.storage.catalog.Rows()); now != rows {
				t.Errorf("the catalog changed from\n%s\nto\n%s", rows, now)
			}
			messages := s.storage.queue.Messages("execute")[sent:]
			if kept := len(messages) == 1 && messages[0].Visible.Equal(run.Due); kept != test.kept {
				t.Errorf("put back: %d messages", len(messages))
			}
		})
	}
}

// TestStepsAreRepeatable kills the run at every storage call, before and after it took effect, and lets messages and rescuer
// bring it to its end: one operation or a looked-for one, one point, no loose ends, and every event with the same ID.
func TestStepsAreRepeatable(t *testing.T) {
	for _, made := range []bool{false, true} {
		for k := 1; ; k++ {
			s := newHarness(t)
			blobs := map[string]bool{}
			s.provider.begin = func(a backup.Attempt) (backup.Operation, error) {
				blobs[a.Artifact] = true
				return backup.Operation{Token: "token"}, nil
			}
			s.provider.find = func(a backup.Attempt) (string, error) {
				if blobs[a.Run+".1"] {
					return a.Run + ".1", nil
				}
				return "", nil
			}
			run := s.ask("request-1")
			s.storage.calls, s.storage.failAt, s.storage.made = 0, k, made
			for range 20 {
				s.finish()
				s.now = s.now.Add(10 * time.Minute)
				_, _ = s.engine.Schedule(t.Context(), nil)
			}
			if s.storage.calls < k {
				break
			}
			if run = s.run(run.ID); run.State != backup.Succeeded || run.Unpublished || s.rows("lock") != 0 || s.rows("point-") != 1 ||
				s.rows("inflight") != 0 || len(s.provider.begun) != 1 {
				t.Errorf("call %d fails (made: %v): %s, begun %q, %d entries", k, made, run.State, s.provider.begun, s.rows("inflight"))
			}
			events := s.storage.queue.Events()
			for _, e := range events {
				if e.ID != run.ID+".succeeded" {
					t.Errorf("call %d fails (made: %v): event %s", k, made, e.ID)
				}
			}
			if len(events) < 1 || len(events) > 2 {
				t.Errorf("call %d fails (made: %v): %d events", k, made, len(events))
			}
		}
	}
}

// TestLockTakenByAnother: the lock was deleted by hand and another run took it; the first one's end must not release it.
func TestLockTakenByAnother(t *testing.T) {
	s := newHarness(t)
	one := s.ask("request-1")
	s.deliver()
	row, _ := s.lock()
	if _, err := s.storage.catalog.Apply(t.Context(), backup.Write{Op: backup.Delete, Key: row.Key, ETag: "*"}); err != nil {
		t.Fatal(err)
	}
	s.provider.poll = func(a backup.Attempt) (backup.Operation, error) {
		if a.Run != one.ID {
			return backup.Operation{Token: "token"}, nil
		}
		return backup.Operation{Done: true}, nil
	}
	two := s.ask("request-2")
	s.deliver()
	for s.run(one.ID).State != backup.Succeeded {
		s.step()
	}
	row, held := s.lock()
	if s.run(two.ID).State != backup.Running || !held || !strings.Contains(string(row.Body), two.ID) {
		t.Errorf("the other run is %s, and the lock's row is %s", s.run(two.ID).State, row.Body)
	}
}

// TestHangingService: a service that accepts every connection and never answers costs an invocation its time, but the run notes
// why it does not get on, and ends.
func TestHangingService(t *testing.T) {
	for _, state := range []backup.State{backup.Running, backup.Verifying} {
		t.Run(string(state), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newHarness(t)
				run := s.ask("request")
				for s.run(run.ID).State != state {
					s.step()
				}
				s.provider.hangs = true
				s.step()
				if r := s.run(run.ID); r.State != state || r.Reason.Code != "Unreachable" {
					t.Errorf("the run is %s: %+v", r.State, r.Reason)
				}
				s.finish()
				code := "OperationTooLong"
				if state == backup.Verifying {
					code = "Unreachable"
				}
				s.ended(run.ID, backup.Unknown, code)
			})
		})
	}
}

// TestUnsettledServiceIsWaitedFor: the answer to a start was lost, and the service shows for hours that it works on something. No
// second start is sent, and the result of the first is the run's.
func TestUnsettledServiceIsWaitedFor(t *testing.T) {
	s := newHarness(t)
	s.provider.begin = func(backup.Attempt) (backup.Operation, error) {
		return backup.Operation{}, fault(backup.Ambiguous, "AnswerLost")
	}
	until := s.now.Add(3 * time.Hour)
	s.provider.find = func(a backup.Attempt) (string, error) {
		if s.now.Before(until) {
			return "", fault(backup.Retryable, "ServiceNotSettled")
		}
		return a.Run + ".1", nil
	}
	run := s.ask("request")
	s.finish()
	s.ended(run.ID, backup.Succeeded, "")
	if len(s.provider.begun) != 1 {
		t.Errorf("begun %q", s.provider.begun)
	}
}

// TestALostStartIsNotedBeforeItIsLookedFor: so the time for which it is looked for counts from the first look, however many processes die
// in one.
func TestALostStartIsNotedBeforeItIsLookedFor(t *testing.T) {
	s := newHarness(t)
	s.provider.begin = func(backup.Attempt) (backup.Operation, error) { panic(dead{}) }
	run := s.ask("lost")
	var since []time.Time
	s.provider.find = func(backup.Attempt) (string, error) {
		now := s.run(run.ID)
		if since = append(since, now.LostSince); now.Reason.Code != "StartLost" || now.LostSince.IsZero() || !now.LostSince.Equal(since[0]) {
			t.Errorf("look %d: %+v, lost since %s", len(since), now.Reason, now.LostSince)
		}
		if len(since) < 4 {
			panic(dead{})
		}
		return run.ID + ".1", nil
	}
	s.finish()
	s.rescueAll()
	if got := s.run(run.ID); len(since) < 4 || len(s.provider.begun) != 1 || got.State != backup.Succeeded {
		t.Errorf("%d looks, begun %q, %s: %+v", len(since), s.provider.begun, got.State, got.Reason)
	}
}

// TestEarlyStepMessagesComeBackRarely: a step message that came too early, such as the stray one of a step that died, is put back
// until the expected one is due, and then ever more rarely: each time storage may make two of it.
func TestEarlyStepMessagesComeBackRarely(t *testing.T) {
	for _, test := range []struct{ since, want time.Duration }{
		{-10 * time.Minute, 10 * time.Minute},
		{-time.Second, 30 * time.Second},
		{10 * time.Second, 30 * time.Second},
		{5 * time.Minute, 5 * time.Minute},
		{time.Hour, 10 * time.Minute},
	} {
		s := newHarness(t)
		run := s.ask("early")
		s.now = run.Due.Add(test.since)
		early := backup.StepMessage{Run: run.ID, Sequence: run.Sequence + 1, Nonce: "stray"}
		message, err := json.Marshal(early)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.engine.Execute(t.Context(), "early", message); err != nil {
			t.Fatal(err)
		}
		messages := s.storage.queue.Messages("execute")
		if got := messages[len(messages)-1].Visible.Sub(s.now); len(messages) != 2 || got != test.want {
			t.Errorf("%s after the expected one was due: %d messages, the last one back in %s, want %s", test.since, len(messages), got,
				test.want)
		}
	}
}
