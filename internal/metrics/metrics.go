// Package metrics writes the state of the app and its targets for Prometheus and similar programs. It counts nothing itself: each value
// comes from storage, so it is the same in every instance, and survives the process.
package metrics

import (
	"bufio"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/health"
)

// State has all that the metrics say.
type State struct {
	// Version and GoVersion are of the process, and TimeZones is the version of the time zones of schedules.
	Version, GoVersion, TimeZones string
	// Refused tells that plan.yaml as it is now is not active.
	Refused bool
	// EventsWaiting, EventsUndeliverable and DeadLetters count rows of the table.
	EventsWaiting, EventsUndeliverable, DeadLetters int
	// Plans are the active plans, and Targets are their targets.
	Plans   []backup.Plan
	Targets []health.TargetHealth
	Timers  health.TimersHealth
	// All tells that no plan was asked for: so the recovery points of former plans count too.
	All bool
	// Brief leaves out the families with a label target.
	Brief bool
}

// Write writes the metrics in the format. It holds no text of the targets, so it needs as much memory for 10,000 of them as for one.
func Write(w io.Writer, f Format, s State) error {
	out := &writer{Writer: bufio.NewWriterSize(w, 16<<10)}
	for _, family := range Families {
		if s.Brief && slices.Contains(family.Labels, "target") {
			continue
		}
		out.begin(family)
		family.write(s, out)
	}
	if f == OpenMetrics {
		_, _ = out.WriteString("# EOF\n")
	}
	return out.Flush()
}

// writer writes a body in one of the two formats. For gauges these are the same, but for the end.
type writer struct {
	*bufio.Writer
	family  Family
	scratch []byte
}

// begin begins a family, whose samples follow.
func (w *writer) begin(f Family) {
	w.family = f
	for _, text := range []string{"# TYPE ", f.Name, " gauge\n# HELP ", f.Name, " ", f.Help, "\n"} {
		_, _ = w.WriteString(text)
	}
}

// sample writes a sample of the family, with the values of its labels.
func (w *writer) sample(value float64, labels ...string) {
	_, _ = w.WriteString(w.family.Name)
	for i, label := range labels {
		separator := ","
		if i == 0 {
			separator = "{"
		}
		_, _ = w.WriteString(separator)
		_, _ = w.WriteString(w.family.Labels[i])
		_, _ = w.WriteString(`="`)
		_, _ = escaped.WriteString(w, strings.ToValidUTF8(label, "?"))
		_ = w.WriteByte('"')
	}
	if len(labels) > 0 {
		_ = w.WriteByte('}')
	}
	_ = w.WriteByte(' ')
	w.scratch = strconv.AppendFloat(w.scratch[:0], value, 'f', -1, 64)
	_, _ = w.Write(append(w.scratch, '\n'))
}

// escaped escapes the value of a label by the rules of both formats.
var escaped = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

func flag(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// seconds returns the seconds from 1970 to the instant.
func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// count writes, for each plan, how many of its targets have each of the words: a 0 as well, since a series that just ends would keep its
// last value in a rule that looks back.
func count[W ~string](s State, words []W, of func(t health.TargetHealth) W, out *writer) {
	n := map[string]map[W]int{}
	for _, plan := range s.Plans {
		n[plan.Name] = map[W]int{}
	}
	for _, t := range s.Targets {
		n[t.Plan][of(t)]++
	}
	for _, plan := range s.Plans {
		for _, word := range words {
			out.sample(float64(n[plan.Name][word]), plan.Name, string(word))
		}
	}
}

// countProofs writes a sample for each status of the proofs that a plan asks for.
func (s State) countProofs(out *writer) {
	n := map[string]map[backup.ProofStatus]int{}
	for _, t := range s.Targets {
		if t.Proof != nil && n[t.Plan] == nil {
			n[t.Plan] = map[backup.ProofStatus]int{}
		}
		if t.Proof != nil {
			n[t.Plan][t.Proof.Status]++
		}
	}
	for _, plan := range s.Plans {
		for _, status := range backup.ProofStatuses {
			if of, asks := n[plan.Name]; asks {
				out.sample(float64(of[status]), plan.Name, string(status))
			}
		}
	}
}

// plan returns the active plan of the name, nil if there is none.
func (s State) plan(name string) *backup.Plan {
	i := slices.IndexFunc(s.Plans, func(p backup.Plan) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return &s.Plans[i]
}

// evaluationDue returns when the targets of the plan are to be evaluated next. If they never were, it is the time at which a timer run saw
// the plan with its schedule first: that one was to evaluate them.
func (s State) evaluationDue(plan backup.Plan) time.Time {
	for _, e := range s.Timers.Evaluations {
		if e.Plan == plan.Name && !e.At.IsZero() {
			return e.DueAt(plan)
		}
	}
	for _, c := range s.Timers.Checkpoints {
		if c.Plan == plan.Name {
			return c.Edited
		}
	}
	return time.Time{}
}

// stock returns how many recovery points there are, by plan and state: a 0 for each state of an active plan as well, unless the row has
// some of them only in the sum without the name of a plan. A plan that is not active any more may have some too.
func (s State) stock() (all []health.Stocked) {
	if s.Timers.Stock.At.IsZero() {
		return nil
	}
	n, inSum := map[string]map[backup.PointState]bool{}, false
	for _, p := range s.Timers.Stock.Points {
		inSum = inSum || p.Plan == ""
		if s.All || s.plan(p.Plan) != nil {
			all = append(all, p)
		}
		if n[p.Plan] == nil {
			n[p.Plan] = map[backup.PointState]bool{}
		}
		n[p.Plan][p.State] = true
	}
	for _, plan := range s.Plans {
		for _, state := range backup.PointStates {
			if !n[plan.Name][state] && !inSum {
				all = append(all, health.Stocked{Plan: plan.Name, State: state})
			}
		}
	}
	return all
}

// waiting returns the restore that waits longest for each destination.
func (s State) waiting() (longest []health.Restored) {
	for _, r := range s.Timers.Restores {
		if r.State != backup.Waiting && r.State != backup.Queued {
			continue
		}
		i := slices.IndexFunc(longest, func(o health.Restored) bool { return backup.Same(o.Target, r.Target) })
		switch {
		case i < 0:
			longest = append(longest, r)
		case r.Created.Before(longest[i].Created):
			longest[i] = r
		}
	}
	return longest
}

// lastRun returns the state of the target's newest run, "" if there is none.
func lastRun(t health.TargetHealth) backup.State {
	if t.LastRun == nil {
		return ""
	}
	return t.LastRun.State
}
