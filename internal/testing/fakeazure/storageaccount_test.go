package fakeazure_test

import (
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	apim "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/apimanagement/armapimanagement/v3"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/storage/armstorage"

	"lifeboat/internal/testing/fakeazure"
)

func storageURL(path string) string {
	return "https://management.azure.com" + accountID + path + "?api-version=2024-01-01"
}

func TestStorageAccountThroughOfficialClients(t *testing.T) {
	t.Parallel()
	s := start(t)
	must(t, s.Storage(fakeazure.StorageAccount{
		Name: accountName, ResourceID: accountID, Key: accountKey, Location: "North Europe", NoSharedKey: true,
		CORS: []string{"GET", "PUT"}, Firewall: fakeazure.Firewall{Deny: true, Bypass: "Logging, Metrics", ControlPlane: true},
	}))
	s.Assign(s.ObjectID("app"), accountID, fakeazure.Reader, fakeazure.StorageAccountKeyOperator)
	options := &arm.ClientOptions{ClientOptions: clientOptions(s), DisableRPRegistration: true}
	accounts, err := armstorage.NewAccountsClient(subscription, s.Credential("app"), options)
	must(t, err)
	account, err := accounts.GetProperties(t.Context(), "backup", accountName, nil)
	must(t, err)
	rules := account.Properties.NetworkRuleSet
	if *account.ID != accountID || *account.Location != "northeurope" || *account.Properties.AllowSharedKeyAccess ||
		*rules.DefaultAction != armstorage.DefaultActionDeny || *rules.Bypass != "Logging, Metrics" ||
		len(rules.IPRules) != 1 {
		t.Errorf("account %+v with rules %+v", account.Account, rules)
	}
	keys, err := accounts.ListKeys(t.Context(), "backup", accountName, nil)
	must(t, err)
	if len(keys.Keys) != 2 || *keys.Keys[0].Value != accountKey || string(*keys.Keys[0].Permissions) != "FULL" ||
		*keys.Keys[1].KeyName != "key2" || *keys.Keys[1].Value == accountKey || string(*keys.Keys[1].Permissions) != "FULL" {
		t.Errorf("keys %+v", keys.Keys)
	}
	services, err := armstorage.NewBlobServicesClient(subscription, s.Credential("app"), options)
	must(t, err)
	blobs, err := services.GetServiceProperties(t.Context(), "backup", accountName, nil)
	must(t, err)
	cors := blobs.BlobServiceProperties.BlobServiceProperties.Cors.CorsRules
	if len(cors) != 1 || len(cors[0].AllowedMethods) != 2 || *cors[0].AllowedMethods[1] != "PUT" {
		t.Errorf("CORS rules %+v", cors)
	}

	must(t, s.Storage(fakeazure.StorageAccount{Name: accountName, ResourceID: accountID, Key: accountKey, KeyPermissions: "Full"}))
	if keys, err = accounts.ListKeys(t.Context(), "backup", accountName, nil); err != nil || *keys.Keys[0].Permissions != "Full" {
		t.Errorf("keys %+v, %v", keys.Keys, err)
	}
	open, err := accounts.GetProperties(t.Context(), "backup", accountName, nil)
	must(t, err)
	rules = open.Properties.NetworkRuleSet
	if *open.Location != "westeurope" || open.Properties.AllowSharedKeyAccess != nil ||
		*rules.DefaultAction != armstorage.DefaultActionAllow || *rules.Bypass != armstorage.BypassAzureServices {
		t.Errorf("an account as new: %+v with rules %+v", open.Account, rules)
	}
}

