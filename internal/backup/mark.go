package backup

import "context"

// Marker makes a small change of a service, a mark: a backup from before has no mark, so that a restore removes it. Each method may be
// called again after any end.
type Marker interface {
	// Marks returns the names of the marks that begin with the prefix.
	Marks(ctx context.Context, target, prefix string) ([]string, error)
	// Mark makes the mark of the name. The service may show it some time later.
	Mark(ctx context.Context, target, name string) error
	// Unmark removes the mark of the name; that there is none is no error.
	Unmark(ctx context.Context, target, name string) error
	// Shown returns the service as Resource Manager shows it.
	Shown(ctx context.Context, target string) (Shown, error)
}

// Shown is a service as Resource Manager shows it. A member is "" if that does not show it.
type Shown struct {
	// State is its provisioningState, and Tier its tier.
	State, Tier string
}
