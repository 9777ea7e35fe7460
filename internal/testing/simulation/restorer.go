package simulation

import (
	"context"
	"slices"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
)

// An invocation restores through the methods below. They are the other half of the services.

var _ backup.Restorer = (*invocation)(nil)

// freshness is the highest age of the destination's own backup, for a service that requires one.
const freshness = 30 * time.Minute

// restoring returns the restore that is under way, nil if none is.
func (s *service) restoring() *operation {
	for _, o := range s.ops {
		if o.restore != nil && o.ends.After(s.w.now) {
			return o
		}
	}
	return nil
}

// shown reports whether Azure shows the service. A service that is being made again may be seen only at the end.
func (s *service) shown() bool { return !s.gone || s.restoring() != nil && !s.behaviour.Hidden }

// PreflightRestore implements [backup.Restorer].
func (v *invocation) PreflightRestore(ctx context.Context, r backup.Restore) error {
	const what = "preflight of the restore"
	end, err := v.step(ctx, what)
	if err != nil {
		return err
	}
	s := v.w.service(r.Target)
	defer v.after(what)
	if f := v.front(end, s, what); f != nil {
		if f.Kind == backup.Ambiguous {
			f.Kind = backup.Retryable
		}
		return f
	}
	switch {
	case s.behaviour.Remade && s.shown():
		v.say("%s: THE ORIGINAL EXISTS", what)
		return fault(backup.Refused, "OriginalExists", 0)
	case s.behaviour.Visible && s.busy() != nil:
		v.hum("%s: not settled", what)
		return fault(backup.Retryable, "ServiceNotSettled", 0)
	case v.w.happens(v.w.faultProfile.operationFails / 4):
		v.say("%s: REFUSED", what)
		return fault(backup.Refused, "WouldFail", 0)
	}
	v.hum("%s: yes", what)
	return nil
}

// PrepareRestore implements [backup.Restorer]. Some services make a check of their own, and take their time over it.
func (v *invocation) PrepareRestore(ctx context.Context, r backup.Restore, token string) (backup.Operation, error) {
	const what = "prepare the restore"
	end, err := v.step(ctx, what)
	if err != nil {
		return backup.Operation{}, err
	}
	s := v.w.service(r.Target)
	defer v.after(what)
	if f := v.front(end, s, what); f != nil {
		return backup.Operation{}, f
	}
	b := v.w.service(r.Source).blob(r.Artifact)
	switch {
	case s.behaviour.Remade && s.shown():
		v.say("%s: THE ORIGINAL EXISTS", what)
		return backup.Operation{}, fault(backup.Refused, "OriginalExists", 0)
	case token == "" && s.behaviour.Looks:
		v.hum("%s: the service looks", what)
		return backup.Operation{Token: "look", RetryAfter: 10 * time.Second}, nil
	case b == nil, digestOf(b) != r.SHA256 && !s.behaviour.Names: // an HSM does not know what was verified
		v.say("%s: the artifact is GONE, or ANOTHER one", what)
		return backup.Operation{}, fault(backup.Refused, "ArtifactChanged", 0)
	case s.behaviour.Fresh && v.w.now.Sub(s.backedUp) > freshness:
		v.say("%s: NO FRESH BACKUP", what)
		return backup.Operation{}, fault(backup.Refused, "NoFreshBackup", 0)
	}
	v.hum("%s: yes", what)
	return backup.Operation{Done: true}, nil
}

// BeginRestore implements [backup.Restorer]. The same can happen to the request as to the start of a backup.
func (v *invocation) BeginRestore(ctx context.Context, r backup.Restore) (backup.Operation, error) {
	const what = "BEGIN THE RESTORE"
	end, err := v.step(ctx, what)
	if err != nil {
		return backup.Operation{}, fault(backup.Retryable, "NotSent", 0)
	}
	if !end.After(v.w.now) {
		v.say("%s: no time is left, NOT SENT", what)
		v.after(what)
		return backup.Operation{}, fault(backup.Retryable, "NotSent", 0)
	}
	s, run := v.w.service(r.Target), v.stepMessage.Run
	v.w.ledger.restoreAsked(v, run, r)
	limit, way := end.Sub(v.w.now), time.Duration(0)
	if v.turns && v.w.happens(v.w.faultProfile.slow) {
		way = oneOf(v.w.choices, time.Second, 30*time.Second, 90*time.Second, 150*time.Second, 200*time.Second)
		way = min(way, limit+engine.DefaultTimings().LeaseMargin-2*time.Second)
	}
	if way >= limit {
		v.say("%s: GIVEN UP after %s, and arrives %s later", what, limit, way-limit)
		v.w.in(way, func() { v.acceptRestore(s, run, r) })
		v.wait(limit)
		v.after(what)
		return backup.Operation{}, fault(backup.Ambiguous, "AnswerLost", 0)
	}
	v.wait(way)
	s.settle()
	o, f := v.beginRestore(s, run, r, what)
	if f != nil && (f.Kind == backup.Retryable || f.Kind == backup.Throttled || f.Kind == backup.Refused) {
		v.w.ledger.runs[run].restoreOpen = v.w.ledger.runs[run].restoreBefore
	}
	v.after(what)
	if f != nil {
		return backup.Operation{}, f
	}
	return o, nil
}

