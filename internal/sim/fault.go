package sim

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Step is a kind of call to API Management.
type Step string

const (
	// OnGet is GET of the service.
	OnGet Step = "get"
	// OnBackup is POST of a backup.
	OnBackup Step = "backup"
	// OnPoll is GET of an operation's result.
	OnPoll Step = "poll"
)

// FaultKind is what goes wrong.
type FaultKind string

const (
	// Refuse answers the call with Status, Code, Message and RetryAfter; nothing else happens.
	Refuse FaultKind = "refuse"
	// LoseAnswer does what the call asks and cuts the connection instead of answering.
	LoseAnswer FaultKind = "loseAnswer"
	// FailOperation accepts the backup and fails it at its end with Status (0 means 400), Code and Message.
	FailOperation FaultKind = "failOperation"
	// EmptyBlob lets the backup succeed with a blob of zero bytes.
	EmptyBlob FaultKind = "emptyBlob"
	// NoBlob lets the backup succeed without any blob.
	NoBlob FaultKind = "noBlob"
)

// Fault makes calls to one service go wrong. FailOperation, EmptyBlob and NoBlob strike accepted backups, whatever
// the Step.
type Fault struct {
	Step Step
	Kind FaultKind
	// Count is how many calls, or backups, it strikes. 0 means 1.
	Count int
	// Status of Refuse and FailOperation.
	Status int
	// Code and Message of the error. An empty Code means the usual one of the status.
	Code, Message string
	// RetryAfter is sent with Refuse as it is, in whole seconds, when not 0: the time scale does not apply.
	RetryAfter time.Duration
}

// Inject lets the next calls to a service go wrong. Faults strike in the order in which they were injected, each
// call at most one of Refuse and LoseAnswer, each backup at most one of the others.
func (s *Sim) Inject(resourceID string, faults ...Fault) error {
	m := s.management
	m.mu.Lock()
	defer m.mu.Unlock()
	svc, err := m.lookup(resourceID)
	if err != nil {
		return fmt.Errorf("inject fault: %w", err)
	}
	for _, f := range faults {
		if err := f.check(); err != nil {
			return fmt.Errorf("inject fault: %w", err)
		}
		f.Count = max(1, f.Count)
		svc.faults = append(svc.faults, f)
	}
	return nil
}

func (f Fault) check() error {
	switch f.Kind {
	case Refuse, LoseAnswer:
		if f.Step != OnGet && f.Step != OnBackup && f.Step != OnPoll {
			return fmt.Errorf("%s: unknown step %q", f.Kind, f.Step)
		}
		if f.Kind == Refuse && f.Status < 400 {
			return fmt.Errorf("%s: status %d is no error", f.Kind, f.Status)
		}
	case FailOperation, EmptyBlob, NoBlob:
	default:
		return fmt.Errorf("unknown kind %q", f.Kind)
	}
	return nil
}

// take finds the first fault that strikes and uses it up by one. Called under the lock.
func (svc *service) take(strikes func(Fault) bool) (Fault, bool) {
	for i, f := range svc.faults {
		if !strikes(f) {
			continue
		}
		if svc.faults[i].Count--; svc.faults[i].Count == 0 {
			svc.faults = append(svc.faults[:i:i], svc.faults[i+1:]...)
		}
		return f, true
	}
	return Fault{}, false
}

// struck does a call's work unless a fault strikes it. With a lost answer it returns both answer and error.
func (m *apiManagement) struck(svc *service, step Step, work func() *http.Response) (*http.Response, error) {
	m.mu.Lock()
	fault, hit := svc.take(func(f Fault) bool {
		return f.Step == step && (f.Kind == Refuse || f.Kind == LoseAnswer)
	})
	m.mu.Unlock()
	if hit && fault.Kind == Refuse {
		return fault.refusal(), nil
	}
	resp := work()
	if hit {
		return resp, errLoseAnswer
	}
	return resp, nil
}

// usualCodes are the error codes that go with a status where a fault names none.
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

func (f Fault) refusal() *http.Response {
	code := f.Code
	if code == "" {
		code = usualCodes[f.Status]
	}
	message := f.Message
	if message == "" {
		message = http.StatusText(f.Status)
	}
	resp := serviceError(f.Status, code, message)
	if f.RetryAfter > 0 {
		resp.Header.Set("Retry-After", strconv.Itoa(max(1, int(f.RetryAfter.Seconds()))))
	}
	return resp
}
