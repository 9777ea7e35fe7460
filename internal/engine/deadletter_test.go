package engine_test

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
)

// TestHopelessMessages: a message that Lifeboat can do nothing with is kept with the reason, whole, and acknowledged.
func TestHopelessMessages(t *testing.T) {
	known := "0123456789abcdef-0123456789-0123456789ab"
	for _, test := range []struct {
		name, body, reason, encoding string
	}{
		{"empty", "", "not a step message", "text"},
		{"no JSON", "hello", "not a step message", "text"},
		{"another JSON", `{"run":"` + known + `","sequence":1,"nonce":"m","more":1}`, "not a step message", "text"},
		{"two of them", `{"run":"` + known + `","sequence":1,"nonce":"m"} {}`, "there is more behind", "text"},
		{"no run's ID", `{"run":"../secrets","sequence":1,"nonce":"m"}`, "is not the ID of a run", "text"},
		{"no sequence number", `{"run":"` + known + `","nonce":"m"}`, "a sequence number of 1 or more", "text"},
		{"no nonce", `{"run":"` + known + `","sequence":1}`, "and a nonce", "text"},
		{"an unknown run", `{"run":"` + known + `","sequence":1,"nonce":"m"}`, "there is no run " + known, "text"},
		{"binary", "\x00\x01\xff\xfe", "not a step message", "base64"},
		{"binary, 64 KiB", strings.Repeat("\x00", 64<<10), "not a step message", "base64"},
		{"64 KiB of letters", strings.Repeat("x", 64<<10), "not a step message", "text"},
		{"64 KiB of characters of four bytes", strings.Repeat("𝄞", 16<<10), "not a step message", "text"},
		{"control characters", "a\x1bb", "not a step message", "base64"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newHarness(t)
			for range 2 {
				if _, err := s.engine.Execute(t.Context(), "invocation", []byte(test.body)); err != nil {
					t.Fatal(err)
				}
				s.now = s.now.Add(time.Hour)
			}
			rows := slices.DeleteFunc(s.storage.catalog.Rows(), func(r backup.Row) bool { return r.Partition == backup.SchedulePartition })
			if len(rows) != 1 || rows[0].Partition != "deadletter" {
				t.Fatalf("%d rows", len(rows))
			}
			var l map[string]string
			if err := json.Unmarshal(rows[0].Body, &l); err != nil {
				t.Fatal(err)
			}
			body := l["Body1"] + l["Body2"] + l["Body3"] + l["Body4"] + l["Body5"] + l["Body6"]
			if l["Encoding"] == "base64" {
				raw, err := base64.StdEncoding.DecodeString(body)
				if err != nil {
					t.Fatal(err)
				}
				body = string(raw)
			}
			if body != test.body || l["Encoding"] != test.encoding || l["Queue"] != "execute" {
				t.Errorf("%d bytes are kept of %d, as %s of %s", len(body), len(test.body), l["Encoding"], l["Queue"])
			}
			if !strings.Contains(l["Reason"], test.reason) {
				t.Errorf("the reason is %q", l["Reason"])
			}
			if l["Time"] != begin.Add(time.Hour).Format(time.RFC3339) {
				t.Errorf("the time is %s", l["Time"])
			}
		})
	}
}

// TestDeadLetterFails: a letter that could not be kept is delivered again.
func TestDeadLetterFails(t *testing.T) {
	s := newHarness(t)
	s.storage.failAt = 1
	if _, err := s.engine.Execute(t.Context(), "invocation", []byte("hello")); err == nil {
		t.Error("the message is lost")
	}
}

func TestParseStepMessage(t *testing.T) {
	w, err := backup.ParseStepMessage([]byte(` {"run":"0123456789abcdef-0123456789-0123456789ab","sequence":3,"nonce":"m"}` + "\n"))
	if err != nil || w.Sequence != 3 || w.Nonce != "m" {
		t.Errorf("%+v, %v", w, err)
	}
}
