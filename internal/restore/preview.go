package restore

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"lifeboat/internal/backup"
)

// Preview says what a restore would do, and whether it may.
type Preview struct {
	// Hash identifies the effect: the destination, the recovery point and its content, the kind, the key, the region, and whether
	// there is a safety backup. Ages and outcomes are not in it.
	Hash string `json:"hash,omitempty"`
	// Made is the time of the preview.
	Made time.Time `json:"createdDateTime"`
	// Plan is the name of the plan that allows it, Target the service that was backed up, Destination the service to restore
	// into.
	Plan        string             `json:"plan,omitempty"`
	Target      string             `json:"target"`
	Destination string             `json:"destination"`
	Kind        backup.RestoreKind `json:"kind,omitempty"`
	Key         string             `json:"key,omitempty"`
	Region      string             `json:"restoreRegion,omitempty"`
	// Point is the recovery point; nil if there is none.
	Point *PreviewedPoint `json:"recoveryPoint,omitempty"`
	// Safety says that the destination is backed up before. NoSafety says that the request wants none, for its reason.
	Safety   bool `json:"safetyBackup"`
	NoSafety bool `json:"noSafetyBackup,omitempty"`
	// Overwrites says what the restore destroys, NotIncluded what it does not bring back, in words for people.
	Overwrites  []string `json:"overwrites,omitempty"`
	NotIncluded []string `json:"notIncluded,omitempty"`
	// Custody says whether people have proven the thing without which nothing is restored; nil if no plan asks for that.
	Custody *PreviewedCustody `json:"custody,omitempty"`
	// Calls lists the calls to Azure that change something, or ask whether it may be changed, in their order.
	Calls []string `json:"calls,omitempty"`
	// Guards lists all the guards that were asked, in their order, up to the first that refused.
	Guards []Guard `json:"guards"`

	Chosen backup.Point `json:"-"`
	// Allowing is the plan that allows the restore. Among all such plans, secures names one with a safety backup; "" if none has.
	Allowing backup.Plan `json:"-"`
	secures  string
	// safety is the policy of all plans that allow the restore: never only if each says so.
	safety backup.SafetyPolicy
	// securable tells whether the restore makes a safety backup unless the request says no.
	securable bool
	// MayAnswer tells whether answers may go to the queue of the request.
	MayAnswer bool `json:"-"`
}

// NewPreview makes the preview of a request, before any guard was asked.
func NewPreview(q Request, plans []backup.Plan, now time.Time) Preview {
	return Preview{
		Made: now, Target: backup.Spelled(plans, q.Target), Destination: backup.Spelled(plans, q.Destination()), Kind: q.Kind, Key: q.Key, Region: q.Region,
		NoSafety:   q.NoSafety,
		Overwrites: []string{}, NotIncluded: []string{}, Calls: []string{}, MayAnswer: q.Replies(plans),
	}
}

// NewRun makes the run of the request, with the ID; asked is the time of the request's claim.
func (p Preview) NewRun(q Request, id string, asked time.Time) backup.Run {
	return backup.Run{
		ID: id, State: backup.Queued, Target: p.Destination, Plan: p.Plan, Request: q.ID, Settings: p.Allowing.Safety().For(p.Destination),
		Unpublished: true,
		Restore: &backup.Restoring{
			Step:  backup.StepValidating,
			Point: p.Chosen.ID, Source: p.Target, Storage: p.Chosen.Storage, Artifact: p.Chosen.Artifact, SHA256: p.Chosen.SHA256,
			ETag: p.Chosen.ETag, SKU: p.Chosen.SKU,
			Size: p.Chosen.Size, Written: p.Chosen.Created, Kind: q.Kind, Key: q.Key, Region: p.Region, Expires: q.Until(asked),
			RequestedBy: q.RequestedBy, Reason: q.Reason, ReplyTo: p.ReplyTo(q), Preview: p.Hash, Safety: p.Safety,
			NoSafety: p.NoSafety, Preempt: q.Preempt,
		},
	}
}

// PreviewedPoint is the recovery point of a Preview.
type PreviewedPoint struct {
	ID      string            `json:"id"`
	State   backup.PointState `json:"state"`
	Written time.Time         `json:"createdDateTime"`
	// Age is the age of the state that it has, in whole seconds: changes since then are lost.
	Age    int64  `json:"ageInSeconds"`
	Size   int64  `json:"sizeInBytes"`
	SHA256 string `json:"sha256,omitempty"`
}

