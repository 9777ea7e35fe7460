package schedule

import (
	"fmt"
	"strings"
)

// foreign refuses what has not five or six fields between spaces.
func foreign(text string) *Refusal {
	texts := strings.Fields(text)
	switch {
	case len(texts) != 5 && len(texts) != 6:
		return &Refusal{Reason: malformed + fmt.Sprintf("it has %d", len(texts))}
	case strings.ContainsFunc(text, func(c rune) bool { return c != ' ' && (c < '!' || c > '~') }):
		return &Refusal{
			Reason: malformed + "only spaces can stand between the fields", Write: []string{strings.Join(texts, " ")},
		}
	}
	return nil
}
