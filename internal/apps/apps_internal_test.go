package apps

import (
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/checkpoint"
	"lifeboat/internal/stop"
)

// TestOlderVersionsPassOverTheApps: they take an unknown row among the checkpoints for a checkpoint. The rows of the apps must look
// like checkpoints of no plan, and stand where every timer run reads, just before the rows of the timers.
func TestOlderVersionsPassOverTheApps(t *testing.T) {
	at := time.Date(2026, 1, 15, 2, 30, 0, 0, time.UTC)
	for key, value := range map[backup.Key]any{
		backup.OwnerKey:                record{App: "a", Since: at, From: "b", Caller: "c"},
		backup.OtherAppKey("a/b c \\"): note{App: "a/b c \\", First: at, Last: at},
		backup.StopKey:                 stop.Switch{Reason: "an incident", By: "c", Since: at, Resumed: at, ResumedBy: "d", Seen: []string{"id"}},
	} {
		row := backup.Row{Key: key, Body: backup.Encode(value)}
		if m, err := backup.Decode[checkpoint.Checkpoint](row); err != nil || m.Plan != "" || !m.InProgress.IsZero() || m.Paused != "" {
			t.Errorf("%s is read as %+v, %v", row.Body, m, err)
		}
		if row.Row <= backup.EvaluatedPrefix+"~" || row.Row >= backup.TimerPrefix || row.Row < backup.AppsPrefix || row.Row >= backup.Behind(backup.AppsPrefix) {
			t.Errorf("%s is not where timer runs read", row.Row)
		}
	}
}

// TestARowOfTheAppsKeepsWhatThisVersionDoesNotKnow: a newer version may have given it more members.
func TestARowOfTheAppsKeepsWhatThisVersionDoesNotKnow(t *testing.T) {
	for _, key := range []backup.Key{backup.OwnerKey, backup.OtherAppKey("a")} {
		var s State
		if !s.Add(backup.Row{Key: key, ETag: "e", Body: []byte(`{"App":"a","New":1}`)}) {
			t.Errorf("%s is no row of the apps", key.Row)
		}
		was, other := s.owner.Carried, s.notes["a"]
		if key != backup.OwnerKey {
			was = other.Carried
		}
		if body := string(backup.Encode(record{App: "b", Carried: was})); body != `{"App":"b","New":1,"Since":"0001-01-01T00:00:00Z"}` {
			t.Errorf("%s: %s", key.Row, body)
		}
	}
}
