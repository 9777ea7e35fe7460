package text

import (
	"strings"
	"time"
	"unicode"

	"lifeboat/internal/api"
	"lifeboat/internal/backup"
)

// State returns the state of the point in words for people.
func State(p api.Point) string {
	switch p.State {
	case backup.CopyOnly:
		return CopyOnly
	case backup.SoftDeleted:
		return softDeleted
	}
	return string(p.State)
}

// CopyOnly is the name of a point from which Azure can restore nothing.
const CopyOnly = "copy only"

const softDeleted = "soft-deleted"

// Fate says when a recovery point was or will be deleted.
func Fate(clock Clock, p api.Point) string {
	until := "kept until " + clock.At(p.Expires)
	if p.Expires.IsZero() {
		until = "kept as its plan says"
	}
	end, held := heldUntil(p)
	switch {
	case held && end.IsZero():
		until = "held until it is released"
	case end.After(p.Expires):
		until = "held until " + clock.At(end)
	case held:
		until += ", held until " + clock.At(end)
	}
	switch {
	case !p.Deleted.IsZero():
		return "deleted " + clock.At(p.Deleted)
	case p.State == backup.Altered:
		return "altered, and left alone"
	case p.Kept != nil: // live, suspect or a copy
		kept := strings.TrimSuffix(State(p)+", kept by storage until "+clock.At(p.Kept.Until), " until ")
		if len(p.Holds) > 0 {
			kept += ", " + until
		}
		return kept
	case p.State == backup.Live:
		return until
	case p.State == backup.Suspect, p.State == backup.CopyOnly:
		return State(p) + ", " + until
	case p.SoftDeletion != nil && p.State == backup.SoftDeleted && (!held || !end.IsZero() && !end.After(p.SoftDeletion.Until)):
		return softDeleted + ", there until " + clock.At(p.SoftDeletion.Until)
	case p.State == backup.SoftDeleted:
		return softDeleted + ", " + until
	}
	return string(p.State)
}

// Standing says the state of the point, and its fate.
func Standing(clock Clock, p api.Point) string {
	fate, state := Fate(clock, p), State(p)
	if strings.HasPrefix(fate, state) {
		return fate
	}
	return state + ", " + fate
}

// heldUntil returns the end of the last hold: of the people's, and of the one of a restore that is not confirmed. It is zero if one lasts
// until it is released.
func heldUntil(p api.Point) (end time.Time, held bool) {
	end, held = p.Held, !p.Held.IsZero()
	for _, hold := range p.Holds {
		if hold.Until.IsZero() {
			return time.Time{}, true
		}
		end, held = backup.Later(end, hold.Until), true
	}
	return end, held
}

// Hold describes a hold in one line: until when, since when, by which request and why, and its ID.
func Hold(clock Clock, h api.Hold) string {
	until := "until it is released"
	if !h.Until.IsZero() {
		until = "until " + clock.At(h.Until)
	}
	return Plain(until + ", since " + clock.At(h.Since) + ", by " + h.By + ": " + h.Reason + " (hold " + h.ID + ")")
}

// SoftDeletion says who deletes a point, and why.
func SoftDeletion(d api.SoftDeletion) string {
	if d.By == "" {
		return d.Reason
	}
	return "deleted by " + d.By + ": " + d.Reason
}

// Why returns why people hold the point, and behind that the rest that there is to say about it.
func Why(p api.Point) string {
	var words []string
	for _, hold := range p.Holds {
		words = append(words, "held: "+Plain(hold.Reason))
	}
	if rest := decision(p); rest != "" {
		words = append(words, rest)
	}
	return strings.Join(words, "; ")
}

// decision returns the decision of cleanup, or the reason for which the point is suspect, or was accepted, or that the service was changed
// while it was made.
func decision(p api.Point) string {
	switch {
	case p.SoftDeletion != nil && p.State == backup.SoftDeleted:
		return Plain(SoftDeletion(*p.SoftDeletion))
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

// Words writes a name such as lastTransaction as words.
func Words(name string) string {
	var words strings.Builder
	for _, letter := range Plain(name) {
		if unicode.IsUpper(letter) {
			words.WriteByte(' ')
		}
		words.WriteRune(unicode.ToLower(letter))
	}
	return words.String()
}
