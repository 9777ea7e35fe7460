package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"lifeboat/internal/backup"
	"lifeboat/internal/services/ledger"
	"lifeboat/internal/testing/fakeazure/ccfwriter"
)

// These are the names and addresses in the tests on the wire.
const (
	subscription = "/subscriptions/7a1c5b0e-3f44-4c2e-9d10-5e2b8f6a9c01"
	groups       = subscription + "/resourceGroups"
	target       = groups + "/apps/providers/Microsoft.ConfidentialLedger/managedCCFs/Contoso"
	plain        = groups + "/apps/providers/Microsoft.ConfidentialLedger/ledgers/Contoso"
	account      = groups + "/backup/providers/Microsoft.Storage/storageAccounts/contosobackups"
	status       = subscription + "/providers/Microsoft.ConfidentialLedger/locations/westeurope/operationStatuses/8d1a4bdc"
	run          = "0123456789abcdef-8234567890-0123456789ab"
	share        = "contoso-20261103023001"
	key          = "bm90IGEgc2VjcmV0LCBvbmx5IGEgdGVzdCBrZXk="
)

var started = time.Date(2026, 11, 3, 2, 30, 0, 0, time.UTC)

func attempt() backup.Attempt {
	return backup.Attempt{
		Target: target, Storage: backup.Storage{Account: account, Container: "lifeboat"}, Run: run, Artifact: share,
		NotBefore: started, QuietPeriod: 2 * time.Minute,
	}
}

// step names a request by what it asks for.
type step string

const (
	start   step = "POST backup"
	export  step = "POST filesExport"
	restore step = "POST restore"
	poll    step = "GET status"
	result  step = "GET result"
	get     step = "GET service"
	inspect step = "GET account"
	keys    step = "POST listKeys"
	list    step = "list shares"
	open    step = "list files"
	read    step = "read a file"
	remove  step = "delete a share"
)

func stepOf(r *http.Request) step {
	q := r.URL.Query()
	switch files := r.URL.Host == "contosobackups.file.core.windows.net"; {
	case files && q.Get("comp") == "list" && q.Get("restype") == "":
		return list
	case files && q.Get("comp") == "list":
		return open
	case files && r.Method == http.MethodDelete:
		return remove
	case files:
		return read
	case strings.HasSuffix(r.URL.Path, "/listKeys"):
		return keys
	case r.Method == http.MethodPost:
		return step("POST " + path.Base(r.URL.Path))
	case strings.Contains(r.URL.Path, "/operationStatuses/"):
		return poll
	case strings.Contains(r.URL.Path, "/operationResults/"):
		return result
	case strings.HasSuffix(r.URL.Path, "/storageAccounts/contosobackups"):
		return inspect
	}
	return get
}

// reply answers a request, or fails as the network does.
type reply func(*http.Request) (*http.Response, error)

// stored is a share on the wire.
type stored struct {
	made  time.Time
	files map[string]storedFile
}

// storedFile has its content in memory, or in a file on the disk with a size.
type storedFile struct {
	content string
	written time.Time
	etag    string

	disk string
	size int
}

func (f storedFile) length() int { return max(f.size, len(f.content)) }

// part returns the bytes of the range, the last one included.
func (f storedFile) part(from, to int) (string, error) {
	if f.disk == "" {
		return f.content[from : to+1], nil
	}
	file, err := os.Open(f.disk)
	if err != nil {
		return "", err
	}
	defer file.Close()
	part := make([]byte, to+1-from)
	_, err = file.ReadAt(part, int64(from))
	return string(part), err
}

// wire is a transport that plays Azure's side. It gives a reply to each step, and plays the file service for the other
// steps.
type wire struct {
	replies map[step]reply
	shares  map[string]stored
	// now is the storage's clock.
	now time.Time

	sent   []step
	bodies []string
	urls   []string
	ranges []string
	// fetched has the ranges of bytes that were read, by the names of the files.
	fetched map[string][][2]int
	// heap is the largest heap at a read, if it is measured.
	heap     uint64
	measured bool
}

func newWire() *wire {
	return &wire{
		replies: map[step]reply{
			keys: answers(200, `{"keys":[{"keyName":"key1","value":"`+key+`","permissions":"FULL"}]}`, "Date: Tue, 03 Nov 2026 02:30:00 GMT"),
			get:  answers(200, `{"properties":{"provisioningState":"Succeeded"}}`),
		},
		shares: map[string]stored{}, now: started.Add(time.Hour), fetched: map[string][][2]int{},
	}
}

// backUp puts a whole backup, made at that time, on the wire.
func (w *wire) backUp(share string, at time.Time) { w.put(share, at, small()) }

