package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
	"lifeboat/internal/request"
	"lifeboat/internal/schedule"
	"lifeboat/internal/services"
	"lifeboat/internal/testing/memory"
)

// known lists the services that Lifeboat backs up.
var known = services.All().Known()

const (
	target = "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/rg/providers/" +
		"Microsoft.ApiManagement/service/contoso"
	account = "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/rg/providers/" +
		"Microsoft.Storage/storageAccounts/contosobackups"
)

var (
	begin     = time.Date(2026, 1, 15, 2, 30, 0, 0, time.UTC)
	errBroken = errors.New("the connection broke")
)

// harness is the real engine on storage in memory, with a clock that only the test moves and a service that the test controls.
type harness struct {
	t         *testing.T
	now       time.Time
	storage   *storage
	provider  *fakeProvider
	engine    *engine.Engine
	manifests memory.Manifests
	ids       int
	idsMu     sync.Mutex
}

func newHarness(t *testing.T) *harness {
	t.Helper()
	s := &harness{t: t, now: begin}
	clock := func() time.Time { return s.now }
	s.storage = &storage{catalog: memory.NewCatalog(clock), queue: memory.NewQueue(clock)}
	s.provider = &fakeProvider{stage: s}
	s.engine = &engine.Engine{
		Catalog: s.storage, Queue: s.storage, Manifests: &s.manifests, App: "contoso-app", Timings: engine.DefaultTimings(), Zone: time.LoadLocation, Now: clock,
		Services: known, Providers: map[string]backup.Provider{"microsoft.apimanagement/service": s.provider},
		NewID: func() string {
			s.idsMu.Lock()
			defer s.idsMu.Unlock()
			s.ids++
			return fmt.Sprintf("id%d", s.ids)
		},
	}
	return s
}

// storage counts the calls to the catalog and the queues, and makes one of them fail.
type storage struct {
	catalog *memory.Catalog
	queue   *memory.Queue
	mu      sync.Mutex // guards the counts: several targets are read, or made, at once
	calls   int
	writes  int
	// failAt is the number of the call that fails, counted from 1; made says whether it takes effect all the same.
	failAt int
	made   bool
	// fatal tells that the call kills its caller instead of failing.
	fatal bool
	// silent tells that events cannot be published.
	silent bool
	// before is called before each call takes effect, with its number.
	before func(call int)
	// partitions are the partitions that were listed.
	partitions []string
	// listed gets the result of each listing.
	listed func(rows []backup.Row)
}

// next counts a call, and says whether it fails.
func (s *storage) next(write bool) (fails bool) {
	s.mu.Lock()
	s.calls++
	if write {
		s.writes++
	}
	call := s.calls
	s.mu.Unlock()
	if s.before != nil {
		s.before(call)
	}
	return call == s.failAt
}

// dead is thrown when a process dies.
type dead struct{}

// broken is the answer of a call that fails, if its caller lives to see it.
func (s *storage) broken() error {
	if s.fatal {
		panic(dead{})
	}
	return errBroken
}

func (s *storage) Get(ctx context.Context, key backup.Key) (backup.Row, time.Time, error) {
	if s.next(false) {
		return backup.Row{}, time.Time{}, s.broken()
	}
	return s.catalog.Get(ctx, key)
}

func (s *storage) List(ctx context.Context, partition, from, to string, limit int) ([]backup.Row, time.Time, error) {
	if s.next(false) {
		return nil, time.Time{}, s.broken()
	}
	s.mu.Lock()
	s.partitions = append(s.partitions, partition)
	s.mu.Unlock()
	rows, now, err := s.catalog.List(ctx, partition, from, to, limit)
	if s.listed != nil {
		s.listed(rows)
	}
	return rows, now, err
}

func (s *storage) Count(ctx context.Context, partition, from, to string, limit int) (int, error) {
	if s.next(false) {
		return 0, s.broken()
	}
	return s.catalog.Count(ctx, partition, from, to, limit)
}

func (s *storage) Apply(ctx context.Context, writes ...backup.Write) ([]string, error) {
	if s.next(true) {
		if s.made {
			_, _ = s.catalog.Apply(ctx, writes...)
		}
		return nil, s.broken()
	}
	return s.catalog.Apply(ctx, writes...)
}

