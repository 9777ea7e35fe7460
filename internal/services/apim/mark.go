package apim

import (
	"context"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/apimanagement/armapimanagement/v3"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// Marker is the [backup.Marker] of API Management: a mark is an API without operations, at a path of its own name.
type Marker struct{ azure azure.Client }

var _ backup.Marker = Marker{}

// showVersion is the api-version by which the service shows its state: since 2022-08-01 provisioningState tells of changes (recorded).
const showVersion = "2024-05-01"

// NewMarker makes a Marker that acts with the identity of the client.
func NewMarker(client azure.Client) Marker { return Marker{client} }

// Marks returns the names of the APIs that begin with the prefix.
func (m Marker) Marks(ctx context.Context, target, prefix string) ([]string, error) {
	apis, r, err := m.apis(target)
	if err != nil {
		return nil, err
	}
	var names []string
	for pages := apis.NewListByServicePager(r.Group, r.Name, nil); pages.More(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, marking("list the APIs of", target).Fault(err)
		}
		for _, api := range page.Value {
			if api != nil && strings.HasPrefix(azure.Deref(api.Name), prefix) {
				names = append(names, azure.Deref(api.Name))
			}
		}
	}
	return names, nil
}

// Mark begins to make the API.
func (m Marker) Mark(ctx context.Context, target, name string) error {
	apis, r, err := m.apis(target)
	if err != nil {
		return err
	}
	_, err = apis.BeginCreateOrUpdate(ctx, r.Group, r.Name, name, armapimanagement.APICreateOrUpdateParameter{
		Properties: &armapimanagement.APICreateOrUpdateProperties{
			DisplayName: to.Ptr(name), Path: to.Ptr(name), Protocols: []*armapimanagement.Protocol{to.Ptr(armapimanagement.ProtocolHTTPS)},
			Description: to.Ptr("lifeboat prove made it, and removes it."),
		},
	}, nil)
	if err != nil {
		return marking("make an API in", target).Fault(err)
	}
	return nil
}

// Unmark begins to remove the API.
func (m Marker) Unmark(ctx context.Context, target, name string) error {
	apis, r, err := m.apis(target)
	if err != nil {
		return err
	}
	if _, err = apis.BeginDelete(ctx, r.Group, r.Name, name, "*", nil); err == nil {
		return nil
	}
	if f := marking("remove an API of", target).Fault(err); !f.Gone {
		return f
	}
	return nil
}

// Shown returns the state and the tier of the service.
func (m Marker) Shown(ctx context.Context, target string) (backup.Shown, error) {
	return m.azure.Shown(ctx, target, showVersion)
}

func (m Marker) apis(target string) (*armapimanagement.APIClient, backup.Resource, error) {
	r, err := backup.ParseResource(target)
	if err != nil || !strings.EqualFold(r.Type, resourceType) {
		return nil, r, azure.Invalid("InvalidTarget", target, "an API Management service", err)
	}
	apis, err := armapimanagement.NewAPIClient(r.Subscription, m.azure.Credential, m.azure.Management())
	if err != nil {
		return nil, r, azure.Invalid("InvalidTarget", target, "an API Management service", err)
	}
	return apis, r, nil
}

func marking(what, target string) azure.Call {
	return azure.Marking(what+" "+target, "API Management Service Contributor on "+target)
}
