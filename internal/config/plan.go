// Package config turns what people write, plan.yaml and the app settings, into values that were checked.
package config

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // Time zones also where the machine has none, as in a bare container.

	"github.com/netresearch/go-cron"
	"go.yaml.in/yaml/v4"

	"lifeboat/internal/backup"
)

// PlanFile reads and checks the plans in a file. The error has a line for everything wrong: file, line, reason.
func PlanFile(path string) ([]backup.Plan, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the plan (LIFEBOAT_PLAN): %w", err)
	}
	return ParsePlan(path, text)
}

// ParsePlan checks the text of plan.yaml; file is its name in errors.
func ParsePlan(file string, text []byte) ([]backup.Plan, error) {
	r := reader{file: file}
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if len(root.Content) == 0 {
		return nil, fmt.Errorf("%s: the file is empty", file)
	}
	var version string
	var defaults, plan *yaml.Node
	r.mapping(root.Content[0], "the file", []string{"version", "plans"}, map[string]func(*yaml.Node){
		"version":  func(n *yaml.Node) { version = r.text(n, "version") },
		"defaults": func(n *yaml.Node) { defaults = n },
		"plans":    func(n *yaml.Node) { plan = n },
	})
	if version != "" && version != "1" {
		r.fail(root.Content[0], "version %s is not one that this program reads: it reads version 1", version)
	}
	base := entry{zone: time.UTC}
	if defaults != nil {
		r.mapping(defaults, "defaults", nil, map[string]func(*yaml.Node){
			"timeZone": func(n *yaml.Node) { base.zone = r.zone(n) },
			"storage":  func(n *yaml.Node) { base.storage = r.storage(n) },
		})
	}
	var plans []backup.Plan
	if plan != nil {
		names := map[string]bool{}
		for _, n := range r.list(plan, "plans") {
			p := r.plan(n, base)
			if names[p.Name] && p.Name != "" {
				r.fail(n, "there are two plans with the name %q", p.Name)
			}
			names[p.Name] = true
			plans = append(plans, p)
		}
	}
	if len(r.errs) > 0 {
		return nil, errors.Join(r.errs...)
	}
	return plans, nil
}

// entry is a plan on its way from the file, with the defaults filled in.
type entry struct {
	zone    *time.Location
	storage *backup.Storage
	within  *yaml.Node
}

// planName is a part of keys in the table.
var planName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

func (r *reader) plan(n *yaml.Node, e entry) backup.Plan {
	var p backup.Plan
	var expression *yaml.Node
	required := []string{"name", "targets", "schedule", "keep"}
	if e.storage == nil {
		required = append(required, "storage")
	}
	r.mapping(n, "a plan", required, map[string]func(*yaml.Node){
		"name": func(n *yaml.Node) {
			p.Name = r.text(n, "name")
			if p.Name != "" && !planName.MatchString(p.Name) {
				r.fail(n, "the name %q may have lower-case letters, digits and dashes only, 63 at the most", p.Name)
			}
		},
		"targets":  func(n *yaml.Node) { p.Targets = r.targets(n) },
		"schedule": func(n *yaml.Node) { expression = n },
		"timeZone": func(n *yaml.Node) { e.zone = r.zone(n) },
		"storage":  func(n *yaml.Node) { e.storage = r.storage(n) },
		"keep": func(n *yaml.Node) {
			r.mapping(n, "keep", []string{"within"}, map[string]func(*yaml.Node){"within": func(n *yaml.Node) { e.within = n }})
		},
	})
	if expression != nil {
		p.Schedule = r.schedule(expression, e.zone)
	}
	if e.storage != nil {
		p.Settings.Storage = *e.storage
	}
	if e.within != nil {
		p.Settings.KeepWithin = r.within(e.within, p.Targets)
	}
	return p
}

func (r *reader) targets(n *yaml.Node) []string {
	var targets []string
	for _, item := range r.list(n, "targets") {
		id := strings.TrimSuffix(r.text(item, "a target"), "/")
		resource, err := backup.ParseResource(id)
		if err != nil {
			r.fail(item, "%v", err)
			continue
		}
		if _, ok := backup.Horizon(resource.Type); !ok {
			r.fail(item, "resources of the type %s cannot be backed up", resource.Type)
		}
		if slices.ContainsFunc(targets, func(t string) bool { return strings.EqualFold(t, id) }) {
			r.fail(item, "the target %s stands here twice", id)
		}
		targets = append(targets, id)
	}
	if len(targets) > backup.MostTargets {
		r.fail(n, "the plan has %d targets; write several plans with %d at the most", len(targets), backup.MostTargets)
	}
	return targets
}

