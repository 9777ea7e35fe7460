package azure

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"lifeboat/internal/backup"
)

// Resource Graph has this address and version; permissions have the other version.
const (
	graphPath    = "/providers/Microsoft.ResourceGraph/resources"
	graphVersion = "2024-04-01"
)

const (
	// graphPage is the greatest page of Resource Graph (Azure's page "Working with large Azure resource data sets").
	graphPage = 1000
	// mostPages bounds a search: 100,000 resources.
	mostPages = 100
	// graphTries bounds the tries of a throttled request, for a caller that waits.
	graphTries = 5
	// longestQuota is the longest wait for a new quota. Windows of five seconds are documented.
	longestQuota = 30 * time.Second
)

// Graph searches subscriptions by Resource Graph.
type Graph struct {
	Client
	// Wait waits, and tells whether it waited to the end; nil: a request that is throttled fails.
	Wait func(context.Context, time.Duration) bool
}

// Inventory finds the resources of the types in the subscriptions, or in all that the identity sees if none is given. Resource Graph
// leaves a subscription out that the identity may not read, and says nothing of it. So Inventory asks for the subscriptions as well. Even
// in one of those it has only the resources that the identity may read: see [Client.ReadsAll]. It is some minutes late.
func (g Graph) Inventory(ctx context.Context, subscriptions, types []string) (backup.Inventory, error) {
	var found backup.Inventory
	const containers = "ResourceContainers | where type in~ ('microsoft.resources/subscriptions') | project id, subscriptionId | order by id asc"
	err := g.search(ctx, subscriptions, containers, func(row graphRow) {
		found.Subscriptions = append(found.Subscriptions, strings.ToLower(row.Subscription))
	})
	if errors.Is(err, errNoSubscription) {
		return found, nil
	}
	if err != nil || len(found.Subscriptions) == 0 {
		return found, err
	}
	quoted := make([]string, 0, len(types))
	for _, one := range types {
		quoted = append(quoted, "'"+strings.ToLower(one)+"'")
	}
	resources := "Resources | where type in~ (" + strings.Join(quoted, ", ") + ") | project id, type, location, tags, tier = sku.name, " +
		"activation = properties.securityDomainProperties.activationStatus | order by id asc"
	err = g.search(ctx, subscriptions, resources, func(row graphRow) {
		kind := slices.IndexFunc(types, func(one string) bool { return strings.EqualFold(one, row.Type) })
		if _, wrong := backup.ParseResource(row.ID); kind < 0 || wrong != nil {
			return // the query does not name this type
		}
		found.Services = append(found.Services, backup.Found{
			ID: row.ID, Type: types[kind], Location: Scrub(row.Location), Tier: Scrub(row.Tier), Activation: Scrub(row.Activation),
			Tags: row.Tags,
		})
	})
	if errors.Is(err, errNoSubscription) {
		return found, searching.Fault(err)
	}
	sort.Slice(found.Services, func(i, j int) bool {
		return strings.ToLower(found.Services[i].ID) < strings.ToLower(found.Services[j].ID)
	})
	found.Services = slices.CompactFunc(found.Services, func(a, b backup.Found) bool { return backup.Same(a.ID, b.ID) })
	return found, err
}

// Covers returns a search for resources of the types in subscriptions. A subscription counts as looked through only if the identity may
// read all of these resources there.
func (g Graph) Covers(types []string) func(context.Context, []string) (backup.Inventory, error) {
	return func(ctx context.Context, subscriptions []string) (backup.Inventory, error) {
		var readable []string
		for _, one := range subscriptions {
			reads, err := g.ReadsAll(ctx, one, types)
			if err != nil {
				return backup.Inventory{}, err
			}
			if reads {
				readable = append(readable, one)
			}
		}
		if len(readable) == 0 { // to Resource Graph no subscription means all
			return backup.Inventory{}, nil
		}
		return g.Inventory(ctx, readable, types)
	}
}

// graphRow is a row of an answer. Values may be null.
type graphRow struct {
	ID           string `json:"id"`
	Type         string `json:"type"`
	Subscription string `json:"subscriptionId"`
	Location     string `json:"location"`
	Tier         string `json:"tier"`
	Activation   string `json:"activation"`
	// Tags are null for a resource without any.
	Tags map[string]string `json:"tags"`
}

// graphRequest is the body of a query, by Azure's specification of 2024-04-01.
type graphRequest struct {
	Subscriptions []string     `json:"subscriptions,omitempty"`
	Query         string       `json:"query"`
	Options       graphOptions `json:"options"`
}

