package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"lifeboat/internal/backup"
	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/figures"
	"lifeboat/internal/testing/stack"
)

// couple is two apps on one storage account, which take the catalog over from each other in turn.
type couple struct {
	t            testing.TB
	owner, other *app
	services     []string
	box          *mailbox
	takeovers    int
}

func newCouple(t *testing.T) *couple {
	t.Helper()
	c := &couple{t: t, services: newServices(t, 2)}
	for _, service := range c.services {
		tune(t, service, func(k *fakeazure.Options) { k.Shortest, k.Longest = 30*time.Minute, 30*time.Minute })
	}
	plan := planFor(yearly, "1d", c.services...)
	c.owner = newApp(t, stack.AppConfig{Plan: plan, ScheduleTimer: everyOther})
	c.box = c.owner.mailbox(t.Context(), t, "lifeboat-events")
	if err := c.owner.Invoke(t.Context(), "schedule"); err != nil { // it owns the catalog
		t.Fatal(err)
	}
	c.other = c.owner.slot(t, plan, nil)
	return c
}

func (a *app) appName() string {
	if slot := a.config.Settings["WEBSITE_SLOT_NAME"]; slot != "" {
		return a.config.Settings["WEBSITE_SITE_NAME"] + "/" + slot
	}
	return a.config.Name
}

// ofATakeover tells whether a request may be one of a takeover: it writes into the table, or reads a run. It leaves out the row of an
// app that is there.
func ofATakeover(e fakeazure.Exchange) bool {
	if !strings.Contains(e.Path, "lifeboat(") && !strings.HasSuffix(e.Path, "/lifeboat") && !strings.Contains(e.Path, "$batch") {
		return false
	}
	return e.Method != http.MethodGet && !strings.Contains(e.Path, "last-run-") && !strings.Contains(e.Path, "known-second-") ||
		strings.Contains(e.Path, "RowKey='run-")
}

// ownerRow is the row of the owner.
type ownerRow struct {
	App      string
	Inherits bool
}

// kill has the program of the app die at the instant.
func (c *couple) kill(a *app, k kill) (fired *atomic.Bool) {
	var requests atomic.Int64
	fired = &atomic.Bool{}
	hooks.Store(a.ObjectID, func(e fakeazure.Exchange) fakeazure.Decision {
		if !ofATakeover(e) {
			return fakeazure.Pass
		}
		n := requests.Load()
		if e.Phase == fakeazure.Before {
			n = requests.Add(1)
		}
		if n < k.n || e.Phase != k.phase || !fired.CompareAndSwap(false, true) {
			return fakeazure.Pass
		}
		if pid := a.PID(); pid != 0 {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				c.t.Errorf("kill %d: %v", pid, err)
			}
		}
		return fakeazure.Drop
	})
	return fired
}

// takeOver has the other app take over amid backups, and its program die once. It returns false if the answer came before.
func (c *couple) takeOver(k kill, repeated bool) (fired bool, err error) {
	ctx, cancel := context.WithTimeout(c.t.Context(), 2*time.Minute)
	defer cancel()
	from, to := c.owner, c.other
	var ids []string
	sent := map[string]int{}
	for _, service := range c.services {
		sent[service] = len(posts(service))
		id, err := from.backup(ctx, service, uuid.NewString())
		if err != nil {
			return false, err
		}
		ids = append(ids, id)
	}
	for _, service := range c.services {
		for len(posts(service)) == sent[service] && ctx.Err() == nil {
			pause(ctx)
		}
	}
	died := c.kill(to, k)
	defer hooks.Delete(to.ObjectID)
	for again := true; again; {
		response, text, err := to.request(ctx, http.MethodPost, "/api/takeover", `{"from": "`+from.appName()+`"}`, nil)
		if again = err != nil || response.StatusCode != http.StatusOK; !again {
			break
		}
		if ctx.Err() != nil {
			return false, fmt.Errorf("no answer to the takeover: %w, %s", err, text)
		}
		if is, err := row[ownerRow](ctx, to, backup.OwnerKey); !repeated && err == nil && is.App == to.appName() {
			break // its timer runs go on
		}
		pause(ctx)
	}
	fired = died.Load()
	hooks.Delete(to.ObjectID)
	c.takeovers++
	c.owner, c.other = to, from
	for i, id := range ids {
		status, err := to.await(ctx, id)
		if err != nil || status.Run.State != backup.Succeeded || status.Run.App != to.appName() {
			return fired, fmt.Errorf("run %s is %s of %q, %+v: %w", id, status.Run.State, status.Run.App, status.Run.Reason, err)
		}
		if n := len(posts(c.services[i])) - sent[c.services[i]]; n != 1 {
			return fired, fmt.Errorf("%d backups were begun for the run %s", n, id)
		}
	}
	for {
		is, err := row[ownerRow](ctx, to, backup.OwnerKey)
		if err == nil && !is.Inherits {
			return fired, nil
		}
		if ctx.Err() != nil {
			return fired, fmt.Errorf("the row of the owner is %+v: %w", is, ctx.Err())
		}
		pause(ctx)
	}
}

// TestCrashAtEveryRequestOfATakeover kills the real program with SIGKILL at each of its requests while it takes the catalog over amid
// two backups. A person asks again, or only timer runs go on. Each backup succeeds by its one operation under the new owner, and each
// takeover is told once.
func TestCrashAtEveryRequestOfATakeover(t *testing.T) {
	t.Parallel()
	var killed, takeovers atomic.Int64
	var wait sync.WaitGroup
	for _, repeated := range []bool{true, false} {
		c := newCouple(t)
		wait.Go(func() {
			for k := (kill{1, fakeazure.Before}); ; {
				fired, err := c.takeOver(k, repeated)
				if err != nil {
					t.Errorf("killed %s, repeated %t: %v", k, repeated, err)
					break
				}
				if !fired {
					break
				}
				killed.Add(1)
				if k.phase == fakeazure.After {
					k.n++
				}
				k.phase = fakeazure.After
			}
			takeovers.Add(int64(c.takeovers))
			c.told(t)
		})
	}
	wait.Wait()
	figures.Report(t, "%d takeovers, %d of them killed: all backups succeeded under the new owner", takeovers.Load(), killed.Load())
	if killed.Load() < 8 {
		t.Errorf("only %d instants were killed at: the test does not see the program's requests", killed.Load())
	}
}

// told checks that each takeover has one event.
func (c *couple) told(t *testing.T) {
	ids := map[string]bool{}
	for deadline := time.Now().Add(30 * time.Second); len(ids) < c.takeovers && time.Now().Before(deadline); pause(t.Context()) {
		c.box.collect(t.Context(), t)
		for _, text := range c.box.texts {
			var e struct{ ID, Type string }
			if err := json.Unmarshal([]byte(text), &e); err != nil {
				t.Error(err)
			}
			if e.Type == "lifeboat.app.replaced" {
				ids[e.ID] = true
			}
		}
	}
	if len(ids) != c.takeovers {
		t.Errorf("%d takeovers have %d events", c.takeovers, len(ids))
	}
}