func (s *storage) SendStep(ctx context.Context, w backup.StepMessage, delay time.Duration) error {
	if s.next(true) {
		if s.made {
			_ = s.queue.SendStep(ctx, w, delay)
		}
		return s.broken()
	}
	return s.queue.SendStep(ctx, w, delay)
}

func (s *storage) Requeue(ctx context.Context, queue string, message []byte, delay time.Duration) error {
	if s.next(true) {
		if s.made {
			_ = s.queue.Requeue(ctx, queue, message, delay)
		}
		return s.broken()
	}
	return s.queue.Requeue(ctx, queue, message, delay)
}

func (s *storage) Publish(ctx context.Context, e backup.Event) error {
	if s.next(true) || s.silent {
		if s.made {
			_ = s.queue.Publish(ctx, e)
		}
		return s.broken()
	}
	return s.queue.Publish(ctx, e)
}

// fakeProvider is the service. A function that the test leaves nil goes well.
type fakeProvider struct {
	stage   *harness
	ready   func(a backup.Attempt) error
	makes   func(a backup.Attempt) error
	begin   func(a backup.Attempt) (backup.Operation, error)
	prepare func(token string) (backup.Operation, error)
	poll    func(a backup.Attempt) (backup.Operation, error)
	find    func(a backup.Attempt) (string, error)
	hash    func(a backup.Attempt, h backup.Hashing) (backup.Verification, error)
	prove   func(token string) (backup.Operation, error)
	delete  func(a backup.Attempt, extras bool) error
	// begun are the names of the requested artifacts, deleted are the names of the deleted ones.
	begun, deleted []string
	// etag is the ETag of the last deletion.
	etag         string
	polls, looks int
	// counting guards looks: a check looks at several services at once.
	counting sync.Mutex
	prepared int
	// hangs tells that no answer comes before the caller's time is over.
	hangs bool
}

