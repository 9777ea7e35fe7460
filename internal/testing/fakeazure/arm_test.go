package fakeazure_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/testing/fakeazure"
)

func startWithService(t *testing.T, change ...func(*fakeazure.Config)) *fakeazure.Sim {
	t.Helper()
	s := start(t, change...)
	must(t, s.AddService(fakeazure.Service{ResourceID: contoso}))
	s.Assign(s.ObjectID("app"), contoso, fakeazure.APIManagementServiceOperator)
	return s
}

func TestAuthentication(t *testing.T) {
	t.Parallel()
	s := startWithService(t)
	own := tokenOf(t, s, "app", managementID)
	forStorage := tokenOf(t, s, "app", "https://storage.azure.com")
	forged := func() string {
		parts := strings.Split(own, ".")
		payload, err := base64.RawURLEncoding.DecodeString(parts[1])
		must(t, err)
		changed := strings.ReplaceAll(string(payload), s.ObjectID("app"), s.ObjectID("somebody"))
		return parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(changed)) + "."
	}
	other := start(t, func(c *fakeazure.Config) { c.Seed = 7 })
	brief := start(t, func(c *fakeazure.Config) { c.TokenLifetime = time.Nanosecond }) // the same tenant
	for name, tt := range map[string]struct {
		authorization, code string
	}{
		"missing":             {"", "AuthenticationFailed"},
		"other scheme":        {"Basic YTpi", "AuthenticationFailed"},
		"no token":            {"Bearer nonsense", "InvalidAuthenticationToken"},
		"forged":              {"Bearer " + forged(), "InvalidAuthenticationToken"},
		"other tenant":        {"Bearer " + tokenOf(t, other, "app", managementID), "InvalidAuthenticationToken"},
		"expired":             {"Bearer " + tokenOf(t, brief, "app", managementID), "ExpiredAuthenticationToken"},
		"storage audience":    {"Bearer " + forStorage, "InvalidAuthenticationTokenAudience"},
		"Go's audience":       {"Bearer " + own, ""},
		"without slash":       {"Bearer " + tokenOf(t, s, "app", "https://management.core.windows.net"), ""},
		"other SDKs audience": {"Bearer " + tokenOf(t, s, "app", "https://management.azure.com"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := sendAs(t, s, http.MethodGet, armURL(contoso), tt.authorization, "", "")
			must(t, err)
			want := http.StatusUnauthorized
			if tt.code == "" {
				want = http.StatusOK
			}
			if r.StatusCode != want || r.code() != tt.code {
				t.Fatalf("got %d %s, want %d %s", r.StatusCode, r.code(), want, tt.code)
			}
			challenge := r.Header.Get("WWW-Authenticate")
			if (tt.code != "") != strings.HasPrefix(challenge, `Bearer authorization_uri="https://login.microsoftonline.com/`) {
				t.Errorf("challenge %q", challenge)
			}
		})
	}
}

func TestAuthorization(t *testing.T) {
	t.Parallel()
	s := startWithService(t)
	s.Assign(s.ObjectID("reader"), "/subscriptions/"+strings.ToUpper(subscription),
		fakeazure.Role{Actions: []string{"*/read"}})
	s.Assign(s.ObjectID("neighbour"), contoso+"-standby", fakeazure.APIManagementServiceOperator)

	if r := send(t, s, "GET", armURL(contoso), "reader", ""); r.StatusCode != 200 {
		t.Errorf("reader at subscription scope: got %d", r.StatusCode)
	}
	for _, identity := range []string{"reader", "neighbour", "stranger"} {
		r := send(t, s, "POST", armURL(contoso+"/backup"), identity, "{}")
		if r.StatusCode != 403 || r.code() != "AuthorizationFailed" {
			t.Fatalf("%s: got %d %s", identity, r.StatusCode, r.code())
		}
		want := fmt.Sprintf("The client '%s' with object id '%s' does not have authorization to perform action "+
			"'Microsoft.ApiManagement/service/backup/action' over scope '%s' or the scope is invalid. If access was "+
			"recently granted, please refresh your credentials.", s.ClientID(identity), s.ObjectID(identity), contoso)
		if !strings.Contains(string(r.body), want) {
			t.Errorf("%s: message of %s", identity, r.body)
		}
	}

	s.Unassign(s.ObjectID("app"), contoso)
	if r := send(t, s, "GET", armURL(contoso), "app", ""); r.StatusCode != 403 {
		t.Errorf("after Unassign: got %d", r.StatusCode)
	}
}

