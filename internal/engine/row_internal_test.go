package engine

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/checkpoint"
	"lifeboat/internal/deletion"
	"lifeboat/internal/health"
	"lifeboat/internal/plans"
)

// TestRowsKeepWhatThisVersionDoesNotKnow: a row is read, changed and written back. It keeps all the members of a newer version,
// except in a value that has changed.
func TestRowsKeepWhatThisVersionDoesNotKnow(t *testing.T) {
	for _, c := range []struct {
		name, body string
		change     func(row backup.Row) (json.RawMessage, error)
		want       string
	}{
		{
			"a member in a value that stays", `{"ID":"i","Settings":{"keepWithin":7,"new":1}}`, again(func(r *backup.Run) { r.Polls = 3 }),
			`{"ID":"i","Polls":3,"Settings":{"keepWithin":7,"new":1}}`,
		},
		{
			"a member in a value that is another one now", `{"ID":"i","Reason":{"code":"A","message":"a","new":"about a"}}`,
			again(func(r *backup.Run) { r.Reason = backup.Reason{Code: "B", Message: "b"} }), `{"ID":"i","Reason":{"code":"B","message":"b"}}`,
		},
		{
			"a member in a value that is gone", `{"ID":"i","Reason":{"code":"A","message":"a","new":"about a"},"New":1}`,
			again(func(r *backup.Run) { r.Reason = backup.Reason{} }), `{"ID":"i","New":1}`,
		},
		{
			"a member deep in a value that stays", `{"ID":"i","Settings":{"storage":{"account":"a","container":"c","new":1},"keepWithin":7}}`,
			again(func(r *backup.Run) { r.Polls = 3 }),
			`{"ID":"i","Polls":3,"Settings":{"storage":{"account":"a","container":"c","new":1},"keepWithin":7}}`,
		},
		{
			"a member in a block", `{"ID":"i","Settings":{"storage":{"account":"a","container":"c"},"keepWithin":7,"blocks":{"hsm":{"new":1}}}}`,
			again(func(r *backup.Run) { r.Polls = 3 }),
			`{"ID":"i","Polls":3,"Settings":{"storage":{"account":"a","container":"c"},"keepWithin":7,"blocks":{"hsm":{"new":1}}}}`,
		},
		{
			"a member in the progress that stays", `{"ID":"i","Attempt":2,"LostStarts":[{"from":"2026-01-15T02:30:00Z","to":"2026-01-15T02:33:00Z","new":1}]}`,
			again(func(r *backup.Run) { r.Polls = 3 }),
			`{"ID":"i","Attempt":2,"Polls":3,"LostStarts":[{"from":"2026-01-15T02:30:00Z","to":"2026-01-15T02:33:00Z","new":1}]}`,
		},
		{
			"a member in a list that stays", `{"ID":"i","Permits":[{"row":"a","etag":"b","new":1}]}`, again(func(r *backup.Run) { r.Polls = 3 }),
			`{"ID":"i","Polls":3,"Permits":[{"row":"a","etag":"b","new":1}]}`,
		},
		{
			"a member in what has a life of its own", `{"ID":"i","Restore":{"point":"p","new":1,"step":"preCheck"}}`,
			again(func(r *backup.Run) { r.Restore.Step = backup.StepRestoring }), `{"ID":"i","Restore":{"point":"p","new":1,"step":"restoring","source":"","kind":"","preview": "","expires":"0001-01-01T00:00:00Z"}}`,
		},
		{"a point", `{"ID":"i","State":"live","New":true}`, again(func(p *backup.Point) { p.State = backup.Expired }), `{"ID":"i","State":"expired","New":true}`},
		{"a checkpoint", `{"Plan":"p","New":"x"}`, again(func(m *checkpoint.Checkpoint) { m.Paused = "why" }), `{"Plan":"p","Paused":"why","New":"x"}`},
		{"when it was evaluated", `{"Plan":"p","New":"x"}`, again(func(j *health.Evaluation) { j.Published = []string{"v"} }), `{"Plan":"p","Published":["v"],"New":"x"}`},
		{"what is active", `{"Hash":"h","New":"x"}`, again(func(h *plans.Head) { h.Hash = "g" }), `{"Hash":"g","New":"x"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := c.change(backup.Row{Body: json.RawMessage(c.body)})
			if err != nil {
				t.Fatal(err)
			}
			var is, want map[string]any
			if json.Unmarshal(got, &is) != nil || json.Unmarshal([]byte(c.want), &want) != nil {
				t.Fatalf("%s", got)
			}
			for name, value := range want {
				if !reflect.DeepEqual(is[name], value) {
					t.Errorf("%s is %v, want %v", name, is[name], value)
				}
			}
			for _, gone := range []string{"Reason", "New"} {
				if _, there := want[gone]; !there && is[gone] != nil {
					t.Errorf("%s is still %v", gone, is[gone])
				}
			}
		})
	}
}

// again reads a row, changes it, writes it back, and does so once more, as the next step does.
func again[T any](change func(*T)) func(row backup.Row) (json.RawMessage, error) {
	return func(row backup.Row) (json.RawMessage, error) {
		for range 2 {
			v, err := backup.Decode[T](row)
			if err != nil {
				return nil, err
			}
			change(&v)
			row.Body = backup.Encode(v)
		}
		return row.Body, nil
	}
}

// TestARowThatCannotBeReadIsNamed: it is known by its error.
func TestARowThatCannotBeReadIsNamed(t *testing.T) {
	row := backup.Row{Key: backup.Key{Partition: "p", Row: "r"}, Body: json.RawMessage(`{"Created":"yesterday"}`)}
	if _, err := backup.Decode[backup.Point](row); !errors.Is(err, backup.ErrUnreadable) || !strings.Contains(err.Error(), "row p/r") {
		t.Errorf("%v", err)
	}
	row.Err = errors.Join(backup.ErrUnreadable, errors.New("a newer Lifeboat wrote it"))
	if _, err := backup.Decode[backup.Run](row); !errors.Is(err, backup.ErrUnreadable) || !strings.Contains(err.Error(), "newer") {
		t.Errorf("%v", err)
	}
	if v, err := backup.Decode[deletion.Due](backup.Row{Body: json.RawMessage(`{"Point":"i","New":1}`)}); err != nil || v.Point != "i" || !v.Created.Equal(time.Time{}) {
		t.Errorf("what is never written back: %+v, %v", v, err)
	}
}

// TestOlderVersionsPassOverATimersNote: they take an unknown row among the checkpoints for a checkpoint. The row of a timer must
// look like the checkpoint of no plan.
func TestOlderVersionsPassOverATimersNote(t *testing.T) {
	at := time.Date(2026, 1, 15, 2, 30, 0, 0, time.UTC)
	for _, note := range []health.TimerRecord{{At: at}, {Since: at}} {
		row := backup.Row{Key: backup.TimerKey("schedule"), Body: backup.Encode(note)}
		if m, err := backup.Decode[checkpoint.Checkpoint](row); err != nil || m.Plan != "" || !m.InProgress.IsZero() {
			t.Errorf("%s is read as %+v, %v", row.Body, m, err)
		}
		if row.Row <= backup.ActivePlanKey.Row || row.Row >= backup.CheckpointPrefix || row.Row >= backup.UndeliverableKey.Row && row.Row < backup.UnpublishedPrefix {
			t.Errorf("%s is not where every timer run reads, or is counted among the events that wait", row.Row)
		}
	}
}
