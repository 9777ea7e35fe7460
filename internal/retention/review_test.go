package retention_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/retention"
)

const (
	day    = 24 * time.Hour
	target = "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/rg/providers/" +
		"Microsoft.ApiManagement/service/contoso"
	account = "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/rg/providers/" +
		"Microsoft.Storage/storageAccounts/contosobackups"
)

var begin = time.Date(2026, 1, 15, 2, 30, 0, 0, time.UTC)

// review decides about these points, one at a time.
func review(now time.Time, points ...backup.Point) (decisions []retention.Decision, others int) {
	r := retention.NewReview(now, 30*day)
	for _, p := range points {
		r.Add(p)
	}
	return r.Decide()
}

func TestReview(t *testing.T) {
	now := begin
	point := func(id string, state backup.PointState, age, left time.Duration) backup.Point {
		return backup.Point{ID: id, State: state, Created: now.Add(-age), Expires: now.Add(left)}
	}
	for _, test := range []struct {
		name   string
		points []backup.Point
		want   string // id+ is kept, id- is not
	}{
		{"none", nil, ""},
		{"the only one, long past its time", []backup.Point{point("a", backup.Live, 99*day, -69*day)}, "a+"},
		{
			"past its time, with a newer one",
			[]backup.Point{point("b", backup.Live, day, 29*day), point("a", backup.Live, 31*day, -day)},
			"b+ a-",
		},
		{
			"all are past their time: the newest stays",
			[]backup.Point{point("a", backup.Live, 50*day, -20*day), point("b", backup.Live, 40*day, -10*day)},
			"a- b+",
		},
		{
			"not a second early",
			[]backup.Point{point("b", backup.Live, day, 29*day), point("a", backup.Live, 30*day, time.Second)},
			"b+ a+",
		},
		{"at its time", []backup.Point{point("b", backup.Live, day, 29*day), point("a", backup.Live, 30*day, 0)}, "b+ a-"},
		{"a point of the future protects nothing", []backup.Point{point("b", backup.Live, -day, 29*day), point("a", backup.Live, 31*day, -day)}, "b+ a+"},
		{
			"what is being deleted, or gone, protects nothing",
			[]backup.Point{
				point("c", backup.Expired, day, 29*day), point("b", backup.Deleting, 2*day, 28*day),
				point("a", backup.Live, 31*day, -day),
			},
			"b- a+",
		},
		{
			"a suspect one is kept for its time, but stands in for none",
			[]backup.Point{point("b", backup.Suspect, day, 29*day), point("a", backup.Live, 31*day, -day)},
			"b+ a+",
		},
		{
			"a suspect one expires, the newest or not",
			[]backup.Point{
				point("c", backup.Suspect, 31*day, -day), point("b", backup.Live, 32*day, -2*day),
				point("a", backup.Suspect, 33*day, -3*day),
			},
			"c- b+ a-",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			decisions, _ := review(now, test.points...)
			for _, p := range test.points {
				if p.State == backup.Expired {
					continue
				}
				kept := "+" // within its time
				for _, d := range decisions {
					if d.Point.ID == p.ID {
						kept = map[bool]string{true: "+", false: "-"}[d.Keep]
					}
					if d.Reason == "" {
						t.Errorf("no reason for %s", d.Point.ID)
					}
				}
				got = append(got, p.ID+kept)
			}
			if s := strings.Join(got, " "); s != test.want {
				t.Errorf("got %q, want %q", s, test.want)
			}
		})
	}
}

