package azurite

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestParseLog parses lines like those that Azurite 3.37.0 writes, with unimportant parts shortened. The payload of the token
// is {"oid":"22222222-2222-2222-2222-222222222222"}.
func TestParseLog(t *testing.T) {
	got, err := new(journal).readLog("testdata/debug.log")
	if err != nil {
		t.Fatal(err)
	}
	at := func(ms int) time.Time {
		return time.Date(2026, 11, 21, 4, 16, 44, ms*int(time.Millisecond), time.UTC)
	}
	want := []Request{
		{
			ID: "id-1", Time: at(977), Service: "blob", Method: "PUT", Host: "acct.blob.core.windows.net",
			Path: "/cont", Query: "restype=container", Operation: "Container_Create",
			AuthScheme: "Bearer", ObjectID: "22222222-2222-2222-2222-222222222222", Status: 201,
		},
		{
			ID: "id-2", Time: at(978), Service: "queue", Method: "GET", Host: "acct.queue.core.windows.net",
			Path: "/q/messages", Query: "sv=2026&sig=x", Operation: "Messages_Dequeue",
			AuthScheme: "SAS", Status: 403,
		},
		{ // the last line is unfinished, so this request has no status yet
			ID: "id-4", Time: at(2000), Service: "table", Method: "POST", Host: "acct.table.core.windows.net",
			Path: "/$batch", AuthScheme: "SharedKey",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestTokenObjectID(t *testing.T) {
	for _, token := range []string{"", "x.y.z", "a.b", "e30.bm8ganNvbg.", "e30.e30."} {
		if got := tokenObjectID(token); got != "" {
			t.Errorf("tokenObjectID(%q) = %q, want nothing", token, got)
		}
	}
}

// TestTheLogIsReadOnce reads a log that grows by a few bytes at a time, in the middle of lines.
func TestTheLogIsReadOnce(t *testing.T) {
	whole, err := new(journal).readLog("testdata/debug.log")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("testdata/debug.log")
	if err != nil {
		t.Fatal(err)
	}
	grows, err := os.Create(filepath.Join(t.TempDir(), "debug.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer grows.Close()
	var j journal
	var got []Request
	for part := range slices.Chunk(text, 97) {
		if _, err := grows.Write(part); err != nil {
			t.Fatal(err)
		}
		if got, err = j.readLog(grows.Name()); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(whole, got); diff != "" || j.offset != int64(bytes.LastIndexByte(text, '\n')+1) {
		t.Errorf("%d of %d bytes; at once, and in parts:\n%s", j.offset, len(text), diff)
	}
}
