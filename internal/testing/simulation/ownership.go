package simulation

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"lifeboat/internal/apps"
	"lifeboat/internal/backup"
	"lifeboat/internal/health"
)

// ownership is the row of the app that owns the catalog, and what the world has seen of the others.
type ownership struct {
	known bool
	app   string
	since time.Time
	// changed is the time of the last takeover, and before the number of the last invocation that was begun until then. changes
	// counts the takeovers.
	changed         time.Time
	before, changes int
	// inherits says that runs in flight may still have the name of the former owner.
	inherits bool
	// seen has the times of an app's notes that it is there, by the app and the time since when the owner owns the catalog. told
	// has the ID of the event about each meeting of two apps, and latest the latest meeting by the same key. met has the meetings
	// after which a timer run of the app without the catalog ended well. replaced has the IDs of the events about takeovers.
	seen     map[string][]time.Time
	told     map[string]string
	latest   map[string]string
	met      map[string]bool
	replaced map[string]bool
}

func newOwnership() ownership {
	return ownership{seen: map[string][]time.Time{}, told: map[string]string{}, latest: map[string]string{}, met: map[string]bool{}, replaced: map[string]bool{}}
}

// These are moments at which the ownership is checked.
type (
	// writing is the moment at which a row was written.
	writing struct {
		v     *invocation
		write backup.Write
		// was is the run before, if the row is a run's.
		was *backup.Run
	}
	// inherited is the moment at which the row of the owner says that no run is left to take over.
	inherited struct{}
	// refusedToWork is the moment at which a timer run of an app without the catalog has ended well.
	refusedToWork struct{ v *invocation }
	// gone is the moment an hour after an app without the catalog has gone.
	gone struct{ app string }
)

// wroteApps notes a write of the rows of the apps.
func (l *ledger) wroteApps(w *World, write backup.Write) (moments []any) {
	o := &l.owner
	switch {
	case write.Op == backup.Delete:
	case write.Row == "known-owner":
		r := read[struct {
			App      string
			Since    time.Time
			Inherits bool
		}](write)
		was := *o
		o.known, o.app, o.since, o.inherits = true, r.App, r.Since, r.Inherits
		if was.known && was.app != r.App {
			o.changed, o.before, o.changes = w.now, w.figures.Invocations, o.changes+1
			w.handOver()
		} else if was.inherits && !r.Inherits {
			moments = append(moments, inherited{})
		}
	case strings.HasPrefix(write.Row, "known-"):
		n := read[struct {
			App  string
			Last time.Time
		}](write)
		key := meetingKey(n.App, o.since)
		latest := time.Time{}
		for _, t := range o.seen[key] {
			latest = backup.Later(latest, t)
		}
		if n.Last.Sub(latest) > health.OtherAppTime {
			o.latest[key] = key + latest.Format(time.RFC3339)
		}
		o.seen[key] = append(o.seen[key], n.Last)
	}
	return moments
}

func meetingKey(app string, since time.Time) string {
	return app + " " + since.UTC().Format(time.RFC3339) + " "
}

// lastSeen returns the time of the app's last note before the time. Invocations that run at once may have read the one before.
func (o *ownership) lastSeen(key string, before time.Time) (last time.Time) {
	for _, t := range o.seen[key] {
		if t.Before(before.Add(-2*functionTimeout)) && t.After(last) {
			last = t
		}
	}
	return last
}

// mayWork reports whether the invocation may do what only the owner of the catalog does: its app owns the catalog, or did when it
// began. A step goes on with a run that was not taken over yet.
func (w *World) mayWork(v *invocation) bool {
	o := &w.ledger.owner
	switch {
	case len(w.apps) == 1, !o.known, v.on.app.name == o.app, v.id <= o.before:
		return true
	case v.request:
		return !v.begun.After(o.changed.Add(ownsTime))
	}
	return v.loaded != nil && v.unclaimed && v.loaded.App == v.on.app.name
}

