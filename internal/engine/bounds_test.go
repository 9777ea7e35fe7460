package engine_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/plans"
	"lifeboat/internal/request"
	"lifeboat/internal/restore"
)

// manyPoints makes n points of the target, a minute apart, the newest at the given time. It returns their IDs, newest first.
func (s *harness) manyPoints(n int, newest time.Time) (ids []string) {
	s.t.Helper()
	partition := s.ask("partition").ID[:17]
	for i := range n {
		created := newest.Add(-time.Duration(i) * time.Minute)
		p := backup.Point{
			ID: fmt.Sprintf("%s%010d-000000000000", partition, 9_999_999_999-created.Unix()), State: backup.Suspect, Target: target, Plan: "nightly",
			Created: created, Expires: created.AddDate(0, 0, 1), Artifact: fmt.Sprint("artifact-", i),
		}
		s.put(p)
		ids = append(ids, p.ID)
	}
	return ids
}

// TestTheThousandAndFirstCounts: rows that do not fit into one answer of the catalog are read as well.
func TestTheThousandAndFirstCounts(t *testing.T) {
	t.Run("the only live point is the oldest of 1,001", func(t *testing.T) {
		s := newHarness(t)
		plan := restoring(false)[0]
		s.makeActive()
		s.runSchedule(plan)
		s.now = begin.Add(5 * day)
		ids := s.manyPoints(1001, s.now)
		last := ids[1000]
		s.change(last, func(p *backup.Point) { p.State = backup.Live })
		p, err := s.engine.PreviewRestore(t.Context(), order("restore-1"), []backup.Plan{plan})
		if err != nil || p.Point == nil || p.Point.ID != last {
			t.Errorf("a restore would bring back %+v, %v", p.Point, err)
		}
		s.runSchedule(plan)
		if alarms, _ := s.alarms(); len(alarms) != 0 {
			t.Errorf("a false alarm: %v", alarms)
		}
		health, _, err := s.engine.Health(t.Context(), plans.Active{Plans: []backup.Plan{plan}})
		if err != nil || health[0].Point == nil || health[0].Point.ID != last {
			t.Errorf("%+v, %v", health, err)
		}
		// Pages of any size give each of them once.
		for _, top := range []int{1, 100, 999, 1000} {
			var seen []string
			for after := ""; ; {
				points, next, err := s.engine.RecoveryPoints(t.Context(), target, after, top)
				if err != nil {
					t.Fatal(err)
				}
				for _, p := range points {
					seen = append(seen, p.ID)
				}
				if after = next; after == "" || top == 1 && len(seen) == 3 {
					break
				}
			}
			if want := ids[:len(seen)]; !slices.Equal(seen, want) || top > 1 && len(seen) != 1001 {
				t.Errorf("in pages of %d: %d points", top, len(seen))
			}
		}
	})
	t.Run("1,001 points are past their time", func(t *testing.T) {
		s := newHarness(t)
		ids := s.manyPoints(1001, begin)
		for _, id := range ids {
			key := backup.Key{Partition: "due", Row: begin.Format("20060102T150405Z") + "-" + id}
			body := fmt.Appendf(nil, `{"Point":%q,"Target":%q,"Created":%q}`, id, target, begin.Format(time.RFC3339))
			if _, err := s.storage.catalog.Apply(t.Context(), backup.Write{Op: backup.Insert, Key: key, Body: body}); err != nil {
				t.Fatal(err)
			}
		}
		s.now = begin.Add(10 * day)
		for days := 0; s.rows("due") > 0; days++ {
			report := s.cleanup()
			if len(report.Failed) > 0 {
				t.Fatal(report.Failed[0])
			}
			if days == 0 && (len(s.provider.deleted) != 100 || report.Waiting != 901) {
				t.Fatalf("%d were deleted on the first day, and %d wait", len(s.provider.deleted), report.Waiting)
			}
			if days > 100 {
				t.Fatalf("%d were deleted in %d days", len(s.provider.deleted), days)
			}
			s.now = s.now.Add(day)
		}
		if len(s.provider.deleted) != 1001 || s.rows("due") != 0 {
			t.Errorf("%d were deleted, %d are still to be looked at", len(s.provider.deleted), s.rows("due"))
		}
	})
	t.Run("1,001 plans have a checkpoint", func(t *testing.T) {
		s := newHarness(t)
		last := nightly()
		last.Name = "zz-last"
		s.runSchedule(last)
		own := ""
		for _, row := range s.storage.catalog.Rows() {
			if strings.HasSuffix(row.Row, "zz-last") && !strings.HasPrefix(row.Row, "evaluated") {
				own = row.Row
			}
		}
		for i := range 1001 {
			body := fmt.Appendf(nil, `{"Plan":"gone-%04d","At":%q}`, i, begin.Format(time.RFC3339))
			key := backup.Key{Partition: "schedule", Row: strings.Replace(own, "zz-last", fmt.Sprintf("gone-%04d", i), 1)}
			if _, err := s.storage.catalog.Apply(t.Context(), backup.Write{Op: backup.Insert, Key: key, Body: body}); err != nil {
				t.Fatal(err)
			}
		}
		s.now = begin.Add(day)
		if report := s.runSchedule(last); len(report.Created) != 1 {
			t.Errorf("the scheduled time made %d runs", len(report.Created))
		}
	})
}

