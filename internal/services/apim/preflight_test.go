package apim_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/google/go-cmp/cmp"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// serviceIs replies with a service that has this tier, identity and state.
func serviceIs(sku, identity, state string) reply {
	return answers(200, fmt.Sprintf(`{"name":"contoso","location":"West Europe","sku":{"name":%q},"identity":%s,`+
		`"properties":{"provisioningState":%q}}`, sku, identity, state))
}

const (
	systemIdentity = `{"type":"SystemAssigned","principalId":"5c0b7bd4-0c3c-4bb1-a6ec-7d1a5e1c0001"}`
	clientID       = "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"
	userIdentity   = `{"type":"UserAssigned","userAssignedIdentities":{"/subscriptions/x":{"clientId":"` +
		"0A1B2C3D-4E5F-4A6B-8C7D-9E0F1A2B3C4D" + `"}}}`
)

// accountIs replies with a storage account in a region, with further properties as JSON.
func accountIs(location, properties string) reply {
	return answers(200, fmt.Sprintf(`{"name":"contosobackups","location":%q,"properties":{%s}}`, location, properties))
}

// corsOf replies with a Blob service whose rule allows the methods, written as JSON.
func corsOf(methods string) reply {
	return answers(200, `{"properties":{"cors":{"corsRules":[{"allowedMethods":[`+methods+`],"allowedOrigins":["*"]}]}}}`)
}

// closed returns the properties of an account with a firewall and that list of exceptions.
func closed(bypass string) string {
	return fmt.Sprintf(`"networkAcls":{"defaultAction":"Deny","bypass":%q}`, bypass)
}

// fit returns replies about a service and an account that allow a backup, except for the replies in but.
func fit(but map[step]reply) map[step]reply {
	all := map[step]reply{
		get: serviceIs("Developer", systemIdentity, "Succeeded"), spaces: answers(200, `{"value":[],"count":0}`),
		inspect: accountIs("westeurope", `"networkAcls":{"defaultAction":"Allow","bypass":"AzureServices"}`),
		rules:   answers(200, `{"properties":{"cors":{"corsRules":[]}}}`),
	}
	maps.Copy(all, but)
	return all
}

