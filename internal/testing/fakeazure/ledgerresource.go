package fakeazure

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

// These are the versions of Resource Manager's API. Managed CCF is in none after 2025-06-10-preview: it is retired.
var (
	ledgerBackupVersions = []string{
		"2023-06-28-preview", "2024-07-09-preview", "2024-09-19-preview", "2025-06-10-preview",
	}
	ledgerExportVersions = []string{"2026-02-23", "2026-05-22-preview"}
	ledgerVersions       = map[string][]string{
		managedCCFs: append([]string{"2022-09-08-preview", "2023-01-26-preview"}, ledgerBackupVersions...),
		ledgersKind: slices.Concat([]string{
			"2020-12-01-preview", "2021-05-13-preview", "2022-05-13", "2022-09-08-preview", "2023-01-26-preview",
		}, ledgerBackupVersions, ledgerExportVersions),
	}
)

// resourceType returns the description of one of the two types for Resource Manager.
func (m *ledgers) resourceType(kind string) armType {
	action := ledgerProvider + "/" + kind
	return armType{versions: ledgerVersions[kind], list: m.resources(kind), route: func(method string, tail []string) (armRoute, bool) {
		path := method + " " + strings.ToLower(strings.Join(tail, "/"))
		if path == "GET " {
			return armRoute{action + "/read", m.get}, true
		}
		var operation LedgerOperationKind
		versions, suffix := ledgerVersions[kind], ""
		switch {
		case path == "PUT ":
			operation, suffix = LedgerCreate, "/write"
		case path == "DELETE ":
			operation, suffix = LedgerDelete, "/delete"
		case path == "POST backup":
			operation, versions = LedgerBackup, ledgerBackupVersions
		case path == "POST restore":
			operation, versions = LedgerRestore, ledgerBackupVersions
		case path == "POST filesexport" && kind == ledgersKind:
			operation, versions = LedgerExport, ledgerExportVersions
		default:
			return armRoute{}, false
		}
		if suffix == "" {
			suffix = "/" + string(operation) + "/action"
		}
		return armRoute{action + suffix, func(c armCall) (*http.Response, error) {
			return m.begin(c, operation, versions)
		}}, true
	}}
}

// resources returns the list of one of the two types.
func (m *ledgers) resources(kind string) func(string) []armResource {
	return func(version string) (all []armResource) {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, l := range m.all {
			if l.state != "" && strings.EqualFold(l.id.kind, kind) {
				all = append(all, armResource{l.id, func() map[string]any {
					m.mu.Lock()
					defer m.mu.Unlock()
					return m.shown(l, version)
				}})
			}
		}
		return all
	}
}

// place returns the ledger of the name, existing or not.
func (m *ledgers) place(id resourceID) *ledger {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, ok := m.all[id.key()]
	if !ok {
		l = &ledger{id: id, options: m.options}
		m.all[id.key()] = l
	}
	return l
}

func ledgerNotFound(id resourceID) *http.Response {
	return armError(http.StatusNotFound, "ResourceNotFound", fmt.Sprintf(
		"The Resource '%s/%s/%s' under resource group '%s' was not found. "+
			"For more details please go to https://aka.ms/ARMResourceNotFoundFix", id.provider, id.kind, id.name, id.group))
}

// get answers GET of the resource.
func (m *ledgers) get(c armCall) (*http.Response, error) {
	l := m.place(c.id)
	return strike(&m.mu, &l.faults, OnGet, armError, func() *http.Response {
		m.mu.Lock()
		defer m.mu.Unlock()
		if l.state == "" {
			return ledgerNotFound(c.id)
		}
		return armJSON(http.StatusOK, m.shown(l, c.apiVersion))
	})
}

// runningSince is the first api-version in which a resource has a runningState, by the API's descriptions.
const runningSince = "2023-06-28-preview"

// shown returns the ledger as GET shows it. It is called under the lock.
func (m *ledgers) shown(l *ledger, version string) map[string]any {
	body := m.resource(l)
	properties := body["properties"].(map[string]any)
	host := strings.ToLower(l.id.name)
	properties["identityServiceUri"] = "https://identity.confidential-ledger.core.azure.com/ledgerIdentity/" + host
	address := "ledgerUri"
	if strings.EqualFold(l.id.kind, managedCCFs) {
		address = "appUri"
	}
	properties[address] = "https://" + host + ".confidential-ledger.azure.com"
	if l.options.Provisioning == ProvisioningShown || l.options.ProvisioningState != "" {
		properties["provisioningState"] = m.provisioningState(l)
	}
	if strings.ToLower(version) >= runningSince {
		properties["runningState"] = "Active"
		if l.state != "Succeeded" && l.options.Restored == RestoredUnready {
			properties["runningState"] = "Unknown"
		}
	}
	return body
}

// put returns the ledger as PUT answers with it. It is called under the lock.
func (m *ledgers) put(l *ledger, state string) map[string]any {
	body := m.resource(l)
	body["properties"].(map[string]any)["provisioningState"] = state
	return body
}

// resource returns the ledger as its owner has described it. It is called under the lock.
func (m *ledgers) resource(l *ledger) map[string]any {
	properties := map[string]any{}
	if strings.EqualFold(l.id.kind, managedCCFs) {
		properties["appName"] = l.id.name
		properties["deploymentType"] = map[string]any{"languageRuntime": "JS", "appSourceUri": "customImage"}
		properties["memberIdentityCertificates"], properties["nodeCount"] = []any{}, 3
	} else {
		properties["ledgerName"], properties["ledgerType"], properties["ledgerSku"] = l.id.name, "Public", "Standard"
		properties["ledgerInternalNamespace"], properties["aadBasedSecurityPrincipals"] = "acc", []any{}
	}
	return map[string]any{
		"id": l.id.String(), "name": l.id.name, "type": ledgerProvider + "/" + l.id.kind, "location": l.location,
		"tags": map[string]any{}, "properties": properties,
	}
}

