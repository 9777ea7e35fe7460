package toyservice_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"lifeboat/internal/backup"
	"lifeboat/internal/config"
	"lifeboat/internal/engine"
	"lifeboat/internal/request"
	"lifeboat/internal/restore"
	"lifeboat/internal/services"
	"lifeboat/internal/testing/memory"
	"lifeboat/internal/testing/toyservice"
	"lifeboat/internal/testing/toyservice/faketoys"
)

// list are the services of a Lifeboat that backs toys up as well.
var list = append(services.All(), toyservice.Service())

// plan is a plan.yaml with one plan: its target, how long it keeps, and lines of its own.
func plan(target, keep string, more ...string) string {
	return fmt.Sprintf(`version: 1
defaults:
  timeZone: Europe/Zurich
  storage: {account: %s, container: toys}
plans:
  - name: nightly
    targets: [%s]
    schedule: "30 2 * * *"
    keep: {within: %s}
    softDelete: off
    restore: {into: [itself]}
%s`, account, target, keep, strings.Join(more, "\n"))
}

// TestAPlanOfToys is read by what the descriptor says, and refused by it.
func TestAPlanOfToys(t *testing.T) {
	reader := config.NewReader(list.Known())
	plans, warnings, err := reader.Parse("plan.yaml", []byte(plan(box, "30d", "    toy: {colour: red}")))
	if err != nil || len(warnings) > 0 || plans[0].Settings.Blocks != `{"toy":{"colour":"red"}}` || reader.Default("toy.colour") != "blue" {
		t.Fatalf("%+v, %q, %v", plans, warnings, err)
	}
	for name, c := range map[string]struct{ text, want string }{
		"another colour":      {plan(box, "30d", "    toy: {colour: green}"), `plan.yaml:12: "green" is neither blue nor red`},
		"a field of nobody":   {plan(box, "30d", "    toy: {colour: red, size: 3}"), `plan.yaml:12: toy has no field "size"; it has colour`},
		"what Check says":     {plan(group+"Contoso.Toys/boxes/red-box", "30d", "    toy: {colour: red}"), "plan.yaml:12: the box red-box is red itself"},
		"a block for nothing": {plan(group+"Microsoft.ApiManagement/service/contoso", "30d", "    toy: {colour: red}"), "plan.yaml:12: toy is for Toy box, and the plan has no such target"},
		"a bad name":          {plan(group+"Contoso.Toys/boxes/x9", "30d"), `plan.yaml:7: targets: "` + group + `Contoso.Toys/boxes/x9": "x9" is no name of Toy box: 3 to 24 lower-case letters`},
		"kept for too long":   {plan(box, "90d"), "plan.yaml:9: within 90d is longer than Contoso.Toys/boxes can restore a backup: 60 days"},
	} {
		if _, _, err := reader.Parse("plan.yaml", []byte(c.text)); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	if _, _, err := config.NewReader(services.All().Known()).Parse("plan.yaml", []byte(plan(box, "30d"))); err == nil {
		t.Error("without the service its plan is read all the same")
	}
}

// world is the real engine with storage in memory and the simulator, all by one clock.
type world struct {
	t      *testing.T
	clock  atomic.Int64
	sim    *faketoys.Sim
	queue  *memory.Queue
	engine *engine.Engine
	plans  []backup.Plan
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t}
	w.clock.Store(time.Date(2026, 1, 15, 2, 30, 0, 0, time.UTC).UnixNano())
	w.sim = start(t, w.now, 90*time.Second)
	w.queue = memory.NewQueue(w.now)
	w.engine = &engine.Engine{
		Catalog: memory.NewCatalog(w.now), Queue: w.queue, Manifests: &memory.Manifests{}, Services: list.Known(), Providers: list.Providers(nobody{}, optionsOf(w.sim), 1),
		Timings: engine.DefaultTimings(), Now: w.now, NewID: uuid.NewString,
	}
	var err error
	w.plans, _, err = config.NewReader(list.Known()).Parse("plan.yaml", []byte(plan(box, "30d", "    toy: {colour: red}")))
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) now() time.Time { return time.Unix(0, w.clock.Load()).UTC() }

