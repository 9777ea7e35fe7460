package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// RestorePolicy says what may be restored from a plan's recovery points. Without Into nothing may.
type RestorePolicy struct {
	// Into are the resource IDs of the services that may be overwritten, and Itself for each target by its own backups.
	Into []string
	// Approval says that a person must agree before a restore begins.
	Approval bool
	// ReplyTo are the queues that answers may go to.
	ReplyTo []string
	// Safety has the destination backed up before it is restored into. A Managed HSM always is; of a
	// Managed CCF there is nothing left to back up, so that its restores are refused.
	Safety bool
}

// Itself stands in RestorePolicy.Into for the target that was backed up.
const Itself = "itself"

// has says that the resource is a target of the plan.
func (p Plan) has(target string) bool {
	return slices.ContainsFunc(p.Targets, func(t string) bool { return Same(t, target) })
}

// allows says that recovery points of the target may be restored into the destination.
func (p RestorePolicy) allows(target, destination string) bool {
	return slices.ContainsFunc(p.Into, func(into string) bool {
		return Same(into, destination) || into == Itself && Same(target, destination)
	})
}

// about are the plans that have the target of the request. Where none has, and a recovery point by its ID is to be restored
// into what it was made of, they are those whose restores may overwrite that: their safety backups are the way back.
func (q RestoreRequest) about(plans []Plan) (found []Plan) {
	for _, plan := range plans {
		if plan.has(q.Target) {
			found = append(found, plan)
		}
	}
	if len(found) > 0 || q.Point == "" || !Same(q.Target, q.Destination()) {
		return found
	}
	for _, plan := range plans {
		if slices.ContainsFunc(plan.Restore.Into, func(into string) bool { return Same(into, q.Target) }) {
			found = append(found, plan)
		}
	}
	return found
}

// replies says that answers may go to the queue of the request, if it names one. A refusal is an answer too, so any plan
// of the target may allow it, whether it allows the restore or not.
func (q RestoreRequest) replies(plans []Plan) bool {
	return q.ReplyTo == "" || slices.ContainsFunc(q.about(plans), func(plan Plan) bool {
		return slices.Contains(plan.Restore.ReplyTo, q.ReplyTo)
	})
}

// RestorePlan is what a restore would do, and whether it may.
type RestorePlan struct {
	// Hash identifies what would be done: the destination, the recovery point and its content, the kind, the key, the region,
	// and whether there is a safety backup. Ages and outcomes are not in it.
	Hash string `json:"hash"`
	// Made is when this was found out.
	Made time.Time `json:"createdDateTime"`
	// Plan is the name of the plan that allows it, Target what was backed up, Destination what is restored into.
	Plan        string      `json:"plan,omitempty"`
	Target      string      `json:"target"`
	Destination string      `json:"destination"`
	Kind        RestoreKind `json:"kind"`
	Key         string      `json:"key,omitempty"`
	Region      string      `json:"restoreRegion,omitempty"`
	// Point is the recovery point; nil if there is none.
	Point *PlannedPoint `json:"recoveryPoint,omitempty"`
	// Safety says that the destination is backed up before.
	Safety bool `json:"safetyBackup"`
	// Overwrites says what the restore destroys, NotIncluded what it does not bring back, in words for people.
	Overwrites  []string `json:"overwrites"`
	NotIncluded []string `json:"notIncluded"`
	// Calls are those to Azure that change something, or ask whether it may be changed, in their order.
	Calls []string `json:"calls"`
	// Guards are all that were asked, in their order, up to the first that refused.
	Guards []Guard `json:"guards"`

	point Point `json:"-"`
	// plan is the one that allows the restore. agrees is one of those that do which wants a person to agree, and secures one
	// that wants a safety backup; "" if none does.
	plan    Plan   `json:"-"`
	agrees  string `json:"-"`
	secures string `json:"-"`
	// replies: answers may go to the queue of the request.
	replies bool `json:"-"`
}

