package request_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"lifeboat/internal/request"
)

// TestRead checks which fields and which event come out of each form.
func TestRead(t *testing.T) {
	const topic = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ApiManagement/service/contoso"
	cloud := request.Event{ID: "e", Source: "/s", Subject: "/apis/orders", Type: "t", Time: "2026-01-31T02:30:00Z"}
	grid := request.Event{ID: "e", Source: topic, Subject: "/apis/orders", Type: "T", Time: "2026-01-31T02:30:00.1234567Z"}
	for _, test := range []struct {
		name, text, id string
		fields         string
		event          request.Event
		err            string
	}{
		{"an object", `{"a":1,"b":"c"}`, "", `a=1 b="c"`, request.Event{}, ""},
		{"with an ID lent", `{"a":1}`, "x", `a=1 id="x"`, request.Event{}, ""},
		{"with its own", `{"id":"i"}`, "x", `id="i"`, request.Event{}, ""},
		{
			"a CloudEvent", `{"specversion":"1.0","id":"e","source":"/s","type":"t","subject":"/apis/orders","time":"2026-01-31T02:30:00Z","data":{"a":1}}`,
			"x", `a=1 id="e" requestedBy="/s"`, cloud, "",
		},
		{
			"Event Grid's schema", `{"id":"e","topic":"` + topic + `","subject":"/apis/orders","eventType":"T","dataVersion":"1",` +
				`"metadataVersion":"1","eventTime":"2026-01-31T02:30:00.1234567Z","data":{"a":1}}`,
			"x", `a=1 id="e" requestedBy="` + topic + `"`, grid, "",
		},
		{
			"a CloudEvent without data", `{"specversion":"1.0","id":"e","source":"/s","type":"t"}`, "", `id="e" requestedBy="/s"`,
			request.Event{ID: "e", Source: "/s", Type: "t"},
			`"data": the event has none`,
		},
		{
			"base64 of no UTF-8", `{"specversion":"1.0","id":"e","source":"/s","type":"t","data_base64":"eyJpZCI6ImkiLCJhIjoi/yJ9"}`, "",
			"a=\"\xff\" id=\"i\" requestedBy=\"/s\"",
			request.Event{ID: "e", Source: "/s", Type: "t"},
			`"data_base64": it is not the base64 of text in UTF-8`,
		},
		{
			"base64 that is torn", `{"specversion":"1.0","id":"e","source":"/s","type":"t","data_base64":"eyJpZCI6ImkiLCJhIjox!"}`, "",
			`a=1 id="i" requestedBy="/s"`,
			request.Event{ID: "e", Source: "/s", Type: "t"},
			`"data_base64": it is not the base64 of text in UTF-8`,
		},
		{"without an ID", `{"eventType":"T","subject":"/s","data":{}}`, "x", `id="" requestedBy="/s"`, request.Event{Subject: "/s", Type: "T"}, "an event of Event Grid has an id"},
		{"a name twice", `{"a":1,"b":2,"a":3,"a":4}`, "", "b=2", request.Event{}, `the field "a" stands there twice`},
		{"torn", `{"a":1,"b":`, "", "a=1", request.Event{}, "it is not JSON: EOF"},
		{"more behind it", `{"a":1} {}`, "", "a=1", request.Event{}, "there is more behind the JSON object"},
		{"no UTF-8", "{\"a\":1,\"b\":\"\xff\"}", "", "a=1 b=\"\xff\"", request.Event{}, "the request is not text in UTF-8: encode it so, or leave out all letters beyond ASCII"},
		{"text in quotes", `"{}"`, "", "", request.Event{}, "it is JSON text in quotes: send the JSON object itself"},
		{"a number", `1`, "", "", request.Event{}, "it is not a JSON object: send one in UTF-8 or UTF-16, as it is or in base64, or as the data of a CloudEvent"},
		{"an array", `[{}]`, "", "", request.Event{}, "it is a JSON array: send one request, as a JSON object. A message of a queue may hold an array of 1 to 500 " +
			"requests, each an object of at most 40000 bytes"},
		{"too long", strings.Repeat(" ", request.Longest) + "{}", "", "", request.Event{}, "the request has 65538 bytes, more than 65536"},
	} {
		body, err := request.Read([]byte(test.text), test.id)
		var fields []string
		for _, name := range slices.Sorted(maps.Keys(body.Fields)) {
			fields = append(fields, name+"="+string(body.Fields[name]))
		}
		if got := strings.Join(fields, " "); got != test.fields || body.Event != test.event {
			t.Errorf("%s: %s of %+v", test.name, got, body.Event)
		}
		if wrong, ok := errors.AsType[*request.Error](err); test.err != fmt.Sprint(err) && (test.err != "" || err != nil) || err != nil && !ok {
			t.Errorf("%s: %T %v, want %s", test.name, wrong, err, test.err)
		}
	}
}

// TestBatch checks which arrays are batches.
func TestBatch(t *testing.T) {
	batch := request.Batch([]byte(" [{\"a\": 1},\n{} ] "))
	if len(batch) != 2 || string(batch[0]) != `{"a": 1}` || string(batch[1]) != "{}" {
		t.Errorf("%q", batch)
	}
	for _, text := range []string{"", "{}", "[]", "null", "[1]", "[null]", "[[]]", "[{}", "[{}]]", "[{}" + strings.Repeat(",{}", 500) + "]"} {
		if batch := request.Batch([]byte(text)); batch != nil {
			t.Errorf("%s: %q", text, batch)
		}
	}
	if n := len(request.Batch([]byte("[{}" + strings.Repeat(",{}", 499) + "]"))); n != 500 {
		t.Errorf("%d of 500", n)
	}
}

// TestReader checks that a reader keeps its first error, and reads on.
func TestReader(t *testing.T) {
	body := request.Body{Fields: map[string]json.RawMessage{
		"id": []byte(`"i"`), "a": []byte(`"x"`), "b": []byte("7"), "yes": []byte("true"), "maybe": []byte(`"true"`), "z": []byte("1"), "y": []byte("1"),
	}}
	r := request.NewReader(body, nil)
	texts := r.Texts("id", "a", "b", "c")
	if fmt.Sprint(texts) != "map[a:x id:i]" || r.ID(texts) != "i" || !r.Flag("yes") || r.Flag("maybe") || r.Flag("no") {
		t.Errorf("%v", texts)
	}
	r.End()
	if err := r.Err(); err == nil || err.Error() != `"b": it is not text` {
		t.Error(err)
	}
	if r := request.NewReader(body, errors.New("first")); r.ID(nil) != "" || r.Err().Error() != "first" {
		t.Error(r.Err())
	}
	unknown := request.NewReader(request.Body{Fields: map[string]json.RawMessage{"z": []byte("1"), "y": []byte("1")}}, nil)
	if unknown.End(); unknown.Err().Error() != `"y": the field is not known` {
		t.Error(unknown.Err())
	}
}
