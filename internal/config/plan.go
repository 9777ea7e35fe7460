// Package config reads and checks plan.yaml and the app settings.
package config

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"lifeboat/internal/azure"
	"lifeboat/internal/backup"
	"lifeboat/internal/config/jsonschema"
	"lifeboat/internal/schedule"
	"lifeboat/internal/tzdata"
)

// Reader reads plan.yaml, with the blocks of its services. Any goroutine may use it.
type Reader struct {
	// Services are those that a plan may name.
	Services backup.Services
	schema   *jsonschema.Schema
}

// NewReader makes a reader for the services.
func NewReader(services backup.Services) *Reader {
	return &Reader{Services: services, schema: compile(checked(services))}
}

// Default returns the value of a key of a service's block, such as "hsm.access", for a plan without that key.
func (c *Reader) Default(value string) string {
	for _, s := range c.Services {
		if s.Block != nil && s.Block.Default[value] != "" {
			return s.Block.Default[value]
		}
	}
	return "none"
}

// File reads and checks the plans in a file, or in all files of a folder whose names end in .yaml or .yml. The error has a line for each mistake: file, line, reason. A warning has the same
// form, and is about a valid setting that its author has probably meant in another way.
//
// waitFactor is LIFEBOAT_WAIT_FACTOR: below 1 there is no warning about many scheduled times.
func (c *Reader) File(path string, waitFactor float64) (plans []backup.Plan, warnings []string, err error) {
	text, err := readPath(path)
	if err != nil {
		return nil, nil, fmt.Errorf("read the plan: %w", err)
	}
	return c.parse(path, text, waitFactor)
}

// longestPlan bounds plan.yaml, in bytes: some 6,000 targets.
const longestPlan = 1 << 20

// Parse checks the text of plan.yaml; file is its name in errors and warnings. The published schema has the allowed keys and
// values; Parse checks the rules that the schema cannot express.
func (c *Reader) Parse(file string, text []byte) (plans []backup.Plan, warnings []string, err error) {
	return c.parse(file, text, 1)
}

func (c *Reader) parse(file string, text []byte, waitFactor float64) (plans []backup.Plan, warnings []string, err error) {
	text, picks, err := backup.SplitPicks(text)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file, err)
	}
	files, err := split(file, text)
	if err != nil {
		return nil, nil, err
	}
	r := &reader{Reader: c, bad: map[*yaml.Node]bool{}, shortened: waitFactor < 1, picks: picks, files: map[*yaml.Node]string{}}
	var roots []*yaml.Node
	var unread []error
	for _, f := range files {
		r.file = f.name
		before := len(r.errs)
		root, err := r.read(f.text)
		if err != nil { // it has the other mistakes of the file too
			unread, r.errs = append(unread, err), r.errs[:before]
			continue
		}
		r.check(root)
		if len(files) > 1 {
			r.remember(root)
		}
		roots = append(roots, root)
	}
	if len(unread) > 0 {
		return nil, nil, errors.Join(append(unread, r.all())...)
	}
	plans = r.plans(roots)
	if len(r.errs) == 0 {
		slices.SortStableFunc(r.warnings, byLine)
		for _, w := range r.warnings {
			warnings = append(warnings, w.Error())
		}
		return plans, warnings, nil
	}
	return nil, nil, r.all()
}

func (r *reader) plans(roots []*yaml.Node) []backup.Plan {
	var plans []backup.Plan
	names := map[string]bool{}
	artifacts := artifacts{reader: r, of: map[string]*yaml.Node{}}
	containers := containers{reader: r, of: map[string]*yaml.Node{}}
	for _, file := range roots {
		defaults := field(file, "defaults")
		if defaults == nil {
			defaults = &yaml.Node{}
		}
		zone := r.zone(defaults, time.UTC)
		storage := r.storage(defaults)
		for _, n := range list(file, "plans") {
			if n.Kind != yaml.MappingNode {
				continue
			}
			p := r.plan(n, zone)
			switch own := field(n, "storage"); {
			case own != nil:
				p.Settings.Storage = r.storage(n)
			case field(defaults, "storage") == nil:
				r.report(n, `a plan needs the field "storage", or the defaults do`)
			default:
				p.Settings.Storage = storage
			}
			if names[p.Name] && p.Name != "" {
				r.fail(n, "there are two plans with the name %q", p.Name)
			}
			names[p.Name] = true
			plans = append(plans, p)
			targets := r.items(n, p)
			containers.add(n, targets, p.Settings.Storage)
			r.vault(n, targets, p)
			artifacts.add(targets, p.Settings.Storage)
			if len(r.errs) == 0 {
				r.doubts(n, p)
			}
		}
	}
	for _, file := range roots {
		r.returned(file, plans)
	}
	artifacts.check()
	return plans
}

