package simulation

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/testing/memory"
)

// Options holds the options of a world.
type Options struct {
	// Days is the number of days that it lasts. Then nothing new happens, and all begun work must come to its end.
	Days int
	// ChoiceLog has the choices to replay. Without it the world draws from the seed.
	ChoiceLog ChoiceLog
	// Trace has the world write down what happens.
	Trace bool
	// EveryMinute delivers every run of the timers. Without it the host delivers only the timer runs at which something is due.
	EveryMinute bool
	// Calm lets nothing go wrong.
	Calm bool
}

// Result is the result of a world.
type Result struct {
	Seed    uint64
	Days    int
	Figures Figures
	// Violation is the first promise that was broken, nil if all were kept.
	Violation *Violation
	// ChoiceLog has the choices that were made.
	ChoiceLog ChoiceLog
	Trace     []Line
	// Digest is a digest of all rows that are left in the storage. Equal histories have equal digests.
	Digest string
}

// World is everything that the engine can see or touch, and the real state behind it.
type World struct {
	options      Options
	choices      *choices
	faultProfile faultProfile
	// weather is the strength of the fault profile today.
	weather         int
	start, now, end time.Time
	// ending says that the days are over, and that all begun work comes to its end. restless is the time at which there
	// was last something to do.
	ending   bool
	restless time.Time
	agenda   agenda

	catalog   *memory.Catalog
	queue     *memory.Queue
	manifests memory.Manifests
	services  []*service
	instances []*instance
	host      host
	// apps are the apps on the storage, one or two, with all instances. file is the plan.yaml of the one that owns the catalog.
	// eager is an app that takes over as soon as an operation is being started.
	apps     []*app
	file     *planFile
	eager    *app
	requests []*manual
	orders   []*order
	// meant has the message that first used the ID of a request for a restore, by the ID.
	meant map[string]string
	// concurrency is the limit for the operations of all plans under way at once, 0 without a limit.
	concurrency int
	// history is the age from which on rows are pruned, 0 for never.
	history time.Duration
	// present is the invocation that runs at present.
	present *invocation
	serial  int

	ledger    ledger
	figures   Figures
	trace     trace
	violation *Violation
	// free has the times since which a waiting restore could have a permit, by its row in the wait queue.
	free map[string]time.Time
	// copied counts the copies of messages that were made today.
	copied int
	// still counts the events since time last passed.
	still int
	// aside has the numbers of the writes that the digest does not count.
	aside []int
	// disturbed is the time at which something last went wrong, so that everything may take longer.
	disturbed time.Time
	// silent is the time until which the queues of events take nothing.
	silent time.Time
}

// mostTargets is the largest number of targets of a world.
const mostTargets = 3

const (
	day   = 24 * time.Hour
	month = 30 * day
)

// Run runs the world of a seed.
func Run(seed uint64, o Options) Result {
	w := newWorld(seed, o)
	w.live()
	if w.violation != nil {
		w.note(nil, "BROKEN: %s", w.violation)
	}
	return Result{
		Seed: seed, Days: o.Days, Figures: w.figures, Violation: w.violation, ChoiceLog: w.choices.choiceLog(), Trace: w.trace.lines,
		Digest: w.digest(),
	}
}

func newWorld(seed uint64, o Options) *World {
	w := &World{options: o, choices: newChoices(seed, o.ChoiceLog), trace: trace{on: o.Trace}}
	c := w.choices
	if !o.Calm {
		w.faultProfile = newFaultProfile(c)
	}
	// The world begins on any day of a year, so that the clocks of every zone change in some worlds.
	w.start = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC).AddDate(0, 0, c.pick(365))
	w.now = w.start
	w.end = w.start.AddDate(0, 0, o.Days)
	clock := func() time.Time { return w.now }
	w.catalog, w.queue = memory.NewCatalog(clock), memory.NewQueue(clock)
	w.ledger, w.meant, w.free = newLedger(), map[string]string{}, map[string]time.Time{}
	w.figures.Days = o.Days
	// A small world makes as many choices as a large one, so that it can become smaller and stay the same otherwise.
	services, instances := 1+c.pick(mostTargets), 1+c.pick(3)
	for i := range mostTargets {
		w.services = append(w.services, newService(w, i))
		w.instances = append(w.instances, newInstance(w, i))
	}
	w.services, w.instances = w.services[:services], w.instances[:instances]
	w.concurrency = oneOf(c, 0, 1, 2)
	w.drawHistory(seed)
	w.file = newPlanFile(w)
	w.host = host{w: w}
	newApps(w)
	shows := oneOf(c, false, false, true) // the last choice: the other worlds stay as they were
	for _, s := range w.services {
		s.shows = shows && s.behaviour.Type == "Microsoft.ApiManagement/service"
	}
	w.at(w.start, w.dayStart)
	return w
}

