package fakeazure

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

// These are the durations of a service's life that the options do not say: the documentation has 30 to 40 minutes for the first. A
// deletion and a purge of a service of the tier Consumption took up to a minute each (recorded 2022, 2025); others are not known.
const (
	defaultMaking   = 40 * time.Minute
	defaultRemoving = 10 * time.Minute
	defaultPurging  = 2 * time.Minute
)

// keptDeleted is the time for which a deleted service can be undeleted, from the request for its deletion (recorded 2022-08).
const keptDeleted = 48 * time.Hour

// life is the beginning and the end of a service that requests make and delete. Each time is zero if it is not set.
type life struct {
	// made is the time at which a new service is there, and deleted the time at which a deleted one is gone.
	made, deleted time.Time
	// operation is the ID of the one under way, and asked the time of the request for the deletion.
	operation string
	asked     time.Time
}

// deletedService is the rest of a deleted service until it is purged.
type deletedService struct {
	id                  resourceID
	location            string
	deletion, scheduled time.Time
	// purged is the time at which it is gone; zero until that is asked for. The operation has deleted it.
	purged    time.Time
	operation string
}

// settle moves on each service that is deleted or purged by now. It is called under the lock.
func (m *apiManagement) settle() {
	now := time.Now()
	for key, svc := range m.services {
		if at := svc.life.deleted; !at.IsZero() && !now.Before(at) {
			delete(m.services, key)
			m.deleted[key] = &deletedService{
				id: svc.id, location: svc.Location, deletion: at, scheduled: svc.life.asked.Add(m.pace.scale(keptDeleted)), operation: svc.life.operation,
			}
		}
	}
	for key, d := range m.deleted {
		if !d.purged.IsZero() && !now.Before(d.purged) || now.After(d.scheduled) && d.purged.IsZero() {
			delete(m.deleted, key)
		}
	}
}

// moving returns the state of a service whose life begins or ends; "" for any other. It is called under the lock.
func (svc *service) moving() string {
	switch {
	case !svc.life.deleted.IsZero():
		return "Deleting"
	case time.Now().Before(svc.life.made):
		return "Activating"
	case svc.options.Stillborn && !svc.life.made.IsZero():
		return "Failed"
	}
	return ""
}

// hidden tells whether GET already answers 404. It is called under the lock.
func (svc *service) hidden() bool {
	return svc.moving() == "Deleting" && svc.options.Deletion == DeletionHidden
}

// locked is the 409 of a service that is being made, changed or deleted (recorded 2020 of JavaScript's SDK).
func locked(name string) *http.Response {
	return serviceError(http.StatusConflict, "ServiceLocked",
		"The API Service "+name+" is transitioning at this time. Please try the request again later.")
}

// newService is the body of PUT of a service, as far as the simulator knows it.
type newService struct {
	Location string            `json:"location"`
	Tags     map[string]string `json:"tags"`
	SKU      *struct {
		Name     string `json:"name"`
		Capacity *int   `json:"capacity"`
	} `json:"sku"`
	Identity *struct {
		Type string `json:"type"`
	} `json:"identity"`
	Properties *struct {
		PublisherEmail          string `json:"publisherEmail"`
		PublisherName           string `json:"publisherName"`
		NotificationSenderEmail string `json:"notificationSenderEmail"`
		VirtualNetworkType      string `json:"virtualNetworkType"`
		Restore                 bool   `json:"restore"`
	} `json:"properties"`
}

var mailAddress = regexp.MustCompile(`^[^@\s]+@[^@\s]+\.[^@\s]+$`)

