package managedhsm

import (
	"context"
	"slices"
	"sort"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// mostInBatch is the largest number of requests that Blob Storage takes in one batch.
const mostInBatch = 256

// Delete removes the files of the backup, if they are still the verified ones, or the rest of them after an interrupted
// deletion. It deletes each blob under the ETag that the list showed, and leaves a person's files in the folder alone. If
// storage keeps one of the blobs, the whole folder stays. With extras, Delete does nothing: a folder of a lost start may appear after the run has taken
// another folder, and nothing proves that it belongs to the run.
func (p *Provider) Delete(ctx context.Context, a backup.Attempt, etag string, extras bool) error {
	if extras {
		return nil
	}
	call := azure.Deleting(a.Storage, a.Artifact)
	if !isFolder(a.Artifact) {
		return azure.NotAnArtifact(a.Artifact, "a folder that a Managed HSM wrote")
	}
	f, err := p.list(ctx, a, true)
	if err != nil {
		return azure.Listing(a.Storage).Fault(err)
	}
	if len(f.Files) > 0 && !f.isRestOf(etag) {
		return azure.Touched(call)
	}
	whole := etag == "" || f.fingerprint() == etag
	if len(a.Files) > 0 {
		whole = len(f.Files) == len(a.Files)
	}
	if kept := f.kept(call); kept != nil {
		return orRefused(kept, whole)
	}
	client, err := p.azure.Container(a.Storage)
	if err != nil {
		return err
	}
	// A policy of the container shows at no blob, and keeps the last written blob for the longest. If that blob can be
	// deleted, all others can, and if it stays, nothing is missing.
	sort.SliceStable(f.Files, func(i, j int) bool { return f.Files[i].Modified.After(f.Files[j].Modified) })
	for i, files := range [][]azure.File{f.Files[:min(1, len(f.Files))], f.Files[min(1, len(f.Files)):]} {
		for files := range slices.Chunk(files, mostInBatch) {
			if err := deleteFiles(ctx, client, files, call); err != nil {
				return orRefused(backup.AsFault(err), whole && i == 0)
			}
		}
	}
	// An account with a hierarchical namespace keeps empty directories, and an account without one has none.
	for _, directory := range append(f.directories, a.Artifact) {
		if f.holdsOthers(directory) {
			continue
		}
		if _, err := client.NewBlobClient(directory).Delete(ctx, nil); err != nil && !bloberror.HasCode(err, bloberror.BlobNotFound) {
			return orRefused(azure.Undeleted(call, err), false)
		}
	}
	return nil
}

// kept returns the fault of a folder if the list shows that storage keeps one of its files, and nil otherwise.
func (f folder) kept(call azure.Call) *backup.Fault {
	var kept *backup.Fault
	for _, file := range f.Files {
		code, why, until := string(bloberror.BlobImmutableDueToPolicy), "", time.Time{}
		switch {
		case file.Held:
			why = "is under a legal hold"
		case file.Leased:
			code, why = string(bloberror.LeaseIDMissing), "is leased"
		case file.Until.After(f.Now):
			why, until = "is kept by an immutability policy until "+file.Until.UTC().Format(time.RFC3339), file.Until
		default:
			continue
		}
		// The folder goes as a whole: the file that storage keeps for the longest, or for an unknown time, keeps all.
		if kept == nil || !kept.Until.IsZero() && (until.IsZero() || until.After(kept.Until)) {
			kept = &backup.Fault{
				Kind: backup.Kept, Code: code, Message: call.What + ": " + file.Name + " " + why, Until: until, Hint: azure.HintKept,
			}
		}
	}
	return kept
}

// orRefused returns the fault of a deletion. For a folder that is no longer whole it turns every fault but Ambiguous into
// Refused, because such a folder cannot be restored.
func orRefused(f *backup.Fault, whole bool) *backup.Fault {
	if whole || f.Kind == backup.Ambiguous {
		return f
	}
	if f.Kind == backup.Kept {
		f.Hint = "A part of it was deleted before. The rest is deleted once nothing keeps it."
	}
	f.Kind, f.Until = backup.Refused, time.Time{}
	return f
}

// deleteFiles deletes files with their snapshots in one request: a single file by itself, several files as a batch.
func deleteFiles(ctx context.Context, client *container.Client, files []azure.File, call azure.Call) error {
	options := func(f azure.File) *blob.DeleteOptions {
		return &blob.DeleteOptions{
			DeleteSnapshots: to.Ptr(blob.DeleteSnapshotsOptionTypeInclude), AccessConditions: azure.IfMatch(f.ETag),
		}
	}
	if len(files) == 1 {
		_, err := client.NewBlobClient(files[0].Name).Delete(ctx, options(files[0]))
		if err != nil && !bloberror.HasCode(err, bloberror.BlobNotFound) {
			return azure.Undeleted(call, err)
		}
		return nil
	}
	batch, err := client.NewBatchBuilder()
	if err != nil {
		return azure.Undeleted(call, err)
	}
	for _, file := range files {
		if err := batch.Delete(file.Name, &container.BatchDeleteOptions{DeleteOptions: *options(file)}); err != nil {
			return azure.Undeleted(call, err)
		}
	}
	answer, err := client.SubmitBatch(ctx, batch, nil)
	if err != nil {
		return azure.Undeleted(call, err)
	}
	for _, item := range answer.Responses {
		if item.Error != nil && !bloberror.HasCode(item.Error, bloberror.BlobNotFound) {
			return azure.Undeleted(call, item.Error)
		}
	}
	return nil
}
