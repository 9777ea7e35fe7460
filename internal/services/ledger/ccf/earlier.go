package ccf

import "encoding/hex"

// Earlier names the last signature of an earlier copy: its transaction, and the root that it signs, in hex.
type Earlier struct{ Transaction, Root string }

// Contained says whether a copy contains an earlier one.
type Contained string

// A copy contains the earlier one if all transactions before that signature are the same ones.
const (
	EarlierContained Contained = "contained"
	EarlierDiffers   Contained = "differs" // the transaction has other ones before it
	EarlierMissing   Contained = "missing" // the transaction is not in the copy, or not those before it
)

// meet compares the tree before the transaction of an earlier copy's last signature.
func (v *Verifier) meet() {
	if !v.known {
		return
	}
	root := v.tree.root()
	v.report.Earlier = EarlierDiffers
	if hex.EncodeToString(root[:]) == v.options.Earlier.Root {
		v.report.Earlier = EarlierContained
	}
}

// Unfinished says whether a file was found that is still being copied: to read on is of no use.
func (v *Verifier) Unfinished() bool { return len(v.report.Unfinished) > 0 }

// Order returns the names of the ledger's files in the order in which a Verifier reads them. Files that it leaves out, and snapshots, are
// not among them.
func Order(files []File) []string {
	var names []string
	for _, c := range arrange(Source{Files: files}).chunks {
		names = append(names, c.file.Name)
	}
	return names
}
