package ledger

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"lifeboat/internal/cli/text"
	"lifeboat/internal/cli/usage"
	"lifeboat/internal/services/ledger/ccf"
)

func (sh Shell) diffCommand() *cobra.Command {
	var form string
	var must bool
	c := &cobra.Command{
		Use:   "diff A B",
		Short: "Says where two ledgers part, and what one has more than the other",
		Long: `Compares two ledgers, transaction by transaction, and verifies both: up to where
they are the same, where they part, and what each one has that the other one
lacks. A ledger that goes on from another one contains it.

A and B are each a ` + argument + `.
` + fromShare + `

The exit code is 3 if they part, if a transaction differs, if one of them is not
proven, or with --must-contain if B does not have all transactions of A.
` + exitCodes,
		Example: `  lifeboat ledger diff copy newer
  lifeboat ledger diff copy newer --must-contain
  lifeboat ledger diff copy ` + examplePoint + `
  lifeboat ledger diff copy newer -o json`,
		Args:              usage.Exactly("A", "B"),
		ValidArgsFunction: folders(2),
	}
	c.Flags().BoolVar(&must, "must-contain", false, "it is an error if B does not contain A, the earlier one")
	output(c, &form)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := formed(c, form); err != nil {
			return err
		}
		var sides [2]copied
		for i := range sides {
			var err error
			if sides[i], err = sh.open(c.Context(), args[i]); err != nil {
				return err
			}
		}
		d, err := sh.compare(c.Context(), sides)
		if err != nil {
			return err
		}
		if form == "json" {
			err = sh.document(d)
		} else {
			err = sh.differences(d)
		}
		if err != nil {
			return err
		}
		return judged(errors.Join(d.wrong(must), listed(args[0], d.A.report), listed(args[1], d.B.report)))
	}
	return c
}

// relation says how two ledgers relate.
type relation string

const (
	same     relation = "same"
	aHasMore relation = "aHasMore"
	bHasMore relation = "bHasMore"
	bothMore relation = "bothHaveMore" // without a contradiction
	parted   relation = "parted"
	unshared relation = "nothingShared"
)

// difference tells the common part of two ledgers, and the rest of each.
type difference struct {
	Relation relation `json:"relation"`
	Shared   uint64   `json:"shared"` // transactions that are the same
	Last     string   `json:"lastShared,omitempty"`
	// PartedA and PartedB are the first transactions after which nothing is the same.
	PartedA string `json:"partedA,omitempty"`
	PartedB string `json:"partedB,omitempty"`
	// Differing are transactions that differ although later ones are the same: a copy is damaged.
	Differing     []string `json:"differing"`
	MoreDiffering int      `json:"moreDiffering,omitempty"`
	A             side     `json:"a"`
	B             side     `json:"b"`
}

// side is one of the ledgers, with what only it has.
type side struct {
	Folder       string       `json:"folder"`
	Proven       bool         `json:"proven"`
	Signed       string       `json:"signed,omitempty"`
	Service      string       `json:"service,omitempty"`
	Transactions uint64       `json:"onlyHere"`
	Ranges       []idRange    `json:"ranges"`
	MoreRanges   int          `json:"moreRanges,omitempty"`
	Tables       []tableCount `json:"tables"`

	report  ccf.Report
	only    log
	open    bool // the last range may go on
	lastSeq uint64
}

// idRange is a range of transactions.
type idRange struct {
	First string `json:"first"`
	Last  string `json:"last"`
}

// mostRanges bounds the lists of ranges and of differing transactions.
const mostRanges = 8

// add counts a transaction that only this side has.
func (s *side) add(t *ccf.Transaction) {
	s.Transactions++
	s.only.seen(t)
	n := len(s.Ranges)
	switch {
	case s.open && s.lastSeq+1 == t.Seqno && s.MoreRanges == 0:
		s.Ranges[n-1].Last = t.ID
	case s.open && s.lastSeq+1 == t.Seqno:
	case n == mostRanges:
		s.MoreRanges++
	default:
		s.Ranges = append(s.Ranges, idRange{t.ID, t.ID})
	}
	s.open, s.lastSeq = true, t.Seqno
}

