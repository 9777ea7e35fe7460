package ccfwriter

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"maps"
)

// Member is a member of the consortium. Its ID is the SHA-256 of its certificate.
type Member struct {
	*identity
	ID string
}

// proposal is a proposal with its votes.
type proposal struct {
	proposer string
	ballots  map[string]string
}

const ballot = "export function vote (proposal, proposer) { return true }"

// NewMember makes a member that no ledger has yet.
func (l *Ledger) NewMember(name string) *Member {
	made := l.certify(l.newKey(), name, nil)
	sum := sha256.Sum256(made.cert.Raw)
	return &Member{made, hex.EncodeToString(sum[:])}
}

// Join adds a member.
func (l *Ledger) Join(name string) *Member {
	m := l.NewMember(name)
	l.Transact(0, Write{Table: "public:ccf.gov.members.certs", Key: m.ID, Value: []byte(m.pem)}, m.status("Accepted"))
	return m
}

func (m *Member) status(status string) Write {
	return Write{Table: "public:ccf.gov.members.info", Key: m.ID, Value: object(map[string]any{"status": status})}
}

// Acknowledge lets a member acknowledge the state of the service, and makes it active.
func (l *Ledger) Acknowledge(m *Member) {
	state := l.Root()
	ack := map[string]any{"state_digest": state, "cose_sign1_req": m.message(l, "ack", "", object(map[string]any{"state_digest": state}))}
	l.Transact(0, Write{Table: "public:ccf.gov.members.acks", Key: m.ID, Value: object(ack)}, m.status("Active"))
}

// message is a message that the member signs.
func (m *Member) message(l *Ledger, kind, proposal string, payload []byte) []byte {
	headers := map[any]any{1: -35, 4: []byte(m.ID), "ccf.gov.msg.type": kind, "ccf.gov.msg.created_at": l.now.Unix()}
	if proposal != "" {
		headers["ccf.gov.msg.proposal_id"] = proposal
	}
	return m.sign1(headers, nil, payload, payload)
}

// Message is the row of a message of a member, signed by another one if a test wants so.
func (l *Ledger) Message(m, by *Member, kind, proposal string, payload []byte) Write {
	signer := &Member{by.identity, m.ID}
	encoded := base64.StdEncoding.EncodeToString(signer.message(l, kind, proposal, payload))
	return Write{Table: "public:ccf.gov.cose_history", Key: m.ID, Value: text(encoded)}
}

// Proposal is the content of a proposal of an action.
func Proposal(action string) []byte {
	return object(map[string]any{"actions": []any{map[string]any{"name": action, "args": nil}}})
}

// Propose lets a member make a proposal of one action, and returns its ID.
func (l *Ledger) Propose(m *Member, action string, others ...Write) string {
	content := Proposal(action)
	sum := sha256.Sum256(append(content, m.ID...))
	id := hex.EncodeToString(sum[:])
	if l.proposals == nil {
		l.proposals = map[string]*proposal{}
	}
	l.proposals[id] = &proposal{m.ID, map[string]string{}}
	writes := []Write{{Table: "public:ccf.gov.proposals", Key: id, Value: content}, l.info(id, "Open", nil)}
	if len(others) == 0 {
		others = []Write{l.Message(m, m, "proposal", "", content)}
	}
	l.Transact(0, append(writes, others...)...)
	return id
}

func (l *Ledger) info(id, state string, final map[string]bool) Write {
	p := l.proposals[id]
	info := map[string]any{"ballots": maps.Clone(p.ballots), "proposer_id": p.proposer, "state": state}
	if final != nil {
		info["final_votes"] = final
	}
	return Write{Table: "public:ccf.gov.proposals_info", Key: id, Value: object(info)}
}

// Ballot is the content of a vote.
func Ballot() []byte { return object(map[string]any{"ballot": ballot}) }

// Vote lets a member vote for a proposal. The last vote accepts it, with what follows from it; without other rows the member signs it.
func (l *Ledger) Vote(m *Member, id string, last bool, others ...Write) {
	l.proposals[id].ballots[m.ID] = ballot
	state, final := "Open", map[string]bool(nil)
	if last {
		state, final = "Accepted", map[string]bool{}
		for member := range l.proposals[id].ballots {
			final[member] = true
		}
	}
	if len(others) == 0 {
		others = []Write{l.Message(m, m, "ballot", id, Ballot())}
	}
	l.Transact(0, append([]Write{l.info(id, state, final)}, others...)...)
}

// Withdraw lets a member withdraw its proposal.
func (l *Ledger) Withdraw(m *Member, id string) {
	l.Transact(0, l.info(id, "Withdrawn", nil), l.Message(m, m, "withdrawal", id, []byte{}))
}

// Constitute gives the service a constitution.
func (l *Ledger) Constitute(constitution string) {
	l.Transact(0, one("public:ccf.gov.constitution", text(constitution)))
}
