// Package api has the bodies of the HTTP API: the handler writes them, and the commands read them. A body leaves out a time that
// is zero.
package api

import (
	"time"

	"lifeboat/internal/backup"
)

// Problem is an error for the caller, in the form of the Azure REST API Guidelines.
type Problem struct {
	Code    string    `json:"code"`
	Message string    `json:"message"`
	Target  string    `json:"target,omitempty"`
	Details []Problem `json:"details,omitempty"`
}

// Takeover says which app owns the catalog since when, and which one owned it before.
type Takeover struct {
	Owner string    `json:"owner"`
	From  string    `json:"from"`
	Since time.Time `json:"ownerSinceDateTime"`
}

// Stop says whether the app is stopped, so that nothing is deleted and no restore begins.
type Stop struct {
	Stopped bool `json:"stopped"`
	// Reason says why; missing if the app is not stopped. Backups: plans make no runs either.
	Reason  string `json:"reason,omitempty"`
	Backups bool   `json:"backups"`
	// Setting: the app setting LIFEBOAT_STOPPED is set, which no call ends.
	Setting bool `json:"setting,omitempty"`
	// Since and By are the time and the caller of the call that stopped the app; missing if none did.
	Since time.Time `json:"sinceDateTime,omitzero"`
	By    string    `json:"by,omitempty"`
}

// Page is a part of a list. NextLink is the address of the next part, "" at the end.
type Page[T any] struct {
	Value    []T    `json:"value"`
	NextLink string `json:"nextLink,omitempty"`
	// Pruned is on the last page if older entries were pruned.
	Pruned *Pruned `json:"pruned,omitempty"`
}

// Pruned says how many runs of a target were pruned, because they were older than the history, and when the newest of these was made.
type Pruned struct {
	Runs int       `json:"runs"`
	Last time.Time `json:"newestCreatedDateTime"`
}

// Run is a run as callers see it. Status is Azure's word for a long-running operation, so that Azure's own pollers end on it;
// State is Lifeboat's.
type Run struct {
	ID            string       `json:"id"`
	Status        string       `json:"status"`
	State         backup.State `json:"state"`
	Kind          string       `json:"kind"`
	Plan          string       `json:"plan"`
	Target        string       `json:"target"`
	ScheduledTime time.Time    `json:"scheduledTime,omitzero"`
	Request       string       `json:"requestId,omitempty"`
	Created       time.Time    `json:"createdDateTime"`
	LastUpdated   time.Time    `json:"lastUpdatedDateTime"`
	Ended         time.Time    `json:"endedDateTime,omitzero"`
	Attempts      int          `json:"attempts"`
	Polls         int          `json:"polls"`
	// RetryAt is the time of the next attempt, if Azure has failed the one before for a reason that may pass; Failed lists all such
	// attempts.
	RetryAt time.Time       `json:"retryDateTime,omitzero"`
	Failed  []FailedAttempt `json:"failedAttempts,omitempty"`
	// Looked is the time of Azure's newest answer about changes of the service during the backup; missing if there was none.
	Looked time.Time `json:"changesLookedDateTime,omitzero"`
	// Waiting says why a run under way makes no progress; Error says why a run ended without a recovery point.
	Waiting *Problem `json:"waiting,omitempty"`
	// Restore describes a restore; then the recovery point is its safety backup.
	Restore *Restore `json:"restore,omitempty"`
	Error   *Problem `json:"error,omitempty"`
	Point   *Point   `json:"recoveryPoint,omitempty"`
	// NotIncluded lists what the recovery point does not contain.
	NotIncluded []string `json:"notIncluded,omitempty"`
}

// FailedAttempt is an attempt that Azure has failed for a reason that may pass. Ended is the time at which Lifeboat learned of that.
type FailedAttempt struct {
	Attempt int       `json:"attempt"`
	Ended   time.Time `json:"endedDateTime"`
	Error   Problem   `json:"error"`
}

// Restore describes a restore: its recovery point, its sender and the reason.
type Restore struct {
	Point       string             `json:"recoveryPoint"`
	Source      string             `json:"source"`
	Kind        backup.RestoreKind `json:"kind"`
	Key         string             `json:"key,omitempty"`
	Region      string             `json:"restoreRegion,omitempty"`
	Expires     time.Time          `json:"expires,omitzero"`
	RequestedBy string             `json:"requestedBy,omitempty"`
	Reason      string             `json:"reason,omitempty"`
	PreviewHash string             `json:"previewHash"`
	// Safety says that the destination is backed up first. NoSafety says that the request wants none, for Reason.
	Safety   bool `json:"safetyBackup"`
	NoSafety bool `json:"noSafetyBackup,omitempty"`
	// Preempt says that it ends backups of the destination that wait or hang.
	Preempt bool `json:"preempt,omitempty"`
	// CanceledBy says who has canceled it while its safety backup was being made: it ends behind that.
	CanceledBy string `json:"canceledBy,omitempty"`
	Warning    string `json:"warning,omitempty"`
}

