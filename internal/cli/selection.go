package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"lifeboat/internal/api"
	"lifeboat/internal/backup"
	"lifeboat/internal/cli/client"
	"lifeboat/internal/cli/text"
	"lifeboat/internal/cli/usage"
)

// selection is the answer to a question for the targets that plans select.
type selection struct{ api.Selection }

func (v selection) ids() (ids []string) {
	for _, p := range v.Plans {
		ids = append(ids, p.Targets...)
	}
	return ids
}

func readSelection(text []byte) (selection, error) {
	return read(text, "tells of no selection", func(v selection) bool { return v.Plans != nil })
}

func (sh Shell) selectionCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "selection", Short: "Lists the targets that plans select",
		Long: `Lists the targets that plans with the field select have, as of the last look of
the app at LIFEBOAT_URL. The app looks once an hour, by its own identity, which
needs the role Reader on each subscription that a plan selects from.

A look that would take more than half of its services from a plan, or all of
several in one subscription, waits for a person, and the plans stay as they are:
the command shows which would leave. With --accept and the ID of that look they
leave.

The exit code is 1 if the last look failed, or if one waits.`,
		Example: "  lifeboat selection\n  lifeboat selection --accept 2f1c0d5e8b7a49633c1d2e3f40516273",
		Args:    usage.None,
	}
	id := c.Flags().String("accept", "", "lets count what waits under this ID")
	return sh.calling(c, func(ctx context.Context, r remote, _ []string) error {
		call := client.Call{Method: http.MethodGet, Path: "/api/selection"}
		if *id != "" {
			call = client.Call{Method: http.MethodPost, Path: "/api/selection/accept", Body: map[string]string{"id": *id}, RequestID: r.RequestID}
		}
		a, err := r.Do(ctx, call)
		if err != nil {
			return err
		}
		v, err := readSelection(a.Body)
		if err != nil {
			return err
		}
		if err := r.show(a.Body, v.ids(), func() error { return r.selection(ctx, v) }); err != nil {
			return err
		}
		switch {
		case v.Waiting != nil:
			return errors.New("a look waits for a person")
		case v.Error != nil:
			return errors.New("the last look failed")
		}
		return nil
	})
}

// selection prints the targets by plan, and below them what waits.
func (r remote) selection(ctx context.Context, v selection) error {
	if len(v.ids()) > 0 {
		labels, i := r.labels(ctx, v.ids()), 0
		table := text.NewTable(text.Column{Name: "PLAN"}, text.Column{Name: "TARGET", Cut: true, Distinct: true})
		for _, p := range v.Plans {
			for range p.Targets {
				table.Row(text.Plain(p.Plan), labels[i])
				i++
			}
		}
		if err := r.print(table); err != nil {
			return err
		}
	}
	var lines []string
	if len(v.ids()) > 0 {
		lines = append(lines, "")
	}
	for _, p := range v.Plans {
		lines = append(lines, fmt.Sprintf("plan %s selects %s", text.Plain(p.Plan), text.Count(len(p.Targets), "target")))
	}
	if w := v.Waiting; w != nil {
		lines = append(lines, fmt.Sprintf("since %s a look waits for a person: %s would leave", r.clock.At(w.Since), text.Count(len(w.Leaving), "target")))
		for _, one := range w.Leaving {
			lines = append(lines, "  "+text.Plain(one))
		}
		lines = append(lines, "if that is right: lifeboat selection --accept "+text.Plain(w.ID))
	}
	if v.Error != nil {
		lines = append(lines, "the last look failed: "+client.InWords(*v.Error))
	}
	if v.Looked.IsZero() {
		lines = append(lines, "not looked yet")
	} else {
		lines = append(lines, "looked at "+r.clock.Ago(v.Looked))
	}
	_, err := fmt.Fprintln(r.Stdout, strings.Join(lines, "\n"))
	return err
}

// resolve gives the plans that select the targets of the app's last look, in place, and says for each why they are not known.
func (sh Shell) resolve(ctx context.Context, all ...[]backup.Plan) (lines []string) {
	var picks []backup.Pick
	asked, why := false, ""
	for _, plans := range all {
		for at, p := range plans {
			if p.Select == nil {
				continue
			}
			if !asked {
				picks, why = sh.picked(ctx)
				asked = true
			}
			pick, known := backup.PickOf(picks, p.Name, *p.Select)
			if i := slices.IndexFunc(picks, func(one backup.Pick) bool { return one.Plan == p.Name }); !known && i >= 0 {
				pick = picks[i] // the app keeps these until it has looked
			}
			plans[at].Targets = p.With(pick)
			line := "? plan " + p.Name + ": the targets that it selects are not known: " + cmp.Or(why, "the app has not looked for them")
			if !known && !slices.Contains(lines, line) {
				lines = append(lines, line)
			}
		}
	}
	return lines
}

// picked asks the app at LIFEBOAT_URL for what its plans select, once; why says why that is not known.
func (sh Shell) picked(ctx context.Context) (picks []backup.Pick, why string) {
	if strings.TrimSpace(sh.Getenv("LIFEBOAT_URL")) == "" {
		return nil, "LIFEBOAT_URL is not set"
	}
	x, err := client.New(sh.Getenv, false, io.Discard)
	var a client.Answer
	if err == nil {
		a, err = x.Do(ctx, client.Call{Method: http.MethodGet, Path: "/api/selection", Once: true})
	}
	var v selection
	if err == nil {
		v, err = readSelection(a.Body)
	}
	if err != nil {
		return nil, strings.TrimSpace(err.Error())
	}
	for _, p := range v.Plans {
		picks = append(picks, backup.Pick{Plan: p.Plan, Key: p.Key, Targets: p.Targets})
	}
	return picks, ""
}
