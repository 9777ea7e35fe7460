package backup

import (
	"cmp"
	"iter"
	"math/bits"
	"slices"
	"time"
)

// Plan says what to back up, when, and how long to keep it: one entry of plan.yaml.
type Plan struct {
	// Name identifies the plan; a renamed plan is a new plan. Lower-case letters, digits and dashes, 1 to 63.
	Name string
	// Targets are the full resource IDs of the services, MostTargets at the most.
	Targets []string
	// Schedule gives the slots.
	Schedule Schedule
	// Expression is the schedule's cron expression as it was written.
	Expression string
	// Jitter spreads the runs of a slot over this much time, each target always by the same share of it.
	Jitter time.Duration
	// Window is how long after its slot a run may begin; zero means until the next slot.
	Window time.Duration
	// Paused plans make no runs; on resume nothing is caught up.
	Paused   bool
	Settings Settings
	// OnDemandKeepWithin is Settings.KeepWithin of runs asked for by hand; zero means the same as of scheduled ones.
	OnDemandKeepWithin time.Duration
	// Restore says what may be restored from its recovery points.
	Restore RestorePolicy
}

// MostTargets of a plan: one tick must be able to make a run of a slot for each of them.
const MostTargets = 1000

// The longest times that a plan can say. LongestKeep is a hundred years: longer than anybody means, and far below the 292
// years that a [time.Duration] can hold. LongestWindow is longer than a year, after which a missed slot is history.
const (
	LongestKeep   = 36_500 * 24 * time.Hour
	LongestWindow = 366 * 24 * time.Hour
)

// Settings are what a run takes along from its plan when it is created: an edit of the plan never changes a run.
type Settings struct {
	Storage Storage `json:"storage"`
	// KeepWithin is how long a recovery point is kept after it was written.
	KeepWithin time.Duration `json:"keepWithin"`
	// Identity is whom the service acts as when it writes to the storage account: "" or "system" for its system-assigned
	// identity, the client ID of a user-assigned one, or "accessKey" for the account's key.
	Identity string `json:"identity,omitempty"`
	// HSMAccess is how a Managed HSM gets at the storage account: "" or "identity" by its user-assigned identity, "sas" by
	// a SAS that is made for each request.
	HSMAccess string `json:"hsmAccess,omitempty"`
	// CCF is what holds for Managed CCF and Confidential Ledger.
	CCF CCF `json:"ccf,omitzero"`
	// Concurrency is how many operations of the plan may be under way at once; 0 leaves it to the engine's.
	Concurrency int `json:"concurrency,omitempty"`
}

// checkKeep refuses to make a recovery point that would expire before it was made, or that no calendar reaches: plan.yaml
// cannot say so, and what asks for it all the same is a mistake of ours. No time at all is none: what is made so is kept.
func checkKeep(s Settings) *Reason {
	if s.KeepWithin >= 0 && s.KeepWithin <= LongestKeep {
		return nil
	}
	return no("InvalidKeep", "This is a mistake of Lifeboat's own: report it, with keep.within of the plan.", "the plan keeps recovery "+
		"points for %s, which is less than nothing or more than %d days: nothing was begun", s.KeepWithin, int(LongestKeep.Hours()/24))
}

// CCF is what a Managed CCF or a Confidential Ledger is backed up and restored with.
type CCF struct {
	// RestoreRegion is the region, such as "westeurope", that what is written is to be restored in; "" for the service's own.
	// A restore needs one.
	RestoreRegion string `json:"restoreRegion,omitempty"`
	// APIVersion is the api-version that the service is called with, such as "2025-06-10-preview"; "" for the provider's.
	APIVersion string `json:"apiVersion,omitempty"`
}

// in is the same for a restore in the region, where one is given.
func (c CCF) in(region string) CCF {
	c.RestoreRegion = cmp.Or(region, c.RestoreRegion)
	return c
}

// Schedule is a cron expression in a time zone: bit n of a field is set where the value n matches. The day of the month
// and the day of the week must both match, as in the NCRONTAB of Azure Functions.
type Schedule struct {
	Second, Minute, Hour, Day, Month, Weekday uint64
	// Last, above 0, leaves so many days at the end of each month: 1 for the last day, 7 for a last Friday.
	Last int
	Zone *time.Location
}

const everyHour = 1<<24 - 1

// horizon bounds the search for a slot: a 29 February can be eight years away.
const horizon = 9 * 366

// Next is the first slot after the instant, in UTC, or the zero time if there is none.
func (s Schedule) Next(after time.Time) time.Time {
	for t := range s.After(after) {
		return t
	}
	return time.Time{}
}

