package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lifeboat/internal/api"
	"lifeboat/internal/backup"
	"lifeboat/internal/cli/client"
	"lifeboat/internal/cli/names"
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

// retentionCommand has the command that previews a cleanup.
func (sh Shell) retentionCommand() *cobra.Command {
	c := usage.Group(&cobra.Command{
		Use: "retention", GroupID: ofApp, Short: "Says which recovery points stay, which go, and why",
		SuggestFor: []string{"preview", "prune", "cleanup", "keep"}, Example: "  lifeboat retention preview contoso-eu",
	})
	c.AddCommand(sh.previewCommand())
	return c
}

// previewCommand says what cleanup would delete.
func (sh Shell) previewCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "preview [TARGET]",
		Short: "Says which recovery points a cleanup would delete, and which stay",
		Long: `Says which recovery points of the target a cleanup would delete, which stay, and
why: now, or at a time to come if until then no backup is made and no person
does anything. It deletes nothing. Without TARGET it has a line for each target
of the app's plans.

A TIME is a duration from now, such as 30d, a date such as 2027-01-31, or a time
of RFC 3339.

With --plan the answer is as if the edited plan.yaml were active, and each
target had been backed up once since: an edit acts with the next backup.`,
		Args: usage.Optional("TARGET"), ValidArgsFunction: sh.first(targetWords),
		Example: `  lifeboat retention preview contoso-eu
  lifeboat retention preview contoso-eu --at 30d -o json
  lifeboat retention preview --plan plan.yaml`,
	}
	at := c.Flags().String("at", "", "the `TIME` of the cleanup")
	edited := c.Flags().String("plan", "", "the `FILE` of an edited plan.yaml")
	c = sh.calling(c, func(ctx context.Context, r remote, args []string) error {
		ask, err := r.questions(ctx, c, *at, *edited)
		if err != nil {
			return err
		}
		if len(args) == 0 {
			return r.previewAll(ctx, ask)
		}
		target, err := r.target(ctx, args[0])
		if err != nil {
			return err
		}
		v, document, err := r.retention(ctx, ask(target))
		if err != nil {
			return err
		}
		return r.show(document, v.ids(), func() error { return r.printRetention(v) })
	})
	c.GroupID = "" // its parent stands in a group
	return c
}

// questions returns the query about a target: at a time, "" is now; and under the plans of a file, "" is none.
func (r remote) questions(ctx context.Context, c *cobra.Command, at, edited string) (func(target string) url.Values, error) {
	common, err := r.moment(c, at)
	if err != nil || !c.Flags().Changed("plan") {
		return func(target string) url.Values {
			query := maps.Clone(common)
			query.Set("target", target)
			return query
		}, err
	}
	plans, _, err := r.Plans.File(edited, 1)
	if err != nil {
		return nil, err
	}
	if unknown := r.resolve(ctx, plans); len(unknown) > 0 {
		return nil, errors.New(strings.Join(unknown, "\n"))
	}
	return func(target string) url.Values {
		query := maps.Clone(common)
		query.Set("target", target)
		for _, p := range plans {
			if slices.ContainsFunc(p.Targets, func(one string) bool { return backup.Same(one, target) }) {
				text, _ := json.Marshal(api.KeepOf(p)) // numbers and names
				query.Add("keep", string(text))
			}
		}
		return query
	}, nil
}

// previewAll prints a line for each target.
func (r remote) previewAll(ctx context.Context, ask func(target string) url.Values) error {
	all, err := r.targets(ctx)
	if err != nil {
		return err
	}
	ids := all.ids()
	slices.Sort(ids)
	ids = slices.Compact(ids)
	documents, answers := make([]json.RawMessage, len(ids)), make([]retained, len(ids))
	for i, target := range ids {
		if answers[i], documents[i], err = r.retention(ctx, ask(target)); err != nil {
			return err
		}
	}
	document, _ := json.Marshal(map[string]any{"value": documents})
	return r.show(document, ids, func() error {
		labels := names.New(ids...)
		table := text.NewTable(text.Column{Name: "TARGET"}, text.Column{Name: "STAY"}, text.Column{Name: "SIZE"},
			text.Column{Name: "WAIT"}, text.Column{Name: "SIZE"}, text.Column{Name: "GO"}, text.Column{Name: "SIZE"})
		for i, v := range answers {
			row := []string{text.Plain(labels.Label(ids[i]))}
			for _, s := range v.sums() {
				row = append(row, strconv.Itoa(s.n), text.Size(s.size))
			}
			table.Row(row...)
		}
		if err := r.print(table); err != nil || len(answers) == 0 {
			return err
		}
		_, err := fmt.Fprint(r.Stdout, stoppedLine(answers[0]))
		return err
	})
}

