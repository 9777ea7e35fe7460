package apim

import (
	"context"
	"net/http"
	"strings"

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
	management, err := m.plain(target)
	if err != nil {
		return nil, err
	}
	var names []string
	err = azure.Pages(ctx, management, target+"/apis", func(api struct {
		Name string `json:"name"`
	},
	) {
		if strings.HasPrefix(api.Name, prefix) {
			names = append(names, api.Name)
		}
	})
	if err != nil {
		return nil, marking("list the APIs of", target).Fault(err)
	}
	return names, nil
}

// Mark begins to make the API.
func (m Marker) Mark(ctx context.Context, target, name string) error {
	management, err := m.plain(target)
	if err != nil {
		return err
	}
	content := map[string]any{"properties": map[string]any{
		"displayName": name, "path": name, "protocols": []string{"https"}, "description": "lifeboat prove made it, and removes it.",
	}}
	if err := management.Do(ctx, http.MethodPut, target+"/apis/"+name, content); err != nil {
		return marking("make an API in", target).Fault(err)
	}
	return nil
}

// Unmark begins to remove the API.
func (m Marker) Unmark(ctx context.Context, target, name string) error {
	management, err := m.plain(target)
	if err != nil {
		return err
	}
	return unlessGone(marking("remove an API of", target), management.Do(ctx, http.MethodDelete, target+"/apis/"+name, nil))
}

// Shown returns the state and the tier of the service.
func (m Marker) Shown(ctx context.Context, target string) (backup.Shown, error) {
	return m.azure.Shown(ctx, target, showVersion)
}

func (m Marker) plain(target string) (azure.Plain, error) {
	r, err := backup.ParseResource(target)
	if err != nil || !strings.EqualFold(r.Type, resourceType) {
		return azure.Plain{}, azure.Invalid("InvalidTarget", target, "an API Management service", err)
	}
	return m.azure.Managing(showVersion)
}

func marking(what, target string) azure.Call {
	return azure.Marking(what+" "+target, "API Management Service Contributor on "+target)
}
