package simulation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/retention"
	"lifeboat/internal/schedule"
)

// planFile is plan.yaml. Its text is JSON here, because the book treats a text in the same way whatever its form.
type planFile struct {
	w     *World
	specs []planSpec
	text  []byte
	// plans are the plans of the last good text.
	plans []backup.Plan
	// away says that the file cannot be read for the moment.
	away bool
	// edited has the time at which the schedule of a plan was last changed, by the plan's name.
	edited map[string]time.Time
	// left has the time at which a target was last taken out of a plan, by both.
	left map[[2]string]time.Time
}

// planSpec is a plan as a person writes it.
type planSpec struct {
	Name         string
	Targets      []string
	Zone         int
	Hour, Minute int
	// Days are the days of the week, a bit for each; 0 for all.
	Days         uint64
	Jitter       time.Duration
	Window       time.Duration
	Keep, ByHand time.Duration
	// Minimum is keep.minimum; 0 if it is not there.
	Minimum int
	Counts  backup.Counts
	// SoftDelete is the time of softDelete.
	SoftDelete time.Duration `json:",omitempty"`
	Paused     bool
	// Concurrency is the plan's own limit, 0 without a limit.
	Concurrency int
	// Moves counts the moves of the storage account that the plan knows of.
	Moves int
	// Itself, Into, Approval and Safety are the plan's rules for restores.
	Itself, Approval bool
	Safety           backup.SafetyPolicy
	Into             []string
}

// zones lists zones that change their clocks on different days, and one that never changes its clocks.
var zones = func() (all []*time.Location) {
	for _, name := range []string{"UTC", "Europe/Zurich", "America/New_York", "Australia/Lord_Howe"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			zone = time.FixedZone(name, int(len(name))*600) // a machine without time zones
		}
		all = append(all, zone)
	}
	return all
}()

func newPlanFile(w *World) *planFile {
	f := &planFile{w: w, edited: map[string]time.Time{}, left: map[[2]string]time.Time{}}
	var all []string
	for _, s := range w.services {
		all = append(all, s.target)
	}
	c := w.choices
	f.specs = append(f.specs, f.draw("nightly", all))
	second := f.draw("second", all[:1])
	second.Days = oneOf(c, uint64(1<<1|1<<3), 1<<0, 0)
	if c.pick(3) == 2 {
		f.specs = append(f.specs, second) // the two meet at the lock of the target that both want
	}
	f.write()
	return f
}

func (f *planFile) draw(name string, targets []string) planSpec {
	c := f.w.choices
	p := planSpec{
		Name: name, Targets: slices.Clone(targets), Zone: c.pick(len(zones)), Hour: oneOf(c, 2, 3, 23, 12, 1), Minute: oneOf(c, 30, 0, 17),
		Days:   oneOf(c, 0, 0, 0, uint64(0b0111110), 0b0010010),
		Jitter: oneOf(c, 0, 20*time.Minute, 3*time.Hour), Window: oneOf(c, 0, 0, 3*time.Hour+30*time.Minute, 8*time.Hour),
		Keep: oneOf(c, 2*day, 5*day, 12*day, 29*day), ByHand: oneOf(c, 0, day, 20*day), Concurrency: oneOf(c, 0, 0, 1, 2),
		Minimum: oneOf(c, 0, 0, 2, 4), SoftDelete: softDelete(c.seed),
	}
	f.drawPolicy(&p)
	if f.w.countsToo() {
		f.drawCounts(&p, backup.Counts{Last: 2}, backup.Counts{Daily: 3}, backup.Counts{Daily: 2, Weekly: 2}, backup.Counts{Hourly: 2, Monthly: 2})
	}
	return p
}

func (p planSpec) plan() backup.Plan {
	days := uint64(1<<7 - 1)
	if p.Days != 0 {
		days = p.Days
	}
	counts := p.Counts
	if counts.Any() {
		counts.Zone = zones[p.Zone].String()
	}
	plan := backup.Plan{
		Name: p.Name, Targets: p.Targets, Expression: fmt.Sprintf("%d %d * * (%b)", p.Minute, p.Hour, days),
		Schedule: schedule.Schedule{
			Second: 1, Minute: 1 << p.Minute, Hour: 1 << p.Hour, Day: 1<<32 - 2, Month: 1<<13 - 2, Weekday: days, Zone: zones[p.Zone],
		},
		Jitter: p.Jitter, Window: p.Window, Paused: p.Paused, OnDemandKeepWithin: p.ByHand, Restore: p.policy(),
		Settings: backup.Settings{
			Storage: backup.Storage{Account: accountAfter(p.Moves), Container: "own-{name}"}, KeepWithin: p.Keep, KeepMinimum: p.Minimum,
			KeepCounts: counts, SoftDelete: p.SoftDelete, Concurrency: p.Concurrency,
		},
	}
	plan.Settings.KeepGrace = retention.Grace(plan.Schedule.Widest())
	return plan
}

