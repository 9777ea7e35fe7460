package ccfwriter

// The rows below let a test write things that no service writes into a transaction.

// ServiceRow names the service.
func (l *Ledger) ServiceRow() Write {
	return one("public:ccf.gov.service.info", object(map[string]any{"cert": l.service.pem, "status": "Recovering"}))
}

// PreviousRow names the service as the one before.
func (l *Ledger) PreviousRow() Write {
	return one("public:ccf.gov.service.previous_service_identity", text(l.service.pem))
}

// LastRootRow names the root of the last signature as that of the service before.
func (l *Ledger) LastRootRow() Write {
	return one("public:ccf.internal.previous_service_last_signed_root", text(l.Root()))
}

// EndorsementRow is an endorsement of the service by itself.
func (l *Ledger) EndorsementRow() Write { return l.endorse() }

// Usurp lets a node of another service sign from now on.
func (l *Ledger) Usurp(other *Ledger) { l.node = other.node }
