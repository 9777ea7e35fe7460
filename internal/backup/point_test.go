package backup_test

import (
	"testing"
	"time"

	"lifeboat/internal/backup"
)

// TestAPointIsAsOldAsItsState: a change that was made while a backup was written may be missing, unless the service says otherwise.
func TestAPointIsAsOldAsItsState(t *testing.T) {
	at := func(minute int) time.Time { return time.Date(2026, 11, 3, 2, minute, 0, 0, time.UTC) }
	lost := []backup.Window{{From: at(10), To: at(12)}, {From: at(20), To: at(22)}}
	for name, test := range map[string]struct {
		of       backup.Service
		progress backup.Progress
		asOf     time.Time
	}{
		"at its start":           {backup.Service{}, backup.Progress{Intent: at(30)}, at(30)},
		"after lost starts":      {backup.Service{}, backup.Progress{Intent: at(30), LostStarts: lost}, at(10)},
		"by a clock that is off": {backup.Service{}, backup.Progress{Intent: at(50)}, at(45)},
		"with no start known":    {backup.Service{}, backup.Progress{}, at(45)},
		"at its end":             {backup.Service{PointTime: backup.AtEnd}, backup.Progress{Intent: at(30)}, at(45)},
	} {
		p := backup.NewPoint(backup.Run{Progress: test.progress}, backup.Verification{Modified: at(45)}, test.of)
		if !p.AsOf.Equal(test.asOf) || !p.Created.Equal(at(45)) || p.Age(at(59)) != at(59).Sub(test.asOf) || p.Age(at(1)) != 0 {
			t.Errorf("%s: %+v, %s old", name, p, p.Age(at(59)))
		}
	}
	if old := (backup.Point{Created: at(45)}); old.Age(at(59)) != 14*time.Minute {
		t.Errorf("a point of an earlier version is %s old", old.Age(at(59)))
	}
}
