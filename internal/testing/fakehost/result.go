package fakehost

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"
)

// This file has the rules for the handler's answer: when it is a success, and how the host uses its values
// (azure-functions-host, DefaultHttpWorkerService and HttpScriptInvocationResultExtensions).

// result is the handler's answer.
type result struct {
	outputs     map[string]json.RawMessage // nil if there were none
	returnValue json.RawMessage
	logs        []string
}

// errNoResult stands for a 2xx without a body, or with null: the host forgets to complete the invocation.
var errNoResult = errors.New("the handler answered without a body: the invocation never completes")

// parseResult applies the host's rules to an answer. contentLength is -1 if the answer did not declare it.
func parseResult(status int, header http.Header, contentLength int64, body []byte) (result, error) {
	if status < 200 || status > 299 {
		return result{}, fmt.Errorf("the handler answered %d %s: the body is dropped", status, http.StatusText(status))
	}
	if contentLength == 0 {
		return result{}, errNoResult
	}
	declared := header.Get("Content-Type")
	media, _, err := mime.ParseMediaType(declared)
	if err != nil || media != "application/json" && media != "text/json" {
		return result{}, fmt.Errorf("the handler's Content-Type is %q: want application/json (UnsupportedMediaType)", declared)
	}
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\ufeff")))
	if len(body) == 0 || string(body) == "null" {
		return result{}, errNoResult
	}
	var answer struct {
		Outputs     map[string]json.RawMessage
		Logs        []json.RawMessage
		ReturnValue json.RawMessage
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return result{}, fmt.Errorf("the handler's answer is not the JSON of a result: %w", err)
	}
	r := result{outputs: answer.Outputs, returnValue: answer.ReturnValue}
	for _, raw := range answer.Logs {
		line, err := scalar(raw)
		if err != nil {
			return result{}, fmt.Errorf("the handler's Logs are not strings: %w", err)
		}
		r.logs = append(r.logs, line)
	}
	return r, nil
}

// output returns the value for a binding. A returned object stands for Outputs if no binding is named $return.
func (r result) output(f *function, name string) json.RawMessage {
	if name == "$return" {
		return r.returnValue
	}
	if value, ok := r.outputs[name]; ok {
		return value
	}
	for _, b := range f.outputs {
		if b.Name == "$return" {
			return nil
		}
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(r.returnValue, &members) != nil {
		return nil
	}
	return members[name]
}

// queueMessages returns the messages that a queue binding sends for a value: one for each element of an array, or a single one
// for any other value. A string that could be base64 is decoded, unless the binding is binary; a string that looks like JSON
// is parsed and written again.
func queueMessages(b binding, value json.RawMessage) ([][]byte, error) {
	switch kind(value) {
	case 0, 'n':
		return nil, nil
	case '[':
		return elements(value)
	case '{':
		return one(indent(value))
	case '"':
	default:
		text, err := scalar(value)
		return one([]byte(text), err)
	}
	var text string
	if err := json.Unmarshal(value, &text); err != nil {
		return nil, err
	}
	if decoded, ok := guessBase64(text); ok && !b.binary() {
		return one(decoded, nil)
	}
	trimmed := json.RawMessage(strings.TrimSpace(text))
	looksJSON := bytes.HasPrefix(trimmed, []byte("{")) && bytes.HasSuffix(trimmed, []byte("}")) ||
		bytes.HasPrefix(trimmed, []byte("[")) && bytes.HasSuffix(trimmed, []byte("]"))
	switch {
	case !looksJSON:
		return one([]byte(text), nil)
	case !json.Valid(trimmed):
		return nil, errors.New("a string that looks like JSON is not")
	case trimmed[0] == '[':
		return elements(trimmed)
	default:
		return one(indent(trimmed))
	}
}

func one(message []byte, err error) ([][]byte, error) { return [][]byte{message}, err }

func elements(array json.RawMessage) ([][]byte, error) {
	var items []json.RawMessage
	if err := json.Unmarshal(array, &items); err != nil {
		return nil, err
	}
	messages := make([][]byte, 0, len(items))
	for _, item := range items {
		message, err := element(item)
		if err != nil {
			return nil, err
		}
		messages = append(messages, message)
	}
	return messages, nil
}

// element returns an array's element as JToken.ToString does: strings as they are, null as nothing, objects over several
// lines.
func element(item json.RawMessage) ([]byte, error) {
	switch kind(item) {
	case '{', '[':
		return indent(item)
	case '"':
		text, err := scalar(item)
		return []byte(reformatDate(text)), err
	default:
		text, err := scalar(item)
		return []byte(text), err
	}
}

func indent(raw json.RawMessage) ([]byte, error) {
	var buffer bytes.Buffer
	err := json.Indent(&buffer, raw, "", "  ")
	return buffer.Bytes(), err
}

// scalar returns the text of a JSON value other than an object or array; null is empty.
func scalar(raw json.RawMessage) (string, error) {
	switch kind(raw) {
	case 0, 'n':
		return "", nil
	case 't':
		return "True", nil
	case 'f':
		return "False", nil
	case '"':
		var text string
		err := json.Unmarshal(raw, &text)
		return text, err
	case '{', '[':
		return "", fmt.Errorf("%.40s is not a single value", raw)
	default:
		return string(bytes.TrimSpace(raw)), nil
	}
}

// kind returns the first character of a JSON value, 0 if there is none.
func kind(raw json.RawMessage) byte {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return 0
	}
	return raw[0]
}

// guessBase64 decodes a text that Convert.FromBase64String accepts: white space does not count, and "" is no bytes.
func guessBase64(text string) ([]byte, bool) {
	decoded, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	return decoded, err == nil
}
