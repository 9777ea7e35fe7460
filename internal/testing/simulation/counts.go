package simulation

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"lifeboat/internal/backup"
)

// countsToo says whether the plans of the world have counts: in two of eight worlds, of which one has soft deletion too. The others stay
// as they are without them.
func (w *World) countsToo() bool { return w.choices.seed%8 == 2 || w.choices.seed%8 == 3 }

// drawCounts gives a plan counts. Where its keep has no within, its backups by hand have a time of their own, as plan.yaml gives them.
func (f *planFile) drawCounts(p *planSpec, all ...backup.Counts) {
	c := f.w.choices
	p.Counts = oneOf(c, all...)
	if c.pick(2) == 0 && p.Counts.Any() {
		p.Keep = 0
	}
	if p.Keep == 0 && !p.Counts.Any() {
		p.Keep = 3 * day
	}
	if p.Keep == 0 && p.ByHand == 0 {
		p.ByHand = 20 * day
	}
}

// zone finds one of the zones of the plans.
func zone(name string) (*time.Location, error) {
	for _, z := range zones {
		if z.String() == name {
			return z, nil
		}
	}
	return nil, fmt.Errorf("no plan has the zone %s", name)
}

// counted has what the rules say of the scheduled points of a plan and target: by the run of the newest verified one, at the time at which
// that one came.
type counted struct {
	settings backup.Settings
	held     map[string]bool
	// since is the time of the last change.
	since time.Time
}

// counted judges the live points of the plan and target of a point. With now it judges by the present time, and not by
// the one at which the newest came: points leave the horizon.
func (w *World) counted(of *backup.Point, live []*backup.Point, now bool) (c counted) {
	var good []*backup.Point
	for _, p := range live {
		if p.Plan == of.Plan && p.State == backup.Live && !p.Safety && !p.OnDemand && !p.IsSoftDeleted() {
			good = append(good, p)
			c.since = backup.Later(c.since, backup.Later(p.Created, p.Accepted.Time))
		}
	}
	if len(good) == 0 {
		return c
	}
	newest := slices.MaxFunc(good, func(a, b *backup.Point) int {
		return cmp.Or(a.Began.Compare(b.Began), cmp.Compare(a.ID, b.ID))
	})
	c.settings = w.ledger.runs[newest.ID].run.Settings
	in, err := zone(cmp.Or(c.settings.KeepCounts.Zone, "UTC"))
	if err != nil {
		panic(err) // all plans have one of them
	}
	at := c.since
	if now {
		at = w.now
	}
	c.held = map[string]bool{newest.ID: c.settings.KeepCounts.Any()}
	horizon := horizons[w.service(of.Target).behaviour.Type]
	good = slices.DeleteFunc(good, func(p *backup.Point) bool { return horizon > 0 && at.Sub(p.Began) > horizon })
	slices.SortFunc(good, func(a, b *backup.Point) int { return cmp.Or(b.Began.Compare(a.Began), cmp.Compare(b.ID, a.ID)) })
	for _, rule := range c.settings.KeepCounts.Each() {
		hold(rule, in, good, c.held)
	}
	return c
}

// hold notes the points that a count holds, of points of which the newest comes first: as docs/plan.md says it, and in no words of the engine.
func hold(rule backup.Count, in *time.Location, good []*backup.Point, held map[string]bool) {
	seen := map[string]bool{}
	for _, p := range good {
		t := p.Began.In(in)
		year, week := t.ISOWeek()
		of := map[string]string{
			"last": p.ID, "hourly": t.Format("2006-01-02 15 -0700"), "daily": t.Format(time.DateOnly), "weekly": fmt.Sprint(year, week),
			"monthly": t.Format("2006-01"), "yearly": t.Format("2006"),
		}[rule.Name]
		if len(seen) < rule.N && !seen[of] {
			seen[of], held[p.ID] = true, true
		}
	}
	if n := len(good); n > 0 && len(seen) < rule.N && rule.Name != "last" {
		held[good[n-1].ID] = true
	}
}

// countsHold: no point is given up that a count of its plan holds, nor one without a day that no count judges, nor one before the day
// that its plan's keep.within gives it.
func countsHold(w *World, moment any) string {
	m, ok := moment.(kept)
	gone := func(p *backup.Point) bool { return !canRestore(p) || p.IsSoftDeleted() }
	if !ok || m.was == nil || gone(m.was) || !gone(m.is) || m.is.Safety || m.is.State == backup.Altered || m.is.SoftDeletion.Person() {
		return ""
	}
	all := append(slices.Clone(m.others), m.was)
	c, now := w.counted(m.was, all, false), w.counted(m.was, all, true)
	day := w.firstDay(m.was, m.was.Created.Add(c.settings.KeepWithin))
	switch name := w.ledger.runName(m.is.ID); {
	case m.was.State == backup.Live && c.held[m.was.ID] && now.held[m.was.ID]:
		return fmt.Sprintf("a count of %s holds %s, and it is given up", c.settings.KeepCounts, name)
	case !m.was.Expires.IsZero():
	case c.settings.KeepWithin > 0 && w.now.Before(day.Add(-clockTolerance)):
		return fmt.Sprintf("%s is given up %s before the day that its plan gives it", name, day.Sub(w.now))
	case c.settings.KeepWithin == 0 && (m.was.State == backup.Suspect || m.was.OnDemand || !c.settings.KeepCounts.Any()):
		return name + " has no day on which it expires, no count judges it, and it is given up"
	}
	return ""
}

// stays says whether a point past its day, or without one, may still be there in the end because of counts.
func (w *World) stays(p *backup.Point, live []*backup.Point) bool {
	c := w.counted(p, live, false)
	switch {
	case c.held[p.ID], w.counted(p, live, true).held[p.ID], w.now.Sub(c.since) < 7*time.Hour, w.leftPlace(p, live):
		return true
	case !p.Expires.IsZero():
		return false
	case c.settings.KeepWithin > 0:
		return w.now.Sub(w.finalDay(p, p.Created.Add(c.settings.KeepWithin))) < 7*time.Hour
	}
	return p.State == backup.Suspect || p.OnDemand || !c.settings.KeepCounts.Any()
}

// leftPlace says whether a person has deleted a point of the plan since its newest backup. The next backup gives the place to another one.
func (w *World) leftPlace(p *backup.Point, live []*backup.Point) bool {
	var newest, deleted time.Time
	for _, o := range live {
		if o.Plan == p.Plan && !o.SoftDeletion.Person() {
			newest = backup.Later(newest, o.Created)
		}
	}
	for _, id := range w.ledger.history[backup.Partition(p.Target)] {
		if o := w.ledger.points[id]; o != nil && o.Plan == p.Plan && o.SoftDeletion.Person() {
			deleted = backup.Later(deleted, o.SoftDeletion.Since)
		}
	}
	return deleted.After(newest)
}

// lastDay returns the day on which the point expires, or some days after it was made if it has none.
func lastDay(p *backup.Point) time.Time {
	if p.Expires.IsZero() {
		return p.Created.Add(2 * day)
	}
	return p.Expires
}
