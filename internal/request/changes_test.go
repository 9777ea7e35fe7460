package request_test

import (
	"testing"
	"time"

	"lifeboat/internal/request"
)

// TestAnEventIsOneChangeWheneverItComes: the clock of storage shows whole seconds, and may be behind the clock of the event. The
// same event that comes again, after its backup was made, is no further change.
func TestAnEventIsOneChangeWheneverItComes(t *testing.T) {
	const tolerance = 2 * time.Minute
	event := time.Date(2026, 11, 3, 2, 30, 3, 700_000_000, time.UTC)
	for name, now := range map[string]time.Time{
		"within the second":  event.Truncate(time.Second),
		"a clock behind":     event.Add(-time.Minute).Truncate(time.Second),
		"some seconds later": event.Add(5 * time.Second).Truncate(time.Second),
	} {
		c, news := request.Changes{}.With(event, now, tolerance)
		if !news || !c.First.Equal(event) || !c.Last.Equal(event) {
			t.Errorf("%s: %+v", name, c)
		}
		if _, news = c.With(event, now.Add(time.Second), tolerance); news {
			t.Errorf("%s: twice before the backup", name)
		}
		c = c.Make(now.Add(time.Minute - tolerance))
		if _, news = c.With(event, now.Add(time.Minute), tolerance); news {
			t.Errorf("%s: again after the backup", name)
		}
		if _, news = c.With(event.Add(time.Second), now.Add(time.Minute), tolerance); !news {
			t.Errorf("%s: a later change is none", name)
		}
	}
	now := event.Truncate(time.Second)
	if c, _ := (request.Changes{}).With(event.Add(time.Hour), now, tolerance); !c.Last.Equal(now) {
		t.Errorf("a change of the future is at %s", c.Last)
	}
}