func obeyed(w *World, moment any) string {
	switch m := moment.(type) {
	case writing:
		app, o := m.v.on.app.name, &w.ledger.owner
		switch row := m.write.Row; {
		case len(w.apps) == 1, app == o.app, strings.HasPrefix(row, "known-") && row != "known-owner",
			m.write.Partition == "schedule" && strings.HasPrefix(row, "outbox-") && m.write.Op != backup.Delete:
		case !w.mayWork(m.v):
			return fmt.Sprintf("the app %s writes %s, and %s owns the catalog", app, w.ledger.rowName(m.write), o.app)
		case m.was != nil && m.v.stepMessage.Run != "" && !o.inherits:
			return fmt.Sprintf("the app %s makes a step of %s, which %s has taken over", app, w.ledger.rowName(m.write), o.app)
		}
	case stepped:
		if !w.mayWork(m.v) {
			return fmt.Sprintf("the app %s calls a service: %s, and %s owns the catalog", m.v.on.app.name, m.call, w.ledger.owner.app)
		}
	case removed:
		if !w.mayWork(m.v) {
			return fmt.Sprintf("the app %s deletes %s, and %s owns the catalog", m.v.on.app.name, m.blob.name, w.ledger.owner.app)
		}
	}
	return ""
}

func takenOver(w *World, moment any) string {
	o := &w.ledger.owner
	switch m := moment.(type) {
	case inherited:
		for _, f := range w.ledger.open {
			if f.run.App != "" && f.run.App != o.app {
				return fmt.Sprintf("no run is left to take over, and %s is still that of %s", f.name, f.run.App)
			}
		}
	case timerRan:
		if !o.inherits || !m.alone || m.v.died || m.v.err != nil || m.v.on.app.name != o.app || m.v.id <= o.before || w.busy() {
			return ""
		}
		for _, f := range w.ledger.open {
			if f.run.LeaseUntil.After(m.began) || f.run.Updated.After(m.began) {
				return ""
			}
		}
		return "a timer run of " + o.app + " ended well, no run is within a lease, and its runs are not taken over"
	case over:
		if o.inherits {
			return "a takeover is never ended"
		}
	}
	return ""
}

// toldOfApps checks that each meeting of two apps has one event, and each takeover.
func toldOfApps(w *World, moment any) string {
	o := &w.ledger.owner
	switch m := moment.(type) {
	case told:
		switch m.event.Type {
		case "lifeboat.app.replaced":
			o.replaced[m.event.ID] = true
		case "lifeboat.app.refused":
			var data struct {
				App, Owner string
				Since      time.Time `json:"ownerSinceDateTime"`
			}
			if err := json.Unmarshal(m.event.Data, &data); err != nil || data.App == "" || data.Owner == "" || data.App == data.Owner {
				return fmt.Sprintf("told of two apps without their names: %s", m.event.Data)
			}
			key := meetingKey(data.App, data.Since)
			before := o.lastSeen(key, m.event.Time)
			meeting := key + before.Format(time.RFC3339)
			switch id := o.told[meeting]; {
			case id != "" && id != m.event.ID:
				return fmt.Sprintf("told of the app %s as %s and as %s", data.App, id, m.event.ID)
			case id == "" && m.event.Time.Sub(before) <= health.OtherAppTime-2*functionTimeout:
				return fmt.Sprintf("told of the app %s, which was seen at %s", data.App, before.Format(time.RFC3339))
			}
			o.told[meeting] = m.event.ID
		}
	case refusedToWork:
		if meeting := o.latest[meetingKey(m.v.on.app.name, o.since)]; meeting != "" {
			o.met[meeting] = true
		}
	case over:
		for _, meeting := range slices.Sorted(maps.Keys(o.met)) {
			if o.told[meeting] == "" {
				return "nobody was told of the app " + meeting
			}
		}
		if len(o.replaced) != o.changes {
			return fmt.Sprintf("%d takeovers have %d events", o.changes, len(o.replaced))
		}
	}
	return ""
}

// healthOfApps checks that the health of the owner names the other app while it is there, and no longer an hour after it was seen.
func healthOfApps(w *World, moment any) string {
	visitor, present := "", false
	switch m := moment.(type) {
	case refusedToWork:
		visitor, present = m.v.on.app.name, true
	case gone:
		visitor = m.app
	default:
		return ""
	}
	state, now, err := apps.App{Catalog: w.catalog}.Look(context.Background())
	if err != nil {
		panic(err) // the catalog itself never fails
	}
	owner := w.ledger.owner.app
	there := state.Apps(owner, now)
	named := slices.ContainsFunc(there.Others, func(o health.OtherApp) bool { return o.App == visitor })
	switch {
	case named != present:
		return fmt.Sprintf("the app %s is there: %t, and the health of %s says %+v", visitor, present, owner, there)
	case !there.Owns() || present && state.Apps(visitor, now).Owner != owner:
		return fmt.Sprintf("%s owns the catalog, and health says %+v", owner, there)
	}
	return ""
}
