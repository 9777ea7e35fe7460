package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/check"
	"lifeboat/internal/event"
	"lifeboat/internal/plans"
	"lifeboat/internal/roles"
)

// Access looks whether the identities of the app and of the services may do what the plans need. It changes nothing.
type Access interface {
	// Granted returns nil if the role is there. The error is a *backup.Fault: Refused, it is not; any other kind, it could not look.
	Granted(ctx context.Context, a roles.Assignment) error
	// Principal returns the object ID of the app's identity; "" if its token does not say it.
	Principal(ctx context.Context) string
}

// Own is a thing of the app's own that its identity uses. The table needs no look: a check is saved there.
type Own struct {
	// What names it for people: "the app's own queues".
	What string
	// Look returns a fault for each part of it that the app may not use, in the same way as [Access]. It changes nothing.
	Look func(ctx context.Context) []*backup.Fault
}

// settling is the time after which a new text of plan.yaml is checked: Azure may take some minutes until a new role has an effect.
const settling = 10 * time.Minute

// ErrCheckUnderWay is the error of a request while a check of other plans is under way.
var ErrCheckUnderWay = errors.New("a check of other plans is under way")

// ErrNoCheck is the error of a read of a check before there was any.
var ErrNoCheck = errors.New("there was no check yet")

// These are the longest times of a check: checkTime is the time after which a call begins no further look, and a timer run goes on from
// there; itemTime is for all looks at one service, and lookTime for one look.
const (
	checkTime = 40 * time.Second
	itemTime  = time.Minute
	lookTime  = 15 * time.Second
)

// together is the number of services that are looked at at once, and between two saves.
const together = 8

// LastCheck returns the newest check.
func (e *Engine) LastCheck(ctx context.Context) (check.Report, error) {
	row, _, err := e.Catalog.Get(ctx, backup.CheckKey)
	if errors.Is(err, backup.ErrNotFound) {
		return check.Report{}, ErrNoCheck
	}
	if err != nil {
		return check.Report{}, fmt.Errorf("read the last check: %w", err)
	}
	r := check.Decode(row)
	return r, r.Unread
}

// Check begins a check of the active plans, or of the one with the name, and looks for checkTime. A repeat of the request goes on with
// its check, and another request for the same with one that was just begun. While one of other plans was just begun by a request, it is
// ErrCheckUnderWay. Everything that it does only reads: so a call that dies, or two at once, cost a look twice and nothing else.
func (e *Engine) Check(ctx context.Context, active plans.Active, request, plan string) (check.Report, error) {
	was, err := e.LastCheck(ctx)
	if err != nil && !errors.Is(err, ErrNoCheck) {
		return was, err
	}
	young := was.Ended.IsZero() && e.Now().Sub(was.Began).Abs() < settling // else two callers would begin each other's again and again
	switch same := was.Same(active.Hash, plan); {
	case !same && young && was.Plans == active.Hash && was.Request != "":
		return was, ErrCheckUnderWay
	case !same || was.Request != request && !young:
		was = was.Begin(active.Hash, plan, request, e.Now())
	}
	got, err := e.goOnChecking(ctx, was, active.Plans)
	if err == nil && !got.Same(active.Hash, plan) { // another call was faster
		return got, ErrCheckUnderWay
	}
	return got, err
}

// CheckPlans goes on with a check that has not ended, and begins one if plan.yaml has had a new text for a while. Then its end is an event,
// whatever people asked for meanwhile. A timer run calls it with the row that it has read anyway; it has no ETag if there is none.
func (e *Engine) CheckPlans(ctx context.Context, active plans.Active, row backup.Row) error {
	was := check.Report{}
	if row.ETag != "" {
		was = check.Decode(row)
	}
	if active.Plans == nil || active.Hash == "" || was.Unread != nil { // it is not known which plans are active, or a newer version checks
		return was.Unread
	}
	if underWay := was.Plans == active.Hash && was.Ended.IsZero(); !underWay {
		if was.Checked == active.Hash || active.Since.IsZero() || e.Now().Sub(active.Since) < settling {
			return nil
		}
		was = was.Begin(active.Hash, "", "", e.Now())
	}
	_, err := e.goOnChecking(ctx, was, active.Plans)
	return err
}

