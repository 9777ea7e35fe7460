package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lifeboat/internal/api"
	"lifeboat/internal/check"
	"lifeboat/internal/cli/client"
	"lifeboat/internal/cli/names"
	"lifeboat/internal/cli/text"
	"lifeboat/internal/cli/usage"
)

// checked is the answer to a check of the app.
type checked struct{ api.Check }

func (v checked) ids() (all []string) {
	for _, f := range v.Findings {
		if f.Target != "" {
			all = append(all, f.Target)
		}
	}
	return all
}

func readCheck(text []byte) (checked, error) {
	return read(text, "tells of no check", func(v checked) bool { return !v.Began.IsZero() && v.Total > 0 })
}

func (sh Shell) appCheckCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "check", Short: "Has the app look at everything that its plans need",
		Long: `Has the app at LIFEBOAT_URL look, with its own identity, at everything that its
plans need: its queues and clock, the services, the accounts and containers for
the backups, and each role, also of the services. It changes nothing.

It lists what is not as it should be. "refused" will not work as it is; if a
role is missing, the commands that give it stand below the list. "could not
look" may be in order. A role takes up to half an hour to have an effect.

The exit code is 1 if anything is refused, or could not be looked at.`,
		Example: `  lifeboat check
  lifeboat check --plan nightly`,
		Args: usage.None,
	}
	plan := c.Flags().String("plan", "", "only what this `PLAN` needs")
	_ = c.RegisterFlagCompletionFunc("plan", sh.completing(planWords))
	return sh.calling(c, func(ctx context.Context, r remote, _ []string) error {
		body := map[string]any{}
		if *plan != "" {
			body["plan"] = *plan
		}
		for {
			a, err := r.Do(ctx, client.Call{Method: http.MethodPost, Path: "/api/check", Body: body, RequestID: r.RequestID, Expected: checkUnderWay})
			if err != nil {
				return err
			}
			if checkUnderWay(http.StatusConflict, a.Body) {
				fmt.Fprintln(r.Stderr, "waiting for a check of other plans")
				if !client.Sleep(ctx, checkPause) {
					return client.ErrStopped
				}
				continue
			}
			v, err := readCheck(a.Body)
			if err != nil {
				return err
			}
			if v.Ended.IsZero() {
				fmt.Fprintf(r.Stderr, "%d of %d looked at\n", v.Looked, v.Total)
				if !client.Sleep(ctx, time.Second) {
					return client.ErrStopped
				}
				continue
			}
			if err := r.show(a.Body, v.ids(), func() error { return r.printCheck(v) }); err != nil {
				return err
			}
			return v.failure()
		}
	})
}

// checkPause is the time after which the command asks again while a check of other plans is under way.
const checkPause = 5 * time.Second

// checkUnderWay tells whether the API answers that a check of other plans is under way.
func checkUnderWay(status int, body []byte) bool {
	var p struct {
		Error api.Problem `json:"error"`
	}
	return status == http.StatusConflict && json.Unmarshal(body, &p) == nil && p.Error.Code == "CheckUnderWay"
}

// resultWords are the words for the results.
var resultWords = map[check.Result]string{check.Refused: "refused", check.Unseen: "could not look", check.Warning: "warning"}

// printCheck prints the findings: a table, and the words and commands below.
func (r remote) printCheck(v checked) error {
	table := text.NewTable(text.Column{Name: "RESULT"}, text.Column{Name: "FOR", Cut: true}, text.Column{Name: "REASON", Rank: 1, Cut: true})
	label := names.New(v.ids()...).Label
	var words strings.Builder
	for _, f := range v.Findings {
		what := f.What
		if f.Target != "" {
			what = strings.ReplaceAll(what, f.Target, label(f.Target))
		}
		table.Row(resultWords[f.Result], text.Plain(what), text.Plain(f.Error.Code))
		fmt.Fprintf(&words, "\n%s: %s\n", text.Plain(f.Error.Code), text.Plain(f.Error.Message))
		for _, d := range f.Error.Details {
			if d.Code == "Hint" {
				fmt.Fprintf(&words, "  %s\n", text.Plain(d.Message))
			}
		}
		for _, command := range f.Commands {
			fmt.Fprintf(&words, "  %s\n", text.Plain(command))
		}
	}
	if len(v.Findings) > 0 {
		if err := table.Print(r.Stdout, r.width); err != nil {
			return err
		}
	}
	if strings.Contains(words.String(), `"$app"`) && v.Principal != "" {
		fmt.Fprintf(&words, "\nThe app's identity is app=%s\n", text.Plain(v.Principal))
	}
	if v.Omitted > 0 {
		fmt.Fprintf(&words, "\n%d more are not listed: check one plan alone with --plan\n", v.Omitted)
	}
	_, err := fmt.Fprintf(r.Stdout, "%s%d of %d ok, by the app's own identity, at %s\n", words.String(), v.Ok, v.Total, r.clock.At(v.Ended))
	return err
}

// failure is the reason for which the command ends with 1: nil if nothing was found but warnings.
func (v checked) failure() error {
	n := map[check.Result]int{}
	for _, f := range v.Findings {
		n[f.Result]++
	}
	switch {
	case n[check.Refused]+n[check.Unseen] > 0:
		return fmt.Errorf("%d refused, and %d could not be looked at", n[check.Refused], n[check.Unseen])
	case v.Omitted > 0:
		return fmt.Errorf("%d more are not listed", v.Omitted)
	case len(v.Findings) == 0 && v.Ok < v.Total:
		return fmt.Errorf("%d could not be looked at", v.Total-v.Ok)
	}
	return nil
}
