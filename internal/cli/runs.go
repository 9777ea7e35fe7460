package cli

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lifeboat/internal/api"
	"lifeboat/internal/backup"
	"lifeboat/internal/cli/client"
	"lifeboat/internal/cli/text"
	"lifeboat/internal/cli/usage"
)

// run is the API's answer about a run.
type run api.Run

func readRun(text []byte) (run, error) {
	return read(text, "is no run", func(v run) bool { return v.ID != "" })
}

// runsCommand prints the history of a target, newest first.
func (sh Shell) runsCommand() *cobra.Command {
	return list[run]{
		path: "/api/runs", what: "run", columns: []text.Column{
			{Name: "RUN"},
			{Name: "STATE"},
			{Name: "PLAN", Rank: 6, Cut: true},
			{Name: "SCHEDULED", Rank: 5},
			{Name: "CREATED", Rank: 3},
			{Name: "AGE", Rank: 1},
			{Name: "ENDED", Rank: 8},
			{Name: "SIZE", Rank: 4},
			{Name: "RECOVERY POINT", Rank: 7, Cut: true},
			{Name: "REASON", Rank: 2, Cut: true},
		},
		read: readRun, id: run.id, row: remote.runRow,
	}.command(sh, &cobra.Command{
		Use:   "runs TARGET",
		Short: "Lists the target's runs, newest first", SuggestFor: []string{"history", "list", "jobs"},
		Long: `Lists the target's backups, and the restores into it, newest first: 20, --top
N up to 100, or --all.`,
		Example: `  lifeboat runs contoso-eu
  lifeboat runs prod/payments --top 5`,
	})
}

func (r remote) runRow(v run) []string {
	size, kept, why := "", "", cmp.Or(v.Error, v.Waiting)
	if v.Point != nil {
		size, kept = text.Size(v.Point.Size), text.Fate(r.clock, *v.Point)
		if v.Point.State == backup.Suspect {
			why = v.Point.Suspicion
		}
	}
	state := text.Plain(v.State)
	if v.Restore != nil {
		state = "restore " + state
	}
	return []string{
		text.Plain(v.ID), state, text.Plain(v.Plan), v.scheduledTime(r.clock), r.clock.At(v.Created), r.clock.Age(v.Created),
		r.clock.At(v.Ended), size, kept, text.Code(why),
	}
}

// runCommand prints one run in detail.
func (sh Shell) runCommand() *cobra.Command {
	return about(sh, &cobra.Command{
		Use:   "run ID",
		Short: "Shows one run: its state, the reason, and its recovery point", SuggestFor: []string{"show", "status"},
		Long: `Shows one run, a backup or a restore: its state, the reason, and its recovery
point or safety backup.`,
		Example:           "  lifeboat run 0c650536f8140ca3-8225336799-2a3b62b53ddb",
		ValidArgsFunction: sh.first(runWords(func(run) bool { return true })),
	}, func(id string) client.Call {
		return client.Call{Method: http.MethodGet, Path: run{ID: id}.path()}
	}, readRun, remote.runTable)
}