// PlannedPoint is the recovery point of a RestorePlan.
type PlannedPoint struct {
	ID      string     `json:"id"`
	State   PointState `json:"state"`
	Written time.Time  `json:"createdDateTime"`
	// Age in whole seconds.
	Age    int64  `json:"ageInSeconds"`
	Size   int64  `json:"sizeInBytes"`
	SHA256 string `json:"sha256"`
}

// Guard is a question that a restore must answer before anything is changed.
type Guard struct {
	Name    string  `json:"name"`
	Outcome Verdict `json:"outcome"`
	// Reason is why it was refused, or what the warning is, or when it will be asked.
	Reason *Reason `json:"reason,omitempty"`
}

// Verdict is the outcome of a Guard.
type Verdict string

// The verdicts. Later: it can only be asked by the restore itself, which does before it changes anything.
const (
	Passed  Verdict = "passed"
	Warned  Verdict = "warning"
	Stopped Verdict = "refused"
	Later   Verdict = "later"
)

// Refusal is why the restore may not be made; nil if it may.
func (p RestorePlan) Refusal() *Reason {
	for _, g := range p.Guards {
		if g.Outcome == Stopped {
			return g.Reason
		}
	}
	return nil
}

// ask notes a guard, and says whether to go on.
func (p *RestorePlan) ask(name string, no *Reason) bool {
	g := Guard{Name: name, Outcome: Passed, Reason: no}
	if no != nil {
		g.Outcome = Stopped
	}
	p.Guards = append(p.Guards, g)
	return no == nil
}

func no(code, hint, format string, args ...any) *Reason {
	r := reason(code, fmt.Sprintf(format, args...), hint)
	return &r
}

// hash is that of what would be done.
func (p RestorePlan) hash() string {
	id, sum := "", ""
	if p.Point != nil {
		id, sum = p.Point.ID, p.Point.SHA256
	}
	return digest(strings.Join([]string{
		strings.ToLower(p.Destination), id, sum, string(p.Kind), p.Key, p.Region, fmt.Sprint(p.Safety),
	}, "\n"), 64)
}

// destruction is what a restore does.
type destruction struct {
	overwrites []string // by a full one
	calls      []string // after those of the safety backup
	look       string   // the service's own look, which is a request that it works on: no dry run sends it
}

// destructions are those of the types of resources, in lower case; sources as of notIncluded.
var destructions = map[string]destruction{
	"microsoft.apimanagement/service": {
		[]string{
			"the whole configuration of the service: APIs, operations, policies, products, users, groups, subscriptions, named " +
				"values, certificates of backends. What was changed since the backup is lost",
			"during the restore the service cannot be changed; custom host names stay as they are",
		},
		[]string{"POST {destination}/restore"},
		"",
	},
	managedHSM: {
		[]string{
			"all keys of the HSM with all their versions, and all role assignments, this app's own among them",
			"during the restore the HSM answers nothing but the question how the restore is getting on",
		},
		[]string{"PUT {host}/prerestore", "PUT {host}/restore"},
		"PreFullRestore",
	},
	managedCCF:         remade,
	confidentialLedger: remade,
}

// remade is how a ledger comes back.
var remade = destruction{
	[]string{"nothing: the original must have been deleted, and is made anew under its name"},
	[]string{"POST {destination}/restore"},
	"",
}

// describe fills in what the restore does.
func (p *RestorePlan) describe() {
	r, err := ParseResource(p.Destination)
	if err != nil {
		return
	}
	kind := strings.ToLower(r.Type)
	p.Overwrites, p.Calls = slices.Clone(destructions[kind].overwrites), slices.Clone(destructions[kind].calls)
	p.NotIncluded = NotIncluded(p.Target)
	if p.Kind == RestoreKey {
		p.Overwrites = []string{"nothing: the key " + p.Key + " must have been purged"}
		p.Calls = []string{"PUT {host}/prerestore", "PUT {host}/keys/" + p.Key + "/restore"}
	}
	if p.Safety {
		first := []string{"POST {destination}/backup"}
		if kind == managedHSM {
			first = []string{"POST {host}/prebackup", "POST {host}/backup"}
		}
		p.Calls = append(first, p.Calls...)
	}
	for i := range p.Calls {
		p.Calls[i] = strings.NewReplacer("{destination}", p.Destination, "{host}", "https://"+strings.ToLower(r.Name)+
			".managedhsm.azure.net").Replace(p.Calls[i])
	}
}

