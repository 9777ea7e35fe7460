package diff_test

import (
	"slices"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/diff"
)

const day = 24 * time.Hour

// plan makes a plan that keeps for 20 days.
func plan(name string, targets ...string) backup.Plan {
	return backup.Plan{Name: name, Targets: targets, Settings: backup.Settings{KeepWithin: 20 * day}, Restore: backup.RestorePolicy{Into: []string{backup.Itself}}}
}

// TestAttention checks which edits take something away, and that their opposites do not.
func TestAttention(t *testing.T) {
	with := func(change func(p *backup.Plan)) []backup.Plan {
		p := plan("nightly", "a", "b")
		change(&p)
		return []backup.Plan{p}
	}
	before := with(func(*backup.Plan) {})
	counting := func(counts backup.Counts) []backup.Plan {
		return with(func(p *backup.Plan) {
			p.Settings.KeepWithin, p.Settings.KeepCounts, p.OnDemandKeepWithin = 0, counts, 90*day
		})
	}
	for name, c := range map[string]struct {
		old, edited []backup.Plan
		want, back  []string
	}{
		"nothing":                 {before, before, nil, nil},
		"a target goes":           {before, with(func(p *backup.Plan) { p.Targets = []string{"b"} }), []string{"targets"}, nil},
		"a target in capitals":    {before, with(func(p *backup.Plan) { p.Targets = []string{"A", "b"} }), nil, nil},
		"all plans go":            {before, nil, []string{"targets"}, []string{"restore.into"}},
		"a target moves":          {[]backup.Plan{plan("x", "a", "b"), plan("y", "c")}, []backup.Plan{plan("x", "b"), plan("y", "c", "a")}, nil, nil},
		"one of two plans goes":   {[]backup.Plan{plan("x", "a", "b"), plan("y", "a")}, []backup.Plan{plan("x", "a", "b")}, []string{"targets"}, []string{"restore.into"}},
		"another name":            {before, []backup.Plan{plan("renamed", "a", "b")}, nil, nil},
		"more may be overwritten": {before, with(func(p *backup.Plan) { p.Restore.Into = append(p.Restore.Into, "c") }), []string{"restore.into"}, nil},
		"more may be restored":    {before, with(func(p *backup.Plan) { p.Restore.From = []string{"c"} }), []string{"restore.from"}, nil},
		"an approval goes": {
			with(func(p *backup.Plan) { p.Restore.Approval = true }), before, []string{"restore.approval"}, nil,
		},
		"a safety backup only by the request": {
			with(func(p *backup.Plan) { p.Restore.Safety = backup.SafetyRequired }), before, []string{"restore.safetyBackup"}, nil,
		},
		"a safety backup never": {
			before, with(func(p *backup.Plan) { p.Restore.Safety = backup.SafetyNever }), []string{"restore.safetyBackup"}, nil,
		},
		"a safety backup of nothing": {
			with(func(p *backup.Plan) { p.Restore.Into, p.Restore.Safety = nil, backup.SafetyRequired }),
			with(func(p *backup.Plan) { p.Restore.Into, p.Restore.Safety = nil, backup.SafetyNever }),
			nil, nil,
		},
		"a lower count":  {counting(backup.Counts{Daily: 7, Weekly: 4}), counting(backup.Counts{Daily: 7, Weekly: 3}), []string{"keep"}, nil},
		"a count less":   {counting(backup.Counts{Daily: 7, Weekly: 4}), counting(backup.Counts{Daily: 9}), []string{"keep"}, []string{"keep"}},
		"a higher count": {counting(backup.Counts{Daily: 7}), counting(backup.Counts{Daily: 8, Yearly: 1}), nil, []string{"keep"}},
		"no more keep":   {counting(backup.Counts{Daily: 7}), counting(backup.Counts{}), nil, []string{"keep"}},
		"the first keep": {counting(backup.Counts{}), counting(backup.Counts{Daily: 7}), []string{"keep"}, nil},
		"counts in place of a time": {
			before, counting(backup.Counts{Daily: 20}), []string{"keep"}, []string{"keep"},
		},
		"counts beside a time": {before, with(func(p *backup.Plan) { p.Settings.KeepCounts.Daily = 7 }), nil, []string{"keep"}},
		"fewer newest ones":    {with(func(p *backup.Plan) { p.Settings.KeepMinimum = 3 }), before, []string{"keep"}, nil},
		"kept for less time":   {before, with(func(p *backup.Plan) { p.Settings.KeepWithin = 19 * day }), []string{"keep"}, nil},
		"no softDelete any more": {
			with(func(p *backup.Plan) { p.Settings.SoftDelete = 7 * day }), before, []string{"keep"}, nil,
		},
		"by hand for less time": {before, with(func(p *backup.Plan) { p.OnDemandKeepWithin = day }), []string{"keep"}, nil},
		"paused":                {before, with(func(p *backup.Plan) { p.Paused = true }), []string{"paused"}, nil},
		"another name, and kept for less time": {
			before, with(func(p *backup.Plan) { p.Name, p.Settings.KeepWithin = "renamed", day }), []string{"keep"}, nil,
		},
		"all at once": {
			before, with(func(p *backup.Plan) {
				p.Targets, p.Paused, p.Settings.KeepWithin, p.Restore.Into = []string{"a"}, true, day, []string{"itself", "c"}
			}), []string{"targets", "restore.into", "keep", "paused"}, nil,
		},
	} {
		if got := (diff.Edit{Old: c.old, New: c.edited}).Attention(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		if got := (diff.Edit{Old: c.edited, New: c.old}).Attention(); !slices.Equal(got, c.back) {
			t.Errorf("%s, back again: %q, want %q", name, got, c.back)
		}
	}
}
