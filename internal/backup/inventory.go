package backup

import (
	"slices"
	"strings"
)

// Found is a resource as a search through subscriptions shows it.
type Found struct {
	ID, Type string
	Location string
	// Tier is the tier that the resource was bought in, such as "Developer".
	Tier string
	// Activation is the state of a resource that its owner activates after Azure has made it; "" for others.
	Activation string
	// Tags are its tags.
	Tags map[string]string
}

// Inventory is the answer of a search through subscriptions.
type Inventory struct {
	// Services has the resources of types that Lifeboat backs up, in the order of their IDs.
	Services []Found
	// Subscriptions are those that the search has gone through. Azure leaves others out without a word.
	Subscriptions []string
}

// Looked tells whether the search has gone through the subscription.
func (i Inventory) Looked(subscription string) bool {
	return slices.ContainsFunc(i.Subscriptions, func(one string) bool { return strings.EqualFold(one, subscription) })
}

// Without returns the resources that no plan has as a target.
func (i Inventory) Without(plans []Plan) (left []Found) {
	covered := map[string]bool{}
	for _, p := range plans {
		for _, target := range p.Targets {
			covered[strings.ToLower(target)] = true
		}
	}
	for _, one := range i.Services {
		if !covered[strings.ToLower(one.ID)] {
			left = append(left, one)
		}
	}
	return left
}

// Subscriptions returns the subscriptions of the plans' targets, and those that plans select from, in lower case.
func Subscriptions(plans []Plan) (all []string) {
	for _, p := range plans {
		if p.Select != nil {
			all = append(all, p.Select.Subscriptions...)
		}
		for _, target := range p.Targets {
			if r, err := ParseResource(target); err == nil {
				all = append(all, strings.ToLower(r.Subscription))
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Unfit says why a resource can never be backed up as it is, "" if it may be.
func (s Services) Unfit(f Found) string {
	one, known := s.Of(f.ID)
	switch {
	case !known:
		return "Lifeboat does not back up " + f.Type
	case one.Unfit == nil:
		return ""
	}
	return one.Unfit(f)
}

// Types returns the resource types.
func (s Services) Types() (types []string) {
	for _, one := range s {
		types = append(types, one.Type)
	}
	return types
}
