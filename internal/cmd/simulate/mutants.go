package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"
)

// mutant is a bug made on purpose: in the file of internal/backup, the old text, which stands there once, becomes the new.
type mutant struct{ name, file, old, new string }

var mutants = []mutant{
	{
		"the run's ETag is dropped", "step.go",
		`run := Write{Op: Replace, Key: s.run.key(), ETag: s.run.etag,`, `run := Write{Op: Put, Key: s.run.key(),`,
	},
	{
		"the wake-up's number is not checked", "engine.go",
		"case w.Number > run.Wake:", "case w.Number > run.Wake && w.Mark == run.Mark:",
	},
	{
		"the wake-up's mark is not checked", "engine.go",
		"case w.Number < run.Wake, w.Mark != run.Mark:", "case w.Number < run.Wake:",
	},
	{
		"late wake-ups are taken", "engine.go",
		"case w.Number < run.Wake, w.Mark != run.Mark:", "case w.Number == run.Wake && w.Mark != run.Mark:",
	},
	{
		"the wake-up is sent after the save", "step.go",
		`	sent := s.Queue.Wake(ctx, next, delay)
	if sent == nil {
		r.Wake, r.Mark, r.Due = next.Number, next.Mark, s.clock().Add(delay)
	}
	if err := s.save(ctx, more...); err != nil {
		return err
	}
`,
		`	r.Wake, r.Mark, r.Due = next.Number, next.Mark, s.clock().Add(delay)
	if err := s.save(ctx, more...); err != nil {
		return err
	}
	sent := s.Queue.Wake(ctx, next, delay)
`,
	},
	{
		"the fence is ignored", "engine.go",
		"case run.LeaseUntil.After(now):", "case run.LeaseUntil.After(now.Add(time.Hour)):",
	},
	{
		"the start has no deadline", "step.go",
		"begin, cancel := context.WithTimeout(ctx, s.Waits.Lease-s.Waits.LeaseMargin-s.Now().Sub(s.read))",
		"begin, cancel := context.WithCancel(ctx)",
	},
	{
		"the sweep raises the number", "sweep.go",
		"e.Queue.Wake(ctx, run.wakeup(), 0)", "e.Queue.Wake(ctx, Wakeup{Run: run.ID, Number: run.Wake + 1, Mark: run.Mark}, 0)",
	},
	{"the sweep sends nothing again", "sweep.go", "now.Sub(due) >= e.Waits.Overdue", "now.Sub(due) >= 1000*e.Waits.Overdue"},
	{
		"the loser of a race acknowledges", "engine.go",
		`out.Note = "another invocation was faster: put back"
		return out, e.Queue.Wake(ctx, w, e.Waits.PutBack)`,
		`out.Note = "another invocation was faster"
		return out, nil`,
	},
	{
		"no index entry before the run", "schedule.go",
		"if _, err := e.Catalog.Apply(ctx, Write{Op: Put, Key: entry, Body: body}); err != nil {",
		"if _, err := body, error(nil); err != nil {",
	},
	{
		"the lock is not taken", "step.go",
		"takes := s.run.State.holdsLock() && !s.was.holdsLock()", "takes := false",
	},
	{
		"the lock is never given back", "step.go",
		"gives := !s.run.State.holdsLock() && s.was.holdsLock()", "gives := false",
	},
	{"attempts share a name", "run.go", `fmt.Sprintf("%s.%d", r.ID, n)`, `fmt.Sprintf("%s.%d", r.ID, min(n, 1))`},
	{
		"no patience with a lost start", "step.go",
		"patient := err == nil && s.now.Sub(r.ClearSince) >= s.Waits.Patience", "patient := err == nil",
	},
	{
		"a look that could not be made counts as one", "step.go",
		"patient := err == nil && s.now.Sub(r.ClearSince) >= s.Waits.Patience",
		"patient := s.now.Sub(r.LostSince) >= s.Waits.Patience",
	},
	{
		"a lost answer counts as a no", "step.go",
		`		s.lost(f.reason())
		return s.advance(ctx, s.Waits.Look)`,
		`		return s.postpone(ctx, f)`,
	},
	{
		"the outbox is skipped", "step.go",
		"more, owed(run.Partition, s.owed))", "more)",
	},
	{
		"an event that could not be sent is forgotten", "step.go",
		"if len(left) > 0 || unread != nil {", "if len(left) > 100 || unread != nil {",
	},
	{
		"a missing artifact counts as a success", "step.go",
		`		case f.Kind == Refused:
			return s.end(ctx, fails, f.reason())
		case tooLong:`,
		`		case f.Kind == Refused:
			return s.end(ctx, succeeds, Reason{})
		case tooLong:`,
	},
	{
		"the watermark moves before the runs are made", "schedule.go",
		`	if err := e.makeRuns(ctx, plan, mark.Begun, now, report); err != nil {
		return err
	}
	mark.At, mark.By = mark.Begun, mark.BegunBy
	mark.Begun, mark.BegunBy = time.Time{}, by{}
	return e.saveMark(ctx, mark, Gap{}, now, report)
`,
		`	slot := mark.Begun
	mark.At, mark.By = slot, mark.BegunBy
	mark.Begun, mark.BegunBy = time.Time{}, by{}
	if err := e.saveMark(ctx, mark, Gap{}, now, report); err != nil {
		return err
	}
	return e.makeRuns(ctx, plan, slot, now, report)
`,
	},
	{
		"the event of a gap is not owed", "schedule.go",
		"writes = append(owed(schedulePartition, events), Write{", "writes = append(writes, Write{",
	},
	{
		"a slot that was begun counts as missed", "schedule.go",
		"if !mark.Begun.IsZero() {", "if mark.Begun.After(now) {",
	},
	{
		"runs are made before their slot is noted as begun", "schedule.go",
		`	if err := e.saveMark(ctx, mark, gap, now, report); err != nil || mark.Begun.IsZero() {
		return err
	}
`,
		`	if gap.Count > 0 || halted != "" {
		if err := e.saveMark(ctx, mark, gap, now, report); err != nil || mark.Begun.IsZero() {
			return err
		}
	}
`,
	},
	{
		"early wake-ups come back every 30 seconds", "engine.go",
		"max(e.Waits.PutBack, early, late)", "max(e.Waits.PutBack, min(early, late))",
	},
	{"a tick schedules whatever the clock says", "schedule.go", "if apart == nil {\n\t\tfor", "if apart != ErrExists {\n\t\tfor"},
	{
		"cleanup deletes whatever the clock says", "cleanup.go",
		`if err := e.checkClock(ctx, e.Now(), now); err != nil {
		return report, err
	}`,
		`_ = e.checkClock(ctx, e.Now(), now)`,
	},
	{"the newest point is not protected", "point.go", "case i == newest:", "case i == newest && len(points) > 1000:"},
	{"points expire two days early", "point.go", "case now.Before(p.Expires):", "case now.Before(p.Expires.AddDate(0, 0, -2)):"},
	{
		"an artifact is deleted before that is noted", "cleanup.go",
		"if err := e.savePoint(ctx, &p); err != nil {", "if err := error(nil); err != nil {",
	},
	{
		"what storage keeps stays given up", "cleanup.go",
		"p.State, p.KeptByStorage = Live, e.Waits.keptByStorage(f, now)", "p.KeptByStorage = e.Waits.keptByStorage(f, now)",
	},
	{
		"what was suspect comes back live", "cleanup.go",
		"if p.unaccepted() {", "if p.unaccepted() && p.Safety {",
	},
	{
		"suspect points stand in for live ones", "point.go",
		"if p.live() && (newest < 0", "if (p.live() || p.State == Suspect) && (newest < 0",
	},
	{"no point is ever suspect", "suspect.go", "if 2*p.Size >= normal {", "if 20*p.Size >= normal {"},
	{
		"suspect points tell what is normal", "point.go",
		`return !p.Safety && p.State != Unreadable && !p.unaccepted()`, "return !p.Safety",
	},
	{
		"two alike are enough", "suspect.go",
		"alike = 3", "alike = 1",
	},
	{
		"an acceptance overwrites what cleanup decided", "point.go",
		"return Write{Op: Replace, Key: p.key(), ETag: p.etag,", "return Write{Op: Put, Key: p.key(),",
	},
	{
		"the acceptance of those before is not told", "suspect.go",
		"s.owe(accepted(m))", "_ = m",
	},
	{
		"what is held is given back once the end was told", "step.go",
		"	if err := s.release(ctx, *r, r.Permits, r.Line); err != nil {",
		"	if _, left := s.post(ctx, s.saved, map[string]error{}); len(left) > 0 {\n\t\treturn errLost\n\t}\n" +
			"	if err := s.release(ctx, *r, r.Permits, r.Line); err != nil {",
	},
	{
		"a lost start takes what another run holds", "engine.go",
		"if a.Taken = taken; len(taken) == 0 {", "if len(taken) < 1000 {",
	},
	{
		"what an artifact consists of is not kept", "point.go",
		"}, p.list(files)...)", "}, p.list(nil)...)",
	},
	{
		"a plan's own bound is ignored", "gate.go",
		"range []bound{e.boundOfAll(), planBound(r.Plan, r.Settings.Concurrency)}", "range []bound{e.boundOfAll()}",
	},
	{
		"a request repeated makes another run", "request.go",
		`ID: newRunID(target, c.Time, "request "+c.Request),`, `ID: newRunID(target, time.Now(), "request "+c.Request),`,
	},
	{
		"who leaves the line is not indexed again", "gate.go",
		"if err := s.watch(ctx); err != nil {\n\t\t\treturn err\n\t\t}", "",
	},
	{
		"a restore does not stand among the readers", "restorerun.go",
		"if !slices.Contains(p.Readers, r.ID) {", "if false {",
	},
	{
		"a request that expired begins all the same", "restorerun.go",
		"expired(s.run.Restore.Expires, s.now)", "expired(s.run.Restore.Expires.AddDate(1, 0, 0), s.now)",
	},
	{
		"the artifact is not held against what was verified", "restoreplan.go",
		"if v.SHA256 == p.SHA256 && v.Size == p.Size {", "if v.Size == p.Size {",
	},
	{
		"a lost restore is begun again", "restorerun.go",
		"case f != nil && f.Kind == Denied:\n		return s.end(", "case f != nil && f.Kind == Denied && r.Lost < mostLost:\n		return s.check(ctx, restorer)\n	case f != nil && f.Kind == Denied:\n		return s.end(",
	},
	{
		"a safety backup counts as the newest live point", "point.go",
		"return p.State == Live && !p.Safety }", "return p.State == Live }",
	},
	{
		"the hold of a safety backup is ignored", "point.go",
		"case now.Before(p.Held.Until):", "case now.Before(p.Held.Until.AddDate(-1, 0, 0)):",
	},
	{
		"what a restore reads is deleted", "point.go",
		"case len(p.Readers) > 0:", "case len(p.Readers) > 1000:",
	},
	{
		"no safety backup is made", "restorerun.go",
		"	if q.Safety {\n		q.Step = securing", "	if q.Safety && q.Key != \"\" {\n		q.Step = securing",
	},
	{
		"an ID that was used for something else is taken", "restores.go",
		"case claim.Fingerprint != q.fingerprint():", "case claim.Fingerprint == \"\":",
	},
	{
		"approval is not asked for", "restoreplan.go",
		`if p.agrees == "" {`, `if p.agrees == "" || p.Plan != "" {`,
	},
	{
		"dead letters are dropped", "deadletter.go",
		"if _, err := e.Catalog.Apply(ctx, Write{Op: Put, Key: key, Body: encode(l)}); err != nil {",
		"if _, err := key, error(nil); err != nil {",
	},
}

