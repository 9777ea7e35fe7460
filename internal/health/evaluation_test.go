package health_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/health"
)

// ill returns unprotected targets.
func ill(n int) (all []health.TargetHealth) {
	for i := range n {
		all = append(all, health.TargetHealth{Target: fmt.Sprintf("%s-%d", target, i), Plan: "nightly", Status: health.Unprotected})
	}
	return all
}

// kept returns the evaluation as it is read from its row, and checks that the row fits into the table.
func kept(t *testing.T, v health.Evaluation) health.Evaluation {
	t.Helper()
	w := v.Write()
	var columns map[string]any
	v, err := health.DecodeEvaluation(backup.Row{Key: w.Key, ETag: "etag", Body: w.Body})
	if err != nil {
		t.Fatal(err)
	}
	if columns, err = backup.Decode[map[string]any](backup.Row{Key: w.Key, Body: w.Body}); err != nil {
		t.Fatal(err)
	}
	for name, column := range columns {
		if n := len(backup.Encode(column)); n > 2*backup.ColumnRunes {
			t.Errorf("the column %s has %d characters", name, n)
		}
	}
	return v
}

// TestThousandsOfAlarms: they fit into the row, and each is told once and over once.
func TestThousandsOfAlarms(t *testing.T) {
	all := ill(6000)
	v, begun, over := health.Evaluation{Plan: "nightly"}.After(begin, all, true)
	if len(begun) != 6000 || len(over) > 0 {
		t.Fatalf("%d begin, %d are over", len(begun), len(over))
	}
	v, again, over := kept(t, v).After(begin.Add(time.Hour), all, true)
	if len(again)+len(over) > 0 {
		t.Errorf("an hour later %d begin, %d are over", len(again), len(over))
	}
	for i := range all {
		all[i].Status = health.Late
	}
	v, again, over = kept(t, v).After(begin.Add(2*time.Hour), all, true)
	if len(again) > 0 || len(over) != 6000 || over[5999].ID != begun[5999].ID || len(kept(t, v).Published) > 0 {
		t.Errorf("then %d begin, %d are over", len(again), len(over))
	}
	// Some would have the alarms that they had before.
	for i := range all {
		all[i].Status = health.Unprotected
	}
	_, again, _ = kept(t, v).After(begin.Add(3*time.Hour), all, true)
	anew := 0
	for i := range again {
		if again[i].ID != begun[i].ID {
			anew++
		}
	}
	if len(again) != 6000 || anew != 500 {
		t.Errorf("%d begin again, %d under other IDs", len(again), anew)
	}
}

// TestATargetThatComesBackHasAnotherAlarmForNinetyDays: after that its readers take the alarm that it had before for a new one.
func TestATargetThatComesBackHasAnotherAlarmForNinetyDays(t *testing.T) {
	for after, another := range map[time.Duration]bool{90*day - time.Second: true, 90 * day: false} {
		all := ill(2)
		v, begun, _ := health.Evaluation{Plan: "nightly"}.After(begin, all, true)
		for i, at := range []time.Time{begin, begin.Add(after)} { // the end of an alarm makes the row forget older ones
			all[i].Status = health.Protected
			v, _, _ = kept(t, v).After(at, all, true)
		}
		_, again, _ := kept(t, v).After(begin.Add(after), ill(2), true)
		if len(again) != 2 || (again[0].ID != begun[0].ID) != another || again[1].ID == begun[1].ID {
			t.Errorf("after %s: %+v, before %+v", after, again, begun)
		}
	}
}

// TestTheNewestEndsOfAlarmsStay: if a row has the ends of as many alarms as it may, one more takes the place of an older one.
func TestTheNewestEndsOfAlarmsStay(t *testing.T) {
	all := ill(501)
	v, begun, _ := health.Evaluation{Plan: "nightly"}.After(begin, all, true)
	for i := range all {
		all[i].Status = health.Late
	}
	all[500].Status = health.Unprotected
	v, _, _ = kept(t, v).After(begin.Add(time.Hour), all, true)
	all[500].Status = health.Late
	v, _, _ = kept(t, v).After(begin.Add(2*time.Hour), all, true)
	if n := len(kept(t, v).Back); n != 500 {
		t.Errorf("the row has the ends of %d alarms", n)
	}
	all[500].Status = health.Unprotected
	if _, again, _ := v.After(begin.Add(3*time.Hour), all, true); len(again) != 1 || again[0].ID == begun[500].ID {
		t.Errorf("%+v begins again, before it was %s", again, begun[500].ID)
	}
}

// TestAlarmsOfAnOlderVersion: it kept no targets with them. They hold, are over once, and are kept with their targets at once.
func TestAlarmsOfAnOlderVersion(t *testing.T) {
	all := ill(3)
	row := backup.Row{Body: backup.Encode(map[string]any{
		"Plan": "nightly", "At": begin, "Published": []string{all[0].AlertKey(), all[1].AlertKey(), "0123456789abcdef"},
	})}
	v, err := health.DecodeEvaluation(row)
	if err != nil {
		t.Fatal(err)
	}
	all[1].Status = health.Protected
	v, begun, over := v.After(begin.Add(time.Hour), all, true)
	if len(begun) != 1 || begun[0].Target != all[2].Target || len(over) != 1 || over[0].Target != all[1].Target || over[0].ID != all[1].AlertKey() {
		t.Errorf("begin: %+v; over: %+v", begun, over)
	}
	want := []string{all[0].AlertKey() + " " + backup.Partition(all[0].Target), all[2].AlertKey() + " " + backup.Partition(all[2].Target)}
	if !slices.Equal(v.Published, want) || !v.Alarmed(backup.Partition(all[0].Target)) || v.Alarmed(backup.Partition(all[1].Target)) {
		t.Errorf("kept %q", v.Published)
	}
}

// TestAStockOfManyPlans fits into its column, and its sums are right.
func TestAStockOfManyPlans(t *testing.T) {
	count := health.Count{}
	for i := range 3000 {
		count.Add(fmt.Sprintf("plan-with-a-name-that-is-as-long-as-it-may-be-which-is-long-%04d", i/2), []backup.PointState{backup.Live, backup.Suspect}[i%2], 1<<40)
	}
	stocked := count.Stocked()
	points, bytes := 0, int64(0)
	for _, p := range stocked {
		points, bytes = points+p.Points, bytes+p.Bytes
	}
	if n := len(backup.Encode(stocked)); points != 3000 || bytes != 3000<<40 || n > 2*backup.ColumnRunes || stocked[len(stocked)-1].Plan != "" {
		t.Errorf("%d points of %d bytes in %d characters; at last %+v", points, bytes, n, stocked[len(stocked)-1])
	}
}
