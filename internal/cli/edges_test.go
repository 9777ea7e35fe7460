package cli_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lifeboat/internal/cli"
)

// stops is a shell's stderr that stops the command at its first output.
type stops struct {
	bytes.Buffer
	at   string
	stop func()
}

func (s *stops) Write(text []byte) (int, error) {
	n, err := s.Buffer.Write(text)
	if strings.Contains(s.String(), s.at) {
		s.stop()
	}
	return n, err
}

// TestAWaitOfHoursIsNotWaitedFor checks that a command tries again within a minute, for every Retry-After.
func TestAWaitOfHoursIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	for asked, waits := range map[string]string{"7200": "1m0s", "61": "1m0s", "45": "45s", "": "1s", "-5": "1s"} {
		a := newApp(t, "", func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Retry-After", asked)
			w.WriteHeader(http.StatusServiceUnavailable)
			return false
		})
		ctx, cancel := context.WithCancel(t.Context())
		errs := &stops{at: "trying again", stop: cancel}
		environment := map[string]string{"LIFEBOAT_URL": a.URL, "LIFEBOAT_KEY": key}
		cli.Run(ctx, []string{"runs", target}, cli.Shell{
			Getenv: func(name string) string { return environment[name] }, Stdout: &bytes.Buffer{}, Stderr: errs, Now: now,
		})
		cancel()
		if !strings.Contains(errs.String(), "; trying again in "+waits+"\n") {
			t.Errorf("asked to come back after %q s: %s, want %s", asked, errs, waits)
		}
	}
}