// PlanRestore says what the restore would do, by the plans in force, and asks every guard that can be asked at once. The
// error is one of storage; the refusal of a guard stands in the plan.
func (e *Engine) PlanRestore(ctx context.Context, q RestoreRequest, plans []Plan) (RestorePlan, error) {
	row, now, err := e.Catalog.Get(ctx, restoreClaimKey(q.ID))
	var claim restoreClaim
	if err == nil {
		claim, err = decode[restoreClaim](row)
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		return RestorePlan{}, err
	}
	p, err := e.outline(ctx, q, plans, now)
	if err != nil || p.Refusal() != nil {
		return p, err
	}
	if claim.Run != "" && claim.Fingerprint != q.fingerprint() {
		p.ask("the ID is free", no("RequestIdReused", "Ask under another ID.", "%v: %s", ErrRequestReused, q.ID))
		return p, nil
	}
	provider, restorer, err := e.restorer(p.Destination)
	if err != nil {
		p.ask("the service can be restored", no("RestoreNotSupported", "", "%v", err))
		return p, nil
	}
	order := p.restore()
	v, err := within(ctx, func(ctx context.Context) (Verification, error) {
		return provider.Verify(ctx, order.attempt(p.point.ID), Hashing{})
	})
	p.later("the artifact is there, and is what was verified", v.Done, err, func() *Reason { return changed(p.point, v) })
	if p.Refusal() != nil {
		return p, nil
	}
	if v.Note != "" {
		p.Guards[len(p.Guards)-1] = Guard{
			Name: "the artifact is there, and is what was verified", Outcome: Warned, Reason: no("NotAllChecked", "", "%s", v.Note),
		}
	}
	_, err = within(ctx, func(ctx context.Context) (any, error) { return nil, restorer.PreflightRestore(ctx, order) })
	p.later("the destination can take it", true, err, func() *Reason { return nil })
	if p.Refusal() == nil {
		p.notAsked()
	}
	return p, nil
}

// later notes a guard that asks Azure: a definite no refuses, what could not be asked now is asked by the restore itself.
func (p *RestorePlan) later(name string, done bool, err error, check func() *Reason) {
	f := AsFault(err)
	switch {
	case f != nil && f.Kind == Refused:
		why := f.reason()
		p.ask(name, &why)
	case f != nil:
		why := f.reason()
		p.Guards = append(p.Guards, Guard{Name: name, Outcome: Later, Reason: &why})
	case !done:
		p.Guards = append(p.Guards, Guard{Name: name, Outcome: Later, Reason: no("TakesLonger", "",
			"it takes more than one look; the restore goes on with that before it changes anything")})
	default:
		p.ask(name, check())
	}
}

// notAsked notes the look that the service itself makes before it restores, where it makes one: no dry run asks for it.
func (p *RestorePlan) notAsked() {
	into, err := ParseResource(p.Destination)
	if err != nil {
		return
	}
	if look := destructions[strings.ToLower(into.Type)].look; look != "" {
		p.Guards = append(p.Guards, Guard{Name: "the service itself can restore it", Outcome: Later, Reason: no("NotAsked", "",
			"a dry run only reads; the restore asks by %s, after the safety backup and before anything is changed", look)})
	}
}

