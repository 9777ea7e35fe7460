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

// PreflightRestore looks at the HSM and the storage account through Resource Manager, as [Provider.Preflight] does. That the
// account has been given an immutability policy since the backup does not keep the HSM from reading it: the safety backup,
// which is written, has a preflight of its own.
func (p *Provider) PreflightRestore(ctx context.Context, r backup.Restore) error {
	_, err := p.preflight(ctx, backup.Attempt{Target: r.Target, Storage: r.Storage, Blocks: r.Blocks})
	return err
}

// PrepareRestore has the HSM look whether it could restore the folder in full, and changes nothing. Unless the operation
// is Done it is called again with its token. Its errors mean the same as those of [backup.Provider.Prepare].
func (p *Provider) PrepareRestore(ctx context.Context, r backup.Restore, token string) (backup.Operation, error) {
	s, err := p.proof(ctx, r, token)
	return s.operation(), err
}

// FindRestore says that it cannot tell: nothing that an HSM shows tells whether it was restored, or is being restored.
func (p *Provider) FindRestore(_ context.Context, r backup.Restore) (backup.Operation, error) {
	return backup.Operation{}, &backup.Fault{
		Kind: backup.Denied, Code: "Untraceable", Message: "an HSM does not show whether it was asked to " + words(r),
		Hint: "See whether the keys are there (az keyvault key list --hsm-name " + name(r.Target) + "), and whether their versions " +
			"are those of the backup.",
	}
}

// proof begins the HSM's look, or goes on with it.
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

// BeginRestore sends the one request that starts a restore. Deferred, Throttled: it was certainly not started. Refused: it
// never will be. Uncertain: it may have been started, and must not be sent again: a full restore wipes everything.
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

// PollRestore asks once how the restore behind the token is getting on. While a full one runs the HSM may turn us away,
// and afterwards our role may be gone: Denied, Deferred, and no failure of the restore. A warning says what was not
// brought back.
func (p *Provider) PollRestore(ctx context.Context, r backup.Restore, token string) (backup.Operation, error) {
	return p.restore(r, hsm.SASTokenParameters{}, func(o restorer) (status, error) { return o.poll(ctx, token) })
}

// restorer is a restore as an operation, of either kind.
type restorer interface {
	start(ctx context.Context, secret azure.Secret) (status, error)
	poll(ctx context.Context, token string) (status, error)
}

// restore makes the operation, and a step of it.
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

// notOverwritten is in the details of a selective restore that succeeded.
var notOverwritten = regexp.MustCompile(`(?i)could not overwrite:\s*0*[1-9]`)

// warning is what a restore that succeeded says about what it left as it was; "" if nothing.
func warning(details string) string {
	if notOverwritten.MatchString(details) {
		return azure.Scrub(details)
	}
	return ""
}
