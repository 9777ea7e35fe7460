package monitors

import (
	"fmt"
	"strings"
)

// never is a minute that does not come.
const never = 1 << 30

// story says what happens to an app, in minutes from the beginning. Its plan hourly has the targets a and b: their backups begin at
// each full hour, and are verified five minutes later. The zero value of a span is empty.
type story struct {
	failing, removed, unreadable      span // of b: backups fail, no plan has it, its rows cannot be read
	schedule, cleanup, evaluation     span // without a timer run, without an evaluation
	undeleted, waiting, nothing, dead span
	refused, other, undeliverable     span
	down                              span // the app does not run, nor its timers
}

// span is from a minute until before another.
type span struct{ from, to int }

func (s span) has(minute int) bool { return minute >= s.from && minute < s.to }

// newest returns the newest minute up to this one that is offset after a multiple of every, and in none of the spans.
func newest(minute, every, offset int, none ...span) int {
	for m := (minute+every*100-offset)/every*every - every*100 + offset; ; m -= every {
		ok := true
		for _, s := range none {
			ok = ok && !s.has(m)
		}
		if ok {
			return m
		}
	}
}

// body returns the metrics of the app at the minute, as docs/metrics.md has them; "" if it does not answer. The beginning is 1970.
func (s story) body(minute int) string {
	if s.down.has(minute) {
		return ""
	}
	var text strings.Builder
	say := func(name string, value any, labels ...string) {
		text.WriteString("lifeboat_" + name)
		for i := 0; i < len(labels); i += 2 {
			fmt.Fprintf(&text, "%s%s=%q", map[bool]string{true: "{", false: ","}[i == 0], labels[i], labels[i+1])
		}
		if len(labels) > 0 {
			text.WriteString("}")
		}
		fmt.Fprintf(&text, " %v\n", value)
	}
	flag := func(is bool) int {
		if is {
			return 1
		}
		return 0
	}
	say("build_info", 1, "version", "v1", "goversion", "go1.26")
	say("plan_refused", flag(s.refused.has(minute)))
	say("stopped", 0)
	say("other_apps", flag(s.other.has(minute)))
	say("events_waiting", 0)
	say("events_undeliverable", 3+flag(s.undeliverable.has(minute)))
	say("dead_letters", flag(s.dead.has(minute)))
	for timer, runs := range map[string]int{
		"schedule": newest(minute, 5, 0, s.schedule, s.down), "cleanup": newest(minute, 10, 0, s.cleanup, s.down),
	} {
		say("timer_last_run_timestamp_seconds", runs*60, "timer", timer)
		say("timer_deadline_timestamp_seconds", (runs+map[string]int{"schedule": 15, "cleanup": 60}[timer])*60, "timer", timer)
	}
	if begun := newest(minute, 60, 0); s.down.to > 0 && minute >= s.down.to && s.down.to-s.down.from > 60 {
		say("plan_last_missed_timestamp_seconds", newest(s.down.to, 60, 0)*60, "plan", "hourly")
	} else if begun < -never {
		panic("no hour")
	}
	evaluated := newest(minute, 60, 0, s.evaluation, s.schedule, s.down)
	if s.down.to > 0 && minute >= s.down.to {
		evaluated = max(evaluated, s.down.to) // the first timer run evaluates
	}
	say("plan_evaluated_timestamp_seconds", evaluated*60, "plan", "hourly")
	say("plan_evaluation_due_timestamp_seconds", (newest(evaluated, 60, 0)+60)*60, "plan", "hourly")
	statuses := map[string]int{}
	for _, target := range []string{"a", "b"} {
		fails, unread := s.failing, target == "b" && s.unreadable.has(minute)
		if target == "b" && s.removed.has(minute) {
			continue
		}
		verified := newest(minute, 60, 5, fails, s.schedule, s.down)
		point := verified - 5
		if s.failing.has(verified) {
			panic("verified while failing")
		}
		unprotected := minute > point+120 || unread
		statuses[map[bool]string{true: "unprotected", false: "protected"}[unprotected]]++
		say("target_deadline_timestamp_seconds", (point+120)*60, "target", target, "plan", "hourly")
		say("target_unprotected", flag(unprotected), "target", target, "plan", "hourly")
		say("recovery_point_timestamp_seconds", point*60, "target", target, "plan", "hourly")
	}
	for _, status := range []string{"protected", "copyOnly", "pending", "late", "unprotected"} {
		say("plan_targets", statuses[status], "plan", "hourly", "status", status)
	}
	if s.undeleted.has(minute) {
		say("recovery_points_undeleted", 2, "target", "a")
	}
	if s.waiting.has(minute) {
		say("restore_waiting_since_timestamp_seconds", s.waiting.from*60, "target", "a")
	}
	if s.nothing.has(minute) {
		say("restore_incomplete_timestamp_seconds", s.nothing.from*60, "target", "a", "restored", "nothing")
	}
	return text.String()
}
