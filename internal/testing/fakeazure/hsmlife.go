package fakeazure

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// usualMaking is the time until a new HSM is there: 14 minutes were recorded in 2025. usualRemoving is a guess.
var (
	usualMaking   = Range{12 * time.Minute, 14 * time.Minute}
	usualRemoving = Range{time.Minute, 2 * time.Minute}
)

// hsmChange is the making or the deletion of an HSM, as Resource Manager follows it.
type hsmChange struct {
	id      resourceID
	ends    time.Time
	deletes bool
}

// newHSM is the body of PUT of an HSM, as far as the simulator knows it.
type newHSM struct {
	Location string            `json:"location"`
	Tags     map[string]string `json:"tags"`
	SKU      struct {
		Family string `json:"family"`
		Name   string `json:"name"`
	} `json:"sku"`
	Identity *struct {
		Type         string                     `json:"type"`
		UserAssigned map[string]json.RawMessage `json:"userAssignedIdentities"`
	} `json:"identity"`
	Properties struct {
		TenantID       string   `json:"tenantId"`
		Administrators []string `json:"initialAdminObjectIds"`
		SoftDelete     *bool    `json:"enableSoftDelete"`
		// RetentionDays was a number in 2025; Azure CLI 2.91 sends its digits as text.
		RetentionDays   json.RawMessage `json:"softDeleteRetentionInDays"`
		PurgeProtection *bool           `json:"enablePurgeProtection"`
		PublicNetwork   string          `json:"publicNetworkAccess"`
		NetworkACLs     json.RawMessage `json:"networkAcls"`
	} `json:"properties"`
}

var skuForm = regexp.MustCompile(`^(Standard|Custom)_B\d+$`)

// wrong returns the error in the body, "" if there is none. The words are invented.
func (n newHSM) wrong(tenant string) string {
	p := n.Properties
	days, err := strconv.Atoi(strings.Trim(string(p.RetentionDays), `"`))
	switch {
	case n.Location == "":
		return "location is missing"
	case n.SKU.Family != "B" || !skuForm.MatchString(n.SKU.Name):
		return "sku is not one of the family B"
	case p.TenantID != tenant:
		return "tenantId is not the subscription's"
	case len(p.Administrators) == 0 || slices.ContainsFunc(p.Administrators, func(id string) bool { return uuid.Validate(id) != nil }):
		return "initialAdminObjectIds must have object IDs"
	case p.RetentionDays != nil && (err != nil || days < 7 || days > 90):
		return "softDeleteRetentionInDays must be from 7 to 90"
	case n.Identity != nil && (n.Identity.Type != "UserAssigned" || len(n.Identity.UserAssigned) != 1):
		return "this simulator knows an HSM with one user-assigned identity, or none"
	}
	return ""
}

// create answers PUT of an HSM that is not there: 202 with an address to ask on (recorded 2025).
func (m *managedHSMs) create(c armCall) (*http.Response, error) {
	var body newHSM
	if err := readJSON(c.request, &body); err != nil {
		return armError(http.StatusBadRequest, "BadRequest", err.Error()), nil
	}
	if wrong := body.wrong(m.directory.tenant()); wrong != "" {
		return armError(http.StatusBadRequest, "BadRequest", wrong), nil
	}
	if !hsmName.MatchString(c.id.name) {
		return armError(http.StatusBadRequest, "VaultNameNotValid", "The name '"+c.id.name+"' is invalid."), nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	name := strings.ToLower(c.id.name)
	if _, ok := m.hsms[name]; ok || m.deleted[name] {
		return armError(http.StatusConflict, "Conflict", "The name '"+c.id.name+"' is taken, by an HSM or by a deleted one."), nil
	}
	add := HSM{ResourceID: c.id.String(), Location: body.Location, New: true, SecurityDomain: c.id.key()}
	if body.Identity != nil {
		for id := range body.Identity.UserAssigned {
			add.Identity = id[strings.LastIndex(id, "/")+1:]
		}
	}
	h := &hsm{HSM: add, id: c.id, options: m.options, vault: vault{Keys: make(map[string]*hsmKey)}, activation: &activation{}}
	for _, id := range body.Properties.Administrators {
		h.vault.Assignments = append(h.vault.Assignments, hsmAssignment{PrincipalID: id, Role: ManagedHSMAdministrator})
	}
	h.made = time.Now().Add(m.pace.scale(m.draw(m.options.Making, usualMaking)))
	m.hsms[name] = h
	return m.follows(c, hsmChange{id: c.id, ends: h.made}, h.Location), nil
}

// remove answers DELETE of an HSM, which is gone at once. Its name is taken until it is purged, which no request does here.
func (m *managedHSMs) remove(c armCall) (*http.Response, error) {
	h, err := m.find(c.id.String())
	if err != nil {
		return newResponse(http.StatusNoContent, http.Header{}, nil), nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	name := strings.ToLower(h.id.name)
	delete(m.hsms, name)
	m.deleted[name] = true
	ends := time.Now().Add(m.pace.scale(m.draw(h.options.Removing, usualRemoving)))
	return m.follows(c, hsmChange{h.id, ends, true}, h.Location), nil
}

// follows answers 202 with the address of a change. It is called under the lock.
func (m *managedHSMs) follows(c armCall, change hsmChange, location string) *http.Response {
	operation := regionalOperation{c.id.subscription, c.id.provider, region(location), "managedHsmOperationResults", uuid.NewString()}
	m.changes[operation.id] = change
	return operation.on(c.apiVersion)
}

// on returns the 202 that names the address to ask on. Azure signs it, in some 3,000 characters (recorded 2025).
func (o regionalOperation) on(version string) *http.Response {
	header := http.Header{}
	header.Set("Location", fmt.Sprintf("https://%s/subscriptions/%s/providers/%s/locations/%s/managedHsmOperationResults/%s?api-version=%s&t=%s",
		managementHost, o.subscription, o.provider, o.location, o.id, version, strconv.FormatInt(time.Now().UnixNano(), 10)))
	return newResponse(http.StatusAccepted, header, nil)
}

// follow answers GET of a change: 202 with a new address while it lasts (recorded 2025), then the HSM, or nothing if it was deleted.
func (m *managedHSMs) follow(r *http.Request, at regionalOperation) (*http.Response, error) {
	m.mu.Lock()
	change, ok := m.changes[at.id]
	m.mu.Unlock()
	switch {
	case !ok || at.kind != "managedhsmoperationresults":
		return armError(http.StatusNotFound, "ResourceNotFound", "Operation '"+at.id+"' not found."), nil
	case time.Now().Before(change.ends):
		return at.on(r.URL.Query().Get("api-version")), nil
	case change.deletes:
		return newResponse(http.StatusOK, http.Header{}, nil), nil
	}
	return m.get(armCall{request: r, id: change.id})
}