// write makes the text of the file from the specs.
func (f *planFile) write() {
	text, err := json.Marshal(f.specs)
	if err != nil {
		panic(err) // only strings and numbers
	}
	f.text = text
	if f.plans, err = parsePlans(text); err != nil {
		panic(err)
	}
	f.away = false
	f.w.host.look()
}

// spoil makes the text unreadable.
func (f *planFile) spoil() {
	f.text = append([]byte("}{ "), f.text...)
	f.w.host.look()
}

// mend undoes all that is wrong with the file.
func (f *planFile) mend() { f.write() }

// look makes the next timer run find something to do, because the plans have changed.
func (h *host) look() { h.clean, h.scheduledTime = false, time.Time{} }

func (f *planFile) read(context.Context) ([]byte, error) {
	if f.away {
		return nil, fault(backup.Retryable, "BlobUnavailable", 0)
	}
	return f.text, nil
}

func parsePlans(text []byte) ([]backup.Plan, error) {
	var specs []planSpec
	if err := json.Unmarshal(text, &specs); err != nil {
		return nil, fmt.Errorf("plan.yaml: %w", err)
	}
	if len(specs) == 0 {
		return nil, errors.New("plan.yaml: no plans")
	}
	plans := make([]backup.Plan, 0, len(specs))
	for _, s := range specs {
		plans = append(plans, s.plan())
	}
	return plans, nil
}

// nextScheduledTime returns the first scheduled time of any plan after the instant.
func (f *planFile) nextScheduledTime(after time.Time) time.Time {
	first := after.Add(10 * day)
	for _, p := range f.plans {
		if next := p.Schedule.Next(after); !next.IsZero() && next.Before(first) {
			first = next
		}
	}
	return first
}

// wants reports whether the plan has the target today.
func (f *planFile) wants(plan, target string) bool {
	return slices.ContainsFunc(f.specs, func(p planSpec) bool { return p.Name == plan && slices.Contains(p.Targets, target) })
}

// edit changes a plan, as people do.
func (f *planFile) edit() string {
	c := f.w.choices
	p := &f.specs[c.pick(len(f.specs))]
	what := ""
	switch c.pick(8) {
	case 0:
		p.Keep, p.Minimum = oneOf(c, 3*day, day, 29*day), oneOf(c, p.Minimum, 0, 3)
		if f.w.countsToo() {
			f.drawCounts(p, backup.Counts{}, backup.Counts{Last: 1}, backup.Counts{Daily: 4, Monthly: 2}, p.Counts)
		}
		what = fmt.Sprintf("keeps for %s, %d at least, %s", p.Keep, max(p.Minimum, 1), p.Counts)
	case 1:
		p.Hour, p.Minute = c.pick(24), c.pick(60)
		f.edited[p.Name] = f.w.now
		what = fmt.Sprintf("at %02d:%02d", p.Hour, p.Minute)
	case 2:
		p.Jitter, p.Window = oneOf(c, 0, time.Hour), oneOf(c, 0, 2*time.Hour)
		what = fmt.Sprintf("jitter %s, window %s", p.Jitter, p.Window)
	case 3:
		if len(p.Targets) > 1 {
			f.left[[2]string{p.Name, p.Targets[0]}] = f.w.now
			p.Targets = slices.Clone(p.Targets[1:])
			what = "without its first target"
		}
	case 4:
		for _, s := range f.w.services {
			if !slices.Contains(p.Targets, s.target) {
				p.Targets = append(slices.Clone(p.Targets), s.target)
				what = "with " + s.name
				break
			}
		}
	case 5:
		p.Zone = c.pick(len(zones))
		f.edited[p.Name] = f.w.now
		p.Moves++
		what = "in the zone " + zones[p.Zone].String() + ", and the storage account was moved"
	case 6:
		what = f.drawPolicy(p)
	default:
		was := p.Name
		p.Name = fmt.Sprintf("renamed-%s", f.w.newID())
		what = "renamed from " + was
	}
	name := p.Name
	f.write()
	return "plan " + name + ": " + what
}
