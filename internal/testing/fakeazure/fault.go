package fakeazure

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Step is a kind of call to API Management, to a Managed HSM or to a ledger.
type Step string

const (
	// OnGet is GET of the service, or of the HSM's resource.
	OnGet Step = "get"
	// OnBackup is POST for a backup.
	OnBackup Step = "backup"
	// OnPoll is GET of an operation's result.
	OnPoll Step = "poll"
	// OnRestore is POST for a restore of a service or a ledger, or PUT for a restore of an HSM or of one key.
	OnRestore Step = "restore"
	// OnCheck is a prebackup or prerestore of an HSM.
	OnCheck Step = "check"
	// OnKey is any call about the keys of an HSM.
	OnKey Step = "key"
	// OnRole is any call about the role assignments of an HSM itself.
	OnRole Step = "role"
	// OnDomain is any call about the security domain of an HSM.
	OnDomain Step = "securityDomain"
	// OnPut is PUT of a ledger's resource.
	OnPut Step = "put"
	// OnDelete is DELETE of a ledger's resource.
	OnDelete Step = "delete"
)

// FaultKind is the effect of a fault.
type FaultKind string

const (
	// Refuse answers the call with Status, Code, Message and RetryAfter; nothing else happens.
	Refuse FaultKind = "refuse"
	// LoseAnswer does the work of the call, but cuts the connection instead of answering.
	LoseAnswer FaultKind = "loseAnswer"
	// LoseRequest cuts the connection and does nothing.
	LoseRequest FaultKind = "loseRequest"
	// FailOperation accepts the operation, of any kind if Step is empty, and fails it at its end with Status (0 means 400; a
	// service's Azure-AsyncOperation says Failed with 200), Code and Message. An HSM returns Message as its statusDetails, and
	// an empty Code as null. A ledger fails in the body of a 200 if Status is 0.
	FailOperation FaultKind = "failOperation"
	// EmptyBlob lets the backup succeed with a blob of zero bytes.
	EmptyBlob FaultKind = "emptyBlob"
	// NoBlob lets the backup succeed without any blob.
	NoBlob FaultKind = "noBlob"
	// EmptyFolder lets the backup of an HSM succeed without any blob.
	EmptyFolder FaultKind = "emptyFolder"
	// MissingBlob lets the backup of an HSM succeed with a folder that lacks a blob.
	MissingBlob FaultKind = "missingBlob"
	// NoShare lets the backup of a ledger succeed without any share.
	NoShare FaultKind = "noShare"
	// EmptyShare lets the backup of a ledger succeed with a share without any file.
	EmptyShare FaultKind = "emptyShare"
	// MissingFile lets the backup of a ledger succeed with a share that lacks its second ledger file.
	MissingFile FaultKind = "missingFile"
	// FailHalfway lets the backup of a ledger fail with Code and Message after half of its files, and a backup of a service after half
	// of its blob. They stay.
	FailHalfway FaultKind = "failHalfway"
)

// Fault makes calls to one service, HSM or ledger fail. A fault of accepted backups applies whatever the Step.
type Fault struct {
	Step Step
	Kind FaultKind
	// Count is the number of calls, or backups, that it affects. 0 means 1.
	Count int
	// Status is the status for Refuse and FailOperation.
	Status int
	// Code and Message describe the error. An empty Code means the usual one of the status.
	Code, Message string
	// Page makes the answer of Refuse a page of HTML, as Resource Manager's 503 was (recorded 2022-02-10).
	Page bool
	// RetryAfter is the header of Refuse, in whole seconds, if not 0: the time scale does not apply.
	RetryAfter time.Duration
}

// faults are the injected faults that have not applied yet, in the order of their injection.
type faults []Fault

var (
	callFaults      = []FaultKind{Refuse, LoseAnswer, LoseRequest}
	serviceFaults   = []FaultKind{FailOperation, EmptyBlob, NoBlob, FailHalfway}
	hsmFaults       = []FaultKind{FailOperation, EmptyFolder, MissingBlob}
	ledgerFaults    = []FaultKind{FailOperation, NoShare, EmptyShare, MissingFile, FailHalfway}
	steps, hsmSteps = []Step{OnGet, OnBackup, OnPoll, OnRestore}, []Step{OnGet, OnBackup, OnPoll, OnRestore, OnCheck, OnKey, OnRole, OnDomain}
	ledgerSteps     = []Step{OnGet, OnBackup, OnPoll, OnRestore, OnPut, OnDelete}
)

