package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"lifeboat/internal/testing/overlay"
)

// mutant is a deliberate bug: the old text stands once in the file, and the new text replaces it.
type mutant struct{ name, file, old, new string }

var mutants = []mutant{
	{
		"nobody is told that a target is protected again", "internal/health/evaluation.go",
		"gone[id], over = true, append(over, Alarm{h, id})", "gone[id] = true",
	},
	{
		"health never hears of the end of a run", "internal/engine/save.go",
		"r.QueueRow, health.Mark(r.Target), history", "r.QueueRow, health.Mark(r.ID), history",
	},
	{
		"the mark of a later change goes with that of an earlier one", "internal/evaluation/facts.go",
		"backup.MarkPrefix + here), ETag: mark}", "backup.MarkPrefix + here), ETag: mark[:0] + \"*\"}",
	},
	{
		"the run's ETag is dropped", "internal/engine/save.go",
		"run := backup.Write{Op: backup.Replace, Key: s.run.Key(), ETag: s.run.RowETag,", "run := backup.Write{Op: backup.Put, Key: s.run.Key(),",
	},
	{
		"the step message's sequence number is not checked", "internal/engine/engine.go",
		"case w.Sequence > run.Sequence:", "case w.Sequence > run.Sequence && w.Nonce == run.Nonce:",
	},
	{
		"the step message's nonce is not checked", "internal/engine/engine.go",
		"case w.Sequence < run.Sequence, w.Nonce != run.Nonce:", "case w.Sequence < run.Sequence:",
	},
	{
		"late step messages are taken", "internal/engine/engine.go",
		"case w.Sequence < run.Sequence, w.Nonce != run.Nonce:", "case w.Sequence == run.Sequence && w.Nonce != run.Nonce:",
	},
	{
		"the step message is sent after the save", "internal/engine/save.go",
		`	sent := s.Queue.SendStep(ctx, next, delay)
	if sent == nil {
		r.Sequence, r.Nonce, r.Due = next.Sequence, next.Nonce, s.clock().Add(delay)
	}
	if err := s.save(ctx, more...); err != nil {
		return err
	}
`,
		`	r.Sequence, r.Nonce, r.Due = next.Sequence, next.Nonce, s.clock().Add(delay)
	if err := s.save(ctx, more...); err != nil {
		return err
	}
	sent := s.Queue.SendStep(ctx, next, delay)
`,
	},
	{
		"the fence is ignored", "internal/engine/engine.go",
		"case run.LeaseUntil.After(now):", "case run.LeaseUntil.After(now.Add(time.Hour)):",
	},
	{
		"the start has no deadline", "internal/engine/operation.go",
		"ctx, cancel := context.WithTimeout(ctx, s.Timings.Lease-s.Timings.LeaseMargin-s.Now().Sub(s.read))",
		"ctx, cancel := context.WithCancel(ctx)",
	},
	{
		"the rescuer raises the sequence number", "internal/engine/rescue.go",
		"e.Queue.SendStep(ctx, run.StepMessage(), 0)", "e.Queue.SendStep(ctx, backup.StepMessage{Run: run.ID, Sequence: run.Sequence + 1, Nonce: run.Nonce}, 0)",
	},
	{"the rescuer sends nothing again", "internal/engine/rescue.go", "now.Sub(due) >= e.Timings.Overdue", "now.Sub(due) >= 1000*e.Timings.Overdue"},
	{
		"the loser of a race acknowledges", "internal/engine/engine.go",
		`out.Note = "another invocation was faster: put back"
		return out, e.Queue.SendStep(ctx, w, e.Timings.PutBack)`,
		`out.Note = "another invocation was faster"
		return out, nil`,
	},
	{
		"no index entry before the run", "internal/engine/schedule.go",
		"if _, err := e.Catalog.Apply(ctx, entries...); err != nil {", "if err := error(nil); err != nil {",
	},
	{
		"the lock is not taken", "internal/engine/save.go",
		"takes := s.run.State.HoldsLock() && !s.was.HoldsLock()", "takes := false",
	},
	{
		"the lock is never given back", "internal/engine/save.go",
		"gives := !s.run.State.HoldsLock() && s.was.HoldsLock()", "gives := false",
	},
	{
		"a definite no is tried again", "internal/engine/backingup.go",
		"case f.Kind == backup.Passing:\n\t\treturn true, s.retry", "case f.Kind == backup.Passing, f.Kind == backup.Refused:\n\t\treturn true, s.retry",
	},
	{
		"a failure that may pass ends the run", "internal/engine/backingup.go",
		"return true, s.retry(ctx, f)", "return true, s.end(ctx, fails, f.Reason())",
	},
	{"a further attempt comes at once", "internal/backup/retry.go", "at := now.Add(max(wait, f.Wait()))", "at := now.Add(f.Wait())"},
	{"attempts share a name", "internal/backup/run.go", `fmt.Sprintf("%s.%d", r.ID, n)`, `fmt.Sprintf("%s.%d", r.ID, min(n, 1))`},
	{
		"no retry window with a lost start", "internal/engine/backingup.go",
		"over := l.fault == nil && l.notFoundFor >= s.Timings.RetryWindow", "over := l.fault == nil",
	},
	{
		"a look that could not be made counts as one", "internal/engine/backingup.go",
		"over := l.fault == nil && l.notFoundFor >= s.Timings.RetryWindow", "over := l.waited >= s.Timings.RetryWindow",
	},
	{
		"a lost answer counts as a no", "internal/engine/backingup.go",
		`	s.lost(f.Reason())
	return s.advance(ctx, s.Timings.Look)`,
		`	return s.postpone(ctx, f)`,
	},
	{
		"the outbox is skipped", "internal/engine/save.go",
		"more, event.OutboxWrites(run.Partition, s.pending))", "more)",
	},
	{
		"an event that could not be sent is forgotten", "internal/engine/save.go",
		"if len(left) > 0 || unread != nil {", "if len(left) > 100 || unread != nil {",
	},
	{
		"a missing artifact counts as a success", "internal/engine/backingup.go",
		`	case f.Kind == backup.Refused:
		return s.end(ctx, fails, f.Reason())
	case tooLong:`,
		`	case f.Kind == backup.Refused:
		return s.end(ctx, succeeds, backup.Reason{})
	case tooLong:`,
	},
	{
		"the checkpoint moves before the runs are made", "internal/engine/schedule.go",
		`	if err := e.makeRuns(ctx, plan, c.InProgress, now, begun, report); err != nil {
		return err
	}
	return e.saveCheckpoint(ctx, c, c.Made(), schedule.MissedRuns{}, now, report)
`,
		`	scheduledTime := c.InProgress
	if err := e.saveCheckpoint(ctx, c, c.Made(), schedule.MissedRuns{}, now, report); err != nil {
		return err
	}
	return e.makeRuns(ctx, plan, scheduledTime, now, begun, report)
`,
	},
	{
		"the event of a missed period is not put into the outbox", "internal/engine/schedule.go",
		"writes = append(event.OutboxWrites(backup.SchedulePartition, events), backup.Write{", "writes = append(writes, backup.Write{",
	},
	{
		"a scheduled time in progress counts as missed", "internal/engine/schedule.go",
		"if !c.InProgress.IsZero() {", "if c.InProgress.After(look.Now) {",
	},
	{
		"runs are made before their scheduled time is noted as in progress", "internal/engine/schedule.go",
		`	if err := e.saveCheckpoint(ctx, c, next, missedRuns, look.Now, report); err != nil || c.InProgress.IsZero() {
		return err
	}
`,
		`	if missedRuns.Count == 0 && !next.InProgress.IsZero() {
		*c = next
	} else if err := e.saveCheckpoint(ctx, c, next, missedRuns, look.Now, report); err != nil || c.InProgress.IsZero() {
		return err
	}
`,
	},
	{
		"early step messages come back every 30 seconds", "internal/engine/engine.go",
		"return max(w.PutBack, min(late, w.PollMax))", "return w.PutBack",
	},
	{"a timer run schedules whatever the clock says", "internal/engine/schedule.go", "if apart == nil {\n\t\tfor", `if apart != backup.ErrExists {
		for`},
	{
		"cleanup deletes whatever the clock says", "internal/engine/cleanup.go",
		`if err := e.checkClock(ctx, e.Now(), now); err != nil {
				return now, err
			}`,
		`_ = e.checkClock(ctx, e.Now(), now)`,
	},
	{"the newest point is not protected", "internal/retention/review.go", "case p.ID == r.newest.ID:", "case p.ID == r.newest.ID && r.within > 1000:"},
	{"keep.minimum is not heeded", "internal/retention/review.go", "n = r.least()", "n = 1"},
	{"keep.minimum keeps one point too few", "internal/retention/review.go", "r.good[:min(n, len(r.good))]", "r.good[:min(n, len(r.good))-1]"},
	{"keep.minimum is not kept in the row", "internal/retention/counted.go", "c.Minimum, c.Ruled = run.Settings.KeepMinimum,", "c.Minimum, c.Ruled = 0,"},
	{"keep.minimum counts backups by hand", "internal/retention/review.go", "!p.OnDemand && r.restores(p)", "r.restores(p)"},
	{"a count lets nothing go", "internal/engine/counted.go", "out: out, events: events}, nil", "events: events}, nil"},
	{"a row of counts is not saved with its point", "internal/engine/suspect.go", "append(p.Insert(files), counted.writes...)", "p.Insert(files)"},
	{"an edited count sees only the points that counts held", "internal/engine/counted.go", "\tif anew {", "\tif anew && now.IsZero() {"},
	{
		"an entry is dropped while a count still holds its point", "internal/deletion/due.go",
		"case x.Now.Sub(d.Since) < LongestKept*x.Recheck:", "case x.Now.Sub(d.Since) < x.Recheck:",
	},
	{"a count takes suspect points", "internal/retention/counted.go", "p.Plan == plan && p.Live() &&", "p.Plan == plan && (p.Live() || p.State == backup.Suspect) &&"},
	{"a count takes backups by hand", "internal/retention/counted.go", "p.Live() && !p.OnDemand", "p.Live()"},
	{"a count counts one point too few", "internal/retention/specification.go", "if len(taken) == number {", "if len(taken) == number-1 {"},
	{"a count sees days of UTC", "internal/engine/counted.go", "zone, err := e.Zone(name)", "zone, err := e.Zone(name[:0] + \"UTC\")"},
	{"a count sees the time at which a backup ended", "internal/backup/point.go", "Began: r.ScheduledTime,", "Began: v.Modified,"},
	{"an accepted point takes no place in its plan's counts", "internal/engine/suspect.go", "append(counted.writes, p.Replace())", "append(counted.writes[:0:0], p.Replace())"},
	{"a count goes by the plan of an older run", "internal/engine/counted.go", "if judges && !run.ScheduledTime.Before(was.Row.Clock.Began) {", "if judges && run.ScheduledTime.After(time.Time{}) {"},
	{"a point at rest gets no day by an edit", "internal/engine/counted.go", "(p.State == backup.Live || p.State == backup.Suspect) && !now.Before(p.Expires)", "p.State == backup.Live && !now.Before(p.Expires)"},
	{"age: a pause makes points older", "internal/retention/worked.go", "aged := day.Add(lost)", "aged := day.Add(0 * lost)"},
	{"age: the first success after a pause makes points older", "internal/retention/worked.go", "c.Grace, now); c.Clock == was", "0, now); c.Clock == was"},
	{"age: a point does not keep the idle time before it", "internal/retention/worked.go", "fresh.Idle = min(c.idle(at), until(known, *fresh, at, grace))", "fresh.Idle = at.Sub(at)"},
	{"age: a suspect backup is a success", "internal/retention/worked.go", "p.Plan == plan && p.State == backup.Live", "p.Plan == plan"},
	{"age: the clock is not saved with its point", "internal/engine/counted.go", "writes: []backup.Write{was.Write(run.Target)}}, nil", "}, nil"},
	{"age: what a service cannot restore any more stays", "internal/retention/worked.go", "r.restorable > 0 && aged.After(limit)", "r.restorable > 0 && day.After(limit)"},
	{"forget: a point goes that a person holds", "internal/engine/undelete.go", "if hold, held := p.LongestHold(now); held {", "if hold, held := p.LongestHold(now); held && planned {"},
	{"forget: the newest point of a target in a plan goes", "internal/engine/forget.go", "case p.ID == newest:", "case p.ID == newest && f.Preview:"},
	{"the pace lets a third go in a day", "internal/retention/pace.go", "max(LeastPace, points/10, r.made)", "max(LeastPace, points/3, r.made)"},
	{"points expire two days early", "internal/backup/point.go", "p.Expires = p.Created.Add(r.Settings.KeepWithin)", "p.Expires = p.Created.Add(max(r.Settings.KeepWithin-48*time.Hour, time.Hour))"},
	{"a time that is over in two days is over", "internal/retention/review.go", "return r.aged(p, p.Expires), false", "return r.aged(p, p.Expires.AddDate(0, 0, -2)), false"},
	{
		"an artifact is deleted before that is noted", "internal/deletion/deletion.go",
		"\tif err := d.begin(ctx, &p, decided); err != nil {\n\t\treturn p, err\n\t}\n\tdecided.Paced = false\n\ta := ", "\ta := ",
	},
	{
		"what storage keeps stays given up", "internal/deletion/deletion.go",
		"case f.Kind == backup.Kept:\n\t\tp.State = former", "case f.Kind == backup.Kept:",
	},
	{
		"a suspect point comes back live", "internal/deletion/deletion.go",
		"former := p.State\n", "former := p.State\n\tif former == backup.Suspect {\n\t\tformer = backup.Live\n\t}\n",
	},
	{
		"an altered artifact is deleted like a touched one", "internal/deletion/deletion.go",
		"if why := restore.Changed(*p, v); why == nil {", "if why := restore.Changed(*p, v); why == nil || p.Size > 0 {",
	},
	{
		"a touched artifact is never read again", "internal/deletion/deletion.go",
		"if f != nil && f.Kind == backup.Touched {", "if f != nil && f.Kind == backup.Touched && altered {",
	},
	{
		"suspect points stand in for live ones", "internal/retention/review.go",
		"if stays(p) && !p.Created", "if (stays(p) || p.State == backup.Suspect) && !p.Created",
	},
	{"no point is ever suspect", "internal/retention/size.go", "|| 2*p.Size >= normal {", "|| 20*p.Size >= normal {"},
	{
		"suspect points count as normal", "internal/backup/point.go",
		"return !p.Safety && p.State != Unreadable && !p.Unaccepted()", "return !p.Safety",
	},
	{
		"two alike are enough", "internal/retention/size.go",
		"similar = 3", "similar = 1",
	},
	{
		"an acceptance overwrites cleanup's decision", "internal/backup/point.go",
		"return Write{Op: Replace, Key: p.Key(), ETag: p.RowETag,", "return Write{Op: Put, Key: p.Key(),",
	},
	{
		"the acceptance of those before is not published", "internal/engine/suspect.go",
		"s.toOutbox(event.PointAccepted(m), manifest", "s.toOutbox(manifest",
	},
	{
		"permits are released once the end was published", "internal/engine/save.go",
		"	if err := admission.Release(ctx, s.Catalog, *r, r.Permits, r.QueueRow, health.Mark(r.Target), history.Ended(*r)); err != nil {",
		"	if _, left := s.post(ctx, s.saved, map[string]error{}); len(left) > 0 {\n\t\treturn errConflict\n\t}\n" +
			"	if err := admission.Release(ctx, s.Catalog, *r, r.Permits, r.QueueRow, health.Mark(r.Target), history.Ended(*r)); err != nil {",
	},
	{
		"a lost start takes what another run holds", "internal/engine/engine.go",
		"if a.Taken = taken; len(taken) == 0 {", "if len(taken) < 1000 {",
	},
	{
		"an account is another one since it was moved", "internal/backup/provider.go",
		`cmp.Or(s.AccountName(), "/"+s.Account)`, `cmp.Or("/"+s.Account, s.AccountName())`,
	},
	{
		"the files of an artifact are not kept", "internal/backup/point.go",
		"}, p.FileRows(files)...)", "}, p.FileRows(nil)...)",
	},
	{
		"a plan's own bound is ignored", "internal/admission/admission.go",
		"[]Bound{ofAll(most), ofPlan(r.Plan, r.Settings.Concurrency)}", "[]Bound{ofAll(most)}",
	},
	{
		"a request repeated makes another run", "internal/engine/request.go",
		`ID: backup.NewRunID(target, c.Time, "request "+c.Request),`, `ID: backup.NewRunID(target, time.Now(), "request "+c.Request),`,
	},
	{
		"restores wait behind backups", "internal/backup/keys.go",
		`QueuePrefix + "0restore-"`, `QueuePrefix + "restore-"`,
	},
	{
		"no permit is kept for restores", "internal/admission/admission.go",
		"return max(1, most/10)", "return 0",
	},
	{
		"a run that leaves the wait queue is not indexed again", "internal/admission/admission.go",
		"if err := a.Leaving(ctx); err != nil {\n\t\t\treturn err\n\t\t}", "",
	},
	{
		"a restore does not stand among the readers", "internal/engine/restoring.go",
		"if !slices.Contains(p.Readers, r.ID) {", "if false {",
	},
	{
		"a request that expired begins all the same", "internal/engine/step.go",
		"restore.Expired(s.run.Restore.Expires, s.now)", "restore.Expired(s.run.Restore.Expires.AddDate(1, 0, 0), s.now)",
	},
	{
		"the artifact is not compared with the verified one", "internal/restore/points.go",
		"if v.SHA256 == p.SHA256 && v.Size == p.Size {", "if v.Size == p.Size {",
	},
	{
		"a lost restore is begun again", "internal/engine/restoring.go",
		"func (s restoring) searched(ctx context.Context, _ search) error {\n", "func (s restoring) searched(ctx context.Context, _ search) error {\n" +
			"\tif s.run.Lost < mostLost {\n\t\treturn s.preflight(ctx, s)\n\t}\n",
	},
	{
		"a safety backup counts as the newest live point", "internal/backup/point.go",
		"return p.State == Live && !p.Safety && !p", "return p.State == Live && !p",
	},
	{
		"the hold of a safety backup is ignored", "internal/retention/review.go",
		"case r.now.Before(p.Held.Until):", "case r.now.Before(p.Held.Until.AddDate(-1, 0, 0)):",
	},
	{
		"soft delete: a point is deleted before the end of its time", "internal/retention/softdelete.go",
		"case r.now.Before(soft.Until):", "case r.now.Before(soft.Until) && soft.Person():",
	},
	{
		"soft delete: a point that expires is deleted at once", "internal/retention/softdelete.go",
		"d.Mark = p.SoftDelete > 0", "d.Mark = p.SoftDelete > 0 && p.State == backup.Suspect",
	},
	{
		"soft delete: a soft-deleted point counts as live", "internal/backup/point.go",
		"!p.Safety && !p.IsSoftDeleted() }", "!p.Safety }",
	},
	{
		"soft delete: what is soft-deleted is never deleted", "internal/retention/softdelete.go",
		"case r.now.Before(soft.Until):", "case !soft.Since.IsZero():",
	},
	{
		"soft delete: an undo does not hold the point", "internal/engine/undelete.go",
		"		p.SoftDeletion = backup.SoftDeletion{}\n		if soft", "		p.SoftDeletion, p.Holds = backup.SoftDeletion{}, nil\n		if soft",
	},
	{
		"soft delete: every point has the default time", "internal/deletion/softdelete.go",
		"d.Now.Add(p.SoftDelete)", "d.Now.Add(backup.DefaultSoftDelete)",
	},
	{
		"a person's hold is ignored", "internal/retention/review.go",
		"	case held:", "	case held && p.Size < 0:",
	},
	{
		"an artifact is deleted while a restore reads it", "internal/retention/review.go",
		"case len(p.Readers) > 0:", "case len(p.Readers) > 1000:",
	},
	{
		"no safety backup is made", "internal/engine/restoring.go",
		`	if q.Safety {
		q.Step = backup.StepSafetyBackup`, `	if q.Safety && q.Key != "" {
		q.Step = backup.StepSafetyBackup`,
	},
	{
		"an ID that was used for something else is taken", "internal/engine/restores.go",
		"case claim.Fingerprint != q.Fingerprint():", "case claim.Fingerprint == \"\":",
	},
	{
		"approval is not asked for", "internal/restore/preview.go",
		`case agrees != "":`, `case agrees != "" && p.Plan == "":`,
	},
	{
		"two apps: the second one works the steps of a run without an app", "internal/engine/engine.go",
		"|| err == nil && run.App != e.App {", `|| err == nil && run.App != e.App && run.App != "" {`,
	},
	{
		"two apps: the second one works the steps of the owner's runs", "internal/engine/engine.go",
		"|| err == nil && run.App != e.App {", `|| err == nil && run.App == "" {`,
	},
	{
		"two apps: the second one makes its plan active", "internal/plans/store.go",
		"if err := (apps.App{Catalog: b.Catalog, Name: b.App}).Check(ctx); err != nil {",
		`if err := (apps.App{Catalog: b.Catalog, Name: b.App}).Check(ctx); err != nil && head.Hash == "" {`,
	},
	{
		"two apps: the second one is stopped, and so are the plans", "internal/engine/schedule.go",
		"if err := e.Ownership().Settle(ctx, state.apps, now); err != nil {",
		`if err := e.Ownership().Settle(ctx, state.apps, now); err != nil && e.Stopped == "" {`,
	},
	{
		"two apps: the second one cleans up", "internal/engine/cleanup.go",
		"if report.Stopped = stopped.Why(); err != nil {", "if report.Stopped = stopped.Why(); err != nil && was.Unread != nil {",
	},
	{
		"two apps: a takeover takes no run over", "internal/apps/takeover.go",
		"taken, err = a.inherit(ctx, entry.Run)", "taken = entry.Run != \"\"",
	},
	{
		"two apps: a takeover takes a run over within its lease", "internal/apps/takeover.go",
		"if run.LeaseUntil.After(now) {", "if run.LeaseUntil.After(now.AddDate(1, 0, 0)) {",
	},
	{
		"two apps: a takeover forgets the runs within a lease", "internal/apps/takeover.go",
		"left = left || !taken", "left = left || !taken && err != nil",
	},
	{
		"two apps: timer runs do not go on with a takeover that died", "internal/engine/schedule.go",
		"inherited := e.Ownership().Inherit(ctx, state.apps)", "var inherited error",
	},
	{
		"two apps: a takeover has no event", "internal/apps/takeover.go",
		"event.OutboxWrites(backup.SchedulePartition, []backup.Event{event.AppReplaced(is.App, loser, caller, now)})",
		"event.OutboxWrites(backup.SchedulePartition, []backup.Event{event.AppReplaced(is.App, loser, caller, now)})[:0]",
	},
	{
		"two apps: each event about the second one has another ID", "internal/apps/apps.go",
		"Seen: is.First}", "Seen: now}",
	},
	{
		"two apps: the second one is told of once and for all", "internal/apps/apps.go",
		"there := s.present(is, now)", "there := !is.Last.IsZero()",
	},
	{
		"two apps: health names the second one for ever", "internal/apps/apps.go",
		"now.Sub(n.Last) <= health.OtherAppTime", "now.Sub(n.Last) <= 1000*health.OtherAppTime",
	},
	{
		"dead letters are dropped", "internal/engine/deadletter.go",
		"if _, err := e.Catalog.Apply(ctx, backup.Write{Op: backup.Put, Key: key, Body: backup.Encode(l)}); err != nil {",
		"if _, err := key, error(nil); err != nil {",
	},
	{
		"a manifest is written before its recovery point", "internal/engine/suspect.go",
		"	s.toOutbox(manifest.NoteMade(p, files, s.clock()))\n",
		"	_, _ = s.Outbox().Post(ctx, []backup.Event{manifest.NoteMade(p, files, s.clock())}, map[string]error{})\n",
	},
	{
		"a manifest that could not be written is forgotten", "internal/outbox/outbox.go",
		"	old := event.Queue()", "	if manifest.Is(event) {\n\t\treturn nil\n\t}\n	old := event.Queue()",
	},
	{
		"stop: a deletion does not look at the switch", "internal/deletion/deletion.go",
		"if err := d.MayBegin(ctx); err != nil {", "if err := d.MayBegin(ctx); err != nil && d.Now.IsZero() {",
	},
	{
		"stop: a begun restore does not look at the switch again", "internal/engine/operation.go",
		"if f == nil && prepared.Done && r.Restore != nil && r.Restore.Step == backup.StepPreCheck {", "if f == nil && prepared.Done && r.Restore != nil && r.Restore.Step == \"\" {",
	},
	{
		"stop: the app setting stops no restore", "internal/apps/stop.go",
		"if a.Setting != \"\" {\n\t\treturn stop.State{Setting: a.Setting}.Err()", "if a.Setting != \"\" {\n\t\treturn nil",
	},
	{
		"a cancellation behind the safety backup is ignored", "internal/restore/cancel.go",
		"case r.MayRun() && r.Restore.Step == backup.StepSafetyBackup:\n\t\treturn CancelsLater", "case r.MayRun() && r.Restore.Step == backup.StepSafetyBackup:\n\t\treturn CanceledBefore",
	},
	{
		"a step in flight drops the note of a cancellation", "internal/restore/cancel.go",
		"r.Restore.CanceledBy, r.Restore.CanceledOver = row.Restore.CanceledBy, row.Restore.CanceledOver\n", "",
	},
	{
		"a cancellation frees the target amid the safety backup", "internal/restore/cancel.go",
		"case r.MayRun() && r.Restore.Step == backup.StepSafetyBackup:\n\t\treturn CancelsLater", "case r.MayRun() && r.Restore.Step == backup.StepSafetyBackup:\n\t\treturn CancelsNow",
	},
	{
		"history: a run is pruned while its recovery point is there", "internal/history/decide.go",
		"	return backup.Later(now, p.Expires)\n", "	return r.Ended\n",
	},
	{
		"history: a run is pruned too early", "internal/history/prune.go",
		"return !t.Add(x.Age).After(x.Now)", "return !t.Add(x.Age / 2).After(x.Now)",
	},
	{
		"history: the claim of a restore does not say that its run is pruned", "internal/history/target.go",
		"err = t.Close(ctx, r)", "err = ctx.Err()",
	},
	{
		"history: a run that stays is never looked at again", "internal/history/target.go",
		"t.again[made][week(from)] = true", "_ = week(from)",
	},
	{
		"history: the record of an ended run is of another week", "internal/history/record.go",
		"Made: week(made)}", "Made: week(made.Add(span))}",
	},
	{
		"history: a recovery point stays when its run is pruned", "internal/history/target.go",
		"p.Remove(files)...)", "p.Remove(files)[1:]...)",
	},
	{
		"manifests are left after the deletion", "internal/deletion/due.go",
		"late = x.RemoveManifests(ctx, p)", "late = nil",
	},
}

