package backup

import (
	"testing"
	"time"
)

// TestWhenABackupRan: from its last intent to the time at which its artifact was written. If the answer to a start was lost, or the
// times do not fit, it is not known.
func TestWhenABackupRan(t *testing.T) {
	at := func(minute int) time.Time { return time.Date(2026, 1, 15, 2, minute, 0, 0, time.UTC) }
	for name, test := range map[string]struct {
		progress Progress
		want     Window
	}{
		"a backup":               {Progress{Intent: at(10), Finished: at(40)}, Window{From: at(10), To: at(30)}},
		"a lost start":           {Progress{Intent: at(10), LostStarts: []Window{{From: at(1), To: at(4)}}}, Window{}},
		"no intent":              {Progress{}, Window{}},
		"clocks that do not fit": {Progress{Intent: at(30)}, Window{}},
	} {
		r := Run{ID: "run", Progress: test.progress}
		r.Artifact = "run.2"
		if ran := r.Ran(at(30)); ran != test.want {
			t.Errorf("%s: %+v, want %+v", name, ran, test.want)
		}
		if a := r.ProviderAttempt("run.2"); a.Ran != (Window{}) {
			t.Errorf("%s: another call gets %+v", name, a.Ran)
		}
	}
}
