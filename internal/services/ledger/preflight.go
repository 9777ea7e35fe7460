package ledger

import (
	"context"
	"fmt"
	"strings"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// Preflight checks the service and the storage account through Resource Manager, with one request each. It leaves out the
// checks that the app's identity may not make.
func (p *Provider) Preflight(ctx context.Context, a backup.Attempt) error {
	i, err := parse(a.Target, a.Blocks)
	if err != nil {
		return err
	}
	seen, err := p.look(ctx, i)
	switch {
	case azure.LacksRole(err):
	case err != nil:
		return azure.Looking(i.id).Fault(err)
	default:
		if err := checkState(i, seen.Provisioning); err != nil {
			return err
		}
	}
	account, err := p.azure.Account(ctx, a.Storage, true)
	if err != nil || account == nil {
		return err
	}
	azure.WarnOfRegion(ctx, i.id, seen.Location, a.Storage, *account)
	p.warnOfRoom(ctx, i, a.Storage)
	return checkStorage(a, *account)
}

// checkState checks a provisioningState. A service that shows none, as in all recordings, may be ready.
func checkState(i instance, state string) error {
	word := strings.ToLower(state)
	switch {
	case word == "" || word == "succeeded":
		return nil
	case word == "deleting" || isFailure(azure.End(word)):
		return azure.No(i.id, "ServiceNotReady", "its provisioningState is "+state, "Look at it in the Azure portal. If it is "+
			"being deleted, leave it in plan.yaml for as long as its recovery points may be needed.")
	}
	return azure.NotReady(i.id, "ServiceNotSettled", "backup", "its provisioningState is "+state, "service")
}

// checkStorage checks that the account can hold a share and admits a SAS. An account whose policy keeps all of its blobs is a vault:
// that policy does not hold for file shares, and the key that a SAS needs opens the whole account. A policy of a container is no matter:
// shares are in none.
func checkStorage(a backup.Attempt, account azure.Account) error {
	name := "the storage account " + a.Storage.AccountName()
	premium, known := strings.HasPrefix(account.SKU.Name, "Premium"), account.Kind
	if premium {
		known = "premium " + known // as people know it
	}
	switch kind := account.Kind; {
	case kind == "BlobStorage" || kind == "BlockBlobStorage" ||
		premium && kind != "" && kind != "FileStorage":
		return azure.No(a.Target, "NoFileService", fmt.Sprintf("%s is of the kind %s and can hold no file shares", name,
			known), "Name another account in plan.yaml: one of the kind StorageV2, or FileStorage.")
	case account.Properties == nil:
		return nil
	case account.Properties.HasImmutability():
		return azure.No(a.Target, "ImmutableStorage", name+" has an immutability policy, which protects blobs and no file shares, and the "+
			"service needs the account's keys", "Name an account without an immutability policy in plan.yaml: a vault holds the backups of "+
			"API Management alone.")
	case !account.Properties.AdmitsKeys():
		return azure.No(a.Target, "KeyAccessDisabled", name+" does not admit its access keys (allowSharedKeyAccess is false), "+
			"nor a SAS that is signed with one, and the service takes nothing else",
			"Allow the account's keys, or name another account in plan.yaml: a vault, which holds the backups of API Management alone, "+
				"must have no keys.")
	case account.Properties.HasFirewall():
		return azure.No(a.Target, "FirewallWithSAS", name+" has a firewall, and with a SAS the service needs public network access",
			"Name an account without one in plan.yaml.")
	}
	return nil
}

// Prepare reads the account's key and asks the file service for a share or two. That shows whether the app's identity and
// the account permit it. Prepare makes nothing, because Azure makes the share.
func (p *Provider) Prepare(ctx context.Context, a backup.Attempt, _ string) (backup.Operation, error) {
	i, err := parse(a.Target, a.Blocks)
	if err != nil {
		return backup.Operation{}, err
	}
	files, err := p.files(ctx, a.Storage, backup.Refused)
	if err != nil {
		return backup.Operation{}, err
	}
	if _, err := files.shares(ctx, i.name, files.now, files.now, nil); err != nil {
		return backup.Operation{}, files.fault(reaching(a.Storage), err)
	}
	return backup.Operation{Done: true}, nil
}
