package health

import (
	"time"

	"lifeboat/internal/backup"
)

// Undeleted says which recovery points of a target are past their time and could not be deleted. It is a row of the catalog.
type Undeleted struct {
	Target string `json:"Target"`
	// Points counts them, as far as the last cleanup read. Point fails for the longest, since that time.
	Points int       `json:"Points"`
	Point  string    `json:"Point"`
	Since  time.Time `json:"Since"`
	// Reason says why it could not be deleted.
	Reason backup.Reason `json:"Reason"`

	backup.Carried
}

// NewUndeleted picks the points of the target that an event told of. Its Point is "" if there are none.
func NewUndeleted(target string, points []backup.Point) Undeleted {
	u := Undeleted{Target: target}
	for _, p := range points {
		since := p.Undeleted.Since
		if p.State == backup.Expired || p.Undeleted.Published == "" {
			continue
		}
		if u.Points++; u.Point == "" || since.Before(u.Since) {
			u.Point, u.Since, u.Reason = p.ID, since, p.KeptByStorage.Reason
			if p.State == backup.Deleting {
				u.Reason = p.Reason
			}
		}
	}
	return u
}
