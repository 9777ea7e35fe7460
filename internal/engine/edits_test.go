package engine_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/checkpoint"
	"lifeboat/internal/plans"
	"lifeboat/internal/schedule"
	"lifeboat/internal/testing/figures"
)

// edits is a world in which people edit plan.yaml at random times, while the app runs, and while it does not.
type edits struct {
	*harness
	random *rand.Rand
	// schedules has the expressions of this world: in some worlds, time passes in days.
	schedules []string
	zones     []*time.Location
	plans     []backup.Plan
	// alive is the time of the newest timer run: the app was there all along since the world began, or since it came back.
	alive time.Time
	// These are figures of the whole test.
	edited, made, missed, returned, nexts, assumed, left int
	// gone has the missed periods of plans that have left, by the newest timer run.
	gone map[string]schedule.MissedRuns
}

var (
	editedSchedules = []string{
		"30 2 * * *", "0 10 * * *", "45 23 * * *", "0 4 * * SUN", "30 1 * * WED", "0 0 1 * *", "20 30 2 * * *", "0 6 L * *", "*/5 3 * * *",
		"0 */6 * * *", "15 * * * *", "*/15 * * * *",
	}
	editedZones   = []string{"UTC", "Europe/Zurich", "America/New_York", "Australia/Lord_Howe"}
	editedWindows = []time.Duration{0, 0, 5 * time.Minute, time.Hour, 3 * time.Hour, 48 * time.Hour}
)

func pick[T any](random *rand.Rand, all []T) T { return all[random.IntN(len(all))] }

func (w *edits) draw(name string) backup.Plan {
	p := backup.Plan{Name: name, Settings: backup.Settings{KeepWithin: day}, Window: pick(w.random, editedWindows)}
	w.reschedule(&p)
	p.Targets = []string{target + pick(w.random, []string{"-a", "-b", "-c"})}
	return p
}

func (w *edits) reschedule(p *backup.Plan) {
	zone := pick(w.random, w.zones)
	if p.Expression != "" && w.random.IntN(2) == 0 {
		zone = p.Schedule.Zone
	}
	if p.Expression == "" || w.random.IntN(3) > 0 {
		p.Expression = pick(w.random, w.schedules)
	}
	e, err := schedule.Parse(p.Expression)
	if err != nil {
		panic(err)
	}
	p.Schedule = e.In(zone)
}

// free returns a name that no plan has now; one may have had it before.
func (w *edits) free() string {
	for {
		name := fmt.Sprint("plan-", w.random.IntN(12))
		if !slices.ContainsFunc(w.plans, func(p backup.Plan) bool { return p.Name == name }) {
			return name
		}
	}
}

// edit changes most of the plans, as people do, each in one way or two.
func (w *edits) edit() {
	var edited []backup.Plan
	for _, p := range w.plans {
		p.Targets = slices.Clone(p.Targets)
		goes := false
		for n := pick(w.random, []int{0, 1, 1, 1, 2}); n > 0; n-- {
			w.edited++
			switch w.random.IntN(12) {
			case 0, 1, 2, 3, 4:
				w.reschedule(&p)
			case 9, 10:
				p.Paused = w.random.IntN(3) == 0
			case 5:
				p.Window = pick(w.random, editedWindows)
			case 6: // renamed, perhaps back
				p.Name = w.free()
			case 7: // another target
				p.Targets[0] = target + pick(w.random, []string{"-a", "-b", "-c"})
			case 8: // one more
				if more := target + pick(w.random, []string{"-a", "-b", "-c"}); !p.Has(more) {
					p.Targets = append(p.Targets, more)
				}
			default:
				goes = true
			}
		}
		if !goes && !slices.ContainsFunc(edited, func(other backup.Plan) bool { return other.Name == p.Name }) {
			slices.Sort(p.Targets)
			p.Targets = slices.Compact(p.Targets)
			edited = append(edited, p)
		}
	}
	w.plans = edited
	for len(w.plans) < 9 {
		w.edited++
		w.plans = append(w.plans, w.draw(w.free()))
	}
}

