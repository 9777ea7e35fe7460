package apim

import (
	"context"
	"fmt"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/apimanagement/armapimanagement/v3"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/storage/armstorage"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// Preflight looks at the service, its workspaces, the storage account and the rules of its Blob service, with one
// request each. It refuses only what Azure is documented, or was seen, to refuse. Where our identity may not look at
// workspaces or storage account, these checks are left out.
//
// The facts are from Azure's documentation of API Management's backup and restore, unless a check says otherwise.
func (p *Provider) Preflight(ctx context.Context, a backup.Attempt) error {
	client, target, err := p.service(a)
	if err != nil {
		return err
	}
	service, err := client.Get(ctx, target.Group, target.Name, nil)
	if err != nil {
		return checking(a).Fault(err)
	}
	if err := checkService(a, service.ServiceResource); err != nil {
		return err
	}
	if err := p.checkWorkspaces(ctx, a, target); err != nil {
		return err
	}
	return p.checkStorage(ctx, a, azure.Deref(service.Location))
}

// checkService is about the service itself: its tier, what it is doing, and the identity that it is to write with.
func checkService(a backup.Attempt, s armapimanagement.ServiceResource) error {
	var tier armapimanagement.SKUType
	if s.SKU != nil {
		tier = azure.Deref(s.SKU.Name)
	}
	if tier == armapimanagement.SKUTypeConsumption || strings.HasSuffix(string(tier), "V2") {
		return azure.No(a.Target, "TierWithoutBackup", fmt.Sprintf("its tier %s has no backup: only Developer, Basic, Standard and "+
			"Premium have one", tier), hintTiers)
	}
	if s.Properties != nil {
		if state := azure.Deref(s.Properties.ProvisioningState); state != "" && state != "Succeeded" {
			return &backup.Fault{
				Kind: backup.Deferred, Code: "ServiceNotReady",
				Message: fmt.Sprintf("%s is not ready for a backup: its provisioningState is %s", a.Target, state),
				Hint:    "It is asked again by itself. If it goes on for hours, look at the service in the Azure portal.",
			}
		}
	}
	return checkIdentity(a, azure.Deref(s.Identity))
}

func checkIdentity(a backup.Attempt, has armapimanagement.ServiceIdentity) error {
	switch access, client := accessOf(a.Identity); access {
	case armapimanagement.AccessTypeSystemAssignedManagedIdentity:
		if !strings.Contains(string(azure.Deref(has.Type)), string(armapimanagement.ApimIdentityTypeSystemAssigned)) {
			return azure.No(a.Target, "NoSystemIdentity", "it has no system-assigned identity to write the backup with",
				"Switch the service's system-assigned identity on, and give it the role Storage Blob Data Contributor on "+
					a.Storage.Account+".")
		}
	case armapimanagement.AccessTypeUserAssignedManagedIdentity:
		for _, identity := range has.UserAssignedIdentities {
			if identity != nil && strings.EqualFold(azure.Deref(identity.ClientID), client) {
				return nil
			}
		}
		return azure.No(a.Target, "NoUserIdentity", "no user-assigned identity with the client ID "+client+" is attached to it",
			"Attach the identity to the service, or correct the client ID (not the object ID) in plan.yaml.")
	}
	return nil
}

// checkWorkspaces refuses a service with workspaces. An answer that is no list means that there are none to be seen:
// what tiers and versions without workspaces answer is not documented.
func (p *Provider) checkWorkspaces(ctx context.Context, a backup.Attempt, target backup.Resource) error {
	client, err := armapimanagement.NewWorkspaceClient(target.Subscription, p.azure.Credential, p.azure.Management())
	if err != nil {
		return azure.Invalid("InvalidTarget", a.Target, "an API Management service", err)
	}
	pages := client.NewListByServicePager(target.Group, target.Name,
		&armapimanagement.WorkspaceClientListByServiceOptions{Top: to.Ptr[int32](1)})
	page, err := pages.NextPage(ctx)
	if err != nil {
		return unlessDenied(checking(a).Fault(err))
	}
	if len(page.Value) > 0 {
		return azure.No(a.Target, "HasWorkspaces", "it has workspaces, and services with workspaces cannot be backed up", hintTiers)
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
	id, err := azure.AccountID(a.Storage)
	if err != nil {
		return err
	}
	account, err := p.azure.Account(ctx, a.Storage)
	if err != nil || account == nil {
		return err
	}
	if account.Properties != nil {
		if err := checkAccess(a, azure.Deref(account.Properties), sameRegion(location, azure.Deref(account.Location))); err != nil {
			return err
		}
	}
	services, err := armstorage.NewBlobServicesClient(id.Subscription, p.azure.Credential, p.azure.Management())
	if err != nil {
		return azure.Invalid("InvalidStorage", a.Storage.Account, "a storage account", err)
	}
	blobs, err := services.GetServiceProperties(ctx, id.Group, id.Name, nil)
	if err != nil {
		return azure.UnlessForbidden(a.Storage, err)
	}
	if blobs.BlobServiceProperties.BlobServiceProperties == nil {
		return nil
	}
	return checkCORS(a, azure.Deref(blobs.BlobServiceProperties.BlobServiceProperties.Cors))
}

// checkAccess holds the account's key policy and firewall against whom the service writes as.
func checkAccess(a backup.Attempt, account armstorage.AccountProperties, sameRegion bool) error {
	access, _ := accessOf(a.Identity)
	if access == armapimanagement.AccessTypeAccessKey && !azure.AdmitsKeys(account) {
		return azure.No(a.Target, "KeyAccessDisabled", fmt.Sprintf("the storage account %s does not admit its access keys "+
			"(allowSharedKeyAccess is false), and plan.yaml says accessKey", a.Storage.AccountName()),
			"Set identity: system in plan.yaml, or allow the account's keys.")
	}
	if !azure.HasFirewall(account) {
		return nil
	}
	closed := "the storage account " + a.Storage.AccountName() + " has a firewall, "
	const instead = "Set identity: system in plan.yaml, give the service's system-assigned identity the role Storage " +
		"Blob Data Contributor on the account, and let the firewall admit trusted Azure services"
	switch access {
	case armapimanagement.AccessTypeAccessKey:
		if sameRegion {
			return azure.No(a.Target, "FirewallInSameRegion", closed+"which with an access key cannot admit a service of its own region: "+
				"their traffic does not come from the public addresses that it could allow",
				instead+"; or use an account in another region.")
		}
	case armapimanagement.AccessTypeUserAssignedManagedIdentity:
		return azure.No(a.Target, "FirewallWithUserIdentity", closed+"which admits a service by its system-assigned identity only",
			instead+".")
	default:
		if !azure.AdmitsService(account, a.Target) {
			return azure.No(a.Target, "FirewallWithoutTrustedServices", closed+"which does not admit trusted Azure services",
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
				methods = append(methods, string(azure.Deref(m)))
			}
		}
	}
	return azure.No(a.Target, "StorageHasCORS", fmt.Sprintf("the Blob service of the storage account %s has CORS rules (%s), and a "+
		"backup needs an account without", a.Storage.AccountName(), strings.Join(methods, ", ")),
		"Remove the CORS rules, or use another storage account.")
}

// sameRegion compares region names, which API Management writes "West Europe" and the storage "westeurope".
func sameRegion(a, b string) bool {
	plain := func(s string) string { return strings.ToLower(strings.ReplaceAll(s, " ", "")) }
	return a != "" && plain(a) == plain(b)
}