// Point is a recovery point within its run.
type Point struct {
	State backup.PointState `json:"state"`
	// CopyOnly says that Azure can restore nothing from it, in any state.
	CopyOnly bool   `json:"copyOnly,omitempty"`
	Account  string `json:"storageAccount"`
	Blob     string `json:"blob"`
	// Share is the file share that has the backup; missing if blobs have it. Blob is no blob if there is one.
	Share  *FileShare `json:"fileShare,omitempty"`
	Size   int64      `json:"sizeInBytes"`
	SHA256 string     `json:"sha256"`
	// SKU is the tier of the service at that time, if it is known: the backup can be restored into that tier only.
	SKU      string    `json:"sku,omitempty"`
	Created  time.Time `json:"createdDateTime"`
	Expires  time.Time `json:"expiresDateTime"`
	Deleted  time.Time `json:"deletedDateTime,omitzero"`
	Decision string    `json:"decision,omitempty"`
	// Evidence says how sure it is that it can be restored: stored, hashProved, azureAsked or restored; missing if it is gone. Restored is
	// the end of the newest restore from it that succeeded.
	Evidence backup.Evidence `json:"evidence,omitempty"`
	Restored time.Time       `json:"restoredDateTime,omitzero"`
	// Note says which check of it was not possible, and why.
	Note string `json:"note,omitempty"`
	// Facts were found in the artifact itself, under names of the service's own; missing if there are none.
	Facts []backup.Fact `json:"facts,omitempty"`
	// Changed is a change of the service while the backup was made, which it may lack; missing if none is known.
	Changed *Change `json:"changedDuringBackup,omitempty"`
	// Suspicion says why it is suspect, or was until it was accepted.
	Suspicion *Problem `json:"suspicion,omitempty"`
	// Accepted has the time of the acceptance of a suspect point, the request ("invocation …") or the third similar point
	// ("run …") that accepted it, and the reason.
	Accepted     time.Time `json:"acceptedDateTime,omitzero"`
	AcceptedBy   string    `json:"acceptedBy,omitempty"`
	AcceptReason string    `json:"acceptedReason,omitempty"`
	// Safety says that it is the safety backup of the restore with the same ID. Until Held it stays in any case, unless that
	// restore is confirmed before.
	Safety bool      `json:"safetyBackup,omitempty"`
	Held   time.Time `json:"heldUntilDateTime,omitzero"`
	// Holds are the holds by people that have not ended, oldest first: it stays until the last of them has.
	Holds []Hold `json:"holds,omitempty"`
	// SoftDelete is the time for which it stays soft-deleted, in seconds, and SoftDeletion says that it is so.
	SoftDelete   int64         `json:"softDeleteInSeconds,omitempty"`
	SoftDeletion *SoftDeletion `json:"softDeletion,omitempty"`
	// Kept says that it is past its time, and why it was not deleted: storage does not let it be deleted, or it is altered.
	Kept *Kept `json:"keptByStorage,omitempty"`
}

// FileShare is a file share of a storage account. Zone is the DNS zone in the names of the account's hosts, such as "z12"; missing for
// names of the usual kind.
type FileShare struct {
	Account string `json:"storageAccountId"`
	Zone    string `json:"zone,omitempty"`
	Name    string `json:"name"`
}

// Hold is a hold of a recovery point by a person. Until is missing if it lasts until it is released.
type Hold struct {
	ID     string    `json:"id"`
	Since  time.Time `json:"sinceDateTime"`
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	Until  time.Time `json:"untilDateTime,omitzero"`
}

// SoftDeletion is the decision to delete a recovery point. By is missing if the policy of its plan has decided.
type SoftDeletion struct {
	Since  time.Time `json:"sinceDateTime"`
	Until  time.Time `json:"untilDateTime"`
	Reason string    `json:"reason"`
	By     string    `json:"by,omitempty"`
}

// Change is a change of a service: when, of what, and by which operation of Azure.
type Change struct {
	Time      time.Time `json:"dateTime"`
	Resource  string    `json:"resource"`
	Operation string    `json:"operation"`
}

