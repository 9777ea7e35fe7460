package fakeazure

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// hsmAudience is the required audience of a token for an HSM; a final slash is allowed.
const hsmAudience = "https://managedhsm.azure.net"

// hsmVersions are the versions of the data plane in order. The constants beside it are the versions with additions. Azure CLI
// 2.91 backs up and restores in 7.5-preview.1, and asks for keys in 7.6-preview.2.
var hsmVersions = []string{
	"7.2-preview", "7.2", "7.3-preview", "7.3", "7.4-preview.1", "7.4", "7.5-preview.1", "7.5", "7.6-preview.2", "7.6",
	"2025-07-01",
}

const (
	firstWithManagedIdentity = "7.5-preview.1"
	firstWithChecks          = "7.6-preview.2" // the Python client 4.6.0b1 brought both (2025-03)
)

// since tells whether the version is the first one or later.
func since(version, first string) bool {
	return slices.Index(hsmVersions, version) >= slices.Index(hsmVersions, first)
}

// hsmCall is an authenticated request to one HSM.
type hsmCall struct {
	request *http.Request
	hsm     *hsm
	caller  claims
	// version is "" for polls without one: the URL that the HSM returns has none.
	version string
	// key, keyVersion and job are parts of the path; job is also the operation that the call started.
	key, keyVersion, job string
	// scope is the scope at which the route's action is needed: "/", "/keys" or "/keys/{name}". grant is the name of a role
	// assignment, "" for their list.
	scope, grant string
}

// hsmRoute describes an HSM's reaction to a method and path: the data action whose role it requires, and the work.
type hsmRoute struct {
	method  string
	path    *regexp.Regexp
	action  string
	step    Step
	handle  func(*managedHSMs, *hsmCall) *http.Response
	version string // the first version with the route; "" for all
}

const (
	keyPath        = `/keys/(?P<key>[0-9a-zA-Z-]{1,127})`
	deletedKeyPath = `/deletedkeys/(?P<key>[0-9a-zA-Z-]{1,127})`
	grantPath      = `/roleAssignments/(?P<grant>[^/]+)`
)

// poll tells that a route needs no version, and is answered during a full restore.
func (r hsmRoute) poll() bool { return r.step == OnPoll }

var hsmRoutes = []hsmRoute{
	{"POST", exactly(`/backup`), startBackup, OnBackup, (*managedHSMs).begin, ""},
	{"POST", exactly(`/prebackup`), startBackup, OnCheck, (*managedHSMs).begin, firstWithChecks},
	{"GET", exactly(`/backup/(?P<job>\w+)/pending`), backupStatus, OnPoll, (*managedHSMs).poll, ""},
	{"PUT", exactly(`/restore`), startRestore, OnRestore, (*managedHSMs).begin, ""},
	{"PUT", exactly(`/prerestore`), startRestore, OnCheck, (*managedHSMs).begin, firstWithChecks},
	{"PUT", exactly(keyPath + `/restore`), startRestore, OnRestore, (*managedHSMs).begin, ""},
	{"GET", exactly(`/restore/(?P<job>\w+)/pending`), restoreStatus, OnPoll, (*managedHSMs).poll, ""},
	{"POST", exactly(keyPath + `/create`), createKey, OnKey, (*managedHSMs).createKey, ""},
	{"GET", exactly(`/keys`), readKey, OnKey, (*managedHSMs).listKeys, ""},
	{"GET", exactly(keyPath + `/versions`), readKey, OnKey, (*managedHSMs).listVersions, ""},
	{"GET", exactly(keyPath + `(/(?P<version>[0-9a-f]{32}))?`), readKey, OnKey, (*managedHSMs).getKey, ""},
	{"GET", exactly(keyPath + `(/(?P<version>[0-9a-f]{32})?)?/attestation`), readKey, OnKey, (*managedHSMs).attestKey, firstWithChecks},
	{"DELETE", exactly(keyPath), deleteKey, OnKey, (*managedHSMs).deleteKey, ""},
	{"GET", exactly(`/deletedkeys`), readDeletedKey, OnKey, (*managedHSMs).listDeletedKeys, ""},
	{"GET", exactly(deletedKeyPath), readDeletedKey, OnKey, (*managedHSMs).getDeletedKey, ""},
	{"DELETE", exactly(deletedKeyPath), purgeDeletedKey, OnKey, (*managedHSMs).purgeDeletedKey, ""},
	{"POST", exactly(deletedKeyPath + `/recover`), recoverDeletedKey, OnKey, (*managedHSMs).recoverDeletedKey, ""},
	{"GET", exactly(hsmRolePath + `/roleDefinitions`), readHSMRole, OnRole, (*managedHSMs).listHSMRoles, ""},
	{"GET", exactly(hsmRolePath + `/roleAssignments`), readHSMGrant, OnRole, (*managedHSMs).listGrants, ""},
	{"GET", exactly(hsmRolePath + grantPath), readHSMGrant, OnRole, (*managedHSMs).getGrant, ""},
	{"PUT", exactly(hsmRolePath + grantPath), writeHSMGrant, OnRole, (*managedHSMs).putGrant, ""},
	{"DELETE", exactly(hsmRolePath + grantPath), deleteHSMGrant, OnRole, (*managedHSMs).deleteGrant, ""},
	{"POST", exactly(byDownload), downloadDomain, OnDomain, (*managedHSMs).downloadDomain, ""},
	{"GET", exactly(byDownload + `/pending`), readDownload, OnDomain, (*managedHSMs).pollDomain, ""},
	{"GET", exactly(byUpload), readTransferKey, OnDomain, (*managedHSMs).transferKey, ""},
	{"POST", exactly(byUpload), uploadDomain, OnDomain, (*managedHSMs).uploadDomain, ""},
	{"GET", exactly(byUpload + `/pending`), readUpload, OnDomain, (*managedHSMs).pollDomain, ""},
}

