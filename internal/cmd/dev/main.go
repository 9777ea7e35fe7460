// Command dev shows and runs Lifeboat on this machine alone: real program, real protocol, look-alikes for Azure.
//
//	dev demo    shows backups being scheduled, run, verified and expired, and checks what it shows
//	dev run     keeps the same running until Ctrl-C
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"lifeboat/internal/devhost"
	"lifeboat/internal/stack"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	commands := map[string]func(context.Context, *scene) error{"demo": demo, "run": serve}
	if len(os.Args) != 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: dev demo | dev run")
		os.Exit(2)
	}
	err := withScene(ctx, os.Args[1], commands[os.Args[1]])
	if err != nil {
		fmt.Fprintf(os.Stderr, "\n%s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}

// The scene: a few targets, backed up often. A minute of Azure passes in half a second: a backup of API Management, which
// takes 6 to 11 minutes there, takes 3 to 6 seconds here.
const (
	timeScale  = 1.0 / 120
	waitFactor = 1.0 / 120
	every      = "*/12 * * * * *"
	within     = "14s"
	appName    = "lifeboat"
)

// scene is the running stack with one app on it.
type scene struct {
	*stack.Stack
	app   *stack.App
	began time.Time
	log   *os.File
}

func (s *scene) say(format string, args ...any) {
	fmt.Printf("%6.1fs  %s\n", time.Since(s.began).Seconds(), fmt.Sprintf(format, args...))
}

func withScene(ctx context.Context, name string, play func(context.Context, *scene) error) (err error) {
	s := &scene{began: time.Now()}
	dir, err := os.MkdirTemp("", "lifeboat-"+name+"-")
	if err != nil {
		return err
	}
	if s.log, err = os.Create(dir + "/log.jsonl"); err != nil {
		return err
	}
	defer func() {
		if err == nil { // what failed may want to be looked into
			err = os.RemoveAll(dir)
		}
	}()
	s.say("everything runs on 127.0.0.1; certificates and logs are in %s while it does", dir)
	s.Stack, err = stack.Start(ctx, stack.Config{
		Dir: dir, Accounts: []string{"lifeboatapp"}, TimeScale: timeScale, Seed: 1,
		Progress: func(step string) { s.say("%s", step) },
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	plan := "version: 1\ndefaults:\n  storage: {account: " + stack.Account(stack.Backups) + ", container: " + stack.Container +
		"}\nplans:\n  - name: often\n    schedule: \"" + every + "\"\n    keep: {within: " + within + "}\n    targets:\n"
	for _, t := range targets {
		if err := t.add(s.Stack); err != nil {
			return err
		}
		plan += "      - " + t.id() + "\n"
	}
	s.say("starting the Functions host, which starts the program")
	s.app, err = s.App(ctx, stack.AppConfig{
		Name: appName, Account: "lifeboatapp", Plan: plan, WaitFactor: waitFactor,
		ScheduleTick: "* * * * * *", CleanupTick: "*/2 * * * * *",
		Log: func(e devhost.Entry) { fmt.Fprintln(s.log, e) },
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.app.Stop()) }()
	return play(ctx, s)
}

// environment is what leads a client to Azure's side here.
func (s *scene) environment() string {
	var b strings.Builder
	for _, v := range s.Sim.EnvFor(appName) {
		fmt.Fprintf(&b, "  export %s\n", v)
	}
	return b.String()
}

// serve keeps the scene running.
func serve(ctx context.Context, s *scene) error {
	key := s.app.Key("api")
	s.say("running until Ctrl-C: a slot every 12 seconds for %d targets", len(targets))
	fmt.Printf(`
  plan       %[3]s (an edit counts from the next tick on)
  log        %[4]s

  export LIFEBOAT_URL=%[1]s
  export LIFEBOAT_KEY=%[2]s

  go run . runs %[5]s
  go run . backup %[8]s --wait
  curl -H "x-functions-key: $LIFEBOAT_KEY" "$LIFEBOAT_URL/api/runs?target=%[5]s"
  curl -H 'x-functions-key: %[7]s' %[1]s/api/health

  An Azure SDK or tool of your own finds the same look-alikes, with an identity that may do what Lifeboat may, by

%[6]s
`, s.app.URL(), key, s.app.PlanFile, s.log.Name(), targets[0].id(), s.environment(), s.app.Key("health"), targets[len(targets)-1].id())
	select {
	case <-ctx.Done():
		return nil
	case <-s.app.Done():
		return errors.New("the Functions host shut itself down: see " + s.log.Name())
	}
}
