package admission_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/admission"
	"lifeboat/internal/backup"
	"lifeboat/internal/testing/memory"
)

var now = time.Date(2026, 1, 15, 2, 30, 0, 0, time.UTC)

// house has runs, and storage for their permits and their wait queue.
type house struct {
	*testing.T
	catalog *memory.Catalog
	queue   *memory.Queue
	runs    map[string]*backup.Run
	most    int // the bound of all runs
	// left counts the times that a run was about to leave the wait queue.
	left int
}

func newHouse(t *testing.T, most int) *house {
	clock := func() time.Time { return now }
	return &house{T: t, catalog: memory.NewCatalog(clock), queue: memory.NewQueue(clock), runs: map[string]*backup.Run{}, most: most}
}

// run makes a run of a plan that may have so many operations.
func (h *house) run(name, plan string, most int) *backup.Run {
	r := &backup.Run{ID: backup.NewRunID(name, now, name), Plan: plan, State: backup.Queued, Sequence: 1, Nonce: "mark"}
	r.Settings.Concurrency = most
	h.runs[r.ID] = r
	return r
}

func (h *house) acquire(r *backup.Run) (*admission.Bound, error) {
	return admission.Applicant{
		Catalog: h.catalog, Run: r, Bounds: admission.Bounds(h.most, *r), Clock: func() time.Time { return now },
		Leaving: func(context.Context) error { h.left++; return nil },
	}.Acquire(h.Context())
}

// restore makes a run that restores; it was asked for so many minutes ago.
func (h *house) restore(name, plan string, most, minutes int) *backup.Run {
	r := h.run(name, plan, most)
	r.Restore, r.Created = &backup.Restoring{}, now.Add(-time.Duration(minutes)*time.Minute)
	return r
}

// enter puts the run into the wait queue, behind all others of its kind.
func (h *house) enter(r *backup.Run) {
	h.Helper()
	r.QueueRow = admission.Row(*r, now.Add(time.Duration(len(h.rows("enqueued-")))*time.Second))
	if _, err := h.catalog.Apply(h.Context(), admission.Enter(*r, now)...); err != nil {
		h.Fatal(err)
	}
}

// rows returns the keys of rows with the prefix.
func (h *house) rows(prefix string) (keys []string) {
	for _, row := range h.catalog.Rows() {
		if strings.HasPrefix(row.Row, prefix) {
			keys = append(keys, row.Row)
		}
	}
	return keys
}

// dispatch does the work of a timer run. It returns the IDs of the runs that were woken.
func (h *house) dispatch(at time.Time) (woken []string, err error) {
	h.Helper()
	var rows admission.Rows
	for _, row := range h.catalog.Rows() {
		if !rows.Add(row) {
			h.Errorf("nothing reads the row %s", row.Row)
		}
	}
	d := admission.Dispatcher{Queue: h.queue, Load: h.load, Apply: h.apply, Most: h.most}
	n, err := d.Dispatch(h.Context(), rows, at)
	for _, m := range h.queue.Receive(backup.ExecuteQueue, 32, time.Hour) {
		w, broken := backup.ParseStepMessage(m.Body)
		if broken != nil {
			h.Fatal(broken)
		}
		woken = append(woken, w.Run)
	}
	if n != len(woken) {
		h.Errorf("woke %q, and says %d", woken, n)
	}
	return woken, err
}

func (h *house) load(_ context.Context, id string) (backup.Run, time.Time, error) {
	if r := h.runs[id]; r != nil {
		return *r, now, nil
	}
	return backup.Run{}, now, backup.ErrNotFound
}

func (h *house) apply(ctx context.Context, writes ...backup.Write) error {
	_, err := h.catalog.Apply(ctx, writes...)
	return err
}

// TestBounds: a bound of 0 limits nothing.
func TestBounds(t *testing.T) {
	for _, c := range []struct {
		all, plan int
		want      string
	}{
		{0, 0, ""},
		{3, 0, "3 of all plans;"},
		{0, 2, "2 of the plan nightly;"},
		{3, 2, "3 of all plans;2 of the plan nightly;"},
	} {
		var got string
		for _, b := range admission.Bounds(c.all, backup.Run{Plan: "nightly", Settings: backup.Settings{Concurrency: c.plan}}) {
			got += fmt.Sprintf("%d %s;", b.Most, b.Whose)
		}
		if got != c.want {
			t.Errorf("%d and %d: %q, want %q", c.all, c.plan, got, c.want)
		}
	}
}

