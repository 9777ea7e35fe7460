package backup

import "time"

const (
	// DefaultSoftDelete is the time of a plan that says none.
	DefaultSoftDelete = 7 * 24 * time.Hour
	// LongestSoftDelete is the longest time that a plan may say.
	LongestSoftDelete = 365 * 24 * time.Hour
)

// SoftDeletion says that a recovery point is about to be deleted, and until when it stays. Meanwhile it can be restored, and undeleted.
type SoftDeletion struct {
	// Since is the time of the decision, and Until the time from which on the artifact is deleted.
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
	// Reason is the policy's, or the person's.
	Reason string `json:"reason"`
	// ID is made of the ID of the person's request, by [HoldID], and By names the request, as in [Acceptance]. Both are "" if the policy
	// has decided.
	ID string `json:"id,omitempty"`
	By string `json:"by,omitempty"`
}

// Person says whether a person has asked for it.
func (d SoftDeletion) Person() bool { return d.ID != "" }

// Undo is the newest end of a soft deletion by a person, so that a late repeat of that deletion is known as one.
type Undo struct {
	Deletion string    `json:"deletion"`
	Time     time.Time `json:"time"`
	By       string    `json:"by"`
}

// IsSoftDeleted says whether the point is soft-deleted. It stays so when its deletion begins.
func (p Point) IsSoftDeleted() bool { return !p.SoftDeletion.Since.IsZero() }
