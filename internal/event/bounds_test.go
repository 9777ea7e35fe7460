package event_test

import (
	"strings"
	"testing"

	"lifeboat/internal/event"
)

// TestAnAnswerFitsIntoTheOutbox: an event that cannot be sent is kept in a column with room for 32 Ki characters. The answer about
// more runs than fit names their batch alone.
func TestAnAnswerFitsIntoTheOutbox(t *testing.T) {
	id := strings.Repeat("0", 40)
	for n, named := range map[int]bool{500: true, 501: false, 1000: false} {
		a := event.BackupAnswer{Batch: "batch"}
		for range n {
			a.Runs = append(a.Runs, id)
		}
		data := string(event.BackupAnswered(a, "")[0].Data)
		if len(data) > 32<<10 || strings.Contains(data, id) != named || !strings.Contains(data, `"batch":"batch"`) {
			t.Errorf("%d runs: %d characters, named %v", n, len(data), strings.Contains(data, id))
		}
	}
}