// After yields the slots after the instant, in UTC, oldest first, until there is none.
//
// With fixed hours every local time of a day is one instant, also on the days when clocks change: one that the clock
// jumps over is taken as the old offset would have it (02:30 becomes 03:30), one that happens twice is its first. With
// every hour ("*") slots follow elapsed time.
func (s Schedule) After(after time.Time) iter.Seq[time.Time] {
	return func(yield func(time.Time) bool) {
		if s.Hour == everyHour {
			for t := s.nextElapsed(after); !t.IsZero() && yield(t); {
				t = s.nextElapsed(t)
			}
			return
		}
		day := after.In(s.Zone).AddDate(0, 0, -1)
		for idle := 0; idle < horizon; idle++ {
			y, m, d := day.Date()
			if s.onDay(y, m, d, day.Weekday()) {
				for _, t := range s.ofDay(y, m, d) {
					if !t.After(after) {
						continue
					}
					if !yield(t.UTC()) {
						return
					}
					after, idle = t, 0
				}
			}
			day = time.Date(y, m, d+1, 12, 0, 0, 0, s.Zone)
		}
	}
}

func (s Schedule) onDay(y int, m time.Month, d int, w time.Weekday) bool {
	return s.Month>>m&1 == 1 && s.Day>>d&1 == 1 && s.Weekday>>w&1 == 1 &&
		(s.Last == 0 || time.Date(y, m, d+s.Last, 0, 0, 0, 0, time.UTC).Month() != m)
}

// ofDay are the slots of the local day, sorted: those in the hour that a clock jumps over may overtake later ones.
func (s Schedule) ofDay(y int, m time.Month, d int) []time.Time {
	var slots []time.Time
	for hour := range each(s.Hour) {
		for minute := range each(s.Minute) {
			for second := range each(s.Second) {
				slots = append(slots, instant(y, m, d, hour, minute, second, s.Zone))
			}
		}
	}
	slices.SortFunc(slots, time.Time.Compare)
	return slots
}

// nextElapsed steps through real time, by whole minutes where it can: every zone's offset is one of whole minutes today.
func (s Schedule) nextElapsed(after time.Time) time.Time {
	t := after.Truncate(time.Second).Add(time.Second).In(s.Zone)
	for end := t.AddDate(0, 0, horizon); t.Before(end); {
		switch {
		case !s.onDay(t.Year(), t.Month(), t.Day(), t.Weekday()):
			y, m, d := t.Date()
			t = instant(y, m, d+1, 0, 0, 0, s.Zone).In(s.Zone)
		case s.Minute>>t.Minute()&1 == 0:
			t = t.Add(time.Minute - time.Duration(t.Second())*time.Second)
		case s.Second>>t.Second()&1 == 0:
			t = t.Add(time.Second)
		default:
			return t.UTC()
		}
	}
	return time.Time{}
}

// each yields the numbers of the bits set, lowest first.
func each(set uint64) func(func(int) bool) {
	return func(yield func(int) bool) {
		for ; set != 0; set &= set - 1 {
			if !yield(bits.TrailingZeros64(set)) {
				return
			}
		}
	}
}

// Widest is the longest time between two slots that follow each other, on clocks that never change; 0 if there are no two.
func (s Schedule) Widest() time.Duration {
	first, last, within := s.clock()
	widest := within
	previous := -1
	start := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC) // a leap year
	for n := range horizon {
		if day := start.AddDate(0, 0, n); !s.onDay(day.Year(), day.Month(), day.Day(), day.Weekday()) {
			continue
		}
		if previous >= 0 {
			widest = max(widest, time.Duration(n-previous)*24*time.Hour-last+first)
		}
		previous = n
	}
	return widest
}

// clock are the first and the last time of day with a slot, and the longest time between two slots of a day.
func (s Schedule) clock() (first, last, within time.Duration) {
	at := time.Duration(-1)
	for hour := range each(s.Hour) {
		for minute := range each(s.Minute) {
			for second := range each(s.Second) {
				next := time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute + time.Duration(second)*time.Second
				if at < 0 {
					first = next
				} else {
					within = max(within, next-at)
				}
				at = next
			}
		}
	}
	return first, at, within
}

// instant is when the zone's clocks show the local time: the first time if they do twice; if they never do, what the
// offset before the change makes of it.
func instant(y int, m time.Month, d, hour, minute, second int, zone *time.Location) time.Time {
	asUTC := time.Date(y, m, d, hour, minute, second, 0, time.UTC)
	near := time.Date(y, m, d, hour, minute, second, 0, zone)
	_, before := near.Add(-4 * time.Hour).Zone()
	_, later := near.Add(4 * time.Hour).Zone()
	first := asUTC.Add(-time.Duration(before) * time.Second)
	last := asUTC.Add(-time.Duration(later) * time.Second)
	if _, o := first.In(zone).Zone(); o == before {
		return first
	}
	if _, o := last.In(zone).Zone(); o == later {
		return last
	}
	return first
}