// PreviewedCustody is the proof about a thing that people keep. Title names it.
type PreviewedCustody struct {
	Title string `json:"title"`
	backup.Proof
}

// Guard is a question that a restore must answer before it changes anything.
type Guard struct {
	Name    string  `json:"name"`
	Outcome Outcome `json:"outcome"`
	// Reason says why the guard refused, what it warns of, or when it will be asked; nil if it passed.
	Reason *backup.Reason `json:"reason,omitempty"`
}

// Outcome is the outcome of a Guard.
type Outcome string

// These are the outcomes of a guard. Later: only the restore itself can ask, and does so before it changes anything.
const (
	Passed  Outcome = "passed"
	Warned  Outcome = "warning"
	Stopped Outcome = "refused"
	Later   Outcome = "later"
)

// Refusal says why the restore may not be made; nil if it may.
func (p Preview) Refusal() *backup.Reason {
	for _, g := range p.Guards {
		if g.Outcome == Stopped {
			return g.Reason
		}
	}
	return nil
}

// Ask notes a guard, and says whether to go on.
func (p *Preview) Ask(name string, no *backup.Reason) bool {
	g := Guard{Name: name, Outcome: Passed, Reason: no}
	if no != nil {
		g.Outcome = Stopped
	}
	p.Guards = append(p.Guards, g)
	return no == nil
}

// Warn turns the last guard, which has passed, into a warning.
func (p *Preview) Warn(why *backup.Reason) {
	last := &p.Guards[len(p.Guards)-1]
	last.Outcome, last.Reason = Warned, why
}

// WarnStopped warns that the restore waits, since the app is stopped; nil: it is not.
func (p *Preview) WarnStopped(f *backup.Fault) {
	if f == nil {
		return
	}
	why := f.Reason()
	p.Ask("restores may begin", nil)
	p.Warn(&why)
}

// NewHash returns the Hash of this preview.
func (p Preview) NewHash() string {
	id, sum := "", ""
	if p.Point != nil {
		id, sum = p.Point.ID, p.Point.SHA256
	}
	return backup.Digest(strings.Join([]string{
		strings.ToLower(p.Destination), id, sum, string(p.Kind), p.Key, p.Region, fmt.Sprint(p.Safety),
	}, "\n"), 64)
}

// Describe fills in what the restore does; from and into are the services of the target and of the destination.
func (p *Preview) Describe(from, into backup.Service) {
	p.Overwrites, p.Calls, p.NotIncluded = into.Restore.Overwrites, into.Restore.Calls, from.NotIncluded
	if p.Kind == backup.RestoreKey {
		p.Overwrites, p.Calls = []string{"nothing: the key " + p.Key + " must have been purged"}, into.Restore.KeyCalls
	}
	if p.Safety {
		p.Calls = slices.Concat(into.Restore.BackupCalls, p.Calls)
	}
	// No call restores a copy, nor anything under settings that make copies.
	if p.Chosen.CopyOnly || into.CopyOnly != nil && into.CopyOnly(p.Allowing.Settings.Blocks) {
		p.Overwrites, p.Calls, p.Safety = []string{"nothing: the backups are copies, which no service reads"}, []string{}, false
	}
	p.Calls = slices.Clone(p.Calls)
	for i := range p.Calls {
		p.Calls[i] = strings.ReplaceAll(Fill(p.Calls[i], p.Destination), "{key}", p.Key)
	}
}

// Fill puts the destination's ID and name in place of {destination} and {name}.
func Fill(text, destination string) string {
	r, _ := backup.ParseResource(destination) // without a resource the name is ""
	return strings.NewReplacer("{destination}", destination, "{name}", strings.ToLower(r.Name)).Replace(text)
}

// AskLater notes a guard that asks Azure. A definite no refuses. If Azure gave no answer now, the restore itself asks again.
func (p *Preview) AskLater(name string, done bool, err error, check func() *backup.Reason) {
	f := backup.AsFault(err)
	switch {
	case f != nil && f.Kind == backup.Refused:
		why := f.Reason()
		p.Ask(name, &why)
	case f != nil:
		why := f.Reason()
		p.Guards = append(p.Guards, Guard{Name: name, Outcome: Later, Reason: &why})
	case !done:
		p.Guards = append(p.Guards, Guard{Name: name, Outcome: Later, Reason: backup.Refuse("TakesLonger", "",
			"the check takes several calls; the restore finishes it before it changes anything")})
	default:
		p.Ask(name, check())
	}
}

