package fakeazure

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// apiManagementVersions are the stable versions that are left since everything older was retired on 2024-06-01.
var apiManagementVersions = []string{"2021-08-01", "2022-08-01", "2024-05-01"}

// serviceName is API Management's own rule; a name has at most 50 characters.
var serviceName = regexp.MustCompile(`^[a-zA-Z](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?$`)

// backupTiers are the tiers with backup and restore; Consumption and the v2 tiers have neither.
var backupTiers = []string{"Developer", "Basic", "Standard", "Premium"}

var knownTiers = append([]string{"Consumption", "BasicV2", "StandardV2", "PremiumV2"}, backupTiers...)

// serviceTemplate is a service resource as API Management shows it, without the parts that differ between services.
//
//go:embed apim_service.json
var serviceTemplate []byte

// Service is an API Management service.
type Service struct {
	// ResourceID is the full Azure resource ID.
	ResourceID string
	// Location is the region; empty means "West Europe".
	Location string
	// SKU is the tier; empty means "Developer".
	SKU string
	// Tags are the resource's tags; none means environment: test.
	Tags map[string]string
	// SystemAssigned gives the service its own identity, with object ID Sim.ObjectID(ResourceID).
	SystemAssigned bool
	// UserAssigned names the user-assigned identities attached; see Sim.ClientID and Sim.ObjectID.
	UserAssigned []string
	// Hostname, when not empty, is a custom domain of its gateway. No restore touches it.
	Hostname string
	// Subnet, when not empty, is the resource ID of the subnet that the service is in. No restore touches it.
	Subnet string
	// Workspaces says that workspaces are configured, which backup does not support.
	Workspaces bool
}

// apiManagement holds the services, their operations and their settings.
type apiManagement struct {
	storage   *storage
	directory *directory
	roles     *roles
	pace      *pace
	// clock returns the time for the Date of answers.
	clock func() time.Time
	seed  uint64
	// added tells Resource Manager about a service's subscription and group.
	added func(resourceID)
	// life ends with the Sim and with it every operation; running counts them.
	life    context.Context
	running sync.WaitGroup

	mu         sync.Mutex
	closed     bool
	random     *rand.Rand
	options    Options // for services added from now on
	services   map[string]*service
	deleted    map[string]*deletedService
	operations []*operation
	starts     []BackupRequest
	// changes counts the changes to configurations so far.
	changes int
}

// service is a running Service. Its fields are guarded by apiManagement.mu.
type service struct {
	Service
	id      resourceID
	options Options
	faults  faults

	configuration configuration
	life          life
	// settled is the time at which the service has finished its work after a restore.
	settled time.Time
}

func newAPIManagement(life context.Context, c Config, s *Sim) *apiManagement {
	return &apiManagement{
		storage: s.storage, directory: s.directory, roles: s.roles, pace: s.pace, seed: c.Seed, life: life,
		random:   rand.New(rand.NewPCG(c.Seed, s.kept.draw)),
		options:  c.Options,
		services: make(map[string]*service), deleted: make(map[string]*deletedService),
		clock: func() time.Time { return time.Now().Add(time.Duration(s.proxy.skew.Load())) },
	}
}

// AddService adds an API Management service, or replaces it with default options, no faults, and no configuration but the kept one.
func (s *Sim) AddService(add Service) error {
	id, err := parseResourceID(add.ResourceID)
	if err != nil {
		return fmt.Errorf("add API Management service: %w", err)
	}
	if add.Location == "" {
		add.Location = "West Europe"
	}
	if add.SKU == "" {
		add.SKU = "Developer"
	}
	switch {
	case !strings.EqualFold(id.provider+"/"+id.kind, "Microsoft.ApiManagement/service"):
		return fmt.Errorf("add API Management service: %s is of another type", add.ResourceID)
	case !serviceName.MatchString(id.name) || len(id.name) > 50:
		return fmt.Errorf("add API Management service: invalid name %q", id.name)
	case !slices.Contains(knownTiers, add.SKU):
		return fmt.Errorf("add API Management service %s: unknown SKU %q", id.name, add.SKU)
	}
	m := s.management
	configured := make(configuration)
	if kept, ok := s.kept.Services[id.key()]; ok {
		configured = kept.clone()
	}
	m.mu.Lock()
	m.services[id.key()] = &service{Service: add, id: id, options: m.options, configuration: configured}
	m.mu.Unlock()
	m.added(id)
	return nil
}

