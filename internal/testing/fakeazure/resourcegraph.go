package fakeazure

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/google/uuid"
)

// GraphOptions are options of Resource Graph. Every zero value is the reading that is worse for the client, where Azure's documentation
// does not decide.
type GraphOptions struct {
	// PageSize is the greatest number of rows in an answer; 0 means Azure's own 1,000.
	PageSize int
	// Throttle is the number of the next requests that are answered 429.
	Throttle int
	// ContainersByRole shows a subscription as a row only to a caller who may read it. By default any role below it is enough.
	ContainersByRole bool
	// Unseen are subscriptions that it leaves out for everybody, as after a role was given: that takes hours (azure-docs, issue 28370).
	Unseen []string
	// Behind are subscriptions that it shows, and whose resources it does not search yet: nothing says that both are there at once.
	Behind []string
}

// resourceGraph is Azure Resource Graph: https://github.com/Azure/azure-rest-api-specs has its specification,
// Microsoft.ResourceGraph 2024-04-01. An answer leaves out, without a word, each resource that the caller may not read
// (measured by others, 2026-08).
type resourceGraph struct {
	mu      sync.Mutex
	options GraphOptions
	asked   int
}

// TuneGraph changes the options of Resource Graph.
func (s *Sim) TuneGraph(change func(*GraphOptions)) {
	g := s.front.graph
	g.mu.Lock()
	defer g.mu.Unlock()
	change(&g.options)
}

var (
	graphPath     = regexp.MustCompile(`(?i)^/providers/Microsoft\.ResourceGraph/resources/?$`)
	graphVersions = []string{"2021-03-01", "2022-10-01", "2024-04-01"}

	graphStages = regexp.MustCompile(`\s*\|\s*`)
	graphWhere  = regexp.MustCompile(`^where type in~ \(('[^']+'(?:, *'[^']+')*)\)$`)
	graphColumn = regexp.MustCompile(`^(?:([a-zA-Z]+) *= *)?([a-zA-Z]+(?:\.[a-zA-Z]+)*)$`)
)

// graphQuery is a query that the simulator understands: a table, the types, the columns, in the order of the IDs.
type graphQuery struct {
	containers bool
	types      []string
	columns    [][2]string // name, path
}

// parseGraphQuery reads "Resources | where type in~ ('a', 'b') | project id, c = x.y | order by id asc".
func parseGraphQuery(text string) (q graphQuery, err error) {
	stages := graphStages.Split(strings.TrimSpace(text), -1)
	if len(stages) != 4 || stages[3] != "order by id asc" {
		return q, fmt.Errorf("the simulator knows four stages, the last of them order by id asc")
	}
	switch stages[0] {
	case "Resources":
	case "ResourceContainers":
		q.containers = true
	default:
		return q, fmt.Errorf("the simulator knows no table %s", stages[0])
	}
	where := graphWhere.FindStringSubmatch(stages[1])
	if where == nil {
		return q, fmt.Errorf("the simulator cannot read %s", stages[1])
	}
	for _, one := range strings.Split(where[1], ",") {
		q.types = append(q.types, strings.ToLower(strings.Trim(one, " '")))
	}
	columns, found := strings.CutPrefix(stages[2], "project ")
	if !found {
		return q, fmt.Errorf("the simulator cannot read %s", stages[2])
	}
	for _, one := range strings.Split(columns, ",") {
		m := graphColumn.FindStringSubmatch(strings.TrimSpace(one))
		if m == nil {
			return q, fmt.Errorf("the simulator cannot read the column %s", one)
		}
		q.columns = append(q.columns, [2]string{cmp.Or(m[1], strings.ReplaceAll(m[2], ".", "_")), m[2]})
	}
	if !slices.Contains(q.columns, [2]string{"id", "id"}) {
		return q, fmt.Errorf("without the column id there are no pages")
	}
	return q, nil
}

