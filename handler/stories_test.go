package handler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/schedule"
)

// story has the acts that happen to an app with two targets and a plan with a scheduled time each hour, by minutes from a full hour on. A
// backup takes no time. The tests of the rules (internal/testing/monitors) read the metrics of each minute.
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

// anHour is a custody whose statements hold for an hour.
var anHour = backup.Custody{
	Title: "key", Asks: func(b backup.Blocks) bool { return b != "" },
	Add: func(_ json.RawMessage, _ []byte, now time.Time) (json.RawMessage, error) { return json.Marshal(now) },
	Judge: func(_ backup.Blocks, record json.RawMessage, now time.Time) backup.Proof {
		var stated time.Time
		if record == nil || json.Unmarshal(record, &stated) != nil {
			return backup.Proof{Status: backup.ProofUnknown, Reason: backup.NewReason("KeyUnknown", "nobody has looked", "Look.")}
		}
		if until := stated.Add(time.Hour); now.Before(until) {
			return backup.Proof{Status: backup.Proven, Proven: stated, Holders: 2, Quorum: 2, Of: 3, Until: until}
		}
		return backup.Proof{Status: backup.ProofLate, Proven: stated, Quorum: 2, Of: 3, Reason: backup.NewReason("KeyLate", "nobody has looked since", "Look.")}
	},
}

// attest stores a statement about each target.
func (w *teller) attest() {
	for _, one := range []string{target, second} {
		w.ask("/api/security-domains", `{"target":"`+one+`","statement":{"signed":1}}`, 200)
	}
}

const second = target + "-b"

// tell returns an app after three good hours.
func tell(t *testing.T) *teller {
	t.Helper()
	w := &teller{t: t, service: &sometimes{restoring: &restoring{}}, text: "both", without: map[string]bool{}}
	plan := daily("hourly", target, second)
	plan.Schedule = schedule.Schedule{Second: 1, Minute: 1, Hour: schedule.EveryHour, Day: 1<<32 - 1, Month: 1<<32 - 1, Weekday: 1<<32 - 1, Zone: time.UTC}
	plan.Settings.KeepWithin = 3 * time.Hour // so that a recovery point outlives the wait of a restore
	plan.Restore = backup.RestorePolicy{Into: []string{backup.Itself}, Safety: backup.SafetyNever}
	change := func(app string) func(c *Config) {
		return func(c *Config) {
			c.Engine.Services = slices.Clone(c.Engine.Services)
			for i := range c.Engine.Services {
				c.Engine.Services[i].Custody = &anHour
			}
			c.Engine.Providers = map[string]backup.Provider{"microsoft.apimanagement/service": w.service}
			c.Engine.App, c.Plans.App, c.Engine.Left = app, app, c.Plans.Left
			c.Plans.Read = func(context.Context) ([]byte, error) { return []byte(w.text), nil }
			c.Plans.Parse = func(text []byte) ([]backup.Plan, error) {
				plan := plan
				switch string(text) {
				case "one":
					plan.Targets = []string{target}
				case "proven":
					plan.Settings.Blocks = `{"safe":{}}`
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
	return answer.Body.String()
}

// unreadable makes a row of the second target unreadable, or deletes it.
func (w *teller) unreadable(is bool) {
	w.t.Helper()
	const row = "point-8000000000-000000000000"
	if w.ill = is; is {
		w.row(w.t, second, row, struct{ Created string }{"never"})
		return
	}
	w.remove(backup.Key{Partition: w.partition(w.t, second), Row: row})
}

// remove deletes a row, as a person may.
func (w *teller) remove(key backup.Key) {
	w.t.Helper()
	row, _, err := w.catalog.Get(w.t.Context(), key)
	if !errors.Is(err, backup.ErrUnreadable) && err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.catalog.Apply(w.t.Context(), backup.Write{Op: backup.Delete, Key: key, ETag: row.ETag}); err != nil {
		w.t.Fatal(err)
	}
}

// ask makes a call that a person makes.
func (w *teller) ask(path, body string, status int) {
	w.t.Helper()
	if answer := w.call("POST", path, body, "Repeatability-Request-ID", strings.ReplaceAll(path, "/", "-")+fmt.Sprint(len(body))); answer.Code != status {
		w.t.Fatalf("%s: %d %s", path, answer.Code, answer.Body)
	}
}

// stopped lets a restore wait from the first minute until the second: the app is stopped.
func stopped(from, to int) map[int]func(*teller) {
	return map[int]func(*teller){
		from: func(w *teller) {
			w.ask("/api/stop", `{"reason":"an incident"}`, 200)
			w.ask("/api/restores", orderText, 202)
		},
		to: func(w *teller) { w.ask("/api/resume", "{}", 200) },
	}
}

// fail asks for a restore that Azure makes, and that restores nothing.
func fail(w *teller) {
	w.service.begin = func() (backup.Operation, error) { return backup.Operation{Token: "t"}, nil }
	w.service.poll = func() (backup.Operation, error) {
		return backup.Operation{}, &backup.Fault{Kind: backup.Refused, Code: backup.CodeNothingRestored, Message: "words", Hint: "do"}
	}
	w.ask("/api/restores", orderText, 202)
}

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
		60:  func(w *teller) { w.unreadable(true) },
		130: func(w *teller) { w.unreadable(false) },
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
		110: func(w *teller) { w.unreadable(true) },
		200: func(w *teller) { w.unreadable(false) },
	}},
	"waiting":               {200, stopped(20, 150)},
	"waiting, not too long": {200, stopped(20, 65)},
	"nothing": {200, map[int]func(*teller){
		60: fail,
		150: func(w *teller) {
			w.service.begin, w.service.poll = nil, nil
			w.ask("/api/restores", strings.Replace(orderText, `"i"`, `"j"`, 1), 202)
		},
	}},
	"nothing, a day": {1600, map[int]func(*teller){60: fail}},
	"dead letter": {200, map[int]func(*teller){
		60: func(w *teller) { w.ask("/deadletter-execute", envelope(w.t, "queue-binary.json"), 200) },
		120: func(w *teller) {
			for _, row := range w.catalog.Rows() {
				if row.Partition == backup.DeadLetterPartition {
					w.remove(row.Key)
				}
			}
		},
	}},
	"refused": {200, map[int]func(*teller){
		60:  func(w *teller) { w.text = "wrong" },
		120: func(w *teller) { w.text = "both" },
	}},
	"proven": {300, map[int]func(*teller){
		20:  func(w *teller) { w.text = "proven" },
		40:  (*teller).attest,
		160: (*teller).attest,
		200: (*teller).attest,
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
