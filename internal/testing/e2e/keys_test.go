package e2e

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/handler"
	"lifeboat/internal/testing/stack"
)

// TestKeysOpenTheirOwnFunctionAlone: the test tries each function's methods on each route, with every existing key. The host
// answers 401 to a key of another function, and 404 to a call that belongs to no function, both empty; the program sees
// neither.
func TestKeysOpenTheirOwnFunctionAlone(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	a := newApp(t, stack.AppConfig{Plan: planFor(yearly, "1d", newServices(t, 1)...)})
	keys := map[string]string{"host": a.HostKey(), "master": a.MasterKey(), "none": "", "wrong": "wrong"}
	for _, f := range handler.HTTPFunctions() {
		keys[f.Name] = a.Key(f.Name)
	}
	ask := func(method, path, key string) (int, []byte) {
		t.Helper()
		r, err := http.NewRequestWithContext(ctx, method, a.URL(), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.URL.Opaque = strings.TrimPrefix(a.URL(), "http:") + path // the path unchanged
		r.Header.Set("x-functions-key", keys[key])
		response, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		var body bytes.Buffer
		if _, err := body.ReadFrom(response.Body); err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, body.Bytes()
	}
	for _, f := range handler.HTTPFunctions() {
		for _, route := range f.Routes {
			path := strings.ReplaceAll(route.Path, "{id}", "x")
			for key := range keys {
				for _, method := range []string{"GET", "HEAD", "POST", "PUT", "OPTIONS"} {
					status, body := ask(method, path, key)
					switch opens := key == f.Name || key == "host" || key == "master" || f.AuthLevel == "anonymous"; {
					case !slices.Contains(f.Methods, method):
						if status != 404 || len(body) > 0 {
							t.Errorf("%s %s with the key %s: %d %s, want an empty 404", method, path, key, status, body)
						}
					case !opens:
						if status != 401 || len(body) > 0 {
							t.Errorf("%s %s with the key %s: %d %s, want an empty 401", method, path, key, status, body)
						}
					case status == 401 || len(body) == 0 && method != "HEAD" || method == "HEAD" && (status != 200 || len(body) > 0):
						t.Errorf("%s %s with the key %s: %d %s, want the program's answer", method, path, key, status, body)
					}
				}
			}
		}
	}

	// A path in another form belongs to the same function or to none.
	target := "?target=" + url.QueryEscape(stack.Service("contoso"))
	for _, c := range []struct{ key, path string }{
		{"health", "/api/health/../runs" + target},
		{"health", "/api/health/%2e%2e/runs" + target},
		{"health", "/api/health/..%2fruns" + target},
		{"health", "/api/health/..%252fruns" + target},
		{"health", "/api/health%2f../runs" + target},
		{"health", `/api/health\..\runs` + target},
		{"health", "/api/health/..%5cruns" + target},
		{"health", "/api/health;/../runs" + target},
		{"health", "/api/health;/runs" + target},
		{"health", "/api//runs" + target},
		{"health", "/API/RUNS" + target},
		{"health", "/api/health%20/runs" + target},
		{"api", "/api/runs/../health"},
		{"api", "/api/runs/..%2fhealth"},
		{"api", "/api/runs/..%252f..%252fhealth"},
		{"api", `/api/runs/..\health`},
		{"api", "/api//health"},
		{"api", "/API/HEALTH/"},
		{"api", "/api/he%61lth"},
		{"api", "/api/he%2561lth"},
		{"api", "/api/health;"},
		{"api", "/api/health%00"},
		{"api", "/api/%68ealth%0a"},
		{"metrics", "/api/Metrics/../Health"},
		{"metrics", "/api/metrics%2f..%2fhealth"},
	} {
		if status, body := ask("GET", c.path, c.key); status < 400 || bytes.Contains(body, []byte("contoso")) || bytes.Contains(body, []byte("timeZones")) {
			t.Errorf("the key of %s opens %s: %d %s", c.key, c.path, status, body)
		}
	}
	for key, path := range map[string]string{"health": "/API/Health/", "metrics": "/api/./METRICS", "api": "/API/Runs" + target} {
		if status, body := ask("GET", path, key); status != 200 {
			t.Errorf("the key of %s does not open %s: %d %s", key, path, status, body)
		}
	}
}