func TestStorageAccountChecks(t *testing.T) {
	t.Parallel()
	s := start(t)
	must(t, s.Storage(fakeazure.StorageAccount{Name: accountName, ResourceID: accountID, Key: accountKey}))
	s.Assign(s.ObjectID("reader"), accountID, fakeazure.Reader)
	s.Assign(s.ObjectID("operator"), accountID, fakeazure.StorageAccountKeyOperator, fakeazure.StorageBlobDataContributor)
	s.Assign(s.ObjectID("owner"), "/", fakeazure.Role{Actions: []string{"*"}})
	other := strings.Replace(storageURL(""), "/backup/", "/other/", 1)
	nobody := strings.Replace(storageURL(""), accountName, "nobody", 1)
	for name, tt := range map[string]struct {
		identity, method, url string
		status                int
		code                  string
	}{
		"read":              {"reader", "GET", storageURL(""), 200, ""},
		"case":              {"reader", "GET", storageURL("/BLOBSERVICES/Default"), 200, ""},
		"keys need a role":  {"reader", "POST", storageURL("/listKeys"), 403, "AuthorizationFailed"},
		"keys":              {"operator", "POST", storageURL("/listKeys"), 200, ""},
		"reading needs one": {"operator", "GET", storageURL(""), 403, "AuthorizationFailed"},
		"so do its rules":   {"operator", "GET", storageURL("/blobServices/default"), 403, "AuthorizationFailed"},
		"keys are no GET":   {"owner", "GET", storageURL("/listKeys"), 404, "NotFound"},
		"of another group":  {"owner", "GET", other, 404, "ResourceGroupNotFound"},
		"of no account":     {"owner", "GET", nobody, 404, "ResourceNotFound"},
		"no version of theirs": {
			"owner", "GET", strings.Replace(storageURL(""), "2024-01-01", "2024-05-01", 1), 400, "NoRegisteredProviderFound",
		},
	} {
		r := send(t, s, tt.method, tt.url, tt.identity, "")
		if r.StatusCode != tt.status || r.code() != tt.code {
			t.Errorf("%s: got %d %s, want %d %s", name, r.StatusCode, r.body, tt.status, tt.code)
		}
		if tt.code != "" && strings.Contains(string(r.body), accountKey) || r.StatusCode == 200 && tt.identity == "reader" &&
			strings.Contains(string(r.body), accountKey) {
			t.Errorf("%s: the answer holds the key", name)
		}
	}
}

func TestWorkspaces(t *testing.T) {
	t.Parallel()
	s := startWithService(t)
	client, err := apim.NewWorkspaceClient(subscription, s.Credential("app"),
		&arm.ClientOptions{ClientOptions: clientOptions(s), DisableRPRegistration: true})
	must(t, err)
	count := func() int {
		t.Helper()
		page, err := client.NewListByServicePager("backup", "contoso", nil).NextPage(t.Context())
		if err != nil {
			if status, code := errorCode(err); status != 400 || code != "MethodNotAllowedInPricingTier" {
				t.Errorf("got %v", err)
			}
			return -1
		}
		return len(page.Value)
	}
	if n := count(); n != -1 {
		t.Errorf("Developer lists %d workspaces, want a refusal", n)
	}
	must(t, s.Tune(contoso, func(k *fakeazure.Options) { k.WorkspaceList = fakeazure.EmptyWorkspaceList }))
	if n := count(); n != 0 {
		t.Errorf("Developer lists %d workspaces, want none", n)
	}
	must(t, s.AddService(fakeazure.Service{ResourceID: contoso, SKU: "Premium"}))
	if n := count(); n != 0 {
		t.Errorf("Premium lists %d workspaces, want none", n)
	}
	must(t, s.AddService(fakeazure.Service{ResourceID: contoso, SKU: "Premium", Workspaces: true}))
	if n := count(); n != 1 {
		t.Errorf("Premium lists %d workspaces, want one", n)
	}
	old := strings.Replace(armURL(contoso+"/workspaces"), "2024-05-01", "2022-08-01", 1)
	if r := send(t, s, "GET", old, "app", ""); r.StatusCode != 404 {
		t.Errorf("a version that knows no workspaces: got %d %s", r.StatusCode, r.body)
	}
	if r := send(t, s, "GET", armURL(contoso+"/workspaces"), "stranger", ""); r.StatusCode != 403 {
		t.Errorf("without a role: got %d %s", r.StatusCode, r.body)
	}
}

