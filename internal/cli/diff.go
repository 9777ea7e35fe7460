package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lifeboat/internal/api"
	"lifeboat/internal/backup"
	"lifeboat/internal/checkpoint"
	"lifeboat/internal/cli/client"
	"lifeboat/internal/cli/grants"
	"lifeboat/internal/cli/usage"
	"lifeboat/internal/diff"
	"lifeboat/internal/roles"
)

func (sh Shell) diffCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Lists the changes of an edit of plan.yaml",
		Long: `Lists the changes of an edit of plan.yaml, and their effect on targets,
scheduled times, the time for which recovery points are kept, and roles.

With LIFEBOAT_URL and a key of the function health in LIFEBOAT_HEALTH_KEY it
asks the app for what the next timer run does; else it says what it assumes.
For the targets that a plan selects it asks too, and for the recovery points
that expire by another keep: it lists them if they are more than half of a
target's. That needs a key of the function api in LIFEBOAT_KEY.`,
		Example: "  lifeboat plan diff old.yaml plan.yaml",
		Args:    usage.Exactly("OLD", "NEW"), ValidArgsFunction: files(2),
		RunE: func(c *cobra.Command, args []string) error { return sh.diff(c.Context(), args) },
	}
}

// diff prints the changes of an edit of plan.yaml, and their effect on scheduled times and recovery points.
func (sh Shell) diff(ctx context.Context, paths []string) error {
	old, _, err := sh.Plans.File(paths[0], 1)
	if err != nil {
		return err
	}
	edited, _, err := sh.Plans.File(paths[1], 1)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(sh.Stdout, strings.Join(sh.changes(ctx, old, edited), "\n"))
	return err
}

// changes returns the lines about an edit.
func (sh Shell) changes(ctx context.Context, old, edited []backup.Plan) []string {
	unknown := sh.resolve(ctx, old, edited)
	e := diff.Edit{Old: old, New: edited, Default: sh.Plans.Default}
	give, revoke := roles.Compare(roles.Of(old, sh.Plans.Services), roles.Of(edited, sh.Plans.Services))
	unknown = append(sh.falls(ctx, old, edited), unknown...)
	if lines := append(e.Lines(sh.basis(ctx, e)), grants.Lines(give, revoke)...); len(lines) > 0 {
		return append(lines, unknown...)
	}
	return append([]string{"nothing changes"}, unknown...)
}

// basis asks the app for its checkpoints, if the edit changes anything that they matter for. If it cannot be asked, the basis is an
// assumption.
func (sh Shell) basis(ctx context.Context, e diff.Edit) diff.Basis {
	why, app := "LIFEBOAT_URL is not set", strings.Trim(sh.Getenv("LIFEBOAT_URL"), " /\n")
	if strings.TrimSpace(app) != "" && !e.KeepsTimes() {
		v, err := sh.askHealth(ctx)
		if err == nil {
			return basisOf(v, app)
		}
		why = strings.TrimSpace(err.Error())
	}
	return diff.Assumed(e.Old, sh.Now, why)
}

// basisOf makes the basis from the app's health.
func basisOf(v api.Health, app string) diff.Basis {
	b := diff.Basis{
		Look:        checkpoint.Look{Now: v.Checked, Looked: v.Checked, Stopped: v.Stopped},
		Checkpoints: map[string]checkpoint.Checkpoint{},
	}
	for _, t := range v.Timers {
		if t.Timer == "schedule" && t.Silent {
			b.Looked = t.LastRun
		}
	}
	for _, c := range v.Checkpoints {
		b.Checkpoints[c.Plan] = c.Checkpoint()
	}
	b.Words = fmt.Sprintf("by the checkpoints of the app at %s, as if the timer run came at %s", app, b.Now.UTC().Format(time.RFC3339))
	return b
}

// askHealth asks the app at LIFEBOAT_URL for its health, once.
func (sh Shell) askHealth(ctx context.Context) (api.Health, error) {
	x, err := client.New(sh.Getenv, true, io.Discard)
	if err != nil {
		return api.Health{}, err
	}
	a, err := x.Do(ctx, client.Call{Method: http.MethodGet, Path: "/api/health", Expected: tellsHealth, Once: true})
	if err != nil {
		return api.Health{}, err
	}
	return readHealth(a.Body)
}
