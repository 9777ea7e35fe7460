package request

import (
	"slices"
	"strings"

	"lifeboat/internal/backup"
)

// Backup asks for backups on demand. Other systems send it to the queue "backup-requests", or as the body of a call;
// docs/backup.schema.json describes it.
type Backup struct {
	// ID makes the request idempotent for good: the same ID always means the same backups. It has 1 to 128 characters.
	ID string
	// Target is the resource ID of the service to back up; "" means every target of the plan.
	Target string
	// Plan is the name of the plan with the settings; "" means the only plan that has the target.
	Plan string
	// RequestedBy and Reason say who asks and why, in words for people.
	RequestedBy, Reason string
	// ReplyTo is a queue of the same storage account to which the answers also go, "" for none.
	ReplyTo string
}

// ParseBackup reads a request in any form of [Read]. A request without an ID gets the given one; "" if there is none. The parts
// that can be read are returned with an error too. The error is an [*Error].
func ParseBackup(message []byte, id string) (Backup, error) {
	r := NewReader(Read(message, id))
	texts := r.Texts("id", "target", "plan", "requestedBy", "reason", "replyTo")
	r.End()
	q := Backup{ID: r.ID(texts), Plan: texts["plan"], ReplyTo: r.ReplyTo(texts)}
	if target, ok := texts["target"]; ok { // an empty one is a mistake, and does not mean all
		q.Target = r.Resource("target", target)
	} else if q.Plan == "" {
		r.Fail(Malformed("target", "the request names neither a target, by its resource ID, nor a plan, all of whose targets are meant"))
	}
	if len(q.Plan) > longestPlan {
		r.Fail(Malformed("plan", "the name of a plan has at most %d characters", longestPlan))
	}
	if strings.HasPrefix(q.ID, OnChange) {
		r.Fail(Malformed("id", "an ID that begins with %s is Lifeboat's own: take another one", OnChange))
	}
	q.RequestedBy, q.Reason = r.Words(texts)
	return q, r.Err()
}

// longestPlan is the greatest length of a plan's name, by the schema of plan.yaml.
const longestPlan = 63

// Fingerprint tells different requests apart. It is kept for good: if this struct changes, the fingerprint of a request must not.
// The spelling of a resource ID does not matter.
func (q Backup) Fingerprint() string {
	q.Target = strings.ToLower(q.Target)
	return backup.Digest(string(backup.Encode(q)), 32)
}

// Choose finds the plan of the request, and its targets as the plan spells them. Without one the reason says why: a code and a
// message.
func (q Backup) Choose(plans []backup.Plan) (plan backup.Plan, targets []string, no *backup.Reason) {
	var found []backup.Plan
	named := q.Plan == ""
	for _, p := range plans {
		if q.Plan != "" && p.Name != q.Plan {
			continue
		}
		named = true
		if i := slices.IndexFunc(p.Targets, func(t string) bool { return backup.Same(t, q.Target) }); i >= 0 {
			found, targets = append(found, p), p.Targets[i:i+1]
		} else if q.Target == "" && q.Plan != "" {
			found, targets = append(found, p), p.Targets
		}
	}
	switch {
	case !named:
		no = backup.Refuse("UnknownPlan", "See how plan.yaml spells it.", "there is no plan %q", q.Plan)
	case len(found) == 0 && q.Plan != "":
		no = backup.Refuse("UnknownTarget", "See how plan.yaml spells it.", "the plan %s has no target %s", q.Plan, q.Target)
	case len(found) == 0:
		no = backup.Refuse("UnknownTarget", "See how plan.yaml spells it.", "no plan has the target %s", q.Target)
	case len(found) > 1:
		no = backup.Refuse("AmbiguousTarget", "Name one of the plans as plan.", "more than one plan has the target %s", q.Target)
	case q.ReplyTo != "" && !slices.Contains(found[0].OnDemandReplyTo, q.ReplyTo):
		no = backup.Refuse("ReplyToNotAllowed", "Add it to onDemand.replyTo of the plan, or leave replyTo out.",
			"the plan %s does not let answers go to the queue %s", found[0].Name, q.ReplyTo)
	}
	if no != nil {
		return backup.Plan{}, nil, no
	}
	return found[0], targets, nil
}

// Replies returns the queue of the request for answers if a plan that it may mean allows it, else "". A refusal is an answer too.
func (q Backup) Replies(plans []backup.Plan) string {
	if slices.ContainsFunc(plans, func(p backup.Plan) bool {
		meant := p.Name == q.Plan || q.Target != "" && p.Has(q.Target)
		return meant && slices.Contains(p.OnDemandReplyTo, q.ReplyTo)
	}) {
		return q.ReplyTo
	}
	return ""
}
