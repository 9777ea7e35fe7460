// Package diff tells the changes of an edit of plan.yaml, and their effect, from the plans and the checkpoints alone. plan diff prints
// what it tells, and an event has it.
package diff

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"lifeboat/internal/backup"
)

// Edit is an edit of plan.yaml.
type Edit struct {
	// Old and New are the plans before and after it.
	Old, New []backup.Plan
	// Default returns the value of a key of a service's block, such as "hsm.access", for a plan without that key; nil: "".
	Default func(key string) string
}

// Lines returns the changes, and their effect on scheduled times and recovery points, a line each; none if nothing changes. The words
// of the basis come last if it matters.
func (e Edit) Lines(b Basis) []string {
	told := false
	var lines []string
	for _, old := range e.Old {
		i := named(e.New, old.Name)
		if i < 0 {
			line := fmt.Sprintf("- plan %s vanishes with its %s: no more scheduled times", old.Name, count(len(old.Targets), "target"))
			if slices.ContainsFunc(e.New, func(p backup.Plan) bool { return slices.ContainsFunc(old.Targets, p.Has) }) {
				line += "; the recovery points that it made stay as its last rules say"
			}
			lines = append(lines, line)
			continue
		}
		plan := e.New[i]
		lines = append(lines, e.changes(old, plan, b)...)
		if rescheduled(old, plan) || !b.same(old, plan) {
			told = true
			lines = append(lines, "~ plan "+old.Name+": "+b.effect(plan))
		}
	}
	for _, plan := range e.New {
		if named(e.Old, plan.Name) < 0 {
			told = true
			with := count(len(plan.Targets), "target")
			if plan.Select != nil {
				with += " and those that it selects " + plan.Select.String()
			}
			lines = append(lines, fmt.Sprintf("+ plan %s is new, with %s: %s", plan.Name, with, b.effect(plan)))
			lines = append(lines, restores(backup.RestorePolicy{}, plan.Restore, plan.Name)...)
		}
	}
	lines = append(lines, unprotected(e.Old, e.New)...)
	if told {
		lines = append(lines, b.Words)
	}
	return lines
}

// These are the changes of an edit that a person should look at.
const (
	// TargetsGo: fewer plans than before have a target.
	TargetsGo = "targets"
	// RestoreWidens: a plan allows restores into more than before.
	RestoreWidens = "restore.into"
	// SourcesWiden: a plan allows restores of more recovery points than before.
	SourcesWiden = "restore.from"
	// SafetyShrinks: a restore may make no safety backup where it had to, or would have without a word.
	SafetyShrinks = "restore.safetyBackup"
	// ApprovalGoes: a restore begins without a person.
	ApprovalGoes = "restore.approval"
	// KeepShrinks: a plan keeps its recovery points for less time.
	KeepShrinks = "keep"
	// PauseComes: a plan makes no runs from now on.
	PauseComes = "paused"
)

// Attention says which of those changes the edit makes. A plan with a new name is compared with the one that it comes from: a plan that
// vanishes and has a target of it.
func (e Edit) Attention() (all []string) {
	has := map[string]int{}
	for _, plan := range e.Old {
		for _, target := range plan.Targets {
			has[strings.ToLower(target)]++
		}
	}
	for _, plan := range e.New {
		for _, target := range plan.Targets {
			has[strings.ToLower(target)]--
		}
	}
	found := map[string]bool{}
	for _, left := range has {
		found[TargetsGo] = found[TargetsGo] || left > 0
	}
	for _, plan := range e.New {
		old := e.before(plan)
		found[RestoreWidens] = found[RestoreWidens] || len(without(plan.Restore.Into, old.Restore.Into)) > 0
		found[SourcesWiden] = found[SourcesWiden] || len(without(plan.Restore.From, old.Restore.From)) > 0
		found[SafetyShrinks] = found[SafetyShrinks] || len(plan.Restore.Into) > 0 && safer(old.Restore.Safety, plan.Restore.Safety)
		found[ApprovalGoes] = found[ApprovalGoes] || old.Restore.Approval && !plan.Restore.Approval
		found[KeepShrinks] = found[KeepShrinks] || keepShrinks(old, plan)
		found[PauseComes] = found[PauseComes] || plan.Paused && !old.Paused
	}
	for _, one := range []string{TargetsGo, RestoreWidens, SourcesWiden, SafetyShrinks, ApprovalGoes, KeepShrinks, PauseComes} {
		if found[one] {
			all = append(all, one)
		}
	}
	return all
}

