package fakeazure

import (
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// ledgerName is Confidential Ledger's own rule; a name has 3 to 32 characters. Managed CCF documents only how a name starts,
// so its names must follow the same rule here.
var ledgerName = regexp.MustCompile(`^[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?$`)

const (
	ledgerProvider = "Microsoft.ConfidentialLedger"
	ledgersKind    = "ledgers"
	managedCCFs    = "managedCCFs"
)

// Ledger is a provisioned Confidential Ledger or Managed CCF application; its resource ID tells which of them.
type Ledger struct {
	// ResourceID is the full Azure resource ID, of type ledgers or managedCCFs.
	ResourceID string
	// Location is the region; empty means "West Europe".
	Location string
	// Entries are the first entries of the ledger, one transaction each.
	Entries []string
}

// LedgerState is the content and state of a ledger, for tests: no call to Azure shows it.
type LedgerState struct {
	// Entries are all entries ever appended, the oldest first.
	Entries []string
	// Transaction is the ID of the transaction of the last entry, view and sequence number, such as "2.17".
	Transaction string
	// ProvisioningState is the state of the resource: "Succeeded" when no operation runs on it.
	ProvisioningState string
	// Location is the region as written in code, such as "westeurope".
	Location string
}

// ledgers holds the ledgers, their operations and their settings.
type ledgers struct {
	files *files
	pace  *pace
	// added tells Resource Manager about a ledger's subscription and group.
	added func(resourceID)
	// life ends with the Sim and with it every operation; running counts them.
	life    context.Context
	running sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	random  *rand.ChaCha8
	options LedgerOptions // for ledgers added from now on
	// all has deleted ledgers too: a restore uses the options and faults of its name.
	all        map[string]*ledger
	operations []*ledgerOperation
	requests   []LedgerRequest
	// lastStamp keeps the names of shares apart.
	lastStamp int64
}

// ledger is a running Ledger. Its fields are guarded by ledgers.mu.
type ledger struct {
	id       resourceID
	location string
	options  LedgerOptions
	faults   faults
	// state is the provisioning state; "" means that the resource does not exist.
	state   string
	history history
}

func newLedgers(life context.Context, c Config, s *Sim) *ledgers {
	var seed [32]byte
	copy(seed[:], "ledgers")
	for i := range 8 {
		seed[24+i] = byte(c.Seed >> (8 * i))
		seed[16+i] = byte(s.kept.draw >> (8 * i))
	}
	return &ledgers{
		files: s.files, pace: s.pace, life: life, random: rand.NewChaCha8(seed), all: make(map[string]*ledger),
		lastStamp: s.kept.LastStamp,
	}
}

// close waits until every operation has stopped; no other can start, because the Sim's life has ended before.
func (m *ledgers) close() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.running.Wait()
}

// AddLedger adds a Confidential Ledger or a Managed CCF application, or replaces it with default options, no faults and the
// entries given, unless others were kept.
func (s *Sim) AddLedger(add Ledger) error {
	id, err := parseLedgerID(add.ResourceID)
	if err != nil {
		return fmt.Errorf("add ledger: %w", err)
	}
	if add.Location == "" {
		add.Location = "West Europe"
	}
	m := s.ledgers
	m.mu.Lock()
	begin := keptLedger{region(add.Location), "Succeeded", m.newHistory(add.Entries)}
	if kept, ok := s.kept.Ledgers[id.key()]; ok {
		begin = kept
	}
	m.all[id.key()] = &ledger{id: id, location: begin.Location, options: m.options, state: begin.State, history: begin.History}
	m.mu.Unlock()
	m.added(id)
	return nil
}

// DeleteLedger deletes the resource at once, as if its owner had.
func (s *Sim) DeleteLedger(resourceID string) error {
	return s.ledgers.with(resourceID, func(l *ledger) { l.state, l.history = "", history{} })
}

// AppendToLedger commits entries, as an application that uses the ledger does.
func (s *Sim) AppendToLedger(resourceID string, entries ...string) error {
	return s.ledgers.with(resourceID, func(l *ledger) { l.history.Entries = append(l.history.Entries, entries...) })
}

// LedgerState returns the content of a ledger, or an error if there is no such ledger.
func (s *Sim) LedgerState(resourceID string) (state LedgerState, err error) {
	err = s.ledgers.with(resourceID, func(l *ledger) {
		state = LedgerState{
			Entries: slices.Clone(l.history.Entries), Transaction: l.history.grow(l.id.name, l.options.ChunkEntries).last,
			ProvisioningState: s.ledgers.provisioningState(l), Location: l.location,
		}
	})
	return state, err
}

// with calls the func for an existing ledger, under the lock.
func (m *ledgers) with(resourceID string, do func(*ledger)) error {
	id, err := parseLedgerID(resourceID)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	l, ok := m.all[id.key()]
	if !ok || l.state == "" {
		return fmt.Errorf("no ledger %s", resourceID)
	}
	do(l)
	return nil
}

func parseLedgerID(text string) (resourceID, error) {
	id, err := parseResourceID(text)
	switch {
	case err != nil:
		return id, err
	case !strings.EqualFold(id.provider, ledgerProvider) ||
		(!strings.EqualFold(id.kind, ledgersKind) && !strings.EqualFold(id.kind, managedCCFs)):
		return id, fmt.Errorf("%s is of another type", text)
	case !ledgerName.MatchString(id.name) || len(id.name) < 3 || len(id.name) > 32:
		return id, fmt.Errorf("invalid name %q", id.name)
	}
	return id, nil
}

// provisioningState is called under the lock.
func (m *ledgers) provisioningState(l *ledger) string {
	if l.options.ProvisioningState != "" {
		return l.options.ProvisioningState
	}
	if l.state == "Succeeded" && l.options.Provisioning == ProvisioningShown && m.busy(l) {
		return "Updating"
	}
	return l.state
}

// busy is called under the lock.
func (m *ledgers) busy(l *ledger) bool {
	return slices.ContainsFunc(m.operations, func(o *ledgerOperation) bool {
		return o.ledger == l && o.State == InProgress
	})
}

// draw returns a duration of the range, or of the usual one. It is called under the lock.
func (m *ledgers) draw(r, usual Range) time.Duration {
	if r == (Range{}) {
		r = usual
	}
	if r.Longest <= r.Shortest {
		return r.Shortest
	}
	return r.Shortest + time.Duration(m.random.Uint64()%uint64(r.Longest-r.Shortest))
}