// caught describes the world that revealed a bug.
type caught struct {
	Invariant     string
	Seed          uint64
	Days          int
	Lines, Shrunk int
}

// tryMutants tries every bug of both tables with those words in its name, with the program or the test rebuilt around it. With
// quick it tries only the bugs that tests catch. It returns 1 if one is not caught.
func tryMutants(ctx context.Context, only string, quick bool, seeds uint64, days, tries int) int {
	dir, err := os.MkdirTemp("", "mutants")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "bug\tcaught by\tseed\tlines of its trace\tshrunk to")
	tried, missed, began := 0, 0, time.Now()
	for i, m := range mutants {
		if quick || !strings.Contains(m.name, only) {
			continue
		}
		tried++
		fmt.Fprintf(os.Stderr, "%2d of %d  %s … ", i+1, len(mutants), m.name)
		c, err := m.try(ctx, dir, seeds, days, tries)
		switch {
		case err != nil:
			fmt.Fprintln(os.Stderr, "failed:", err)
			fmt.Fprintf(t, "%s\tFAILED\t\t\t\n", m.name)
			missed++
		case c == nil:
			fmt.Fprintln(os.Stderr, "NOT CAUGHT")
			fmt.Fprintf(t, "%s\tNOT CAUGHT in %d seeds\t\t\t\n", m.name, seeds)
			missed++
		default:
			fmt.Fprintf(os.Stderr, "%s, seed %d\n", c.Invariant, c.Seed)
			fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\n", m.name, c.Invariant, c.Seed, c.Lines, c.Shrunk)
		}
	}
	edgesTried, edgesMissed := tryEdges(ctx, dir, only, t)
	fmt.Fprintln(os.Stderr)
	_ = t.Flush()
	fmt.Printf("\n%d bugs, %d of them not caught, in %s\n", tried+edgesTried, missed+edgesMissed, time.Since(began).Round(time.Second))
	return min(missed+edgesMissed, 1)
}

