package e2e

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/fakehost"
	"lifeboat/internal/testing/figures"
	"lifeboat/internal/testing/realhost"
)

// telemetry receives everything that a host sends to Application Insights.
type telemetry struct {
	connection string

	mu    sync.Mutex
	texts []string
	items []item
	wrong []string
}

// item is one line of the telemetry.
type item struct {
	Name string
	Data struct {
		BaseType string
		BaseData struct {
			Message, Name, ID string
			SeverityLevel     string
			Properties        map[string]string
		}
	}
}

func newTelemetry(t *testing.T) *telemetry {
	n := &telemetry{}
	server := httptest.NewServer(n)
	t.Cleanup(server.Close)
	n.connection = "InstrumentationKey=00000000-0000-4000-8000-000000000001;IngestionEndpoint=" + server.URL + "/;LiveEndpoint=" + server.URL + "/"
	return n
}

func (n *telemetry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasSuffix(r.URL.Path, "/track") {
		return // live metrics
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	count := 0
	body, err := gzip.NewReader(r.Body)
	if err == nil {
		lines := bufio.NewScanner(body)
		lines.Buffer(nil, 16<<20)
		for lines.Scan() {
			var i item
			if err := json.Unmarshal(lines.Bytes(), &i); err != nil {
				n.wrong = append(n.wrong, lines.Text()+": "+err.Error())
			}
			n.texts, n.items = append(n.texts, lines.Text()), append(n.items, i)
			count++
		}
		err = lines.Err()
	}
	if err != nil {
		n.wrong = append(n.wrong, err.Error())
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"itemsReceived": count, "itemsAccepted": count, "errors": []string{}})
}

// seen returns the texts and items so far.
func (n *telemetry) seen() ([]string, []item) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.texts), slices.Clone(n.items)
}

// log causes the events that runbooks ask for, then runs their queries, and looks for secrets in the whole log.
func (h *hosted) log(ctx context.Context, t *testing.T) {
	// Host and program see a key in a caller's URL. Their log entries about it come before the later ones.
	for _, path := range []string{"/api/health?code=" + h.MasterKey(), "/api/metrics?code=" + h.MasterKey(), "/api/runs/x?code=" + h.Key("api")} {
		if how, status := h.knock(ctx, t, "GET", path, ""); how != "open" {
			t.Errorf("%s: %s (%d)", path, how, status)
		}
	}
	h.alarm(ctx, t)
	lines := h.lines()
	h.query(t, lines)

	h.mu.Lock()
	known := slices.Concat(secrets(world.Keys()), h.shown)
	h.mu.Unlock()
	for _, key := range h.keys(t) {
		if len(key) > 20 {
			known = append(known, key)
		}
	}
	for _, variable := range world.Environment(h.config.Name) {
		if _, secret, ok := strings.Cut(variable, "IDENTITY_HEADER="); ok {
			known = append(known, secret)
		}
	}
	var said []string
	for _, e := range h.entries() {
		said = append(said, e.String())
	}
	if found := known.in(strings.Join(said, "\n")); found != "" {
		t.Errorf("the host's log has %s", found)
	}
	if _, real := h.Host.(*realhost.Host); real {
		h.insights(ctx, t, known, lines)
	}
}