// fates are the words for the recovery points that stay, that go on a later day, since no more of the target may go in one, and that go.
var fates = [3]struct{ one, many, mark string }{{"stays", "stay", text.Stays}, {"waits", "wait", text.Waits}, {"goes", "go", text.Goes}}

// fateOf returns the place of the point's fate.
func fateOf(p api.Retained) int {
	switch {
	case p.Waits:
		return 1
	case p.Stays:
		return 0
	}
	return 2
}

// sums counts the recovery points by their fates.
func (v retained) sums() (all [3]sum) {
	for _, p := range v.Value {
		all[fateOf(p)].add(p)
	}
	return all
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
		query, err := r.moment(c, *at)
		if err != nil {
			return err
		}
		query.Set("recoveryPoint", args[0])
		v, document, err := r.retention(ctx, query)
		if err != nil {
			return err
		}
		if len(v.Value) != 1 {
			return fmt.Errorf("the answer is about %s: is LIFEBOAT_URL the address of a Lifeboat app?", text.Count(len(v.Value), "recovery point"))
		}
		return r.show(document, v.ids(), func() error { return r.explain(ctx, v) })
	})
}

// moment returns the query about a time to come; "" is now.
func (r remote) moment(c *cobra.Command, at string) (url.Values, error) {
	query := url.Values{}
	if c.Flags().Changed("at") {
		then, err := r.clock.Read(at, 1)
		if err == nil && then.Before(r.clock.Now) {
			err = fmt.Errorf("%q is %s, which has passed: write a time to come, such as 30d", text.Plain(at), r.clock.Ago(then))
		}
		if err != nil {
			return nil, usage.Error(fmt.Sprintf("%s: --at: %v\n", c.CommandPath(), err))
		}
		query.Set("at", then.UTC().Format(time.RFC3339))
	}
	return query, nil
}

// retention asks which recovery points stay.
func (r remote) retention(ctx context.Context, query url.Values) (retained, []byte, error) {
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
	table := text.NewTable(text.Column{Name: "ID"}, text.Column{Name: "CREATED", Rank: 1}, text.Column{Name: "FATE"}, text.Column{Name: "UNTIL", Rank: 2},
		text.Column{Name: "WHY", Rank: 3, Cut: true})
	for _, p := range v.Value {
		why := strings.TrimPrefix(strings.Join(messages(p), "; "), "kept by plan "+p.Plan+", ") // the plan is seldom another one
		table.Row(text.Plain(p.ID), r.clock.At(p.Created), fates[fateOf(p)].one, r.clock.At(p.Next), text.Plain(why))
	}
	for i, fate := range slices.Backward(fates[:]) { // the best of several at one time comes last
		for _, p := range v.Value {
			if fateOf(p) == i {
				marks[p.Created] = fate.mark
			}
		}
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
	sums := v.sums()
	words := "at " + r.clock.At(v.At) + ": " + sums[0].words(fates[0].one, fates[0].many) + ", " + sums[2].words(fates[2].one, fates[2].many)
	if sums[1].n > 0 {
		words += "\n" + sums[1].words(fates[1].one, fates[1].many) + " to go on later days"
	}
	_, err := fmt.Fprint(r.Stdout, words+"\n"+stoppedLine(v))
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
	legend := text.Stays + " a recovery point stays   "
	if slices.Contains(slices.Collect(maps.Values(marks)), text.Waits) {
		legend += text.Waits + " waits to go   "
	}
	lines = append(lines, legend+text.Goes+" all of the day go   . there is none", "")
	return strings.Join(lines, "\n") + "\n"
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
	d.Row(fates[fateOf(one)].one, "at "+at)
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
	endless := slices.ContainsFunc(p.Holds, func(h api.Hold) bool { return h.Until.IsZero() })
	add(p.State != backup.Deleting && p.State != backup.SoftDeleted && !endless, "keep it at any age", "hold "+id+" --reason WORDS")
	add(p.State == backup.SoftDeleted, "take its deletion back", "undelete "+id+" --reason WORDS")
	add(p.State == backup.Suspect, "count it as verified", "accept "+id)
	add(len(p.Holds) > 0, "end a hold by a person", "release "+id)
	add(!p.Held.IsZero(), "end the hold by the restore", "confirm "+id)
	return text
}
