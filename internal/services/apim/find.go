package apim

import (
	"context"
	"slices"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// Find looks for the blob of a backup whose answer was lost. The blob is the only evidence: API Management takes no
// request ID, and Azure does not document how a running backup shows. Until the service has settled, Find returns a
// fault, because the service may still be working on this backup. Find ignores an empty blob, because the service may
// still be writing it.
func (p *Provider) Find(ctx context.Context, a backup.Attempt) (string, error) {
	t := task{a, backing}
	service, _, err := p.show(ctx, t, inspecting(t))
	if err != nil {
		return "", err
	}
	if state := stateOf(service); state != settledState {
		return "", unsettled(t, state)
	}
	items, err := p.blobsOf(ctx, a)
	if bloberror.HasCode(err, bloberror.ContainerNotFound) {
		return "", nil
	}
	if err != nil {
		return "", azure.Listing(a.Storage).Fault(err)
	}
	newest, found := a.NotBefore.Add(-clockTolerance), ""
	for _, item := range items {
		modified := azure.Deref(item.Properties.LastModified)
		if slices.Contains(a.Torn, *item.Name) {
			continue
		}
		if azure.Deref(item.Properties.ContentLength) > 0 && !modified.Before(newest) {
			newest, found = modified, *item.Name
		}
	}
	return found, nil
}

// Artifacts implements [backup.Lister]: the names of the blobs begin with the hash of the target's ID.
func (p *Provider) Artifacts(ctx context.Context, target string, in backup.Storage) (found []backup.Artifact, err error) {
	all, err := p.azure.Blobs(ctx, in, backup.Partition(target)+"-")
	for _, item := range all {
		if item.Name != nil && item.Properties != nil {
			found = append(found, backup.Artifact{Name: *item.Name, Made: azure.Deref(item.Properties.LastModified)})
		}
	}
	return found, err
}
