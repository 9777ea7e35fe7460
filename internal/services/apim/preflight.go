package apim

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/apimanagement/armapimanagement/v3"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// Preflight checks the service, its workspaces, the storage account and the rules of its Blob service, with one request
// each. It refuses only what Azure refuses according to its documentation or to observation. If the app's identity may
// not read the workspaces or the storage account, Preflight leaves these checks out.
//
// The facts are from Azure's documentation of API Management's backup and restore, unless a check says otherwise.
func (p *Provider) Preflight(ctx context.Context, a backup.Attempt) error {
	_, err := p.look(ctx, task{a, backing})
	return err
}

// look makes the checks before either task. It returns the service.
func (p *Provider) look(ctx context.Context, t task) (armapimanagement.ServiceResource, error) {
	if err := t.Blocks.Read(field, new(string)); err != nil {
		return armapimanagement.ServiceResource{}, err
	}
	service, target, err := p.show(ctx, t, checking(t))
	if err != nil {
		return service, err
	}
	if err := checkService(t, service); err != nil {
		return service, err
	}
	if err := p.checkWorkspaces(ctx, t, target); err != nil {
		return service, err
	}
	return service, p.checkStorage(ctx, t, azure.Deref(service.Location))
}

// show reads the service, with the request that the call describes.
func (p *Provider) show(ctx context.Context, t task, call azure.Call) (
	armapimanagement.ServiceResource, backup.Resource, error,
) {
	client, target, err := p.service(t.Attempt)
	if err != nil {
		return armapimanagement.ServiceResource{}, target, err
	}
	service, err := client.Get(ctx, target.Group, target.Name, nil)
	if err != nil {
		return armapimanagement.ServiceResource{}, target, call.Fault(err)
	}
	return service.ServiceResource, target, nil
}

func skuOf(s armapimanagement.ServiceResource) armapimanagement.SKUType {
	return azure.Deref(azure.Deref(s.SKU).Name)
}

// settledState is the state of a service that is not working on a change.
const settledState = "Succeeded"

// stateOf returns the state of the service, "" if the service shows none. Before api-version 2022-08-01 the
// provisioningState stays Succeeded while the service is updated or deleted, and only targetProvisioningState shows the
// change (recorded in 48 of 48 such answers, 2018-01-01 to 2021-08-01); since then both show it.
func stateOf(s armapimanagement.ServiceResource) string {
	p := azure.Deref(s.Properties)
	state := azure.Deref(p.ProvisioningState)
	if state == settledState {
		return cmp.Or(azure.Deref(p.TargetProvisioningState), state)
	}
	return state
}

// unfit says why a service in a tier without backups can have none.
func unfit(f backup.Found) string {
	if f.Tier != string(armapimanagement.SKUTypeConsumption) && !strings.HasSuffix(f.Tier, "V2") {
		return ""
	}
	return fmt.Sprintf("its tier %s has no backup: only Developer, Basic, Standard and Premium have one", f.Tier)
}

// checkService checks the service itself: its tier, its state, and the identity that it needs for the task.
func checkService(t task, s armapimanagement.ServiceResource) error {
	tier := skuOf(s)
	if why := unfit(backup.Found{Tier: string(tier)}); why != "" {
		return t.no("TierWithoutBackup", why, hintTiers)
	}
	switch state := stateOf(s); {
	case state == azure.Failed && t.work == restoring: // Azure says whether it restores into such a service: that is not documented
	case state == azure.Failed:
		return azure.Broken(t.Target, "")
	case state != "" && state != settledState:
		return azure.NotReady(t.Target, "ServiceNotReady", t.noun, "its state is "+state, "service")
	}
	return checkIdentity(t, azure.Deref(s.Identity))
}

func checkIdentity(t task, has armapimanagement.ServiceIdentity) error {
	switch access, client := accessOf(identity(t.Blocks)); access {
	case armapimanagement.AccessTypeSystemAssignedManagedIdentity:
		if !strings.Contains(string(azure.Deref(has.Type)), string(armapimanagement.ApimIdentityTypeSystemAssigned)) {
			return t.no("NoSystemIdentity", "it has no system-assigned identity to "+t.storage+" the backup with",
				"Switch the service's system-assigned identity on, and give it the role "+azure.BlobRole(t.Storage)+
					" on the storage account "+t.Storage.AccountName()+".")
		}
	case armapimanagement.AccessTypeUserAssignedManagedIdentity:
		for _, identity := range has.UserAssignedIdentities {
			if identity != nil && strings.EqualFold(azure.Deref(identity.ClientID), client) {
				return nil
			}
		}
		return t.no("NoUserIdentity", "no user-assigned identity with the client ID "+client+" is attached to it",
			"Attach the identity to the service, or correct the client ID (not the object ID) in plan.yaml.")
	}
	return nil
}

