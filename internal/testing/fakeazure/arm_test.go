package fakeazure_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
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
		"no resource":          {"GET", base + "/subscriptions/" + subscription + version, 404, "NotFound"},
		"double slash":         {"GET", base + contoso + "//workspaces" + version, 404, "NotFound"},
		"double slash, APIM's": {"GET", base + contoso + "//operationresults/x" + version, 404, "ResourceNotFound"},
		"subscription form":    {"GET", instead(subscription, "prod"), 400, "InvalidSubscriptionId"},
		"subscription":         {"GET", instead("5b2c", "6b2c"), 404, "SubscriptionNotFound"},
		"group":                {"GET", instead("/backup/", "/other/"), 404, "ResourceGroupNotFound"},
		"service":              {"GET", base + contoso + "2" + version, 404, "ResourceNotFound"},
		"service of backup":    {"POST", base + contoso + "2/backup" + version, 404, "ResourceNotFound"},
		"type":                 {"GET", instead("/service/", "/gateways/"), 404, "InvalidResourceType"},
		"method":               {"PATCH", base + contoso + version, 404, "NotFound"},
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

// names returns the names in a list, in its order.
func names(t *testing.T, r reply) []string {
	t.Helper()
	var body struct {
		Value []struct{ Name, SubscriptionID string }
	}
	if r.StatusCode != 200 {
		t.Fatalf("got %d %s", r.StatusCode, r.body)
	}
	must(t, json.Unmarshal(r.body, &body))
	all := []string{}
	for _, entry := range body.Value {
		all = append(all, entry.Name+entry.SubscriptionID)
	}
	return all
}

