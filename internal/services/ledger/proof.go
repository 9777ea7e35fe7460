package ledger

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/services/ledger/ccf"
)

// verify goes on with the verification of the ledger until it has ended, or the step has read enough. A ledger that does not verify is
// no backup.
func (s *step) verify(ctx context.Context, over func() bool) (report ccf.Report, ended bool, err error) {
	earlier := ccf.Earlier{
		Transaction: backup.FactOf(s.attempt.Earlier, factSigned), Root: backup.FactOf(s.attempt.Earlier, factRoot),
	}
	v, err := ccf.New(s.source, ccf.Options{Earlier: earlier}, s.Ledger)
	if err != nil { // an older version wrote it: verify again
		s.progress = progress{}
		v, err = ccf.New(s.source, ccf.Options{Earlier: earlier}, nil)
	}
	for !ended && err == nil {
		mark := s.fetched
		ended, err = v.Run(ctx, func() bool { return over() || s.fetched-mark >= saveBytes || v.Unfinished() })
		if err != nil {
			break
		}
		if v.Unfinished() {
			return report, false, s.unfinished(v.Report())
		}
		if s.Ledger, err = v.Checkpoint(); err == nil {
			err = s.save()
		}
		if over() {
			break
		}
	}
	if report = v.Report(); ended && err == nil && !report.Proven() {
		err = s.unproven(report)
	}
	return report, ended, err
}

// unfinished is the fault of a share that is still being written.
func (s *step) unfinished(r ccf.Report) *backup.Fault {
	s.last = backup.Verification{}
	return &backup.Fault{
		Kind: backup.Retryable, Code: "StillBeingWritten",
		Message: place(s.attempt.Storage, s.attempt.Artifact) + " is still being written: " + said(r.Unfinished[0]),
		Hint:    "Lifeboat looks again.", RetryAfter: time.Minute,
	}
}

// unproven is the fault of a ledger that does not verify.
func (s *step) unproven(r ccf.Report) *backup.Fault {
	s.last = backup.Verification{}
	var words []string
	for _, f := range r.Errors {
		words = append(words, said(f))
	}
	if n := r.MoreErrors; n > 0 {
		words = append(words, fmt.Sprintf("%d more", n))
	}
	f := noArtifact(s.attempt, "LedgerNotProven", "does not prove itself: "+strings.Join(words, "; "))
	f.Hint += " docs/ledger.md explains the words."
	return f
}

// said puts a finding into words.
func said(f ccf.Finding) string {
	words := string(f.Code)
	if f.File != "" {
		words += " in " + f.File
	}
	if f.Transaction != "" {
		words += " at transaction " + f.Transaction
	}
	return words + ": " + f.Text
}

// These are the names of facts.
const (
	factLast         = "lastTransaction"
	factSigned       = "lastSignedTransaction"
	factRoot         = "root"
	factSignedAt     = "signedAt"
	factService      = "serviceKeySha256"
	factTransactions = "transactions"
	factUnsigned     = "unsignedTransactions"
	factNodes        = "nodeSignatures"
	factServices     = "serviceSignatures"
	factSnapshot     = "snapshot"
)

// facts are the facts that a ledger tells of itself.
func facts(r ccf.Report) []backup.Fact {
	all := []backup.Fact{
		{Name: factLast, Value: r.Last}, {Name: factSigned, Value: r.Signed}, {Name: factRoot, Value: r.Root},
	}
	if r.Unsigned > 0 {
		all = append(all, backup.Fact{Name: factUnsigned, Value: fmt.Sprint(r.Unsigned)})
	}
	if r.SignedAt != nil {
		all = append(all, backup.Fact{Name: factSignedAt, Value: r.SignedAt.UTC().Format(time.RFC3339)})
	}
	all = append(
		all, backup.Fact{Name: factService, Value: r.Service}, backup.Fact{Name: factTransactions, Value: fmt.Sprint(r.Transactions)},
		backup.Fact{Name: factNodes, Value: fmt.Sprint(r.NodeSignatures)}, backup.Fact{Name: factServices, Value: fmt.Sprint(r.COSESignatures)},
	)
	if n := len(r.Snapshots); n > 0 {
		all = append(all, backup.Fact{Name: factSnapshot, Value: r.Snapshots[n-1].Name})
	}
	return all
}

// seqno is the number of a transaction in its ID, without its view; 0 if there is none.
func seqno(id string) uint64 {
	_, digits, _ := strings.Cut(id, ".")
	n, _ := strconv.ParseUint(digits, 10, 64)
	return n
}

// doubt says why a ledger that proves itself may be another one than it should be.
func (s *step) doubt(r ccf.Report) backup.Reason {
	b, _ := read(s.attempt.Blocks)
	pinned, _ := Pin(b.ServiceCertificate)
	share, earlier := place(s.attempt.Storage, s.attempt.Artifact), backup.FactOf(s.attempt.Earlier, factSigned)
	switch {
	case pinned != "" && r.Service != pinned:
		return backup.NewReason("ServiceIdentityDiffers", fmt.Sprintf("the ledger in %s is signed by a service whose public key has the SHA-256 %s, and "+
			"ccf.serviceCertificate in plan.yaml has %s", share, cmp.Or(r.Service, "(none)"), pinned),
			"If the service was recovered since, put its present certificate there. Else find out whose ledger this is.")
	case earlier == "" || r.Earlier == ccf.EarlierContained && seqno(r.Alone) <= seqno(earlier):
		return backup.Reason{}
	}
	why := "has another history before that transaction"
	switch r.Earlier {
	case ccf.EarlierMissing:
		why = "does not contain that transaction"
	case ccf.EarlierContained:
		why = "was recovered at " + r.Alone + " by a service that does not name the one before"
	}
	return backup.NewReason("LedgerNotContinued", fmt.Sprintf("the ledger in %s ends at the signed transaction %s, and %s: %s was the last signed one of the "+
		"recovery point %s", share, r.Signed, why, earlier, s.attempt.EarlierID),
		"The service was restored from an older backup or made anew, or this is an old or another copy: find out which.")
}
