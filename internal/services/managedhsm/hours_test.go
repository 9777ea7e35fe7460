package managedhsm_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/engine"
	"lifeboat/internal/request"
	"lifeboat/internal/testing/fakeazure"
	"lifeboat/internal/testing/memory"
)

// testHours checks that a backup of 8 hours succeeds, within 80 polls, and that the HSM's checks of 8 hours before and
// after it succeed as well. The real engine is on a clock that only this test moves; the fake ends an operation when that
// clock says so.
func (w world) testHours(t *testing.T) {
	const lasts = 8 * time.Hour
	// This is far more than the test takes: no operation ends by itself.
	longer := fakeazure.Range{Shortest: 100 * time.Hour, Longest: 100 * time.Hour}
	hsm := w.hsm(t, "hours", func(k *fakeazure.HSMOptions) { k.Backup, k.Check = longer, longer })

	// The storage dates its blobs by the true time, so the run begins well before that.
	now, ids := time.Now().Add(-4*lasts), 0
	clock := func() time.Time { return now }
	queue := memory.NewQueue(clock)
	app := &engine.Engine{
		Catalog: memory.NewCatalog(clock), Queue: queue, Manifests: &memory.Manifests{}, Timings: engine.DefaultTimings(), Now: clock,
		Providers: map[string]backup.Provider{"microsoft.keyvault/managedhsms": w.provider()},
		NewID:     func() string { ids++; return fmt.Sprint("id", ids) },
	}
	b, _, err := app.Backup(t.Context(), request.Backup{ID: "hours", Target: hsm}, []backup.Plan{{
		Name: "hours", Targets: []string{hsm}, Settings: backup.Settings{
			Storage: backup.Storage{Account: account, Container: "hours"}, KeepWithin: 24 * time.Hour,
		},
	}})
	must(t, err)
	run := b.Runs[0]

	began := map[string]time.Time{} // by job
	hurry := func() {
		for _, o := range w.HSMOperations() {
			if _, ok := began[o.JobID]; o.HSM == hsm && !ok {
				began[o.JobID] = now
			}
			if o.HSM != hsm || o.State != fakeazure.InProgress || now.Sub(began[o.JobID]) < lasts {
				continue
			}
			must(t, w.HurryHSM(hsm))
			eventually(t, "the operation ends", func() bool {
				for _, after := range w.HSMOperations() {
					if after.JobID == o.JobID {
						return after.State != fakeazure.InProgress
					}
				}
				return false
			})
		}
	}
	for invocation := range 1000 {
		first, ok := queue.Next("execute")
		if !ok {
			break
		}
		if first.After(now) {
			now = first
		}
		hurry()
		for _, m := range queue.Receive("execute", 1, time.Minute) {
			_, err := app.Execute(t.Context(), fmt.Sprint("invocation", invocation), m.Body)
			must(t, err)
			must(t, queue.Delete("execute", m.ID, m.Receipt))
		}
		hurry() // notes when an operation began
	}

	status, _, err := app.Status(t.Context(), run.ID)
	must(t, err)
	if status.Run.State != backup.Succeeded || status.Point == nil || status.Point.Note != "" {
		t.Fatalf("%s %+v, %+v", status.Run.State, status.Run.Reason, status.Point)
	}
	if took := now.Sub(status.Run.Created); took < 3*lasts {
		t.Errorf("it took %s, want three times %s at least", took, lasts)
	}
	polls := map[string]int{}
	for _, c := range w.Calls() {
		if job, ok := strings.CutSuffix(c.Path, "/pending"); ok && c.ObjectID != "" {
			polls[job[strings.LastIndex(job, "/")+1:]]++
		}
	}
	if len(began) != 3 {
		t.Errorf("%d operations, want the backup and a look before and after it", len(began))
	}
	for _, o := range w.HSMOperations() {
		if o.HSM == hsm && (polls[o.JobID] < 60 || polls[o.JobID] > 80) {
			t.Errorf("%s of %s: %d polls, want at most 80, and about 73", o.Kind, lasts, polls[o.JobID])
		}
	}
}
