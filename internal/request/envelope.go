// Package request reads the forms in which requests come: a JSON object by itself, in a CloudEvent, or in an event of Event Grid's
// own schema. It has the parts that all requests share, the requests for backups, and the events of changes with their row; the
// requests for restores stand in the package restore.
package request

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"lifeboat/internal/backup"
)

// InvalidRequest is the code of a request that cannot be understood.
const InvalidRequest = "InvalidRequest"

// Error says why a request cannot be understood.
type Error struct {
	// Field is the wrong field, "" for the whole.
	Field string
	// Message says what is wrong with it.
	Message string
}

func (e *Error) Error() string {
	if e.Field == "" {
		return e.Message
	}
	return fmt.Sprintf("%q: %s", e.Field, e.Message)
}

// Malformed returns an [Error] about the field, "" for the whole.
func Malformed(field, format string, args ...any) error {
	return &Error{Field: field, Message: fmt.Sprintf(format, args...)}
}

// Longest is the greatest length of a request's message in bytes: the limit of a queue of Azure Storage.
const Longest = 64 << 10

// Body is a request as it came.
type Body struct {
	// Fields are the members of the request's JSON object.
	Fields map[string]json.RawMessage
	// Event describes the event with the request as its data; zero if there is none.
	Event Event
}

// Event is the part of an event that names it. All attributes are as the sender wrote them.
type Event struct {
	ID string
	// Source is the source of a CloudEvent, and the topic of an event of Event Grid's own schema.
	Source, Subject string
	// Type is such as "Microsoft.ApiManagement.APIUpdated".
	Type string
	Time string
}

// Read reads a message, or the body of a call. A request without an ID gets the ID of its event, or else the given one; "" if
// there is none. A request in an event names the event's source as its requester, unless it names one itself. The error is an
// [*Error]. With an error too, Body has the fields that could be read: the answer to the request depends on them.
//
// Read is more strict than encoding/json is: names count with their case, and none may come twice. Readers that disagree about a
// request would disagree about its effect.
func Read(message []byte, id string) (Body, error) {
	if len(message) > Longest {
		return Body{}, Malformed("", "the request has %d bytes, more than %d", len(message), Longest)
	}
	var wrong error
	if !utf8.Valid(message) {
		wrong = Malformed("", "the request is not text in UTF-8: encode it so, or leave out all letters beyond ASCII")
	}
	fields, err := members("", message)
	body := Body{Fields: fields}
	switch {
	case fields["specversion"] != nil:
		body, err = inEvent(fields, cloudEvent, err)
	case fields["eventType"] != nil && fields["data"] != nil:
		body, err = inEvent(fields, gridEvent, err)
	case fields["id"] == nil && id != "":
		fields["id"] = backup.Encode(id)
	}
	return body, cmp.Or(wrong, err)
}

// schema has the names of an event's attributes.
type schema struct {
	// called is the name of the schema, for people.
	called, source, kind, time string
}

var (
	cloudEvent = schema{called: "a CloudEvent", source: "source", kind: "type", time: "time"}
	// gridEvent is Event Grid's own schema (Azure's documentation "Azure Event Grid event schema").
	gridEvent = schema{called: "an event of Event Grid", source: "topic", kind: "eventType", time: "eventTime"}
)

