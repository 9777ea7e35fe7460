package engine

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/checkpoint"
	"lifeboat/internal/health"
	"lifeboat/internal/schedule"
)

// model explores every order in which the real engine's outside calls can happen, with every accident that the budget
// allows.
type model struct {
	// handlers and rescuers bound the number of invocations that run at once.
	handlers, rescuers int
	left               budget
	// reach is the number of next instants that a delay can go on to; 5 if 0.
	reach int
	// takes is the duration of the service's operation; mayFail: it can also fail.
	takes   seconds
	mayFail bool
	// second says that there is a second run of the same target.
	second bool
	// scheduled says that runs create the runs from the plan. Otherwise they are there from the beginning.
	scheduled bool
	// missed is the number of scheduled times without a timer run, before the one that is due.
	missed int
	// superseded is the time at which the first run's next scheduled time comes due, if not 0.
	superseded seconds
	// until is the end of the window of the first run, if not 0.
	until  seconds
	mutant mutant

	runs        []string
	plans       []backup.Plan
	waits       Timings
	retryWindow time.Duration
	tracing     bool
	buffer      []byte
	running     []*replay
	written     map[rowContent]*row

	// These fields count the results.
	starts, again int
	ends          map[backup.State]int
}

// violation is thrown if something does not hold.
type violation struct{ what string }

func (m *model) fail(format string, args ...any) { panic(violation{fmt.Sprintf(format, args...)}) }

const modelTarget = "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/rg/providers/" +
	"Microsoft.ApiManagement/service/contoso"

// first makes the world from which the exploration starts.
func (m *model) first() *world {
	m.ends, m.runs, m.plans, m.written = map[backup.State]int{}, nil, nil, map[rowContent]*row{}
	m.reach = cmp.Or(m.reach, 5)
	m.retryWindow = 120 * time.Second
	// The waits are flat, so that the age of things makes no difference to any delay.
	m.waits = Timings{
		Poll: 30 * time.Second, PollMax: 30 * time.Second,
		Lease: 60 * time.Second, LeaseMargin: 20 * time.Second,
		Look: 30 * time.Second, LookMax: 30 * time.Second, RetryWindow: m.retryWindow,
		PutBack: 20 * time.Second, Busy: 30 * time.Second,
		Rescue: 60 * time.Second, Overdue: 30 * time.Second,
		Operation: 24 * time.Hour, Recheck: time.Hour,
	}
	if m.mutant == impatient {
		m.waits.RetryWindow = 0
	}
	w := &world{left: m.left}
	if m.scheduled {
		m.schedule(w)
		return w
	}
	count := 1
	if m.second {
		count = 2
	}
	for i := range count {
		run := backup.Run{
			ID: backup.NewRunID(modelTarget, epoch, fmt.Sprint("run ", i)), State: backup.Queued, Target: modelTarget, Created: epoch,
			Sequence: 1, Nonce: fmt.Sprint("first", i), Due: epoch,
		}
		if i == 0 && m.superseded != 0 {
			run.NextScheduledTime = m.instant(m.superseded)
		}
		if i == 0 && m.until != 0 {
			run.Until = m.instant(m.until)
		}
		m.runs = append(m.runs, run.ID)
		at := epoch.Add(m.waits.Rescue)
		if _, err := m.apply(w, []backup.Write{
			{Op: backup.Insert, Key: run.Key(), Body: backup.Encode(run)},
			{
				Op: backup.Insert, Key: backup.InflightKey(at, run.ID, run.Nonce),
				Body: backup.Encode(inflight{Run: run.ID, Created: epoch}),
			},
		}); err != nil {
			panic(err)
		}
		w.send(run.StepMessage(), 0)
	}
	return w
}

// schedule lets two timer runs at once find a scheduled time that is due.
func (m *model) schedule(w *world) {
	m.plans = []backup.Plan{{
		Name: "nightly", Targets: []string{modelTarget},
		Schedule: schedule.Schedule{
			Second: 1, Minute: 1 << 30, Hour: 1 << 2, Day: 1<<32 - 2, Month: 1<<13 - 2, Weekday: 1<<7 - 1, Zone: time.UTC,
		},
	}}
	m.runs = []string{backup.NewRunID(modelTarget, epoch, "plan nightly")}
	if _, err := m.apply(w, []backup.Write{{
		Op: backup.Insert, Key: backup.Key{Partition: backup.SchedulePartition, Row: "plan-nightly"},
		Body: backup.Encode(checkpoint.Checkpoint{Plan: "nightly", At: epoch.Add(-time.Hour).AddDate(0, 0, -m.missed)}),
	}, {
		// Nothing is to be evaluated: that changes nothing of a run, and has tests of its own.
		Op: backup.Insert, Key: backup.Key{Partition: backup.SchedulePartition, Row: "evaluated-nightly"},
		Body: backup.Encode(health.Evaluation{Plan: "nightly", At: epoch}),
	}}); err != nil {
		panic(err)
	}
}