func TestRequestChecks(t *testing.T) {
	t.Parallel()
	s := startWithService(t)
	s.Assign(s.ObjectID("owner"), "/", fakeazure.Role{Actions: []string{"*"}})
	const base = "https://management.azure.com"
	const version = "?api-version=2024-05-01"
	instead := func(part, other string) string { return base + strings.Replace(contoso, part, other, 1) + version }
	for name, tt := range map[string]struct {
		method, url string
		status      int
		code        string
	}{
		"no version":           {"GET", base + contoso, 400, "MissingApiVersionParameter"},
		"malformed version":    {"GET", base + contoso + "?api-version=latest", 400, "InvalidApiVersionParameter"},
		"unknown version":      {"GET", base + contoso + "?api-version=2031-01-01", 400, "NoRegisteredProviderFound"},
		"retired version":      {"GET", base + contoso + "?api-version=2020-12-01", 400, "NoRegisteredProviderFound"},
		"oldest version":       {"GET", base + contoso + "?api-version=2021-08-01", 200, ""},
		"middle version":       {"GET", base + contoso + "?api-version=2022-08-01", 200, ""},
		"case":                 {"GET", base + strings.ToUpper(contoso) + version, 200, ""},
		"no resource":          {"GET", base + "/subscriptions" + version, 404, "NotFound"},
		"double slash":         {"GET", base + contoso + "//workspaces" + version, 404, "NotFound"},
		"double slash, APIM's": {"GET", base + contoso + "//operationresults/x" + version, 404, "ResourceNotFound"},
		"subscription form":    {"GET", instead(subscription, "prod"), 400, "InvalidSubscriptionId"},
		"subscription":         {"GET", instead("5b2c", "6b2c"), 404, "SubscriptionNotFound"},
		"group":                {"GET", instead("/backup/", "/other/"), 404, "ResourceGroupNotFound"},
		"service":              {"GET", base + contoso + "2" + version, 404, "ResourceNotFound"},
		"service of backup":    {"POST", base + contoso + "2/backup" + version, 404, "ResourceNotFound"},
		"type":                 {"GET", instead("/service/", "/gateways/"), 404, "InvalidResourceType"},
		"method":               {"PUT", base + contoso + version, 404, "NotFound"},
		"method of backup":     {"GET", base + contoso + "/backup" + version, 404, "NotFound"},
		"operation not there":  {"GET", base + contoso + "/operationresults/eA==" + version, 404, "ResourceNotFound"},
	} {
		t.Run(name, func(t *testing.T) {
			r := send(t, s, tt.method, tt.url, "owner", "")
			if r.StatusCode != tt.status || r.code() != tt.code {
				t.Fatalf("got %d %s, want %d %s", r.StatusCode, r.code(), tt.status, tt.code)
			}
			for _, header := range []string{"X-Ms-Request-Id", "X-Ms-Correlation-Request-Id", "Date"} {
				if r.Header.Get(header) == "" {
					t.Errorf("no %s", header)
				}
			}
		})
	}
}

