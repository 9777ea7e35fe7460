package fakeazure

import (
	"fmt"
	"time"
)

// Range bounds a duration before the time scale; each operation draws its own from the seed. The zero value is the usual range of
// its kind.
type Range struct{ Shortest, Longest time.Duration }

// HSMOptions are options of a Managed HSM. Every zero value is the recorded behaviour or, if that is unknown, the reading that is
// worse for the client.
type HSMOptions struct {
	// Backup is the duration of a backup: usually 7 to 15 s, as recorded of small HSMs, one of which took 149 s (2026-05);
	// Microsoft has seen 9 hours.
	Backup Range
	// Restore is the duration of a full restore: usually 7 to 47 s.
	Restore Range
	// KeyRestore is the duration of the restore of one key: usually 6 to 24 s.
	KeyRestore Range
	// Check is the duration of a prebackup or prerestore: usually 2 to 5 s, which is a guess.
	Check Range
	// Activating is the time until an HSM is active, from the download or upload of a security domain on: usually 6 to 12 minutes. Clients
	// asked more than a dozen times, every 30 seconds (recorded 2025).
	Activating Range
	// Making is the time until an HSM is there that a request makes, usually 12 to 14 minutes, and Removing the duration of a deletion,
	// usually one to two. A new HSM has the options for all.
	Making, Removing Range
	// Blobs is the number of blobs of a backup, at least 2. 0 means 4; Azure's number is not known.
	Blobs int
	// BlobBytes is the size of each blob except the last. 0 means 32 KiB.
	BlobBytes int64
	// ProvisioningState, when not empty, is the state that Resource Manager shows of the HSM.
	ProvisioningState string
	// Activation is the activation state that Resource Manager shows of its security domain.
	Activation Activation
	// PurgeProtection keeps a deleted key until its scheduledPurgeDate: a purge is refused. It can be recovered.
	PurgeProtection bool
	// NullError gives bodies without an error an error whose members are null, instead of none: recorded until 2021.
	NullError bool

	Busy           Busy
	Looking        Looking
	MalformedSAS   MalformedSAS
	ShortSAS       ShortSAS
	DelegationSAS  DelegationSAS
	Folder         Folder
	BackupFirst    BackupFirst
	Restoring      Restoring
	RestoringPolls RestoringPolls
	RestoredRoles  RestoredRoles
	KeyInTheWay    KeyInTheWay
	MissingKey     MissingKey
	ForeignBackup  ForeignBackup
	TwinHolders    TwinHolders
	ExchangeKey    ExchangeKey
	BadUpload      BadUpload
}

// Activation says whether the HSM was activated by its security domain, as Resource Manager shows since 2022-07-01. Its
// provisioningState is Succeeded either way (recorded). It changes what is shown of an HSM that is not New, and no other answer.
type Activation int

const (
	// Activated is an HSM in normal operation.
	Activated Activation = iota
	// NotActivated is an HSM whose security domain was not downloaded yet.
	NotActivated
	// ActivationUnknown is shown while the HSM is provisioned.
	ActivationUnknown
)

// properties returns securityDomainProperties: the words (recorded, or of a kind with them) are for people alone.
func (a Activation) properties() map[string]any {
	switch a {
	case NotActivated:
		return map[string]any{
			"activationStatus": "NotActivated",
			"activationStatusMessage": "Your HSM has been provisioned, but cannot be used for cryptographic operations until it is " +
				"activated. To activate the HSM, download the security domain.",
		}
	case ActivationUnknown:
		return map[string]any{"activationStatus": "Unknown", "activationStatusMessage": "Resource creation in progress."}
	}
	return map[string]any{"activationStatus": "Active", "activationStatusMessage": "The HSM is activated."}
}

// MalformedSAS says when the HSM notices an unreadable SAS.
type MalformedSAS int

const (
	// MalformedInStatus accepts it with 202, and then the status says Failed, "Invalid Request" and, in the error, the reason:
	// recorded 2026.
	MalformedInStatus MalformedSAS = iota
	// MalformedAtStart answers 400 to the request: recorded 2022 and 2024.
	MalformedAtStart
	// MalformedAtPoll accepts it with 202 and answers 400 to each poll: recorded 2021.
	MalformedAtPoll
)

// Busy says how a busy HSM rejects a request.
type Busy int

const (
	// BusyByNumber answers 409 with the code 409, and an innererror with a trace of 3 KB: recorded 2026-04.
	BusyByNumber Busy = iota
	// BusyByName answers 409 with the code Conflict: reported 2026-07.
	BusyByName
)

// Looking says when a prebackup or prerestore without errors is done.
type Looking int

const (
	// LookingTakesTime answers InProgress to the start.
	LookingTakesTime Looking = iota
	// LookingAtOnce answers Succeeded to the start, with 202: recorded 2025-02 of a prerestore.
	LookingAtOnce
)

// ShortSAS says how the HSM treats a SAS that is valid for less than 24 hours, the time in the API's description.
type ShortSAS int

const (
	// RefuseShortSAS answers 400.
	RefuseShortSAS ShortSAS = iota
	// TakeShortSAS accepts it while it is valid; Azure CLI's own tests have used one hour.
	TakeShortSAS
)

// DelegationSAS says how the HSM treats a SAS that is signed with a user delegation key.
type DelegationSAS int

