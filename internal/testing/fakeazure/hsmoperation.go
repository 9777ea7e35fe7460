package fakeazure

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// HSMOperationKind is the kind of an HSM's operation.
type HSMOperationKind string

// These are the kinds. A kind with Check tests whether the operation would be accepted and changes nothing.
const (
	FullBackup   HSMOperationKind = "backup"
	BackupCheck  HSMOperationKind = "prebackup"
	FullRestore  HSMOperationKind = "restore"
	RestoreCheck HSMOperationKind = "prerestore"
	KeyRestore   HSMOperationKind = "keyRestore"
)

// usually has the usual durations of operations (recorded 2020 to 2026 of small HSMs; checks are a guess).
var usually = map[HSMOperationKind]Range{
	FullBackup:   {7 * time.Second, 15 * time.Second},
	BackupCheck:  {2 * time.Second, 5 * time.Second},
	FullRestore:  {7 * time.Second, 47 * time.Second},
	RestoreCheck: {2 * time.Second, 5 * time.Second},
	KeyRestore:   {6 * time.Second, 24 * time.Second},
}

// takes returns the range of the options for a kind.
func (k HSMOptions) takes(kind HSMOperationKind) Range {
	switch kind {
	case FullBackup:
		return k.Backup
	case FullRestore:
		return k.Restore
	case KeyRestore:
		return k.KeyRestore
	}
	return k.Check
}

// firstRetryAfter is sent with the answer to a start, and never with the answer to a poll (recorded 2020 to 2024).
const firstRetryAfter = 10 * time.Second

// backupRule is the greatest age of the HSM's own backup that a full restore requires before it overwrites the HSM.
const backupRule = 30 * time.Minute

// HSMOperation is an accepted operation of an HSM.
type HSMOperation struct {
	JobID string
	// HSM is its resource ID.
	HSM  string
	Kind HSMOperationKind
	// Folder is the folder that it writes or reads; a BackupCheck has none.
	Folder string
	// Key is the key of a KeyRestore.
	Key     string
	Started time.Time
	// Ended is zero while in progress.
	Ended time.Time
	State OperationState
	// Details is the statusDetails.
	Details string
}

// HSMOperations returns every accepted operation of all HSMs, oldest first.
func (s *Sim) HSMOperations() []HSMOperation {
	m := s.hsms
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]HSMOperation, len(m.operations))
	for i, o := range m.operations {
		all[i] = o.HSMOperation
	}
	return all
}

// HSMRequest is a request for an operation that reached an HSM.
type HSMRequest struct {
	At time.Time
	// HSM is its resource ID.
	HSM  string
	Kind HSMOperationKind
	// Status is the answer's status, whether or not it arrived; 0 when the request was lost on purpose.
	Status int
	// JobID is the ID of the operation that it started; "" if it was refused.
	JobID string
}

// HSMRequests returns every request for an operation that reached an HSM, in the order of their answers. It leaves out the
// requests without a valid token, a role or a known api-version.
func (s *Sim) HSMRequests() []HSMRequest {
	s.hsms.mu.Lock()
	defer s.hsms.mu.Unlock()
	return append([]HSMRequest(nil), s.hsms.requests...)
}

// hsmOperation is an HSMOperation in progress. Its fields are guarded by managedHSMs.mu, once it runs.
type hsmOperation struct {
	HSMOperation
	hsm     *hsm
	storage hsmStorage
	options HSMOptions // as they were at the start
	fault   Fault      // zero for none
	// vault is the content of a backup: the HSM as it was at the start.
	vault vault
	// rule is the reason why the HSM may not be overwritten; "" if it may.
	rule hsmFailure
	// late is the error that each poll returns with 400; invalid is the error that its status calls an invalid request.
	late, invalid string
	// ended is closed at the end.
	ended chan struct{}
	// halfway tells that half of the time has passed.
	halfway bool
	// hurry is closed to skip the rest of the time.
	hurry     chan struct{}
	hurryOnce sync.Once
}

// HurryHSM ends the waiting of the HSM's operations, including checks and its activation, so that a test decides by its own clock how long an
// operation of hours lasts.
func (s *Sim) HurryHSM(resourceID string) error {
	h, err := s.hsms.find(resourceID)
	if err != nil {
		return fmt.Errorf("hurry: %w", err)
	}
	s.hsms.mu.Lock()
	defer s.hsms.mu.Unlock()
	if h.activation != nil {
		h.activation.ends = time.Now()
	}
	for _, o := range s.hsms.operations {
		if o.hsm == h && o.State == InProgress {
			o.hurryOnce.Do(func() { close(o.hurry) })
		}
	}
	return nil
}

