package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"lifeboat/internal/backup"
	"lifeboat/internal/schedule"
)

// interval is the time between two runs of the schedule's timer, unless LIFEBOAT_SCHEDULE_TIMER sets another.
const interval = time.Minute

// doubts warns of probable mistakes in a plan that is valid.
func (r *reader) doubts(n *yaml.Node, p backup.Plan) {
	widest := p.Schedule.Widest()
	at := field(n, "schedule")
	within := field(field(n, "keep"), "within")
	targets := services(p)
	beyond := slices.IndexFunc(targets, func(target string) bool { return r.restorable(target) > 0 && r.restorable(target) < widest })
	switch {
	case beyond >= 0:
		r.warn(at, "there are up to %s between two scheduled times, and %s can restore no backup that is older than %s", span(widest),
			targets[beyond], span(r.restorable(targets[beyond])))
	case field(n, "keep") == nil:
		r.warn(n, "without keep nothing of the plan's schedule is ever deleted")
	case within != nil && !p.Settings.KeepCounts.Any() && p.Settings.KeepMinimum < 2 && p.Settings.KeepWithin <= widest:
		than := "shorter than"
		if p.Settings.KeepWithin == widest {
			than = "no longer than"
		}
		r.warn(within, "within %s is %s the %s between two scheduled times: each target has one recovery point at a time",
			within.Value, than, span(widest))
	}
	if i := slices.IndexFunc(targets, func(target string) bool {
		return r.restorable(target) > 0 && time.Duration(p.Settings.KeepMinimum-1)*widest > r.restorable(target)
	}); i >= 0 {
		r.warn(field(field(n, "keep"), "minimum"), "there are up to %s between two scheduled times, and %s can restore no backup that is older than %s: "+
			"fewer than %d may be left", span(widest), targets[i], span(r.restorable(targets[i])), p.Settings.KeepMinimum)
	}
	r.counts(field(n, "keep"), p, widest)
	r.often(at, p, widest)
	switch window := field(n, "window"); {
	case window == nil:
	case p.Window < interval:
		r.warn(window, "window %s is shorter than a minute: the timer looks once a minute, and would miss scheduled times", window.Value)
	case widest > 0 && p.Window >= widest:
		r.warn(window, "window %s changes nothing: it ends with the next scheduled time, after %s at the latest", window.Value, span(widest))
	}
	switch jitter := field(n, "jitter"); {
	case jitter == nil:
	case p.Jitter > backup.LongestJitter:
		r.warn(jitter, "jitter %s counts as %s: no message of a queue waits for longer", jitter.Value, span(backup.LongestJitter))
	case widest > 0 && p.Jitter > widest:
		r.warn(jitter, "jitter %s counts as %s at the most: it ends with the next scheduled time", jitter.Value, span(widest))
	}
	if p.Restore.Approval {
		r.warn(field(field(n, "restore"), "approval"), "this version refuses every restore that needs an approval: it cannot ask a person")
	}
	for _, item := range list(n, "targets") {
		target := id(item)
		if r.Services.CopyOnly(target, p.Settings) {
			service, _ := r.Services.Of(target)
			r.warn(item, "%s: this makes a copy, no backup, and its target is never protected", service.Restore.NotRestorable)
		}
	}
}

// reaches has the longest time that a bucket of each count spans. The newest ones of a schedule are its own intervals apart.
var reaches = map[string]time.Duration{
	"hourly": time.Hour, "daily": day, "weekly": 7 * day, "monthly": 31 * day, "yearly": 366 * day,
}

const day = 24 * time.Hour

// counts warns of a count that sees more than the service can restore, and of counts that keep only one recovery point.
func (r *reader) counts(keep *yaml.Node, p backup.Plan, widest time.Duration) {
	s := p.Settings
	if !s.KeepCounts.Any() {
		return
	}
	most, targets := 0, services(p)
	for _, count := range s.KeepCounts.Each() {
		most = max(most, count.N)
		reach := time.Duration(count.N-1) * cmp.Or(reaches[count.Name], widest)
		if i := slices.IndexFunc(targets, func(target string) bool { return r.restorable(target) > 0 && reach > r.restorable(target) }); i >= 0 {
			r.warn(field(keep, count.Name), "%s: %d reaches further back than %s can restore a backup: %s; what is older goes", count.Name, count.N,
				targets[i], span(r.restorable(targets[i])))
		}
	}
	if most == 1 && s.KeepMinimum < 2 && s.KeepWithin <= widest {
		r.warn(keep, "keep holds one recovery point of each target at a time: write daily: 7, or minimum: 2 beside it")
	}
}