// TestWhomTheAccountAdmits checks every kind of access against firewall, region and key policy. A rejected backup fails as
// opaquely as in Azure, at the operation's end.
func TestWhomTheAccountAdmits(t *testing.T) {
	t.Parallel()
	s := startWithStorage(t)
	s.Assign(s.ObjectID("backup-writer"), accountID, fakeazure.StorageBlobDataContributor)
	container := createContainer(t, s)
	const system = `,"accessType":"SystemAssignedManagedIdentity"`
	user := `,"accessType":"UserAssignedManagedIdentity","clientId":"` + s.ClientID("backup-writer") + `"`
	key := `,"accessType":"AccessKey","accessKey":"` + accountKey + `"`
	closed := fakeazure.Firewall{Deny: true, ControlPlane: true}
	ruleless := fakeazure.Firewall{Deny: true}
	keyless := func(a *fakeazure.StorageAccount) { a.NoSharedKey = true }
	untrusting := fakeazure.Firewall{Deny: true, Bypass: "Logging"}
	for name, tt := range map[string]struct {
		access  string
		change  func(*fakeazure.StorageAccount)
		options func(*fakeazure.Options)
		want    string // "" for a backup, otherwise words of the failure
	}{
		"key in the same region":  {access: key, change: firewall(closed, ""), want: "AuthorizationFailure"},
		"key from another region": {access: key, change: firewall(closed, "northeurope")},
		"key without a rule":      {access: key, change: firewall(ruleless, "northeurope"), want: "AuthorizationFailure"},
		"no key":                  {access: key, change: keyless, want: "KeyBasedAuthenticationNotPermitted"},
		"no key, none used":       {access: system, change: keyless},
		"user's identity":         {access: user, change: firewall(closed, "northeurope"), want: "AuthorizationFailure"},
		"trusted no longer":       {access: system, change: firewall(closed, ""), want: "AuthorizationFailure"},
		"trusted": {
			access: system, change: firewall(closed, ""),
			options: func(k *fakeazure.Options) { k.TrustedServices = fakeazure.AdmitTrustedServices },
		},
		"never trusted": {
			access: system, change: firewall(untrusting, ""), want: "AuthorizationFailure",
			options: func(k *fakeazure.Options) { k.TrustedServices = fakeazure.AdmitTrustedServices },
		},
		"CORS taken": {
			access: system, change: func(a *fakeazure.StorageAccount) { a.CORS = []string{"GET"} },
			options: func(k *fakeazure.Options) { k.OtherCORS = fakeazure.TakeOtherCORS },
		},
	} {
		account := shared.account
		tt.change(&account)
		must(t, s.Storage(account))
		must(t, s.AddService(fakeazure.Service{ResourceID: contoso, SystemAssigned: true, UserAssigned: []string{"backup-writer"}}))
		if tt.options != nil {
			must(t, s.Tune(contoso, tt.options))
		}
		text := strings.Replace(body(container, unique("admit"), ""), system, tt.access, 1)
		last := finish(t, s, send(t, s, "POST", armURL(contoso+"/backup"), "app", text))
		switch {
		case tt.want == "" && last.StatusCode != 200:
			t.Errorf("%s: got %d %s", name, last.StatusCode, last.body)
		case tt.want != "" && (last.StatusCode != 400 || last.code() != "BackupFailed" ||
			!strings.Contains(string(last.body), tt.want)):
			t.Errorf("%s: got %d %s, want %s", name, last.StatusCode, last.body, tt.want)
		}
	}

	account := shared.account
	account.CORS = []string{"GET"}
	must(t, s.Storage(account))
	must(t, s.AddService(fakeazure.Service{ResourceID: contoso, SystemAssigned: true}))
	if r := post(t, s, container, "cors"); r.StatusCode != 400 || r.code() != "InvalidParameters" {
		t.Errorf("CORS refused: got %d %s", r.StatusCode, r.body)
	}
}

func firewall(f fakeazure.Firewall, location string) func(*fakeazure.StorageAccount) {
	return func(a *fakeazure.StorageAccount) { a.Firewall, a.Location = f, location }
}