// checkWorkspaces refuses a service with workspaces. If Azure refuses to list them, it assumes that there are none: Azure
// does not document the answer of tiers and versions without workspaces.
func (p *Provider) checkWorkspaces(ctx context.Context, t task, target backup.Resource) error {
	client, err := armapimanagement.NewWorkspaceClient(target.Subscription, p.azure.Credential, p.azure.Management())
	if err != nil {
		return azure.Invalid("InvalidTarget", t.Target, "an API Management service", err)
	}
	pages := client.NewListByServicePager(target.Group, target.Name,
		&armapimanagement.WorkspaceClientListByServiceOptions{Top: to.Ptr[int32](1)})
	page, err := pages.NextPage(ctx)
	if err != nil {
		return unlessDenied(checking(t).Fault(err))
	}
	if len(page.Value) > 0 {
		return t.no("HasWorkspaces", "it has workspaces, and services with workspaces cannot be "+t.past, hintTiers)
	}
	return nil
}

// unlessDenied drops a refusal, because it concerns the request of the check and not the backup.
func unlessDenied(f *backup.Fault) error {
	if f.Kind == backup.Refused {
		return nil
	}
	return f
}

// checkStorage checks the storage account as Resource Manager shows it.
func (p *Provider) checkStorage(ctx context.Context, t task, location string) error {
	access, _ := accessOf(identity(t.Blocks))
	account, err := p.azure.Account(ctx, t.Storage, access == armapimanagement.AccessTypeAccessKey)
	if err != nil || account == nil {
		return err
	}
	if t.work == backing {
		azure.WarnOfRegion(ctx, t.Target, location, t.Storage, *account)
		if err := p.azure.WarnOfNoVault(ctx, t.Target, t.Storage, *account); err != nil {
			return err
		}
	}
	if account.Properties != nil {
		if err := checkAccess(t, *account.Properties, azure.SameRegion(location, account.Location)); err != nil {
			return err
		}
	}
	cors, err := p.azure.CORS(ctx, t.Storage)
	if err != nil {
		return err
	}
	return checkCORS(t, cors)
}

// checkAccess checks that the account's key policy and firewall admit the identity or key that the service uses.
func checkAccess(t task, account azure.AccountProperties, sameRegion bool) error {
	access, _ := accessOf(identity(t.Blocks))
	if access == armapimanagement.AccessTypeAccessKey && !account.AdmitsKeys() {
		return t.no("KeyAccessDisabled", fmt.Sprintf("the storage account %s does not admit its access keys "+
			"(allowSharedKeyAccess is false), and plan.yaml says accessKey", t.Storage.AccountName()),
			"Set identity: system in plan.yaml, or allow the account's keys.")
	}
	if !account.HasFirewall() {
		return nil
	}
	closed := "the storage account " + t.Storage.AccountName() + " has a firewall, "
	const instead = "Set identity: system in plan.yaml, give the service's system-assigned identity the role Storage " +
		"Blob Data Contributor on the account, and let the firewall admit trusted Azure services"
	switch access {
	case armapimanagement.AccessTypeAccessKey:
		if sameRegion {
			return t.no("FirewallInSameRegion", closed+"which with an access key cannot admit a service of its own region: "+
				"their traffic does not come from the public addresses that it could allow",
				instead+"; or use an account in another region.")
		}
	case armapimanagement.AccessTypeUserAssignedManagedIdentity:
		if account.InPerimeter() { // its rules decide, which are not shown here
			return nil
		}
		return t.no("FirewallWithUserIdentity", closed+"which admits a service by its system-assigned identity only",
			instead+".")
	default:
		if !account.AdmitsService(t.Target) {
			return t.no("FirewallWithoutTrustedServices", closed+"which does not admit trusted Azure services", azure.HintTrusted)
		}
	}
	return nil
}

// checkCORS refuses an account whose Blob service has any CORS rule. The documentation wants no rule, and with the method
// PATCH in a rule every backup was seen to fail with 400 InvalidParameters (reported 2023-11).
func checkCORS(t task, rules [][]string) error {
	if len(rules) == 0 {
		return nil
	}
	return t.no("StorageHasCORS", fmt.Sprintf("the Blob service of the storage account %s has CORS rules (%s), and a "+
		"backup needs an account without", t.Storage.AccountName(), strings.Join(slices.Concat(rules...), ", ")),
		"Remove the CORS rules, or use another storage account.")
}
