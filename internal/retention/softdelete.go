package retention

import (
	"lifeboat/internal/backup"
)

// stays says whether the policy may have to keep the point at any age: also if the policy has soft-deleted it. It is the newest one
// again once the newer ones are lost, or once a person has accepted it.
func stays(p backup.Point) bool {
	if !p.SoftDeletion.Person() {
		p.SoftDeletion = backup.SoftDeletion{}
	}
	return p.Live()
}

// soften has a point that expires be soft-deleted first. It keeps a soft-deleted one until the end of its time.
func (r *Review) soften(d Decision) Decision {
	p := d.Point
	soft := p.SoftDeletion
	switch {
	case d.Keep && p.IsSoftDeleted():
		_, among := r.minimum(p)
		d.Unmark = r.unread == "" && p.State != backup.Deleting && (p.ID == r.newest.ID || among || r.isFormer(p))
	case d.Keep:
	case p.State == backup.Deleting:
	case !p.IsSoftDeleted():
		d.Mark = p.SoftDelete > 0
	case r.now.Before(soft.Until):
		d.Keep, d.Reason = true, softDeleted(p)
	case soft.Person():
		d.Reason = "deleted by " + soft.By + ": " + soft.Reason
	default:
		d.Reason = soft.Reason
	}
	return d
}
