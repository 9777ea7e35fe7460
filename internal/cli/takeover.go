package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"lifeboat/internal/api"
	"lifeboat/internal/cli/client"
	"lifeboat/internal/cli/text"
	"lifeboat/internal/cli/usage"
)

// takeover is the answer to a takeover.
type takeover struct{ api.Takeover }

func (v takeover) ids() []string { return []string{v.Owner} }

func readTakeover(text []byte) (takeover, error) {
	return read(text, "tells of no takeover", func(v takeover) bool { return v.Owner != "" && v.From != "" })
}

func (sh Shell) takeoverCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "takeover APP", Short: "Has the app at LIFEBOAT_URL work in place of another app",
		Long: `Has the app at LIFEBOAT_URL work in place of the app APP, which has the same
storage account and has worked until now; lifeboat health names both. APP makes
no step and no backup any more, and the runs under way go on in the app at
LIFEBOAT_URL, by its plan.yaml and with its roles. A second call changes
nothing.

On a terminal it asks for the name of the app that loses. In a script say
--yes.`,
		Example: `  lifeboat takeover contoso-old --yes
  lifeboat takeover contoso-app/staging --yes`,
		Args: usage.Exactly("APP"),
	}
	yes := c.Flags().Bool("yes", false, "do not ask: the other app stops working")
	return sh.calling(c, func(ctx context.Context, r remote, args []string) error {
		if !*yes {
			if !terminal(r.Stdin) || !terminal(r.Stderr) {
				return usage.Error("lifeboat takeover: the other app would stop working, and there is no terminal to ask at: say --yes if it may\n")
			}
			fmt.Fprintf(r.Stderr, "The app %s stops working. Type %s to go on: ", text.Plain(args[0]), text.Plain(args[0]))
			typed, err := r.line(ctx, "nothing was taken over")
			if err != nil {
				return err
			}
			if !strings.EqualFold(strings.TrimSpace(typed), args[0]) {
				return errors.New("that is not its name: nothing was taken over")
			}
		}
		return asking(func(from string) client.Call {
			return client.Call{Method: http.MethodPost, Path: "/api/takeover", Body: map[string]string{"from": from}}
		}, readTakeover, func(r remote, _ context.Context, v takeover) error {
			_, err := fmt.Fprintln(r.Stdout, text.Plain(fmt.Sprintf("%s works in place of %s since %s", v.Owner, v.From, r.clock.At(v.Since))))
			return err
		})(ctx, r, args)
	})
}
