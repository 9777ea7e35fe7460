package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"lifeboat/internal/backup"
	"lifeboat/internal/cli/client"
	"lifeboat/internal/cli/clocks"
	"lifeboat/internal/cli/names"
	"lifeboat/internal/cli/text"
	"lifeboat/internal/cli/usage"
	"lifeboat/internal/config"
	"lifeboat/internal/engine"
)

func (sh Shell) checkCommand() *cobra.Command {
	var live bool
	c := &cobra.Command{
		Use:   "check FILE",
		Short: "Checks whether the program takes a plan.yaml",
		Long: `Lists everything that is wrong in a plan.yaml, with its line, and warns of
probable mistakes. The exit code is 0 if there are only warnings. It says how
many recovery points a plan keeps of each target in the end. With LIFEBOAT_URL
and LIFEBOAT_KEY it asks the app for the newest sizes, and says how many bytes
that is.

With --live it asks Azure for every target whether it can be backed up, as
every run does first, and changes nothing. It also warns where a service is in
the region of its backups, and where a ledger's share fills. It asks as the
identity here (az login): the app's roles are its own.`,
		Example: `  lifeboat plan check plan.yaml
  lifeboat plan check plan.yaml --live`,
		Args: usage.Exactly("FILE"), ValidArgsFunction: files(1),
		RunE: func(c *cobra.Command, args []string) error { return sh.check(c.Context(), args[0], live) },
	}
	c.Flags().BoolVar(&live, "live", false, "ask Azure whether every target can be backed up")
	return c
}

// check prints the plans of the file, and warnings about probable mistakes; the error lists all mistakes. With live it goes on
// to Azure.
func (sh Shell) check(ctx context.Context, path string, live bool) error {
	waitFactor, err := config.WaitFactor(sh.Getenv)
	if err != nil {
		return usage.Error(err.Error() + "\n")
	}
	plans, warnings, err := sh.Plans.File(path, waitFactor)
	if err != nil {
		return err
	}
	targets := 0
	for _, p := range plans {
		targets += len(p.Targets)
	}
	lines := []string{fmt.Sprintf("%s: good: %s, %s", path, text.Count(len(plans), "plan"), text.Count(targets, "target"))}
	costs, unknown := sh.costs(ctx, plans)
	for _, p := range plans {
		lines = append(lines, "  "+p.Name+": "+words(p)+keeps(p, sh.Plans.Services))
		if cost := costs[p.Name]; cost != "" {
			lines = append(lines, "    "+cost)
		}
	}
	lines = append(lines, unknown...)
	for _, warning := range warnings {
		lines = append(lines, text.Plain(warning))
	}
	for _, text := range clocks.OtherZones(plans, sh.Zone, sh.Now) {
		lines = append(lines, "warning: "+text)
	}
	if _, err := fmt.Fprintln(sh.Stdout, strings.Join(lines, "\n")); err != nil {
		return err
	}
	if live {
		return sh.checkLive(ctx, plans)
	}
	return nil
}

// looksAtOnce limits the targets that are checked concurrently: Azure counts the requests of a subscription.
const looksAtOnce = 8

// checkLive prints Azure's answer about every target, and changes nothing.
func (sh Shell) checkLive(ctx context.Context, plans []backup.Plan) error {
	looker, err := sh.Look(sh.Getenv)
	if err != nil {
		return err
	}
	type look struct {
		plan   backup.Plan
		target string
		err    error
		// unseen are the resources that Azure does not show to the identity.
		unseen   []string
		warnings []backup.Reason
	}
	var looks []look
	for _, p := range plans {
		for _, target := range p.Targets {
			looks = append(looks, look{plan: p, target: target})
		}
	}
	var group sync.WaitGroup
	free := make(chan struct{}, looksAtOnce)
	for i := range looks {
		free <- struct{}{}
		group.Go(func() {
			defer func() { <-free }()
			ctx, notes := backup.Watch(ctx)
			looks[i].err = looker.Preflight(ctx, looks[i].plan, looks[i].target)
			looks[i].unseen, looks[i].warnings = notes.Unseen(), notes.Warnings()
		})
	}
	group.Wait()
	if ctx.Err() != nil {
		return client.ErrStopped
	}
	labels := names.Labels(each(looks, func(l look) string { return l.target }))
	table := text.NewTable(text.Column{Name: "TARGET", Cut: true, Distinct: true}, text.Column{Name: "PLAN", Rank: 2, Cut: true},
		text.Column{Name: "RESULT"}, text.Column{Name: "REASON", Rank: 1, Cut: true})
	refused, unknown := 0, 0
	var words strings.Builder // below the table: they are long
	for i, l := range looks {
		var codes []string
		for _, w := range l.warnings {
			codes = append(codes, w.Code)
			fmt.Fprintf(&words, "\n%s: %s: %s\n  %s\n", labels[i], text.Plain(w.Code), text.Plain(w.Message), text.Plain(w.Hint))
		}
		f := backup.AsFault(l.err)
		if f == nil && len(l.unseen) > 0 {
			f = &backup.Fault{
				Kind: backup.Unobservable, Code: "NotShown", Message: "Azure does not show the identity here " + strings.Join(l.unseen, ", "),
				Hint: "Give it the role Reader there, to be sure. The backup itself may be fine: the app's roles are its own.",
			}
		}
		if f == nil {
			result := map[bool]string{true: "warning", false: "ok"}[len(codes) > 0]
			table.Row(labels[i], l.plan.Name, result, text.Plain(strings.Join(codes, ", ")))
			continue
		}
		result := "not now"
		if f.Kind == backup.Unobservable {
			result = "could not look"
		}
		if f.Kind == backup.Refused || errors.Is(l.err, engine.ErrNoProvider) {
			result = "refused"
			refused++
		} else {
			unknown++
		}
		if f.Code == "NoIdentityToken" { // the hint is about the app's identity
			f.Hint = "Sign in with az login, or set AZURE_CLIENT_ID and the variables that belong to it."
		}
		table.Row(labels[i], l.plan.Name, result, text.Plain(f.Code))
		fmt.Fprintf(&words, "\n%s: %s\n  %s\n", labels[i], text.Plain(f.Error()), text.Plain(f.Hint))
	}
	if err := table.Print(sh.Stdout, sh.width()); err != nil {
		return err
	}
	fmt.Fprint(sh.Stdout, words.String())
	if refused+unknown > 0 {
		return fmt.Errorf("%d of %s cannot be backed up, and %d could not be checked", refused, text.Count(len(looks), "target"), unknown)
	}
	return nil
}
