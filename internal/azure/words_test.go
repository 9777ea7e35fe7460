package azure_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"lifeboat/internal/azure"
)

// TestSentencesAreFoundWhole: a sentence is found between the ends of Azure's text, or its punctuation, and never as a part of
// a name or of another sentence.
func TestSentencesAreFoundWhole(t *testing.T) {
	says := azure.Sentences("Invalid backup provided", "backup SKU is '…'", "answered …ly")
	for _, test := range []struct {
		words string
		want  bool
	}{
		{"Invalid backup provided", true},
		{"invalid  backup\r\nprovided.", true},
		{"Invalid Request: Invalid backup provided", true},
		{"No. Invalid backup provided; see there.", true},
		{"First.\nInvalid backup provided\nSecond", true},
		{"Cannot restore: backup SKU is 'Basic'.", true},
		{"backup SKU is ''", true},
		{"it answered badly", false},
		{"so: answered badly", true},
		{"", false},
		{"Invalid backup", false},
		{"Not an Invalid backup provided", false},
		{"Invalid backup provided by contoso", false},
		{"invalid-backup-provided", false},
		{"the key 'Invalid backup provided' is busy", false},
		{"/resourceGroups/Invalid.backup.provided/x", false},
		{"backup SKU is 'Basic or not'", false},
	} {
		if got := says(test.words); got != test.want {
			t.Errorf("%q: %t, want %t", test.words, got, test.want)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a single word, which can be a name, was taken for a sentence")
		}
	}()
	azure.Sentences("expired")
}

// TestScrubKeepsWhatCanBeShown: it keeps no signature, no page of HTML, no more than 1 KiB, and only whole characters.
func TestScrubKeepsWhatCanBeShown(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"disk full", "disk full"},
		{"see https://x/y?sv=1&sig=abc%2Bd&se=2", "see https://x/y?sv=1&sig=(secret)&se=2"},
		{"see sig%3Dabc here", "see sig%3D(secret) here"},
		{"a < b, and <b>bold</b>", "a < b, and <b>bold</b>"},
		{"<!DOCTYPE HTML><HTML><TITLE>Service\n Unavailable</TITLE><BODY>now", "Service Unavailable"},
		{"\n<!-- x --><html lang=en><title id=t>&lt;503&gt;</title>", "<503>"},
		{`<?xml version="1.0"?><html xmlns="x"><body>no title</body></html>`, ""},
		{"\xff\xfe", "?"},
		{strings.Repeat("x", 1024), strings.Repeat("x", 1024)},
		{strings.Repeat("x", 1025), strings.Repeat("x", 1024) + " …"},
		{strings.Repeat("x", 1023) + "éé", strings.Repeat("x", 1023) + " …"},
		{"<html><title>" + strings.Repeat("y", 5000), ""},
		{"<html><title>" + strings.Repeat("y", 5000) + "</title>", strings.Repeat("y", 1024) + " …"},
	} {
		got := azure.Scrub(test.text)
		if got != test.want || !utf8.ValidString(got) {
			t.Errorf("%.60q: %.60q, want %.60q", test.text, got, test.want)
		}
	}
}

// TestReadBodyBoundsEachPart: no part is longer than the limit, whatever Azure sends.
func TestReadBodyBoundsEachPart(t *testing.T) {
	long := strings.Repeat("é", 4000)
	for _, body := range []string{
		long, `{"status":"` + long + `","sku":{"name":"` + long + `"},"error":{"code":"` + long + `","message":"` + long + `"}}`,
		"<Error><Code>" + long + "</Code><Message>" + long + "</Message></Error>", `{"error":` + long, "<" + long,
		`{"error":{"message":"a","details":[{"message":"` + long + `"}]}}`, "<html><title>" + long + "</title>",
	} {
		said := azure.ReadBody(&http.Response{StatusCode: 503, Body: io.NopCloser(strings.NewReader(body))})
		for _, part := range []string{said.State, said.SKU, said.Code, said.Message} {
			if len(part) > 1024+len(" …") || !utf8.ValidString(part) {
				t.Errorf("%.30q: a part of %d bytes: %.60q", body, len(part), part)
			}
		}
		if said.Message == "" {
			t.Errorf("%.30q: no message", body)
		}
	}
}
