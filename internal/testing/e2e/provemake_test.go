package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"lifeboat/internal/backup"
	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/stack"
)

// purger may purge deleted services: a role of the subscription.
var purger = fakeazure.Role{Name: "Purger", Actions: []string{
	"Microsoft.ApiManagement/deletedservices/read", "Microsoft.ApiManagement/locations/deletedservices/delete",
}}

// scope is the group.
func (b *sandbox) scope() string { return strings.Replace(stack.Scope, "/local", "/"+b.group, 1) }

// own returns the service that the proof makes.
func (b *sandbox) own(proof string) string {
	return b.scope() + "/providers/Microsoft.ApiManagement/service/lifeboat-prove-" + backup.Digest(strings.ToLower(b.scope())+" "+proof, 20)
}

// person returns the environment of another person, who may make services in the group, and purge.
func (b *sandbox) person() (who string, env []string) {
	who = "prover-" + uuid.NewString()
	subscription, _, _ := strings.Cut(strings.TrimPrefix(b.scope(), "/subscriptions/"), "/")
	world.Sim.Assign(world.Sim.ObjectID(who), b.scope(), fakeazure.APIManagementServiceContributor)
	world.Sim.Assign(world.Sim.ObjectID(who), "/subscriptions/"+subscription, purger)
	return world.Sim.ObjectID(who), append(world.Environment(who), "LIFEBOAT_URL="+b.URL(), "LIFEBOAT_KEY="+b.Key("api"), "AZURE_SUBSCRIPTION_ID="+subscription)
}

// alone sees that nothing is left of the service, and that the person has changed nothing else. All others are there.
func (b *sandbox) alone(t *testing.T, who, own string) {
	t.Helper()
	if world.Sim.HasService(own) || slices.Contains(world.Sim.DeletedServices(), own) {
		t.Errorf("%s is left", own)
	}
	for _, id := range b.services {
		if !world.Sim.HasService(id) {
			t.Errorf("%s is gone", id)
		}
	}
	name := strings.ToLower(own[strings.LastIndex(own, "/")+1:])
	for _, c := range world.Sim.Calls() {
		path := strings.ToLower(c.Path)
		if c.ObjectID == who && c.Method != http.MethodGet && path != strings.ToLower(own) && !strings.HasPrefix(path, strings.ToLower(own)+"/") &&
			!strings.HasSuffix(path, "/deletedservices/"+name) {
			t.Errorf("it changed %s %s", c.Method, c.Path)
		}
	}
}

// TestProveMakesItsOwn: a person lets the proof make a service, adds the printed plan, and gives a missing role. In the end nothing is left of
// the service.
func TestProveMakesItsOwn(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	b := newSandbox(t, 1)
	who, env := b.person()
	own, folder := b.own("first"), t.TempDir()
	prove := func(want int, words string, args ...string) string {
		t.Helper()
		code, out, errs := commandIn(ctx, t, env, b.Key("api"), append([]string{"prove", "-g", b.group, "--to", folder}, args...)...)
		if code != want || !strings.Contains(out+errs, words) {
			t.Fatalf("prove %v: %d\n%s%s\nwant %d and %q", args, code, out, errs, want, words)
		}
		return out + errs
	}
	prove(2, "there is no terminal to ask at: say --yes "+b.group, "--make-apim", "--id", "first")
	said := prove(1, "not proved yet", "--make-apim", "--id", "first", "--yes", b.group)
	entry := regexp.MustCompile(`(?s)\n( +- name: .*itself]}\n)`).FindStringSubmatch(said)
	if entry == nil || !strings.Contains(said, "to be made: Activating") || !strings.Contains(said, own+" stays, and costs about 0.07 US$ an hour") || !world.Sim.HasService(own) {
		t.Fatal(said)
	}
	prove(1, "--clean-up --id first", "--clean-up")
	if err := b.edit(b.plan(b.services...) + entry[1]); err != nil {
		t.Fatal(err)
	}
	world.Sim.Assign(world.Sim.ObjectID(own), stack.Account(stack.Backups), fakeazure.StorageBlobDataContributor)
	world.Sim.Unassign(b.ObjectID, b.scope())
	prove(1, "the app lacks ", "--make-apim", "--id", "first", "--yes", b.group)
	if !world.Sim.HasService(own) {
		t.Fatal("it is deleted although the proof has not begun")
	}
	world.Sim.Assign(b.ObjectID, b.scope(), fakeazure.APIManagementServiceOperator)
	t.Log(prove(0, "proved: the report is ", "--make-apim", "--id", "first", "--yes", b.group))
	v, text := proofOf(t, folder, "first")
	var steps []string
	for _, s := range v.Steps {
		steps = append(steps, s.Step+" "+s.Result)
	}
	if got := strings.Join(steps, ", "); v.Result != "proved" || strings.Contains(text, b.group) || strings.Contains(text, own[strings.LastIndex(own, "-")+1:]) ||
		strings.Contains(text, "lifeboat-prove-") || got != "make ok, tidy ok, check ok, backup ok, dry-run ok, damage ok, restore ok, look ok, clean up ok, delete ok" {
		t.Errorf("%s: %s\n%s", v.Result, got, text)
	}
	b.alone(t, who, own)
	prove(1, "the proof first is over", "--make-apim", "--id", "first", "--yes", b.group)
	prove(0, "has no API Management that a proof has made", "--clean-up")
	b.alone(t, who, own)
}