func (r *reader) plan(n *yaml.Node, zone *time.Location) backup.Plan {
	var p backup.Plan
	p.Name, _ = r.text(n, "name")
	p.Targets, p.Select = r.targets(n), r.selection(n)
	if p.Select != nil {
		p.Targets = r.selected(n, p)
	} else if field(n, "targets") == nil {
		r.report(n, `a plan needs the field "targets", or "select"`)
	}
	p.Expression, _ = r.text(n, "schedule")
	p.Schedule = r.schedule(n, r.zone(n, zone))
	r.restore(n, &p)
	r.blocks(n, &p)
	r.keep(n, &p)
	p.Settings.SoftDelete = r.softDelete(n)
	p.Settings.Concurrency = r.whole(n, "concurrency")
	if onDemand := field(n, "onDemand"); onDemand != nil {
		if within := r.within(field(onDemand, "keep"), services(p)); within > 0 {
			p.OnDemandKeepWithin = within
		}
		p.OnDemandReplyTo = r.replyTo(onDemand)
	}
	p.Quiet = r.quiet(n, p.Targets)
	paused, _ := r.text(n, "paused")
	p.Paused = strings.EqualFold(paused, "true")
	var jitter *yaml.Node
	p.Jitter, jitter = r.duration(n, "jitter", backup.LongestWindow, "a scheduled time is history by then")
	p.Window, _ = r.duration(n, "window", backup.LongestWindow, "a scheduled time is history by then; without a window it lasts to the next one")
	if p.Window > 0 && p.Jitter >= p.Window {
		r.fail(jitter, "jitter must be shorter than window, or the runs of some targets would begin after their window")
	}
	return p
}

// blocks reads the parts of the plan that are for one service each. A plan without targets of that service may not have its
// block, since it would have no effect. The blocks hold for restores too, also of targets that have left.
func (r *reader) blocks(n *yaml.Node, p *backup.Plan) {
	members, titles, used := map[string]any{}, map[string][]string{}, map[string]bool{}
	all := slices.Concat(p.Targets, p.Restore.From)
	for _, s := range r.Services {
		if s.Block == nil {
			continue
		}
		titles[s.Block.Field] = append(titles[s.Block.Field], s.Title)
		used[s.Block.Field] = used[s.Block.Field] || slices.ContainsFunc(all, ofType(s.Type)) || p.Select.MayPick(s.Type)
		if at := field(n, s.Block.Field); at != nil {
			members[s.Block.Field] = r.value(at)
		}
	}
	p.Settings.Blocks = backup.NewBlocks(members)
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if (len(p.Targets) > 0 || p.Select != nil) && !used[name] {
			r.fail(field(n, name), "%s is for %s, and the plan has no such target", name, strings.Join(titles[name], " and "))
		}
	}
	for _, target := range all {
		s, _ := r.Services.Of(target)
		if s.Block == nil || s.Block.Check == nil || members[s.Block.Field] == nil {
			continue
		}
		resource, _ := backup.ParseResource(target) // the service has checked it
		at := field(n, s.Block.Field)
		if member, err := s.Block.Check(p.Settings.Blocks, resource); err != nil {
			r.fail(cmp.Or(field(at, member), at), "%v", err)
			return
		}
	}
}

// restore reads the part of the plan about restores.
func (r *reader) restore(n *yaml.Node, p *backup.Plan) {
	n = field(n, "restore")
	if n == nil {
		return
	}
	for _, item := range list(n, "from") {
		if item.Kind == yaml.ScalarNode && !r.bad[item] {
			p.Restore.From = append(p.Restore.From, id(item))
		}
	}
	all := slices.Concat(p.Targets, p.Restore.From)
	for _, item := range list(n, "into") {
		if item.Kind != yaml.ScalarNode || r.bad[item] {
			continue
		}
		into := id(item)
		if into != backup.Itself {
			r.destination(item, into, all)
		}
		p.Restore.Into = append(p.Restore.Into, into)
	}
	r.departed(n, p.Restore.Into)
	p.Restore.ReplyTo = r.replyTo(n)
	approval, _ := r.text(n, "approval")
	p.Restore.Approval = approval == "required"
	safety, at := r.text(n, "safetyBackup")
	switch strings.ToLower(safety) {
	case "true", "required":
		p.Restore.Safety = backup.SafetyRequired
	case "false", "never":
		p.Restore.Safety = backup.SafetyNever
	}
	for _, target := range all {
		switch service, _ := r.Services.Of(target); {
		case p.Restore.Safety == backup.SafetyNever && service.Restore.Safety == backup.SafetyAlways:
			r.fail(at, "a %s is always backed up before it is restored into, unless a request says no: take safetyBackup out", service.Title)
			return
		case p.Restore.Safety == backup.SafetyRequired && service.Restore.Safety == backup.SafetyImpossible:
			r.fail(at, "a %s is restored only once the original is gone: there is nothing left for a safetyBackup", service.Title)
			return
		}
	}
}

