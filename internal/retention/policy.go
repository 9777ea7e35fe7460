package retention

import (
	"errors"
	"fmt"
	"time"
)

// Policy says which recovery points of a plan's schedule are kept. 0 switches a rule off; without any rule nothing expires.
type Policy struct {
	// Last keeps so many newest points.
	Last int
	// Hourly, Daily, Weekly, Monthly and Yearly keep the newest point of so many hours, days, weeks, months and years that have one,
	// and the oldest point while there are fewer.
	Hourly, Daily, Weekly, Monthly, Yearly int
	// Within keeps a point while its age is at most so long. Only time in which backups worked counts: see [Clock].
	Within time.Duration
	// Minimum is the number of newest points that stay, whatever the rules say. It is no rule.
	Minimum int
}

const (
	// DefaultMinimum is the Minimum of a plan that says none.
	DefaultMinimum = 1
	// Most bounds the sum of a policy's counts. The row of a target holds one point more at most, with 66 characters each: 27,000. Azure
	// Table Storage allows 32,768 in a column. A point a day for a year fits.
	Most = 400
)

// any says whether a rule is on.
func (p Policy) any() bool {
	return p.Last > 0 || p.Hourly > 0 || p.Daily > 0 || p.Weekly > 0 || p.Monthly > 0 || p.Yearly > 0 || p.Within > 0
}

// Check says what is wrong with a policy that a person wrote, and what to write.
func (p Policy) Check() error {
	sum := p.Minimum
	for _, rule := range counts {
		n := rule.count(p)
		if n < 0 {
			return fmt.Errorf("%s is %d: write a number above 0, or leave %s out, and the rule is off", rule.name, n, rule.name)
		}
		sum += min(n, Most+1)
	}
	switch {
	case p.Within < 0:
		return fmt.Errorf("within is %s: write a time above 0 such as 30d, or leave within out, and the rule is off", p.Within)
	case p.Minimum < 1:
		return fmt.Errorf("minimum is %d, so the last good backup could be deleted: write 1 or more, or leave minimum out, which is %d",
			p.Minimum, DefaultMinimum)
	case !p.any() && p.Minimum > DefaultMinimum:
		return fmt.Errorf("every rule is off, and minimum is none: write last: %d for the %d newest points", p.Minimum, p.Minimum)
	case !p.any():
		return errors.New("every rule is off: write at least one of last, hourly, daily, weekly, monthly, yearly and within, " +
			"or leave keep out, and nothing expires")
	case sum > Most:
		return fmt.Errorf("the counts and minimum are more than %d in sum: write smaller numbers, or within: 400d for all points of that time",
			Most)
	}
	return nil
}

// Rules are a policy, with all that its evaluation needs beside the points.
type Rules struct {
	Policy
	// Zone is the plan's: its clocks say when a day begins.
	Zone *time.Location
	// Grace is the longest time without a success that counts as time in which backups worked: see [Grace]. 0: all time counts.
	Grace time.Duration
	// Horizon is the time for which the service can restore a backup, from its start; 0 for any time.
	Horizon time.Duration
	// OnDemand and Safety are the times for which the points of these classes are kept, by the same clock as Within; 0 for any time.
	OnDemand, Safety time.Duration
}

// Key changes with each edit after which points must be judged anew; Grace is none of them, as each point keeps its sum.
func (r Rules) Key() string {
	return fmt.Sprintf("last %d hourly %d daily %d weekly %d monthly %d yearly %d within %s minimum %d zone %s horizon %s onDemand %s safety %s",
		r.Last, r.Hourly, r.Daily, r.Weekly, r.Monthly, r.Yearly, r.Within, r.Minimum, r.Zone, r.Horizon, r.OnDemand, r.Safety)
}

// leastGrace is the least time without a success that is no pause.
const leastGrace = 48 * time.Hour

// Grace returns the time without a success from which on it is a pause: twice the longest interval of the schedule, 48 hours at
// least. Without a schedule (0) no backup is missed, and all time counts.
func Grace(longest time.Duration) time.Duration {
	if longest == 0 {
		return 0
	}
	return max(2*longest, leastGrace)
}

// Clock measures the time in which a target's backups worked. It stands still in a pause, an outage, or a month of failures, so
// that these delete nothing, and the first success after them neither.
type Clock struct {
	// Began is the start of the newest success, and Worked is the sum up to it.
	Began  time.Time     `json:"began"`
	Worked time.Duration `json:"worked"`
}

// At returns the sum up to an instant. A new point keeps the one of its start. A point that ends later than a newer one has the sum
// that lies as far before.
func (c Clock) At(t time.Time, grace time.Duration) time.Duration {
	if c.Began.IsZero() {
		return 0
	}
	gap := t.Sub(c.Began)
	if grace > 0 {
		gap = min(max(gap, -grace), grace)
	}
	return c.Worked + gap
}

// Advance returns the clock after the point: a success that is neither a safety backup nor of the future.
func (c Clock) Advance(p Point, grace time.Duration, now time.Time) Clock {
	if p.Unverified != "" || p.Class == Safety || p.Began.After(now) || !p.Began.After(c.Began) {
		return c
	}
	return Clock{Began: p.Began, Worked: max(p.Worked, c.At(p.Began, grace))}
}
