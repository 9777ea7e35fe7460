package prove_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"lifeboat/internal/api"
	"lifeboat/internal/backup"
	"lifeboat/internal/cli/prove"
	"lifeboat/internal/restore"
	"lifeboat/internal/services"
)

// began is the time at which the first proof of a double begins.
var began = time.Date(2026, 3, 28, 12, 0, 0, 0, time.UTC)

// double is an app with one service: it keeps its runs and the marks from one proof to the next.
type double struct {
	t       *testing.T
	mu      sync.Mutex
	runs    []api.Run
	marks   []string
	removed []string // by a person, in this order
	// age is the age of new backups, and checks the number of times that a check of others is under way.
	age    time.Duration
	checks int
	// failures is the number of the next backups that fail.
	failures int
	// A restore goes as restore says. Mark fails with refusal, and hidden marks show nowhere.
	restore string
	refusal error
	hidden  bool
	stop    context.CancelFunc
	// target is the service; "" means one that the person names. No plan has it if it is unplanned.
	target    string
	unplanned bool
}

// id is the service.
func (d *double) id() string { return cmp.Or(d.target, service) }

func (d *double) Marks(_ context.Context, _, prefix string) (names []string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, name := range d.marks {
		if strings.HasPrefix(name, prefix) && !d.hidden {
			names = append(names, name)
		}
	}
	return names, nil
}

func (d *double) Mark(_ context.Context, _, name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.refusal == nil || d.hidden {
		d.marks = append(d.marks, name)
	}
	return d.refusal
}

func (d *double) Unmark(_ context.Context, _, name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.marks = slices.DeleteFunc(d.marks, func(one string) bool { return one == name })
	d.removed = append(d.removed, name)
	return nil
}

func (d *double) Shown(context.Context, string) (backup.Shown, error) {
	return backup.Shown{State: "Succeeded", Tier: "Developer"}, nil
}

// begin makes the run of a request, once.
func (d *double) begin(request string, v api.Run) api.Run {
	for _, one := range d.runs {
		if one.Request == request {
			return one
		}
	}
	v.ID, v.Request, v.Target, v.Created = fmt.Sprintf("run-%d", len(d.runs)+1), request, d.id(), began.Add(time.Duration(len(d.runs))*time.Minute-d.age)
	v.Ended = v.Created.Add(time.Second)
	d.runs = slices.Insert(d.runs, 0, v)
	return v
}

// end ends the newest run, and takes all marks away if it succeeds.
func (d *double) end(status string) {
	d.runs[0].Status, d.runs[0].State = status, backup.State(strings.ToLower(status))
	if status == "Succeeded" {
		d.marks = nil
	}
}

func (d *double) serve(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	answer := func(v any) {
		if err := json.NewEncoder(w).Encode(v); err != nil {
			d.t.Error(err)
		}
	}
	refuse := func(status int, code string) {
		w.WriteHeader(status)
		answer(map[string]api.Problem{"error": {Code: code, Message: "no"}})
	}
	request := r.Header.Get("Repeatability-Request-ID")
	switch r.URL.Path {
	case "/api/targets":
		page := api.Page[api.Target]{Value: []api.Target{{Target: d.id(), Plan: "p", Into: []string{d.id()}}}}
		if d.unplanned {
			page.Value = nil
		}
		answer(page)
	case "/api/runs":
		answer(api.Page[api.Run]{Value: d.runs})
	case "/api/check":
		if d.checks > 0 {
			d.checks--
			refuse(http.StatusConflict, "CheckUnderWay")
			return
		}
		fmt.Fprint(w, goodCheck)
	case "/api/backups":
		known := len(d.runs)
		v := d.begin(request, api.Run{Status: "Succeeded", State: "succeeded", Point: &api.Point{State: backup.Live}})
		if d.failures > 0 && len(d.runs) > known {
			d.failures--
			d.runs[0].Status, d.runs[0].State, d.runs[0].Point, d.runs[0].Error = "Failed", "failed", nil, &api.Problem{Code: "AuthorizationPermissionMismatch"}
			v = d.runs[0]
		}
		answer(v)
	case "/api/restores":
		var asked struct{ DryRun bool }
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			d.t.Error(err)
		}
		if asked.DryRun {
			answer(restore.Preview{Destination: d.id()})
			return
		}
		d.restored(w, request, answer, refuse)
	default: // the newest run, and the person does not wait for its end
		d.stop()
		answer(d.runs[0])
	}
}