// TestMinimum checks that the newest points of a plan stay, as many as its newest one says: scheduled and verified ones that the
// service can still restore.
func TestMinimum(t *testing.T) {
	past := func(id string, age time.Duration, change ...func(*backup.Point)) backup.Point {
		p := backup.Point{ID: id, State: backup.Live, Plan: "nightly", Minimum: 3, Created: begin.Add(-age), Expires: begin.Add(-time.Hour)}
		for _, c := range change {
			c(&p)
		}
		return p
	}
	suspect := func(p *backup.Point) { p.State, p.Suspicion = backup.Suspect, backup.NewReason("FarSmaller", "", "") }
	byHand := func(p *backup.Point) { p.OnDemand, p.Minimum = true, 0 }
	safety := func(p *backup.Point) { p.Safety, p.OnDemand = true, true }
	weekly := func(p *backup.Point) { p.Plan, p.Minimum = "weekly", 0 }
	saying := func(n int) func(*backup.Point) { return func(p *backup.Point) { p.Minimum = n } }
	for _, test := range []struct {
		name   string
		points []backup.Point
		want   string // id+ is kept, id- is not
	}{
		{"three of five", []backup.Point{past("e", day), past("d", 2*day), past("c", 3*day), past("b", 4*day), past("a", 5*day)}, "a- b- c+ d+ e+"},
		{"fewer than that", []backup.Point{past("b", day), past("a", 5*day)}, "a+ b+"},
		{"the newest says how many", []backup.Point{past("c", day, saying(2)), past("b", 2*day), past("a", 3*day)}, "a- b+ c+"},
		{"it says none any more", []backup.Point{past("c", day, saying(0)), past("b", 2*day), past("a", 3*day)}, "a- b- c+"},
		{"not suspect ones", []backup.Point{past("d", day, suspect), past("c", 2*day), past("b", 3*day), past("a", 4*day)}, "a+ b+ c+ d-"},
		{"not those by hand", []backup.Point{past("d", 2*day, byHand), past("c", day), past("b", 3*day), past("a", 4*day)}, "a+ b+ c+ d-"},
		{"the newest of a schedule, and a newer one by hand", []backup.Point{past("c", day, byHand), past("b", 2*day, saying(0)), past("a", 3*day)}, "a- b+ c+"},
		{"not safety backups", []backup.Point{past("c", day, safety), past("b", 2*day), past("a", 3*day)}, "a+ b+ c-"},
		{
			"of two plans, by the one of the newest",
			[]backup.Point{past("e", day), past("d", 2*day, weekly), past("c", 3*day), past("b", 4*day), past("a", 5*day)},
			"a- b- c+ d+ e+",
		},
		{"not what cannot be restored any more", []backup.Point{past("c", 29*day), past("b", 30*day), past("a", 31*day)}, "a- b+ c+"},
		{"one that can no more, but is the newest", []backup.Point{past("b", 31*day), past("a", 32*day)}, "a- b+"},
		{"of one time, by the ID", []backup.Point{past("b", day, saying(2)), past("d", day, saying(2)), past("c", day, saying(2))}, "b- c+ d+"},
		{"of the future, not one", []backup.Point{past("d", -day), past("c", day), past("b", 2*day), past("a", 3*day)}, "a+ b+ c+ d+"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for range 2 { // pages come in any order
				var got []string
				decisions, _ := review(begin, test.points...)
				for _, d := range decisions {
					got = append(got, d.Point.ID+map[bool]string{true: "+", false: "-"}[d.Keep])
				}
				if slices.Sort(got); strings.Join(got, " ") != test.want {
					t.Errorf("got %q, want %q", strings.Join(got, " "), test.want)
				}
				slices.Reverse(test.points)
			}
		})
	}
}

// TestReviewSparesASharedArtifact: an artifact of a kept recovery point stays, even if another point names it too; if both points
// go, neither keeps the other, and a name in another container is another artifact.
func TestReviewSparesASharedArtifact(t *testing.T) {
	point := func(id, container, artifact string, age, keep time.Duration) backup.Point {
		created := begin.Add(-age)
		return backup.Point{
			ID: id, State: backup.Live, Target: target, Artifact: artifact, Created: created, Expires: created.Add(keep),
			Storage: backup.Storage{Account: account, Container: container},
		}
	}
	kept := map[string]string{}
	moved := point("shares it", "a", "folder", 9*day, day)
	moved.Storage.Account = strings.Replace(account, "/resourceGroups/", "/resourceGroups/from-", 1) // the account was moved since
	all := []backup.Point{
		point("newest", "a", "folder", day, 30*day), moved,
		point("elsewhere", "b", "folder", 9*day, day), point("goes", "a", "other", 9*day, day), point("goes too", "a", "other", 8*day, day),
	}
	for range 2 {
		clear(kept)
		decisions, others := review(begin, all...)
		for _, d := range decisions {
			if d.Keep {
				kept[d.Point.ID] = d.Reason
			}
		}
		if others != 1 || len(decisions) != 4 || len(kept) != 1 || kept["shares it"] != "the recovery point newest names the same artifact" {
			t.Errorf("kept %q of %+v, and %d others", kept, decisions, others)
		}
		slices.Reverse(all) // the kept one comes on the last page
	}
}

