package cli

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sort"
	"strings"

	"github.com/spf13/cobra"

	"lifeboat/internal/api"
	"lifeboat/internal/cli/client"
	"lifeboat/internal/cli/names"
	"lifeboat/internal/cli/text"
	"lifeboat/internal/cli/usage"
	"lifeboat/internal/health"
)

// status returns the target's status in words for people.
func status(t api.TargetHealth) string {
	if t.Status == health.Copied {
		return text.CopyOnly
	}
	return string(t.Status)
}

func readHealth(text []byte) (api.Health, error) {
	return read(text, "tells of no health", func(v api.Health) bool { return v.OverallStatus != "" && v.Targets != nil })
}

func (sh Shell) healthCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "health", Short: "Lists how well every target is protected, the worst first",
		Long: `Lists every target, the worst first: how well it is protected, its last
verified recovery point, and its next scheduled time. The exit code is 1 if a
target is unprotected, storage has artifacts of it that the catalog does not
know, a timer is silent, no plan is active, or several apps have the same
storage account. With --plan only the targets of that plan count.

It needs a key of the function health in LIFEBOAT_HEALTH_KEY: a key of api
does not open it.`,
		Example: `  lifeboat health
  lifeboat health --plan nightly
  lifeboat health -o json`,
		Args: usage.None, SuggestFor: []string{"status", "targets"},
	}
	plan := c.Flags().String("plan", "", "list the targets of the plan `NAME` alone")
	return sh.listing(c, func(ctx context.Context, r remote, _ []string) error { return r.health(ctx, *plan) })
}

// tellsHealth tells whether a refusal is an answer: if a target is unprotected, the API answers 503. A 503 of the host has no
// targets.
func tellsHealth(status int, body []byte) bool {
	_, err := readHealth(body)
	return status == http.StatusServiceUnavailable && err == nil
}

// health prints how well the targets are protected, the worst first.
func (r remote) health(ctx context.Context, plan string) error {
	path := "/api/health"
	if plan != "" {
		path += "?plan=" + url.QueryEscape(plan)
	}
	a, err := r.Do(ctx, client.Call{Method: http.MethodGet, Path: path, Expected: tellsHealth})
	if err != nil {
		return err
	}
	v, err := readHealth(a.Body)
	if err != nil {
		return err
	}
	targets := each(v.Targets, func(t api.TargetHealth) string { return t.Target })
	if err := r.show(a.Body, targets, func() error { return r.healthTable(v) }); err != nil || v.OverallStatus != health.Unprotected {
		return err
	}
	return alarmOf(v)
}