// put puts files, made at that time, into a share on the wire.
func (w *wire) put(share string, at time.Time, files []ccfwriter.File) {
	w.shares[share] = stored{at, map[string]storedFile{}}
	for i, f := range files {
		w.shares[share].files[f.Name] = storedFile{content: string(f.Content), written: at.Add(time.Duration(i) * time.Second), etag: fmt.Sprint(i + 1)}
	}
}

// twenty is a ledger of 20 transactions in two files.
func twenty() *ccfwriter.Ledger {
	l := ccfwriter.New(ccfwriter.V6, 1)
	l.Open()
	for l.Seqno() < 9 {
		l.Transact(20)
	}
	l.Close()
	for l.Seqno() < 19 {
		l.Transact(20)
	}
	l.Close()
	return l
}

// small are the files of that ledger, with a snapshot, and an empty file that is of no ledger.
var small = sync.OnceValue(func() []ccfwriter.File {
	l := twenty()
	l.Snapshot(20)
	l.Sign()
	files := l.Files()
	return append(slices.Delete(files, 2, 3), ccfwriter.File{Name: "snapshots/old/notes"})
})

func (w *wire) Do(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
	}
	for name, values := range maps.Clone(r.Header) { // on the wire case does not count
		r.Header[http.CanonicalHeaderKey(name)] = values
	}
	s := stepOf(r)
	w.sent, w.bodies = append(w.sent, s), append(w.bodies, string(body))
	w.urls = append(w.urls, r.URL.String())
	reply := w.replies[s]
	if reply == nil && strings.Contains(r.URL.Host, ".file.") {
		reply = w.files
	}
	if reply == nil {
		return nil, fmt.Errorf("the test has no reply to %s %s", r.Method, r.URL)
	}
	answer, err := reply(r)
	if answer != nil {
		answer.Request = r
	}
	return answer, err
}

// files plays the file service.
func (w *wire) files(r *http.Request) (*http.Response, error) {
	date := "Date: " + w.now.Format(http.TimeFormat)
	if !strings.HasPrefix(r.Header.Get("Authorization"), "SharedKey contosobackups:") {
		return storageError(403, "AuthenticationFailed")(r)
	}
	if stepOf(r) == list {
		var b strings.Builder
		for _, name := range slices.Sorted(maps.Keys(w.shares)) {
			if strings.HasPrefix(name, r.URL.Query().Get("prefix")) {
				fmt.Fprintf(&b, "<Share><Name>%s</Name><Properties><Last-Modified>%s</Last-Modified><Etag>0x1</Etag><Quota>5</Quota>"+
					"</Properties></Share>", name, w.shares[name].made.Format(http.TimeFormat))
			}
		}
		return answers(200, "<EnumerationResults><Shares>"+b.String()+"</Shares><NextMarker/></EnumerationResults>", date)(r)
	}
	name, in, _ := strings.Cut(strings.Trim(r.URL.Path, "/"), "/")
	share, ok := w.shares[name]
	if !ok {
		return storageError(404, "ShareNotFound")(r)
	}
	switch stepOf(r) {
	case remove:
		if r.Header.Get("X-Ms-Delete-Snapshots") != "include" {
			return storageError(409, "ShareHasSnapshots")(r)
		}
		delete(w.shares, name)
		return answers(202, "")(r)
	case open:
		return answers(200, share.listing(in), date)(r)
	}
	f, ok := share.files[in]
	if !ok {
		return storageError(404, "ResourceNotFound")(r)
	}
	w.ranges = append(w.ranges, r.Header.Get("X-Ms-Range"))
	var from, to int
	if _, err := fmt.Sscanf(r.Header.Get("X-Ms-Range"), "bytes=%d-%d", &from, &to); err != nil {
		return nil, err
	}
	w.fetched[in] = append(w.fetched[in], [2]int{from, to})
	if w.measured {
		var memory runtime.MemStats
		runtime.ReadMemStats(&memory)
		w.heap = max(w.heap, memory.HeapAlloc)
	}
	part, err := f.part(from, to)
	if err != nil {
		return nil, err
	}
	return answers(206, part, `Etag: "`+f.etag+`"`, fmt.Sprintf("Content-Range: bytes %d-%d/%d", from, to, f.length()))(r)
}

