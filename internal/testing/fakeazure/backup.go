package fakeazure

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// BackupRequest is a POST for a backup, or for a restore of one, that reached API Management.
type BackupRequest struct {
	At time.Time
	// Kind is the kind of operation in the request.
	Kind OperationKind
	// Service is the service's resource ID.
	Service string
	// BackupName is the name in the body; "" when it could not be read.
	BackupName string
	// Status is the answer's status, whether or not it arrived; 0 when the request was lost on purpose.
	Status int
	// Operation is the ID of the operation that it started; "" if it was refused.
	Operation string
}

// BackupRequests returns every POST for a backup that reached API Management, in the order of their answers. It leaves out the
// requests that Resource Manager refused (401, 403, 404).
func (s *Sim) BackupRequests() []BackupRequest { return s.management.requests(ServiceBackup) }

// RestoreRequests returns the same for restores.
func (s *Sim) RestoreRequests() []BackupRequest { return s.management.requests(ServiceRestore) }

func (m *apiManagement) requests(kind OperationKind) (of []BackupRequest) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.starts {
		if r.Kind == kind {
			of = append(of, r)
		}
	}
	return of
}

// submit answers POST for a backup or a restore.
func (m *apiManagement) submit(c armCall, kind OperationKind) (*http.Response, error) {
	svc, refusal := m.find(c.id)
	if refusal != nil {
		return refusal, nil
	}
	record := BackupRequest{At: time.Now(), Kind: kind, Service: svc.ResourceID}
	resp, err := strike(&m.mu, &svc.faults, kind.step(), serviceError, func() *http.Response {
		p, refusal := parseBackup(c.request)
		record.BackupName = p.BackupName
		if refusal != nil {
			return refusal
		}
		started, refusal := m.begin(c, svc, kind, p)
		if refusal != nil {
			return refusal
		}
		record.Operation = started.ID
		return m.accepted(c, started)
	})
	if resp != nil {
		record.Status = resp.StatusCode
	}
	m.mu.Lock()
	m.starts = append(m.starts, record)
	m.mu.Unlock()
	return resp, err
}

// accepted returns the 202 for a start, and for each poll at its Location until the end. The Location moves: below the service
// it has a redundant slash and a plain ID in the answer to the start, and neither in the answers to polls (recorded 2016 to
// 2019); below the region each answer has a newly signed one. Older Locations stay valid.
func (m *apiManagement) accepted(c armCall, o *operation) *http.Response {
	m.mu.Lock()
	o.answers++
	first := o.answers == 1
	m.mu.Unlock()
	header := http.Header{}
	switch {
	case o.regional:
		header.Set("Location", m.address(o, "operationResults", c.apiVersion))
		if first {
			header.Set("Azure-AsyncOperation", m.address(o, "operationsStatuses", c.apiVersion))
		}
	case first:
		header.Set("Location", "https://"+managementHost+c.id.String()+"//operationresults/"+o.ID+"?api-version="+c.apiVersion)
	default:
		header.Set("Location", "https://"+managementHost+c.id.String()+"/operationresults/"+url.QueryEscape(o.ID)+
			"?api-version="+c.apiVersion)
	}
	header.Set("Retry-After", strconv.Itoa(m.pace.seconds(retryAfter)))
	return newResponse(http.StatusAccepted, header, nil)
}

// begin starts the operation of a well-formed request, or returns a refusal.
func (m *apiManagement) begin(c armCall, svc *service, kind OperationKind, p backupParameters) (
	*operation, *http.Response,
) {
	// A restore into a v2 tier was seen to be accepted, and to fail because of the tier (azure-powershell 25072).
	if !slices.Contains(backupTiers, svc.SKU) && (kind == ServiceBackup || svc.SKU == "Consumption") {
		return nil, serviceError(http.StatusBadRequest, "MethodNotAllowedInPricingTier",
			"Method not allowed in "+svc.SKU+" pricing tier")
	}
	if svc.Workspaces {
		return nil, serviceError(http.StatusBadRequest, "ValidationError",
			string(kind)+" is not supported for services with workspaces.")
	}
	if refusal := m.refuseBusy(svc); refusal != nil {
		return nil, refusal
	}
	target, refusal := m.open(svc, p)
	if refusal != nil {
		return nil, refusal
	}
	m.mu.Lock()
	options := svc.options
	m.mu.Unlock()
	inspect := target.inspect
	if kind == ServiceRestore {
		inspect = target.inspectRestore
	}
	if refusal := inspect(c.request.Context(), options); refusal != nil {
		return nil, refusal
	}
	return m.start(svc, kind, target, c.apiVersion)
}

