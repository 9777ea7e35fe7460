// Command dev shows and runs Lifeboat on this machine alone: real program, real protocol, fakes of Azure.
//
//	dev demo    shows services being backed up, damaged and restored, and backups expiring, and checks what it shows
//	dev run     keeps the same running until Ctrl-C
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"lifeboat/internal/testing/fakehost"
	"lifeboat/internal/testing/stack"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	commands := map[string]struct {
		rhythm rhythm
		play   func(context.Context, *scene) error
	}{
		"demo": {rhythm{"*/12 * * * * *", "20s"}, demo},
		"run":  {rhythm{"0 * * * * *", "10m"}, serve},
	}
	if len(os.Args) != 2 || commands[os.Args[1]].play == nil {
		fmt.Fprintln(os.Stderr, "usage: dev demo | dev run")
		os.Exit(2)
	}
	name := os.Args[1]
	if err := withScene(ctx, name, commands[name].rhythm, commands[name].play); err != nil {
		fmt.Fprintf(os.Stderr, "\n%s: %v\n", name, err)
		os.Exit(1)
	}
}

// The scene has a few targets, and backs them up often. A minute of Azure passes in half a second: a backup of API Management
// takes 6 to 11 minutes in Azure, and 3 to 6 seconds here.
const (
	timeScale  = 1.0 / 120
	waitFactor = 1.0 / 120
	appName    = "lifeboat"
	appAccount = "lifeboatapp"
)

// scene is the running stack with one app on it.
type scene struct {
	*stack.Stack
	app    *stack.App
	rhythm rhythm
	began  time.Time
	dir    string
	log    *os.File
	// answers holds the events in the queue for answers about restores; events holds all events, by their IDs.
	answers []event
	events  map[string]event
}

func (s *scene) say(format string, args ...any) {
	fmt.Printf("%6.1fs  %s\n", time.Since(s.began).Seconds(), fmt.Sprintf(format, args...))
}

func withScene(ctx context.Context, name string, r rhythm, play func(context.Context, *scene) error) (err error) {
	s := &scene{began: time.Now(), rhythm: r, events: map[string]event{}}
	if s.dir, err = os.MkdirTemp("", "lifeboat-"+name+"-"); err != nil {
		return err
	}
	if s.log, err = os.Create(s.dir + "/log.jsonl"); err != nil {
		return err
	}
	defer func() {
		if err == nil { // after a failure the folder stays, for its logs
			err = os.RemoveAll(s.dir)
		}
	}()
	s.say("everything runs on 127.0.0.1; certificates and logs are in %s while it does", s.dir)
	s.Stack, err = stack.Start(ctx, stack.Config{
		Dir: s.dir, Accounts: []string{appAccount}, TimeScale: timeScale, Seed: 1,
		Progress: func(step string) { s.say("%s", step) },
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	for _, t := range targets {
		if err := of[t.kind].add(s.Stack, t.name); err != nil {
			return err
		}
	}
	if err := s.employ(ctx); err != nil {
		return err
	}
	s.say("starting the Functions host, which starts the program")
	s.app, err = s.App(ctx, stack.AppConfig{
		Name: appName, Account: appAccount, Plan: r.plan(), WaitFactor: waitFactor,
		ScheduleTimer: "* * * * * *", CleanupTimer: "*/2 * * * * *",
		Log: func(e fakehost.Entry) { fmt.Fprintln(s.log, e) },
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.app.Stop()) }()
	return play(ctx, s)
}

// pause waits a moment before the next check; the error gives the reason if there is no next check.
func (s *scene) pause(ctx context.Context) error {
	select {
	case <-time.After(300 * time.Millisecond):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.app.Done():
		return errors.New("the Functions host shut itself down: see " + s.log.Name())
	}
}
