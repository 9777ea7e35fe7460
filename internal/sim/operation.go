package sim

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// OperationState is where an operation stands.
type OperationState string

// The states of an operation. Only InProgress ends.
const (
	InProgress OperationState = "InProgress"
	Succeeded  OperationState = "Succeeded"
	Failed     OperationState = "Failed"
)

// OperationKind is what API Management was asked for.
type OperationKind string

const (
	// ServiceBackup writes the configuration of the service to a blob.
	ServiceBackup OperationKind = "Backup"
	// ServiceRestore replaces it by what is in a blob.
	ServiceRestore OperationKind = "Restore"
)

func (k OperationKind) step() Step {
	if k == ServiceRestore {
		return OnRestore
	}
	return OnBackup
}

// restoreFailed is the code of a failed restore (recorded); that of a failed backup is invented.
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

// operation is an Operation at work. Its fields are guarded by apiManagement.mu, once it runs.
type operation struct {
	Operation
	number  int
	service string // key of the service
	target  *backupTarget
	knobs   Knobs // as they were at the start
	fault   Fault // zero for none
	polls   int
	// content is what a backup writes: the configuration as it was at the start. What is changed later is not in it.
	content serviceBackup
	// failure is the error of a failed operation.
	failure struct {
		status        int
		code, message string
	}
}

// start begins the operation, unless the service is busy by now.
func (m *apiManagement) start(svc *service, kind OperationKind, t *backupTarget) (*operation, *http.Response) {
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
		case EmptyBlob, NoBlob:
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
		number: len(m.operations), service: svc.id.key(), target: t, knobs: svc.knobs, fault: fault,
		content: serviceBackup{
			Service: svc.ResourceID, SKU: svc.SKU, Created: m.clock(), Configuration: svc.configuration.clone(),
		},
	}
	m.operations = append(m.operations, o)
	m.running.Add(1)
	go m.run(o, m.pace.scale(m.duration(svc.knobs)))
	return o, nil
}

// close returns when every operation has stopped; none starts any more. The Sim's life has ended before.
func (m *apiManagement) close() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.running.Wait()
}

// duration draws how long an operation takes at time scale 1. Called under the lock.
func (m *apiManagement) duration(k Knobs) time.Duration {
	switch {
	case k.Shortest == 0 && k.Longest == 0:
		return defaultDuration
	case k.Longest <= k.Shortest:
		return k.Shortest
	}
	return k.Shortest + time.Duration(m.random.Int64N(int64(k.Longest-k.Shortest)))
}

// run is the operation's whole life: nothing is to be seen before its time is up, then the blob appears, or is read and
// put in place.
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
		restored, err = o.target.restorable(m.life, o.knobs)
	case o.fault.Kind == EmptyBlob:
		err = o.target.write(m.life, o.knobs, nil, 0)
	default:
		size := o.knobs.BlobBytes
		if size == 0 {
			size = defaultBlobBytes
		}
		content, size := o.content.seal(salt(m.seed, o.service, o.number), size)
		err = o.target.write(m.life, o.knobs, content, size)
	}
	if m.life.Err() != nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	o.Ended, o.State = time.Now(), Succeeded
	switch {
	case o.fault.Kind == FailOperation:
		o.fail(o.fault.Status, o.fault.Code, o.fault.Message)
	case err != nil:
		o.fail(http.StatusBadRequest, "", "Cannot "+strings.ToLower(string(o.Kind))+": "+err.Error())
	case o.Kind == ServiceRestore:
		o.target.service.configuration = restored.Configuration
		o.target.service.settled = time.Now().Add(m.pace.scale(o.knobs.Settles))
	}
}

// fail is called under the lock.
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

// poll answers GET of an operation's result: 202 until the end, then 200 with the service, or the error, for ever.
func (m *apiManagement) poll(c armCall, id string) (*http.Response, error) {
	svc, refusal := m.find(c.id)
	if refusal != nil {
		return refusal, nil
	}
	return strike(&m.mu, &svc.faults, OnPoll, serviceError, func() *http.Response {
		o, snapshot := m.operation(svc, id)
		switch {
		case o == nil:
			return serviceError(http.StatusNotFound, "ResourceNotFound", "Operation result not found.")
		case snapshot.State == InProgress:
			return m.accepted(c, o)
		case snapshot.State == Failed: // final: no longer written
			return serviceError(o.failure.status, o.failure.code, o.failure.message)
		}
		return armJSON(http.StatusOK, m.resource(svc))
	})
}

// operation finds one of the service's operations by its ID, and how it stands.
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
