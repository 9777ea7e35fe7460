package cli_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/cli"
)

// edit writes plan.yaml before and after an edit: each with one plan, "nightly", of one target, and with these lines.
func edit(t *testing.T, before, after []string) (paths [2]string) {
	t.Helper()
	for i, lines := range [][]string{before, after} {
		text := "version: 1\ndefaults:\n  timeZone: Europe/Zurich\n  storage: {account: " + account + ", container: lifeboat}\nplans:\n" +
			"  - name: nightly\n    targets: [" + target + "]\n    keep: {within: 30d}\n"
		for _, line := range lines {
			text += "    " + line + "\n"
		}
		paths[i] = filepath.Join(t.TempDir(), fmt.Sprintf("plan-%d.yaml", i))
		if err := os.WriteFile(paths[i], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return paths
}

// TestDiffSaysWhatTheNextTimerRunDoes, in exact words: an edit of the schedule counts from the last scheduled time, so it may back up
// at once.
func TestDiffSaysWhatTheNextTimerRunDoes(t *testing.T) {
	const (
		changed = "~ plan nightly: schedule %q in Europe/Zurich becomes %q in Europe/Zurich: scheduled times count from the last one made\n"
		at      = "2026-03-28T12:00:00Z"
		assumed = "assumed: the app has run all along under the old plans, and the timer run comes at " + at + "; the app was not asked: LIFEBOAT_URL is not set\n"
	)
	asked := func(checkpoint, more string) string {
		return `{"overallStatus":"protected","checkedDateTime":"` + at + `","plan":{"refused":false},"targets":[]` + more + `,"checkpoints":[` +
			`{"plan":"nightly","schedule":{"expression":"30 2 * * *","timeZone":"Europe/Zurich","secondsAheadOfUTC":3600},` + checkpoint + `}]}`
	}
	early, late, paused := []string{`schedule: "30 2 * * *"`}, []string{`schedule: "0 10 * * *"`}, []string{`schedule: "30 2 * * *"`, "paused: true"}
	hourly := []string{`schedule: "15 * * * *"`}
	for _, c := range []struct {
		name          string
		before, after []string
		app           string // the answer of /api/health, "" if the app is not asked
		want          string
	}{
		{
			"a later hour, already past today", early, late, "",
			fmt.Sprintf(changed, "30 2 * * *", "0 10 * * *") +
				"~ plan nightly: the next timer run backs up at once, for the scheduled time Sat 2026-03-28 10:00:00 +01:00 Europe/Zurich; " +
				"the next scheduled time is Sun 2026-03-29 10:00:00 +02:00 Europe/Zurich\n" + assumed,
		},
		{
			"an earlier hour", late, early, "",
			fmt.Sprintf(changed, "0 10 * * *", "30 2 * * *") +
				"~ plan nightly: the next scheduled time is Sun 2026-03-29 03:30:00 +02:00 Europe/Zurich\n" + assumed,
		},
		{
			"the app has backed up since", early, late, asked(`"processedUntilDateTime":"2026-03-28T11:00:00Z"`, ""),
			fmt.Sprintf(changed, "30 2 * * *", "0 10 * * *") +
				"~ plan nightly: the next scheduled time is Sun 2026-03-29 10:00:00 +02:00 Europe/Zurich\n" +
				"by the checkpoints of the app at ORIGIN, as if the timer run came at " + at + "\n",
		},
		{
			"the app is stopped", early, late, asked(`"processedUntilDateTime":"2026-03-28T01:30:00Z"`, `,"stopped":"stopped by LIFEBOAT_STOPPED: moving"`),
			fmt.Sprintf(changed, "30 2 * * *", "0 10 * * *") +
				"~ plan nightly: no scheduled time makes runs: it is stopped by LIFEBOAT_STOPPED: moving\n" +
				"by the checkpoints of the app at ORIGIN, as if the timer run came at " + at + "\n",
		},
		{
			"the app was down for days", early, hourly, asked(`"processedUntilDateTime":"2026-03-26T01:30:00Z"`,
				`,"timers":[{"timer":"schedule","silent":true,"lastRunDateTime":"2026-03-28T09:16:00Z"}]`),
			fmt.Sprintf(changed, "30 2 * * *", "15 * * * *") +
				"~ plan nightly: the next timer run backs up at once, for the scheduled time Sat 2026-03-28 12:15:00 +01:00 Europe/Zurich; " +
				"the next timer run notes as missed 1 scheduled time from Sat 2026-03-28 11:15:00 +01:00 Europe/Zurich to " +
				"Sat 2026-03-28 11:15:00 +01:00 Europe/Zurich: no timer run read the plan: the app was down, or plan.yaml could not be read; " +
				"the next scheduled time is Sat 2026-03-28 13:15:00 +01:00 Europe/Zurich\n" +
				"by the checkpoints of the app at ORIGIN, as if the timer run came at " + at + "\n",
		},
		{
			"paused", early, paused, "",
			"~ plan nightly: paused: no scheduled times until that is taken back, and then nothing is caught up\n" +
				"~ plan nightly: no scheduled time makes runs: it is paused by nightly in plan.yaml\n" + assumed,
		},
		{
			"no longer paused", paused, early, asked(`"processedUntilDateTime":"2026-03-26T01:30:00Z","paused":"paused by nightly in plan.yaml"`, ""),
			"~ plan nightly: no longer paused: nothing is caught up\n" +
				"~ plan nightly: the next timer run notes as missed 2 scheduled times from Fri 2026-03-27 02:30:00 +01:00 Europe/Zurich to " +
				"Sat 2026-03-28 02:30:00 +01:00 Europe/Zurich: paused by nightly in plan.yaml; " +
				"the next scheduled time is Sun 2026-03-29 03:30:00 +02:00 Europe/Zurich\n" +
				"by the checkpoints of the app at ORIGIN, as if the timer run came at " + at + "\n",
		},
	} {
		paths := edit(t, c.before, c.after)
		environment := map[string]string{}
		origin := ""
		if c.app != "" {
			a := newApp(t, "", func(_ int, w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != "/api/health" || r.Header.Get("x-functions-key") != "the health key" {
					t.Errorf("%s: %s is asked with the key %q", c.name, r.URL.Path, r.Header.Get("x-functions-key"))
				}
				w.WriteHeader(http.StatusServiceUnavailable) // a target is unprotected: an answer all the same
				fmt.Fprint(w, c.app)
				return false
			})
			origin = a.URL
			environment = map[string]string{"LIFEBOAT_URL": a.URL, "LIFEBOAT_HEALTH_KEY": "the health key"}
		}
		sh := cli.Shell{Getenv: func(name string) string { return environment[name] }}
		code, out, errs := within(t.Context(), sh, "plan", "diff", paths[0], paths[1])
		if want := strings.ReplaceAll(c.want, "ORIGIN", origin); code != 0 || errs != "" || out != want {
			t.Errorf("%s: %d\n%s%s\nwant\n%s", c.name, code, out, errs, want)
		}
	}
}

// TestDiffOfAPlanThatComesBack: the app remembers a plan that left plan.yaml, and goes on where it was.
func TestDiffOfAPlanThatComesBack(t *testing.T) {
	a := newApp(t, "", func(_ int, w http.ResponseWriter, _ *http.Request) bool {
		fmt.Fprint(w, `{"overallStatus":"protected","checkedDateTime":"2026-03-28T12:00:00Z","plan":{"refused":false},"targets":[],"checkpoints":[`+
			`{"plan":"p","processedUntilDateTime":"2026-03-20T02:30:00Z","schedule":{"expression":"30 2 * * *","timeZone":"UTC","secondsAheadOfUTC":0},`+
			`"paused":"plan.yaml does not hold the plan"}]}`)
		return false
	})
	code, out, errs := a.run(t.Context(), "", "plan", "diff", planFile(t, "q"), planFile(t, "p", "q"))
	want := "+ plan p is new, with 2 targets: the next timer run backs up at once, for the scheduled time Sat 2026-03-28 02:30:00 +00:00 UTC; " +
		"the next scheduled time is Sun 2026-03-29 02:30:00 +00:00 UTC\n" +
		"by the checkpoints of the app at " + a.URL + ", as if the timer run came at 2026-03-28T12:00:00Z\n"
	if code != 0 || out != want || errs != "" {
		t.Errorf("%d %s\n%s\nwant\n%s", code, errs, out, want)
	}
}

// TestDiffWithoutTheApp: if the app cannot be asked, plan diff says why, and what it assumes.
func TestDiffWithoutTheApp(t *testing.T) {
	a := newApp(t, "", func(_ int, w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusUnauthorized)
		return false
	})
	for _, c := range []struct {
		environment map[string]string
		why         string
	}{
		{map[string]string{"LIFEBOAT_URL": a.URL}, "and LIFEBOAT_HEALTH_KEY to a key of its function health"},
		{map[string]string{"LIFEBOAT_URL": a.URL, "LIFEBOAT_HEALTH_KEY": "k"}, "401 Unauthorized: LIFEBOAT_HEALTH_KEY is not a key"},
	} {
		sh := cli.Shell{Getenv: func(name string) string { return c.environment[name] }}
		code, out, errs := within(t.Context(), sh, "plan", "diff", planFile(t, "p"), planFile(t, "q"))
		if code != 0 || errs != "" || !strings.Contains(out, "\nassumed: the app has run all along") || !strings.Contains(out, c.why) {
			t.Errorf("%d %s\n%s\nwant %s", code, errs, out, c.why)
		}
	}
}

// TestDiffAsksTheRealApp: the API has the checkpoint that the timer run left, and the command goes on from it.
func TestDiffAsksTheRealApp(t *testing.T) {
	a := newApp(t, "", nil)
	timer, err := os.ReadFile("../../handler/testdata/timer.json")
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	response, err := http.Post(a.URL+"/schedule", "application/json", bytes.NewReader(timer))
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%+v, %v", response, err)
	}
	paths := edit(t, []string{`schedule: "30 2 * * *"`}, []string{`schedule: "30 2 1 1 *"`})
	code, out, errs := a.run(t.Context(), "", "plan", "diff", paths[0], paths[1])
	_, next, _ := strings.Cut(out, "~ plan nightly: the next scheduled time is ")
	next, _, _ = strings.Cut(next, " Europe/Zurich")
	at, err := time.Parse("Mon 2006-01-02 15:04:05 -07:00", next)
	if code != 0 || errs != "" || err != nil || at.Before(began) || at.Sub(began) > 367*24*time.Hour || !strings.Contains(out, "\nby the checkpoints of the app at "+a.URL+", ") {
		t.Errorf("%d, %s, %v\n%s", code, errs, err, out)
	}
}