type graphOptions struct {
	Top    int    `json:"$top"`
	Token  string `json:"$skipToken,omitempty"`
	Format string `json:"resultFormat"`
}

// search calls visit for each row of all pages. A token is the only sign of a further page: resultTruncated tells of other cuts.
func (g Graph) search(ctx context.Context, subscriptions []string, query string, visit func(graphRow)) error {
	client, err := g.Resources()
	if err != nil {
		return err
	}
	body := graphRequest{Subscriptions: subscriptions, Query: query, Options: graphOptions{Top: graphPage, Format: "objectArray"}}
	for page := 0; ; page++ {
		var shown struct {
			Data  []graphRow `json:"data"`
			Token string     `json:"$skipToken"`
		}
		answer, err := g.send(ctx, client, body) //nolint:bodyclose // azcore has read and closed it
		if err == nil {
			err = runtime.UnmarshalAsJSON(answer, &shown)
		}
		if noSubscription(err) {
			return errNoSubscription
		}
		if err != nil {
			return searching.Fault(err)
		}
		for _, row := range shown.Data {
			visit(row)
		}
		switch {
		case shown.Token == "":
			return nil
		case shown.Token == body.Options.Token || page == mostPages:
			return searching.Fault(errors.New("the list of resources has no end"))
		}
		body.Options.Token = shown.Token
	}
}

// send sends a query, again if it is throttled and the caller waits.
func (g Graph) send(ctx context.Context, client *arm.Client, body graphRequest) (*http.Response, error) {
	for try := 1; ; try++ {
		answer, err := Send(ctx, client, http.MethodPost, graphPath, graphVersion, body, http.StatusOK)
		if !HasStatus(err, http.StatusTooManyRequests) || g.Wait == nil || try == graphTries || !g.Wait(ctx, quotaResets(err)) {
			return answer, err
		}
	}
}

// quotaResets returns the time after which the identity may ask Resource Graph again: hh:mm:ss in a header of its own (Azure's page
// "Guidance for throttled requests in Azure Resource Graph").
func quotaResets(err error) time.Duration {
	answer, ok := errors.AsType[*azcore.ResponseError](err)
	if !ok || answer.RawResponse == nil {
		return time.Second
	}
	wait := RetryAfter(answer.RawResponse)
	if at, err := time.Parse(time.TimeOnly, answer.RawResponse.Header.Get("X-Ms-User-Quota-Resets-After")); err == nil {
		wait = max(wait, at.Sub(at.Truncate(24*time.Hour)))
	}
	return min(max(wait, time.Second), longestQuota)
}

// errNoSubscription is the error of a search through no subscription. For the second search of an inventory it says that Azure contradicts
// itself.
var errNoSubscription = errors.New("subscriptions are shown by Azure Resource Graph, and none of them was searched")

// noSubscription tells whether Resource Graph searched nothing, since the identity may read none of the subscriptions: 400 BadRequest with
// that detail (Azure/aztfexport, issue 491).
func noSubscription(err error) bool {
	answer, ok := errors.AsType[*azcore.ResponseError](err)
	if !ok || answer.StatusCode != http.StatusBadRequest || answer.RawResponse == nil {
		return false
	}
	var said struct{ Error armError }
	text, err := runtime.Payload(answer.RawResponse)
	return err == nil && json.Unmarshal(text, &said) == nil &&
		slices.ContainsFunc(said.Error.Details, func(d armError) bool { return d.Code == "NoValidSubscriptionsInQueryRequest" })
}

var searching = Call{What: "search the subscriptions (Azure Resource Graph)", Means: Before, Hint: func(status int, _, _ string) string {
	if status == http.StatusUnauthorized {
		return "See that the identity belongs to the tenant of the subscriptions."
	}
	return "See whether this network, or a policy, forbids the address " + graphPath + "."
}}

// ReadsAll tells whether the identity may read all resources of the types in the subscription, by a role there or above. Roles at single
// resources are enough to see those, and do not show that there are others.
func (c Client) ReadsAll(ctx context.Context, subscription string, types []string) (bool, error) {
	scope := "/subscriptions/" + subscription
	own, err := c.permissions(ctx, scope)
	switch {
	case LacksRole(err), HasStatus(err, http.StatusNotFound): // without any role the subscription is not there
		return false, nil
	case err != nil:
		return false, Call{What: "ask for the app's permissions in " + scope, Means: Before, Hint: searching.Hint}.Fault(err)
	}
	return !slices.ContainsFunc(types, func(one string) bool { return !own.permit(one+"/read", false) }), nil
}
