package cli

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lifeboat/internal/api"
	"lifeboat/internal/backup"
	"lifeboat/internal/cli/client"
	"lifeboat/internal/cli/text"
	"lifeboat/internal/cli/usage"
)

// retained is the answer to the question which recovery points of a target stay.
type retained struct{ api.Retention }

func readRetention(text []byte) (retained, error) {
	return read(text, "says nothing of recovery points", func(v retained) bool { return v.Value != nil && !v.At.IsZero() })
}

func (v retained) ids() []string {
	return each(v.Value, func(p api.Retained) string { return p.ID })
}

// mostMonths is the number of months that the calendar shows, unless it is to be wide.
const mostMonths = 15

// retentionCommand says what cleanup would delete.
func (sh Shell) retentionCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "retention TARGET",
		Short: "Says which recovery points stay, which go, and why", SuggestFor: []string{"preview", "forget", "prune", "cleanup", "keep"},
		Long: `Says which recovery points of the target a cleanup would delete, which stay, and
why: now, or at a time to come if until then no backup is made and no person
does anything. It deletes nothing.

A TIME is a duration from now, such as 30d, a date such as 2027-01-31, or a time
of RFC 3339.`,
		Args: usage.Exactly("TARGET"), ValidArgsFunction: sh.first(targetWords),
		Example: `  lifeboat retention contoso-eu
  lifeboat retention contoso-eu --at 30d -o json`,
	}
	at := c.Flags().String("at", "", "the `TIME` of the cleanup")
	return sh.calling(c, func(ctx context.Context, r remote, args []string) error {
		target, err := r.target(ctx, args[0])
		if err != nil {
			return err
		}
		v, document, err := r.retention(ctx, c, url.Values{"target": {target}}, *at)
		if err != nil {
			return err
		}
		return r.show(document, v.ids(), func() error { return r.printRetention(v) })
	})
}

// explainCommand says why a recovery point stays or goes.
func (sh Shell) explainCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "explain ID",
		Short: "Says why a recovery point stays or goes", SuggestFor: []string{"why"},
		Long: `Says why a cleanup would keep a recovery point, or delete it, with all reasons;
when that may change, and what a person can do. It changes nothing.

A TIME is a duration from now, such as 30d, a date such as 2027-01-31, or a time
of RFC 3339.`,
		Args: usage.Exactly("ID"), ValidArgsFunction: sh.first(func(ctx context.Context, r remote, _ string) []string {
			return pointWords(ctx, r, "", backup.Live, backup.CopyOnly, backup.Suspect, backup.Altered, backup.Deleting)
		}),
		Example: `  lifeboat explain 0c650536f8140ca3-8225336799-2a3b62b53ddb
  lifeboat explain 0c650536f8140ca3-8225595999-2a3b62b53ddb --at 90d`,
	}
	at := c.Flags().String("at", "", "the `TIME` of the cleanup")
	return sh.calling(c, func(ctx context.Context, r remote, args []string) error {
		v, document, err := r.retention(ctx, c, url.Values{"recoveryPoint": {args[0]}}, *at)
		if err != nil {
			return err
		}
		if len(v.Value) != 1 {
			return fmt.Errorf("the answer is about %s: is LIFEBOAT_URL the address of a Lifeboat app?", text.Count(len(v.Value), "recovery point"))
		}
		return r.show(document, v.ids(), func() error { return r.explain(ctx, v) })
	})
}

// retention asks which recovery points stay at the time; "" is now.
func (r remote) retention(ctx context.Context, c *cobra.Command, query url.Values, at string) (retained, []byte, error) {
	if c.Flags().Changed("at") {
		then, err := r.clock.Read(at, 1)
		if err == nil && then.Before(r.clock.Now) {
			err = fmt.Errorf("%q is %s, which has passed: write a time to come, such as 30d", text.Plain(at), r.clock.Ago(then))
		}
		if err != nil {
			return retained{}, nil, usage.Error(fmt.Sprintf("lifeboat %s: --at: %v\n", c.Name(), err))
		}
		query.Set("at", then.UTC().Format(time.RFC3339))
	}
	a, err := r.Do(ctx, client.Call{Method: http.MethodGet, Path: "/api/retention?" + query.Encode()})
	if err != nil {
		return retained{}, nil, err
	}
	v, err := readRetention(a.Body)
	return v, a.Body, err
}

