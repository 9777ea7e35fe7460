package sim

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
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

// Operation is a backup that API Management accepted.
type Operation struct {
	// ID is the last segment of its Location.
	ID string
	// Service is the service's resource ID.
	Service string
	// BackupName is the name of the blob.
	BackupName string
	Started    time.Time
	// Ended is zero while in progress.
	Ended time.Time
	State OperationState
}

// Operations returns every accepted backup, oldest first.
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
	// failure is the error of a failed operation.
	failure struct {
		status        int
		code, message string
	}
}

// start begins the operation, unless the service is busy by now.
func (m *apiManagement) start(svc *service, t *backupTarget) (*operation, *http.Response) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if refusal := m.conflict(svc); refusal != nil {
		return nil, refusal
	}
	if m.closed {
		return nil, serviceError(http.StatusServiceUnavailable, "ServiceUnavailable", "The simulator is closing.")
	}
	fault, _ := svc.faults.take(func(f Fault) bool { return slices.Contains(serviceFaults, f.Kind) })
	region := strings.ToLower(strings.ReplaceAll(svc.Location, " ", ""))
	name := fmt.Sprintf("%s:%s_Backup_%08x", region, svc.id.name, m.random.Uint32())
	o := &operation{
		Operation: Operation{
			ID:         base64.StdEncoding.EncodeToString([]byte(name)),
			Service:    svc.ResourceID,
			BackupName: t.parameters.BackupName,
			Started:    time.Now(),
			State:      InProgress,
		},
		number: len(m.operations), service: svc.id.key(), target: t, knobs: svc.knobs, fault: fault,
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

// duration draws how long a backup takes at time scale 1. Called under the lock.
func (m *apiManagement) duration(k Knobs) time.Duration {
	switch {
	case k.Shortest == 0 && k.Longest == 0:
		return defaultDuration
	case k.Longest <= k.Shortest:
		return k.Shortest
	}
	return k.Shortest + time.Duration(m.random.Int64N(int64(k.Longest-k.Shortest)))
}

// run is the operation's whole life: nothing is to be seen before its time is up, then the blob appears.
func (m *apiManagement) run(o *operation, takes time.Duration) {
	defer m.running.Done()
	timer := time.NewTimer(takes)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-m.life.Done():
		return
	}
	size := o.knobs.BlobBytes
	if size == 0 {
		size = defaultBlobBytes
	}
	var err error
	switch o.fault.Kind {
	case FailOperation, NoBlob:
	case EmptyBlob:
		err = o.target.write(m.life, o.knobs, nil, 0)
	default:
		err = o.target.write(m.life, o.knobs, opaque(m.seed, o.service, o.number), size)
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
		o.fail(http.StatusBadRequest, "BackupFailed", "Cannot backup: "+err.Error())
	}
}

// fail is called under the lock.
func (o *operation) fail(status int, code, message string) {
	if status == 0 {
		status = http.StatusBadRequest
	}
	if code == "" {
		code = "BackupFailed"
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
