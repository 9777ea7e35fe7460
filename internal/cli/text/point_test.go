package text_test

import (
	"testing"
	"time"

	"lifeboat/internal/api"
	"lifeboat/internal/cli/text"
)

// TestFateOfARecoveryPoint checks that the text says until when the point is kept, and until when it is held, or its final
// state.
func TestFateOfARecoveryPoint(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC) }
	for name, c := range map[string]struct {
		p    api.Point
		want string
	}{
		"live":             {api.Point{State: "live", Expires: day(5)}, "kept until 2026-01-05T00:00:00Z"},
		"held for longer":  {api.Point{State: "live", Expires: day(5), Held: day(8)}, "held until 2026-01-08T00:00:00Z"},
		"held for less":    {api.Point{State: "live", Expires: day(9), Held: day(8)}, "kept until 2026-01-09T00:00:00Z, held until 2026-01-08T00:00:00Z"},
		"without a day":    {api.Point{State: "live"}, "kept as its plan says"},
		"suspect":          {api.Point{State: "suspect", Expires: day(5)}, "suspect, kept until 2026-01-05T00:00:00Z"},
		"suspect and held": {api.Point{State: "suspect", Expires: day(5), Held: day(8)}, "suspect, held until 2026-01-08T00:00:00Z"},
		"held by a person": {
			api.Point{State: "live", Expires: day(5), Held: day(8), Holds: []api.Hold{{Until: day(9)}, {}}}, "held until it is released",
		},
		"held until the last": {
			api.Point{State: "live", Expires: day(5), Held: day(8), Holds: []api.Hold{{Until: day(9)}, {Until: day(7)}}}, "held until 2026-01-09T00:00:00Z",
		},
		"held for less by a person": {
			api.Point{State: "live", Expires: day(9), Holds: []api.Hold{{Until: day(7)}}},
			"kept until 2026-01-09T00:00:00Z, held until 2026-01-07T00:00:00Z",
		},
		"held, and kept by storage": {
			api.Point{State: "live", Expires: day(5), Holds: []api.Hold{{}}, Kept: &api.Kept{}}, "live, kept by storage, held until it is released",
		},
		"soft-deleted": {
			api.Point{State: "softDeleted", Expires: day(5), SoftDeletion: &api.SoftDeletion{Until: day(9)}}, "soft-deleted, there until 2026-01-09T00:00:00Z",
		},
		"soft-deleted and held for less": {
			api.Point{State: "softDeleted", Expires: day(5), SoftDeletion: &api.SoftDeletion{Until: day(9)}, Holds: []api.Hold{{Until: day(8)}}},
			"soft-deleted, there until 2026-01-09T00:00:00Z",
		},
		"soft-deleted and held": {
			api.Point{State: "softDeleted", Expires: day(5), SoftDeletion: &api.SoftDeletion{Until: day(9)}, Holds: []api.Hold{{}}},
			"soft-deleted, held until it is released",
		},
		"being deleted": {api.Point{State: "deleting", Expires: day(5)}, "deleting"},
		"deleted":       {api.Point{State: "expired", Expires: day(5), Deleted: day(6)}, "deleted 2026-01-06T00:00:00Z"},
	} {
		if got := text.Fate(text.Clock{}, c.p); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	for name, c := range map[string]struct {
		p    api.Point
		want string
	}{
		"decided":                 {api.Point{State: "expired", Decision: "it was\x1b old", Safety: true}, "it was  old"},
		"suspect":                 {api.Point{State: "suspect", Suspicion: &api.Problem{Code: "SizeSuspect"}, Safety: true}, "SizeSuspect"},
		"a safety backup":         {api.Point{State: "live", Safety: true}, "safety backup of the restore of the same ID"},
		"accepted with a reason":  {api.Point{State: "live", Suspicion: &api.Problem{Code: "SizeSuspect"}, AcceptedBy: "me", AcceptReason: "fine"}, "accepted by me: fine"},
		"accepted without a word": {api.Point{State: "live", Suspicion: &api.Problem{Code: "SizeSuspect"}, AcceptedBy: "me"}, "accepted by me"},
		"soft-deleted":            {api.Point{State: "softDeleted", SoftDeletion: &api.SoftDeletion{Reason: "old\x1b"}}, "old "},
		"deleted by a person":     {api.Point{State: "softDeleted", SoftDeletion: &api.SoftDeletion{Reason: "a secret", By: "me"}}, "deleted by me: a secret"},
		"changed":                 {api.Point{State: "live", Changed: &api.Change{Resource: "x"}}, "changed during backup"},
		"changed and suspect":     {api.Point{State: "suspect", Suspicion: &api.Problem{Code: "SizeSuspect"}, Changed: &api.Change{}}, "SizeSuspect"},
		"held":                    {api.Point{State: "live", Holds: []api.Hold{{Reason: "case\x1b 4711"}}}, "held: case  4711"},
		"held twice, and suspect": {
			api.Point{State: "suspect", Suspicion: &api.Problem{Code: "SizeSuspect"}, Holds: []api.Hold{{Reason: "one"}, {Reason: "two"}}},
			"held: one; held: two; SizeSuspect",
		},
		"nothing to be said of it": {api.Point{State: "live"}, ""},
	} {
		if got := text.Why(c.p); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