// Inject makes the next calls to an API Management service, a Managed HSM or a ledger fail. Faults apply in the order of their
// injection, to each call at most one of Refuse, LoseAnswer and LoseRequest, to each operation at most one of the others.
func (s *Sim) Inject(resourceID string, add ...Fault) error {
	if h, err := s.hsms.find(resourceID); err == nil {
		return h.faults.add(&s.hsms.mu, add, hsmFaults, hsmSteps)
	}
	if l, err := s.ledgers.find(resourceID); err == nil {
		return l.faults.add(&s.ledgers.mu, add, ledgerFaults, ledgerSteps)
	}
	m := s.management
	m.mu.Lock()
	svc, err := m.lookup(resourceID)
	m.mu.Unlock()
	if err != nil {
		return fmt.Errorf("inject fault: %w", err)
	}
	return svc.faults.add(&m.mu, add, serviceFaults, steps)
}

func (list *faults) add(mu *sync.Mutex, add []Fault, operations []FaultKind, at []Step) error {
	mu.Lock()
	defer mu.Unlock()
	for _, f := range add {
		if err := f.check(operations, at); err != nil {
			return fmt.Errorf("inject fault: %w", err)
		}
		f.Count = max(1, f.Count)
		*list = append(*list, f)
	}
	return nil
}

func (f Fault) check(operations []FaultKind, at []Step) error {
	switch {
	case slices.Contains(operations, f.Kind):
	case !slices.Contains(callFaults, f.Kind):
		return fmt.Errorf("unknown kind %q", f.Kind)
	case !slices.Contains(at, f.Step):
		return fmt.Errorf("%s: unknown step %q", f.Kind, f.Step)
	case f.Kind == Refuse && f.Status < 400:
		return fmt.Errorf("%s: status %d is no error", f.Kind, f.Status)
	}
	return nil
}

// take returns the first fault that applies and uses it up by one. It is called under the lock.
func (list *faults) take(strikes func(Fault) bool) (Fault, bool) {
	for i, f := range *list {
		if !strikes(f) {
			continue
		}
		if (*list)[i].Count--; (*list)[i].Count == 0 {
			*list = append((*list)[:i:i], (*list)[i+1:]...)
		}
		return f, true
	}
	return Fault{}, false
}

// strike does a call's work unless a fault of the list applies to it. With a lost answer it returns both answer and error.
func strike(mu *sync.Mutex, list *faults, step Step, refuse func(status int, code, message string) *http.Response,
	work func() *http.Response,
) (*http.Response, error) {
	mu.Lock()
	fault, hit := list.take(func(f Fault) bool { return f.Step == step && slices.Contains(callFaults, f.Kind) })
	mu.Unlock()
	switch {
	case hit && fault.Kind == Refuse:
		return fault.refusal(refuse), nil
	case hit && fault.Kind == LoseRequest:
		return nil, errLoseAnswer
	}
	resp := work()
	if hit {
		return resp, errLoseAnswer
	}
	return resp, nil
}

// usualCodes are the error codes for statuses of faults without a code.
var usualCodes = map[int]string{
	http.StatusBadRequest:          "InvalidParameters",
	http.StatusUnauthorized:        "AuthenticationFailed",
	http.StatusForbidden:           "AuthorizationFailed",
	http.StatusNotFound:            "ResourceNotFound",
	http.StatusConflict:            "Conflict",
	http.StatusGone:                "Gone",
	http.StatusTooManyRequests:     "TooManyRequests",
	http.StatusInternalServerError: "InternalServerError",
	http.StatusServiceUnavailable:  "ServiceUnavailable",
	http.StatusGatewayTimeout:      "GatewayTimeout",
}

func (f Fault) refusal(refuse func(int, string, string) *http.Response) *http.Response {
	code := f.Code
	if code == "" {
		code = usualCodes[f.Status]
	}
	message := f.Message
	if message == "" {
		message = http.StatusText(f.Status)
	}
	resp := refuse(f.Status, code, message)
	if f.Page {
		resp = page(f.Status)
	}
	if f.RetryAfter > 0 {
		resp.Header.Set("Retry-After", strconv.Itoa(max(1, int(f.RetryAfter.Seconds()))))
	}
	return resp
}

// page returns the answer of Windows' HTTP server if no server behind it answers.
func page(status int) *http.Response {
	text := http.StatusText(status)
	header := http.Header{"Content-Type": {"text/html; charset=us-ascii"}}
	return newResponse(status, header, []byte(`<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01//EN""http://www.w3.org/TR/html4/strict.dtd">`+
		"\r\n<HTML><HEAD><TITLE>"+text+"</TITLE>\r\n"+`<META HTTP-EQUIV="Content-Type" Content="text/html; charset=us-ascii"></HEAD>`+
		"\r\n<BODY><h2>"+text+"</h2>\r\n<hr><p>HTTP Error "+strconv.Itoa(status)+". The service is unavailable.</p>\r\n</BODY></HTML>\r\n"))
}
