package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

var _ backup.Restorer = (*Provider)(nil)

// PreflightRestore checks whether the restore can be made: it checks the share and the name, and that the original is
// gone.
func (p *Provider) PreflightRestore(ctx context.Context, r backup.Restore) error {
	_, _, err := p.restorable(ctx, r)
	return err
}

// PrepareRestore checks the same as PreflightRestore: neither service offers a check of its own.
func (p *Provider) PrepareRestore(ctx context.Context, r backup.Restore, _ string) (backup.Operation, error) {
	err := p.PreflightRestore(ctx, r)
	return backup.Operation{Done: err == nil}, err
}

// restorable refuses a restore that can never succeed, or would overwrite something.
func (p *Provider) restorable(ctx context.Context, r backup.Restore) (instance, *files, error) {
	i, err := parse(r.Target, r.Blocks)
	if err != nil {
		return i, nil, err
	}
	if err := acceptable(i, r); err != nil {
		return i, nil, err
	}
	files, err := p.files(ctx, r.Storage, backup.Refused)
	if err != nil {
		return i, nil, err
	}
	c, err := files.content(ctx, r.Artifact)
	switch {
	case isGone(err):
		return i, nil, no(i, r, "ArtifactMissing", place(r.Storage, r.Artifact)+" does not exist",
			"If the account keeps deleted shares, restore it in the Azure portal.")
	case err != nil:
		return i, nil, files.fault(reading(r.Storage, r.Artifact), err)
	}
	if err := whole(i, r, c); err != nil {
		return i, nil, err
	}
	switch _, err := p.look(ctx, i); {
	case err == nil:
		return i, nil, no(i, r, "OriginalExists", "it still exists, and Azure can restore it only after its deletion",
			"Delete it if you want to replace it: you lose the changes since the backup.")
	case !absent(err):
		return i, nil, azure.Looking(i.id).Fault(err)
	}
	return i, files, nil
}

// BeginRestore sends the one request that makes the service again from a share. Retryable and Throttled mean that the
// restore was certainly not started, and Refused means that it never will be. Ambiguous means that it may have been
// started; FindRestore finds that out.
func (p *Provider) BeginRestore(ctx context.Context, r backup.Restore) (backup.Operation, error) {
	i, files, err := p.restorable(ctx, r)
	if err != nil {
		return backup.Operation{}, err
	}
	access, secret, err := files.sas()
	if err != nil {
		return backup.Operation{}, err
	}
	body := request{URI: access.Reveal(), RestoreRegion: r.Region, FileShareName: r.Artifact}
	s, err := p.restore(i, r, body).start(ctx, token{}, secret)
	if err != nil {
		return backup.Operation{}, err
	}
	return p.made(ctx, i, s)
}

// PollRestore asks once for the state of the restore behind the token. The restore is done when the operation has ended
// well and the resource exists and shows nothing to the contrary.
func (p *Provider) PollRestore(ctx context.Context, r backup.Restore, saved string) (backup.Operation, error) {
	i, err := parse(r.Target, r.Blocks)
	if err != nil {
		return backup.Operation{}, err
	}
	var t token
	if json.Unmarshal([]byte(saved), &t) == nil && t.Follow {
		return p.made(ctx, i, status{token: t, done: true})
	}
	s, err := p.restore(i, r, request{}).poll(ctx, saved)
	if err != nil {
		return backup.Operation{}, err
	}
	return p.made(ctx, i, s)
}

// FindRestore finds the state of a restore whose answer was lost. Since the original was gone, an existing resource comes
// from the restore. While the resource says that it is not ready, the operation has a token that follows it. Otherwise
// the operation is Done, with a warning if the resource shows no state at all. Without a resource, the operation has no
// token and is not Done, as if the restore was never started: Azure may show a resource only at the end.
func (p *Provider) FindRestore(ctx context.Context, r backup.Restore) (backup.Operation, error) {
	i, err := parse(r.Target, r.Blocks)
	if err != nil {
		return backup.Operation{}, err
	}
	o, err := p.made(ctx, i, status{token: token{Lost: true}, done: true})
	if f := backup.AsFault(err); f != nil && f.Code == codeAbsent {
		return backup.Operation{}, nil
	}
	return o, err
}

// codeAbsent says that the resource does not exist.
const codeAbsent = "NotThere"

