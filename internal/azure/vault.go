package azure

import (
	"context"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"lifeboat/internal/backup"
)

// A vault is a container, or an account, with an immutability policy: for some days no blob there can be changed or deleted. The app's role
// there may add blobs and delete none: so a rule of the vault deletes old ones, and not the app.

// day is a day of a policy.
const day = 24 * time.Hour

// The rule of infra/vault.bicep deletes a blob a month after its creation, or at the end of the policy if that is later. Azure runs such rules
// once a day, and a new one has an effect within a day or two (Azure's documentation of lifecycle management). After the slack something is
// wrong with the rule, or there is none.
const (
	ruleDays  = 31
	ruleSlack = 7 * day
)

// The codes of what the app may not delete in a vault: its policy or its rule still has time, or neither has deleted it, or a person holds it.
const (
	CodeKeptByVault = "KeptByVault"
	CodeNoRule      = "VaultWithoutRule"
	CodeHeldInVault = "LegalHold"
)

const (
	hintRule = "In a vault you need not act: a rule of lifecycle management should delete it, and Lifeboat tells you if none does. Until then it " +
		"can be restored as before."
	hintNoRule = "In a vault the app may not delete, and should not. Give the account a rule of lifecycle management, as infra/vault.bicep " +
		"makes one, or delete the blob yourself."
	// hintNoVault is for a place that is no vault by the plan of that backup: a plan may say so later.
	hintNoVault = " If the account is no vault, the app has lost the role that deletes: give it Storage Blob Data Contributor again."
	hintHeld    = "It is kept, and can be restored as before. If it is no longer needed, end the legal hold in the Azure portal: then a rule of the " +
		"account may delete it, or you."
	hintUnseen = "You need not act: Lifeboat looks again."
)

// InVault makes the fault of a refused deletion say until when a policy keeps the blob, and whether the app may delete it at all. It tells
// whether the blob is gone. The fault stays as it is if the app sees no policy, and may pass if Azure did not say whether there is one.
func (c Client) InVault(ctx context.Context, s backup.Storage, artifact *blob.Client, f *backup.Fault, refused error) (gone bool) {
	denied := LacksRole(refused) && !ShutOut(refused)
	if !denied && f.Kind != backup.Kept {
		return false
	}
	shown, err := artifact.GetProperties(ctx, nil)
	if bloberror.HasCode(err, bloberror.BlobNotFound) {
		return true // storage looks for the role, or the ETag, before the blob
	}
	made, until, held := Deref(shown.CreationTime), Deref(shown.ImmutabilityPolicyExpiresOn), Deref(shown.LegalHold)
	var settings ContainerSettings
	if err == nil && until.IsZero() && !held && !bloberror.HasCode(refused, bloberror.LeaseIDMissing) { // the properties of a blob do not show a policy of its container
		settings, err = c.containerSettings(ctx, s)
		if days := settings.Policy.Properties.Days; settings.HasImmutabilityPolicy && days > 0 && !made.IsZero() {
			until = made.Add(time.Duration(days) * day)
		}
		held = settings.HasLegalHold
	}
	if err != nil && !HasStatus(err, http.StatusForbidden, http.StatusNotFound) {
		unseen := Call{What: "Lifeboat could not look whether a policy keeps it", Means: Before, Hint: func(int, string, string) string { return hintUnseen }}.Fault(err)
		f.Kind, f.RetryAfter, f.Hint = backup.Retryable, unseen.RetryAfter, hintUnseen
		f.Message += " " + unseen.Message
		return false
	}
	advise := func(hint string) string {
		if s.Vault {
			return hint
		}
		return hint + hintNoVault
	}
	end := until.UTC().Format(time.RFC3339)
	switch now := Deref(shown.Date); { // by storage's clock
	case !denied:
		if f.Until = until; !until.IsZero() {
			f.Message += " Its immutability policy lasts until " + end + "."
		}
		if held {
			f.Message += " It is under a legal hold."
			f.Until = time.Time{} // storage does not say when a legal hold ends
		}
	case held:
		f.Kind, f.Code, f.Hint = backup.Kept, CodeHeldInVault, hintHeld
		f.Message = "It is under a legal hold in the account " + s.AccountName() + ", and the app may not delete there."
	case until.IsZero() && !settings.HasImmutabilityPolicy && (err != nil || !s.Vault): // nothing says that it is one
	case until.IsZero():
		f.Hint = advise(hintNoRule)
	case now.After(later(until, made.Add(ruleDays*day)).Add(ruleSlack)):
		f.Code, f.Hint = CodeNoRule, advise(hintNoRule)
	default:
		f.Kind, f.Code, f.Until, f.Hint = backup.Kept, CodeKeptByVault, until, advise(hintRule)
		keeps := "keeps"
		if now.After(until) {
			keeps = "kept"
		}
		f.Message = "An immutability policy of the account " + s.AccountName() + " " + keeps + " it until " + end + ", and the app may not delete there."
	}
	return false
}

// WarnOfNoVault warns if nothing keeps the blobs of a container that is a vault by the plan. The app sees the account.
func (c Client) WarnOfNoVault(ctx context.Context, target string, s backup.Storage, account Account) error {
	if !s.Vault || account.Properties != nil && account.Properties.HasImmutability() {
		return nil
	}
	settings, err := c.ContainerSettings(ctx, s)
	if err == nil && !settings.HasImmutabilityPolicy {
		backup.Warn(ctx, backup.Refuse("NoVault", "Make the container by infra/vault.bicep, or take vault out of plan.yaml.",
			"%s is to be backed up into a vault, and %s has no immutability policy: its backups can be deleted", target, Place(s)))
	}
	return err
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// hasContainer tells whether the container is there, for an identity that may make none.
func hasContainer(ctx context.Context, client *container.Client) bool {
	_, err := client.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{MaxResults: to.Ptr[int32](1)}).NextPage(ctx)
	return err == nil
}