// caught is how a world gave a bug away.
type caught struct {
	Invariant     string
	Seed          uint64
	Days          int
	Lines, Shrunk int
}

// try every bug of both tables with those words in its name, with the program or the test rebuilt around it; quick: only the
// bugs that tests catch. It is 1 if one is not caught.
func tryMutants(ctx context.Context, only string, quick bool, seeds uint64, days, tries int) int {
	dir, err := os.MkdirTemp("", "mutants")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "bug\tcaught by\tseed\tlines of its trace\tshrunk to")
	tried, missed, began := 0, 0, time.Now()
	for i, m := range mutants {
		if quick || !strings.Contains(m.name, only) {
			continue
		}
		tried++
		fmt.Fprintf(os.Stderr, "%2d of %d  %s … ", i+1, len(mutants), m.name)
		c, err := m.try(ctx, dir, seeds, days, tries)
		switch {
		case err != nil:
			fmt.Fprintln(os.Stderr, "failed:", err)
			fmt.Fprintf(t, "%s\tFAILED\t\t\t\n", m.name)
			missed++
		case c == nil:
			fmt.Fprintln(os.Stderr, "NOT CAUGHT")
			fmt.Fprintf(t, "%s\tNOT CAUGHT in %d seeds\t\t\t\n", m.name, seeds)
			missed++
		default:
			fmt.Fprintf(os.Stderr, "%s, seed %d\n", c.Invariant, c.Seed)
			fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\n", m.name, c.Invariant, c.Seed, c.Lines, c.Shrunk)
		}
	}
	edgesTried, edgesMissed := tryEdges(ctx, dir, only, t)
	fmt.Fprintln(os.Stderr)
	_ = t.Flush()
	fmt.Printf("\n%d bugs, %d of them not caught, in %s\n", tried+edgesTried, missed+edgesMissed, time.Since(began).Round(time.Second))
	return min(missed+edgesMissed, 1)
}

