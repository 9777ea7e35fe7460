package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azqueue/v2/queueerror"
	"github.com/google/uuid"

	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/fakehost"
	"lifeboat/internal/testing/figures"
	"lifeboat/internal/testing/realhost"
	"lifeboat/internal/testing/stack"
)

// instant is a time at which the storm kills the program.
type instant struct {
	// due is the number of backups that have been requested by then.
	due int
	// requests is the number of requests that the program still makes, and later the time after the last of them at which it
	// dies.
	requests int
	later    time.Duration
	// start says that it dies at the start of a backup: before the request, so that Azure does not receive it, or after it, so
	// that the answer is lost.
	start bool
	phase fakeazure.Phase
}

// instants draws the times for so many backups: two of three at any time, the rest with a start.
func instants(random *rand.Rand, kills, backups int) []instant {
	drawn := make([]instant, kills)
	for i := range drawn {
		drawn[i] = instant{
			due: 1 + i*backups/kills, requests: 1 + random.IntN(60), later: time.Duration(random.IntN(50)) * time.Millisecond, phase: fakeazure.Before,
		}
		if chance := random.IntN(6); chance < 2 {
			drawn[i].start, drawn[i].requests = true, 1
			if chance == 1 {
				drawn[i].phase = fakeazure.After
			}
		}
	}
	return drawn
}

// crashStorm is an app whose program is killed again and again while it backs up many targets at once.
type crashStorm struct {
	*app
	container string
	targets   []string
	seed      uint64

	asked, killed, starts atomic.Int64
	hosts                 atomic.Int64 // counts killed hosts, not only the program under them
	armed                 atomic.Pointer[instant]
	left                  atomic.Int64 // counts the requests until the armed instant
	dead                  atomic.Int64 // the last killed process
	ended                 atomic.Bool  // all backups have ended, so that no more starts come

	mu   sync.Mutex
	runs []string
	said []string // by host and program
}

// TestCrashStorm backs up targets of all services in parallel, one backup after the other of each. Meanwhile it kills the
// program with SIGKILL again and again: at any time, and directly before and after starts. At the end every run has succeeded
// by one start that reached Azure, each recovery point has its own artifact, storage holds these and no other, and nothing
// else is left. LIFEBOAT_CRASH_STORM is the number of backups, with a kill for each four. LIFEBOAT_SEED repeats the requests
// and the times of the kills; the machine decides what the processes are doing then.
func TestCrashStorm(t *testing.T) {
	t.Parallel()
	backups, each, seed := 18, 1, uint64(1)
	if asked, err := strconv.Atoi(os.Getenv("LIFEBOAT_CRASH_STORM")); err == nil {
		backups, each, seed = asked, 4, rand.Uint64()>>32
	}
	if text := os.Getenv("LIFEBOAT_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("LIFEBOAT_SEED: %v", err)
		}
	}
	fmt.Printf("# crash storm with LIFEBOAT_SEED=%d\n", seed)
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(backups)*5*time.Second+3*time.Minute)
	defer cancel()
	s := newCrashStorm(t, seed, each, new(atomic.Int64))
	if os.Getenv(packaged) != "" {
		s.lenient()
	}
	random := rand.New(rand.NewPCG(seed, 0))
	kills := instants(random, backups/4, backups)
	begun := time.Now()
	var killer, wait sync.WaitGroup
	killer.Go(func() { s.kill(ctx, kills) })
	for i, target := range s.targets {
		share := (backups + len(s.targets) - 1 - i) / len(s.targets)
		wait.Go(func() { s.backUp(ctx, target, share, rand.New(rand.NewPCG(seed, uint64(i)+1))) })
	}
	wait.Wait()
	s.ended.Store(true)
	killer.Wait()
	s.evaluate(ctx, backups, begun)
}