func (m *apiManagement) refuseBusy(svc *service) *http.Response {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.conflict(svc)
}

// conflict returns the 409 of a service with another operation in progress, or nil if there is none. It is called under the
// lock.
func (m *apiManagement) conflict(svc *service) *http.Response {
	if m.provisioningState(svc) == "Succeeded" {
		return nil
	}
	code := svc.options.ConflictCode
	if code == "" {
		code = defaultConflictCode
	}
	return serviceError(http.StatusConflict, code, fmt.Sprintf(
		"The API Management service %s is being updated at this time. Please try the request after some time.",
		svc.id.name))
}

// open returns the account and the access in the request.
func (m *apiManagement) open(svc *service, p backupParameters) (*backupTarget, *http.Response) {
	const parameter = "\r\nParameter name: backupStorageAccount"
	target := &backupTarget{apiManagement: m, parameters: p, service: svc}
	switch p.AccessType {
	case systemAssignedType:
		if !svc.SystemAssigned {
			return nil, serviceError(http.StatusBadRequest, "InvalidParameters",
				"Invalid parameter: The system-assigned managed identity is not enabled on the service."+parameter)
		}
		target.identity, target.system = svc.ResourceID, true
	case userAssignedType:
		i := slices.IndexFunc(svc.UserAssigned, func(name string) bool {
			return strings.EqualFold(m.directory.clientID(name), p.ClientID)
		})
		if i < 0 {
			return nil, serviceError(http.StatusBadRequest, "InvalidParameters",
				"Invalid parameter: No identity with client ID '"+p.ClientID+"' is attached to the service."+parameter)
		}
		target.identity = svc.UserAssigned[i]
	}
	account, ok := m.storage.account(p.StorageAccount)
	if !ok || account.BlobAddr == "" {
		return nil, target.refuse("The remote name could not be resolved: '" + p.StorageAccount + ".blob.core.windows.net'")
	}
	m.mu.Lock()
	options := svc.options
	m.mu.Unlock()
	if why := account.corsRefusal(options); why != "" {
		m.wait(m.pace.scale(lateRefusal))
		return nil, serviceError(http.StatusBadRequest, "InvalidParameters", "Invalid parameter: "+why+parameter)
	}
	target.account = account
	return target, nil
}

// inspect checks the container and the blob before the operation starts.
func (t *backupTarget) inspect(ctx context.Context, k Options) *http.Response {
	err := t.reach(ctx, k)
	switch {
	case errors.Is(err, errAccessDenied) && k.Denied == DeniedAtEnd:
		return nil // write finds the fault again
	case err != nil:
		return t.refuse(err.Error())
	}
	return nil
}

// lateRefusal is the time from the request until a storage account is refused: 24 and 27 s (recorded 2025-05-16).
const lateRefusal = 24 * time.Second

// refuse returns the refusal of an unsuitable storage account, in the form recorded 2025-05-16.
func (t *backupTarget) refuse(why string) *http.Response {
	t.wait(t.pace.scale(lateRefusal))
	return serviceError(http.StatusBadRequest, "InvalidParameters", "Invalid parameter: "+why+
		"\r\nParameter name: backupContainerName (value: ["+t.parameters.ContainerName+"])")
}

// wait waits, and returns early at the end of the Sim's life.
func (m *apiManagement) wait(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-m.life.Done():
	}
}
