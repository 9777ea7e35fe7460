package cli

import (
	"context"
	"io"
	"net/http"

	"github.com/spf13/cobra"

	"lifeboat/internal/api"
	"lifeboat/internal/cli/client"
	"lifeboat/internal/cli/diff"
	"lifeboat/internal/cli/usage"
)

func (sh Shell) diffCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Lists the changes of an edit of plan.yaml",
		Long: `Lists the changes of an edit of plan.yaml, and their effect on targets,
scheduled times, and the time for which recovery points are kept.

With LIFEBOAT_URL and a key of the function health in LIFEBOAT_HEALTH_KEY it
asks the app for what the next timer run does; else it says what it assumes.`,
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
	return diff.Edit{
		Old: old, New: edited, Default: sh.Plans.Default, Now: sh.Now, App: sh.Getenv("LIFEBOAT_URL"), Ask: sh.askHealth,
	}.Write(ctx, sh.Stdout)
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
