package cli

import (
	"context"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"lifeboat/internal/api"
	"lifeboat/internal/cli/client"
	"lifeboat/internal/cli/text"
	"lifeboat/internal/cli/usage"
)

// stopped is the answer to a stop, or to its end.
type stopped struct{ api.Stop }

func (v stopped) ids() []string { return []string{v.Reason} }

func readStop(text []byte) (stopped, error) {
	return read(text, "tells of no stop", func(v stopped) bool { return v.Stopped == (v.Reason != "") })
}

func (sh Shell) stopCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "stop", Short: "Stops deletions and restores in an incident",
		Long: `Stops the app at LIFEBOAT_URL in an incident: from then on nothing is deleted,
and no restore begins, in every instance of the app. A step that is being made
goes to its end. A restore waits, until it expires. Backups go on; with
--backups plans make no runs either. Backups under way go to their end, and
backups by hand are made.

A second call changes the words, and whether plans make runs. lifeboat resume
ends it.`,
		Example: `  lifeboat stop --reason "INC-7: who deleted the vault?"
  lifeboat stop --reason INC-7 --backups`,
		Args: usage.None,
	}
	reason := c.Flags().String("reason", "", "why, in `WORDS` for the people who find the app stopped")
	backups := c.Flags().Bool("backups", false, "plans make no runs either")
	return sh.calling(c, func(ctx context.Context, r remote, _ []string) error {
		if *reason == "" {
			return usage.Error("lifeboat stop: say why: --reason WORDS\n")
		}
		return r.changeStop(ctx, "/api/stop", map[string]any{"reason": *reason, "backups": *backups})
	})
}

func (sh Shell) resumeCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "resume", Short: "Ends a stop: deletions and restores go on",
		Long: `Ends what lifeboat stop has stopped: the next cleanup deletes what is past its
time, and restores that wait go on. Scheduled times that passed while plans
made no runs are missed. It does not end what the app setting LIFEBOAT_STOPPED
stops. A second call changes nothing.`,
		Example: "  lifeboat resume",
		Args:    usage.None,
	}
	return sh.calling(c, func(ctx context.Context, r remote, _ []string) error {
		return r.changeStop(ctx, "/api/resume", map[string]any{})
	})
}

func (r remote) changeStop(ctx context.Context, path string, body map[string]any) error {
	return asking(func(string) client.Call {
		return client.Call{Method: http.MethodPost, Path: path, Body: body}
	}, readStop, func(r remote, _ context.Context, v stopped) error {
		_, err := fmt.Fprintln(r.Stdout, r.stopLine(v.Stop))
		return err
	})(ctx, r, []string{""})
}

// stopLine says whether the app is stopped.
func (r remote) stopLine(v api.Stop) string {
	if !v.Stopped {
		return "not stopped: deletions and restores go on"
	}
	line := v.Reason + ": nothing is deleted, and no restore begins"
	if v.Backups {
		line += "; plans make no runs"
	}
	if v.Setting {
		line += "; the app setting LIFEBOAT_STOPPED must be removed: no call ends it"
	}
	return text.Plain(line)
}
