package config

import (
	"cmp"
	"time"

	"go.yaml.in/yaml/v4"

	"lifeboat/internal/backup"
	"lifeboat/internal/retention"
)

// onDemandKeep is the time for which backups by hand are kept where onDemand.keep does not say it, if the service can restore them for so
// long. keep is about the points of the schedule alone.
const onDemandKeep = 90 * 24 * time.Hour

// keep reads which recovery points of the plan are kept.
func (r *reader) keep(n *yaml.Node, p *backup.Plan) {
	keep := field(n, "keep")
	s := &p.Settings
	s.KeepWithin, s.KeepMinimum = r.within(keep, services(*p)), r.whole(keep, "minimum")
	s.KeepCounts = backup.Counts{
		Last: r.whole(keep, "last"), Hourly: r.whole(keep, "hourly"), Daily: r.whole(keep, "daily"),
		Weekly: r.whole(keep, "weekly"), Monthly: r.whole(keep, "monthly"), Yearly: r.whole(keep, "yearly"),
	}
	if s.KeepCounts.Any() {
		s.KeepCounts.Zone = p.Schedule.Zone.String()
	}
	s.KeepGrace = retention.Grace(p.Schedule.Widest())
	p.OnDemandKeepWithin = onDemandKeep
	for _, target := range services(*p) {
		p.OnDemandKeepWithin = min(p.OnDemandKeepWithin, cmp.Or(r.restorable(target), onDemandKeep))
	}
	if keep == nil || r.bad[keep] {
		return
	}
	for _, at := range keep.Content {
		if r.bad[at] {
			return
		}
	}
	if err := retention.PolicyOf(*s).Check(); err != nil {
		r.fail(keep, "keep: %v", err)
	}
}