func TestPreflight(t *testing.T) {
	refused := func(code, message, hint string) fault {
		return fault{kind: backup.Refused, code: code, message: message, hint: hint}
	}
	const key, system = "accessKey", "system"
	for name, test := range map[string]struct {
		identity string
		but      map[step]reply
		fault    fault
	}{
		"all is well":          {},
		"all is well, by name": {identity: system},
		"a user's identity": {
			identity: clientID, but: map[step]reply{get: serviceIs("Basic", userIdentity, "Succeeded")},
		},
		"a key":                  {identity: key, but: map[step]reply{get: serviceIs("Standard", "null", "Succeeded")}},
		"a tier not known to us": {but: map[step]reply{get: serviceIs("Isolated", systemIdentity, "Succeeded")}},

		"Consumption": {
			but:   map[step]reply{get: serviceIs("Consumption", systemIdentity, "Succeeded")},
			fault: refused("TierWithoutBackup", "tier Consumption", "Developer, Basic, Standard and Premium"),
		},
		"StandardV2": {
			but:   map[step]reply{get: serviceIs("StandardV2", systemIdentity, "Succeeded")},
			fault: refused("TierWithoutBackup", "StandardV2", "plan.yaml"),
		},
		"being changed": {
			but:   map[step]reply{get: serviceIs("Premium", systemIdentity, "Updating")},
			fault: fault{kind: backup.Retryable, code: "ServiceNotReady", message: "Updating", hint: "Lifeboat asks again"},
		},
		"being changed, and only its target tells": {
			but: map[step]reply{get: answers(200, `{"sku":{"name":"Premium"},"identity":`+systemIdentity+`,"properties":`+
				`{"provisioningState":"Succeeded","targetProvisioningState":"Updating"}}`)},
			fault: fault{kind: backup.Retryable, code: "ServiceNotReady", message: "Updating", hint: "Lifeboat asks again"},
		},
		"being deleted": {
			but: map[step]reply{get: answers(200, `{"sku":{"name":"Premium"},"identity":`+systemIdentity+`,"properties":`+
				`{"provisioningState":"Succeeded","targetProvisioningState":"Deleting"}}`)},
			fault: fault{kind: backup.Retryable, code: "ServiceNotReady", message: "Deleting", hint: "Lifeboat asks again"},
		},
		"no identity": {
			but:   map[step]reply{get: serviceIs("Premium", "null", "Succeeded")},
			fault: refused("NoSystemIdentity", target, "Switch the service's system-assigned identity on"),
		},
		"only a user's identity": {
			but:   map[step]reply{get: serviceIs("Premium", userIdentity, "Succeeded")},
			fault: refused("NoSystemIdentity", target, "Storage Blob Data Contributor on the storage account contosobackups"),
		},
		"another's identity": {
			identity: clientID, fault: refused("NoUserIdentity", clientID, "client ID"),
		},
		"no role on the service": {
			but:   map[step]reply{get: armSays(403, "AuthorizationFailed", "The client does not have authorization.")},
			fault: refused("AuthorizationFailed", "The client does not have authorization.", "service/read on "+target),
		},
		"no such service": {
			but:   map[step]reply{get: armSays(404, "ResourceNotFound", "The Resource was not found.")},
			fault: refused("ResourceNotFound", target, "plan.yaml"),
		},
		"throttled": {
			but: map[step]reply{get: armSays(429, "TooManyRequests", "Later.", "Retry-After: 9")},
			fault: fault{
				kind: backup.Throttled, code: "TooManyRequests", hint: "Lifeboat asks again", after: 9 * time.Second,
			},
		},
		"no network": {
			but:   map[step]reply{get: unknown},
			fault: fault{kind: backup.Retryable, code: "Unreachable", hint: "management.azure.com"},
		},

		"workspaces": {
			but:   map[step]reply{spaces: answers(200, `{"value":[{"name":"team"}],"count":1}`)},
			fault: refused("HasWorkspaces", "workspaces", "plan.yaml"),
		},
		"a tier without workspaces": {
			but: map[step]reply{spaces: armSays(400, "MethodNotAllowedInPricingTier", "Not in Developer.")},
		},
		"workspaces not known":      {but: map[step]reply{spaces: armSays(404, "NotFound", "No.")}},
		"no role on the workspaces": {but: map[step]reply{spaces: armSays(403, "AuthorizationFailed", "No.")}},
		"workspaces throttled": {
			but:   map[step]reply{spaces: answers(429, "")},
			fault: fault{kind: backup.Throttled, code: "TooManyRequests", hint: "Lifeboat asks again"},
		},

		"no role on the account": {but: map[step]reply{inspect: armSays(403, "AuthorizationFailed", "No.")}},
		"no role on its rules":   {but: map[step]reply{rules: armSays(403, "AuthorizationFailed", "No.")}},
		"no such account": {
			but:   map[step]reply{inspect: armSays(404, "ResourceNotFound", "The Resource was not found.")},
			fault: refused("ResourceNotFound", account, "plan.yaml"),
		},
		"the account's side is down": {
			but:   map[step]reply{inspect: armSays(503, "ServiceUnavailable", "Later.", "Retry-After: 5")},
			fault: fault{kind: backup.Throttled, code: "ServiceUnavailable", hint: "Lifeboat asks again", after: 5 * time.Second},
		},
		"CORS with PATCH": {
			but:   map[step]reply{rules: corsOf(`"GET","PATCH"`)},
			fault: refused("StorageHasCORS", "GET, PATCH", "Remove the CORS rules"),
		},
		"CORS without PATCH": {
			but: map[step]reply{rules: corsOf(`"GET"`)}, fault: refused("StorageHasCORS", "GET", "Remove the CORS rules"),
		},

		"a key, and none admitted": {
			identity: key, but: map[step]reply{inspect: accountIs("northeurope", `"allowSharedKeyAccess":false`)},
			fault: refused("KeyAccessDisabled", "allowSharedKeyAccess", "identity: system"),
		},
		"no key admitted, and none used": {
			but: map[step]reply{inspect: accountIs("northeurope", `"allowSharedKeyAccess":false`)},
		},
		"a firewall and a key, same region": {
			identity: key, but: map[step]reply{inspect: accountIs("westeurope", closed("AzureServices"))},
			fault: refused("FirewallInSameRegion", "own region", "another region"),
		},
		"a firewall and a key, other region": {
			identity: key, but: map[step]reply{inspect: accountIs("northeurope", closed("None"))},
		},
		"a firewall and a user's identity": {
			identity: clientID, but: map[step]reply{
				get: serviceIs("Basic", userIdentity, "Succeeded"), inspect: accountIs("northeurope", closed("AzureServices")),
			},
			fault: refused("FirewallWithUserIdentity", "system-assigned identity only", "identity: system"),
		},
		"a firewall that trusts Azure's services": {
			but: map[step]reply{inspect: accountIs("westeurope", closed("Logging, AzureServices"))},
		},
		"a firewall that does not": {
			but:   map[step]reply{inspect: accountIs("westeurope", closed("Logging, Metrics"))},
			fault: refused("FirewallWithoutTrustedServices", "trusted Azure services", "bypass: AzureServices"),
		},
		"a firewall with a rule for the service": {
			but: map[step]reply{inspect: accountIs("westeurope", `"networkAcls":{"defaultAction":"Deny","bypass":"None",`+
				`"resourceAccessRules":[{"resourceId":"`+strings.ToUpper(target)+`"}]}`)},
		},
		"no public network": {
			identity: key, but: map[step]reply{inspect: accountIs("West Europe", `"publicNetworkAccess":"Disabled"`)},
			fault: refused("FirewallInSameRegion", "contosobackups", "identity: system"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := &wire{replies: fit(test.but)}
			a := attempt()
			a.Blocks, a.Artifact = as(test.identity), ""
			err := w.provider().Preflight(t.Context(), a)
			if w.count(start)+w.count(keys)+w.count(create) > 0 {
				t.Error("a preflight must neither start a backup, nor read a key, nor create a container")
			}
			if test.fault.kind == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			test.fault.check(t, err)
		})
	}
}

