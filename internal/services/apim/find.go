package apim

import (
	"context"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// Find looks for the blob of a backup whose answer was lost. Nothing else tells: API Management takes no request ID,
// and what it shows of a running backup is undocumented. As long as the service has not settled, nothing can be said:
// what is looked for may be what it is working on. An empty blob may be one that is being written, and does not count.
func (p *Provider) Find(ctx context.Context, a backup.Attempt) (string, error) {
	t := task{a, backing}
	client, target, err := p.service(a)
	if err != nil {
		return "", err
	}
	service, err := client.Get(ctx, target.Group, target.Name, nil)
	if err != nil {
		return "", inspecting(t).Fault(err)
	}
	if state := stateOf(service.ServiceResource); state != settledState {
		return "", unsettled(t, state)
	}
	items, err := p.artifacts(ctx, a)
	if azure.Is(err, bloberror.ContainerNotFound) {
		return "", nil
	}
	if err != nil {
		return "", azure.Listing(a.Storage).Fault(err)
	}
	newest, found := a.NotBefore.Add(-clockTolerance), ""
	for _, item := range items {
		modified := azure.Deref(item.Properties.LastModified)
		if azure.Deref(item.Properties.ContentLength) > 0 && !modified.Before(newest) {
			newest, found = modified, *item.Name
		}
	}
	return found, nil
}
