package handler

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
	"unicode/utf16"
)

// This file alone knows the protocol between the Functions host and a custom handler. For timers and queues the host sends
// POST /{function} with {"Data": {binding: value}, "Metadata": {...}}, and encodes every value in it
// (azure-functions-host, ScriptInvocationContextExtensions.cs): a string becomes JSON inside a string, a number
// becomes text, bytes become base64. The host takes any 2xx with a JSON body for success, and waits forever if the body is empty
// (DefaultHttpWorkerService.cs). It drops the body of any other answer, so the handler must log the error.

// invocation is one call of a function by the host.
type invocation struct {
	// ID is the host's ID of the invocation; the redelivery of a message has another one.
	ID string
	// Data holds the value of each binding, as it came.
	Data map[string]json.RawMessage
	// DequeueCount is the number of deliveries of a queue message, as the host writes it; "" for other triggers.
	DequeueCount string
	// Inserted is the time at which the queue message was sent, by the storage's clock; zero for other triggers.
	Inserted time.Time
}

// largestEnvelope is well above a queue message of 64 KiB, encoded twice, with its metadata.
const largestEnvelope = 4 << 20

const invocationHeader = "X-Azure-Functions-InvocationId"

// readInvocation reads the host's request.
func readInvocation(r *http.Request) (invocation, error) {
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, largestEnvelope))
	if err != nil {
		return invocation{}, fmt.Errorf("read the host's request: %w", err)
	}
	i, err := decodeInvocation(body)
	i.ID = hostInvocation(r)
	return i, err
}

// hostInvocation is the host's ID of the invocation. If the client has sent an ID, the host adds its own behind a comma in the
// same line when it forwards the request (seen with the host 4.1045).
func hostInvocation(r *http.Request) string {
	ids := r.Header.Values(invocationHeader)
	if len(ids) == 0 {
		return ""
	}
	last := ids[len(ids)-1]
	return strings.TrimSpace(last[strings.LastIndex(last, ",")+1:])
}

func decodeInvocation(body []byte) (invocation, error) {
	var envelope struct {
		Data     map[string]json.RawMessage
		Metadata map[string]json.RawMessage
	}
	if err := json.Unmarshal(body, &envelope); err != nil {
		return invocation{}, fmt.Errorf("the host's request is not the JSON of an invocation: %w", err)
	}
	i := invocation{Data: envelope.Data}
	if raw, ok := envelope.Metadata["DequeueCount"]; ok {
		i.DequeueCount = string(unwrap(raw))
	}
	if raw, ok := envelope.Metadata["InsertionTime"]; ok {
		i.Inserted, _ = time.Parse(time.RFC3339, string(unwrap(raw)))
	}
	return i, nil
}

// message returns the body of the queue message behind the binding. With dataType "binary" the host sends it as base64; with
// another dataType it sends text, as JSON inside a string. A sender may have encoded the body as base64 itself, in any of its
// alphabets, or have put a byte order mark before it. The function removes all of these. It returns text that is no JSON at the
// end as it is.
func (i invocation) message(binding string) ([]byte, error) {
	raw, ok := i.Data[binding]
	if !ok {
		return nil, fmt.Errorf("the host's request has no value for the binding %q", binding)
	}
	text := unwrap(raw)
	if looksJSON(text) {
		return text, nil
	}
	decoded, ok := fromBase64(text)
	if !ok {
		return text, nil
	}
	if inner := unwrap(decoded); looksJSON(inner) {
		return inner, nil
	}
	if twice, ok := fromBase64(decoded); ok && looksJSON(unwrap(twice)) {
		return unwrap(twice), nil
	}
	return decoded, nil
}

// inUTF8 returns a text in UTF-8 without its byte order mark. It also recognises UTF-16 without a mark, which PowerShell's
// [Text.Encoding]::Unicode makes: JSON and base64 begin with a character of ASCII, and have no character zero.
func inUTF8(text []byte) []byte {
	const mark = "\ufeff"
	var order binary.ByteOrder = binary.LittleEndian
	switch even := len(text) > 0 && len(text)%2 == 0; {
	case even && (bytes.HasPrefix(text, []byte("\xff\xfe")) || text[0] != 0 && text[1] == 0):
	case even && (bytes.HasPrefix(text, []byte("\xfe\xff")) || text[0] == 0 && text[1] != 0):
		order = binary.BigEndian
	default:
		return bytes.TrimPrefix(text, []byte(mark))
	}
	units := make([]uint16, len(text)/2)
	for i := range units {
		units[i] = order.Uint16(text[2*i:])
	}
	return bytes.TrimPrefix([]byte(string(utf16.Decode(units))), []byte(mark))
}

// unwrap removes up to two layers of JSON strings, and byte order marks.
func unwrap(raw []byte) []byte {
	raw = inUTF8(raw)
	for range 2 {
		var text string
		if json.Unmarshal(raw, &text) != nil {
			break
		}
		raw = inUTF8([]byte(text))
	}
	return raw
}

// looksJSON says whether the text may be a JSON object or array.
func looksJSON(text []byte) bool {
	text = bytes.TrimLeft(text, " \t\r\n")
	return bytes.HasPrefix(text, []byte("{")) || bytes.HasPrefix(text, []byte("["))
}

// fromBase64 decodes base64 of the standard alphabet or the one for URLs, with its padding or without it.
func fromBase64(text []byte) ([]byte, bool) {
	standard := strings.NewReplacer("-", "+", "_", "/").Replace(string(bytes.TrimSpace(inUTF8(text))))
	if standard == "" {
		return nil, false
	}
	decoded, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(standard, "="))
	return decoded, err == nil
}

// answer tells the host that the invocation succeeded or failed.
func answer(w http.ResponseWriter, err error) {
	if err != nil {
		writeJSON(w, http.StatusInternalServerError, map[string]string{"error": err.Error()})
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, "{}")
}

// errPanic is the error of an invocation that panicked.
var errPanic = errors.New("panic")
