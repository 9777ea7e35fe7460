package simulation

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/restore"
)

// The functions below check the promises about restores.

// horizons has the time for which a service restores its backups, by the type of resource, as Azure's documentation says.
var horizons = map[string]time.Duration{
	"Microsoft.ApiManagement/service": 30 * day, "Microsoft.ConfidentialLedger/managedCCFs": 90 * day,
}

func restoredOnce(w *World, moment any) string {
	switch m := moment.(type) {
	case restoreAsking:
		if m.facts.restoreOpen {
			return m.facts.name + " is begun again, although the answer to an earlier request is missing and nothing shows what " +
				"became of it"
		}
	case restoreBegan:
		f := w.ledger.runs[m.run]
		switch {
		case len(f.restores) > 0 && !m.service.behaviour.Remade:
			return f.name + " was begun twice"
		case slices.ContainsFunc(f.restores, func(o *operation) bool { return !o.fails }):
			return f.name + " was begun again after one that succeeds"
		case f.run.Owner != "" && w.now.After(f.run.LeaseUntil):
			return fmt.Sprintf("%s is begun %s after the lease of the attempt", f.name, w.now.Sub(f.run.LeaseUntil))
		case f.run.State.Final():
			return fmt.Sprintf("%s is begun, and was told to be %s", f.name, f.run.State)
		}
	}
	return ""
}

// guarded checks the guards with code of its own.
func guarded(w *World, moment any) string {
	switch m := moment.(type) {
	case saved:
		if m.was == nil && m.is.Restore != nil && m.is.State == backup.Queued {
			return allowed(m)
		}
		if m.is.Restore != nil && m.was != nil && m.was.Attempt == 0 && m.is.Attempt > 0 && m.is.Restore.SafetyBackedUp.IsZero() &&
			w.now.After(m.is.Restore.Expires.Add(functionTimeout)) {
			return fmt.Sprintf("%s begins %s after its request expired", m.facts.name, w.now.Sub(m.is.Restore.Expires))
		}
	case restoreAsking:
		r := m.facts.run
		if r.Lost > 0 && w.now.After(r.Restore.Expires.Add(functionTimeout)) {
			return fmt.Sprintf("%s is asked for again %s after its request expired", m.facts.name, w.now.Sub(r.Restore.Expires))
		}
		name, p := m.facts.name+" begins, and its recovery point ", w.ledger.points[r.Restore.Point]
		switch b := w.service(p.Target).blob(p.Artifact); {
		case !canRestore(p):
			return name + "is " + string(p.State)
		case !slices.Contains(p.Readers, r.ID):
			return name + "does not know that it is read"
		case b == nil:
			return name + "has no artifact"
		case m.restore.Artifact != p.Artifact || m.restore.Source != p.Target || m.restore.Target != r.Target:
			return name + "is not what is restored"
		case !b.tampered.IsZero() && b.tampered.Before(r.Created):
			return name + "was changed before anybody asked for it"
		case horizons[w.service(p.Target).behaviour.Type] > 0 &&
			w.now.After(p.Created.Add(horizons[w.service(p.Target).behaviour.Type]).Add(clockTolerance)):
			return name + "is older than the service restores"
		}
	case canceled:
		if r := w.ledger.runs[m.run].run; r.State != backup.Canceled && (r.State.Final() || r.Restore.CanceledBy == "") {
			return fmt.Sprintf("%s was answered to be canceled, and is %s", w.ledger.runName(m.run), r.State)
		}
	}
	return ""
}

// allowed returns what is wrong with an accepted restore, by the active plans at the time of the request.
func allowed(m saved) string {
	q := m.is.Restore
	request, err := restore.ParseRequest(m.v.order.body, "")
	if err != nil {
		return m.facts.name + " was made of what nobody can read"
	}
	itself := q.Source == m.is.Target
	// This is the way back from a restore into a resource that is no target of a plan.
	back := itself && request.Point != "" && !m.v.has(q.Source)
	var policy *backup.RestorePolicy // the policies of all plans that allow it, together
	for _, p := range m.v.plans {
		into := slices.Contains(p.Restore.Into, m.is.Target)
		if slices.Contains(p.Targets, q.Source) && (into || itself && slices.Contains(p.Restore.Into, backup.Itself)) || back && into {
			policy = cmp.Or(policy, &backup.RestorePolicy{Safety: backup.SafetyNever})
			policy.Approval = policy.Approval || p.Restore.Approval
			if policy.Safety == backup.SafetyNever || p.Restore.Safety == backup.SafetyRequired {
				policy.Safety = p.Restore.Safety
			}
		}
	}
	service := m.v.w.service
	demanded := policy != nil && (policy.Safety == backup.SafetyRequired || !request.NoSafety &&
		(policy.Safety == backup.SafetyByRequest || strings.HasSuffix(service(m.is.Target).behaviour.Type, "HSMs")))
	switch {
	case policy == nil:
		return m.facts.name + " is accepted, and no active plan allows it"
	case policy.Approval:
		return m.facts.name + " is accepted, and nobody has agreed to it"
	case service(q.Source).behaviour.Type != service(m.is.Target).behaviour.Type:
		return m.facts.name + " restores what another kind of service wrote"
	case demanded && !q.Safety && !service(m.is.Target).behaviour.Remade:
		return m.facts.name + " is to be made without a safety backup"
	}
	return ""
}