// keepShrinks tells whether some recovery point may go earlier by the new plan than by the old one.
func keepShrinks(old, plan backup.Plan) bool {
	a, b := old.Settings, plan.Settings
	for i, count := range b.KeepCounts.Each() {
		if count.N < a.KeepCounts.Each()[i].N && !endless(b) {
			return true
		}
	}
	return b.KeepWithin < a.KeepWithin && !endless(b) || endless(a) && !endless(b) && len(old.Targets) > 0 ||
		plan.OnDemand().KeepWithin < old.OnDemand().KeepWithin || max(b.KeepMinimum, 1) < max(a.KeepMinimum, 1) ||
		b.SoftDelete < a.SoftDelete
}

// safer tells whether the first policy secures more destinations than the second.
func safer(old, now backup.SafetyPolicy) bool {
	return now != old && (now == backup.SafetyNever || old == backup.SafetyRequired)
}

// before returns the plan from which an edited one comes; the zero value if it is new.
func (e Edit) before(plan backup.Plan) backup.Plan {
	if i := named(e.Old, plan.Name); i >= 0 {
		return e.Old[i]
	}
	for _, old := range e.Old {
		if named(e.New, old.Name) < 0 && slices.ContainsFunc(plan.Targets, old.Has) {
			return old
		}
	}
	return backup.Plan{}
}

func named(plans []backup.Plan, name string) int {
	return slices.IndexFunc(plans, func(p backup.Plan) bool { return p.Name == name })
}

func rescheduled(old, plan backup.Plan) bool {
	return old.Expression != plan.Expression || old.Schedule.Zone.String() != plan.Schedule.Zone.String()
}