// TestATargetsCaseIsNoOtherTarget: the alarm is not published again after an edit that spells the target in another case.
func TestATargetsCaseIsNoOtherTarget(t *testing.T) {
	plan := nightly()
	s := rotten(t, plan)
	s.now = begin.Add(3*day + 2*time.Hour)
	s.runSchedule(plan)
	plan.Targets = []string{strings.ToUpper(target)}
	for range 3 {
		s.now = s.now.Add(day)
		s.runSchedule(plan)
		s.finish()
	}
	if ids, _ := s.alarms(); len(ids) != 1 {
		t.Errorf("told of %v", ids)
	}
}

// TestAPlansRoomIsItsOwn: the operations of another plan whose name has the same beginning take none of its permits.
func TestAPlansRoomIsItsOwn(t *testing.T) {
	s := newHarness(t)
	short, long := many(2), many(5)
	short.Name, short.Settings.Concurrency = "night", 1
	long.Name, long.Settings.Concurrency = "nightly", 3
	for i, target := range long.Targets {
		long.Targets[i] = target + "-long"
	}
	s.engine.Concurrency = 50
	s.operate(30 * time.Minute)
	ask := func(plan backup.Plan) (runs []backup.Run) {
		t.Helper()
		for _, target := range plan.Targets {
			run, err := s.backup(target, plan, target)
			if err != nil {
				t.Fatal(err)
			}
			runs = append(runs, run)
		}
		return runs
	}
	runs := ask(short)
	s.minutes(10)
	ask(long)
	s.minutes(14) // 36 minutes in all: the first one of the short plan has ended, and the runs of the long one are under way
	first, second := s.run(runs[0].ID), s.run(runs[1].ID)
	if second.State == backup.Succeeded { // the order in which they began does not matter
		first, second = second, first
	}
	if first.State != backup.Succeeded || second.State != backup.Running || s.runStates()[backup.Running] != 4 {
		t.Errorf("%s, and then %s, in the wait queue %q; all: %v", first.State, second.State, second.QueueRow, s.runStates())
	}
}

// deadlines is a catalog that notes the time limits of its callers.
type deadlines struct {
	backup.Catalog
	mu      sync.Mutex // several runs are made at once
	longest time.Duration
}

func (d *deadlines) Apply(ctx context.Context, writes ...backup.Write) ([]string, error) {
	at, ok := ctx.Deadline()
	if !ok {
		at = time.Now().Add(24 * time.Hour)
	}
	d.mu.Lock()
	d.longest = max(d.longest, time.Until(at))
	d.mu.Unlock()
	return d.Catalog.Apply(ctx, writes...)
}

// TestABatchIsAnsweredBeforeTheCallerGivesUp: Azure's front end does so after 230 seconds.
func TestABatchIsAnsweredBeforeTheCallerGivesUp(t *testing.T) {
	s := newHarness(t)
	d := &deadlines{Catalog: s.storage}
	s.engine.Catalog = d
	if _, _, err := s.engine.Backup(t.Context(), request.Backup{ID: "i", Plan: fleet(3).Name}, []backup.Plan{fleet(3)}); err != nil {
		t.Fatal(err)
	}
	if d.longest <= 0 || d.longest > 200*time.Second {
		t.Errorf("the making of its runs may take %s", d.longest)
	}
}

