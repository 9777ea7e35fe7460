package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"lifeboat/internal/api"
	"lifeboat/internal/backup"
	"lifeboat/internal/cli/client"
	"lifeboat/internal/cli/text"
)

// point is the API's answer about a recovery point.
type point api.RecoveryPoint

func readPoint(text []byte) (point, error) {
	return read(text, "is no recovery point", func(p point) bool { return p.ID != "" })
}

func (p point) id() string { return p.ID }

func (p point) ids() []string { return []string{p.ID} }

// pointsCommand prints the recovery points of a target, newest first.
func (sh Shell) pointsCommand() *cobra.Command {
	return list[point]{
		path: "/api/recovery-points", what: "recovery point", columns: []text.Column{
			{Name: "ID"},
			{Name: "STATE"},
			{Name: "CREATED", Rank: 2},
			{Name: "AGE", Rank: 1},
			{Name: "SIZE", Rank: 4},
			{Name: "EXPIRES", Rank: 5},
			{Name: "PLAN", Rank: 6, Cut: true},
			{Name: "EVIDENCE", Rank: 7},
			{Name: "REASON", Rank: 3, Cut: true},
		},
		read: readPoint, id: point.id, row: func(r remote, p point) []string {
			return []string{
				text.Plain(p.ID), text.Plain(text.State(p.Point)), r.clock.At(p.Created), r.clock.Age(p.Created), text.Size(p.Size), r.clock.At(p.Expires),
				text.Plain(p.Plan), text.Evidence(r.clock, p.Point), text.Why(p.Point),
			}
		},
	}.command(sh, &cobra.Command{
		Use:   "points TARGET",
		Short: "Lists the target's recovery points, newest first", SuggestFor: []string{"backups", "list", "recovery-points", "snapshots"},
		Long: `Lists the target's recovery points in every state, newest first: 20, --top N
up to 100, or --all.`,
		Example: `  lifeboat points contoso-eu
  lifeboat points prod/payments --all -o json`,
	})
}

// acceptCommand makes a suspect recovery point a live one.
func (sh Shell) acceptCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "accept ID",
		Short: "Counts a suspect recovery point as verified",
		Long: `Counts a suspect recovery point as verified: it is good in spite of what looks
wrong. Then latest may mean it, and health counts it.`,
		ValidArgsFunction: sh.first(func(ctx context.Context, r remote, _ string) []string { return pointWords(ctx, r, "", backup.Suspect) }),
		Example:           `  lifeboat accept 0c650536f8140ca3-8225509599-2a3b62b53ddb --reason "half of the APIs moved to another service"`,
	}
	why := c.Flags().String("reason", "", "the reason in `WORDS`, for the log and the events")
	return about(sh, c, func(id string) client.Call {
		return client.Call{
			Method: http.MethodPost, Path: "/api/recovery-points/" + url.PathEscape(id) + "/accept", Body: map[string]string{"reason": *why},
		}
	}, readPoint, func(r remote, _ context.Context, p point) error {
		_, err := fmt.Fprintf(r.Stdout, "%s  %s, %s\n", p.ID, text.State(p.Point), text.Fate(r.clock, p.Point))
		return err
	})
}
