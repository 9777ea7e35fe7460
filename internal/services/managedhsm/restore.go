package managedhsm

import (
	"context"
	"fmt"
	"regexp"

	hsm "github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azadmin/backup"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

var _ backup.Restorer = (*Provider)(nil)

// PreflightRestore checks the HSM and the storage account through Resource Manager, as [Provider.Preflight] does. It does
// not refuse an account with an immutability policy since the backup: the policy does not keep the HSM from reading the
// account. The safety backup writes to its storage, and has a preflight of its own.
func (p *Provider) PreflightRestore(ctx context.Context, r backup.Restore) error {
	_, err := p.preflight(ctx, r.ProviderAttempt(""), true)
	return err
}

// PrepareRestore has the HSM check whether it could restore the folder in full, and changes nothing. The caller calls
// again with the operation's token until the operation is Done. The errors mean the same as those of
// [backup.Provider.Prepare].
func (p *Provider) PrepareRestore(ctx context.Context, r backup.Restore, token string) (backup.Operation, error) {
	s, err := p.proof(ctx, r.ProviderAttempt(""), token)
	return s.Operation, err
}

// proof begins the HSM's check, or continues it.
func (p *Provider) proof(ctx context.Context, a backup.Attempt, token string) (status, error) {
	asking := proving(a)
	o := operation{
		Attempt: a, what: asking.What, starting: asking, polling: asking, permissions: toRestore,
		begin: func(ctx context.Context, client *hsm.Client, access hsm.SASTokenParameters, token string) (azure.Poller, error) {
			return client.BeginPreFullRestore(ctx, hsm.PreRestoreOperationParameters{
				FolderToRestore: &a.Artifact, SASTokenParameters: &access,
			}, &hsm.BeginPreFullRestoreOptions{ResumeToken: token})
		},
	}
	if token != "" {
		return p.poll(ctx, o, token)
	}
	return p.start(ctx, o)
}

// BeginRestore sends the one request that starts a restore. Retryable and Throttled mean that the restore was certainly
// not started, and Refused means that it never will be. Ambiguous means that it may have been started; the caller must
// not send the request again, because a full restore wipes everything.
func (p *Provider) BeginRestore(ctx context.Context, r backup.Restore) (backup.Operation, error) {
	if !isFolder(r.Artifact) || (r.Kind == backup.RestoreKey) == (r.Key == "") ||
		r.Kind != backup.RestoreKey && r.Kind != backup.RestoreFull {
		return backup.Operation{}, &backup.Fault{
			Kind: backup.Refused, Code: "InvalidRestore",
			Message: fmt.Sprintf("%q with the key %q from %q is no restore of a Managed HSM", r.Kind, r.Key, r.Artifact),
			Hint:    "Nothing was done. Name a recovery point of an HSM, and a key if only that is to be restored.",
		}
	}
	return restored(p.start(ctx, restore(r)))
}

// PollRestore asks once for the state of the restore behind the token. While a full restore runs, the HSM may refuse the
// app, and afterwards the app's role may be gone. Then the fault is Retryable or Unobservable, and no failure of the restore.
// The operation's warning says what the HSM did not bring back.
func (p *Provider) PollRestore(ctx context.Context, r backup.Restore, token string) (backup.Operation, error) {
	return restored(p.poll(ctx, restore(r), token))
}

// restored warns of a restore that has succeeded if its details say what it left as it was.
func restored(s status, err error) (backup.Operation, error) {
	if s.Done && notOverwritten.MatchString(s.said.Details) {
		s.Warning = azure.Scrub(s.said.Details)
	}
	return s.Operation, err
}

// restore returns a restore of either kind as an operation.
func restore(r backup.Restore) operation {
	o := operation{
		Attempt: r.ProviderAttempt(""), what: words(r), starting: restoring(r), polling: awaiting(r), permissions: toRestore,
		begin: func(ctx context.Context, client *hsm.Client, access hsm.SASTokenParameters, token string) (azure.Poller, error) {
			return client.BeginFullRestore(ctx, hsm.RestoreOperationParameters{
				FolderToRestore: &r.Artifact, SASTokenParameters: &access,
			}, &hsm.BeginFullRestoreOptions{ResumeToken: token})
		},
	}
	if r.Kind == backup.RestoreKey {
		o.begin = func(ctx context.Context, client *hsm.Client, access hsm.SASTokenParameters, token string) (azure.Poller, error) {
			return client.BeginSelectiveKeyRestore(ctx, r.Key, hsm.SelectiveKeyRestoreOperationParameters{
				Folder: &r.Artifact, SASTokenParameters: &access,
			}, &hsm.BeginSelectiveKeyRestoreOptions{ResumeToken: token})
		}
	}
	return o
}

// notOverwritten matches the details of a selective restore that succeeded and left some key versions as they were.
var notOverwritten = regexp.MustCompile(`(?i)could not overwrite:\s*0*[1-9]`)