// outline asks the guards that the catalog and the plans answer.
func (e *Engine) outline(ctx context.Context, q RestoreRequest, plans []Plan, now time.Time) (p RestorePlan, err error) {
	p = RestorePlan{
		Made: now, Target: q.Target, Destination: q.Destination(), Kind: q.Kind, Key: q.Key, Region: q.Region,
		Overwrites: []string{}, NotIncluded: []string{}, Calls: []string{},
	}
	p.replies = q.replies(plans)
	defer func() { p.Hash = p.hash() }()
	if !p.ask("the request has not expired", cmp.Or(expired(q.until(now), now), tooLong(q.until(now), now))) {
		return p, nil
	}
	if !p.ask("a plan allows it", p.allow(q, plans)) || !p.ask("nobody has to agree", p.approve()) ||
		!p.ask("answers may go to the queue", p.answers(q)) || !p.ask("the service restores in this way", p.fits()) {
		return p, nil
	}
	var why *Reason
	if why, err = e.legible(ctx, q.Target, p.Destination); err == nil && why == nil {
		p.point, why, err = e.choosePoint(ctx, q, now)
	}
	if err != nil {
		return p, err
	}
	if p.point.ID != "" {
		p.Point = &PlannedPoint{
			ID: p.point.ID, State: p.point.Called(), Written: p.point.Created, Age: int64(now.Sub(p.point.Created).Seconds()),
			Size: p.point.Size, SHA256: p.point.SHA256,
		}
	}
	p.describe()
	if !p.ask("there is a recovery point", why) || !p.ask("the recovery point can be restored", usable(p.point, now)) {
		return p, nil
	}
	if p.point.State == Suspect {
		p.Guards[len(p.Guards)-1] = Guard{
			Name: "the recovery point can be restored", Outcome: Warned, Reason: &p.point.Suspicion,
		}
	}
	return p, nil
}

// expired refuses a request whose time is over.
func expired(expires, now time.Time) *Reason {
	if now.Before(expires) {
		return nil
	}
	return no("RequestExpired", "Ask again, under another ID.", "the request was good until %s",
		expires.UTC().Format(time.RFC3339))
}

// LongestRestoreTime is the most that a request may give a restore to begin: what is further away is a mistake.
const LongestRestoreTime = LongestKeep

// tooLong refuses a request that is good for longer than anybody can mean.
func tooLong(expires, now time.Time) *Reason {
	if !expires.After(now.Add(LongestRestoreTime)) {
		return nil
	}
	return no("ExpiresTooLate", "Ask again, under another ID.", "the request is good until %s, and may be for %d days at the most: "+
		"what is further away is a mistake", expires.UTC().Format(time.RFC3339), int(LongestRestoreTime.Hours()/24))
}

// allow finds the plan that allows the restore: the first one that has the target and names the destination. Whatever else any such
// plan asks for holds all the same.
func (p *RestorePlan) allow(q RestoreRequest, plans []Plan) *Reason {
	var has []string
	for _, plan := range q.about(plans) {
		has = append(has, plan.Name)
		if !plan.Restore.allows(q.Target, p.Destination) {
			continue
		}
		if p.Plan == "" {
			p.Plan, p.plan = plan.Name, plan
		}
		if plan.Restore.Approval {
			p.agrees = cmp.Or(p.agrees, plan.Name)
		}
		if plan.Restore.Safety {
			p.secures = cmp.Or(p.secures, plan.Name)
		}
	}
	if p.Plan != "" {
		return nil
	}
	if len(has) == 0 {
		return no("UnknownTarget", "See how plan.yaml spells it.", "no plan has the target %s", q.Target)
	}
	return no("DestinationNotAllowed", "Add it to restore.into of the plan, if it may be overwritten; itself there allows "+
		"each target to be restored into itself.", "no plan with the target %s allows it to be restored into %s: %s", q.Target,
		p.Destination, strings.Join(has, ", "))
}

func (p *RestorePlan) approve() *Reason {
	if p.agrees == "" {
		return nil
	}
	return no("ApprovalUnavailable", "Whoever may change plan.yaml can take approval out of it.",
		"the plan %s wants a person to agree to restores, which this version of Lifeboat cannot ask for", p.agrees)
}

func (p *RestorePlan) answers(q RestoreRequest) *Reason {
	if p.replies {
		return nil
	}
	return no("ReplyToNotAllowed", "Add it to restore.replyTo of the plan, or leave replyTo out: answers also go to lifeboat-events.",
		"the plan %s does not let answers go to the queue %s", p.Plan, q.ReplyTo)
}