func (r remote) runTable(_ context.Context, v run) error {
	var details text.Details
	row := func(name string, values ...string) { details.Row(name, strings.Join(values, " ")) }
	detail := func(p *api.Problem) {
		for _, d := range p.Details {
			if d.Code != client.Said {
				row(strings.ToLower(d.Code), d.Message)
			}
		}
	}
	explain := func(name string, p *api.Problem) {
		if p != nil {
			row(name, p.Code+":", p.Message)
			detail(p)
		}
	}
	row("run", v.ID)
	row("target", v.Target)
	row("plan", v.Plan)
	row("scheduled", v.scheduledTime(r.clock))
	row("request", v.Request)
	row("state", string(v.State))
	explain("waits for", v.Waiting)
	explain("error", v.Error)
	row("created", r.clock.Ago(v.Created))
	row("updated", r.clock.Ago(v.LastUpdated))
	row("ended", r.clock.Ago(v.Ended))
	row("attempts", strconv.Itoa(v.Attempts))
	row("polls", strconv.Itoa(v.Polls))
	row("next attempt", r.clock.Ago(v.RetryAt))
	for _, f := range v.Failed {
		row("failed attempt", fmt.Sprintf("%d, %s,", f.Attempt, r.clock.At(f.Ended)), f.Error.Code+":", f.Error.Message)
	}
	left := "recovery point"
	if q := v.Restore; q != nil {
		row("restores", q.Source)
		row("from", q.Point)
		row("kind", string(q.Kind), q.Key)
		row("region", q.Region)
		row("asked by", q.RequestedBy)
		row("asked why", q.Reason)
		if q.CanceledBy != "" && !v.over() {
			row("canceled by", q.CanceledBy+": it ends canceled once its safety backup has ended")
		} else {
			row("begins until", r.clock.Ago(q.Expires))
		}
		row("warning", q.Warning)
		if left = "safety backup"; v.Point == nil {
			none := map[bool]string{true: "none yet: it comes before the restore", false: "none"}[q.Safety]
			row(left, none+map[bool]string{true: ", as the request wants"}[q.NoSafety])
		}
	}
	if p := v.Point; p != nil {
		if p.CopyOnly {
			left = "copy"
		}
		row(left, text.Fate(r.clock, *p))
		for _, hold := range p.Holds {
			row("held", text.Hold(r.clock, hold))
		}
		if d := p.SoftDeletion; d != nil {
			row("soft-deleted", r.clock.Ago(d.Since)+",", text.SoftDeletion(*d))
		}
		row("evidence", text.Evidence(r.clock, *p))
		row("note", p.Note)
		for _, fact := range p.Facts {
			row(text.Words(fact.Name), fact.Value)
		}
		if c := p.Changed; c != nil {
			row("changed", "during backup,", r.clock.At(c.Time)+":", c.Operation, "of", c.Resource)
		}
		row("looked for changes", r.clock.Ago(v.Looked))
		explain("suspicion", p.Suspicion)
		row("accepted", r.clock.At(p.Accepted), p.AcceptedBy, p.AcceptReason)
		row("decision", p.Decision)
		if k := p.Kept; k != nil && k.Reason != nil { // the decision has its message
			detail(k.Reason)
		}
		row("account", p.Account)
		if p.Share != nil {
			row("file share", p.Share.Name)
		} else {
			row("blob", p.Blob)
		}
		row("size", text.Size(p.Size))
		row("sha256", p.SHA256)
	}
	for _, text := range v.NotIncluded {
		row("not included", text)
	}
	return details.Print(r.Stdout, r.width)
}

func (sh Shell) backupCommand() *cobra.Command {
	var plan string
	var wait bool
	c := &cobra.Command{
		Use:   "backup TARGET | backup --plan NAME",
		Short: "Asks for a backup now, of a target or of all targets of a plan",
		Long: `Asks for a backup of the target, and prints the ID of its run. With --plan
alone it asks for a backup of every target of the plan, and prints the ID of
the batch.

With --wait it shows the steps until the backup has ended. At the end it lists
the unsuccessful runs of a batch.`,
		Example: `  lifeboat backup contoso-eu --wait
  lifeboat backup --plan nightly`,
		Args: func(c *cobra.Command, args []string) error {
			switch {
			case len(args) == 0 && plan == "":
				return usage.Misuse(c, "it wants a TARGET, or --plan NAME for all targets of a plan")
			case len(args) > 1:
				return usage.Misuse(c, "it wants one TARGET, and got %q besides", args[1])
			}
			return nil
		},
		ValidArgsFunction: sh.first(targetWords),
	}
	c.Flags().StringVar(&plan, "plan", "", "the `NAME` of the plan")
	_ = c.RegisterFlagCompletionFunc("plan", sh.completing(planWords))
	c.Flags().BoolVar(&wait, "wait", false, "show the steps until it has ended")
	return sh.calling(c, func(ctx context.Context, r remote, args []string) error { return r.backup(ctx, args, plan, wait) })
}