// Note adds the warnings of the look at the destination.
func (p *Preview) Note(notes *backup.Notes) {
	for _, why := range notes.Warnings() {
		p.Guards = append(p.Guards, Guard{Name: "nothing is left to do by hand", Outcome: Warned, Reason: &why})
	}
}

// NotAsked notes the service's own check before it restores, if it has one: a dry run does not start that check. A restore that is
// refused comes to no such check.
func (p *Preview) NotAsked(into backup.Service) {
	if p.Refusal() != nil {
		return
	}
	if p.Kind == backup.RestoreKey {
		p.Guards = append(p.Guards, Guard{Name: "the backup has the key", Outcome: Later, Reason: backup.Refuse("NotAsked", "",
			"no call shows the keys of a backup; if it has no key %s, the restore brings nothing back, and fails", p.Key)})
	}
	if look := into.Restore.Look; look != "" {
		p.Guards = append(p.Guards, Guard{Name: "the service itself can restore it", Outcome: Later, Reason: backup.Refuse("NotAsked", "",
			"a dry run only reads; the restore asks by %s, after the safety backup and before anything is changed", look)})
	}
}

// Allow finds the plan that allows the restore: the first one that has the target, or names it in restore.from, and names the
// destination. The demands of all other such plans hold as well: approval and a safety backup. It refuses a restore that needs an
// approval. The service is the destination's. If no plan could allow such a restore, the refusal says that instead.
func (p *Preview) Allow(q Request, plans []backup.Plan, service backup.Service) *backup.Reason {
	var about []string
	departed, agrees := true, ""
	for _, plan := range q.about(plans) {
		about = append(about, plan.Name)
		departed = departed && !plan.Has(q.Target)
		if !q.allowed(plan) {
			continue
		}
		if p.Plan == "" || p.safety == backup.SafetyNever {
			p.safety = plan.Restore.Safety
		}
		if p.Plan == "" {
			p.Plan, p.Allowing = plan.Name, plan
			p.Target, p.Destination = plan.Spelled(p.Target), plan.Spelled(p.Destination)
		}
		if plan.Restore.Approval {
			agrees = cmp.Or(agrees, plan.Name)
		}
		if plan.Restore.Safety == backup.SafetyRequired {
			p.secures = cmp.Or(p.secures, plan.Name)
		}
	}
	switch {
	case agrees != "":
		return backup.Refuse("ApprovalUnavailable", "Remove restore.approval from plan.yaml.",
			"the plan %s wants a person to agree to restores, which this version of Lifeboat cannot ask for", agrees)
	case p.Plan != "":
		return nil
	}
	if why := p.impossible(service); why != nil {
		return why
	}
	if len(about) == 0 {
		return backup.Refuse("UnknownTarget", "If the ID is as plan.yaml has it, the target has left plan.yaml. Name it in restore.from of a plan, "+
			"and the destination by its resource ID in restore.into of that plan.", "no plan has the target %s", q.Target)
	}
	if departed {
		return backup.Refuse("DestinationNotAllowed", "Add it to restore.into of that plan by its resource ID, if it may be overwritten; itself "+
			"there does not count for a target that has left.", "no plan with %s in restore.from names the destination %s in restore.into: %s",
			q.Target, p.Destination, strings.Join(about, ", "))
	}
	return backup.Refuse("DestinationNotAllowed", "Add it to restore.into of the plan, if it may be overwritten; itself there allows "+
		"each target to be restored into itself.", "no plan with the target %s allows it to be restored into %s: %s", q.Target,
		p.Destination, strings.Join(about, ", "))
}

// Answers refuses a reply queue that no plan of the target allows.
func (p *Preview) Answers(q Request) *backup.Reason {
	if p.MayAnswer {
		return nil
	}
	if slices.Contains(backup.OwnQueues, q.ReplyTo) {
		return backup.Refuse("ReplyToNotAllowed", "Leave replyTo out, or name another queue: answers go to lifeboat-events in any case.",
			"%s is a queue of Lifeboat's own", q.ReplyTo)
	}
	return backup.Refuse("ReplyToNotAllowed", "Add it to restore.replyTo of the plan, or leave replyTo out: answers also go to lifeboat-events.",
		"the plan %s does not let answers go to the queue %s", p.Plan, q.ReplyTo)
}

