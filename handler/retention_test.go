package handler

import (
	"net/url"
	"strings"
	"testing"

	"lifeboat/internal/backup"
)

// TestRetention checks the answers about a target and about one point, and which questions are refused.
func TestRetention(t *testing.T) {
	d := newApp(nil)
	first := d.point(t, backup.Live)
	older := func(state backup.PointState, age string) string {
		p := backup.Point{ID: first[:17] + age + first[27:], State: state, Target: target, Plan: "nightly", Reason: backup.Reason{Message: "keep.within ended"}}
		if _, err := d.catalog.Apply(t.Context(), backup.Write{Op: backup.Insert, Key: p.Key(), Body: backup.Encode(p)}); err != nil {
			t.Fatal(err)
		}
		return p.ID
	}
	second, gone := older(backup.Deleting, "9000000000"), older(backup.Expired, "9000000001")
	one := `"id":"` + second + `","plan":"nightly","state":"deleting","sizeInBytes":0,"stays":false,"reasons":[{"message":"its deletion was begun"}]}`
	other := `"id":"` + first + `","plan":"nightly","state":"live","sizeInBytes":0,"stays":true,"reasons":[{"message":"no rule of keep limits its time"}`
	keep := func(rules string) string { return "&" + url.Values{"keep": {rules}}.Encode() }
	for _, c := range []struct {
		query  string
		status int
		want   []string
		not    string
	}{
		{"target=" + target, 200, []string{`{"target":"` + target + `","dateTime":"20`, one, other}, gone},
		{"target=" + target + "&at=2099-01-01T00:00:00Z", 200, []string{`"dateTime":"2099-01-01T00:00:00Z"`, one, other}, gone},
		{"target=" + target + "-two", 200, []string{`"value":[]}`}, first},
		{"recoveryPoint=" + first, 200, []string{`"target":"` + target, other}, second},
		{"recoveryPoint=" + second + "&at=2099-01-01T01:00:00%2B01:00", 200, []string{`"dateTime":"2099-01-01T00:00:00Z"`, one}, first},
		{"recoveryPoint=" + gone, 409, []string{"RecoveryPointGone", gone + " is expired: keep.within ended"}, first},
		{"recoveryPoint=" + strings.Replace(first, "-", "-1", 1), 404, []string{"RecoveryPointNotFound"}, ""},
		{"recoveryPoint=", 404, []string{"RecoveryPointNotFound"}, ""},
		{"recoveryPoint=" + first + "&target=" + target, 400, []string{"InvalidRequest", `"target":"target"`, "one of them"}, ""},
		{"", 400, []string{"InvalidRequest", `"target":"target"`}, ""},
		{"target=contoso", 400, []string{"InvalidTarget"}, ""},
		{"target=" + target + "&at=tomorrow", 400, []string{"InvalidRequest", `"target":"at"`}, ""},
		{"target=" + target + "&at=", 400, []string{"InvalidRequest", `"target":"at"`}, ""},
		{"target=" + target + "&at=2020-01-01T00:00:00Z", 400, []string{`"target":"at"`, "is earlier than now"}, ""},
		{"target=" + target + keep(`{"plan":"nightly","last":3,"timeZone":"Europe/Berlin"}`), 200, []string{one, "kept by plan nightly, "}, gone},
		{"target=" + target + keep(`{"plan":"nightly"}`) + keep(`{"plan":"weekly","withinInSeconds":86400}`), 200, []string{one}, gone},
		{"target=" + target + keep(`{"plan":"nightly","last":-3}`), 400, []string{`"target":"keep"`, "plan nightly: last is -3: write"}, ""},
		{"target=" + target + keep(`{"plan":"nightly","last":3,"timeZone":"Mars"}`), 400, []string{`"target":"keep"`, "Mars"}, ""},
		{"target=" + target + keep(`{"last":3}`), 400, []string{`"target":"keep"`, "has no rules of a plan such as"}, ""},
		{"target=" + target + keep(`{"plan":"nightly","lst":3}`), 400, []string{`"target":"keep"`}, ""},
		{"target=" + target + keep(`7`), 400, []string{`"target":"keep"`}, ""},
		{"recoveryPoint=" + first + "&at=2020-01-01T00:00:00Z", 400, []string{`"target":"at"`, "is earlier than now"}, ""},
	} {
		w := d.call("GET", "/api/retention?"+c.query, "")
		if w.Code != c.status {
			t.Errorf("%s: %d %s, want %d", c.query, w.Code, w.Body, c.status)
		}
		for _, want := range c.want {
			if !strings.Contains(w.Body.String(), want) {
				t.Errorf("%s: %s\nhas no %s", c.query, w.Body, want)
			}
		}
		if c.not != "" && strings.Contains(w.Body.String(), `"id":"`+c.not) {
			t.Errorf("%s: %s\nhas %s", c.query, w.Body, c.not)
		}
	}
	stopped := d.call("POST", "/api/stop", `{"reason":"an incident"}`)
	w := d.call("GET", "/api/retention?"+url.Values{"target": {target}}.Encode(), "")
	if stopped.Code != 200 || !strings.Contains(w.Body.String(), `"stopped":"stopped since `) || !strings.Contains(w.Body.String(), one) {
		t.Errorf("stopped: %d %s", w.Code, w.Body)
	}
}