const domain = "internal/backup"

// apply is the file's text with the bug in it.
func (m mutant) apply(root string) ([]byte, error) {
	return replace(root, filepath.Join(domain, m.file), m.old, m.new)
}

// replace is the text of the file below the root, with the old text, which must stand there once, replaced by the new.
func replace(root, file, old, with string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		return nil, err
	}
	if n := strings.Count(string(text), old); n != 1 {
		return nil, fmt.Errorf("the text to replace stands %d times in %s, not once: the table of bugs is behind the code", n, file)
	}
	return []byte(strings.Replace(string(text), old, with, 1)), nil
}

// overlay writes into the folder what has "go" read the text instead of the file, and returns the value of its -overlay.
func overlay(dir, file string, text []byte) (string, error) {
	broken, path := filepath.Join(dir, filepath.Base(file)), filepath.Join(dir, "overlay.json")
	original, err := filepath.Abs(file)
	if err != nil {
		return "", err
	}
	instead, err := json.Marshal(map[string]map[string]string{"Replace": {original: broken}})
	if err != nil {
		return "", err
	}
	return path, errors.Join(os.WriteFile(broken, text, 0o600), os.WriteFile(path, instead, 0o600))
}

// try builds the program with the bug, and runs it until a promise is broken; nil if none is.
func (m mutant) try(ctx context.Context, dir string, seeds uint64, days, tries int) (*caught, error) {
	text, err := m.apply(".")
	if err != nil {
		return nil, err
	}
	path, err := overlay(dir, filepath.Join(domain, m.file), text)
	if err != nil {
		return nil, err
	}
	program := filepath.Join(dir, "simulate")
	if out, err := exec.CommandContext(ctx, "go", "build", "-overlay", path, "-o", program, "./internal/cmd/simulate").
		CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build it: %w\n%s", err, out)
	}
	var errs bytes.Buffer
	run := exec.CommandContext(ctx, program, "-json", "-seeds", fmt.Sprint(seeds), "-days", fmt.Sprint(days), "-tries",
		fmt.Sprint(tries))
	run.Stderr = &errs
	out, err := run.Output()
	if err != nil {
		return nil, fmt.Errorf("run it: %w\n%s", err, errs.String())
	}
	if len(out) == 0 {
		return nil, nil
	}
	var c caught
	return &c, json.Unmarshal(out, &c)
}