// begin answers a request for an operation of the kind; versions are the api-versions that have it.
func (m *ledgers) begin(c armCall, kind LedgerOperationKind, versions []string) (*http.Response, error) {
	if !slices.Contains(versions, strings.ToLower(c.apiVersion)) {
		return armError(http.StatusNotFound, "NotFound", fmt.Sprintf(
			"Version '%s' of '%s/%s' has no %s.", c.apiVersion, c.id.provider, c.id.kind, kind)), nil
	}
	l := m.place(c.id)
	record := LedgerRequest{At: time.Now(), Ledger: c.id.String(), Kind: kind, APIVersion: c.apiVersion}
	resp, err := strike(&m.mu, &l.faults, kind.step(), armError, func() *http.Response {
		o := &ledgerOperation{ledger: l}
		o.Kind = kind
		refusal := m.read(o, c)
		m.mu.Lock()
		defer m.mu.Unlock()
		if refusal == nil {
			refusal = m.admit(o, c)
		}
		if refusal != nil {
			return refusal
		}
		record.Operation = o.ID
		return m.answer(o, c)
	})
	if resp != nil {
		record.Status = resp.StatusCode
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.requests = append(m.requests, record)
	return resp, err
}

var regionForm = regexp.MustCompile(`^[a-z]+[0-9]?$`)

// read reads the body, and checks the storage with the SAS if the option says that this happens at the start.
func (m *ledgers) read(o *ledgerOperation, c armCall) *http.Response {
	m.mu.Lock()
	o.options = o.ledger.options
	m.mu.Unlock()
	switch o.Kind {
	case LedgerDelete:
		return nil
	case LedgerCreate:
		var body ledgerBody
		if err := readJSON(c.request, &body); err != nil || !regionForm.MatchString(region(body.Location)) {
			return armError(http.StatusBadRequest, "LocationRequired", "The location property is required for this definition.")
		}
		o.storage.RestoreRegion = body.Location
		return nil
	}
	if err := readJSON(c.request, &o.storage); err != nil {
		return armError(http.StatusBadRequest, "InvalidRequestContent",
			"The request content was invalid and could not be deserialized: '"+err.Error()+"'.")
	}
	if wrong := o.storage.check(o.Kind); wrong != "" {
		return armError(http.StatusBadRequest, "BadRequest", wrong)
	}
	o.Account = o.storage.account
	if o.Kind == LedgerRestore {
		o.Share = o.storage.FileShareName
	}
	if o.options.SASChecked == SASCheckedAtStart {
		if err := m.open(o).look(c.request.Context(), o); err != nil {
			return armError(http.StatusBadRequest, "BadRequest", err.Error())
		}
	}
	return nil
}

// ledgerBody is the body of PUT. Only the region matters.
type ledgerBody struct {
	Location   string         `json:"location"`
	Tags       map[string]any `json:"tags"`
	Properties map[string]any `json:"properties"`
}

// admit starts the operation, or returns the reason why it cannot start now. It is called under the lock. All codes and words
// of conflicts are guesses.
func (m *ledgers) admit(o *ledgerOperation, c armCall) *http.Response {
	l := o.ledger
	state := m.provisioningState(l)
	running := slices.IndexFunc(m.operations, func(other *ledgerOperation) bool {
		return other.ledger == l && other.State == InProgress && (!o.Kind.backs() || !other.Kind.backs() ||
			o.options.SecondStart == SecondStartRefused)
	})
	exists := l.state != ""
	switch {
	case m.closed:
		return armError(http.StatusServiceUnavailable, "ServiceUnavailable", "The simulator is closing.")
	case !exists && o.Kind == LedgerDelete && running < 0:
		return newResponse(http.StatusNoContent, http.Header{}, nil)
	case !exists && o.Kind.backs():
		return ledgerNotFound(c.id)
	case exists && o.Kind == LedgerRestore:
		return armError(http.StatusConflict, "ResourceAlreadyExists", fmt.Sprintf(
			"The resource %s already exists. Delete it before it is restored.", c.id.name))
	case running >= 0, exists && o.Kind.backs() && state != "Succeeded" && state != "Updating":
		return armError(http.StatusConflict, "Conflict", fmt.Sprintf(
			"Another operation is in progress on %s. Try again later.", c.id.name))
	}
	switch o.Kind {
	case LedgerCreate:
		if exists {
			return armJSON(http.StatusOK, m.put(l, "Succeeded"))
		}
		l.state, l.location, l.history = "Creating", region(o.storage.RestoreRegion), m.newHistory(nil)
	case LedgerDelete:
		l.state = "Deleting"
	case LedgerRestore:
		l.location = region(o.storage.RestoreRegion)
		if o.options.Restored != RestoredAtEnd {
			l.state, l.history = "Creating", history{}
		}
	}
	m.start(o, c.id.subscription)
	return nil
}

// answer returns the answer to the start of an operation. It is called under the lock.
func (m *ledgers) answer(o *ledgerOperation, c armCall) *http.Response {
	if o.Kind == LedgerCreate {
		return m.accepted(o, c.apiVersion, http.StatusCreated, m.put(o.ledger, "Accepted"))
	}
	return m.accepted(o, c.apiVersion, http.StatusAccepted, nil)
}