func TestVersionsOfClients(t *testing.T) {
	t.Parallel()
	s := startWithLedgers(t)
	must(t, s.AddService(fakeazure.Service{ResourceID: contoso}))
	must(t, s.AddHSM(fakeazure.HSM{ResourceID: fort, Keys: []string{"rsa1"}}))
	must(t, s.AssignHSM(fort, s.ObjectID("owner"), fakeazure.ManagedHSMCryptoUser, fakeazure.ManagedHSMBackup))
	s.Assign(s.ObjectID("owner"), "/", fakeazure.Role{Actions: []string{"*"}})
	toNothing := `{"storageResourceUri":"` + containerURL("anything") + `"}`
	const management = "https://management.azure.com"
	for name, tt := range map[string]struct {
		method, url, body, version string
		status                     int
		code                       string
	}{
		"SDKs, API Management":           {"GET", management + contoso, "", "2024-05-01", 200, ""},
		"Azure CLI, API Management":      {"GET", management + contoso, "", "2022-08-01", 200, ""},
		"Azure CLI, HSMs":                {"GET", management + fort, "", "2026-02-01", 200, ""},
		"nobody, HSMs":                   {"GET", management + fort, "", "2026-02-02", 400, "NoRegisteredProviderFound"},
		"Azure CLI, accounts":            {"GET", management + accountID, "", "2025-08-01", 200, ""},
		"Python, accounts":               {"GET", management + accountID, "", "2026-09-01", 200, ""},
		"nobody, accounts":               {"GET", management + accountID, "", "2026-08-01", 400, "NoRegisteredProviderFound"},
		"Python 2.0.0b4, Managed CCF":    {"GET", management + ccfID, "", "2023-06-28-preview", 200, ""},
		"Python 2.0.0b5, Managed CCF":    {"GET", management + ccfID, "", "2024-09-19-preview", 200, ""},
		"Python 2.0.0b6, ledgers":        {"GET", management + ledgerID, "", "2026-05-22-preview", 200, ""},
		"Python 2.0.0b6, Managed CCF":    {"GET", management + ccfID, "", "2026-05-22-preview", 400, "NoRegisteredProviderFound"},
		"Azure CLI, keys":                {"GET", fortURL + "/keys", "", "7.6-preview.2", 200, ""},
		"nobody, keys":                   {"GET", fortURL + "/keys", "", "7.6-preview.1", 400, "BadParameter"},
		"Azure CLI, backup of nothing":   {"POST", fortURL + "/backup", toNothing, "7.5-preview.1", 400, "BadRequest"},
		"nobody, backup of nothing":      {"POST", fortURL + "/backup", toNothing, "7.5-preview.2", 400, "BadParameter"},
		"Python 4.6.0b1, check":          {"POST", fortURL + "/prebackup", toNothing, "7.6-preview.2", 400, "BadRequest"},
		"Python 4.7, backup of nothing":  {"POST", fortURL + "/backup", toNothing, "2025-07-01", 400, "BadRequest"},
		"Azure CLI, no check by its own": {"POST", fortURL + "/prebackup", toNothing, "7.5-preview.1", 404, "NotFound"},
	} {
		var r reply
		if strings.HasPrefix(tt.url, fortURL) {
			r = hsmSend(t, s, tt.method, strings.TrimPrefix(tt.url, fortURL)+"?api-version="+tt.version, "owner", tt.body)
		} else {
			r = send(t, s, tt.method, tt.url+"?api-version="+tt.version, "owner", tt.body)
		}
		if r.StatusCode != tt.status || r.code() != tt.code {
			t.Errorf("%s: got %d %s, want %d %s", name, r.StatusCode, r.body, tt.status, tt.code)
		}
	}
}

func TestServiceResource(t *testing.T) {
	t.Parallel()
	s := start(t)
	must(t, s.AddService(fakeazure.Service{
		ResourceID: contoso, Location: "North Europe", SKU: "Premium", SystemAssigned: true,
		UserAssigned: []string{"writer"},
	}))
	s.Assign(s.ObjectID("app"), contoso, fakeazure.APIManagementServiceOperator)
	got, err := newServiceClient(t, s, s.Credential("app")).Get(t.Context(), "backup", "contoso", nil)
	must(t, err)
	if *got.ID != contoso || *got.Location != "North Europe" || string(*got.SKU.Name) != "Premium" ||
		*got.Properties.ProvisioningState != "Succeeded" {
		t.Errorf("got %s in %s, %s, %s", *got.ID, *got.Location, *got.SKU.Name, *got.Properties.ProvisioningState)
	}
	if string(*got.Identity.Type) != "SystemAssigned, UserAssigned" || *got.Identity.PrincipalID != s.ObjectID(contoso) ||
		len(got.Identity.UserAssignedIdentities) != 1 {
		t.Errorf("identity %+v", got.Identity)
	}
	for id, identity := range got.Identity.UserAssignedIdentities {
		if !strings.HasSuffix(id, "/userAssignedIdentities/writer") || *identity.ClientID != s.ClientID("writer") {
			t.Errorf("user-assigned identity %s %+v", id, identity)
		}
	}
	if !regexp.MustCompile(`^[0-9a-f-]{36}$`).MatchString(s.TenantID()) {
		t.Errorf("tenant %q", s.TenantID())
	}
}

func TestAddServiceRefuses(t *testing.T) {
	t.Parallel()
	s := start(t)
	for name, add := range map[string]fakeazure.Service{
		"no ID":        {},
		"other type":   {ResourceID: accountID},
		"name":         {ResourceID: contoso + "-"},
		"long name":    {ResourceID: contoso + strings.Repeat("x", 50)},
		"subscription": {ResourceID: strings.Replace(contoso, subscription, "prod", 1)},
		"child":        {ResourceID: contoso + "/apis/echo"},
		"SKU":          {ResourceID: contoso, SKU: "Gold"},
	} {
		if err := s.AddService(add); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