// inEvent reads the request in an event. It goes on after an error, so that the request can be answered.
func inEvent(event map[string]json.RawMessage, s schema, wrong error) (Body, error) {
	fail := func(field, format string, args ...any) { wrong = cmp.Or(wrong, Malformed(field, format, args...)) }
	text := func(name string) string {
		var text string
		if raw, ok := event[name]; ok && json.Unmarshal(raw, &text) != nil {
			fail(name, "an attribute of %s is text", s.called)
		}
		return text
	}
	loose := func(name string) (text string) { // no request needs such an attribute
		_ = json.Unmarshal(event[name], &text)
		return text
	}
	version, media, encoded := "1.0", "", ""
	if s == cloudEvent {
		version = text("specversion")
	}
	e := Event{ID: text("id"), Source: text(s.source), Subject: loose("subject"), Type: loose(s.kind), Time: loose(s.time)}
	if s == cloudEvent {
		media, encoded = text("datacontenttype"), text("data_base64")
	}
	if version != "1.0" {
		fail("specversion", "%q is not the version 1.0 of CloudEvents", Short(version))
	}
	switch {
	case s == cloudEvent && (e.ID == "" || e.Source == ""):
		fail("", "a CloudEvent has an id and a source")
	case e.ID == "":
		fail("", "an event of Event Grid has an id")
	}
	if kind, _, _ := strings.Cut(media, ";"); kind != "" && !strings.EqualFold(strings.TrimSpace(kind), "application/json") {
		fail("datacontenttype", "%q is not application/json", Short(media))
	}
	data, field := []byte(event["data"]), "data"
	switch {
	case encoded != "" && data != nil:
		fail("data_base64", "the event has data as well")
	case encoded != "":
		var err error
		if data, err = base64.StdEncoding.DecodeString(encoded); err != nil || !utf8.Valid(data) {
			fail("data_base64", "it is not the base64 of text in UTF-8")
		}
		data = bytes.TrimPrefix(data, []byte("\ufeff")) // messages have a byte order mark
	case data == nil:
		fail("data", "the event has none")
	}
	fields, err := members(field, data)
	if fields["id"] == nil {
		fields["id"] = backup.Encode(e.ID)
	}
	if from := cmp.Or(e.Source, e.Subject); fields["requestedBy"] == nil && from != "" {
		fields["requestedBy"] = backup.Encode(cut(from, LongestWords-1)) // it may be longer, and was not chosen for Lifeboat
	}
	return Body{Fields: fields, Event: e}, cmp.Or(wrong, err)
}

const (
	// mostOfBatch is more than a message of 64 KiB can hold of real requests.
	mostOfBatch = 500
	// longestOfBatch leaves room for the time of the batch in a message of its own, in base64.
	longestOfBatch = 40_000
)

// Batch takes a JSON array of requests or events apart. It returns nil if the message is something else, or is no batch that
// Lifeboat takes; then Read says why.
func Batch(message []byte) [][]byte {
	var elements []json.RawMessage
	if json.Unmarshal(message, &elements) != nil || len(elements) > mostOfBatch {
		return nil
	}
	var batch [][]byte
	for _, element := range elements {
		if !bytes.HasPrefix(element, []byte("{")) || len(element) > longestOfBatch {
			return nil
		}
		batch = append(batch, element)
	}
	return batch
}

// members returns the members of a JSON object with nothing behind it. With an error it returns the members before the error, but
// none that comes twice.
func members(field string, text []byte) (map[string]json.RawMessage, error) {
	fields := map[string]json.RawMessage{}
	d := json.NewDecoder(bytes.NewReader(text))
	open, err := d.Token()
	if err != nil || open != json.Delim('{') {
		return fields, Malformed(field, "%s", noObject(open))
	}
	var wrong error
	twice := map[string]bool{}
	for d.More() {
		name, err := d.Token()
		var value json.RawMessage
		if err == nil {
			err = d.Decode(&value)
		}
		if err != nil {
			return fields, cmp.Or(wrong, Malformed(field, "it is not JSON: %v", err))
		}
		key := name.(string) // the decoder allows no other
		if fields[key] != nil || twice[key] {
			wrong = cmp.Or(wrong, Malformed(field, "the field %q stands there twice", Short(key)))
			twice[key] = true
			delete(fields, key)
			continue
		}
		fields[key] = value
	}
	if _, err := d.Token(); err != nil {
		return fields, cmp.Or(wrong, Malformed(field, "it is not JSON: %v", err))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		wrong = cmp.Or(wrong, Malformed(field, "there is more behind the JSON object"))
	}
	return fields, wrong
}

// noObject says what came in place of an object, and what to send.
func noObject(begins json.Token) string {
	switch begins.(type) {
	case json.Delim:
		return fmt.Sprintf("it is a JSON array: send one request, as a JSON object. A message of a queue may hold an array of 1 to %d "+
			"requests, each an object of at most %d bytes", mostOfBatch, longestOfBatch)
	case string:
		return "it is JSON text in quotes: send the JSON object itself"
	}
	return "it is not a JSON object: send one in UTF-8 or UTF-16, as it is or in base64, or as the data of a CloudEvent"
}
