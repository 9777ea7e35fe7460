package backup_test

import (
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
)

// TestHoldsInARow: a row from before there were holds has none, and a version that does not know them leaves them in the row.
func TestHoldsInARow(t *testing.T) {
	now := time.Date(2026, 3, 1, 2, 30, 0, 0, time.UTC)
	old, err := backup.DecodePoint(backup.Row{Body: []byte(`{"ID":"a-b","State":"live","Held":{"until":"2026-03-02T00:00:00Z","reason":"r"}}`)})
	if err != nil || len(old.Holds) != 0 || len(old.HeldBy(now)) != 0 {
		t.Fatalf("%+v, %v", old, err)
	}
	if strings.Contains(string(backup.Encode(old)), "Holds") || strings.Contains(string(backup.Encode(old)), "Released") {
		t.Errorf("a point without holds is %s", backup.Encode(old))
	}
	old.Holds = []backup.PersonHold{{ID: "one", Since: now, By: "invocation one", Reason: "why"}}
	type before struct {
		ID    string
		State backup.PointState
		backup.Carried
	}
	v, err := backup.Decode[before](backup.Row{Body: backup.Encode(old)})
	if err != nil {
		t.Fatal(err)
	}
	v.State = backup.Altered
	again, err := backup.DecodePoint(backup.Row{Body: backup.Encode(v)})
	if err != nil || again.State != backup.Altered || len(again.Holds) != 1 || again.Holds[0] != old.Holds[0] || again.Held != old.Held {
		t.Errorf("%+v, %v", again, err)
	}
}

func TestLongestHold(t *testing.T) {
	now := time.Date(2026, 3, 1, 2, 30, 0, 0, time.UTC)
	hold := func(id string, hours int) backup.PersonHold {
		h := backup.PersonHold{ID: id}
		if hours != 0 {
			h.Until = now.Add(time.Duration(hours) * time.Hour)
		}
		return h
	}
	for want, holds := range map[string][]backup.PersonHold{
		"":        {hold("past", -1), {ID: "now", Until: now}},
		"one":     {hold("past", -1), hold("one", 1)},
		"two":     {hold("one", 1), hold("two", 2), hold("three", 1)},
		"endless": {hold("one", 1), hold("endless", 0), hold("two", 2), hold("other", 0)},
	} {
		got, held := backup.Point{Holds: holds}.LongestHold(now)
		if got.ID != want || held != (want != "") {
			t.Errorf("of %v it is %q, held: %t; want %q", holds, got.ID, held, want)
		}
	}
}

func TestHoldReason(t *testing.T) {
	for text, want := range map[string]bool{
		"": false, " ": false, "a": true, strings.Repeat("ä", 1000): true, strings.Repeat("ä", 1001): false, "a\nb": false, "a\tb": false,
		"a\x00": false, "\xff": false, "a\u0085": false, "<b> & 'c' 🙂": true,
	} {
		if backup.IsHoldReason(text) != want {
			t.Errorf("%q: %t", text, !want)
		}
	}
}