func TestLists(t *testing.T) {
	t.Parallel()
	s := start(t)
	const other = "11111111-2222-4333-8444-555555555555"
	id := func(subscription, group, kind, name string) string {
		return "/subscriptions/" + subscription + "/resourceGroups/" + group + "/providers/" + kind + "/" + name
	}
	const services, accounts = "Microsoft.ApiManagement/service", "Microsoft.Storage/storageAccounts"
	const hsms, ccfs = "Microsoft.KeyVault/managedHSMs", "Microsoft.ConfidentialLedger/managedCCFs"
	for _, service := range []string{
		id(subscription, "backup", services, "one"), id(strings.ToUpper(subscription), "BACKUP", services, "two"),
		id(subscription, "Another", services, "three"), id(other, "backup", services, "four"),
	} {
		must(t, s.AddService(fakeazure.Service{ResourceID: service}))
	}
	must(t, s.Storage(fakeazure.StorageAccount{Name: accountName, ResourceID: accountID, Key: accountKey}))
	must(t, s.AddHSM(fakeazure.HSM{ResourceID: id(subscription, "backup", hsms, "fort")}))
	gone := id(subscription, "backup", ccfs, "gone")
	must(t, s.AddLedger(fakeazure.Ledger{ResourceID: gone}))
	must(t, s.DeleteLedger(gone))
	must(t, s.AddLedger(fakeazure.Ledger{ResourceID: id(subscription, "backup", ccfs, "votes")}))
	must(t, s.AddLedger(fakeazure.Ledger{ResourceID: id(subscription, "backup", "Microsoft.ConfidentialLedger/ledgers", "audit")}))

	s.Assign(s.ObjectID("owner"), "/", fakeazure.Role{Actions: []string{"*"}})
	s.Assign(s.ObjectID("reader"), group, fakeazure.Reader)
	s.Assign(s.ObjectID("operator"), id(subscription, "backup", services, "one"), fakeazure.APIManagementServiceOperator)
	s.Assign(s.ObjectID("sender"), accountID+"/queueServices/default/queues/q", fakeazure.StorageQueueDataMessageSender)

	of := "/subscriptions/" + subscription
	for name, tt := range map[string]struct {
		identity, path, version string
		want                    []string
	}{
		"subscriptions of the owner":   {"owner", "/subscriptions", "2022-12-01", []string{other, subscription}},
		"with a slash":                 {"owner", "/Subscriptions/", "2022-12-01", []string{other, subscription}},
		"of one who may send messages": {"sender", "/subscriptions", "2022-12-01", []string{subscription}},
		"of a stranger":                {"stranger", "/subscriptions", "2022-12-01", []string{}},
		"groups of the owner":          {"owner", of + "/resourcegroups", "2024-11-01", []string{"Another", "backup"}},
		"groups of a reader":           {"reader", of + "/resourceGroups", "2024-11-01", []string{"backup"}},
		"groups of another":            {"sender", of + "/resourceGroups", "2024-11-01", []string{}},
		"services of the owner":        {"owner", of + "/providers/" + services, "2022-08-01", []string{"three", "one", "two"}},
		"services of a group":          {"owner", of + "/resourcegroups/backup/providers/" + services, "2024-05-01", []string{"one", "two"}},
		"services of an operator":      {"operator", of + "/providers/" + services, "2024-05-01", []string{"one"}},
		"services of a stranger":       {"stranger", of + "/providers/" + services, "2024-05-01", []string{}},
		"accounts":                     {"reader", of + "/providers/" + accounts, "2025-08-01", []string{accountName}},
		"HSMs":                         {"reader", of + "/providers/" + hsms, "2026-02-01", []string{"fort"}},
		"Managed CCFs":                 {"reader", of + "/providers/" + ccfs + "/", "2024-09-19-preview", []string{"votes"}},
		"ledgers":                      {"reader", of + "/providers/Microsoft.ConfidentialLedger/Ledgers", "2026-02-23", []string{"audit"}},
	} {
		if got := names(t, send(t, s, "GET", "https://management.azure.com"+tt.path+"?api-version="+tt.version, tt.identity, "")); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
	for name, tt := range map[string]struct {
		path   string
		status int
		code   string
	}{
		"no version":             {"/subscriptions", 400, "MissingApiVersionParameter"},
		"version":                {"/subscriptions?api-version=2016-06-01", 400, "InvalidApiVersionParameter"},
		"version of groups":      {of + "/resourcegroups?api-version=2022-12-01", 400, "InvalidApiVersionParameter"},
		"version of services":    {of + "/providers/" + services + "?api-version=2026-01-01", 400, "NoRegisteredProviderFound"},
		"word for a version":     {of + "/providers/" + services + "?api-version=latest", 400, "InvalidApiVersionParameter"},
		"form of a subscription": {"/subscriptions/prod/resourcegroups?api-version=2024-11-01", 400, "InvalidSubscriptionId"},
		"subscription not there": {strings.Replace(of, "5b2c", "6b2c", 1) + "/resourcegroups?api-version=2024-11-01", 404, "SubscriptionNotFound"},
		"group not there":        {of + "/resourcegroups/x/providers/" + services + "?api-version=2024-05-01", 404, "ResourceGroupNotFound"},
		"type not there":         {of + "/providers/Microsoft.ApiManagement/gateways?api-version=2024-05-01", 404, "InvalidResourceType"},
		"resources of all types": {of + "/resources?api-version=2024-11-01", 404, "NotFound"},
	} {
		if r := send(t, s, "GET", "https://management.azure.com"+tt.path, "owner", ""); r.StatusCode != tt.status || r.code() != tt.code {
			t.Errorf("%s: got %d %s", name, r.StatusCode, r.body)
		}
	}
	r := send(t, s, "GET", "https://management.azure.com/subscriptions?api-version=2022-12-01", "sender", "")
	if want := `"tenantId":"` + s.TenantID() + `"`; !strings.Contains(string(r.body), want) || !strings.Contains(string(r.body), `"state":"Enabled"`) ||
		!strings.Contains(string(r.body), `"count":{"type":"Total","value":1}`) {
		t.Errorf("without %s: %s", want, r.body)
	}
	keyed := send(t, s, "GET", "https://management.azure.com"+of+"/providers/"+accounts+"?api-version=2025-08-01", "owner", "")
	if strings.Contains(string(keyed.body), accountKey) {
		t.Error("the list of accounts has a key")
	}
}
