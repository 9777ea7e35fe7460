package simulation

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"lifeboat/internal/backup"
)

// edit is a change of a service during one of its backups. Azure shows it late.
type edit struct{ at, shown time.Time }

// edit may have a person change the service during the operation.
func (s *service) edit(o *operation) {
	if c := s.w.choices; s.shows && o.ends.After(o.began) && c.chance(300) {
		at := o.began.Add(o.ends.Sub(o.began) / oneOf(c, time.Duration(2), 5, 20))
		s.edits = append(s.edits, edit{at, at.Add(oneOf(c, 5*time.Minute, 3*time.Minute, 20*time.Minute))})
	}
}

// editsIn returns the changes of the service in the time.
func (s *service) editsIn(ran backup.Window) (all []edit) {
	for _, e := range s.edits {
		if !e.at.Before(ran.From) && !e.at.After(ran.To) {
			all = append(all, e)
		}
	}
	return all
}

// change returns the edit as Azure tells it.
func (s *service) change(e edit) backup.Change {
	return backup.Change{Time: e.at, Resource: s.target + "/apis/echo", Operation: "write"}
}

// showing is an invocation in a world whose services show changes.
type showing struct{ *invocation }

// ReadChange implements [backup.ChangeReader].
func (v showing) ReadChange(ctx context.Context, a backup.Attempt) (backup.Change, error) {
	const what = "look for a change"
	s, f := v.w.service(a.Target), v.w.ledger.runs[a.Run]
	f.shown = time.Time{}
	end, err := v.step(ctx, what)
	if err != nil {
		return backup.Change{}, err
	}
	defer v.after(what)
	if f := v.front(end, s, what); f != nil {
		return backup.Change{}, f
	}
	f.shown = v.w.now
	for _, e := range s.editsIn(a.Ran) {
		if !e.shown.After(v.w.now) {
			v.hum("%s: there was one", what)
			v.w.figures.Changes++
			return s.change(e), nil
		}
	}
	v.hum("%s: none", what)
	return backup.Change{}, nil
}

// toldOfChange checks the event about a change that Azure has shown late.
func (w *World) toldOfChange(e backup.Event) string {
	id := strings.TrimSuffix(e.ID, ".changed")
	var data struct {
		Changed struct {
			Time time.Time `json:"dateTime"`
		} `json:"changedDuringBackup"`
	}
	p := w.ledger.points[id]
	if err := json.Unmarshal(e.Data, &data); err != nil || p == nil || !p.Changed.Time.Equal(data.Changed.Time) || !p.Changed.Found.Equal(e.Time) {
		return "told of a change during the backup of " + w.ledger.runName(id) + ", of which its recovery point does not know"
	}
	return ""
}

// untoldChange says which change during the run's backup is not told as it is, once all is over.
func (w *World) untoldChange(f *facts) string {
	p := w.ledger.points[f.run.ID]
	switch {
	case f.run.Look != (backup.Window{}):
		return f.name + " has a late look for a change to make"
	case p == nil || p.State == backup.Expired || p.State == backup.Deleting:
		return ""
	case !p.Changed.Found.IsZero() && w.ledger.told[f.run.ID+".changed"] == "":
		return "nobody was told of the change during the backup of " + f.name
	}
	return w.missedChange(f)
}

// missedChange says that the recovery point of a run without a look to make tells of no change, or of another one than there was.
func (w *World) missedChange(f *facts) string {
	if f == nil || w.ledger.points[f.run.ID] == nil || f.run.Look != (backup.Window{}) {
		return ""
	}
	p := w.ledger.points[f.run.ID]
	s, known := w.service(p.Target), p.Changed
	known.Found = time.Time{}
	if known != (backup.Change{}) && (f.run.Changed != p.Changed || !slices.ContainsFunc(s.edits, func(e edit) bool { return s.change(e) == known })) {
		return "the run and the recovery point of " + f.name + " tell of a change that was none"
	}
	gone := p.State == backup.Expired || p.State == backup.Deleting
	if f.run.Restore == nil && !gone && !f.shown.IsZero() && known == (backup.Change{}) && len(s.editsIn(f.run.Ran(p.Created))) > 0 {
		return "the recovery point of " + f.name + " tells of no change, and there was one during the backup"
	}
	return ""
}