// TestAcquire: a run acquires a permit of each bound until one is full, and none of a bound alone.
func TestAcquire(t *testing.T) {
	h := newHouse(t, 4) // one of them is kept for restores
	for i := range 5 {
		plan := []string{"one", "one", "one", "two", "two"}[i]
		r := h.run(fmt.Sprint(i), plan, 2)
		full, err := h.acquire(r)
		want := []string{"", "", "of the plan one", "", "of all plans"}[i]
		if err != nil || (full == nil) != (want == "") || full != nil && full.Whose != want {
			t.Errorf("run %d: %+v, %v, want %q", i, full, err, want)
		}
		if want == "" != (len(r.Permits) == 2) || want != "" && len(r.Permits) > 0 {
			t.Errorf("run %d has %v", i, r.Permits)
		}
	}
	if len(h.rows("permit-all.")) != 3 || len(h.rows("permit-plan-one.")) != 2 || len(h.rows("permit-plan-two.")) != 1 || h.left > 0 {
		t.Errorf("%q, %d left", h.rows(""), h.left)
	}
}

// TestARunLeavesTheQueueWithItsPermits: or it does neither.
func TestARunLeavesTheQueueWithItsPermits(t *testing.T) {
	h := newHouse(t, 1)
	first, second := h.run("first", "p", 0), h.run("second", "p", 0)
	if full, err := h.acquire(first); full != nil || err != nil {
		t.Fatal(full, err)
	}
	h.enter(second)
	if full, err := h.acquire(second); full == nil || err != nil || len(h.rows("enqueued-")) != 1 || h.left > 0 {
		t.Errorf("%v, %v: %q, %d left", full, err, h.rows(""), h.left)
	}
	if err := admission.Release(t.Context(), h.catalog, *first, first.Permits, first.QueueRow); err != nil {
		t.Fatal(err)
	}
	twin := *second // another invocation of the same run
	if full, err := h.acquire(second); full != nil || err != nil || len(second.Permits) != 1 || len(h.rows("enqueued-")) > 0 || h.left != 1 {
		t.Errorf("%v, %v: %q, %d left", full, err, h.rows(""), h.left)
	}
	if full, err := h.acquire(&twin); full != nil || err != nil || len(h.rows("permit-")) != 1 {
		t.Errorf("the twin: %v, %v: %q", full, err, h.rows(""))
	}
	if twin.Permits[0].Row != second.Permits[0].Row || twin.Permits[0].ETag == second.Permits[0].ETag {
		t.Errorf("the twin takes over %v as %v", second.Permits, twin.Permits)
	}
}

// TestARunWhoseRowOfTheQueueIsGoneEntersAgain: it has no permit.
func TestARunWhoseRowOfTheQueueIsGoneEntersAgain(t *testing.T) {
	h := newHouse(t, 1)
	r := h.run("r", "p", 0)
	r.QueueRow = backup.QueueRow(now, r.ID)
	if full, err := h.acquire(r); full == nil || err != nil || len(h.rows("")) > 0 {
		t.Errorf("%v, %v: %q", full, err, h.rows(""))
	}
}

// TestReleaseLeavesPermitsThatWereResumed: another invocation of the run has them, unless the run has ended; and so do other
// runs.
func TestReleaseLeavesPermitsThatWereResumed(t *testing.T) {
	for state, left := range map[backup.State]int{backup.Running: 1, backup.Succeeded: 0} {
		h := newHouse(t, 1)
		r := h.run("r", "p", 0)
		twin := *r
		for _, one := range []*backup.Run{r, &twin} {
			if full, err := h.acquire(one); full != nil || err != nil {
				t.Fatal(full, err)
			}
		}
		r.State = state
		for range 2 { // the second time they are gone
			if err := admission.Release(t.Context(), h.catalog, *r, r.Permits, "enqueued-gone"); err != nil {
				t.Error(err)
			}
		}
		if len(h.rows("permit-")) != left {
			t.Errorf("%s: %q", state, h.rows(""))
		}
		if left > 0 {
			continue
		}
		other := h.run("other", "p", 0)
		if full, err := h.acquire(other); full != nil || err != nil {
			t.Fatal(full, err)
		}
		if err := admission.Release(t.Context(), h.catalog, *r, r.Permits, ""); err != nil || len(h.rows("permit-")) != 1 {
			t.Errorf("%v: %q", err, h.rows(""))
		}
	}
}