func (n newService) wrong(name string) (e fieldErrors) {
	if !serviceName.MatchString(name) || len(name) > 50 {
		e.add("serviceName", "1 to 50 letters, digits and dashes, a letter first, no dash last.")
	}
	if n.Location == "" {
		e.add("location", "Required: a region.")
	}
	switch {
	case n.SKU == nil || !slices.Contains(knownTiers, n.SKU.Name):
		e.add("sku.name", "Required: a tier.")
	case n.SKU.Capacity == nil || (*n.SKU.Capacity < 1) != (n.SKU.Name == "Consumption"), n.SKU.Name == "Developer" && *n.SKU.Capacity != 1:
		e.add("sku.capacity", "Required: 0 for Consumption, 1 for Developer, and at least 1 for all others.")
	}
	if n.Identity != nil && !slices.Contains([]string{"None", "SystemAssigned"}, n.Identity.Type) {
		e.add("identity.type", "Not simulated: "+n.Identity.Type)
	}
	if n.Properties == nil || !mailAddress.MatchString(n.Properties.PublisherEmail) || len(n.Properties.PublisherEmail) > 100 {
		e.add("publisherEmail", "Required: an e-mail address of at most 100 characters.")
	}
	if n.Properties == nil || n.Properties.PublisherName == "" || len(n.Properties.PublisherName) > 100 {
		e.add("publisherName", "Required: a name of at most 100 characters.")
	}
	if n.Properties != nil && n.Properties.Restore {
		e.add("restore", "Not simulated.")
	}
	return e
}

// put begins to make a service. An existing one gets the tags, and nothing else of it may be changed here. Services have one namespace: a
// name that is used anywhere is refused.
func (m *apiManagement) put(c armCall) (*http.Response, error) {
	var n newService
	if refusal := readContent(c.request, &n); refusal != nil {
		return refusal, nil
	}
	if wrong := n.wrong(c.id.name); wrong != nil {
		return wrong.refusal(), nil
	}
	m.mu.Lock()
	m.settle()
	if svc, there := m.services[c.id.key()]; there {
		defer m.mu.Unlock()
		switch {
		case m.provisioningState(svc) != "Succeeded":
			return locked(svc.id.name), nil
		case !strings.EqualFold(n.SKU.Name, svc.SKU):
			return serviceError(http.StatusBadRequest, "ValidationError", "Not simulated: another tier."), nil
		}
		svc.Tags = n.Tags
		return armJSON(http.StatusOK, m.shown(svc, c.apiVersion)), nil
	}
	for _, svc := range m.services {
		if strings.EqualFold(svc.id.name, c.id.name) {
			m.mu.Unlock()
			return serviceError(http.StatusBadRequest, "ServiceAlreadyExists", "Api service already exists: "+svc.id.name), nil
		}
	}
	for _, d := range m.deleted {
		if strings.EqualFold(d.id.name, c.id.name) {
			m.mu.Unlock()
			return serviceError(http.StatusConflict, "ServiceAlreadyExistsInSoftDeletedState", "Api service "+d.id.name+" was soft-deleted. In order to "+
				"create the new service with the same name, you have to either undelete the service or purge it. See https://aka.ms/apimsoftdelete."), nil
		}
	}
	svc := &service{
		Service: Service{
			ResourceID: c.id.String(), Location: n.Location, SKU: n.SKU.Name, Tags: n.Tags, SystemAssigned: n.Identity != nil && n.Identity.Type == "SystemAssigned",
		},
		id: c.id, options: m.options, configuration: make(configuration),
	}
	takes := m.options.Making
	if takes == 0 {
		takes = defaultMaking
	}
	svc.life = life{made: time.Now().Add(m.pace.scale(takes)), operation: m.operationID(svc, "Act")}
	m.services[c.id.key()] = svc
	resp := armJSON(http.StatusCreated, m.shown(svc, c.apiVersion)) // recorded 2025-05
	m.follows(resp, c.id.String()+"/operationResults/"+svc.life.operation, c.apiVersion)
	if c.apiVersion >= "2022-08-01" {
		resp.Header.Set("Azure-Asyncoperation", resp.Header.Get("Location")+"&asyncResponse")
	}
	m.mu.Unlock()
	m.added(c.id)
	return resp, nil
}

