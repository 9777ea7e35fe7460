package apim

import (
	"context"
	"net/http"
	"strings"
	"time"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
)

// Maker is the [backup.Maker] of API Management.
type Maker struct{ azure azure.Client }

var _ backup.Maker = Maker{}

// groupVersion is an api-version of resource groups.
const groupVersion = "2024-11-01"

// NewMaker makes a Maker that acts with the identity of the client.
func NewMaker(client azure.Client) Maker { return Maker{client} }

// Region returns the region of the resource group.
func (m Maker) Region(ctx context.Context, group string) (string, error) {
	var shown struct {
		Location string `json:"location"`
	}
	if err := m.azure.Show(ctx, group, groupVersion, &shown); err != nil {
		return "", azure.Marking("look at the resource group "+group, "Contributor on it").Fault(err)
	}
	return shown.Location, nil
}

// Make begins to make a service of the tier Developer, with an identity of its own. The address for Azure's mail about it reaches no person.
func (m Maker) Make(ctx context.Context, id, region string, tags map[string]string) error {
	management, err := Marker(m).plain(id)
	if err != nil {
		return err
	}
	content := map[string]any{
		"location": region, "tags": tags, "sku": map[string]any{"name": "Developer", "capacity": 1},
		"identity":   map[string]any{"type": "SystemAssigned"},
		"properties": map[string]any{"publisherEmail": "lifeboat-prove@example.com", "publisherName": "lifeboat prove"},
	}
	if err := management.Do(ctx, http.MethodPut, id, content); err != nil {
		return making("make", id).Fault(err)
	}
	return nil
}

// made is a service in an answer.
type made struct {
	ID         string            `json:"id"`
	Tags       map[string]string `json:"tags"`
	Properties struct {
		State string `json:"provisioningState"`
	} `json:"properties"`
}

func (v made) shown() backup.Made {
	return backup.Made{ID: v.ID, State: azure.Scrub(v.Properties.State), Tags: v.Tags}
}

// Look returns the service as it is.
func (m Maker) Look(ctx context.Context, id string) (backup.Made, error) {
	var v made
	if err := m.azure.Show(ctx, id, showVersion, &v); err != nil {
		return backup.Made{}, unlessGone(making("look at", id), err)
	}
	if v.Properties.State == "" { // it is there, whatever it is
		v.Properties.State = "Unknown"
	}
	return v.shown(), nil
}

// Others returns the services in the resource group.
func (m Maker) Others(ctx context.Context, group string) (all []backup.Made, err error) {
	management, err := m.azure.Managing(showVersion)
	if err != nil {
		return nil, err
	}
	err = azure.Pages(ctx, management, group+"/providers/"+resourceType, func(v made) { all = append(all, v.shown()) })
	if err != nil {
		return nil, azure.Marking("list the API Managements of "+group, "Contributor on it").Fault(err)
	}
	return all, nil
}

// Delete begins to delete the service.
func (m Maker) Delete(ctx context.Context, id string) error {
	management, err := Marker(m).plain(id)
	if err != nil {
		return err
	}
	return unlessGone(making("delete", id), management.Do(ctx, http.MethodDelete, id, nil))
}

// Deleted returns what Azure keeps of a deleted service: for 48 hours, by Azure's documentation "Soft-delete". It looks through the list
// of the subscription, since that documentation names the right to read that as needed for a purge, and no other.
func (m Maker) Deleted(ctx context.Context, id string) (found backup.Deleted, err error) {
	r, err := backup.ParseResource(id)
	if err != nil {
		return found, err
	}
	management, err := m.azure.Managing(showVersion)
	if err != nil {
		return found, err
	}
	place := "/subscriptions/" + r.Subscription + "/providers/Microsoft.ApiManagement/"
	err = azure.Pages(ctx, management, place+"deletedservices", func(v struct {
		ID         string `json:"id"`
		Properties struct {
			Service string    `json:"serviceId"`
			Until   time.Time `json:"scheduledPurgeDate"`
		} `json:"properties"`
	},
	) {
		if backup.Same(v.Properties.Service, id) && strings.HasPrefix(strings.ToLower(v.ID), strings.ToLower(place+"locations/")) {
			found = backup.Deleted{Address: v.ID, Until: v.Properties.Until}
		}
	})
	if err != nil {
		return backup.Deleted{}, purging("list the deleted API Managements of the subscription", r.Subscription).Fault(err)
	}
	return found, nil
}

// Purge begins to remove what is left of a deleted service.
func (m Maker) Purge(ctx context.Context, d backup.Deleted) error {
	management, err := m.azure.Managing(showVersion)
	if err != nil {
		return err
	}
	subscription, _, _ := strings.Cut(strings.TrimPrefix(d.Address, "/subscriptions/"), "/")
	return unlessGone(purging("purge "+d.Address, subscription), management.Do(ctx, http.MethodDelete, d.Address, nil))
}

// unlessGone returns the fault of a call, unless Azure does not know what it is about. A 404 for want of a right is no such answer.
func unlessGone(c azure.Call, err error) error {
	if err == nil {
		return nil
	}
	if fault := c.Fault(err); !fault.Gone {
		return fault
	}
	return nil
}

func making(what, id string) azure.Call {
	return azure.Marking(what+" "+id, "Contributor on its resource group")
}

func purging(what, subscription string) azure.Call {
	return azure.Marking(what, "Contributor on the subscription "+subscription)
}
