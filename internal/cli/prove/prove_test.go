package prove_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/cli/prove"
	"lifeboat/internal/services"
)

const service = "/subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/sandbox/providers/Microsoft.ApiManagement/service/contoso-try"

// untouched is a marker that nothing may call.
type untouched struct{ t *testing.T }

func (u untouched) Marks(context.Context, string, string) ([]string, error) {
	u.t.Error("Azure was asked for marks")
	return nil, nil
}

func (u untouched) Mark(context.Context, string, string) error {
	u.t.Error("a mark was made")
	return nil
}

func (u untouched) Unmark(context.Context, string, string) error {
	u.t.Error("a mark was removed")
	return nil
}

func (u untouched) Shown(context.Context, string) (backup.Shown, error) {
	u.t.Error("Azure was asked")
	return backup.Shown{}, nil
}

// TestNothingIsDoneWithoutTheName: on a terminal the person sees what is lost, and nothing is done unless the name of the group is typed.
func TestNothingIsDoneWithoutTheName(t *testing.T) {
	for _, typed := range []string{"", "yes", "contoso-try", "sandbox-2"} {
		app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet || r.URL.Path != "/api/targets" {
				t.Errorf("%q: %s %s", typed, r.Method, r.URL.Path)
			}
			fmt.Fprintf(w, `{"value": [{"target": %q, "plan": "p", "restoreInto": [%[1]q]}]}`, service)
		}))
		var out, errs strings.Builder
		c := prove.Command(prove.Shell{
			Getenv: func(name string) string { return map[string]string{"LIFEBOAT_URL": app.URL, "LIFEBOAT_KEY": "k"}[name] },
			Stdout: &out, Stderr: &errs, Now: func() time.Time { return time.Date(2026, 3, 28, 12, 0, 0, 0, time.UTC) }, RequestID: "0c0ffee0-0000",
			Services: services.All().Known(),
			Markers: func(func(string) string) (map[string]backup.Marker, error) {
				return map[string]backup.Marker{"microsoft.apimanagement/service": untouched{t}}, nil
			},
			Asks: func() bool { return true },
			Line: func(context.Context, string) (string, error) { return typed + "\n", nil },
		})
		c.SilenceErrors, c.SilenceUsage = true, true
		c.SetArgs([]string{"-g", "sandbox", "--service", service, "--to", t.TempDir()})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // a proof that goes on would ask again and again
		err := c.ExecuteContext(ctx)
		cancel()
		app.Close()
		if err == nil || !strings.Contains(err.Error(), "that is not its name: nothing was done") || out.String() != "" {
			t.Errorf("%q: %v\n%s", typed, err, &out)
		}
		for _, words := range []string{service, "overwritten: the whole configuration", "not restored: ", "is LOST", "Type sandbox to go on"} {
			if !strings.Contains(errs.String(), words) {
				t.Errorf("%q is not in\n%s", words, &errs)
			}
		}
	}
}

// unmarked is a marker of a service without marks.
type unmarked struct{ untouched }

func (unmarked) Marks(context.Context, string, string) ([]string, error) { return nil, nil }

func (unmarked) Shown(context.Context, string) (backup.Shown, error) {
	return backup.Shown{State: "Succeeded", Tier: "Developer"}, nil
}

// app plays the API: it answers the check, and fails each backup. It returns the requests that it got, and the error of the command.
func app(t *testing.T, check, requestID string, args ...string) (posts []string, failure error) {
	t.Helper()
	var mu sync.Mutex
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.Method == http.MethodPost {
			posts = append(posts, r.URL.Path+" "+r.Header.Get("Repeatability-Request-ID"))
		}
		fmt.Fprint(w, map[string]string{
			"/api/targets": `{"value": [{"target": "` + service + `", "plan": "p", "restoreInto": ["` + service + `"]}]}`,
			"/api/runs":    `{"value": []}`, "/api/check": check,
			"/api/backups": `{"id": "run-1", "status": "Failed", "state": "failed", "error": {"code": "InvalidParameters", "message": "no"}}`,
		}[r.URL.Path])
	}))
	defer server.Close()
	var out strings.Builder
	c := prove.Command(prove.Shell{
		Getenv: func(name string) string {
			return map[string]string{"LIFEBOAT_URL": server.URL, "LIFEBOAT_KEY": "k"}[name]
		},
		Stdout: &out, Stderr: &out, Now: func() time.Time { return time.Date(2026, 3, 28, 12, 0, 0, 0, time.UTC) }, RequestID: requestID,
		Services: services.All().Known(), Asks: func() bool { return false },
		Markers: func(func(string) string) (map[string]backup.Marker, error) {
			return map[string]backup.Marker{"microsoft.apimanagement/service": unmarked{untouched{t}}}, nil
		},
	})
	c.SilenceErrors, c.SilenceUsage = true, true
	c.SetArgs(append([]string{"--service", service, "--to", t.TempDir()}, args...))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // a proof that goes on would ask again and again
	defer cancel()
	failure = c.ExecuteContext(ctx)
	return posts, failure
}

const goodCheck = `{"plan": "p", "endedDateTime": "2026-03-28T12:00:00Z", "total": 1, "ok": 1, "findings": []}`

// TestAServiceOutsideOfTheGroup: it is refused before the app or Azure is asked anything.
func TestAServiceOutsideOfTheGroup(t *testing.T) {
	posts, err := app(t, goodCheck, "a", "-g", "production", "--yes", "production")
	if err == nil || !strings.Contains(err.Error(), "is in the group sandbox, and not in production") || len(posts) > 0 {
		t.Errorf("%v, %q", err, posts)
	}
}

// TestARefusedCheckStops: there is no backup then.
func TestARefusedCheckStops(t *testing.T) {
	posts, err := app(t, strings.Replace(goodCheck, `[]`, `[{"result": "refused", "what": "the role X", "error": {"code": "RoleMissing", "message": "m"}}]`, 1),
		"a", "-g", "sandbox", "--yes", "SANDBOX")
	if err == nil || !strings.Contains(err.Error(), "the app lacks the role X") || len(posts) != 1 || !strings.HasPrefix(posts[0], "/api/check ") {
		t.Errorf("%v, %q", err, posts)
	}
}

// TestEachRunAsksForTheSameBackup: a proof with the same ID never makes a second backup unless the app tells that the first has failed, and
// one with another ID does. Each looks at the roles again. A backup that fails brings no damage.
func TestEachRunAsksForTheSameBackup(t *testing.T) {
	asked := func(requestID string, args ...string) []string {
		t.Helper()
		posts, err := app(t, goodCheck, requestID, append([]string{"-g", "sandbox", "--yes", "sandbox"}, args...)...)
		if err == nil || !strings.Contains(err.Error(), "ended failed: InvalidParameters") || len(posts) != 2 {
			t.Fatalf("%v, %q", err, posts)
		}
		return posts
	}
	one, again, other := asked("0001-a", "--id", "x"), asked("0002-b", "--id", "x"), asked("0003-c")
	if one[1] != again[1] || one[1] == other[1] || one[0] == again[0] || slices.Contains(other, one[1]) {
		t.Errorf("%q, %q, %q", one, again, other)
	}
}
