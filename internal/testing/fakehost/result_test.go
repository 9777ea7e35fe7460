package fakehost

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseResult(t *testing.T) {
	const (
		fails = "fails"
		hangs = "hangs"
	)
	for name, c := range map[string]struct {
		status      int
		contentType string
		body, want  string
	}{
		"empty object":         {200, "application/json", "{}", ""},
		"charset":              {200, "Application/JSON; charset=utf-8", "{}", ""},
		"text/json":            {201, "text/json", ` {"unknown": 1} `, ""},
		"logs":                 {299, "application/json", `{"logs": ["a", 1, true, null], "OUTPUTS": null}`, "a,1,True,"},
		"nothing":              {200, "", "", hangs},
		"no content":           {204, "application/json", "", hangs},
		"null":                 {200, "application/json", " null\n", hangs},
		"no type":              {200, "", "{}", fails},
		"plain text":           {200, "text/plain; charset=utf-8", "{}", fails},
		"problem":              {200, "application/problem+json", "{}", fails},
		"not JSON":             {200, "application/json", "ok", fails},
		"two values":           {200, "application/json", "{} {}", fails},
		"a string":             {200, "application/json", `"ok"`, fails},
		"an array":             {200, "application/json", "[]", fails},
		"outputs of no object": {200, "application/json", `{"Outputs": []}`, fails},
		"logs of no array":     {200, "application/json", `{"Logs": "x"}`, fails},
		"a log of no string":   {200, "application/json", `{"Logs": [{}]}`, fails},
		"500":                  {500, "application/json", `{"Logs": ["lost"]}`, fails},
		"404":                  {404, "application/json", "{}", fails},
		"302":                  {302, "application/json", "{}", fails},
	} {
		header := http.Header{}
		if c.contentType != "" {
			header.Set("Content-Type", c.contentType)
		}
		r, err := parseResult(c.status, header, int64(len(c.body)), []byte(c.body))
		got := strings.Join(r.logs, ",")
		switch {
		case errors.Is(err, errNoResult):
			got = hangs
		case err != nil:
			got = fails
		}
		if got != c.want {
			t.Errorf("%s: %q, %v; want %q", name, got, err, c.want)
		}
	}
	// The length of a chunked answer is not known to be 0.
	if _, err := parseResult(200, http.Header{"Content-Type": {"application/json"}}, -1, nil); !errors.Is(err, errNoResult) {
		t.Errorf("no chunks: %v", err)
	}
	if _, err := parseResult(200, http.Header{}, -1, nil); err == nil || errors.Is(err, errNoResult) {
		t.Errorf("no chunks and no type: %v", err)
	}
}

func TestQueueMessages(t *testing.T) {
	for name, c := range map[string]struct {
		dataType, value string
		want            []string // nil: an error
	}{
		"nothing":                  {"", "", []string{}},
		"null":                     {"", "null", []string{}},
		"empty array":              {"", "[]", []string{}},
		"strings":                  {"", `["a b", "", "test"]`, []string{"a b", "", "test"}},
		"null in an array":         {"", `[null]`, []string{""}},
		"objects in an array":      {"", `[{"a":1,"b":[]}]`, []string{"{\n  \"a\": 1,\n  \"b\": []\n}"}},
		"scalars in an array":      {"", `[1.50, true]`, []string{"1.50", "True"}},
		"a date in an array":       {"", `["2026-01-02T03:04:05Z"]`, []string{"01/02/2026 03:04:05"}},
		"text in an array":         {"", `["{\"a\":1}"]`, []string{`{"a":1}`}},
		"object":                   {"", `{"a":1}`, []string{"{\n  \"a\": 1\n}"}},
		"number":                   {"", `12`, []string{"12"}},
		"empty string":             {"", `""`, []string{""}},
		"text":                     {"", `"hello, world"`, []string{"hello, world"}},
		"looks like base64":        {"", `"aGk="`, []string{"hi"}},
		"base64 with white space":  {"", `"aG\nk="`, []string{"hi"}},
		"an innocent word":         {"", `"test"`, []string{"\xb5\xeb\x2d"}},
		"a word of another length": {"", `"tests"`, []string{"tests"}},
		"base64, declared":         {"binary", `"aGk="`, []string{"aGk="}},
		"an object in a string":    {"", `"{\"a\":1}"`, []string{"{\n  \"a\": 1\n}"}},
		"an array in a string":     {"", `"[\"a\",\"b\"]"`, []string{"a", "b"}},
		"nearly an object":         {"", `"{a}"`, nil},
		"an open brace":            {"", `"{a"`, []string{"{a"}},
	} {
		got, err := queueMessages(binding{DataType: c.dataType}, json.RawMessage(c.value))
		if err != nil {
			if c.want != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		texts := []string{}
		for _, m := range got {
			texts = append(texts, string(m))
		}
		if diff := cmp.Diff(c.want, texts); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestOutput(t *testing.T) {
	named := &function{outputs: []binding{{Name: "out"}}}
	returned := &function{outputs: []binding{{Name: "$return"}, {Name: "out"}}}
	for name, c := range map[string]struct {
		f                *function
		answer, binding  string
		want             string
		outputsHaveValue bool
	}{
		"by name":                  {named, `{"Outputs": {"out": 1}}`, "out", "1", true},
		"case counts":              {named, `{"Outputs": {"Out": 1}}`, "out", "", true},
		"$return":                  {returned, `{"ReturnValue": 2}`, "$return", "2", false},
		"a returned object":        {named, `{"ReturnValue": {"out": 3}}`, "out", "3", false},
		"not where $return exists": {returned, `{"ReturnValue": {"out": 3}}`, "out", "", false},
		"a returned text":          {named, `{"ReturnValue": "out"}`, "out", "", false},
	} {
		r, err := parseResult(200, http.Header{"Content-Type": {"application/json"}}, -1, []byte(c.answer))
		if err != nil {
			t.Fatal(err)
		}
		if got := string(r.output(c.f, c.binding)); got != c.want || (r.outputs != nil) != c.outputsHaveValue {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
