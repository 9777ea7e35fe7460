package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"lifeboat/internal/backup"
	"lifeboat/internal/cli/clocks"
	"lifeboat/internal/cli/names"
	"lifeboat/internal/cli/text"
	"lifeboat/internal/cli/usage"
	"lifeboat/internal/config"
)

// mostScheduledTimes is the limit of scheduled times for each target: a number with too many digits is a mistake.
const mostScheduledTimes = 10_000

func (sh Shell) nextCommand() *cobra.Command {
	var n int
	c := &cobra.Command{
		Use:   "next FILE",
		Short: "Lists the next scheduled times of every plan and target",
		Long: `Lists the next scheduled times of every plan and target, local and UTC, and
tells of the days on which a change of the clocks moves one.`,
		Example: `  lifeboat plan next plan.yaml
  lifeboat plan next plan.yaml -n 10`,
		Args: usage.Exactly("FILE"), ValidArgsFunction: files(1),
		RunE: func(c *cobra.Command, args []string) error {
			if n < 1 || n > mostScheduledTimes {
				return usage.Misuse(c, "-n is from 1 to %d", mostScheduledTimes)
			}
			return sh.next(args[0], n)
		},
	}
	c.Flags().IntVarP(&n, "number", "n", 3, "scheduled times of each target")
	return c
}

// next prints the next n scheduled times of every plan and target.
func (sh Shell) next(path string, n int) error {
	plans, _, err := sh.Plans.File(path, 1)
	if err != nil {
		return err
	}
	coming := make([][]time.Time, len(plans))
	for i, p := range plans {
		coming[i] = scheduledTimes(p, sh.Now, n)
		fmt.Fprintln(sh.Stdout, p.Name+": "+words(p))
		for _, change := range clocks.Changes(p, coming[i]) {
			fmt.Fprintln(sh.Stdout, "  "+change)
		}
	}
	fmt.Fprintln(sh.Stdout)
	var targets []string
	for _, p := range plans {
		targets = append(targets, p.Targets...)
	}
	index := names.New(targets...)
	table := text.NewTable(text.Column{Name: "PLAN", Rank: 1, Cut: true}, text.Column{Name: "TARGET", Cut: true, Distinct: true},
		text.Column{Name: "LOCAL"}, text.Column{Name: "ZONE", Rank: 3}, text.Column{Name: "UTC", Rank: 2})
	for i, p := range plans {
		for _, target := range p.Targets {
			for _, at := range coming[i] {
				table.Row(p.Name, index.Label(target), text.Local(at, p.Schedule.Zone), p.Schedule.Zone.String(), at.UTC().Format(time.RFC3339))
			}
			if p.Paused {
				table.Row(p.Name, index.Label(target), "paused", "", "")
			}
		}
	}
	if err := table.Print(sh.Stdout, sh.width()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(sh.Stdout, "\nby the time zones %s\n", config.TimeZones())
	return err
}

// words returns the schedule of the plan in words, and the number of its runs on a day that has any.
func words(p backup.Plan) string {
	runs := text.Count(p.Schedule.RunsADay(), "run")
	if p.Schedule.EveryDay() {
		runs += " a day"
	} else {
		runs += " on such a day"
	}
	return p.Schedule.Words() + " in " + p.Schedule.Zone.String() + ", " + runs
}

// each returns a text of each.
func each[T any](all []T, text func(T) string) []string {
	texts := make([]string, len(all))
	for i, one := range all {
		texts[i] = text(one)
	}
	return texts
}