// restored answers a request for a restore. When it answers with 503, the person does not wait any longer.
func (d *double) restored(w http.ResponseWriter, request string, answer func(any), refuse func(int, string)) {
	switch d.restore {
	case "is refused":
		refuse(http.StatusBadRequest, "InvalidRequest")
		return
	case "does not arrive":
		d.stop()
		refuse(http.StatusServiceUnavailable, "")
		return
	}
	if d.restore == "is garbled" {
		d.begin(request, api.Run{Status: "Running", State: "running", Restore: &api.Restore{}})
		answer("no run")
		return
	}
	known := len(d.runs)
	v := d.begin(request, api.Run{Status: "Running", State: "running", Restore: &api.Restore{}})
	if len(d.runs) > known {
		switch d.restore {
		case "fails":
			d.end("Failed")
		case "leaves the mark":
			left := d.marks
			d.end("Succeeded")
			d.marks = left
		case "goes on", "begins without an answer":
		default:
			d.end("Succeeded")
		}
		v = d.runs[0]
		if strings.HasSuffix(d.restore, "without an answer") {
			d.stop()
			refuse(http.StatusServiceUnavailable, "")
			return
		}
	}
	w.Header().Set("Retry-After", "1")
	answer(v)
}

// prove runs the command, and returns what it says, with the codes of its steps, and its error. Its clock is 11 minutes later each time.
func (d *double) prove(id string) (said string, err error) {
	d.t.Helper()
	server := httptest.NewServer(http.HandlerFunc(d.serve))
	defer server.Close()
	var out strings.Builder
	now, folder := began.Add(-11*time.Minute), d.t.TempDir()
	c := prove.Command(prove.Shell{
		Getenv: func(name string) string {
			return map[string]string{"LIFEBOAT_URL": server.URL, "LIFEBOAT_KEY": "k"}[name]
		},
		Stdout: &out, Stderr: &out, RequestID: "a", Services: services.All().Known(), Asks: func() bool { return false },
		Now: func() time.Time {
			now = now.Add(11 * time.Minute)
			return now
		},
		Markers: func(func(string) string) (map[string]backup.Marker, error) {
			return map[string]backup.Marker{"microsoft.apimanagement/service": d}, nil
		},
	})
	c.SilenceErrors, c.SilenceUsage = true, true
	c.SetArgs([]string{"-g", "sandbox", "--yes", "sandbox", "--service", service, "--to", folder, "--id", id})
	ctx, cancel := context.WithTimeout(d.t.Context(), 30*time.Second) // a proof that goes on would ask again and again
	defer cancel()
	d.stop = cancel
	err = c.ExecuteContext(ctx)
	report, _ := os.ReadFile(filepath.Join(folder, "prove-"+id+".json"))
	return out.String() + string(report), err
}

// proves has the command prove it.
func (d *double) proves(id, words string) {
	d.t.Helper()
	if said, err := d.prove(id); err != nil || !strings.Contains(said, words) || !strings.Contains(said, `"result": "proved"`) || !strings.Contains(said, `"restored": true`) {
		d.t.Errorf("proof %s: %v\n%s\nwant %q", id, err, said, words)
	}
}

// fails has the command fail with all the words in its error or its report.
func (d *double) fails(id string, words ...string) {
	d.t.Helper()
	said, err := d.prove(id)
	for _, one := range words {
		if err == nil || !strings.Contains(said+err.Error(), one) {
			d.t.Errorf("proof %s: %v\n%s\nwant %q", id, err, said, one)
		}
	}
	if strings.Contains(said, `"restored": true`) {
		d.t.Errorf("proof %s failed, and its report calls the service restored:\n%s", id, said)
	}
}

// has compares the number of restores, the marks of the service, and the marks that a person's sign-in has removed.
func (d *double) has(restores int, marks, removed string) {
	d.t.Helper()
	n := 0
	for _, v := range d.runs {
		if v.Restore != nil {
			n++
		}
	}
	if n != restores || strings.Join(d.marks, " ") != marks || strings.Join(d.removed, " ") != removed {
		d.t.Errorf("%d restores, marks %q, removed %q; want %d, %q, %q", n, d.marks, d.removed, restores, marks, removed)
	}
}

// markX is the mark of the proof x.
const markX = "lifeboat-prove-x"

