package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lifeboat/internal/backup"
	"lifeboat/internal/cli/client"
	"lifeboat/internal/cli/text"
	"lifeboat/internal/cli/usage"
)

// deleteCommand deletes a recovery point on purpose.
func (sh Shell) deleteCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "delete ID --reason WORDS",
		Short: "Deletes a recovery point that must not exist", SuggestFor: []string{"remove", "rm", "purge"},
		Long: `Deletes a recovery point that must not exist, before its time. It is
soft-deleted at once: it protects nothing any more, and it is still there for
the time that softDelete of its plan said. Until then lifeboat undelete ends
that.

A recovery point that is held, that a restore reads, or that is the newest
verified one of a target in a plan is not deleted.

On a terminal it asks for the name of the target. In a script say --yes.`,
		Args: usage.Exactly("ID"),
		ValidArgsFunction: sh.first(func(ctx context.Context, r remote, _ string) []string {
			return pointWords(ctx, r, "", backup.Live, backup.CopyOnly, backup.Suspect, backup.Altered)
		}),
		Example: `  lifeboat delete 0c650536f8140ca3-8225509599-2a3b62b53ddb --reason "it has a secret" --yes`,
	}
	why := c.Flags().String("reason", "", "the reason in `WORDS`, for all who see the deletion")
	yes := c.Flags().Bool("yes", false, "do not ask: the backup is deleted")
	c.PreRunE = needsReason(why)
	return sh.calling(c, func(ctx context.Context, r remote, args []string) error {
		if !*yes {
			if !terminal(r.Stdin) || !terminal(r.Stderr) {
				return usage.Error("lifeboat delete: the backup would be deleted, and there is no terminal to ask at: say --yes if it may be\n")
			}
			if err := r.mayDelete(ctx, args[0]); err != nil {
				return err
			}
		}
		return r.changeHold(ctx, args[0], "delete", map[string]string{"reason": *why})
	})
}

// mayDelete shows the recovery point, and returns nil if the person then types the name of its target.
func (r remote) mayDelete(ctx context.Context, id string) error {
	a, err := r.Do(ctx, client.Call{Method: http.MethodGet, Path: "/api/recovery-points/" + url.PathEscape(id)})
	if err != nil {
		return err
	}
	p, err := readPoint(a.Body)
	if err != nil {
		return err
	}
	name := p.Target[strings.LastIndex(p.Target, "/")+1:]
	gone := "soon"
	if soft := time.Duration(p.SoftDelete) * time.Second; soft > 0 {
		gone = r.clock.At(r.clock.Now.Add(soft))
	}
	fmt.Fprintf(r.Stderr, "%s  %s\nThe backup of %s of %s is DELETED, at %s. Type %s to go on: ", p.ID,
		text.Standing(r.clock, p.Point), text.Plain(name), r.clock.Ago(p.Created), gone, text.Plain(name))
	typed, err := r.line(ctx, "nothing was deleted")
	if err != nil {
		return err
	}
	if !strings.EqualFold(strings.TrimSpace(typed), name) {
		return errors.New("that is not its name: nothing was deleted")
	}
	return nil
}

// undeleteCommand ends the soft deletion of a recovery point.
func (sh Shell) undeleteCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "undelete ID --reason WORDS",
		Short: "Takes the deletion of a recovery point back, and holds it", SuggestFor: []string{"recover", "undo"},
		Long: `Takes the deletion of a soft-deleted recovery point back, and holds it: until
the TIME, or until lifeboat release. Without the hold, the policy that has
deleted it would do so again.

A TIME is a duration from now, such as 30d, a date such as 2027-01-31, or a time
of RFC 3339.`,
		Args: usage.Exactly("ID"),
		ValidArgsFunction: sh.first(func(ctx context.Context, r remote, _ string) []string {
			return pointWords(ctx, r, "", backup.SoftDeleted)
		}),
		Example: `  lifeboat undelete b9fe65725851ae21-8225595999-2a3b62b53ddb --reason "case 4711"
  lifeboat undelete b9fe65725851ae21-8225595999-2a3b62b53ddb --reason "the audit needs it" --until 30d`,
	}
	return sh.holding(c, "undelete")
}
