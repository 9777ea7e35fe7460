package retention

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"lifeboat/internal/backup"
)

// Rule is the subject of a reason. The counts of the policy are rules by their name in plan.yaml.
type Rule string

// These are the other rules.
const (
	Within  Rule = "within"
	Minimum Rule = "minimum"
	// Newest keeps the newest verified point of a target, even beyond the horizon.
	Newest Rule = "newest"
	// Future keeps a point that is dated after now.
	Future Rule = "future"
	// Unverified keeps a point that is suspect, altered, or otherwise not known to be good.
	Unverified Rule = "unverified"
	// Unlimited keeps a point for which there is no rule.
	Unlimited Rule = "unlimited"
	// Held, InUse and ByStorage keep a point whatever the rules say.
	Held      Rule = "held"
	InUse     Rule = "inUse"
	ByStorage Rule = "keptByStorage"
	// Horizon, SoftDeleted and None keep nothing: they say why a point counts for no rule, or that none keeps it.
	Horizon     Rule = "horizon"
	SoftDeleted Rule = "softDeleted"
	None        Rule = "none"
)

// Reason says why a point is kept or not.
type Reason struct {
	Rule Rule
	// Keeps is false if it only explains.
	Keeps bool
	// Bucket is the hour, day, week, month or year for which the point stands, or "oldest". N counts the buckets, Of is the policy's
	// number.
	Bucket string
	N, Of  int
	// Age is the age that counts, and Limit the one to which the point is kept or can be restored.
	Age, Limit time.Duration
	// Until is the instant from which on it does not hold if there is no new point; zero if only an event can end it.
	Until time.Time
	// earliest is Until if backups go on.
	earliest time.Time
	// Why has the words of a person or of storage, or the ID of a restore.
	Why string
}

func (r Reason) String() string {
	until := r.Until.UTC().Format(time.RFC3339)
	switch r.Rule {
	case Within:
		if r.Keeps {
			return fmt.Sprintf("within %s: its age is %s of time in which backups worked", days(r.Limit), days(r.Age))
		}
		return fmt.Sprintf("within %s has ended: its age is %s of time in which backups worked", days(r.Limit), days(r.Age))
	case Newest:
		return "the newest verified recovery point of the target"
	case Future:
		return "dated " + until + ", which is still to come"
	case Unverified:
		return "not verified, so that no rule judges it: " + r.Why
	case Unlimited:
		return "no rule limits its time"
	case Held:
		if r.Until.IsZero() {
			return "held without end: " + r.Why
		}
		return "held until " + until + ": " + r.Why
	case InUse:
		return "the restore " + r.Why + " reads it"
	case ByStorage:
		return r.Why
	case Horizon:
		return "beyond the horizon: the service restores no backup older than " + days(r.Limit)
	case SoftDeleted:
		return "soft-deleted until " + until
	case None:
		return "no rule keeps it"
	}
	return strings.Join(strings.Fields(fmt.Sprintf("%s %s (%d of %d)", r.Rule, r.Bucket, r.N, r.Of)), " ")
}

// days writes a time as plan.yaml does, with days.
func days(d time.Duration) string {
	const day = 24 * time.Hour
	text := ""
	if n := d / day; n > 0 {
		text = fmt.Sprintf("%dd", n)
	}
	for _, unit := range []struct {
		name string
		time.Duration
	}{{"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}} {
		if n := d % day / unit.Duration % 60; n > 0 {
			text += fmt.Sprintf("%d%s", n, unit.name)
		}
	}
	return cmp.Or(text, "0s")
}

// counted says that the reason is one of those for which the row of the target holds the point.
func (r Reason) counted() bool {
	switch r.Rule {
	case Within, Future, Unverified, Unlimited, Held, InUse, ByStorage:
		return false
	}
	return r.Keeps
}

// held returns the reasons that keep the point whatever the rules say.
func (p Point) held(now time.Time) (reasons []Reason) {
	if endless := p.Held.Until.IsZero() && p.Held.Reason != ""; endless || now.Before(p.Held.Until) {
		reasons = append(reasons, Reason{Rule: Held, Keeps: true, Until: p.Held.Until, Why: p.Held.Reason})
	}
	if p.InUse != "" {
		reasons = append(reasons, Reason{Rule: InUse, Keeps: true, Why: p.InUse})
	}
	if now.Before(p.KeptByStorage.Again) {
		reasons = append(reasons, Reason{Rule: ByStorage, Keeps: true, Until: p.KeptByStorage.Again, Why: p.KeptByStorage.String()})
	}
	return reasons
}

// Verdict is the answer about a point.
type Verdict struct {
	ID   string
	Keep bool
	// Reasons are all there are. If the point stays, some keep it; if it goes, each says why it does not.
	Reasons []Reason
	// Next is the first instant at which the answer may change without a new point; zero if only a new point, or another event, can
	// change it. An expiry is final.
	Next time.Time
}

// ends returns the first instant from which on no reason keeps the point, by the end that each gives; zero if there is none.
func (v Verdict) ends(end func(Reason) time.Time) (last time.Time) {
	for _, r := range v.Reasons {
		if !r.Keeps {
			continue
		}
		if end(r).IsZero() {
			return time.Time{}
		}
		last = later(last, end(r))
	}
	return last
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// sooner returns the earlier of two times, of which zero means never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// Point is a recovery point as the rules see it.
type Point struct {
	ID string
	// Began is the start of its backup: the accepted start, or the scheduled time. A run from 23:55 to 00:12 belongs to the day of its
	// schedule. The rules count whole seconds.
	Began time.Time
	// Worked is the sum of [Clock] at Began, kept with the point when it is made: from the points that are left, gaps would look longer.
	Worked time.Duration
	Class  Class
	// Unverified says why the point does not count as good; "" if it does.
	Unverified string
	// SoftDeleted is the time up to which a soft-deleted point is still there; zero if it is not soft-deleted.
	SoftDeleted time.Time
	// Held is the longest hold; one with a reason and no time has no end.
	Held backup.Hold
	// InUse is the ID of a restore that reads it.
	InUse         string
	KeptByStorage backup.KeptByStorage
}

// Class says which rules are for a point.
type Class int

const (
	// Scheduled: the policy.
	Scheduled Class = iota
	// OnDemand: a time of its own.
	OnDemand
	// Safety: a time of its own. It is the state before a restore, and never the newest good point.
	Safety
)
