package simulation

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"lifeboat/internal/backup"
)

// Line is one thing that happened.
type Line struct {
	At time.Time
	// Day counts from 1.
	Day int
	// Who is the process and the number of its invocation; "" for the world itself.
	Who string
	// Text describes it in words. Loud says that it is out of the ordinary.
	Text string
	Loud bool
	// Last says that the line ends the invocation.
	Last bool
}

type trace struct {
	on    bool
	lines []Line
}

// runIDs matches the IDs of runs, which people cannot read.
var runIDs = regexp.MustCompile(`[0-9a-f]{16}-[0-9]{10}-[0-9a-f]{12}`)

func clockTime(t time.Time) string { return t.Format("15:04:05") }

func (w *World) note(v *invocation, format string, args ...any) {
	if !w.trace.on {
		return
	}
	text := runIDs.ReplaceAllStringFunc(fmt.Sprintf(format, args...), w.ledger.runName)
	l := Line{At: w.now, Day: 1 + int(w.now.Sub(w.start)/day), Text: text, Loud: true}
	if v != nil {
		l.Who = fmt.Sprintf("%s#%d", v.on.name, v.id)
	}
	w.trace.lines = append(w.trace.lines, l)
}

// say notes an extraordinary event, and hum notes an ordinary one.
func (v *invocation) say(format string, args ...any) { v.w.note(v, format, args...) }

func (v *invocation) hum(format string, args ...any) {
	if v.w.trace.on {
		v.say(format, args...)
		v.w.trace.lines[len(v.w.trace.lines)-1].Loud = false
	}
}

// returned notes the end of an invocation.
func (v *invocation) returned(format string, args ...any) {
	if !v.w.trace.on || v.w.violation != nil {
		return
	}
	text := v.what + ": " + fmt.Sprintf(format, args...)
	switch {
	case v.died:
		text = v.what + ": died"
	case v.err != nil:
		text = v.what + ": " + firstLine(v.err.Error())
	}
	v.say("%s", text)
	last := &v.w.trace.lines[len(v.w.trace.lines)-1]
	last.Last, last.Loud = true, v.died || v.err != nil
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}

// explain notes the plan, the origin and the target of a run.
func (w *World) explain(f *facts, r *backup.Run) {
	if !w.trace.on {
		return
	}
	of := "asked for by hand"
	if !r.ScheduledTime.IsZero() {
		of = "scheduled time " + r.ScheduledTime.Format(time.RFC3339)
	}
	w.note(w.present, "%s is the run of plan %s, %s, target %s", f.name, r.Plan, of, r.Target[strings.LastIndex(r.Target, "/")+1:])
}

// Story returns the trace as a person reads it. An invocation is one line if nothing special happened in it, and no other
// came in between.
func Story(lines []Line) []string {
	var story []string
	// Repetitions of the last line are one line more, with their number.
	last, again := "", 0
	tellAgain := func() {
		if again > 0 {
			story = append(story, fmt.Sprintf("%25s… and %d times the like", "", again))
		}
		last, again = "", 0
	}
	for i := 0; i < len(lines); {
		end, quiet := i+1, !lines[i].Loud
		for end < len(lines) && lines[i].Who != "" && lines[end].Who == lines[i].Who && !lines[end-1].Last {
			quiet = quiet && !lines[end].Loud
			end++
		}
		part := lines[i:end]
		if quiet && part[len(part)-1].Last {
			part = part[len(part)-1:]
		}
		for _, l := range part {
			kind := digits.ReplaceAllString(l.Text, "")
			if len(part) == 1 && kind == last {
				again++
			} else {
				tellAgain()
				last = kind
				story = append(story, fmt.Sprintf("day %-3d %s  %-7s %s", l.Day, clockTime(l.At), l.Who, l.Text))
			}
		}
		i = end
	}
	tellAgain()
	return story
}

var digits = regexp.MustCompile(`[0-9]+`)
