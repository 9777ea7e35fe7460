package handler

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestPathsStayWithTheirFunction checks that the program takes no form of a path for another function's, since the host has
// looked for the key by the path. A path that only cleaning or a second decoding would make valid has no route.
func TestPathsStayWithTheirFunction(t *testing.T) {
	served := func(method, path string) (function string, status int) {
		r := httptest.NewRequest(method, path, nil)
		w := httptest.NewRecorder()
		function, serve := find(r)
		d := newApp(nil).Handler.(*handler)
		if err := serve(d, w, r); err != nil {
			writeError(w, err)
		}
		return function, w.Code
	}
	for _, c := range []struct {
		method, path, function string
		status                 int
	}{
		{"GET", "/api/health", "health", 200},
		{"GET", "/API/Health", "health", 200},
		{"GET", "/api/health/", "health", 200},
		{"GET", "/api/he%61lth", "health", 200}, // the host decodes once, too
		{"HEAD", "/api/health", "health", 200},
		{"HEAD", "/api/metrics", "metrics", 200},
		{"POST", "/api/health", "health", 405},
		{"HEAD", "/api/runs", "api", 405},
		{"GET", "/Api/RUNS?target=" + target, "api", 200},
		{"GET", "/api/Recovery-Points?target=" + target, "api", 200},
		{"GET", "/api", "api", 404},
		{"GET", "/api/", "api", 404},
		{"GET", "//api/health", "api", 404},
		{"GET", "/api//health", "api", 404},
		{"GET", "/api/health//", "api", 404},
		{"GET", "/api/./health", "api", 404},
		{"GET", "/api/x/../health", "api", 404},
		{"GET", "/api/%2e/health", "api", 404},
		{"GET", "/api/x/%2e%2e/health", "api", 404},
		{"GET", "/api/runs/..%2f..%2fhealth", "api", 404},
		{"GET", "/api/x/..%252fhealth", "api", 404},
		{"GET", "/api/he%2561lth", "api", 404},
		{"GET", "/api%2fhealth", "api", 404},
		{"GET", "/api/health%2f", "api", 404},
		{"GET", "/api/health%00", "api", 404},
		{"GET", "/api/health%20", "api", 404},
		{"GET", `/api\health`, "api", 404},
		{"GET", `/api/x\..\health`, "api", 404},
		{"GET", "/api/health;x", "api", 404},
		{"GET", "/api/metric%C5%BF", "api", 404}, // a long s, which Unicode takes for another s
		// A slash that was escaped stays one in a path that Go's own form cannot hold.
		{"GET", `/api%2fhealth"`, "api", 404},
		{"POST", `/api/restores/x%2fcancel"`, "api", 405}, // an ID to GET
		{"POST", "/api/restores/x%2Fcancel", "api", 405},
		{"GET", "/api/runs/ID1", "api", 404},
	} {
		if function, status := served(c.method, c.path); function != c.function || status != c.status {
			t.Errorf("%s %s: %s %d, want %s %d", c.method, c.path, function, status, c.function, c.status)
		}
	}
}

// TestIDsKeepTheirCase checks that the fixed parts of a path may have any case, and the ID only its own.
func TestIDsKeepTheirCase(t *testing.T) {
	for _, path := range []string{"/API/Runs/aB%20c", "/api/recovery-POINTS/aB%20c/ACCEPT"} {
		method := http.MethodGet
		if path[len(path)-1] == 'T' {
			method = http.MethodPost
		}
		r := httptest.NewRequest(method, path, nil)
		if find(r); r.PathValue("id") != "aB c" {
			t.Errorf("%s has the ID %q", path, r.PathValue("id"))
		}
	}
}