// printRetention prints a calendar, a table and the sums.
func (r remote) printRetention(v retained) error {
	marks := map[time.Time]string{}
	var staying, going sum
	table := text.NewTable(text.Column{Name: "ID"}, text.Column{Name: "CREATED", Rank: 1}, text.Column{Name: "FATE"}, text.Column{Name: "UNTIL", Rank: 2},
		text.Column{Name: "WHY", Rank: 3, Cut: true})
	for _, p := range v.Value {
		if p.Stays {
			staying.add(p)
			marks[p.Created] = text.Stays
		} else if going.add(p); marks[p.Created] == "" {
			marks[p.Created] = text.Goes
		}
		why := strings.TrimPrefix(strings.Join(messages(p), "; "), "kept by plan "+p.Plan+", ") // the plan is seldom another one
		table.Row(text.Plain(p.ID), r.clock.At(p.Created), fateOf(p), r.clock.At(p.Next), text.Plain(why))
	}
	delete(marks, time.Time{}) // a point that cannot be read
	if _, err := fmt.Fprint(r.Stdout, r.months(marks)); err != nil {
		return err
	}
	if len(v.Value) > 0 {
		if err := r.print(table); err != nil {
			return err
		}
	}
	sums := fmt.Sprintf("at %s: %s, %s", r.clock.At(v.At), staying.words("stays", "stay"), going.words("goes", "go"))
	_, err := fmt.Fprint(r.Stdout, sums+"\n"+stoppedLine(v))
	return err
}

// sum counts recovery points, and their bytes.
type sum struct {
	n    int
	size int64
}

func (s *sum) add(p api.Retained) { s.n, s.size = s.n+1, s.size+p.Size }

func (s sum) words(one, many string) string {
	switch s.n {
	case 0:
		return "none " + one
	case 1:
		many = one
	}
	return fmt.Sprintf("%d %s (%s)", s.n, many, text.Size(s.size))
}

// months draws the newest months of the calendar, with its legend.
func (r remote) months(marks map[time.Time]string) string {
	if len(marks) == 0 {
		return ""
	}
	most := mostMonths
	if r.format == asWide {
		most = 0
	}
	lines, earlier := r.clock.Calendar(marks, cmp.Or(r.width, 80), most)
	if earlier > 0 {
		lines = append(lines, text.Count(earlier, "earlier month")+" left out")
	}
	lines = append(lines, text.Stays+" a recovery point stays   "+text.Goes+" all of the day go   . there is none", "")
	return strings.Join(lines, "\n") + "\n"
}

func fateOf(p api.Retained) string {
	if p.Stays {
		return "stays"
	}
	return "goes"
}

func messages(p api.Retained) []string {
	return each(p.Reasons, func(c api.RetentionReason) string { return c.Message })
}

// stoppedLine says that nothing goes while the app is stopped; "" if it is not.
func stoppedLine(v retained) string {
	if v.Stopped == "" {
		return ""
	}
	return "the app deletes nothing now: " + text.Plain(v.Stopped) + "\n"
}

// explain prints one point, with a line for each reason, and what changes that.
func (r remote) explain(ctx context.Context, v retained) error {
	one := v.Value[0]
	a, err := r.Do(ctx, client.Call{Method: http.MethodGet, Path: "/api/recovery-points/" + url.PathEscape(one.ID)})
	if err != nil {
		return err
	}
	p, err := readPoint(a.Body)
	if err != nil {
		return err
	}
	var d text.Details
	d.Row("recovery point", one.ID)
	d.Row("target", v.Target)
	d.Row("plan", one.Plan)
	d.Row("state", text.State(p.Point))
	d.Row("created", r.clock.Ago(one.Created))
	d.Row("size", text.Size(one.Size))
	at := r.clock.At(v.At)
	if v.At.After(r.clock.Now) {
		at = r.clock.Ago(v.At)
	}
	d.Row(fateOf(one), "at "+at)
	for i, message := range messages(one) {
		d.Row([]string{"because", "and because"}[min(i, 1)], message)
	}
	d.Row("changes next", r.changes(one, p))
	d.Row("stopped", v.Stopped)
	if err := d.Print(r.Stdout, r.width); err != nil {
		return err
	}
	_, err = fmt.Fprint(r.Stdout, remedies(one, p))
	return err
}

// changes says what changes the answer next.
func (r remote) changes(p api.Retained, is point) string {
	switch soft := p.State == backup.Live || p.State == backup.CopyOnly || p.State == backup.Suspect; {
	case !p.Stays && soft && is.SoftDelete > 0:
		return "a cleanup soft-deletes it"
	case !p.Stays:
		return "a cleanup deletes it for good"
	case p.Next.IsZero():
		return "with a new backup, or by a person"
	}
	return "perhaps from " + r.clock.At(p.Next) + " on; before that only with a new backup, or by a person"
}

// remedies are the commands by which a person changes the answer.
func remedies(one api.Retained, p point) string {
	id, text := text.Plain(one.ID), ""
	add := func(can bool, what, command string) {
		if can {
			text += "to " + what + ":\n  lifeboat " + command + "\n"
		}
	}
	add(p.State != backup.Deleting && p.State != backup.SoftDeleted, "keep it at any age", "hold "+id+" --reason WORDS")
	add(p.State == backup.SoftDeleted, "take its deletion back", "undelete "+id+" --reason WORDS")
	add(p.State == backup.Suspect, "count it as verified", "accept "+id)
	add(len(p.Holds) > 0, "end a hold by a person", "release "+id)
	add(!p.Held.IsZero(), "end the hold by the restore", "confirm "+id)
	return text
}