func (c *hsmCall) kind() HSMOperationKind {
	if c.key != "" {
		return KeyRestore
	}
	return HSMOperationKind(strings.Trim(c.request.URL.Path, "/"))
}

// begin answers a request for an operation.
func (m *managedHSMs) begin(c *hsmCall) *http.Response {
	o := &hsmOperation{hsm: c.hsm, hurry: make(chan struct{}), ended: make(chan struct{})}
	o.HSM, o.Kind, o.Key, o.State = c.hsm.ResourceID, c.kind(), c.key, InProgress
	var refusal *http.Response
	if o.backs() {
		o.storage, refusal = parseHSMBackup(c)
	} else {
		o.storage, o.Folder, refusal = parseRestore(c)
	}
	if refusal != nil {
		return refusal
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if o.options = c.hsm.options; !o.storage.identity() {
		var wrong string
		o.storage.sas, wrong = o.storage.readSAS(o.options, time.Now())
		switch {
		case wrong == "":
		case o.options.MalformedSAS == MalformedAtStart:
			return badRequest(wrong)
		case o.options.MalformedSAS == MalformedAtPoll:
			o.late = wrong
		default:
			o.invalid, o.Details = wrong, "Invalid Request"
		}
	}
	if busy := c.hsm.busy; busy != nil {
		return busy.turnAway(o.options.Busy)
	}
	if m.closed {
		return jobError(http.StatusServiceUnavailable, "ServiceUnavailable", "The simulator is closing.")
	}
	m.start(c.hsm, o)
	c.job = o.JobID
	state := InProgress
	if o.step() == OnCheck && o.options.Looking == LookingAtOnce {
		m.mu.Unlock()
		<-o.ended
		m.mu.Lock()
		if o.State == Succeeded {
			state = Succeeded
		}
	}
	resp := armJSON(http.StatusAccepted, o.body(state))
	host := "https://" + strings.ToLower(c.hsm.id.name) + hsmDomain
	resp.Header.Set("Azure-AsyncOperation", host+o.path()+"/"+o.JobID+"/pending")
	resp.Header.Set("Retry-After", strconv.Itoa(m.pace.seconds(firstRetryAfter)))
	return resp
}

// turnAway returns the rejection of a request during the operation.
func (o *hsmOperation) turnAway(how Busy) *http.Response {
	what := "backup"
	if o.Kind != FullBackup {
		what = "restore"
	}
	message := "Another " + what + " operation is in progress"
	if how == BusyByName {
		return jobError(http.StatusConflict, "Conflict", message)
	}
	const line = "   at Microsoft.ManagedHsm.Backup.StartAsync(BackupRequest request, CancellationToken cancellation)\n"
	return armJSON(http.StatusConflict, map[string]any{"error": map[string]any{
		"code": "409", "message": message + ". Please try again after sometime.",
		"innererror": map[string]any{"stacktrace": strings.Repeat(line, 30)}, // its content is invented
	}})
}

// start runs an accepted operation. It is called under the lock.
func (m *managedHSMs) start(h *hsm, o *hsmOperation) {
	o.JobID, o.Started = hex.EncodeToString(m.bytes(16)), time.Now()
	if o.Kind == FullBackup {
		// The stamp has hundredths of a second. At a fast time scale two backups could share one.
		if next := h.lastStart.Add(10 * time.Millisecond); o.Started.Before(next) {
			o.Started = next
		}
		h.lastStart = o.Started
		o.Folder = "mhsm-" + h.id.name + "-" + strings.Replace(o.Started.UTC().Format("20060102150405.00"), ".", "", 1)
		o.vault = h.vault.clone()
	}
	o.rule = m.rule(h, o.options)
	o.fault, _ = h.faults.take(func(f Fault) bool {
		switch f.Kind {
		case FailOperation:
			return f.Step == "" || f.Step == o.step()
		case EmptyFolder, MissingBlob:
			return o.Kind == FullBackup
		}
		return false
	})
	m.operations = append(m.operations, o)
	if o.late != "" || o.invalid != "" {
		o.Ended, o.State = o.Started, Failed
		close(o.ended)
		return
	}
	if o.step() != OnCheck {
		h.busy = o
	}
	m.running.Add(1)
	takes := m.pace.scale(m.draw(o.options.takes(o.Kind), usually[o.Kind]))
	if o.step() == OnCheck && o.options.Looking == LookingAtOnce {
		takes = 0
	}
	go m.run(o, takes)
}

// rule returns the reason why an HSM may not be overwritten now. The words are invented. It is called under the lock.
func (m *managedHSMs) rule(h *hsm, k HSMOptions) hsmFailure {
	if k.BackupFirst == BackupWithin && (h.lastBackup.IsZero() || time.Since(h.lastBackup) > m.pace.scale(backupRule)) {
		return "A full backup of the HSM must have been completed within the last 30 minutes"
	}
	return ""
}

// backs tells whether the operation is about making a backup.
func (o *hsmOperation) backs() bool { return o.Kind == FullBackup || o.Kind == BackupCheck }

func (o *hsmOperation) step() Step {
	switch o.Kind {
	case FullBackup:
		return OnBackup
	case FullRestore, KeyRestore:
		return OnRestore
	}
	return OnCheck
}

// path returns the path of the operation's status.
func (o *hsmOperation) path() string {
	if o.backs() {
		return "/backup"
	}
	return "/restore"
}

// run runs the operation from its start to its end.
func (m *managedHSMs) run(o *hsmOperation, takes time.Duration) {
	defer m.running.Done()
	defer close(o.ended)
	done, err := m.work(o, takes)
	if m.life.Err() != nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if o.hsm.busy == o {
		o.hsm.busy = nil
	}
	o.Ended, o.State = time.Now(), Succeeded
	if err == nil {
		o.Details = done()
	} else {
		failure := resourceNotFound // also if storage did not answer
		_ = errors.As(err, &failure)
		o.State, o.Details = Failed, string(failure)
	}
}

// work waits for the operation's time and returns the func for its end, to be called under the lock.
func (m *managedHSMs) work(o *hsmOperation, takes time.Duration) (done func() string, err error) {
	if o.fault.Kind == FailOperation {
		return nil, errors.Join(m.wait(o, takes), hsmFailure(o.fault.Message))
	}
	switch o.Kind {
	case FullBackup:
		return m.writeBackup(o, takes)
	case BackupCheck:
		return m.checkBackup(o, takes)
	}
	return m.readBackup(o, takes)
}

// wait waits for a part of the operation's time. It returns early after HurryHSM, and with an error at the end of the Sim's
// life.
func (m *managedHSMs) wait(o *hsmOperation, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-o.hurry:
		return nil
	case <-m.life.Done():
		return m.life.Err()
	}
}