// fits refuses what services of the destination's type cannot do.
func (p *RestorePlan) fits() *Reason {
	from, _ := ParseResource(p.Target)
	into, _ := ParseResource(p.Destination) // both were parsed with the request
	hsm := strings.EqualFold(into.Type, managedHSM)
	// A ledger has nothing to secure before: it is restored only once it was deleted.
	recreated := strings.EqualFold(into.Type, managedCCF) || strings.EqualFold(into.Type, confidentialLedger)
	switch {
	case !strings.EqualFold(from.Type, into.Type):
		return no("TypeMismatch", "", "a backup of a %s cannot be restored into a %s", from.Type, into.Type)
	case p.Kind == RestoreKey && !hsm:
		return no("KindNotSupported", "Leave kind and key out.", "only a Managed HSM brings single keys back, not a %s", into.Type)
	case p.Region != "" && !recreated:
		return no("RegionNotSupported", "Leave restoreRegion out.", "a %s is restored where it is; only a ledger is made anew, in a "+
			"region", into.Type)
	case recreated && !strings.EqualFold(from.Name, into.Name):
		return no("NameDiffers", "Restore into a resource of the same name.", "Azure restores a %s only under the name that was "+
			"backed up, %s, and not as %s", into.Type, from.Name, into.Name)
	}
	p.Safety = hsm || p.secures != "" && !recreated
	if recreated { // where the request does not say, the plan does
		p.Region = p.plan.Settings.CCF.in(p.Region).RestoreRegion
	}
	if p.secures != "" && strings.EqualFold(into.Type, managedCCF) {
		return no("SafetyBackupUnavailable", "Take safetyBackup out of the plan, or give such targets a plan of their own.",
			"the plan %s wants a safety backup, and a Managed CCF is restored only once the original is gone: there is nothing "+
				"left to back up", p.secures)
	}
	return nil
}

// legible refuses to restore from or into a target of which this version cannot read a row: a newer one may have written there
// what must not be overwritten, or why a recovery point must not be used. It looks at the newest runs and recovery points.
func (e *Engine) legible(ctx context.Context, targets ...string) (*Reason, error) {
	for i, target := range targets {
		if i > 0 && Same(target, targets[0]) {
			continue
		}
		for _, kind := range []string{pointPrefix, "run-"} {
			rows, _, err := e.Catalog.List(ctx, partition(target), kind, kind[:len(kind)-1]+".", 2*recentRows)
			if err != nil {
				return nil, fmt.Errorf("look for rows of %s that cannot be read: %w", target, err)
			}
			for _, row := range rows {
				if kind == pointPrefix {
					_, err = decodePoint(row)
				} else {
					_, err = decode[Run](row)
				}
				if err != nil {
					return restoresNothing(err), nil
				}
			}
		}
	}
	return nil, nil
}

// restoresNothing is the refusal where a row cannot be read.
func restoresNothing(err error) *Reason {
	why := unreadableRow(err)
	why.Message = "nothing of the target is restored: " + why.Message
	return &why
}

// choosePoint finds the recovery point that is meant. The reason says why there is none.
func (e *Engine) choosePoint(ctx context.Context, q RestoreRequest, now time.Time) (Point, *Reason, error) {
	if q.Point != "" {
		p, err := e.RecoveryPoint(ctx, q.Point)
		switch {
		case errors.Is(err, ErrUnreadable):
			return Point{}, restoresNothing(err), nil
		case errors.Is(err, ErrNotFound), err == nil && !Same(p.Target, q.Target):
			return Point{}, no("RecoveryPointNotFound", "lifeboat points "+q.Target+" lists them.",
				"%s has no recovery point %s", q.Target, q.Point), nil
		case err != nil:
			return Point{}, nil, err
		}
		return p, nil, nil
	}
	meant := func(p Point) bool { return p.live() && (q.Before.IsZero() || p.Created.Before(q.Before)) }
	points, err := e.recentPoints(ctx, q.Target, func(points []Point) bool { return slices.ContainsFunc(points, meant) })
	if err != nil {
		return Point{}, nil, err
	}
	var newest Point
	for _, p := range points {
		if meant(p) && p.Created.After(newest.Created) {
			newest = p
		}
	}
	if newest.ID == "" {
		return Point{}, no("NoRecoveryPoint", "lifeboat points "+q.Target+" lists them; a suspect one, or a safety backup, can be "+
			"restored by its ID.", "%s has no live recovery point%s", q.Target, beforeWords(q.Before)), nil
	}
	return newest, nil, nil
}

