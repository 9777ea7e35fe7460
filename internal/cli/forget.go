package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"lifeboat/internal/api"
	"lifeboat/internal/cli/client"
	"lifeboat/internal/cli/text"
	"lifeboat/internal/cli/usage"
)

// forgetCommand deletes the recovery points of a target on purpose.
func (sh Shell) forgetCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "forget TARGET --reason WORDS",
		Short: "Deletes the recovery points of a target",
		Long: `Deletes the recovery points of a target, such as one that is gone for good. They
are soft-deleted at once, and each is still there for the time that softDelete
of its plan said. Until then lifeboat undelete ends that.

A recovery point that is held or that a restore reads stays, and so does the
newest verified one of a target in a plan. A target that no plan has is named by
its resource ID.

On a terminal it lists them, and asks for the name of the target. In a script
say --yes. If it is cut off, say it again: it goes on.`,
		Args: usage.Exactly("TARGET"), ValidArgsFunction: sh.first(targetWords),
		Example: `  lifeboat forget contoso-eu --reason "the service is retired" --yes
  lifeboat forget contoso-eu --reason "the service is retired" --yes -o json`,
	}
	why := c.Flags().String("reason", "", "the reason in `WORDS`, for all who see the deletions")
	yes := c.Flags().Bool("yes", false, "do not ask: the backups are deleted")
	c.PreRunE = needsReason(why)
	return sh.calling(c, func(ctx context.Context, r remote, args []string) error {
		if !*yes && (!terminal(r.Stdin) || !terminal(r.Stderr)) {
			return usage.Error("lifeboat forget: the backups would be deleted, and there is no terminal to ask at: say --yes if they may be\n")
		}
		target, err := r.target(ctx, args[0])
		if err != nil {
			return err
		}
		if !*yes {
			if err := r.mayForget(ctx, target, *why); err != nil {
				return err
			}
		}
		v, err := r.forget(ctx, target, *why, false)
		if err != nil {
			return err
		}
		document, err := json.Marshal(v)
		if err != nil {
			return err
		}
		return r.show(document, each(v.Value, func(p api.ForgottenPoint) string { return p.ID }), func() error {
			if err := r.printForgotten(r.Stdout, v); err != nil {
				return err
			}
			gone, stay := forgottenSums(v)
			_, err := fmt.Fprintf(r.Stdout, "%s, %s\n", gone.words("deleted", "deleted"), stay.words("stays", "stay"))
			return err
		})
	})
}

// forget asks for all pages, one behind the other.
func (r remote) forget(ctx context.Context, target, why string, dry bool) (api.Forgotten, error) {
	all := api.Forgotten{Target: target, DryRun: dry, Value: []api.ForgottenPoint{}}
	for after := ""; ; {
		body := map[string]any{"target": target, "reason": why}
		if dry {
			body["dryRun"] = true
		}
		if after != "" {
			body["after"] = after
		}
		a, err := r.Do(ctx, client.Call{Method: http.MethodPost, Path: "/api/forget", Body: body, RequestID: r.RequestID})
		if err != nil {
			return all, err
		}
		page, err := read(a.Body, "tells of no recovery points that are forgotten", func(v api.Forgotten) bool { return v.Value != nil })
		if err != nil {
			return all, err
		}
		all.Value = append(all.Value, page.Value...)
		if page.Next == "" || page.Next == after {
			return all, nil
		}
		after = page.Next
	}
}

// mayForget lists the recovery points, and returns nil if the person then types the name of the target.
func (r remote) mayForget(ctx context.Context, target, why string) error {
	v, err := r.forget(ctx, target, why, true)
	if err != nil {
		return err
	}
	gone, stay := forgottenSums(v)
	if gone.n == 0 {
		return fmt.Errorf("nothing can be deleted: %s", stay.words("stays", "stay"))
	}
	if err := r.printForgotten(r.Stderr, v); err != nil {
		return err
	}
	name := target[strings.LastIndex(target, "/")+1:]
	fmt.Fprintf(r.Stderr, "The backups of %s are DELETED: %s, %s. Type %s to go on: ", text.Plain(name), text.Count(gone.n, "recovery point"),
		stay.words("stays", "stay"), text.Plain(name))
	typed, err := r.line(ctx, "nothing was deleted")
	if err != nil {
		return err
	}
	if !strings.EqualFold(strings.TrimSpace(typed), name) {
		return errors.New("that is not its name: nothing was deleted")
	}
	return nil
}

func forgottenSums(v api.Forgotten) (gone, stay sum) {
	for _, p := range v.Value {
		one := api.Retained{Size: p.Size}
		if p.Stays == "" {
			gone.add(one)
		} else {
			stay.add(one)
		}
	}
	return gone, stay
}

// printForgotten prints the points, each with the reason for which it stays, or with the end of its time.
func (r remote) printForgotten(to io.Writer, v api.Forgotten) error {
	table := text.NewTable(text.Column{Name: "ID"}, text.Column{Name: "CREATED", Rank: 2}, text.Column{Name: "SIZE", Rank: 3},
		text.Column{Name: "FATE"}, text.Column{Name: "WHY", Rank: 1, Cut: true})
	for _, p := range v.Value {
		fate, why := "goes", ""
		switch {
		case p.Stays != "":
			fate, why = "stays", p.Stays
		case !p.Until.IsZero():
			why = "there until " + r.clock.At(p.Until)
		}
		table.Row(text.Plain(p.ID), r.clock.At(p.Created), text.Size(p.Size), fate, text.Plain(why))
	}
	width := r.width
	if r.format == asWide {
		width = 0
	}
	return table.Print(to, width)
}