// TestWhyAPointIsKept: each reason keeps a point for its own time and no longer, beside a newer live one.
func TestWhyAPointIsKept(t *testing.T) {
	unread := backup.Point{ID: "unread", State: backup.Unreadable, Reason: backup.Reason{Message: "row p/r cannot be read"}}
	for _, test := range []struct {
		name   string
		change func(p *backup.Point)
		others []backup.Point
		keep   bool
		reason string
	}{
		{"its time is over", func(*backup.Point) {}, nil, false, "keep.within ended at 2026-01-14T02:30:00Z, and there is a newer one"},
		{"a second to go", func(p *backup.Point) { p.Expires = begin.Add(time.Second) }, nil, true, ""},
		{"at its time", func(p *backup.Point) { p.Expires = begin }, nil, false, "keep.within ended at 2026-01-15T02:30:00Z, and there is a newer one"},
		{"a suspect one", func(p *backup.Point) { p.State = backup.Suspect }, nil, false, "keep.within ended at 2026-01-14T02:30:00Z, and no person accepted it"},
		{"a safety backup", func(p *backup.Point) { p.Safety = true }, nil, false, "the time of a safety backup ended at 2026-01-14T02:30:00Z"},
		{"a newer safety backup is not the newest", func(p *backup.Point) {
			p.Safety, p.Created, p.Expires = true, begin.Add(-time.Hour), begin.Add(-time.Minute)
		}, nil, false, "the time of a safety backup ended at 2026-01-15T02:29:00Z"},
		{"held for a second more", func(p *backup.Point) {
			p.Held = backup.Hold{Until: begin.Add(time.Second), Reason: "nobody confirmed the restore"}
		}, nil, true, "held until 2026-01-15T02:30:01Z: nobody confirmed the restore"},
		{"held until now", func(p *backup.Point) { p.Held.Until = begin }, nil, false, "keep.within ended at 2026-01-14T02:30:00Z, and there is a newer one"},
		{"held by people", func(p *backup.Point) {
			p.Holds = []backup.PersonHold{{By: "invocation 1", Reason: "a test", Until: begin.Add(time.Second)}, {By: "invocation 2", Reason: "case 4711"}}
		}, nil, true, "held until it is released, by invocation 2: case 4711"},
		{"held by a person for a second more", func(p *backup.Point) {
			p.Holds = []backup.PersonHold{{By: "invocation 1", Reason: "a test", Until: begin.Add(time.Second)}}
		}, nil, true, "held until 2026-01-15T02:30:01Z, by invocation 1: a test"},
		{"held by a person until now", func(p *backup.Point) {
			p.Holds = []backup.PersonHold{{By: "invocation 1", Reason: "a test", Until: begin}}
		}, nil, false, "keep.within ended at 2026-01-14T02:30:00Z, and there is a newer one"},
		{"read by two restores", func(p *backup.Point) { p.Readers = []string{"one", "two"} }, nil, true, "the restore one reads it"},
		{"kept by storage for a second more", func(p *backup.Point) {
			p.KeptByStorage = backup.KeptByStorage{Again: begin.Add(time.Second), Reason: backup.Reason{Message: "a lease"}}
		}, nil, true, "kept by storage, which does not say until when: a lease"},
		{"kept by storage until now", func(p *backup.Point) { p.KeptByStorage.Again = begin }, nil, false, "keep.within ended at 2026-01-14T02:30:00Z, and there is a newer one"},
		{"being deleted, whatever else", func(p *backup.Point) {
			p.State, p.Readers, p.Held.Until = backup.Deleting, []string{"one"}, begin.Add(day)
		}, nil, false, "its deletion was begun"},
		{"expired as it was written", func(p *backup.Point) { p.Expires = p.Created }, nil, true, "it expired at 2025-12-15T02:30:00Z, not after it was written. That is a " +
			"mistake, so cleanup keeps it"},
		{"expired a second after it was written", func(p *backup.Point) { p.Expires = p.Created.Add(time.Second) }, nil, false, "keep.within ended at 2025-12-15T02:30:01Z, and there is a newer one"},
		{"beside one that cannot be read", func(p *backup.Point) { p.State = backup.Deleting }, []backup.Point{unread}, true, "nothing of the target is deleted: row p/r cannot be read"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := backup.Point{ID: "it", State: backup.Live, Artifact: "it", Created: begin.Add(-31 * day), Expires: begin.Add(-day)}
			test.change(&p)
			newer := backup.Point{ID: "newer", State: backup.Live, Artifact: "newer", Created: begin.Add(-2 * day), Expires: begin.Add(28 * day)}
			decisions, others := review(begin, append([]backup.Point{newer, p}, test.others...)...)
			if test.reason == "" {
				if len(decisions) != 0 || others != 2 {
					t.Errorf("decided %+v, and %d others", decisions, others)
				}
				return
			}
			if len(decisions) != 1 || others != 1+len(test.others) {
				t.Fatalf("decided %+v, and %d others", decisions, others)
			}
			if d := decisions[0]; d.Point.ID != "it" || d.Keep != test.keep || d.Reason != test.reason {
				t.Errorf("decided %t: %s; want %t: %s", d.Keep, d.Reason, test.keep, test.reason)
			}
		})
	}
}
