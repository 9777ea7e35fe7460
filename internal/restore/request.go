package restore

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"lifeboat/internal/backup"
)

// about returns the plans that have the target of the request. If none has, and the request restores a recovery point by its ID
// into its own target, it returns the plans whose restores may overwrite that target: they make the safety backups that are
// needed to go back.
func (q Request) about(plans []backup.Plan) (found []backup.Plan) {
	for _, plan := range plans {
		if plan.Has(q.Target) {
			found = append(found, plan)
		}
	}
	if len(found) > 0 || q.Point == "" || !backup.Same(q.Target, q.Destination()) {
		return found
	}
	for _, plan := range plans {
		if slices.ContainsFunc(plan.Restore.Into, func(into string) bool { return backup.Same(into, q.Target) }) {
			found = append(found, plan)
		}
	}
	return found
}

// Replies says whether answers may go to the queue of the request, if it names one. A refusal is an answer too, so any plan of
// the target may allow it, whether it allows the restore or not.
func (q Request) Replies(plans []backup.Plan) bool {
	return q.ReplyTo == "" || slices.ContainsFunc(q.about(plans), func(plan backup.Plan) bool {
		return slices.Contains(plan.Restore.ReplyTo, q.ReplyTo)
	})
}

// Request asks for a restore. Other systems send it to the queue "restore-requests"; docs/restore.schema.json
// describes it.
type Request struct {
	// ID makes the request idempotent for good: the same ID always means the same restore. It has 1 to 128 characters.
	ID string
	// Target is the resource ID of the service whose backup is restored.
	Target string
	// Point is the ID of a recovery point, or "" for the newest live one: the newest before Before, if that is not zero.
	Point  string
	Before time.Time
	// Into is the resource ID of the service to restore into: by default Target.
	Into string
	Kind backup.RestoreKind
	// Key is the name of the key to bring back, with RestoreKey.
	Key string
	// Region is the Azure region in which a ledger is recreated.
	Region string
	// RequestedBy and Reason say who asks and why, in words for people.
	RequestedBy, Reason string
	// ReplyTo is a queue of the same storage account to which the answers also go, "" for none.
	ReplyTo string
	// Expires is the time limit for the start of the restore; zero: a day after the request was sent.
	Expires time.Time
	// Sent is the time at which the message was sent. It may have waited in the queue while the app was down; zero: just now.
	// It is no part of the request: the same one may be sent again.
	Sent time.Time `json:"-"`
	// DryRun asks only for a preview of the restore. It does not use the ID up.
	DryRun bool
}

// Destination is the service to restore into.
func (q Request) Destination() string { return cmp.Or(q.Into, q.Target) }

// Until returns the time limit for the start of the restore.
func (q Request) Until(now time.Time) time.Time {
	switch {
	case !q.Expires.IsZero():
		return q.Expires
	case !q.Sent.IsZero() && q.Sent.Before(now):
		return q.Sent.Add(DefaultRestoreTime)
	}
	return now.Add(DefaultRestoreTime)
}

// Fingerprint tells different requests apart. It is kept for good: if this struct changes, the fingerprint of a request must not.
// The spelling of a resource ID does not matter, nor whether the target itself is named as the destination.
func (q Request) Fingerprint() string {
	q.DryRun = false
	q.Target, q.Into = strings.ToLower(q.Target), strings.ToLower(q.Destination())
	return backup.Digest(string(backup.Encode(q)), 32)
}

// InvalidRequest is the code of a request that cannot be understood.
const InvalidRequest = "InvalidRequest"

// RequestError says why a request for a restore cannot be understood.
type RequestError struct {
	// Field is the wrong field, "" for the whole.
	Field string
	// Message says what is wrong with it.
	Message string
}

func (e *RequestError) Error() string {
	if e.Field == "" {
		return e.Message
	}
	return fmt.Sprintf("%q: %s", e.Field, e.Message)
}

func malformed(field, format string, args ...any) error {
	return &RequestError{Field: field, Message: fmt.Sprintf(format, args...)}
}

// LongestRequest is the greatest length of a request's message in bytes: the limit of a queue of Azure Storage.
const LongestRequest = 64 << 10

// ParseRequest reads a request: a JSON object, or a CloudEvent 1.0 with the object as its data. A request without an ID gets the
// given one; "" if there is none. If the ID and the queue for answers can be read, they are returned with an error too. The error
// is a *RequestError.
//
// It reads more strictly than encoding/json does: names count with their case, and none may come twice. Readers that disagree
// about a request would disagree about what the restore overwrites.
func ParseRequest(message []byte, id string) (Request, error) {
	if len(message) > LongestRequest {
		return Request{}, malformed("", "the request has %d bytes, more than %d", len(message), LongestRequest)
	}
	if !utf8.Valid(message) {
		return Request{}, malformed("", "the request is not text in UTF-8")
	}
	fields, err := members("", message)
	if err != nil {
		return Request{}, err
	}
	if _, ok := fields["specversion"]; ok {
		return requestInEvent(fields)
	}
	if _, ok := fields["id"]; !ok && id != "" {
		fields["id"] = backup.Encode(id)
	}
	return request(fields)
}

