package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"
)

// demoTime is far more than the demo needs.
const demoTime = 3 * time.Minute

// demo plays its acts, and then compares their claims with storage, events and Azure's side.
func demo(ctx context.Context, s *scene) error {
	ctx, cancel := context.WithTimeout(ctx, demoTime)
	defer cancel()
	s.say("ready: %d targets, a scheduled time every 12 s, kept %s, but the newest always", len(targets), s.rhythm.within)
	s.say("a minute of Azure passes in half a second; nothing waits for it: the program is called, makes a step, returns")

	s.act("1. Backups on a schedule, and one on demand")
	shown := map[string]string{}
	first, err := s.watch(ctx, shown, true, func(history []run) string {
		for _, t := range targets {
			if succeeded(history, t) == 0 {
				return "a scheduled backup of " + t.name
			}
		}
		return ""
	})
	if err != nil {
		return err
	}
	showBackups(first)
	asked, err := s.onDemand(ctx, standby)
	if err != nil {
		return err
	}

	s.act("2. Damage, and restores asked for by messages")
	good, err := s.restore(ctx)
	if err != nil {
		return err
	}

	s.act("3. Two restores that a guard refuses")
	bad, err := s.refuse(ctx)
	if err != nil {
		return err
	}

	s.act("4. What is too old expires and is deleted")
	history, err := s.watch(ctx, shown, false, func(history []run) string {
		for _, t := range targets {
			switch {
			case succeeded(history, t) < 2:
				return "a second scheduled backup of " + t.name
			case expired(history, t) == 0:
				return "a recovery point of " + t.name + " that expires"
			}
		}
		if r, ok := find(history, asked); !ok || !r.ended() {
			return "the end of the backup on demand"
		}
		return ""
	})
	if err != nil {
		return err
	}

	s.act("5. A month of nights, thinned: the same engine in memory, on a clock of its own")
	if err := nights(ctx, os.Stdout); err != nil {
		return err
	}

	s.act("Checks against the simulator, storage and events")
	return s.check(ctx, history, asked, good, bad)
}

func (s *scene) act(title string) {
	fmt.Printf("\n%s\n%s\n\n", title, strings.Repeat("-", len(title)))
}

// watch prints the history of the backups, or else of the expiring recovery points, until lacks finds nothing missing. Then it
// returns the history.
func (s *scene) watch(ctx context.Context, shown map[string]string, backups bool, lacks func([]run) string) (history []run, err error) {
	for {
		now, err := s.history(ctx)
		missing := lacks(history)
		if err == nil {
			history, missing = now, lacks(now)
			s.showNews(history, shown, backups)
		}
		if missing == "" {
			return history, nil
		}
		if err == nil {
			err = s.pause(ctx)
		}
		if err != nil {
			return nil, fmt.Errorf("still missing: %s: %w", missing, err)
		}
	}
}

// succeeded counts the scheduled runs of a target that left a recovery point.
func succeeded(history []run, t target) (n int) {
	for _, r := range history {
		if r.target == t && r.State == "succeeded" && !r.ScheduledTime.IsZero() {
			n++
		}
	}
	return n
}

// expired counts the recovery points of a target that have expired.
func expired(history []run, t target) (n int) {
	for _, r := range history {
		if r.target == t && r.Point != nil && r.Point.State == "expired" {
			n++
		}
	}
	return n
}

func find(history []run, id string) (run, bool) {
	for _, r := range history {
		if r.ID == id {
			return r, true
		}
	}
	return run{}, false
}

// showNews prints what changed since the last look.
func (s *scene) showNews(history []run, shown map[string]string, backups bool) {
	for i := len(history) - 1; i >= 0; i-- {
		r := history[i]
		text, old := r.State, false
		switch {
		case r.Kind == "restore", r.Point != nil && r.Point.State == "deleting":
			continue
		case r.Point != nil && r.Point.State != "live" && r.Point.State != "copyOnly":
			text, old = r.Point.State+": "+r.Point.Decision, true
		case r.Point != nil:
			text = fmt.Sprintf("verified: %d KiB, SHA-256 %.12s…", r.Point.Size/1024, r.Point.SHA256)
		case r.Error != nil:
			text = r.State + ": " + r.Error.Message
		case r.State != "running":
			continue
		}
		if shown[r.ID] != text {
			shown[r.ID] = text
			if backups || old {
				s.say("%-14s %-14s %s", r.target.name, r.cause(), text)
			}
		}
	}
}

// showBackups prints the existing recovery points.
func showBackups(history []run) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\n  SERVICE\t\tTOOK\tATTEMPTS\tPOLLS\tRECOVERY POINT\tBLOB, FOLDER OR SHARE")
	for _, r := range history {
		if r.Point != nil {
			fmt.Fprintf(w, "  %s\t%s\t%s\t%d\t%d\t%s\t%s\n", r.target.kind, r.target.name,
				r.Ended.Sub(r.Created).Round(100*time.Millisecond), r.Attempts, r.Polls, r.Point.State, r.Point.Blob)
		}
	}
	w.Flush()
	fmt.Println()
}
