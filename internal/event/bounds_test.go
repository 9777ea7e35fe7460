package event_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/event"
	"lifeboat/internal/request"
	"lifeboat/internal/restore"
	"lifeboat/internal/testing/memory"
)

// TestEveryEventFitsInBase64: with the longest texts that there are, of characters that JSON escapes, an event fits into a column of the
// outbox, and in base64 into a message of 64 KiB. Its IDs and names are whole.
func TestEveryEventFitsInBase64(t *testing.T) {
	for _, char := range []string{"<", "x", "\"", "ü", "\u2028", "\U0001f6df"} {
		long := strings.Repeat(char+char+char+" ", 1<<14)
		why := backup.Reason{
			Code: "Code", Message: backup.Bounded(long), Hint: backup.Bounded(long), Said: backup.Bounded(long), RequestID: backup.Bounded(long),
		}
		words, id := long[:len(char)*3]+" "+strings.Repeat(char, request.LongestWords-4), strings.Repeat(char, 128)
		target := "/subscriptions/" + strings.Repeat("x", 480)
		q := restore.Request{ID: id, Target: target, Into: target, RequestedBy: words, Reason: words}
		p := restore.Preview{Target: target, Destination: target, Made: at, MayAnswer: true}
		for i := range 8 {
			p.Ask(fmt.Sprint("guard ", i), nil)
		}
		p.Warn(&why)
		p.Ask("the last", &why)
		run := backup.Run{ID: strings.Repeat("0", 40), Target: target, Plan: "nightly", Request: id, State: backup.Failed, Ended: at, Reason: why}
		restoring := run
		restoring.Restore = &backup.Restoring{Source: target, RequestedBy: words, Reason: words, Warning: backup.Bounded(long)}
		for name, events := range map[string][]backup.Event{
			"a backup":         event.RunEnded(run, false),
			"a restore":        event.Restore(restoring, event.RestoreEnded(restoring), at),
			"a preview":        event.RestorePreviewed(q, p),
			"a refusal":        event.RequestRefused([]byte("{}"), q, why, "answers", at),
			"a plan":           {event.PlanTurned(event.PlanTurn{Hash: "h", Refused: true, Reason: backup.Bounded(long), Found: at})},
			"a dead letter":    {event.DeadLettered(event.DeadLetter{Queue: "execute", Reason: why, Row: backup.Key{Row: "row"}, Time: at})},
			"a refused backup": event.BackupAnswered(event.BackupAnswer{Request: request.Backup{ID: id, Target: target, RequestedBy: words, Reason: words}, Refused: &why, Time: at}, ""),
		} {
			for _, e := range events {
				q := memory.NewQueue(func() time.Time { return at })
				err := q.Publish(t.Context(), e)
				var text []byte
				for _, m := range q.Messages(e.Queue()) {
					text = m.Body
				}
				if err != nil || base64.StdEncoding.EncodedLen(len(text)+60) > 64<<10 || len(e.Data) > 32<<10 || !json.Valid(e.Data) {
					t.Errorf("%s of %q: %d bytes of data, %d of the message, %v", name, char, len(e.Data), len(text), err)
				}
				if name != "a plan" && name != "a dead letter" && !strings.Contains(string(e.Data), target) {
					t.Errorf("%s of %q does not name its target any more", name, char)
				}
			}
		}
	}
}

// TestAnEventThatFitsIsWhole: nothing is cut of the data of an event that is not too long.
func TestAnEventThatFitsIsWhole(t *testing.T) {
	long := strings.Repeat("x", 4096)
	run := backup.Run{ID: "run", State: backup.Failed, Ended: at, Reason: backup.Reason{Message: long, Hint: long, Said: long}}
	if data := string(event.RunEnded(run, false)[0].Data); strings.Count(data, long) != 3 {
		t.Errorf("%d bytes: %s", len(data), data)
	}
}

// TestAnAnswerFitsIntoTheOutbox: an event that cannot be sent is kept in a column with room for 32 Ki characters. The answer about
// more runs than fit names their batch alone.
func TestAnAnswerFitsIntoTheOutbox(t *testing.T) {
	id := strings.Repeat("0", 40)
	for n, named := range map[int]bool{500: true, 501: false, 1000: false} {
		a := event.BackupAnswer{Batch: "batch"}
		for range n {
			a.Runs = append(a.Runs, id)
		}
		data := string(event.BackupAnswered(a, "")[0].Data)
		if len(data) > 32<<10 || strings.Contains(data, id) != named || !strings.Contains(data, `"batch":"batch"`) {
			t.Errorf("%d runs: %d characters, named %v", n, len(data), strings.Contains(data, id))
		}
	}
}