// newCrashStorm returns a storm with targets of all services: of five kinds, three or four times each, or once. It counts the
// timer runs of the schedule.
func newCrashStorm(t *testing.T, seed uint64, each int, fired *atomic.Int64) *crashStorm {
	s := &crashStorm{seed: seed, container: "storm-" + uuid.NewString()}
	first := newServices(t, 1)[0]
	s.app = newApp(t, stack.AppConfig{
		Plan: planFor(yearly, "1d", first), ScheduleTimer: "* * * * * *",
		Settings: map[string]string{"LIFEBOAT_CONCURRENCY": "12"}, // so that with 17 targets some runs wait
		Log:      timers(fired, s.hear),
	})
	var plain, signed []string
	for i := range each {
		service := first
		if i > 0 {
			service = newServices(t, 1)[0]
		}
		if i%2 == 1 {
			tune(t, service, func(k *fakeazure.Options) { k.Trace = fakeazure.TraceVisible })
		}
		plain = append(plain, stack.Service(service), newHSM(t, s.app), newLedger(t, s.app, stack.CCF, (*stack.Stack).AddCCF))
		if i < 3 {
			plain = append(plain, newLedger(t, s.app, stack.Ledger, (*stack.Stack).AddLedger))
		}
		if i%2 == 0 {
			signed = append(signed, newHSM(t, s.app))
		}
	}
	s.targets = slices.Concat(plain, signed)
	one, two := planOf(yearly, "1d", plain...), planOf(yearly, "1d", signed...)
	text := one + strings.Replace(two[strings.Index(two, "  - name: test"):], "name: test", "name: signed", 1) + "    hsm: {access: sas}\n"
	if err := s.edit(strings.ReplaceAll(text, "container: "+stack.Container, "container: "+s.container)); err != nil {
		t.Fatal(err)
	}
	intercept(t, s.ObjectID, s.meet)
	return s
}

// lenient makes HSMs accept any proof of a backup, not only a proof from the last 30 minutes. Here these are 15 seconds, and a
// host needs longer to restart.
func (s *crashStorm) lenient() {
	s.t.Helper()
	for _, target := range s.targets {
		if strings.Contains(target, "/managedHSMs/") {
			tuneHSM(s.t, target, func(k *fakeazure.HSMOptions) { k.BackupFirst = fakeazure.BackupUnchecked })
		}
	}
}

// hear keeps the log of hosts and the program.
func (s *crashStorm) hear(e fakehost.Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said = append(s.said, e.String())
}

// backUp backs the target up so many times, one backup after the other.
func (s *crashStorm) backUp(ctx context.Context, target string, times int, random *rand.Rand) {
	for n := range times {
		s.asked.Add(1)
		id, err := s.backupOf(ctx, target, fmt.Sprintf("storm-%d-%s-%d", s.seed, path.Base(target), n))
		if err != nil {
			s.t.Errorf("backup %d of %s: %v", n, target, err)
			return
		}
		s.mu.Lock()
		s.runs = append(s.runs, id)
		s.mu.Unlock()
		if status, err := s.await(ctx, id); err != nil {
			s.t.Errorf("%v: %+v%s", err, status.Run.Reason, s.about(id))
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(random.IntN(1500)) * time.Millisecond):
		}
	}
}

// kill arms one instant after the other, and waits until the program has died at it.
func (s *crashStorm) kill(ctx context.Context, instants []instant) {
	for i, at := range instants {
		for s.asked.Load() < int64(at.due) && ctx.Err() == nil {
			pause(ctx)
		}
		s.left.Store(int64(at.requests))
		s.armed.Store(&at)
		for s.killed.Load() == int64(i) && ctx.Err() == nil {
			pause(ctx)
		}
		// A host in its own process dies too, twice.
		if host, ok := s.Host.(*realhost.Host); ok && (i == 4 || i == 9) {
			if err := syscall.Kill(host.HostPID(), syscall.SIGKILL); err != nil {
				s.t.Errorf("kill the host: %v", err)
			}
			s.hosts.Add(1)
		}
		if n := i + 1; n%10 == 0 {
			fmt.Printf("# %d kills, %d backups asked for\n", n, s.asked.Load())
		}
	}
}

// starting tells whether the request starts a backup.
func starting(e fakeazure.Exchange) bool {
	p := strings.ToLower(e.Path)
	return e.Method == "POST" && (strings.HasSuffix(p, "/backup") || strings.HasSuffix(p, "/filesexport"))
}

