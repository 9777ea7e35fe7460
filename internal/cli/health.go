package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"lifeboat/internal/api"
	"lifeboat/internal/health"
)

// status returns the target's status in words for people.
func status(t api.TargetHealth) string {
	if t.Status == health.Copied {
		return copyOnly
	}
	return string(t.Status)
}

func readHealth(text []byte) (api.Health, error) {
	return read(text, "tells of no health", func(v api.Health) bool { return v.Status != "" && v.Targets != nil })
}

func (sh Shell) healthCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "health", GroupID: ofApp, Short: "Lists how well every target is protected, the worst first",
		Long: `Lists every target, the worst first: how well it is protected, its last verified recovery point, and its next scheduled time. The
exit code is 1 if a target is unprotected, a timer is silent, or no plan is active.

It needs a key of the function health in LIFEBOAT_HEALTH_KEY: a key of api does not open it.`,
		Example: `  lifeboat health
  lifeboat health --json`,
		Args: none, SuggestFor: []string{"status", "targets"},
	}
	asJSON := jsonFlag(c)
	c.RunE = sh.calling(func(ctx context.Context, r remote, _ []string) error { return r.health(ctx, *asJSON) })
	return c
}

// health prints how well the targets are protected, the worst first.
func (r remote) health(ctx context.Context, asJSON bool) error {
	// If a target is unprotected, the API answers 503; a 503 of the host has no targets.
	tells := func(status int, body []byte) bool {
		_, err := readHealth(body)
		return status == http.StatusServiceUnavailable && err == nil
	}
	a, err := r.do(ctx, call{method: http.MethodGet, path: "/api/health", expected: tells})
	if err != nil {
		return err
	}
	v, err := readHealth(a.body)
	if err != nil {
		return err
	}
	if asJSON {
		err = r.document(a.body)
	} else {
		err = r.healthTable(v)
	}
	if err == nil && v.Status == health.Unprotected {
		err = alarm(v)
	}
	return err
}

func (r remote) healthTable(v api.Health) error {
	slices.SortStableFunc(v.Targets, func(a, b api.TargetHealth) int { return b.Status.Severity() - a.Status.Severity() })
	targets := each(v.Targets, func(t api.TargetHealth) string { return t.Target })
	table := newTable(r.Stdout, "TARGET", "PLAN", "STATUS", "LAST VERIFIED", "AGE", "NEXT SCHEDULED", "REASON")
	for i, label := range labels(targets) {
		t := v.Targets[i]
		verified, age, why := "never", "", ""
		if t.Verified != nil {
			verified, age = utc(t.Verified.Created), ago(t.Verified.Age)
		}
		if t.Reason != nil {
			why = plain(t.Reason.Code + ": " + t.Reason.Message)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", plain(label), plain(t.Plan), plain(status(t)), verified, age,
			cmp.Or(utc(t.NextScheduledTime), "none"), why)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	var lines []string
	if v.Plan.Refused {
		lines = append(lines, refused(v.Plan)+"\n")
	}
	for _, t := range v.Timers {
		if t.Reason != nil {
			lines = append(lines, "timer "+plain(t.Timer)+": "+inWords(*t.Reason)+"\n")
		}
	}
	for _, p := range v.Poison {
		lines = append(lines, "queue "+plain(p.Queue)+": "+inWords(p.Reason)+"\n")
	}
	_, err := fmt.Fprint(r.Stdout, strings.Join(lines, ""))
	return err
}

// refused returns the line about plan.yaml, and one for each of its mistakes.
func refused(plan api.PlanHealth) string {
	line := "plan.yaml is refused"
	if since := utc(plan.RefusedSince); since != "" {
		line += " since " + since
	}
	if since := utc(plan.ActiveSince); since != "" {
		line += "; the plan of " + since + " is active"
	}
	if plan.Error != nil {
		line += ": " + inWords(*plan.Error)
	}
	return line
}

// alarm returns the reason for the exit code 1.
func alarm(v api.Health) error {
	bad, silent := 0, 0
	for _, t := range v.Targets {
		if t.Status == health.Unprotected {
			bad++
		}
	}
	for _, t := range v.Timers {
		if t.Silent {
			silent++
		}
	}
	switch {
	case bad == 0 && silent > 0:
		return fmt.Errorf("%s silent", count(silent, "timer"))
	case bad == 0:
		return errors.New("nothing is protected: there is no active plan")
	}
	return fmt.Errorf("%d of %s unprotected", bad, count(len(v.Targets), "target"))
}

// ago returns an age in seconds for people, by its two largest units.
func ago(seconds int64) string {
	switch d, h, m := seconds/86400, seconds/3600%24, seconds/60%60; {
	case d > 0:
		return fmt.Sprintf("%dd%dh", d, h)
	case h > 0:
		return fmt.Sprintf("%dh%dm", h, m)
	case m > 0:
		return fmt.Sprintf("%dm%ds", m, seconds%60)
	}
	return fmt.Sprintf("%ds", seconds)
}
