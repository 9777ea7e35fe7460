package fakehost

import (
	"fmt"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// butHealth matches all routes except two.
const butHealth = `{*path:regex(^(?!(health|metrics)/?$))}`

func TestRoute(t *testing.T) {
	for _, c := range []struct {
		template string
		methods  []string
		request  string
		want     string // "-": no match
	}{
		{"items", nil, "GET /api/items", "map[]"},
		{"items", nil, "GET /API/Items/", "map[]"},
		{"items", nil, "GET /items", "-"},
		{"items", nil, "GET /api/items/1", "-"},
		{"items", []string{"post"}, "GET /api/items", "-"},
		{"items", []string{"get", "post"}, "POST /api/items", "map[]"},
		{"items/{id}", nil, "GET /api/items/a%2Fb", "map[id:a%2Fb]"},
		{"items/{id}", nil, "GET /api/items", "-"},
		{"items/{id}", nil, "GET /api/items//", "-"},
		{"items/{id}", nil, "GET /api/items/1//", "-"},
		{"items/{id:regex(^\\d+$)}", nil, "GET /api/items/17", "map[id:17]"},
		{"items/{id:regex(^\\d+$)}", nil, "GET /api/items/x", "-"},
		{"items/{id?}", nil, "GET /api/items", "map[]"},
		{"items/{id?}", nil, "GET /api/items/7", "map[id:7]"},
		{"{*path}", nil, "GET /api", "map[]"},
		{"{*path}", nil, "GET /api/", "map[]"},
		{"{*path}", nil, "GET /api/a/b/", "map[path:a/b/]"},
		{"{*path}", nil, "GET /api//a", "-"},
		{"{*path}", nil, "GET //api/a", "-"},
		{"{*path}", nil, "GET /api/a//b//", "map[path:a//b//]"},
		{butHealth, nil, "GET /api", "-"},
		{butHealth, nil, "GET /api/", "-"},
		{butHealth, nil, "GET /api/runs/1", "map[path:runs/1]"},
		{butHealth, nil, "GET /api/Health", "-"},
		{butHealth, nil, "GET /api/health/", "-"},
		{butHealth, nil, "GET /api/health/x", "map[path:health/x]"},
		{butHealth, nil, "GET /api/healthy", "map[path:healthy]"},
		{butHealth, nil, "GET /api/metrics", "-"},
		{butHealth, nil, "GET /api/health\n", "-"},
		{`{*path:regex(^(?!(health|restores/[^/]+/approve)/?$))}`, nil, "GET /api/Restores/1%2Fx/approve/", "-"},
		{`{*path:regex(^(?!(health|restores/[^/]+/approve)/?$))}`, nil, "GET /api/restores/1/approved", "map[path:restores/1/approved]"},
		{"metrics", nil, "GET /api/metric\u017f", "-"}, // a long s
		{"{*path}", nil, "GET /apis", "-"},
		{"x/{id}/{*rest}", nil, "GET /api/x/1", "map[id:1]"},
		{"x/{id}/{*rest}", nil, "GET /api/x", "-"},
	} {
		r, err := parseRoute("api", c.template, c.methods)
		if err != nil {
			t.Fatal(err)
		}
		method, path, _ := strings.Cut(c.request, " ")
		parameters, ok := r.match(method, path)
		got := fmt.Sprint(parameters)
		if !ok {
			got = "-"
		}
		if got != c.want {
			t.Errorf("%s on %s: %s, want %s", c.request, c.template, got, c.want)
		}
	}
	if r, err := parseRoute("", "items", nil); err != nil || r.template != "items" {
		t.Errorf("without a prefix: %v, %v", r, err)
	}
	for _, template := range []string{
		"{*path}/x", "{id?}/x", "{id:int}", "{id:regex(}", "{id:regex(()}", "{id:regex(^(?!a)}", "{id=1}", "{}", "a{id}", "{id", "id}", "{a}{b}", "admin", "runtimes", "Admin/x",
	} {
		if _, err := parseRoute("api", template, nil); err == nil {
			t.Errorf("%s was taken", template)
		}
	}
}

// TestCleanPath: Kestrel cleans a path before routes and keys are found by it.
func TestCleanPath(t *testing.T) {
	for came, want := range map[string]string{
		"/api/x":                  "/api/x",
		"/api/./x":                "/api/x",
		"/api/x/../health":        "/api/health",
		"/api/x/%2e%2E/health":    "/api/health",
		"/api/x/..":               "/api/",
		"/api/x/.":                "/api/x/",
		"/../../x":                "/x",
		"/api/x/..%2fhealth":      "/api/x/..%2fhealth",
		"/api/x/..%252fhealth":    "/api/x/..%2fhealth",
		"/api/x/%252e%252e/y":     "/api/x/%2e%2e/y",
		`/api/x/..\y`:             `/api/x/..\y`,
		"/api/x/..%5cy":           `/api/x/..\y`,
		"/api//x":                 "/api//x",
		"/api/a%20b%C3%BC%ff%c3z": "/api/a bü%ff%c3z",
		`/api%2fx"`:               `/api%2fx"`,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		var err error
		if r.URL, err = url.ParseRequestURI(came); err != nil {
			t.Fatal(err)
		}
		if got, ok := cleanPath(r); got != want || !ok {
			t.Errorf("%s is %s, want %s", came, got, want)
		}
	}
	if _, ok := cleanPath(httptest.NewRequest("GET", "/api/x%00", nil)); ok {
		t.Error("a NUL was taken")
	}
}
