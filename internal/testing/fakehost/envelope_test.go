package fakehost

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// encodeToMap returns the body of a request, parsed, without the variable part of sys.
func encodeToMap(t *testing.T, f *function, value any, metadata bindingData) map[string]any {
	t.Helper()
	text, err := envelope(f, value, metadata)
	if err != nil {
		t.Fatal(err)
	}
	var body map[string]any
	if err := json.Unmarshal(text, &body); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if inner, ok := body["Metadata"].(map[string]any)["sys"].(map[string]any); ok {
		if _, err := time.Parse(time.RFC3339Nano, inner["UtcNow"].(string)); err != nil || inner["RandGuid"] == "" {
			t.Errorf("sys is %v: %v", inner, err)
		}
		delete(inner, "UtcNow")
		delete(inner, "RandGuid")
	}
	return body
}

func queueFunction(dataType string) *function {
	return &function{name: "Fn", trigger: binding{Type: queueTrigger, Name: "item", DataType: dataType}}
}

func testMessage(text string) *message {
	at := time.Date(2026, 1, 1, 10, 0, 0, 123456789, time.UTC)
	return &message{
		id: "7a1c", popReceipt: "AgAAAA==", body: []byte(text), dequeueCount: 1,
		inserted: at, expires: at.AddDate(0, 0, 7), visible: at.Add(10 * time.Minute),
	}
}

var plainMetadata = map[string]any{
	"DequeueCount": "1", "Id": `"7a1c"`, "PopReceipt": `"AgAAAA=="`,
	"InsertionTime": "2026-01-01T10:00:00+00:00", "ExpirationTime": "2026-01-08T10:00:00+00:00",
	"NextVisibleTime": "2026-01-01T10:10:00+00:00", "sys": map[string]any{"MethodName": "Fn"},
}

// with returns plainMetadata with some entries replaced.
func with(entries map[string]any) map[string]any {
	all := map[string]any{}
	for _, from := range []map[string]any{plainMetadata, entries} {
		for k, v := range from {
			all[k] = v
		}
	}
	return all
}

func TestQueueEnvelope(t *testing.T) {
	for name, c := range map[string]struct {
		dataType, text string
		data           any
		metadata       map[string]any
	}{
		"plain text":   {"", "hi", `"hi"`, plainMetadata},
		"JSON text":    {"string", `[1]`, `"[1]"`, plainMetadata},
		"HTML":         {"", `<a&b>`, `"<a&b>"`, plainMetadata},
		"a JSON value": {"", `{"a":1}`, `"{\"a\":1}"`, with(map[string]any{"a": `"1"`})},
		"bytes":        {"binary", `{"a":1}`, "eyJhIjoxfQ==", plainMetadata},
		"bytes spoof":  {"Binary", `{"id":"x","dequeueCount":99}`, "eyJpZCI6IngiLCJkZXF1ZXVlQ291bnQiOjk5fQ==", plainMetadata},
		// The message's own members overwrite the host's, in any case.
		"text spoof": {
			"", `{"id":"x","dequeueCount":99,"SYS":"mine"}`, `"{\"id\":\"x\",\"dequeueCount\":99,\"SYS\":\"mine\"}"`,
			with(map[string]any{"Id": `"x"`, "DequeueCount": `"99"`, "sys": `"mine"`}),
		},
		"all kinds": {
			"", `{"n":null,"l":[1],"o":{"x":1},"t":true,"f":1.50,"d":"2026-01-02T03:04:05.678Z","myTrigger":1}`,
			`"{\"n\":null,\"l\":[1],\"o\":{\"x\":1},\"t\":true,\"f\":1.50,\"d\":\"2026-01-02T03:04:05.678Z\",\"myTrigger\":1}"`,
			with(map[string]any{
				"o": map[string]any{"x": 1.0}, "t": `"True"`, "f": `"1.50"`, "d": `"01/02/2026 03:04:05"`,
			}),
		},
	} {
		f, m := queueFunction(c.dataType), testMessage(c.text)
		data := metadata(f, m)
		got := encodeToMap(t, f, messageValue(f, m.body, data), data)
		want := map[string]any{"Data": map[string]any{"item": c.data}, "Metadata": c.metadata}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestTimerEnvelope(t *testing.T) {
	at := time.Date(2026, 1, 1, 10, 0, 0, 500000000, time.UTC)
	off := false
	for name, c := range map[string]struct {
		schedule string
		monitor  *bool
		want     map[string]any
	}{
		"monitored": {"0 * * * * *", nil, map[string]any{
			"Schedule": map[string]any{"AdjustForDST": true}, "IsPastDue": true, "ScheduleStatus": map[string]any{
				"Last": "0001-01-01T00:00:00", "Next": "2026-01-01T10:00:00.5+00:00", "LastUpdated": "2026-01-01T10:00:00.5+00:00",
			},
		}},
		"not monitored": {"0 * * * * *", &off, map[string]any{
			"Schedule": map[string]any{"AdjustForDST": true}, "IsPastDue": true, "ScheduleStatus": nil,
		}},
		"time span": {"00:00:30", nil, map[string]any{
			"Schedule": map[string]any{"AdjustForDST": false}, "IsPastDue": true, "ScheduleStatus": nil,
		}},
	} {
		s, err := parseSchedule(c.schedule)
		if err != nil {
			t.Fatal(err)
		}
		f := &function{name: "Fn", trigger: binding{Type: timerTrigger, Name: "timer", UseMonitor: c.monitor}, schedule: s}
		got := encodeToMap(t, f, timerInfo(f, timerStatus{next: at, lastUpdated: at}, true), sys(f))
		want := map[string]any{
			"Data":     map[string]any{"timer": c.want},
			"Metadata": map[string]any{"sys": map[string]any{"MethodName": "Fn"}},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