// requestInEvent reads the request in a CloudEvent. If the request has no ID or requester, the event's ID and source are used.
func requestInEvent(event map[string]json.RawMessage) (Request, error) {
	e := map[string]string{}
	for _, name := range []string{"specversion", "id", "source", "datacontenttype", "data_base64"} {
		var text string
		if raw, ok := event[name]; ok && json.Unmarshal(raw, &text) != nil {
			return Request{}, malformed(name, "an attribute of a CloudEvent is text")
		}
		e[name] = text
	}
	q := Request{}
	if isID(e["id"]) {
		q.ID = e["id"]
	}
	media, _, _ := strings.Cut(e["datacontenttype"], ";")
	data := []byte(event["data"])
	switch {
	case e["specversion"] != "1.0":
		return q, malformed("specversion", "%q is not the version 1.0 of CloudEvents", short(e["specversion"]))
	case e["id"] == "" || e["source"] == "":
		return q, malformed("", "a CloudEvent has an id and a source")
	case media != "" && !strings.EqualFold(strings.TrimSpace(media), "application/json"):
		return q, malformed("datacontenttype", "%q is not application/json", short(e["datacontenttype"]))
	case e["data_base64"] != "" && data != nil:
		return q, malformed("data_base64", "the event has data as well")
	case e["data_base64"] != "":
		var err error
		if data, err = base64.StdEncoding.DecodeString(e["data_base64"]); err != nil || !utf8.Valid(data) {
			return q, malformed("data_base64", "it is not the base64 of text in UTF-8")
		}
		data = bytes.TrimPrefix(data, []byte("\ufeff")) // messages have a byte order mark
	case data == nil:
		return q, malformed("data", "the event has none")
	}
	fields, err := members("data", data)
	if err != nil {
		return q, err
	}
	if _, ok := fields["id"]; !ok {
		fields["id"] = backup.Encode(e["id"])
	}
	if _, ok := fields["requestedBy"]; !ok {
		fields["requestedBy"] = backup.Encode(cut(e["source"], longestWords-1)) // a source may be longer, and was not chosen for Lifeboat
	}
	return request(fields)
}

// members returns the members of a JSON object with nothing behind it.
func members(field string, text []byte) (map[string]json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, malformed(field, "it is not a JSON object")
	}
	fields := map[string]json.RawMessage{}
	for d.More() {
		name, err := d.Token()
		var value json.RawMessage
		if err == nil {
			err = d.Decode(&value)
		}
		if err != nil {
			return nil, malformed(field, "it is not JSON: %v", err)
		}
		key := name.(string) // the decoder allows no other
		if _, twice := fields[key]; twice {
			return nil, malformed(field, "the field %q stands there twice", short(key))
		}
		fields[key] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, malformed(field, "it is not JSON: %v", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, malformed(field, "there is more behind the JSON object")
	}
	return fields, nil
}

// short makes a foreign text fit for an error.
func short(text string) string { return cut(text, 64) }

// cut leaves the first n characters of the text.
func cut(text string, n int) string {
	if runes := []rune(text); len(runes) > n {
		return string(runes[:n]) + "…"
	}
	return text
}

// The forms of the names in a request: of queues (Azure's "Naming Queues and Metadata"), of keys (Key Vault's specification), and
// of regions, such as westeurope. They are compiled at their first use, since a start of the program need not wait for them.
var (
	queueName  = form(`^([a-z0-9](-?[a-z0-9]){2,62}|[a-z0-9]-[a-z0-9])$`)
	keyName    = form(`^[0-9A-Za-z-]{1,127}$`)
	regionName = form(`^[a-z0-9]{2,60}$`)
)

func form(of string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(of) })
}

const (
	longestID    = 128
	longestName  = 512  // bytes of a resource ID: far more than a service with restores can have
	longestWords = 1000 // characters of the requester's name, and of the reason
	latest       = "latest"
	latestBefore = "latest before "
)

