package backup

import (
	"encoding/json"
	"time"
)

// Custody is the trait of a service whose backups are worth nothing without a thing that people keep, such as a security domain. People state,
// with signatures, that they still have it. Only the service reads what they state.
type Custody struct {
	// Title names the thing for people: "security domain".
	Title string
	// Asks says whether a plan with these blocks wants such statements.
	Asks func(Blocks) bool
	// Add checks a signed statement and returns the record with it, or the same record if that says as much already. A record is all that
	// statements about a target said; nil before the first. The error says in words for people why it takes no such statement.
	Add func(record json.RawMessage, statement []byte, now time.Time) (json.RawMessage, error)
	// Judge says what the record proves to a plan with these blocks.
	Judge func(b Blocks, record json.RawMessage, now time.Time) Proof
}

// Proof says whether people have proven that they keep the thing of a [Custody].
type Proof struct {
	Status ProofStatus `json:"status"`
	// Reason says why it is not Proven; zero if it is.
	Reason Reason `json:"reason,omitzero"`
	// Proven is the time of the oldest statement in the newest proof; zero if there never was one.
	Proven time.Time `json:"provenDateTime,omitzero"`
	// Holders counts the people whose statements are recent enough, and Of counts all. Quorum is the number that is enough. Both are 0
	// if they are not known.
	Holders int `json:"holders"`
	Quorum  int `json:"quorum,omitempty"`
	Of      int `json:"of,omitempty"`
	// Until is the time from which the proof is too old; zero if it is not Proven.
	Until time.Time `json:"untilDateTime,omitzero"`
}

// ProofStatus is the outcome of a proof.
type ProofStatus string

const (
	// ProofUnknown: no statement counts yet.
	ProofUnknown ProofStatus = "unknown"
	// Proven: enough people stated it, recently enough.
	Proven ProofStatus = "proven"
	// ProofLate: too few did, or they did not state enough.
	ProofLate ProofStatus = "late"
	// ProofConflict: the statements are about things of different services.
	ProofConflict ProofStatus = "conflict"
)

// ProofStatuses are all of them, from good to bad.
var ProofStatuses = []ProofStatus{Proven, ProofUnknown, ProofLate, ProofConflict}

// Alarms says that a person must act.
func (s ProofStatus) Alarms() bool { return s == ProofLate || s == ProofConflict }

// Statements is the row of all that statements about a target said. It stands as long as the table does, since a target that comes back has
// the same holders.
type Statements struct {
	Target string `json:"Target"`
	// Record is the service's own. Newest is the ID of the request that began it anew, "" for none.
	Record json.RawMessage `json:"Record,omitempty"`
	Newest string          `json:"Newest,omitempty"`
	// Told is the last status that an event told of; "" before the first.
	Told ProofStatus `json:"Told,omitempty"`

	Carried
	// ETag is the one that the row was read with.
	ETag string `json:"-"`
}

// DecodeStatements reads the row.
func DecodeStatements(row Row) (Statements, error) {
	s, err := Decode[Statements](row)
	s.ETag = row.ETag
	return s, err
}

// Write returns the write of the row, under the ETag that it was read with.
func (s Statements) Write() Write { return InsertOrReplace(StatementsKey(s.Target), s.ETag, Encode(s)) }

// Judge returns the statements with the status that the proof has now. The event tells of it if that is news.
func (s Statements) Judge(c *Custody, p Plan, now time.Time) (is Statements, proof Proof, news bool) {
	proof = c.Judge(p.Settings.Blocks, s.Record, now)
	news, s.Told = s.Told != proof.Status, proof.Status
	return s, proof, news
}

// Asking returns the first plan with the target that wants statements about it, and its service's trait; nil if none does.
func Asking(all []Plan, service Service, target string) (Plan, *Custody) {
	for _, p := range all {
		if service.Asks(p) && p.Has(target) {
			return p, service.Custody
		}
	}
	return Plan{}, nil
}

// Asks says whether the plan wants statements about targets of the service. A plan without blocks wants none.
func (s Service) Asks(p Plan) bool {
	return s.Custody != nil && p.Settings.Blocks != "" && s.Custody.Asks(p.Settings.Blocks)
}
