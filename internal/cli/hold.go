package cli

import (
	"context"
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

// holdCommand keeps a recovery point from being deleted.
func (sh Shell) holdCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "hold ID --reason WORDS",
		Short: "Keeps a recovery point from being deleted", SuggestFor: []string{"keep", "pin", "lock", "protect"},
		Long: `Keeps a recovery point from being deleted, at any age: until the TIME, or until
it is released.

A TIME is a duration from now, such as 30d, a date such as 2027-01-31, or a time
of RFC 3339.`,
		Args: usage.Exactly("ID"),
		ValidArgsFunction: sh.first(func(ctx context.Context, r remote, _ string) []string {
			return pointWords(ctx, r, "", backup.Live, backup.CopyOnly, backup.Suspect, backup.Altered)
		}),
		Example: `  lifeboat hold 0c650536f8140ca3-8225509599-2a3b62b53ddb --reason "case 4711"
  lifeboat hold 0c650536f8140ca3-8225509599-2a3b62b53ddb --reason "until the audit is over" --until 30d`,
	}
	return sh.holding(c, "hold")
}

// holding completes a command whose call holds a recovery point.
func (sh Shell) holding(c *cobra.Command, call string) *cobra.Command {
	why := c.Flags().String("reason", "", "the reason in `WORDS`, for all who see the hold")
	until := c.Flags().String("until", "", "the `TIME` at which the hold ends")
	c.PreRunE = needsReason(why)
	return sh.calling(c, func(ctx context.Context, r remote, args []string) error {
		body := map[string]string{"reason": *why}
		if c.Flags().Changed("until") {
			end, err := r.clock.Read(*until, 1)
			if err == nil && !end.After(r.clock.Now) {
				err = fmt.Errorf("%q is %s, which has passed: write a time to come, such as 30d", text.Plain(*until), r.clock.Ago(end))
			}
			if err != nil {
				return usage.Error(fmt.Sprintf("lifeboat %s: --until: %v\n", call, err))
			}
			body["until"] = end.UTC().Format(time.RFC3339)
		}
		return r.changeHold(ctx, args[0], call, body)
	})
}

// needsReason refuses a command without its reason.
func needsReason(why *string) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, _ []string) error {
		if strings.TrimSpace(*why) == "" {
			return usage.Misuse(c, "it wants a --reason")
		}
		return nil
	}
}

// releaseCommand ends a hold.
func (sh Shell) releaseCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "release ID",
		Short: "Ends a hold of a recovery point", SuggestFor: []string{"unhold", "unpin", "unlock"},
		Long: `Ends a hold of a recovery point. If that is past its time and has no other hold,
it is deleted soon.

If the point has several holds, --hold says which one ends.`,
		Args:              usage.Exactly("ID"),
		ValidArgsFunction: sh.first(heldWords),
		Example: `  lifeboat release 0c650536f8140ca3-8225595999-2a3b62b53ddb
  lifeboat release 0c650536f8140ca3-8225595999-2a3b62b53ddb --hold fe05bcdcdc49`,
	}
	which := c.Flags().String("hold", "", "the ID of the `HOLD`")
	return sh.calling(c, func(ctx context.Context, r remote, args []string) error {
		hold := *which
		if hold == "" {
			a, err := r.Do(ctx, client.Call{Method: http.MethodGet, Path: "/api/recovery-points/" + url.PathEscape(args[0])})
			if err != nil {
				return err
			}
			p, err := readPoint(a.Body)
			if err != nil {
				return err
			}
			if hold, err = onlyHold(r.clock, p); err != nil {
				return err
			}
		}
		return r.changeHold(ctx, args[0], "release", map[string]string{"hold": hold})
	})
}

// onlyHold returns the ID of the one hold that the point has. The release names it, so that a repeat cannot end a later one.
func onlyHold(clock text.Clock, p point) (string, error) {
	switch {
	case len(p.Holds) == 1:
		return p.Holds[0].ID, nil
	case len(p.Holds) == 0 && !p.Held.IsZero():
		return "", fmt.Errorf("no person holds it: the restore %s does, until lifeboat confirm %[1]s", text.Plain(p.ID))
	case len(p.Holds) == 0:
		return "", fmt.Errorf("no person holds the recovery point %s", text.Plain(p.ID))
	}
	lines := []string{fmt.Sprintf("the recovery point has %d holds: say which one with --hold", len(p.Holds))}
	for _, h := range p.Holds {
		lines = append(lines, "  --hold "+text.Plain(h.ID)+"  "+text.Hold(clock, h))
	}
	return "", fmt.Errorf("%s", strings.Join(lines, "\n"))
}

// changeHold asks for a hold, its release, a deletion or its undo, and prints the point as it is then.
func (r remote) changeHold(ctx context.Context, id, what string, body map[string]string) error {
	return asking(func(id string) client.Call {
		return client.Call{Method: http.MethodPost, Path: "/api/recovery-points/" + url.PathEscape(id) + "/" + what, Body: body, RequestID: r.RequestID}
	}, readPoint, func(r remote, _ context.Context, p point) error {
		lines := []string{p.ID + "  " + text.Standing(r.clock, p.Point)}
		if d := p.SoftDeletion; d != nil {
			lines = append(lines, text.Plain(text.SoftDeletion(*d)))
		}
		for _, h := range p.Holds {
			lines = append(lines, "held "+text.Hold(r.clock, h))
		}
		_, err := fmt.Fprintln(r.Stdout, strings.Join(lines, "\n"))
		return err
	})(ctx, r, []string{id})
}

// heldWords are the newest recovery points of each target that people hold.
func heldWords(ctx context.Context, r remote, _ string) []string {
	return pointsThat(ctx, r, "", func(p point) bool { return len(p.Holds) > 0 })
}
