package backup

import (
	"slices"
	"time"

	"lifeboat/internal/schedule"
)

// MostConcurrency is the greatest bound: with one permit of each kind for a run, all permits fit into one page.
const MostConcurrency = 500

// Plan says what to back up, when, and how long to keep it: one entry of plan.yaml.
type Plan struct {
	// Name identifies the plan; a renamed plan is a new plan. It has lower-case letters, digits and dashes, 1 to 63.
	Name string
	// Targets are the full resource IDs of the services, at most MostTargets: named in the plan, or selected by it.
	Targets []string
	// Select picks further targets; nil for none.
	Select *Select
	// Schedule gives the scheduled times.
	Schedule schedule.Schedule
	// Expression is the schedule's cron expression as it was written.
	Expression string
	// Jitter spreads the runs of a scheduled time over this much time, each target always by the same share of it.
	Jitter time.Duration
	// Window is the time after its scheduled time in which a run may begin; zero means until the next scheduled time.
	Window time.Duration
	// Paused tells that the plan makes no runs; on resume nothing is caught up.
	Paused bool
	// Settings hold for all targets: each run has [Settings.For] its target.
	Settings Settings
	// OnDemandKeepWithin is Settings.KeepWithin of manual runs. A plan that was read always has it.
	OnDemandKeepWithin time.Duration
	// OnDemandReplyTo lists the queues that answers to requests for backups may go to.
	OnDemandReplyTo []string
	// Quiet is the time without a change of a target after which a backup of it is made; zero: changes make no backups.
	Quiet time.Duration
	// Restore says what may be restored from its recovery points.
	Restore RestorePolicy
}

// MostMinimum is the greatest number of recovery points that a plan can keep whatever their age: cleanup holds so many of a target.
const MostMinimum = 100

// MostTargets is the greatest number of targets of a plan: one timer run must be able to make a run of a scheduled time for
// each of them.
const MostTargets = 1000

// The longest times that a plan can say. LongestKeep is a hundred years: longer than any serious value, and far below the 292
// years that a [time.Duration] can hold. LongestWindow is longer than a year, after which a missed scheduled time is history.
const (
	LongestKeep   = 36_500 * 24 * time.Hour
	LongestWindow = 366 * 24 * time.Hour
)

// LongestQuiet is the longest time for which changes that go on put a backup off: the most that Plan.Quiet can be.
const LongestQuiet = time.Hour

// Settings are the part of its plan that a run keeps from its creation: an edit of the plan never changes a run.
type Settings struct {
	Storage Storage `json:"storage"`
	// KeepWithin is the time for which a recovery point is kept after it was written; 0: it has no day on which it expires.
	KeepWithin time.Duration `json:"keepWithin"`
	// KeepCounts keeps a number of the points that the plan's schedule makes of a target, whatever their day.
	KeepCounts Counts `json:"keepCounts,omitzero"`
	// KeepMinimum is the number of newest verified recovery points of a target that stay, whatever their age; 0 means 1. Points of
	// backups by hand count for none.
	KeepMinimum int `json:"keepMinimum,omitempty"`
	// KeepGrace is the longest time without a success that counts for the age of recovery points: see the retention package; 0: all
	// time counts.
	KeepGrace time.Duration `json:"keepGrace,omitempty"`
	// SoftDelete is the time for which a recovery point stays soft-deleted before its artifact is deleted; 0: none.
	SoftDelete time.Duration `json:"softDelete,omitempty"`
	// Blocks are the parts of the plan that hold for one service each.
	Blocks Blocks `json:"blocks,omitempty"`
	// Concurrency is the number of operations of the plan that may run at once; with 0 only the engine's own bound holds.
	Concurrency int `json:"concurrency,omitempty"`
}

// For returns the settings for runs of a service, a target of the plan or a destination of its restores: with the service's own
// container. A run keeps these.
func (s Settings) For(service string) Settings {
	s.Storage = s.Storage.For(service)
	return s
}

// OnDemand returns the settings of manual runs, for all targets.
func (p Plan) OnDemand() Settings {
	s := p.Settings
	s.KeepMinimum, s.KeepCounts = 0, Counts{}
	if p.OnDemandKeepWithin > 0 {
		s.KeepWithin = p.OnDemandKeepWithin
	}
	return s
}

// Safety returns the settings of restores, for all destinations: their safety backups count for no rule of the plan, and are kept as
// backups by hand, or as long as the plan's own points where that is longer. A hold comes on top, until a person confirms the restore.
func (p Plan) Safety() Settings {
	s := p.Settings
	s.KeepMinimum, s.KeepCounts = 0, Counts{}
	s.KeepWithin = max(s.KeepWithin, p.OnDemandKeepWithin)
	return s
}

// RestorePolicy says what may be restored from a plan's recovery points. Without Into nothing may.
type RestorePolicy struct {
	// Into are the resource IDs of the services that may be overwritten, and Itself for each target by its own backups.
	Into []string
	// From are the resource IDs of services that no plan has any more, and whose recovery points may be restored all the same:
	// into the services that Into names, and Itself is none of these.
	From []string
	// Approval says that a person must agree before a restore begins.
	Approval bool
	// ReplyTo lists the queues that answers may go to.
	ReplyTo []string
	// Safety says whether the destination is backed up before it is restored into. A Managed HSM always is, unless the request says
	// no. For a Managed CCF there is nothing left to back up: where a plan demands it, its restores are refused.
	Safety SafetyPolicy
}

// SafetyPolicy says whether a restore makes a safety backup.
type SafetyPolicy string

const (
	// SafetyByRequest: it makes one, unless the request says no.
	SafetyByRequest SafetyPolicy = ""
	// SafetyRequired: it makes one, and a request that says no is refused.
	SafetyRequired SafetyPolicy = "required"
	// SafetyNever: it makes none.
	SafetyNever SafetyPolicy = "never"
)

// Itself stands in RestorePolicy.Into for the target that was backed up.
const Itself = "itself"

// Has says whether the resource is a target of the plan.
func (p Plan) Has(target string) bool {
	return slices.ContainsFunc(p.Targets, func(t string) bool { return Same(t, target) })
}

// Allows says whether recovery points of a target of the plan may be restored into the destination.
func (p RestorePolicy) Allows(target, destination string) bool {
	return p.Names(destination) || slices.Contains(p.Into, Itself) && Same(target, destination)
}

// Names says whether the destination may be overwritten, and stands there by its own resource ID.
func (p RestorePolicy) Names(destination string) bool {
	return slices.ContainsFunc(p.Into, func(into string) bool { return Same(into, destination) })
}

// Takes says whether recovery points of a target that no plan has any more may be restored.
func (p RestorePolicy) Takes(departed string) bool {
	return slices.ContainsFunc(p.From, func(from string) bool { return Same(from, departed) })
}

// LongestJitter is the effective value of a longer jitter: the first step message of a run is a queue message.
const LongestJitter = LongestDelay

// Spelled returns the resource ID as the plan spells it: as a target, or among the services that restores may come from or go into. An
// ID that the plan does not have stays as it is.
func (p Plan) Spelled(id string) string { return Spelled([]Plan{p}, id) }

// Spelled returns the resource ID in the spelling of the first plan that has it; see [Plan.Spelled].
func Spelled(plans []Plan, id string) string {
	for _, p := range plans {
		for _, own := range slices.Concat(p.Targets, p.Restore.From, p.Restore.Into) {
			if Same(own, id) {
				return own
			}
		}
	}
	return id
}
