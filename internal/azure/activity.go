package azure

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"lifeboat/internal/backup"
)

// activityTime is the time limit of a look into the activity log: no backup waits for it.
const activityTime = 20 * time.Second

// activity is an event of the activity log, as far as it is asked for.
type activity struct {
	Time      time.Time `json:"eventTimestamp"`
	Resource  string    `json:"resourceId"`
	Operation struct {
		Value string `json:"value"`
	} `json:"operationName"`
	Status struct {
		Value string `json:"value"`
	} `json:"status"`
}

// Changed returns the first change of the resource, or of a resource below it, that the activity log shows in the time. It makes one
// request. It returns none if the log shows none, if the identity may not read the log, and if there is no answer: the log
// is some minutes late, so its silence proves nothing anyway.
//
// Azure's documentation "Activity Logs - List" (2015-04-01) has the request, and the few forms that its filter may have.
// The filter by a resource may leave out the resources below it; that is not documented. So Changed asks for the resource's group,
// and reads the first page. The log has the changes that went through Resource Manager.
func (c Client) Changed(ctx context.Context, id string, during backup.Window) backup.Change {
	target, err := backup.ParseResource(id)
	if err != nil || during.From.IsZero() {
		return backup.Change{}
	}
	ctx, cancel := context.WithTimeout(ctx, activityTime)
	defer cancel()
	client, err := c.Resources()
	if err != nil {
		return backup.Change{}
	}
	path := "/subscriptions/" + target.Subscription + "/providers/Microsoft.Insights/eventtypes/management/values"
	r, err := runtime.NewRequest(ctx, http.MethodGet, runtime.JoinPaths(client.Endpoint(), path))
	if err != nil {
		return backup.Change{}
	}
	stamp := func(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
	r.Raw().URL.RawQuery = strings.ReplaceAll(url.Values{
		"api-version": {"2015-04-01"},
		"$filter": {fmt.Sprintf("eventTimestamp ge '%s' and eventTimestamp le '%s' and resourceGroupName eq '%s'",
			stamp(during.From), stamp(during.To), target.Group)},
		"$select": {"eventTimestamp,operationName,resourceId,status"},
	}.Encode(), "+", "%20")
	r.Raw().Header.Set("Accept", "application/json")
	answer, err := client.Pipeline().Do(r) //nolint:bodyclose // azcore has read and closed it
	var shown struct {
		Value []activity `json:"value"`
	}
	if err != nil || !runtime.HasStatusCode(answer, http.StatusOK) || runtime.UnmarshalAsJSON(answer, &shown) != nil {
		return backup.Change{}
	}
	changes := slices.DeleteFunc(shown.Value, func(a activity) bool { return !a.changes(id, target.Type, during) })
	if len(changes) == 0 {
		return backup.Change{}
	}
	first := slices.MinFunc(changes, func(a, b activity) int { return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Resource, b.Resource)) })
	return backup.Change{Time: first.Time, Resource: Scrub(first.Resource), Operation: Scrub(first.Operation.Value)}
}

// changes tells whether the event is a change of the resource, or of a resource below it, within the time. A backup is an action and no
// write; tags and roles of the resource are of other providers, and in no backup.
func (a activity) changes(target, kind string, during backup.Window) bool {
	name, id, of := strings.ToLower(a.Operation.Value), strings.ToLower(a.Resource), strings.ToLower(target)
	return strings.HasPrefix(name, strings.ToLower(kind)+"/") && (strings.HasSuffix(name, "/write") || strings.HasSuffix(name, "/delete")) &&
		(id == of || strings.HasPrefix(id, of+"/")) && End(a.Status.Value) == Succeeded &&
		!a.Time.Before(during.From) && !a.Time.After(during.To)
}
