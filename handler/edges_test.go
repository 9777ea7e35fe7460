package handler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/rs/zerolog"

	"lifeboat/internal/api"
	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
	"lifeboat/internal/health"
	"lifeboat/internal/request"
	"lifeboat/internal/schedule"
	"lifeboat/internal/services"
	"lifeboat/internal/testing/memory"
)

// every is a field of a schedule that always matches.
const every = 1<<32 - 1

// midnight has a scheduled time at the beginning of each day.
func midnight() schedule.Schedule {
	return schedule.Schedule{Second: 1, Minute: 1, Hour: 1, Day: every, Month: every, Weekday: every, Zone: time.UTC}
}

// daily is a plan with a scheduled time each day.
func daily(name string, targets ...string) backup.Plan {
	return backup.Plan{
		Name: name, Targets: targets, Schedule: midnight(),
		Settings: backup.Settings{Storage: backup.Storage{Account: account, Container: "c"}, KeepWithin: time.Hour},
	}
}

// planned is a handler with these plans, after a timer run has seen them.
func planned(t *testing.T, plans ...backup.Plan) *app {
	t.Helper()
	d := newApp(nil)
	d.plans = func() ([]backup.Plan, error) { return plans, nil }
	d.timer(t, 200)
	return d
}

// timer calls the function of the timer.
func (d *app) timer(t *testing.T, status int) {
	t.Helper()
	if w := d.call("POST", "/schedule", envelope(t, "timer.json")); w.Code != status {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	d.log.Reset()
}

// partition is the target's partition in the catalog.
func (d *app) partition(t *testing.T, target string) string {
	t.Helper()
	elsewhere := &engine.Engine{
		Catalog: memory.NewCatalog(time.Now), Queue: memory.NewQueue(time.Now), Timings: engine.DefaultTimings(), Now: time.Now,
		NewID: func() string { return "id" },
	}
	b, _, err := elsewhere.Backup(t.Context(), request.Backup{ID: "i", Target: target}, []backup.Plan{daily("p", target)})
	if err != nil {
		t.Fatal(err)
	}
	return b.Runs[0].ID[:16]
}

// row writes a row of the target, and the mark that an engine leaves with it.
func (d *app) row(t *testing.T, target, row string, value any) {
	t.Helper()
	body, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	key := backup.Key{Partition: d.partition(t, target), Row: row}
	for _, w := range []backup.Write{{Op: backup.Put, Key: key, Body: body}, health.Mark(target)} {
		if _, err := d.catalog.Apply(t.Context(), w); err != nil {
			t.Fatal(err)
		}
	}
}

// backedUp leaves a live recovery point of the target that is so old, by the plan nightly.
func (d *app) backedUp(t *testing.T, target string, age time.Duration) {
	t.Helper()
	d.row(t, target, "point-8000000000-000000000000", backup.Point{
		ID: "p", State: backup.Live, Target: target, Plan: "nightly", Created: time.Now().Add(-age),
	})
}

// TestRetryAfterIsOneToSixtySeconds checks Retry-After for every due time of a run: no client of Azure takes 0 or less, or waits
// for hours.
func TestRetryAfterIsOneToSixtySeconds(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for due, want := range map[time.Duration]string{
		-time.Hour: "1", -time.Second: "1", 0: "1", 999 * time.Millisecond: "1", time.Second: "1", 2500 * time.Millisecond: "2",
		30 * time.Second: "30", time.Minute: "60", 61 * time.Second: "60", 24 * time.Hour: "60",
	} {
		for _, state := range []backup.State{backup.Queued, backup.Waiting, backup.Starting, backup.Running, backup.Verifying} {
			h, r := new(handler), httptest.NewRequest("GET", "/api/runs/x", nil)
			w := httptest.NewRecorder()
			h.answerStatus(w, r, "/api/runs/", engine.Status{Run: backup.Run{State: state, Due: now.Add(due)}}, now)
			if got := w.Header().Get("Retry-After"); w.Code != 202 || got != want {
				t.Errorf("%s, due in %s: %d, Retry-After %q, want %s", state, due, w.Code, got, want)
			}
			b := engine.Batch{Runs: []backup.Run{{State: backup.Succeeded, Due: now.Add(-time.Hour)}, {State: state, Due: now.Add(due)}}}
			w = httptest.NewRecorder()
			h.underWay(w, r, "/api/batches/x", batchWait(b, now), struct{}{})
			if got := w.Header().Get("Retry-After"); got != want {
				t.Errorf("a batch, %s, due in %s: Retry-After %q, want %s", state, due, got, want)
			}
		}
		w := httptest.NewRecorder()
		new(handler).answerStatus(w, httptest.NewRequest("GET", "/api/runs/x", nil), "/api/runs/", engine.Status{Run: backup.Run{State: backup.Failed, Due: now.Add(due)}}, now)
		if w.Code != 200 || w.Header().Get("Retry-After") != "" {
			t.Errorf("ended: %d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
		}
	}
}

// TestMetricsOfATargetNeverBackedUp checks that a target without a recovery point has no time of one.
func TestMetricsOfATargetNeverBackedUp(t *testing.T) {
	d := planned(t, daily("nightly", target, target+"-new"))
	d.backedUp(t, target, time.Hour)
	m := d.scrape(t)
	for _, name := range []string{"lifeboat_recovery_point_timestamp_seconds"} {
		of := func(target string) string {
			return labels.FromStrings("__name__", name, "target", target, "plan", "nightly").String()
		}
		if _, ok := m[of(target)]; !ok {
			t.Errorf("no %s of what was backed up", name)
		}
		if v, ok := m[of(target+"-new")]; ok {
			t.Errorf("%s of what was never backed up is %v", name, v)
		}
	}
	status := labels.FromStrings("__name__", "lifeboat_plan_targets", "plan", "nightly", "status", "pending")
	if m[status.String()] != 1 {
		t.Errorf("it is not pending: %v", m)
	}
}

// TestMetricsOfAPlanWithoutScheduledTimes checks that such a plan has no next scheduled time. Its deadline is the time from
// which the service restores the recovery point no more.
func TestMetricsOfAPlanWithoutScheduledTimes(t *testing.T) {
	plan := daily("nightly", target)
	plan.Schedule = schedule.Schedule{Zone: time.UTC}
	d := planned(t, plan)
	d.backedUp(t, target, time.Hour)
	found := 0
	for name, value := range d.scrape(t) {
		if strings.Contains(name, "next_scheduled") {
			t.Errorf("there is none: %s", name)
		}
		if !strings.Contains(name, "target_deadline") {
			continue
		}
		found++
		if left := time.Until(time.Unix(int64(value), 0)); left < 29*24*time.Hour || left > 30*24*time.Hour {
			t.Errorf("%s is in %s", name, left)
		}
	}
	if found != 1 {
		t.Errorf("%d deadlines, want one", found)
	}
}

// TestMetricsComeOncePerThing checks that no sample comes twice, since a scraper would refuse the whole answer. The samples of a
// target come once for each target, and the samples of a plan once for each plan.
func TestMetricsComeOncePerThing(t *testing.T) {
	paused := daily("paused", target+"-c", target+"-d")
	paused.Paused = true
	d := planned(t, daily("one", target, target+"-b", target+"-c"), daily("two", target, target+"-b"), paused)
	for i, state := range []backup.State{backup.Running, backup.Queued, backup.Succeeded} {
		name := target + []string{"", "-b", "-c"}[i]
		d.row(t, name, "run-8000000000-000000000000", backup.Run{ID: "r", Target: name, State: state, Created: time.Now()})
	}
	m := d.scrape(t) // fails where a sample comes twice
	count := map[string]int{}
	for name := range m {
		_, rest, _ := strings.Cut(name, `__name__="lifeboat_`)
		family, _, _ := strings.Cut(rest, `"`)
		count[family]++
	}
	for family, want := range map[string]int{
		"target_unprotected": 7, "plan_targets": 3 * 5, "plan_last_runs": 3 * 12, "plan_refused": 1,
		"plan_next_scheduled_timestamp_seconds": 2,
	} {
		if count[family] != want {
			t.Errorf("%d samples of %s, want %d", count[family], family, want)
		}
	}
	for _, plan := range []string{"one", "two"} { // both have the targets whose runs are under way
		for state, want := range map[string]float64{"running": 1, "queued": 1, "failed": 0} {
			if n := m[labels.FromStrings("__name__", "lifeboat_plan_last_runs", "plan", plan, "state", state).String()]; n != want {
				t.Errorf("plan %s: %v runs are %s, want %v", plan, n, state, want)
			}
		}
	}
	for i, name := range []string{"one", "two"} {
		scheduledTime := time.Unix(int64(m[`{__name__="lifeboat_plan_next_scheduled_timestamp_seconds", plan="`+name+`"}`]), 0).UTC()
		if !scheduledTime.After(time.Now()) || scheduledTime.After(time.Now().Add(24*time.Hour)) || scheduledTime.Hour()+scheduledTime.Minute()+scheduledTime.Second() != 0 {
			t.Errorf("plan %d comes due at %s", i, scheduledTime)
		}
	}
}

// edited is a handler with a book whose text the test edits: the text "broken" is refused.
func edited(t *testing.T, text *string, plans ...backup.Plan) *app {
	t.Helper()
	d := newApp(func(c *Config) {
		c.Plans.Read = func(context.Context) ([]byte, error) { return []byte(*text), nil }
		c.Plans.Parse = func(text []byte) ([]backup.Plan, error) {
			if string(text) == "broken" {
				return nil, errors.Join(errors.New("plan.yaml:7: nonsense"), errors.New("plan.yaml:8: more of it"))
			}
			return plans, nil
		}
	})
	d.timer(t, 200)
	return d
}

// TestWhileAnEditIsRefused checks that the last good plan is active, and that every answer about plans says that it is not
// the plan of plan.yaml.
func TestWhileAnEditIsRefused(t *testing.T) {
	text := "good"
	d := edited(t, &text, daily("nightly", target))
	d.backedUp(t, target, time.Hour)
	if m := d.scrape(t); m[`{__name__="lifeboat_plan_refused"}`] != 0 {
		t.Errorf("refused before the edit: %v", m)
	}
	good := backup.Digest(text, 32)
	if v := d.health(t, 200); v.Plan != (api.PlanHealth{Hash: good}) {
		t.Errorf("refused before the edit: %+v", v.Plan)
	}
	text = "broken"
	for _, seen := range []bool{false, true} {
		m := d.scrape(t)
		status := labels.FromStrings("__name__", "lifeboat_plan_targets", "plan", "nightly", "status", "protected")
		if m[`{__name__="lifeboat_plan_refused"}`] != 1 || m[status.String()] != 1 {
			t.Errorf("a timer run has seen the edit, %t: %v", seen, m)
		}
		v := d.health(t, 200)
		if !v.Plan.Refused || v.Plan.Hash != good || v.Plan.Error == nil || len(v.Plan.Error.Details) != 2 || v.Plan.ActiveSince.IsZero() ||
			!strings.Contains(v.Plan.Error.Message, "the last good plan stays active") ||
			(!v.Plan.RefusedSince.IsZero()) != seen || v.OverallStatus != health.Protected {
			t.Errorf("a timer run has seen the edit, %t: %+v", seen, v)
		}
		if w := d.call("POST", "/api/backups", `{"target":"`+target+`"}`); w.Code != 202 {
			t.Errorf("a backup by the last good plan: %d %s", w.Code, w.Body)
		}
		d.timer(t, 200)
	}
	text = "good again"
	d.timer(t, 200)
	if m := d.scrape(t); m[`{__name__="lifeboat_plan_refused"}`] != 0 {
		t.Errorf("refused after it was mended: %v", m)
	}
}

// TestHealthIsThatOfTheWorst checks that the order of the targets does not matter, and that only an unprotected one is an alarm.
func TestHealthIsThatOfTheWorst(t *testing.T) {
	const well, late, bad, fresh = target + "-well", target + "-late", target + "-bad", target + "-new"
	for _, c := range []struct {
		targets []string
		status  health.Protection
		code    int
	}{
		{[]string{well}, health.Protected, 200},
		{[]string{well, fresh}, health.Pending, 200},
		{[]string{fresh, well}, health.Pending, 200},
		{[]string{late, fresh, well}, health.Late, 200},
		{[]string{well, fresh, late}, health.Late, 200},
		{[]string{bad, late, well}, health.Unprotected, 503},
		{[]string{well, late, bad}, health.Unprotected, 503},
	} {
		d := planned(t, daily("nightly", c.targets...))
		d.backedUp(t, well, time.Minute)
		d.backedUp(t, late, 30*time.Hour)
		d.backedUp(t, bad, 73*time.Hour)
		if v := d.health(t, c.code); v.OverallStatus != c.status || len(v.Targets) != len(c.targets) {
			t.Errorf("%q: %+v", c.targets, v)
		}
	}
}

// TestARequestsIDHasAtMost128Characters checks the length of the ID for each kind of request.
func TestARequestsIDHasAtMost128Characters(t *testing.T) {
	for length, status := range map[int]int{1: 202, 127: 202, 128: 202, 129: 400, 1280: 400} {
		id := strings.Repeat("x", length)
		for _, ask := range []struct{ path, body, field string }{
			{"/api/backups", `{"target":"` + target + `"}`, "id"},
			{"/api/backups", `{"plan":"nightly"}`, "id"},
			{"/api/restores", `{"target":"` + target + `","recoveryPoint":"latest"}`, "id"},
		} {
			d, _, _ := restoreHandler(t, false)
			w := d.call("POST", ask.path, ask.body, "Repeatability-Request-ID", id)
			if v := read(t, w); w.Code != status || status == 400 && v.Error.Target != ask.field {
				t.Errorf("%s %s with %d characters: %d %s", ask.path, ask.body, length, w.Code, w.Body)
			}
		}
	}
}

// TestEveryRefusalOfARestoreIsAConflict checks that a refusal answers 409 with the guard's code, each time, and with the address
// of the refused restore.
func TestEveryRefusalOfARestoreIsAConflict(t *testing.T) {
	with := func(fields string) string {
		return `{"id":"i","target":"` + target + `","recoveryPoint":"latest",` + fields + `}`
	}
	hsm := strings.Replace(target, "ApiManagement/service", "KeyVault/managedHSMs", 1)
	for code, body := range map[string]string{
		"RequestExpired":        with(`"expires":"2026-01-31T02:30:00Z"`),
		"UnknownTarget":         strings.Replace(with(`"kind":"full"`), target, target+"-other", 1),
		"DestinationNotAllowed": with(`"into":"` + target + `-other"`),
		"ReplyToNotAllowed":     with(`"replyTo":"elsewhere"`),
		"RegionNotSupported":    with(`"restoreRegion":"westeurope"`),
		"KindNotSupported":      with(`"kind":"selective","key":"rsa1"`),
		"NoRecoveryPoint":       `{"id":"i","target":"` + target + `","recoveryPoint":"latest before 2020-01-31T02:30:00Z"}`,
		"RecoveryPointNotFound": `{"id":"i","target":"` + target + `","recoveryPoint":"0123456789abcdef-8234567890-0123456789ab"}`,
		"ApprovalUnavailable":   with(`"reason":"a test"`),
		"TypeMismatch":          with(`"into":"` + hsm + `"`),
	} {
		d, _, _ := restoreHandler(t, false, func(c *Config) {
			parse := c.Plans.Parse
			c.Plans.Parse = func(text []byte) ([]backup.Plan, error) {
				all, err := parse(text)
				all[0].Restore.Approval = code == "ApprovalUnavailable"
				if code == "TypeMismatch" {
					all[0].Restore.Into = append(all[0].Restore.Into, hsm)
				}
				return all, err
			}
		})
		for range 2 {
			w := d.call("POST", "/api/restores", body)
			v := read(t, w)
			where := strings.TrimPrefix(w.Header().Get("Location"), "http://127.0.0.1:8080")
			if w.Code != 409 || v.Error.Code != code || v.Error.Message == "" || w.Header().Get("Operation-Location") != "" {
				t.Errorf("%s: %d %v %s", code, w.Code, w.Header(), w.Body)
				continue
			}
			if w := d.call("GET", where, ""); w.Code != 200 || read(t, w).State != "refused" || read(t, w).Error.Code != code {
				t.Errorf("%s, at %s: %d %s", code, where, w.Code, w.Body)
			}
		}
	}
}

// TestABackupIsOfTheTargetThatIsMeant checks that a request may name the target in any case, with a slash at its end, and in
// any place of any plan.
func TestABackupIsOfTheTargetThatIsMeant(t *testing.T) {
	both, own := target+"-both", target+"-own"
	// Two groups that strings.EqualFold takes for one, and Azure for two.
	sigma, final := strings.Replace(target, "/g/", "/πσ/", 1), strings.Replace(target, "/g/", "/πς/", 1)
	d := newApp(nil)
	d.plans = func() ([]backup.Plan, error) {
		return []backup.Plan{daily("one", target, both), daily("two", both, own, sigma)}, nil
	}
	for _, c := range []struct {
		target, plan string
		want         string // plan and target of the run, or the code
	}{
		{target, "", "one " + target},
		{strings.ToUpper(target), "", "one " + target},
		{strings.ToLower(target) + "/", "", "one " + target},
		{own, "", "two " + own},
		{strings.ToUpper(own), "two", "two " + own},
		{both, "one", "one " + both},
		{both, "two", "two " + both},
		{both, "", "AmbiguousTarget"},
		{both, "three", "UnknownPlan"},
		{both, "ONE", "UnknownPlan"},
		{own, "one", "UnknownTarget"},
		{target + "-none", "", "UnknownTarget"},
		{strings.ToUpper(sigma), "", "two " + sigma},
		{final, "", "UnknownTarget"},
		{"contoso", "", "InvalidRequest"},
		{"", "", "InvalidRequest"},
	} {
		body, err := json.Marshal(map[string]string{"target": c.target, "plan": c.plan})
		if err != nil {
			t.Fatal(err)
		}
		w := d.call("POST", "/api/backups", string(body), "Repeatability-Request-ID", c.target+c.plan)
		var v struct {
			Plan, Target string
			Error        api.Problem
		}
		if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimSpace(v.Plan + " " + v.Target + v.Error.Code); got != c.want || (w.Code == 202) != (v.Error.Code == "") ||
			v.Error.Code != "" && w.Code != 400 {
			t.Errorf("%q of plan %q: %d %s, want %s", c.target, c.plan, w.Code, w.Body, c.want)
		}
		if w.Code == 202 && (w.Header().Get("Retry-After") != "1" || w.Header().Get("Repeatability-Result") != "accepted") {
			t.Errorf("%v", w.Header())
		}
	}
}

// TestAListComesInPages checks pages of 1 to 100, and 20 by default, each with a link to the next, and the last without one.
func TestAListComesInPages(t *testing.T) {
	d := newApp(nil)
	var first string
	for i := range 101 {
		w := d.call("POST", "/api/backups", `{"target":"`+target+`"}`, "Repeatability-Request-ID", fmt.Sprint(i))
		var run struct{ ID string }
		if err := json.Unmarshal(w.Body.Bytes(), &run); err != nil || w.Code != 202 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		first = run.ID
	}
	for _, c := range []struct {
		query  string
		status int
		items  int
		more   bool
	}{
		{"", 200, 20, true},
		{"&top=1", 200, 1, true},
		{"&top=100", 200, 100, true},
		{"&top=0", 400, 0, false},
		{"&top=101", 400, 0, false},
		{"&top=-1", 400, 0, false},
		{"&top=many", 400, 0, false},
		{"&top=100&follow", 200, 1, false}, // the page after the page of 100
	} {
		path := "/api/runs?target=" + target + c.query
		if strings.HasSuffix(c.query, "&follow") {
			path = strings.TrimPrefix(next(t, d.call("GET", strings.TrimSuffix(path, "&follow"), "")), "http://127.0.0.1:8080")
		}
		w := d.call("GET", path, "")
		var v struct{ Value []struct{ ID string } }
		if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		if w.Code != c.status || len(v.Value) != c.items || (next(t, w) != "") != c.more {
			t.Errorf("%s: %d, %d items, next %q", c.query, w.Code, len(v.Value), next(t, w))
		}
	}
	link := next(t, d.call("GET", "/api/runs?target="+target+"&top=3", ""))
	if w := d.call("GET", strings.TrimPrefix(link, "http://127.0.0.1:8080"), ""); strings.Count(w.Body.String(), `"status"`) != 3 {
		t.Errorf("the page after one of 3 is another size: %s", link)
	}
	for _, spelled := range []string{strings.ToUpper(target), target + "/"} {
		if w := d.call("GET", "/api/runs?target="+spelled, ""); w.Code != 200 || !strings.Contains(w.Body.String(), first[:16]) {
			t.Errorf("%s: %d %s", spelled, w.Code, w.Body)
		}
	}
	for _, wrong := range []string{"", "contoso", target + "/x"} {
		if w := d.call("GET", "/api/recovery-points?target="+wrong, ""); w.Code != 400 || !strings.Contains(w.Body.String(), "InvalidTarget") {
			t.Errorf("%s: %d %s", wrong, w.Code, w.Body)
		}
	}
}

// next is the link of the page to the next one.
func next(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	var v struct{ NextLink string }
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatal(err)
	}
	return v.NextLink
}

// TestBodiesAreOneJSONOfAtMost64KiB checks the limits of bodies.
func TestBodiesAreOneJSONOfAtMost64KiB(t *testing.T) {
	body := `{"target":"` + target + `"}`
	for _, c := range []struct {
		name, body, media string
		status            int
		code              string
	}{
		{"as it should be", body, "application/json", 202, ""},
		{"with a charset", body, "application/json; charset=utf-8", 202, ""},
		{"in another case", body, "Application/JSON", 202, ""},
		{"of 64 KiB", body + strings.Repeat(" ", 64<<10-len(body)), "application/json", 202, ""},
		{"of a byte more", body + strings.Repeat(" ", 64<<10-len(body)+1), "application/json", 413, "RequestBodyTooLarge"},
		{"as text", body, "text/plain", 415, "UnsupportedMediaType"},
		{"as CloudEvents in a batch", body, "application/cloudevents-batch+json", 415, "UnsupportedMediaType"},
		{"without a type", body, "", 415, "UnsupportedMediaType"},
		{"twice", body + body, "application/json", 400, "InvalidRequest"},
		{"with a field of another spelling", `{"tarket":"` + target + `"}`, "application/json", 400, "InvalidRequest"},
		{"of nothing", " \n", "application/json", 400, "InvalidBody"},
		{"of a list", "[]", "application/json", 400, "InvalidRequest"},
	} {
		w := newApp(nil).call("POST", "/api/backups", c.body, "Content-Type", c.media)
		if v := read(t, w); w.Code != c.status || v.Error.Code != c.code {
			t.Errorf("a body %s: %d %s", c.name, w.Code, w.Body)
		}
	}
}

// TestAReasonOfAThousandCharactersIsTaken checks that a reason may have a thousand characters of any script, and not one more.
func TestAReasonOfAThousandCharactersIsTaken(t *testing.T) {
	for _, letter := range []string{"x", "ü", "船"} {
		for n, code := range map[int]string{1000: "RecoveryPointNotFound", 1001: "InvalidReason"} {
			w := newApp(nil).call("POST", "/api/recovery-points/0123456789abcdef-8234567890-0123456789ab/accept",
				`{"reason":"`+strings.Repeat(letter, n)+`"}`)
			if v := read(t, w); v.Error.Code != code {
				t.Errorf("%d of %s: %d %s", n, letter, w.Code, w.Body)
			}
		}
	}
}

// TestOnlyBadNewsAlarms checks that good events are logged as information, and all other events as warnings.
func TestOnlyBadNewsAlarms(t *testing.T) {
	for kind, level := range map[string]string{
		"run.succeeded": "info", "run.failed": "warn", "run.superseded": "warn", "run.missed": "warn", "run.unknown": "warn",
		"plan.accepted": "info", "plan.refused": "warn", "target.unprotected": "warn", "schedule.missed": "warn", "clock.skewed": "warn",
		"message.deadlettered": "warn", "restore.accepted": "info", "restore.waiting": "info", "restore.started": "info",
		"restore.succeeded": "info", "restore.previewed": "info", "restore.canceled": "info", "restore.refused": "warn",
		"restore.failed": "warn", "restore.unknown": "warn", "recovery-point.held": "info", "recovery-point.changed": "info", "recovery-point.released": "info", "recovery-point.softdeleted": "info", "recovery-point.recovered": "info",
	} {
		d := newApp(nil)
		q := logged{d.queue, zerolog.New(&d.log)}
		publish := func(data string) map[string]any {
			e := backup.Event{ID: "e", Type: "lifeboat." + kind, Subject: target, Time: time.Now(), Data: json.RawMessage(data)}
			if err := q.Publish(t.Context(), e); err != nil {
				t.Fatal(err)
			}
			return d.lines(t)[0]
		}
		line := publish(`{"plan":"p","target":"t"}`)
		if line["level"] != level || line["event"] != "lifeboat."+kind || line["id"] != "e" || line["target"] != target || line["plan"] != "p" {
			t.Errorf("%s: %v", kind, line)
		}
		line = publish(`{"reason":{"code":"Code","message":"words","hint":"do it"}}`)
		if line["code"] != "Code" || line["reason"] != "words" || line["hint"] != "do it" || kind == "run.succeeded" && line["level"] != "warn" {
			t.Errorf("%s with a reason: %v", kind, line)
		}
	}
}

// TestEveryPartOfARunIsTold checks that the answer has every part of a run, under its own name.
func TestEveryPartOfARunIsTold(t *testing.T) {
	at := func(hour int) time.Time { return time.Date(2026, 3, 1, hour, 0, 0, 0, time.UTC) }
	storage := backup.Storage{Account: account, Container: "c"}
	s := engine.Status{
		Run: backup.Run{
			ID: "id", State: backup.Failed, Target: target, Plan: "plan", ScheduledTime: at(1), Request: "request", Created: at(2), Updated: at(3),
			Ended: at(4), Looked: at(6), Progress: backup.Progress{Attempt: 5, Polls: 6}, Reason: backup.Reason{Code: "Code", Message: "words", Hint: "do it"},
			Restore: &backup.Restoring{
				Point: "point", Source: "source", Kind: backup.RestoreKey, Key: "key", Region: "region", Expires: at(7), RequestedBy: "who",
				Reason: "why", Preview: "hash", Safety: true, Warning: "warning",
			},
		},
		Point: &backup.Point{
			ID: "id", State: backup.Suspect, Target: target, Storage: storage, Artifact: "artifact", Size: 8, SHA256: "sum", SKU: "sku",
			Created: at(9), Expires: at(10), Deleted: at(11), Reason: backup.Reason{Code: "C", Message: "decision"}, Note: "note",
			Facts:     []backup.Fact{{Name: "root", Value: "r"}},
			Suspicion: backup.Reason{Code: "Small", Message: "smaller", Hint: "look"}, Safety: true,
		},
	}
	s.Point.Accepted.Time, s.Point.Accepted.By, s.Point.Accepted.Reason = at(12), "somebody", "fine"
	s.Point.Held.Until, s.Point.Restored = at(13), at(14)
	s.Point.Holds = []backup.PersonHold{
		{ID: "past", Since: at(1), By: "invocation 0", Reason: "over", Until: at(15)},
		{ID: "endless", Since: at(2), By: "invocation 1", Reason: "case"},
		{ID: "ends", Since: at(3), By: "invocation 2", Reason: "test", Until: at(16)},
	}
	s.Point.SoftDelete = time.Hour
	s.Point.SoftDeletion = backup.SoftDeletion{Since: at(4), Until: at(5), Reason: "a secret", ID: "x", By: "invocation 3"}
	now := func() time.Time { return at(15) }
	text, err := json.Marshal((&handler{Config: Config{Now: now, Engine: &engine.Engine{Services: services.All().Known()}}}).view(s))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"id":"id","status":"Failed","state":"failed","kind":"restore","plan":"plan","target":"` + target + `",` +
		`"scheduledTime":"2026-03-01T01:00:00Z","requestId":"request","createdDateTime":"2026-03-01T02:00:00Z",` +
		`"lastUpdatedDateTime":"2026-03-01T03:00:00Z","endedDateTime":"2026-03-01T04:00:00Z","attempts":5,"polls":6,"changesLookedDateTime":"2026-03-01T06:00:00Z",` +
		`"restore":{"recoveryPoint":"point","source":"source","kind":"selective","key":"key","restoreRegion":"region",` +
		`"expires":"2026-03-01T07:00:00Z","requestedBy":"who","reason":"why","previewHash":"hash","safetyBackup":true,"warning":"warning"},` +
		`"error":{"code":"Code","message":"words","target":"` + target + `","details":[{"code":"Hint","message":"do it"}]},` +
		`"recoveryPoint":{"state":"softDeleted","storageAccount":"backups","blob":"c/artifact","sizeInBytes":8,"sha256":"sum","sku":"sku",` +
		`"createdDateTime":"2026-03-01T09:00:00Z","expiresDateTime":"2026-03-01T10:00:00Z","deletedDateTime":"2026-03-01T11:00:00Z",` +
		`"decision":"decision","evidence":"restored","restoredDateTime":"2026-03-01T14:00:00Z","note":"note","facts":[{"name":"root","value":"r"}],"suspicion":{"code":"Small","message":"smaller","target":"` + target + `",` +
		`"details":[{"code":"Hint","message":"look"}]},"acceptedDateTime":"2026-03-01T12:00:00Z","acceptedBy":"somebody",` +
		`"acceptedReason":"fine","safetyBackup":true,"heldUntilDateTime":"2026-03-01T13:00:00Z",` +
		`"holds":[{"id":"endless","sinceDateTime":"2026-03-01T02:00:00Z","by":"invocation 1","reason":"case"},` +
		`{"id":"ends","sinceDateTime":"2026-03-01T03:00:00Z","by":"invocation 2","reason":"test","untilDateTime":"2026-03-01T16:00:00Z"}],"softDeleteInSeconds":3600,` +
		`"softDeletion":{"sinceDateTime":"2026-03-01T04:00:00Z","untilDateTime":"2026-03-01T05:00:00Z","reason":"a secret","by":"invocation 3"}}`
	if !strings.HasPrefix(string(text), want) || !strings.Contains(string(text), `"notIncluded":[`) {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	text, err = json.Marshal((&handler{}).view(engine.Status{Run: backup.Run{
		ID: "id", State: backup.Waiting, Reason: backup.Reason{Code: "Code", Message: "words"},
	}}))
	if err != nil {
		t.Fatal(err)
	}
	for _, absent := range []string{"scheduledTime", "endedDateTime", "error", "recoveryPoint", "restore", "notIncluded", "requestId"} {
		if strings.Contains(string(text), `"`+absent+`"`) {
			t.Errorf("there is no %s: %s", absent, text)
		}
	}
	if !strings.Contains(string(text), `"waiting":{"code":"Code","message":"words"}`) {
		t.Errorf("it does not say what it waits for: %s", text)
	}
}

// TestABatchEndsWithItsLastRun checks the end of a batch, and that its time of update is the newest of its runs.
func TestABatchEndsWithItsLastRun(t *testing.T) {
	at := func(hour int) time.Time { return time.Date(2026, 3, 1, hour, 0, 0, 0, time.UTC) }
	run := func(id string, state backup.State, updated, ended time.Time) backup.Run {
		return backup.Run{ID: id, Target: target + "-" + id, State: state, Updated: updated, Ended: ended}
	}
	b := engine.Batch{ID: "b", Plan: "p", Created: at(1), Runs: []backup.Run{
		run("a", backup.Succeeded, at(5), at(5)), run("b", backup.Failed, at(9), at(9)), run("c", backup.Missed, at(7), at(7)),
	}}
	v := viewBatch(b, "https://app")
	if !v.LastUpdated.Equal(at(9)) || v.Ended.IsZero() || !v.Ended.Equal(at(9)) || v.Status != "Failed" {
		t.Errorf("%+v", v)
	}
	if v.Error == nil || v.Error.Message != "2 of 3 backups did not succeed" || v.Error.Target != "p" || len(v.Error.Details) != 2 ||
		v.Error.Details[1].Target != target+"-c" || v.Error.Details[1].Code != "NoReason" {
		t.Errorf("%+v", v.Error)
	}
	if v.Counts[backup.Succeeded] != 1 || v.Counts[backup.Failed] != 1 || v.Runs[2].Href != "https://app/api/runs/c" {
		t.Errorf("%+v", v)
	}
	b.Runs[1] = run("b", backup.Running, at(10), time.Time{})
	if v := viewBatch(b, ""); v.Status != "Running" || !v.Ended.IsZero() || v.Error != nil || !v.LastUpdated.Equal(at(10)) {
		t.Errorf("under way: %+v", v)
	}
}

// TestEachRouteSaysWhatItIsFor checks the answer of each route to a wrong method.
func TestEachRouteSaysWhatItIsFor(t *testing.T) {
	d := newApp(nil)
	for path, allow := range map[string]string{
		"/api/backups": "POST", "/api/targets": "GET", "/api/coverage": "GET", "/api/runs": "GET", "/api/runs/x": "GET", "/api/batches/x": "GET", "/api/recovery-points": "GET",
		"/api/recovery-points/x": "GET", "/api/recovery-points/x/accept": "POST", "/api/recovery-points/x/hold": "POST", "/api/recovery-points/x/release": "POST", "/api/recovery-points/x/delete": "POST", "/api/recovery-points/x/undelete": "POST", "/api/forget": "POST", "/api/restores": "POST", "/api/restores/x": "GET",
		"/api/restores/x/cancel": "POST", "/api/restores/x/confirm": "POST", "/api/health": "GET, HEAD", "/api/metrics": "GET, HEAD",
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE"} {
			w := d.call(method, path, "")
			if refused := w.Code == 405; refused == slices.Contains(strings.Split(allow, ", "), method) || refused && w.Header().Get("Allow") != allow {
				t.Errorf("%s %s: %d, Allow %q, want %s", method, path, w.Code, w.Header().Get("Allow"), allow)
			}
		}
	}
}

// TestTheLogTellsWhichFunctionWasCalled checks that the log has the function, its result, and the number of the delivery of a
// message.
func TestTheLogTellsWhichFunctionWasCalled(t *testing.T) {
	d := newApp(nil)
	for path, function := range map[string]string{"/api/health": "health", "/api/metrics": "metrics", "/api/runs/x": "api"} {
		d.call("GET", path, "")
		if line := d.lines(t)[0]; line["function"] != function || line["path"] != path || line["method"] != "GET" || line["level"] != "info" {
			t.Errorf("%s: %v", path, line)
		}
	}
	for deliveries, told := range map[string]any{"1": nil, "2": "2", "5": "5"} {
		d.call("POST", "/execute", `{"Data":{"message":"{}"},"Metadata":{"DequeueCount":"`+deliveries+`"}}`)
		lines := d.lines(t)
		if last := lines[len(lines)-1]; last["delivery"] != told {
			t.Errorf("delivery %s: %v", deliveries, last)
		}
	}
	broken := newApp(func(c *Config) { c.Broken = errors.New("broken") })
	broken.call("GET", "/api/runs/x", "")
	if line := broken.lines(t)[0]; line["level"] != "error" || line["status"] != 503.0 {
		t.Errorf("a failure: %v", line)
	}
}

// TestEveryPartOfATargetsHealthIsTold checks that the answer has every part of a target's health, under its own name.
func TestEveryPartOfATargetsHealthIsTold(t *testing.T) {
	at := func(hour int) time.Time { return time.Date(2026, 3, 1, hour, 0, 0, 0, time.UTC) }
	text, err := json.Marshal(viewHealth(health.TargetHealth{
		Target: "target", Plan: "plan", Status: health.Late, Reason: backup.Reason{Code: "Code", Message: "words", Hint: "do it"},
		Point: &health.Verified{ID: "point", Created: at(1)}, Age: 90 * time.Minute, Interval: 24 * time.Hour, NextScheduledTime: at(2),
		LastRun: &health.Ran{ID: "run", State: backup.Failed, Ended: at(3)}, Deadline: at(4),
	}))
	want := `{"target":"target","plan":"plan","status":"late","reason":{"code":"Code","message":"words","details":[{"code":"Hint","message":"do it"}]},` +
		`"lastVerified":{"id":"point","createdDateTime":"2026-03-01T01:00:00Z","ageInSeconds":5400},"intervalInSeconds":86400,` +
		`"nextScheduledTime":"2026-03-01T02:00:00Z","lastRun":{"id":"run","state":"failed","endedDateTime":"2026-03-01T03:00:00Z"}}`
	if err != nil || string(text) != want {
		t.Errorf("%s, %v\nwant %s", text, err, want)
	}
	text, err = json.Marshal(viewHealth(health.TargetHealth{Target: "target", Plan: "plan", Status: health.Protected}))
	if want := `{"target":"target","plan":"plan","status":"protected"}`; err != nil || string(text) != want {
		t.Errorf("%s, %v\nwant %s", text, err, want)
	}
}

// lastLine is the log line of the function that was called last.
func (d *app) lastLine(t *testing.T) map[string]any {
	t.Helper()
	lines := d.lines(t)
	return lines[len(lines)-1]
}

// wants compares the line with fields; nil means that the line does not have the field.
func wants(t *testing.T, line map[string]any, fields map[string]any) {
	t.Helper()
	for name, want := range fields {
		if got := line[name]; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s is %v, want %v: %v", name, got, want, line)
		}
	}
}

// TestTheLogTellsWhatAStepDid checks that the log names the run, the state before and after the step, and the reason.
func TestTheLogTellsWhatAStepDid(t *testing.T) {
	d, service, _ := restoreHandler(t, false)
	run := read(t, d.call("POST", "/api/restores", orderText)).ID
	d.lines(t)
	service.can = func() error {
		return &backup.Fault{Kind: backup.Retryable, Code: "Updating", Message: "it is updating", RequestID: "for-azures-support"}
	}
	d.step(t)
	wants(t, d.lastLine(t), map[string]any{
		"run": run, "target": target, "plan": "nightly", "from": "queued", "to": "waiting", "code": "Updating", "reason": "it is updating",
		"x-ms-client-request-id": "for-azures-support",
	})
	d.send("restore", []byte(strings.Replace(orderText, `"i"`, `"j"`, 1)))
	line := d.lastLine(t)
	wants(t, line, map[string]any{"request": "j", "target": target, "plan": "nightly", "to": "queued", "code": nil, "reason": nil, "x-ms-client-request-id": nil})
	if fmt.Sprint(line["run"]) == run || line["run"] == "" {
		t.Errorf("%v", line)
	}
	d.send("restore", []byte(strings.Replace(orderText, target, target+"-other", 1)))
	if line := d.lastLine(t); line["note"] == nil { // another request has the ID
		t.Errorf("%v", line)
	}
	d.send("restore", []byte(strings.Replace(strings.Replace(orderText, target, target+"-other", 1), `"i"`, `"k"`, 1)))
	wants(t, d.lastLine(t), map[string]any{"request": "k", "target": target + "-other", "to": "refused", "code": "UnknownTarget"})
	d.send("deadletter-restore", []byte(strings.Replace(orderText, `"i"`, `"l"`, 1)))
	wants(t, d.lastLine(t), map[string]any{"queue": "restore-requests-poison", "request": "l", "note": "put off: it is tried again later"})
	d.giveUp(t, []byte(strings.Replace(orderText, `"i"`, `"l"`, 1)))
	line = d.lastLine(t)
	wants(t, line, map[string]any{"queue": "restore-requests-poison", "request": "l", "target": target, "to": "refused"})
	if !strings.HasPrefix(fmt.Sprint(line["run"]), run[:17]) {
		t.Errorf("%v", line)
	}
}

// TestTheLogWarnsOfARestoreThatLeftSomething: it has succeeded, and its line and a warning say what it left as it was.
func TestTheLogWarnsOfARestoreThatLeftSomething(t *testing.T) {
	d, service, _ := restoreHandler(t, false)
	service.begin = func() (backup.Operation, error) {
		return backup.Operation{Done: true, Warning: "could not overwrite: 1"}, nil
	}
	d.call("POST", "/api/restores", orderText)
	d.lines(t)
	d.step(t)
	warned := false
	lines := d.lines(t)
	for _, line := range lines {
		warned = warned || line["level"] == "warn" && line["warning"] == "could not overwrite: 1" && line["target"] == target
	}
	if !warned {
		t.Errorf("%v", lines)
	}
}

// TestTheLogTellsWhatATimerRunDid checks that the log has the number of new runs and of missed scheduled times, and the targets
// that turned unprotected.
func TestTheLogTellsWhatATimerRunDid(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	d := newApp(func(c *Config) {
		clock := func() time.Time { return now }
		c.Engine.Now = clock
		c.Engine.Catalog = memory.NewCatalog(clock)
		c.Plans.Catalog = c.Engine.Catalog
	})
	plan := daily("nightly", target, target+"-b")
	d.plans = func() ([]backup.Plan, error) { return []backup.Plan{plan}, nil }
	d.timer(t, 200)
	now = now.AddDate(0, 0, 3) // past three scheduled times: the newest gets its run late, the others are missed
	if w := d.call("POST", "/schedule", envelope(t, "timer.json")); w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	line := d.lastLine(t)
	created, _ := line["created"].([]any)
	missed, _ := line["missed"].([]any)
	if len(created) != 2 || len(missed) != 1 || missed[0].(map[string]any)["Count"] != 2.0 || line["unprotected"] != 2.0 {
		t.Errorf("%v", line)
	}
}

// TestTheLogTellsWhatCleanupDeleted checks the log of cleanup, and that a failed deletion fails the invocation.
func TestTheLogTellsWhatCleanupDeleted(t *testing.T) {
	d, _, _ := restoreHandler(t, false)
	service := d.partition(t, target)
	now := time.Now().UTC().Truncate(time.Second)
	at := func(age time.Duration) time.Time { return now.Add(-age) }
	for i, of := range []string{target, strings.Replace(target, "ApiManagement", "Unknown", 1)} {
		for n, age := range []time.Duration{3 * time.Hour, 2 * time.Hour} {
			row := fmt.Sprintf("8%09d-00000000000%d", int(age.Seconds()), i)
			p := backup.Point{
				ID: d.partition(t, of) + "-" + row, State: backup.Live, Target: of, Artifact: row, Created: at(age), Expires: at(time.Hour),
			}
			d.row(t, of, "point-"+row, p)
			body, err := json.Marshal(map[string]any{"Point": p.ID, "Target": of, "Created": p.Created})
			if err != nil {
				t.Fatal(err)
			}
			key := backup.Key{Partition: "due", Row: fmt.Sprintf("%s-%d%d", at(time.Hour).Format("20060102T150405Z"), i, n)}
			if _, err := d.catalog.Apply(t.Context(), backup.Write{Op: backup.Insert, Key: key, Body: body}); err != nil {
				t.Fatal(err)
			}
		}
	}
	w := d.call("POST", "/cleanup", envelope(t, "timer.json"))
	line := d.lastLine(t)
	deleted := map[string]bool{}
	for _, one := range line["deletions"].([]any) {
		deletion := one.(map[string]any)
		if deletion["reason"] == "" {
			t.Errorf("%v", deletion)
		}
		if deletion["target"] == target {
			deleted[fmt.Sprint(deletion["run"])] = deletion["deleted"] == true
		}
	}
	if len(deleted) != 1 || !deleted[service+"-8000010800-000000000000"] || w.Code != 500 || line["level"] != "error" || line["targets"] != 2.0 ||
		line["kept"] != 3.0 { // one point is there already
		t.Errorf("%d, deleted %v: %v", w.Code, deleted, line)
	}
}

// TestTheLineOfACleanupIsShort: however many recovery points it deletes, or fails to, and with whatever words.
func TestTheLineOfACleanupIsShort(t *testing.T) {
	d, _, _ := restoreHandler(t, false)
	now := time.Now().UTC().Truncate(time.Second)
	at := func(age time.Duration) time.Time { return now.Add(-age) }
	const all = 200
	for i, of := range []string{target, strings.Replace(target, "ApiManagement", "Unknown", 1)} {
		for n := range all {
			age := 3*time.Hour + time.Duration(all-n)*time.Minute // the point that is there already is newer; all were made in a day, and may go in one
			row := fmt.Sprintf("%s-%012x", backup.Countdown(at(age)), n)
			p := backup.Point{
				ID: d.partition(t, of) + "-" + row, State: backup.Live, Target: of, Artifact: row, Created: at(age), Expires: at(time.Hour),
			}
			d.row(t, of, "point-"+row, p)
			body, err := json.Marshal(map[string]any{"Point": p.ID, "Target": of, "Created": p.Created})
			if err != nil {
				t.Fatal(err)
			}
			key := backup.Key{Partition: "due", Row: fmt.Sprintf("%s-%d%03d", at(time.Hour).Format("20060102T150405Z"), i, n)}
			if _, err := d.catalog.Apply(t.Context(), backup.Write{Op: backup.Insert, Key: key, Body: body}); err != nil {
				t.Fatal(err)
			}
		}
	}
	w := d.call("POST", "/cleanup", envelope(t, "timer.json"))
	line := d.lastLine(t)
	text, err := json.Marshal(line)
	told, _ := line["deletions"].([]any)
	omitted, _ := line["omitted"].(float64)
	if err != nil || w.Code != 500 || len(text) > 4<<10 || len(told) < 3 || len(told)+int(omitted) != 2*all-1 ||
		!strings.Contains(fmt.Sprint(line["error"]), "more failures") {
		t.Errorf("%d, %d bytes, %d told, %v omitted: %s", w.Code, len(text), len(told), line["omitted"], line["error"])
	}
}

// TestATimerRunLearnsWhichPlanAnotherProcessMadeActive checks that a timer run learns it from rows that it reads anyway: the next
// timer run puts its own active plan again.
func TestATimerRunLearnsWhichPlanAnotherProcessMadeActive(t *testing.T) {
	own, others := "own", "another's"
	d := edited(t, &own, daily("nightly", target))
	active := func() string {
		row, _, err := d.catalog.Get(t.Context(), backup.Key{Partition: "schedule", Row: "active-plan"})
		if err != nil {
			t.Fatal(err)
		}
		return string(row.Body)
	}
	hash := active()[:40] // the hash comes first
	other := newApp(func(c *Config) {
		c.Engine.Catalog, c.Plans.Catalog = d.catalog, d.catalog
		c.Plans.Read = func(context.Context) ([]byte, error) { return []byte(others), nil }
	})
	other.timer(t, 200)
	if strings.HasPrefix(active(), hash) {
		t.Fatal("the other process did not put its active plan")
	}
	d.timer(t, 200)
	d.timer(t, 200)
	if !strings.HasPrefix(active(), hash) {
		t.Errorf("active is %s, want %s…", active(), hash)
	}
}

// TestLinksAreOfTheHostThatWasAsked checks that links have the host name of the request, unless that is the host's own name for
// the program.
func TestLinksAreOfTheHostThatWasAsked(t *testing.T) {
	for _, c := range []struct {
		asked, own string
		secure     bool
		want       string
	}{
		{"127.0.0.1:8080", "a.azurewebsites.net", true, "https://a.azurewebsites.net"},
		{"127.0.0.1:8080", "a.azurewebsites.net", false, "http://127.0.0.1:8080"},
		{"127.0.0.1:8080", "", true, "https://127.0.0.1:8080"},
		{"api.example", "a.azurewebsites.net", true, "https://api.example"},
		{"", "a.azurewebsites.net", false, "http://a.azurewebsites.net"},
	} {
		r := httptest.NewRequest("GET", "/api/health", nil)
		r.Host = c.asked
		h := &handler{Config: Config{Host: c.own, Secure: c.secure}}
		if got := h.origin(r); got != c.want {
			t.Errorf("asked as %q, own name %q, secure %t: %s, want %s", c.asked, c.own, c.secure, got, c.want)
		}
	}
}