// request reads the fields. It goes on after an error as far as the answer needs it.
func request(fields map[string]json.RawMessage) (Request, error) {
	q := Request{Kind: backup.RestoreFull}
	texts := map[string]string{}
	var err error
	fail := func(e error) { err = cmp.Or(err, e) }
	for _, name := range []string{
		"id", "target", "recoveryPoint", "into", "kind", "key", "restoreRegion", "requestedBy", "reason", "replyTo", "expires",
	} {
		if raw, ok := fields[name]; ok {
			var text *string
			if json.Unmarshal(raw, &text) != nil || text == nil {
				fail(malformed(name, "it is not text"))
				continue
			}
			texts[name] = *text
		}
		delete(fields, name)
	}
	if raw, ok := fields["dryRun"]; ok {
		var dry *bool
		if json.Unmarshal(raw, &dry) != nil || dry == nil {
			fail(malformed("dryRun", "it is neither true nor false"))
		} else {
			q.DryRun = *dry
		}
		delete(fields, "dryRun")
	}
	if len(fields) > 0 {
		fail(malformed(short(slices.Min(slices.Collect(maps.Keys(fields)))), "the field is not known"))
	}
	q.Target, q.Into = strings.TrimSuffix(texts["target"], "/"), strings.TrimSuffix(texts["into"], "/")
	q.Key, q.Region, q.RequestedBy, q.Reason = texts["key"], texts["restoreRegion"], texts["requestedBy"], texts["reason"]
	if q.ID = texts["id"]; !isID(q.ID) {
		q.ID = ""
		fail(malformed("id", "a request needs an ID of 1 to %d characters, none of them unreadable", longestID))
	}
	if q.ReplyTo = texts["replyTo"]; q.ReplyTo != "" && (len(q.ReplyTo) > 63 || !queueName().MatchString(q.ReplyTo)) {
		q.ReplyTo = ""
		fail(malformed("replyTo", "%q is no name of a queue: 3 to 63 lower-case letters, digits and single dashes", short(texts["replyTo"])))
	}
	fail(readable("target", q.Target))
	if _, ok := texts["into"]; ok { // an empty one is a mistake, and does not mean the target
		fail(readable("into", q.Into))
	}
	fail(q.readPoint(texts["recoveryPoint"]))
	if kind, ok := texts["kind"]; ok {
		q.Kind = backup.RestoreKind(kind)
	}
	switch {
	case q.Kind != backup.RestoreFull && q.Kind != backup.RestoreKey:
		fail(malformed("kind", "%q is neither %s nor %s", short(string(q.Kind)), backup.RestoreFull, backup.RestoreKey))
	case q.Kind == backup.RestoreKey && !keyName().MatchString(q.Key):
		fail(malformed("key", "a selective restore needs the name of the key: 1 to 127 letters, digits and dashes"))
	case q.Kind == backup.RestoreFull && q.Key != "":
		fail(malformed("key", "only a restore of the kind %s is of one key", backup.RestoreKey))
	}
	if q.Region != "" && !regionName().MatchString(q.Region) {
		fail(malformed("restoreRegion", "%q is no name of an Azure region, such as westeurope", short(q.Region)))
	}
	for _, name := range []string{"requestedBy", "reason"} {
		if utf8.RuneCountInString(texts[name]) > longestWords || strings.ContainsFunc(texts[name], backup.IsUnreadable) {
			fail(malformed(name, "it has more than %d characters, or some that cannot be read", longestWords))
		}
	}
	if expires, ok := texts["expires"]; ok {
		var bad error
		q.Expires, bad = moment("expires", expires)
		fail(bad)
	}
	return q, err
}

// readPoint reads the field that says which recovery point is meant.
func (q *Request) readPoint(text string) error {
	if text == latest {
		return nil
	}
	if at, ok := strings.CutPrefix(text, latestBefore); ok {
		var err error
		q.Before, err = moment("recoveryPoint", at)
		return err
	}
	if _, err := backup.RunKey(text); err != nil {
		return malformed("recoveryPoint", "%q is neither the ID of a recovery point nor %q nor %q with a time", short(text), latest,
			strings.TrimSpace(latestBefore))
	}
	q.Point = text
	return nil
}

// moment reads a time as RFC 3339 writes it. It refuses a time that Go cannot read or write again in UTC, and the value of a .NET
// time that was never set.
func moment(field, text string) (time.Time, error) {
	var t time.Time
	err := t.UnmarshalText([]byte(text))
	if err != nil || strings.Contains(text, ",") || t.UTC().Year() < 2 || t.UTC().Year() > 9998 {
		return time.Time{}, malformed(field, "%q is no time such as 2026-01-31T02:30:00Z", short(text))
	}
	return t.UTC(), nil
}

// readable says what is wrong with a resource ID.
func readable(field, id string) error {
	if len(id) > longestName || strings.ContainsFunc(id, backup.IsUnreadable) {
		return malformed(field, "a resource ID has at most %d bytes, and nothing unreadable", longestName)
	}
	if _, err := backup.ParseResource(id); err != nil {
		// The fault stands behind the ID, and the ID alone may be too long for the message.
		return malformed(field, "it %s", cut(strings.TrimPrefix(err.Error(), strconv.Quote(id)+" "), 160))
	}
	return nil
}

// isID says whether the text can be the ID of a request.
func isID(text string) bool {
	return text != "" && utf8.RuneCountInString(text) <= longestID && !strings.ContainsFunc(text, func(r rune) bool {
		return unicode.IsControl(r) || r == utf8.RuneError
	})
}

// DefaultRestoreTime is the time limit for starting a restore whose request has no `expires`. It counts from when the request was
// sent.
const DefaultRestoreTime = 24 * time.Hour
