package managedhsm

import (
	"context"
	"fmt"
	"regexp"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	hsm "github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azadmin/backup"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

var _ backup.Restorer = (*Provider)(nil)

// PreflightRestore checks the HSM and the storage account through Resource Manager, as [Provider.Preflight] does. It does
// not refuse an account with an immutability policy since the backup: the policy does not keep the HSM from reading the
// account. The safety backup writes to its storage, and has a preflight of its own.
func (p *Provider) PreflightRestore(ctx context.Context, r backup.Restore) error {
	_, err := p.preflight(ctx, backup.Attempt{Target: r.Target, Storage: r.Storage, Blocks: r.Blocks})
	return err
}

// PrepareRestore has the HSM check whether it could restore the folder in full, and changes nothing. The caller calls
// again with the operation's token until the operation is Done. The errors mean the same as those of
// [backup.Provider.Prepare].
func (p *Provider) PrepareRestore(ctx context.Context, r backup.Restore, token string) (backup.Operation, error) {
	s, err := p.proof(ctx, r, token)
	return s.operation(), err
}

// FindRestore always returns a fault: an HSM does not show whether it was restored, or is being restored.
func (p *Provider) FindRestore(_ context.Context, r backup.Restore) (backup.Operation, error) {
	return backup.Operation{}, &backup.Fault{
		Kind: backup.Denied, Code: "Untraceable", Message: "an HSM does not show whether it was asked to " + words(r),
		Hint: "See whether the keys are there (az keyvault key list --hsm-name " + name(r.Target) + "), and whether their versions " +
			"are those of the backup.",
	}
}

// proof begins the HSM's check, or continues it.
func (p *Provider) proof(ctx context.Context, r backup.Restore, token string) (status, error) {
	departure := &azure.Departure{}
	client, err := p.client(r.Target, departure)
	if err != nil {
		return status{}, err
	}
	asking := proving(r.Artifact, r.Target, r.Storage, identity(r.Blocks))
	parameters := hsm.PreRestoreOperationParameters{FolderToRestore: to.Ptr(r.Artifact)}
	o := operation[hsm.PreFullRestoreResponse]{
		what: asking.What, starting: asking, polling: asking, departure: departure,
		begin: func(ctx context.Context, token string) (poller[hsm.PreFullRestoreResponse], error) {
			return client.BeginPreFullRestore(ctx, parameters, &hsm.BeginPreFullRestoreOptions{ResumeToken: token})
		},
	}
	if token != "" {
		return o.poll(ctx, token)
	}
	access, secret, err := p.access(ctx, r.Storage, identity(r.Blocks), toRestore)
	if err != nil {
		return status{}, err
	}
	parameters.SASTokenParameters = &access
	return o.start(ctx, secret)
}

// BeginRestore sends the one request that starts a restore. Deferred and Throttled mean that the restore was certainly
// not started, and Refused means that it never will be. Uncertain means that it may have been started; the caller must
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
	access, secret, err := p.access(ctx, r.Storage, identity(r.Blocks), toRestore)
	if err != nil {
		return backup.Operation{}, err
	}
	return p.restore(r, access, func(o restorer) (status, error) { return o.start(ctx, secret) })
}

// PollRestore asks once for the state of the restore behind the token. While a full restore runs, the HSM may refuse the
// app, and afterwards the app's role may be gone. Then the fault is Deferred or Denied, and no failure of the restore.
// The operation's warning says what the HSM did not bring back.
func (p *Provider) PollRestore(ctx context.Context, r backup.Restore, token string) (backup.Operation, error) {
	return p.restore(r, hsm.SASTokenParameters{}, func(o restorer) (status, error) { return o.poll(ctx, token) })
}

// restorer is a restore as an operation, for either kind of restore.
type restorer interface {
	start(ctx context.Context, secret azure.Secret) (status, error)
	poll(ctx context.Context, token string) (status, error)
}

// restore makes the operation, and runs one step of it.
func (p *Provider) restore(r backup.Restore, access hsm.SASTokenParameters, step func(restorer) (status, error)) (
	backup.Operation, error,
) {
	departure := &azure.Departure{}
	client, err := p.client(r.Target, departure)
	if err != nil {
		return backup.Operation{}, err
	}
	var o restorer
	if r.Kind == backup.RestoreKey {
		o = operation[hsm.SelectiveKeyRestoreResponse]{
			what: words(r), starting: restoring(r), polling: awaiting(r), departure: departure,
			begin: func(ctx context.Context, token string) (poller[hsm.SelectiveKeyRestoreResponse], error) {
				return client.BeginSelectiveKeyRestore(ctx, r.Key, hsm.SelectiveKeyRestoreOperationParameters{
					Folder: to.Ptr(r.Artifact), SASTokenParameters: &access,
				}, &hsm.BeginSelectiveKeyRestoreOptions{ResumeToken: token})
			},
		}
	} else {
		o = operation[hsm.FullRestoreResponse]{
			what: words(r), starting: restoring(r), polling: awaiting(r), departure: departure,
			begin: func(ctx context.Context, token string) (poller[hsm.FullRestoreResponse], error) {
				return client.BeginFullRestore(ctx, hsm.RestoreOperationParameters{
					FolderToRestore: to.Ptr(r.Artifact), SASTokenParameters: &access,
				}, &hsm.BeginFullRestoreOptions{ResumeToken: token})
			},
		}
	}
	s, err := step(o)
	if err != nil {
		return backup.Operation{}, err
	}
	result := s.operation()
	if s.done {
		result.Warning = warning(s.said.Details)
	}
	return result, nil
}

// notOverwritten matches the details of a selective restore that succeeded and left some key versions as they were.
var notOverwritten = regexp.MustCompile(`(?i)could not overwrite:\s*0*[1-9]`)

// warning returns the details of a restore that succeeded if they say what it left as it was, and "" otherwise.
func warning(details string) string {
	if notOverwritten.MatchString(details) {
		return azure.Scrub(details)
	}
	return ""
}