// live goes from each instant at which something can happen to the next.
func (w *World) live() {
	for w.violation == nil {
		at, what := w.next()
		switch {
		case !w.ending && !at.Before(w.end):
			w.advance(w.end)
			w.dusk()
			continue
		case w.ending && at.Sub(w.restless) > shortestEnd && w.unrest() == "":
			w.advance(w.restless.Add(shortestEnd))
			w.check(over{})
			w.stop()
			return
		case w.ending && at.After(w.end.Add(longestEnd)):
			w.violate("comes to rest", "%s after the last day there is still something to do: %s", longestEnd, w.unrest())
			continue
		}
		if at.After(w.now) {
			w.still = 0
		} else if w.still++; w.still > mostAtOnce {
			w.violate("comes to rest", "%d things happen without any time passing", w.still)
			continue
		}
		w.advance(at)
		what()
		w.choices.track = ofTheHost
		w.check(passed{})
		if w.ending && w.unrest() != "" {
			w.restless = w.now
		}
	}
	w.stop()
}

// mostAtOnce is more than the number of events that can rightly happen at one instant.
const mostAtOnce = 5000

// shortestEnd is the time for which the world goes on when nothing is left to do. In that time cleanup tries again,
// twice, to delete what it could not delete before, such as the newest point until the last run's end.
const shortestEnd = 13 * time.Hour

// longestEnd is the longest time in which everything may come to its end once nothing new happens: three starts that are
// lost one after the other, each looked for and waited for, and the work afterwards.
const longestEnd = 10 * day

// stop lets all invocations under way die, so that no goroutine stays behind.
func (w *World) stop() {
	for _, i := range w.instances {
		for _, v := range slices.Clone(i.running) {
			v.doomed = true
			v.next()
		}
	}
}

// occasion is something that happens at an instant.
type occasion struct {
	at   time.Time
	what func()
}

// agenda holds the occasions to come, in the order in which they were noted.
type agenda []occasion

func (w *World) at(t time.Time, what func())     { w.agenda = append(w.agenda, occasion{t, what}) }
func (w *World) in(d time.Duration, what func()) { w.at(w.now.Add(d), what) }

// next returns the next event, and its time. From several events at the same instant the world chooses one.
func (w *World) next() (time.Time, func()) {
	first := time.Time{}
	var ready []func()
	consider := func(at time.Time, what func()) {
		if at.Before(w.now) {
			at = w.now
		}
		if len(ready) == 0 || at.Before(first) {
			first, ready = at, append(ready[:0], what)
		} else if at.Equal(first) {
			ready = append(ready, what)
		}
	}
	for i, o := range w.agenda {
		consider(o.at, func() {
			w.agenda = slices.Delete(w.agenda, i, i+1)
			o.what()
		})
	}
	w.host.consider(consider)
	i := 0
	if len(ready) > 1 && w.weather > 0 {
		i = w.choices.pick(len(ready))
	}
	return first, ready[i]
}

func (w *World) advance(to time.Time) {
	if to.After(w.now) {
		w.now = to
	}
}

// dayStart begins a day: its choice log, its weather, and its events.
func (w *World) dayStart() {
	if w.ending {
		return
	}
	n := int(w.now.Sub(w.start) / day)
	w.choices.turn(n + 1)
	w.choices.track = ofTheDay
	w.weather, w.copied = w.faultProfile.weather(w.choices), 0
	if w.options.Calm {
		w.weather = 0
	}
	w.befall()
	w.order()
	w.meet()
	w.in(day, w.dayStart)
}