func (v *invocation) beginRestore(s *service, run string, r backup.Restore, what string) (backup.Operation, *backup.Fault) {
	c := &v.w.faultProfile
	switch {
	case s.denied.After(v.w.now):
		v.say("%s: DENIED", what)
		return backup.Operation{}, fault(backup.Refused, "AuthorizationFailed", 0)
	case s.stormy.After(v.w.now), v.w.happens(c.serviceFails):
		return backup.Operation{}, v.storm(what)
	case v.w.happens(c.restoreLost):
		v.w.figures.LostRestores++
		late := oneOf(v.w.choices, 0, 5*time.Second, 50*time.Second)
		if v.w.choices.pick(3) == 1 {
			v.say("%s: LOST on its way", what)
		} else {
			v.say("%s: ACCEPTED after %s, and the answer is LOST", what, late)
			v.w.in(late, func() { v.acceptRestore(s, run, r) })
		}
		return backup.Operation{}, fault(backup.Ambiguous, "AnswerLost", 0)
	case s.behaviour.Remade && s.shown() && s.restoring() == nil:
		v.say("%s: THE ORIGINAL EXISTS", what)
		return backup.Operation{}, fault(backup.Refused, "OriginalExists", 0)
	}
	o := v.acceptRestore(s, run, r)
	if o == nil {
		v.say("%s: BUSY", what)
		return backup.Operation{}, fault(backup.Retryable, "ServiceUpdating", oneOf(v.w.choices, 30*time.Second, 10*time.Minute))
	}
	v.say("%s: accepted, ends in %s", what, o.ends.Sub(v.w.now))
	return backup.Operation{Token: o.token, RetryAfter: oneOf(v.w.choices, 0, time.Minute, 20*time.Second)}, nil
}

// acceptRestore begins the restore, unless the service is busy.
func (v *invocation) acceptRestore(s *service, run string, r backup.Restore) *operation {
	w := v.w
	if s.settle(); s.busy() != nil || s.behaviour.Remade && !s.gone {
		return nil
	}
	w.figures.Restores++
	long := w.choices.pick(s.behaviour.Longest + 1)
	o := &operation{
		token: "restore-" + w.newID(), run: run, restore: &r, began: w.now, ends: w.now.Add(durations[long]),
		fails: w.happens(w.faultProfile.operationFails),
	}
	w.check(restoreBegan{run: run, service: s, operation: o})
	w.ledger.runs[run].restores = append(w.ledger.runs[run].restores, o)
	s.ops = append(s.ops, o)
	return o
}

// settleRestore applies the effect of a restore that has ended.
func (s *service) settleRestore(o *operation) {
	switch {
	case o.fails:
		s.wreck = s.behaviour.Remade && s.behaviour.Wrecks
		s.gone = s.gone && !s.wreck
	case s.behaviour.Remade:
		s.gone = false
	default:
		if until := o.ends.Add(s.behaviour.Orphans); until.After(s.denied) && s.behaviour.Orphans > 0 {
			s.denied = until // the restore brought the backup's roles back
			s.w.at(until, s.w.disturb)
		}
	}
}

// PollRestore implements [backup.Restorer].
func (v *invocation) PollRestore(ctx context.Context, r backup.Restore, token string) (backup.Operation, error) {
	what := "poll " + token
	end, err := v.step(ctx, what)
	if err != nil {
		return backup.Operation{}, fault(backup.Retryable, "NotSent", 0)
	}
	v.w.figures.Polls++
	v.mayRestore = true
	s := v.w.service(r.Target)
	defer v.after(what)
	if f := v.front(end, s, what); f != nil {
		return backup.Operation{}, f
	}
	i := slices.IndexFunc(s.ops, func(o *operation) bool { return o.token == token })
	switch {
	case s.denied.After(v.w.now):
		v.say("%s: DENIED", what)
		return backup.Operation{}, fault(backup.Unobservable, "AuthorizationFailed", 0)
	case i < 0, v.w.now.Sub(s.ops[i].ends) > s.behaviour.Forgets:
		v.w.disturb()
		v.mayRestore = false
		v.say("%s: FORGOTTEN", what)
		f := fault(backup.Unobservable, "NotFound", 0)
		f.Gone = true
		return backup.Operation{}, f
	case s.ops[i].ends.After(v.w.now) && s.behaviour.Away:
		v.hum("%s: nobody answers meanwhile", what)
		return backup.Operation{}, fault(backup.Retryable, "Restoring", 0)
	case s.ops[i].ends.After(v.w.now):
		v.hum("%s: in progress", what)
		return backup.Operation{Token: token, RetryAfter: oneOf(v.w.choices, 0, 0, time.Minute, time.Hour)}, nil
	case s.ops[i].fails:
		v.hum("%s: failed", what)
		return backup.Operation{}, fault(backup.Refused, "RestoreFailed", 0)
	}
	v.hum("%s: done", what)
	return backup.Operation{Done: true}, nil
}

// FindRestore implements [backup.Recreator].
func (v *invocation) FindRestore(ctx context.Context, r backup.Restore) (backup.Operation, error) {
	const what = "find the restore"
	end, err := v.step(ctx, what)
	if err != nil {
		return backup.Operation{}, err
	}
	v.w.figures.Looks++
	v.mayRestore = true
	s := v.w.service(r.Target)
	defer v.after(what)
	if f := v.front(end, s, what); f != nil {
		return backup.Operation{}, f
	}
	switch o := s.restoring(); {
	case s.wreck:
		v.say("%s: there is a WRECK", what)
		return backup.Operation{}, fault(backup.Refused, "ProvisioningFailed", 0)
	case !s.shown():
		v.say("%s: nothing is there", what)
		v.mayRestore = false
		if f := v.w.ledger.runs[v.stepMessage.Run]; f != nil { // a person's question does not count
			f.restoreOpen = false
		}
		return backup.Operation{}, nil
	case o != nil:
		v.say("%s: it is under way", what)
		return backup.Operation{Token: o.token}, nil
	}
	v.say("%s: it is there", what)
	return backup.Operation{Done: true}, nil
}
