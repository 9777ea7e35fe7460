package request

import (
	"cmp"
	"encoding/json"
	"errors"
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

// Reader reads the fields of a request. It keeps the first error and goes on, as far as the answer needs it.
type Reader struct {
	fields map[string]json.RawMessage
	err    error
}

// NewReader returns a reader of the body; err is the error by which the body came, nil for none.
func NewReader(body Body, err error) *Reader {
	return &Reader{fields: maps.Clone(body.Fields), err: err}
}

// Fail notes an error, which may be nil.
func (r *Reader) Fail(err error) { r.err = cmp.Or(r.err, err) }

// Err returns the first error.
func (r *Reader) Err() error { return r.err }

// Texts returns the fields of those names that are there, as text.
func (r *Reader) Texts(names ...string) map[string]string {
	texts := map[string]string{}
	for _, name := range names {
		if raw, ok := r.fields[name]; ok {
			var text *string
			if json.Unmarshal(raw, &text) == nil && text != nil {
				texts[name] = *text
			} else {
				r.Fail(Malformed(name, "it is not text"))
			}
		}
		delete(r.fields, name)
	}
	return texts
}

// Flag returns the value of a field that is true or false; false without it.
func (r *Reader) Flag(name string) bool {
	raw, ok := r.fields[name]
	delete(r.fields, name)
	var flag *bool
	if ok && (json.Unmarshal(raw, &flag) != nil || flag == nil) {
		r.Fail(Malformed(name, "it is neither true nor false"))
	}
	return flag != nil && *flag
}

// Object returns the JSON object in the field, as it came.
func (r *Reader) Object(name string) json.RawMessage {
	raw := r.fields[name]
	delete(r.fields, name)
	if !strings.HasPrefix(string(raw), "{") {
		r.Fail(Malformed(name, "it is no JSON object"))
	}
	return raw
}

// End fails if there are fields that nothing has read.
func (r *Reader) End() {
	if len(r.fields) > 0 {
		r.Fail(Malformed(Short(slices.Min(slices.Collect(maps.Keys(r.fields)))), "the field is not known"))
	}
}

// ID returns the field id, or "" if it cannot be one.
func (r *Reader) ID(texts map[string]string) string {
	if id := texts["id"]; IsID(id) {
		return id
	}
	r.Fail(Malformed("id", "a request needs an ID of 1 to %d characters, none of them unreadable", longestID))
	return ""
}

// ReplyTo returns the field replyTo, or "" if it is no name of a queue.
func (r *Reader) ReplyTo(texts map[string]string) string {
	to := texts["replyTo"]
	if to == "" || len(to) <= 63 && queueName().MatchString(to) {
		return to
	}
	r.Fail(Malformed("replyTo", "%q is no name of a queue: 3 to 63 lower-case letters, digits and single dashes", Short(to)))
	return ""
}

// Words returns the fields requestedBy and reason.
func (r *Reader) Words(texts map[string]string) (requestedBy, reason string) {
	for _, name := range []string{"requestedBy", "reason"} {
		if utf8.RuneCountInString(texts[name]) > LongestWords || strings.ContainsFunc(texts[name], backup.IsUnreadable) {
			r.Fail(Malformed(name, "it has more than %d characters, or some that cannot be read", LongestWords))
		}
	}
	return texts["requestedBy"], texts["reason"]
}

// Resource returns a resource ID without a slash at its end, after it has checked it.
func (r *Reader) Resource(field, id string) string {
	id = backup.ResourceID(id)
	if len(id) > longestName {
		r.Fail(Malformed(field, "%s is not a resource ID: it has more than %d bytes", Short(strconv.QuoteToASCII(id)), longestName))
		return id
	}
	_, err := backup.ParseResource(id)
	if bad, ok := errors.AsType[*backup.ResourceError](err); ok { // each part is cut: the fault stands behind the ID
		r.Fail(Malformed(field, "%s %s", cut(strconv.QuoteToASCII(id), 160), cut(bad.Why, 360)))
	}
	return id
}

// Moment reads a time as RFC 3339 writes it. It refuses a time that Go cannot read or write again in UTC, and the value of a .NET
// time that was never set.
func Moment(field, text string) (time.Time, error) {
	var t time.Time
	err := t.UnmarshalText([]byte(text))
	if err != nil || strings.Contains(text, ",") || t.UTC().Year() < 2 || t.UTC().Year() > 9998 {
		return time.Time{}, Malformed(field, "%q is no time such as 2026-01-31T02:30:00Z", Short(text))
	}
	return t.UTC(), nil
}

// queueName is the form of the names of queues (Azure's "Naming Queues and Metadata"). It is compiled at its first use, since a
// start of the program need not wait for it.
var queueName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^([a-z0-9](-?[a-z0-9]){2,62}|[a-z0-9]-[a-z0-9])$`)
})

const (
	longestID   = 128
	longestName = 512 // bytes of a resource ID: far more than a service with restores can have
	// LongestWords is the number of characters that the requester's name may have, and the reason.
	LongestWords = 1000
)

// IsID says whether the text can be the ID of a request.
func IsID(text string) bool {
	return text != "" && utf8.RuneCountInString(text) <= longestID && !strings.ContainsFunc(text, func(r rune) bool {
		return unicode.IsControl(r) || r == utf8.RuneError
	})
}

// Short makes a foreign text fit for an error.
func Short(text string) string { return cut(text, 64) }

// cut leaves the first n characters of the text.
func cut(text string, n int) string {
	if runes := []rune(text); len(runes) > n {
		return string(runes[:n]) + "…"
	}
	return text
}