// destination checks that backups of the plan's targets can go into it.
func (r *reader) destination(at *yaml.Node, into string, targets []string) {
	resource, err := r.Services.Check(into)
	switch {
	case err != nil:
		r.fail(at, "restore.into: %v", err)
	case len(targets) > 0 && !slices.ContainsFunc(targets, ofType(resource.Type)):
		r.fail(at, "the plan has no target of the type %s, whose backups could be restored into %s", resource.Type, into)
	}
}

// ofType tells whether a resource ID has the type.
func ofType(resourceType string) func(id string) bool {
	return func(id string) bool {
		resource, err := backup.ParseResource(id)
		return err == nil && strings.EqualFold(resource.Type, resourceType)
	}
}

func (r *reader) targets(n *yaml.Node) []string {
	var targets []string
	seen := map[string]bool{} // as backup.Same compares
	for _, item := range list(n, "targets") {
		if item.Kind != yaml.ScalarNode || r.bad[item] {
			continue
		}
		target := id(item)
		if _, err := r.Services.Check(target); err != nil {
			r.fail(item, "targets: %v", err)
		}
		if seen[strings.ToLower(target)] {
			r.fail(item, "the target %s stands here twice", target)
		}
		seen[strings.ToLower(target)] = true
		targets = append(targets, target)
	}
	r.most(n, targets)
	return targets
}

// most refuses more targets than a plan may have.
func (r *reader) most(n *yaml.Node, targets []string) {
	if len(targets) > backup.MostTargets {
		r.fail(n, "the plan has %d targets; write several plans with %d at the most", len(targets), backup.MostTargets)
	}
}

// selection reads the field select; nil without it.
func (r *reader) selection(n *yaml.Node) *backup.Select {
	n = field(n, "select")
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	texts := func(name string, form func(string) string) (all []string) {
		for _, item := range list(n, name) {
			if item.Kind == yaml.ScalarNode && !r.bad[item] {
				all = append(all, form(item.Value))
			}
		}
		slices.Sort(all)
		return slices.Compact(all)
	}
	s := backup.Select{
		Subscriptions: texts("subscriptions", strings.ToLower), ResourceGroups: texts("resourceGroups", strings.ToLower),
		Types: texts("types", func(text string) string {
			known := slices.IndexFunc(r.Services, func(s backup.Service) bool { return strings.EqualFold(s.Type, text) })
			return r.Services[known].Type // the schema knows no other
		}),
	}
	if tags := field(n, "tags"); tags != nil && tags.Kind == yaml.MappingNode {
		s.Tags = map[string]string{}
		for name, value := range pairs(tags) {
			if value.Kind != yaml.ScalarNode || value.ShortTag() != "!!str" {
				r.fail(value, "the value of the tag %s must be text: put it in quotes", name.Value)
			}
			s.Tags[name.Value] = value.Value
		}
	}
	return &s
}

// selected returns the named targets, and behind them the selected ones, as of the look in the text.
func (r *reader) selected(n *yaml.Node, p backup.Plan) []string {
	pick, _ := backup.PickOf(r.picks, p.Name, *p.Select)
	for _, target := range pick.Targets {
		if _, err := r.Services.Check(target); err != nil {
			r.fail(n, "select: %v", err)
		}
	}
	targets := p.With(pick)
	r.most(field(n, "select"), targets)
	return targets
}

// items returns the nodes of the plan's targets. A selected one has the line of the selection.
func (r *reader) items(n *yaml.Node, p backup.Plan) []*yaml.Node {
	all := slices.Clone(list(n, "targets"))
	if p.Select != nil {
		for _, target := range p.Targets[min(len(all), len(p.Targets)):] {
			item := &yaml.Node{Kind: yaml.ScalarNode, Value: target, Line: field(n, "select").Line}
			r.files[item] = r.files[n]
			all = append(all, item)
		}
	}
	return all
}

