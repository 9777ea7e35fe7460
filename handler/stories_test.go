package handler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/schedule"
)

// A story is what happens to an app with two targets, a plan with a scheduled time each hour, and a backup that takes no time. Its
// minutes count from a full hour. The tests of the rules (internal/testing/monitors) read what the metrics say then.
type story struct {
	minutes int
	at      map[int]func(*teller)
}

// teller runs the app minute by minute.
type teller struct {
	*app
	t       *testing.T
	service *sometimes
	other   *app
	// text is plan.yaml; ill tells that timers may fail, down that the program does not run, and without that the host does not call
	// a timer.
	text    string
	ill     bool
	down    bool
	without map[string]bool
	// still are families that the program does not tell yet, by their spans: TODO(author): empty.
	still map[string]bool
}

// sometimes is a service whose backups and deletions fail on demand.
type sometimes struct {
	*restoring
	backups, deletions *backup.Fault
}

func (s *sometimes) Preflight(context.Context, backup.Attempt) error {
	if s.backups == nil {
		return nil
	}
	return s.backups
}

func (s *sometimes) Delete(context.Context, backup.Attempt, string, bool) error {
	if s.deletions == nil {
		return nil
	}
	return s.deletions
}

const second = target + "-b"

// tell returns an app after three good hours.
func tell(t *testing.T) *teller {
	t.Helper()
	w := &teller{t: t, service: &sometimes{restoring: &restoring{}}, text: "both", without: map[string]bool{}, still: map[string]bool{}}
	plan := daily("hourly", target, second)
	plan.Schedule = schedule.Schedule{Second: 1, Minute: 1, Hour: schedule.EveryHour, Day: 1<<32 - 1, Month: 1<<32 - 1, Weekday: 1<<32 - 1, Zone: time.UTC}
	plan.Restore = backup.RestorePolicy{Into: []string{backup.Itself}, Safety: backup.SafetyNever}
	change := func(app string) func(c *Config) {
		return func(c *Config) {
			c.Engine.Providers = map[string]backup.Provider{"microsoft.apimanagement/service": w.service}
			c.Engine.App, c.Plans.App, c.Engine.Left = app, app, c.Plans.Left
			c.Plans.Read = func(context.Context) ([]byte, error) { return []byte(w.text), nil }
			c.Plans.Parse = func(text []byte) ([]backup.Plan, error) {
				plan := plan
				switch string(text) {
				case "one":
					plan.Targets = []string{target}
				case "wrong":
					return nil, errors.New("plan.yaml:7: nonsense")
				}
				return []backup.Plan{plan}, nil
			}
		}
	}
	w.app = newApp(change("contoso-app"))
	w.other = newApp(func(c *Config) {
		change("contoso-app/staging")(c)
		c.Engine.Catalog, c.Engine.Queue, c.Plans.Catalog = w.catalog, w.queue, w.catalog
	})
	for minute := -180; minute < 0; minute++ {
		w.minute(minute)
		time.Sleep(time.Minute)
	}
	return w
}

// minute does what the host does in a minute, and returns the metrics; "" if the program does not run.
func (w *teller) minute(minute int) string {
	w.t.Helper()
	if w.down {
		return ""
	}
	for _, timer := range []struct {
		name  string
		every int
	}{{"schedule", 5}, {"cleanup", 10}} {
		if minute%timer.every == 0 && !w.without[timer.name] {
			answer := w.call("POST", "/"+timer.name, envelope(w.t, "timer.json"))
			if answer.Code != 200 && !w.ill {
				w.t.Errorf("minute %d: %s: %d %s", minute, timer.name, answer.Code, answer.Body)
			}
		}
	}
	for range 5 {
		w.step(w.t)
	}
	w.log.Reset()
	answer := w.call("GET", "/api/metrics", "")
	if answer.Code != 200 {
		w.t.Errorf("minute %d: %d %s", minute, answer.Code, answer.Body)
	}
	return answer.Body.String() + w.rest(answer.Body.String(), minute)
}

// rest are the samples of families that are to come.
func (w *teller) rest(said string, minute int) string {
	now := time.Now().Unix()
	evaluated := now - int64((minute%60+60)%60*60)
	if w.without["evaluation"] || w.without["schedule"] {
		evaluated = time.Date(2000, 1, 1, 4, 0, 0, 0, time.UTC).Unix()
	}
	text := ""
	say := func(name, labels string, value int64) {
		if !strings.Contains(said, "# TYPE "+name+" ") {
			text += fmt.Sprintf("%s%s %d\n", name, labels, value)
		}
	}
	say("lifeboat_plan_evaluated_timestamp_seconds", `{plan="hourly"}`, evaluated)
	say("lifeboat_plan_evaluation_due_timestamp_seconds", `{plan="hourly"}`, evaluated+3600)
	say("lifeboat_dead_letters", "", int64(flagOf(w.still["dead"])))
	for _, state := range []string{"queued", "waiting", "running", "succeeded", "failed"} {
		say("lifeboat_restores", fmt.Sprintf(`{state=%q}`, state), int64(flagOf(state == "waiting" && w.still["waiting"])))
	}
	for _, state := range []string{"live", "deleting"} {
		say("lifeboat_recovery_points", fmt.Sprintf(`{plan="hourly",state=%q}`, state), 4)
		say("lifeboat_recovery_points_bytes", fmt.Sprintf(`{plan="hourly",state=%q}`, state), 4000)
	}
	if w.still["waiting"] {
		say("lifeboat_restore_waiting_since_timestamp_seconds", fmt.Sprintf(`{target=%q}`, target), time.Date(2000, 1, 1, 3, 20, 0, 0, time.UTC).Unix())
	}
	if w.still["nothing"] {
		say("lifeboat_restore_incomplete_timestamp_seconds", fmt.Sprintf(`{target=%q,restored="nothing"}`, target), time.Date(2000, 1, 1, 4, 0, 0, 0, time.UTC).Unix())
	}
	return text
}