// TestDispatch: the first runs are woken, as many as have room, and none of a plan that has none, however its name begins.
func TestDispatch(t *testing.T) {
	h := newHouse(t, 5) // one of them is kept for restores
	busy := h.run("busy", "night", 1)
	if full, err := h.acquire(busy); full != nil || err != nil {
		t.Fatal(full, err)
	}
	var ids []string
	for i, plan := range []string{"night", "nightly", "nightly", "nightly", "free", "free"} {
		r := h.run(fmt.Sprint(i), plan, map[string]int{"night": 1, "nightly": 2}[plan])
		ids = append(ids, r.ID)
		h.enter(r)
	}
	woken, err := h.dispatch(now)
	if want := []string{ids[1], ids[2], ids[4]}; err != nil || !slices.Equal(woken, want) {
		t.Errorf("woke %q, %v, want %q", woken, err, want)
	}
	if len(h.rows("enqueued-")) != 6 || len(h.rows("permit-")) != 2 {
		t.Errorf("a woken run leaves the queue itself: %q", h.rows(""))
	}
	h.most = 0
	if woken, err := h.dispatch(now); err != nil || len(woken) != 4 {
		t.Errorf("without a bound of all runs: %q, %v", woken, err)
	}
}

// TestDispatchDropsRowsOfTheQueue: a timer run deletes the rows of runs that do not wait there. It leaves the row of a run that
// may be about to save it, and every row whose run cannot be read.
func TestDispatchDropsRowsOfTheQueue(t *testing.T) {
	h := newHouse(t, 9)
	for _, state := range []backup.State{backup.Queued, backup.Waiting, backup.Running, backup.Succeeded} {
		r := h.run(string(state), "p", 0)
		h.enter(r)
		r.State, r.QueueRow = state, ""
	}
	gone := h.run("gone", "p", 0)
	h.enter(gone)
	delete(h.runs, gone.ID)
	if woken, err := h.dispatch(now); err != nil || len(woken) > 0 || len(h.rows("enqueued-")) != 2 {
		t.Errorf("woke %q, %v: %q", woken, err, h.rows(""))
	}
	broken := errors.New("broken")
	d := admission.Dispatcher{Queue: h.queue, Apply: h.apply, Load: func(context.Context, string) (backup.Run, time.Time, error) {
		return backup.Run{}, now, broken
	}}
	if n, err := d.Dispatch(t.Context(), admission.Rows{Queue: h.catalog.Rows()}, now); n > 0 || !errors.Is(err, broken) || len(h.rows("enqueued-")) != 2 {
		t.Errorf("woke %d, %v: %q", n, err, h.rows(""))
	}
}

// TestReclaim: timer runs find a permit without an owner, while a run waits and none can begin.
func TestReclaim(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(h *house, owner *backup.Run)
		lost   bool
	}{
		{"under way", func(_ *house, owner *backup.Run) { owner.State = backup.Running }, false},
		{"not saved yet", func(_ *house, owner *backup.Run) { owner.Permits = nil }, false},
		{"no run", func(h *house, owner *backup.Run) { delete(h.runs, owner.ID) }, true},
		{"another permit instead", func(_ *house, owner *backup.Run) { owner.Permits[0].Row = "permit-all.0007" }, true},
		{"ended", func(_ *house, owner *backup.Run) { owner.State, owner.Permits = backup.Failed, nil }, true},
		{"ended, and to be released", func(_ *house, owner *backup.Run) {
			owner.State, owner.Permits, owner.Unpublished = backup.Failed, nil, true
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHouse(t, 1)
			owner := h.run("owner", "p", 0)
			if full, err := h.acquire(owner); full != nil || err != nil {
				t.Fatal(full, err)
			}
			c.change(h, owner)
			if woken, err := h.dispatch(now); err != nil || len(woken) > 0 || len(h.rows("permit-")) != 1 {
				t.Errorf("while no run waits: %q, %v, %q", woken, err, h.rows(""))
			}
			h.enter(h.run("waits", "p", 0))
			if woken, err := h.dispatch(now); err != nil || len(woken) > 0 || len(h.rows("permit-")) == 0 != c.lost {
				t.Errorf("%q, %v, %q", woken, err, h.rows(""))
			}
		})
	}
}

