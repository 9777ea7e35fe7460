// Package ledger verifies and reads a copy of a CCF ledger, in a folder or in the file share of a recovery point, for people.
package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lifeboat/internal/cli/text"
	"lifeboat/internal/cli/usage"
	"lifeboat/internal/services/ledger"
	"lifeboat/internal/services/ledger/ccf"
)

// Shell is the environment of the command.
type Shell struct {
	Getenv         func(string) string
	Stdout, Stderr io.Writer
	// Shares makes what reads the shares of recovery points, with the sign-in of the environment.
	Shares func(getenv func(string) string) (ledger.Reader, error)
	// Now tells the time, for the speed.
	Now func() time.Time
	// Width returns the columns of the terminal; 0 means any number.
	Width func() int
	// Watched tells whether a person sees Stderr.
	Watched func() bool
}

// forms are the forms of the answer.
var forms = []string{"table", "json"}

// Command returns the command ledger.
func Command(sh Shell) *cobra.Command {
	group := usage.Group(&cobra.Command{
		Use: "ledger", Short: "Verifies and reads the files of a ledger", Example: "  lifeboat ledger verify copy",
	})
	group.AddCommand(sh.verifyCommand(), sh.logCommand(), sh.showCommand(), sh.governanceCommand(), sh.diffCommand())
	return group
}

func (sh Shell) verifyCommand() *cobra.Command {
	var every bool
	var form, certificate string
	c := &cobra.Command{
		Use:   "verify " + argument,
		Short: "Verifies the files of a ledger, in a folder or a recovery point",
		Long: `Verifies the ledger files and the snapshots in a folder and the folders below
it, such as a copy of the file share of a backup, for which it needs neither the
service nor the network. It recomputes the Merkle tree of all transactions,
compares it with each signature, and verifies the last signature of each service
identity, which proves all transactions before it.

` + fromShare + `

A ledger vouches for itself: compare the identity with a certificate that you
have from elsewhere, by --service-certificate. No file can tell whether newer
transactions are missing.

The exit code is 3 if something is wrong or is still being copied, or if no
signature proves anything.
` + exitCodes,
		Example: `  lifeboat ledger verify copy
  lifeboat ledger verify ` + examplePoint + `
  lifeboat ledger verify copy -o json`,
		Args:              usage.Exactly(argument),
		ValidArgsFunction: folders(1),
	}
	c.Flags().BoolVar(&every, "every-signature", false, "verify each signature, not only the last ones")
	c.Flags().StringVar(&certificate, "service-certificate", "", "its certificate in a `FILE`, or key's SHA-256")
	output(c, &form)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := formed(c, form); err != nil {
			return err
		}
		pinned, err := pinned(c, certificate)
		if err != nil {
			return err
		}
		copied, err := sh.open(c.Context(), args[0])
		if err != nil {
			return err
		}
		report, err := sh.read(c.Context(), copied, ccf.Options{EverySignature: every}, ccf.Watcher{})
		if err != nil {
			return err
		}
		if pinned != "" && report.Service != pinned && report.Last != "" {
			report.Errors = append(report.Errors, otherService(report.Service, pinned))
		}
		official := officialReader(copied, report)
		if form == "json" {
			err = sh.document(document{report.Proven(), copied.place(), report, official})
		} else {
			err = sh.table(copied, report, official)
		}
		if err != nil {
			return err
		}
		return judged(proven(copied.name, report))
	}
	return c
}

// proven returns the error of a copy that is not proven.
func proven(folder string, r ccf.Report) error {
	if r.Proven() {
		return nil
	}
	var why []string
	if n := len(r.Errors) + r.MoreErrors; n > 0 {
		why = append(why, text.Count(n, "error"))
	}
	if n := len(r.Unfinished) + r.MoreUnfinished; n > 0 {
		why = append(why, text.Count(n, "file")+" still being copied")
	}
	return errors.New(folder + " is not proven: " + strings.Join(why, ", "))
}