// ReplyTo is the second queue for the answers, "" for none.
func (p Preview) ReplyTo(q Request) string {
	if !p.MayAnswer {
		return ""
	}
	return q.ReplyTo
}

// impossible refuses a restore that the service of the destination never does, whatever a plan says.
func (p *Preview) impossible(service backup.Service) *backup.Reason {
	from, _ := backup.ParseResource(p.Target)
	into, _ := backup.ParseResource(p.Destination) // both were parsed with the request
	traits := service.Restore
	switch {
	case !strings.EqualFold(from.Type, into.Type):
		return backup.Refuse("TypeMismatch", "Restore into a "+from.Type+".", "a backup of a %s cannot be restored into a %s", from.Type, into.Type)
	case service.Type == "":
		return backup.Refuse("RestoreNotSupported", "", "Lifeboat restores no %s", into.Type)
	case p.Kind == backup.RestoreKey && traits.KeyCalls == nil:
		return backup.Refuse("KindNotSupported", "Leave kind and key out.", "a %s brings no single keys back", into.Type)
	case p.Region != "" && !traits.Recreates:
		return backup.Refuse("RegionNotSupported", "Leave restoreRegion out.", "a %s is restored where it is, and not made anew in a region",
			into.Type)
	case traits.Recreates && !strings.EqualFold(from.Name, into.Name):
		return backup.Refuse("NameDiffers", "Restore into a resource of the same name.", "Azure restores a %s only under the name that was "+
			"backed up, %s, and not as %s", into.Type, from.Name, into.Name)
	}
	return nil
}

// Fits refuses a restore that the service of the destination cannot do.
func (p *Preview) Fits(service backup.Service) *backup.Reason {
	if why := p.impossible(service); why != nil {
		return why
	}
	traits := service.Restore
	// A service that is recreated needs no safety backup: it is restored only after its deletion.
	p.securable = !traits.Recreates && (p.safety != backup.SafetyNever || traits.Safety == backup.SafetyAlways)
	p.Safety = p.securable && !p.NoSafety
	if traits.Region != nil { // if the request names none, the plan does
		p.Region = cmp.Or(p.Region, traits.Region(p.Allowing.Settings.Blocks))
	}
	if p.secures != "" && traits.Safety == backup.SafetyImpossible {
		return backup.Refuse("SafetyBackupUnavailable", "Take safetyBackup out of the plan, or give such targets a plan of their own.",
			"the plan %s wants a safety backup, and a %s is restored only once the original is gone: there is nothing left to back up",
			p.secures, service.Title)
	}
	if p.secures != "" && p.NoSafety {
		return backup.Refuse("SafetyBackupRequired", "Leave noSafetyBackup out. If the destination cannot be backed up any more, set "+
			"restore.safetyBackup of the plan to default.", "the plan %s requires a safety backup, and the request wants none", p.secures)
	}
	return nil
}

// WarnUnsecured turns the last guard into a warning if the request wants no safety backup: it says what is lost for good.
func (p *Preview) WarnUnsecured() {
	if p.NoSafety {
		hint := ""
		if p.securable {
			hint = "Without noSafetyBackup the destination is backed up first."
		}
		p.Warn(backup.Refuse("NoSafetyBackup", hint, "the request wants no safety backup: "+
			"nothing brings back what the restore overwrites: %s", strings.Join(p.Overwrites, "; ")))
	}
}

// ProviderRestore makes the provider's request for the restore.
func (p Preview) ProviderRestore() backup.Restore {
	return backup.Restore{
		Target: p.Destination, Source: p.Target, Storage: p.Chosen.Storage, Artifact: p.Chosen.Artifact, Written: p.Chosen.Created,
		Size: p.Chosen.Size, SHA256: p.Chosen.SHA256, ETag: p.Chosen.ETag, SKU: p.Chosen.SKU,
		Blocks: p.Allowing.Settings.Blocks, Kind: p.Kind, Key: p.Key, Region: p.Region,
	}
}