// TestARestoreSaysWhichCallsItMakes: word for word, with the safety backup first if there is one.
func TestARestoreSaysWhichCallsItMakes(t *testing.T) {
	s, _, _ := restorable(t)
	of := func(kind string) string {
		return "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/rg/providers/" + kind + "/Contoso"
	}
	apim, hsm := of("Microsoft.ApiManagement/service"), of("Microsoft.KeyVault/managedHSMs")
	ccf, ledger := of("Microsoft.ConfidentialLedger/managedCCFs"), of("Microsoft.ConfidentialLedger/ledgers")
	const host = "https://contoso.managedhsm.azure.net"
	for _, c := range []struct {
		target string
		safety bool
		key    string
		calls  []string
		loses  string // the first part that it overwrites
	}{
		{apim, false, "", []string{"POST " + apim + "/restore"}, "the whole configuration"},
		{apim, true, "", []string{"POST " + apim + "/backup", "POST " + apim + "/restore"}, "the whole configuration"},
		{hsm, false, "", []string{"POST " + host + "/prebackup", "POST " + host + "/backup", "PUT " + host + "/prerestore", "PUT " + host + "/restore"}, "all keys"},
		{hsm, false, "rsa-1", []string{"POST " + host + "/prebackup", "POST " + host + "/backup", "PUT " + host + "/prerestore", "PUT " + host + "/keys/rsa-1/restore"}, "nothing: the key rsa-1"},
		{ccf, false, "", []string{"POST " + ccf + "/restore"}, "nothing: the original"},
		{ledger, true, "", []string{"POST " + ledger + "/restore"}, "nothing: the original"},
	} {
		for _, spelled := range []string{c.target, strings.Replace(c.target, "Microsoft.", "microsoft.", 1)} {
			plans, q := restoring(c.safety), order("restore-1")
			plans[0].Targets, plans[0].Settings.Blocks = []string{spelled}, `{"ccf":{"restoreRegion":"westeurope","apiVersion":"2025-06-10-preview"}}`
			q.Target = spelled
			if c.key != "" {
				q.Kind, q.Key = backup.RestoreKey, c.key
			}
			p, err := s.engine.PreviewRestore(t.Context(), q, plans)
			want := slices.Clone(c.calls)
			for i := range want {
				want[i] = strings.Replace(want[i], c.target, spelled, 1)
			}
			if err != nil || !slices.Equal(p.Calls, want) || len(p.Overwrites) == 0 || !strings.HasPrefix(p.Overwrites[0], c.loses) {
				t.Errorf("%s, safety backup %t, key %q: %q, %q, %v; want %q", spelled, c.safety, c.key, p.Calls, p.Overwrites, err, want)
			}
		}
	}
}

// TestWhichPointIsTheLatest: the newest counts by the time of its writing, not by the beginning of its run. Before an instant it
// is the newest that was written before that. It is never a suspect point, a safety backup or a deleted point.
func TestWhichPointIsTheLatest(t *testing.T) {
	s, _, first := restorable(t)
	s.now = s.now.Add(10 * day)
	made := map[string]backup.Point{}
	for name, c := range map[string]struct{ run, written time.Duration }{
		"early":     {-9 * day, -9*day + time.Hour},
		"long run":  {-8 * day, -3 * day}, // began before the next one, and was written after it
		"short run": {-5 * day, -5*day + time.Hour},
		"suspect":   {-2 * day, -2 * day},
		"safety":    {-1 * day, -1 * day},
		"gone":      {-12 * time.Hour, -12 * time.Hour},
	} {
		p := s.left(target, backup.Live, s.now.Add(c.run))
		p.Created, p.Artifact = s.now.Add(c.written), name
		switch name {
		case "suspect":
			p.State = backup.Suspect
		case "safety":
			p.Safety = true
		case "gone":
			p.State = backup.Expired
		}
		s.put(p)
		made[p.ID] = p
	}
	at := func(before time.Duration) time.Time { return s.now.Add(before) }
	for before, want := range map[time.Time]string{
		{}: "long run", at(0): "long run", at(-3*day + time.Second): "long run", at(-3 * day): "short run", at(-5*day + time.Hour + time.Second): "short run",
		at(-5*day + time.Hour): "early", at(-9*day + time.Hour): first, begin: "",
	} {
		q := order("restore-1")
		q.Before = before
		p, err := s.engine.PreviewRestore(t.Context(), q, restoring(false))
		got := ""
		if p.Point != nil {
			if got = made[p.Point.ID].Artifact; got == "" {
				got = p.Point.ID
			}
		}
		if err != nil || got != want {
			t.Errorf("latest before %s: %q, want %q, %v", before, got, want, err)
		}
	}
}

