package engine_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
	"lifeboat/internal/request"
)

// typesIn returns the different types of the events in the queue, sorted.
func (s *harness) typesIn(queue string) string {
	s.t.Helper()
	var types []string
	for _, m := range s.storage.queue.Messages(queue) {
		var e struct{ Type string }
		if err := json.Unmarshal(m.Body, &e); err != nil {
			s.t.Fatal(err)
		}
		types = append(types, strings.TrimPrefix(e.Type, "lifeboat."))
	}
	slices.Sort(types)
	return strings.Join(slices.Compact(types), " ")
}

// TestAnswerSurvives lets every call to storage fail, made or not, and the process die before each and after each, while a
// message asks for backups. The message is delivered again, after the plan was edited: each backup is made once and succeeds, and
// the request has its answer and the end of each backup. A request that is refused stays so.
func TestAnswerSurvives(t *testing.T) {
	for _, refused := range []bool{false, true} {
		for _, how := range []string{"fails", "is made and fails", "dies before", "dies after"} {
			for k := 1; ; k++ {
				s, plan := newHarness(t), fleet(2)
				plan.OnDemandReplyTo = []string{"answers"}
				q := request.Backup{ID: "request-1", Plan: plan.Name, ReplyTo: "answers"}
				first, later := []backup.Plan{plan}, []backup.Plan{{Name: plan.Name, OnDemandReplyTo: plan.OnDemandReplyTo}}
				if refused {
					q.Target = target + "-1"
					first, later = later, first
				}
				switch how {
				case "fails", "is made and fails":
					s.storage.failAt, s.storage.made = k, how == "is made and fails"
				case "dies before":
					s.storage.before = func(call int) {
						if call == k {
							panic(dead{})
						}
					}
				case "dies after":
					s.storage.failAt, s.storage.made, s.storage.fatal = k, true, true
				}
				s.engine.Parallelism = 1 // a death ends its own goroutine alone
				deliver := func(plans []backup.Plan) (b engine.Batch, err error) {
					defer func() {
						if p := recover(); p != nil {
							err = errBroken
						}
					}()
					return s.engine.AnswerBackup(t.Context(), q, plans, nil)
				}
				_, err := deliver(first)
				reached := s.storage.calls >= k
				s.storage.failAt, s.storage.before = 0, nil
				claimed := s.rows("request") > 0
				if err != nil {
					s.now = s.now.Add(redelivery)
					again := first
					if claimed {
						again = later
					}
					if _, err = deliver(again); err != nil {
						t.Fatalf("call %d %s: delivered again: %v", k, how, err)
					}
				}
				if _, err := deliver(first); err != nil { // storage may duplicate the message
					t.Fatal(err)
				}
				for range 3 {
					s.finish()
					s.now = s.now.Add(10 * time.Minute)
					s.runSchedule()
				}
				want, runs := "backup.accepted run.succeeded", 2
				if refused {
					want, runs = "backup.refused", 0
				}
				if got := s.typesIn("answers"); got != want || s.typesIn("lifeboat-events") != want {
					t.Errorf("call %d %s: answered %q, told %q", k, how, got, s.typesIn("lifeboat-events"))
				}
				if s.rows("run-") != runs || len(s.provider.begun) != runs || s.rows("inflight") != 0 {
					t.Errorf("call %d %s: %d runs, %d begun, %d in flight", k, how, s.rows("run-"), len(s.provider.begun), s.rows("inflight"))
				}
				if !reached {
					if k < 4 {
						t.Errorf("only %d calls", k-1)
					}
					break
				}
			}
		}
	}
}

// TestAcceptedBeforeItIsGivenUp checks that a request stays accepted if its message was given up after that, and that its missing
// runs are made.
func TestAcceptedBeforeItIsGivenUp(t *testing.T) {
	s, plan := newHarness(t), fleet(3)
	q := request.Backup{ID: "request-1", Plan: plan.Name}
	s.engine.Parallelism, s.storage.failAt = 1, 7 // among the runs, which come one after the other
	if _, err := s.engine.AnswerBackup(t.Context(), q, []backup.Plan{plan}, nil); err == nil || s.rows("run-") == 3 {
		t.Fatalf("%v, %d runs", err, s.rows("run-"))
	}
	b, err := s.engine.AnswerBackup(t.Context(), q, nil, &backup.Reason{Code: "RequestGivenUp"})
	if err != nil || b.Refused != nil || s.rows("run-") != 3 || s.typesIn("lifeboat-events") != "backup.accepted" {
		t.Errorf("%+v, %v, %d runs, told %s", b.Refused, err, s.rows("run-"), s.typesIn("lifeboat-events"))
	}
}