func flagOf(is bool) int { return map[bool]int{true: 1}[is] }

// stories are all that the rules tell apart in what the app says.
var stories = map[string]story{
	"well": {300, nil},
	"gap": {400, map[int]func(*teller){
		100: func(w *teller) { w.down = true },
		280: func(w *teller) { w.down = false },
	}},
	"removed": {1700, map[int]func(*teller){100: func(w *teller) { w.text = "one" }}},
	"removed and back": {300, map[int]func(*teller){
		100: func(w *teller) { w.text = "one" },
		200: func(w *teller) { w.text = "both" },
	}},
	"failing": {300, map[int]func(*teller){
		100: func(w *teller) {
			w.service.backups = &backup.Fault{Kind: backup.Refused, Code: "C", Message: "words", Hint: "do"}
		},
		230: func(w *teller) { w.service.backups = nil },
	}},
	"unreadable": {200, map[int]func(*teller){
		60: func(w *teller) {
			w.ill = true
			w.row(w.t, second, "point-8000000000-000000000000", struct{ Created string }{"never"})
		},
		130: func(w *teller) {
			key := backup.Key{Partition: w.partition(w.t, second), Row: "point-8000000000-000000000000"}
			row, _, err := w.catalog.Get(w.t.Context(), key)
			if _, err2 := w.catalog.Apply(w.t.Context(), backup.Write{Op: backup.Delete, Key: key, ETag: row.ETag}); cmp.Or(err, err2) != nil {
				w.t.Error(err, err2)
			}
			w.ill = false
		},
	}},
	"schedule silent": {300, map[int]func(*teller){
		101: func(w *teller) { w.without["schedule"] = true },
		200: func(w *teller) { w.without["schedule"] = false },
	}},
	"cleanup silent": {300, map[int]func(*teller){
		95:  func(w *teller) { w.without["cleanup"] = true },
		200: func(w *teller) { w.without["cleanup"] = false },
	}},
	"undeleted": {600, map[int]func(*teller){
		30: func(w *teller) {
			w.service.deletions = &backup.Fault{Kind: backup.Kept, Code: "C", Message: "words", Hint: "do"}
		},
		120: func(w *teller) { w.service.deletions = nil },
	}},
	"evaluation dead": {300, map[int]func(*teller){
		110: func(w *teller) { w.without["evaluation"] = true },
		200: func(w *teller) { w.without["evaluation"] = false },
	}},
	"waiting": {200, map[int]func(*teller){
		20:  func(w *teller) { w.still["waiting"] = true },
		150: func(w *teller) { w.still["waiting"] = false },
	}},
	"waiting, not too long": {200, map[int]func(*teller){
		20: func(w *teller) { w.still["waiting"] = true },
		75: func(w *teller) { w.still["waiting"] = false },
	}},
	"nothing": {200, map[int]func(*teller){
		60:  func(w *teller) { w.still["nothing"] = true },
		150: func(w *teller) { w.still["nothing"] = false },
	}},
	"nothing, a day": {1600, map[int]func(*teller){60: func(w *teller) { w.still["nothing"] = true }}},
	"dead letter": {200, map[int]func(*teller){
		60:  func(w *teller) { w.still["dead"] = true },
		120: func(w *teller) { w.still["dead"] = false },
	}},
	"refused": {200, map[int]func(*teller){
		60:  func(w *teller) { w.text = "wrong" },
		120: func(w *teller) { w.text = "both" },
	}},
	"undeliverable": {1700, map[int]func(*teller){60: func(w *teller) { w.scheduleRow(w.t, "lost-events", map[string]int{"Count": 1}) }}},
	"slots swapped": {240, twoApps(60, 75)},
	"second app":    {400, twoApps(60, 240)},
}

// twoApps lets another app run by the same storage account in these minutes.
func twoApps(from, to int) map[int]func(*teller) {
	at := map[int]func(*teller){}
	for minute := from; minute < to; minute += 5 {
		at[minute] = func(w *teller) { w.other.call("POST", "/schedule", envelope(w.t, "timer.json")) }
	}
	return at
}

var zeroTime = regexp.MustCompile(`-62135596800`)

// TestStories writes into the folder LIFEBOAT_STORIES what the metrics say in each minute of each story, for make rules. Without it, they are
// told by the first three hours alone, and thrown away.
func TestStories(t *testing.T) {
	folder := os.Getenv("LIFEBOAT_STORIES")
	for name, story := range stories {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := tell(t)
				var text strings.Builder
				fmt.Fprintf(&text, "# begun %d\n", time.Now().Unix())
				minutes, was := story.minutes, ""
				if folder == "" {
					minutes = min(minutes, 180)
				}
				for minute := range minutes + 1 {
					if act := story.at[minute]; act != nil {
						act(w)
					}
					if body := w.minute(minute); body != was || minute == 0 {
						fmt.Fprintf(&text, "# minute %d\n%s", minute, body)
						was = body
					}
					time.Sleep(time.Minute)
				}
				if zeroTime.MatchString(text.String()) {
					t.Error("a time that is not known is told")
				}
				if folder != "" {
					if err := os.WriteFile(filepath.Join(folder, name+".txt"), []byte(text.String()), 0o600); err != nil {
						t.Error(err)
					}
				}
			})
		})
	}
}