// storage reads the field of the same name.
func (r *reader) storage(n *yaml.Node) backup.Storage {
	var s backup.Storage
	n = field(n, "storage")
	if n == nil {
		return s
	}
	container, at := r.text(n, "container")
	if s.Container = container; container == backup.ManifestFolder {
		r.fail(at, "storage.container: %s has the manifests of file shares; write the backups into another container", container)
	}
	s.Zone, _ = r.text(n, "zone")
	vault, _ := r.text(n, "vault")
	s.Vault = strings.EqualFold(vault, "true")
	account, at := r.text(n, "account")
	s.Account = backup.ResourceID(account)
	if account == "" {
		return s
	}
	id, err := backup.ParseResource(s.Account)
	switch {
	case err != nil:
		r.fail(at, "storage.account: %v", err)
	case !strings.EqualFold(id.Type, azure.AccountType):
		r.fail(at, "storage.account: %q is not a storage account but a %s", s.Account, id.Type)
	case !azure.IsAccountName(id.Name):
		r.fail(at, "storage.account: %q: %q is no name of a storage account: 3 to 24 lower-case letters and digits", s.Account, id.Name)
	}
	return s
}

// TimeZones returns the version of the time zones of plans, such as 2026f.
func TimeZones() string { return tzdata.Embedded().Version }

// Zone finds a time zone by its IANA name in the program's own list, as plans do.
func Zone(name string) (*time.Location, error) { return tzdata.Embedded().Load(name) }

// zone reads the field timeZone; without it, it returns the other zone.
func (r *reader) zone(n *yaml.Node, other *time.Location) *time.Location {
	name, at := r.text(n, "timeZone")
	if name == "" {
		return other
	}
	zone, err := tzdata.Embedded().Load(name)
	if err != nil {
		like := tzdata.Embedded().Like(name)
		r.fail(at, "%q is not a time zone: give its IANA name, such as %s", name, cmp.Or(like, "Europe/Zurich"))
		return other
	}
	if why := misread(name, zone); why != "" {
		r.warn(at, "%s", why)
	}
	return zone
}

func (r *reader) schedule(n *yaml.Node, zone *time.Location) schedule.Schedule {
	text, at := r.text(n, "schedule")
	if at == nil || r.bad[at] { // that is reported already
		return schedule.Schedule{Zone: zone}
	}
	e, err := schedule.Parse(text)
	if err != nil {
		r.fail(at, "%v", err)
	}
	return e.In(zone)
}

var units = map[byte]time.Duration{
	'w': 7 * 24 * time.Hour, 'd': 24 * time.Hour, 'h': time.Hour, 'm': time.Minute, 's': time.Second,
}

// duration reads a field such as 30d, whose form the schema has checked. It refuses a time longer than most, with the reason
// why; it returns 0 without the field.
func (r *reader) duration(n *yaml.Node, name string, most time.Duration, why string) (time.Duration, *yaml.Node) {
	text, at := r.text(n, name)
	if text == "" {
		return 0, at
	}
	last := len(text) - 1
	unit := units[text[last]]
	count, err := strconv.ParseInt(text[:last], 10, 64)
	if err != nil || count > int64(most/unit) { // the product could be more than a Duration holds
		r.fail(at, "%s %s is longer than %d days: %s", name, text, int(most.Hours()/24), why)
		return 0, at
	}
	return time.Duration(count) * unit, at
}

// whole reads a whole number that the schema has checked; 0 if it is not there.
func (r *reader) whole(n *yaml.Node, name string) int {
	text, _ := r.text(n, name)
	digits, _ := number(text)
	whole, _ := strconv.Atoi(digits)
	return whole
}

// within reads keep.within, and compares it with the time for which the services can restore.
func (r *reader) within(keep *yaml.Node, targets []string) time.Duration {
	if keep == nil {
		return 0
	}
	within, at := r.duration(keep, "within", backup.LongestKeep, "nothing is kept for more than a hundred years")
	for _, target := range targets {
		service := r.service(target)
		if limit := service.Restorable; limit > 0 && within > limit {
			r.fail(at, "within %s is longer than %s can restore a backup: %d days", at.Value, service.Type, int(limit.Hours()/24))
			break
		}
	}
	if within > 0 && strings.HasSuffix(at.Value, "s") && !r.shortened {
		r.warn(at, "within %s is in seconds, which are meant for trials: write hours, days or weeks, such as 30d", at.Value)
	}
	return within
}

// softDelete reads the time for which recovery points stay soft-deleted.
func (r *reader) softDelete(n *yaml.Node) time.Duration {
	text, at := r.text(n, "softDelete")
	switch text {
	case "":
		return backup.DefaultSoftDelete
	case "off", "0w", "0d", "0h", "0s":
		return 0
	}
	soft, _ := r.duration(n, "softDelete", backup.LongestSoftDelete, "write off, or a time of 365d at the most")
	if soft > 0 && strings.HasSuffix(text, "s") && !r.shortened {
		r.warn(at, "softDelete %s is in seconds, which are meant for trials: write hours, days or weeks, such as 7d", text)
	}
	return soft
}