// changes returns the changes of one plan, a line each.
func (e Edit) changes(old, plan backup.Plan, b Basis) []string {
	var lines []string
	say := func(format string, args ...any) {
		lines = append(lines, "~ plan "+plan.Name+": "+fmt.Sprintf(format, args...))
	}
	becomes := func(name string, was, is time.Duration, none, more string) {
		if was != is {
			say("%s %s becomes %s%s", name, duration(was, none), duration(is, none), more)
		}
	}
	for _, target := range old.Targets {
		if !plan.Has(target) {
			say("- target %s: no more scheduled times for it here", target)
		}
	}
	for _, target := range plan.Targets {
		if !old.Has(target) {
			say("+ target %s: %s", target, b.begins(plan))
		}
	}
	switch was, is := old.Select, plan.Select; {
	case was == nil && is != nil:
		say("selects targets besides, %s: the next timer run looks for them", is)
	case was != nil && is == nil:
		say("selects no targets any more")
	case was != nil && was.Key() != is.Key():
		say("selects targets %s: until the next look it has those of the last one", is)
	}
	if rescheduled(old, plan) {
		say("schedule %q in %s becomes %q in %s: scheduled times count from the last one made", old.Expression, old.Schedule.Zone,
			plan.Expression, plan.Schedule.Zone)
	}
	if old.Paused != plan.Paused {
		if plan.Paused {
			say("paused: no scheduled times until that is taken back, and then nothing is caught up")
		} else {
			say("no longer paused: nothing is caught up")
		}
	}
	becomes("jitter", old.Jitter, plan.Jitter, "none", "")
	becomes("window", old.Window, plan.Window, "until the next scheduled time", "")
	const fresh = "for runs from now on"
	if a, b := old.Settings, plan.Settings; a != b {
		if was, is := a.Storage.Vault, b.Storage.Vault; was != is {
			switch a.Storage.Vault = is; {
			case is:
				say("storage is a vault: Lifeboat needs no role there that deletes, and leaves that to a rule of the account")
			default:
				say("storage is no vault: Lifeboat deletes there what is past its time, and needs the role for that")
			}
		}
		switch {
		case a.Storage == b.Storage:
		case a.Storage.SameAccount(b.Storage) && a.Storage.Container == b.Storage.Container:
			say("storage account %s becomes %s: it is the same account, and its recovery points stay restorable", a.Storage.Account, b.Storage.Account)
		case a.Storage.SameAccount(b.Storage) && !slices.ContainsFunc(plan.Targets, func(target string) bool {
			return a.Storage.For(target).Container != b.Storage.For(target).Container
		}):
			say("storage %s becomes %s: that is the same container for each target", place(a.Storage), place(b.Storage))
		default:
			say("storage %s becomes %s, %s: recovery points stay where they are", place(a.Storage), place(b.Storage), fresh)
		}
		was, is := a.Blocks.Values(), b.Blocks.Values()
		both := maps.Clone(was)
		maps.Copy(both, is)
		for _, name := range slices.Sorted(maps.Keys(both)) {
			unsaid := ""
			if e.Default != nil {
				unsaid = e.Default(name)
			}
			if was, is := cmp.Or(was[name], unsaid), cmp.Or(is[name], unsaid); was != is {
				say("%s %s becomes %s, %s", name, was, is, fresh)
			}
		}
		if a.Concurrency != b.Concurrency {
			say("concurrency %s becomes %s, %s", number(a.Concurrency), number(b.Concurrency), fresh)
		}
		if was, is := max(a.KeepMinimum, 1), max(b.KeepMinimum, 1); was != is {
			say("keep.minimum %d becomes %d, from each target's next recovery point on", was, is)
		}
		switch was, is := a.KeepCounts.String(), b.KeepCounts.String(); {
		case was != is:
			say("the counts of keep, %s, become %s, from each target's next recovery point on", cmp.Or(was, "none"), cmp.Or(is, "none"))
			lines = append(lines, lowered(a, b, plan.Name)...)
		case a.KeepCounts.Any() && a.KeepCounts.Zone != b.KeepCounts.Zone:
			say("the counts of keep go by the days of %s, not %s, from each target's next recovery point on: where two are of one day by "+
				"then, one of them expires", b.KeepCounts.Zone, a.KeepCounts.Zone)
		}
		becomes("keep.within", a.KeepWithin, b.KeepWithin, "none", ", "+fresh+": recovery points that are there keep their day")
		becomes("softDelete", a.SoftDelete, b.SoftDelete, "off", ", "+fresh+": recovery points that are there keep their time")
	}
	becomes("onDemand.keep.within", old.OnDemandKeepWithin, plan.OnDemandKeepWithin, "none", ", "+fresh)
	for _, queue := range without(old.OnDemandReplyTo, plan.OnDemandReplyTo) {
		say("- onDemand.replyTo %s", queue)
	}
	for _, queue := range without(plan.OnDemandReplyTo, old.OnDemandReplyTo) {
		say("+ onDemand.replyTo %s: answers may go there", queue)
	}
	becomes("onChange.quiet", old.Quiet, plan.Quiet, "none: changes make no backups", "")
	return append(lines, restores(old.Restore, plan.Restore, plan.Name)...)
}

// place returns the container as a person knows it.
func place(s backup.Storage) string {
	name := s.Account + "/" + s.Container
	if s.Zone != "" {
		name += " (zone " + s.Zone + ")"
	}
	return name
}

