package cli

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"lifeboat/internal/backup"
	"lifeboat/internal/cli/client"
	"lifeboat/internal/cli/text"
	"lifeboat/internal/restore"
)

// restoring has the flags of lifeboat restore.
type restoring struct {
	body      map[string]any // the request
	dry, wait bool
}

func (sh Shell) restoreCommand() *cobra.Command {
	q := restoring{body: map[string]any{"recoveryPoint": "latest"}}
	points := 0 // an empty one, from a variable that is not set, is a mistake and does not mean the newest
	c := &cobra.Command{
		Use:   "restore TARGET",
		Short: "Restores a recovery point: the destination's present content is LOST",
		Long: `Asks for a restore of the target's newest verified recovery point, or of the given one, into the target itself, or into the given
service, and prints the ID of the restore. The present content of that service is LOST.

With --dry-run it says what that would overwrite, from what, and whether it may, and changes nothing.`,
		Example: `  lifeboat restore /subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/prod/providers/Microsoft.ApiManagement/service/contoso-eu --dry-run
  lifeboat restore /subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/prod/providers/Microsoft.ApiManagement/service/contoso-eu --before 2026-01-31T02:30:00Z --reason "a bad deployment"`,
		Args: exactly("TARGET"), ValidArgsFunction: sh.first(targetWords),
		PreRunE: func(c *cobra.Command, _ []string) error {
			switch {
			case points > 1:
				return misuse(c, "--point and --before name a recovery point: one of them is enough, once")
			case q.dry && q.wait:
				return misuse(c, "--dry-run has nothing to --wait for")
			}
			return nil
		},
	}
	flags := c.Flags()
	field := func(flag, name, usage string) {
		flags.Func(flag, usage, func(value string) error { q.body[name] = value; return nil })
	}
	point := func(flag, prefix, usage string) {
		flags.Func(flag, usage, func(value string) error {
			points++
			q.body["recoveryPoint"] = prefix + value
			return nil
		})
	}
	point("point", "", "restore the recovery point with this `ID`")
	point("before", "latest before ", "restore the newest verified one from before this `TIME`, such as 2026-01-31T02:30:00Z")
	field("into", "into", "restore into this `TARGET` of the same type")
	field("key", "key", "restore one key of a Managed HSM, by its `NAME`: it must have been purged")
	field("region", "restoreRegion", "the `REGION` that a Managed CCF or ledger is recreated in, in place of the plan's")
	field("reason", "reason", "the reason in `WORDS`, for the log and the events")
	field("reply-to", "replyTo", "a `QUEUE` that the answers are sent to as well")
	field("expires", "expires", "refuse the restore if it has not begun by this `TIME`")
	flags.BoolVar(&q.dry, "dry-run", false, "say what the restore would do, and change nothing")
	flags.BoolVar(&q.wait, "wait", false, "show the steps until the restore has ended; exit code 0 if it succeeded")
	_ = c.RegisterFlagCompletionFunc("into", sh.completing(intoWords))
	_ = c.RegisterFlagCompletionFunc("point", sh.completing(func(ctx context.Context, r remote, args []string, _ string) []string {
		return pointWords(ctx, r, strings.Join(args, " "), backup.Live)
	}))
	return sh.calling(c, func(ctx context.Context, r remote, args []string) error {
		target, err := r.target(ctx, args[0])
		if err != nil {
			return err
		}
		q.body["target"] = target
		if into, ok := q.body["into"].(string); ok {
			if q.body["into"], err = r.destination(ctx, target, into); err != nil {
				return err
			}
		}
		return r.restore(ctx, q)
	})
}

// restore asks for a restore, and may wait for its end; or for its plan alone.
func (r remote) restore(ctx context.Context, q restoring) error {
	if q.body["key"] != nil {
		q.body["kind"] = backup.RestoreKey
	}
	if q.dry {
		q.body["dryRun"] = true
	}
	a, err := r.ask(ctx, "/api/restores", q.body, fmt.Sprintf("%s shows whether the restore began", cmp.Or(q.body["into"], q.body["target"])))
	if err != nil {
		return err
	}
	if q.dry {
		return r.dryRun(a)
	}
	return await(ctx, r, a, readRun, q.wait)
}