// alarm causes a refused plan, a failed backup, missed scheduled times, and so on for each query of a runbook. It leaves out a
// run that missed its window of at least a minute, because its query asks for superseded ones too. A target that does not exist
// was refused, and is unprotected, since the beginning.
func (h *hosted) alarm(ctx context.Context, t *testing.T) {
	told := func(event string) { h.told(ctx, t, event, "") }
	target := h.patients[0].target
	// Two scheduled times come during a backup: the run of the second supersedes the run of the first.
	tune(t, path.Base(h.scheduled), func(k *fakeazure.Options) { k.Shortest, k.Longest = 80*time.Minute, 80*time.Minute })
	inject := func(step fakeazure.Step) {
		t.Helper()
		fault := fakeazure.Fault{Step: step, Kind: fakeazure.Refuse, Status: http.StatusBadRequest, Code: "BadRequest", Message: "not today"}
		if err := world.Sim.Inject(target, fault); err != nil {
			t.Fatal(err)
		}
	}
	inject(fakeazure.OnBackup)
	id, err := h.backupOf(ctx, target, "fails")
	if err != nil {
		t.Fatal(err)
	}
	if s, err := h.await(ctx, id); err != nil || s.Run.State != backup.Failed {
		t.Errorf("the backup ended %s, %v: %+v", s.Run.State, err, s.Run.Reason)
	}
	inject(fakeazure.OnRestore)
	send := h.sender(ctx, t)
	request := map[string]any{"id": "fails", "target": target, "recoveryPoint": "latest", "requestedBy": "a playbook", "reason": "fails"}
	send(text(request))
	if run := h.restored(ctx, t, target, "fails"); run.State != backup.Failed {
		t.Errorf("the restore ended %s: %+v", run.State, run.Reason)
	}
	h.senderTo(ctx, t, "backup-requests")(text(map[string]any{
		"id": "elsewhere", "target": target, "plan": "elsewhere", "requestedBy": "a pipeline", "reason": "a deployment",
	}))
	told("lifeboat.backup.refused")
	h.senderTo(ctx, t, "backup-requests-poison")("back it up") // as if the host had given it up
	h.until(ctx, t, "a line of deadletter-backup", func() bool {
		return slices.ContainsFunc(h.lines(), func(line map[string]any) bool { return line["function"] == "deadletter-backup" })
	})

	// For a while the program can read neither the active plan nor the rows of the target. Timer runs fail, and so does a
	// request, five times.
	partition, _, _ := strings.Cut(id, "-")
	intercept(t, h.ObjectID, func(x fakeazure.Exchange) fakeazure.Decision {
		where := x.Path + x.Query.Encode()
		if strings.Contains(x.Host, ".table.") && (strings.Contains(where, "active-plan") || strings.Contains(where, partition)) {
			return fakeazure.Answer(http.StatusForbidden, nil, nil)
		}
		return h.meet(x)
	})
	request["id"], request["dryRun"] = "late", true
	send(text(request))
	for _, of := range []struct{ function, level string }{{"schedule", "error"}, {"restore", "error"}, {"deadletter-restore", "info"}} {
		h.until(ctx, t, "a line of "+of.function, func() bool {
			return slices.ContainsFunc(h.lines(), func(line map[string]any) bool { return line["function"] == of.function && line["level"] == of.level })
		})
	}
	intercept(t, h.ObjectID, h.meet)

	whole := h.plan()
	for _, text := range []string{"version: 7\n", strings.Replace(whole, "    targets:\n", "    paused: true\n    targets:\n", 1)} {
		if err := h.edit(text); err != nil {
			t.Fatal(err)
		}
		if text != "version: 7\n" {
			// A scheduled time passes.
			next := time.Now().Truncate(interval).Add(interval + time.Second)
			h.until(ctx, t, "the next scheduled time", func() bool { return time.Now().After(next) })
			continue
		}
		told("lifeboat.plan.refused")
	}
	if err := h.edit(whole); err != nil {
		t.Fatal(err)
	}
	told("lifeboat.schedule.missed")
	told("lifeboat.target.unprotected")
	h.disturb(ctx, t)
	told("lifeboat.run.superseded")
}

// told waits for a line about the event, with the code unless that is "".
func (h *hosted) told(ctx context.Context, t *testing.T, event, code string) {
	t.Helper()
	h.until(ctx, t, event, func() bool {
		return slices.ContainsFunc(h.lines(), func(line map[string]any) bool {
			return line["event"] == event && (code == "" || line["code"] == code)
		})
	})
}

