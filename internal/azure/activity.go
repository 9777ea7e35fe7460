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

// Changed returns the first change of the resource, or of a resource below it, that the activity log shows in the time; the zero value if
// it shows none. That proves nothing at first: the log is some minutes late. It makes one request. The error is a [backup.Fault]:
// Refused if the identity may not read the log, and of another kind without an answer that can be read.
//
// Azure's documentation "Activity Logs - List" (2015-04-01) has the request, and the few forms that its filter may have.
// The filter by a resource may leave out the resources below it; that is not documented. So Changed asks for the resource's group,
// and reads the first page. The log has the changes that went through Resource Manager.
func (c Client) Changed(ctx context.Context, id string, during backup.Window) (backup.Change, error) {
	target, err := backup.ParseResource(id)
	if err != nil {
		return backup.Change{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, activityTime)
	defer cancel()
	shown, err := c.activities(ctx, target, during)
	if err != nil {
		return backup.Change{}, readingActivity.Fault(err)
	}
	changes := slices.DeleteFunc(shown, func(a activity) bool { return !a.changes(id, target.Type, during) })
	if len(changes) == 0 {
		return backup.Change{}, nil
	}
	first := slices.MinFunc(changes, func(a, b activity) int { return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Resource, b.Resource)) })
	return backup.Change{Time: first.Time, Resource: Scrub(first.Resource), Operation: Scrub(first.Operation.Value)}, nil
}

// readingActivity has no advice: nothing fails for want of the log.
var readingActivity = Call{What: "read the activity log", Means: Before, Hint: func(int, string, string) string { return "" }}

// activities returns the events of the resource's group in the time: the first page.
func (c Client) activities(ctx context.Context, of backup.Resource, during backup.Window) ([]activity, error) {
	client, err := c.Resources()
	if err != nil {
		return nil, err
	}
	path := "/subscriptions/" + of.Subscription + "/providers/Microsoft.Insights/eventtypes/management/values"
	r, err := runtime.NewRequest(ctx, http.MethodGet, runtime.JoinPaths(client.Endpoint(), path))
	if err != nil {
		return nil, err
	}
	stamp := func(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
	r.Raw().URL.RawQuery = strings.ReplaceAll(url.Values{
		"api-version": {"2015-04-01"},
		"$filter": {fmt.Sprintf("eventTimestamp ge '%s' and eventTimestamp le '%s' and resourceGroupName eq '%s'",
			stamp(during.From), stamp(during.To), of.Group)},
		"$select": {"eventTimestamp,operationName,resourceId,status"},
	}.Encode(), "+", "%20")
	r.Raw().Header.Set("Accept", "application/json")
	answer, err := client.Pipeline().Do(r) //nolint:bodyclose // azcore has read and closed it
	if err != nil {
		return nil, err
	}
	var shown struct {
		Value []activity `json:"value"`
	}
	if !runtime.HasStatusCode(answer, http.StatusOK) {
		return nil, runtime.NewResponseError(answer)
	}
	err = runtime.UnmarshalAsJSON(answer, &shown)
	return shown.Value, err
}

// changes tells whether the event is a change of the resource, or of a resource below it, within the time. A backup is an action and no
// write; tags and roles of the resource are of other providers, and in no backup.
func (a activity) changes(target, kind string, during backup.Window) bool {
	name, id, of := strings.ToLower(a.Operation.Value), strings.ToLower(a.Resource), strings.ToLower(target)
	return strings.HasPrefix(name, strings.ToLower(kind)+"/") && (strings.HasSuffix(name, "/write") || strings.HasSuffix(name, "/delete")) &&
		(id == of || strings.HasPrefix(id, of+"/")) && End(a.Status.Value) == Succeeded &&
		!a.Time.Before(during.From) && !a.Time.After(during.To)
}