// TestABackupOfExactlyTheHorizonIsBeyondIt: a backup that is one second younger is not.
func TestABackupOfExactlyTheHorizonIsBeyondIt(t *testing.T) {
	for age, want := range map[time.Duration]bool{30*day - time.Second: false, 30 * day: true, 31 * day: true} {
		s, _, point := restorable(t)
		s.now = s.now.Add(40 * day)
		s.change(point, func(p *backup.Point) { p.Created = s.now.Add(-age) })
		q := order("restore-1")
		q.Point = point
		p, err := s.engine.PreviewRestore(t.Context(), q, restoring(false))
		if err != nil || (p.Refusal() != nil && p.Refusal().Code == "BeyondHorizon") != want {
			t.Errorf("a backup of %s: %+v, %v", age, p.Refusal(), err)
		}
	}
}

// TestBoundsOfARestoreRequest: a text of exactly the longest length is accepted, in any script, and one more character is not.
func TestBoundsOfARestoreRequest(t *testing.T) {
	text := func(field, value string) []byte {
		fields := map[string]string{"id": "i", "target": target, "recoveryPoint": "latest"}
		fields[field] = value
		if field == "key" {
			fields["kind"] = "selective"
		}
		var parts []string
		for _, name := range []string{"id", "target", "recoveryPoint", "into", "kind", "key", "restoreRegion", "requestedBy", "reason", "replyTo", "expires"} {
			if value, ok := fields[name]; ok {
				parts = append(parts, fmt.Sprintf("%q:%q", name, value))
			}
		}
		return []byte("{" + strings.Join(parts, ",") + "}")
	}
	long := target + strings.Repeat("x", 512-len(target))
	for _, c := range []struct{ field, good, bad string }{
		{"id", strings.Repeat("é", 128), strings.Repeat("é", 129)},
		{"id", "x", ""},
		{"id", "a b", "a\nb"},
		{"target", long, long + "x"},
		{"into", long, long + "x"},
		{"target", target + "/", target + "//"},
		{"into", target + "/", target + "/x"},
		{"key", strings.Repeat("k", 127), strings.Repeat("k", 128)},
		{"key", "A-9", "a_b"},
		{"restoreRegion", strings.Repeat("r", 60), strings.Repeat("r", 61)},
		{"restoreRegion", "r1", "r"},
		{"restoreRegion", "westeurope", "WestEurope"},
		{"requestedBy", strings.Repeat("船", 1000), strings.Repeat("船", 1001)},
		{"reason", strings.Repeat("船", 1000), strings.Repeat("船", 1001)},
		{"reason", "two\nlines\tand a tab", "a \ufffd"},
		{"replyTo", strings.Repeat("q", 63), strings.Repeat("q", 64)},
		{"replyTo", "abc", "ab"},
		{"replyTo", "a-b", "-ab"},
		{"replyTo", "ab9", "aB9"},
		{"recoveryPoint", "latest before 2026-01-31T02:30:00Z", "latest before 2026-01-31"},
		{"recoveryPoint", "latest", "latest before "},
		{"recoveryPoint", "0123456789abcdef-0123456789-0123456789ab", "0123456789ABCDEF-0123456789-0123456789ab"},
		{"expires", "2026-01-31T02:30:00+01:00", "2026-01-31T02:30:00,5Z"},
		{"expires", "9998-12-31T23:59:59Z", "9999-01-01T00:00:00Z"},
		{"expires", "0002-01-01T00:00:00Z", "0001-12-31T23:59:59Z"},
	} {
		if _, err := restore.ParseRequest(text(c.field, c.good), ""); err != nil {
			t.Errorf("%s %.40q is refused: %v", c.field, c.good, err)
		}
		if _, err := restore.ParseRequest(text(c.field, c.bad), ""); err == nil || !strings.Contains(err.Error(), c.field) {
			t.Errorf("%s %.40q: %v", c.field, c.bad, err)
		}
	}
	whole := string(text("id", "i"))
	if _, err := restore.ParseRequest([]byte(whole+strings.Repeat(" ", request.Longest-len(whole))), ""); err != nil {
		t.Errorf("a request of as many bytes as may be: %v", err)
	}
	if _, err := restore.ParseRequest([]byte(whole+strings.Repeat(" ", request.Longest-len(whole)+1)), ""); err == nil {
		t.Error("a request of one byte more is taken")
	}
}

