package cli

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"lifeboat/internal/api"
	"lifeboat/internal/backup"
)

func readPoint(text []byte) (api.RecoveryPoint, error) {
	return read(text, "is no recovery point", func(p api.RecoveryPoint) bool { return p.ID != "" })
}

// state returns the state of the point in words for people.
func state(p api.Point) string {
	if p.State == backup.CopyOnly {
		return copyOnly
	}
	return string(p.State)
}

// copyOnly is the name of a point from which Azure can restore nothing.
const copyOnly = "copy only"

// pointsCommand prints the recovery points of a target, newest first.
func (sh Shell) pointsCommand() *cobra.Command {
	return list[api.RecoveryPoint]{
		path: "/api/recovery-points", what: "recovery point", columns: []string{"ID", "STATE", "CREATED", "SIZE", "EXPIRES", "PLAN", "DECISION/REASON"},
		read: readPoint, row: func(p api.RecoveryPoint) string {
			return fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s\t%s", p.ID, state(p.Point), utc(p.Created), bytesOf(p.Size), utc(p.Expires), p.Plan,
				why(p.Point))
		},
	}.command(sh, &cobra.Command{
		Use:   "points TARGET",
		Short: "Lists the target's recovery points, newest first", SuggestFor: []string{"backups", "list", "recovery-points", "snapshots"},
		Long: `Lists the target's recovery points in every state, newest first: 20, --top N up to 100, or --all.`,
		Example: `  lifeboat points /subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/prod/providers/Microsoft.ApiManagement/service/contoso-eu
  lifeboat points /subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/prod/providers/Microsoft.ApiManagement/service/contoso-eu --all --json`,
	})
}

// acceptCommand makes a suspect recovery point a live one.
func (sh Shell) acceptCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "accept ID",
		Short: "Counts a suspect recovery point as verified",
		Long: `Counts a suspect recovery point as verified: it is good in spite of what looks wrong. Then latest may mean it, and health counts
it.`,
		Example: `  lifeboat accept 0a1b2c3d4e5f6071-8225311999-c0ffee000001 --reason "half of the APIs moved to another service"`,
	}
	why := c.Flags().String("reason", "", "the reason in words, for the log and the events")
	return about(sh, c, func(id string) call {
		return call{
			method: http.MethodPost, path: "/api/recovery-points/" + url.PathEscape(id) + "/accept", body: map[string]string{"reason": *why},
		}
	}, readPoint, func(r remote, p api.RecoveryPoint) error {
		_, err := fmt.Fprintf(r.Stdout, "%s  %s, %s\n", p.ID, state(p.Point), fate(p.Point))
		return err
	})
}

// fate says when a recovery point was or will be deleted.
func fate(p api.Point) string {
	until := backup.Later(p.Expires, p.Held)
	switch {
	case !p.Deleted.IsZero():
		return "deleted " + utc(p.Deleted)
	case p.Kept != nil: // live, suspect or a copy
		return strings.TrimSuffix(state(p)+", kept by storage until "+utc(p.Kept.Until), " until ")
	case p.State == backup.Live:
		return "kept until " + utc(until)
	case p.State == backup.Suspect, p.State == backup.CopyOnly:
		return state(p) + ", kept until " + utc(until)
	}
	return string(p.State)
}

// why returns the decision of cleanup, or the reason for which the point is suspect, or was accepted.
func why(p api.Point) string {
	switch {
	case p.Decision != "":
		return plain(p.Decision)
	case p.State == backup.Suspect:
		return code(p.Suspicion)
	case p.Safety:
		return "safety backup of the restore of the same ID"
	case p.Suspicion != nil:
		return plain(strings.TrimSuffix("accepted by "+p.AcceptedBy+": "+p.AcceptReason, ": "))
	}
	return ""
}
