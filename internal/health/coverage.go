package health

import (
	"slices"
	"sort"
	"strings"
	"time"

	"lifeboat/internal/backup"
)

// Coverage says which services in the subscriptions of the plans' targets no plan has. It is a row of the catalog: cleanup looks once in
// LookEvery, so that a question for it asks Azure nothing.
type Coverage struct {
	// At is the time of the last look that Azure answered, and Tried the time of the last one; zero if there was none.
	At    time.Time `json:"At,omitzero"`
	Tried time.Time `json:"Tried"`
	// Failed says why Azure did not answer the last look; it has no code if Azure did.
	Failed backup.Reason `json:"Failed,omitzero"`
	// Looked has, for each subscription that was looked through, how many services of each type are in no plan and could be backed up.
	// Another subscription is in none of the entries: that is no zero.
	Looked []Seen `json:"Looked,omitempty"`
	// NotShown are the subscriptions that the last look asked for and did not look through. One that is in neither list came into a plan
	// since.
	NotShown []string `json:"NotShown,omitempty"`
	// Services are those services, and those that cannot be backed up as they are, in the order of their IDs; Omitted counts more.
	Services []Uncovered `json:"Services,omitempty"`
	Omitted  int         `json:"Omitted,omitempty"`

	backup.Carried
	// ETag is the one that the row was read with, and Unread says why it cannot be read, nil if it can.
	ETag   string `json:"-"`
	Unread error  `json:"-"`
}

// Seen is a subscription that was looked through.
type Seen struct {
	Subscription string         `json:"subscription"`
	Uncovered    map[string]int `json:"uncovered,omitempty"` // by type
}

// Uncovered is a service that no plan has. Unfit says why it cannot be backed up as it is, "" if it can be.
type Uncovered struct {
	ID       string `json:"id"`
	Location string `json:"location,omitempty"`
	Unfit    string `json:"unfit,omitempty"`
}

// LookEvery is the time after which cleanup looks again: that costs a request for each subscription, and two more.
const LookEvery = time.Hour

const (
	// mostCovered bounds the bytes of Services, which are a column of 32 Ki characters.
	mostCovered = 24 << 10
	// mostLooked bounds the entries of Looked, a column too: an entry has at most a few hundred bytes.
	mostLooked = 80
	// mostNotShown bounds the entries of NotShown, each a UUID.
	mostNotShown = 500
)

// DecodeCoverage reads the row.
func DecodeCoverage(row backup.Row) Coverage {
	c, err := backup.Decode[Coverage](row)
	c.ETag, c.Unread = row.ETag, err
	return c
}

// Due says that it is time to look again. A time later than latest comes from a clock that was wrong.
func (c Coverage) Due(now, latest time.Time) bool {
	return c.Unread == nil && (now.Sub(c.Tried) >= LookEvery || c.Tried.After(latest))
}

// Saw returns the row after a look that Azure answered.
func (c Coverage) Saw(there backup.Inventory, plans []backup.Plan, services backup.Services, now time.Time) Coverage {
	is := Coverage{At: now, Tried: now, Carried: c.Carried, ETag: c.ETag}
	numbers := map[string]map[string]int{}
	subscriptions := slices.Sorted(slices.Values(there.Subscriptions))
	for _, one := range subscriptions[:min(len(subscriptions), mostLooked)] {
		counts := map[string]int{}
		for _, kind := range services.Types() {
			counts[kind] = 0 // a number as well
		}
		numbers[strings.ToLower(one)] = counts
	}
	size := 0
	for _, found := range there.Without(plans) {
		r, err := backup.ParseResource(found.ID)
		counts := numbers[strings.ToLower(r.Subscription)]
		if err != nil || counts == nil {
			continue
		}
		one := Uncovered{ID: found.ID, Location: found.Location, Unfit: services.Unfit(found)}
		if one.Unfit == "" {
			counts[found.Type]++
		}
		if size += len(backup.Encode(one)) + 1; size > mostCovered {
			is.Omitted++
			continue
		}
		is.Services = append(is.Services, one)
	}
	for _, asked := range backup.Subscriptions(plans) {
		if numbers[strings.ToLower(asked)] == nil && len(is.NotShown) < mostNotShown {
			is.NotShown = append(is.NotShown, asked)
		}
	}
	for one, counts := range numbers {
		is.Looked = append(is.Looked, Seen{Subscription: one, Uncovered: counts})
	}
	sort.Slice(is.Looked, func(i, j int) bool { return is.Looked[i].Subscription < is.Looked[j].Subscription })
	return is
}

// Missed returns the row after a look that Azure did not answer: everything stays as it was.
func (c Coverage) Missed(why backup.Reason, now time.Time) Coverage {
	c.Tried, c.Failed = now, why
	return c
}

// In returns the coverage under the plans as they are now: services that came into one since the look are covered, and subscriptions
// without a target do not count.
func (c Coverage) In(plans []backup.Plan) Coverage {
	asked := backup.Subscriptions(plans)
	now := c
	now.Looked, now.Services = nil, nil
	for _, one := range c.Looked {
		if slices.Contains(asked, one.Subscription) {
			counts := map[string]int{}
			for kind, n := range one.Uncovered {
				counts[kind] = n
			}
			now.Looked = append(now.Looked, Seen{Subscription: one.Subscription, Uncovered: counts})
		}
	}
	for _, one := range c.Services {
		r, err := backup.ParseResource(one.ID)
		i := slices.IndexFunc(now.Looked, func(s Seen) bool { return strings.EqualFold(s.Subscription, r.Subscription) })
		switch {
		case err != nil || i < 0:
		case !slices.ContainsFunc(plans, func(p backup.Plan) bool { return p.Has(one.ID) }):
			now.Services = append(now.Services, one)
		case one.Unfit == "":
			for kind := range now.Looked[i].Uncovered {
				if strings.EqualFold(kind, r.Type) {
					now.Looked[i].Uncovered[kind]--
				}
			}
		}
	}
	return now
}

// Unseen returns the subscriptions of the plans' targets that were not looked through.
func (c Coverage) Unseen(plans []backup.Plan) []string {
	return slices.DeleteFunc(backup.Subscriptions(plans), func(one string) bool {
		return slices.ContainsFunc(c.Looked, func(s Seen) bool { return s.Subscription == one })
	})
}
