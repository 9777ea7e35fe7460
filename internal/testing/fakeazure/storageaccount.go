package fakeazure

import (
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// storageVersions are some of the stable versions. Lifeboat asks in 2024-01-01, Azure CLI 2.91 in 2025-08-01, the Python client
// 25.3.0 in 2026-09-01.
var storageVersions = []string{"2022-09-01", "2023-01-01", "2023-05-01", "2024-01-01", "2025-08-01", "2026-09-01"}

// Firewall is the firewall of a storage account. The zero value admits all callers.
type Firewall struct {
	// Deny rejects every caller that no rule admits. It applies to backups and restores alone: the function app is assumed to
	// use a private endpoint. A Managed HSM's identity counts as a trusted Azure service; a ledger with its SAS does not.
	Deny bool
	// Bypass is the exception list: "AzureServices", "Logging, Metrics" and the like, or "None"; empty means "AzureServices".
	Bypass string
	// ControlPlane says that the address rules contain API Management's control plane. They work only for a service in another
	// region: traffic within a region does not come from its public addresses.
	ControlPlane bool
}

// resourceType returns the description of storage accounts for Resource Manager.
func (s *storage) resourceType() armType {
	const action = "Microsoft.Storage/storageAccounts"
	return armType{versions: storageVersions, list: s.resources, route: func(method string, tail []string) (armRoute, bool) {
		path := strings.ToLower(strings.Join(tail, "/"))
		switch {
		case method == http.MethodGet && path == "":
			return armRoute{action + "/read", func(c armCall) (*http.Response, error) {
				return s.serve(c, StorageAccount.resource), nil
			}}, true
		case method == http.MethodGet && path == "blobservices/default":
			return armRoute{action + "/blobServices/read", func(c armCall) (*http.Response, error) {
				return s.serve(c, StorageAccount.blobService), nil
			}}, true
		case method == http.MethodGet && strings.HasPrefix(path, containersPath) && len(tail) == 4:
			return armRoute{action + "/blobServices/containers/read", func(c armCall) (*http.Response, error) {
				return s.getContainer(c, tail[3])
			}}, true
		case method == http.MethodPut && strings.HasPrefix(path, containersPath) && len(tail) == 4:
			return armRoute{action + "/blobServices/containers/write", func(c armCall) (*http.Response, error) {
				return s.putContainer(c, tail[3])
			}}, true
		case method == http.MethodGet && path == "fileservices/default/shares":
			return armRoute{fileServices + "/shares/read", s.shares}, true
		case method == http.MethodGet && strings.HasPrefix(path, "fileservices/default/shares/") && len(tail) == 4:
			return armRoute{fileServices + "/shares/read", func(c armCall) (*http.Response, error) { return s.share(c, tail[3]) }}, true
		case method == http.MethodPost && path == "listkeys":
			return armRoute{action + "/listkeys/action", func(c armCall) (*http.Response, error) {
				return s.serve(c, StorageAccount.keys), nil
			}}, true
		}
		return armRoute{}, false
	}}
}

func (s *storage) resources(string) (all []armResource) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, account := range s.accounts {
		if id, err := parseResourceID(account.ResourceID); err == nil { // checked when it was attached
			all = append(all, armResource{id, account.resource})
		}
	}
	return all
}

// serve answers with the body for the account, or the 404 for it.
func (s *storage) serve(c armCall, body func(StorageAccount) map[string]any) *http.Response {
	account, ok := s.account(c.id.name)
	if !ok || !strings.EqualFold(account.ResourceID, c.id.String()) {
		return armError(http.StatusNotFound, "ResourceNotFound", fmt.Sprintf(
			"The Resource 'Microsoft.Storage/storageAccounts/%s' under resource group '%s' was not found. "+
				"For more details please go to https://aka.ms/ARMResourceNotFoundFix", c.id.name, c.id.group))
	}
	return armJSON(http.StatusOK, body(account))
}

// location returns the region as the storage writes it: "westeurope".
func (a StorageAccount) location() string {
	if a.Location == "" {
		return "westeurope"
	}
	return region(a.Location)
}

// region returns the region's name in the form for code: "West Europe" is "westeurope".
func region(location string) string { return strings.ToLower(strings.ReplaceAll(location, " ", "")) }

