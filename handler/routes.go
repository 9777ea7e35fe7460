package handler

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// HTTPFunction is a function that people and other systems call. Its key opens its own routes and no others.
type HTTPFunction struct {
	Name string
	// AuthLevel is function.json's: "function" needs a key of the function, a host key or the master key; "anonymous" needs none.
	AuthLevel string
	// Template is function.json's route, below /api; "" for the one function with all paths that no other function has.
	Template string
	// Methods are the methods that the host lets through. It answers others 404 itself, before it looks for a key.
	Methods []string
	Routes  []Route
}

// Route is one call. {id} in its path matches one segment and keeps its case. The rest matches in any case.
type Route struct {
	Method, Path string

	serve func(*handler, http.ResponseWriter, *http.Request) error
}

// HTTPFunctions returns the one table of functions and calls over HTTP. Each function.json must agree with it.
func HTTPFunctions() []HTTPFunction {
	return []HTTPFunction{
		{
			Name: "api", AuthLevel: "function", Methods: []string{http.MethodGet, http.MethodPost},
			Routes: []Route{
				{http.MethodPost, "/api/backups", owners((*handler).postBackup)},
				{http.MethodGet, "/api/targets", (*handler).listTargets},
				{http.MethodGet, "/api/coverage", (*handler).getCoverage},
				{http.MethodGet, "/api/selection", (*handler).getSelection},
				{http.MethodPost, "/api/selection/accept", owners((*handler).acceptSelection)},
				{http.MethodGet, "/api/runs", (*handler).listRuns},
				{http.MethodGet, "/api/runs/{id}", (*handler).getRun},
				{http.MethodPost, "/api/runs/{id}/abandon", owners((*handler).abandonRun)},
				{http.MethodGet, "/api/batches/{id}", (*handler).getBatch},
				{http.MethodGet, "/api/recovery-points", (*handler).listPoints},
				{http.MethodGet, "/api/recovery-points/{id}", (*handler).getPoint},
				{http.MethodPost, "/api/recovery-points/{id}/accept", owners((*handler).acceptPoint)},
				{http.MethodPost, "/api/recovery-points/{id}/hold", owners((*handler).holdPoint)},
				{http.MethodPost, "/api/recovery-points/{id}/release", owners((*handler).releasePoint)},
				{http.MethodPost, "/api/recovery-points/{id}/delete", owners((*handler).deletePoint)},
				{http.MethodPost, "/api/recovery-points/{id}/undelete", owners((*handler).undeletePoint)},
				{http.MethodPost, "/api/forget", owners((*handler).postForget)},
				{http.MethodPost, "/api/security-domains", owners((*handler).postStatement)},
				{http.MethodGet, "/api/retention", compressed((*handler).getRetention)},
				{http.MethodPost, "/api/restores", owners((*handler).postRestore)},
				{http.MethodGet, "/api/restores/{id}", (*handler).getRestore},
				{http.MethodPost, "/api/restores/{id}/cancel", owners((*handler).cancelRestore)},
				{http.MethodPost, "/api/restores/{id}/confirm", owners((*handler).confirmRestore)},
				{http.MethodPost, "/api/stop", owners((*handler).postStop)},
				{http.MethodPost, "/api/resume", owners((*handler).postResume)},
				{http.MethodPost, "/api/takeover", (*handler).takeOver},
				{http.MethodPost, "/api/check", owners((*handler).postCheck)},
				{http.MethodGet, "/api/check", (*handler).getCheck},
			},
		},
		{
			Name: "health", AuthLevel: "function", Template: "health", Methods: []string{http.MethodGet, http.MethodHead},
			Routes: []Route{{http.MethodGet, "/api/health", compressed((*handler).getHealth)}},
		},
		{
			Name: "live", AuthLevel: "anonymous", Template: "live", Methods: []string{http.MethodGet, http.MethodHead},
			Routes: []Route{{http.MethodGet, "/api/live", (*handler).getLive}},
		},
		{
			Name: "metrics", AuthLevel: "function", Template: "metrics", Methods: []string{http.MethodGet, http.MethodHead},
			Routes: []Route{{http.MethodGet, "/api/metrics", compressed((*handler).getMetrics)}},
		},
	}
}

// find returns the function of the request, and the call that serves it. The host has looked for a key by the path as it came,
// and passes that path on. So find decodes it once, segment by segment, and never cleans it: else the key of one function could
// open another one. As in the host, api has all paths that fit no route.
func find(r *http.Request) (function string, serve func(*handler, http.ResponseWriter, *http.Request) error) {
	// RawPath is set if the path came in another form than Go's; EscapedPath would turn %2F into a slash in some of them.
	came := cmp.Or(r.URL.RawPath, r.URL.EscapedPath())
	var allow, all []string
	for _, f := range HTTPFunctions() {
		for _, route := range f.Routes {
			all = append(all, route.Method+" "+route.Path)
			id, ok := route.match(came)
			if !ok {
				continue
			}
			methods := []string{route.Method}
			if route.Method == http.MethodGet && slices.Contains(f.Methods, http.MethodHead) {
				methods = append(methods, http.MethodHead) // net/http leaves the body out
			}
			if slices.Contains(methods, r.Method) {
				r.SetPathValue("id", id)
				return f.Name, route.serve
			}
			function, allow = f.Name, append(allow, methods...)
		}
	}
	if function != "" {
		return function, func(_ *handler, w http.ResponseWriter, r *http.Request) error {
			w.Header().Set("Allow", strings.Join(allow, ", "))
			return refuse(http.StatusMethodNotAllowed, "MethodNotAllowed", r.URL.Path, "%s is not for %s; %s is", r.Method,
				r.URL.Path, strings.Join(allow, " or "))
		}
	}
	return "api", func(_ *handler, _ http.ResponseWriter, r *http.Request) error {
		last := len(all) - 1
		return refuse(http.StatusNotFound, "RouteNotFound", r.URL.Path, "there is nothing at %s; there are %s and %s", r.URL.Path,
			strings.Join(all[:last], ", "), all[last])
	}
}

// match compares the route with an escaped path, which may have a slash at its end.
func (route Route) match(escaped string) (id string, ok bool) {
	want, got := strings.Split(route.Path, "/"), strings.Split(strings.TrimSuffix(escaped, "/"), "/")
	if len(want) != len(got) {
		return "", false
	}
	for i, segment := range got {
		segment, err := url.PathUnescape(segment)
		switch {
		case err != nil:
			return "", false
		case want[i] == "{id}" && segment != "":
			id = segment
		// A letter outside of ASCII may be the same in another case to Go, never to the host: it is longer.
		case len(segment) != len(want[i]) || !strings.EqualFold(segment, want[i]):
			return "", false
		}
	}
	return id, true
}