func TestPrepareMakesTheContainer(t *testing.T) {
	const place = "the container lifeboat of the storage account contosobackups"
	for name, test := range map[string]struct {
		reply reply
		fault fault
	}{
		"being deleted": {
			reply: blobSays(409, "ContainerBeingDeleted", "The specified container is being deleted."),
			fault: fault{kind: backup.Retryable, code: "ContainerBeingDeleted", message: place},
		},
		"no role": {
			reply: blobSays(403, "AuthorizationPermissionMismatch", "This request is not authorized."),
			fault: fault{
				kind: backup.Refused, code: "AuthorizationPermissionMismatch",
				message: place + ": This request is not authorized.", hint: "Storage Blob Data Contributor on the storage account contosobackups",
			},
		},
		"firewall": {
			reply: blobSays(403, "AuthorizationFailure", "This request is not authorized to perform this operation."),
			fault: fault{kind: backup.Refused, code: "AuthorizationFailure", hint: "firewall of the storage account contoso"},
		},
		"bad name": {
			reply: blobSays(400, "InvalidResourceName", "The specified resource name contains invalid characters."),
			fault: fault{kind: backup.Refused, code: "InvalidResourceName", message: place, hint: "plan.yaml"},
		},
		"throttled": {
			reply: blobSays(503, "ServerBusy", "Ingress is over the account limit.", "Retry-After: 3"),
			fault: fault{kind: backup.Throttled, code: "ServerBusy", after: 3 * time.Second},
		},
		"429": {reply: answers(429, ""), fault: fault{kind: backup.Throttled, code: "TooManyRequests"}},
		"500": {reply: blobSays(500, "InternalError", "Again."), fault: fault{kind: backup.Retryable, code: "InternalError"}},
		"cut": {
			reply: cut, fault: fault{kind: backup.Retryable, code: "Unreachable", hint: "contosobackups.blob.core.windows.net"},
		},
		"no such account": {
			reply: unknown,
			fault: fault{kind: backup.Retryable, code: "Unreachable", message: "no such host", hint: "this name exists"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := &wire{replies: map[step]reply{create: test.reply, list: test.reply}}
			_, err := w.provider().Prepare(t.Context(), attempt(), "")
			test.fault.check(t, err)
			if test.fault.code == "AuthorizationPermissionMismatch" { // in a vault a container may be there all the same
				w.expect(t, create, list)
			} else {
				w.expect(t, create)
			}
		})
	}
}