// meet is called before and after each of the program's requests.
func (s *crashStorm) meet(e fakeazure.Exchange) fakeazure.Decision {
	at := s.armed.Load()
	// This is a late request of a process that died.
	if pid := int64(s.PID()); at == nil || at.start && !starting(e) && !s.ended.Load() || e.Phase != at.phase || pid == 0 || pid == s.dead.Load() ||
		s.left.Add(-1) > 0 || !s.armed.CompareAndSwap(at, nil) {
		return fakeazure.Pass
	}
	if at.start {
		if starting(e) {
			s.starts.Add(1)
		}
		s.strike()
		return fakeazure.Drop
	}
	time.AfterFunc(at.later, s.strike)
	return fakeazure.Pass
}

// strike kills the current process of the program.
func (s *crashStorm) strike() {
	pid := s.PID()
	if pid == 0 {
		time.AfterFunc(10*time.Millisecond, s.strike) // it died by itself
		return
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		s.t.Errorf("kill %d: %v", pid, err)
	}
	s.dead.Store(int64(pid))
	s.killed.Add(1)
}

// about returns the lines of host and program about the run or target, to find the cause of an error.
func (s *crashStorm) about(words ...string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lines strings.Builder
	for _, line := range s.said {
		if slices.ContainsFunc(words, func(word string) bool { return strings.Contains(line, word) }) {
			lines.WriteString("\n\t" + line)
		}
	}
	return lines.String()
}

// evaluate compares all results of the storm with Azure's side, and reports them.
func (s *crashStorm) evaluate(ctx context.Context, backups int, begun time.Time) {
	again, rest := s.evaluateAll(ctx, backups)
	figures.Report(s.t, "crash storm with seed %d: %d backups of %d targets, %d kills, %d of them at a start, %d of the host; %d runs with a "+
		"second attempt; %s; %s", s.seed, len(s.runs), len(s.targets), s.killed.Load(), s.starts.Load(), s.hosts.Load(), again, rest,
		time.Since(begun).Round(time.Second))
	if n := s.killed.Load(); n != int64(backups/4) {
		s.t.Errorf("%d kills, want %d", n, backups/4)
	}
}

// evaluateAll returns the number of runs with more than one attempt, and the messages and entries that are still pending.
func (s *crashStorm) evaluateAll(ctx context.Context, backups int) (again int, rest string) {
	s.t.Helper()
	var runs []backup.Run
	for _, id := range s.runs {
		status, err := s.await(ctx, id)
		if err != nil || status.Run.State != backup.Succeeded {
			s.t.Errorf("run %s of %s ended %s after %d attempts, %v: %+v%s", id, status.Run.Target, status.Run.State, status.Run.Attempt, err,
				status.Run.Reason, s.about(id))
		}
		if status.Run.Attempt > 1 {
			again++
		}
		runs = append(runs, status.Run)
	}
	if len(runs) != backups {
		s.t.Errorf("%d runs of %d backups", len(runs), backups)
	}
	s.evaluateStarts(runs)
	s.evaluateArtifacts(runs)
	s.evaluateEvents(ctx)
	return again, s.evaluateRest(ctx)
}

// evaluateStarts compares the runs with the starts that Azure accepted: one each.
func (s *crashStorm) evaluateStarts(runs []backup.Run) {
	started := map[string]int{} // by target, and for API Management by run
	for _, r := range world.Sim.BackupRequests() {
		if r.Operation != "" {
			started[strings.ToLower(r.Service)]++
			id, _, _ := strings.Cut(r.BackupName, ".")
			started[id]++
		}
	}
	for _, r := range world.Sim.HSMRequests() {
		if r.Kind == fakeazure.FullBackup && r.JobID != "" {
			started[strings.ToLower(r.HSM)]++
		}
	}
	for _, r := range world.Sim.LedgerRequests() {
		if (r.Kind == fakeazure.LedgerBackup || r.Kind == fakeazure.LedgerExport) && r.Operation != "" {
			started[strings.ToLower(r.Ledger)]++
		}
	}
	of := map[string][]string{}
	for _, run := range runs {
		of[run.Target] = append(of[run.Target], run.ID)
		if strings.Contains(run.Target, "/Microsoft.ApiManagement/") && started[run.ID] != 1 {
			s.t.Errorf("Azure accepted %d starts of run %s%s", started[run.ID], run.ID, s.about(run.ID))
		}
	}
	for target, ids := range of {
		if n := started[strings.ToLower(target)]; n != len(ids) {
			s.t.Errorf("Azure accepted %d starts for %d runs of %s%s", n, len(ids), target, s.about(ids...))
		}
	}
}

