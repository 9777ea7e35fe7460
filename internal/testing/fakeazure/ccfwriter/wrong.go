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

// ForgedEndorsementRow is an endorsement of the service before, which another service signed in the name of this one.
func (l *Ledger) ForgedEndorsementRow(other *Ledger) Write {
	claims := map[any]any{"epoch.start.txid": l.previous.from, "epoch.end.txid": l.before}
	return one("public:ccf.internal.previous_service_identity_endorsement", object(map[string]any{
		"endorsing_key": l.service.der, "endorsement_epoch_begin": l.previous.from, "endorsement_epoch_end": l.before,
		"endorsement": other.service.sign1(map[any]any{1: -35, "ccf.v1": claims}, nil, l.previous.der, l.previous.der),
	}))
}

// Usurp lets a node of another service sign from now on.
func (l *Ledger) Usurp(other *Ledger) { l.node = other.node }

// RecoverUnnamed is Recover by a service that does not name the one before it.
func (l *Ledger) RecoverUnnamed(form Form) { l.succeed(form, false) }

// Pretend changes the state that a snapshot has, without a transaction.
func (l *Ledger) Pretend(w Write) {
	if l.state[w.Table] == nil {
		l.state[w.Table] = map[string]value{}
	}
	l.state[w.Table][w.Key] = value{l.seqno, w.Value}
}

// Undate has the next snapshot name its own transaction for each key.
func (l *Ledger) Undate() {
	for _, table := range l.state {
		for key, v := range table {
			table[key] = value{l.seqno, v.bytes}
		}
	}
}
