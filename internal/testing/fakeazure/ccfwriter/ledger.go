package ccfwriter

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Form is the form of a version of CCF.
type Form int

// The forms differ in the types of transactions, in signatures and in receipts.
const (
	V1 Form = 1 // plain transactions; node signatures without certificates; snapshots without receipts
	V2 Form = 2 // commit evidence, and claims where there are some
	V5 Form = 5 // 3.x to 5.x: claims always
	V6 Form = 6 // node and COSE signatures; endorsements
	V7 Form = 7 // COSE signatures alone, and COSE receipts
)

// File is one file of the copy.
type File struct {
	Name    string
	Content []byte
}

// Write is a key that a transaction writes or, without a value, removes.
type Write struct {
	Table  string
	Key    string
	Value  []byte
	Remove bool
}

// Ledger is a ledger that grows. Its methods are for one goroutine.
type Ledger struct {
	form   Form
	random *rand.ChaCha8
	now    time.Time
	view   uint64
	seqno  uint64 // the last one
	lastID string

	service  *identity
	previous *identity
	node     *identity
	begun    string // the transaction that created the service
	count    int    // the number of recoveries
	endorsed uint64 // the transaction of the last endorsement
	opened   bool
	// endorsedBefore is the endorsement before the last one.
	endorsedBefore uint64
	infoAt         uint64
	before         string // the last signature of the service before

	leaves    []hash
	private   []bool // for each leaf
	tree      peaks
	nodes     uint64 // node signatures
	coses     uint64 // COSE signatures
	edge      peaks  // before the last signature
	signed    uint64 // the last signature
	signedID  string
	undo      []undo // since then
	root      hash   // that it signs
	endRoot   hash   // the last root of the service before
	chunk     *chunk
	files     []File
	state     map[string]map[string]value
	snapshots []*pending
	proposals map[string]*proposal
}

type value struct {
	version uint64
	bytes   []byte
}

// chunk is the file that is being written.
type chunk struct {
	first     uint64
	content   []byte
	positions []uint32
}

// New starts a service at the beginning of 2025: its first transaction creates it, and the second one is a signature.
func New(form Form, seed uint64) *Ledger {
	return NewAt(form, seed, time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC))
}

// NewAt starts a service at a time. Each signature is a second later than the one before.
func NewAt(form Form, seed uint64, at time.Time) *Ledger {
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	l := &Ledger{
		form: form, random: rand.NewChaCha8(key), now: at, view: 2,
		leaves: make([]hash, 1), private: make([]bool, 1), state: map[string]map[string]value{},
	}
	l.tree.append(hash{})
	l.service = l.newService()
	l.node = l.newNode()
	l.begun = "2.1"
	l.service.from = l.begun
	l.append(entry{writes: append(l.serviceInfo("Opening"), l.nodeRows(l.node, l.service)...), claims: &hash{1}})
	l.Sign()
	return l
}

// Seqno is the last transaction.
func (l *Ledger) Seqno() uint64 { return l.seqno }

// LastID is the ID of the last transaction.
func (l *Ledger) LastID() string { return l.lastID }

// SignedID is the ID of the last signature.
func (l *Ledger) SignedID() string { return l.signedID }

// Root is the root that the last signature signs.
func (l *Ledger) Root() string { return hex.EncodeToString(l.root[:]) }

// Service is the SHA-256 of the service's public key.
func (l *Ledger) Service() string { return l.service.id }

// Certificate is the certificate of the service, in PEM.
func (l *Ledger) Certificate() string { return l.service.pem }

// Transact appends a transaction with public writes, and a private part of some bytes.
func (l *Ledger) Transact(private int, writes ...Write) {
	l.append(entry{writes: writes, private: l.bytes(private)})
}

// bytes are the next ones of the seed.
func (l *Ledger) bytes(n int) []byte {
	b := make([]byte, n)
	must(l.random.Read(b))
	return b
}

// Open opens the service. The first time it endorses the one before it, or itself. After a recovery the members give their shares first.
func (l *Ledger) Open() {
	if l.count > 0 && !l.opened {
		l.append(entry{writes: l.serviceInfo("WaitingForRecoveryShares")})
	}
	writes := l.serviceInfo("Open")
	if l.form >= V6 && !l.opened {
		writes = append(writes, l.endorse())
	}
	l.opened = true
	l.append(entry{writes: writes})
}

// Renew gives the service another certificate of the same key.
func (l *Ledger) Renew() {
	l.service = l.certify(l.service, "CCF Service", nil)
	l.append(entry{writes: l.serviceInfo("Open")})
}

// Elect begins a view with another node as the primary.
func (l *Ledger) Elect() {
	node := l.newNode()
	l.append(entry{writes: l.nodeRows(node, l.service)})
	l.Sign()
	l.node = node
	l.view++
}

