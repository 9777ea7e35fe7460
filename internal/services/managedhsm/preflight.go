package managedhsm

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	hsm "github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azadmin/backup"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// managementVersion is the oldest api-version of Managed HSM's resource that knows identities.
const managementVersion = "2023-07-01"

// Preflight checks the HSM, the storage account and the container through Resource Manager, with one request each. It
// leaves out the checks that the app's identity may not make. Prepare asks the HSM itself.
func (p *Provider) Preflight(ctx context.Context, a backup.Attempt) error {
	account, err := p.preflight(ctx, a, false)
	if err != nil || account == nil {
		return err
	}
	return p.checkMutable(ctx, a, *account)
}

// preflight makes the checks that a backup and a restore have in common. The account is nil if Azure does not show it. An HSM that
// has failed is refused a backup; Azure says whether it restores into one.
func (p *Provider) preflight(ctx context.Context, a backup.Attempt, restores bool) (*azure.Account, error) {
	if _, err := parseTarget(a.Target); err != nil {
		return nil, err
	}
	var shown resource
	err := p.azure.Show(ctx, a.Target, managementVersion, &shown)
	if err != nil && !azure.LacksRole(err) {
		return nil, azure.Looking(a.Target).Fault(err)
	}
	if restores && shown.Properties.State == azure.Failed {
		shown.Properties.State = "Succeeded"
	}
	if err := shown.check(a); err != nil {
		return nil, err
	}
	account, err := p.azure.Account(ctx, a.Storage, identity(a.Blocks) == bySAS)
	if err != nil || account == nil {
		return nil, err
	}
	if !restores {
		azure.WarnOfRegion(ctx, a.Target, shown.Location, a.Storage, *account)
	}
	if account.Properties == nil {
		return nil, nil
	}
	return account, checkStorage(a, *account.Properties)
}

// resource is the HSM as Resource Manager shows it. It is the zero value if Resource Manager does not show the HSM.
type resource struct {
	Location string `json:"location"`
	Identity struct {
		UserAssigned map[string]any `json:"userAssignedIdentities"`
	} `json:"identity"`
	Properties struct {
		State   string `json:"provisioningState"`
		Message string `json:"statusMessage"`
		// Activation is Active, NotActivated, or Unknown while the HSM is provisioned (recorded since 2022-07-01).
		Domain struct {
			Activation string `json:"activationStatus"`
			Message    string `json:"activationStatusMessage"`
		} `json:"securityDomainProperties"`
	} `json:"properties"`
}

// notActivated is the state of an HSM without a security domain.
const notActivated = "NotActivated"

// unfit says that an HSM without a security domain has nothing to back up.
func unfit(f backup.Found) string {
	if strings.EqualFold(f.Activation, notActivated) {
		return "the HSM is not activated"
	}
	return ""
}

func (r resource) check(a backup.Attempt) error {
	state, domain := r.Properties.State, r.Properties.Domain
	switch {
	// An HSM that is not activated is provisioned all the same: its provisioningState is Succeeded (recorded).
	case strings.EqualFold(domain.Activation, notActivated), state == "SecurityDomainRestore":
		return azure.No(a.Target, notActivated, "the HSM is not activated: "+azure.Scrub(cmp.Or(domain.Message, r.Properties.Message)),
			"Activate the HSM. To restore backups of another HSM, upload that HSM's security domain (az keyvault security-domain upload), and "+
				"download none: a download gives this HSM its own for good, and then it restores no such backup. To begin anew, download its "+
				"security domain (az keyvault security-domain download).")
	case state == "": // not shown
		return nil
	case state == "Succeeded", state == "Activated":
	case state == azure.Failed:
		return azure.Broken(a.Target, azure.Scrub(r.Properties.Message))
	default:
		return azure.NotReady(a.Target, "HSMNotReady", "backup", "its provisioningState is "+state+": "+r.Properties.Message, "HSM")
	}
	if identity(a.Blocks) != bySAS && len(r.Identity.UserAssigned) == 0 {
		return azure.No(a.Target, "NoUserIdentity", "it has no user-assigned identity to write the backup with",
			"Associate one with the HSM (az keyvault update-hsm --hsm-name "+name(a.Target)+" --mi-user-assigned ID, the resource ID of the identity), "+
				"and give it the role Storage Blob Data Contributor on the storage account "+a.Storage.AccountName()+".")
	}
	return nil
}

