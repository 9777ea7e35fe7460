package fakeazure

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// OperationState is the state of an operation.
type OperationState string

// These are the states of an operation. Only InProgress ends.
const (
	InProgress OperationState = "InProgress"
	Succeeded  OperationState = "Succeeded"
	Failed     OperationState = "Failed"
)

// OperationKind is the kind of an operation of API Management.
type OperationKind string

const (
	// ServiceBackup writes the configuration of the service to a blob.
	ServiceBackup OperationKind = "Backup"
	// ServiceRestore replaces it by the content of a blob.
	ServiceRestore OperationKind = "Restore"
)

func (k OperationKind) step() Step {
	if k == ServiceRestore {
		return OnRestore
	}
	return OnBackup
}

// restoreFailed is the code of a failed restore (recorded); the code of a failed backup is invented.
const restoreFailed = "RestoreFailed"

// Operation is a backup or restore that API Management accepted.
type Operation struct {
	// ID is the last segment of its Location.
	ID   string
	Kind OperationKind
	// Service is the service's resource ID.
	Service string
	// BackupName is the name of the blob.
	BackupName string
	Started    time.Time
	// Ended is zero while in progress.
	Ended time.Time
	State OperationState
}

// Operations returns every accepted backup and restore, oldest first.
func (s *Sim) Operations() []Operation {
	m := s.management
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]Operation, len(m.operations))
	for i, o := range m.operations {
		all[i] = o.Operation
	}
	return all
}

// operation is an Operation in progress. Its fields are guarded by apiManagement.mu, once it runs.
type operation struct {
	Operation
	number  int
	service string // key of the service
	target  *backupTarget
	options Options // as they were at the start
	fault   Fault   // zero for none
	// regional says that its status and result are below the region.
	regional bool
	answers  int // counts the answers with its Location
	// content is the content of a backup: the configuration as it was at the start, without later changes.
	content serviceBackup
	// failure is the error of a failed operation.
	failure struct {
		status        int
		code, message string
	}
}

// start begins the operation, unless the service is busy by now.
func (m *apiManagement) start(svc *service, kind OperationKind, t *backupTarget, version string) (*operation, *http.Response) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if refusal := m.conflict(svc); refusal != nil {
		return nil, refusal
	}
	if m.closed {
		return nil, serviceError(http.StatusServiceUnavailable, "ServiceUnavailable", "The simulator is closing.")
	}
	fault, _ := svc.faults.take(func(f Fault) bool {
		switch f.Kind {
		case FailOperation:
			return f.Step == "" || f.Step == kind.step()
		case EmptyBlob, NoBlob, FailHalfway:
			return kind == ServiceBackup
		}
		return false
	})
	region := strings.ToLower(strings.ReplaceAll(svc.Location, " ", ""))
	name := fmt.Sprintf("%s:%s_%s_%08x", region, svc.id.name, kind, m.random.Uint32())
	o := &operation{
		Operation: Operation{
			ID:         base64.StdEncoding.EncodeToString([]byte(name)),
			Kind:       kind,
			Service:    svc.ResourceID,
			BackupName: t.parameters.BackupName,
			Started:    time.Now(),
			State:      InProgress,
		},
		number: len(m.operations), service: svc.id.key(), target: t, options: svc.options, fault: fault,
		regional: version >= "2024-05-01" && svc.options.StartHeaders == StatusAndLocation,
		content: serviceBackup{
			Service: svc.ResourceID, SKU: svc.SKU, Created: m.clock(), Configuration: svc.configuration.clone(),
		},
	}
	m.operations = append(m.operations, o)
	m.running.Add(1)
	go m.run(o, m.pace.scale(m.duration(svc.options)))
	return o, nil
}

// close waits until every operation has stopped; no other can start, because the Sim's life has ended before.
func (m *apiManagement) close() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.running.Wait()
}

// duration draws the duration of an operation at time scale 1. It is called under the lock.
func (m *apiManagement) duration(k Options) time.Duration {
	switch {
	case k.Shortest == 0 && k.Longest == 0:
		return defaultDuration
	case k.Longest <= k.Shortest:
		return k.Shortest
	}
	return k.Shortest + time.Duration(m.random.Int64N(int64(k.Longest-k.Shortest)))
}

// run runs the operation from its start to its end: nothing is visible before its time is up, then the blob appears, or
// replaces the configuration.
func (m *apiManagement) run(o *operation, takes time.Duration) {
	defer m.running.Done()
	timer := time.NewTimer(takes)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-m.life.Done():
		return
	}
	var err error
	restored := o.content
	switch {
	case o.fault.Kind == FailOperation || o.fault.Kind == NoBlob:
	case o.Kind == ServiceRestore:
		restored, err = o.target.restorable(m.life, o.options)
	case o.fault.Kind == EmptyBlob:
		err = o.target.write(m.life, o.options, nil, 0)
	default:
		size := o.options.BlobBytes
		if size == 0 {
			size = defaultBlobBytes
		}
		content, size := o.content.seal(salt(m.seed, o.service, o.number), size)
		if o.fault.Kind == FailHalfway {
			size /= 2
			content = io.LimitReader(content, size)
		}
		err = o.target.write(m.life, o.options, content, size)
	}
	if m.life.Err() != nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	o.Ended, o.State = time.Now(), Succeeded
	switch {
	case o.fault.Kind == FailOperation || o.fault.Kind == FailHalfway:
		o.fail(o.fault.Status, o.fault.Code, o.fault.Message)
	case err != nil:
		o.fail(http.StatusBadRequest, "", "Cannot "+strings.ToLower(string(o.Kind))+": "+err.Error())
	case o.Kind == ServiceRestore:
		o.target.service.configuration = restored.Configuration
		o.target.service.settled = time.Now().Add(m.pace.scale(o.options.Settles))
	}
}