// resource returns the account as Resource Manager shows it; it never shows a key.
func (a StorageAccount) resource() map[string]any {
	action, bypass := "Allow", a.Firewall.Bypass
	if a.Firewall.Deny {
		action = "Deny"
	}
	if bypass == "" {
		bypass = "AzureServices"
	}
	rules := []any{}
	if a.Firewall.ControlPlane {
		rules = append(rules, map[string]any{"value": "203.0.113.17", "action": "Allow"})
	}
	properties := map[string]any{
		"provisioningState": "Succeeded", "minimumTlsVersion": "TLS1_2", "supportsHttpsTrafficOnly": true,
		"publicNetworkAccess": "Enabled", "primaryLocation": a.location(), "statusOfPrimary": "available",
		"creationTime": "2023-02-14T08:21:33.5210921Z",
		"primaryEndpoints": map[string]any{
			"blob": "https://" + a.Name + ".blob.core.windows.net/", "file": "https://" + a.Name + ".file.core.windows.net/",
		},
		"networkAcls": map[string]any{
			"bypass": bypass, "defaultAction": action, "ipRules": rules, "virtualNetworkRules": []any{},
		},
	}
	a.Immutability.describe(properties)
	if a.NoSharedKey {
		properties["allowSharedKeyAccess"] = false // Azure leaves it out unless it was set
	}
	return map[string]any{
		"id": a.ResourceID, "name": a.Name, "type": "Microsoft.Storage/storageAccounts", "kind": "StorageV2",
		"location": a.location(), "sku": map[string]any{"name": "Standard_LRS", "tier": "Standard"}, "tags": map[string]any{},
		"properties": properties,
	}
}

// blobService returns blobServices/default.
func (a StorageAccount) blobService() map[string]any {
	rules := []any{}
	if len(a.CORS) > 0 {
		rules = append(rules, map[string]any{
			"allowedOrigins": []string{"https://contoso.com"}, "allowedMethods": a.CORS, "maxAgeInSeconds": 200,
			"exposedHeaders": []string{"*"}, "allowedHeaders": []string{"*"},
		})
	}
	return map[string]any{
		"id": a.ResourceID + "/blobServices/default", "name": "default",
		"type": "Microsoft.Storage/storageAccounts/blobServices",
		"properties": map[string]any{
			"cors": map[string]any{"corsRules": rules}, "deleteRetentionPolicy": map[string]any{"enabled": false},
		},
	}
}

// keys returns the answer to listKeys: always two (recorded in 60 of 60). The second key opens nothing here.
func (a StorageAccount) keys() map[string]any {
	permissions := a.KeyPermissions
	if permissions == "" {
		permissions = "FULL"
	}
	second := sha512.Sum512([]byte(a.Name + a.Key))
	key := func(name, value string) map[string]any {
		return map[string]any{
			"creationTime": "2023-02-14T08:21:33.5210921Z", "keyName": name, "permissions": permissions, "value": value,
		}
	}
	return map[string]any{"keys": []any{key("key1", a.Key), key("key2", base64.StdEncoding.EncodeToString(second[:]))}}
}

// corsRefusal returns API Management's error about an account's CORS rules, "" if it accepts them.
func (a StorageAccount) corsRefusal(k Options) string {
	switch {
	case slices.Contains(a.CORS, "PATCH"): // recorded 2023-11
		return "Requested value 'GET,HEAD,POST,PUT,DELETE,OPTIONS,PATCH' was not found."
	case len(a.CORS) > 0 && k.OtherCORS == RefuseOtherCORS:
		return "CORS must not be enabled on the Blob service of the storage account."
	}
	return ""
}

// admitted tells whether the account admits the backup, before any role or signature is checked. The codes are the storage's
// own.
func (t *backupTarget) admitted(k Options) error {
	a, key := t.account, t.identity == ""
	if key && a.NoSharedKey {
		return fmt.Errorf("%w: KeyBasedAuthenticationNotPermitted", errAccessDenied)
	}
	if !a.Firewall.Deny {
		return nil
	}
	var in bool
	switch {
	case key:
		in = a.Firewall.ControlPlane && a.location() != region(t.service.Location)
	case t.system:
		trusted := a.Firewall.Bypass == "" || strings.Contains(a.Firewall.Bypass, "AzureServices")
		in = trusted && k.TrustedServices == AdmitTrustedServices
	}
	if !in {
		return fmt.Errorf("%w: AuthorizationFailure", errAccessDenied)
	}
	return nil
}
