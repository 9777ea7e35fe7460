package backup

import (
	"context"
	"time"
)

// RestoreKind says how much a restore brings back.
type RestoreKind string

const (
	// RestoreFull brings everything back, and wipes the old content: of a Managed HSM role assignments included.
	RestoreFull RestoreKind = "full"
	// RestoreKey brings one key of a Managed HSM back, with all its versions.
	RestoreKey RestoreKind = "selective"
)

// Restore describes a restore to a service.
type Restore struct {
	// Target is the resource ID of the service to restore into, and Source is the ID of the service that was backed up.
	Target, Source string
	// Storage and Artifact say where the backup is.
	Storage  Storage
	Artifact string
	// Size, SHA256, ETag and SKU come from the recovery point; see [Point]. An SKU of "" is not known.
	Size         int64
	SHA256, ETag string
	SKU          string
	// Written is the time at which the backup was written, by the storage's clock.
	Written time.Time
	// Blocks are the blocks of the plan that allows the restore; see [Attempt].
	Blocks Blocks
	Kind   RestoreKind
	// Key is the name of the key of a RestoreKey, otherwise "".
	Key string
	// Region is the region in which a service is recreated, if it is; "" if neither the request nor the plan says.
	Region string
}

// Restorer is a [Provider] that restores. None of its methods waits for Azure to finish something, and only BeginRestore changes
// anything.
type Restorer interface {
	// PreflightRestore checks whether the destination can take the restore. Its errors mean the same as in [Provider.Preflight].
	PreflightRestore(ctx context.Context, r Restore) error
	// PrepareRestore has the service itself check whether it could restore the artifact, if the service offers that. Unless it is
	// Done it is called again with its token, after RetryAfter; the token is "" at first, and after an error.
	PrepareRestore(ctx context.Context, r Restore, token string) (Operation, error)
	// BeginRestore sends the one request that starts the restore, with the errors of [Provider.Begin].
	BeginRestore(ctx context.Context, r Restore) (Operation, error)
	// PollRestore asks once for its progress, with the errors of [Provider.Poll].
	PollRestore(ctx context.Context, r Restore, token string) (Operation, error)
}

// Recreator is a [Restorer] of a service that makes its deleted resource again: [RestoreTraits].Recreates.
type Recreator interface {
	Restorer
	// FindRestore finds the outcome of a restore whose answer was lost: Done; or under way, with a token; or neither, if the
	// service shows no sign of it, as if it was never started. Refused: it failed. Unobservable: nothing that the service shows
	// tells; it is never begun again.
	FindRestore(ctx context.Context, r Restore) (Operation, error)
}

// ProviderAttempt describes the artifact as its verification knows it, read on behalf of the destination.
func (r Restore) ProviderAttempt(run string) Attempt {
	return Attempt{
		Target: r.Target, Storage: r.Storage, Blocks: r.Blocks, Run: run, Artifact: r.Artifact, SHA256: r.SHA256,
	}
}

