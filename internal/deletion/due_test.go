package deletion_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/deletion"
)

// TestWhatStorageKeepsIsNoFailure: storage may keep a manifest of an expired point, as in a vault, or a late artifact of a run that was given up.
// Then its entry stays for a later cleanup, and nothing failed. A role that is missing is a failure each time.
func TestWhatStorageKeepsIsNoFailure(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		fails error
		moves bool
	}{
		"deleted":             {nil, false},
		"kept":                {&backup.Fault{Kind: backup.Kept, Code: "KeptByVault"}, true},
		"the role is missing": {&backup.Fault{Kind: backup.Unobservable, Code: "AuthorizationPermissionMismatch"}, true},
	} {
		for point, p := range map[string]backup.Point{"expired": {ID: "p", State: backup.Expired}, "never there": {}} {
			var ops []backup.Op
			x := deletion.Index{
				Load: func(context.Context, string) (backup.Run, time.Time, error) {
					r := backup.Run{State: backup.Unknown, Ended: now.Add(-time.Hour)}
					r.Reason.Code = backup.Abandoned
					return r, now, nil
				},
				Apply: func(_ context.Context, writes ...backup.Write) error {
					for _, w := range writes {
						ops = append(ops, w.Op)
					}
					return nil
				},
				MayBegin:        func(context.Context) error { return nil },
				RemoveManifests: func(context.Context, backup.Point) error { return c.fails },
				RemoveLate:      func(context.Context, backup.Run) error { return c.fails },
				Recheck:         6 * time.Hour, Now: now,
			}
			err := x.DropOrMove(t.Context(), deletion.Due{Point: "p", Target: "t", Created: now}, p, deletion.Look{})
			failed := c.fails != nil && backup.AsFault(c.fails).Kind != backup.Kept
			if failed != (err != nil) || failed && !errors.Is(err, c.fails) {
				t.Errorf("%s, %s: %v", name, point, err)
			}
			if moved := len(ops) == 2; moved != (c.moves || point == "never there") { // cleanup looks for what comes late for a week
				t.Errorf("%s, %s: %v", name, point, ops)
			}
		}
	}
}

// TestALateManifestIsDeletedToo: the manifest of a change by a person may arrive behind the deletion of the others, so the entry of the point
// stays for one more look.
func TestALateManifestIsDeletedToo(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for ago, looks := range map[time.Duration]bool{time.Minute: true, time.Hour: false} {
		for name, p := range map[string]backup.Point{
			"accepted":  {ID: "p", State: backup.Expired, Accepted: backup.Acceptance{Time: now.Add(-ago)}},
			"released":  {ID: "p", State: backup.Expired, Released: backup.HoldRelease{Time: now.Add(-ago)}},
			"deleted":   {ID: "p", State: backup.Expired, SoftDeletion: backup.SoftDeletion{ID: "request", Since: now.Add(-ago)}},
			"undeleted": {ID: "p", State: backup.Expired, Undone: backup.Undo{Time: now.Add(-ago)}},
		} {
			var keys []backup.Key
			x := deletion.Index{
				Apply: func(_ context.Context, writes ...backup.Write) error {
					for _, w := range writes {
						if w.Op == backup.Put {
							keys = append(keys, w.Key)
						}
					}
					return nil
				},
				MayBegin:        func(context.Context) error { return nil },
				RemoveManifests: func(context.Context, backup.Point) error { return nil },
				Recheck:         6 * time.Hour, Now: now,
			}
			if err := x.DropOrMove(t.Context(), deletion.Due{Point: "p", Target: "t", Created: now}, p, deletion.Look{}); err != nil {
				t.Fatal(err)
			}
			if looks != (len(keys) == 1 && keys[0] == backup.DueKey(now.Add(6*time.Hour), "p")) {
				t.Errorf("%s %s ago: %v", name, ago, keys)
			}
		}
	}
}