// disturb makes the storage's time differ from the program's clock, another server answer in Azure's place, a restore's answer
// wait and get lost, and a backup be much smaller than the earlier ones.
func (h *hosted) disturb(ctx context.Context, t *testing.T) {
	target := h.patients[0].target
	instead := func(of func(fakeazure.Exchange) bool, answer func(fakeazure.Exchange) fakeazure.Decision) {
		intercept(t, h.ObjectID, func(x fakeazure.Exchange) fakeazure.Decision {
			if h.meet(x); of(x) {
				return answer(x)
			}
			return fakeazure.Pass
		})
	}
	before := func(action string) func(fakeazure.Exchange) bool {
		return func(x fakeazure.Exchange) bool {
			return x.Phase == fakeazure.Before && x.Method == http.MethodPost && strings.EqualFold(x.Path, target+action)
		}
	}
	instead(func(x fakeazure.Exchange) bool {
		return x.Phase == fakeazure.After && x.Method == http.MethodGet && strings.Contains(x.Query.Get("$filter"), "PartitionKey eq 'schedule'")
	}, func(x fakeazure.Exchange) fakeazure.Decision {
		return fakeazure.Answer(x.Status, http.Header{
			"Date": {time.Now().UTC().Add(5 * time.Minute).Format(http.TimeFormat)}, "Content-Type": {"application/json"},
		}, x.Answer)
	})
	h.told(ctx, t, "lifeboat.clock.jumped", "")

	instead(before("/backup"), func(fakeazure.Exchange) fakeazure.Decision {
		return fakeazure.Answer(http.StatusAccepted, http.Header{"Location": {"https://elsewhere.example/operation"}}, nil)
	})
	id, err := h.backupOf(ctx, target, "answered by somebody")
	if err != nil {
		t.Fatal(err)
	}
	if s, err := h.await(ctx, id); err != nil || s.Run.State != backup.Unknown {
		t.Errorf("the backup ended %s, %v: %+v", s.Run.State, err, s.Run.Reason)
	}
	h.told(ctx, t, "lifeboat.run.unknown", "ForeignAddress")

	// A restore waits for a backup under way; then its answer is lost.
	var usual fakeazure.Options
	tune(t, path.Base(target), func(k *fakeazure.Options) {
		usual, k.Shortest, k.Longest = *k, 20*time.Minute, 20*time.Minute
	})
	if id, err = h.backupOf(ctx, target, "in the way"); err != nil {
		t.Fatal(err)
	}
	if _, err := h.reaches(ctx, id, backup.Running); err != nil {
		t.Fatal(err)
	}
	tune(t, path.Base(target), func(k *fakeazure.Options) { *k = usual })
	instead(before("/restore"), func(fakeazure.Exchange) fakeazure.Decision { return fakeazure.Drop })
	h.sender(ctx, t)(text(map[string]any{
		"id": "lost", "target": target, "recoveryPoint": "latest", "requestedBy": "a playbook", "reason": "lost",
	}))
	h.told(ctx, t, "lifeboat.restore.waiting", "")
	if run := h.restored(ctx, t, target, "lost"); run.State != backup.Unknown {
		t.Errorf("the restore ended %s: %+v", run.State, run.Reason)
	}
	h.told(ctx, t, "lifeboat.restore.unknown", "")
	intercept(t, h.ObjectID, h.meet)

	for i, want := range []backup.PointState{backup.Live, backup.Live, backup.Suspect} { // three determine the normal size
		if want == backup.Suspect {
			tune(t, path.Base(target), func(k *fakeazure.Options) { k.BlobBytes = 25 << 10 })
		}
		if id, err = h.backupOf(ctx, target, "sized"+itoa(i)); err != nil {
			t.Fatal(err)
		}
		if s, err := h.await(ctx, id); err != nil || s.Point == nil || s.Point.State != want {
			t.Fatalf("backup %d ended %s, %v: %+v", i, s.Run.State, err, s.Point)
		}
	}
	h.told(ctx, t, "lifeboat.run.succeeded", "SizeSuspect")
}

