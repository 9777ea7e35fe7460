package cli

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lifeboat/internal/api"
	"lifeboat/internal/backup"
)

// run is the API's answer about a run.
type run api.Run

func readRun(text []byte) (run, error) {
	return read(text, "is no run", func(v run) bool { return v.ID != "" })
}

// runsCommand prints the history of a target, newest first.
func (sh Shell) runsCommand() *cobra.Command {
	return list[run]{
		path: "/api/runs", what: "run", columns: []string{"RUN", "STATE", "PLAN", "SCHEDULED", "CREATED", "ENDED", "SIZE", "RECOVERY POINT", "REASON"},
		read: readRun, row: run.row,
	}.command(sh, &cobra.Command{
		Use:   "runs TARGET",
		Short: "Lists the target's runs, newest first", SuggestFor: []string{"history", "list", "jobs"},
		Long: `Lists the target's backups, and the restores into it, newest first: 20, --top N up to 100, or --all.`,
		Example: `  lifeboat runs /subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/prod/providers/Microsoft.ApiManagement/service/contoso-eu
  lifeboat runs /subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/prod/providers/Microsoft.ApiManagement/service/contoso-eu --top 5`,
	})
}

func (v run) row() string {
	size, kept, why := "", "", cmp.Or(v.Error, v.Waiting)
	if v.Point != nil {
		size, kept = bytesOf(v.Point.Size), fate(*v.Point)
		if v.Point.State == backup.Suspect {
			why = v.Point.Suspicion
		}
	}
	return fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s", v.ID, v.State, v.Plan, v.scheduledTime(), utc(v.Created), utc(v.Ended), size, kept,
		code(why))
}

// runCommand prints one run in detail.
func (sh Shell) runCommand() *cobra.Command {
	return about(sh, &cobra.Command{
		Use:   "run ID",
		Short: "Shows one run: its state, the reason, and its recovery point", SuggestFor: []string{"show", "status"},
		Long:    `Shows one run, a backup or a restore: its state, the reason, and its recovery point or safety backup.`,
		Example: "  lifeboat run 0a1b2c3d4e5f6071-8225311999-c0ffee000001",
	}, func(id string) call {
		return call{method: http.MethodGet, path: run{ID: id}.path()}
	}, readRun, remote.runTable)
}

func (r remote) runTable(v run) error {
	table := newTable(r.Stdout)
	row := func(name string, values ...string) {
		if text := plain(strings.TrimSpace(strings.Join(values, " "))); text != "" {
			fmt.Fprintf(table, "%s\t%s\n", name, text)
		}
	}
	explain := func(name string, p *api.Problem) {
		if p != nil {
			row(name, p.Code+":", p.Message)
			for _, d := range p.Details {
				if d.Code != said {
					row(strings.ToLower(d.Code), d.Message)
				}
			}
		}
	}
	row("run", v.ID)
	row("target", v.Target)
	row("plan", v.Plan)
	row("scheduled", v.scheduledTime())
	row("request", v.Request)
	row("state", string(v.State))
	explain("waits for", v.Waiting)
	explain("error", v.Error)
	row("created", utc(v.Created))
	row("updated", utc(v.LastUpdated))
	row("ended", utc(v.Ended))
	row("attempts", strconv.Itoa(v.Attempts))
	row("polls", strconv.Itoa(v.Polls))
	left := "recovery point"
	if q := v.Restore; q != nil {
		row("restores", q.Source)
		row("from", q.Point)
		row("kind", string(q.Kind), q.Key)
		row("region", q.Region)
		row("asked by", q.RequestedBy)
		row("asked why", q.Reason)
		row("begins until", utc(q.Expires))
		row("left out", q.Warning)
		if left = "safety backup"; v.Point == nil {
			row(left, map[bool]string{true: "none yet: it comes before the restore", false: "none"}[q.Safety])
		}
	}
	if p := v.Point; p != nil {
		if p.CopyOnly {
			left = "copy"
		}
		row(left, fate(*p))
		row("note", p.Note)
		explain("suspicion", p.Suspicion)
		row("accepted", utc(p.Accepted), p.AcceptedBy, p.AcceptReason)
		row("decision", p.Decision)
		row("account", p.Account)
		row("blob", p.Blob)
		row("size", bytesOf(p.Size))
		row("sha256", p.SHA256)
	}
	for _, text := range v.NotIncluded {
		row("not included", text)
	}
	return table.Flush()
}