// restores returns the changes of the allowed restores. They count for requests from now on: accepted restores go on.
func restores(old, now backup.RestorePolicy, plan string) []string {
	var lines []string
	say := func(mark, format string, args ...any) {
		lines = append(lines, mark+" plan "+plan+": "+fmt.Sprintf(format, args...))
	}
	for _, into := range without(old.Into, now.Into) {
		say("~", "- restore.into %s: no more restores into it", into)
	}
	for _, into := range without(now.Into, old.Into) {
		if into == backup.Itself {
			into = "itself: each target"
		}
		say("!", "+ restore.into %s may be OVERWRITTEN by restores", into)
	}
	for _, from := range without(old.From, now.From) {
		say("~", "- restore.from %s: this plan restores its recovery points no more", from)
	}
	for _, from := range without(now.From, old.From) {
		say("!", "+ restore.from %s: its recovery points may be restored into what restore.into names by resource ID", from)
	}
	for _, queue := range without(old.ReplyTo, now.ReplyTo) {
		say("~", "- restore.replyTo %s", queue)
	}
	for _, queue := range without(now.ReplyTo, old.ReplyTo) {
		say("~", "+ restore.replyTo %s: answers may go there", queue)
	}
	switch {
	case now.Approval && !old.Approval:
		say("~", "restore.approval is required: this version refuses every restore that needs it")
	case old.Approval && !now.Approval:
		say("!", "restore.approval is no longer required: restores begin without a person")
	}
	if now.Safety == old.Safety || len(now.Into) == 0 {
		return lines
	}
	switch now.Safety {
	case backup.SafetyRequired:
		say("~", "restore.safetyBackup is required: destinations are backed up before they are overwritten, whatever the request says")
	case backup.SafetyNever:
		say("!", "restore.safetyBackup is never: destinations are overwritten without")
	default:
		say(map[bool]string{true: "!", false: "~"}[safer(old.Safety, now.Safety)],
			"restore.safetyBackup is default: destinations are backed up before they are overwritten, unless the request says no")
	}
	return lines
}

// without returns what all has beside the others.
func without(all, others []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(one string) bool {
		return slices.ContainsFunc(others, func(other string) bool { return backup.Same(one, other) })
	})
}

// newest names the points that stay whatever their age.
func newest(minimum int) string {
	if minimum > 1 {
		return fmt.Sprintf("the newest %d verified ones", minimum)
	}
	return "the newest verified one"
}

// lasting says how long recovery points of a target stay that has left.
func lasting(s backup.Settings) string {
	beyond := newest(s.KeepMinimum)
	if counts := s.KeepCounts.String(); counts != "" {
		beyond = "the ones that the counts hold (" + counts + ")"
	}
	if s.KeepWithin == 0 {
		if s.KeepCounts.Any() {
			return beyond
		}
		return "no rule of keep limits their time"
	}
	return fmt.Sprintf("each until its day (keep.within %s), and %s beyond that", duration(s.KeepWithin, "none"), beyond)
}

// unprotected returns the targets that no plan backs up any more, and what becomes of their recovery points.
func unprotected(before, after []backup.Plan) []string {
	var lines []string
	for _, old := range before {
		for _, target := range old.Targets {
			line := "! no plan has the target " + target + " any more: it is not backed up"
			held := func(p backup.Plan) bool { return p.Has(target) }
			if slices.ContainsFunc(after, held) || slices.Contains(lines, line) {
				continue
			}
			lines = append(lines, line, "  its recovery points stay: "+lasting(old.Settings), "  "+wayBack(target, after))
		}
	}
	return lines
}

// wayBack says how the recovery points of a target can be restored once no plan has it.
func wayBack(target string, after []backup.Plan) string {
	for _, plan := range after {
		if plan.Restore.Takes(target) {
			return "to restore one, use the plan " + plan.Name + ", which names the target in restore.from"
		}
	}
	return "to restore one, write restore: {from: [" + target + "], into: [the resource ID of the destination]} into a plan"
}

// number returns the limit of concurrent operations, for people.
func number(n int) string {
	if n == 0 {
		return "not set"
	}
	return strconv.Itoa(n)
}

// duration returns the duration as plan.yaml writes it.
func duration(d time.Duration, none string) string {
	if d == 0 {
		return none
	}
	for _, unit := range []struct {
		length time.Duration
		name   string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}} {
		if d%unit.length == 0 {
			return fmt.Sprintf("%d%s", d/unit.length, unit.name)
		}
	}
	return fmt.Sprintf("%ds", d/time.Second)
}

// count returns "1 target" or "2 targets".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
