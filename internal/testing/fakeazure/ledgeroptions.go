package fakeazure

import "fmt"

// LedgerOptions are options of a ledger. The public recordings of 2021 to 2025 show GET, PUT, PATCH and DELETE of ledgers, and no
// backup or restore. Every zero value is the recorded behaviour, else the documented one or, if there is none, the reading that
// is worse for the client.
type LedgerOptions struct {
	// Backup is the duration of a backup or an export: usually 2 to 10 min, which is a guess.
	Backup Range
	// Restore is the duration of a restore: usually 5 to 20 min, which is a guess.
	Restore Range
	// Change is the duration of PUT and DELETE: usually 75 to 95 s to make a Managed CCF, 4 min to make a ledger, and 82 to 100 s
	// to delete either, as recorded.
	Change Range
	// ChunkEntries is the number of entries in a ledger file that is closed. 0 means 4. Another number than at the last backup makes
	// another ledger of the same entries.
	ChunkEntries int
	// ProvisioningState, when not empty, is the state that Resource Manager shows of an existing ledger, even if GET does not
	// show it otherwise.
	ProvisioningState string

	Provisioning   ProvisioningSeen
	SecondStart    SecondStart
	Share          ShareSeen
	ShareStamp     ShareStamp
	ShareLayout    ShareLayout
	SASChecked     SASChecked
	FailedPoll     FailedPoll
	PollURL        PollURL
	PollWords      PollWords
	PollLocation   PollLocation
	PollRetryAfter PollRetryAfter
	Restored       RestoredSeen
	FailedRestore  FailedRestore
}

// ProvisioningSeen says whether GET of the resource shows provisioningState. The answers to PUT do in any case.
type ProvisioningSeen int

const (
	// ProvisioningHidden never shows it, as in 30 of 30 recorded GETs of 2021 to 2025. Since 2023-06-28-preview there is
	// runningState instead.
	ProvisioningHidden ProvisioningSeen = iota
	// ProvisioningShown shows it, as the API's description says: Updating while a backup runs.
	ProvisioningShown
)

// SecondStart says how a request for a backup is answered while another one runs.
type SecondStart int

const (
	// SecondStartAnother accepts it: the second backup makes its own share.
	SecondStartAnother SecondStart = iota
	// SecondStartRefused answers 409.
	SecondStartRefused
)

// ShareSeen says when a backup's share and its files become visible.
type ShareSeen int

const (
	// ShareGrows shows the share at the start, and one file after the other.
	ShareGrows ShareSeen = iota
	// ShareAtEnd shows nothing before the end, and then all within a moment.
	ShareAtEnd
)

// ShareStamp says how the timestamp in the share's name looks; the documentation says only that there is one.
type ShareStamp int

const (
	// StampUnix has milliseconds since 1970, which no person can read as a time.
	StampUnix ShareStamp = iota
	// StampDate has year to second, 14 digits of UTC.
	StampDate
)

// ShareLayout says where in the share the files are.
type ShareLayout int

const (
	// LayoutDirectories has them in the directories ledger and snapshots, as CCF keeps them on its nodes.
	LayoutDirectories ShareLayout = iota
	// LayoutFlat has them all at the root.
	LayoutFlat
)

// SASChecked says when the service notices a SAS that gives it too few permissions.
type SASChecked int

const (
	// SASCheckedAtWork accepts the operation, which fails.
	SASCheckedAtWork SASChecked = iota
	// SASCheckedAtStart answers 400.
	SASCheckedAtStart
)

// FailedPoll says how the status of a failed operation is answered.
type FailedPoll int

const (
	// FailedInBody answers 200 with status Failed and the error, as Resource Manager's contract has it.
	FailedInBody FailedPoll = iota
	// FailedAsStatus answers 400 with the error.
	FailedAsStatus
)

// PollURL says how the address of an operation's status looks.
type PollURL int

const (
	// SignedPollURL is at the tenant's level, with the region in capitals, the request's api-version and the parameters t, c, s
	// and h, some 3,250 characters, as recorded in 2025; without them it is refused.
	SignedPollURL PollURL = iota
	// PlainPollURL is there too, and has the api-version alone: 2020-12-01-preview, whatever the version of the request, as
	// recorded in 2023.
	PlainPollURL
	// SubscriptionPollURL is signed, and below the subscription, as in the examples of the API's description.
	SubscriptionPollURL
)

// PollWords says how the status of a running operation looks.
type PollWords int

const (
	// RecordedWords are Accepted and, with 202 and a newly signed address, Deleting.
	RecordedWords PollWords = iota
	// CommonWords is InProgress, as in Resource Manager's contract.
	CommonWords
)

// PollLocation says whether an accepted operation has a Location too.
type PollLocation int

const (
	// NoPollLocation has one with DELETE alone; it leads to the status, as recorded.
	NoPollLocation PollLocation = iota
	// WithPollLocation has one, as the description of 2025-06-10-preview says. Its answer is the message.
	WithPollLocation
)

// PollRetryAfter says whether answers have a time for the next request.
type PollRetryAfter int

const (
	// NoPollRetryAfter has no time, as in the examples of the API's description.
	NoPollRetryAfter PollRetryAfter = iota
	// WithPollRetryAfter has 15 seconds, before the time scale.
	WithPollRetryAfter
)

// RestoredSeen says when a new or restored resource becomes visible, and in which state; with ProvisioningShown it is Creating as
// well. The answer of GET in that time was never recorded.
type RestoredSeen int

const (
	// RestoredAtOnce shows it from the start as if it were ready.
	RestoredAtOnce RestoredSeen = iota
	// RestoredUnready shows it from the start, with runningState Unknown.
	RestoredUnready
	// RestoredAtEnd shows nothing of a restore before its end.
	RestoredAtEnd
)

// FailedRestore says what a failed restore leaves.
type FailedRestore int

const (
	// FailedRestoreStays leaves a resource, Failed with ProvisioningShown: it has to be deleted before the next attempt.
	FailedRestoreStays FailedRestore = iota
	// FailedRestoreVanishes leaves nothing.
	FailedRestoreVanishes
)

// TuneLedger changes the options of one ledger, existing or deleted, or with an empty resource ID of all, later ones included. An
// operation uses the options at its start.
func (s *Sim) TuneLedger(resourceID string, change func(*LedgerOptions)) error {
	m := s.ledgers
	m.mu.Lock()
	defer m.mu.Unlock()
	if resourceID == "" {
		change(&m.options)
		for _, l := range m.all {
			change(&l.options)
		}
		return nil
	}
	l, err := m.lookup(resourceID)
	if err != nil {
		return fmt.Errorf("tune: %w", err)
	}
	change(&l.options)
	return nil
}

// find is lookup without the lock.
func (m *ledgers) find(text string) (*ledger, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lookup(text)
}

// lookup returns an existing or deleted ledger. It is called under the lock.
func (m *ledgers) lookup(text string) (*ledger, error) {
	id, err := parseLedgerID(text)
	if err != nil {
		return nil, err
	}
	l, ok := m.all[id.key()]
	if !ok {
		return nil, fmt.Errorf("there was never a ledger %s", text)
	}
	return l, nil
}
