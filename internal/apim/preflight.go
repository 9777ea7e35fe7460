package apim

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/apimanagement/armapimanagement/v3"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/storage/armstorage"

	"lifeboat/internal/backup"
)

// Preflight looks at the service, its workspaces, the storage account and the rules of its Blob service, with one
// request each, and then makes sure that the container exists. It refuses only what Azure is documented, or was seen,
// to refuse. Where our identity may not look at workspaces or storage account, these checks are left out.
//
// The facts are from Azure's documentation of API Management's backup and restore, unless a check says otherwise.
func (p *Provider) Preflight(ctx context.Context, a backup.Attempt) error {
	client, target, err := p.service(a)
	if err != nil {
		return err
	}
	service, err := client.Get(ctx, target.Group, target.Name, nil)
	if err != nil {
		return interpretError(checking, a, err)
	}
	if err := checkService(a, service.ServiceResource); err != nil {
		return err
	}
	if err := p.checkWorkspaces(ctx, a, target); err != nil {
		return err
	}
	if err := p.checkStorage(ctx, a, deref(service.Location)); err != nil {
		return err
	}
	return p.createContainer(ctx, a)
}

// checkService is about the service itself: its tier, what it is doing, and the identity that it is to write with.
func checkService(a backup.Attempt, s armapimanagement.ServiceResource) error {
	var tier armapimanagement.SKUType
	if s.SKU != nil {
		tier = deref(s.SKU.Name)
	}
	if tier == armapimanagement.SKUTypeConsumption || strings.HasSuffix(string(tier), "V2") {
		return no(a, "TierWithoutBackup", fmt.Sprintf("its tier %s has no backup: only Developer, Basic, Standard and "+
			"Premium have one", tier), hintTiers)
	}
	if s.Properties != nil {
		if state := deref(s.Properties.ProvisioningState); state != "" && state != "Succeeded" {
			return &backup.Fault{
				Kind: backup.Deferred, Code: "ServiceNotReady",
				Message: fmt.Sprintf("%s is not ready for a backup: its provisioningState is %s", a.Target, state),
				Hint:    "It is asked again by itself. If it goes on for hours, look at the service in the Azure portal.",
			}
		}
	}
	return checkIdentity(a, deref(s.Identity))
}

func checkIdentity(a backup.Attempt, has armapimanagement.ServiceIdentity) error {
	switch access, client := accessOf(a.Identity); access {
	case armapimanagement.AccessTypeSystemAssignedManagedIdentity:
		if !strings.Contains(string(deref(has.Type)), string(armapimanagement.ApimIdentityTypeSystemAssigned)) {
			return no(a, "NoSystemIdentity", "it has no system-assigned identity to write the backup with",
				"Switch the service's system-assigned identity on, and give it the role Storage Blob Data Contributor on "+
					a.Storage.Account+".")
		}
	case armapimanagement.AccessTypeUserAssignedManagedIdentity:
		for _, identity := range has.UserAssignedIdentities {
			if identity != nil && strings.EqualFold(deref(identity.ClientID), client) {
				return nil
			}
		}
		return no(a, "NoUserIdentity", "no user-assigned identity with the client ID "+client+" is attached to it",
			"Attach the identity to the service, or correct the client ID (not the object ID) in plan.yaml.")
	}
	return nil
}

// checkWorkspaces refuses a service with workspaces. An answer that is no list means that there are none to be seen:
// what tiers and versions without workspaces answer is not documented.
func (p *Provider) checkWorkspaces(ctx context.Context, a backup.Attempt, target backup.Resource) error {
	client, err := armapimanagement.NewWorkspaceClient(target.Subscription, p.cred, p.management())
	if err != nil {
		return invalid("InvalidTarget", a.Target, "an API Management service", err)
	}
	pages := client.NewListByServicePager(target.Group, target.Name,
		&armapimanagement.WorkspaceClientListByServiceOptions{Top: to.Ptr[int32](1)})
	page, err := pages.NextPage(ctx)
	if err != nil {
		return unlessDenied(interpretError(checking, a, err))
	}
	if len(page.Value) > 0 {
		return no(a, "HasWorkspaces", "it has workspaces, and services with workspaces cannot be backed up", hintTiers)
	}
	return nil
}

// unlessDenied drops a no that is about the look and not about the backup.
func unlessDenied(f *backup.Fault) error {
	if f.Kind == backup.Refused {
		return nil
	}
	return f
}

