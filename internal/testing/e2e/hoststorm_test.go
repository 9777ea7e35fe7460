package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/fakehost"
	"lifeboat/internal/testing/figures"
	"lifeboat/internal/testing/stack"
)

// timers counts the timer runs of the schedule in a host's log, and passes the log on.
func timers(n *atomic.Int64, log func(fakehost.Entry)) func(fakehost.Entry) {
	return func(e fakehost.Entry) {
		if e.Category == fakehost.CategoryConsole && strings.Contains(e.Text, `"function":"schedule"`) {
			n.Add(1)
		}
		log(e)
	}
}

// TestTwoHosts runs two hosts for the backups of one app; one of them fires the timers. In the middle that host dies with all
// of its messages. The other one continues, and fires the timers when the lease of the dead one is over. Every run succeeds,
// with one artifact each, and nothing is left.
func TestTwoHosts(t *testing.T) {
	t.Parallel()
	backups, seed := 12, uint64(2)
	if asked, err := strconv.Atoi(os.Getenv("LIFEBOAT_CRASH_STORM")); err == nil {
		backups, seed = asked, rand.Uint64()>>32
	}
	if text := os.Getenv("LIFEBOAT_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("LIFEBOAT_SEED: %v", err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(backups)*5*time.Second+3*time.Minute)
	defer cancel()
	var fired [2]atomic.Int64
	s := newCrashStorm(t, seed, 1, &fired[0])
	s.lenient()
	plan, err := os.ReadFile(s.PlanFile)
	if err != nil {
		t.Fatal(err)
	}
	second := *s.app
	second.config.Plan, second.config.Log = string(plan), timers(&fired[1], s.hear)
	second.start(t)
	t.Cleanup(func() { _ = second.Stop() })
	apps := [2]*app{s.app, &second}

	var asked atomic.Int64
	var dead atomic.Pointer[app]
	random := rand.New(rand.NewPCG(seed, 1))
	offset := random.IntN(2)
	var wait sync.WaitGroup
	for i, target := range s.targets {
		share := (backups + len(s.targets) - 1 - i) / len(s.targets)
		wait.Go(func() {
			for n := range share {
				asked.Add(1)
				id, err := "", error(nil)
				for try := 0; id == "" && ctx.Err() == nil; try++ {
					via := apps[(offset+i+n+try)%2]
					if via == dead.Load() {
						continue
					}
					once, cancel := context.WithTimeout(ctx, 10*time.Second)
					id, err = via.backupOf(once, target, fmt.Sprintf("two-%d-%s-%d", seed, path.Base(target), n))
					cancel()
				}
				if err != nil {
					t.Errorf("backup %d of %s: %v", n, target, err)
					return
				}
				s.mu.Lock()
				s.runs = append(s.runs, id)
				s.mu.Unlock()
				if status, err := s.await(ctx, id); err != nil {
					t.Errorf("%v: %+v%s", err, status.Run.Reason, s.about(id))
				}
			}
		})
	}
	begun := time.Now()
	for (asked.Load() < int64(backups+1)/2 || fired[0].Load()+fired[1].Load() == 0) && ctx.Err() == nil {
		pause(ctx)
	}
	leader := 0
	if fired[1].Load() > 0 {
		leader = 1
	}
	if n := fired[1-leader].Load(); n != 0 || fired[leader].Load() == 0 {
		t.Errorf("one host fired %d timer runs, the other one %d", fired[leader].Load(), n)
	}
	dead.Store(apps[leader])
	apps[leader].Kill()
	died := time.Now()
	for fired[1-leader].Load() == 0 && ctx.Err() == nil {
		pause(ctx)
	}
	silent := time.Since(died)
	wait.Wait()
	s.app = apps[1-leader]
	again, rest := s.evaluateAll(ctx, backups)
	figures.Report(t, "two hosts with seed %d: %d backups of %d targets, one host killed after %d; timers were silent for %s; %d runs with a "+
		"second attempt; %s; %s", seed, len(s.runs), len(s.targets), (backups+1)/2, silent.Round(time.Second), again, rest,
		time.Since(begun).Round(time.Second))
	// The lease of the dead host has up to a minute left, and the other one tries to get it each minute: 46 to 111 s were seen.
	if silent > 150*time.Second {
		t.Errorf("the timers were silent for %s", silent)
	}
}

// TestTimersWithoutBlobs: storage refuses the host access to the blobs with the timers' leases. The host answers, and
// processes its queues, but fires no timer and reports no error. With the role the timers fire, without a restart.
func TestTimersWithoutBlobs(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	var fired atomic.Int64
	a := prepare(t, stack.AppConfig{ScheduleTimer: "* * * * * *"})
	a.config.Log = timers(&fired, a.config.Log)
	service := newServices(t, 1)[0]
	a.config.Plan = planFor(yearly, "1d", service)
	var granted atomic.Bool
	var refused atomic.Int64
	for _, identity := range []string{a.config.Name, stack.HostIdentity(a.config.Name)} {
		intercept(t, world.Sim.ObjectID(identity), func(x fakeazure.Exchange) fakeazure.Decision {
			if granted.Load() || x.Phase != fakeazure.Before || x.Host != a.config.Account+".blob.core.windows.net" || !strings.HasPrefix(x.Path, "/azure-webjobs-hosts") {
				return fakeazure.Pass
			}
			refused.Add(1)
			return fakeazure.Answer(http.StatusForbidden, http.Header{"Content-Type": {"application/xml"}, "X-Ms-Error-Code": {"AuthorizationPermissionMismatch"}},
				[]byte(`<?xml version="1.0" encoding="utf-8"?><Error><Code>AuthorizationPermissionMismatch</Code><Message>This request is not `+
					`authorized to perform this operation using this permission.</Message></Error>`))
		})
	}
	a.start(t)
	t.Cleanup(func() { _ = a.Stop() })
	for begun := time.Now(); time.Since(begun) < 10*time.Second; { // some ten timer runs
		id, err := a.backup(ctx, service, "without"+itoa(int(time.Since(begun))))
		if err != nil {
			t.Fatal(err)
		}
		if s, err := a.await(ctx, id); err != nil || s.Run.State != backup.Succeeded {
			t.Fatalf("%s, %v: %+v", s.Run.State, err, s.Run.Reason)
		}
	}
	if fired.Load() > 0 || refused.Load() == 0 {
		t.Errorf("%d timer runs, %d refusals", fired.Load(), refused.Load())
	}
	granted.Store(true)
	begun := time.Now()
	for fired.Load() == 0 && ctx.Err() == nil {
		pause(ctx)
	}
	if fired.Load() == 0 {
		t.Error("with the role no timer fires either")
	}
	figures.Report(t, "timers fire %s after the role on blobs was given", time.Since(begun).Round(time.Second))
}
