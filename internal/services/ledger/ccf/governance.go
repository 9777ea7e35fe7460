package ccf

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// The public tables of governance.
const (
	governancePrefix  = "public:ccf.gov."
	membersTable      = governancePrefix + "members.certs"
	memberInfoTable   = governancePrefix + "members.info"
	acksTable         = governancePrefix + "members.acks"
	constitutionTable = governancePrefix + "constitution"
	proposalsTable    = governancePrefix + "proposals"
	proposalInfoTable = governancePrefix + "proposals_info"
	messagesTable     = governancePrefix + "cose_history"
	requestsTable     = governancePrefix + "history"
	sharesTable       = "public:ccf.internal.encrypted_submitted_shares"
)

// Kind says what an event of governance is about.
type Kind string

// The kinds of events.
const (
	ServiceEvent      Kind = "service"
	ConstitutionEvent Kind = "constitution"
	MemberEvent       Kind = "member"
	ProposalEvent     Kind = "proposal"
	VoteEvent         Kind = "vote"
	DecisionEvent     Kind = "decision"
	AckEvent          Kind = "acknowledgement"
	ShareEvent        Kind = "recoveryShare"
)

// SignatureState says whether the signature of a member holds.
type SignatureState string

// The states of signatures. Before CCF 4 a member may sign an HTTP request, which is not verified; nor is a message of a member whose
// certificate is missing.
const (
	Valid      SignatureState = "valid"
	Wrong      SignatureState = "wrong"
	Unverified SignatureState = "unverified"
)

// Member is a member of the consortium.
type Member struct {
	ID     string `json:"id"` // the SHA-256 of the certificate
	Name   string `json:"name,omitempty"`
	Status string `json:"status"`
	Since  string `json:"since,omitempty"` // the transaction of the status
}

// Event is one thing that governance did.
type Event struct {
	Transaction string         `json:"transaction"`
	Kind        Kind           `json:"kind"`
	Text        string         `json:"text"`
	Member      string         `json:"member,omitempty"`
	Proposal    string         `json:"proposal,omitempty"`
	Yes         []string       `json:"yes,omitempty"` // the members whose votes counted so
	No          []string       `json:"no,omitempty"`
	Signature   SignatureState `json:"signature,omitempty"`
	Problem     string         `json:"problem,omitempty"` // why the signature is wrong, or not verified
	SignedAt    *time.Time     `json:"signedAt,omitempty"`
}

// Governance follows the governance of a ledger, which is public, through its transactions.
type Governance struct {
	Events []Event

	members   map[string]*Member
	names     map[string]string // by the certificates
	keys      map[string]*ecdsa.PublicKey
	next      uint64 // the transaction that should come next
	missing   bool   // transactions are missing or cannot be read: a member's certificate may have been in one of them
	service   string // the SHA-256 of its public key
	status    string
	proposals map[string]map[string]bool // the votes of each proposal that is there
}

// NewGovernance begins without members.
func NewGovernance() *Governance {
	return &Governance{
		members: map[string]*Member{}, names: map[string]string{}, keys: map[string]*ecdsa.PublicKey{}, next: 1, proposals: map[string]map[string]bool{},
	}
}

// Members are all members that there were, by their IDs.
func (g *Governance) Members() []Member {
	list := []Member{}
	for _, id := range slices.Sorted(maps.Keys(g.members)) {
		m := *g.members[id]
		m.Name = g.names[id]
		list = append(list, m)
	}
	return list
}

// Know takes a row of a snapshot in the copy. A member's certificate may be in no other file; its digest is the ID, so that no signature
// need vouch for it.
func (g *Governance) Know(table string, key, value []byte) {
	if table == membersTable {
		g.certify(string(key), value)
	}
}