var (
	block     = regexp.MustCompile("(?s)```kql\n(.*?)```")
	condition = regexp.MustCompile(`line\.(\w+) (?:== "([^"]+)"|in \(([^)]+)\))`)
	filled    = regexp.MustCompile(`isnotempty\(line\.(\w+)\)`)
	word      = regexp.MustCompile(`"([^"]+)"`)
	column    = regexp.MustCompile(`\bline\.(\w+)`)
)

// causedByOthers are the pages whose events other tests cause: the one of a second app stands in that app's log, a deletion that fails
// takes two clean-ups, a catalog is incomplete once its table was deleted, a stop would hold up the restores of this one, a new plan is
// checked ten minutes later, and many points expire only where there are many.
var causedByOthers = []string{"app-refused.md", "catalog-incomplete.md", "custody-late.md", "deletions-wait.md", "plan-checked.md", "point-undeleted.md", "stopped.md"}

// query runs each query of the runbooks on the lines, and checks that its result has all columns.
func (h *hosted) query(t *testing.T, lines []map[string]any) {
	t.Helper()
	pages, err := filepath.Glob(filepath.Join(world.Root, "docs", "runbooks", "*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	answered := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, query := range block.FindAllStringSubmatch(string(text), -1) {
			var found []map[string]any
			left := lines
			for _, c := range condition.FindAllStringSubmatch(query[1], -1) {
				var values []string
				for _, value := range word.FindAllStringSubmatch(`"`+c[2]+`"`+c[3], -1) {
					values = append(values, value[1])
				}
				found = nil
				for _, line := range left {
					if slices.Contains(values, fmt.Sprint(line[c[1]])) {
						found = append(found, line)
					}
				}
				left = found
			}
			for _, c := range filled.FindAllStringSubmatch(query[1], -1) {
				left = slices.DeleteFunc(slices.Clone(left), func(line map[string]any) bool { return line[c[1]] == nil || line[c[1]] == "" })
			}
			if len(left) == 0 && slices.Contains(causedByOthers, filepath.Base(page)) {
				continue
			}
			if len(left) == 0 {
				t.Errorf("%s: no line answers\n%s", filepath.Base(page), query[1])
				continue
			}
			answered++
			for _, c := range column.FindAllStringSubmatch(query[1], -1) {
				if !slices.ContainsFunc(left, func(line map[string]any) bool { return line[c[1]] != nil }) {
					t.Errorf("%s: no line that answers has %s\n%s", filepath.Base(page), c[1], query[1])
				}
			}
		}
	}
	if answered < 8 {
		t.Errorf("only %d queries were answered", answered)
	}
}

// insights: each line of the program has come to Application Insights unchanged, in the category of the console. The lines of
// an invocation can be found from its request, each function has requests, and there is no secret.
func (h *hosted) insights(ctx context.Context, t *testing.T, known secrets, lines []map[string]any) {
	t.Helper()
	ids := map[string]bool{} // the lines that have come
	requests := map[string]bool{}
	categories := map[string]bool{}
	dependencies := 0 // they contain the URL of each call to the program, with the caller's key
	looked := 0
	look := func() bool {
		_, items := h.telemetry.seen()
		for _, i := range items[looked:] {
			d := i.Data.BaseData
			var line map[string]any
			switch {
			case i.Data.BaseType == "RequestData":
				requests[d.Name], requests[d.Properties["InvocationId"]] = true, true
			case i.Data.BaseType == "RemoteDependencyData":
				dependencies++
			case i.Data.BaseType == "MessageData" && strings.HasPrefix(d.Message, "{") && json.Unmarshal([]byte(d.Message), &line) == nil:
				categories[d.Properties["Category"]+", "+d.SeverityLevel] = true
				ids[fmt.Sprint(line)] = true
			}
		}
		looked = len(items)
		for _, line := range lines {
			if !ids[fmt.Sprint(line)] {
				return false
			}
		}
		return true
	}
	h.until(ctx, t, "all lines in Application Insights", look)
	if want := map[string]bool{fakehost.CategoryConsole + ", Information": true}; !maps.Equal(categories, want) {
		t.Errorf("lines are under %v, want %v", categories, want)
	}
	if dependencies > 0 {
		t.Errorf("%d calls are written down with their URLs: host.json is to switch dependency tracking off", dependencies)
	}
	for _, line := range lines {
		if id := line["invocation"]; id != nil && line["function"] != nil && !requests[fmt.Sprint(id)] {
			t.Errorf("no request has the invocation of %v", line)
		}
	}
	for _, f := range functions(t) {
		if !requests[f.name] {
			t.Errorf("no request of %s", f.name)
		}
	}
	texts, _ := h.telemetry.seen()
	if found := known.in(strings.Join(texts, "\n")); found != "" {
		t.Errorf("Application Insights has %s", found)
	}
	h.telemetry.mu.Lock()
	defer h.telemetry.mu.Unlock()
	if len(h.telemetry.wrong) > 0 {
		t.Errorf("unreadable: %v", h.telemetry.wrong)
	}
}

