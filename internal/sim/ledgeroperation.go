package sim

import (
	"slices"
	"time"
)

// LedgerOperationKind is what a ledger was asked to do.
type LedgerOperationKind string

// The kinds.
const (
	LedgerBackup  LedgerOperationKind = "backup"
	LedgerExport  LedgerOperationKind = "filesExport"
	LedgerRestore LedgerOperationKind = "restore"
	LedgerCreate  LedgerOperationKind = "create"
	LedgerDelete  LedgerOperationKind = "delete"
)

// LedgerOperation is an operation that was accepted.
type LedgerOperation struct {
	// ID is the name of the operation in its status.
	ID string
	// Ledger is its resource ID.
	Ledger string
	Kind   LedgerOperationKind
	// Account and Share are where a backup goes or comes from; "" for other kinds, and as long as a backup has no share.
	Account, Share string
	Started        time.Time
	// Ended is zero while in progress.
	Ended time.Time
	State OperationState
	// Code and Message are the error of a failed one.
	Code, Message string
}

// LedgerOperations returns every accepted operation of all ledgers, oldest first.
func (s *Sim) LedgerOperations() []LedgerOperation {
	m := s.ledgers
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]LedgerOperation, len(m.operations))
	for i, o := range m.operations {
		all[i] = o.LedgerOperation
	}
	return all
}

// LedgerRequest is a request for an operation that reached Confidential Ledger or Managed CCF.
type LedgerRequest struct {
	At time.Time
	// Ledger is its resource ID.
	Ledger string
	Kind   LedgerOperationKind
	// APIVersion is that of the request.
	APIVersion string
	// Status is the answer's, whether or not it arrived; 0 when the request was lost on purpose.
	Status int
	// Operation is the ID of the operation that it started; "" when refused.
	Operation string
}

// LedgerRequests returns every request for an operation that reached Confidential Ledger or Managed CCF, in the order of
// their answers. Those that Resource Manager refused (401, 403, 404 and unknown versions) are not among them.
func (s *Sim) LedgerRequests() []LedgerRequest {
	s.ledgers.mu.Lock()
	defer s.ledgers.mu.Unlock()
	return slices.Clone(s.ledgers.requests)
}

// ledgerOperation is a LedgerOperation at work. Its fields are guarded by ledgers.mu, once it runs.
type ledgerOperation struct {
	LedgerOperation
	ledger *ledger
	knobs  LedgerKnobs // as they were at the start
	fault  Fault       // zero for none
}