// apply returns the file's text with the bug in it.
func (m mutant) apply(root string) ([]byte, error) {
	return replace(root, m.file, m.old, m.new)
}

// replace returns the text of the file below the root, with the old text replaced by the new. The old text must stand there
// once.
func replace(root, file, old, with string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		return nil, err
	}
	if n := strings.Count(string(text), old); n != 1 {
		return nil, fmt.Errorf("the text to replace stands %d times in %s, not once: the table of bugs is behind the code", n, file)
	}
	return []byte(strings.Replace(string(text), old, with, 1)), nil
}

// try builds the program with the bug, and runs it until a promise is broken; nil if none is.
func (m mutant) try(ctx context.Context, dir string, seeds uint64, days, tries int) (*caught, error) {
	text, err := m.apply(".")
	if err != nil {
		return nil, err
	}
	path, err := overlay.Write(dir, m.file, text)
	if err != nil {
		return nil, err
	}
	program := filepath.Join(dir, "simulate")
	if out, err := exec.CommandContext(ctx, "go", "build", "-overlay", path, "-o", program, "./internal/cmd/simulate").
		CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build it: %w\n%s", err, out)
	}
	var errs bytes.Buffer
	run := exec.CommandContext(ctx, program, "-json", "-seeds", fmt.Sprint(seeds), "-days", fmt.Sprint(days), "-tries",
		fmt.Sprint(tries))
	run.Stderr = &errs
	out, err := run.Output()
	if err != nil {
		return nil, fmt.Errorf("run it: %w\n%s", err, errs.String())
	}
	if len(out) == 0 {
		return nil, nil
	}
	var c caught
	return &c, json.Unmarshal(out, &c)
}