// explored is the result of an exploration.
type explored struct {
	states, transitions, terminal int
	violation                     string
	trace                         []string
}

// node is a world that was seen, with the action that led to it first.
type node struct{ parent, turn int32 }

// explore visits all worlds, in the order of the number of actions, so that a trace is as short as can be. It stops at the first
// violation, and checks at the end that without further accidents nothing goes round in circles.
func (m *model) explore(limit int) (found explored) {
	start := m.first()
	seen := map[[16]byte]int32{m.key(start): 0}
	nodes := []node{{-1, 0}}
	type waiting struct {
		w  *world
		at int32
	}
	queue := []waiting{{start, 0}}
	var edges [][2]int32
	at := int32(0)
	defer m.stop()
	defer func() {
		found.states = len(nodes)
		if p := recover(); p != nil {
			v, ok := p.(violation)
			if !ok {
				panic(p)
			}
			found.violation, found.trace = v.what, m.trace(nodes, at)
		}
	}()
	for len(queue) > 0 {
		next := queue[0]
		queue[0] = waiting{}
		queue = queue[1:]
		at = next.at
		turn := int32(0)
		m.expand(next.w, func(w *world, free bool, _ string) {
			found.transitions++
			w.prune()
			k := m.key(w)
			id, known := seen[k]
			if !known {
				if len(nodes) == limit {
					panic(fmt.Sprintf("more than %d states", limit))
				}
				id = int32(len(nodes))
				seen[k] = id
				nodes = append(nodes, node{next.at, turn})
				queue = append(queue, waiting{w, id})
			}
			if free {
				edges = append(edges, [2]int32{next.at, id})
			}
			turn++
		})
		if turn == 0 {
			found.terminal++
			m.checkEnd(next.w)
		}
	}
	if circle := inCircle(len(nodes), edges); circle >= 0 {
		at = circle
		m.fail("a circle: from here it goes on for ever")
	}
	return found
}

// inCircle returns a node on or behind a circle of the edges, -1 if there is none: it removes the nodes without a way in, until
// no node is left or none can be removed.
func inCircle(nodes int, edges [][2]int32) int32 {
	ways := make([]int32, nodes)
	first := make([]int32, nodes+1)
	for _, e := range edges {
		ways[e[1]]++
		first[e[0]+1]++
	}
	for i := range nodes {
		first[i+1] += first[i]
	}
	to := make([]int32, len(edges))
	fill := append([]int32(nil), first[:nodes]...)
	for _, e := range edges {
		to[fill[e[0]]] = e[1]
		fill[e[0]]++
	}
	var free []int32
	for i := range nodes {
		if ways[i] == 0 {
			free = append(free, int32(i))
		}
	}
	for len(free) > 0 {
		n := free[len(free)-1]
		free = free[:len(free)-1]
		for _, t := range to[first[n]:first[n+1]] {
			if ways[t]--; ways[t] == 0 {
				free = append(free, t)
			}
		}
	}
	for i := range nodes {
		if ways[i] > 0 {
			return int32(i)
		}
	}
	return -1
}

// trace walks the way to a node again, and describes it.
func (m *model) trace(nodes []node, to int32) []string {
	var turns []int32
	for n := to; n > 0; n = nodes[n].parent {
		turns = append(turns, nodes[n].turn)
	}
	m.tracing = true
	defer func() { m.tracing = false }()
	w := m.first()
	var told []string
	for i := len(turns) - 1; i >= 0; i-- {
		turn := int32(0)
		var chosen *world
		m.expand(w, func(next *world, _ bool, what string) {
			if turn == turns[i] {
				next.prune()
				chosen = next
				told = append(told, fmt.Sprintf("%4d s  %s", w.now, strings.TrimSpace(what)))
			}
			turn++
		})
		w = chosen
	}
	return told
}
