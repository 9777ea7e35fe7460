package ledger

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// Find looks for the share of a backup whose answer was lost. Nothing in a share says which request made it. So there may
// be no more shares than lost requests, and only one whole share. A share is whole if nothing in it has changed for a
// while, by the storage's own clock, and its ledger files join up to the snapshot. A share that stays incomplete does not
// count.
func (p *Provider) Find(ctx context.Context, a backup.Attempt) (string, error) {
	i, err := parse(a.Target, a.Blocks)
	if err != nil {
		return "", err
	}
	if len(a.Lost) == 0 {
		return "", nil
	}
	first := slices.MinFunc(a.Lost, func(v, w backup.Window) int { return v.From.Compare(w.From) })
	files, err := p.files(ctx, a.Storage, backup.Retryable)
	if err != nil {
		return "", err
	}
	found, err := files.shares(ctx, i.name, first.From, time.Time{}, a.Taken)
	if err != nil {
		return "", files.fault(listing(a.Storage), err)
	}
	var whole []share
	for _, s := range found {
		c, err := files.content(ctx, s.name)
		switch {
		case isGone(err):
			continue
		case err != nil:
			return "", files.fault(listing(a.Storage), err)
		}
		written := slices.MaxFunc([]time.Time{c.Newest, s.made}, time.Time.Compare)
		if written.After(c.Now.Add(-quiet(a))) {
			return "", azure.StillWritten(place(a.Storage, s.name), written)
		}
		if i.whole(chainOf(c.Files)) {
			whole = append(whole, s)
		}
	}
	switch {
	case len(whole) > 1 || len(whole) == 1 && len(found) > len(a.Lost):
		return "", &backup.Fault{
			Kind: backup.Refused, Code: "Ambiguous",
			Message: fmt.Sprintf("the storage account %s holds %d shares that were made since the answer was lost, and nothing "+
				"tells which is the run's: %s", a.Storage.AccountName(), len(found), names(found)),
			Hint: "Another program backs up this service into the same account. Give Lifeboat an account of its own, and ask for " +
				"the backup again.",
		}
	case len(whole) == 1:
		return whole[0].name, nil
	}
	return "", p.settled(ctx, i)
}

// settled returns an error while the service says that it is at work on something. It is unknown whether the service ever
// says so: no recorded GET showed a provisioningState.
func (p *Provider) settled(ctx context.Context, i instance) error {
	seen, err := p.look(ctx, i)
	switch state := seen.Provisioning; {
	case azure.LacksRole(err):
		return nil // nothing to be seen
	case err != nil:
		f := azure.Looking(i.id).Fault(err)
		if f.Gone {
			return nil
		}
		f.Kind = backup.Retryable
		return f
	case state != "" && !strings.EqualFold(state, "Succeeded"):
		return &backup.Fault{
			Kind: backup.Retryable, Code: "ServiceNotSettled",
			Message: fmt.Sprintf("%s is at work on something: its provisioningState is %s", i.id, state),
			Hint:    "Lifeboat looks again.",
		}
	}
	return nil
}

// quiet returns the time without a change after which a share counts as whole: two and a half times the time for a folder
// of blobs, five minutes. A ledger's files are few and large.
func quiet(a backup.Attempt) time.Duration { return a.QuietPeriod * 5 / 2 }

// noArtifact returns the fault of a share that is no backup of the run.
func noArtifact(a backup.Attempt, code, what string) *backup.Fault {
	f := azure.NoArtifact(a, code, "")
	f.Message = place(a.Storage, a.Artifact) + " " + what
	return f
}

// Artifacts implements [backup.Lister].
func (p *Provider) Artifacts(ctx context.Context, target string, in backup.Storage) (found []backup.Artifact, err error) {
	i, err := parse(target, "")
	if err != nil {
		return nil, err
	}
	files, err := p.files(ctx, in, backup.Retryable)
	if err != nil {
		return nil, err
	}
	shares, err := files.shares(ctx, i.name, time.Time{}, time.Time{}, nil)
	if err != nil {
		return nil, files.fault(listing(in), err)
	}
	for _, s := range shares {
		found = append(found, backup.Artifact{Name: s.name, Made: s.made})
	}
	return found, nil
}
