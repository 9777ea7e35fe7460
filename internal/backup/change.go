package backup

import (
	"context"
	"time"
)

// Change is a change of a resource while its backup was made. Whether the backup has it is not known.
type Change struct {
	// Time is the time of the change, Resource the ID of the changed resource, and Operation Azure's name for it.
	Time      time.Time `json:"time"`
	Resource  string    `json:"resource"`
	Operation string    `json:"operation"`
	// Found is the time at which Lifeboat found it; zero if that was before there was a recovery point.
	Found time.Time `json:"found,omitzero"`
}

// ChangeReader is a [Provider] of a service whose changes Azure shows, some time after they were made.
type ChangeReader interface {
	// ReadChange returns the first change of the resource in a.Ran that Azure shows now; the zero value if it shows none. Refused: the
	// identity may not see changes. Any other error may pass.
	ReadChange(ctx context.Context, a Attempt) (Change, error)
}

// Ran returns the time in which the operation of the run's artifact was under way, up to the time at which that was written. It is
// zero if the answer to a start was lost: then it is not known which start made the artifact.
func (r Run) Ran(written time.Time) Window {
	if len(r.LostStarts) > 0 || r.Intent.IsZero() || !written.After(r.Intent) {
		return Window{}
	}
	return Window{From: r.Intent, To: written}
}
