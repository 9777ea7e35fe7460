package diff

import (
	"fmt"
	"strings"

	"lifeboat/internal/backup"
)

// endless says whether no recovery point of the schedule ever expires.
func endless(s backup.Settings) bool { return s.KeepWithin == 0 && !s.KeepCounts.Any() }

// lowered warns of counts that hold fewer recovery points than before.
func lowered(old, settings backup.Settings, plan string) []string {
	switch {
	case endless(settings):
		return nil
	case endless(old):
		return []string{"! plan " + plan + ": until now no recovery point of its schedule expired; then each one does that no rule of keep holds"}
	}
	var lower []string
	is := settings.KeepCounts.Each()
	for i, was := range old.KeepCounts.Each() {
		if is[i].N < was.N {
			lower = append(lower, fmt.Sprintf("%s %d, not %d", was.Name, is[i].N, was.N))
		}
	}
	if lower == nil {
		return nil
	}
	return []string{"! plan " + plan + ": lower counts (" + strings.Join(lower, ", ") + "): recovery points that nothing else holds expire"}
}
