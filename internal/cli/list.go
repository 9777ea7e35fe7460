package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"text/tabwriter"
)

// list is a list of the API about one target, newest first, and the form of its table.
type list struct {
	path, what string
	head       string // columns with tabs between
	row        func(text []byte) (string, error)
}

// list prints a page of the list, of --top N, or with --all the whole of it.
func (r remote) list(ctx context.Context, args []string, l list) error {
	flags := flag.NewFlagSet(l.what, flag.ContinueOnError)
	top := flags.Int("top", 0, "")
	all := flags.Bool("all", false, "")
	asJSON := flags.Bool("json", false, "")
	names, err := files(flags, args, 1)
	if err != nil || *top < 0 {
		return cmp.Or(err, errUsage)
	}
	query := url.Values{"target": {names[0]}}
	if *all {
		*top = cmp.Or(*top, 100)
	}
	if *top > 0 {
		query.Set("top", strconv.Itoa(*top))
	}
	type page struct {
		Value    []json.RawMessage `json:"value"`
		NextLink string            `json:"nextLink,omitempty"`
	}
	whole := page{Value: []json.RawMessage{}}
	for next := l.path + "?" + query.Encode(); next != ""; {
		a, err := r.do(ctx, call{method: http.MethodGet, path: next, tries: 5})
		if err != nil {
			return err
		}
		var p page
		if err := json.Unmarshal(a.body, &p); err != nil {
			return fmt.Errorf("read the answer: %w", err)
		}
		if p.Value == nil { // the API's empty list is there
			return fmt.Errorf("the answer is no list of %ss: is LIFEBOAT_URL the address of a Lifeboat app?", l.what)
		}
		whole.Value, whole.NextLink, next = append(whole.Value, p.Value...), p.NextLink, ""
		if *all {
			next, whole.NextLink = pathOf(p.NextLink), ""
		}
	}
	if *asJSON {
		return json.NewEncoder(r.stdout).Encode(whole)
	}
	table := tabwriter.NewWriter(r.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, l.head)
	for _, text := range whole.Value {
		row, err := l.row(text)
		if err != nil {
			return err
		}
		fmt.Fprintln(table, row)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if whole.NextLink != "" {
		fmt.Fprintf(r.stderr, "%s shown; there are older ones: --all, or --top up to 100\n", count(len(whole.Value), l.what))
	}
	return nil
}
