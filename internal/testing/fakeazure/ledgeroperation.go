package fakeazure

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// LedgerOperationKind is the kind of a ledger's operation.
type LedgerOperationKind string

// These are the kinds.
const (
	LedgerBackup  LedgerOperationKind = "backup"
	LedgerExport  LedgerOperationKind = "filesExport"
	LedgerRestore LedgerOperationKind = "restore"
	LedgerCreate  LedgerOperationKind = "create"
	LedgerDelete  LedgerOperationKind = "delete"
)

// LedgerOperation is an accepted operation.
type LedgerOperation struct {
	// ID is the name of the operation in its status.
	ID string
	// Ledger is its resource ID.
	Ledger string
	Kind   LedgerOperationKind
	// Account and Share are the place of a backup; "" for other kinds, and as long as a backup has no share.
	Account, Share string
	Started        time.Time
	// Ended is zero while in progress.
	Ended time.Time
	State OperationState
	// Code and Message are the error of a failed operation.
	Code, Message string
}

// LedgerOperations returns every accepted operation of all ledgers, oldest first.
func (s *Sim) LedgerOperations() []LedgerOperation {
	m := s.ledgers
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]LedgerOperation, len(m.operations))
	for i, o := range m.operations {
		all[i] = o.LedgerOperation
	}
	return all
}

// LedgerRequest is a request for an operation that reached Confidential Ledger or Managed CCF.
type LedgerRequest struct {
	At time.Time
	// Ledger is its resource ID.
	Ledger string
	Kind   LedgerOperationKind
	// APIVersion is the version of the request.
	APIVersion string
	// Status is the answer's status, whether or not it arrived; 0 when the request was lost on purpose.
	Status int
	// Operation is the ID of the operation that it started; "" if it was refused.
	Operation string
}

// LedgerRequests returns every request for an operation that reached Confidential Ledger or Managed CCF, in the order of their
// answers. It leaves out the requests that Resource Manager refused (401, 403, 404 and unknown versions).
func (s *Sim) LedgerRequests() []LedgerRequest {
	s.ledgers.mu.Lock()
	defer s.ledgers.mu.Unlock()
	return slices.Clone(s.ledgers.requests)
}

// ledgerOperation is a LedgerOperation in progress. Its fields are guarded by ledgers.mu, once it runs.
type ledgerOperation struct {
	LedgerOperation
	ledger  *ledger
	storage ledgerStorage
	options LedgerOptions // as they were at the start
	fault   Fault         // zero for none
	// history is the content of a backup: the ledger as it was at the start; location is its region then.
	history  history
	location string
	// place and region are parts of the address of the status. certificate and signatures prove it: each answer with the
	// address may sign it again, and all signatures stay valid.
	place, region string
	certificate   string
	signatures    []string
}

// usual returns the usual duration of the operation. For backups and restores it is a guess; the others were recorded.
func (o *ledgerOperation) usual() Range {
	switch o.Kind {
	case LedgerBackup, LedgerExport:
		return Range{2 * time.Minute, 10 * time.Minute}
	case LedgerRestore:
		return Range{5 * time.Minute, 20 * time.Minute}
	case LedgerDelete:
		return Range{82 * time.Second, 100 * time.Second}
	}
	if strings.EqualFold(o.ledger.id.kind, managedCCFs) {
		return Range{75 * time.Second, 95 * time.Second}
	}
	return Range{4 * time.Minute, 4 * time.Minute}
}

// takes returns the range of the options for a kind.
func (k LedgerOptions) takes(kind LedgerOperationKind) Range {
	switch kind {
	case LedgerBackup, LedgerExport:
		return k.Backup
	case LedgerRestore:
		return k.Restore
	}
	return k.Change
}

// step returns the step whose faults apply to the kind.
func (k LedgerOperationKind) step() Step {
	switch k {
	case LedgerRestore:
		return OnRestore
	case LedgerCreate:
		return OnPut
	case LedgerDelete:
		return OnDelete
	}
	return OnBackup
}

// backs tells whether the operation writes a share.
func (k LedgerOperationKind) backs() bool { return k == LedgerBackup || k == LedgerExport }

// start runs an accepted operation. It is called under the lock.
func (m *ledgers) start(o *ledgerOperation, subscription string) {
	l := o.ledger
	o.Ledger, o.Started, o.State = l.id.String(), time.Now(), InProgress
	o.ID = uuid.NewSHA1(uuid.NameSpaceOID, m.bytes(16)).String() + "*" + strings.ToUpper(hex.EncodeToString(m.bytes(32)))
	o.history, o.location = l.history.clone(), l.location
	o.fault, _ = l.faults.take(func(f Fault) bool {
		switch f.Kind {
		case FailOperation:
			return f.Step == "" || f.Step == o.Kind.step()
		case NoShare, EmptyShare, MissingFile, FailHalfway:
			return o.Kind.backs()
		}
		return false
	})
	o.place, o.region = "", strings.ToUpper(o.location)
	if o.options.PollURL == SubscriptionPollURL {
		o.place, o.region = "/subscriptions/"+subscription, o.location
	}
	if o.options.PollURL != PlainPollURL {
		o.certificate = base64.RawURLEncoding.EncodeToString(m.bytes(1942))
		m.sign(o)
	}
	m.operations = append(m.operations, o)
	m.running.Add(1)
	go m.run(o, m.pace.scale(m.draw(o.options.takes(o.Kind), o.usual())))
}