// TestKeptForRestores: a tenth of the bound of all runs, and at least one, but not the only one.
func TestKeptForRestores(t *testing.T) {
	for most, kept := range map[int]int{1: 0, 2: 1, 3: 1, 10: 1, 19: 1, 20: 2, 50: 5, 100: 10} {
		h := newHouse(t, most)
		backups, restores := 0, 0
		for i := range most + 1 {
			r := h.run(fmt.Sprint("backup ", i), "p", most)
			full, err := h.acquire(r)
			if err != nil {
				t.Fatal(err)
			}
			if full == nil {
				backups++
			} else if why := full.Full(*r); kept > 0 != strings.Contains(why.Message, fmt.Sprintf("at once, %d of them restores alone", kept)) {
				t.Errorf("%d: %q", most, why.Message)
			}
		}
		for i := range most + 1 {
			if full, err := h.acquire(h.restore(fmt.Sprint("restore ", i), "p", most, 0)); err != nil {
				t.Fatal(err)
			} else if full == nil {
				restores++
			}
		}
		if backups != most-kept || restores != kept {
			t.Errorf("of %d permits backups have %d and restores %d, want %d for these", most, backups, restores, kept)
		}
	}
}

// TestRestoresTakeTheKeptPlacesFirst: so they leave the others to backups, and take those too when there are no more.
func TestRestoresTakeTheKeptPlacesFirst(t *testing.T) {
	h := newHouse(t, 20)
	for i := range 3 {
		if full, err := h.acquire(h.restore(fmt.Sprint(i), "p", 0, 0)); full != nil || err != nil {
			t.Fatal(full, err)
		}
	}
	if rows := h.rows("permit-"); len(rows) != 3 || rows[0] >= "permit-all.0018" || rows[1] != "permit-all.0018" || rows[2] != "permit-all.0019" {
		t.Errorf("%q", rows)
	}
}

// TestRestoresBeforeBackups: a free permit is a waiting restore's, the oldest first, and no backup takes it, be it
// one in the wait queue or a newcomer.
func TestRestoresBeforeBackups(t *testing.T) {
	h := newHouse(t, 1)
	owner, old := h.run("owner", "p", 0), h.run("old", "p", 0)
	if full, err := h.acquire(owner); full != nil || err != nil {
		t.Fatal(full, err)
	}
	h.enter(old)
	late, early := h.restore("late", "p", 0, 1), h.restore("early", "p", 0, 9)
	h.enter(late)
	h.enter(early)
	if err := admission.Release(t.Context(), h.catalog, *owner, owner.Permits, ""); err != nil {
		t.Fatal(err)
	}
	if woken, err := h.dispatch(now); err != nil || !slices.Equal(woken, []string{early.ID}) {
		t.Errorf("woke %q, %v, want %s", woken, err, early.ID)
	}
	for _, r := range []*backup.Run{old, h.run("newcomer", "q", 0), late, h.restore("newest", "p", 0, 0)} {
		if full, err := h.acquire(r); full == nil || err != nil || len(r.Permits) > 0 {
			t.Errorf("%s goes before a restore: %v, %v", r.ID, full, err)
		}
	}
	if full, err := h.acquire(early); full != nil || err != nil || len(h.rows("enqueued-")) != 2 || len(h.rows("known-waiting-")) != 1 {
		t.Errorf("%v, %v: %q", full, err, h.rows(""))
	}
}