// poll answers GET of an operation's status, at any later time. The answer is a 200 even if the operation failed.
func (m *managedHSMs) poll(c *hsmCall) *http.Response {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, o := range m.operations {
		if o.JobID != c.job || o.hsm != c.hsm || !strings.HasPrefix(c.request.URL.Path, o.path()+"/") {
			continue
		}
		if o.late != "" {
			return badRequest(o.late)
		}
		return armJSON(http.StatusOK, o.body(o.State))
	}
	return jobError(http.StatusNotFound, "ResourceNotFound", "There is no operation "+c.job)
}

// body returns the operation in the form of its status: as it is, or as it was when it was accepted. It is called under the
// lock.
func (o *hsmOperation) body(state OperationState) map[string]any {
	body := map[string]any{
		"jobId": o.JobID, "status": state, "statusDetails": nil, "error": nil,
		"startTime": o.Started.Unix(), "endTime": nil,
	}
	if o.backs() {
		body["azureStorageBlobContainerUri"] = nil
	}
	if o.options.NullError {
		body["error"] = map[string]any{"code": nil, "message": nil, "innererror": nil}
	}
	if state == InProgress {
		return body
	}
	if o.Details != "" {
		body["statusDetails"] = o.Details
	}
	if state == Failed && o.fault.Code != "" {
		body["error"] = map[string]any{"code": o.fault.Code, "message": o.fault.Message, "innererror": nil}
	}
	if o.invalid != "" {
		body["error"] = map[string]any{"code": "BadRequest", "message": o.invalid, "innererror": nil}
	}
	body["endTime"] = o.Ended.Unix()
	if o.Kind == FullBackup && state == Succeeded {
		body["azureStorageBlobContainerUri"] = strings.TrimSuffix(o.storage.StorageResourceURI, "/") + "/" + o.Folder
	}
	return body
}

// turnedAway returns the answer to every request but polls while a full restore runs, nil if none runs. It is called under the
// lock.
func (m *managedHSMs) turnedAway(h *hsm, r hsmRoute) *http.Response {
	if h.busy == nil || h.busy.Kind != FullRestore {
		return nil
	}
	k := h.busy.options
	if r.poll() && (k.RestoringPolls == RestoringAnswersPolls || h.busy.halfway) {
		return nil
	}
	const message = "The HSM is being restored; only the status of the restore can be asked for"
	if k.Restoring == RestoringUnavailable {
		return hsmError(http.StatusServiceUnavailable, "ServiceUnavailable", message)
	}
	return hsmError(http.StatusForbidden, "Forbidden", message)
}