// checkStorage is about the storage account, as Resource Manager shows it.
func (p *Provider) checkStorage(ctx context.Context, a backup.Attempt, location string) error {
	id, err := backup.ParseResource(a.Storage.Account)
	if err != nil {
		return invalid("InvalidStorage", a.Storage.Account, "a storage account", err)
	}
	accounts, err := armstorage.NewAccountsClient(id.Subscription, p.cred, p.management())
	if err != nil {
		return invalid("InvalidStorage", a.Storage.Account, "a storage account", err)
	}
	account, err := accounts.GetProperties(ctx, id.Group, id.Name, nil)
	if err != nil {
		return unlessForbidden(a, err)
	}
	if account.Properties != nil {
		if err := checkAccess(a, deref(account.Properties), sameRegion(location, deref(account.Location))); err != nil {
			return err
		}
	}
	services, err := armstorage.NewBlobServicesClient(id.Subscription, p.cred, p.management())
	if err != nil {
		return invalid("InvalidStorage", a.Storage.Account, "a storage account", err)
	}
	blobs, err := services.GetServiceProperties(ctx, id.Group, id.Name, nil)
	if err != nil {
		return unlessForbidden(a, err)
	}
	if blobs.BlobServiceProperties.BlobServiceProperties == nil {
		return nil
	}
	return checkCORS(a, deref(blobs.BlobServiceProperties.BlobServiceProperties.Cors))
}

// unlessForbidden lets a role pass that our identity does not have on the storage account: only these checks need it.
func unlessForbidden(a backup.Attempt, err error) error {
	if denied, ok := errors.AsType[*azcore.ResponseError](err); ok && denied.StatusCode == http.StatusForbidden {
		return nil
	}
	return interpretError(checkingStorage, a, err)
}

// checkAccess holds the account's key policy and firewall against whom the service writes as.
func checkAccess(a backup.Attempt, account armstorage.AccountProperties, sameRegion bool) error {
	access, _ := accessOf(a.Identity)
	keys := account.AllowSharedKeyAccess == nil || *account.AllowSharedKeyAccess // allowed where nobody ever set it
	if access == armapimanagement.AccessTypeAccessKey && !keys {
		return no(a, "KeyAccessDisabled", fmt.Sprintf("the storage account %s does not admit its access keys "+
			"(allowSharedKeyAccess is false), and plan.yaml says accessKey", a.Storage.AccountName()),
			"Set identity: system in plan.yaml, or allow the account's keys.")
	}
	rules := deref(account.NetworkRuleSet)
	if deref(rules.DefaultAction) != armstorage.DefaultActionDeny &&
		deref(account.PublicNetworkAccess) != armstorage.PublicNetworkAccessDisabled {
		return nil
	}
	closed := "the storage account " + a.Storage.AccountName() + " has a firewall, "
	const instead = "Set identity: system in plan.yaml, give the service's system-assigned identity the role Storage " +
		"Blob Data Contributor on the account, and let the firewall admit trusted Azure services"
	switch access {
	case armapimanagement.AccessTypeAccessKey:
		if sameRegion {
			return no(a, "FirewallInSameRegion", closed+"which with an access key cannot admit a service of its own region: "+
				"their traffic does not come from the public addresses that it could allow",
				instead+"; or use an account in another region.")
		}
	case armapimanagement.AccessTypeUserAssignedManagedIdentity:
		return no(a, "FirewallWithUserIdentity", closed+"which admits a service by its system-assigned identity only",
			instead+".")
	default:
		// Bypass may hold several, such as "Logging, AzureServices". Whether a rule for the service as a resource instance
		// would do as well is not documented: such a one is left for Azure to judge.
		admitted := strings.Contains(string(deref(rules.Bypass)), string(armstorage.BypassAzureServices)) ||
			slices.ContainsFunc(rules.ResourceAccessRules, func(r *armstorage.ResourceAccessRule) bool {
				return r != nil && strings.EqualFold(deref(r.ResourceID), a.Target)
			})
		if !admitted {
			return no(a, "FirewallWithoutTrustedServices", closed+"which does not admit trusted Azure services",
				"Allow trusted Azure services in the account's network settings (bypass: AzureServices).")
		}
	}
	return nil
}

// checkCORS refuses an account whose Blob service has any CORS rule: the documentation wants none, and with the method
// PATCH in one every backup was seen to fail with 400 InvalidParameters (reported 2023-11).
func checkCORS(a backup.Attempt, cors armstorage.CorsRules) error {
	if len(cors.CorsRules) == 0 {
		return nil
	}
	var methods []string
	for _, rule := range cors.CorsRules {
		if rule != nil {
			for _, m := range rule.AllowedMethods {
				methods = append(methods, string(deref(m)))
			}
		}
	}
	return no(a, "StorageHasCORS", fmt.Sprintf("the Blob service of the storage account %s has CORS rules (%s), and a "+
		"backup needs an account without", a.Storage.AccountName(), strings.Join(methods, ", ")),
		"Remove the CORS rules, or use another storage account.")
}

// sameRegion compares region names, which API Management writes "West Europe" and the storage "westeurope".
func sameRegion(a, b string) bool {
	plain := func(s string) string { return strings.ToLower(strings.ReplaceAll(s, " ", "")) }
	return a != "" && plain(a) == plain(b)
}

// no is the fault of a target that no backup of can succeed as things are.
func no(a backup.Attempt, code, why, hint string) *backup.Fault {
	return &backup.Fault{Kind: backup.Refused, Code: code, Message: a.Target + " cannot be backed up: " + why, Hint: hint}
}

// management are the options of clients of Resource Manager.
func (p *Provider) management() *arm.ClientOptions {
	return &arm.ClientOptions{ClientOptions: p.opts, DisableRPRegistration: true}
}