// remove begins to delete a service; all that is left of it then can be undeleted for a while.
func (m *apiManagement) remove(c armCall) (*http.Response, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settle()
	svc, there := m.services[c.id.key()]
	switch {
	case !there:
		return newResponse(http.StatusNoContent, http.Header{}, nil), nil
	case svc.moving() == "Activating" || svc.moving() == "Deleting" || m.busy(svc):
		return locked(svc.id.name), nil
	}
	takes := svc.options.Removing
	if takes == 0 {
		takes = defaultRemoving
	}
	svc.life.asked = time.Now()
	svc.life.deleted, svc.life.operation = svc.life.asked.Add(m.pace.scale(takes)), m.operationID(svc, "Term")
	resp := armJSON(http.StatusAccepted, m.shown(svc, c.apiVersion)) // recorded 2022-08
	m.follows(resp, c.id.String()+"/operationresults/"+svc.life.operation, c.apiVersion)
	return resp, nil
}

// operationID is called under the lock.
func (m *apiManagement) operationID(svc *service, kind string) string {
	name := fmt.Sprintf("%s:%s_%s_%08x", region(svc.Location), svc.id.name, kind, m.random.Uint32())
	return base64.RawURLEncoding.EncodeToString([]byte(name))
}

// follows names the address of an operation.
func (m *apiManagement) follows(resp *http.Response, path, version string) {
	resp.Header.Set("Location", "https://"+managementHost+path+"?api-version="+version)
	resp.Header.Set("Retry-After", fmt.Sprint(m.pace.seconds(retryAfter)))
}

// born answers GET of the operation that makes or deletes the service; false if it is another.
func (m *apiManagement) born(c armCall, id string) (*http.Response, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settle()
	if d, gone := m.deleted[c.id.key()]; gone && d.operation == id {
		return newResponse(http.StatusOK, http.Header{}, nil), true // recorded 2022-08
	}
	svc, there := m.services[c.id.key()]
	if !there || svc.life.operation != id {
		return nil, false
	}
	if c.request.URL.Query().Has("asyncResponse") {
		status := map[string]any{"status": map[string]string{"": "Succeeded", "Failed": "Failed"}[svc.moving()]}
		if status["status"] == "" {
			status["status"] = "InProgress"
		}
		return armJSON(http.StatusOK, status), true
	}
	switch svc.moving() {
	case "Failed":
		return serviceError(http.StatusBadRequest, "ActivationFailed", "The service could not be activated."), true // invented
	case "":
		return armJSON(http.StatusOK, m.shown(svc, c.apiVersion)), true
	}
	resp := newResponse(http.StatusAccepted, http.Header{}, nil)
	m.follows(resp, c.id.String()+"/operationresults/"+id, c.apiVersion)
	return resp, true
}

var (
	deletedList    = regexp.MustCompile(`(?i)^/subscriptions/([^/]+)/providers/Microsoft\.ApiManagement/deletedservices/?$`)
	deletedAddress = regexp.MustCompile(`(?i)^/subscriptions/([^/]+)/providers/Microsoft\.ApiManagement/locations/([^/]+)/deletedservices/([^/]+)(/operationresults/[^/]+)?/?$`)
)

// These are the actions that concern deleted services. Their scope is the subscription.
const (
	readDeletedServices  = "Microsoft.ApiManagement/deletedservices/read"
	readDeletedService   = "Microsoft.ApiManagement/locations/deletedservices/read"
	purgeDeletedServices = "Microsoft.ApiManagement/locations/deletedservices/delete"
)

// answerDeleted answers requests about deleted services; ok is false for any other.
func (f *frontEnd) answerDeleted(r *http.Request, caller claims) (resp *http.Response, ok bool) {
	path, action, of := r.URL.Path, "", resourceID{provider: "Microsoft.ApiManagement", kind: "deletedservices"}
	switch parts := deletedAddress.FindStringSubmatch(path); {
	case r.Method == http.MethodGet && deletedList.MatchString(path):
		action, of.subscription = readDeletedServices, deletedList.FindStringSubmatch(path)[1]
	case parts != nil && r.Method == http.MethodGet:
		action, of.subscription, of.name = readDeletedService, parts[1], parts[3]
	case parts != nil && r.Method == http.MethodDelete:
		action, of.subscription, of.name = purgeDeletedServices, parts[1], parts[3]
	default:
		return nil, false
	}
	version := r.URL.Query().Get("api-version")
	if refusal := f.refuseList(of, apiManagementVersions, version); refusal != nil {
		return refusal, true
	}
	if scope := "/subscriptions/" + of.subscription; !f.roles.allow(caller.ObjectID, scope, action) {
		return f.unauthorized(caller, action, scope), true
	}
	location := ""
	if parts := deletedAddress.FindStringSubmatch(path); parts != nil {
		location = region(parts[2])
		if parts[4] != "" && r.Method == http.MethodGet {
			return f.apim.purging(r, of, location, version), true
		}
	}
	return f.apim.serveDeleted(action, of, location, version), true
}