// planFile writes plan.yaml with the plans, each "name: further lines", and two targets.
func planFile(t *testing.T, plans ...string) string {
	t.Helper()
	text := "version: 1\ndefaults:\n  storage: {account: " + account + ", container: lifeboat}\nplans:\n"
	for _, plan := range plans {
		name, more, _ := strings.Cut(plan, ": ")
		targets := target + "-a, " + target + "-b"
		if own, rest, ok := strings.Cut(more, " | "); ok {
			targets, more = own, rest
		}
		text += fmt.Sprintf("  - name: %s\n    targets: [%s]\n    schedule: \"30 2 * * *\"\n    keep: {within: 7d}\n", name, targets)
		if more != "" {
			text += "    " + more + "\n"
		}
	}
	path := filepath.Join(t.TempDir(), "plan.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestDiffTellsWhichTargetsAreNoLongerBackedUp checks that these are the targets without a plan. A paused plan still has its
// targets; a line of its own says that it is paused.
func TestDiffTellsWhichTargetsAreNoLongerBackedUp(t *testing.T) {
	a, b := target+"-a", target+"-b"
	// Two groups that strings.EqualFold takes for one, and Azure for two.
	sigma, final := strings.Replace(target, "/g/", "/πσ/", 1), strings.Replace(target, "/g/", "/πς/", 1)
	lost := func(target string) string {
		return "! no plan has the target " + target + " any more: it is not backed up\n"
	}
	for name, c := range map[string]struct {
		old, edited []string
		says        string // all lines that begin with "! no plan"
		also        string
	}{
		"paused":                    {[]string{"p"}, []string{"p: paused: true"}, "", "~ plan p: paused: no scheduled times until that is taken back"},
		"no longer paused":          {[]string{"p: paused: true"}, []string{"p"}, "", "~ plan p: no longer paused: nothing is caught up"},
		"gone":                      {[]string{"p", "q: " + target + " | "}, []string{"q: " + target + " | "}, lost(a) + lost(b), "- plan p vanishes with its 2 targets"},
		"one of two gone":           {[]string{"p"}, []string{"p: " + b + " | "}, lost(a), "~ plan p: - target " + a},
		"the second gone":           {[]string{"p"}, []string{"p: " + a + " | "}, lost(b), "~ plan p: - target " + b},
		"moved to another plan":     {[]string{"p"}, []string{"p: " + a + " | ", "q: " + b + " | "}, "", "+ plan q is new, with 1 target"},
		"moved to one that pauses":  {[]string{"p"}, []string{"p: " + a + " | ", "q: " + b + " | paused: true"}, "", "it is paused"},
		"renamed":                   {[]string{"p"}, []string{"q"}, "", "+ plan q is new, with 2 targets"},
		"spelled in another case":   {[]string{"p"}, []string{"p: " + strings.ToUpper(a) + ", " + b + " | "}, "", "nothing changes"},
		"gone from both its plans":  {[]string{"p", "q"}, []string{"p: " + a + " | ", "q: " + a + " | "}, lost(b), "~ plan q: - target " + b},
		"gone from one of its two":  {[]string{"p", "q"}, []string{"p: " + a + " | ", "q"}, "", "~ plan p: - target " + b},
		"a target more than before": {[]string{"p: " + a + " | "}, []string{"p"}, "", "~ plan p: + target " + b},
		"another form of a letter":  {[]string{"p: " + sigma + " | "}, []string{"p: " + final + " | "}, lost(sigma), "~ plan p: + target " + final},
	} {
		code, out, errs := run("plan", "diff", planFile(t, c.old...), planFile(t, c.edited...))
		says := ""
		for line := range strings.Lines(out) {
			if strings.HasPrefix(line, "! no plan") {
				says += line
			}
		}
		if code != 0 || errs != "" || says != c.says || !strings.Contains(out, c.also) {
			t.Errorf("%s: %d\n%s%s\nwant %q and %q", name, code, out, errs, c.says, c.also)
		}
	}
}

// withoutRoles drops the lines of plan diff about roles: TestDiffTellsOfRoles has them.
func withoutRoles(out string) (rest string) {
	for line := range strings.Lines(out) {
		if !strings.Contains(line, " the role ") {
			rest += line
		}
	}
	return rest
}

// TestDiffTellsOfRoles: plan diff has each role that an edit needs, each that nothing needs any more, and those that recovery points
// still need.
func TestDiffTellsOfRoles(t *testing.T) {
	for name, c := range map[string]struct{ old, edited, want string }{
		"nothing":       {"p", "p", "nothing changes\n"},
		"another cycle": {"p", "p: window: 3h", ""},
		"by a key": {"p", "p: identity: accessKey", `+ the app needs the role Reader and Data Access on account backups
- contoso-a no longer needs the role Storage Blob Data Contributor on container backups/lifeboat
- contoso-b no longer needs the role Storage Blob Data Contributor on container backups/lifeboat
`},
		"a target less": {"p", "p: " + target + "-a | ", `- the app no longer needs the role Lifeboat API Management Backup on contoso-b
- contoso-b no longer needs the role Storage Blob Data Contributor on container backups/lifeboat
`},
		"restores": {"p", "p: restore: {into: [" + target + "-c]}", `+ the app needs the role Lifeboat API Management Backup on contoso-c
+ the app needs the role Lifeboat API Management Restore on contoso-c
+ contoso-c needs the role Storage Blob Data Contributor on container backups/lifeboat
`},
		"another container": {"p", "p: storage: {account: " + account + ", container: other}", `+ the app needs the role Storage Blob Data Contributor on container backups/other
+ contoso-a needs the role Storage Blob Data Contributor on container backups/other
+ contoso-b needs the role Storage Blob Data Contributor on container backups/other
- the app needs the role Storage Blob Data Contributor on container backups/lifeboat for earlier backups alone
- contoso-a needs the role Storage Blob Data Contributor on container backups/lifeboat for earlier backups alone
- contoso-b needs the role Storage Blob Data Contributor on container backups/lifeboat for earlier backups alone
`},
	} {
		code, out, errs := run("plan", "diff", planFile(t, c.old), planFile(t, c.edited))
		told := out
		if rest := withoutRoles(out); c.old != c.edited {
			told = strings.TrimPrefix(out, rest)
		}
		if code != 0 || errs != "" || told != c.want {
			t.Errorf("%s: %d\n%s%s\nwant\n%s", name, code, out, errs, c.want)
		}
	}
}

// TestDiffTellsOfEveryChangeOfARestore checks both directions, and that a difference of case is no change.
func TestDiffTellsOfEveryChangeOfARestore(t *testing.T) {
	into := func(lists string) []string { return []string{"p: restore: {" + lists + "}"} }
	for name, c := range map[string]struct {
		old, edited []string
		says        string
	}{
		"a new destination":       {into("into: [itself]"), into("into: [itself, " + target + "-c]"), "! plan p: + restore.into " + target + "-c may be OVERWRITTEN by restores\n"},
		"itself":                  {into("into: [" + target + "-c]"), into("into: [" + target + "-c, itself]"), "! plan p: + restore.into itself: each target may be OVERWRITTEN by restores\n"},
		"a destination less":      {into("into: [itself, " + target + "-c]"), into("into: [itself]"), "~ plan p: - restore.into " + target + "-c: no more restores into it\n"},
		"the same in capitals":    {into("into: [" + target + "-c]"), into("into: [" + strings.ToUpper(target) + "-C]"), "nothing changes\n"},
		"in another order":        {into("into: [itself, " + target + "-c]"), into("into: [" + target + "-c, itself]"), "nothing changes\n"},
		"a queue more":            {into("into: [itself], replyTo: [one]"), into("into: [itself], replyTo: [one, two]"), "~ plan p: + restore.replyTo two: answers may go there\n"},
		"a queue less":            {into("into: [itself], replyTo: [one, two]"), into("into: [itself], replyTo: [one]"), "~ plan p: - restore.replyTo two\n"},
		"approval":                {into("into: [itself]"), into("into: [itself], approval: required"), "~ plan p: restore.approval is required: this version refuses every restore that needs it\n"},
		"no approval":             {into("into: [itself], approval: required"), into("into: [itself]"), "! plan p: restore.approval is no longer required: restores begin without a person\n"},
		"a safety backup":         {into("into: [itself]"), into("into: [itself], safetyBackup: true"), "~ plan p: restore.safetyBackup is required: destinations are backed up before they are overwritten, whatever the request says\n"},
		"not always one":          {into("into: [itself], safetyBackup: true"), into("into: [itself]"), "! plan p: restore.safetyBackup is default: destinations are backed up before they are overwritten, unless the request says no\n"},
		"one, if not asked":       {into("into: [itself], safetyBackup: never"), into("into: [itself], safetyBackup: default"), "~ plan p: restore.safetyBackup is default: destinations are backed up before they are overwritten, unless the request says no\n"},
		"no safety backup":        {into("into: [itself]"), into("into: [itself], safetyBackup: false"), "! plan p: restore.safetyBackup is never: destinations are overwritten without\n"},
		"no restore, so none":     {into("into: [itself], safetyBackup: true"), []string{"p"}, "~ plan p: - restore.into itself: no more restores into it\n"},
		"a new plan that allows":  {[]string{"p"}, []string{"p", "q: restore: {into: [itself]}"}, "! plan q: + restore.into itself: each target may be OVERWRITTEN by restores\n"},
		"another name, the same":  {into("into: [itself], approval: none, safetyBackup: default"), into("into: [itself]"), "nothing changes\n"},
		"of what has left":        {into("into: [" + target + "-c]"), into("into: [" + target + "-c], from: [" + target + "-d]"), "! plan p: + restore.from " + target + "-d: its recovery points may be restored into what restore.into names by resource ID\n"},
		"of it no more":           {into("into: [" + target + "-c], from: [" + target + "-d]"), into("into: [" + target + "-c]"), "~ plan p: - restore.from " + target + "-d: this plan restores its recovery points no more\n"},
		"each of two that vanish": {into("into: [" + target + "-c, " + target + "-d]"), []string{"p"}, "~ plan p: - restore.into " + target + "-c: no more restores into it\n~ plan p: - restore.into " + target + "-d: no more restores into it\n"},
	} {
		code, out, errs := run("plan", "diff", planFile(t, c.old...), planFile(t, c.edited...))
		out = withoutRoles(out)
		if first, rest, ok := strings.Cut(out, "\n"); ok && strings.HasPrefix(first, "+ plan q is new") {
			out, _, _ = strings.Cut(rest, "assumed: ")
		}
		if code != 0 || errs != "" || out != c.says {
			t.Errorf("%s: %d\n%s%s\nwant\n%s", name, code, out, errs, c.says)
		}
	}
}

// TestDiffTellsOfEverySetting checks each setting in both directions.
func TestDiffTellsOfEverySetting(t *testing.T) {
	for line, words := range map[string][2]string{
		"jitter: 20m":         {"jitter none becomes 20m", "jitter 20m becomes none"},
		"window: 3h":          {"window until the next scheduled time becomes 3h", "window 3h becomes until the next scheduled time"},
		"concurrency: 3":      {"concurrency not set becomes 3, for runs from now on", "concurrency 3 becomes not set, for runs from now on"},
		"identity: accessKey": {"identity system becomes accessKey, for runs from now on", "identity accessKey becomes system, for runs from now on"},
		"storage: {account: " + account + ", container: lifeboat, zone: z12}": {
			account + "/lifeboat becomes " + account + "/lifeboat (zone z12), for runs", account + "/lifeboat (zone z12) becomes " + account + "/lifeboat, for runs",
		},
		"onChange: {quiet: 10m}":         {"onChange.quiet none: changes make no backups becomes 10m", "onChange.quiet 10m becomes none: changes make no backups"},
		"onDemand: {replyTo: [deploy]}":  {"+ onDemand.replyTo deploy: answers may go there", "- onDemand.replyTo deploy"},
		"onDemand: {keep: {within: 1d}}": {"onDemand.keep.within 30d becomes 1d, for runs from now on", "onDemand.keep.within 1d becomes 30d, for runs from now on"},
	} {
		for i, files := range [][2]string{{"p", "p: " + line}, {"p: " + line, "p"}} {
			code, out, errs := run("plan", "diff", planFile(t, files[0]), planFile(t, files[1]))
			out = withoutRoles(out)
			if code != 0 || errs != "" || !strings.HasPrefix(out, "~ plan p: ") || !strings.Contains(out, words[i]) || strings.Count(out, "\n") != 1 {
				t.Errorf("%q: %d\n%s%s\nwant %s", files, code, out, errs, words[i])
			}
		}
	}
}

// TestTheWorstTargetComesFirst checks the order, and that targets with the same status keep the order of the plans.
func TestTheWorstTargetComesFirst(t *testing.T) {
	t.Parallel()
	worst := []string{"unprotected", "late", "pending", "protected"}
	var targets []string
	want := ""
	for i := range 24 {
		targets = append(targets, fmt.Sprintf(`{"target":"%s-%c","plan":"p","status":"%s"}`, target, 'a'+i, worst[3-i%4]))
	}
	for _, first := range []int{3, 2, 1, 0} {
		for i := first; i < 24; i += 4 {
			want += string(rune('a' + i))
		}
	}
	a := newApp(t, "", func(_ int, w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprint(w, `{"overallStatus":"unprotected","plan":{"refused":false},"targets":[`+strings.Join(targets, ",")+`]}`)
		return false
	})
	code, out, errs := a.run(t.Context(), "", "health")
	order := ""
	for line := range strings.Lines(out) {
		if _, rest, ok := strings.Cut(line, "contoso-"); ok {
			order += rest[:1]
		}
	}
	if code != 1 || order != want || errs != "6 of 24 targets unprotected\n" {
		t.Errorf("%d %s, want %s: %s\n%s", code, order, want, errs, out)
	}
}

// TestEveryCommandTakesItsIDAsAPart checks that an ID is one part of the path, with any characters.
func TestEveryCommandTakesItsIDAsAPart(t *testing.T) {
	t.Parallel()
	for command, path := range map[string]string{
		"run": "/api/runs/a%2Fb%3Fc", "batch": "/api/batches/a%2Fb%3Fc", "accept": "/api/recovery-points/a%2Fb%3Fc/accept",
		"release": "/api/recovery-points/a%2Fb%3Fc", "hold --reason why": "/api/recovery-points/a%2Fb%3Fc/hold",
		"delete --yes --reason why": "/api/recovery-points/a%2Fb%3Fc/delete", "undelete --reason why": "/api/recovery-points/a%2Fb%3Fc/undelete",
		"cancel": "/api/restores/a%2Fb%3Fc/cancel", "confirm": "/api/restores/a%2Fb%3Fc/confirm",
	} {
		var asked string
		a := newApp(t, "", func(_ int, w http.ResponseWriter, r *http.Request) bool {
			asked = r.URL.EscapedPath()
			fmt.Fprint(w, "{}")
			return false
		})
		if code, out, errs := a.run(t.Context(), "", append(strings.Fields(command), "a/b?c")...); asked != path || code != 1 || out != "" ||
			!strings.Contains(errs, "is LIFEBOAT_URL the address of a Lifeboat app?") {
			t.Errorf("%s asks %s: %d, %s%s", command, asked, code, out, errs)
		}
	}
}

// TestATakeoverSaysWhichAppWorks checks the one line for people, and the document.
func TestATakeoverSaysWhichAppWorks(t *testing.T) {
	t.Parallel()
	const body = `{"owner":"contoso-app/staging","from":"contoso-app","ownerSinceDateTime":"2026-03-28T09:00:00Z"}`
	a := newApp(t, "", func(_ int, w http.ResponseWriter, _ *http.Request) bool {
		fmt.Fprint(w, body)
		return false
	})
	for format, want := range map[string]string{
		"table": "contoso-app/staging works in place of contoso-app since 2026-03-28T09:00:00Z\n", "json": body + "\n", "name": "contoso-app/staging\n",
	} {
		code, out, errs := a.run(t.Context(), "", "takeover", "contoso-app", "--yes", "-o", format)
		if code != 0 || out != want || a.requests[len(a.requests)-1] != "POST /api/takeover " {
			t.Errorf("%s: %d, %q, %s, %v", format, code, out, errs, a.requests)
		}
	}
}

// TestAListSaysThatThereIsMore checks a list that was cut, and that the command asks for more pages if they are wanted.
func TestAListSaysThatThereIsMore(t *testing.T) {
	t.Parallel()
	var asked []string
	a := newApp(t, "", func(_ int, w http.ResponseWriter, r *http.Request) bool {
		asked = append(asked, r.URL.RawQuery)
		link := `,"nextLink":"http://elsewhere/api/recovery-points?after=x"`
		if r.URL.Query().Get("after") != "" {
			link = ""
		}
		fmt.Fprint(w, `{"value":[{"id":"p","state":"live","plan":"nightly","sizeInBytes":2048,"createdDateTime":"2026-01-02T00:00:00Z",`+
			`"expiresDateTime":"2026-01-09T00:00:00Z"}]`+link+`}`)
		return false
	})
	for _, c := range []struct {
		args  []string
		asks  []string
		lines int
		more  bool
	}{
		{nil, []string{""}, 2, true},
		{[]string{"--top", "7"}, []string{"top=7"}, 2, true},
		{[]string{"--all"}, []string{"top=100", "after=x"}, 3, false},
		{[]string{"--all", "--top", "7"}, []string{"top=7", "after=x"}, 3, false},
	} {
		asked = nil
		code, out, errs := a.run(t.Context(), "", append([]string{"points", target}, c.args...)...)
		if code != 0 || strings.Count(out, "\n") != c.lines || (errs == "1 recovery point shown; there are older ones: --all, or --top up to 100\n") != c.more ||
			!c.more && errs != "" || len(asked) != len(c.asks) {
			t.Errorf("%q: %d\n%s%s%q", c.args, code, out, errs, asked)
			continue
		}
		for i, want := range c.asks {
			if !strings.Contains(asked[i], want) || want == "" && strings.Contains(asked[i], "top") {
				t.Errorf("%q asks %q, want %q", c.args, asked[i], want)
			}
		}
		if !strings.Contains(out, "p   live   2026-01-02T00:00:00Z  85d  2.0 KiB  2026-01-09T00:00:00Z  nightly") {
			t.Errorf("%q: %s", c.args, out)
		}
	}
	for _, args := range [][]string{{"points"}, {"points", target, "--top", "-1"}, {"runs", target, "more"}} {
		if code, out, errs := a.run(t.Context(), "", args...); code != 2 || out != "" || !strings.Contains(errs, "\nusage: lifeboat ") {
			t.Errorf("%q: %d, %s%s", args, code, out, errs)
		}
	}
}

// TestARunIsShownWithAllThatIsKnown checks that the command shows every part of a run.
func TestARunIsShownWithAllThatIsKnown(t *testing.T) {
	t.Parallel()
	body := `{"id":"r","kind":"backup","target":"T","plan":"P","status":"Succeeded","state":"succeeded","scheduledTime":"2026-01-01T00:00:00Z",` +
		`"requestId":"Q","createdDateTime":"2026-01-02T00:00:00Z","lastUpdatedDateTime":"2026-01-03T00:00:00Z","endedDateTime":"2026-01-04T00:00:00Z",` +
		`"attempts":2,"polls":3,"changesLookedDateTime":"2026-01-04T00:30:00Z","retryDateTime":"2026-01-01T00:05:00Z","failedAttempts":[{"attempt":1,"endedDateTime":"2026-01-01T00:01:00Z",` +
		`"error":{"code":"InternalServerError","message":"Oops"}}],"recoveryPoint":{"state":"suspect","changedDuringBackup":` +
		`{"dateTime":"2026-01-01T00:03:00Z","resource":"T/apis/echo","operation":"apis/write"},"storageAccount":"S","blob":"B","sizeInBytes":1024,"sha256":"H",` +
		`"expiresDateTime":"2026-01-05T00:00:00Z","note":"N","facts":[{"name":"lastTransaction","value":"2.20"},{"name":"root","value":"R"}],"decision":"D","acceptedDateTime":"2026-01-06T00:00:00Z","acceptedBy":"who",` +
		`"acceptedReason":"why","suspicion":{"code":"C","message":"M","details":[{"code":"Hint","message":"look"}]}},"notIncluded":["one","two"]}`
	a := newApp(t, "", func(_ int, w http.ResponseWriter, _ *http.Request) bool {
		fmt.Fprint(w, body)
		return false
	})
	code, out, errs := a.run(t.Context(), "", "run", "r")
	for _, want := range []string{
		"run r", "target T", "plan P", "scheduled 2026-01-01T00:00:00Z", "request Q", "state succeeded", "created 2026-01-02T00:00:00Z, 85d12h ago",
		"updated 2026-01-03T00:00:00Z, 84d12h ago", "ended 2026-01-04T00:00:00Z, 83d12h ago", "attempts 2", "polls 3",
		"next attempt 2026-01-01T00:05:00Z, 86d11h ago", "failed attempt 1, 2026-01-01T00:01:00Z, InternalServerError: Oops", "recovery point suspect, kept until 2026-01-05T00:00:00Z",
		"note N", "last transaction 2.20", "root R", "changed during backup, 2026-01-01T00:03:00Z: apis/write of T/apis/echo", "looked for changes 2026-01-04T00:30:00Z, 83d11h ago", "suspicion C: M", "hint look", "accepted 2026-01-06T00:00:00Z who why", "decision D", "account S", "blob B", "size 1.0 KiB", "sha256 H",
		"not included one", "not included two",
	} {
		first, rest, ok := strings.Cut(out, "\n")
		if got := strings.Join(strings.Fields(first), " "); got != want || !ok {
			t.Fatalf("%q, want %q", got, want)
		}
		out = rest
	}
	if code != 0 || out != "" || errs != "" {
		t.Errorf("%d, %s%s", code, out, errs)
	}
	if code, out, _ := a.run(t.Context(), "", "runs", target); code != 1 || out != "" { // it is no list
		t.Errorf("%d, %s", code, out)
	}
	list := newApp(t, "", func(_ int, w http.ResponseWriter, _ *http.Request) bool {
		fmt.Fprint(w, `{"value":[`+body+`]}`)
		return false
	})
	_, out, _ = list.run(t.Context(), "", "runs", target)
	if got := strings.Join(strings.Fields(out), " "); !strings.HasSuffix(got, "r succeeded P 2026-01-01T00:00:00Z 2026-01-02T00:00:00Z 85d "+
		"2026-01-04T00:00:00Z 1.0 KiB suspect, kept until 2026-01-05T00:00:00Z C") {
		t.Errorf("as one of a list: %s", out)
	}
}

// TestWhatIsTriedAgain checks that a command repeats the calls that may succeed later, and no others.
func TestWhatIsTriedAgain(t *testing.T) {
	t.Parallel()
	for status, again := range map[int]bool{
		302: false, 400: false, 401: false, 403: false, 404: false, 409: false, 413: false, 429: true, 500: true, 502: true, 503: true, 504: true,
	} {
		a := newApp(t, "", func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(status)
			return false
		})
		ctx, cancel := context.WithCancel(t.Context())
		errs := &stops{at: "trying again", stop: cancel}
		environment := map[string]string{"LIFEBOAT_URL": a.URL, "LIFEBOAT_KEY": key}
		code := cli.Run(ctx, []string{"run", "x"}, cli.Shell{
			Getenv: func(name string) string { return environment[name] }, Stdout: &bytes.Buffer{}, Stderr: errs, Now: now,
		})
		cancel()
		if code != 1 || strings.Contains(errs.String(), "trying again") != again || len(a.requests) != 1 {
			t.Errorf("%d: %d after %d requests, %s", status, code, len(a.requests), errs)
		}
	}
}

// TestWhichAddressesAreTaken checks that a command refuses addresses to which the key would travel in plain text, and addresses
// with more than a host.
func TestWhichAddressesAreTaken(t *testing.T) {
	t.Parallel()
	stopped, cancel := context.WithCancel(context.Background())
	cancel() // nothing is sent
	for address, code := range map[string]int{
		"https://contoso.example": 1, "https://contoso.example/": 1, " https://contoso.example\n": 1, "https://contoso.example:8443": 1,
		"http://localhost:7071": 1, "http://127.0.0.1:7071": 1, "http://127.0.0.2": 1, "http://[::1]:7071": 1, "https://192.0.2.1": 1,
		"http://192.0.2.1": 2, "http://contoso.example": 2, "http://localhost.example": 2, "https://": 2, "localhost:7071": 2, "": 2,
		"https://contoso.example/#x": 2, "https://contoso.example/?x": 2,
	} {
		if got, out, errs := against(stopped, address, "", "run", "x"); got != code || out != "" {
			t.Errorf("%q: %d, %s%s", address, got, out, errs)
		}
	}
}

// TestAllOfAnErrorIsShown checks that each detail has a line of its own.
func TestAllOfAnErrorIsShown(t *testing.T) {
	t.Parallel()
	a := newApp(t, "", func(_ int, w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusConflict)
		fmt.Fprint(w, `{"error":{"code":"A","message":"b","details":[{"code":"C","message":"d\u0085\u007f"},{"code":"E","message":"f"}]}}`)
		return false
	})
	if code, out, errs := a.run(t.Context(), "", "run", "x"); code != 1 || out != "" || !strings.HasSuffix(errs, ": A: b\n  C: d  \n  E: f\n") {
		t.Errorf("%d, %s%q", code, out, errs)
	}
}

