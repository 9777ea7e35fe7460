package ledger

import (
	"context"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// Delete removes the share with its snapshots, if its files are still the verified files. With extras, Delete does
// nothing: a share of a lost start may appear after the run has taken another share, and nothing proves that it belongs
// to the run. Poll removes the share of a backup whose SAS has expired.
func (p *Provider) Delete(ctx context.Context, a backup.Attempt, etag string, extras bool) error {
	if extras {
		return nil
	}
	i, err := parse(a.Target, a.Blocks)
	if err != nil {
		return err
	}
	if !isShare(i.name, a.Artifact) {
		return azure.NotAnArtifact(a.Artifact, "a share that holds a backup of "+i.name)
	}
	files, err := p.files(ctx, a.Storage, backup.Unobservable)
	if err != nil {
		return err
	}
	c, err := files.content(ctx, a.Artifact)
	switch {
	case isGone(err):
		return nil
	case err != nil:
		return files.fault(deleting(a.Storage, a.Artifact), err)
	case etag != "" && c.fingerprint() != etag:
		return azure.Touched(deleting(a.Storage, a.Artifact))
	}
	if err := files.delete(ctx, a.Artifact); err != nil {
		return files.key.Strip(azure.Undeleted(deleting(a.Storage, a.Artifact), err))
	}
	return nil
}
