package fakehost

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// invokeHTTP answers a request with the Data and Metadata protocol.
func (l *life) invokeHTTP(r *http.Request, f *function, parameters map[string]string, body []byte) reply {
	value, metadata := httpValue(r, parameters, body), sys(f)
	for name, values := range r.URL.Query() {
		metadata[name] = strings.Join(values, ",")
	}
	for name, text := range parameters {
		metadata[name] = text
	}
	metadata["Query"], metadata["Headers"] = value["Query"], joinedHeaders(r)
	answer, err := l.invoke(f, value, metadata)
	if err != nil {
		return plainReply(http.StatusInternalServerError)
	}
	a, err := httpReply(f, answer)
	if err != nil {
		l.log.say(Error, "Function."+f.name, "the http output cannot be sent: %v", err)
		return plainReply(http.StatusInternalServerError)
	}
	return a
}

// httpValue returns the value of an httpTrigger (azure-functions-host, HttpRequestExtensions.GetRequestAsJObject). It has no
// body if the request declares no length.
func httpValue(r *http.Request, parameters map[string]string, body []byte) object {
	query, headers, params := object{}, object{}, object{}
	for name, values := range r.URL.Query() {
		query[name] = strings.Join(values, ",")
	}
	for name, values := range r.Header {
		headers[name] = values
	}
	headers["Host"] = []string{r.Host}
	for name, text := range parameters {
		params[name] = text
	}
	value := object{
		"Url": "http://" + r.Host + r.URL.RequestURI(), "Method": r.Method, "Query": query, "Headers": headers,
		"Params": params, "Identities": []any{},
	}
	if len(body) > 0 {
		value["Body"] = string(body)
		media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if media == "application/octet-stream" || strings.HasPrefix(media, "multipart/") {
			value["Body"] = base64.StdEncoding.EncodeToString(body)
		}
	}
	return value
}

func joinedHeaders(r *http.Request) object {
	headers := object{"Host": r.Host}
	for name, values := range r.Header {
		headers[name] = strings.Join(values, ",")
	}
	return headers
}

// httpReply returns the caller's reply for the value of the http output binding (azure-functions-host, HttpBinding).
func httpReply(f *function, r result) (reply, error) {
	name := ""
	for _, b := range f.outputs {
		if b.Type == httpOutput {
			name = b.Name
		}
	}
	value := r.output(f, name)
	if text, isText := stringOf(value); isText {
		value = json.RawMessage(text)
	}
	switch {
	case name == "" || r.outputs == nil && kind(value) == 0:
		return plainReply(http.StatusOK), nil
	case kind(value) == 0 || kind(value) == 'n':
		return textReply(http.StatusOK, []byte("{}")), nil
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(value, &members); err != nil {
		return reply{}, fmt.Errorf("%.40q is not an object with statusCode, body and headers", value)
	}
	return objectReply(name, value, members)
}

// objectReply writes {statusCode | status, body, headers}.
func objectReply(name string, value json.RawMessage, members map[string]json.RawMessage) (reply, error) {
	member := func(names ...string) json.RawMessage {
		for key, raw := range members {
			for _, want := range names {
				if strings.EqualFold(key, want) {
					return raw
				}
			}
		}
		return nil
	}
	if name == "$return" && member("body") == nil {
		text, err := indent(value)
		return textReply(http.StatusOK, text), err
	}
	status := http.StatusOK
	if raw := member("statusCode", "status"); raw != nil {
		text, err := scalar(raw)
		if err == nil {
			status, err = strconv.Atoi(text)
		}
		if err != nil || status < 100 || status > 999 {
			return reply{}, fmt.Errorf("%s is not a status", raw)
		}
	}
	var body []byte
	var err error
	switch raw := member("body"); kind(raw) {
	case '{', '[':
		body, err = indent(raw)
	default:
		var text string
		text, err = scalar(raw)
		body = []byte(text)
	}
	if err != nil {
		return reply{}, err
	}
	a := textReply(status, body)
	var headers map[string]any
	if raw := member("headers"); raw != nil {
		if err := json.Unmarshal(raw, &headers); err != nil {
			return reply{}, fmt.Errorf("headers are not an object: %w", err)
		}
	}
	for name, value := range headers {
		a.header.Set(name, fmt.Sprint(value))
	}
	return a, nil
}

func textReply(status int, body []byte) reply {
	a := reply{status: status, header: http.Header{}, body: bytes.Clone(body)}
	if len(body) > 0 {
		a.header.Set("Content-Type", "text/plain; charset=utf-8")
	}
	return a
}

func stringOf(raw json.RawMessage) (string, bool) {
	var text string
	if kind(raw) != '"' {
		return "", false
	}
	return text, json.Unmarshal(raw, &text) == nil
}