// often warns if the scheduled times follow each other faster than backups can.
func (r *reader) often(at *yaml.Node, p backup.Plan, widest time.Duration) {
	e, err := schedule.Parse(p.Expression)
	if err != nil {
		return
	}
	if e.Warning != "" {
		r.warn(at, "%s", e.Warning)
	}
	if r.shortened { // then the timer is faster too, and a backup takes seconds
		return
	}
	needs, why := interval, "and has several scheduled times within a minute: the timer looks once a minute, and calls all but the newest missed"
	_, least := e.InARow(0)
	need := func(d time.Duration, reason string, args ...any) {
		if needs <= least { // the first that is longer is told
			needs, why = d, fmt.Sprintf(reason, args...)
		}
	}
	for _, target := range p.Targets {
		if service, known := r.Services.Of(target); known {
			const reason = "but a backup of %s may take %s: a run that still waits when the next scheduled time comes is superseded"
			need(service.Usual, reason, service.Type, brief(service.Usual))
		}
	}
	if p.Jitter <= widest { // else the warning is about the jitter
		need(p.Jitter, "but jitter spreads the runs over %s: it ends with the next scheduled time", brief(p.Jitter))
	}
	if p.Window < widest { // the same
		need(p.Window, "but window lets runs wait for %s: it ends with the next scheduled time", brief(p.Window))
	}
	if count, least := e.InARow(needs); count > 1 {
		r.warn(at, "%q comes due %d times in a row, %s apart at the least, %s", at.Value, count, brief(least), why)
	}
}

// meant are the places of zones whose clocks never change, although their name is also the name of a place's winter time.
var meant = map[string]string{"EST": "America/New_York", "MST": "America/Denver"}

// misread warns of zones with misleading names; "" if the name is clear.
func misread(name string, zone *time.Location) string {
	offset := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC).In(zone).Format("-07:00")
	if place := meant[name]; place != "" {
		return fmt.Sprintf("%s is %s all year: write %s, unless that is what you mean", name, offset, place)
	}
	if signed, ok := strings.CutPrefix(name, "Etc/GMT"); ok && signed != "" && strings.Trim(signed, "+-0") != "" {
		opposite := strings.NewReplacer("+", "-", "-", "+")
		return fmt.Sprintf("%s is %s, since its sign is the other way round: for %s write Etc/GMT%s, or better a place", name, offset,
			opposite.Replace(offset), opposite.Replace(signed))
	}
	return ""
}

// brief returns a time without its zero units: 30m.
func brief(d time.Duration) string {
	text := d.String()
	for _, none := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, none) {
			text = text[:len(text)-2]
		}
	}
	return text
}

// span returns a time for people: whole days of two or more, whole hours of two or more, or else the exact time.
func span(d time.Duration) string {
	switch {
	case d >= 2*24*time.Hour:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d hours", d/time.Hour)
	}
	return d.String()
}

// services returns the targets of a plan. Where it selects services of one type, and none is known yet, the type stands for them.
func services(p backup.Plan) []string {
	if len(p.Targets) == 0 && p.Select != nil && len(p.Select.Types) == 1 {
		return p.Select.Types
	}
	return p.Targets
}

// service returns the service of a target, or of a type.
func (r *reader) service(target string) backup.Service {
	service, known := r.Services.Of(target)
	if i := slices.IndexFunc(r.Services, func(s backup.Service) bool { return s.Type == target }); !known && i >= 0 {
		return r.Services[i]
	}
	return service
}

// restorable returns the time for which the target's service can restore a backup; 0 means without end.
func (r *reader) restorable(target string) time.Duration { return r.service(target).Restorable }
