package ledger

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"lifeboat/internal/cli/text"
	"lifeboat/internal/cli/usage"
	"lifeboat/internal/services/ledger/ccf"
)

func (sh Shell) logCommand() *cobra.Command {
	var form, table, from, to string
	var summary bool
	c := &cobra.Command{
		Use:   "log " + argument,
		Short: "Lists the transactions of a ledger by table",
		Long: `Lists the transactions of a ledger, with the public tables that each one
writes, and verifies them as it reads. It says which of them are damaged, and
which no signature covers. --summary counts the transactions of each table
instead.

` + fromShare + `

The exit code is 3 if the copy is not proven.
` + exitCodes,
		Example: `  lifeboat ledger log copy
  lifeboat ledger log copy --table "public:ccf.gov.*" --from 2.1 --to 2.5
  lifeboat ledger log copy --summary
  lifeboat ledger log ` + examplePoint + ` --summary`,
		Args:              usage.Exactly(argument),
		ValidArgsFunction: folders(1),
	}
	c.Flags().StringVar(&table, "table", "", "only writes to the `TABLE`, which may end with *")
	c.Flags().StringVar(&from, "from", "", "only transactions from this `TXID` on, such as 2.14 or 14")
	c.Flags().StringVar(&to, "to", "", "only transactions up to this `TXID`")
	c.Flags().BoolVar(&summary, "summary", false, "count the transactions and writes of each table")
	output(c, &form)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := formed(c, form); err != nil {
			return err
		}
		f := filter{table: table}
		for _, bound := range []struct {
			flag, text string
			id         *txID
		}{{"--from", from, &f.from}, {"--to", to, &f.to}} {
			if bound.text == "" {
				continue
			}
			id, ok := parseID(bound.text)
			if !ok {
				return usage.Misuse(c, "%s is a transaction, such as 2.14 or 14", bound.flag)
			}
			*bound.id = id
		}
		copied, err := sh.open(c.Context(), args[0])
		if err != nil {
			return err
		}
		p := sh.progress(copied.size())
		l := &log{filter: f, print: &tableRows{to: aside{p}, width: sh.Width()}}
		if form == "json" {
			l.print = &jsonRows{to: aside{p}}
		}
		if summary {
			l.tables = map[string]*tableCount{}
		}
		report, err := p.read(c.Context(), copied, ccf.Options{}, ccf.Watcher{Seen: l.seen, Settled: l.settled})
		if err != nil {
			return err
		}
		if l.wrongView != "" {
			if rows, ok := l.print.(*jsonRows); ok && rows.begun { // the document that was begun is closed
				if err := sh.endLog(l, form, report); err != nil {
					return err
				}
			}
			return judged(fmt.Errorf("%s has %s", copied.name, l.wrongView))
		}
		if err := sh.endLog(l, form, report); err != nil {
			return err
		}
		if !l.found && report.Last != "" {
			fmt.Fprintf(sh.Stderr, "no transaction %s\n", f)
		}
		return judged(listed(copied.name, report))
	}
	return c
}

// listed returns the error of a copy that is not proven, and names the command that lists the findings.
func listed(name string, r ccf.Report) error {
	if err := proven(name, r); err != nil {
		return fmt.Errorf("%w: lifeboat ledger verify %s lists them", err, quoted(name))
	}
	return nil
}

// txID is the ID of a transaction. Its view is 0 if the person did not name it.
type txID struct{ view, seqno uint64 }

// String is the ID as CCF writes it, without its view if that is not named.
func (id txID) String() string {
	if id.view == 0 {
		return fmt.Sprint(id.seqno)
	}
	return fmt.Sprintf("%d.%d", id.view, id.seqno)
}

func parseID(text string) (id txID, ok bool) {
	view, seqno, found := strings.Cut(text, ".")
	if !found {
		view, seqno = "0", text
	}
	var err, other error
	id.view, err = strconv.ParseUint(view, 10, 63)
	id.seqno, other = strconv.ParseUint(seqno, 10, 63)
	return id, err == nil && other == nil && id.seqno > 0 && (id.view > 0 || !found)
}

// filter chooses transactions.
type filter struct {
	table    string
	from, to txID
}

// String says what a transaction must be, behind "no transaction".
func (f filter) String() string {
	var words []string
	if f.from.seqno > 0 {
		words = append(words, "from "+f.from.String()+" on")
	}
	if f.to.seqno > 0 {
		words = append(words, "up to "+f.to.String())
	}
	if f.table != "" {
		words = append(words, "writes to the table "+text.Plain(f.table))
	}
	return strings.Join(words, ", ")
}

// misnamed says which bound names a transaction by another view than it has.
func (f filter) misnamed(t *ccf.Transaction) string {
	for _, bound := range []txID{f.from, f.to} {
		if bound.seqno == t.Seqno && bound.view > 0 && bound.view != t.View {
			return fmt.Sprintf("transaction %d as %s, and not as %s", t.Seqno, t.ID, bound)
		}
	}
	return ""
}

// has says whether a transaction with these tables is chosen.
func (f filter) has(seqno uint64, tables []tableWrites) bool {
	if seqno < f.from.seqno || f.to.seqno > 0 && seqno > f.to.seqno {
		return false
	}
	return f.table == "" || slices.ContainsFunc(tables, func(t tableWrites) bool { return f.matches(t.Name) })
}

func (f filter) matches(table string) bool {
	if prefix, ok := strings.CutSuffix(f.table, "*"); ok {
		return strings.HasPrefix(table, prefix)
	}
	return f.table == "" || table == f.table
}