// TestPrepareInAVault: the app may make no container there, and the one that people made is enough.
func TestPrepareInAVault(t *testing.T) {
	w := &wire{replies: map[step]reply{create: blobSays(403, "AuthorizationPermissionMismatch", "No."), list: listing()}}
	if o, err := w.provider().Prepare(t.Context(), attempt(), ""); err != nil || !o.Done {
		t.Errorf("%+v, %v", o, err)
	}
	w.expect(t, create, list)
}

// TestPreflightOfAVault: the plan says that it is one, and storage says whether anything keeps the blobs.
func TestPreflightOfAVault(t *testing.T) {
	for policy, warned := range map[string]bool{`"hasImmutabilityPolicy":true`: false, `"hasImmutabilityPolicy":false`: true} {
		for _, vault := range []bool{true, false} {
			w := &wire{replies: map[step]reply{policies: answers(200, `{"properties":{`+policy+`}}`)}}
			a := attempt()
			a.Storage.Vault = vault
			ctx, notes := backup.Watch(t.Context())
			err := azure.New(identity{}, azcore.ClientOptions{Transport: w}).WarnOfNoVault(ctx, a.Target, a.Storage, azure.Account{})
			if got := notes.Warnings(); err != nil || (len(got) == 1) != (warned && vault) || len(got) == 1 && got[0].Code != "NoVault" {
				t.Errorf("%s, %v: %+v, %v", policy, vault, got, err)
			}
		}
	}
}

func TestPrepareTakesAnExistingContainer(t *testing.T) {
	exists := blobSays(409, "ContainerAlreadyExists", "The specified container already exists.")
	for name, answer := range map[string]reply{"made": created, "there before": exists} {
		w := &wire{replies: map[step]reply{create: answer}}
		if _, err := w.provider().Prepare(t.Context(), attempt(), ""); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// accountKey has characters that URLs and JSON encode.
var accountKey = base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0xfb, 0xff, 0x3e}, 22))

func keysAre(entries string) reply { return answers(200, `{"keys":[`+entries+`]}`) }

func TestBeginActsAsThePlanSays(t *testing.T) {
	full := fmt.Sprintf(`{"keyName":"key1","permissions":"Read","value":"bm8="},`+
		`{"keyName":"key2","permissions":"FULL","value":%q}`, accountKey)
	for identity, want := range map[string]map[string]string{
		"":          {"accessType": "SystemAssignedManagedIdentity"},
		"system":    {"accessType": "SystemAssignedManagedIdentity"},
		clientID:    {"accessType": "UserAssignedManagedIdentity", "clientId": clientID},
		"accessKey": {"accessType": "AccessKey", "accessKey": accountKey},
	} {
		t.Run(identity, func(t *testing.T) {
			var body map[string]string
			w := &wire{replies: map[step]reply{keys: keysAre(full), start: func(r *http.Request) (*http.Response, error) {
				if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
					return nil, err
				}
				return accepted(r)
			}}}
			a := attempt()
			a.Blocks = as(identity)
			operation, err := w.provider().Begin(t.Context(), a)
			if err != nil {
				t.Fatal(err)
			}
			want["storageAccount"], want["containerName"], want["backupName"] = "contosobackups", "lifeboat", a.Artifact
			if diff := cmp.Diff(want, body); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
			if strings.Contains(operation.Token, accountKey) {
				t.Error("the token holds the key")
			}
		})
	}
}