// backup asks for a backup of a target, or of every target of a plan, and may wait for the end.
func (r remote) backup(ctx context.Context, targets []string, plan string, wait bool) error {
	body := map[string]string{}
	if plan != "" {
		body["plan"] = plan
	}
	runs := "TARGET shows whether the backup of a target began"
	all := len(targets) == 0
	if !all {
		target, err := r.target(ctx, targets[0])
		if err != nil {
			return err
		}
		body["target"] = target
		runs = targets[0] + " shows whether the backup began"
	}
	a, err := r.ask(ctx, "/api/backups", body, runs)
	switch {
	case err != nil:
		return err
	case all:
		return await(ctx, r, a, readBatch, wait)
	}
	return await(ctx, r, a, readRun, wait)
}

func (v run) id() string { return v.ID }

func (v run) ids() []string { return []string{v.ID} }

func (v run) over() bool { return ended(v.Status) }

func (v run) failure() error {
	if v.Status == "Succeeded" {
		return nil
	}
	return fmt.Errorf("run %s of %s ended %s: %s", v.ID, v.Target, v.State, client.InWords(*cmp.Or(v.Error, &api.Problem{Code: "Unknown"})))
}

func (v run) warning() string {
	if v.Restore == nil {
		return ""
	}
	return v.Restore.Warning
}

func (v run) path() string { return "/api/runs/" + url.PathEscape(v.ID) }

func (v run) command() string { return "run " + v.ID }

func (v run) kind() string { return text.Plain(cmp.Or(v.Kind, "backup")) }

// scheduledTime returns the scheduled time of the run, or says that the run is a restore or was made by hand.
func (v run) scheduledTime(clock text.Clock) string {
	switch {
	case v.Restore != nil:
		return "restore"
	case v.ScheduledTime.IsZero():
		return "by hand"
	}
	return clock.At(v.ScheduledTime)
}

func (v run) times() (begin, end time.Time) { return v.Created, v.Ended }

// usual returns the median of the last runs of the same kind that succeeded; of nothing, 0.
func (v run) usual(ctx context.Context, r remote) time.Duration {
	quiet, err := r.quiet()
	if err != nil {
		return 0
	}
	ctx, cancel := r.hurried(ctx)
	defer cancel()
	var took []time.Duration
	for _, other := range recent[run](ctx, quiet, "/api/runs", []string{v.Target}, 20) {
		if other.Status == "Succeeded" && other.Kind == v.Kind && other.ID != v.ID {
			took = append(took, other.Ended.Sub(other.Created))
		}
	}
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return took[len(took)/2]
}

// phase returns the state of the run; for a restore that is under way, also whether it is at its safety backup or at the restore.
func (v run) phase() string {
	switch {
	case v.Restore == nil || v.Status != "Running":
		return text.Plain(v.State)
	case v.Restore.Safety && v.Point == nil:
		return "safety backup " + text.Plain(v.State)
	}
	return "restore " + text.Plain(v.State)
}

// progress returns the line about the state of the run. Its time is the app's, of the run's last step.
func (v run) progress(clock text.Clock) string {
	line := fmt.Sprintf("%s  %s", clock.At(v.LastUpdated), v.phase())
	switch {
	case v.Waiting != nil:
		line += ": " + text.Plain(v.Waiting.Code+": "+v.Waiting.Message)
	case v.Point != nil && (v.Restore == nil || v.over()):
		line += ": " + text.Size(v.Point.Size) + ", " + text.Fate(clock, *v.Point)
		if v.Point.State == backup.Suspect && v.Point.Suspicion != nil {
			line += ": " + text.Plain(v.Point.Suspicion.Message)
		}
	case v.Polls > 0 && !v.over():
		line += fmt.Sprintf(", asked Azure %s", text.Count(v.Polls, "time"))
	}
	return line
}