// transactions reads a copy to its end, unless the consumer stops. Its last error is in *failed.
func transactions(ctx context.Context, c copied, show func(read int64), report *ccf.Report, failed *error) iter.Seq[*ccf.Transaction] {
	return func(yield func(*ccf.Transaction) bool) {
		v, err := ccf.New(c.source, ccf.Options{}, nil)
		if err != nil {
			*failed = err
			return
		}
		stopped := false
		v.Watch(ccf.Watcher{Seen: func(t *ccf.Transaction) { stopped = stopped || !yield(t) }})
		_, err = v.Run(ctx, func() bool {
			show(v.Read())
			return stopped || ctx.Err() != nil
		})
		show(v.Read())
		*report = v.Report()
		if err == nil && ctx.Err() == nil && !stopped {
			err = c.compare(ctx, report, func(more int64) { show(v.Read() + more) })
		}
		*failed = failure(ctx, c, err)
	}
}

// compare reads two copies side by side.
func (sh Shell) compare(ctx context.Context, sides [2]copied) (*difference, error) {
	d := &difference{Differing: []string{}}
	p := sh.progress(sides[0].size() + sides[1].size())
	defer p.clear()
	var read [2]int64
	var failed [2]error
	var next [2]func() (*ccf.Transaction, bool)
	for i, s := range []*side{&d.A, &d.B} {
		s.Folder, s.Ranges, s.only.tables = sides[i].name, []idRange{}, map[string]*tableCount{}
		show := func(n int64) {
			read[i] = n
			p.show(read[0] + read[1])
		}
		var stop func()
		next[i], stop = iter.Pull(transactions(ctx, sides[i], show, &s.report, &failed[i]))
		defer stop()
	}
	d.walk(next[0], next[1])
	if err := errors.Join(failed[:]...); err != nil {
		return nil, err
	}
	for _, s := range []*side{&d.A, &d.B} {
		s.Proven, s.Signed, s.Service, s.Tables = s.report.Proven(), s.report.Signed, s.report.Service, s.only.counts()
	}
	d.relate()
	return d, nil
}

// walk compares the transactions of both by their numbers. The leaf of a transaction covers all of its bytes.
func (d *difference) walk(nextA, nextB func() (*ccf.Transaction, bool)) {
	a, inA := nextA()
	b, inB := nextB()
	var differing []string // since the last one that is the same
	more := 0
	for inA || inB {
		switch {
		case inA && inB && a.Seqno == b.Seqno && a.Leaf == b.Leaf:
			d.Shared++
			d.Last, d.PartedA, d.PartedB = a.ID, "", ""
			for _, id := range differing {
				d.differs(id)
			}
			d.MoreDiffering += more
			differing, more = nil, 0
			d.A.open, d.B.open = false, false
			a, inA = nextA()
			b, inB = nextB()
		case inA && inB && a.Seqno == b.Seqno:
			if d.PartedA == "" {
				d.PartedA, d.PartedB = a.ID, b.ID
			}
			if len(differing) < mostRanges {
				differing = append(differing, a.ID)
			} else {
				more++
			}
			d.A.add(a)
			d.B.add(b)
			a, inA = nextA()
			b, inB = nextB()
		case !inB || inA && a.Seqno < b.Seqno:
			d.A.add(a)
			a, inA = nextA()
		default:
			d.B.add(b)
			b, inB = nextB()
		}
	}
}

func (d *difference) differs(id string) {
	if len(d.Differing) == mostRanges {
		d.MoreDiffering++
		return
	}
	d.Differing = append(d.Differing, id)
}

// damages counts the transactions that differ although later ones are the same.
func (d *difference) damages() int { return len(d.Differing) + d.MoreDiffering }

// hasMore says whether a side has transactions whose numbers the other one lacks, or that differ for good.
func (d *difference) hasMore(s *side) bool { return s.Transactions > uint64(d.damages()) }