// has reports whether a plan that the invocation took for active has the target.
func (v *invocation) has(target string) bool {
	return slices.ContainsFunc(v.plans, func(p backup.Plan) bool { return slices.Contains(p.Targets, target) })
}

// reader returns the name of a restore under way in the recovery point's row, "" if there is none.
func (w *World) reader(p *backup.Point) string {
	for _, id := range p.Readers {
		if f := w.ledger.runs[id]; f != nil && !f.run.State.Final() {
			return f.name
		}
	}
	return ""
}

func readerKeeps(w *World, moment any) string {
	switch m := moment.(type) {
	case kept:
		if m.was == nil {
			return ""
		}
		if reader := w.reader(m.was); reader != "" && canRestore(m.was) && !canRestore(m.is) {
			return fmt.Sprintf("the recovery point of %s is given up while %s reads it", w.ledger.runName(m.is.ID), reader)
		}
		for _, id := range m.was.Readers {
			if f := w.ledger.runs[id]; f != nil && !f.run.State.Final() && !slices.Contains(m.is.Readers, id) {
				return fmt.Sprintf("%s is no more among the readers of the recovery point of %s, and has not ended", f.name,
					w.ledger.runName(m.is.ID))
			}
		}
	case removed:
		if p := w.ledger.points[m.run]; p != nil && p.Artifact == m.blob.name {
			if reader := w.reader(p); reader != "" {
				return fmt.Sprintf("%s is deleted while %s reads it", w.ledger.artifactName(m.blob.name), reader)
			}
		}
	}
	return ""
}

func secured(w *World, moment any) string {
	switch m := moment.(type) {
	case restoreAsking:
		r := m.facts.run
		if !r.Restore.Safety {
			return ""
		}
		p := w.ledger.points[r.ID]
		if p == nil || !p.Safety || p.State != backup.Live || p.Target != r.Target {
			return m.facts.name + " begins without its safety backup"
		}
		if b := w.service(p.Target).blob(p.Artifact); b == nil || digestOf(b) != p.SHA256 && b.tampered.IsZero() {
			return m.facts.name + " begins, and its safety backup is not there"
		}
	case kept:
		switch {
		case !m.is.Safety:
		case m.was == nil && m.is.Held.Until.Before(w.now.Add(7*day-handlerDeadline-clockTolerance)):
			return "the safety backup of " + w.ledger.runName(m.is.ID) + " is not held"
		case m.was != nil && canRestore(m.was) && !canRestore(m.is) && w.now.Before(m.was.Held.Until.Add(-clockTolerance)):
			return "the safety backup of " + w.ledger.runName(m.is.ID) + " is given up while it is held"
		}
	}
	return ""
}

func latestProtects(w *World, moment any) string {
	m, ok := moment.(saved)
	if !ok || m.was != nil || m.is.Restore == nil || m.is.State != backup.Queued || m.v.order == nil {
		return ""
	}
	q, err := restore.ParseRequest(m.v.order.body, "")
	if err != nil {
		return m.facts.name + " was made of what nobody can read"
	}
	chosen := w.ledger.points[m.is.Restore.Point]
	if q.Point != "" {
		if q.Point != chosen.ID {
			return m.facts.name + " is not of the recovery point that was asked for"
		}
		return ""
	}
	before := func(p *backup.Point) bool { return q.Before.IsZero() || p.Created.Before(q.Before) }
	if chosen.Safety || chosen.Suspicion.Code != "" && chosen.Accepted.Time.IsZero() || !before(chosen) {
		return m.facts.name + " is of a recovery point that no latest means"
	}
	for _, id := range w.ledger.byTarget[q.Target] {
		p := w.ledger.points[id]
		// A point may come, or be accepted, while the request is handled. That is no error.
		since := w.ledger.runs[id].run.Ended
		if p.Accepted.Time.After(since) {
			since = p.Accepted.Time
		}
		if lives(p) && before(p) && p.Created.After(chosen.Created) && since.Before(m.v.begun.Add(-clockTolerance)) {
			return fmt.Sprintf("%s is not of the newest recovery point, which is that of %s", m.facts.name, w.ledger.runName(id))
		}
	}
	return ""
}

