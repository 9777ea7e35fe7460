package handler

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"unicode/utf8"
)

const wake = `{"run":"0123456789abcdef-8234567890-0123456789ab","sequence":3,"nonce":"m"}`

// mark is the byte order mark of UTF-8.
const mark = "\xef\xbb\xbf"

// quoted returns the text as JSON inside a string, as the host encodes every string.
func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func TestMessage(t *testing.T) {
	b64 := base64.StdEncoding.EncodeToString
	for name, c := range map[string]struct{ value, want string }{
		"binary: base64 once":            {quoted(b64([]byte(wake))), wake},
		"binary, sender encoded too":     {quoted(b64([]byte(b64([]byte(wake))))), wake},
		"text: JSON in a string, twice":  {quoted(quoted(wake)), wake},
		"text: JSON in a string, once":   {quoted(wake), wake},
		"text, sender encoded too":       {quoted(quoted(b64([]byte(wake)))), wake},
		"an object as it is":             {wake, wake},
		"white space around":             {quoted(b64([]byte("\n " + wake + " \n"))), "\n " + wake + " \n"},
		"binary: no JSON":                {quoted(b64([]byte("hello"))), "hello"},
		"binary: text that looks base64": {quoted(b64([]byte("abcd"))), "abcd"},
		"binary: empty":                  {`""`, ""},
		"neither":                        {quoted("not base64!"), "not base64!"},
		"bytes that are no text":         {quoted(b64([]byte{0xff, 0xfe, 0})), "\xff\xfe\x00"},
		"a byte order mark":              {quoted(b64([]byte(mark + wake))), wake},
		"one before what was encoded":    {quoted(b64([]byte(b64([]byte(mark + wake))))), wake},
		"one before base64":              {quoted(b64([]byte(mark + b64([]byte(wake))))), wake},
		"one each":                       {quoted(b64([]byte(mark + b64([]byte(mark+wake))))), wake},
		"one in text":                    {quoted(quoted(mark + wake)), wake},
		"one in text, encoded":           {quoted(quoted(mark + b64([]byte(mark+wake)))), wake},
		"UTF-16":                         {quoted(b64(utf16le(`{"ü": "😀"}`))), `{"ü": "😀"}`},
		"UTF-16 with a mark":             {quoted(b64([]byte(b64(utf16le("\ufeff" + wake))))), wake},
		"UTF-16, the other end first":    {quoted(b64([]byte("\xfe\xff\x00{\x00}"))), "{}"},
		"UTF-16 behind white space":      {quoted(b64(utf16le("\r\n" + wake))), "\r\n" + wake},
		"base64 in UTF-16":               {quoted(b64(utf16le(b64([]byte(wake))))), wake},
		"base64 without padding":         {quoted(b64([]byte(base64.RawStdEncoding.EncodeToString([]byte(wake))))), wake},
		"base64 for URLs":                {quoted(b64([]byte(base64.URLEncoding.EncodeToString([]byte(`{"ü?>": 1}`))))), `{"ü?>": 1}`},
		"the same without padding":       {quoted(b64([]byte(base64.RawURLEncoding.EncodeToString([]byte(`{"ü?>": 1}`))))), `{"ü?>": 1}`},
		"base64 in lines":                {quoted(b64([]byte("eyJy\r\ndW4iOjF9\r\n"))), `{"run":1}`},
		"a batch":                        {quoted(b64([]byte(b64([]byte("[" + wake + "]"))))), "[" + wake + "]"},
		"half a character of UTF-16":     {quoted(b64(utf16le(wake)[1:])), string(utf16le(wake)[1:])},
		"one before white space":         {quoted(b64([]byte(mark + "\r\n" + wake))), "\r\n" + wake},
	} {
		t.Run(name, func(t *testing.T) {
			in, err := decodeInvocation([]byte(`{"Data":{"message":` + c.value + `},"Metadata":{}}`))
			if err != nil {
				t.Fatal(err)
			}
			got, err := in.message("message")
			if err != nil || string(got) != c.want {
				t.Fatalf("got %q, %v; want %q", got, err, c.want)
			}
		})
	}
}

func TestDecodeRecordedEnvelopes(t *testing.T) {
	read := func(file string) invocation {
		body, err := os.ReadFile("testdata/" + file)
		if err != nil {
			t.Fatal(err)
		}
		in, err := decodeInvocation(body)
		if err != nil {
			t.Fatal(err)
		}
		return in
	}
	queue := read("queue-binary.json")
	message, err := queue.message("message")
	if err != nil || string(message) != wake {
		t.Errorf("queue: got %q, %v", message, err)
	}
	if queue.DequeueCount != "2" {
		t.Errorf("queue: the dequeue count is %q, want 2", queue.DequeueCount)
	}
	if _, err := read("timer.json").message("message"); err == nil {
		t.Error("timer: a binding that is not there was read")
	}
}