// sign makes another signature of the address. It is called under the lock.
func (m *ledgers) sign(o *ledgerOperation) {
	q := url.Values{}
	q.Set("t", strconv.FormatInt(time.Now().UnixNano()/100, 10))
	q.Set("c", o.certificate)
	q.Set("s", base64.RawURLEncoding.EncodeToString(m.bytes(256)))
	q.Set("h", base64.RawURLEncoding.EncodeToString(m.bytes(32)))
	o.signatures = append(o.signatures, "&"+q.Encode())
}

// bytes returns random bytes. It is called under the lock.
func (m *ledgers) bytes(n int) []byte {
	b := make([]byte, n)
	_, _ = m.random.Read(b) // never fails
	return b
}

// ledgerFailure is the error of a failed operation.
type ledgerFailure struct{ code, message string }

func (f ledgerFailure) Error() string { return f.code + ": " + f.message }

// run runs the operation from its start to its end.
func (m *ledgers) run(o *ledgerOperation, takes time.Duration) {
	defer m.running.Done()
	done, err := m.work(o, takes)
	if m.life.Err() != nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	o.Ended, o.State = time.Now(), Succeeded
	if err == nil {
		if done != nil {
			done()
		}
		return
	}
	failure := ledgerFailure{"InternalServerError", err.Error()}
	_ = errors.As(err, &failure)
	o.State, o.Code, o.Message = Failed, failure.code, failure.message
	switch {
	case o.Kind == LedgerRestore && o.options.FailedRestore == FailedRestoreVanishes:
		o.ledger.state = ""
	case o.Kind == LedgerRestore, o.Kind == LedgerCreate, o.Kind == LedgerDelete:
		o.ledger.state = "Failed"
	}
}

// work waits for the operation's time and returns the func for its end, to be called under the lock.
func (m *ledgers) work(o *ledgerOperation, takes time.Duration) (done func(), err error) {
	l := o.ledger
	if o.fault.Kind == FailOperation {
		return nil, errors.Join(m.wait(takes), o.fault.ledgerFailure())
	}
	switch o.Kind {
	case LedgerBackup, LedgerExport:
		return nil, m.writeBackup(o, takes)
	case LedgerRestore:
		found, err := m.readBackup(o, takes)
		return func() { l.state, l.location, l.history = "Succeeded", region(o.storage.RestoreRegion), found }, err
	case LedgerDelete:
		return func() { l.state, l.history = "", history{} }, m.wait(takes)
	}
	return func() { l.state = "Succeeded" }, m.wait(takes)
}

// ledgerFailure returns the fault's error, or one without any meaning.
func (f Fault) ledgerFailure() ledgerFailure {
	return ledgerFailure{cmp.Or(f.Code, "InternalServerError"), cmp.Or(f.Message, "An error has occurred.")}
}

// wait waits, and returns early, with an error, at the end of the Sim's life.
func (m *ledgers) wait(d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-m.life.Done():
		return m.life.Err()
	}
}

// path returns the path of the operation's status, or of its result.
func (o *ledgerOperation) path(kind string) string {
	return o.place + "/providers/" + ledgerProvider + "/locations/" + o.region + "/" + kind + "/" + o.ID
}

// address returns the URL of the operation's status or result.
func (o *ledgerOperation) address(kind, version string) string {
	text := "https://" + managementHost + o.path(kind) + "?api-version="
	if o.options.PollURL == PlainPollURL {
		return text + "2020-12-01-preview"
	}
	return text + version + o.signatures[len(o.signatures)-1]
}

// accepted returns the answer to a request that started an operation.
func (m *ledgers) accepted(o *ledgerOperation, version string, status int, body any) *http.Response {
	resp := m.hurry(o, armJSON(status, body))
	resp.Header.Set("Azure-AsyncOperation", o.address("operationStatuses", version))
	resp.Header.Set("X-Ms-Async-Operation-Timeout", "P6D")
	switch {
	case o.options.PollLocation == WithPollLocation:
		resp.Header.Set("Location", o.address("operationResults", version))
	case o.Kind == LedgerDelete:
		resp.Header.Set("Location", o.address("operationStatuses", version))
	}
	return resp
}