// listing makes the list of the direct content of a directory of the share.
func (s stored) listing(in string) string {
	var b strings.Builder
	seen := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(s.files)) {
		below, ok := strings.CutPrefix(name, in+"/")
		if in == "" {
			below, ok = name, true
		}
		if !ok {
			continue
		}
		if first, _, deeper := strings.Cut(below, "/"); deeper {
			if !seen[first] {
				fmt.Fprintf(&b, "<Directory><Name>%s</Name><Properties/></Directory>", first)
			}
			seen[first] = true
			continue
		}
		f := s.files[name]
		fmt.Fprintf(&b, "<File><Name>%s</Name><Properties><Content-Length>%d</Content-Length><Last-Modified>%s</Last-Modified>"+
			"<Etag>\"%s\"</Etag></Properties></File>", below, f.length(), f.written.Format(http.TimeFormat), f.etag)
	}
	return "<EnumerationResults><Entries>" + b.String() + "</Entries><NextMarker/></EnumerationResults>"
}

func (w *wire) expect(t *testing.T, want ...step) {
	t.Helper()
	if fmt.Sprint(w.sent) != fmt.Sprint(want) {
		t.Errorf("sent %q, want %q", w.sent, want)
	}
}

// count returns the number of requests of the step.
func (w *wire) count(s step) (n int) {
	for _, sent := range w.sent {
		if sent == s {
			n++
		}
	}
	return n
}

// provider makes a provider with this wire, as a new process would make it.
func (w *wire) provider() *ledger.Provider {
	return ledger.New(identity{}, azcore.ClientOptions{Transport: w})
}

type identity struct{ fails bool }

func (i identity) GetToken(ctx context.Context, _ policy.TokenRequestOptions) (azcore.AccessToken, error) {
	if i.fails {
		return azcore.AccessToken{}, errors.New("no managed identity endpoint found")
	}
	return azcore.AccessToken{Token: "token", ExpiresOn: time.Now().Add(time.Hour)}, ctx.Err()
}

// answers makes a reply with a status, "Name: value" headers and a body.
func answers(status int, body string, headers ...string) reply {
	return func(*http.Request) (*http.Response, error) {
		h := http.Header{}
		for _, header := range headers {
			name, value, _ := strings.Cut(header, ": ")
			h.Set(name, value)
		}
		return &http.Response{
			StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
		}, nil
	}
}

// at is the address of the status of an operation.
const at = "https://management.azure.com" + status + "?api-version=2025-06-10-preview&t=1&c=2&s=3&h=4"

// accepted makes the answer to a start, as in the examples of the API's description, with more headers.
func accepted(headers ...string) reply {
	return answers(202, "", append([]string{"Azure-AsyncOperation: " + at}, headers...)...)
}

// says makes an answer with the status of an operation.
func says(status, more string) reply {
	return answers(200, `{"id":"`+status+`","name":"8d1a4bdc","status":"`+status+`","startTime":"2026-11-03T02:30:00Z"`+more+`}`)
}

// done is the status of an operation that has ended well.
var done = says("Succeeded", `,"endTime":"2026-11-03T02:35:00Z","percentComplete":100`)

// refuses makes a reply with an error of Resource Manager.
func refuses(status int, code, message string, headers ...string) reply {
	return answers(status, fmt.Sprintf(`{"error":{"code":%q,"message":%q,"details":[]}}`, code, message), headers...)
}

// storageError makes a reply with an error of the file service.
func storageError(status int, code string) reply {
	return answers(status, "<Error><Code>"+code+"</Code><Message>It says "+code+"\nRequestId:1</Message></Error>", "X-Ms-Error-Code: "+code)
}

// fails makes a reply that is the error, without an answer.
func fails(err error) reply { return func(*http.Request) (*http.Response, error) { return nil, err } }

var (
	cut     = fails(fmt.Errorf("read tcp 127.0.0.1:443: %w", io.ErrUnexpectedEOF))
	unknown = fails(&net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", IsNotFound: true}})
)

// fault is the error that a test expects: the kind, the code, and words of the message and the hint.
type fault struct {
	kind          backup.FaultKind
	code          string
	message, hint string
	after         time.Duration
}

func (want fault) check(t *testing.T, err error) {
	t.Helper()
	got, ok := errors.AsType[*backup.Fault](err)
	if !ok {
		t.Fatalf("error %v is no *backup.Fault, want %+v", err, want)
	}
	if got.Kind != want.kind || got.Code != want.code || got.RetryAfter != want.after {
		t.Errorf("fault %s %s after %s, want %s %s after %s\n%s",
			got.Kind, got.Code, got.RetryAfter, want.kind, want.code, want.after, got.Message)
	}
	if !strings.Contains(got.Message, want.message) {
		t.Errorf("message %q lacks %q", got.Message, want.message)
	}
	if !strings.Contains(got.Hint, want.hint) || got.Hint == "" {
		t.Errorf("hint %q lacks %q", got.Hint, want.hint)
	}
	if strings.Contains(got.Message+got.Hint, key) || strings.Contains(got.Message+got.Hint, "sig=") {
		t.Errorf("a secret is in %+v", got)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
