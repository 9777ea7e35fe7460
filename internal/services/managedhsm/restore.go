package managedhsm

import (
	"context"
	"fmt"
	"strings"

	hsm "github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azadmin/backup"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
	"lifeboat/internal/pattern"
)

var _ backup.Restorer = (*Provider)(nil)

// PreflightRestore checks the HSM and the storage account through Resource Manager, as [Provider.Preflight] does. It does
// not refuse an account with an immutability policy since the backup: the policy does not keep the HSM from reading the
// account. The safety backup writes to its storage, and has a preflight of its own.
func (p *Provider) PreflightRestore(ctx context.Context, r backup.Restore) error {
	if _, err := p.preflight(ctx, r.ProviderAttempt(""), true); err != nil {
		return err
	}
	if r.Kind == backup.RestoreFull {
		backup.Warn(ctx, backup.Refuse("RolesReplaced", "An administrator of the HSM gives them back afterwards: "+grants(r.Target),
			"the restore replaces all role assignments of %s by the backup's: this app may lose its own", r.Target))
	}
	return nil
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
	s, err := p.start(ctx, restore(r))
	return restored(r, s, err)
}

// PollRestore asks once for the state of the restore behind the token. While a full restore runs, the HSM may refuse the
// app, and afterwards the app's role may be gone. Then the fault is Retryable or Unobservable, and no failure of the restore.
// The operation's warning says what the HSM did not bring back.
func (p *Provider) PollRestore(ctx context.Context, r backup.Restore, token string) (backup.Operation, error) {
	s, err := p.poll(ctx, restore(r), token)
	return restored(r, s, err)
}

// restored reads the counts of key versions in the details of a restore that is done. If it left some as they were, that is a warning;
// if it restored none, it has failed, whatever the HSM calls it. A full restore warns of the roles that the app may have lost.
func restored(r backup.Restore, s status, err error) (backup.Operation, error) {
	switch {
	case err == nil && s.Done && r.Kind == backup.RestoreKey && noneRestored.MatchString(s.said.Details):
		return backup.Operation{}, nothing(r, &backup.Fault{Message: "could not " + words(r) + ": " + azure.Scrub(s.said.Details)})
	case err == nil && s.Done:
		var warnings []string
		if notOverwritten.MatchString(s.said.Details) {
			s.Partly, warnings = true, append(warnings, azure.Scrub(s.said.Details))
		}
		if r.Kind == backup.RestoreFull {
			warnings = append(warnings, "all role assignments are the backup's now. If this app has lost its own, an administrator of the HSM "+
				"gives them back: "+grants(r.Target))
		}
		s.Warning = strings.Join(warnings, "; ")
	case err != nil && r.Kind == backup.RestoreKey:
		f := backup.AsFault(err)
		switch said := s.said.Details; {
		case f.Kind != backup.Refused:
		case noneRestored.MatchString(said):
			return s.Operation, nothing(r, f)
		case strings.EqualFold(said, "ResourceNotFound"):
			// Before the request the HSM has read the whole folder, for its own check. No recording shows the restore of a missing key.
			f.Code, f.Hint = backup.CodeKeyNotInBackup, "Probably the backup has no key "+r.Key+": it has another name, or was made after the backup, or "+
				"had been deleted before. Choose another recovery point. Or the HSM no longer reads the folder. "+f.Hint
			return s.Operation, f
		}
	}
	return s.Operation, err
}

// nothing is the fault of a restore of a key that restored no version of it.
func nothing(r backup.Restore, f *backup.Fault) *backup.Fault {
	f.Kind, f.Code = backup.Refused, backup.CodeNothingRestored
	f.Hint = "No version of the key " + r.Key + " was restored. Either it is there, or deleted and not purged: recover it (az keyvault key " +
		"recover), or delete and purge it; then ask again, under another ID. Or the backup has no such key: choose another recovery point."
	return f
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

var (
	// notOverwritten matches the details of a selective restore that left some key versions as they were.
	notOverwritten = pattern.New(`(?i)could not overwrite:\s*0*[1-9]`)
	// noneRestored matches the details of one that restored no key version.
	noneRestored = pattern.New(`(?i)key versions restored:\s*0+\b`)
)