// Recover starts a new service on the ledger up to its last signature. Its form may be a later one.
func (l *Ledger) Recover(form Form) { l.succeed(form, true) }

// succeed makes the new service of a recovery, which names the one before it or not.
func (l *Ledger) succeed(form Form, named bool) {
	l.dropTail()
	if l.chunk != nil {
		l.closeChunk()
	}
	l.before, l.endRoot = l.SignedID(), l.root
	l.form, l.previous, l.view = form, l.service, l.view+2
	l.service, l.count, l.opened = l.newService(), l.count+1, false
	l.node = l.newNode()
	l.begun = fmt.Sprintf("%d.%d", l.view, l.seqno+1)
	l.service.from = l.begun
	writes := append(l.serviceInfo("Recovering"), l.nodeRows(l.node, l.service)...)
	if named {
		writes = append(writes, one("public:ccf.gov.service.previous_service_identity", text(l.previous.pem)))
	}
	if form >= V6 {
		writes = append(writes, one("public:ccf.internal.previous_service_last_signed_root", text(l.Root())))
	}
	l.append(entry{writes: writes, flags: 2, claims: &hash{1}})
	l.Sign()
}

// dropTail forgets the transactions after the last signature, as a recovery does. They are all in the open chunk.
func (l *Ledger) dropTail() {
	for l.seqno > l.signed {
		n := len(l.chunk.positions) - 1
		l.chunk.content, l.chunk.positions = l.chunk.content[:l.chunk.positions[n]], l.chunk.positions[:n]
		if n == 0 {
			l.chunk = nil
		}
		l.leaves, l.private = l.leaves[:l.seqno], l.private[:l.seqno]
		l.seqno--
	}
	l.lastID, l.tree = l.signedID, l.edge
	l.tree.append(l.leaves[l.signed])
	for _, u := range slices.Backward(l.undo) {
		if u.had {
			l.state[u.table][u.key] = u.value
		} else {
			delete(l.state[u.table], u.key)
		}
	}
	l.undo = nil
	l.snapshots = slices.DeleteFunc(l.snapshots, func(s *pending) bool { return s.evidence > l.seqno })
	if l.endorsed > l.seqno {
		l.endorsed = l.endorsedBefore
	}
}

// undo takes back a write.
type undo struct {
	table, key string
	value      value
	had        bool
}

func (l *Ledger) serviceInfo(status string) []Write {
	info := map[string]any{"cert": l.service.pem, "status": status}
	if l.form > V1 {
		info["recovery_count"] = l.count
		info["current_service_create_txid"] = l.begun
		if l.infoAt > 0 {
			info["previous_service_identity_version"] = l.infoAt
		}
	}
	l.infoAt = l.seqno + 1
	return []Write{one("public:ccf.gov.service.info", object(info))}
}

func (l *Ledger) nodeRows(node, service *identity) []Write {
	info := map[string]any{"status": "Trusted"}
	if l.form == V1 {
		info["cert"] = node.pem
		return []Write{{Table: "public:ccf.gov.nodes.info", Key: node.id, Value: object(info)}}
	}
	return []Write{
		{Table: "public:ccf.gov.nodes.info", Key: node.id, Value: object(info)},
		{Table: "public:ccf.gov.nodes.endorsed_certificates", Key: node.id, Value: []byte(node.pem)},
	}
}

// Counts are the numbers of signatures by nodes and by the service, of transactions with a private part, and of services.
func (l *Ledger) Counts() (nodes, coses, private uint64, services int) {
	for _, has := range l.private {
		if has {
			private++
		}
	}
	return l.nodes, l.coses, private, l.count + 1
}

// Files are the files of the copy so far: closed chunks are committed, and the last one is open.
func (l *Ledger) Files() []File {
	files := append([]File(nil), l.files...)
	if c := l.chunk; c != nil && len(c.positions) > 0 {
		files = append(files, File{fmt.Sprintf("ledger/ledger_%d", c.first), append([]byte(nil), c.content...)})
	}
	for _, s := range l.snapshots {
		if s.file != nil {
			files = append(files, *s.file)
		}
	}
	return files
}

// Take returns the closed chunks that were not taken yet, and forgets them: a long ledger need not stay in memory.
func (l *Ledger) Take() []File {
	files := l.files
	l.files = nil
	return files
}

// one is a write to a table of one value.
func one(table string, value []byte) Write {
	return Write{Table: table, Key: "\x00\x00\x00\x00\x00\x00\x00\x00", Value: value}
}

func object(value any) []byte {
	content, err := json.Marshal(value)
	if err != nil {
		panic(err) // maps of texts and numbers
	}
	return content
}

func text(s string) []byte { return object(s) }