// graphBody is a request's body.
type graphBody struct {
	Subscriptions []string `json:"subscriptions"`
	Query         string   `json:"query"`
	Options       struct {
		Top    int    `json:"$top"`
		Token  string `json:"$skipToken"`
		Format string `json:"resultFormat"`
	} `json:"options"`
}

// answerGraph answers a query; ok is false for any other request.
func (f *frontEnd) answerGraph(r *http.Request, caller claims) (resp *http.Response, ok bool) {
	if r.Method != http.MethodPost || !graphPath.MatchString(r.URL.Path) {
		return nil, false
	}
	g := f.graph
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked++
	switch version := r.URL.Query().Get("api-version"); {
	case version == "":
		return missingVersion(), true
	case !slices.Contains(graphVersions, version):
		return invalidVersion(version, graphVersions), true
	case g.options.Throttle > 0:
		g.options.Throttle--
		answer := armError(http.StatusTooManyRequests, "RateLimiting", "Please provide below info when asking for support.")
		answer.Header.Set("X-Ms-User-Quota-Remaining", "0")
		answer.Header.Set("X-Ms-User-Quota-Resets-After", "00:00:01")
		return answer, true
	}
	answer := f.query(r, caller)
	answer.Header.Set("X-Ms-User-Quota-Remaining", "14")
	answer.Header.Set("X-Ms-User-Quota-Resets-After", "00:00:05")
	return answer, true
}

func (f *frontEnd) query(r *http.Request, caller claims) *http.Response {
	var body graphBody
	text, err := io.ReadAll(r.Body)
	reader := json.NewDecoder(bytes.NewReader(text))
	reader.DisallowUnknownFields()
	if err == nil {
		err = reader.Decode(&body)
	}
	if err != nil {
		return graphError("InvalidRequest", err.Error())
	}
	q, err := parseGraphQuery(body.Query)
	switch {
	case err != nil:
		return graphError("InvalidQuery", "Query is invalid. Please refer to the documentation for the Azure Resource Graph service and "+
			"fix the error before retrying: "+err.Error())
	case body.Options.Format != "" && body.Options.Format != "objectArray":
		return graphError("InvalidRequest", "The simulator has no format "+body.Options.Format)
	case body.Options.Top < 0 || body.Options.Top > 1000 || len(body.Subscriptions) > 1000:
		return graphError("InvalidRequest", "At most 1000 rows, and 1000 subscriptions.")
	}
	for _, id := range body.Subscriptions {
		if !validSubscription(id) {
			return graphError("InvalidSubscriptionId", "The subscription '"+id+"' is not a GUID.")
		}
	}
	eligible := f.eligible(caller, body.Subscriptions)
	if !q.containers {
		eligible = slices.DeleteFunc(eligible, func(one string) bool {
			return slices.ContainsFunc(f.graph.options.Behind, func(behind string) bool { return strings.EqualFold(one, behind) })
		})
	}
	if len(eligible) == 0 {
		return graphError("NoValidSubscriptionsInQueryRequest", fmt.Sprintf(
			"There must be at least one subscription that is eligible to contain resources. Given: '%s'.", strings.Join(body.Subscriptions, "', '")))
	}
	rows := f.rows(caller, q, eligible)
	from, ok := readGraphToken(body.Options.Token, body.Query)
	if !ok || from > len(rows) {
		return graphError("InvalidSkipToken", "The token is of another query.")
	}
	size := cmp.Or(body.Options.Top, 1000)
	if limit := cmp.Or(f.graph.options.PageSize, 1000); size > limit {
		size = limit
	}
	page := rows[from:min(from+size, len(rows))]
	shown := map[string]any{"totalRecords": len(rows), "count": len(page), "data": page, "facets": []any{}, "resultTruncated": "false"}
	if from+len(page) < len(rows) {
		shown["$skipToken"] = graphToken(from+len(page), body.Query)
	}
	return armJSON(http.StatusOK, shown)
}

