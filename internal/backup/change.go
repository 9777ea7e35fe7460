package backup

import "time"

// Change is a change of a resource while its backup was made. Whether the backup has it is not known.
type Change struct {
	// Time is the time of the change, Resource the ID of the changed resource, and Operation Azure's name for it.
	Time      time.Time `json:"time"`
	Resource  string    `json:"resource"`
	Operation string    `json:"operation"`
}

// ran returns the time in which the operation of the run's artifact was under way, up to the time at which that was written. It is
// zero if the answer to a start was lost: then it is not known which start made the artifact.
func (r Run) ran(written time.Time) Window {
	if len(r.LostStarts) > 0 || r.Intent.IsZero() || !written.After(r.Intent) {
		return Window{}
	}
	return Window{From: r.Intent, To: written}
}

// Verified describes the run's attempt to a provider, once its artifact is verified.
func (r Run) Verified(v Verification) Attempt {
	a := r.ProviderAttempt(r.Artifact)
	a.Ran = r.ran(v.Modified)
	return a
}
