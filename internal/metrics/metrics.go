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
	// Plans are the names of the active plans, and Targets are their targets.
	Plans   []string
	Targets []health.TargetHealth
	Timers  health.TimersHealth
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
		family.write(s, out.sample)
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
func count[W ~string](s State, words []W, of func(t health.TargetHealth) W, out samples) {
	n := map[string]map[W]int{}
	for _, plan := range s.Plans {
		n[plan] = map[W]int{}
	}
	for _, t := range s.Targets {
		n[t.Plan][of(t)]++
	}
	for _, plan := range s.Plans {
		for _, word := range words {
			out(float64(n[plan][word]), plan, string(word))
		}
	}
}

// lastRun returns the state of the target's newest run, "" if there is none.
func lastRun(t health.TargetHealth) backup.State {
	if t.LastRun == nil {
		return ""
	}
	return t.LastRun.State
}