func (w *world) pass(d time.Duration) { w.clock.Add(int64(d)) }

// backUp takes a backup from its request to its recovery point.
func (w *world) backUp(id string) backup.Point {
	w.t.Helper()
	b, _, err := w.engine.Backup(w.t.Context(), request.Backup{ID: id, Plan: w.plans[0].Name, Target: box}, w.plans)
	if err != nil {
		w.t.Fatal(err)
	}
	for range 100 {
		first, more := w.queue.Next("execute")
		if !more {
			break
		}
		w.pass(max(0, first.Sub(w.now())))
		for _, m := range w.queue.Receive("execute", 32, time.Minute) {
			_, err := w.engine.Execute(w.t.Context(), uuid.NewString(), m.Body)
			if err := errors.Join(err, w.queue.Delete("execute", m.ID, m.Receipt)); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	status, _, err := w.engine.Status(w.t.Context(), b.Runs[0].ID)
	if err != nil || status.Run.State != backup.Succeeded || status.Point == nil {
		w.t.Fatalf("the run is %s (%+v), %v", status.Run.State, status.Run.Reason, err)
	}
	return *status.Point
}

// preview asks what a restore of the newest recovery point would do.
func (w *world) preview(id, point string) restore.Preview {
	w.t.Helper()
	q := restore.Request{ID: id, Target: box, Point: point, Kind: backup.RestoreFull, DryRun: true}
	p, err := w.engine.PreviewRestore(w.t.Context(), q, w.plans)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// TestTheEngineBacksToysUp takes backups to recovery points, previews a restore of one, and deletes what is past its time.
func TestTheEngineBacksToysUp(t *testing.T) {
	w := newWorld(t)
	first := w.backUp("one")
	shelf := w.sim.Shelf("contosobackups", "toys")
	if content := shelf[first.Artifact]; content != "red paper\na bear, two kites" || first.Size != int64(len(content)) || first.State != backup.Live {
		t.Errorf("%+v, on the shelf %q", first, shelf)
	}
	changes := w.sim.Changes()
	p := w.preview("look", "")
	if p.Refusal() != nil || p.Point == nil || p.Point.ID != first.ID || w.sim.Changes() != changes {
		t.Errorf("%+v", p)
	}
	traits := toyservice.Service().Restore
	if !slices.Equal(p.NotIncluded, []string{"the lid of the box", "batteries"}) || !slices.Equal(p.Overwrites, traits.Overwrites) ||
		!slices.Equal(p.Calls, []string{"POST https://toys.example.com/boxes/contoso-box/backup", "POST https://toys.example.com/boxes/contoso-box/restore"}) {
		t.Errorf("it does not bring back %q, overwrites %q, sends %q", p.NotIncluded, p.Overwrites, p.Calls)
	}

	w.pass(61 * 24 * time.Hour)
	second := w.backUp("two")
	report, err := w.engine.Cleanup(t.Context())
	if err != nil || len(report.Failed) > 0 {
		t.Fatalf("%+v, %v", report, err)
	}
	points, _, err := w.engine.RecoveryPoints(t.Context(), box, "", 10)
	if err != nil || len(points) != 2 || points[0].State != backup.Live || points[1].State != backup.Expired {
		t.Errorf("%+v, %v", points, err)
	}
	if shelf := w.sim.Shelf("contosobackups", "toys"); len(shelf) != 1 || shelf[second.Artifact] == "" {
		t.Errorf("on the shelf %q", shelf)
	}

	// The newest recovery point is never deleted, but after 60 days a toy box takes none.
	w.pass(61 * 24 * time.Hour)
	if why := w.preview("late", second.ID).Refusal(); why == nil || why.Code != "BeyondHorizon" {
		t.Errorf("refused by %+v", why)
	}
}