// eligible returns the subscriptions among these in which the caller has any role; among all, if there are none.
func (f *frontEnd) eligible(caller claims, among []string) (all []string) {
	for _, scope := range f.scopes() {
		is := func(one string) bool { return strings.EqualFold(one, scope.subscription) }
		if scope.group == "" && (len(among) == 0 || slices.ContainsFunc(among, is)) && !slices.ContainsFunc(f.graph.options.Unseen, is) &&
			f.roles.any(caller.ObjectID, "/subscriptions/"+scope.subscription) {
			all = append(all, scope.subscription)
		}
	}
	return all
}

// rows returns the rows of the whole answer, with what the caller may read.
func (f *frontEnd) rows(caller claims, q graphQuery, eligible []string) []map[string]any {
	var found []map[string]any
	add := func(id, subscription, kind string, resource map[string]any) {
		row := map[string]any{}
		for _, column := range q.columns {
			row[column[0]] = graphValue(resource, column[1], id, subscription, kind)
		}
		found = append(found, row)
	}
	if q.containers && slices.Contains(q.types, "microsoft.resources/subscriptions") {
		for _, one := range eligible {
			id := "/subscriptions/" + one
			if !f.graph.options.ContainersByRole || f.roles.allow(caller.ObjectID, id, "Microsoft.Resources/subscriptions/read") {
				add(id, one, "microsoft.resources/subscriptions", nil)
			}
		}
	}
	for kind, t := range f.types {
		if q.containers || !slices.Contains(q.types, kind) || t.list == nil {
			continue
		}
		for _, one := range t.list(t.versions[len(t.versions)-1]) {
			id := one.id
			if slices.ContainsFunc(eligible, func(s string) bool { return strings.EqualFold(s, id.subscription) }) &&
				f.roles.allow(caller.ObjectID, id.String(), id.provider+"/"+id.kind+"/read") {
				add(id.String(), id.subscription, kind, one.body())
			}
		}
	}
	slices.SortFunc(found, func(a, b map[string]any) int { return cmp.Compare(a["id"].(string), b["id"].(string)) })
	if found == nil {
		found = []map[string]any{}
	}
	return found
}

// graphValue returns a value as Resource Graph shows it: types and locations in lower case, and null where the resource has no such value.
func graphValue(resource map[string]any, path, id, subscription, kind string) any {
	switch path {
	case "id":
		return id
	case "type":
		return kind
	case "subscriptionId":
		return subscription
	}
	var value any
	if err := json.Unmarshal(encodeJSON(resource), &value); err != nil {
		panic(fmt.Sprintf("fakeazure: read %s again: %v", id, err))
	}
	for _, part := range strings.Split(path, ".") {
		object, _ := value.(map[string]any)
		value = object[part]
	}
	if location, ok := value.(string); ok && path == "location" {
		return strings.ToLower(strings.ReplaceAll(location, " ", ""))
	}
	return value
}

// graphToken makes an opaque token: the next row, and the query that it belongs to.
func graphToken(next int, query string) string {
	return base64.StdEncoding.EncodeToString([]byte(strconv.Itoa(next) + " " + uuid.NewSHA1(uuid.NameSpaceURL, []byte(query)).String()))
}

func readGraphToken(token, query string) (next int, ok bool) {
	if token == "" {
		return 0, true
	}
	text, err := base64.StdEncoding.DecodeString(token)
	number, _, _ := strings.Cut(string(text), " ")
	next, wrong := strconv.Atoi(number)
	return next, err == nil && wrong == nil && token == graphToken(next, query)
}

// graphError answers in the form of Resource Graph: the reason is in the details.
func graphError(code, message string) *http.Response {
	return armJSON(http.StatusBadRequest, map[string]any{"error": map[string]any{
		"code": "BadRequest", "message": "Please provide below info when asking for support: timestamp = 2026-01-01T00:00:00.0000000Z, correlationId = " + uuid.NewString() + ".",
		"details": []any{map[string]any{"code": code, "message": message}},
	}})
}