// fail must be called under the lock.
func (o *operation) fail(status int, code, message string) {
	if status == 0 {
		status = http.StatusBadRequest
	}
	if code == "" {
		code = "BackupFailed"
		if o.Kind == ServiceRestore {
			code = restoreFailed
		}
	}
	o.State = Failed
	o.failure.status, o.failure.code, o.failure.message = status, code, message
}

// poll answers GET of an operation's result: 202 until the end, then 200 with the service, or the error, at any later time.
func (m *apiManagement) poll(c armCall, id string) (*http.Response, error) {
	if resp, ok := m.born(c, id); ok {
		return resp, nil
	}
	svc, refusal := m.find(c.id)
	if refusal != nil {
		return refusal, nil
	}
	return strike(&m.mu, &svc.faults, OnPoll, serviceError, func() *http.Response {
		o, snapshot := m.operation(svc, id)
		if o == nil {
			return serviceError(http.StatusNotFound, "ResourceNotFound", "Operation result not found.")
		}
		return m.result(c, svc, o, snapshot)
	})
}

// result returns the answer at a Location.
func (m *apiManagement) result(c armCall, svc *service, o *operation, now Operation) *http.Response {
	switch now.State {
	case InProgress:
		return m.accepted(c, o)
	case Failed: // final: no more writes
		return serviceError(o.failure.status, o.failure.code, o.failure.message)
	}
	return armJSON(http.StatusOK, m.resource(svc, c.apiVersion))
}

// operation returns one of the service's operations by its ID, and its state.
func (m *apiManagement) operation(svc *service, id string) (*operation, Operation) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, o := range m.operations {
		if o.ID == id && o.service == svc.id.key() {
			return o, o.Operation
		}
	}
	return nil, Operation{}
}

// address returns the URL of an operation's status or result below its region. It is signed, some 3,300 characters long, and
// differs from answer to answer; older ones stay valid.
func (m *apiManagement) address(o *operation, kind, version string) string {
	m.mu.Lock()
	svc, answer := o.target.service, o.answers
	m.mu.Unlock()
	return "https://" + managementHost + "/subscriptions/" + svc.id.subscription + "/providers/Microsoft.ApiManagement/locations/" +
		region(svc.Location) + "/" + kind + "/" + o.ID + "?api-version=" + version +
		m.signature(o, strconv.FormatInt(ticksBefore1970+o.Started.UnixNano()/100+int64(answer), 10))
}

// ticksBefore1970 is the number of .NET's units of 100 ns before 1970.
const ticksBefore1970 = 621_355_968_000_000_000

// signature returns the signature that makes such an address valid, for the time in it.
func (m *apiManagement) signature(o *operation, t string) string {
	code := base64.RawURLEncoding.EncodeToString
	bytes := drawn(m.seed, o.service, o.number, 1942+256)
	hash := sha256.Sum256(append(bytes, t...))
	return "&t=" + t + "&c=" + code(bytes[:1942]) + "&s=" + code(bytes[1942:]) + "&h=" + code(hash[:])
}

// follow answers GET of an operation's status or result below its region, at any later time. It requires no role, because the
// roles on a service do not apply to the region.
func (m *apiManagement) follow(r *http.Request, at regionalOperation) (*http.Response, error) {
	svc, o := m.below(at)
	if o == nil {
		return serviceError(http.StatusNotFound, "ResourceNotFound", "Operation '"+at.id+"' not found."), nil
	}
	return strike(&m.mu, &svc.faults, OnPoll, serviceError, func() *http.Response {
		version := r.URL.Query().Get("api-version")
		_, snapshot := m.operation(svc, o.ID)
		switch {
		case !slices.Contains(apiManagementVersions, version):
			return armError(http.StatusBadRequest, "InvalidApiVersionParameter", "The api-version '"+version+"' is invalid.")
		case !strings.HasSuffix(r.URL.RawQuery, m.signature(o, r.URL.Query().Get("t"))):
			// The code and words are invented. It is certain that the rest of the address counts.
			return armError(http.StatusBadRequest, "InvalidOperationStatusUrl", "The address of the operation is incomplete.")
		case at.kind == "operationresults":
			return m.result(armCall{request: r, id: svc.id, apiVersion: version}, svc, o, snapshot)
		}
		status := map[string]any{"status": snapshot.State} // it shows nothing of the service
		if snapshot.State == Failed {
			status["error"] = map[string]any{"code": o.failure.code, "message": o.failure.message}
		}
		return armJSON(http.StatusOK, status)
	})
}

// below returns the operation and its service.
func (m *apiManagement) below(at regionalOperation) (*service, *operation) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, o := range m.operations {
		svc, there := m.services[o.service]
		if there && o.regional && o.ID == at.id && strings.EqualFold(svc.id.subscription, at.subscription) && region(svc.Location) == at.location {
			return svc, o
		}
	}
	return nil, nil
}