// goOnChecking looks at what is left, until its time is over, and saves what it found. If another call was faster, it returns that one's
// report.
func (e *Engine) goOnChecking(ctx context.Context, r check.Report, active []backup.Plan) (check.Report, error) {
	if !r.Ended.IsZero() {
		return r, nil
	}
	if r.Plan != "" {
		active = only(active, r.Plan)
	}
	items := check.Items(active, e.Services)
	if beyond := len(items) - 1 - check.Most; beyond > 0 {
		items = items[:1+check.Most]
		if r.Looked == 0 {
			r.Omitted = beyond
		}
	}
	r.Total = len(items)
	if e.Access != nil {
		r.Principal = e.Access.Principal(ctx)
	}
	until := e.Now().Add(checkTime)
	for {
		next := items[min(r.Looked, len(items)):min(r.Looked+together, len(items))]
		found, hidden := make([][]check.Finding, len(next)), make([]bool, len(next))
		_ = e.forEach(len(next), func(i int) error {
			found[i], hidden[i] = e.look(ctx, next[i])
			return nil
		})
		if ctx.Err() != nil { // the looks were cut off
			return r, ctx.Err()
		}
		for i, findings := range found {
			r.Take(findings, hidden[i])
		}
		var writes []backup.Write
		if r.Looked >= len(items) {
			r.Ended = e.Now()
			if r.Request == "" {
				r.Checked = r.Plans
				writes = event.OutboxWrites(backup.SchedulePartition, []backup.Event{event.Checked(r)})
			}
		}
		etags, err := e.Catalog.Apply(ctx, append(writes, backup.InsertOrReplace(backup.CheckKey, r.ETag, backup.Encode(r)))...)
		if _, raced := errors.AsType[*backup.WriteError](err); raced {
			return e.LastCheck(ctx)
		}
		if err != nil {
			return r, fmt.Errorf("save the check: %w", err)
		}
		if r.ETag = etags[len(etags)-1]; !r.Ended.IsZero() || !e.Now().Before(until) {
			return r, nil
		}
	}
}

func only(plans []backup.Plan, name string) (found []backup.Plan) {
	for _, p := range plans {
		if p.Name == name {
			found = append(found, p)
		}
	}
	return found
}

// mendedByRole are the codes of what the role would mend; any other refusal, such as of a service that is gone, has another cause.
var mendedByRole = []string{"RoleMissing", "NoIdentity", "AuthorizationFailed"}

// look looks at one item, and returns what is not as it should be. Hidden: it could not see all, for want of a role that is looked at too.
func (e *Engine) look(ctx context.Context, item check.Item) (found []check.Finding, hidden bool) {
	ctx, cancel := context.WithTimeout(ctx, itemTime)
	defer cancel()
	if item.Target == "" {
		for _, own := range e.Own {
			looking, done := context.WithTimeout(ctx, lookTime)
			for _, f := range own.Look(looking) {
				result := check.Unseen
				if f.Kind == backup.Refused {
					result = check.Refused
				}
				found = append(found, check.Finding{Result: result, What: own.What, Reason: f.Reason()})
			}
			done()
		}
		return append(found, e.clocks(ctx)...), false
	}
	for _, a := range item.Roles {
		if e.Access == nil {
			break
		}
		looking, done := context.WithTimeout(ctx, lookTime)
		err := e.Access.Granted(looking, a)
		done()
		if err == nil {
			continue
		}
		if ctx.Err() != nil {
			return append(found, check.Finding{Result: check.Unseen, What: a.Words(), Target: item.Target, Reason: backup.Reason{
				Code: "NoTime", Message: "the looks at this service took longer than " + itemTime.String(),
				Hint: "See whether the app has a network path to the service and to the account for its backups.",
			}}), hidden
		}
		f := backup.AsFault(err)
		if f.Code == roles.Hidden {
			hidden = true
			continue
		}
		finding := check.Finding{Result: check.Unseen, What: a.Words(), Target: item.Target, Reason: f.Reason()}
		if f.Kind == backup.Refused {
			if !a.Optional {
				finding.Result = check.Refused
			}
			if slices.Contains(mendedByRole, f.Code) {
				finding.Commands = a.Commands()
				finding.Reason.Hint = cmp.Or(finding.Reason.Hint, "Run the commands as a person who may assign roles there.")
			}
		}
		found = append(found, finding)
	}
	refused := slices.ContainsFunc(found, func(f check.Finding) bool { return f.Result == check.Refused })
	if item.Plan.Name == "" || refused { // a preflight would tell of the missing role again
		return found, hidden
	}
	return append(found, e.preflight(ctx, item)...), hidden
}

// preflight makes the checks of a run of the service, which sees more than roles.
func (e *Engine) preflight(ctx context.Context, item check.Item) (found []check.Finding) {
	watched, notes := backup.Watch(ctx)
	if err := e.Preflight(watched, item.Plan, item.Target); err != nil {
		f := backup.AsFault(err)
		result := check.Unseen
		if f.Kind == backup.Refused || errors.Is(err, ErrNoProvider) {
			result = check.Refused
		}
		found = append(found, check.Finding{Result: result, What: "a backup by the plan " + item.Plan.Name, Target: item.Target, Reason: f.Reason()})
	}
	for _, w := range notes.Warnings() {
		found = append(found, check.Finding{Result: check.Warning, What: "a backup by the plan " + item.Plan.Name, Target: item.Target, Reason: w})
	}
	return found
}

// clocks compares this process's clock with storage's.
func (e *Engine) clocks(ctx context.Context) []check.Finding {
	_, now, err := e.Catalog.Get(ctx, backup.CheckKey)
	if own := e.Now(); err == nil || errors.Is(err, backup.ErrNotFound) {
		if apart := own.Sub(now).Abs(); apart > clockTolerance {
			return []check.Finding{{Result: check.Refused, What: "the clock", Reason: backup.Reason{
				Code:    "ClocksDisagree",
				Message: fmt.Sprintf("this process's clock is %s from the clock of storage: nothing is scheduled or deleted", apart.Round(time.Second)),
				Hint:    "Restart the app. If that does not help, ask Azure's support about the clock of its host.",
			}}}
		}
	}
	return nil
}