func (r remote) healthTable(v api.Health) error {
	sort.SliceStable(v.Targets, func(i, j int) bool { return v.Targets[i].Status.Severity() > v.Targets[j].Status.Severity() })
	targets := each(v.Targets, func(t api.TargetHealth) string { return t.Target })
	table := text.NewTable(text.Column{Name: "TARGET", Cut: true, Distinct: true}, text.Column{Name: "PLAN", Rank: 4, Cut: true}, text.Column{Name: "STATUS"},
		text.Column{Name: "LAST VERIFIED", Rank: 3}, text.Column{Name: "AGE", Rank: 1}, text.Column{Name: "NEXT SCHEDULED", Rank: 5},
		text.Column{Name: "REASON", Rank: 2, Cut: true})
	for i, label := range names.Labels(targets) {
		t := v.Targets[i]
		verified, age, why := "never", "", ""
		if t.Verified != nil {
			verified, age = r.clock.At(t.Verified.Created), text.Age(t.Verified.Age)
		}
		reason := t.Reason
		if reason == nil && t.Custody != nil {
			reason = t.Custody.Reason
		}
		if reason != nil {
			why = text.Plain(reason.Code + ": " + reason.Message)
		}
		if r.format == asWide {
			label = t.Target
		}
		table.Row(text.Plain(label), text.Plain(t.Plan), text.Plain(status(t)), verified, age, cmp.Or(r.clock.At(t.NextScheduledTime), "none"), why)
	}
	if v.Stop != nil {
		if _, err := fmt.Fprintln(r.Stdout, r.stopLine(*v.Stop)); err != nil {
			return err
		}
	}
	if err := r.print(table); err != nil {
		return err
	}
	var lines []string
	if v.Plan.Refused {
		lines = append(lines, r.refused(v.Plan)+"\n")
	}
	if v.Apps.Reason != nil {
		lines = append(lines, "apps: "+client.InWords(*v.Apps.Reason)+"\n")
	}
	for _, t := range v.Timers {
		if t.Reason != nil {
			lines = append(lines, "timer "+text.Plain(t.Timer)+": "+client.InWords(*t.Reason)+"\n")
		}
	}
	for _, d := range v.Departed {
		verified := "no verified recovery point"
		if d.Reason != nil {
			verified = "its recovery points are not known: " + client.InWords(*d.Reason)
		} else if p := d.Verified; p != nil {
			verified = "its newest verified recovery point " + text.Plain(p.ID) + " is of " + r.clock.At(p.Created)
		}
		lines = append(lines, fmt.Sprintf("no plan has %s since %s, when it left %s: %s\n", text.Plain(d.Target), r.clock.At(d.Left), text.Plain(d.Plan), verified))
	}
	if v.DepartedOmitted > 0 {
		lines = append(lines, fmt.Sprintf("%d more of them have left plan.yaml\n", v.DepartedOmitted))
	}
	for _, u := range v.Undeleted {
		if u.Reason != nil {
			lines = append(lines, fmt.Sprintf("%s of %s past its time, not deleted since %s, at first %s: %s\n", text.Count(u.Points, "recovery point"),
				text.Plain(u.Target), r.clock.At(u.Since), text.Plain(u.Point), client.InWords(*u.Reason)))
		}
	}
	for _, p := range v.Poison {
		lines = append(lines, "queue "+text.Plain(p.Queue)+": "+client.InWords(p.Reason)+"\n")
	}
	_, err := fmt.Fprint(r.Stdout, strings.Join(lines, ""))
	return err
}

// refused returns the line about plan.yaml, and one for each of its mistakes.
func (r remote) refused(plan api.PlanHealth) string {
	line := "plan.yaml is refused"
	if since := r.clock.At(plan.RefusedSince); since != "" {
		line += " since " + since
	}
	if since := r.clock.At(plan.ActiveSince); since != "" {
		line += "; the plan of " + since + " is active"
	}
	if plan.Error != nil {
		line += ": " + client.InWords(*plan.Error)
	}
	return line
}

// alarm says that the app answers, and is not well.
type alarm string

func (a alarm) Error() string { return string(a) }

// alarmOf returns the reason for the exit code 1.
func alarmOf(v api.Health) error {
	bad, incomplete, silent := 0, 0, 0
	for _, t := range v.Targets {
		switch {
		case t.Status == health.Unprotected:
			bad++
		case t.Reason != nil && t.Reason.Code == health.CatalogIncomplete:
			incomplete++
		}
	}
	for _, t := range v.Timers {
		if t.Silent {
			silent++
		}
	}
	switch {
	case bad == 0 && v.Apps.Reason != nil:
		return alarm("several apps have the storage account")
	case bad == 0 && silent > 0:
		return alarm(text.Count(silent, "timer") + " silent")
	case bad == 0 && incomplete > 0:
		return alarm(fmt.Sprintf("storage has artifacts of %d of %s that the catalog does not know", incomplete, text.Count(len(v.Targets), "target")))
	case bad == 0 && len(v.Targets) == 0:
		return alarm("nothing is protected: there is no active plan")
	case bad == 0:
		return alarm("the app says that not all is well")
	}
	return alarm(fmt.Sprintf("%d of %s unprotected", bad, text.Count(len(v.Targets), "target")))
}
