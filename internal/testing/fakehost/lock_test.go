package fakehost

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
)

const everySecond = "* * * * * *"

// newTimerApp returns an app of the name, with storage and a timer that is always due.
func newTimerApp(t *testing.T, name string) *app {
	t.Helper()
	a := newApp(t, "", "", map[string]string{"tick": timerFunction(everySecond, "")})
	a.config.Client, a.config.Credential, a.config.TimerLease = storageClient(t), identity{}, 15*time.Second
	a.config.Settings["WEBSITE_SITE_NAME"] = name
	return a
}

// TestOneHostFiresATimer: a second host of the same app fires the timer at once when the first one has stopped, or when its
// lease is over if it died. A host of another app is independent.
func TestOneHostFiresATimer(t *testing.T) {
	t.Parallel()
	name := uuid.NewString()
	first, second, other := newTimerApp(t, name), newTimerApp(t, name), newTimerApp(t, uuid.NewString())
	first.start().awaitCalls(1)
	second.start()
	other.start().awaitCalls(2)
	first.awaitCalls(3)
	if n := len(second.received()); n != 0 {
		t.Errorf("the second host ran the timer %d times", n)
	}
	pid := first.started()[0].pid
	first.Kill()
	endOrphan(t, pid)
	killed := time.Now()
	if took := second.awaitCalls(1)[0].at.Sub(killed); took < first.config.TimerLease/4 {
		t.Errorf("the second host had the timer of the dead one after %s", took)
	}
	if err := second.Stop(); err != nil {
		t.Error(err)
	}
	third := newTimerApp(t, name)
	began := time.Now()
	if took := third.start().awaitCalls(1)[0].at.Sub(began); took > first.config.TimerLease/2 {
		t.Errorf("a host that stopped kept its timer for %s", took)
	}
}

// TestNoTimerWithoutTheBlobRole: the timer does not fire, and the log says nothing.
func TestNoTimerWithoutTheBlobRole(t *testing.T) {
	t.Parallel()
	a := newTimerApp(t, uuid.NewString())
	asked := make(chan struct{}, 1)
	a.config.Client = &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
		select {
		case asked <- struct{}{}:
		default:
		}
		return &http.Response{
			StatusCode: 403, Status: "403 no", Body: http.NoBody, Request: r,
			Header: http.Header{"X-Ms-Error-Code": {"AuthorizationPermissionMismatch"}},
		}, nil
	})}
	a.start()
	<-asked
	if err := a.invoke("tick"); err != nil {
		t.Error(err)
	}
	time.Sleep(1100 * time.Millisecond) // the timer would fire now
	if n := len(a.received()); n != 1 {
		t.Errorf("%d runs, want the test's own", n)
	}
	for _, e := range a.log() {
		if e.Level != Information {
			t.Errorf("the host says %s", e)
		}
	}
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
