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
	"lifeboat/internal/cli/client"
	"lifeboat/internal/cli/text"
	"lifeboat/internal/cli/usage"
)

// list is a list of the API about one target, newest first, and the form of its table.
type list[T any] struct {
	path, what string
	columns    []text.Column
	read       func(text []byte) (T, error)
	row        func(r remote, v T) []string
	id         func(T) string
}

// command makes the command that prints the list.
func (l list[T]) command(sh Shell, c *cobra.Command) *cobra.Command {
	top := c.Flags().Int("top", 0, "`N` of them, up to 100")
	all := c.Flags().Bool("all", false, "all of them")
	c.Args, c.ValidArgsFunction = usage.Exactly("TARGET"), sh.first(targetWords)
	c.PreRunE = func(c *cobra.Command, _ []string) error {
		if c.Flags().Changed("top") && (*top < 1 || *top > 100) {
			return usage.Misuse(c, "--top is from 1 to 100")
		}
		return nil
	}
	return sh.listing(c, func(ctx context.Context, r remote, args []string) error { return l.print(ctx, r, args[0], *top, *all) })
}

// print prints the first page of the list, or the whole of it.
func (l list[T]) print(ctx context.Context, r remote, name string, top int, all bool) error {
	target, err := r.target(ctx, name)
	if err != nil {
		return err
	}
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
		a, err := r.Do(ctx, client.Call{Method: http.MethodGet, Path: next})
		if err != nil {
			return err
		}
		p, err := read(a.Body, "is no list of "+l.what+"s", func(p page) bool { return p.Value != nil }) // the API's empty list is there
		if err != nil {
			return err
		}
		whole.Value, whole.NextLink, whole.Pruned, next = append(whole.Value, p.Value...), p.NextLink, p.Pruned, ""
		if all {
			next, whole.NextLink = client.PathOf(p.NextLink), ""
		}
	}
	document, err := json.Marshal(whole)
	if err != nil {
		return err
	}
	table, ids := text.NewTable(l.columns...), []string{}
	for _, one := range whole.Value {
		v, err := l.read(one)
		if err != nil {
			return err
		}
		table.Row(l.row(r, v)...)
		ids = append(ids, l.id(v))
	}
	if err := r.show(document, ids, func() error { return r.print(table) }); err != nil {
		return err
	}
	if p := whole.Pruned; p != nil && !r.documents() {
		fmt.Fprintf(r.Stderr, "older ones were pruned (LIFEBOAT_HISTORY): %s, the newest of %s\n", text.Count(p.Runs, "run"), r.clock.At(p.Last))
	}
	if whole.NextLink != "" && !r.documents() {
		fmt.Fprintf(r.Stderr, "%s shown; there are older ones: --all, or --top up to 100\n", text.Count(len(whole.Value), l.what))
	}
	return nil
}
