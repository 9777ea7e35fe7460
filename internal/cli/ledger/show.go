package ledger

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"lifeboat/internal/cli/text"
	"lifeboat/internal/cli/usage"
	"lifeboat/internal/services/ledger/ccf"
)

func (sh Shell) showCommand() *cobra.Command {
	var form string
	c := &cobra.Command{
		Use:   "show " + argument + " TXID",
		Short: "Shows what a transaction writes, and what proves it",
		Long: `Shows one transaction of a ledger: its file, the signature that covers it, and
the public keys that it writes or removes. It verifies the whole ledger, because
only that proves the transaction. The private part is not shown: only the
secrets of the ledger make it readable.

` + fromShare + `

The exit code is 3 if the transaction is not proven.
` + exitCodes,
		Example: `  lifeboat ledger show copy 2.3
  lifeboat ledger show ` + examplePoint + ` 2.3
  lifeboat ledger show copy 3 -o json`,
		Args:              usage.Exactly(argument, "TXID"),
		ValidArgsFunction: folders(1),
	}
	output(c, &form)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := formed(c, form); err != nil {
			return err
		}
		id, ok := parseID(args[1])
		if !ok {
			return usage.Misuse(c, "TXID is a transaction, such as 2.14 or 14")
		}
		copied, err := sh.open(c.Context(), args[0])
		if err != nil {
			return err
		}
		s := &show{seqno: id.seqno}
		report, err := sh.read(c.Context(), copied, ccf.Options{}, ccf.Watcher{Seen: s.seen, Settled: s.settled})
		if err != nil {
			return err
		}
		if err := s.found(copied.name, id, report); err != nil {
			return judged(err)
		}
		s.conclude(report)
		if form == "json" {
			err = sh.document(s.shown)
		} else {
			err = sh.transaction(s.shown)
		}
		if err != nil {
			return err
		}
		if !s.shown.Proven {
			err = fmt.Errorf("transaction %s is not proven: it is %s", s.shown.ID, why(s.shown.State))
		}
		return judged(errors.Join(err, copied.differs(report)))
	}
	return c
}

func why(s state) string {
	switch s {
	case signed:
		return "before no valid signature"
	case lastSignature:
		return "the last signature, which no later one covers"
	}
	return words[s]
}

// show finds one transaction.
type show struct {
	seqno uint64
	shown shown
	last  uint64 // the last signature
}

// shown is a transaction with its writes.
type shown struct {
	ID     string       `json:"transaction"`
	File   string       `json:"file"`
	Bytes  int64        `json:"bytes"`
	Leaf   string       `json:"leaf"`
	State  state        `json:"state"`
	Proven bool         `json:"proven"`
	By     string       `json:"signature,omitempty"`
	Root   string       `json:"root,omitempty"`
	Hidden int64        `json:"privateBytes,omitempty"`
	Writes []shownWrite `json:"writes"`

	view uint64
}

// shownWrite is a key that the transaction writes or removes: as a text if it is one, or in base64.
type shownWrite struct {
	Table      string  `json:"table"`
	Key        string  `json:"key,omitempty"`
	KeyBytes   []byte  `json:"keyBase64,omitempty"`
	Value      *string `json:"value,omitempty"`
	ValueBytes []byte  `json:"valueBase64,omitempty"`
	Removed    bool    `json:"removed,omitempty"`
}

// alone is the key of a table that has one value.
var alone = make([]byte, 8)

func (s *show) seen(t *ccf.Transaction) {
	if t.Seqno != s.seqno {
		return
	}
	s.shown = shown{ID: t.ID, File: t.File, Bytes: t.Size, Leaf: hex.EncodeToString(t.Leaf[:]), Hidden: t.Private, Writes: []shownWrite{}, view: t.View}
	_ = t.Writes(func(w ccf.Write) { // a table that cannot be read is a finding
		out := shownWrite{Table: w.Table, Removed: w.Removed}
		switch {
		case bytes.Equal(w.Key, alone):
		case readable(w.Key):
			out.Key = string(w.Key)
		default:
			out.KeyBytes = bytes.Clone(w.Key)
		}
		switch {
		case w.Removed:
		case readable(w.Value):
			value := string(w.Value)
			out.Value = &value
		default:
			out.ValueBytes = bytes.Clone(w.Value)
		}
		s.shown.Writes = append(s.shown.Writes, out)
	})
}

