package backup

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// PersonHold is a hold of a recovery point by a person: cleanup does not delete the point, at any age. It is no [Hold]: a restore sets
// that one on its safety backup, and its confirmation ends it, whatever a person holds.
//
// A point has a list of them, since two people may hold it for two reasons: the release of the one hold must not end the other. Each has an
// ID, and a release names it. So a release that comes again, perhaps after the point was held anew, ends nothing else.
type PersonHold struct {
	// ID is made of the ID of the request that asked for the hold, by [HoldID].
	ID string `json:"id"`
	// Since and By say when and who; By is "invocation <ID>", as in [Acceptance].
	Since  time.Time `json:"since"`
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	// Until is the end of the hold; zero: it lasts until it is released.
	Until time.Time `json:"until,omitzero"`
}

// HoldID returns the ID of the hold that the request with the ID asks for.
func HoldID(request string) string { return Digest(request, 12) }

// Over says whether the hold has ended by itself.
func (h PersonHold) Over(now time.Time) bool { return !h.Until.IsZero() && !now.Before(h.Until) }

// Same says whether the holds are for one reason and one time: then one of them is enough.
func (h PersonHold) Same(other PersonHold) bool {
	return h.Reason == other.Reason && h.Until.Equal(other.Until)
}

// String says until when and why, for the reason of cleanup's decision.
func (h PersonHold) String() string {
	until := "held until it is released"
	if !h.Until.IsZero() {
		until = "held until " + h.Until.UTC().Format(time.RFC3339)
	}
	return until + ", by " + h.By + ": " + h.Reason
}

// HoldRelease is the newest release of a hold of a point, so that its repeat is known as one. The events tell of all others.
type HoldRelease struct {
	Hold string    `json:"hold"`
	Time time.Time `json:"time"`
	By   string    `json:"by"`
}

// The holds of a point fit into one column as JSON, of 32,768 characters.
const (
	// LongestHoldReason is the number of characters that the reason of a hold may have.
	LongestHoldReason = 1000
	// MostHolds is the number of holds that a point may have at a time.
	MostHolds = 5
)

// IsHoldReason says whether the text can be the reason of a hold: it is not empty, not too long, and each character can be read in one
// line.
func IsHoldReason(text string) bool {
	return strings.TrimSpace(text) != "" && utf8.RuneCountInString(text) <= LongestHoldReason &&
		!strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) || r == utf8.RuneError })
}

// HeldBy returns the holds by people that have not ended, oldest first.
func (p Point) HeldBy(now time.Time) []PersonHold {
	return slices.DeleteFunc(slices.Clone(p.Holds), func(h PersonHold) bool { return h.Over(now) })
}

// LongestHold returns the hold by a person that lasts longest.
func (p Point) LongestHold(now time.Time) (longest PersonHold, held bool) {
	for _, h := range p.HeldBy(now) {
		if !held || !longest.Until.IsZero() && (h.Until.IsZero() || h.Until.After(longest.Until)) {
			longest, held = h, true
		}
	}
	return longest, held
}
