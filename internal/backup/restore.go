package backup

import (
	"context"
	"time"
)

// RestoreKind says how much a restore brings back.
type RestoreKind string

const (
	// RestoreFull brings everything back, and wipes what was there: of a Managed HSM role assignments included.
	RestoreFull RestoreKind = "full"
	// RestoreKey brings one key of a Managed HSM back, with all its versions.
	RestoreKey RestoreKind = "selective"
)

// Restore is what a service is asked to bring back.
type Restore struct {
	// Target is the resource ID of the service that is restored into, Source that of the one that was backed up.
	Target, Source string
	// Storage and Artifact say where the backup is.
	Storage  Storage
	Artifact string
	// Size, SHA256, ETag and SKU are what the recovery point has recorded of it; see [Point]. An SKU of "" is not known.
	Size         int64
	SHA256, ETag string
	SKU          string
	// Written is when the backup was written, by the storage's clock.
	Written time.Time
	// Blocks are those of the plan that allows the restore; see [Attempt].
	Blocks Blocks
	Kind   RestoreKind
	// Key is the name of the key of a RestoreKey, otherwise "".
	Key string
	// Region is where a service is made anew that is; "" where the request and the plan do not say.
	Region string
}

// Restorer is a [Provider] that restores. None of its methods waits for Azure to finish something, and only BeginRestore
// changes anything.
type Restorer interface {
	// PreflightRestore looks whether the destination can take the restore. Its errors mean the same as those of
	// [Provider.Preflight].
	PreflightRestore(ctx context.Context, r Restore) error
	// PrepareRestore has the service itself look whether it could restore the artifact, where it offers that. Unless it is
	// Done it is called again with its token, after RetryAfter; the token is "" at first, and after an error.
	PrepareRestore(ctx context.Context, r Restore, token string) (Operation, error)
	// BeginRestore sends the one request that starts the restore, with the errors of [Provider.Begin].
	BeginRestore(ctx context.Context, r Restore) (Operation, error)
	// PollRestore asks once how it is getting on, with the errors of [Provider.Poll].
	PollRestore(ctx context.Context, r Restore, token string) (Operation, error)
	// FindRestore says what became of a restore whose answer was lost: Done; or under way, with a token; or, with neither, not
	// to be seen, as if it was never started. Refused: it failed. Denied: nothing that the service shows tells; it is never
	// begun again.
	FindRestore(ctx context.Context, r Restore) (Operation, error)
}

// ProviderAttempt is the artifact as its verification knows it, read on behalf of the destination.
func (r Restore) ProviderAttempt(run string) Attempt {
	return Attempt{
		Target: r.Target, Storage: r.Storage, Blocks: r.Blocks, Run: run, Artifact: r.Artifact, Reread: true,
	}
}

// Restoring is what a run that restores needs beside what every run has. Its Target is the destination: a restore takes
// no lock but that one.
type Restoring struct {
	// Point is the ID of the recovery point, Source the resource ID of what was backed up.
	Point  string `json:"point"`
	Source string `json:"source"`
	// Storage, Artifact, ETag, SKU, SHA256, Size and Written are those of the recovery point.
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
	// Expires is when it must have begun.
	Expires time.Time `json:"expires"`
	// RequestedBy, Reason and ReplyTo are those of the request.
	RequestedBy string `json:"requestedBy,omitempty"`
	Reason      string `json:"reason,omitempty"`
	ReplyTo     string `json:"replyTo,omitempty"`
	// Plan is the hash of the plan of the restore.
	Plan string `json:"plan"`
	// Safety: the destination is backed up first. Secured is when that was verified.
	Safety  bool      `json:"safety,omitempty"`
	Secured time.Time `json:"secured,omitzero"`
	// Reading: the run stands among the readers of the recovery point.
	Reading bool `json:"reading,omitempty"`
	// Step is how far it has got.
	Step restoreStep `json:"step,omitempty"`
	// Told: others know that it waits.
	Told bool `json:"told,omitempty"`
	// Warning is what the service left as it was, in its own words.
	Warning string `json:"warning,omitempty"`
}

// restoreStep is how far a restore has got, beside its state.
type restoreStep string

const (
	// StepGuarding: nothing was begun; every guard is asked again.
	StepGuarding restoreStep = ""
	// StepSecuring: the safety backup, whose states are those of any backup.
	StepSecuring restoreStep = "securing"
	// StepChecking: the service itself looks whether it can restore.
	StepChecking restoreStep = "checking"
	// StepRestoring: the request that starts the restore is about to be sent, or was.
	StepRestoring restoreStep = "restoring"
)
