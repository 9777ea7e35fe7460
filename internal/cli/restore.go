package cli

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"lifeboat/internal/backup"
	"lifeboat/internal/restore"
)

// restore asks for a restore, and may wait for its end; or for its plan alone.
func (r remote) restore(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("restore", flag.ContinueOnError)
	body := map[string]any{"recoveryPoint": "latest"}
	for name, field := range map[string]string{
		"into": "into", "key": "key", "region": "restoreRegion", "reason": "reason", "reply-to": "replyTo", "expires": "expires",
	} {
		flags.Func(name, "", func(value string) error { body[field] = value; return nil })
	}
	points := 0 // an empty one, from a variable that is not set, is a mistake and does not mean the newest
	for name, prefix := range map[string]string{"point": "", "before": "latest before "} {
		flags.Func(name, "", func(value string) error {
			points++
			body["recoveryPoint"] = prefix + value
			return nil
		})
	}
	dry := flags.Bool("dry-run", false, "")
	wait := flags.Bool("wait", false, "")
	asJSON := flags.Bool("json", false, "")
	names, err := files(flags, args, 1)
	if err != nil || names[0] == "" || points > 1 || *dry && *wait {
		return cmp.Or(err, errUsage)
	}
	body["target"] = names[0]
	if body["key"] != nil {
		body["kind"] = backup.RestoreKey
	}
	if *dry {
		body["dryRun"] = true
	}
	a, err := r.ask(ctx, "/api/restores", body, fmt.Sprintf("%s shows whether the restore began", cmp.Or(body["into"], body["target"])))
	if err != nil {
		return err
	}
	if *dry {
		return r.dryRun(a, *asJSON)
	}
	return await(ctx, r, a, readRun, *wait, *asJSON)
}

// dryRun prints the plan of a restore; the error says why it may not be made.
func (r remote) dryRun(a answer, asJSON bool) error {
	p, err := read(a.body, "is no plan of a restore", func(p restore.Preview) bool { return p.Hash != "" })
	if err != nil {
		return err
	}
	if asJSON {
		err = r.document(a.body)
	} else {
		err = r.planTable(p)
	}
	if err != nil {
		return err
	}
	if why := p.Refusal(); why != nil {
		return fmt.Errorf("this restore would be refused: %s", plain(why.Code))
	}
	return nil
}

// planTable shows a plan, and the possible loss first.
func (r remote) planTable(p restore.Preview) error {
	table := newTable(r.Stdout)
	row := func(name string, values ...string) {
		for i, value := range values {
			if i > 0 {
				name = ""
			}
			if value = plain(value); value != "" {
				fmt.Fprintf(table, "%s\t%s\n", name, value)
			}
		}
	}
	row("restores into", p.Destination)
	row("overwrites", p.Overwrites...)
	row("not restored", p.NotIncluded...)
	row("from", p.Target)
	if q := p.Point; q != nil {
		row("recovery point", q.ID+", "+string(q.State))
		row("written", utc(q.Written)+", "+ago(q.Age)+" ago")
		row("size", bytesOf(q.Size))
	}
	row("allowed by plan", p.Plan)
	row("kind", strings.TrimSpace(string(p.Kind)+" "+p.Key))
	row("region", p.Region)
	safety := "none"
	if p.Safety {
		safety = "first, and held for 7 days unless confirmed"
	}
	row("safety backup", safety)
	row("calls", p.Calls...)
	fmt.Fprintln(table, "\nGUARD\tOUTCOME")
	var words strings.Builder // below the table: they are long
	for _, g := range p.Guards {
		fmt.Fprintf(table, "%s\t%s\n", plain(g.Name), plain(g.Outcome))
		if g.Reason != nil {
			fmt.Fprintf(&words, "\n%s: %s: %s\n", plain(g.Name), plain(g.Reason.Code), plain(g.Reason.Message))
			if g.Reason.Hint != "" {
				fmt.Fprintf(&words, "  %s\n", plain(g.Reason.Hint))
			}
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprint(r.Stdout, words.String())
	return err
}

// change returns the command for an action of a restore, the last part of the path; a second call changes nothing.
func change(action string) func(r remote, ctx context.Context, args []string) error {
	return func(r remote, ctx context.Context, args []string) error {
		return about(ctx, r, flag.NewFlagSet(action, flag.ContinueOnError), args, func(id string) call {
			return call{method: http.MethodPost, path: "/api/restores/" + url.PathEscape(id) + "/" + action}
		}, readRun, func(v run) error {
			line := fmt.Sprintf("%s  %s", v.ID, v.State)
			if v.Point != nil {
				line += "; safety backup: " + fate(*v.Point)
			}
			_, err := fmt.Fprintln(r.Stdout, plain(line))
			return err
		})
	}
}
