package cli

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/config"
)

// mostSlots of each target are printed: a number with too many digits is a mistake.
const mostSlots = 10_000

// next prints the next slots of every plan and target.
func next(args []string, stdout io.Writer, now time.Time) error {
	flags := flag.NewFlagSet("next", flag.ContinueOnError)
	n := flags.Int("n", 3, "slots of each target")
	paths, err := files(flags, args, 1)
	if err != nil || *n < 1 || *n > mostSlots {
		return cmp.Or(err, errUsage)
	}
	plans, _, err := config.PlanFile(paths[0])
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "PLAN\tTARGET\tLOCAL\tUTC")
	for _, p := range plans {
		for _, target := range p.Targets {
			if p.Paused {
				fmt.Fprintf(table, "%s\t%s\tpaused\t\n", p.Name, short(target))
			}
			for _, slot := range slots(p, now, *n) {
				fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", p.Name, short(target), local(p, slot), slot.UTC().Format(utcForm))
			}
		}
	}
	return table.Flush()
}

const (
	localForm = "Mon 2006-01-02 15:04:05 -07:00"
	utcForm   = "2006-01-02T15:04:05Z"
)

// local is the slot on the clocks of the plan's zone.
func local(p backup.Plan, slot time.Time) string {
	return slot.In(p.Schedule.Zone).Format(localForm) + " " + p.Schedule.Zone.String()
}

// short is the target's group and name: enough for people, where the types are alike.
func short(target string) string {
	r, err := backup.ParseResource(target)
	if err != nil {
		return target
	}
	return r.Group + "/" + r.Name
}

// labels are the short names of targets, and the whole resource IDs of those whose short names are alike.
func labels(targets []string) []string {
	ids := map[string]string{} // by short name; empty where there is more than one
	for _, target := range targets {
		name := strings.ToLower(short(target))
		if id, ok := ids[name]; ok && !strings.EqualFold(id, target) {
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