// look returns what plan diff knows at this time: the checkpoints as /api/health has them, and what it says of the timer.
func (w *edits) look() (checkpoint.Look, map[string]checkpoint.Checkpoint) {
	_, timers, err := w.engine.Health(w.t.Context(), plans.Active{})
	if err != nil {
		w.t.Fatal(err)
	}
	l := checkpoint.Look{Now: timers.Now, Looked: timers.Now, Stopped: w.engine.Stopped}
	for _, timer := range timers.Timers {
		if timer.Timer == "schedule" && timer.Silent {
			l.Looked = timer.Last
		}
	}
	known := map[string]checkpoint.Checkpoint{}
	for _, c := range timers.Checkpoints {
		known[c.Plan] = c
	}
	return l, known
}

// stated says what plan diff says that a timer run does now, plan by plan.
func (w *edits) stated(l checkpoint.Look, known map[string]checkpoint.Checkpoint) (outcomes []checkpoint.Outcome) {
	for _, plan := range w.plans {
		var c *checkpoint.Checkpoint
		if found, ok := known[plan.Name]; ok {
			c = &found
			if found.Paused == checkpoint.Left {
				w.returned++
			}
		}
		outcomes = append(outcomes, l.Run(c, plan))
	}
	return outcomes
}

// due writes down the runs that no edit may lose: of the newest scheduled time of a plan since what it has dealt with, if its window
// is open.
func (w *edits) due(known map[string]checkpoint.Checkpoint) (runs []string) {
	for _, plan := range w.plans {
		c, ok := known[plan.Name]
		newest := plan.Schedule.Newest(w.now)
		if !ok || c.Paused != "" && c.Paused != checkpoint.Left || plan.Paused || w.engine.Stopped != "" || !newest.After(c.At) ||
			plan.Window > 0 && !w.now.Before(newest.Add(plan.Window)) {
			continue
		}
		for _, target := range plan.Targets {
			runs = append(runs, fmt.Sprintf("%s: run of %s at %s", plan.Name, target, newest.Format(time.RFC3339)))
		}
	}
	return runs
}

// leaving returns the missed periods of the plans that have left: of scheduled times without runs.
func (w *edits) leaving(known map[string]checkpoint.Checkpoint) map[string]schedule.MissedRuns {
	gone := map[string]schedule.MissedRuns{}
	for name, c := range known {
		e, err := schedule.Parse(c.By.Expression)
		if err != nil || c.Paused == checkpoint.Left || slices.ContainsFunc(w.plans, func(p backup.Plan) bool { return p.Name == name }) {
			continue
		}
		zone := time.FixedZone(c.By.Zone, c.By.Ahead)
		for _, p := range w.plans {
			if p.Schedule.Zone.String() == c.By.Zone {
				zone = p.Schedule.Zone
			}
		}
		if m := e.In(zone).Missed(c.At, w.now); m.Count > 0 {
			w.left++
			m.Plan, m.Found = name, w.now.UTC().Truncate(time.Second)
			m.Why = "no timer run had dealt with them before plan.yaml was edited, and it does not hold the plan any more"
			if c.Paused != "" {
				m.Why = c.Paused
			}
			gone[name] = m
		}
	}
	return gone
}

