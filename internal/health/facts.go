package health

import (
	"fmt"
	"slices"
	"time"

	"lifeboat/internal/backup"
)

// Facts has the newest recovery points and runs of a target at the last look, as far as [Snapshot.Evaluate] goes by them. It is a row of
// the catalog: so health reads a thousand targets by one request, and works out their ages itself.
type Facts struct {
	Target string      `json:"Target"`
	Points []pointFact `json:"Points,omitempty"`
	Runs   []runFact   `json:"Runs,omitempty"`
	// Restores are the restores into the target under way, and the newest that has ended.
	Restores []Restored `json:"Restores,omitempty"`
	// Unread says why a row of the target cannot be read, "" if every row that was read can be.
	Unread string `json:"Unread,omitempty"`
	// Left is the time at which a timer run found that no plan names the target any more; zero while one does. The row stays as long as
	// the target counts as departed.
	Left time.Time `json:"Left,omitzero"`

	backup.Carried
	// ETag is the one that the row was read with.
	ETag string `json:"-"`
}

// pointFact is a recovery point, and runFact a run.
type pointFact struct {
	ID        string            `json:"id"`
	State     backup.PointState `json:"state"`
	Plan      string            `json:"plan"`
	Created   time.Time         `json:"created"`
	AsOf      time.Time         `json:"asOf,omitzero"`
	CopyOnly  bool              `json:"copyOnly,omitempty"`
	Suspicion backup.Reason     `json:"suspicion,omitzero"`
}

type runFact struct {
	ID        string        `json:"id"`
	State     backup.State  `json:"state"`
	Plan      string        `json:"plan"`
	Scheduled time.Time     `json:"scheduled,omitzero"`
	Created   time.Time     `json:"created"`
	Ended     time.Time     `json:"ended,omitzero"`
	Reason    backup.Reason `json:"reason,omitzero"`
}

// Facts returns the facts about the target. These recovery points count: the newest live one, the newest suspect one, and the oldest of
// each plan. A run has its reason if it is under way, or if it is the newest one that ended without a point.
func (s Snapshot) Facts() Facts {
	f := Facts{Target: s.Target}
	if s.Unread != nil {
		f.Unread = s.Unread.Error()
	}
	live := s.newest(backup.Point.Live)
	suspect := s.newest(suspect)
	for i, p := range s.Points {
		oldest := !slices.ContainsFunc(s.Points, func(o backup.Point) bool { return o.Plan == p.Plan && o.Created.Before(p.Created) })
		if one := &s.Points[i]; one != live && one != suspect && !oldest {
			continue
		}
		fact := pointFact{ID: p.ID, State: p.State, Plan: p.Plan, Created: p.Created, AsOf: p.AsOf, CopyOnly: p.CopyOnly}
		if fact.State == backup.Live && p.Safety || p.IsSoftDeleted() {
			fact.State = backup.Expired // a safety backup protects nothing, nor does a point that goes
		}
		if fact.State == backup.Suspect {
			fact.Suspicion = p.Suspicion
		}
		f.Points = append(f.Points, fact)
	}
	failed := false
	for _, r := range s.Runs {
		fact := runFact{ID: r.ID, State: r.State, Plan: r.Plan, Scheduled: r.ScheduledTime, Created: r.Created, Ended: r.Ended}
		if lost := r.State.Final() && r.State != backup.Succeeded; !r.State.Final() || lost && !failed {
			fact.Reason, failed = r.Reason, failed || lost
		}
		f.Runs = append(f.Runs, fact)
	}
	f.Restores = newestRestores(s.Restores)
	return f
}

// Key is the key of the row.
func (f Facts) Key() backup.Key { return backup.FactsKey(f.Target) }

// Know adds the facts about the target.
func (s *Snapshot) Know(f Facts) {
	s.Points, s.Runs, s.Restores = nil, nil, nil
	for _, p := range f.Points {
		s.Points = append(s.Points, backup.Point{
			ID: p.ID, State: p.State, Target: s.Target, Plan: p.Plan, Created: p.Created, AsOf: p.AsOf, CopyOnly: p.CopyOnly, Suspicion: p.Suspicion,
		})
	}
	for _, r := range f.Runs {
		s.Runs = append(s.Runs, backup.Run{
			ID: r.ID, State: r.State, Target: s.Target, Plan: r.Plan, ScheduledTime: r.Scheduled, Created: r.Created, Ended: r.Ended, Reason: r.Reason,
		})
	}
	for _, r := range f.Restores {
		r.Target = s.Target
		s.Restores = append(s.Restores, r)
	}
	if s.Unread = nil; f.Unread != "" {
		s.Unread = fmt.Errorf("%w: %s", backup.ErrUnreadable, f.Unread)
	}
}

// Mark returns the write of the row that says that the target's runs or recovery points have changed since its facts were written. It
// comes behind the change. A timer run looks at the target, and deletes the mark with the write of the facts.
func Mark(target string) backup.Write {
	return backup.Write{Op: backup.Put, Key: backup.MarkKey(target), Body: backup.Encode(struct{ Target string }{target})}
}
