package message_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"lifeboat/internal/backup"
	"lifeboat/internal/storage/message"
)

// TestADelayIsOfWholeSecondsUpToSevenDays: a delay is rounded up, because the program requeues a message that arrives too
// early.
func TestADelayIsOfWholeSecondsUpToSevenDays(t *testing.T) {
	const week = 7 * 24 * time.Hour
	for delay, want := range map[time.Duration]int32{
		0: 0, time.Nanosecond: 1, time.Millisecond: 1, time.Second: 1, time.Second + 1: 2, 1500 * time.Millisecond: 2, 2 * time.Second: 2,
		week - 1: 604_800, week: 604_800,
	} {
		if got, err := message.Seconds(delay); err != nil || got != want {
			t.Errorf("%s: %d, %v, want %d", delay, got, err, want)
		}
	}
	for _, delay := range []time.Duration{-1, -time.Second, week + 1, week + time.Second} {
		if got, err := message.Seconds(delay); err == nil {
			t.Errorf("%s is taken for %d", delay, got)
		}
	}
}

// TestAnEventIsACloudEvent checks that a message has all the facts of its event.
func TestAnEventIsACloudEvent(t *testing.T) {
	at := time.Date(2026, 3, 1, 3, 0, 0, 0, time.FixedZone("", 3600))
	text, err := message.Event("contoso", backup.Event{ID: "i", Type: "lifeboat.t", Subject: "s", Time: at, Data: json.RawMessage(`{"a":1}`)})
	want := map[string]any{
		"specversion": "1.0", "id": "i", "source": "contoso", "type": "lifeboat.t", "subject": "s", "time": "2026-03-01T02:00:00Z",
		"datacontenttype": "application/json", "data": map[string]any{"a": 1.0},
	}
	var got map[string]any
	if err != nil || json.Unmarshal(text, &got) != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s, %v", text, err)
	}
	var known event.Event // as CloudEvents' own SDK reads it
	if err := json.Unmarshal(text, &known); err != nil || known.Validate() != nil || known.ID() != "i" || known.Source() != "contoso" ||
		known.Type() != "lifeboat.t" || known.Subject() != "s" || !known.Time().Equal(at) || string(known.Data()) != `{"a":1}` {
		t.Errorf("%s: %v", known, err)
	}
	text, err = message.Event("contoso", backup.Event{ID: "i", Type: "lifeboat.t", Time: at, Data: json.RawMessage(`{}`)})
	if err != nil || strings.Contains(string(text), "subject") {
		t.Errorf("without a subject: %s, %v", text, err)
	}
	for _, source := range []string{"", "%zz", "http://[::1"} {
		if text, err := message.Event(source, backup.Event{ID: "i", Type: "t", Time: at, Data: json.RawMessage(`{}`)}); err == nil {
			t.Errorf("%q: %s", source, text)
		}
	}
	for name, e := range map[string]backup.Event{
		"no data":     {ID: "i", Type: "t", Time: at},
		"null":        {ID: "i", Type: "t", Time: at, Data: json.RawMessage(`null`)},
		"a list":      {ID: "i", Type: "t", Time: at, Data: json.RawMessage(`[]`)},
		"broken data": {ID: "i", Type: "t", Time: at, Data: json.RawMessage(`{`)},
		"no time":     {ID: "i", Type: "t", Data: json.RawMessage(`{}`)},
		"no ID":       {Type: "t", Time: at, Data: json.RawMessage(`{}`)},
		"no type":     {ID: "i", Time: at, Data: json.RawMessage(`{}`)},
	} {
		if text, err := message.Event("contoso", e); err == nil {
			t.Errorf("%s: %s", name, text)
		}
	}
}

// TestAMessageHas64KiBAtMost: the limit counts bytes.
func TestAMessageHas64KiBAtMost(t *testing.T) {
	event := func(n int) ([]byte, error) {
		return message.Event("contoso", backup.Event{
			ID: "i", Type: "t", Time: time.Unix(0, 0), Data: json.RawMessage(`{"a":"` + strings.Repeat("x", n) + `"}`),
		})
	}
	small, err := event(0)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := event(64<<10 - len(small)); err != nil || len(text) != 64<<10 {
		t.Errorf("%d bytes: %v", len(text), err)
	}
	if text, err := event(64<<10 - len(small) + 1); err == nil {
		t.Errorf("%d bytes are taken", len(text))
	}
	if text, err := message.StepMessage(backup.StepMessage{Run: "r", Sequence: 7, Nonce: "m"}); err != nil || string(text) != `{"run":"r","sequence":7,"nonce":"m"}` {
		t.Errorf("%s, %v", text, err)
	}
	if _, err := message.StepMessage(backup.StepMessage{Run: strings.Repeat("r", 64<<10)}); err == nil {
		t.Error("a step message of more is taken")
	}
}
