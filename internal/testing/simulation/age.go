package simulation

import (
	"slices"
	"strings"
	"time"

	"lifeboat/internal/backup"
)

// success is a verified backup. Its run knows for how long time goes on behind it.
type success struct {
	at    time.Time
	grace time.Duration
}

// successes has the verified backups of a plan and target. All has each of them, and clock only the ones which were live and the newest when
// they came: by these cleanup may have said when it looks again.
type successes struct{ all, clock []success }

func clockOf(p *backup.Point) string { return strings.ToLower(p.Target) + " " + p.Plan }

// worked notes a verified backup.
func (l *ledger) worked(w *World, p *backup.Point) {
	s := success{p.Created, l.runs[p.ID].run.Settings.KeepGrace}
	if s.at.After(w.now) {
		s.at = w.now
	}
	is := l.successes[clockOf(p)]
	i, _ := slices.BinarySearchFunc(is.all, s, func(a, b success) int { return a.at.Compare(b.at) })
	is.all = slices.Insert(is.all, i, s)
	if n := len(is.clock); p.Accepted.Time.IsZero() && (n == 0 || s.at.After(is.clock[n-1].at)) {
		is.clock = append(is.clock, s)
	}
	l.successes[clockOf(p)] = is
}

// idle returns the time since the point in which the newest success was longer ago than its grace.
func (w *World) idle(p *backup.Point, successes []success) (idle time.Duration) {
	if p.Safety {
		return 0
	}
	for i, s := range successes {
		to := w.now
		if i+1 < len(successes) {
			to = successes[i+1].at
		}
		idle += max(to.Sub(backup.Later(s.at.Add(s.grace), p.Created)), 0)
	}
	return idle
}

// firstDay and finalDay return the first and the last time at which a time of the point can end that counts only time in which backups
// worked. An acceptance may tell too late that one did. The service's limit of age goes by the calendar.
func (w *World) firstDay(p *backup.Point, day time.Time) time.Time {
	if p.State == backup.Suspect {
		return day
	}
	return w.limited(p, day, day.Add(w.idle(p, w.ledger.successes[clockOf(p)].all)))
}

func (w *World) finalDay(p *backup.Point, day time.Time) time.Time {
	is := w.ledger.successes[clockOf(p)]
	began := is.all[:min(len(is.all), 1)] // the clock begins with any success, also with one that became live later
	idle := max(w.idle(p, slices.Concat(began, is.clock)), w.idle(p, is.all))
	return w.limited(p, day, day.Add(idle))
}

func (w *World) limited(p *backup.Point, day, aged time.Time) time.Time {
	limit := p.Created.Add(horizons[w.service(p.Target).behaviour.Type])
	if limit.After(p.Created) && aged.After(limit) {
		return backup.Later(day, limit)
	}
	return aged
}