// exactly returns a pattern for a whole path; a final slash does not count.
func exactly(path string) *regexp.Regexp { return regexp.MustCompile(`^` + path + `/?$`) }

// named returns the HSM behind a host name.
func (m *managedHSMs) named(host string) (*hsm, bool) {
	name, ok := strings.CutSuffix(host, hsmDomain)
	if !ok {
		return nil, false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	h, ok := m.hsms[name]
	return h, ok && !time.Now().Before(h.made)
}

func (m *managedHSMs) knows(host string) bool {
	_, ok := m.named(host)
	return ok
}

// answer handles the requests to all HSMs. Every answer carries the recorded headers.
func (m *managedHSMs) answer(r *http.Request) (*http.Response, error) {
	host := strings.TrimSuffix(strings.ToLower(r.Host), ":"+httpsPort)
	h, ok := m.named(host)
	if !ok {
		return nil, fmt.Errorf("no such host %s", host)
	}
	resp, err := m.dispatch(r, h)
	if resp == nil {
		return nil, err
	}
	if r.Method == http.MethodGet {
		resp.Header.Set("X-Ms-Build-Version", "1.0.20221020-1-945ffe56-develop")
	}
	for name, value := range map[string]string{
		"X-Ms-Request-Id": uuid.NewString(), "X-Ms-Server-Latency": "1", "Cache-Control": "no-cache",
		"Content-Security-Policy": "default-src 'self'", "X-Frame-Options": "SAMEORIGIN",
		"X-Content-Type-Options":    "nosniff",
		"Strict-Transport-Security": "max-age=31536000; includeSubDomains",
		"Content-Type":              "application/json; charset=utf-8",
	} {
		resp.Header.Set(name, value)
	}
	if resp.StatusCode != http.StatusUnauthorized {
		resp.Header.Set("X-Ms-Keyvault-Region", region(h.Location))
		resp.Header.Set("X-Ms-Keyvault-Network-Info", "conn_type=Ipv4;addr=127.0.0.1;act_addr_fam=Ipv4;")
	}
	return resp, err
}

// dispatch checks caller, version and permission, and leaves the rest to the route.
func (m *managedHSMs) dispatch(r *http.Request, h *hsm) (*http.Response, error) {
	call := hsmCall{request: r, hsm: h, version: strings.ToLower(r.URL.Query().Get("api-version"))}
	var refusal *http.Response
	if call.caller, refusal = m.authenticate(r); refusal != nil {
		return refusal, nil
	}
	route, ok := call.route()
	if !ok {
		return hsmError(http.StatusNotFound, "NotFound", "There is no "+r.Method+" "+r.URL.Path), nil
	}
	switch {
	case call.version == "" && !route.poll():
		return hsmError(http.StatusBadRequest, "BadParameter", "api-version must be specified"), nil
	case call.version != "" && !slices.Contains(hsmVersions, call.version):
		return hsmError(http.StatusBadRequest, "BadParameter", fmt.Sprintf("The specified version (%s) is not recognized. "+
			"Consider using the latest supported version (%s).", call.version, hsmVersions[len(hsmVersions)-1])), nil
	case route.version != "" && !since(call.version, route.version):
		return hsmError(http.StatusNotFound, "NotFound", "There is no "+r.Method+" "+r.URL.Path), nil
	}
	m.mu.Lock()
	allowed := h.vault.allows(call.caller.ObjectID, route.action, call.scope)
	refusal, inactive := m.turnedAway(h, route), h.inactive(route)
	m.mu.Unlock()
	switch {
	case refusal != nil:
		return refusal, nil
	case !allowed:
		return hsmError(http.StatusForbidden, "AccessDenied", "Not authorized to access "+route.action+" on "+call.scope), nil
	case inactive != nil:
		return inactive, nil
	}
	request := HSMRequest{At: time.Now(), HSM: h.ResourceID}
	resp, err := m.struck(h, route.step, func() *http.Response { return route.handle(m, &call) })
	if route.step == OnBackup || route.step == OnRestore || route.step == OnCheck {
		if resp != nil {
			request.Status = resp.StatusCode
		}
		request.Kind, request.JobID = call.kind(), call.job
		m.mu.Lock()
		m.requests = append(m.requests, request)
		m.mu.Unlock()
	}
	return resp, err
}

// struck does a call's work unless a fault applies to it.
func (m *managedHSMs) struck(h *hsm, step Step, work func() *http.Response) (*http.Response, error) {
	return strike(&m.mu, &h.faults, step, jobError, work)
}

// route returns the route of the request, and fills in the parts of the path.
func (c *hsmCall) route() (hsmRoute, bool) {
	for _, route := range hsmRoutes {
		parts := route.path.FindStringSubmatch(c.request.URL.Path)
		if parts == nil || route.method != c.request.Method {
			continue
		}
		for i, name := range route.path.SubexpNames() {
			switch name {
			case "key":
				c.key = parts[i]
			case "version":
				c.keyVersion = parts[i]
			case "job":
				c.job = parts[i]
			case "grant":
				c.grant = parts[i]
			case "scope":
				c.scope = parts[i]
			}
		}
		switch {
		case route.step == OnRole:
			c.scope = "/" + c.scope
		case route.step == OnKey && c.key != "":
			c.scope = "/keys/" + c.key
		case route.step == OnKey:
			c.scope = "/keys"
		default:
			c.scope = "/"
		}
		return route, true
	}
	return hsmRoute{}, false
}

// authenticate returns the caller of a request, or the 401 for it. Clients send their first request without a token to learn
// where to get one.
func (m *managedHSMs) authenticate(r *http.Request) (claims, *http.Response) {
	token, ok := bearer(r)
	if !ok {
		return claims{}, m.challenge(nil)
	}
	c, err := m.directory.verify(token)
	switch {
	case err != nil:
		return c, m.challenge(encodeJSON(errorBody("Unauthorized", "The token is invalid: "+err.Error()+".")))
	case strings.TrimSuffix(c.Audience, "/") != hsmAudience:
		return c, m.challenge(encodeJSON(errorBody("Unauthorized", fmt.Sprintf(
			"The token is for the audience '%s', not for '%s'.", c.Audience, hsmAudience))))
	}
	return c, nil
}

func (m *managedHSMs) challenge(body []byte) *http.Response {
	header := http.Header{}
	header.Set("Www-Authenticate", fmt.Sprintf(
		`Bearer authorization="https://login.microsoftonline.com/%s", resource="%s"`, m.directory.tenant(), hsmAudience))
	return newResponse(http.StatusUnauthorized, header, body)
}

func errorBody(code, message string) map[string]any {
	return map[string]any{"error": map[string]any{"code": code, "message": message}}
}

// hsmError returns a refusal in the HSM's own form (recorded 2022-11).
func hsmError(status int, code, message string) *http.Response {
	return armJSON(status, errorBody(code, message+" (Activity ID: "+uuid.NewString()+")"))
}

// jobError returns a refusal in the form of the HSM's part for backups and restores (recorded 2021-06 to 2022-10).
func jobError(status int, code, message string) *http.Response {
	return armJSON(status, map[string]any{"error": map[string]any{"code": code, "message": message, "innererror": nil}})
}