// document is the answer for programs.
type document struct {
	Proven bool   `json:"proven"`
	Point  *place `json:"recoveryPoint,omitempty"`
	ccf.Report
	Official *official `json:"officialReader,omitempty"`
}

func (sh Shell) document(answer any) error {
	content, err := json.MarshalIndent(answer, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(sh.Stdout, "%s\n", content)
	return err
}

func (sh Shell) table(c copied, r ccf.Report, o *official) error {
	var d text.Details
	if c.point != nil {
		d.Row("read from", c.point.Place())
		if c.differs(r) == nil {
			d.Row("compared", "it is as it was when the backup was verified")
		}
	}
	if r.Last != "" {
		d.Row("transactions", fmt.Sprintf("%d, from %s to %s", r.Transactions, r.First, r.Last), private(r.PrivateParts))
		d.Row("signatures", fmt.Sprintf("%d of nodes, %d of the service", r.NodeSignatures, r.COSESignatures))
		d.Row("proven up to", r.Signed)
		d.Row("root", r.Root)
	}
	if r.SignedAt != nil {
		d.Row("signed at", r.SignedAt.Format(time.RFC3339))
	}
	var identities []string
	for _, i := range slices.Backward(r.Identities) {
		identities = append(identities, known(i))
	}
	d.Row("identity", append(identities, more(r.MoreIdentities))...)
	var snapshots []string
	for _, s := range slices.Backward(r.Snapshots) {
		snapshots = append(snapshots, s.Name+": "+held(s))
	}
	d.Row("snapshot", append(snapshots, more(r.MoreSnapshots))...)
	if err := d.Print(sh.Stdout, sh.Width()); err != nil {
		return err
	}
	if err := sh.findings(r); err != nil || o == nil {
		return err
	}
	fmt.Fprintf(sh.Stdout, "\nthe official reader checks a part of this, and needs Python 3.12:\n")
	for _, command := range slices.Concat(o.Download, []string{o.Install}, o.Commands) {
		fmt.Fprintf(sh.Stdout, "  %s\n", command)
	}
	return nil
}

// known says which service it is, and since when.
func known(i ccf.Identity) string {
	switch {
	case i.KeySHA256 == "":
		return "not known from " + i.Over + " on: what is missing before that began another service"
	case i.Over != "":
		return i.KeySHA256 + " from " + i.Over + " on: its beginning is missing"
	case i.From != "":
		return i.KeySHA256 + " since " + i.From
	}
	return i.KeySHA256
}

func private(n uint64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d with a private part, whose bytes are proven and not readable", n)
}

func more(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("and %d more", n)
}

// held says what of a snapshot agrees with what.
func held(s ccf.Snapshot) string {
	switch {
	case s.Wrong:
		return "wrong: see the error"
	case s.InLedger && s.Tables > 0:
		return fmt.Sprintf("its receipt and %s agree with the ledger", text.Count(s.Tables, "public table"))
	case s.InLedger:
		return "its receipt agrees with the ledger"
	case s.Receipt:
		return "its receipt alone vouches for it"
	}
	return "wrong"
}

// findings prints each finding with all of its text: a person must act on it.
func (sh Shell) findings(r ccf.Report) error {
	var d text.Details
	for _, list := range []struct {
		name     string
		findings []ccf.Finding
		more     int
	}{{"error", r.Errors, r.MoreErrors}, {"unfinished", r.Unfinished, r.MoreUnfinished}, {"note", r.Notes, r.MoreNotes}} {
		for _, f := range list.findings {
			where := slices.DeleteFunc([]string{f.File, f.Transaction}, func(s string) bool { return s == "" })
			line := f.Text
			if len(where) > 0 {
				line = strings.Join(where, ", ") + ": " + line
			}
			d.Row(list.name+" "+string(f.Code), line)
		}
		d.Row(list.name, more(list.more))
	}
	if len(r.Errors)+len(r.Unfinished)+len(r.Notes) == 0 {
		return nil
	}
	if r.Last != "" || len(r.Snapshots) > 0 {
		fmt.Fprintln(sh.Stdout)
	}
	return d.Print(sh.Stdout, sh.Width())
}
