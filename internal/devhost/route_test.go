package devhost

import (
	"fmt"
	"testing"
)

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
		{"items/{id}", nil, "GET /api/items/a%2Fb", "map[id:a/b]"},
		{"items/{id}", nil, "GET /api/items", "-"},
		{"items/{id}", nil, "GET /api/items//", "-"},
		{"items/{id?}", nil, "GET /api/items", "map[]"},
		{"items/{id?}", nil, "GET /api/items/7", "map[id:7]"},
		{"{*path}", nil, "GET /api", "map[]"},
		{"{*path}", nil, "GET /api/a/b%20c", "map[path:a/b c]"},
		{"{*path}", nil, "GET /apis", "-"},
		{"x/{id}/{*rest}", nil, "GET /api/x/1", "map[id:1]"},
		{"x/{id}/{*rest}", nil, "GET /api/x", "-"},
	} {
		r, err := parseRoute("api", c.template, c.methods)
		if err != nil {
			t.Fatal(err)
		}
		var method, path string
		if _, err := fmt.Sscan(c.request, &method, &path); err != nil {
			t.Fatal(err)
		}
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
		"{*path}/x", "{id?}/x", "{id:int}", "{id=1}", "{}", "a{id}", "{id", "id}", "{a}{b}", "admin", "runtimes", "Admin/x",
	} {
		if _, err := parseRoute("api", template, nil); err == nil {
			t.Errorf("%s was taken", template)
		}
	}
}

func TestRoutePrecedence(t *testing.T) {
	parse := func(template string) route {
		r, err := parseRoute("api", template, nil)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for _, c := range [][2]string{
		{"items", "{name}"}, {"{name}", "{*path}"}, {"items/{id}", "items/{*path}"}, {"items/latest", "items/{id}"}, {"x/{id}", "{a}/x"},
	} {
		if a, b := parse(c[0]), parse(c[1]); !a.before(b) || b.before(a) || a.collides(b) {
			t.Errorf("%s must come before %s", c[0], c[1])
		}
	}
}
