package cli

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"strings"

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

// points prints the recovery points of a target, newest first.
func (r remote) points(ctx context.Context, args []string) error {
	return list[api.RecoveryPoint]{
		path: "/api/recovery-points", what: "recovery point", columns: []string{"ID", "STATE", "CREATED", "SIZE", "EXPIRES", "PLAN", "DECISION/REASON"},
		read: readPoint, row: func(p api.RecoveryPoint) string {
			return fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s\t%s", p.ID, state(p.Point), utc(p.Created), bytesOf(p.Size), utc(p.Expires), p.Plan,
				why(p.Point))
		},
	}.print(ctx, r, args)
}

// accept makes a suspect recovery point a live one.
func (r remote) accept(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("accept", flag.ContinueOnError)
	why := flags.String("reason", "", "")
	return about(ctx, r, flags, args, func(id string) call {
		return call{
			method: http.MethodPost, path: "/api/recovery-points/" + url.PathEscape(id) + "/accept", body: map[string]string{"reason": *why},
		}
	}, readPoint, func(p api.RecoveryPoint) error {
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
