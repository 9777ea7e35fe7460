package fakeazure_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/testing/fakeazure"
)

func TestRefuseFaults(t *testing.T) {
	t.Parallel()
	s := startWithStorage(t)
	container := createContainer(t, s)
	must(t, s.Inject(contoso,
		fakeazure.Fault{Step: fakeazure.OnBackup, Kind: fakeazure.Refuse, Status: 429, RetryAfter: 17 * time.Second, Count: 2},
		fakeazure.Fault{Step: fakeazure.OnBackup, Kind: fakeazure.Refuse, Status: 503},
		fakeazure.Fault{Step: fakeazure.OnGet, Kind: fakeazure.Refuse, Status: 500, Code: "Oops", Message: "no luck"},
	))
	for i, want := range []struct {
		status           int
		code, retryAfter string
	}{{429, "TooManyRequests", "17"}, {429, "TooManyRequests", "17"}, {503, "ServiceUnavailable", ""}} {
		r := post(t, s, container, "name")
		if r.StatusCode != want.status || r.code() != want.code || r.Header.Get("Retry-After") != want.retryAfter {
			t.Errorf("call %d: got %d %s Retry-After %q", i, r.StatusCode, r.code(), r.Header.Get("Retry-After"))
		}
	}
	if r := send(t, s, "GET", armURL(contoso), "app", ""); r.StatusCode != 500 || r.code() != "Oops" {
		t.Errorf("get: %d %s", r.StatusCode, r.code())
	}
	last := finish(t, s, post(t, s, container, "name"))
	if last.StatusCode != 200 || len(s.Operations()) != 1 || len(s.BackupRequests()) != 4 {
		t.Errorf("afterwards: %d, %d operations, %d requests", last.StatusCode, len(s.Operations()), len(s.BackupRequests()))
	}
}

func TestPollFaults(t *testing.T) {
	t.Parallel()
	s := startWithStorage(t)
	accepted := post(t, s, createContainer(t, s), "name")
	for _, status := range []int{401, 403, 404, 410, 429, 503} {
		must(t, s.Inject(contoso, fakeazure.Fault{Step: fakeazure.OnPoll, Kind: fakeazure.Refuse, Status: status}))
		if r := send(t, s, "GET", accepted.Header.Get("Location"), "app", ""); r.StatusCode != status || r.code() == "" {
			t.Errorf("got %d %s, want %d", r.StatusCode, r.body, status)
		}
	}
	if last := finish(t, s, accepted); last.StatusCode != 200 {
		t.Errorf("afterwards: %d", last.StatusCode)
	}
}

func TestLostAnswerOfAcceptedBackup(t *testing.T) {
	t.Parallel()
	s := startWithStorage(t)
	container := createContainer(t, s)
	must(t, s.Inject(contoso, fakeazure.Fault{Step: fakeazure.OnBackup, Kind: fakeazure.LoseAnswer}))
	if r, err := trySend(t, s, "POST", armURL(contoso+"/backup"), "app", body(container, "lost", "")); err == nil {
		t.Fatalf("got an answer: %d", r.StatusCode)
	}
	eventually(t, "the backup that nobody knows of ends", func() bool {
		o := s.Operations()
		return len(o) == 1 && o[0].State == fakeazure.Succeeded
	})
	download(t, s, container, "lost")
	calls := s.Calls()
	for _, c := range calls {
		if c.Method == http.MethodPost && (c.Status != 202 || !c.Dropped) {
			t.Errorf("call %+v", c)
		}
	}
	if n := len(s.BackupRequests()); n != 1 {
		t.Errorf("%d requests: the client repeated it", n)
	}
}

func TestLostRequest(t *testing.T) {
	t.Parallel()
	s := startWithStorage(t)
	container := createContainer(t, s)
	must(t, s.Inject(contoso, fakeazure.Fault{Step: fakeazure.OnBackup, Kind: fakeazure.LoseRequest}))
	if r, err := trySend(t, s, "POST", armURL(contoso+"/backup"), "app", body(container, "lost", "")); err == nil {
		t.Fatalf("got an answer: %d", r.StatusCode)
	}
	if r := s.BackupRequests(); len(r) != 1 || r[0].Status != 0 || len(s.Operations()) != 0 {
		t.Errorf("requests %+v, %d operations", r, len(s.Operations()))
	}
}

func TestOperationFaults(t *testing.T) {
	t.Parallel()
	s := startWithStorage(t)
	container := createContainer(t, s)
	must(t, s.Inject(contoso,
		fakeazure.Fault{Kind: fakeazure.FailOperation, Code: "InvalidParameters", Message: "as told"},
		fakeazure.Fault{Kind: fakeazure.EmptyBlob},
		fakeazure.Fault{Kind: fakeazure.NoBlob},
	))
	last := finish(t, s, post(t, s, container, "failed"))
	if last.StatusCode != 400 || last.code() != "InvalidParameters" || !strings.Contains(string(last.body), "as told") {
		t.Errorf("failed operation: %d %s", last.StatusCode, last.body)
	}
	if last := finish(t, s, post(t, s, container, "empty")); last.StatusCode != 200 {
		t.Errorf("empty blob: %d", last.StatusCode)
	}
	if content := download(t, s, container, "empty"); len(content) != 0 {
		t.Errorf("empty blob has %d bytes", len(content))
	}
	if last := finish(t, s, post(t, s, container, "none")); last.StatusCode != 200 {
		t.Errorf("no blob: %d", last.StatusCode)
	}
	for _, absent := range []string{"failed", "none"} {
		_, err := newBlobClient(t, s, "app").DownloadStream(t.Context(), container, absent, nil)
		if status, _ := errorCode(err); status != 404 {
			t.Errorf("blob %s: %v", absent, err)
		}
	}
}

// TestPageOfHTML: the answer of Resource Manager's own front end is not JSON.
func TestPageOfHTML(t *testing.T) {
	t.Parallel()
	s := startWithService(t)
	must(t, s.Inject(contoso, fakeazure.Fault{Kind: fakeazure.Refuse, Step: fakeazure.OnGet, Status: 503, Page: true, RetryAfter: 5 * time.Second}))
	r := send(t, s, "GET", armURL(contoso), "app", "")
	if r.StatusCode != 503 || !strings.HasPrefix(r.Header.Get("Content-Type"), "text/html") || r.Header.Get("Retry-After") != "5" ||
		!strings.Contains(string(r.body), "<TITLE>Service Unavailable</TITLE>") {
		t.Errorf("%d %v %s", r.StatusCode, r.Header, r.body)
	}
}

func TestInjectRefuses(t *testing.T) {
	t.Parallel()
	s := startWithService(t)
	for name, f := range map[string]fakeazure.Fault{
		"kind":   {Kind: "explode"},
		"step":   {Kind: fakeazure.Refuse, Status: 500},
		"status": {Kind: fakeazure.Refuse, Step: fakeazure.OnGet},
	} {
		if err := s.Inject(contoso, f); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := s.Inject(contoso+"2", fakeazure.Fault{Kind: fakeazure.NoBlob}); err == nil {
		t.Error("unknown service: accepted")
	}
	if err := s.Tune(contoso+"2", func(*fakeazure.Options) {}); err == nil {
		t.Error("tune of unknown service: accepted")
	}
}