// TestProveWithItsOwnIsStopped: a proof that makes its service is killed at each step, and before and after each request that changes
// something about the service. Run again, it proves and deletes it; or --clean-up deletes it.
func TestProveWithItsOwnIsStopped(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 25*time.Minute)
	defer cancel()
	type kill struct {
		at      string // in the output, or the method and the end of the path of a request
		request bool
		phase   fakeazure.Phase
		cleans  bool
	}
	var kills []kill
	for _, at := range []string{"make ", "tidy ", "check ", "backup ", "backup running", "dry-run ", "damage ", "restore ", "restore running", "look ", "clean up ", "delete "} {
		kills = append(kills, kill{at: at})
	}
	for _, at := range []string{"backup running", "damage ok", "restore running"} {
		kills = append(kills, kill{at: at, cleans: true})
	}
	for _, phase := range []fakeazure.Phase{fakeazure.Before, fakeazure.After} {
		for _, at := range []string{"PUT /service/", "DELETE /service/", "DELETE /deletedservices/"} {
			kills = append(kills, kill{at, true, phase, false}, kill{at, true, phase, true})
		}
	}
	b := newSandbox(t, 1)
	id := func(i int) string { return fmt.Sprintf("k%d", i) }
	plan := b.plan(b.services...)
	for i := range kills {
		own := b.own(id(i))
		world.Sim.Assign(world.Sim.ObjectID(own), stack.Account(stack.Backups), fakeazure.StorageBlobDataContributor)
		plan += fmt.Sprintf("  - {name: %s, targets: [%s], schedule: %q, keep: {within: 1d}, restore: {into: [itself]}}\n", id(i), own, yearly)
	}
	if err := b.edit(plan); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	gate := make(chan struct{}, 9)
	for i, k := range kills {
		group.Add(1)
		gate <- struct{}{}
		go func() {
			defer func() { <-gate; group.Done() }()
			who, env := b.person()
			folder, own := t.TempDir(), b.own(id(i))
			args := []string{"prove", "-g", b.group, "--yes", b.group, "--to", folder, "--id", id(i), "--make-apim"}
			before := ""
			if k.request {
				killedAt(ctx, t, env, who, k.phase, k.at, own, args...)
			} else {
				before = stopped(ctx, t, env, k.at, syscall.SIGKILL, args...)
			}
			if k.cleans {
				args[len(args)-1] = "--clean-up"
			}
			code, out, errs := commandIn(ctx, t, env, b.Key("api"), args...)
			if code != 0 {
				t.Errorf("killed at %+v: %d\n%s\nand again:\n%s%s", k, code, before, out, errs)
			}
			if !k.cleans && code == 0 {
				if v, _ := proofOf(t, folder, id(i)); v.Result != "proved" {
					t.Errorf("killed at %+v: %+v", k, v)
				}
			}
			b.alone(t, who, own)
		}()
	}
	group.Wait()
}

// killedAt runs the program, and kills it before or after it sends the request about the service.
func killedAt(ctx context.Context, t *testing.T, env []string, who string, phase fakeazure.Phase, at, own string, args ...string) {
	method, part, _ := strings.Cut(at, " ")
	end := strings.ToLower(part + own[strings.LastIndex(own, "/")+1:])
	process, done := make(chan *os.Process, 1), atomic.Bool{}
	hooks.Store(who, func(e fakeazure.Exchange) fakeazure.Decision {
		if e.Phase != phase || e.Method != method || !strings.HasSuffix(strings.ToLower(e.Path), end) || done.Swap(true) {
			return fakeazure.Pass
		}
		_ = (<-process).Kill()
		return fakeazure.Drop
	})
	defer hooks.Delete(who)
	c := exec.CommandContext(ctx, world.Binary, args...)
	c.Env = env
	if err := c.Start(); err != nil {
		t.Error(err)
		return
	}
	process <- c.Process
	if err := c.Wait(); !done.Load() {
		t.Errorf("%s: it was not killed: %v", at, err)
	}
}