// checkStorage checks that the account's key policy and firewall admit the access that the HSM uses.
func checkStorage(a backup.Attempt, account azure.AccountProperties) error {
	closed := account.HasFirewall()
	const instead = "Set hsm.access: identity in plan.yaml"
	switch {
	case identity(a.Blocks) == bySAS && !account.AdmitsKeys():
		return azure.No(a.Target, "KeyAccessDisabled", fmt.Sprintf("the storage account %s does not admit its access keys "+
			"(allowSharedKeyAccess is false), nor a SAS that is signed with one, and plan.yaml says hsm.access: sas",
			a.Storage.AccountName()), instead+", or allow the account's keys.")
	case identity(a.Blocks) == bySAS && closed:
		return azure.No(a.Target, "FirewallWithSAS", "the storage account "+a.Storage.AccountName()+" has a firewall, and with "+
			"a SAS the HSM needs public network access", instead+", or use an account without.")
	case closed && !account.AdmitsService(a.Target):
		return azure.No(a.Target, "FirewallWithoutTrustedServices", "the storage account "+a.Storage.AccountName()+" has a "+
			"firewall, which does not admit trusted Azure services", azure.HintTrusted)
	}
	return nil
}

// checkMutable refuses the storage to which Managed HSM does not write backups, by Azure's page "Full backup and restore"
// as of 2026-04: accounts with immutability policies. It sees a policy of the account or of the container, and no policy
// of a single blob.
func (p *Provider) checkMutable(ctx context.Context, a backup.Attempt, account azure.Account) error {
	const hint = "Name an account without immutability policies and legal holds in plan.yaml. Copies of the backups may be kept in one " +
		"that has them."
	no := func(what string) error {
		return azure.No(a.Target, "ImmutableStorage", what+", and Managed HSM does not support storage with immutability policies for "+
			"its backups, as Azure's page on its full backups says since April 2026", hint)
	}
	if account.Properties.HasImmutability() {
		return no("the storage account " + a.Storage.AccountName() + " has an immutability policy")
	}
	container, err := p.azure.ContainerSettings(ctx, a.Storage)
	switch {
	case err != nil:
		return err
	case container.HasImmutabilityPolicy:
		return no(azure.Place(a.Storage) + " has an immutability policy")
	case container.HasLegalHold:
		return no(azure.Place(a.Storage) + " is under a legal hold")
	}
	return nil
}

// Prepare makes sure that the container exists, because the HSM requires it, and then has the HSM itself check whether it
// can make the backup.
func (p *Provider) Prepare(ctx context.Context, a backup.Attempt, token string) (backup.Operation, error) {
	if token != "" {
		s, err := p.poll(ctx, preBackup(a), token)
		return s.Operation, err
	}
	if err := p.azure.MakeContainer(ctx, a.Storage); err != nil {
		return backup.Operation{}, err
	}
	s, err := p.start(ctx, preBackup(a))
	return s.Operation, err
}

// preBackup returns the HSM's check as an operation. The check changes nothing, so it may be repeated.
func preBackup(a backup.Attempt) operation {
	asking := checking(a)
	following := asking
	following.Means = azure.Following
	return operation{
		Attempt: a, what: strings.TrimPrefix(asking.What, "ask "), starting: asking, polling: following, permissions: toBackUp,
		begin: func(ctx context.Context, client *hsm.Client, access hsm.SASTokenParameters, token string) (azure.Poller, error) {
			return client.BeginPreFullBackup(ctx, hsm.PreBackupOperationParameters(access),
				&hsm.BeginPreFullBackupOptions{ResumeToken: token})
		},
	}
}