// TestARestoreHoldsUpOnlyWhatItCouldTake: not another plan, if its own plan has no permit; and one place for each restore.
func TestARestoreHoldsUpOnlyWhatItCouldTake(t *testing.T) {
	h := newHouse(t, 4)
	owner := h.run("owner", "small", 1)
	if full, err := h.acquire(owner); full != nil || err != nil {
		t.Fatal(full, err)
	}
	waits := h.restore("waits", "small", 1, 1)
	h.enter(waits)
	first, second, third := h.run("first", "large", 0), h.run("second", "large", 0), h.run("third", "large", 0)
	for _, r := range []*backup.Run{first, second} {
		if full, err := h.acquire(r); full != nil || err != nil {
			t.Errorf("%s waits for a restore that waits for its own plan: %v, %v", r.ID, full, err)
		}
	}
	if err := admission.Release(t.Context(), h.catalog, *owner, owner.Permits, ""); err != nil {
		t.Fatal(err)
	}
	// Two are free, one of them kept: the restore takes one, and a backup the other.
	if full, err := h.acquire(third); full != nil || err != nil {
		t.Errorf("%v, %v: %q", full, err, h.rows(""))
	}
	if full, err := h.acquire(waits); full != nil || err != nil || len(waits.Permits) != 2 {
		t.Errorf("%v, %v: %q", full, err, h.rows(""))
	}
}

// TestTheNotesThatAStepHasReadAreEnough: the first step of a backup lists nothing more.
func TestTheNotesThatAStepHasReadAreEnough(t *testing.T) {
	h := newHouse(t, 1)
	h.enter(h.restore("waits", "p", 0, 1))
	var notes []backup.Row
	for _, row := range h.catalog.Rows() {
		if strings.HasPrefix(row.Row, "known-") {
			notes = append(notes, row)
		}
	}
	for _, c := range []struct {
		notes []backup.Row
		in    bool
	}{{notes, false}, {nil, false}, {[]backup.Row{}, true}} {
		r := h.run("backup", "p", 0)
		full, err := admission.Applicant{
			Catalog: h.catalog, Run: r, Bounds: admission.Bounds(1, *r), Clock: func() time.Time { return now }, Notes: c.notes,
		}.Acquire(t.Context())
		if err != nil || (full == nil) != c.in {
			t.Errorf("with %d notes: %v, %v", len(c.notes), full, err)
		}
	}
}

// TestRowsOfOlderVersions: they wait by the time of their arrival, whatever they are, and a new one leaves with what it has.
func TestRowsOfOlderVersions(t *testing.T) {
	h := newHouse(t, 1)
	old := h.restore("old", "p", 0, 5)
	old.QueueRow = backup.QueueRow(now, old.ID)
	h.put(old.QueueRow, `{"Run":"`+old.ID+`","Plan":"p"}`)
	if woken, err := h.dispatch(now); err != nil || !slices.Equal(woken, []string{old.ID}) {
		t.Errorf("woke %q, %v", woken, err)
	}
	if full, err := h.acquire(old); full != nil || err != nil || len(h.rows("enqueued-")) > 0 {
		t.Errorf("%v, %v: %q", full, err, h.rows(""))
	}
	// An older version has taken a restore out of the queue, and has left its note.
	h = newHouse(t, 1)
	gone := h.restore("gone", "p", 0, 5)
	h.enter(gone)
	if err := h.apply(t.Context(), backup.Write{Op: backup.Delete, Key: backup.ScheduleKey(gone.QueueRow), ETag: "*"}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		after time.Duration
		notes int
	}{{9 * time.Minute, 1}, {10 * time.Minute, 0}} {
		if _, err := h.dispatch(now.Add(c.after)); err != nil || len(h.rows("known-")) != c.notes {
			t.Errorf("after %s: %v, %q", c.after, err, h.rows(""))
		}
	}
}

// TestARowThatItsRunDoesNotKnowIsDropped: the invocation that wrote it died. Until it must be over, the row stays.
func TestARowThatItsRunDoesNotKnowIsDropped(t *testing.T) {
	h := newHouse(t, 2)
	r := h.restore("r", "p", 0, 5)
	h.enter(r)
	r.QueueRow = ""
	for _, c := range []struct {
		after time.Duration
		rows  int
	}{{9 * time.Minute, 2}, {10 * time.Minute, 1}, {11 * time.Minute, 0}} {
		if woken, err := h.dispatch(now.Add(c.after)); err != nil || len(woken) > 0 || len(h.rows("")) != c.rows {
			t.Errorf("after %s: %q, %v, %q", c.after, woken, err, h.rows(""))
		}
	}
}

func (h *house) put(row, body string) {
	h.Helper()
	if err := h.apply(h.Context(), backup.Write{Op: backup.Put, Key: backup.ScheduleKey(row), Body: []byte(body)}); err != nil {
		h.Fatal(err)
	}
}