// DeleteService deletes an API Management service. Its backups stay.
func (s *Sim) DeleteService(resourceID string) error {
	id, err := parseResourceID(resourceID)
	if err != nil {
		return fmt.Errorf("delete API Management service: %w", err)
	}
	m := s.management
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.services, id.key())
	return nil
}

// resourceType returns the description of the type for Resource Manager.
func (m *apiManagement) resourceType() armType {
	const action = "Microsoft.ApiManagement/service"
	return armType{versions: apiManagementVersions, list: m.resources, route: func(method string, tail []string) (armRoute, bool) {
		switch {
		case method == http.MethodGet && len(tail) == 0:
			return armRoute{action + "/read", m.get}, true
		case method == http.MethodPut && len(tail) == 0:
			return armRoute{action + "/write", m.put}, true
		case method == http.MethodDelete && len(tail) == 0:
			return armRoute{action + "/delete", m.remove}, true
		case method == http.MethodPost && len(tail) == 1 && strings.EqualFold(tail[0], "backup"):
			return armRoute{action + "/backup/action", func(c armCall) (*http.Response, error) {
				return m.submit(c, ServiceBackup)
			}}, true
		case method == http.MethodPost && len(tail) == 1 && strings.EqualFold(tail[0], "restore"):
			return armRoute{action + "/restore/action", func(c armCall) (*http.Response, error) {
				return m.submit(c, ServiceRestore)
			}}, true
		case method == http.MethodGet && len(tail) == 1 && strings.EqualFold(tail[0], "workspaces"):
			return armRoute{action + "/workspaces/read", m.workspaces}, true
		case method == http.MethodGet && len(tail) == 2 && strings.EqualFold(tail[0], "operationresults"):
			return armRoute{action + "/operationresults/read", func(c armCall) (*http.Response, error) {
				return m.poll(c, tail[1])
			}}, true
		}
		return m.entityRoute(method, tail)
	}}
}

func (m *apiManagement) resources(version string) (all []armResource) {
	m.mu.Lock()
	m.settle()
	services := slices.DeleteFunc(slices.Collect(maps.Values(m.services)), (*service).hidden)
	m.mu.Unlock()
	for _, svc := range services {
		all = append(all, armResource{svc.id, func() map[string]any { return m.resource(svc, version) }})
	}
	return all
}

// find returns a service, or the 404 for it.
func (m *apiManagement) find(id resourceID) (*service, *http.Response) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settle()
	if svc, ok := m.services[id.key()]; ok && !svc.hidden() {
		return svc, nil
	}
	return nil, armError(http.StatusNotFound, "ResourceNotFound", fmt.Sprintf(
		"The Resource 'Microsoft.ApiManagement/service/%s' under resource group '%s' was not found. "+
			"For more details please go to https://aka.ms/ARMResourceNotFoundFix", id.name, id.group))
}

// get answers GET of the service resource.
func (m *apiManagement) get(c armCall) (*http.Response, error) {
	svc, refusal := m.find(c.id)
	if refusal != nil {
		return refusal, nil
	}
	return strike(&m.mu, &svc.faults, OnGet, serviceError, func() *http.Response {
		return armJSON(http.StatusOK, m.resource(svc, c.apiVersion))
	})
}

// resource returns the whole service resource as it is now, in the form of the api-version.
func (m *apiManagement) resource(svc *service, version string) map[string]any {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.shown(svc, version)
}

