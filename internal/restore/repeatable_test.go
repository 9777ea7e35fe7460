package restore_test

import (
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/request"
	"lifeboat/internal/restore"
)

// TestARepeatOfARestoreIsOfUseAsLongAsTheRequestIs: without a time of its own, a request counts from when it was sent, however often the host
// gave it up since.
func TestARepeatOfARestoreIsOfUseAsLongAsTheRequestIs(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		q     restore.Request
		sent  time.Time
		until time.Time
		ok    bool
	}{
		"sent hours ago":             {restore.Request{ID: "i", Target: target, Kind: backup.RestoreFull}, now.Add(-5 * time.Hour), now.Add(restore.DefaultRestoreTime - 5*time.Hour), true},
		"it is not known when":       {restore.Request{ID: "i", Target: target, Kind: backup.RestoreFull}, time.Time{}, now.Add(restore.DefaultRestoreTime), true},
		"with a time of its own":     {restore.Request{ID: "i", Target: target, Kind: backup.RestoreFull, Expires: now.Add(time.Hour)}, now.Add(-5 * time.Hour), now.Add(time.Hour), true},
		"a dry run":                  {restore.Request{ID: "i", Target: target, Kind: backup.RestoreFull, DryRun: true}, now, time.Time{}, false},
		"one that cannot be read":    {restore.Request{ID: "i", Target: "contoso", Kind: backup.RestoreFull}, now, time.Time{}, false},
		"one from a clock far ahead": {restore.Request{ID: "i", Target: target, Kind: backup.RestoreFull}, now.Add(time.Hour), now.Add(restore.DefaultRestoreTime), true},
	} {
		until, ok := restore.Repeatable(backup.RestoreQueue, request.Postponed{Sent: c.sent, Message: requestText(c.q)}, backup.Services{}, now)
		if ok != c.ok || ok && !until.Equal(c.until) {
			t.Errorf("%s: until %s, %t", name, until, ok)
		}
	}
}