// containerName as Azure requires it: 3 to 63 lower-case letters, digits and single dashes.
var containerName = regexp.MustCompile(`^[a-z0-9](-?[a-z0-9]){2,62}$`)

func (r *reader) storage(n *yaml.Node) *backup.Storage {
	var s backup.Storage
	r.mapping(n, "storage", []string{"account", "container"}, map[string]func(*yaml.Node){
		"account": func(n *yaml.Node) {
			s.Account = r.text(n, "account")
			id, err := backup.ParseResource(s.Account)
			switch {
			case err != nil:
				r.fail(n, "%v", err)
			case !strings.EqualFold(id.Type, "Microsoft.Storage/storageAccounts"):
				r.fail(n, "%s is not a storage account but a %s", s.Account, id.Type)
			}
		},
		"container": func(n *yaml.Node) {
			s.Container = r.text(n, "container")
			if s.Container != "" && (!containerName.MatchString(s.Container) || len(s.Container) > 63) {
				r.fail(n, "%q is no name for a container: 3 to 63 lower-case letters, digits and single dashes", s.Container)
			}
		},
	})
	return &s
}

func (r *reader) zone(n *yaml.Node) *time.Location {
	name := r.text(n, "timeZone")
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" || name == "" {
		r.fail(n, "%q is not a time zone: give its IANA name, such as Europe/Zurich", name)
		return time.UTC
	}
	return zone
}

// parser of cron expressions with five fields, or six with the seconds first.
var parser = cron.MustNewParser(cron.SecondOptional | cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)

func (r *reader) schedule(n *yaml.Node, zone *time.Location) backup.Schedule {
	text := r.text(n, "schedule")
	if text == "" {
		return backup.Schedule{Zone: zone}
	}
	parsed, err := parser.Parse(text)
	spec, ok := parsed.(*cron.SpecSchedule)
	if err == nil && (!ok || strings.Contains(text, "=")) {
		err = errors.New("the time zone has a field of its own, timeZone")
	}
	if err != nil {
		r.fail(n, "%q is not a cron expression with five fields, or six with the seconds first: %v", text, err)
		return backup.Schedule{Zone: zone}
	}
	s := backup.Schedule{
		Second: spec.Second & (1<<60 - 1), Minute: spec.Minute & (1<<60 - 1), Hour: spec.Hour & (1<<24 - 1),
		Day: spec.Dom & (1<<32 - 2), Month: spec.Month & (1<<13 - 2), Weekday: cron.NormalizeDOW(spec.Dow) & (1<<7 - 1),
		Zone: zone,
	}
	switch {
	case s.Day != 1<<32-2 && s.Weekday != 1<<7-1:
		// The NCRONTAB of Azure Functions wants both to match, cron one of them: whichever we took, some would be surprised.
		r.fail(n, "%q restricts both the day of the month and the day of the week; write two plans", text)
	case s.Next(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero():
		r.fail(n, "%q never comes due", text)
	}
	return s
}

var duration = regexp.MustCompile(`^([1-9][0-9]{0,5})(w|d|h|m|s)$`)

var units = map[string]time.Duration{
	"w": 7 * 24 * time.Hour, "d": 24 * time.Hour, "h": time.Hour, "m": time.Minute, "s": time.Second,
}

// within reads how long to keep, and holds it against what the services can restore.
func (r *reader) within(n *yaml.Node, targets []string) time.Duration {
	text := r.text(n, "within")
	m := duration.FindStringSubmatch(text)
	if m == nil {
		r.fail(n, "%q is not a time such as 30d: a whole number and one of w, d, h, m, s", text)
		return 0
	}
	count, err := strconv.Atoi(m[1])
	if err != nil {
		r.fail(n, "%q: %v", text, err)
	}
	keep := time.Duration(count) * units[m[2]]
	for _, target := range targets {
		resource, err := backup.ParseResource(target)
		if err != nil {
			continue
		}
		if horizon, ok := backup.Horizon(resource.Type); ok && keep > horizon {
			r.fail(n, "within %s is longer than %s can restore a backup: %d days", text, resource.Type,
				int(horizon.Hours()/24))
			break
		}
	}
	return keep
}
