package handler

import (
	"errors"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/request"
)

// TestRestoreOutlivesAnHourOfTrouble checks that a request that the host gives up again and again for an hour is put off each
// time, and becomes the restore in the end; it keeps the time at which it was first sent.
func TestRestoreOutlivesAnHourOfTrouble(t *testing.T) {
	d, _, _ := restoreHandler(t, false)
	good := d.plans
	d.plans = func() ([]backup.Plan, error) { return nil, errors.New("the table does not answer") }
	message, waited := []byte(orderText), time.Duration(0)
	for round := range 3 {
		if w := d.send("restore", message); w.Code != 500 {
			t.Fatalf("round %d: %d %s", round, w.Code, w.Body)
		}
		if w := d.send("deadletter-restore", message); w.Code != 200 {
			t.Fatalf("round %d: %d %s", round, w.Code, w.Body)
		}
		messages := d.queue.Messages("restore-requests")
		last := messages[len(messages)-1]
		message, waited = last.Body, waited+time.Until(last.Visible)
	}
	if waited < time.Hour-time.Minute || waited > time.Hour {
		t.Errorf("it was put off for %s", waited)
	}
	if letters := d.rows(t, "deadletter"); len(letters) != 0 {
		t.Errorf("dead letters: %s", letters)
	}
	d.plans = good
	if w := d.send("restore", message); w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if types, _ := d.told(t); strings.Join(types, " ") != "restore.accepted" {
		t.Errorf("told %s", types)
	}
}

// TestPutOffKeepsItsTime checks that a request without a time of its own is as old as its first message, however often it was
// put off, and that a message of another sender in that form is no younger than the message itself.
func TestPutOffKeepsItsTime(t *testing.T) {
	sent := time.Date(2026, 1, 15, 2, 30, 0, 0, time.UTC)
	text := func(at string) []byte {
		return []byte(`{"lifeboatPostponed":{"sent":"` + at + `","rounds":1,"message":"e30="}}`)
	}
	for _, test := range []struct {
		message, original string
		want              time.Time
	}{
		{"{}", "{}", sent},
		{string(text("2026-01-15T01:00:00Z")), "{}", sent.Add(-90 * time.Minute)},
		{string(text("2026-01-15T03:00:00Z")), "{}", sent},
		{`{"lifeboatPostponed":{"rounds":1,"message":"e30="}}`, "{}", sent},
		{`{"lifeboatPostponed":{"sent":"2026-01-15T01:00:00Z","rounds":0,"message":"e30="}}`, "{}", sent.Add(-90 * time.Minute)},
		{`{"lifeboatPostponed":{"rounds":-1,"message":"e30="}}`, `{"lifeboatPostponed":{"rounds":-1,"message":"e30="}}`, sent},
		{`{"lifeboatPostponed":{"rounds":1,"message":"e30="},"id":"x"}`, `{"lifeboatPostponed":{"rounds":1,"message":"e30="},"id":"x"}`, sent},
	} {
		first := request.Original([]byte(test.message), sent)
		original, at := first.Message, first.Sent
		if string(original) != test.original || !at.Equal(test.want) {
			t.Errorf("%s: %s of %s, want %s of %s", test.message, original, at, test.original, test.want)
		}
	}
}
