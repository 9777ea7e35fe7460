package apim

import (
	"context"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"lifeboat/internal/backup"
)

// Prepare makes sure that the container exists. Azure's documentation has said both that the backup creates a missing
// one and that it must exist.
func (p *Provider) Prepare(ctx context.Context, a backup.Attempt, _ string) (backup.Operation, error) {
	if err := p.azure.MakeContainer(ctx, a.Storage); err != nil {
		return backup.Operation{}, err
	}
	return backup.Operation{Done: true}, nil
}

// artifacts lists the blobs that attempts of the run left; none if there is no such container.
func (p *Provider) artifacts(ctx context.Context, a backup.Attempt) ([]*container.BlobItem, error) {
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

// isArtifact tells whether a blob is named as an attempt of the run names its artifact: "<run>.<attempt>". No other
// blob is ever touched.
func isArtifact(run, name string) bool {
	attempt, ok := strings.CutPrefix(name, run+".")
	return ok && run != "" && attempt != "" && strings.Trim(attempt, "0123456789") == ""
}