// noState is the warning of a restore if Azure shows the resource but not the end of the restore.
const noState = "the answer to the request that starts the restore was lost, and Azure shows that the resource is there but not " +
	"whether its restore has ended, and how: see that the application answers before anything relies on it"

// made compares the resource with an operation that has ended well, or with a lost operation. It follows the resource as
// long as the resource says that it is not ready. Azure answers a GET without any state. Then the presence of the
// resource proves the result of an operation that has ended well, and only the start of a lost operation. A lost
// operation is done if the resource says that it runs, and done with a warning if the resource shows no state at all. It
// was not yet recorded what GET answers while a resource is being made.
func (p *Provider) made(ctx context.Context, i instance, s status) (backup.Operation, error) {
	if !s.done {
		return s.operation(), nil
	}
	seen, err := p.look(ctx, i)
	if absent(err) {
		return backup.Operation{}, &backup.Fault{
			Kind: backup.Unobservable, Gone: true, Code: codeAbsent, Message: i.id + " does not exist, although it was to be restored",
			Hint: "See the resource group's activity log in the Azure portal.",
		}
	}
	if err != nil {
		f := azure.Looking(i.id).Fault(err)
		if f.Kind == backup.Refused {
			f.Kind = backup.Unobservable
		}
		return backup.Operation{}, f
	}
	state, lost := strings.ToLower(seen.Provisioning), s.token.Lost
	end := azure.End(state)
	switch {
	case isFailure(end):
		return backup.Operation{}, &backup.Fault{
			Kind: backup.Refused, Code: "Provisioning" + end,
			Message: fmt.Sprintf("restore %s: its provisioningState is %s", i.id, seen.Provisioning),
			Hint:    "See the resource group's activity log in the Azure portal. Delete the resource before another restore.",
		}
	case state == "succeeded", state == "" && (!lost || strings.EqualFold(seen.Running, "Active")):
		return backup.Operation{Done: true}, nil
	case state == "" && seen.Running == "":
		return backup.Operation{Done: true, Warning: noState}, nil
	default:
		return backup.Operation{Token: token{Follow: true, Lost: lost}.text(), RetryAfter: s.after}, nil
	}
}

// restore returns the restore as an operation.
func (p *Provider) restore(i instance, r backup.Restore, body request) operation {
	return operation{azure.Operation{
		Starting: restoring(i, r.Artifact), Polling: awaiting(i, r.Artifact), Begin: begin[restored](p, i, "restore", body),
	}, "restore " + i.id + " from " + r.Artifact}
}

// acceptable refuses a restore that can never succeed, before Azure is asked anything.
func acceptable(i instance, r backup.Restore) error {
	const nothing = "Nothing was done. "
	switch {
	case i.exports:
		return no(i, r, "OneWay", oneWay, nothing+"Read the files with CCF's own tools.")
	case r.Kind != backup.RestoreFull || r.Key != "":
		return no(i, r, "InvalidRestore", "Azure restores only the whole service", nothing)
	case !isShare(i.name, r.Artifact):
		return no(i, r, "NameDiffers", fmt.Sprintf("%s is no backup of it, and Azure restores only under the name that was backed up",
			r.Artifact), nothing+"Restore into a resource of the name that the share begins with.")
	case r.Region == "":
		return no(i, r, "NoRegion", "the region to restore it in is not given, and Azure wants one",
			nothing+"Set ccf.restoreRegion in plan.yaml.")
	}
	return nil
}

// whole refuses a share that Azure would refuse.
func whole(i instance, r backup.Restore, c content) error {
	chain := chainOf(c.Files)
	switch {
	case c.Size == 0:
		return no(i, r, "ArtifactEmpty", place(r.Storage, r.Artifact)+" is empty", "Restore from another recovery point.")
	case c.Now.Sub(c.Oldest) > restorable:
		return no(i, r, "BackupExpired", fmt.Sprintf("its files are from %s, and Azure restores none older than %d days",
			c.Oldest.UTC().Format(time.RFC3339), int(restorable.Hours()/24)), "Restore from a newer recovery point.")
	case chain.hole != "":
		return no(i, r, "LedgerIncomplete", place(r.Storage, r.Artifact)+" lacks "+chain.hole, "Restore from another recovery point.")
	}
	return nil
}

// no returns the fault of a restore that cannot succeed.
func no(i instance, r backup.Restore, code, why, hint string) *backup.Fault {
	return azure.Cannot(i.id, "restored from "+r.Artifact, code, why, strings.TrimSpace(hint))
}