func beforeWords(before time.Time) string {
	if before.IsZero() {
		return ""
	}
	return " from before " + before.Format(time.RFC3339)
}

// usable refuses a recovery point that is gone, or that the service would not take any more.
func usable(p Point, now time.Time) *Reason {
	const other = "Choose another recovery point."
	switch p.State {
	case Expired:
		return no("RecoveryPointExpired", other, "the recovery point %s expired, and was deleted at %s", p.ID,
			p.Deleted.UTC().Format(time.RFC3339))
	case Deleting:
		// Storage kept it the last time: whether it still does is known in a moment, and the restore looks then.
		if p.KeptByStorage.Again.IsZero() {
			return no("RecoveryPointDeleting", other, "the recovery point %s is being deleted", p.ID)
		}
	case Live, Suspect:
	default:
		return no("RecoveryPointUnusable", other, "the recovery point %s is %s", p.ID, p.State)
	}
	if p.CopyOnly() {
		return no("OneWay", "Nothing was done. Read the files with CCF's own tools.", "the recovery point %s is a copy: Azure restores no "+
			"Confidential Ledger from exported files, and has no restore of one since the api-version %s", p.ID, noLedgerRestoreSince)
	}
	return beyond(p.Target, p.Created, now)
}

// beyond refuses a backup of the target that is older than the service restores.
func beyond(target string, written, now time.Time) *Reason {
	const other = "Choose another recovery point."
	r, err := ParseResource(target)
	if err != nil {
		return no("RecoveryPointUnusable", other, "%v", err)
	}
	if horizon, _ := Horizon(r.Type); horizon > 0 && !now.Before(written.Add(horizon)) {
		return no("BeyondHorizon", other, "the backup was written at %s, and %s restores none that is older than %d days: "+
			"Cannot restore: backup expired", written.UTC().Format(time.RFC3339), r.Type, int(horizon.Hours()/24))
	}
	return nil
}

// changed refuses an artifact that is not what was verified.
func changed(p Point, v Verification) *Reason {
	if v.SHA256 == p.SHA256 && v.Size == p.Size {
		return nil
	}
	return no("ArtifactChanged", "Somebody wrote to it. Choose another recovery point.",
		"%s in the container %s has %d bytes and the SHA-256 %s; verified were %d bytes, %s", p.Artifact, p.Storage.Container,
		v.Size, v.SHA256, p.Size, p.SHA256)
}

// restore is what the provider is asked for.
func (p RestorePlan) restore() Restore {
	return Restore{
		Target: p.Destination, Source: p.Target, Storage: p.point.Storage, Artifact: p.point.Artifact, Written: p.point.Created,
		Size: p.point.Size, SHA256: p.point.SHA256, ETag: p.point.ETag, SKU: p.point.SKU,
		Identity: p.plan.Settings.access(p.Destination), Kind: p.Kind, Key: p.Key, CCF: p.plan.Settings.CCF.in(p.Region),
	}
}

// attempt is the artifact as its verification knows it, read on behalf of the destination.
func (r Restore) attempt(run string) Attempt {
	return Attempt{
		Target: r.Target, Storage: r.Storage, Identity: r.Identity, CCF: r.CCF, Run: run, Artifact: r.Artifact, Reread: true,
	}
}

// restorer is the provider of the destination.
func (e *Engine) restorer(destination string) (Provider, Restorer, error) {
	p, err := e.provider(destination)
	if err != nil {
		return nil, nil, err
	}
	r, ok := p.(Restorer)
	if !ok {
		return nil, nil, fmt.Errorf("%s: its backups cannot be restored by Lifeboat", destination)
	}
	return p, r, nil
}
