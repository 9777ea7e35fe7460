package ledger

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"lifeboat/internal/cli/text"
	"lifeboat/internal/cli/usage"
	"lifeboat/internal/services/ledger/ccf"
)

func (sh Shell) governanceCommand() *cobra.Command {
	var form string
	c := &cobra.Command{
		Use:   "governance " + argument,
		Short: "Tells who decided what, and whether their signatures hold",
		Long: `Tells the governance of a ledger: its members, constitutions, proposals, votes,
decisions, recoveries and openings of the service. It verifies the ledger, and
each message that a member signed, with the certificate of the member in the
ledger. Before CCF 4 members may have signed HTTP requests, which it does not
verify.

` + fromShare + `

The exit code is 1 if the copy is not proven, or a member's signature is wrong.`,
		Example: `  lifeboat ledger governance copy
  lifeboat ledger governance ` + examplePoint + `
  lifeboat ledger governance copy -o json`,
		Args:              usage.Exactly(argument),
		ValidArgsFunction: folders(1),
	}
	output(c, &form)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := formed(c, form); err != nil {
			return err
		}
		copied, err := sh.open(c.Context(), args[0])
		if err != nil {
			return err
		}
		g := ccf.NewGovernance()
		report, err := sh.read(c.Context(), copied, ccf.Options{}, ccf.Watcher{Held: g.Hold, Seen: func(t *ccf.Transaction) {
			_ = g.Take(t) // a table that cannot be read is a finding
		}})
		if err != nil {
			return err
		}
		if form == "json" {
			err = sh.document(governance{report.Proven(), report.Signed, g.Members(), append([]ccf.Event{}, g.Events...)})
		} else {
			err = sh.governance(g)
		}
		if err != nil {
			return err
		}
		return errors.Join(listed(copied.name, report), wrong(g.Events))
	}
	return c
}

// governance is the answer for programs.
type governance struct {
	Proven  bool         `json:"proven"`
	Signed  string       `json:"signed,omitempty"`
	Members []ccf.Member `json:"members"`
	Events  []ccf.Event  `json:"events"`
}

// wrong returns the error of messages that are not signed by their members.
func wrong(events []ccf.Event) error {
	var at []string
	for _, e := range events {
		if e.Signature == ccf.Wrong {
			at = append(at, e.Transaction)
		}
	}
	switch {
	case len(at) == 0:
		return nil
	case len(at) == 1:
		return fmt.Errorf("the signature of a member in %s is wrong", at[0])
	}
	return fmt.Errorf("the signatures of members in %d transactions are wrong, the first in %s", len(at), at[0])
}

func (sh Shell) governance(g *ccf.Governance) error {
	names := map[string]string{}
	members := text.NewTable(text.Column{Name: "member", Cut: true}, text.Column{Name: "status"}, text.Column{Name: "since"}, text.Column{Name: "id", Rank: 1})
	for _, m := range g.Members() {
		names[m.ID] = text.Plain(m.Name)
		if m.Name == "" {
			names[m.ID] = short(m.ID)
		}
		members.Row(names[m.ID], m.Status, m.Since, m.ID)
	}
	if len(names) > 0 {
		if err := members.Print(sh.Stdout, sh.Width()); err != nil {
			return err
		}
		fmt.Fprintln(sh.Stdout)
	}
	events := text.NewTable(text.Column{Name: "transaction"}, text.Column{Name: "event", Cut: true}, text.Column{Name: "member", Cut: true}, text.Column{Name: "signature"})
	counts := map[ccf.SignatureState]int{}
	for _, e := range g.Events {
		counts[e.Signature]++
		name := names[e.Member]
		if name == "" {
			name = short(e.Member)
		}
		events.Row(e.Transaction, event(e), name, string(e.Signature))
	}
	if err := events.Print(sh.Stdout, sh.Width()); err != nil {
		return err
	}
	return sh.signatures(g.Events, counts)
}

// event is an event in one line, with the start of the ID of its proposal.
func event(e ccf.Event) string {
	line := e.Text
	if e.Kind == ccf.DecisionEvent && len(e.Yes)+len(e.No) > 0 {
		line += fmt.Sprintf(", %d yes, %d no", len(e.Yes), len(e.No))
	}
	if e.Proposal != "" {
		line = "proposal " + short(e.Proposal) + ": " + strings.TrimPrefix(strings.TrimPrefix(line, "a proposal: "), "the proposal ")
	}
	return text.Plain(line)
}

// short is the start of an ID.
func short(id string) string { return id[:min(len(id), 8)] }

// signatures counts the signatures of members, and says what is wrong with each wrong one.
func (sh Shell) signatures(events []ccf.Event, counts map[ccf.SignatureState]int) error {
	if counts[ccf.Valid]+counts[ccf.Wrong]+counts[ccf.Unverified] == 0 {
		return nil
	}
	fmt.Fprintln(sh.Stdout)
	var d text.Details
	line := fmt.Sprintf("%d valid, %d wrong", counts[ccf.Valid], counts[ccf.Wrong])
	if n := counts[ccf.Unverified]; n > 0 {
		line += fmt.Sprintf(", %s not verified", text.Count(n, "HTTP request"))
	}
	d.Row("signatures", line)
	for _, e := range events {
		if e.Signature == ccf.Wrong {
			d.Row("wrong", e.Transaction+", "+short(e.Member)+": "+e.Problem)
		}
	}
	return d.Print(sh.Stdout, sh.Width())
}
