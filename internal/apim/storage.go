package apim

import (
	"context"
	"net/url"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"lifeboat/internal/backup"
)

// managementHost is Resource Manager in the public cloud.
const managementHost = "management.azure.com"

// blobHost is the Blob service of the account in the public cloud.
func blobHost(s backup.Storage) string { return s.AccountName() + ".blob.core.windows.net" }

// container is the client of the container that the run's artifacts are in.
func (p *Provider) container(a backup.Attempt) (*container.Client, error) {
	if _, err := backup.ParseResource(a.Storage.Account); err != nil {
		return nil, invalid("InvalidStorage", a.Storage.Account, "a storage account", err)
	}
	address := "https://" + blobHost(a.Storage) + "/" + url.PathEscape(a.Storage.Container)
	client, err := container.NewClient(address, p.cred, &container.ClientOptions{ClientOptions: p.opts})
	if err != nil {
		return nil, invalid("InvalidStorage", a.Storage.Account, "a storage account", err)
	}
	return client, nil
}

// createContainer makes sure that the container exists. Azure's documentation has said both that the backup creates a
// missing one and that it must exist.
func (p *Provider) createContainer(ctx context.Context, a backup.Attempt) error {
	client, err := p.container(a)
	if err != nil {
		return err
	}
	if _, err := client.Create(ctx, nil); err != nil && !is(err, bloberror.ContainerAlreadyExists) {
		return interpretError(creating, a, err)
	}
	return nil
}

// artifacts lists the blobs that attempts of the run left; none if there is no such container.
func (p *Provider) artifacts(ctx context.Context, a backup.Attempt) ([]*container.BlobItem, error) {
	client, err := p.container(a)
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