func (d *difference) relate() {
	switch moreA, moreB := d.hasMore(&d.A), d.hasMore(&d.B); {
	case d.PartedA != "":
		d.Relation = parted
	case d.Shared == 0 && (moreA || moreB):
		d.Relation = unshared
	case moreA && moreB:
		d.Relation = bothMore
	case moreA:
		d.Relation = aHasMore
	case moreB:
		d.Relation = bHasMore
	default:
		d.Relation = same
	}
}

// wrong is the error of ledgers that contradict each other, or of a B that does not contain A as it must.
func (d *difference) wrong(must bool) error {
	if d.Relation == parted {
		return fmt.Errorf("the ledgers part: %s has %s, and %s has %s", d.A.Folder, d.PartedA, d.B.Folder, d.PartedB)
	}
	if must && d.Relation != same && d.Relation != bHasMore {
		return fmt.Errorf("%s does not contain %s: %s", d.B.Folder, d.A.Folder, d.sentence())
	}
	if n := d.damages(); n > 0 {
		return fmt.Errorf("one of the copies is damaged: they differ in %s", text.Count(n, "transaction"))
	}
	return nil
}

// sentence says in words how the ledgers relate.
func (d *difference) sentence() string {
	switch d.Relation {
	case same:
		if d.damages() > 0 {
			return "they are the same ledger, and one of the copies is damaged"
		}
		return "they are the same"
	case aHasMore:
		return "A contains B, and has more"
	case bHasMore:
		return "B contains A, and has more"
	case bothMore:
		return "each one has transactions that the other one lacks, and they do not contradict each other"
	case parted:
		if d.Shared == 0 {
			return "they are two ledgers: nothing is the same"
		}
		return "they part after " + d.Last + ": then A has " + d.PartedA + ", and B has " + d.PartedB
	}
	return "they have no transaction in common"
}

func (sh Shell) differences(d *difference) error {
	var out text.Details
	out.Row("A", d.A.Folder)
	out.Row("B", d.B.Folder)
	out.Row("result", d.sentence())
	if d.Shared > 0 {
		out.Row("the same", fmt.Sprintf("%s, up to %s", text.Count(int(d.Shared), "transaction"), d.Last))
	}
	for _, id := range d.Differing {
		out.Row("differs", id)
	}
	out.Row("differs", more(d.MoreDiffering))
	for _, s := range []struct {
		name string
		side *side
	}{{"only in A", &d.A}, {"only in B", &d.B}} {
		if d.hasMore(s.side) {
			out.Row(s.name, s.side.ranges()...)
		}
	}
	if d.A.Service != d.B.Service {
		out.Row("identity of A", d.A.Service)
		out.Row("identity of B", d.B.Service)
	}
	if err := out.Print(sh.Stdout, sh.Width()); err != nil {
		return err
	}
	names := map[string][2]string{}
	for i, s := range []*side{&d.A, &d.B} {
		for _, c := range s.Tables {
			counts := names[c.Name]
			counts[i] = fmt.Sprint(c.Transactions)
			names[c.Name] = counts
		}
	}
	if len(names) == 0 || d.Relation == same {
		return nil
	}
	fmt.Fprintln(sh.Stdout)
	t := text.NewTable(text.Column{Name: "table", Cut: true, Distinct: true}, text.Column{Name: "only in A"}, text.Column{Name: "only in B"})
	for _, name := range slices.Sorted(maps.Keys(names)) {
		t.Row(text.Plain(name), names[name][0], names[name][1])
	}
	return t.Print(sh.Stdout, sh.Width())
}

// ranges says which transactions only this side has.
func (s *side) ranges() []string {
	var lines []string
	for _, r := range s.Ranges {
		line := r.First
		if r.First != r.Last {
			line += " to " + r.Last
		}
		lines = append(lines, line)
	}
	if len(lines) == 1 && s.Transactions > 1 {
		lines[0] += fmt.Sprintf(", %d transactions", s.Transactions)
	}
	if s.MoreRanges > 0 {
		lines = append(lines, more(s.MoreRanges))
	}
	return lines
}