// toldOfRestore returns what is wrong with an event about the restore.
func (f *facts) toldOfRestore(e backup.Event) string {
	word := strings.TrimPrefix(e.Type, "lifeboat.restore.")
	switch state := backup.State(word); {
	case e.ID != f.run.ID+"."+word:
		return fmt.Sprintf("told %s of %s as %s", e.Type, f.name, e.ID)
	case state.Final() && state != f.run.State:
		return fmt.Sprintf("told %s of %s, which is %s", e.Type, f.name, f.run.State)
	case !state.Final() && f.refused:
		return fmt.Sprintf("told %s of %s, which was refused at once", e.Type, f.name)
	case word == "started" && len(f.restores) == 0:
		return "told that " + f.name + " has started, and it has not"
	}
	return ""
}

func endsTruly(w *World, moment any) string {
	m, ok := moment.(saved)
	if !ok || m.is.Restore == nil || !m.is.State.Final() || m.was != nil && m.was.State.Final() {
		return ""
	}
	for _, o := range m.facts.restores {
		done := !o.ends.After(w.now) && !o.fails
		switch {
		case done && m.is.State == backup.Succeeded:
			return ""
		case !o.fails && m.is.State != backup.Succeeded && m.is.State != backup.Unknown:
			return fmt.Sprintf("%s ends %s (%s), and its restore was begun", m.facts.name, m.is.State, m.is.Reason.Message)
		}
	}
	if m.is.State == backup.Succeeded {
		return m.facts.name + " ends succeeded, and nothing was restored"
	}
	return ""
}

func requestAnswered(w *World, moment any) string {
	switch m := moment.(type) {
	case ordered:
		meant, known := w.meant[m.order.id]
		if m.run != "" && !known {
			w.meant[m.order.id] = string(m.order.body)
		}
		switch {
		case m.run != "" && known && meant != string(m.order.body):
			return "the ID " + m.order.id + " was used again for something else, and that was answered as the same"
		case m.run != "" && w.ledger.byRequest[m.order.id] != w.ledger.runs[m.run]:
			return m.order.id + " was answered with another's run"
		case m.order.run != "" && m.run != "" && m.order.run != m.run:
			return m.order.id + " was one run, and is now another"
		}
	case over:
		for _, o := range w.orders {
			switch {
			case !o.heard:
				return "the request " + o.id + " is never answered"
			case o.run == "" && w.ledger.told[o.refusal()] == "":
				return "a request was rejected, and nobody was told"
			case o.run != "" && w.ledger.runs[o.run] == nil:
				return o.id + " was answered with a restore that does not exist"
			}
		}
	}
	return ""
}

// tampered reports whether a person overwrote the artifact. Then Lifeboat does not delete it.
func (w *World) tampered(p *backup.Point) bool {
	b := w.service(p.Target).blob(p.Artifact)
	return b != nil && !b.tampered.IsZero()
}

// givenUp reports whether a person or a restore gave the run up.
func givenUp(r *backup.Run) bool { return r.Reason.Code == "Abandoned" || r.Reason.Code == "Preempted" }

// hangsAfter is the time after which a restore may preempt a backup.
const hangsAfter = 45 * time.Minute

func givenUpWell(w *World, moment any) string {
	switch m := moment.(type) {
	case saved:
		if m.was == nil || m.was.State.Final() || m.is.State != backup.Canceled && !givenUp(m.is) {
			return ""
		}
		// Azure may show nothing of a safety backup until its end: then the run gives it up like any other.
		if unseen := m.was.Lost > 0 || !m.was.UnobservableSince.IsZero(); m.is.State == backup.Canceled && !unseen {
			for _, o := range w.service(m.is.Target).ops {
				if o.run == m.is.ID && o.ends.After(w.now) {
					return m.facts.name + " is canceled, and the service is at work on it"
				}
			}
		}
		busy := m.was.Intent
		if m.was.Finished.After(busy) {
			busy = m.was.Finished
		}
		switch {
		case m.is.Reason.Code == "Abandoned" && m.v.mayRestore:
			return m.facts.name + " is abandoned, and the service does not say that its restore is over"
		case m.is.Reason.Code == "Preempted" && m.is.Restore != nil:
			return m.facts.name + " is preempted, and is a restore"
		case m.is.Reason.Code == "Preempted" && holdsLock(m.was.State) && w.now.Sub(busy) < hangsAfter-clockTolerance:
			return fmt.Sprintf("%s is preempted %s after its start", m.facts.name, w.now.Sub(busy))
		}
	case abandoned:
		f := w.ledger.runs[m.run]
		if !givenUp(f.run) || f.run.State != backup.Unknown && f.run.State != backup.Canceled {
			return fmt.Sprintf("%s was answered to be abandoned, and is %s", f.name, f.run.State)
		}
		if w.ledger.locks[m.run[:16]] == m.run {
			return f.name + " is abandoned, and still holds its target"
		}
		for _, row := range slices.Sorted(maps.Keys(w.ledger.permits)) {
			if w.ledger.permits[row] == m.run {
				return f.name + " is abandoned, and still holds the permit " + row
			}
		}
	}
	return ""
}