// Hold takes a row of the snapshot with which the ledger begins.
func (g *Governance) Hold(table string, key, value []byte) {
	g.next = 0
	switch table {
	case membersTable:
		g.member(string(key))
		g.certify(string(key), value)
	case memberInfoTable:
		g.member(string(key)).Status = memberStatus(value)
	case serviceTable:
		var info serviceInfo
		if json.Unmarshal(value, &info) == nil {
			_, g.service, _ = serviceKey(info.Cert)
			g.status = info.Status
		}
	}
}

// rows are the writes of a transaction to a table.
type rows []Write

// Take follows one transaction.
func (g *Governance) Take(t *Transaction) error {
	if g.next > 0 && t.Seqno != g.next || t.unread {
		g.missing = true
	}
	g.next = t.Seqno + 1
	tables := map[string]rows{}
	err := t.Writes(func(w Write) {
		if strings.HasPrefix(w.Table, governancePrefix) || w.Table == sharesTable {
			tables[w.Table] = append(tables[w.Table], w)
		}
	})
	if err != nil || len(tables) == 0 {
		return err
	}
	for _, w := range tables[membersTable] {
		if !w.Removed {
			g.member(string(w.Key))
			g.certify(string(w.Key), w.Value)
		}
	}
	signed := g.messages(tables[messagesTable], tables[requestsTable])
	for _, w := range tables[proposalInfoTable] {
		g.decide(t, w, tables[proposalsTable], signed)
	}
	for _, w := range tables[serviceTable] {
		g.serve(t, w.Value)
	}
	for _, w := range tables[constitutionTable] {
		g.event(t, Event{Kind: ConstitutionEvent, Text: constitution(w.Value)})
	}
	for _, w := range tables[memberInfoTable] {
		g.change(t, w)
	}
	for _, w := range tables[sharesTable] {
		if !w.Removed {
			g.event(t, Event{Kind: ShareEvent, Member: string(w.Key), Text: "a share of the recovery, encrypted"})
		}
	}
	g.acknowledge(t, tables[acksTable])
	g.rest(t, signed)
	return nil
}

func (g *Governance) event(t *Transaction, e Event) {
	e.Transaction = t.ID
	g.Events = append(g.Events, e)
}

func (g *Governance) member(id string) *Member {
	if g.members[id] == nil {
		g.members[id] = &Member{ID: id}
	}
	return g.members[id]
}

// certify keeps the name and the key of a member, if the ID is the SHA-256 of the certificate.
func (g *Governance) certify(id string, value []byte) {
	cert, err := parseCertificate(string(value))
	sum := [sha256.Size]byte{}
	if err == nil {
		sum = sha256.Sum256(cert.Raw)
	}
	if hex.EncodeToString(sum[:]) != id {
		return
	}
	g.names[id] = cert.Subject.CommonName
	if key, ok := cert.PublicKey.(*ecdsa.PublicKey); ok {
		g.keys[id] = key
	}
}

func memberStatus(value []byte) string {
	var info struct {
		Status string `json:"status"`
	}
	if json.Unmarshal(value, &info) != nil {
		return "unknown"
	}
	return info.Status
}

// change follows the status of a member.
func (g *Governance) change(t *Transaction, w Write) {
	m := g.member(string(w.Key))
	status := "Removed"
	if !w.Removed {
		status = memberStatus(w.Value)
	}
	if m.Status != status {
		m.Status, m.Since = status, t.ID
		g.event(t, Event{Kind: MemberEvent, Member: m.ID, Text: "the member is " + status})
	}
}

// serve follows the service: its creation, recoveries, openings and renewed certificates.
func (g *Governance) serve(t *Transaction, value []byte) {
	var info serviceInfo
	if json.Unmarshal(value, &info) != nil {
		return
	}
	_, id, err := serviceKey(info.Cert)
	if err != nil {
		id = "unknown"
	}
	text := "the service is " + info.Status
	switch {
	case g.service == "" && id != g.service:
		text = "a service begins, and is " + info.Status + ": " + id
	case id != g.service:
		text = "a recovery begins another service, which is " + info.Status + ": " + id
	case info.Status == g.status:
		text = "the service renews its certificate, and is " + info.Status
	}
	g.service, g.status = id, info.Status
	g.event(t, Event{Kind: ServiceEvent, Text: text})
}