// dusk ends the last day: nothing new happens, all outages end, and no plan makes runs any more.
func (w *World) dusk() {
	w.ending, w.restless, w.choices.quiet, w.weather = true, w.end, true, 0
	w.disturb()
	w.host.down = time.Time{}
	w.host.late, w.silent = time.Time{}, time.Time{}
	w.host.stopped = ""
	w.changeStop(false, false)
	for _, s := range w.services {
		s.calm()
	}
	for _, i := range w.instances {
		i.offset, i.jump = 0, 0
	}
	for _, a := range w.apps {
		a.file.mend()
	}
	if a := w.visitor(); a != nil {
		w.goes(a)
	}
	w.note(nil, "the last day is over: no new runs, and nothing goes wrong any more")
}

// disturb notes that something went wrong.
func (w *World) disturb() { w.disturbed = w.now }

// unrest returns the work that is left to do, "" if none is.
func (w *World) unrest() string {
	for _, i := range w.instances {
		if len(i.running) > 0 {
			return "an invocation is under way"
		}
	}
	for _, name := range []string{executeQueue, restoreQueue, executeQueue + poison, restoreQueue + poison} {
		if n := len(w.queue.Messages(name)); n > 0 {
			return fmt.Sprintf("the queue %s has %d messages", name, n)
		}
	}
	if w.ledger.owner.inherits {
		return "runs are left to be taken over"
	}
	for _, r := range w.ledger.open {
		return fmt.Sprintf("%s is %s", r.name, r.run.State)
	}
	if n := len(w.ledger.outbox); n > 0 {
		return fmt.Sprintf("%d events are not sent", n)
	}
	if rows := w.rows("inflight", 1); len(rows) > 0 {
		return "the index of runs in flight has the entry " + rows[0].Row
	}
	return ""
}

// rows returns the first rows of a partition.
func (w *World) rows(partition string, n int) []backup.Row {
	rows, _, err := w.catalog.List(context.Background(), partition, "", "~", n)
	if err != nil {
		panic(err) // the catalog itself never fails
	}
	return rows
}

// newID makes the IDs of the world, which are the same in every replay.
func (w *World) newID() string {
	w.serial++
	return fmt.Sprintf("id%d", w.serial)
}

// digest returns a digest of all rows but the timers' notes and the count of the recovery points. It counts the ETags as if no note had been written, and none of health's
// facts: how many transactions these take depends on the minutes at which timer runs come. The members of a row are sorted, so that the
// order of a type's fields does not matter.
func (w *World) digest() string {
	sum := sha256.New()
	for _, r := range w.catalog.Rows() {
		switch n := written(r.ETag); {
		case isNote(r.Row), isCount(r.Row):
		case isFacts(r.Row), r.Partition == "plan": // a text is kept at once, or a minute later if its process had it before
			fmt.Fprintln(sum, r.Partition, r.Row, sorted(r.Body))
		default:
			aside, _ := slices.BinarySearch(w.aside, n)
			fmt.Fprintln(sum, r.Partition, r.Row, n-aside, sorted(r.Body))
		}
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}

// sorted returns the body with the members of every object in the order of their names, and its numbers as they are
// written.
func sorted(body []byte) string {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		panic(fmt.Sprintf("a row is no JSON: %v", err)) // the engine wrote it
	}
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // it was JSON
	}
	return string(text)
}

// isFacts reports whether a row has the facts about a target, or is its mark.
func isFacts(row string) bool {
	return strings.HasPrefix(row, "target-") || strings.HasPrefix(row, "evaluate-")
}

// notesFacts reports whether a write only notes that the targets of a plan have their facts: an evaluation puts the row, and replaces none.
func notesFacts(w backup.Write) bool {
	return w.Op == backup.Replace && strings.HasPrefix(w.Row, "evaluated-")
}

// isNote reports whether a row is a note by which a timer shows that it runs.
func isNote(row string) bool { return strings.HasPrefix(row, "last-run-") }

// isCount reports whether a row says how many recovery points there are.
func isCount(row string) bool { return row == "last-count" }

// written returns the number of the write in an ETag of the catalog in memory.
func written(etag string) (n int) {
	if _, err := fmt.Sscanf(etag, `W/"%d"`, &n); err != nil {
		panic(err)
	}
	return n
}