// measure reports the time that the host adds.
func (h *hosted) measure(ctx context.Context, t *testing.T) {
	direct := ""
	var steps, hosts []float64 // milliseconds
	for _, line := range h.lines() {
		if line["address"] != nil {
			direct = "http://" + fmt.Sprint(line["address"])
		}
		if ms, ok := line["ms"].(float64); ok && line["function"] == "execute" && line["level"] == "info" {
			steps = append(steps, ms)
		}
	}
	for _, e := range h.entries() {
		if m := executed.FindStringSubmatch(e.Text); m != nil {
			ms, err := strconv.ParseFloat(m[1], 64)
			if err != nil {
				t.Fatal(err)
			}
			hosts = append(hosts, ms)
		}
	}
	ask := func(base string) (all []float64) {
		for range 60 {
			begun := time.Now()
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/api/health", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("x-functions-key", h.MasterKey())
			response, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_, err = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, float64(time.Since(begun).Microseconds())/1000)
		}
		return all
	}
	if len(steps) == 0 || len(hosts) == 0 {
		t.Fatalf("%d steps, %d by the host", len(steps), len(hosts))
	}
	alone := h.alone(ctx, t)
	health, itself := median(ask(h.URL())), median(ask(direct))
	step, own := median(hosts), median(steps)
	figures.Report(t, "%s: health %.1f ms, %.1f ms by the program alone: %.2f times; a step %.1f ms and %.1f ms: %.2f times; "+
		"start to first answer %d ms and %d ms: %.1f times", h.name(), health, itself, health/itself, step, own, step/own,
		h.started.Milliseconds(), alone.Milliseconds(), float64(h.started)/float64(alone))
}

var executed = regexp.MustCompile(`Executed 'Functions\.execute' \(Succeeded.*Duration=(\d+)ms\)`)

func median(of []float64) float64 {
	slices.Sort(of)
	return of[len(of)/2]
}

// alone starts the program without a host, and returns the time until its first answer.
func (h *hosted) alone(ctx context.Context, t *testing.T) time.Duration {
	t.Helper()
	settings, err := world.Settings(h.config)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	_, port, _ := net.SplitHostPort(address)
	ctx, cancel := context.WithCancel(ctx)
	command := exec.CommandContext(ctx, world.Binary)
	command.Env = append(world.Environment(h.config.Name), "FUNCTIONS_CUSTOMHANDLER_PORT="+port)
	for name, value := range settings {
		command.Env = append(command.Env, name+"="+value)
	}
	begun := time.Now()
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cancel()
		_ = command.Wait() // killed
	}()
	for ; ctx.Err() == nil; time.Sleep(time.Millisecond) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/api/health", nil)
		if err != nil {
			t.Fatal(err)
		}
		if response, err := http.DefaultClient.Do(r); err == nil {
			_ = response.Body.Close()
			return time.Since(begun)
		}
	}
	t.Fatal("the program does not answer")
	return 0
}
