package handler

import (
	"errors"
	"strings"
	"testing"

	"lifeboat/internal/backup"
)

// TestForget checks the answers to a person who forgets a target, and which requests are refused.
func TestForget(t *testing.T) {
	d := newApp(nil)
	id := d.point(t, backup.Live)
	for _, c := range []struct {
		body   string
		status int
		want   []string
	}{
		{`{"target":"` + target + `"}`, 400, []string{"needs a reason"}},
		{`{"target":"contoso","reason":"retired"}`, 400, []string{"InvalidTarget"}},
		{`{"target":"` + target + `","reason":"retired","dryRun":"perhaps"}`, 400, []string{"dryRun"}},
		{`{"target":"` + target + `","reason":"retired","after":"` + strings.Replace(id, "-", "-1", 1) + `"}`, 404, []string{"RecoveryPointNotFound"}},
		{`{"target":"` + target + `","reason":"retired","all":true}`, 400, []string{"all"}},
		{`{"target":"` + target + `-two","reason":"retired"}`, 200, []string{`"value":[]`}},
		{
			`{"target":"` + target + `","reason":"retired","dryRun":true}`, 200,
			[]string{`"dryRun":true`, `"id":"` + id + `"`, `"stays":"it is the newest verified recovery point of its target, which a plan backs up"`},
		},
		{`{"target":"` + target + `","reason":"retired"}`, 200, []string{`"id":"` + id + `"`, `"stays":"it is the newest`}},
	} {
		w := d.call("POST", "/api/forget", c.body)
		if w.Code != c.status {
			t.Errorf("%s: %d %s, want %d", c.body, w.Code, w.Body, c.status)
		}
		for _, want := range c.want {
			if !strings.Contains(w.Body.String(), want) {
				t.Errorf("%s: %s\nhas no %s", c.body, w.Body, want)
			}
		}
	}
}

// TestADeletionWithoutAPlanSaysWhy: plan.yaml has a mistake, and there never was a good one. The answers to a backup and
// to a deletion say so.
func TestADeletionWithoutAPlanSaysWhy(t *testing.T) {
	about, id := `{"target":"`+target+`"`, newApp(nil).point(t, backup.Live)
	for path, body := range map[string]string{
		"/api/backups":                           about + `}`,
		"/api/forget":                            about + `,"reason":"gone"}`,
		"/api/recovery-points/" + id + "/delete": `{"reason":"gone"}`,
		"/api/security-domains":                  about + `,"statement":{}}`,
	} {
		d := newApp(nil)
		d.plans = func() ([]backup.Plan, error) { return nil, errors.New("plan.yaml:7: nonsense") }
		w := d.call("POST", path, body)
		if w.Code != 503 || !strings.Contains(w.Body.String(), "plan.yaml:7: nonsense") {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}