// Restoring has the fields of a restore that other runs do not have. Its Target is the destination: a restore takes no lock but
// that one.
type Restoring struct {
	// Point is the ID of the recovery point, Source the resource ID of the service that was backed up.
	Point  string `json:"point"`
	Source string `json:"source"`
	// Storage, Artifact, ETag, SKU, SHA256, Size and Written come from the recovery point.
	Storage  Storage     `json:"storage,omitzero"`
	Artifact string      `json:"artifact,omitempty"`
	ETag     string      `json:"etag,omitempty"`
	SKU      string      `json:"sku,omitempty"`
	SHA256   string      `json:"sha256,omitempty"`
	Size     int64       `json:"size,omitempty"`
	Written  time.Time   `json:"written,omitzero"`
	Kind     RestoreKind `json:"kind"`
	Key      string      `json:"key,omitempty"`
	Region   string      `json:"region,omitempty"`
	// Preempt: the restore ends backups of its destination that wait or hang.
	Preempt bool `json:"preempt,omitempty"`
	// Expires is the time limit for its start.
	Expires time.Time `json:"expires"`
	// RequestedBy, Reason and ReplyTo come from the request.
	RequestedBy string `json:"requestedBy,omitempty"`
	Reason      string `json:"reason,omitempty"`
	ReplyTo     string `json:"replyTo,omitempty"`
	// Preview is the hash of the preview of the restore.
	Preview string `json:"preview"`
	// Safety: the destination is backed up first. SafetyBackedUp is the time at which that backup was verified.
	Safety bool `json:"safety,omitempty"`
	// NoSafety: the request wants no safety backup, for Reason.
	NoSafety       bool      `json:"noSafety,omitempty"`
	SafetyBackedUp time.Time `json:"safetyBackedUp,omitzero"`
	// Stopped is the last time at which the app was stopped when the restore, behind its safety backup, was to begin.
	Stopped time.Time `json:"stopped,omitzero"`
	// Elsewhere: it waits for something that is no matter of its destination.
	Elsewhere bool `json:"elsewhere,omitempty"`
	// Reading: the run stands among the readers of the recovery point.
	Reading bool `json:"reading,omitempty"`
	// Step is its progress.
	Step restoreStep `json:"step,omitempty"`
	// WaitPublished: it is published that the restore waits.
	WaitPublished bool `json:"waitPublished,omitempty"`
	// CanceledBy: a person has canceled it while its safety backup was being made; it ends behind that. CanceledOver is the ETag of
	// the row without this note.
	CanceledBy   string `json:"canceledBy,omitempty"`
	CanceledOver string `json:"canceledOver,omitempty"`
	// Warning says what the service left as it was, in its own words, or what a person may have to do now.
	Warning string `json:"warning,omitempty"`
	// Partly: the service restored only a part, and left the rest as it was.
	Partly bool `json:"partly,omitempty"`
}

// Extent says how much of its recovery point a restore has brought back.
type Extent string

// The extent is "" for a restore under way, and where Lifeboat cannot know it: the restore was begun, and did not succeed.
const (
	RestoredAll     Extent = "all"
	RestoredPart    Extent = "part"
	RestoredNothing Extent = "nothing"
)

// These are the codes of restores that Azure has made, and that restored nothing.
const (
	CodeNothingRestored = "NothingRestored"
	CodeKeyNotInBackup  = "KeyNotInBackup"
)

// Extent says how much the restore has brought back; "" for a backup.
func (r Run) Extent() Extent {
	switch {
	case r.Restore == nil || !r.State.Final() || r.State == Unknown:
		return ""
	case r.State == Succeeded && r.Restore.Partly:
		return RestoredPart
	case r.State == Succeeded:
		return RestoredAll
	case r.Reason.Code == CodeNothingRestored, r.Reason.Code == CodeKeyNotInBackup:
		return RestoredNothing
	case r.Restore.Step == StepRestoring && !r.Accepted.IsZero(): // it failed on the way
		return ""
	}
	return RestoredNothing
}

// Warning says what a restore left as it was, or what a person may have to do now; "" for a backup.
func (r Run) Warning() string {
	if r.Restore == nil {
		return ""
	}
	return r.Restore.Warning
}

// Known says that this version knows the step.
func (s restoreStep) Known() bool {
	return s == StepValidating || s == StepSafetyBackup || s == StepPreCheck || s == StepRestoring
}

// restoreStep is the progress of a restore, beside its state.
type restoreStep string

const (
	// StepValidating: nothing was begun; every guard is asked again.
	StepValidating restoreStep = ""
	// StepSafetyBackup: the safety backup is being made, with the states of any backup.
	StepSafetyBackup restoreStep = "safetyBackup"
	// StepPreCheck: the service itself checks whether it can restore.
	StepPreCheck restoreStep = "preCheck"
	// StepRestoring: the request that starts the restore is about to be sent, or was.
	StepRestoring restoreStep = "restoring"
)
