package cli

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"lifeboat/internal/backup"
	"lifeboat/internal/config"
)

// mostScheduledTimes is the limit of scheduled times for each target: a number with too many digits is a mistake.
const mostScheduledTimes = 10_000

func (sh Shell) nextCommand() *cobra.Command {
	var n int
	c := &cobra.Command{
		Use:   "next FILE",
		Short: "Lists the next scheduled times of every plan and target",
		Long: `Lists the next scheduled times of every plan and target, local and UTC, and tells of the days on which a change of the clocks
moves one.`,
		Example: `  lifeboat plan next plan.yaml
  lifeboat plan next plan.yaml -n 10`,
		Args: exactly("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			if n < 1 || n > mostScheduledTimes {
				return misuse(c, "-n is from 1 to %d", mostScheduledTimes)
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
		for _, change := range clockChanges(p, coming[i]) {
			fmt.Fprintln(sh.Stdout, "  "+change)
		}
	}
	fmt.Fprintln(sh.Stdout)
	table := newTable(sh.Stdout, "PLAN", "TARGET", "LOCAL", "UTC")
	for i, p := range plans {
		var times []string
		for _, scheduledTime := range coming[i] {
			times = append(times, local(p, scheduledTime)+"\t"+scheduledTime.UTC().Format(utcForm))
		}
		if p.Paused {
			times = []string{"paused\t"}
		}
		for _, target := range p.Targets {
			for _, at := range times {
				fmt.Fprintf(table, "%s\t%s\t%s\n", p.Name, short(target), at)
			}
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(sh.Stdout, "\nby the time zones %s\n", config.TimeZones())
	return err
}

// words returns the schedule of the plan in words, and the number of its runs a day.
func words(p backup.Plan) string {
	return p.Schedule.Words() + " in " + p.Schedule.Zone.String() + ", " + count(p.Schedule.RunsADay(), "run") + " a day"
}

const (
	localForm = "Mon 2006-01-02 15:04:05 -07:00"
	utcForm   = "2006-01-02T15:04:05Z"
)

// local returns the scheduled time on the clocks of the plan's zone.
func local(p backup.Plan, scheduledTime time.Time) string {
	return scheduledTime.In(p.Schedule.Zone).Format(localForm) + " " + p.Schedule.Zone.String()
}

// short returns the target's group and name: that is enough for people if the types are the same.
func short(target string) string {
	r, err := backup.ParseResource(target)
	if err != nil {
		return target
	}
	return r.Group + "/" + r.Name
}

// labels returns the short names of targets, or their whole resource IDs if their short names are the same.
func labels(targets []string) []string {
	ids := map[string]string{} // by short name; empty where there is more than one
	for _, target := range targets {
		name := strings.ToLower(short(target))
		if id, ok := ids[name]; ok && !backup.Same(id, target) {
			target = ""
		}
		ids[name] = target
	}
	all := make([]string, len(targets))
	for i, target := range targets {
		all[i] = short(target)
		if ids[strings.ToLower(all[i])] == "" {
			all[i] = target
		}
	}
	return all
}

// newTable returns a table with these names above its columns; without names it has none.
func newTable(to io.Writer, columns ...string) *tabwriter.Writer {
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	if len(columns) > 0 {
		fmt.Fprintln(table, strings.Join(columns, "\t"))
	}
	return table
}

// each returns a text of each.
func each[T any](all []T, text func(T) string) []string {
	texts := make([]string, len(all))
	for i, one := range all {
		texts[i] = text(one)
	}
	return texts
}