// evaluateArtifacts compares the recovery points with storage: one for each run that succeeded, each with its own artifact, and
// no other artifact.
func (s *crashStorm) evaluateArtifacts(runs []backup.Run) {
	owner, byID := map[string]string{}, map[string]string{} // by artifact, and the target by the run's ID
	written := map[string]int{}                             // the files of a ledger, by artifact
	for _, run := range runs {
		byID[run.ID] = run.Target
		p, err := s.engine.RecoveryPoint(s.t.Context(), run.ID)
		switch {
		case run.State != backup.Succeeded:
			continue
		case err != nil || p.State != backup.Live || p.Artifact == "" || p.Size == 0 || p.SHA256 == "":
			s.t.Errorf("the recovery point of run %s: %+v, %v", run.ID, p, err)
		case owner[p.Artifact] != "":
			s.t.Errorf("two recovery points name one artifact, %s: those of the runs %s and %s%s", p.Artifact, owner[p.Artifact], run.ID,
				s.about(owner[p.Artifact], run.ID))
		}
		owner[p.Artifact] = run.ID
		if strings.Contains(run.Target, "/Microsoft.ConfidentialLedger/") {
			files, err := s.engine.Files(s.t.Context(), p)
			if written[p.Artifact] = len(files); err != nil || len(files) < 3 {
				s.t.Errorf("the artifact %s of run %s has %d files, %v", p.Artifact, run.ID, len(files), err)
			}
		}
	}
	stored, manifests := s.stored()
	for point := range manifests {
		if !slices.Contains(slices.Collect(maps.Values(owner)), point) {
			s.t.Errorf("there is a manifest of %s, which made no recovery point", point)
		}
	}
	for artifact, run := range owner {
		if ledger := strings.Contains(byID[run], "/Microsoft.ConfidentialLedger/"); manifests[run] != 1 && !ledger {
			s.t.Errorf("the artifact %s of run %s has %d manifests", artifact, run, manifests[run])
		}
	}
	for _, target := range s.targets {
		if strings.Contains(target, "/Microsoft.ConfidentialLedger/") {
			maps.Copy(stored, shares(s.t, target))
		}
	}
	for _, artifact := range slices.Sorted(maps.Keys(stored)) {
		if owner[artifact] == "" {
			s.t.Errorf("%s is in storage, and no recovery point's", artifact)
		}
	}
	for _, artifact := range slices.Sorted(maps.Keys(owner)) {
		// The simulator writes so many: a blob, an HSM's four, and for a ledger as many as the recovery point lists.
		want := 1
		switch run := owner[artifact]; {
		case strings.HasPrefix(artifact, "mhsm-"):
			want = 4
		case !strings.HasPrefix(artifact, run):
			want = written[artifact]
		}
		if stored[artifact] != want {
			s.t.Errorf("the artifact %s of run %s has %d blobs or files in storage, want %d", artifact, owner[artifact], stored[artifact], want)
		}
	}
}

// stored returns the blobs and the folders in the storm's container, with the number of their blobs.
func (s *crashStorm) stored() (found, manifests map[string]int) {
	world.Sim.Assign(world.Sim.ObjectID(probe), stack.Account(stack.Backups), fakeazure.StorageBlobDataContributor)
	client, err := container.NewClient("https://"+stack.Backups+".blob.core.windows.net/"+s.container, world.Sim.Credential(probe),
		&container.ClientOptions{ClientOptions: options()})
	if err != nil {
		s.t.Fatal(err)
	}
	found, manifests = map[string]int{}, map[string]int{}
	for pages := client.NewListBlobsFlatPager(nil); pages.More(); {
		page, err := pages.NextPage(s.t.Context())
		if err != nil {
			s.t.Fatal(err)
		}
		for _, item := range page.Segment.BlobItems {
			name, rest, _ := strings.Cut(*item.Name, "/")
			if name == "lifeboat-manifests" {
				point, _, _ := strings.Cut(rest, ".")
				manifests[point]++
				continue
			}
			found[name]++
		}
	}
	return found, manifests
}

