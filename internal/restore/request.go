package restore

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/request"
)

// about returns the plans that have the target of the request. If none has, it returns the plans that name it in restore.from, and,
// if the request restores a recovery point by its ID into its own target, the plans whose restores may overwrite that target: they
// make the safety backups that are needed to go back.
func (q Request) about(plans []backup.Plan) (found []backup.Plan) {
	for _, plan := range plans {
		if plan.Has(q.Target) {
			found = append(found, plan)
		}
	}
	if len(found) > 0 {
		return found
	}
	back := q.Point != "" && backup.Same(q.Target, q.Destination())
	for _, plan := range plans {
		if plan.Restore.Takes(q.Target) || back && plan.Restore.Names(q.Target) {
			found = append(found, plan)
		}
	}
	return found
}

// allowed says whether the plan, which is about the request, names its destination. Itself is only a target of the plan: else the
// backup of a service that has left one plan would get into a service of another by mistake.
func (q Request) allowed(plan backup.Plan) bool {
	if plan.Has(q.Target) {
		return plan.Restore.Allows(q.Target, q.Destination())
	}
	return plan.Restore.Names(q.Destination())
}

// Replies says whether answers may go to the queue of the request, if it names one. A refusal is an answer too, so any plan of
// the target may allow it, whether it allows the restore or not.
func (q Request) Replies(plans []backup.Plan) bool {
	return q.ReplyTo == "" || slices.ContainsFunc(q.about(plans), func(plan backup.Plan) bool {
		return slices.Contains(plan.Restore.ReplyTo, q.ReplyTo)
	})
}

// Request asks for a restore. Other systems send it to the queue "restore-requests"; docs/restore.schema.json
// describes it.
type Request struct {
	// ID makes the request idempotent for good: the same ID always means the same restore. It has 1 to 128 characters.
	ID string
	// Target is the resource ID of the service whose backup is restored.
	Target string
	// Point is the ID of a recovery point, or "" for the newest live one: the newest before Before, if that is not zero.
	Point  string
	Before time.Time
	// Into is the resource ID of the service to restore into: by default Target.
	Into string
	Kind backup.RestoreKind
	// Key is the name of the key to bring back, with RestoreKey.
	Key string
	// Region is the Azure region in which a ledger is recreated.
	Region string
	// RequestedBy and Reason say who asks and why, in words for people.
	RequestedBy, Reason string
	// ReplyTo is a queue of the same storage account to which the answers also go, "" for none.
	ReplyTo string
	// Expires is the time limit for the start of the restore; zero: a day after the request was sent.
	Expires time.Time
	// Sent is the time at which the message was sent. It may have waited in the queue while the app was down; zero: just now.
	// It is no part of the request: the same one may be sent again.
	Sent time.Time `json:"-"`
	// Preempt asks the restore to end backups of its destination that wait or hang: see [Preemptable].
	Preempt bool `json:",omitempty"`
	// NoSafety asks for a restore without a safety backup, for Reason: a plan must allow it.
	NoSafety bool `json:",omitempty"`
	// DryRun asks only for a preview of the restore. It does not use the ID up.
	DryRun bool
}

// Destination is the service to restore into.
func (q Request) Destination() string { return cmp.Or(q.Into, q.Target) }

// Until returns the time limit for the start of the restore.
func (q Request) Until(now time.Time) time.Time {
	switch {
	case !q.Expires.IsZero():
		return q.Expires
	case !q.Sent.IsZero() && q.Sent.Before(now):
		return q.Sent.Add(DefaultRestoreTime)
	}
	return now.Add(DefaultRestoreTime)
}

// Fingerprint tells different requests apart. It is kept for good: if this struct changes, the fingerprint of a request must not.
// The spelling of a resource ID does not matter, nor whether the target itself is named as the destination.
func (q Request) Fingerprint() string {
	q.DryRun = false
	q.Target, q.Into = strings.ToLower(q.Target), strings.ToLower(q.Destination())
	return backup.Digest(string(backup.Encode(q)), 32)
}

// ParseRequest reads a request in any form of [request.Read]. A request without an ID gets the given one; "" if there is none. If
// the ID, the target and the queue for answers can be read, they are returned with an error too. The error is a *request.Error.
func ParseRequest(message []byte, id string) (Request, error) {
	r := request.NewReader(request.Read(message, id))
	texts := r.Texts("id", "target", "recoveryPoint", "into", "kind", "key", "restoreRegion", "requestedBy", "reason", "replyTo", "expires")
	q := Request{
		Kind: backup.RestoreFull, DryRun: r.Flag("dryRun"), Preempt: r.Flag("preempt"), NoSafety: r.Flag("noSafetyBackup"), Key: texts["key"], Region: texts["restoreRegion"],
	}
	r.End()
	q.ID, q.ReplyTo = r.ID(texts), r.ReplyTo(texts)
	q.Target = r.Resource("target", texts["target"])
	if into, ok := texts["into"]; ok { // an empty one is a mistake, and does not mean the target
		q.Into = r.Resource("into", into)
	}
	r.Fail(q.readPoint(texts["recoveryPoint"]))
	if kind, ok := texts["kind"]; ok {
		q.Kind = backup.RestoreKind(kind)
	}
	switch {
	case q.Kind != backup.RestoreFull && q.Kind != backup.RestoreKey:
		r.Fail(request.Malformed("kind", "%q is neither %s nor %s", request.Short(string(q.Kind)), backup.RestoreFull, backup.RestoreKey))
	case q.Kind == backup.RestoreKey && !keyName().MatchString(q.Key):
		r.Fail(request.Malformed("key", "a selective restore needs the name of the key: 1 to 127 letters, digits and dashes"))
	case q.Kind == backup.RestoreFull && q.Key != "":
		r.Fail(request.Malformed("key", "only a restore of the kind %s is of one key", backup.RestoreKey))
	}
	if q.Region != "" && !regionName().MatchString(q.Region) {
		r.Fail(request.Malformed("restoreRegion", "%q is no name of an Azure region, such as westeurope", request.Short(q.Region)))
	}
	q.RequestedBy, q.Reason = r.Words(texts)
	if q.NoSafety && strings.TrimSpace(q.Reason) == "" {
		r.Fail(request.Malformed("reason", "a restore without a safety backup needs a reason"))
	}
	if expires, ok := texts["expires"]; ok {
		var bad error
		q.Expires, bad = request.Moment("expires", expires)
		r.Fail(bad)
	}
	return q, r.Err()
}

// The forms of the names in a request: of keys (Key Vault's specification), and of regions, such as westeurope. They are compiled
// at their first use, since a start of the program need not wait for them.
var (
	keyName    = form(`^[0-9A-Za-z-]{1,127}$`)
	regionName = form(`^[a-z0-9]{2,60}$`)
)

func form(of string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(of) })
}

const (
	latest       = "latest"
	latestBefore = "latest before "
)

// readPoint reads the field that says which recovery point is meant.
func (q *Request) readPoint(text string) error {
	if text == latest {
		return nil
	}
	if at, ok := strings.CutPrefix(text, latestBefore); ok {
		var err error
		q.Before, err = request.Moment("recoveryPoint", at)
		return err
	}
	if _, err := backup.RunKey(text); err != nil {
		return request.Malformed("recoveryPoint", "%q is neither the ID of a recovery point nor %q nor %q with a time", request.Short(text),
			latest, strings.TrimSpace(latestBefore))
	}
	q.Point = text
	return nil
}

// DefaultRestoreTime is the time limit for starting a restore whose request has no `expires`. It counts from when the request was
// sent.
const DefaultRestoreTime = 24 * time.Hour
