package apim

import (
	"context"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"lifeboat/internal/backup"
)

// Prepare makes sure that the container exists. Azure's documentation has said both that the backup creates a missing
// container and that the container must exist.
func (p *Provider) Prepare(ctx context.Context, a backup.Attempt, _ string) (backup.Operation, error) {
	if err := p.azure.MakeContainer(ctx, a.Storage); err != nil {
		return backup.Operation{}, err
	}
	return backup.Operation{Done: true}, nil
}

// blobsOf lists the blobs that attempts of the run left. It returns storage's error if there is no such container.
func (p *Provider) blobsOf(ctx context.Context, a backup.Attempt) ([]*container.BlobItem, error) {
	client, err := p.azure.Container(a.Storage)
	if err != nil {
		return nil, err
	}
	var found []*container.BlobItem
	prefix := a.Run + "."
	for pages := client.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Prefix: &prefix}); pages.More(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, item := range page.Segment.BlobItems {
			if item.Name != nil && item.Properties != nil && isArtifact(a.Run, *item.Name) {
				found = append(found, item)
			}
		}
	}
	return found, nil
}

// isArtifact reports whether the name is the name of an artifact of the run: "<run>.<attempt>". This package touches no
// other blob.
func isArtifact(run, name string) bool {
	attempt, ok := strings.CutPrefix(name, run+".")
	return ok && run != "" && attempt != "" && strings.Trim(attempt, "0123456789") == ""
}
