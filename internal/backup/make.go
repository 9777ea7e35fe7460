package backup

import (
	"context"
	"time"
)

// Maker makes a service for a proof alone, and deletes it. Each method may be called again after any end.
type Maker interface {
	// Region returns the region of a resource group, by its resource ID.
	Region(ctx context.Context, group string) (string, error)
	// Make begins to make the cheapest service that can be backed up.
	Make(ctx context.Context, id, region string, tags map[string]string) error
	// Look returns the service as it is; its state is "" if there is none.
	Look(ctx context.Context, id string) (Made, error)
	// Others returns the services of this type in the resource group.
	Others(ctx context.Context, group string) ([]Made, error)
	// Delete begins to delete the service. Azure keeps it for a while: then it is in the list of Deleted.
	Delete(ctx context.Context, id string) error
	// Deleted returns the rest of a deleted service that Azure keeps, and the zero value if there is none.
	Deleted(ctx context.Context, id string) (Deleted, error)
	// Purge begins to remove that rest for good.
	Purge(ctx context.Context, d Deleted) error
}

// Made is a service as Resource Manager shows it.
type Made struct {
	// State is its provisioningState.
	ID, State string
	Tags      map[string]string
}

// Deleted is the rest of a deleted service that Azure keeps. It has no tags.
type Deleted struct {
	// Address is its own resource ID.
	Address string
	// Until is the time at which Azure removes it by itself.
	Until time.Time
}
