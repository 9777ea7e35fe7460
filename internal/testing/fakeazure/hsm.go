package fakeazure

import (
	"context"
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

// managedHSMVersions are stable versions of Resource Manager that know user-assigned identities; Azure CLI 2.91 asks in the last.
var managedHSMVersions = []string{"2023-07-01", "2024-11-01", "2025-05-01", "2026-02-01"}

// hsmName is Managed HSM's own rule; the name is a host name too.
var hsmName = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9-]{1,22}[a-zA-Z0-9]$`)

const hsmDomain = ".managedhsm.azure.net"

// HSM is a Managed HSM, provisioned and, unless it is New, activated.
type HSM struct {
	// ResourceID is the full Azure resource ID; the HSM answers at https://{its name}.managedhsm.azure.net.
	ResourceID string
	// Location is the region; empty means "West Europe".
	Location string
	// SecurityDomain names the security domain. A backup can only be restored if the same one was activated. "" means the HSM's
	// own.
	SecurityDomain string
	// New says that the HSM waits for its activation: the download of a security domain of its own, or the upload of another HSM's.
	// Its only administrator is "administrator" then. See Sim.ObjectID.
	New bool
	// Identity names the user-assigned identity that the HSM uses for storage; "" means none. See Sim.ObjectID.
	Identity string
	// Keys are the names of the HSM's first RSA keys, with one version each.
	Keys []string
}

// managedHSMs holds the HSMs, their operations and their settings.
type managedHSMs struct {
	storage   *storage
	directory *directory
	roles     *roles
	pace      *pace
	// added tells Resource Manager about an HSM's subscription and group.
	added func(resourceID)
	// life ends with the Sim and with it every operation; running counts them.
	life    context.Context
	running sync.WaitGroup

	mu         sync.Mutex
	closed     bool
	random     *rand.ChaCha8
	options    HSMOptions      // for HSMs added from now on
	hsms       map[string]*hsm // by lower-case name: it is a host name, and so unique in the world
	operations []*hsmOperation
	requests   []HSMRequest
	changes    map[string]hsmChange // by the ID in their addresses
	deleted    map[string]bool      // the names of HSMs that a request has deleted
}

// hsm is a running HSM. Its fields are guarded by managedHSMs.mu.
type hsm struct {
	HSM
	id      resourceID
	options HSMOptions
	faults  faults
	vault   vault
	// activation is nil for an HSM that was active from the start.
	activation *activation
	// made is the time at which an HSM is there that a request makes, zero for any other.
	made time.Time
	// busy is the backup or restore in progress, nil for none.
	busy *hsmOperation
	// lastStart keeps the stamps of folders apart; lastBackup is the time of the last successful full backup.
	lastStart, lastBackup time.Time
}

// vault is the content of a backup; a full restore replaces it.
type vault struct {
	Keys        map[string]*hsmKey `json:"keys"`
	Assignments []hsmAssignment    `json:"assignments"`
}

func newManagedHSMs(life context.Context, c Config, s *Sim) *managedHSMs {
	var seed [32]byte
	copy(seed[:], "managed HSMs")
	for i := range 8 {
		seed[24+i] = byte(c.Seed >> (8 * i))
		seed[16+i] = byte(s.kept.draw >> (8 * i))
	}
	return &managedHSMs{
		storage: s.storage, directory: s.directory, roles: s.roles, pace: s.pace, life: life,
		random: rand.NewChaCha8(seed), hsms: make(map[string]*hsm), changes: make(map[string]hsmChange), deleted: make(map[string]bool),
	}
}

// close waits until every operation has stopped; no other can start, because the Sim's life has ended before.
func (m *managedHSMs) close() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.running.Wait()
}

// AddHSM adds a Managed HSM, or replaces it with default options, no faults, no role assignments and the keys named, unless
// others were kept.
func (s *Sim) AddHSM(add HSM) error {
	id, err := parseResourceID(add.ResourceID)
	if err != nil {
		return fmt.Errorf("add Managed HSM: %w", err)
	}
	switch {
	case !strings.EqualFold(id.provider+"/"+id.kind, "Microsoft.KeyVault/managedHSMs"):
		return fmt.Errorf("add Managed HSM: %s is of another type", add.ResourceID)
	case !hsmName.MatchString(id.name):
		return fmt.Errorf("add Managed HSM: invalid name %q", id.name)
	}
	if add.Location == "" {
		add.Location = "West Europe"
	}
	if add.SecurityDomain == "" {
		add.SecurityDomain = id.key()
	}
	m := s.hsms
	m.mu.Lock()
	h := &hsm{HSM: add, id: id, options: m.options, vault: vault{Keys: make(map[string]*hsmKey)}}
	for _, name := range add.Keys {
		h.vault.Keys[name] = &hsmKey{Versions: []keyVersion{m.newVersion(keyParameters{Kty: "RSA"})}}
	}
	kept, known := s.kept.HSMs[id.key()]
	if known {
		h.vault, h.lastStart, h.lastBackup = kept.Vault.clone(), kept.LastStart, kept.LastBackup
	}
	switch {
	case !add.New:
	case kept.SecurityDomain != "":
		h.SecurityDomain = kept.SecurityDomain
	default:
		h.activation = &activation{}
		if !known {
			h.vault.Assignments = []hsmAssignment{{PrincipalID: m.directory.objectID("administrator"), Role: ManagedHSMAdministrator}}
		}
	}
	m.hsms[strings.ToLower(id.name)] = h
	m.mu.Unlock()
	m.added(id)
	return nil
}

// RemoveHSM loses the HSM: nothing answers at its address, and Resource Manager does not know it.
func (s *Sim) RemoveHSM(resourceID string) error {
	h, err := s.hsms.find(resourceID)
	if err != nil {
		return fmt.Errorf("remove: %w", err)
	}
	s.hsms.mu.Lock()
	defer s.hsms.mu.Unlock()
	delete(s.hsms.hsms, strings.ToLower(h.id.name))
	return nil
}

// find returns the HSM with the resource ID.
func (m *managedHSMs) find(text string) (*hsm, error) {
	id, err := parseResourceID(text)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	h, ok := m.hsms[strings.ToLower(id.name)]
	if !ok || h.id.key() != id.key() {
		return nil, fmt.Errorf("no Managed HSM %s", text)
	}
	return h, nil
}

// resourceType returns the description of the type for Resource Manager.
func (m *managedHSMs) resourceType() armType {
	return armType{versions: managedHSMVersions, list: m.resources, route: func(method string, tail []string) (armRoute, bool) {
		switch method {
		case http.MethodPut:
			return armRoute{"Microsoft.KeyVault/managedHSMs/write", m.create}, len(tail) == 0
		case http.MethodDelete:
			return armRoute{"Microsoft.KeyVault/managedHSMs/delete", m.remove}, len(tail) == 0
		}
		return armRoute{"Microsoft.KeyVault/managedHSMs/read", m.get}, method == http.MethodGet && len(tail) == 0
	}}
}

func (m *managedHSMs) resources(string) (all []armResource) {
	m.mu.Lock()
	hsms := slices.Collect(maps.Values(m.hsms))
	m.mu.Unlock()
	for _, h := range hsms {
		all = append(all, armResource{h.id, func() map[string]any { return m.resource(h) }})
	}
	return all
}

// get answers GET of the HSM's resource.
func (m *managedHSMs) get(c armCall) (*http.Response, error) {
	h, err := m.find(c.id.String())
	if err != nil {
		return armError(http.StatusNotFound, "ResourceNotFound", fmt.Sprintf(
			"The Resource 'Microsoft.KeyVault/managedHSMs/%s' under resource group '%s' was not found. "+
				"For more details please go to https://aka.ms/ARMResourceNotFoundFix", c.id.name, c.id.group)), nil
	}
	return m.struck(h, OnGet, func() *http.Response { return armJSON(http.StatusOK, m.resource(h)) })
}

// resource returns the HSM as Resource Manager shows it. A backup or a restore leaves no trace in it.
func (m *managedHSMs) resource(h *hsm) map[string]any {
	m.mu.Lock()
	state, activation, protected := h.options.ProvisioningState, h.shown(), h.options.PurgeProtection
	making := time.Now().Before(h.made)
	m.mu.Unlock()
	message := "The Managed HSM is provisioned and ready to use."
	switch {
	case making:
		state, activation, message = "Provisioning", ActivationUnknown, "Resource creation in progress. Starting service..."
	case state == "":
		state = "Succeeded"
	}
	body := map[string]any{
		"id": h.id.String(), "name": h.id.name, "type": "Microsoft.KeyVault/managedHSMs",
		"location": region(h.Location), "tags": map[string]any{},
		"sku": map[string]any{"family": "B", "name": "Standard_B1"},
		"properties": map[string]any{
			"tenantId": m.directory.tenant(), "hsmUri": "https://" + strings.ToLower(h.id.name) + hsmDomain + "/",
			"initialAdminObjectIds": []string{m.directory.objectID("administrator")},
			"enableSoftDelete":      true, "softDeleteRetentionInDays": recoverableDays, "enablePurgeProtection": protected,
			"publicNetworkAccess": "Enabled",
			"networkAcls": map[string]any{
				"bypass": "None", "defaultAction": "Allow", "ipRules": []any{}, "virtualNetworkRules": []any{},
			},
			"provisioningState": state, "statusMessage": message,
			"securityDomainProperties": activation.properties(),
		},
	}
	if h.Identity != "" {
		id := resourceID{
			h.id.subscription, h.id.group, "Microsoft.ManagedIdentity", "userAssignedIdentities", h.Identity,
		}
		body["identity"] = map[string]any{
			"type": "UserAssigned",
			"userAssignedIdentities": map[string]any{id.String(): map[string]string{
				"principalId": m.directory.objectID(h.Identity), "clientId": m.directory.clientID(h.Identity),
			}},
		}
	}
	return body
}