func TestBeginStartsNothingWithoutTheKey(t *testing.T) {
	for name, test := range map[string]struct {
		reply reply
		fault fault
	}{
		"no role": {
			reply: armSays(403, "AuthorizationFailed", "The client does not have authorization."),
			fault: fault{
				kind: backup.Refused, code: "AuthorizationFailed", message: "The client does not have authorization.",
				hint: "listkeys/action on the storage account contosobackups",
			},
		},
		"gone": {
			reply: armSays(404, "ResourceNotFound", "The Resource was not found."),
			fault: fault{kind: backup.Refused, code: "ResourceNotFound", message: account, hint: "plan.yaml"},
		},
		"locked": {
			reply: armSays(409, "ScopeLocked", "A lock."),
			fault: fault{kind: backup.Refused, code: "ScopeLocked", hint: "read-only lock"},
		},
		"busy": {
			reply: armSays(409, "StorageAccountOperationInProgress", "An operation is in progress."),
			fault: fault{kind: backup.Retryable, code: "StorageAccountOperationInProgress", hint: "busy"},
		},
		"none with full permissions": {
			reply: keysAre(`{"keyName":"key1","permissions":"Read","value":"bm8="}`),
			fault: fault{kind: backup.Refused, code: "NoAccountKey", message: account, hint: "identity: system"},
		},
		"throttled": {
			reply: answers(429, "", "Retry-After: 4"),
			fault: fault{kind: backup.Throttled, code: "TooManyRequests", after: 4 * time.Second},
		},
		"down": {reply: answers(503, ""), fault: fault{kind: backup.Throttled, code: "ServiceUnavailable"}},
		"cut":  {reply: cut, fault: fault{kind: backup.Retryable, code: "Unreachable", hint: "management.azure.com"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := &wire{replies: map[step]reply{keys: test.reply, start: accepted}}
			a := attempt()
			a.Blocks = as("accessKey")
			_, err := w.provider().Begin(t.Context(), a)
			test.fault.check(t, err)
			w.expect(t, keys)
		})
	}
}

// TestNoErrorHoldsTheKey checks that the key does not get into the catalog if the service repeats the request.
func TestNoErrorHoldsTheKey(t *testing.T) {
	forms := []string{accountKey, url.QueryEscape(accountKey), base64.StdEncoding.EncodeToString([]byte(accountKey))}
	for status, state := range map[int]string{400: "", 200: `"status":"Failed",`} {
		echo := func(r *http.Request) (*http.Response, error) {
			sent, err := io.ReadAll(r.Body)
			if err != nil {
				return nil, err
			}
			message, err := json.Marshal("cannot use " + strings.Join(forms, " or ") + " of " + string(sent))
			if err != nil {
				return nil, err
			}
			return answers(status, `{`+state+`"error":{"code":"ValidationError","message":`+string(message)+`}}`)(r)
		}
		w := &wire{replies: map[step]reply{
			keys: keysAre(fmt.Sprintf(`{"keyName":"key1","permissions":"FULL","value":%q}`, accountKey)), start: echo,
		}}
		a := attempt()
		a.Blocks = as("accessKey")
		_, err := w.provider().Begin(t.Context(), a)
		fault{
			kind: backup.Refused, code: "ValidationError", message: "cannot use (secret) or (secret) or (secret)",
		}.check(t, err)
		for _, form := range forms {
			if f := backup.AsFault(err); strings.Contains(f.Message+f.Hint+f.Error(), form) {
				t.Errorf("%d: the error holds the key as %s", status, form)
			}
		}
	}
}
