package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"lifeboat/internal/api"
)

// list is a list of the API about one target, newest first, and the form of its table.
type list[T any] struct {
	path, what string
	columns    []string
	read       func(text []byte) (T, error)
	row        func(T) string // with tabs between the columns
}

// command makes the command that prints the list.
func (l list[T]) command(sh Shell, c *cobra.Command) *cobra.Command {
	top := c.Flags().Int("top", 0, "as many of them at once, up to 100 (20 without it)")
	all := c.Flags().Bool("all", false, "all of them")
	asJSON := jsonFlag(c)
	c.GroupID, c.Args = ofApp, exactly("TARGET")
	c.PreRunE = func(c *cobra.Command, _ []string) error {
		if *top < 0 {
			return misuse(c, "--top is from 1 to 100")
		}
		return nil
	}
	c.RunE = sh.calling(func(ctx context.Context, r remote, args []string) error {
		return l.print(ctx, r, args[0], *top, *all, *asJSON)
	})
	return c
}

// print prints the first page of the list, or the whole of it.
func (l list[T]) print(ctx context.Context, r remote, target string, top int, all, asJSON bool) error {
	query := url.Values{"target": {target}}
	if all {
		top = cmp.Or(top, 100)
	}
	if top > 0 {
		query.Set("top", strconv.Itoa(top))
	}
	type page = api.Page[json.RawMessage]
	whole := page{Value: []json.RawMessage{}}
	for next := l.path + "?" + query.Encode(); next != ""; {
		a, err := r.do(ctx, call{method: http.MethodGet, path: next})
		if err != nil {
			return err
		}
		p, err := read(a.body, "is no list of "+l.what+"s", func(p page) bool { return p.Value != nil }) // the API's empty list is there
		if err != nil {
			return err
		}
		whole.Value, whole.NextLink, next = append(whole.Value, p.Value...), p.NextLink, ""
		if all {
			next, whole.NextLink = pathOf(p.NextLink), ""
		}
	}
	if asJSON {
		return json.NewEncoder(r.Stdout).Encode(whole)
	}
	table := newTable(r.Stdout, l.columns...)
	for _, text := range whole.Value {
		v, err := l.read(text)
		if err != nil {
			return err
		}
		fmt.Fprintln(table, l.row(v))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if whole.NextLink != "" {
		fmt.Fprintf(r.Stderr, "%s shown; there are older ones: --all, or --top up to 100\n", count(len(whole.Value), l.what))
	}
	return nil
}
