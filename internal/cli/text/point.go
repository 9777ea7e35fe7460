package text

import (
	"strings"

	"lifeboat/internal/api"
	"lifeboat/internal/backup"
)

// State returns the state of the point in words for people.
func State(p api.Point) string {
	if p.State == backup.CopyOnly {
		return CopyOnly
	}
	return string(p.State)
}

// CopyOnly is the name of a point from which Azure can restore nothing.
const CopyOnly = "copy only"

// Fate says when a recovery point was or will be deleted.
func Fate(clock Clock, p api.Point) string {
	until := "kept until " + clock.At(p.Expires)
	switch { // the safety backup of a restore that is not confirmed is held
	case p.Held.After(p.Expires):
		until = "held until " + clock.At(p.Held)
	case !p.Held.IsZero():
		until += ", held until " + clock.At(p.Held)
	}
	switch {
	case !p.Deleted.IsZero():
		return "deleted " + clock.At(p.Deleted)
	case p.State == backup.Altered:
		return "altered, and left alone"
	case p.Kept != nil: // live, suspect or a copy
		return strings.TrimSuffix(State(p)+", kept by storage until "+clock.At(p.Kept.Until), " until ")
	case p.State == backup.Live:
		return until
	case p.State == backup.Suspect, p.State == backup.CopyOnly:
		return State(p) + ", " + until
	}
	return string(p.State)
}

// Why returns the decision of cleanup, or the reason for which the point is suspect, or was accepted, or that the service was changed
// while it was made.
func Why(p api.Point) string {
	switch {
	case p.Decision != "":
		return Plain(p.Decision)
	case p.State == backup.Suspect:
		return Code(p.Suspicion)
	case p.Safety:
		return "safety backup of the restore of the same ID"
	case p.Changed != nil && p.Suspicion == nil:
		return "changed during backup"
	case p.Suspicion != nil:
		return Plain(strings.TrimSuffix("accepted by "+p.AcceptedBy+": "+p.AcceptReason, ": "))
	}
	return ""
}

// Evidence says how sure it is that the point can be restored.
func Evidence(clock Clock, p api.Point) string {
	switch p.Evidence {
	case backup.HashProved:
		return "hash proved"
	case backup.AzureAsked:
		return "Azure asked"
	case backup.RestoredBefore:
		return "restored on " + clock.At(p.Restored)
	}
	return Plain(string(p.Evidence))
}

// Code returns the code of an API's error; "" if there is none.
func Code(p *api.Problem) string {
	if p == nil {
		return ""
	}
	return Plain(p.Code)
}
