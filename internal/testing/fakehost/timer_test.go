package fakehost

import (
	"encoding/json"
	"net/http"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func timerFunction(schedule, members string) string {
	return `{"bindings": [{"type": "timerTrigger", "direction": "in", "name": "timer",
		"schedule": "` + schedule + `"` + members + `}]}`
}

// timerValue is the value of the timer in a call.
type timerValue struct {
	ScheduleStatus *struct{ Last, Next, LastUpdated string }
	IsPastDue      bool
}

func readTimer(t *testing.T, c call) timerValue {
	t.Helper()
	var body struct{ Data struct{ Timer timerValue } }
	if err := json.Unmarshal([]byte(c.body), &body); err != nil {
		t.Fatal(err)
	}
	return body.Data.Timer
}

func TestTimerRequest(t *testing.T) {
	t.Parallel()
	a := newApp(t, "", "", map[string]string{"Tick": idleTimer})
	a.start()
	if err := a.invoke("tick"); err != nil {
		t.Fatal(err)
	}
	c := a.received()[0]
	if c.Method != "POST" || c.RequestURI != "/Tick" {
		t.Errorf("the handler got %s %s", c.Method, c.RequestURI)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/json; charset=utf-8", "User-Agent": userAgent, hostVersionHeader: hostVersion,
		"X-Seen-Length": strconv.Itoa(len(c.body)), // the body is not chunked
	} {
		if got := c.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if len(c.Header.Get(invocationHeader)) != 36 {
		t.Errorf("invocation ID %q", c.Header.Get(invocationHeader))
	}
	if err := a.invoke("tock"); err == nil {
		t.Error("an unknown function was invoked")
	}
}

func TestTimerFailures(t *testing.T) {
	t.Parallel()
	a := newApp(t, "", "", map[string]string{"tick": idleTimer})
	var answer atomic.Value
	a.answer = func(w http.ResponseWriter, _ call) { answer.Load().(func(http.ResponseWriter))(w) }
	a.start()
	for name, f := range map[string]func(http.ResponseWriter){
		"500":        func(w http.ResponseWriter) { w.WriteHeader(http.StatusInternalServerError) },
		"plain text": func(w http.ResponseWriter) { _, _ = w.Write([]byte("done")) },
		"no JSON":    func(w http.ResponseWriter) { reply200(w, "done") },
		"redirect": func(w http.ResponseWriter) {
			w.Header().Set("Location", "/Tick")
			w.WriteHeader(http.StatusTemporaryRedirect)
		},
	} {
		answer.Store(f)
		if err := a.invoke("tick"); err == nil {
			t.Errorf("%s: the invocation succeeded", name)
		}
	}
	if !a.said(Error, "Function.tick", "Failed") {
		t.Error("the failure is not in the log")
	}
}

func TestTimerRuns(t *testing.T) {
	t.Parallel()
	a := newApp(t, "", "", map[string]string{"tick": timerFunction("* * * * * *", "")})
	began := time.Now()
	a.start()
	calls := a.awaitCalls(3)
	for _, c := range calls {
		if v := readTimer(t, c); v.IsPastDue || v.ScheduleStatus != nil {
			t.Errorf("got %+v", v)
		}
	}
	if took := calls[2].at.Sub(began); took < 2*time.Second {
		t.Errorf("three runs within %s", took)
	}
}

// TestTimerOverrun: runs never overlap, a run that took too long is followed by one at once, and further missed ones are left
// out.
func TestTimerOverrun(t *testing.T) {
	t.Parallel()
	a := newApp(t, "", "", map[string]string{"tick": timerFunction("* * * * * *", "")})
	var running, n atomic.Int32
	var first time.Time
	a.answer = func(w http.ResponseWriter, _ call) {
		if running.Add(1) > 1 {
			t.Error("two runs overlap")
		}
		if n.Add(1) == 1 {
			time.Sleep(2500 * time.Millisecond)
			first = time.Now()
		}
		running.Add(-1)
		succeed(w)
	}
	a.start()
	calls := a.awaitCalls(4)
	if v := readTimer(t, calls[1]); v.IsPastDue {
		t.Error("the run after an overrun claims to be past due")
	}
	// Two occurrences were missed. The first run makes up for one; the others belong to the following seconds.
	if calls[3].at.Sub(first) < time.Second {
		t.Errorf("more than one missed run was made up for: %s, %s, %s after the overrun", calls[1].at.Sub(first),
			calls[2].at.Sub(first), calls[3].at.Sub(first))
	}
}

func TestTimerRunOnStartup(t *testing.T) {
	t.Parallel()
	a := newApp(t, "", "", map[string]string{
		"tick": timerFunction("0 0 0 29 2 *", `, "runOnStartup": true`), "off": timerFunction("* * * * * *", ""), "idle": idleTimer,
	})
	a.config.Settings["AzureWebJobs.off.Disabled"] = "1"
	a.start()
	c := a.awaitCalls(1)[0]
	if v := readTimer(t, c); v.IsPastDue || v.ScheduleStatus == nil || v.ScheduleStatus.Last != "0001-01-01T00:00:00" ||
		v.ScheduleStatus.Next[4:] != "-02-29T00:00:00+00:00" {
		t.Errorf("got %+v", v)
	}
	time.Sleep(1100 * time.Millisecond) // the disabled timer would fire now
	if n := len(a.received()); n != 1 {
		t.Errorf("%d runs", n)
	}
}

// TestTimerPastDue: after an outage of the host a timer makes up for missed runs, once, and not after a change of schedule.
func TestTimerPastDue(t *testing.T) {
	t.Parallel()
	yearly, other := timerFunction("0 0 0 29 2 *", ""), timerFunction("0 0 1 29 2 *", "")
	a := newApp(t, "", "", map[string]string{"missed": yearly, "changed": yearly, "off": idleTimer})
	a.config.RestartHost = true
	a.start()
	past := time.Date(2020, 2, 29, 0, 0, 0, 0, time.UTC)
	for _, name := range []string{"missed", "changed"} {
		f := a.current().function(name)
		a.await("the listener's own status", func() bool { _, known := a.timers.get(f); return known })
		a.timers.put(f, timerStatus{last: past, next: past, lastUpdated: past})
	}
	a.write("changed/function.json", other)
	for i := range mostErrors {
		a.await("a handler", func() bool { return len(a.started()) == i+1 && a.PID() != 0 })
		if err := syscall.Kill(a.PID(), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	c := a.awaitCalls(1)[0]
	if v := readTimer(t, c); c.RequestURI != "/missed" || !v.IsPastDue || v.ScheduleStatus.Next != "2020-02-29T00:00:00+00:00" {
		t.Errorf("got %s %+v", c.RequestURI, v)
	}
	a.await("the end of the run", func() bool { return a.said(Information, "Function.missed", "Succeeded") })
	if err := a.invoke("off"); err != nil { // all other due runs have come by now
		t.Fatal(err)
	}
	if n := len(a.received()); n != 2 {
		t.Errorf("%d runs, want that one and the test's own", n)
	}
}