// readable says whether bytes are a text.
func readable(b []byte) bool {
	return utf8.Valid(b) && bytes.IndexFunc(b, func(r rune) bool { return unicode.IsControl(r) && !unicode.IsSpace(r) }) < 0
}

func (s *show) settled(by ccf.Settled) {
	s.last = by.To + 1
	if s.shown.ID == "" || s.shown.State != "" {
		return
	}
	if s.shown.State = settle(by, s.seqno); s.shown.State != notCompared {
		s.shown.By, s.shown.Root = by.By, hex.EncodeToString(by.Root[:])
	}
}

// found tells why there is no such transaction.
func (s *show) found(name string, want txID, r ccf.Report) error {
	switch {
	case s.shown.ID == "" && r.Last == "":
		return fmt.Errorf("%s has no transaction: lifeboat ledger verify %s says why", name, quoted(name))
	case s.shown.ID == "":
		return fmt.Errorf("%s has no transaction %d: it has %s to %s, and lifeboat ledger verify %s lists what is missing", name, want.seqno, r.First, r.Last, quoted(name))
	case want.view > 0 && want.view != s.shown.view:
		return fmt.Errorf("%s has transaction %d as %s, and not as %d.%[2]d", name, want.seqno, s.shown.ID, want.view)
	}
	return nil
}

// conclude says whether a valid signature proves the transaction.
func (s *show) conclude(r ccf.Report) {
	if s.shown.State == "" {
		s.shown.State = unsettled(s.seqno, s.last)
	}
	valid, ok := parseID(r.Signed)
	s.shown.Proven = ok && s.shown.State == signed && s.seqno < valid.seqno
}

// mostShown bounds the characters of a value that a person sees.
const mostShown = 400

func (sh Shell) transaction(t shown) error {
	var d text.Details
	d.Row("transaction", t.ID)
	d.Row("file", t.File)
	size := fmt.Sprintf("%d bytes", t.Bytes)
	if t.Hidden > 0 {
		size += fmt.Sprintf(", of which %d are private", t.Hidden)
	}
	d.Row("size", size)
	d.Row("leaf", t.Leaf)
	switch {
	case t.Proven:
		d.Row("proven by", "the signature "+t.By)
		d.Row("root", t.Root)
	default:
		d.Row("not proven", "it is "+why(t.State))
	}
	if err := d.Print(sh.Stdout, sh.Width()); err != nil {
		return err
	}
	if len(t.Writes) > 0 {
		fmt.Fprintln(sh.Stdout)
	}
	for i, w := range t.Writes {
		if i == 0 || t.Writes[i-1].Table != w.Table {
			fmt.Fprintln(sh.Stdout, text.Plain(w.Table))
		}
		var row text.Details
		row.Row(" ", strings.TrimSpace(key(w)+" "+value(w)))
		if err := row.Print(sh.Stdout, sh.Width()); err != nil {
			return err
		}
	}
	return nil
}

func key(w shownWrite) string {
	switch {
	case w.Key != "":
		return w.Key + ":"
	case w.KeyBytes != nil:
		return hex.EncodeToString(w.KeyBytes) + ":"
	}
	return ""
}

// value is the start of a value.
func value(w shownWrite) string {
	switch {
	case w.Removed:
		return "removed"
	case w.Value == nil:
		most := min(len(w.ValueBytes), 32)
		out := text.Count(len(w.ValueBytes), "byte") + ": " + hex.EncodeToString(w.ValueBytes[:most])
		if most < len(w.ValueBytes) {
			out += "…"
		}
		return out
	}
	out := slices.Collect(strings.SplitSeq(*w.Value, ""))
	if len(out) <= mostShown {
		return *w.Value
	}
	return strings.Join(out[:mostShown], "") + fmt.Sprintf("… (%d bytes, all with -o json)", len(*w.Value))
}
