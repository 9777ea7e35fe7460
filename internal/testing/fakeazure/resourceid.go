package fakeazure

import (
	"fmt"
	"slices"
	"strings"
)

// resourceID is an Azure resource ID in its parts, as written.
type resourceID struct{ subscription, group, provider, kind, name string }

func (id resourceID) String() string {
	return "/subscriptions/" + id.subscription + "/resourceGroups/" + id.group +
		"/providers/" + id.provider + "/" + id.kind + "/" + id.name
}

// key returns the ID for comparisons: Azure's IDs are case-insensitive.
func (id resourceID) key() string { return strings.ToLower(id.String()) }

// parseResourceID parses the ID of a top-level resource.
func parseResourceID(text string) (resourceID, error) {
	id, tail, err := parseResourcePath(text)
	if err == nil && (len(tail) > 0 || !validSubscription(id.subscription)) {
		err = errPath
	}
	if err != nil {
		return resourceID{}, fmt.Errorf("resource ID %q: %w", text, err)
	}
	return id, nil
}

var errPath = fmt.Errorf("want /subscriptions/{uuid}/resourceGroups/{group}/providers/{provider}/{type}/{name}")

// parseResourcePath parses a request path: a top-level resource and the part after it. It does not check the subscription.
func parseResourcePath(path string) (id resourceID, tail []string, err error) {
	parts := strings.Split(path, "/")
	if len(parts) < 9 || parts[0] != "" || !strings.EqualFold(parts[1], "subscriptions") ||
		!strings.EqualFold(parts[3], "resourceGroups") || !strings.EqualFold(parts[5], "providers") {
		return resourceID{}, nil, errPath
	}
	for _, part := range parts[1:] {
		if part == "" {
			return resourceID{}, nil, errPath
		}
	}
	return resourceID{parts[2], parts[4], parts[6], parts[7], parts[8]}, parts[9:], nil
}

// regionalOperation is an operation of a resource provider at the usual place: below the region. The subscription is "" if the
// place is at the tenant's level.
type regionalOperation struct{ subscription, provider, location, kind, id string }

// place returns the beginning of the operation's path.
func (o regionalOperation) place() string {
	if o.subscription == "" {
		return ""
	}
	return "/subscriptions/" + o.subscription
}

// parseRegionalOperation parses a request path; kind is "operationstatuses", "operationresults" or alike, in lower case.
func parseRegionalOperation(path string) (o regionalOperation, ok bool) {
	parts := strings.Split(path, "/")
	if len(parts) == 7 {
		parts = slices.Insert(parts, 1, "subscriptions", "")
	}
	if len(parts) != 9 || !strings.EqualFold(parts[1], "subscriptions") || !strings.EqualFold(parts[3], "providers") ||
		!strings.EqualFold(parts[5], "locations") {
		return o, false
	}
	o = regionalOperation{parts[2], parts[4], parts[6], strings.ToLower(parts[7]), parts[8]}
	switch o.kind {
	case "operationstatuses", "operationsstatuses", "operationresults", "managedhsmoperationresults": // API Management has the second
		return o, true
	}
	return o, false
}