// shown is resource under the lock.
func (m *apiManagement) shown(svc *service, version string) map[string]any {
	var body map[string]any
	name := strings.ToLower(svc.id.name)
	text := strings.NewReplacer("{name}", name, "{location}", svc.Location).Replace(string(serviceTemplate))
	if err := json.Unmarshal([]byte(text), &body); err != nil {
		panic(fmt.Sprintf("fakeazure: service template: %v", err))
	}
	body["id"], body["name"] = svc.id.String(), svc.id.name
	body["sku"] = map[string]any{"name": svc.SKU, "capacity": 1}
	if svc.SKU == "Consumption" {
		body["sku"] = map[string]any{"name": svc.SKU, "capacity": 0}
	}
	if len(svc.Tags) > 0 {
		body["tags"] = svc.Tags
	}
	body["identity"] = m.identityOf(svc)
	properties := body["properties"].(map[string]any)
	state := m.provisioningState(svc)
	if state == "Updating" || state == "Deleting" || state == "Activating" {
		properties["targetProvisioningState"] = state
		if version < "2022-08-01" && state != "Activating" { // all of 48 recorded answers have it
			state = "Succeeded"
		}
	}
	properties["provisioningState"] = state
	if version < "2024-05-01" {
		delete(properties, "dataApiUrl")
		delete(properties, "configurationApi")
	}
	if svc.Hostname != "" {
		hosts := properties["hostnameConfigurations"].([]any)
		properties["hostnameConfigurations"] = append(hosts, map[string]any{
			"type": "Proxy", "hostName": svc.Hostname, "certificateSource": "Custom", "negotiateClientCertificate": false,
			"defaultSslBinding": false,
		})
	}
	if svc.Subnet != "" {
		properties["virtualNetworkType"] = "External"
		properties["virtualNetworkConfiguration"] = map[string]any{"subnetResourceId": svc.Subnet, "subnetname": nil, "vnetid": nil}
	}
	return body
}

// identityOf returns the resource's identity property; null if it has none.
func (m *apiManagement) identityOf(svc *service) any {
	var kinds []string
	identity := map[string]any{"tenantId": m.directory.tenant()}
	if svc.SystemAssigned {
		kinds = append(kinds, "SystemAssigned")
		identity["principalId"] = m.directory.objectID(svc.ResourceID)
	}
	if len(svc.UserAssigned) > 0 {
		kinds = append(kinds, "UserAssigned")
		attached := make(map[string]any)
		for _, name := range svc.UserAssigned {
			id := resourceID{svc.id.subscription, svc.id.group, "Microsoft.ManagedIdentity", "userAssignedIdentities", name}
			attached[id.String()] = map[string]string{
				"principalId": m.directory.objectID(name), "clientId": m.directory.clientID(name),
			}
		}
		identity["userAssignedIdentities"] = attached
	}
	if kinds == nil {
		return nil
	}
	identity["type"] = strings.Join(kinds, ", ")
	return identity
}

// provisioningState is called under the lock.
func (m *apiManagement) provisioningState(svc *service) string {
	if svc.options.ProvisioningState != "" {
		return svc.options.ProvisioningState
	}
	if state := svc.moving(); state != "" {
		return state
	}
	if svc.options.Trace == TraceVisible && m.busy(svc) || time.Now().Before(svc.settled) {
		return "Updating"
	}
	return "Succeeded"
}

// busy is called under the lock.
func (m *apiManagement) busy(svc *service) bool {
	return slices.ContainsFunc(m.operations, func(o *operation) bool {
		return o.service == svc.id.key() && o.State == InProgress
	})
}

// serviceError returns a refusal in API Management's own form (recorded 2023-11).
func serviceError(status int, code, message string) *http.Response {
	return armJSON(status, map[string]any{"error": map[string]any{
		"code": code, "message": message, "details": nil, "innerError": nil,
	}})
}

// retryAfter is the Retry-After of every 202 of API Management (recorded 2015-04 to 2019-06).
const retryAfter = 60 * time.Second
