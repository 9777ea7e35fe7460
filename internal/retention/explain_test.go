package retention_test

import (
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/retention"
)

// TestExplainSaysWhatDecideSays gives each reason for which a point past its time stays or goes to both: the first reason of the one is the
// reason of the other.
func TestExplainSaysWhatDecideSays(t *testing.T) {
	now := begin
	past := func(change func(*backup.Point)) backup.Point {
		p := backup.Point{ID: "a", Plan: "nightly", State: backup.Live, Created: now.Add(-29 * day), Expires: now.Add(-day), Artifact: "a"}
		change(&p)
		return p
	}
	newer := backup.Point{ID: "b", Plan: "nightly", State: backup.Live, Created: now.Add(-day), Expires: now.Add(9 * day), Artifact: "b"}
	oldest := retention.Counted{Plan: "nightly", Counts: backup.Counts{Monthly: 2}, Horizon: 30 * day}
	for _, c := range []struct {
		name   string
		point  backup.Point
		others []backup.Point
		row    *retention.Counted
		broken error
		stays  bool
		next   time.Time
	}{
		{name: "past its time", point: past(func(*backup.Point) {}), others: []backup.Point{newer}},
		{name: "its deletion was begun", point: past(func(p *backup.Point) { p.State = backup.Deleting }), others: []backup.Point{newer}},
		{name: "suspect", point: past(func(p *backup.Point) { p.State = backup.Suspect })},
		{name: "a safety backup", point: past(func(p *backup.Point) { p.Safety = true })},
		{name: "a row cannot be read", point: past(func(*backup.Point) {}), others: []backup.Point{newer}, row: &oldest, broken: backup.ErrUnreadable, stays: true},
		{name: "a mistake", point: past(func(p *backup.Point) { p.Expires = p.Created }), others: []backup.Point{newer}, stays: true},
		{name: "a count", point: past(func(*backup.Point) {}), others: []backup.Point{newer}, row: &oldest, stays: true, next: now.Add(day + 1)},
		{name: "no row of counts", point: past(func(p *backup.Point) { p.Counted = true }), others: []backup.Point{newer}, stays: true},
		{name: "without a rule", point: past(func(p *backup.Point) { p.Expires = time.Time{} }), others: []backup.Point{newer}, stays: true},
		{
			name: "without a day of its own", point: past(func(p *backup.Point) { p.Expires = time.Time{} }), others: []backup.Point{newer},
			row: &retention.Counted{Plan: "nightly", Within: 31 * day}, stays: true, next: now.Add(2 * day),
		},
		{name: "the newest", point: past(func(*backup.Point) {}), stays: true},
		{name: "the newest of a schedule", point: past(func(*backup.Point) {}), others: []backup.Point{func() backup.Point {
			p := newer
			p.OnDemand = true
			return p
		}()}, stays: true, next: now.Add(day + 1)},
		{name: "the minimum", point: past(func(*backup.Point) {}), others: []backup.Point{func() backup.Point {
			p := newer
			p.Minimum = 2
			return p
		}()}, stays: true, next: now.Add(day + 1)},
		{
			name: "held by a restore", point: past(func(p *backup.Point) { p.Held = backup.Hold{Until: now.Add(day), Reason: "a restore"} }),
			others: []backup.Point{newer}, stays: true, next: now.Add(day),
		},
		{name: "held by people", point: past(func(p *backup.Point) {
			p.Holds = []backup.PersonHold{{ID: "1", Until: now.Add(day)}, {ID: "2", Until: now.Add(2 * day)}}
		}), others: []backup.Point{newer}, stays: true, next: now.Add(2 * day)},
		{name: "read", point: past(func(p *backup.Point) { p.Readers = []string{"r"} }), others: []backup.Point{newer}, stays: true},
		{
			name: "kept by storage", point: past(func(p *backup.Point) { p.KeptByStorage.Again = now.Add(day) }), others: []backup.Point{newer},
			stays: true, next: now.Add(day),
		},
		{
			name: "soft-deleted by the policy", point: past(func(p *backup.Point) {
				p.SoftDeletion = backup.SoftDeletion{Since: now, Until: now.Add(day), Reason: "its time"}
			}), others: []backup.Point{newer}, stays: true, next: now.Add(day),
		},
		{name: "the end of its soft deletion", point: past(func(p *backup.Point) {
			p.SoftDeletion = backup.SoftDeletion{Since: now, Until: now, Reason: "its time"}
		}), others: []backup.Point{newer}},
		{name: "deleted by a person within its time", point: past(func(p *backup.Point) {
			p.Expires = now.Add(9 * day)
			p.SoftDeletion = backup.SoftDeletion{ID: "x", By: "me", Since: now, Until: now.Add(day), Reason: "a secret"}
		}), others: []backup.Point{newer}, stays: true, next: now.Add(day)},
		{name: "deleted by a person, and held since", point: past(func(p *backup.Point) {
			p.Holds = []backup.PersonHold{{ID: "1", Until: now.Add(2 * day)}}
			p.SoftDeletion = backup.SoftDeletion{ID: "x", By: "me", Since: now, Until: now.Add(day), Reason: "a secret"}
		}), others: []backup.Point{newer}, stays: true, next: now.Add(2 * day)},
		{name: "deleted by a person, and the newest", point: past(func(p *backup.Point) {
			p.SoftDeletion = backup.SoftDeletion{ID: "x", By: "me", Since: now, Until: now, Reason: "a secret"}
		})},
		{name: "soft-deleted first", point: past(func(p *backup.Point) { p.SoftDelete = 3 * day }), others: []backup.Point{newer}},
		{
			name: "a shared artifact", point: past(func(p *backup.Point) { p.Artifact = "c" }),
			others: []backup.Point{newer, {ID: "c", State: backup.Suspect, Created: now.Add(-day), Expires: now.Add(3 * day), Artifact: "c"}}, stays: true,
			next: now.Add(3 * day),
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			add := func() *retention.Review {
				r := retention.NewReview(now, 30*day)
				if c.row != nil {
					r.Count(*c.row, time.UTC, c.broken)
				}
				for _, p := range append(c.others, c.point) {
					r.Add(p)
				}
				return r
			}
			decisions, _ := add().Decide()
			explained := add().Explain(append(c.others, c.point))
			d, x := decisions[len(decisions)-1], explained[len(explained)-1]
			if x.Point.ID != "a" || d.Point.ID != "a" || x.Stays != d.Keep || x.Stays != c.stays || x.Causes[0].Words != d.Reason || len(explained) != len(c.others)+1 {
				t.Errorf("%+v\nand %+v", x, d)
			}
			if !x.Next.Equal(c.next) {
				t.Errorf("it may change at %s, want %s", x.Next, c.next)
			}
		})
	}
}
