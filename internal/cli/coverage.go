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

// coverage is the answer to a question for the services that no plan has.
type coverage struct{ api.Coverage }

func (v coverage) ids() []string {
	return each(v.Services, func(u api.Uncovered) string { return u.ID })
}

func readCoverage(text []byte) (coverage, error) {
	return read(text, "tells of no coverage", func(v coverage) bool { return v.Services != nil && v.Subscriptions != nil })
}

func (sh Shell) coverageCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "coverage", Short: "Lists the services that no plan has",
		Long: `Lists the services in the subscriptions of the targets that no plan of the app
at LIFEBOAT_URL has. The app looks once an hour, by its own identity, which
needs the role Reader on each of these subscriptions: without that it says
could not look.

The exit code is 1 if there is such a service, or if the app could not look.`,
		Example: "  lifeboat coverage\n  lifeboat coverage -o name",
		Args:    usage.None,
	}
	return sh.calling(c, func(ctx context.Context, r remote, _ []string) error {
		a, err := r.Do(ctx, client.Call{Method: http.MethodGet, Path: "/api/coverage"})
		if err != nil {
			return err
		}
		v, err := readCoverage(a.Body)
		if err != nil {
			return err
		}
		if err := r.show(a.Body, v.ids(), func() error { return r.coverage(ctx, v) }); err != nil {
			return err
		}
		return v.verdict()
	})
}

// coverage prints the services, and below them where the app could not look.
func (r remote) coverage(ctx context.Context, v coverage) error {
	labels := r.labels(ctx, v.ids())
	table := text.NewTable(text.Column{Name: "SERVICE", Cut: true, Distinct: true}, text.Column{Name: "REGION", Rank: 2}, text.Column{Name: "BACKED UP"},
		text.Column{Name: "REASON", Rank: 1, Cut: true})
	for i, one := range v.Services {
		why := "no plan has it"
		state := "no"
		if one.Unfit != "" {
			state, why = "cannot be", one.Unfit
		}
		table.Row(labels[i], text.Plain(one.Location), state, text.Plain(why))
	}
	if len(v.Services) > 0 {
		if err := r.print(table); err != nil {
			return err
		}
	}
	var lines []string
	if v.Omitted > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", v.Omitted))
	}
	if len(v.Services) > 0 {
		lines = append(lines, "")
	}
	for _, s := range v.Subscriptions {
		id := text.Plain(s.ID)
		switch s.Status {
		case api.LookedThrough:
			lines = append(lines, fmt.Sprintf("subscription %s: %s that no plan has", id, text.Count(*s.Uncovered, "service")))
		case api.NotYet:
			lines = append(lines, fmt.Sprintf("subscription %s: not looked yet", id))
		default:
			lines = append(lines, fmt.Sprintf("subscription %s: could not look", id),
				"  Give the app's identity the role Reader there; Azure may take hours to show it:",
				"  az role assignment create --assignee-object-id OBJECT-ID --assignee-principal-type ServicePrincipal --role Reader \\",
				"    --scope /subscriptions/"+id)
		}
	}
	if v.Error != nil {
		lines = append(lines, "the last look failed: "+client.InWords(*v.Error))
	}
	if !v.Looked.IsZero() {
		lines = append(lines, "looked at "+r.clock.Ago(v.Looked))
	}
	_, err := fmt.Fprintln(r.Stdout, strings.Join(lines, "\n"))
	return err
}

// verdict is an error if a service is not backed up, or if it is not known.
func (v coverage) verdict() error {
	uncovered, unseen := 0, 0
	for _, s := range v.Subscriptions {
		if s.Uncovered == nil {
			unseen++
		} else {
			uncovered += *s.Uncovered
		}
	}
	var words []string
	if uncovered > 0 {
		words = append(words, text.Count(uncovered, "service")+" that no plan has")
	}
	if unseen > 0 {
		words = append(words, text.Count(unseen, "subscription")+" that the app did not look through")
	}
	if v.Error != nil {
		words = append(words, "the last look failed")
	}
	if len(words) == 0 {
		return nil
	}
	return errors.New(strings.Join(words, ", and "))
}
