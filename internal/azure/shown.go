package azure

import (
	"context"
	"net/http"

	"lifeboat/internal/backup"
)

// Shown reads the state and the tier of a target from Resource Manager.
func (c Client) Shown(ctx context.Context, target, version string) (backup.Shown, error) {
	var resource struct {
		SKU struct {
			Name string `json:"name"`
		} `json:"sku"`
		Properties struct {
			State string `json:"provisioningState"`
		} `json:"properties"`
	}
	if err := c.Show(ctx, target, version, &resource); err != nil {
		return backup.Shown{}, Marking("look at "+target, "Reader on "+target).Fault(err)
	}
	return backup.Shown{State: Scrub(resource.Properties.State), Tier: Scrub(resource.SKU.Name)}, nil
}

// Marking returns the call of a [backup.Marker] that a person's own sign-in makes, with the role that it needs.
func Marking(what, role string) Call {
	return Call{What: what, Means: Before, Hint: func(status int, _, _ string) string {
		if status == http.StatusForbidden || status == http.StatusUnauthorized {
			return "Give your own sign-in the role " + role + "; a new role takes a while until it has an effect."
		}
		return "See in the Azure portal whether the service is there, and what it is at work on."
	}}
}