func (sh Shell) backupCommand() *cobra.Command {
	var plan string
	var wait bool
	c := &cobra.Command{
		Use:     "backup TARGET | backup --plan NAME",
		GroupID: ofApp,
		Short:   "Asks for a backup now, of a target or of every target of a plan",
		Long: `Asks for a backup of the target, and prints the ID of its run. With --plan alone it asks for a backup of every target of the plan, and
prints the ID of the batch.

With --wait it shows the steps until the backup has ended. At the end it lists the unsuccessful runs of a batch.`,
		Example: `  lifeboat backup /subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/prod/providers/Microsoft.ApiManagement/service/contoso-eu
  lifeboat backup --plan nightly`,
		Args: func(c *cobra.Command, args []string) error {
			switch {
			case len(args) == 0 && plan == "":
				return misuse(c, "it wants a TARGET, or --plan NAME for all targets of a plan")
			case len(args) > 1:
				return misuse(c, "it wants one TARGET, and got %q besides", args[1])
			}
			return nil
		},
	}
	c.Flags().StringVar(&plan, "plan", "", "the `NAME` of the plan: without a target, for all its targets")
	c.Flags().BoolVar(&wait, "wait", false, "show the steps until it has ended; exit code 0 if it succeeded")
	asJSON := jsonFlag(c)
	c.RunE = sh.calling(func(ctx context.Context, r remote, args []string) error {
		return r.backup(ctx, args, plan, wait, *asJSON)
	})
	return c
}

// backup asks for a backup of a target, or of every target of a plan, and may wait for the end.
func (r remote) backup(ctx context.Context, targets []string, plan string, wait, asJSON bool) error {
	body := map[string]string{}
	if plan != "" {
		body["plan"] = plan
	}
	runs := "TARGET shows whether the backup of a target began"
	all := len(targets) == 0
	if !all {
		body["target"] = targets[0]
		runs = targets[0] + " shows whether the backup began"
	}
	a, err := r.ask(ctx, "/api/backups", body, runs)
	switch {
	case err != nil:
		return err
	case all:
		return await(ctx, r, a, readBatch, wait, asJSON)
	}
	return await(ctx, r, a, readRun, wait, asJSON)
}

func (v run) id() string { return v.ID }

func (v run) over() bool { return ended(v.Status) }

func (v run) failure() error {
	if v.Status == "Succeeded" {
		return nil
	}
	return fmt.Errorf("run %s of %s ended %s: %s", v.ID, v.Target, v.State, inWords(*cmp.Or(v.Error, &api.Problem{Code: "Unknown"})))
}

func (v run) path() string { return "/api/runs/" + url.PathEscape(v.ID) }

func (v run) command() string { return "run " + v.ID }

func (v run) kind() string { return plain(cmp.Or(v.Kind, "backup")) }

// scheduledTime returns the scheduled time of the run, or says that the run is a restore or was made by hand.
func (v run) scheduledTime() string {
	switch {
	case v.Restore != nil:
		return "restore"
	case v.ScheduledTime.IsZero():
		return "by hand"
	}
	return utc(v.ScheduledTime)
}

// progress returns the line about the state of the run. Its time is the app's, of the run's last step.
func (v run) progress() string {
	line := fmt.Sprintf("%s  %s", utc(v.LastUpdated), v.State)
	switch {
	case v.Waiting != nil:
		line += ": " + plain(v.Waiting.Code+": "+v.Waiting.Message)
	case v.Point != nil:
		line += ": " + bytesOf(v.Point.Size) + ", " + fate(*v.Point)
		if v.Point.State == backup.Suspect && v.Point.Suspicion != nil {
			line += ": " + plain(v.Point.Suspicion.Message)
		}
	case v.Polls > 0 && !v.over():
		line += fmt.Sprintf(", asked Azure %s", count(v.Polls, "time"))
	}
	return line
}

func utc(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(utcForm)
}

// bytesOf returns a size for people, in powers of 1024.
func bytesOf(n int64) string {
	size, unit := float64(n), 0
	for ; size >= 1024 && unit < 4; unit++ {
		size /= 1024
	}
	if unit == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %ciB", size, "KMGT"[unit-1])
}
