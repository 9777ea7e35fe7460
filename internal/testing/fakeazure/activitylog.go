package fakeazure

import (
	"cmp"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// ActivityLogOptions are options of the activity log. Every zero value is the reading that is worse for the client, where Azure's
// documentation does not decide.
type ActivityLogOptions struct {
	// Late is the time after which the log shows an event, before the time scale. 0 means 20 min: 3 to 20 are documented.
	Late time.Duration
	// AtGroup lets a role at a resource group read the events of that group. By default it takes a role at the subscription, to
	// which the address belongs.
	AtGroup bool
	// Page is the number of events in an answer. 0 means 200.
	Page int
}

// activityLog has the requests through Resource Manager that changed something, or were actions.
type activityLog struct {
	pace *pace

	mu      sync.Mutex
	options ActivityLogOptions
	events  []activityEvent
	asked   int
}

type activityEvent struct {
	at                time.Time
	action, id, group string
	caller            claims
}

var (
	activityPath   = regexp.MustCompile(`(?i)^/subscriptions/([^/]+)/providers/microsoft\.insights/eventtypes/management/values/?$`)
	activityFilter = regexp.MustCompile(`^eventTimestamp ge '([^']+)' and eventTimestamp le '([^']+)'(?: and (resourceGroupName|resourceUri) eq '([^']+)')?$`)
)

const readActivity = "Microsoft.Insights/eventtypes/values/read"

// TuneActivityLog changes the options of the activity log.
func (s *Sim) TuneActivityLog(change func(*ActivityLogOptions)) {
	l := s.front.activity
	l.mu.Lock()
	defer l.mu.Unlock()
	change(&l.options)
}

// ActivityLogRequests counts the requests for the activity log.
func (s *Sim) ActivityLogRequests() int {
	l := s.front.activity
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asked
}

// note keeps a request that had an effect.
func (l *activityLog) note(c armCall, caller claims, action string, answer *http.Response) {
	if c.request.Method == http.MethodGet || answer == nil || answer.StatusCode >= 400 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, activityEvent{
		at: time.Now(), action: action, id: c.request.URL.Path, caller: caller, group: c.id.group,
	})
}

// answerActivity answers a request for the activity log; ok is false for any other request.
func (f *frontEnd) answerActivity(r *http.Request, caller claims) (resp *http.Response, ok bool) {
	path := activityPath.FindStringSubmatch(r.URL.Path)
	if r.Method != http.MethodGet || path == nil {
		return nil, false
	}
	l := f.activity
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked++
	filter := activityFilter.FindStringSubmatch(r.URL.Query().Get("$filter"))
	var from, to time.Time
	var wrong, wrongTo error
	if filter != nil {
		from, wrong = time.Parse(time.RFC3339, filter[1])
		to, wrongTo = time.Parse(time.RFC3339, filter[2])
	}
	switch {
	case r.URL.Query().Get("api-version") != "2015-04-01":
		return missingVersion(), true
	case filter == nil || cmp.Or(wrong, wrongTo) != nil || !from.Before(to):
		return armError(http.StatusBadRequest, "BadRequest", "The filter is not valid."), true
	}
	scope := "/subscriptions/" + path[1]
	if l.options.AtGroup && filter[3] == "resourceGroupName" {
		scope += "/resourceGroups/" + filter[4]
	}
	if !f.roles.allow(caller.ObjectID, scope, readActivity) {
		return armError(http.StatusForbidden, "AuthorizationFailed", fmt.Sprintf(
			"The client '%s' with object id '%s' does not have authorization to perform action '%s' over scope '%s'.",
			caller.AppID, caller.ObjectID, readActivity, scope)), true
	}
	shown := time.Now().Add(-l.pace.scale(cmp.Or(l.options.Late, 20*time.Minute)))
	value := []any{}
	more := false
	for _, e := range slices.Backward(l.events) { // the newest come first
		if e.at.Before(from) || e.at.After(to) || e.at.After(shown) || !within(e.id, "/subscriptions/"+path[1]) ||
			filter[3] == "resourceGroupName" && !strings.EqualFold(e.group, filter[4]) || filter[3] == "resourceUri" && !strings.EqualFold(e.id, filter[4]) {
			continue
		}
		if more = len(value) == cmp.Or(l.options.Page, 200); more {
			break
		}
		value = append(value, map[string]any{
			"id": e.id + "/events/" + uuid.NewString(), "caller": e.caller.AppID, "eventTimestamp": e.at.UTC().Format("2006-01-02T15:04:05.0000000Z"),
			"operationName": map[string]any{"value": e.action, "localizedValue": e.action}, "resourceId": e.id,
			"status": map[string]any{"value": "Succeeded", "localizedValue": "Succeeded"}, "resourceGroupName": e.group,
		})
	}
	body := map[string]any{"value": value}
	if more {
		body["nextLink"] = "https://" + managementHost + r.URL.Path + "?api-version=2015-04-01&$skipToken=" + uuid.NewString()
	}
	return armJSON(http.StatusOK, body), true
}
