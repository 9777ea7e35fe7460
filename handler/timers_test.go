package handler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"lifeboat/internal/api"
	"lifeboat/internal/backup"
	"lifeboat/internal/health"
)

// noted sets the age of the timer's last timer run in its row.
func (d *app) noted(t *testing.T, timer string, age time.Duration) {
	t.Helper()
	body, err := json.Marshal(map[string]time.Time{"At": time.Now().UTC().Add(-age).Truncate(time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	key := backup.Key{Partition: "schedule", Row: "last-run-" + timer}
	if _, err := d.catalog.Apply(t.Context(), backup.Write{Op: backup.Put, Key: key, Body: body}); err != nil {
		t.Fatal(err)
	}
}

// TestHealthOfTimers checks that a silent timer makes the answer a 503 for any state of the targets, with the role to check
// first, also while there is no plan; that the metrics say so too; and that a timer run ends it.
func TestHealthOfTimers(t *testing.T) {
	for timer, timeout := range map[string]time.Duration{"schedule": 15 * time.Minute, "cleanup": time.Hour} {
		d := healthHandler(t)
		d.noted(t, timer, timeout-time.Minute)
		if v := d.health(t, 200); len(v.Timers) != 2 || v.Timers[0].Timer != "schedule" || v.Timers[1].Timer != "cleanup" || v.Timers[0].Silent || v.Timers[1].Silent {
			t.Errorf("%s, in time: %+v", timer, v.Timers)
		}
		d.noted(t, timer, timeout+time.Minute)
		v := d.health(t, 503)
		if v.OverallStatus != health.Unprotected || v.Targets[0].Status != health.Pending {
			t.Errorf("%s: %+v", timer, v)
		}
		if w := d.call("GET", "/api/health?plan=nightly", ""); w.Code != 503 { // it makes no runs either
			t.Errorf("%s, of one plan: %d %s", timer, w.Code, w.Body)
		}
		for _, each := range v.Timers {
			if each.Silent != (each.Timer == timer) || each.Silent && (each.LastRun.IsZero() || each.Reason.Code != "TimerSilent" ||
				!strings.Contains(each.Reason.Details[0].Message, "Storage Blob Data Owner")) {
				t.Errorf("%s: %+v", timer, each)
			}
		}
		if samples := d.scrape(t); samples[`{__name__="lifeboat_timer_deadline_timestamp_seconds", timer="`+timer+`"}`] > float64(time.Now().Unix()) ||
			samples[`{__name__="lifeboat_timer_last_run_timestamp_seconds", timer="`+timer+`"}`] > float64(time.Now().Add(-timeout).Unix()) {
			t.Errorf("%s: %v", timer, samples)
		}
		good := d.plans
		d.plans = func() ([]backup.Plan, error) { return nil, errors.New("plan.yaml:7: nonsense") }
		if v := d.health(t, 503); !v.Plan.Refused || !v.Timers[0].Silent && !v.Timers[1].Silent {
			t.Errorf("%s, without a plan: %+v", timer, v)
		}
		d.plans = good
		if w := d.call("POST", "/"+timer, envelope(t, "timer.json")); w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if v := d.health(t, 200); v.Timers[0].Silent || v.Timers[1].Silent {
			t.Errorf("%s runs again: %+v", timer, v.Timers)
		}
	}
}

// failing is a catalog that gives no answer.
type failing struct{ backup.Catalog }

var errAway = errors.New("the table is away")

func (failing) List(context.Context, string, string, string, int) ([]backup.Row, time.Time, error) {
	return nil, time.Time{}, errAway
}

func (failing) Apply(context.Context, ...backup.Write) ([]string, error) { return nil, errAway }

// TestHealthOfPoison checks that health has the number of messages that the host gave up, and the day on which Azure deletes the
// first: of the messages that storage shows, and of failed ones in this process; also if it has no other answer.
func TestHealthOfPoison(t *testing.T) {
	const day = 24 * time.Hour
	now := time.Now()
	count, first, unseen := 2, now.Add(3*day), error(nil)
	ask := func(_ context.Context, queue string) (int, time.Time, error) {
		if queue != "restore-requests-poison" {
			return 0, time.Time{}, nil
		}
		return count, first, unseen
	}
	reason := func(v []api.Poison) string {
		t.Helper()
		if len(v) != 1 || v[0].Queue != "restore-requests-poison" || v[0].Reason.Code != "MessagesPoisoned" || v[0].Messages != count ||
			v[0].Deleted.IsZero() != strings.Contains(v[0].Reason.Message, "seven days after it came") || len(v[0].Reason.Details) != 1 {
			t.Fatalf("%+v", v)
		}
		return v[0].Reason.Message
	}
	says := func(what, text string, on time.Time) {
		t.Helper()
		if !strings.Contains(text, "in the queue restore-requests-poison") || !strings.Contains(text, on.UTC().Format(time.DateOnly)) {
			t.Errorf("%s: %s", what, text)
		}
	}
	d := newApp(func(c *Config) { c.Poison, c.Now = ask, func() time.Time { return now } })
	says("seen", reason(d.health(t, 200).Poison), first)
	first = time.Time{}
	says("taken for the moment", reason(d.health(t, 200).Poison), now.Add(7*day))
	unseen = errors.New("answer 403")
	if v := d.health(t, 200).Poison; len(v) != 1 || v[0].Reason.Code != "PoisonUnseen" || v[0].Reason.Message != "answer 403" ||
		len(v[0].Reason.Details) != 1 || !strings.Contains(v[0].Reason.Details[0].Message, "Storage Queue Data Contributor") {
		t.Errorf("%+v", v)
	}
	count, unseen = 0, nil
	if v := d.health(t, 200).Poison; v != nil {
		t.Errorf("none: %+v", v)
	}

	// One that failed here: its envelope says when it came.
	message := envelope(t, "queue-binary.json")
	var in struct {
		Metadata struct{ InsertionTime string }
	}
	if err := json.Unmarshal([]byte(message), &in); err != nil {
		t.Fatal(err)
	}
	came := now.Add(-2 * day).UTC().Truncate(time.Second)
	message = strings.ReplaceAll(message, strings.Trim(in.Metadata.InsertionTime, `"`), came.Format(time.RFC3339))
	for _, broken := range []error{nil, errors.New("the app setting LIFEBOAT_PLAN is missing")} {
		d = newApp(func(c *Config) {
			c.Poison, c.Broken = ask, broken
			c.Engine.Catalog = failing{c.Engine.Catalog}
		})
		if w := d.call("POST", "/deadletter-restore", message); w.Code != 500 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		count = 1
		w := d.call("GET", "/api/health", "")
		var v struct{ Error api.Problem }
		if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil || w.Code < 500 || len(v.Error.Details) != 1 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		says("failed here", v.Error.Details[0].Message, came.Add(7*day))
	}
	// Storage does not answer at all: health names the messages that failed here all the same.
	d = newApp(func(c *Config) { c.Engine, c.Plans, c.Broken = nil, nil, errors.New("no storage") })
	d.call("POST", "/deadletter-restore", message)
	says("without storage", d.call("GET", "/api/health", "").Body.String(), came.Add(7*day))
}

// TestHealthOfReaders: health says of the poison queues beside the queues that other programs read, what the reader needs and until when
// the messages are there. It asks about at most twenty, each once, and says which it leaves out.
func TestHealthOfReaders(t *testing.T) {
	const day = 24 * time.Hour
	now := time.Now()
	plan := backup.Plan{Name: "nightly", OnDemandReplyTo: []string{"deploys", "answers", "deploys"}}
	plan.Restore.ReplyTo = []string{"answers", "given-up-poison", strings.Repeat("q", 57)}
	end := map[string]time.Time{"lifeboat-events-poison": now.Add(3 * day), "deploys-poison": {}, "answers-poison": time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)}
	var mu sync.Mutex
	asked := map[string]int{}
	look := func() []api.Poison {
		t.Helper()
		clear(asked)
		d := newApp(func(c *Config) {
			c.Now = func() time.Time { return now }
			c.Poison = func(_ context.Context, queue string) (int, time.Time, error) {
				mu.Lock()
				defer mu.Unlock()
				asked[queue]++
				if first, ok := end[queue]; ok {
					return 2, first, nil
				}
				return 0, time.Time{}, nil
			}
		})
		d.plans = func() ([]backup.Plan, error) { return []backup.Plan{plan}, nil }
		return d.health(t, 200).Poison
	}
	v := look()
	if len(v) != 3 || len(asked) != 6 {
		t.Fatalf("%+v, asked about %v", v, asked)
	}
	for i, want := range []struct{ queue, end string }{
		{"lifeboat-events", ", and Azure deletes the first of them on " + now.Add(3*day).UTC().Format(time.DateOnly)},
		{"answers", ""},
		{"deploys", ", and Azure deletes each of them seven days after it came, the last by " + now.Add(7*day).UTC().Format(time.DateOnly)},
	} {
		said := "2 messages that the reader of " + want.queue + " could not take lie in the queue " + want.queue + "-poison" + want.end
		if v[i].Queue != want.queue+"-poison" || v[i].Reason.Code != "EventsPoisoned" || v[i].Messages != 2 || v[i].Reason.Message != said ||
			!strings.Contains(v[i].Reason.Details[0].Message, `"messageEncoding": "none" under extensions.queues of its host.json`) {
			t.Errorf("%+v, want %s", v[i], said)
		}
		if asked[v[i].Queue] != 1 {
			t.Errorf("asked %d times about %s", asked[v[i].Queue], v[i].Queue)
		}
	}
	plan.OnDemandReplyTo = nil
	for i := range 1000 {
		plan.OnDemandReplyTo = append(plan.OnDemandReplyTo, fmt.Sprintf("many-%03d", i))
	}
	v = look()
	if last := v[len(v)-1]; len(asked) != 3+20 || last.Queue != "many-018-poison" || last.Reason.Code != "PoisonUnseen" ||
		!strings.Contains(last.Reason.Message, "names 1001 queues for answers: health does not look at many-018-poison, nor at those after it") {
		t.Errorf("%+v, asked about %d", v, len(asked))
	}
}

// TestBrokenSettingsLoseNoMessage checks that a message that the host gave up is kept, although nothing else is done.
func TestBrokenSettingsLoseNoMessage(t *testing.T) {
	d := newApp(func(c *Config) { c.Plans, c.Broken = nil, errors.New("the app setting LIFEBOAT_PLAN is missing") })
	for _, c := range []struct {
		name, file string
		code       int
	}{
		{"execute", "queue-binary.json", 500},
		{"restore", "queue-binary.json", 500},
		{"schedule", "timer.json", 500},
		{"cleanup", "timer.json", 500},
		{"deadletter-execute", "queue-binary.json", 200},
		{"deadletter-restore", "queue-binary.json", 200},
	} {
		if w := d.call("POST", "/"+c.name, envelope(t, c.file)); w.Code != c.code {
			t.Errorf("%s: %d %s", c.name, w.Code, w.Body)
		}
	}
	letters := 0
	for _, row := range d.catalog.Rows() {
		if row.Partition == "deadletter" {
			letters++
		}
	}
	if letters != 2 {
		t.Errorf("%d dead letters, want one of each queue", letters)
	}
}