// TestAllOfAListIsOneDocument checks the whole list, and that it has no link to more.
func TestAllOfAListIsOneDocument(t *testing.T) {
	t.Parallel()
	a := newApp(t, "", func(_ int, w http.ResponseWriter, r *http.Request) bool {
		more := `,"nextLink":"http://elsewhere/api/runs?after=x"`
		if r.URL.Query().Get("after") != "" {
			more = ""
		}
		fmt.Fprintf(w, `{"value":[{"id":"r%s"}]%s}`, r.URL.Query().Get("after"), more)
		return false
	})
	if code, out, _ := a.run(t.Context(), "", "runs", target, "--all", "--json"); code != 0 || out != `{"value":[{"id":"r"},{"id":"rx"}]}`+"\n" {
		t.Errorf("%d, %s", code, out)
	}
	if code, out, _ := a.run(t.Context(), "", "runs", target, "--json"); code != 0 ||
		out != `{"value":[{"id":"r"}],"nextLink":"http://elsewhere/api/runs?after=x"}`+"\n" {
		t.Errorf("%d, %s", code, out)
	}
}

// TestScheduledTimesAreAsManyAsAskedFor checks numbers from one on.
func TestScheduledTimesAreAsManyAsAskedFor(t *testing.T) {
	for n, scheduledTimes := range map[string]int{"1": 2, "2": 4} { // for two targets
		if code, out, errs := run("plan", "next", planFile(t, "p"), "-n", n); code != 0 || strings.Count(out, " contoso-") != scheduledTimes || errs != "" {
			t.Errorf("-n %s: %d\n%s%s", n, code, out, errs)
		}
	}
	if code, out, _ := run("plan", "next", planFile(t, "p: paused: true")); code != 0 || strings.Count(out, "  paused") != 2 || strings.Count(out, " contoso-") != 2 {
		t.Errorf("paused: %d\n%s", code, out)
	}
	if code, out, _ := run("plan", "check", planFile(t, "p", "q")); code != 0 || !strings.Contains(out, ": good: 2 plans, 4 targets\n") {
		t.Errorf("check: %d, %s", code, out)
	}
}

// TestAListSaysThatOlderOnesWerePruned, for people below the table, and in the document as the app says it.
func TestAListSaysThatOlderOnesWerePruned(t *testing.T) {
	t.Parallel()
	const pruned = `"pruned":{"runs":12,"newestCreatedDateTime":"2025-01-15T02:30:00Z"}`
	a := newApp(t, "", func(_ int, w http.ResponseWriter, r *http.Request) bool {
		fmt.Fprint(w, `{"value":[{"id":"r"}],`+pruned+`}`)
		return false
	})
	for _, list := range []string{"runs", "points"} {
		code, out, errs := a.run(t.Context(), "", list, target)
		if code != 0 || strings.Contains(out, "pruned") || !strings.Contains(errs, "older ones were pruned (LIFEBOAT_HISTORY): 12 runs, the newest of 2025-01-15T02:30:00Z\n") {
			t.Errorf("%d, %s, %s", code, out, errs)
		}
		code, out, errs = a.run(t.Context(), "", list, target, "--json")
		if code != 0 || out != `{"value":[{"id":"r"}],`+pruned+"}\n" || errs != "" {
			t.Errorf("%d, %s, %s", code, out, errs)
		}
	}
}