// constitution names a constitution by its digest.
func constitution(value []byte) string {
	var text string
	if json.Unmarshal(value, &text) != nil {
		text = string(value)
	}
	return fmt.Sprintf("a constitution of %s, SHA-256 %x", counted(len(text), "byte"), sha256.Sum256([]byte(text)))
}

// message is a message that a member signed.
type message struct {
	kind, proposal string
	payload        []byte
	at             *time.Time
	state          SignatureState
	problem        string
	used           bool
}

// messages reads the messages of a transaction, by their members.
func (g *Governance) messages(messages, requests rows) map[string]*message {
	all := map[string]*message{}
	for _, w := range requests {
		all[string(w.Key)] = &message{state: Unverified, used: true}
	}
	for _, w := range messages {
		var encoded []byte
		if w.Removed || json.Unmarshal(w.Value, &encoded) != nil {
			continue
		}
		all[string(w.Key)] = g.message(string(w.Key), encoded)
	}
	return all
}

// message reads a message, and verifies it with the certificate that the ledger has for the member.
func (g *Governance) message(member string, encoded []byte) *message {
	m, err := parseSign1(encoded)
	if err != nil {
		return &message{state: Wrong, problem: err.Error()}
	}
	var out message
	headers := m.message.Headers.Protected
	out.kind, _ = headers["ccf.gov.msg.type"].(string)
	out.proposal, _ = headers["ccf.gov.msg.proposal_id"].(string)
	if at, ok := headers["ccf.gov.msg.created_at"].(int64); ok {
		out.at = signedAt(at)
	}
	out.payload, out.state = m.message.Payload, Wrong
	kid, _ := headers[int64(4)].([]byte)
	key := g.keys[member]
	switch {
	case string(kid) != member:
		out.problem = "it is by another member"
	case key == nil && g.missing:
		out.state, out.problem = Unverified, "the certificate of the member is in none of the files"
	case key == nil:
		out.problem = "the ledger has no certificate of the member"
	case verifySign1(&m.message, key) != nil:
		out.problem = "it is not by the key of the member"
	default:
		out.state = Valid
	}
	return &out
}

// sign gives an event the state of the message of its member.
func (e Event) sign(m *message, problem string) Event {
	if m == nil {
		return e
	}
	m.used = true
	e.Signature, e.Problem, e.SignedAt = m.state, m.problem, m.at
	if m.state == Valid && problem != "" {
		e.Signature, e.Problem = Wrong, problem
	}
	return e
}

// acknowledge follows members that acknowledge the state of the service. The row has the message itself.
func (g *Governance) acknowledge(t *Transaction, list rows) {
	for _, w := range list {
		var ack struct {
			Message []byte          `json:"cose_sign1_req"`
			Request json.RawMessage `json:"signed_req"`
			State   string          `json:"state_digest"`
		}
		id := string(w.Key)
		if w.Removed || json.Unmarshal(w.Value, &ack) != nil {
			continue
		}
		e := Event{Kind: AckEvent, Member: id, Text: "the member acknowledges the state of the service"}
		if ack.Message != nil {
			g.event(t, e.sign(g.message(id, ack.Message), ""))
		} else if g.members[id] != nil && g.members[id].Since == t.ID && len(ack.Request) > 0 {
			g.event(t, e.sign(&message{state: Unverified}, ""))
		}
	}
}

// rest tells the messages that changed no proposal.
func (g *Governance) rest(t *Transaction, signed map[string]*message) {
	for _, id := range slices.Sorted(maps.Keys(signed)) {
		m := signed[id]
		if m.used {
			continue
		}
		e := Event{Kind: MemberEvent, Member: id, Proposal: m.proposal, Text: "a message: " + cmp.Or(m.kind, "of no type")}
		g.event(t, e.sign(m, ""))
	}
}