func TestDecodeRefusesWhatIsNoInvocation(t *testing.T) {
	for _, body := range []string{"", "null null", "[]", `"x"`, `{"Data":[]}`, `{"Data":{"message":`} {
		if in, err := decodeInvocation([]byte(body)); err == nil {
			t.Errorf("%q was taken for the invocation %v", body, in)
		}
	}
}

// TestHostInvocationTakesTheLast checks that the last ID counts: a host that forwards a request adds its ID after the client's.
func TestHostInvocationTakesTheLast(t *testing.T) {
	r := &http.Request{Header: http.Header{}}
	r.Header.Add(invocationHeader, "the client's")
	r.Header.Add(invocationHeader, "the host's")
	if got := hostInvocation(r); got != "the host's" {
		t.Errorf("got %q", got)
	}
	r.Header.Set(invocationHeader, "the client's, and more, the host's")
	if got := hostInvocation(r); got != "the host's" {
		t.Errorf("of one line: got %q", got)
	}
}

// encodings are the forms in which senders put a text into a queue, by their names.
var encodings = []struct {
	name   string
	encode func(text string) []byte
}{
	{"as it is", func(text string) []byte { return []byte(text) }},
	{"a byte order mark", func(text string) []byte { return []byte(mark + text) }},
	{"UTF-16", utf16le},
	{"UTF-16 with a mark", func(text string) []byte { return utf16le("\ufeff" + text) }},
	{"UTF-16, high byte first", func(text string) []byte { return swapped(utf16le(text)) }},
	{"the same with a mark", func(text string) []byte { return swapped(utf16le("\ufeff" + text)) }},
}

// alphabets are the forms of base64; nil is none.
var alphabets = []*base64.Encoding{nil, base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding}

// swapped swaps the two bytes of each unit of UTF-16.
func swapped(units []byte) []byte {
	for i := 0; i+1 < len(units); i += 2 {
		units[i], units[i+1] = units[i+1], units[i]
	}
	return units
}

// reads checks that a message that was sent comes out as the text.
func reads(t *testing.T, how string, sent []byte, want string) {
	t.Helper()
	in, err := decodeInvocation([]byte(`{"Data":{"message":` + quoted(base64.StdEncoding.EncodeToString(sent)) + `}}`))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := in.message("message"); err != nil || string(got) != want {
		t.Fatalf("%s: %q came back as %q, %v", how, want, got, err)
	}
}

// encoded returns the text in one of the encodings and alphabets, and how that is called.
func encoded(text string, n int) (sent []byte, how string) {
	encoding, alphabet := encodings[n%len(encodings)], alphabets[n/len(encodings)%len(alphabets)]
	sent, how = encoding.encode(text), fmt.Sprintf("%s, %d", encoding.name, n)
	if alphabet != nil {
		sent = []byte(alphabet.EncodeToString(sent))
	}
	return sent, how
}

func TestMessageInEveryEncoding(t *testing.T) {
	for _, text := range []string{"{}", "[]", wake, "\r\n{\"ü\": \"😀?>\"}", `[{"a":"é"}, {}]`, `{"a":"😀😀😀"}`} {
		for n := range len(encodings) * len(alphabets) {
			sent, how := encoded(text, n)
			reads(t, how, sent, text)
		}
	}
}

// FuzzDecode checks that no content of the envelope makes the reader panic, and that it loses no message in any of the known
// encodings.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"Data":{"message":"e30="},"Metadata":{"DequeueCount":"1"}}`), []byte(wake))
	f.Add([]byte(`{"Data":{"message":"\"\\\"{}\\\"\""}}`), []byte(`{"a":"\u0000"}`))
	f.Add([]byte(`{`), []byte("{"))
	f.Add([]byte(`{`), []byte("{\x00"))
	f.Add([]byte(`{`), []byte(mark+"{"))
	f.Add([]byte(`{`), []byte("\r\n[{\"ü\": \"😀?>\"}]"))
	f.Fuzz(func(t *testing.T, envelope, message []byte) {
		if in, err := decodeInvocation(envelope); err == nil {
			_, _ = in.message("message")
		}
		want := string(inUTF8(message))
		if !looksJSON([]byte(want)) {
			return
		}
		reads(t, "as it came", message, want)
		if !utf8.ValidString(want) || strings.Contains(want, "\x00") {
			return // no JSON: the encodings are of text
		}
		sent, how := encoded(want, len(envelope)) // one of them, since all would take too long
		reads(t, how, sent, want)
	})
}
