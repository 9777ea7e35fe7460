package health

import (
	"slices"
	"time"

	"lifeboat/internal/backup"
)

// Undeleted says which recovery points of a target are past their time and could not be deleted. It is a row of the catalog.
type Undeleted struct {
	Target string `json:"Target"`
	// Points counts them, and IDs names them, mostNamed of them at the most. Point fails for the longest, as far as cleanups have read
	// them, since that time.
	Points int       `json:"Points"`
	IDs    []string  `json:"IDs,omitempty"`
	Point  string    `json:"Point"`
	Since  time.Time `json:"Since"`
	// Reason says why it could not be deleted.
	Reason backup.Reason `json:"Reason"`

	backup.Carried
}

// mostNamed bounds the IDs: 500 of them take 22,000 characters, and Azure Table Storage allows 32,768 in a column.
const mostNamed = 500

// Without returns the IDs without the ones of the points.
func (u Undeleted) Without(points []backup.Point) []string {
	return slices.DeleteFunc(slices.Clone(u.IDs), func(id string) bool {
		return slices.ContainsFunc(points, func(p backup.Point) bool { return p.ID == id })
	})
}

// NewUndeleted picks the points of the target that an event told of. Others are the IDs of points that were not read now. Its Point is
// "" if there are none among the points.
func NewUndeleted(target string, points []backup.Point, others ...string) Undeleted {
	u := Undeleted{Target: target, IDs: others}
	for _, p := range points {
		since := p.Undeleted.Since
		if p.State == backup.Expired || p.Undeleted.Published == "" {
			continue
		}
		if len(u.IDs) < mostNamed {
			u.IDs = append(u.IDs, p.ID)
		}
		if u.Point == "" || since.Before(u.Since) {
			u.Point, u.Since, u.Reason = p.ID, since, p.KeptByStorage.Reason
			if p.State == backup.Deleting {
				u.Reason = p.Reason
			}
		}
	}
	slices.Sort(u.IDs)
	u.Points = len(u.IDs)
	return u
}
