package backup_test

import (
	"testing"
	"time"

	"lifeboat/internal/backup"
)

// TestEvidence: a point says the best that is known of it, and no more than its artifact is known to be.
func TestEvidence(t *testing.T) {
	read := backup.Point{State: backup.Live, SHA256: "sum"}
	asked := read
	asked.Asked = true
	restored := asked
	restored.Restored = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	altered, touched, gone, unread := restored, restored, restored, restored
	altered.State, gone.State, unread.State = backup.Altered, backup.Expired, backup.Unreadable
	touched.Reason.Code = backup.CodeTouched
	for name, test := range map[string]struct {
		p    backup.Point
		want backup.Evidence
	}{
		"read and hashed": {read, backup.HashProved}, "its service was asked": {asked, backup.AzureAsked}, "restored": {restored, backup.RestoredBefore},
		"altered since": {altered, backup.Stored}, "touched since": {touched, backup.Stored}, "gone": {gone, ""}, "unreadable": {unread, ""},
		"never read": {backup.Point{State: backup.Live}, backup.Stored},
	} {
		if got := test.p.Evidence(); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