const (
	// RefuseDelegationSAS fails the operation as storage that denies access does.
	RefuseDelegationSAS DelegationSAS = iota
	// TakeDelegationSAS accepts it like a SAS of an account key.
	TakeDelegationSAS
)

// Folder says when a backup's folder becomes visible.
type Folder int

const (
	// FolderGrows shows one blob after the other.
	FolderGrows Folder = iota
	// FolderAtEnd shows nothing before the end.
	FolderAtEnd
)

// BackupFirst says whether a full restore requires a backup of the HSM that it overwrites. Microsoft's text of 2020 requires a
// full backup within the last 30 minutes. By its text of 2025 the backup must be at least 30 minutes old. 31 recorded restores
// and checks from 2020 to 2026 refute that: they came 1 to 25 seconds after their backup, and were accepted.
type BackupFirst int

const (
	// BackupWithin requires a backup within the last 30 minutes, before the time scale: the worse of the readings that the
	// recordings leave.
	BackupWithin BackupFirst = iota
	// BackupUnchecked requires none.
	BackupUnchecked
)

// Restoring says how calls are rejected while a full restore runs.
type Restoring int

const (
	// RestoringForbids answers 403.
	RestoringForbids Restoring = iota
	// RestoringUnavailable answers 503.
	RestoringUnavailable
)

// RestoringPolls says whether the status of a full restore can be read while it runs.
type RestoringPolls int

const (
	// RestoringAnswersPolls answers, as documented.
	RestoringAnswersPolls RestoringPolls = iota
	// RestoringRefusesPolls rejects polls like any call, for the first half of the restore.
	RestoringRefusesPolls
)

// RestoredRoles says whose role assignments a full restore brings back.
type RestoredRoles int

const (
	// RestoreAssignments brings back all assignments of the time of the backup, and no others.
	RestoreAssignments RestoredRoles = iota
	// RestoreAdministrators brings back only the assignments of administrators, as if the backup were older than the others.
	RestoreAdministrators
)

// KeyInTheWay says how the restore of a single key ends when there is a key of the name, live or deleted and not purged. No version
// is overwritten.
type KeyInTheWay int

const (
	// KeyInTheWaySucceeds ends Succeeded and gives the number in statusDetails only. The Go SDK's own test restores an existing
	// key and expects success.
	KeyInTheWaySucceeds KeyInTheWay = iota
	// KeyInTheWayFails ends Failed with the same statusDetails.
	KeyInTheWayFails
	// KeyInTheWayAddsVersions ends Succeeded, restores the versions that a live key lacks, and gives both numbers in statusDetails. It was
	// never recorded; the details have a number for it.
	KeyInTheWayAddsVersions
)

// MissingKey says how the restore of a single key ends when the backup has no such key.
type MissingKey int

const (
	// MissingKeySucceeds ends Succeeded and restores no version, which the statusDetails tell.
	MissingKeySucceeds MissingKey = iota
	// MissingKeyFails ends Failed with the statusDetails ResourceNotFound.
	MissingKeyFails
)

// ForeignBackup says when an HSM notices that a backup is of another security domain. It was never recorded.
type ForeignBackup int

const (
	// ForeignBackupLate lets a check succeed, and a restore fail at its end.
	ForeignBackupLate ForeignBackup = iota
	// ForeignBackupEarly lets a check fail too, and a restore in its middle.
	ForeignBackupEarly
)

// TwinHolders says whether a security domain may have the same certificate twice: clients let it pass.
type TwinHolders int

const (
	// TwinHoldersTaken makes a security domain that fewer people open than its quorum says.
	TwinHoldersTaken TwinHolders = iota
	// TwinHoldersRefused answers 400.
	TwinHoldersRefused
)

// ExchangeKey says which exchange key an HSM hands out when it is asked again.
type ExchangeKey int

const (
	// ExchangeKeyRenewed makes a new one each time: a restore blob for the one before is worthless.
	ExchangeKeyRenewed ExchangeKey = iota
	// ExchangeKeyKept returns the same.
	ExchangeKeyKept
)

// BadUpload says when an HSM notices a restore blob that it cannot open.
type BadUpload int

const (
	// BadUploadLate accepts it with 202, and then the status says Failed.
	BadUploadLate BadUpload = iota
	// BadUploadAtStart answers 400.
	BadUploadAtStart
)

// draw returns a duration of the range, or of the usual one. It is called under the lock.
func (m *managedHSMs) draw(r, usual Range) time.Duration {
	if r == (Range{}) {
		r = usual
	}
	if r.Longest <= r.Shortest {
		return r.Shortest
	}
	return r.Shortest + time.Duration(m.random.Uint64()%uint64(r.Longest-r.Shortest))
}

// TuneHSM changes the options of one HSM, or with an empty resource ID of all, later ones included. An operation uses the options
// at its start.
func (s *Sim) TuneHSM(resourceID string, change func(*HSMOptions)) error {
	m := s.hsms
	if resourceID == "" {
		m.mu.Lock()
		defer m.mu.Unlock()
		change(&m.options)
		for _, h := range m.hsms {
			change(&h.options)
		}
		return nil
	}
	h, err := m.find(resourceID)
	if err != nil {
		return fmt.Errorf("tune: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	change(&h.options)
	return nil
}