// serveDeleted does the work of an allowed request.
func (m *apiManagement) serveDeleted(action string, of resourceID, location, version string) *http.Response {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settle()
	value := []any{}
	for _, key := range slices.Sorted(maps.Keys(m.deleted)) {
		d := m.deleted[key]
		switch {
		case !strings.EqualFold(d.id.subscription, of.subscription):
			continue
		case action == readDeletedServices:
			value = append(value, d.shown())
			continue
		case !strings.EqualFold(d.id.name, of.name) || region(d.location) != location:
			continue
		case action == readDeletedService:
			return armJSON(http.StatusOK, d.shown())
		case !d.purged.IsZero():
			return locked(d.id.name)
		}
		takes := m.options.Purging
		if takes == 0 {
			takes = defaultPurging
		}
		d.scheduled = time.Now()
		d.purged = d.scheduled.Add(m.pace.scale(takes))
		resp := armJSON(http.StatusAccepted, d.shown()) // recorded 2022-08, 2025-05
		m.follows(resp, d.address()+"/operationresults/"+base64.RawURLEncoding.EncodeToString([]byte(location+":"+d.id.name+"_Term")), version)
		return resp
	}
	switch action {
	case readDeletedServices:
		return armJSON(http.StatusOK, map[string]any{"value": value})
	case purgeDeletedServices: // documented
		return newResponse(http.StatusNoContent, http.Header{}, nil)
	}
	return serviceError(http.StatusNotFound, "ServiceNotFound", "Deleted service "+of.name+" not found.") // invented
}

// purging answers GET of a purge: 202 until its end (recorded 2022-08, 2025-05).
func (m *apiManagement) purging(r *http.Request, of resourceID, location, version string) *http.Response {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settle()
	for _, d := range m.deleted {
		if strings.EqualFold(d.id.subscription, of.subscription) && strings.EqualFold(d.id.name, of.name) && region(d.location) == location {
			resp := newResponse(http.StatusAccepted, http.Header{}, nil)
			m.follows(resp, r.URL.Path, version)
			return resp
		}
	}
	return newResponse(http.StatusOK, http.Header{}, nil)
}

func (d *deletedService) address() string {
	return "/subscriptions/" + d.id.subscription + "/providers/Microsoft.ApiManagement/locations/" + region(d.location) + "/deletedservices/" + d.id.name
}

// shown is its resource, as recorded 2022-08: it has no tags.
func (d *deletedService) shown() map[string]any {
	return map[string]any{
		"id": d.address(), "name": d.id.name, "type": "Microsoft.ApiManagement/deletedservices", "location": d.location,
		"properties": map[string]any{
			"serviceId": d.id.String(), "scheduledPurgeDate": d.scheduled.UTC().Format(time.RFC3339Nano), "deletionDate": d.deletion.UTC().Format(time.RFC3339Nano),
		},
	}
}

// DeletedServices returns the resource IDs of deleted API Management services that are not purged yet.
func (s *Sim) DeletedServices() (ids []string) {
	m := s.management
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settle()
	for _, key := range slices.Sorted(maps.Keys(m.deleted)) {
		ids = append(ids, m.deleted[key].id.String())
	}
	return ids
}

// HasService tells whether an API Management service is there, in whatever state.
func (s *Sim) HasService(resourceID string) bool {
	m := s.management
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settle()
	_, err := m.lookup(resourceID)
	return err == nil
}