// ledgerRetryAfter is the time in Resource Manager's own guidelines; no answer of this service was recorded.
const ledgerRetryAfter = 15 * time.Second

// hurry adds the time for the next request, if answers have one.
func (m *ledgers) hurry(o *ledgerOperation, resp *http.Response) *http.Response {
	if o.options.PollRetryAfter == WithPollRetryAfter {
		resp.Header.Set("Retry-After", strconv.Itoa(m.pace.seconds(ledgerRetryAfter)))
	}
	return resp
}

// follow answers GET of an operation's status or result, at any later time.
func (m *ledgers) follow(r *http.Request, at regionalOperation) (*http.Response, error) {
	m.mu.Lock()
	i := slices.IndexFunc(m.operations, func(o *ledgerOperation) bool {
		return o.ID == at.id && strings.EqualFold(o.place, at.place()) && strings.EqualFold(o.region, at.location)
	})
	if i < 0 {
		m.mu.Unlock()
		return armError(http.StatusNotFound, "ResourceNotFound", "The operation '"+at.id+"' was not found."), nil
	}
	o := m.operations[i]
	m.mu.Unlock()
	return strike(&m.mu, &o.ledger.faults, OnPoll, armError, func() *http.Response {
		m.mu.Lock()
		defer m.mu.Unlock()
		version := r.URL.Query().Get("api-version")
		known := slices.Contains(ledgerVersions[ledgersKind], version)
		switch {
		case !known:
			return armError(http.StatusBadRequest, "InvalidApiVersionParameter", "The api-version '"+version+"' is invalid.")
		case o.certificate != "" && !slices.ContainsFunc(o.signatures, func(signature string) bool {
			return strings.HasSuffix("&"+r.URL.RawQuery, signature)
		}):
			// The code and words are invented. It is certain that the rest of the address counts.
			return armError(http.StatusBadRequest, "InvalidOperationStatusUrl", "The address of the operation is incomplete.")
		case at.kind == "operationresults":
			return m.result(o, version)
		}
		return m.status(o, version)
	})
}

// status returns the operation in the form of its own address. It is called under the lock.
func (m *ledgers) status(o *ledgerOperation, version string) *http.Response {
	if o.State == Failed {
		if status := o.failedStatus(); status != 0 {
			return armError(status, o.Code, o.Message)
		}
	}
	body := map[string]any{
		"id": o.path("operationStatuses"), "name": o.ID, "resourceId": o.Ledger, "status": o.State,
		"startTime": o.Started.UTC().Format(fileTime),
	}
	switch {
	case o.State != InProgress:
	case o.options.PollWords == CommonWords:
		return m.hurry(o, armJSON(http.StatusOK, body))
	case o.Kind == LedgerDelete:
		body["status"] = "Deleting"
		resp := m.hurry(o, armJSON(http.StatusAccepted, body))
		if o.certificate != "" {
			m.sign(o)
		}
		resp.Header.Set("Azure-AsyncOperation", o.address("operationStatuses", version))
		return resp
	default:
		body["status"] = "Accepted"
		return m.hurry(o, armJSON(http.StatusOK, body))
	}
	body["properties"] = nil
	body["endTime"] = o.Ended.UTC().Format(fileTime)
	if o.State == Failed {
		body["error"] = map[string]any{"code": o.Code, "message": o.Message}
	}
	return armJSON(http.StatusOK, body)
}

// failedStatus returns the HTTP status of a failed operation's status, 0 for a 200 that says Failed.
func (o *ledgerOperation) failedStatus() int {
	switch {
	case o.fault.Kind == FailOperation && o.fault.Status >= 400:
		return o.fault.Status
	case o.options.FailedPoll == FailedAsStatus:
		return http.StatusBadRequest
	}
	return 0
}

// result returns the answer at the Location: 202 until the end, then the message. It is called under the lock.
func (m *ledgers) result(o *ledgerOperation, version string) *http.Response {
	switch {
	case o.State == InProgress:
		return m.accepted(o, version, http.StatusAccepted, nil)
	case o.State == Failed:
		return armError(cmp.Or(o.failedStatus(), http.StatusBadRequest), o.Code, o.Message)
	case o.Kind == LedgerCreate:
		return armJSON(http.StatusOK, m.shown(o.ledger, version))
	case o.Kind == LedgerDelete:
		return newResponse(http.StatusNoContent, http.Header{}, nil)
	}
	what := "Ledger: " + o.ledger.id.name
	if strings.EqualFold(o.ledger.id.kind, managedCCFs) {
		what = "ManagedCCF App : " + o.ledger.id.name
	}
	done := map[LedgerOperationKind]string{
		LedgerBackup: "Backup Created for ", LedgerExport: "Files exported for ", LedgerRestore: "Restore Created for ",
	}
	return armJSON(http.StatusOK, map[string]string{"message": done[o.Kind] + what + "."})
}
