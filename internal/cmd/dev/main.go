// Command dev shows and runs Lifeboat on this machine alone: real program, real protocol, fakes of Azure.
//
//	dev demo          shows services being backed up, damaged and restored, and backups expiring, and checks what it shows
//	dev run [FOLDER]  keeps the same running until Ctrl-C; with a folder it goes on from what an earlier run left there
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"lifeboat/internal/testing/fakehost"
	"lifeboat/internal/testing/stack"
)

func main() {
	ctx, stop := untilAbandoned()
	defer stop()
	var name string
	s := &scene{began: time.Now(), events: map[string]event{}}
	play := serve
	switch args := os.Args[1:]; {
	case len(args) == 1 && args[0] == "demo":
		name, play, s.rhythm = "demo", demo, rhythm{"*/12 * * * * *", "20s"}
	case len(args) == 1 && args[0] == "run":
		name, s.rhythm = "run", rhythm{"0 * * * * *", "600s"}
	case len(args) == 2 && args[0] == "run":
		name, s.rhythm, s.keep = "run", rhythm{"0 * * * * *", "600s"}, args[1]
	default:
		fmt.Fprintln(os.Stderr, "usage: dev demo | dev run [FOLDER]")
		os.Exit(2)
	}
	if err := s.play(ctx, name, play); err != nil {
		fmt.Fprintf(os.Stderr, "\n%s: %v\n", name, err)
		os.Exit(1)
	}
}

// untilAbandoned returns a context that ends with Ctrl-C, with the terminal, or with the parent: make and go end at a SIGTERM
// without a word to this process.
func untilAbandoned() (context.Context, context.CancelFunc) {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // nohup make run
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	parent := os.Getppid()
	go func() {
		for look := time.NewTicker(time.Second); ; {
			select {
			case <-look.C:
				if os.Getppid() != parent {
					stop()
				}
			case <-ctx.Done():
				look.Stop()
				return
			}
		}
	}()
	return ctx, stop
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
	log    *boundedLog
	// keep is the folder that a later run goes on from, "" for none. Resumed says that an earlier run has left one there.
	keep    string
	resumed bool
	// answers holds the events in the queue for answers about restores; events holds all events, by their IDs.
	answers []event
	events  map[string]event
}

func (s *scene) say(format string, args ...any) {
	fmt.Printf("%6.1fs  %s\n", time.Since(s.began).Seconds(), fmt.Sprintf(format, args...))
}

// open makes the scene's folder, and returns the func that removes it in the end.
func (s *scene) open(name string) (remove func() error, err error) {
	remove = func() error { return nil }
	if s.keep == "" {
		if s.dir, err = os.MkdirTemp("", "lifeboat-"+name+"-"); err != nil {
			return nil, err
		}
		remove = func() error { return os.RemoveAll(s.dir) }
	} else {
		if s.dir, err = filepath.Abs(s.keep); err != nil {
			return nil, err
		}
		if err := os.MkdirAll(s.dir, 0o700); err != nil {
			return nil, err
		}
		_, err := os.Stat(filepath.Join(s.dir, "azure.json"))
		s.resumed = err == nil
	}
	s.log, err = openLog(filepath.Join(s.dir, "log.jsonl"))
	return remove, err
}

// play sets the scene up, and plays it.
func (s *scene) play(ctx context.Context, name string, play func(context.Context, *scene) error) (err error) {
	remove, err := s.open(name)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, s.log.Close())
		if err == nil || ctx.Err() != nil { // after a failure the folder stays, for its logs
			err = errors.Join(err, remove())
		}
	}()
	switch {
	case s.resumed:
		s.say("everything runs on 127.0.0.1, and goes on from %s", s.dir)
	case s.keep != "":
		s.say("everything runs on 127.0.0.1; it is kept in %s", s.dir)
	default:
		s.say("everything runs on 127.0.0.1; certificates and logs are in %s while it does", s.dir)
	}
	s.Stack, err = stack.Start(ctx, stack.Config{
		Dir: s.dir, Accounts: []string{appAccount}, TimeScale: timeScale, Seed: 1, Keep: s.keep != "", NoLog: name == "run",
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
	if s.keep != "" { // not before the services are set up, so that no later run finds half of them
		if err := s.Sim.Save(); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.Sim.Save()) }()
	}
	s.say("starting the Functions host, which starts the program")
	s.app, err = s.App(ctx, stack.AppConfig{
		Name: appName, Account: appAccount, Plan: s.rhythm.plan(), WaitFactor: waitFactor,
		ScheduleTimer: "* * * * * *", CleanupTimer: "*/2 * * * * *",
		Log: func(e fakehost.Entry) { s.log.say(e.String()) },
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
		return errors.New("the Functions host shut itself down: see " + s.log.path)
	}
}