// Kept describes the protection of a point that storage keeps. Until is missing if storage does not say it; Again is the time of
// the next try to delete the point.
type Kept struct {
	Until  time.Time `json:"untilDateTime,omitzero"`
	Again  time.Time `json:"nextTryDateTime"`
	Reason *Problem  `json:"error"`
}

// RecoveryPoint is a recovery point by itself. Run is the URL of the run that made it; both have the same ID.
type RecoveryPoint struct {
	ID     string `json:"id"`
	Plan   string `json:"plan"`
	Target string `json:"target"`
	Run    string `json:"run"`
	Point
	// NotIncluded lists what it does not contain.
	NotIncluded []string `json:"notIncluded"`
}

// Target is a target of an active plan.
type Target struct {
	Target string `json:"target"`
	Plan   string `json:"plan"`
	// Into lists the services that the plan lets it be restored into, by their resource IDs.
	Into []string `json:"restoreInto,omitempty"`
}

// Batch is a batch as callers see it. Status is Azure's word for the whole: Succeeded only if every run has succeeded.
type Batch struct {
	ID          string    `json:"id"`
	Status      string    `json:"status"`
	Kind        string    `json:"kind"`
	Plan        string    `json:"plan"`
	Request     string    `json:"requestId"`
	Created     time.Time `json:"createdDateTime"`
	LastUpdated time.Time `json:"lastUpdatedDateTime"`
	Ended       time.Time `json:"endedDateTime,omitzero"`
	// Counts are the runs by state.
	Counts map[backup.State]int `json:"counts"`
	// Error has a detail for each run that did not succeed, once all have ended.
	Error *Problem   `json:"error,omitempty"`
	Runs  []BatchRun `json:"runs"`
}

// BatchRun is a run of a batch. Href is its URL.
type BatchRun struct {
	ID     string       `json:"id"`
	Target string       `json:"target"`
	Status string       `json:"status"`
	State  backup.State `json:"state"`
	Href   string       `json:"href"`
}

// Coverage says which services in the subscriptions of the targets no plan has, as of the last look of a cleanup.
type Coverage struct {
	// Looked is the time of the last look that Azure answered, and Tried the time of the last one; missing if there was none.
	Looked time.Time `json:"lookedDateTime,omitzero"`
	Tried  time.Time `json:"triedDateTime,omitzero"`
	// Error says why Azure did not answer the last look; missing if it did.
	Error         *Problem              `json:"error,omitempty"`
	Subscriptions []CoveredSubscription `json:"subscriptions"`
	Services      []Uncovered           `json:"services"`
	// Omitted counts the services that are left out, since there are very many.
	Omitted int `json:"omitted,omitempty"`
}

// Selection is the answer to GET /api/selection: the targets that plans select.
type Selection struct {
	// Looked is the time of the last look that Azure answered, and Tried the time of the last one; missing if there was none.
	Looked time.Time `json:"lookedDateTime,omitzero"`
	Tried  time.Time `json:"triedDateTime,omitzero"`
	// Error says why the last look has no answer for all plans; missing if it has.
	Error *Problem   `json:"error,omitempty"`
	Plans []Selected `json:"plans"`
	// Waiting has the services that the last look has found if a plan would lose too many of its own: they wait for a person.
	Waiting *WaitingSelection `json:"waiting,omitempty"`
}

// Selected are the services that a plan selects.
type Selected struct {
	Plan string `json:"plan"`
	// Key is the same for the same selection, however the plan is called.
	Key     string   `json:"key"`
	Targets []string `json:"targets"`
}

// WaitingSelection waits for POST /api/selection/accept with its ID.
type WaitingSelection struct {
	ID    string     `json:"id"`
	Since time.Time  `json:"sinceDateTime"`
	Plans []Selected `json:"plans"`
	// Leaving are the services that their plans would lose.
	Leaving []string `json:"leaving"`
}

// CoveredSubscription is a subscription of a target.
type CoveredSubscription struct {
	ID     string `json:"subscription"`
	Status string `json:"status"`
	// Uncovered counts the services that no plan has and could be backed up. It is missing for a subscription that was not looked through.
	Uncovered *int `json:"uncovered,omitempty"`
}

// A subscription was looked through, or the app may not read all of it, or there was no look yet.
const (
	LookedThrough = "looked"
	CouldNotLook  = "couldNotLook"
	NotYet        = "notYet"
)

// Uncovered is a service that no plan has. Unfit says why it cannot be backed up as it is; missing if it can be.
type Uncovered struct {
	ID       string `json:"id"`
	Location string `json:"location,omitempty"`
	Unfit    string `json:"unfit,omitempty"`
}