// evaluateEvents looks for the end of each run among the events, under one ID.
func (s *crashStorm) evaluateEvents(ctx context.Context) {
	told := map[string]string{}
	for _, text := range s.receive(ctx, s.t, "lifeboat-events") {
		var e struct {
			ID, Type string
			Data     struct{ Run string }
		}
		if err := json.Unmarshal([]byte(text), &e); err != nil {
			s.t.Errorf("%s is no event: %v", text, err)
		}
		if !strings.HasPrefix(e.Type, "lifeboat.run.") {
			continue
		}
		if id := told[e.Data.Run]; id != "" && id != e.ID {
			s.t.Errorf("the end of run %s is told as %s and as %s", e.Data.Run, id, e.ID)
		}
		told[e.Data.Run] = e.ID
	}
	for _, id := range s.runs {
		if told[id] == "" {
			s.t.Errorf("nobody was told of the end of run %s%s", id, s.about(id))
		}
	}
}

// evaluateRest waits until the table holds only runs, recovery points, requests and the plans, and no temporary row. It returns
// what is still pending: the step messages and the entries of the index that would have found waiting runs at the end of their
// wait. They change nothing, as all runs have ended.
func (s *crashStorm) evaluateRest(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	over, later := s.over()
	for ; len(over) > 0 && ctx.Err() == nil; over, later = s.over() {
		pause(ctx)
	}
	if len(over) > 0 {
		s.t.Errorf("left over in the table:\n\t%s", strings.Join(over, "\n\t"))
	}
	late := map[string]int64{}
	for _, name := range []string{"execute", "execute-poison"} {
		properties, err := s.queue(name).GetProperties(s.t.Context(), nil)
		if err != nil && !queueerror.HasCode(err, queueerror.QueueNotFound) {
			s.t.Error(err)
		} else if err == nil {
			late[name] = *properties.ApproximateMessagesCount
		}
		if seen, err := s.queue(name).PeekMessages(s.t.Context(), nil); err == nil && len(seen.Messages) > 0 {
			s.t.Errorf("a message is left in %s: %s", name, *seen.Messages[0].MessageText)
		}
	}
	if late["execute-poison"] > 0 {
		s.t.Errorf("%d messages are left in execute-poison", late["execute-poison"])
	}
	return fmt.Sprintf("%d step messages and %d entries of the index still to come", late["execute"], later)
}

// over returns the leftover rows, the missing ones, and the number of entries of the index that are not due yet.
func (s *crashStorm) over() (left []string, later int) {
	count := map[string]int{}
	end := time.Now().Add(time.Duration(float64(engine.DefaultTimings().Operation) * factor))
	for pages := tables(s.t, s.config.Account).NewClient("lifeboat").NewListEntitiesPager(nil); pages.More(); {
		page, err := pages.NextPage(s.t.Context())
		if err != nil {
			s.t.Fatal(err)
		}
		for _, entity := range page.Entities {
			var row struct{ PartitionKey, RowKey, Run string }
			if err := json.Unmarshal(entity, &row); err != nil {
				s.t.Fatal(err)
			}
			kind, _, _ := strings.Cut(row.RowKey, "-")
			due, err := time.Parse("20060102T150405Z", kind)
			switch {
			case row.PartitionKey == "inflight" && err == nil && due.After(time.Now()) && due.Before(end) && slices.Contains(s.runs, row.Run):
				later++
			case row.PartitionKey == "inflight", row.PartitionKey == "deadletter", slices.Contains([]string{"lock", "permit", "enqueued", "schedule"}, kind):
				left = append(left, string(entity))
			case row.PartitionKey == "due":
				count["due"]++
			default:
				count[kind]++
			}
		}
	}
	for _, kind := range []string{"run", "point", "due"} {
		if count[kind] != len(s.runs) {
			left = append(left, fmt.Sprintf("%d rows %s of %d runs", count[kind], kind, len(s.runs)))
		}
	}
	return left, later
}
