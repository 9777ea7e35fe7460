package fakehost

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"maps"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"
)

// This file has the body of a request to the handler: {"Data": {...}, "Metadata": {...}} and how values are encoded in it
// (azure-functions-host, ScriptInvocationContextExtensions.GetHttpScriptInvocationContextValue).

// object is a value that becomes a plain JSON object.
type object map[string]any

// bindingData holds a trigger's own facts besides its value.
type bindingData map[string]any

// envelope returns the body of the request for an invocation. The trigger's binding data goes in without nulls and without
// names that end in "trigger".
func envelope(f *function, value any, metadata bindingData) ([]byte, error) {
	encoded := bindingData{}
	for name, v := range metadata {
		if v == nil || strings.HasSuffix(strings.ToLower(name), "trigger") {
			continue
		}
		var err error
		if encoded[name], err = encodeValue(v); err != nil {
			return nil, err
		}
	}
	data, err := encodeValue(value)
	if err != nil {
		return nil, err
	}
	return marshal(struct{ Data, Metadata any }{object{f.trigger.Name: data}, encoded})
}

// encodeValue encodes a value as the host does: objects are plain JSON, instants are ISO 8601 without fractions, bytes are
// base64, and everything else is JSON inside a JSON string.
func encodeValue(value any) (any, error) {
	switch value := value.(type) {
	case object:
		return value, nil
	case []byte:
		return base64.StdEncoding.EncodeToString(value), nil
	case time.Time:
		return isoTime(value), nil
	default:
		text, err := marshal(value)
		return string(text), err
	}
}

// isoTime returns a DateTimeOffset in UTC as the host writes it.
func isoTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05") + "+00:00" }

// sys returns the binding data that every invocation has.
func sys(f *function) bindingData {
	return bindingData{"sys": object{"MethodName": f.name, "UtcNow": time.Now().UTC(), "RandGuid": uuid.NewString()}}
}

// merge adds the top-level members of a JSON object to the binding data. They overwrite the host's own members, in any case: a
// message can claim another Id. Nulls and arrays are ignored (azure-functions-host, Utility.ApplyBindingData).
func (d bindingData) merge(text []byte) {
	var members map[string]json.RawMessage
	if !bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) || json.Unmarshal(text, &members) != nil {
		return
	}
	for name, raw := range members {
		key := name
		for known := range maps.Keys(d) {
			if strings.EqualFold(known, name) {
				key = known
			}
		}
		switch raw[0] {
		case 'n', '[':
		case '{':
			var nested object
			if json.Unmarshal(raw, &nested) == nil {
				d[key] = nested
			}
		case '"':
			var s string
			if json.Unmarshal(raw, &s) == nil {
				d[key] = reformatDate(s)
			}
		case 't':
			d[key] = "True"
		case 'f':
			d[key] = "False"
		default:
			d[key] = string(raw)
		}
	}
}

var isoDate = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?$`)

// reformatDate returns a string that is exactly an ISO 8601 date as Newtonsoft parses and writes it: in another form, without
// fractions of seconds.
func reformatDate(text string) string {
	if !isoDate.MatchString(text) {
		return text
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC().Format("01/02/2006 15:04:05")
		}
	}
	return text
}

// marshal is json.Marshal without the escapes for HTML; Newtonsoft does not write them.
func marshal(value any) ([]byte, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buffer.Bytes(), []byte("\n")), nil
}
