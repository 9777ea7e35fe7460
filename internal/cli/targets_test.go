package cli_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestTargetsGoByTheirNames checks that each name that a table shows is the name of its target for every command, in any case.
func TestTargetsGoByTheirNames(t *testing.T) {
	t.Parallel()
	a := newFleet(t)
	_, table, _ := inFleet(t, a, 0, "health")
	_, ids, _ := inFleet(t, a, 0, "health", "-o", "name")
	sorted := strings.Fields(ids)
	lines := strings.Split(strings.TrimSpace(table), "\n")[1:]
	if len(lines) != len(fleetTargets) || len(sorted) != len(fleetTargets) {
		t.Fatalf("%s%s", table, ids)
	}
	for _, line := range lines {
		name := strings.Fields(line)[0]
		for _, command := range []string{"runs", "points"} {
			code, out, errs := inFleet(t, a, 0, command, strings.ToUpper(name), "-o", "yaml")
			_, target, _ := strings.Cut(out, "target: ")
			target, _, _ = strings.Cut(target, "\n")
			if i := slices.Index(sorted, target); code != 0 || i < 0 || !strings.HasSuffix(target, "/"+name[strings.LastIndex(name, "/")+1:]) {
				t.Errorf("lifeboat %s %s: %d, %s is %q", command, name, code, errs, target)
			} else if command == "points" {
				sorted = slices.Delete(sorted, i, i+1) // no two names mean one target
			}
		}
	}
	if len(sorted) != 0 {
		t.Errorf("no name means %q", sorted)
	}
}

// TestNamesAreLookedUp checks which requests a name costs, and the errors where it cannot be looked up.
func TestNamesAreLookedUp(t *testing.T) {
	t.Parallel()
	a := newFleet(t)
	for _, c := range []struct {
		args []string
		asks []string
		says string
	}{
		{[]string{"runs", eu}, []string{"GET /api/runs "}, ""},
		{[]string{"runs", "contoso-eu"}, []string{"GET /api/targets ", "GET /api/runs "}, ""},
		{[]string{"backup", "contoso-us"}, []string{"GET /api/targets ", "POST /api/backups request-1"}, ""},
		{[]string{"runs", "contoso-standby"}, []string{"GET /api/targets ", "GET /api/runs "}, ""},
		{[]string{"restore", eu, "--into", "contoso-standby", "--dry-run"}, []string{"GET /api/targets ", "POST /api/restores request-1"}, ""},
		{[]string{"runs", "partners"}, []string{"GET /api/targets "}, "\"partners\" may mean\n  0c0ffee0/prod/partners\n  1dea5000/prod/partners\n"},
		{[]string{"runs", "C:/Program Files/Git" + eu}, []string{"GET /api/runs "}, "InvalidTarget: "},
		{[]string{"restore", "contoso-eu", "--into", "contoso-uk", "--yes"}, []string{"GET /api/targets ", "GET /api/targets "}, `no target is called "contoso-uk": did you mean `},
	} {
		a.requests = nil
		code, _, errs := inFleet(t, a, 0, c.args...)
		if !slices.Equal(a.requests, c.asks) || code != min(len(c.says), 1) || !strings.Contains(errs, c.says) {
			t.Errorf("%q: %d, %q, %s", c.args, code, a.requests, errs)
		}
	}
	older := newApp(t, "", func(_ int, w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/api/targets" {
			return true
		}
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"error":{"code":"RouteNotFound","message":"there is nothing at /api/targets"}}`)
		return false
	})
	if code, out, errs := older.run(t.Context(), "", "runs", "contoso"); code != 1 || out != "" || !strings.Contains(errs, "RouteNotFound") {
		t.Errorf("an older app: %d, %s%s", code, out, errs)
	}
	_, id, _ := older.run(t.Context(), "one", "backup", "--plan", "fleet")
	if code, out, errs := older.run(t.Context(), "", "batch", strings.TrimSpace(id)); code != 0 || !strings.Contains(out, "  contoso-b  queued") {
		t.Errorf("a batch of an older app: %d, %s%s", code, out, errs)
	}
}

// TestForms checks each form of an answer, and that a wrong one is refused before the app is asked.
func TestForms(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"runs dev/payments -o name --top 2": "2a49886f0c7117b4-8225300799-ace93f4fca23\n2a49886f0c7117b4-8225336799-2a3b62b53ddb\n",
		"run " + goodRun + " -o name":       goodRun + "\n",
		"run " + goodRun + " -o yaml":       "id: " + goodRun + "\nstatus: Succeeded\nstate: succeeded\nkind: backup\nplan: nightly\n",
		"run " + goodRun + " --json":        `{"id":"` + goodRun + `","status":"Succeeded",`,
		"batch " + batchID + " -o name":     "0c650536f8140ca3-8225300799-ace93f4fca23\nb9fe65725851ae21-8225300799-ace93f4fca23\n",
		"batch " + batchID + " -o wide":     "RUN                                       TARGET ",
		"backup contoso-ccf -o yaml":        "id: ",
		"accept " + suspectRun + " -o name": suspectRun + "\n",
		"points contoso-eu -o wide":         "ID                                        STATE    CREATED               AGE  SIZE      EXPIRES                PLAN     EVIDENCE     REASON\n",
		"health --output=name":              eu + "\n",
	} {
		if code, out, errs := inFleet(t, newFleet(t), 80, strings.Fields(line)...); code != 0 || !strings.HasPrefix(out, want) {
			t.Errorf("%s: %d, %s\n%s", line, code, errs, out)
		}
	}
	a := newFleet(t)
	code, out, errs := inFleet(t, a, 80, "health", "-o", "xml")
	if code != 2 || out != "" || !strings.HasPrefix(errs, `lifeboat health: invalid argument "xml" for "-o, --output" flag: it is one of table, wide, json, yaml, name`) ||
		len(a.requests) != 0 {
		t.Errorf("%d, %s%s%q", code, out, errs, a.requests)
	}
}

// TestTimesArePrintedForThePerson checks that times are local with their zone, and in UTC if wanted.
func TestTimesArePrintedForThePerson(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"run " + goodRun:                                   "created         2026-03-28 03:00 CET, 10h0m ago\n",
		"run " + goodRun + " --utc":                        "created         2026-03-28T02:00:00Z, 10h0m ago\n",
		"health":                                           "2026-03-29 03:30 CEST",
		"health --utc":                                     "2026-03-29T01:30:00Z",
		"restore contoso-eu --dry-run":                     "written          2026-03-28 03:25 CET, 9h35m ago\n",
		"accept " + suspectRun + " --utc":                  "live, kept until 2026-04-25T02:25:00Z\n",
		"confirm " + restored:                              "; safety backup: kept until ",
		"runs contoso-eu -o wide --utc":                    "  2026-03-27T01:30:00Z  2026-03-27T02:00:00Z  ",
		"restore contoso-eu --dry-run --before 2026-03-27": "recovery point   " + olderRun + ", live\n",
		"restore contoso-eu --dry-run --before today":      "recovery point   " + olderRun + ", live\n",
		"restore contoso-eu --dry-run --before 2h":         "recovery point   " + goodRun + ", live\n",
		"restore contoso-eu --dry-run --before 10h":        "recovery point   " + olderRun + ", live\n",
	} {
		if code, out, errs := inFleet(t, newFleet(t), 0, strings.Fields(line)...); code != 0 || !strings.Contains(out, want) {
			t.Errorf("%s: %d, %s\n%s\nwant %s", line, code, errs, out, want)
		}
	}
}