// words writes down what was stated, or done: the runs, the missed periods, and the checkpoint of each plan.
func (w *edits) words(outcomes []checkpoint.Outcome) string {
	var lines []string
	for i, o := range outcomes {
		plan := w.plans[i]
		for _, at := range o.Made {
			for _, target := range plan.Targets {
				lines = append(lines, fmt.Sprintf("%s: run of %s at %s", plan.Name, target, at.Format(time.RFC3339)))
			}
		}
		if m := o.Missed; m.Count > 0 {
			lines = append(lines, missedWords(plan.Name, m))
		}
		lines = append(lines, checkpointWords(o.Checkpoint))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func missedWords(plan string, m schedule.MissedRuns) string {
	return fmt.Sprintf("%s: missed %d, %s to %s: %s", plan, m.Count, m.First.Format(time.RFC3339), m.Last.Format(time.RFC3339), m.Why)
}

func checkpointWords(c checkpoint.Checkpoint) string {
	return fmt.Sprintf("%s: checkpoint at %s by %v, %q", c.Plan, c.At.UTC().Format(time.RFC3339), c.By, c.Paused)
}

// timer makes a timer run, and writes down what it did. No step of a run is made in this world, so the runs are taken away.
func (w *edits) timer() string {
	known := map[string]bool{}
	for _, plan := range w.plans {
		known[plan.Name] = true
	}
	report, err := w.engine.Schedule(w.t.Context(), append([]backup.Plan{}, w.plans...))
	if err != nil {
		w.t.Fatal(err)
	}
	alive := w.now.Sub(w.alive) <= time.Minute
	w.alive = w.now
	var lines []string
	w.gone = map[string]schedule.MissedRuns{}
	for _, m := range report.Missed {
		if !known[m.Plan] { // it has left: plan diff says only that it has
			w.gone[m.Plan] = m
			continue
		}
		lines = append(lines, missedWords(m.Plan, m))
		if alive && strings.HasPrefix(m.Why, "no timer run read") {
			w.t.Fatalf("at %s, the app was there all along, and %s", w.now, missedWords(m.Plan, m))
		}
	}
	for _, id := range report.Created {
		run := w.run(id)
		lines = append(lines, fmt.Sprintf("%s: run of %s at %s", run.Plan, run.Target, run.ScheduledTime.Format(time.RFC3339)))
	}
	w.made, w.missed = w.made+len(report.Created), w.missed+len(report.Missed)
	for _, row := range w.storage.catalog.Rows() {
		switch {
		case row.Partition == backup.SchedulePartition && strings.HasPrefix(row.Row, backup.CheckpointPrefix):
			c, err := backup.Decode[checkpoint.Checkpoint](row)
			if err != nil {
				w.t.Fatal(err)
			}
			if known[c.Plan] {
				lines = append(lines, checkpointWords(c))
			}
		case row.Partition != backup.SchedulePartition || row.Row > backup.Behind(backup.CheckpointPrefix):
			if _, err := w.storage.catalog.Apply(w.t.Context(), backup.Write{Op: backup.Delete, Key: row.Key, ETag: "*"}); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// next makes the timer runs up to the next scheduled times: the last before them has nothing to do, and the next makes runs of
// each target of their plans, and of no other. It returns false if none comes soon enough.
func (w *edits) next(outcomes []checkpoint.Outcome, end time.Time) bool {
	var next time.Time
	for _, o := range outcomes {
		if !o.Next.IsZero() && (next.IsZero() || o.Next.Before(next)) {
			next = o.Next
		}
	}
	if next.IsZero() || next.After(end) || !next.After(w.now) {
		return false
	}
	w.now, w.alive = next.Add(-time.Second), next.Add(-time.Second)
	if got := w.timer(); strings.Contains(got, ": run of ") {
		w.t.Fatalf("at %s the engine did\n%s\nplan diff says that nothing comes before %s", w.now, got, next)
	}
	w.now = next
	got, want := w.timer(), []string{}
	for i, o := range outcomes {
		for _, target := range w.plans[i].Targets {
			if o.Next.Equal(next) {
				want = append(want, fmt.Sprintf("%s: run of %s at %s", w.plans[i].Name, target, next.Format(time.RFC3339)))
			}
		}
	}
	slices.Sort(want)
	var runs []string
	for line := range strings.SplitSeq(got, "\n") {
		if strings.Contains(line, ": run of ") {
			runs = append(runs, line)
		}
	}
	if !slices.Equal(runs, want) {
		w.t.Fatalf("at %s the engine did\n%s\nplan diff says\n%s", w.now, got, strings.Join(want, "\n"))
	}
	w.nexts++
	return true
}

// live lets time pass while the timer comes each minute. The world makes only the timer runs that have something to
// do, and the last one.
func (w *edits) live() {
	end := w.now.Add(pick(w.random, []time.Duration{time.Minute, time.Minute, 20 * time.Minute, 5 * time.Hour, 30 * time.Hour, 9 * day}))
	end = end.Add(time.Duration(w.random.IntN(100)) * time.Second)
	for range 2 {
		if !w.next(w.stated(w.look()), end) {
			w.now, w.alive = end, end
			w.timer()
			return
		}
	}
}

// TestAnEditDoesWhatPlanDiffSays: plan diff states what the next timer run does after an edit, and which scheduled time comes next:
// from the app's checkpoints, and from what it assumes without them. The engine does that, for random edits at random times, and
// while the app was there all along, it calls nothing missed.
func TestAnEditDoesWhatPlanDiffSays(t *testing.T) {
	const all = 100_000
	total := edits{}
	for seed := uint64(1); total.edited < all; seed++ {
		w := &edits{harness: newHarness(t), random: rand.New(rand.NewPCG(seed, 19)), schedules: editedSchedules}
		if seed%2 == 0 {
			w.schedules = editedSchedules[:8]
		}
		for _, name := range editedZones {
			w.zones = append(w.zones, zone(t, name))
		}
		w.now = begin.Add(time.Duration(w.random.IntN(400*24*3600)) * time.Second)
		w.alive = w.now
		w.edit()
		w.timer()
		for range 12 {
			if w.random.IntN(4) == 0 { // the app is down
				w.now = w.now.Add(pick(w.random, []time.Duration{5 * time.Minute, time.Hour, 5 * time.Hour, 50 * time.Hour}))
			} else {
				w.live()
			}
			old := w.plans
			w.edit()
			if w.engine.Stopped = ""; w.random.IntN(20) == 0 {
				w.engine.Stopped = "stopped by LIFEBOAT_STOPPED"
			}
			look, known := w.look()
			w.assumes(old, look, known)
			says, due := w.stated(look, known), w.due(known)
			leaving := w.leaving(known)
			got := w.timer()
			if fmt.Sprint(leaving) != fmt.Sprint(w.gone) {
				t.Fatalf("seed %d, at %s, plans left with %v due, and told of %v", seed, w.now, leaving, w.gone)
			}
			if want := w.words(says); got != want {
				t.Fatalf("seed %d, at %s, of %v\nthe engine did\n%s\nplan diff says\n%s", seed, w.now, w.plans, got, want)
			}
			for _, run := range due {
				if !strings.Contains(got, run) {
					t.Fatalf("seed %d, at %s, of %v\nthe engine did\n%s\nand lost the %s", seed, w.now, w.plans, got, run)
				}
			}
			if w.random.IntN(3) == 0 {
				w.next(says, w.now.Add(40*day))
			}
		}
		total.edited, total.made, total.missed = total.edited+w.edited, total.made+w.made, total.missed+w.missed
		total.returned, total.nexts, total.assumed = total.returned+w.returned, total.nexts+w.nexts, total.assumed+w.assumed
		total.left += w.left
	}
	for name, few := range map[string]bool{
		"runs": total.made < all/8, "missed periods": total.missed < all/100, "plans that came back": total.returned < all/100,
		"next scheduled times": total.nexts < all/40, "plans without the app": total.assumed < all/20, "plans that left with something due": total.left < all/1000,
	} {
		if few {
			t.Errorf("too few %s: %+v", name, total)
		}
	}
	figures.Report(t, "%d edits of plan.yaml, each as plan diff says: %d runs, %d missed periods, %d plans that came back", total.edited,
		total.made, total.missed, total.returned)
}

// assumes compares what plan diff says without the app with what it says with it, for each plan whose checkpoint is as it would be
// if the app had run all along.
func (w *edits) assumes(old []backup.Plan, l checkpoint.Look, known map[string]checkpoint.Checkpoint) {
	if w.engine.Stopped != "" || !l.Looked.Equal(l.Now) {
		return
	}
	for _, plan := range w.plans {
		i := slices.IndexFunc(old, func(p backup.Plan) bool { return p.Name == plan.Name })
		if i < 0 {
			continue
		}
		was := l.Assume(old[i])
		c := known[plan.Name]
		if c.Paused != "" || old[i].Paused || !c.At.Equal(was.At) {
			continue
		}
		w.assumed++
		got, want := l.Run(&was, plan), l.Run(&c, plan)
		if fmt.Sprint(got.Made, got.Missed, got.Next) != fmt.Sprint(want.Made, want.Missed, want.Next) {
			w.t.Fatalf("at %s\nassumed %+v\nfrom the app %+v", w.now, got, want)
		}
	}
}

// TestAPlanLeavesAndComesBack: a plan that is taken out of plan.yaml costs one write. When it comes back, its newest scheduled time
// becomes runs, and nothing of the time without it counts as missed. A plan is not gone only because the plans are not known.
func TestAPlanLeavesAndComesBack(t *testing.T) {
	for _, c := range []struct {
		name   string
		plans  []backup.Plan // while the plan is away
		write  bool
		missed int
		runs   int
	}{
		{"the plans are not known", nil, false, 9, 1},
		{"there is none any more", []backup.Plan{}, true, 0, 1},
		{"it has another name", []backup.Plan{{Name: "another", Targets: nightly().Targets, Schedule: nightly().Schedule}}, true, 0, 2},
	} {
		s := newHarness(t)
		s.runSchedule(nightly())
		s.now = begin.Add(time.Hour)
		away := func() (writes int) {
			t.Helper()
			s.storage.writes = 0
			if _, err := s.engine.Schedule(t.Context(), c.plans); err != nil {
				t.Fatal(err)
			}
			return s.storage.writes
		}
		first := away()
		for range 3 {
			if n := away(); n != 0 {
				t.Errorf("%s: %d writes of an idle timer run", c.name, n)
			}
		}
		s.now = s.now.Add(10 * time.Second)
		for s.now.Before(begin.Add(10*day + time.Hour)) {
			away()
			s.now = s.now.Add(2 * time.Hour)
		}
		report := s.runSchedule(append([]backup.Plan{nightly()}, c.plans...)...)
		if len(report.Created) != c.runs || len(report.Missed) != min(c.missed, 1) || c.missed > 0 && report.Missed[0].Count != c.missed {
			t.Errorf("%s: back again, the timer run did %+v, want %d runs and %d missed", c.name, report, c.runs, c.missed)
		}
		if c.write && first < 2 || !c.write && first != 1 { // the other is the note that the timer came
			t.Errorf("%s: %d writes", c.name, first)
		}
	}
}

// TestAPlanLeavesWhileTimerRunsDie lets each call fail of the timer run that sees a plan gone, and of the timer run that sees it
// again: it has its runs, and nothing was missed.
func TestAPlanLeavesWhileTimerRunsDie(t *testing.T) {
	for _, back := range []bool{false, true} {
		for _, made := range []bool{false, true} {
			for k := 1; ; k++ {
				s := newHarness(t)
				s.runSchedule(nightly())
				fail := func(plans ...backup.Plan) (reached bool) {
					s.storage.calls, s.storage.failAt, s.storage.made = 0, k, made
					_, _ = s.engine.Schedule(t.Context(), append([]backup.Plan{}, plans...))
					s.storage.failAt = 0
					return s.storage.calls >= k
				}
				s.now = begin.Add(time.Hour)
				reached := !back && fail()
				s.now = begin.Add(2 * time.Hour)
				if _, err := s.engine.Schedule(t.Context(), []backup.Plan{}); err != nil {
					t.Fatal(err)
				}
				s.now = begin.Add(5*day + time.Hour)
				if back {
					reached = fail(nightly())
				}
				if !reached {
					break
				}
				s.runSchedule(nightly())
				if s.rows("run-") != 1 || len(s.missedRuns()) != 0 {
					t.Errorf("call %d fails (back: %t, made: %t): %d runs, missed %+v", k, back, made, s.rows("run-"), s.missedRuns())
				}
			}
		}
	}
}