// entry is a transaction in a list.
type entry struct {
	ID      string        `json:"transaction"`
	Bytes   int64         `json:"bytes"`
	Private int64         `json:"privateBytes,omitempty"`
	State   state         `json:"state"`
	By      string        `json:"signature,omitempty"` // the signature that compared it
	Tables  []tableWrites `json:"tables"`

	seqno uint64
}

// tableWrites counts the writes of a transaction to a table.
type tableWrites struct {
	Name     string `json:"name"`
	Writes   int    `json:"writes"`
	Removals int    `json:"removals,omitempty"`
}

// state says whether a signature covers a transaction.
type state string

const (
	signed        state = "signed"
	damaged       state = "damaged"
	notCompared   state = "notCompared"   // files between it and its signature are missing or damaged
	lastSignature state = "lastSignature" // no later signature covers it
	unsigned      state = "unsigned"
)

// words are the states for people; a transaction that is signed needs none.
var words = map[state]string{damaged: "damaged", notCompared: "not compared", lastSignature: "last signature", unsigned: "unsigned"}

// settle is the state of a transaction by a signature.
func settle(s ccf.Settled, seqno uint64) state {
	switch {
	case seqno < s.From:
		return notCompared
	case slices.Contains(s.Damaged, seqno):
		return damaged
	}
	return signed
}

// unsettled is the state of a transaction that no signature compared; last is the one of the last signature.
func unsettled(seqno, last uint64) state {
	if seqno == last {
		return lastSignature
	}
	return unsigned
}

// log lists transactions once a signature has compared them.
type log struct {
	filter  filter
	print   rowPrinter
	tables  map[string]*tableCount // for the summary, instead of a list
	waiting []entry
	last    uint64 // the last signature
	found   bool   // a transaction is chosen
	// wrongView says which bound has another view than its transaction.
	wrongView string
	err       error
}

type rowPrinter interface{ row(e entry) error }

func (l *log) seen(t *ccf.Transaction) {
	e := entry{ID: t.ID, Bytes: t.Size, Private: t.Private, Tables: []tableWrites{}, seqno: t.Seqno}
	_ = t.Writes(func(w ccf.Write) { // a table that cannot be read is a finding
		n := len(e.Tables) - 1
		if n < 0 || e.Tables[n].Name != w.Table {
			e.Tables = append(e.Tables, tableWrites{Name: w.Table})
			n++
		}
		if w.Removed {
			e.Tables[n].Removals++
		} else {
			e.Tables[n].Writes++
		}
	})
	l.wrongView = cmp.Or(l.wrongView, l.filter.misnamed(t))
	if l.wrongView != "" || !l.filter.has(e.seqno, e.Tables) {
		return
	}
	l.found = true
	if l.tables != nil {
		l.count(e)
		return
	}
	l.waiting = append(l.waiting, e)
}

func (l *log) settled(s ccf.Settled) {
	for _, e := range l.waiting {
		if e.State = settle(s, e.seqno); e.State != notCompared {
			e.By = s.By
		}
		l.put(e)
	}
	l.waiting, l.last = l.waiting[:0], s.To+1
}

func (l *log) put(e entry) {
	if l.err == nil {
		l.err = l.print.row(e)
	}
}

// end lists the transactions that no signature compared.
func (l *log) end() error {
	for _, e := range l.waiting {
		e.State = unsettled(e.seqno, l.last)
		l.put(e)
	}
	l.waiting = nil
	return l.err
}

// tableCount counts the transactions of a table.
type tableCount struct {
	Name         string `json:"name"`
	Transactions int    `json:"transactions"`
	Writes       int    `json:"writes"`
	Removals     int    `json:"removals"`
	First        string `json:"first"`
	Last         string `json:"last"`
}

func (l *log) count(e entry) {
	for _, t := range e.Tables {
		if !l.filter.matches(t.Name) {
			continue
		}
		c := l.tables[t.Name]
		if c == nil {
			c = &tableCount{Name: t.Name, First: e.ID}
			l.tables[t.Name] = c
		}
		c.Transactions++
		c.Writes += t.Writes
		c.Removals += t.Removals
		c.Last = e.ID
	}
}

// counts are the tables in the order of their names.
func (l *log) counts() []tableCount {
	counts := []tableCount{}
	for _, name := range slices.Sorted(maps.Keys(l.tables)) {
		counts = append(counts, *l.tables[name])
	}
	return counts
}

// endLog prints the rest.
func (sh Shell) endLog(l *log, form string, r ccf.Report) error {
	rest := logEnd{Proven: r.Proven(), Signed: r.Signed, Last: r.Last}
	switch {
	case l.tables == nil && form == "json":
		if err := l.end(); err != nil {
			return err
		}
		return l.print.(*jsonRows).end(rest)
	case l.tables == nil:
		return l.end()
	case form == "json":
		return sh.document(struct {
			Tables []tableCount `json:"tables"`
			logEnd
		}{l.counts(), rest})
	}
	t := text.NewTable(text.Column{Name: "table", Cut: true, Distinct: true}, text.Column{Name: "transactions"}, text.Column{Name: "writes"},
		text.Column{Name: "removals", Rank: 3}, text.Column{Name: "first", Rank: 2}, text.Column{Name: "last", Rank: 1})
	for _, c := range l.counts() {
		removals := ""
		if c.Removals > 0 {
			removals = fmt.Sprint(c.Removals)
		}
		t.Row(text.Plain(c.Name), fmt.Sprint(c.Transactions), fmt.Sprint(c.Writes), removals, c.First, c.Last)
	}
	return t.Print(sh.Stdout, sh.Width())
}

// logEnd says what is proven, behind the list.
type logEnd struct {
	Proven bool   `json:"proven"`
	Signed string `json:"signed,omitempty"`
	Last   string `json:"last,omitempty"`
}