// TestWhatIsNoResourceID: a part too many or too few, an empty one, a character that no ID has, and a subscription other than a
// UUID.
func TestWhatIsNoResourceID(t *testing.T) {
	if r, err := backup.ParseResource(target); err != nil || r.Name != "contoso" || r.Group != "rg" || r.Type != "Microsoft.ApiManagement/service" {
		t.Fatalf("%+v, %v", r, err)
	}
	for _, spelled := range []string{strings.ToUpper(target), strings.ToLower(target)} {
		if _, err := backup.ParseResource(spelled); err != nil {
			t.Errorf("%s: %v", spelled, err)
		}
	}
	bad := []string{"", "contoso", target + "/", target + "/x", target[1:], "x" + target, strings.Replace(target, "/rg/", "//", 1)}
	for _, c := range "\\#?%'\" \t\n\x00" {
		bad = append(bad, target+string(c), strings.Replace(target, "/rg/", "/r"+string(c)+"g/", 1))
	}
	const uuid = "00000000-0000-4000-8000-000000000001"
	for _, id := range []string{uuid + "0", uuid[1:], strings.Replace(uuid, "-", "0", 1), strings.Replace(uuid, "4", "g", 1), uuid[:35] + "-", strings.ReplaceAll(uuid, "-", "")} {
		bad = append(bad, strings.Replace(target, uuid, id, 1))
	}
	for _, id := range bad {
		if r, err := backup.ParseResource(id); err == nil {
			t.Errorf("%q is %+v", id, r)
		}
	}
}

// TestWhatAnyPlanAsksForHolds: the plans with the target may stand in any order.
func TestWhatAnyPlanAsksForHolds(t *testing.T) {
	s, _, _ := restorable(t)
	free, strict := restoring(false)[0], restoring(true)[0]
	strict.Name, strict.Restore.Approval = "strict", true
	secure := restoring(true)[0]
	secure.Name = "secure"
	for _, c := range []struct {
		plans  []backup.Plan
		code   string
		safety bool
	}{
		{[]backup.Plan{free}, "", false},
		{[]backup.Plan{free, strict}, "ApprovalUnavailable", false},
		{[]backup.Plan{strict, free}, "ApprovalUnavailable", false},
		{[]backup.Plan{free, secure}, "", true},
		{[]backup.Plan{secure, free}, "", true},
	} {
		p, err := s.engine.PreviewRestore(t.Context(), order("restore-1"), c.plans)
		code := ""
		if why := p.Refusal(); why != nil {
			code = why.Code
		}
		if err != nil || code != c.code || p.Safety != c.safety || p.Plan != c.plans[0].Name {
			t.Errorf("%s first of %d: %q, safety backup %t, by the plan %s, %v", c.plans[0].Name, len(c.plans), code, p.Safety, p.Plan, err)
		}
	}
}

// TestATimerRunEvaluatesNoMoreOftenThanInTenMinutes: each time reads a row of every target.
func TestATimerRunEvaluatesNoMoreOftenThanInTenMinutes(t *testing.T) {
	plan := many(8)
	s := rotten(t, plan)
	for i, target := range plan.Targets {
		s.aged(target, begin.Add(day+30*time.Minute+time.Duration(i)*time.Minute))
	}
	var evaluated []time.Time
	told := 0
	for s.now = begin.Add(3 * day); s.now.Before(begin.Add(3*day + 2*time.Hour)); s.now = s.now.Add(time.Minute) {
		if n := len(s.runSchedule(plan).Unprotected); n > 0 {
			evaluated, told = append(evaluated, s.now), told+n
		}
	}
	if told != 8 || len(evaluated) > 2 {
		t.Errorf("told of %d targets, at %s", told, evaluated)
	}
}

// TestWhatIsKeptIsLookedAtAgainSixHoursLater: cleanup comes back to a kept point after six hours.
func TestWhatIsKeptIsLookedAtAgainSixHoursLater(t *testing.T) {
	s := newHarness(t)
	run := s.ask("request")
	s.finish()
	s.now = s.now.Add(40 * day)
	s.cleanup()
	var due []string
	for _, row := range s.storage.catalog.Rows() {
		if row.Partition == "due" {
			due = append(due, row.Row)
		}
	}
	if want := s.now.Add(6*time.Hour).Format("20060102T150405Z") + "-" + run.ID; len(due) != 1 || due[0] != want {
		t.Errorf("it is looked at again at %q, want %s", due, want)
	}
}