// TestDiffAsksTheAppOnlyWhereItMatters: an edit that moves no scheduled time is told without the app.
func TestDiffAsksTheAppOnlyWhereItMatters(t *testing.T) {
	for _, c := range []struct {
		old, edited []string
		asks        int
	}{
		{[]string{"p"}, []string{"p"}, 0},
		{[]string{"p"}, []string{"p: jitter: 20m"}, 0},
		{[]string{"p"}, []string{"p: window: 3h"}, 1},
		{[]string{"p"}, []string{"p: paused: true"}, 1},
		{[]string{"p"}, []string{"p: " + target + "-a | "}, 1},
		{[]string{"p"}, []string{"q"}, 1},
		{[]string{"p"}, []string{"p", "q"}, 1},
	} {
		a := newApp(t, "", func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusUnauthorized)
			return false
		})
		if code, out, errs := a.run(t.Context(), "", "plan", "diff", planFile(t, c.old...), planFile(t, c.edited...)); code != 0 || len(a.requests) != c.asks {
			t.Errorf("%q to %q: %d requests, want %d: %s%s", c.old, c.edited, len(a.requests), c.asks, out, errs)
		}
	}
}

// TestDiffOfATargetThatLeaves: its recovery points stay, and the program takes the plan that the command says to write.
func TestDiffOfATargetThatLeaves(t *testing.T) {
	a, b := target+"-a", target+"-b"
	const stay = "  its recovery points stay: each until its day (keep.within 7d), and the newest verified one beyond that\n"
	lost := func(target string) string {
		return "! no plan has the target " + target + " any more: it is not backed up\n" + stay
	}
	write := func(target string) string {
		return "  to restore one, write restore: {from: [" + target + "], into: [the resource ID of the destination]} into a plan\n"
	}
	for name, c := range map[string]struct {
		old, edited []string
		says        string
	}{
		"one of two": {[]string{"p"}, []string{"p: " + b + " | "}, "~ plan p: - target " + a + ": no more scheduled times for it here\n" + lost(a) + write(a)},
		"a plan": {
			[]string{"p", "q: " + target + " | "},
			[]string{"q: " + target + " | "},
			"- plan p vanishes with its 2 targets: no more scheduled times\n" + lost(a) + write(a) + lost(b) + write(b),
		},
		"to another plan": {
			[]string{"p", "q: " + a + " | "},
			[]string{"p: " + b + " | ", "q: " + a + " | "},
			"~ plan p: - target " + a + ": no more scheduled times for it here\n",
		},
		"and a plan names it": {
			[]string{"p"},
			[]string{"p: " + b + " | restore: {from: [" + a + "], into: [" + b + "]}"},
			"~ plan p: - target " + a + ": no more scheduled times for it here\n" +
				"! plan p: + restore.into " + b + " may be OVERWRITTEN by restores\n" +
				"! plan p: + restore.from " + a + ": its recovery points may be restored into what restore.into names by resource ID\n" +
				lost(a) + "  to restore one, use the plan p, which names the target in restore.from\n",
		},
	} {
		code, out, errs := run("plan", "diff", planFile(t, c.old...), planFile(t, c.edited...))
		if out = withoutRoles(out); code != 0 || errs != "" || out != c.says {
			t.Errorf("%s: %d\n%s%s\nwant\n%s", name, code, out, errs, c.says)
		}
	}
	advised := strings.ReplaceAll(strings.TrimPrefix(strings.TrimSpace(write(a)), "to restore one, write "), "the resource ID of the destination", b)
	path := planFile(t, "p: "+b+" | "+strings.TrimSuffix(advised, " into a plan"))
	if code, _, errs := run("plan", "check", path); code != 0 {
		t.Errorf("the program does not take what plan diff says to write: %s", errs)
	}
}
