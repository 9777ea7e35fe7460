package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"slices"
	"text/tabwriter"
	"time"

	"lifeboat/internal/health"
)

// targetsHealth is the API's answer about the targets, with the members that people are shown.
type targetsHealth struct {
	Status health.Protection `json:"status"`
	Plan   struct {
		Refused      bool      `json:"refused"`
		RefusedSince time.Time `json:"refusedSinceDateTime"`
		InForceSince time.Time `json:"inForceSinceDateTime"`
		Error        *problem  `json:"error"`
	} `json:"plan"`
	Timers []struct {
		Timer    string    `json:"timer"`
		Silent   bool      `json:"silent"`
		LastTick time.Time `json:"lastTickDateTime"`
		Reason   *problem  `json:"reason"`
	} `json:"timers"`
	Targets []targetHealth `json:"targets"`
	Poison  []struct {
		Queue  string   `json:"queue"`
		Reason *problem `json:"reason"`
	} `json:"poison"`
}

type targetHealth struct {
	Target   string            `json:"target"`
	Plan     string            `json:"plan"`
	Status   health.Protection `json:"status"`
	Reason   *problem          `json:"reason"`
	Verified *struct {
		Created time.Time `json:"createdDateTime"`
		Age     int64     `json:"ageInSeconds"`
	} `json:"lastVerified"`
	NextSlot time.Time `json:"nextSlot"`
}

// status returns the target's status in words for people.
func (t targetHealth) status() string {
	if t.Status == health.Copied {
		return copyOnly
	}
	return string(t.Status)
}

func readHealth(text []byte) (targetsHealth, error) {
	var v targetsHealth
	if err := json.Unmarshal(text, &v); err != nil {
		return v, fmt.Errorf("read the answer: %w", err)
	}
	if v.Status == "" || v.Targets == nil {
		return v, errors.New("the answer tells of no health: is LIFEBOAT_URL the address of a Lifeboat app?")
	}
	return v, nil
}

// health prints how well the targets are protected, the worst first.
func (r remote) health(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("health", flag.ContinueOnError)
	asJSON := flags.Bool("json", false, "")
	if _, err := files(flags, args, 0); err != nil {
		return err
	}
	// If a target is unprotected, the API answers 503; a 503 of the host has no targets.
	tells := func(status int, body []byte) bool {
		_, err := readHealth(body)
		return status == http.StatusServiceUnavailable && err == nil
	}
	a, err := r.do(ctx, call{method: http.MethodGet, path: "/api/health", tries: 5, expected: tells})
	if err != nil {
		return err
	}
	v, err := readHealth(a.body)
	if err != nil {
		return err
	}
	if *asJSON {
		err = r.document(a.body)
	} else {
		err = r.healthTable(v)
	}
	if err == nil && v.Status == health.Unprotected {
		err = v.alarm()
	}
	return err
}

func (r remote) healthTable(v targetsHealth) error {
	slices.SortStableFunc(v.Targets, func(a, b targetHealth) int { return b.Status.Severity() - a.Status.Severity() })
	targets := make([]string, len(v.Targets))
	for i, t := range v.Targets {
		targets[i] = t.Target
	}
	table := tabwriter.NewWriter(r.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "TARGET\tPLAN\tSTATUS\tLAST VERIFIED\tAGE\tNEXT SLOT\tREASON")
	for i, label := range labels(targets) {
		t := v.Targets[i]
		verified, age, why := "never", "", ""
		if t.Verified != nil {
			verified, age = utc(t.Verified.Created), ago(t.Verified.Age)
		}
		if t.Reason != nil {
			why = plain(t.Reason.Code + ": " + t.Reason.Message)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", plain(label), plain(t.Plan), plain(t.status()), verified, age,
			cmp.Or(utc(t.NextSlot), "none"), why)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	var lines []string
	if v.Plan.Refused {
		lines = append(lines, v.refused())
	}
	for _, t := range v.Timers {
		if t.Reason != nil {
			lines = append(lines, "timer "+plain(t.Timer)+": "+t.Reason.Error())
		}
	}
	for _, p := range v.Poison {
		if p.Reason != nil {
			lines = append(lines, "queue "+plain(p.Queue)+": "+p.Reason.Error())
		}
	}
	for _, line := range lines {
		if _, err := fmt.Fprintln(r.stdout, line); err != nil {
			return err
		}
	}
	return nil
}

// refused returns the line about plan.yaml, and one for each of its mistakes.
func (v targetsHealth) refused() string {
	line := "plan.yaml is refused"
	if since := utc(v.Plan.RefusedSince); since != "" {
		line += " since " + since
	}
	if since := utc(v.Plan.InForceSince); since != "" {
		line += "; the plan in force is that of " + since
	}
	if v.Plan.Error != nil {
		line += ": " + v.Plan.Error.Error()
	}
	return line
}

// alarm returns the reason for the exit code 1.
func (v targetsHealth) alarm() error {
	bad := 0
	for _, t := range v.Targets {
		if t.Status == health.Unprotected {
			bad++
		}
	}
	silent := 0
	for _, t := range v.Timers {
		if t.Silent {
			silent++
		}
	}
	switch {
	case bad == 0 && silent > 0:
		return fmt.Errorf("%s silent", count(silent, "timer"))
	case bad == 0:
		return errors.New("nothing is protected: there is no plan in force")
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