// dryRun prints the plan of a restore; the error says why it may not be made.
func (r remote) dryRun(a client.Answer) error {
	p, err := read(a.Body, "is no plan of a restore", func(p restore.Preview) bool { return p.Hash != "" })
	if err != nil {
		return err
	}
	if err := r.show(a.Body, []string{p.Destination}, func() error { return r.planTable(p) }); err != nil {
		return err
	}
	if why := p.Refusal(); why != nil {
		return fmt.Errorf("this restore would be refused: %s", text.Plain(why.Code))
	}
	return nil
}

// planTable shows a plan, and the possible loss first.
func (r remote) planTable(p restore.Preview) error {
	var details text.Details
	row := details.Row
	row("restores into", p.Destination)
	row("overwrites", p.Overwrites...)
	row("not restored", p.NotIncluded...)
	row("from", p.Target)
	if q := p.Point; q != nil {
		row("recovery point", q.ID+", "+string(q.State))
		row("written", r.clock.At(q.Written)+", "+text.Age(q.Age)+" ago")
		row("size", text.Size(q.Size))
	}
	row("allowed by plan", p.Plan)
	row("kind", strings.TrimSpace(string(p.Kind)+" "+p.Key))
	row("region", p.Region)
	safety := "none"
	if p.Safety {
		safety = "first, and held for 7 days unless confirmed"
	}
	row("safety backup", safety)
	row("calls", p.Calls...)
	if err := details.Print(r.Stdout, r.width); err != nil {
		return err
	}
	fmt.Fprintln(r.Stdout)
	table := text.NewTable(text.Column{Name: "GUARD", Cut: true}, text.Column{Name: "OUTCOME"})
	var words strings.Builder // below the table: they are long
	for _, g := range p.Guards {
		table.Row(text.Plain(g.Name), text.Plain(g.Outcome))
		if g.Reason != nil {
			fmt.Fprintf(&words, "\n%s: %s: %s\n", text.Plain(g.Name), text.Plain(g.Reason.Code), text.Plain(g.Reason.Message))
			if g.Reason.Hint != "" {
				fmt.Fprintf(&words, "  %s\n", text.Plain(g.Reason.Hint))
			}
		}
	}
	if err := r.print(table); err != nil {
		return err
	}
	_, err := fmt.Fprint(r.Stdout, words.String())
	return err
}

func (sh Shell) cancelCommand() *cobra.Command {
	return sh.change(&cobra.Command{
		Use: "cancel ID", Short: "Cancels a restore that has not begun yet",
		Long:              `Cancels a restore, as long as nothing was begun. A second call changes nothing.`,
		Example:           "  lifeboat cancel 0a1b2c3d4e5f6071-8225311995-c0ffee000005",
		ValidArgsFunction: sh.first(runWords(func(v run) bool { return v.Restore != nil && !v.over() })),
	})
}

func (sh Shell) confirmCommand() *cobra.Command {
	return sh.change(&cobra.Command{
		Use: "confirm ID", Short: "Says that a restore is right: its safety backup is held no longer",
		Long: `Says that a restore is as it should be, once it has ended: its safety backup is held no longer. A second call changes
nothing.`,
		Example:           "  lifeboat confirm 0a1b2c3d4e5f6071-8225311994-c0ffee000006",
		ValidArgsFunction: sh.first(runWords(func(v run) bool { return v.Restore != nil && v.over() })),
	})
}

// change makes the command for an action of a restore, the last part of the path; a second call changes nothing.
func (sh Shell) change(c *cobra.Command) *cobra.Command {
	return about(sh, c, func(id string) client.Call {
		return client.Call{Method: http.MethodPost, Path: "/api/restores/" + url.PathEscape(id) + "/" + c.Name()}
	}, readRun, func(r remote, _ context.Context, v run) error {
		line := fmt.Sprintf("%s  %s", v.ID, v.State)
		if v.Point != nil {
			line += "; safety backup: " + fate(r.clock, *v.Point)
		}
		_, err := fmt.Fprintln(r.Stdout, text.Plain(line))
		return err
	})
}