// TestOnlyTheRestoreTakesTheMarkAway: the mark that is gone proves a restore, so nothing else removes it once one may have been asked for.
// It goes if the restore fails, or was refused.
func TestOnlyTheRestoreTakesTheMarkAway(t *testing.T) {
	t.Parallel()
	for how, does := range map[string]func(d *double){
		"succeeds": func(d *double) {
			d.proves("x", "the mark is gone")
			d.has(1, "", "")
			d.proves("x", "before this start: nothing was done now")
			d.has(1, "", "")
			d.proves("y", "the mark is gone")
			d.has(2, "", "")
			d.fails("x", "another proof made the run run-3", `"code": "AnotherProof"`)
		},
		"fails": func(d *double) {
			d.fails("x", "the restore run-2 ended failed", `"the mark is removed"`)
			d.has(1, "", markX)
			d.fails("x", "the restore run-2 ended failed")
			d.has(1, "", markX)
		},
		"is refused": func(d *double) {
			d.fails("x", "InvalidRequest", `"the mark is removed"`)
			d.has(0, "", markX)
			d.restore = ""
			d.proves("x", "the mark is gone")
			d.has(1, "", markX)
		},
		"leaves the mark": func(d *double) {
			for range 2 {
				d.fails("x", "the restore did not replace the content", "MarkLeft")
				d.has(1, markX, "")
			}
			d.runs[0].Ended = began.Add(time.Hour) // the proof may still look
			d.fails("y", "the restore run-2 of another proof ended a short while ago", `"code": "AnotherProof"`)
			d.has(1, markX, "")
			d.runs[0].Ended = began
			d.restore = ""
			d.proves("y", "1 mark of earlier proofs removed")
			d.has(2, "", markX)
		},
		"does not arrive": func(d *double) {
			d.fails("x", "stopped", "asked for without an answer, so the mark stays for that", "RestoreGoesOn")
			d.has(0, markX, "")
			d.restore = ""
			d.proves("x", "1 mark of earlier proofs removed")
			d.has(1, "", markX)
		},
		"begins without an answer": func(d *double) {
			d.fails("x", "the restore run-2 goes on without this command", "RestoreGoesOn")
			d.has(1, markX, "")
			d.fails("y", "the restore run-2 of another proof goes on", `"code": "AnotherProof"`)
			d.has(1, markX, "")
			d.end("Succeeded")
			d.proves("x", "before this start: nothing was done now")
			d.has(1, "", "")
		},
		"succeeds without an answer": func(d *double) {
			d.fails("x", "stopped", `"no mark is left"`)
			d.has(1, "", "")
			d.proves("x", "before this start: nothing was done now")
			d.has(1, "", "")
		},
		"goes on": func(d *double) {
			d.fails("x", "stopped", "the restore run-2 goes on without this command", "RestoreGoesOn")
			d.has(1, markX, "")
			d.fails("x", "stopped", "RestoreGoesOn") // again
			d.has(1, markX, "")
			d.end("Failed")
			d.fails("x", "the restore run-2 ended failed", `"the mark is removed"`)
			d.has(1, "", markX)
		},
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			does(&double{t: t, restore: how})
		})
	}
}

// TestAnOldBackupIsNotRestored: a proof that goes on after an hour would take away what a person has changed since. A restore that was
// asked for goes on.
func TestAnOldBackupIsNotRestored(t *testing.T) {
	t.Parallel()
	fresh := &double{t: t, age: 59 * time.Minute}
	fresh.proves("x", "the mark is gone")
	for i := range fresh.runs {
		fresh.runs[i].Created, fresh.runs[i].Ended = fresh.runs[i].Created.Add(-time.Hour), fresh.runs[i].Ended.Add(-time.Hour)
	}
	fresh.proves("x", "nothing was done now")
	fresh.has(1, "", "")
	old := &double{t: t, age: 61 * time.Minute}
	old.fails("x", "what changed since would be lost", `"code": "BackupTooOld"`)
	old.has(0, "", "")
	old.age = 0
	old.proves("y", "the mark is gone")
}

// TestAMarkThatMayComeIsRemoved: the answer of Azure is lost, so that the mark may appear later. It is not asked to remove what it has
// refused to make.
func TestAMarkThatMayComeIsRemoved(t *testing.T) {
	t.Parallel()
	lost := &double{t: t, hidden: true, refusal: &backup.Fault{Kind: backup.Retryable, Code: "NoAnswer", Message: "m"}}
	lost.fails("x", "NoAnswer", "no mark is seen; it may still appear")
	lost.has(0, "", markX)
	refused := &double{t: t, refusal: &backup.Fault{Kind: backup.Refused, Code: "AuthorizationFailed", Message: "m"}}
	refused.fails("x", `"code": "AuthorizationFailed"`)
	refused.has(0, "", "")
}

// TestAProofWaitsForAnotherCheck: the app checks one thing at a time.
func TestAProofWaitsForAnotherCheck(t *testing.T) {
	t.Parallel()
	d := &double{t: t, checks: 1}
	d.proves("x", "the mark is gone")
	if d.checks != 0 {
		t.Errorf("%d checks are left", d.checks)
	}
}

// TestAFailedBackupLeavesItsPlaceToTheNext: the app answers the same request with the same run for ever, so that the next run of the proof
// asks for another one. A backup that is good stays the only one.
func TestAFailedBackupLeavesItsPlaceToTheNext(t *testing.T) {
	t.Parallel()
	d := &double{t: t, failures: 2}
	for range 2 {
		d.fails("x", "ended failed", `"code": "AuthorizationPermissionMismatch"`)
		d.has(0, "", "")
	}
	for range 2 {
		d.proves("x", "the mark is gone")
		d.has(1, "", "")
	}
	if len(d.runs) != 4 {
		t.Errorf("%+v", d.runs)
	}
}