// wait blocks the call if the provider hangs.
func (s *fakeProvider) wait(ctx context.Context) error {
	if !s.hangs {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

func (s *fakeProvider) Preflight(ctx context.Context, a backup.Attempt) error {
	if _, ok := ctx.Deadline(); !ok {
		s.stage.t.Error("Preflight has no deadline")
	}
	s.counting.Lock()
	s.looks++
	s.counting.Unlock()
	if s.ready == nil {
		return nil
	}
	return s.ready(a)
}

func (s *fakeProvider) Prepare(ctx context.Context, a backup.Attempt, token string) (backup.Operation, error) {
	if _, ok := ctx.Deadline(); !ok || s.looks == 0 {
		s.stage.t.Errorf("Prepare after %d looks, with a deadline: %t", s.looks, ok)
	}
	s.prepared++
	if s.makes != nil {
		if err := s.makes(a); err != nil {
			return backup.Operation{}, err
		}
	}
	if s.prepare == nil {
		return backup.Operation{Done: true}, nil
	}
	return s.prepare(token)
}

func (s *fakeProvider) Begin(ctx context.Context, a backup.Attempt) (backup.Operation, error) {
	if _, ok := ctx.Deadline(); !ok {
		s.stage.t.Error("Begin has no deadline")
	}
	s.begun = append(s.begun, a.Artifact)
	if s.begin == nil {
		return backup.Operation{Token: "token"}, nil
	}
	return s.begin(a)
}

func (s *fakeProvider) Poll(ctx context.Context, a backup.Attempt, token string) (backup.Operation, error) {
	s.polls++
	if err := s.wait(ctx); err != nil {
		return backup.Operation{}, err
	}
	if token != "token" {
		s.stage.t.Errorf("polled with the token %q", token)
	}
	if s.poll == nil {
		return backup.Operation{Done: true}, nil
	}
	return s.poll(a)
}

func (s *fakeProvider) Find(ctx context.Context, a backup.Attempt) (string, error) {
	if err := s.wait(ctx); err != nil {
		return "", err
	}
	if s.find == nil {
		return "", nil
	}
	return s.find(a)
}

func (s *fakeProvider) Hash(ctx context.Context, a backup.Attempt, h backup.Hashing) (backup.Verification, error) {
	if err := s.wait(ctx); err != nil {
		return backup.Verification{}, err
	}
	if s.hash == nil {
		return backup.Verification{
			Done: true, Hashing: backup.Hashing{ETag: "etag"}, Size: 7, SHA256: "beef", Modified: s.stage.now,
		}, nil
	}
	return s.hash(a, h)
}

func (s *fakeProvider) Prove(ctx context.Context, _ backup.Attempt, token string) (backup.Operation, error) {
	if err := s.wait(ctx); err != nil {
		return backup.Operation{}, err
	}
	if s.prove == nil {
		return backup.Operation{Done: true}, nil
	}
	return s.prove(token)
}

func (s *fakeProvider) Delete(_ context.Context, a backup.Attempt, etag string, extras bool) error {
	s.etag = etag
	if s.delete != nil {
		if err := s.delete(a, extras); err != nil {
			return err
		}
	}
	if extras {
		s.deleted = append(s.deleted, "all but "+a.Artifact)
	} else {
		s.deleted = append(s.deleted, a.Artifact)
	}
	return nil
}

func nightly() backup.Plan {
	return backup.Plan{
		Name: "nightly", Targets: []string{target}, Schedule: daily(time.UTC, 2, 30),
		Settings: backup.Settings{
			Storage:    backup.Storage{Account: account, Container: "lifeboat"},
			KeepWithin: 30 * 24 * time.Hour,
		},
	}
}

// backup asks for a backup of the target under the plan.
func (s *harness) backup(id string, plan backup.Plan, target string) (backup.Run, error) {
	if !plan.Has(target) {
		plan.Targets = append(slices.Clone(plan.Targets), target)
	}
	b, _, err := s.engine.Backup(s.t.Context(), request.Backup{ID: id, Plan: plan.Name, Target: target}, []backup.Plan{plan})
	if err != nil {
		return backup.Run{}, err
	}
	if b.Refused != nil {
		s.t.Fatalf("%+v", b.Refused)
	}
	return b.Runs[0], nil
}

// ask asks for a manual backup.
func (s *harness) ask(id string) backup.Run {
	s.t.Helper()
	run, err := s.backup(id, nightly(), target)
	if err != nil {
		s.t.Fatal(err)
	}
	return run
}

// run returns the run as it is.
func (s *harness) run(id string) backup.Run { return s.status(id).Run }

func (s *harness) status(id string) engine.Status {
	s.t.Helper()
	found, _, err := s.engine.Status(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	return found
}

// redelivery is the time after which the message of a failed invocation comes back.
const redelivery = 30 * time.Second

// deliver hands the messages that are visible to the engine, as the host does.
func (s *harness) deliver() (outcomes []engine.Outcome) {
	s.t.Helper()
	for _, m := range s.storage.queue.Receive("execute", 32, redelivery) {
		s.ids++
		out, err := s.execute(fmt.Sprintf("invocation%d", s.ids), m.Body)
		outcomes = append(outcomes, out)
		if err != nil {
			if !errors.Is(err, errBroken) {
				s.t.Errorf("the invocation failed: %v", err)
			}
			continue
		}
		if err := s.storage.queue.Delete("execute", m.ID, m.Receipt); err != nil {
			s.t.Errorf("the message cannot be deleted: %v", err)
		}
	}
	return outcomes
}

// execute hands one message to the engine. That may kill the process.
func (s *harness) execute(invocation string, message []byte) (out engine.Outcome, err error) {
	defer func() {
		if p := recover(); p != nil {
			if _, ok := p.(dead); !ok {
				panic(p)
			}
			err = errBroken
		}
	}()
	return s.engine.Execute(s.t.Context(), invocation, message)
}

// dies makes a call, and tells whether the process was killed in it; a panic of any other kind goes on.
func (s *harness) dies(call func()) (died bool) {
	defer func() {
		p := recover()
		if _, died = p.(dead); p != nil && !died {
			panic(p)
		}
	}()
	call()
	return false
}

// put writes the row of a recovery point.
func (s *harness) put(p backup.Point) {
	s.t.Helper()
	body, err := json.Marshal(p)
	if err != nil {
		s.t.Fatal(err)
	}
	key := backup.Key{Partition: p.ID[:16], Row: "point-" + p.ID[17:]}
	if _, err := s.storage.catalog.Apply(s.t.Context(), backup.Write{Op: backup.Put, Key: key, Body: body}); err != nil {
		s.t.Fatal(err)
	}
}

// step goes on to the next message and delivers it. It is false if there is none.
func (s *harness) step() bool {
	s.t.Helper()
	messages := s.storage.queue.Messages("execute")
	if len(messages) == 0 {
		return false
	}
	first := messages[0].Visible
	for _, m := range messages {
		if m.Visible.Before(first) {
			first = m.Visible
		}
	}
	if first.After(s.now) {
		s.now = first
	}
	s.deliver()
	return true
}

// finish goes on until there is no message any more.
func (s *harness) finish() {
	s.t.Helper()
	for range 2000 {
		if !s.step() {
			return
		}
	}
	s.t.Fatal("the messages never end")
}

// runSchedule run runs the timer once.
func (s *harness) runSchedule(plans ...backup.Plan) engine.ScheduleReport {
	s.t.Helper()
	report, err := s.engine.Schedule(s.t.Context(), plans)
	if err != nil {
		s.t.Fatal(err)
	}
	return report
}

// ended checks how the run ended: its state, the code of its reason, one event with a stable ID, no lock, no messages.
func (s *harness) ended(id string, state backup.State, code string) backup.Run {
	s.t.Helper()
	run := s.run(id)
	if run.State != state || run.Reason.Code != code {
		s.t.Errorf("the run is %s (%+v), want %s (%s)", run.State, run.Reason, state, code)
	}
	if run.Unpublished || run.Ended.IsZero() || run.Token != "" || run.Owner != "" {
		s.t.Errorf("the run has loose ends: %+v", run)
	}
	var events []string
	for _, e := range s.storage.queue.Events() {
		if strings.HasPrefix(e.ID, id) {
			events = append(events, e.Type+" "+e.ID)
		}
	}
	if want := fmt.Sprintf("lifeboat.run.%s %s.%s", state, id, state); len(events) != 1 || events[0] != want {
		s.t.Errorf("events %q, want %q once", events, want)
	}
	if row, ok := s.lock(); ok {
		s.t.Errorf("the lock is still there: %s", row.Body)
	}
	if left := s.storage.queue.Messages("execute"); len(left) > 0 {
		s.t.Errorf("%d messages are left", len(left))
	}
	return run
}

// lock returns the target's lock row.
func (s *harness) lock() (backup.Row, bool) {
	for _, row := range s.storage.catalog.Rows() {
		if row.Row == "lock" {
			return row, true
		}
	}
	return backup.Row{}, false
}

// rows counts the catalog's rows whose partition or row key begins with the prefix.
func (s *harness) rows(prefix string) (n int) {
	for _, row := range s.storage.catalog.Rows() {
		if strings.HasPrefix(row.Partition, prefix) || strings.HasPrefix(row.Row, prefix) {
			n++
		}
	}
	return n
}

// missedRuns returns the rows about missed scheduled times.
func (s *harness) missedRuns() (missedRuns []schedule.MissedRuns) {
	s.t.Helper()
	for _, row := range s.storage.catalog.Rows() {
		if strings.HasPrefix(row.Row, "schedule-missed-") {
			var g schedule.MissedRuns
			if err := json.Unmarshal(row.Body, &g); err != nil {
				s.t.Fatal(err)
			}
			missedRuns = append(missedRuns, g)
		}
	}
	return missedRuns
}

// oneMissedRuns checks that one missed period was noted, and published at least once, always under the same ID.
func (s *harness) oneMissedRuns(count int, first, last time.Time, why string) {
	s.t.Helper()
	missedRuns := s.missedRuns()
	if len(missedRuns) != 1 {
		s.t.Errorf("%d missed periods, want one: %+v", len(missedRuns), missedRuns)
		return
	}
	g := missedRuns[0]
	if g.Count != count || !g.First.Equal(first) || !g.Last.Equal(last) || !strings.Contains(g.Why, why) {
		s.t.Errorf("the missed period is %+v, want %d scheduled times from %s to %s: %s", g, count, first, last, why)
	}
	ids := map[string]string{}
	for _, e := range s.storage.queue.Events() {
		if e.Type == "lifeboat.schedule.missed" {
			ids[e.ID] = string(e.Data)
		}
	}
	data := ids["missed-"+g.Plan+"."+first.UTC().Format("20060102T150405Z")]
	if len(ids) != 1 || !strings.Contains(data, fmt.Sprintf(`"count":%d`, count)) || !strings.Contains(data, why) {
		s.t.Errorf("told: %q", ids)
	}
}
