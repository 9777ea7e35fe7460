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
says of each row whether its transaction is damaged, or whether no signature
covers it. It verifies each message that a member signed, with the certificate
of the member in the ledger. Before CCF 4 members may have signed HTTP requests,
which it does not verify.

` + fromShare + `

The exit code is 3 if the copy is not proven, or a member's signature is wrong.
` + exitCodes,
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
		g := &governing{Governance: ccf.NewGovernance(), states: map[string]state{}}
		report, err := sh.read(c.Context(), copied, ccf.Options{}, ccf.Watcher{Held: g.Hold, Known: g.Know, Seen: g.seen, Settled: g.settled})
		if err != nil {
			return err
		}
		told := g.told(report)
		if form == "json" {
			err = sh.document(told)
		} else {
			err = sh.governance(told)
		}
		if err != nil {
			return err
		}
		return judged(errors.Join(listed(copied.name, report), wrong(told.Events)))
	}
	return c
}

// governing follows the governance, and whether a signature covers each transaction of it.
type governing struct {
	*ccf.Governance
	waiting []txID           // transactions with events that no signature has compared yet
	states  map[string]state // by the transaction
	last    uint64           // the last signature
}

func (g *governing) seen(t *ccf.Transaction) {
	before := len(g.Events)
	_ = g.Take(t) // a table that cannot be read is a finding
	if len(g.Events) > before {
		g.waiting = append(g.waiting, txID{t.View, t.Seqno})
	}
}

func (g *governing) settled(s ccf.Settled) {
	for _, id := range g.waiting {
		g.states[id.String()] = settle(s, id.seqno)
	}
	g.waiting, g.last = g.waiting[:0], s.To+1
}

// told is the governance with the state of each row.
func (g *governing) told(r ccf.Report) governance {
	valid, _ := parseID(r.Signed)
	for _, id := range g.waiting {
		g.states[id.String()] = unsettled(id.seqno, g.last)
	}
	at := func(transaction string) state {
		id, _ := parseID(transaction)
		s := g.states[transaction]
		if s == signed && id.seqno >= valid.seqno {
			return unsigned // the signatures after it are wrong
		}
		return s
	}
	out := governance{r.Proven(), r.Signed, []member{}, []happened{}}
	for _, m := range g.Members() {
		out.Members = append(out.Members, member{m, at(m.Since)})
	}
	for _, e := range g.Events {
		out.Events = append(out.Events, happened{e, at(e.Transaction)})
	}
	return out
}

// governance is the answer for programs.
type governance struct {
	Proven  bool       `json:"proven"`
	Signed  string     `json:"signed,omitempty"`
	Members []member   `json:"members"`
	Events  []happened `json:"events"`
}

// member is a member, with the state of the transaction of its status; none if a snapshot has the status.
type member struct {
	ccf.Member
	State state `json:"state,omitempty"`
}

// happened is an event, with the state of its transaction.
type happened struct {
	ccf.Event
	State state `json:"state"`
}

// marked puts the word for a state before a text.
func marked(s state, line string) string {
	if word := words[s]; word != "" {
		return strings.ToUpper(word) + ", " + line
	}
	return line
}

// wrong returns the error of messages that are not signed by their members.
func wrong(events []happened) error {
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

func (sh Shell) governance(g governance) error {
	names := map[string]string{}
	members := text.NewTable(text.Column{Name: "member", Cut: true}, text.Column{Name: "status"}, text.Column{Name: "since"}, text.Column{Name: "id", Rank: 1})
	for _, m := range g.Members {
		names[m.ID] = text.Plain(m.Name)
		if m.Name == "" {
			names[m.ID] = short(m.ID)
		}
		members.Row(names[m.ID], marked(m.State, m.Status), m.Since, m.ID)
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
		events.Row(e.Transaction, marked(e.State, event(e.Event)), name, string(e.Signature))
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
func (sh Shell) signatures(events []happened, counts map[ccf.SignatureState]int) error {
	if counts[ccf.Valid]+counts[ccf.Wrong]+counts[ccf.Unverified] == 0 {
		return nil
	}
	fmt.Fprintln(sh.Stdout)
	var d text.Details
	line := fmt.Sprintf("%d valid, %d wrong", counts[ccf.Valid], counts[ccf.Wrong])
	unknown := 0
	for _, e := range events {
		if e.Signature == ccf.Unverified && e.Problem != "" {
			unknown++
		}
	}
	if n := counts[ccf.Unverified] - unknown; n > 0 {
		line += fmt.Sprintf(", %s not verified", text.Count(n, "HTTP request"))
	}
	if unknown > 0 {
		line += fmt.Sprintf(", %d not verified: the certificates of their members are in none of the files", unknown)
	}
	d.Row("signatures", line)
	for _, e := range events {
		if e.Signature == ccf.Wrong {
			d.Row("wrong", e.Transaction+", "+short(e.Member)+": "+e.Problem)
		}
	}
	return d.Print(sh.Stdout, sh.Width())
}
