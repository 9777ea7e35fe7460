package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"lifeboat/internal/testing/overlay"
)

// edge is a deliberate bug that is caught by a test, "package TestName", because worlds of the simulation meet it never or too
// seldom. The old text stands once in the file, and the new text replaces it.
type edge struct{ test, name, file, old, new string }

// edges is the list of these bugs. The bugs with a number were invented from outside, to find gaps in the tests.
var edges = []edge{
	{
		"./internal/engine TestLooksForAChange", "a change that Azure shows late is not looked for", "internal/engine/changed.go",
		"		r.Look = ran\n", "",
	},
	{
		"./internal/engine TestLooksForAChange", "a late look follows although nobody may look", "internal/engine/changed.go",
		"soon && !refused && r.Changed", "soon && (!refused || soon) && r.Changed",
	},
	{
		"./internal/engine TestLooksForAChange", "a late look waits for the rescuer", "internal/engine/changed.go",
		"max(due.Sub(s.clock()), 0)+backup.Resolution", "7*24*time.Hour",
	},
	{
		"./internal/engine TestALateChangeIsTold", "a repeat of the last message makes the late look too soon", "internal/engine/changed.go",
		"s.run.StepMessage() || s.now.Before(due) {", "s.run.StepMessage() {",
	},
	{
		"./internal/engine TestLooksForAChange", "a late look without an answer is the last one", "internal/engine/changed.go",
		"case f.Kind != backup.Refused && !over:", "case f.Kind != backup.Refused && over:",
	},
	{
		"./internal/engine TestALateLookIsGivenUp", "a late look without an answer never ends", "internal/engine/changed.go",
		"s.now.Sub(due) >= s.Timings.Operation)", "s.now.Before(due))",
	},
	{
		"./internal/engine TestALateLookAtAPointThatIsBeingDeleted", "a late change of a point under deletion is lost", "internal/engine/changed.go",
		"over && (err != nil || p.State == backup.Deleting)", "err == nil && p.State == backup.Deleting",
	},
	{
		"./internal/engine TestLooksForAChange", "a late change is in the run alone", "internal/engine/changed.go",
		"s.save(ctx, p.Replace()); err", "s.save(ctx); err",
	},
	{
		"./internal/engine TestALateLookRaces", "a late change and a hold in the second before it have one time", "internal/engine/changed.go",
		"backup.Later(s.clock(), p.LastChange().Add(time.Millisecond))", "s.clock()",
	},
	{
		"./internal/engine TestALateLookRaces", "a late change and a hold in the second behind it have one time", "internal/backup/point.go",
		"Later(p.Undone.Time, p.Changed.Found)", "p.Undone.Time",
	},
	{
		"./internal/engine TestALostMessageOfTheLateLook", "the rescuer lets go of a run before its late look", "internal/engine/rescue.go",
		"lookDue(run, e.Timings); due.IsZero() {", "lookDue(run, e.Timings); run.State.Final() {",
	},
	{
		"./internal/engine TestALateLookAfterATakeover", "a takeover leaves a run with a late look to the former owner", "internal/apps/takeover.go",
		"!run.Unpublished && run.Look == (backup.Window{}) {", "!run.Unpublished {",
	},
	{
		"./internal/engine TestALateLookAfterATakeover", "the former owner drops the message of a late look", "internal/engine/engine.go",
		"!run.Unpublished && lookDue(run, e.Timings).IsZero() ||", "!run.Unpublished ||",
	},
	{
		"./internal/services/apim TestReadChange", "an activity log that does not answer shows no change", "internal/azure/activity.go",
		"return backup.Change{}, readingActivity.Fault(err)", "return backup.Change{}, nil",
	},
	{
		"./internal/retention TestARowWithoutCountsHoldsNothing", "a row without counts holds its newest point", "internal/retention/counted.go",
		"return c.Counts.Any() && slices", "return slices",
	},
	{
		"./internal/services/managedhsm TestCustody", "a former holder's statement about another's file counts", "internal/services/managedhsm/custody.go",
		"case o.File == file && d.counts(o, whole):", "case o.File == file:",
	},
	{
		"./internal/engine TestTwoChangesInASecond", "two changes of a point have one time", "internal/engine/suspect.go",
		"now = backup.Later(now, p.LastChange().Add(time.Millisecond))", "now = backup.Later(now, time.Time{})",
	},
	{
		"./internal/retention TestAnAcceptedPointLosesOnlyTimeThatDidNotWork", "an accepted point loses time that worked", "internal/retention/worked.go",
		"p.Idle = min(p.Idle, o.Idle+lost(at.Sub(o.Created), grace, c.Grace))", "_ = o",
	},
	{
		"./internal/engine TestScenario35MadeAnewUnderTheSameName", "the last backup of a service that was made anew goes", "internal/retention/review.go",
		"case r.isFormer(p):", "case r.isFormer(p) && r.seen == 0:",
	},
	{
		"./internal/engine TestScenario38CleanupUnderTheFunctionLimit", "a cleanup goes on when its time is over", "internal/engine/cleanup.go",
		"if report.Stopped != \"\" || ctx.Err() != nil {", "if report.Stopped != \"\" {",
	},
	{
		"./internal/deletion TestALateManifestIsDeletedToo", "a late manifest of an expired point stays", "internal/deletion/due.go",
		"p.State == backup.Expired && x.Now.Sub(p.LastChange()) < lateManifest", "p.State == backup.Expired && x.Now.Sub(p.LastChange()) < 0",
	},
	{
		"./internal/engine TestAStoppedRestoreWaitsUntilItExpires", "a stopped restore fails as one whose destination is busy", "internal/engine/restoring.go",
		"		r.Restore.Stopped = s.now\n", "",
	},
	{
		"./internal/engine TestARestoreWhoseArtifactCannotBeReadHoldsUpNoOther", "a restore that waits for its artifact holds up the younger ones", "internal/restore/order.go",
		"|| r.Restore.Elsewhere {", "{",
	},
	{
		"./internal/engine TestASecondEditRaisesNoAlarm", "the second of two edits has no first interval", "internal/checkpoint/checkpoint.go",
		"next.EditedFrom, next.Series = l.Now, c.By, c.series(plan, l.Now)", "next.EditedFrom = l.Now, c.By",
	},
	{
		"./internal/engine TestEditsSilenceNoAlarm", "edits silence the alarm of a target that was unprotected before", "internal/health/grace.go",
		"return protectedAt(s.First.At, s.First.Before, from) && (", "return (",
	},
	{
		"./internal/engine TestEditsDoNotGoOnForEver", "edits without an end silence an alarm", "internal/health/grace.go",
		"(!s.Scheduled.After(end) ||", "(!s.Scheduled.Before(end) || !s.Scheduled.After(end) ||",
	},
	{
		"./internal/engine TestATargetThatComesBackHasItsFirstInterval", "a target that comes back has no first interval", "internal/health/grace.go",
		"until = backup.Later(until, s.back(from))", "until = backup.Later(until, time.Time{})",
	},
	{
		"./internal/engine TestATargetThatComesBackUnprotectedStaysSo", "a target is protected because it left and came back", "internal/health/grace.go",
		"|| protectedAt(r.Left, by, from) {", "|| protectedAt(r.Left, by, from) || !r.Left.IsZero() {",
	},
	{
		"./internal/engine TestWhatHasLeftCostsNoRequestEach", "the facts about what has left are deleted at once", "internal/evaluation/facts.go",
		"	e.addDeparted(places, facts)\n", "",
	},
	{
		"./internal/engine TestAnUnreadTargetThatHasLeftStopsNoAlarm", "a target that has left and cannot be read stops all alarms", "internal/evaluation/evaluation.go",
		"	if untaken != nil {\n", "	if unread != nil {\n",
	},
	{
		"./internal/engine TestAnAlarmAboutWhatHasLeftIsTakenBack", "the alarm about a target that has left and cannot be read is forgotten", "internal/evaluation/evaluation.go",
		"text, stay = is.Text, append(stay, d.Target)", "text = is.Text",
	},
	{
		"./internal/cli TestHealthOfALostCatalogSaysWhy", "a lost catalog is told as a missing plan", "internal/cli/health.go",
		"case t.Reason != nil && t.Reason.Code == health.CatalogIncomplete:", "case t.Reason != nil && t.Reason.Code == \"\":",
	},
	{
		"./handler TestAMonitorThatHangsUpIsNoError", "a monitor that hangs up is told of unprotected targets", "handler/health.go",
		"if gone := r.Context().Err(); gone != nil {", "if gone := r.Context().Err(); gone != nil && gone.Error() == \"\" {",
	},
	{
		"./handler TestACallerWhoHangsUpBeforeThePlansAreRead", "a caller who hangs up before the plans are read is an error", "handler/api.go",
		"errors.Is(cmp.Or(err, reason(failed)), context.Canceled)", "errors.Is(cmp.Or(err, failed), context.Canceled)",
	},
	{
		"./handler TestHealthOfOnePlanNamesNoOther", "health of one plan has the checkpoints of others", "internal/health/timers.go",
		"return c.Plan != plan })", "return c.Plan == \"\" })",
	},
	{
		"./internal/engine TestEventsHaveThePlansSpelling", "the answer to a backup has the spelling of its sender", "internal/engine/order.go",
		"q.Target = b.Runs[0].Target // as", "_ = b.Runs[0].Target // as",
	},
	{
		"./internal/engine TestARestoreIsStoredInItsOwnPlansSpelling", "a restore has the spelling of another plan", "internal/restore/preview.go",
		"			p.Target, p.Destination = plan.Spelled(p.Target), plan.Spelled(p.Destination)\n", "",
	},
	{
		"./handler TestTheLogWarnsOfAPartialRestoreAfterADeath", "the event's line of a partial restore does not warn", "handler/logged.go",
		"|| data[\"warning\"] != nil ", "",
	},
	{
		"./internal/cli TestARunThatIsCanceledSaysSo", "lifeboat run says that a canceled restore will begin", "internal/cli/runs.go",
		"if q.CanceledBy != \"\" && !v.over() {", "if q.CanceledBy == \"-\" {",
	},
	{
		"./handler TestADeletionWithoutAPlanSaysWhy", "a deletion without a good plan is an error of the program", "handler/forget.go",
		"		return planError(err)\n", "		return err\n",
	},
	{
		"./internal/services/managedhsm/securitydomain TestVectorOfTheSharing", "a security domain: the inverse is a power too low", "internal/services/managedhsm/securitydomain/shamir.go",
		"for range prime - 2 {", "for range prime - 3 {",
	},
	{
		"./internal/services/managedhsm/securitydomain TestVectorsOfTheKeysOfParts", "a security domain: the counter of the key derivation begins at 0", "internal/services/managedhsm/securitydomain/shamir.go",
		"mac.Write([]byte{0, 0, 0, 1})", "mac.Write([]byte{0, 0, 0, 0})",
	},
	{
		"./internal/services/managedhsm/securitydomain TestPointsAreStrict", "a security domain: 257 is a value of a share", "internal/services/managedhsm/securitydomain/shamir.go",
		"if x == 0 || y >= prime {", "if x == 0 || y > prime {",
	},
	{
		"./internal/services/managedhsm/securitydomain TestAWrongSetMayGiveNoByte", "a security domain: 256 is a byte of a secret", "internal/services/managedhsm/securitydomain/shamir.go",
		"if v > 255 {", "if v > 256 {",
	},
	{
		"./internal/services/managedhsm/securitydomain TestTheBadOneIsNamed", "a security domain: a share of another download is not named", "internal/services/managedhsm/securitydomain/check.go",
		"\t\tc.compareShares(s)\n", "",
	},
	{
		"./internal/services/managedhsm/securitydomain TestAloneNoKeysMeet", "a security domain: the keys of holders alone are put together", "internal/services/managedhsm/securitydomain/check.go",
		"\tif !o.Alone {\n", "\tif f != nil {\n",
	},
	{
		"./internal/services/managedhsm/securitydomain TestAttestation", "a security domain: a trust anchor that signed nothing is the HSM's", "internal/services/managedhsm/securitydomain/certificate.go",
		"return there && signed", "return there || signed",
	},
	{
		"./internal/services/managedhsm/securitydomain TestNobodyStatesForAnother", "a security domain: one signature counts twice", "internal/services/managedhsm/securitydomain/statement.go",
		"if slices.Contains(by, thumbprint) || ", "if ",
	},
	{
		"./internal/retention TestSteady", "the check of a plan takes counts for full after 20 years", "internal/retention/steady.go",
		"days = min(days+days/16, mostYears*366)",
		"days = min(days+days/16, 20*366)",
	},
	{
		"./internal/cli/securitydomain TestSituations", "a security domain: shares that were taken out are not missed", "internal/services/managedhsm/securitydomain/check.go",
		"case p == nil || p.x <= len(c.shares):",
		"case p == nil || p.x <= maxHolders:",
	},
	{
		"./internal/cli/securitydomain TestSituations", "a security domain: a lost part is recoverable", "internal/services/managedhsm/securitydomain/check.go",
		"whole := s.parts == len(tags) && len(f.parts) == len(tags)", "whole := s.parts == len(f.parts)",
	},
	{
		"./internal/cli/securitydomain TestSituations", "a security domain: a lowered quorum is recoverable", "internal/services/managedhsm/securitydomain/check.go",
		"whole && s.quorum <= f.quorum &&", "whole &&",
	},
	{
		"./internal/cli/securitydomain TestSituations", "a security domain: a bad key beside a quorum is no fault", "internal/cli/securitydomain/securitydomain.go",
		"case r.Outcome == securitydomain.Recoverable && len(r.Errors) == 0:\n\t\treturn 0", "case r.Outcome == securitydomain.Recoverable:\n\t\treturn 0",
	},
	{
		"./internal/cli/securitydomain TestSituations", "a security domain: two shares of one person are not told", "internal/services/managedhsm/securitydomain/check.go",
		"if len(opens) > 1 && c.keys[k]", "if len(opens) > 2 && c.keys[k]",
	},
	{
		"./internal/cli/securitydomain TestSituations", "a security domain: a line break in a share is skipped", "internal/services/managedhsm/securitydomain/jwe.go",
		`strings.ContainsAny(text, "\r\n")`, `strings.ContainsAny(text, "\r")`,
	},
	{
		"./internal/cli/securitydomain TestStatement", "a security domain: a statement is written of a bad check", "internal/cli/securitydomain/securitydomain.go",
		`if f.statement != "" && exitCode(r, f.alone) == 0 {`, `if f.statement != "" && r.Opened > 0 {`,
	},
	{
		"./internal/cli/securitydomain TestNothingSecretStays", "a security domain: numbers of keys stay in memory", "internal/cli/securitydomain/scrub.go",
		"\toverwriteFree()      //", "\t//",
	},
	{
		"./internal/services/managedhsm TestCustody", "custody: one listed signer is enough for a full check", "internal/services/managedhsm/custody.go",
		"return n >= w.Quorum", "return n > 0",
	},
	{
		"./internal/services/managedhsm TestCustody", "custody: a full check vouches for the holders of other files", "internal/services/managedhsm/custody.go",
		"return w.File == o.File && slices", "return slices",
	},
	{
		"./internal/services/managedhsm TestCustody", "custody: an older statement takes the place of a newer one", "internal/services/managedhsm/custody.go",
		"if is.Checked.After(r.Opened[at].Checked) {", "if !is.Checked.Equal(r.Opened[at].Checked) {",
	},
	{
		"./internal/services/managedhsm TestCustody", "custody: old statements count", "internal/services/managedhsm/custody.go",
		"if recent(o) {\n\t\t\t\tp.Holders++", "if o.Key != \"\" {\n\t\t\t\tp.Holders++",
	},
	{
		"./internal/services/managedhsm TestCustody", "custody: another trust anchor is no conflict", "internal/services/managedhsm/custody.go",
		"if w.Anchor != \"\" && w.Anchor != whole[i].Anchor {", "if w.Anchor == \"\" && w.Anchor != whole[i].Anchor {",
	},
	{
		"./internal/services/managedhsm TestOneKeyIsOnePerson", "custody: one key with two certificates is two people", "internal/services/managedhsm/securitydomain/statement.go",
		"people < max(read.Quorum, minQuorum)", "len(by) < max(read.Quorum, minQuorum) || people == 0",
	},
	{
		"./internal/services/managedhsm TestStatementsThatAreNone", "custody: a statement may be of any day to come", "internal/services/managedhsm/custody.go",
		"if s.Checked.After(now.Add(ahead)) {", "if s.Checked.After(now.Add(99 * ahead)) {",
	},
	{
		"./internal/engine TestCustody", "custody: a repeat begins anew once more", "internal/engine/attest.go",
		"a.Anew && s.Newest != a.ID", "a.Anew",
	},
	{
		"./internal/engine TestCustody", "custody: a repeat is saved", "internal/engine/attest.go",
		"if !begun && !told && bytes.Equal(s.Record, record) {", "if begun && !told && bytes.Equal(s.Record, record) {",
	},
	{
		"./internal/engine TestDeathsOfStatements", "custody: a plan counts as evaluated before its proofs are told", "internal/evaluation/evaluation.go",
		"all, sights, stated, untold, &report)", "all, sights, stated, nil, &report)",
	},
	{
		"./internal/engine TestCustody", "custody: a proof that nobody has begun is late", "internal/health/health.go",
		"p != nil && p.Status.Alarms() && h.Status == Protected", "p != nil && p.Status != backup.Proven && h.Status == Protected",
	},
	{
		"./internal/engine TestCustody", "custody: a timer run never looks for a proof that grew old", "internal/health/evaluation.go",
		"times = append(times, h.Proof.Until)", "times = append(times, time.Time{})",
	},
	{
		"./internal/health TestAnEditHasItsFirstInterval", "health goes by a backup by hand that is under way", "internal/health/health.go",
		"if r.State.Final() || !r.ScheduledTime.IsZero() {", "if r.ID != \"\" {",
	},
	{
		"./internal/engine TestAPointTakesAPlaceAgain", "a count takes no point that is past its day", "internal/retention/review.go",
		"again.Holds(p.ID) {", "again.Holds(p.ID) && r.now.IsZero() {",
	},
	{
		"./internal/engine TestCountsThinAHistory", "the entry of a counted point stays at rest when the point expires", "internal/deletion/due.go",
		"return []backup.Write{{Op: backup.Delete, Key: rest.Key, ETag: rest.ETag}}, true, nil", "_ = rest\n\t\treturn nil, true, nil",
	},
	{
		"./internal/engine TestALostRowOfCountsDeletesNothing", "without the row of counts their points expire", "internal/retention/review.go",
		"case p.Counted && !counts && !person:", "case p.Counted && !counts && !person && r.within > 1000:",
	},
	{
		"./internal/engine TestALostRowOfCountsDeletesNothing", "cleanup goes on without a row of counts that it cannot read", "internal/retention/review.go",
		"r.unread = \"nothing of the target is deleted: \" + err.Error()", "_ = err.Error()",
	},
	{
		"./internal/engine TestWhyACountHolds", "the reason of a count leaves the bucket out", "internal/retention/counted.go",
		"text += \", \" + r.String()", "text += \", \" + string(r.Rule)",
	},
	{
		"./internal/engine TestCountsOfTwoPlans", "a plan counts the recovery points of another", "internal/retention/counted.go",
		"return p.Plan == plan && p.Live()", "return p.Live()",
	},
	{
		"./internal/config TestParsePlanWhole", "a plan counts in UTC", "internal/config/keep.go",
		"s.KeepCounts.Zone = p.Schedule.Zone.String()", "s.KeepCounts.Zone = \"\"",
	},
	{
		"./internal/diff TestAttention", "a lower count is no smaller keep", "internal/diff/diff.go",
		"if count.N < a.KeepCounts.Each()[i].N && !endless(b) {", "if count.N < a.KeepCounts.Each()[i].N && endless(b) {",
	},
	{
		"./internal/cli TestDiffListsWhatExpires", "plan diff lists what expires all the same", "internal/cli/falls.go",
		"known && !gone &&", "known || gone &&",
	},
	{
		"./internal/engine TestForget", "forget deletes the newest point of a plan's target", "internal/engine/forget.go",
		"if p.Live() && (newest.ID ==", "if (newest.ID ==",
	},
	{
		"./internal/engine TestForget", "forget leaves a point out between two pages", "internal/engine/forget.go",
		"answer.Next = answer.Points[forgetPage-1].Point.ID", "answer.Next = p.ID",
	},
	{
		"./internal/engine TestManyExpire", "an edit that lets just half of the points expire is told", "internal/engine/edit.go",
		"if 2*len(out) <= x.there {", "if 2*len(out) < x.there {",
	},
	{
		"./internal/engine TestManyExpire", "an edit that lets all points expire is told without them", "internal/engine/suspect.go",
		"	s.toOutbox(counted.events...)\n	writes", "	writes",
	},
	{
		"./internal/engine TestPace", "the pace lets the newest points go first", "internal/retention/pace.go",
		"a.since.Compare(b.since)", "b.since.Compare(a.since)",
	},
	{
		"./internal/engine TestAPersonHasNoPace", "the pace slows a person down", "internal/retention/pace.go",
		"p.State == backup.Deleting || p.IsSoftDeleted() ||", "p.State == backup.Deleting ||",
	},
	{
		"./internal/engine TestPaceOfTheSchedule", "the pace is slower than the schedule", "internal/retention/pace.go",
		"max(LeastPace, points/10, r.made)", "max(LeastPace, points/10, r.made-12)",
	},
	{
		"./internal/engine TestUndoOfADeletionByAPerson", "soft delete: a late repeat deletes what was undone", "internal/engine/undelete.go",
		"case p.Undone.Deletion == d.ID:", "case p.Undone.Deletion == d.ID && d.Reason == \"\":",
	},
	{
		"./internal/engine TestUndoOfADeletionByAPerson", "soft delete: cleanup looks at an undeleted point each time", "internal/deletion/due.go",
		"wait = max(wait, p.Expires.Sub(x.Now))", "wait = max(wait, 0)",
	},
	{
		"./internal/engine TestANewerPointOfAnOlderRun", "soft delete: cleanup judges a released point without the newer ones of older runs", "internal/deletion/due.go",
		"Created: p.Created, Since: now", "Created: now, Since: now",
	},
	{
		"./internal/engine TestAShortUndo", "soft delete: cleanup looks at an undeleted point when it would have been deleted", "internal/engine/undelete.go",
		"soft.Until, now.Add(orphanAge), now)", "soft.Until, soft.Until.Add(time.Second), now)",
	},
	{
		"./internal/engine TestRefusedDeletions", "soft delete: a person deletes what another one holds", "internal/engine/undelete.go",
		"p.LongestHold(now); held {", "p.LongestHold(now); held && p.Size < 0 {",
	},
	{
		"./internal/engine TestRefusedDeletions", "soft delete: a person deletes what a restore reads", "internal/engine/undelete.go",
		"	if reader != \"\" {", "	if len(reader) > 1000 {",
	},
	{
		"./internal/engine TestRefusedDeletions", "soft delete: a person deletes the newest point of a plan's target", "internal/engine/undelete.go",
		"	return false, nil\n}", "	return true, nil\n}",
	},
	{
		"./internal/engine TestRefusedDeletions", "soft delete: a point of the future stands in for the newest", "internal/engine/undelete.go",
		" && !o.Created.After(now)", "",
	},
	{
		"./internal/engine TestTheNewestIsLiveAgain", "soft delete: the newest point stays soft-deleted", "internal/retention/softdelete.go",
		"(p.ID == r.newest.ID || among || r.isFormer(p))", "among && p.ID != r.newest.ID",
	},
	{
		"./internal/engine TestTheNewestIsLiveAgain", "soft delete: the newest point is deleted at the end of its time", "internal/retention/softdelete.go",
		"	if !p.SoftDeletion.Person() {", "	if p.SoftDelete < 0 {",
	},
	{
		"./internal/engine TestMinimumIsKept", "soft delete: a person's deletion counts for keep.minimum", "internal/retention/softdelete.go",
		"	if !p.SoftDeletion.Person() {", "	if true {",
	},
	{
		"./internal/engine TestAPersonTakesOver", "soft delete: a person's deletion puts off the policy's", "internal/engine/undelete.go",
		"d.Until = soft.Until", "d.Until = backup.Later(d.Until, soft.Until)",
	},
	{
		"./internal/engine TestDeleteByAPerson", "soft delete: cleanup looks at a deleted point only when it would have expired", "internal/engine/undelete.go",
		"*p, p.Expires, at, now)", "*p, p.Expires, backup.Later(at, p.Expires), now)",
	},
	{
		"./internal/engine TestStoppedAppMarksNothing", "soft delete: a person deletes while the app is stopped", "internal/engine/undelete.go",
		"		if err := e.Ownership().MayBegin(ctx); err != nil {", "		if err := e.Ownership().MayBegin(ctx); err != nil && p.Size < 0 {",
	},
	{
		"./internal/engine TestEachOrderOfSoftDeletion", "soft delete: an undo stays soft-deleted", "internal/engine/undelete.go",
		"		p.SoftDeletion = backup.SoftDeletion{}\n", "",
	},
	{
		"./internal/engine TestARepeatBesidePruning", "history: a restore whose run is pruned amid a repeat is done again", "internal/engine/restores.go",
		"e.neverMade(ctx, row)", "e.neverMade(ctx, backup.Row{})",
	},
	{
		"./internal/engine TestARestoreIsRememberedForGood", "history: a repeat of a restore whose run is pruned restores again", "internal/engine/history.go",
		"if c.State == \"\" {", "if c.State == \"\" || c.Run != \"\" {",
	},
	{
		"./internal/engine TestHistoryHasAnEnd", "history: the newest runs go too", "internal/history/target.go",
		"case t.floor.keeps(r, p):", "case t.floor.keeps(r, p) && r.ID == \"\":",
	},
	{
		"./internal/engine TestManifestsHoldTheirPoint", "history: a point is pruned whose manifests are still there", "internal/history/target.go",
		" || t.due[r.ID]:", ":",
	},
	{
		"./internal/engine TestPruningWaitsWhileStopped", "history: rows are pruned while the app is stopped", "internal/engine/history.go",
		"e.KeepHistory == 0 || stopped != \"\" ||", "e.KeepHistory == 0 || len(stopped) > 1000 ||",
	},
	{
		"./internal/engine TestALateStepMessageOfAPrunedRun", "history: a late step message of a pruned run is a dead letter", "internal/engine/history.go",
		">= min(e.KeepHistory, backup.LeastHistory)", ">= 100*max(e.KeepHistory, backup.LeastHistory)",
	},
	{
		"./internal/engine TestPrunedRunsStillAccountForArtifacts", "history: an artifact of a pruned run raises an alarm", "internal/manifest/search.go",
		"if pruned.Runs > 0 && (", "if pruned.Runs < 0 && (",
	},
	{
		"./internal/engine TestDeadLettersAndMissedPeriodsAreForgotten", "history: a dead letter that came again goes with its first time", "internal/history/prune.go",
		"if err == nil && x.old(l.Time) {", "if err == nil && !l.Time.IsZero() {",
	},
	{
		"./internal/engine TestRetentionSaysAllReasons", "the preview of a cleanup knows no end of keep.within", "internal/retention/explain.go",
		"withinUntil(p, day), day)", "withinUntil(p, day), time.Time{})",
	},
	{
		"./internal/engine TestRetentionSaysWhatCleanupDeletes", "the preview of a cleanup knows no readers that have ended", "internal/engine/retention.go",
		"if p.Readers = nil; reader != \"\" {", "if reader != \"\" {",
	},
	{
		"./internal/engine TestHold", "cleanup deletes what a person holds", "internal/retention/review.go",
		"	case held:", "	case held && r.now.IsZero():",
	},
	{
		"./internal/engine TestHoldRacesCleanup", "a hold takes back the decision of cleanup", "internal/engine/undelete.go",
		"	case backup.Deleting:\n		return fmt.Errorf", "	case \"never\":\n		return fmt.Errorf",
	},
	{
		"./internal/engine TestHoldAfterAKilledCleanup", "a point whose deletion died halfway can be held", "internal/engine/undelete.go",
		"switch p.State {", "if p.State == backup.Deleting && p.Undeleted.Since.IsZero() {\n		return nil\n	}\n	switch p.State {",
	},
	{
		"./internal/engine TestARepeatedHoldIsOne", "a repeated release ends a later hold", "internal/engine/hold.go",
		"return h.ID == hold })", "return h.ID == hold || len(holds) == 1 })",
	},
	{
		"./internal/engine TestARepeatedHoldIsOne", "a hold that was released comes back with a repeat of its request", "internal/engine/hold.go",
		"if p.Released.Hold == h.ID {", "if p.Released.Hold == h.ID && h.Reason == \"\" {",
	},
	{
		"./internal/engine TestARepeatedHoldIsOne", "the same wish twice is two holds", "internal/engine/hold.go",
		"case slices.ContainsFunc(holds, h.Same):", "case slices.ContainsFunc(holds, h.Same) && h.Until.IsZero():",
	},
	{
		"./internal/engine TestHold", "cleanup looks at a released point only when it would have looked at the held one", "internal/engine/hold.go",
		"*p, now.Add(orphanAge), now)", "*p, now.Add(1008*orphanAge), now)",
	},
	{
		"./internal/engine TestHoldIsRepeatable", "a release is noted for cleanup before it is made", "internal/engine/hold.go",
		"*p, now.Add(orphanAge), now)", "*p, now, now)",
	},
	{
		"./internal/engine TestHold", "cleanup looks at a held point each time", "internal/deletion/due.go",
		"			wait = LongestKept * x.Recheck\n			if", "			if",
	},
	{
		"./internal/engine TestHoldsEnd", "cleanup comes a week after the end of a hold", "internal/deletion/due.go",
		"wait = min(wait, max(hold.Until.Sub(x.Now), backup.Resolution))", "wait = max(wait, hold.Until.Sub(x.Now))",
	},
	{
		"./internal/engine TestAReleasedPointIsCountedOnce", "each release leaves an entry for good", "internal/deletion/due.go",
		"d.Created)) < LongestKept*x.Recheck\n		stays", "d.Created)) < 1000*LongestKept*x.Recheck\n		stays",
	},
	{
		"./internal/engine TestAReleasedPointIsCountedOnce", "a released point counts twice", "internal/deletion/due.go",
		"if !d.Released && p.State", "if p.State",
	},
	{
		"./internal/backup TestLongestHold", "the shortest hold counts", "internal/backup/hold.go",
		"h.Until.After(longest.Until)", "h.Until.Before(longest.Until)",
	},
	{
		"./internal/cli/prove TestAServiceOutsideOfTheGroup", "a proof touches services outside of the group", "internal/cli/prove/prove.go",
		"case !strings.EqualFold(r.Group, q.group):", "case false:",
	},
	{
		"./internal/cli/prove TestEachRunAsksForTheSameBackup", "a proof that goes on asks for another backup", "internal/cli/prove/steps.go",
		`return p.mark + "-" + what`, `return p.RequestID + "-" + what`,
	},
	{
		"./internal/cli/prove TestARefusedCheckStops", "a proof makes a backup although the check refuses", "internal/cli/prove/steps.go",
		"if f.Result == check.Refused {", "if f.Result == check.Refused && false {",
	},
	{
		"./internal/cli/prove TestNothingIsDoneWithoutTheName", "any word typed confirms a proof", "internal/cli/prove/prove.go",
		"if !strings.EqualFold(strings.TrimSpace(typed), p.group) {", `if typed == "" {`,
	},
	{
		"./internal/cli/prove TestOnlyTheRestoreTakesTheMarkAway", "a proof that is stopped removes the mark while its restore goes on",
		"internal/cli/prove/steps.go", "case s.restore != nil && !over(*s.restore):", "case false:",
	},
	{
		"./internal/cli/prove TestOnlyTheRestoreTakesTheMarkAway", "a proof removes the mark although it does not know whether its restore began",
		"internal/cli/prove/steps.go", "case s.restore == nil && !s.denied:", "case false:",
	},
	{
		"./internal/cli/prove TestOnlyTheRestoreTakesTheMarkAway", "a proof removes the mark that its restore left",
		"internal/cli/prove/steps.go", "case evidence && there:", "case evidence && there && err != nil:",
	},
	{
		"./internal/cli/prove TestOnlyTheRestoreTakesTheMarkAway", "a proof removes the mark of another while the restore of that goes on",
		"internal/cli/prove/steps.go", "case s.other != nil && !over(*s.other):", "case false:",
	},
	{
		"./internal/cli/prove TestOnlyTheRestoreTakesTheMarkAway", "a proof removes the mark of another that still looks for it",
		"internal/cli/prove/steps.go", "p.Now().Sub(v.Ended) < patience", "false",
	},
	{
		"./internal/cli/prove TestAnOldBackupIsNotRestored", "a proof that goes on a day later restores its old backup",
		"internal/cli/prove/steps.go", "p.report.Began.Sub(v.Ended) > freshness", "false",
	},
	{
		"./internal/cli/prove TestAMarkThatMayComeIsRemoved", "a proof forgets a mark whose making had no answer",
		"internal/cli/prove/steps.go", "case !there && (s.seen || s.restore != nil):", "case !there:",
	},
	{
		"./internal/cli/prove TestNoServiceIsKnownByItsNameAlone", "a proof takes any service of its name for its own", "internal/cli/prove/make.go",
		"	return false\n}\n\n// earlier reads", "	return true\n}\n\n// earlier reads",
	},
	{
		"./internal/cli/prove TestNoServiceIsKnownByItsNameAlone", "a proof takes the service of another proof for its own", "internal/cli/prove/make.go",
		"strings.EqualFold(name, tag) && value == proof", `strings.EqualFold(name, tag) && value != ""`,
	},
	{
		"./internal/cli/prove TestNoServiceIsKnownByItsNameAlone", "a proof purges what it is not known to have deleted", "internal/cli/prove/make.go",
		"if was.Made == deleting || was.Made == purging {", "if was.Made != there {",
	},
	{
		"./internal/cli/prove TestARoleWithoutEffectYetCostsNoService", "a proof deletes its service because a backup failed", "internal/cli/prove/steps.go",
		`if p.own != nil && v.Status == "Succeeded" {`, "if p.own != nil {",
	},
	{
		"./internal/cli/prove TestAFailedBackupLeavesItsPlaceToTheNext", "a proof asks again and again for its failed backup", "internal/cli/prove/steps.go",
		`over(backups[s.backup]) && backups[s.backup].Status != "Succeeded"`, "false",
	},
	{
		"./internal/cli/prove TestAFailedRestoreIsEvidence", "a proof takes what its restore broke for what Azure could not make", "internal/cli/prove/make.go",
		`case found.State == "Failed" && !young:`, "case false:",
	},
	{
		"./internal/cli/prove TestAzureTakesItsTime", "a proof sends its purge again and again", "internal/cli/prove/make.go",
		"sent = err == nil", "sent = err != nil",
	},
	{
		"./internal/cli/prove TestTheReportOfAnotherProofStays", "a proof replaces the report of another one of its ID", "internal/cli/prove/make.go",
		"if was.Key != p.key() {", "if false {",
	},
	{
		"./internal/cli/prove TestTheEndOfAProofIsTheEndOfItsService", "a proof that fails leaves its service", "internal/cli/prove/make.go",
		"return p.own.begun && ", "return err == nil && ",
	},
	{
		"./internal/cli/prove TestTheEndOfAProofIsTheEndOfItsService", "a proof deletes its service while the restore goes on", "internal/cli/prove/make.go",
		"!errors.Is(err, client.ErrStopped) && !unsettled", "!errors.Is(err, client.ErrStopped) || unsettled",
	},
	{
		"./internal/cli/prove TestAProofMakesItsOwnService", "a proof that is over makes another service", "internal/cli/prove/make.go",
		"	case gone:\n		return true, fmt", "	case there + gone:\n		return true, fmt",
	},
	{
		"./internal/cli/prove TestAzureTakesItsTime", "a proof does not wait until what it deleted can be purged", "internal/cli/prove/make.go",
		`case kept.Address == "" && p.Now().Sub(w.begin) > unseen:`, `case kept.Address == "" && p.Now().Sub(w.begin) > patience:`,
	},
	{
		"./internal/cli/prove TestAProofThatDiesLeavesNoService", "a proof that is killed amid the deletion makes its service again", "internal/cli/prove/make.go",
		"	case deleting, purging:\n", "	case purging:\n",
	},
	{
		"./internal/services/managedhsm TestMarks", "purge protection stops a proof", "internal/services/managedhsm/mark.go",
		"var unpurged = []int{http.StatusForbidden, http.StatusConflict}", "var unpurged = []int{http.StatusConflict}",
	},
	{
		"./internal/cmd/pack TestPack", "the zip has the executable bits of the checkout", "internal/cmd/pack/main.go",
		"header.SetMode(0o644)\n", "info, _ := d.Info()\n\t\theader.SetMode(0o644 | info.Mode()&0o111)\n",
	},
	{
		"./internal/cmd/release TestSBOM", "an SBOM depends on the machine that made it", "internal/cmd/release/main.go",
		`delete(tool, "hashes")`, `_ = tool`,
	},
	{
		"./internal/engine TestTheEndOfAnAlarmThatAnotherTimerRunDidNotSee", "a timer run that another one has overtaken leaves no mark",
		"internal/evaluation/evaluation.go", "unsaved = e.markAgain(ctx, targets)", "unsaved = nil",
	},
	{
		"./internal/azure TestCovers", "a role at one service is enough to say that a subscription has no other", "internal/azure/graph.go",
		"			if reads {", "			if reads || true {",
	},
	{
		"./internal/azure TestCovers", "a search of no subscription searches them all", "internal/azure/graph.go",
		"if len(readable) == 0 {", "if false {",
	},
	{
		"./internal/azure TestInventory", "a search has the first page alone", "internal/azure/graph.go",
		`case shown.Token == "":`, `case page == 0:`,
	},
	{
		"./internal/plans TestWhatIsTooMuchToLose", "a look that takes most services from a plan counts at once", "internal/plans/selection.go",
		"return 2*len(missing(was, is)) > len(was)", "return false",
	},
	{
		"./internal/plans TestWhatIsTooMuchToLose", "many small losses within a day count as none", "internal/plans/selection.go",
		"loses(slices.DeleteFunc(slices.Clone(then.Targets), p.Has), one.Targets)", "loses(nil, then.Targets)",
	},
	{
		"./internal/plans TestWhatIsTooMuchToLose", "a subscription may lose all services at once", "internal/plans/selection.go",
		"n > 1 && left[subscription] == 0", "n > 1 && left[subscription] < 0",
	},
	{
		"./handler TestALossWaits", "a person agrees to what another look has found", "internal/engine/selection.go",
		"case hash == \"\" || is.Waiting != hash:", "case hash == \"\":",
	},
	{
		"./handler TestSelection", "a subscription that the app may not read has no services", "internal/plans/selection.go",
		"&& !there.Looked(r.Subscription) {", "&& false {",
	},
	{
		"./internal/plans TestTheSlowerTimerRunKnowsNoTime", "the slower of two timer runs takes an edit for as old as the text before it", "internal/plans/store.go",
		"if head.Hash == file.hash {", "if true {",
	},
	{
		"./handler TestAnEditMendsABadSelection", "only what the active plans select is looked for", "handler/schedule.go",
		"h.Plans.Asked(ctx, active)", "active.Plans",
	},
	{
		"./handler TestSelection", "a service that cannot be backed up is selected", "internal/plans/selection.go",
		"p.Select.Fits(f) && services.Unfit(f) == \"\"", "p.Select.Fits(f)",
	},
	{
		"./handler TestCoverage", "a look without an answer forgets the last one", "internal/engine/coverage.go",
		"is = was.Missed(backup.AsFault(err).Reason(), now)", "is = health.Coverage{}.Missed(backup.AsFault(err).Reason(), now)",
	},
	{
		"./internal/health TestCoverage", "a service counts as uncovered after a plan has it", "internal/health/coverage.go",
		"now.Looked[i].Uncovered[kind]--", "_ = kind",
	},
	{
		"./internal/config TestWhatBecameOfAPush", "a push whose answer is lost counts as not written", "internal/config/planblob.go",
		"Once().Fault(err).Kind != backup.Ambiguous", "Fault(err).Kind != backup.Ambiguous",
	},
	{
		"./internal/config TestWhatBecameOfAPush", "a push that a proxy has sent twice lost a race", "internal/config/planblob.go",
		"case notRead == nil && there.Exists() && bytes.Equal", "case !lost && notRead == nil && there.Exists() && bytes.Equal",
	},
	{
		"./internal/config TestWhatBecameOfAPush", "a push writes over whatever is there", "internal/config/planblob.go",
		"{IfMatch: shown.etag}", "{}",
	},
	{
		"./internal/engine TestHealthKnowsThatARestoreHasBegun", "health hears of no safety backup", "internal/engine/save.go",
		"if s.run.Restore != nil && s.run.State != s.was &&", "if s.run.Restore == nil && s.run.State != s.was &&",
	},
	{
		"./internal/metrics TestNegotiate", "the last range of a header Accept counts", "internal/metrics/accept.go",
		"specific == 0 || specific < l.specific ||", "specific == 0 ||",
	},
	{
		"./handler TestAnswersOfMonitorsAreCompressed", "a monitor that refuses gzip gets it", "handler/gzip.go",
		"err == nil && q > 0", "err == nil && q >= 0",
	},
	{
		"./internal/storage/queue TestTwoAppsOfOneName", "events of two apps of one name have one source", "internal/config/settings.go",
		`return "//" + u.Host + strings.TrimSuffix(u.EscapedPath(), "/") + "/" +`, `return "//" + u.Scheme + "/" +`,
	},
	{
		"./internal/config TestSourceOfEvents", "a slot has the same source of events as its site", "internal/config/settings.go",
		`if slot != "" {`, `if slot == "" {`,
	},
	{
		"./internal/event TestTimesAreInUTC", "a missed period is told in the zone of its plan", "internal/event/events.go",
		"m.First.UTC(), m.Last.UTC()", "m.First, m.Last",
	},
	{
		"./internal/engine TestAnEvaluationForgetsNoAlarmOfWhatHasLeft", "an evaluation forgets the alarms about what has left the plan",
		"internal/health/evaluation.go",
		"complete && (here == \"\" || there[here])", "complete && (here == \"\" || len(there) > 0)",
	},
	{
		"./internal/engine TestAnAlarmIsOver", "an alarm holds until the next evaluation of its plan", "internal/evaluation/evaluation.go",
		"if !looked || saw.err != nil || !is.Alarmed(here) {", "if !looked || saw.err != nil || is.Alarmed(here) {",
	},
	{
		"./internal/engine TestTheEndOfAnAlarmSurvivesKills", "the mark of a target goes before the end of its alarm is saved", "internal/evaluation/facts.go",
		"if saw.err != nil || later[here] {", "if saw.err != nil || later[here] && here == \"\" {",
	},
	{
		"./internal/engine TestAnEditEndsAnAlarm", "an edit of plan.yaml ends no alarm", "internal/evaluation/evaluation.go",
		"text, again := edited[plan.Name]", "text, again := edited[\"\"]",
	},
	{
		"./internal/engine TestAnEditEndsAnAlarm", "the alarm after an edit has the ID of one that is over", "internal/health/evaluation.go",
		"key == alarm.AlertKey() && len", "key == alarm.Plan && len",
	},
	{
		"./internal/engine TestAnAlarmHoldsWhileItsTargetIsUnprotected", "a newer point that is too old begins another alarm", "internal/health/evaluation.go",
		"return cmp.Or(holding[backup.Partition(h.Target)], holding[v.alarm(h)])",
		"if id := holding[backup.Partition(h.Target)]; id == v.alarm(h) {\n\t\treturn id\n\t}\n\treturn cmp.Or(holding[v.alarm(h)])",
	},
	{
		"./internal/engine TestHealthKnowsRestores", "health hears of a restore only at its end", "internal/engine/save.go",
		"if s.run.Restore != nil && !s.run.State.Final() { // it was made", "if s.run.Restore != nil && s.run.State.Final() { // it was made",
	},
	{
		"./internal/engine TestHealthForgetsNoWaitingRestore", "health forgets a waiting restore behind ten backups", "internal/evaluation/facts.go",
		"if len(rows) == few && len(runs) == few {", "if len(rows) == few && len(runs) < few {",
	},
	{
		"./internal/engine TestCleanupCountsThePoints", "an accepted recovery point is counted as suspect", "internal/deletion/count.go",
		"looked < mostLooked {", "looked < mostLooked-mostLooked {",
	},
	{
		"./internal/engine TestCleanupCountsThePoints", "cleanup counts all recovery points each time", "internal/health/stock.go",
		"now.Sub(s.At) >= CountEvery", "now.Sub(s.At) >= 0",
	},
	{
		"./handler TestHealthOfTimers", "the health of one plan hides a silent timer", "handler/health.go",
		"		if t.Silent {\n			body.OverallStatus", "		if t.Silent && only.plan == \"\" {\n			body.OverallStatus",
	},
	{
		"./internal/engine TestASecondAppDropsWhatNoAppExpects", "two apps put the step messages of ended runs back for ever",
		"internal/engine/engine.go",
		"(run.State.Final() && !run.Unpublished && lookDue", "(run.State.Final() && run.Unpublished && lookDue",
	},
	{
		"./internal/engine TestHealthReadsPages", "health looks at each target itself", "internal/evaluation/health.go",
		"changed || r.unread {", "changed || !r.unread {",
	},
	{
		"./internal/engine TestOneUnreadTargetHidesNoOther", "health calls a target protected that it cannot read", "internal/health/health.go",
		"h.Status, h.Err = Unprotected, s.Unread", "h.Err = s.Unread",
	},
	{
		"./internal/engine TestOneUnreadTargetHidesNoOther", "health goes by the facts of a target that has changed since", "internal/evaluation/health.go",
		"changed || r.unread {", "changed && r.unread {",
	},
	{
		"./internal/health TestFactsSayAllThatHealthGoesBy", "the facts have no suspect point", "internal/health/facts.go",
		"one != live && one != suspect && !oldest", "one != live && !oldest || one == suspect",
	},
	{
		"./handler TestHealthOfOnePlan", "the health of one plan has the targets of all", "handler/metrics.go",
		"if s.plan == \"\" {\n\t\treturn all", "if s.plan != \"\" {\n\t\treturn all",
	},
	{
		"./internal/backup TestEvidence", "an altered artifact counts as restored", "internal/backup/point.go",
		"case p.State == Altered, p.Reason.Code == CodeTouched, p.SHA256 == \"\":", "case p.SHA256 == \"\":",
	},
	{
		"./internal/engine TestRestoreSurvives", "a restore is not noted in its recovery point", "internal/engine/readers.go",
		"s.run.State == backup.Succeeded && p.Restored.Before(s.run.Ended)", "s.run.State == backup.Unknown && p.Restored.Before(s.run.Ended)",
	},
	{
		"./internal/engine TestRestore", "no timer run knows of the manifest of a restored point", "internal/engine/readers.go",
		"return s.Outbox().HandOver(ctx, p.Key().Partition) // also", "return nil // also",
	},
	{
		"./internal/services/managedhsm TestAFaultOfTheLookEndsTheCallOnceAllIsRead", "an HSM that was asked is not told so", "internal/services/managedhsm/verify.go",
		"proof.Asked = proof.Done", "proof.Asked = false",
	},
	{
		"./internal/engine TestWhileItWaitsForAFurtherAttempt", "an early message begins a further attempt",
		"internal/engine/backingup.go",
		"case r.Early(s.now):", "case r.Early(s.now.Add(time.Hour)):",
	},
	{
		"./internal/engine TestAPassingFailureIsTriedAgain", "a failed backup is tried again for ever",
		"internal/backup/retry.go",
		"case failed >= mostOperations:", "case failed >= 100:",
	},
	{
		"./internal/engine TestAFurtherAttemptStaysInsideTheTimeOfTheRun", "a run waits for a further attempt past its window",
		"internal/backup/retry.go",
		"case !at.Before(end):", "case at.IsZero():",
	},
	{
		"./internal/engine TestAFurtherAttemptStaysInsideTheTimeOfTheRun", "a run whose attempt was failed ends as missed",
		"internal/engine/step.go",
		"if len(s.run.Failed) > 0 && (c == misses || c == supersedes) {", "if len(s.run.Failed) > 9 && (c == misses || c == supersedes) {",
	},
	{
		"./internal/engine TestATornArtifactIsNeverFound", "what a failed attempt has left is found",
		"internal/backup/retry.go",
		"names = append(names, r.ArtifactName(f.Attempt))", "names = append(names, r.ArtifactName(f.Attempt+1))",
	},
	{
		"./internal/engine TestASafetyBackupIsTriedAgain", "a safety backup is tried again behind a lost start",
		"internal/backup/retry.go",
		"case r.Restore != nil && r.Lost > 0:", "case r.Restore != nil && r.Lost > 9:",
	},
	{
		"./internal/engine TestEndsWhileItWaitsForAFurtherAttempt", "backups that are stopped are tried again",
		"internal/engine/backingup.go",
		`if len(r.Failed) > 0 && r.Request == "" {`, `if len(r.Failed) > 9 && r.Request == "" {`,
	},
	{
		"./internal/azure TestPassingCodes", "a definite no counts as passing",
		"internal/azure/passing.go",
		"f.Kind == backup.Refused && passes(f.Code)", "f.Kind == backup.Refused",
	},
	{
		"./internal/services/apim TestAChangeDuringTheBackup", "a change of what is in the service is not seen",
		"internal/azure/activity.go",
		`(id == of || strings.HasPrefix(id, of+"/"))`, "id == of",
	},
	{
		"./internal/services/apim TestReadChange", "a change that failed is one",
		"internal/azure/activity.go",
		"End(a.Status.Value) == Succeeded", `a.Status.Value != ""`,
	},
	{
		"./internal/backup TestWhenABackupRan", "a change is told of a backup whose start was lost",
		"internal/backup/change.go",
		"if len(r.LostStarts) > 0 ||", "if len(r.LostStarts) > 9 ||",
	},
	{
		"./internal/engine TestUnknownArtifacts", "artifacts of a lost catalog are not told",
		"internal/manifest/finder.go",
		"told := []backup.Event{event.CatalogIncomplete(one)}", "told := []backup.Event(nil)",
	},
	{
		"./internal/engine TestUnknownArtifacts", "a search that failed counts as one",
		"internal/manifest/finder.go",
		"is.Searched.With(key, errs[i] == nil)", "is.Searched.With(key, true)",
	},
	{
		"./internal/engine TestManifestsThatStorageKeeps", "the entry of an expired point is dropped before its manifests are deleted",
		"internal/deletion/due.go",
		"if stays = late != nil; stays && backup", "if stays = late != nil && x.Now.IsZero(); stays && backup",
	},
	{
		"./internal/azure TestAMovedAccountIsFoundByItsName", "an account is another one in another group",
		"internal/azure/moved.go",
		"if there.SameAccount(s) &&", "if there.Account == s.Account &&",
	},
	{
		"./internal/azure TestAnAccountThatAnswersIsThere", "Resource Manager's 404 counts although the account answers",
		"internal/azure/account.go",
		"!keyed && c.answers(ctx, s):", "!keyed && !c.answers(ctx, s):",
	},
	{
		"./internal/engine TestRevCleanupCost", "cleanup reads no due point that stands far behind the newest",
		"internal/engine/reading.go",
		"deletion.Behind(entries, newest)", "nil",
	},
	{
		"./internal/engine TestRevCleanupCost", "cleanup reads on once it knows the newest points",
		"internal/engine/reading.go",
		"newestRead, r.review.Settled)", "newestRead, func() bool { return false })",
	},
	{
		"./internal/engine TestCleanupReadsOnForTheMinimum", "cleanup knows the newest point, and not as many as keep.minimum",
		"internal/retention/review.go",
		"len(r.good) > 0 && len(r.good) >= r.least()", "len(r.good) > 0",
	},
	{
		"./internal/deletion TestANoteCountsWhatOneCleanupDoesNotRead", "health forgets the undeleted points that a cleanup did not read",
		"internal/deletion/note.go",
		"is := health.NewUndeleted(target, points, was.Without(points)...)", "is := health.NewUndeleted(target, points)",
	},
	{
		"./internal/engine TestRetentionUnderAnEdit", "a preview of an edit goes by the minimum of before",
		"internal/retention/edit.go",
		"		p.Minimum = e.Settings.KeepMinimum\n", "",
	},
	{
		"./internal/engine TestRetentionUnderAnEdit", "a preview of an edit judges no point anew",
		"internal/retention/edit.go",
		"if anew {", "if !anew {",
	},
	{
		"./internal/engine TestALongHistoryIsNotRead", "clean-up forgets the artifacts that the points of earlier pages name",
		"internal/retention/review.go",
		"		r.within++\n		r.keep(p)", "		r.within++",
	},
	{
		"./internal/retention TestReviewSparesASharedArtifact", "clean-up deletes an artifact that a point of before a move names",
		"internal/backup/point.go",
		`return p.Storage.account() + "\n"`, `return p.Storage.Account + "\n"`,
	},
	{
		"./internal/services/apim TestADenialIsRefusedAtOnce", "a lock, a disabled subscription and a quota count as a busy service",
		"internal/azure/call.go",
		"case Denies(code) && !c.follows():", "case Denies(code) && !c.follows() && s == http.StatusForbidden:",
	},
	{
		"./internal/services/managedhsm TestADenialSaysNothingOfABackup", "a lock that came after a backup fails the backup",
		"internal/services/managedhsm/verify.go",
		"case f.Kind == backup.Unobservable, azure.Denies(f.Code):", "case f.Kind == backup.Unobservable:",
	},
	{
		"./internal/retention TestMinimum", "keep.minimum counts what the service cannot restore any more",
		"internal/retention/review.go",
		"if !p.OnDemand && r.restores(p) {", "if !p.OnDemand {",
	},
	{
		"./internal/engine TestALostRestoreIsNotBegunAgainLate", "a lost restore is begun again after its request expired",
		"internal/engine/recreating.go",
		"case f == nil && restore.Expired(r.Restore.Expires, s.now) != nil:", "case f == nil && r.Lost > mostLost:",
	},
	{
		"./internal/engine TestALostStartIsNotRepeatedLate", "a lost start is repeated after the window of its run",
		"internal/engine/backingup.go",
		"case over && isLate:", "case over && isLate && r.Lost > mostLost:",
	},
	{
		"./internal/engine TestCleanupSeesTheNewestOfAnOlderRun", "cleanup overlooks the newest point of an older run",
		"internal/deletion/due.go",
		`return max(reach, backup.Point{ID: d.Point}.Key().Row+"!")`, `return backup.Point{ID: d.Point}.Key().Row + "!"`,
	},
	{
		"./internal/engine TestDeletionAndRestoreRace", "the point is not looked at again when a restore begins",
		"internal/engine/restoring.go",
		"if why := restore.Usable(p, s.service(p.Target), s.now); why != nil {",
		"if why := restore.Usable(p, s.service(p.Target), s.now); why != nil && r.Attempt > 1000 {",
	},
	{
		"./internal/engine TestRestoreTooOldBySafety", "the horizon is not asked for after the safety backup",
		"internal/engine/restoring.go",
		"case old != nil:", "case old != nil && q.SafetyBackedUp.IsZero():",
	},
	{
		"./internal/engine TestRestoreLostAndTurnedAway", "a restore that was lost and is rejected waits as a new one",
		"internal/engine/recreating.go",
		"if rejected && s.run.Lost > 0 {", "if rejected && s.run.Lost > mostLost {",
	},
	{
		"./internal/engine TestTheEndOfTheWaitQueueComesEarly", "the wait for a permit must end to the second",
		"internal/engine/admission.go",
		"r.Due.After(s.now.Add(s.Timings.Rescue))", "r.Due.After(s.now)",
	},
	{
		"./internal/engine TestOneArtifactOnePoint", "the claim of an artifact may be written again",
		"internal/backup/point.go",
		"{Op: Insert, Key: p.claimKey(),", "{Op: Put, Key: p.claimKey(),",
	},
	{
		"./internal/engine TestTwoCleanupsOfWhatStorageKeeps", "a deletion that was begun goes on without a save",
		"internal/deletion/deletion.go",
		"decided retention.Decision) error {\n\tif err", "decided retention.Decision) error {\n\tif p.State == backup.Deleting {\n\t\treturn nil\n\t}\n\tif err",
	},
	{
		"./internal/engine TestADeletionThatFails", "a point whose deletion storage refuses stays given up",
		"internal/deletion/deletion.go",
		"if !begun && undone(f.Kind) {", "if !begun && undone(f.Kind) && f.Code == codeReading {",
	},
	{
		"./internal/engine TestADeletionThatFails", "health tells for ever of a point that is deleted at last",
		"internal/deletion/note.go",
		`case is.Point == "" && !there:`, `case is.Point == "":`,
	},
	{
		"./internal/engine TestAnAlteredArtifactStays", "an altered artifact of one blob is taken for the rest of a deletion",
		"internal/deletion/deletion.go",
		"return len(files) > 0\n", "return true\n",
	},
	{
		"./internal/services/managedhsm TestAPersonsFileInTheFolder", "a person's file in an HSM's folder is deleted with it",
		"internal/services/managedhsm/folder.go",
		"if len(own) > 0 && !own[*item.Name] {", "if len(own) > 1000 && !own[*item.Name] {",
	},
	{
		"./internal/plans TestBookRemembersNoPlan", "a process remembers which plan is active",
		"internal/plans/store.go",
		"active.\n\t_, head, _, err := b.load(ctx)", "active.\n\thead, err := b.head, error(nil)",
	},
	{
		"./internal/engine TestNoRunEntersTheWaitQueueWhileThereIsRoom", "a run that loses a race for a permit enters the wait queue",
		"internal/admission/admission.go",
		"return nil, ErrConflict\n\t\t\t}\n\t\t\treturn nil, err", "return &a.Bounds[0], nil\n\t\t\t}\n\t\t\treturn nil, err",
	},
	{
		"./internal/engine TestLeftPermitsAreFoundHoweverOftenATimerRunComes", "a timer run looks at the permit whose turn it is by the minutes of the clock",
		"internal/admission/dispatch.go",
		"rows.Permits[backup.Fraction(backup.TimeKey(now), uint64(len(rows.Permits)))]", "rows.Permits[int(now.Unix()/60)%len(rows.Permits)]",
	},
	{
		"./internal/engine TestASecondAppDoesNothing", "an app works the steps of an app that owns the catalog",
		"internal/engine/engine.go",
		"|| err == nil && run.App != e.App {", "|| false {",
	},
	{
		"./internal/engine TestASecondAppIsToldOnce", "a second app that dies is told of again as another one",
		"internal/apps/apps.go",
		"Seen: is.First})", "Seen: now})",
	},
	{
		"./internal/engine TestTakeoverAmidAStart", "a takeover takes a run over whose operation is just being started",
		"internal/apps/takeover.go",
		"if run.LeaseUntil.After(now) {", "if run.LeaseUntil.After(now.AddDate(1, 0, 0)) {",
	},
	{
		"./internal/engine TestTakeoverAtEveryRequest", "a takeover that died goes on only by a repeat",
		"internal/apps/takeover.go",
		"Caller: caller, Inherits: true,", "Caller: caller,",
	},
	{
		"./internal/engine TestRunsWithinALeaseAreTakenOverLater", "a takeover forgets the runs that were within a lease",
		"internal/apps/takeover.go",
		"left = left || !taken", "left = left || !taken && err != nil",
	},
	{
		"./internal/engine TestASecondAppPutsMessagesBackEverMoreRarely", "a second app puts a step message back every 30 seconds",
		"internal/engine/engine.go",
		"e.Queue.Requeue(ctx, backup.ExecuteQueue, message, e.putBackDelay(run, now))", "e.Queue.Requeue(ctx, backup.ExecuteQueue, message, e.Timings.PutBack)",
	},
	{
		"./handler TestASecondAppGivesNothingUp", "an app refuses a request for good while it cannot read who owns the catalog",
		"handler/apps.go",
		"return h.unowned(ctx, in, queue, message, err)", "return handle(ctx, in, message)",
	},
	{
		"./handler TestASecondAppLeavesMessages", "a second app puts a request back every 30 seconds",
		"handler/apps.go",
		"PutBackDelay(h.Now().Sub(dated.Sent))", "PutBackDelay(0)",
	},
	{
		"./internal/engine TestTakeoverNamesTheLoser", "a takeover replaces whichever app owns the catalog",
		"internal/apps/takeover.go",
		"case was.App != loser:", `case loser == "":`,
	},
	{
		"./handler TestASecondAppSavesNoPlan", "a second app makes its plan.yaml active",
		"internal/plans/store.go",
		"if err := (apps.App{Catalog: b.Catalog, Name: b.App}).Check(ctx); err != nil {", "if err := (apps.App{Catalog: b.Catalog, Name: b.App}).Check(ctx); err != nil && head.Hash == \"\" {",
	},
	{
		"./internal/services/apim TestARestoreEndsAsTheServiceSettles", "A02 a service that settled as Canceled is asked about for ever",
		"internal/services/apim/restore.go",
		`case "Failed", "Canceled":`, `case "Failed":`,
	},
	{
		"./internal/schedule TestScheduledTimesAreTheSameFromWhereverOneLooks", "B01 a scheduled time of the day before that the clock pushes past midnight is overlooked",
		"internal/schedule/calendar.go",
		"day := after.In(s.Zone).AddDate(0, 0, -1)", "day := after.In(s.Zone)",
	},
	{
		"./internal/engine TestATargetIsTheSameInAnyCase", "B06 a target's share of the jitter depends on how plan.yaml spells it",
		"internal/checkpoint/runs.go",
		`backup.Fraction(p.Name+"\n"+strings.ToLower(target), uint64(span))`, `backup.Fraction(p.Name+"\n"+strings.TrimSpace(target), uint64(span))`,
	},
	{
		"./internal/admission TestRestoresBeforeBackups", "a backup takes the permit that a restore waits for",
		"internal/admission/admission.go",
		"n > 0 && permits.room(b) <= n {", "n > 1000 && permits.room(b) <= n {",
	},
	{
		"./internal/engine TestRestoresIntoOneDestinationRunOldestFirst", "a younger restore goes before an older one",
		"internal/engine/restoring.go",
		"restore.Older(runs, s.now)", "restore.Older(runs[:0], s.now)",
	},
	{
		"./internal/admission TestRestoresBeforeBackups", "a younger restore is woken before an older one",
		"internal/backup/keys.go",
		`RestoreQueuePrefix + TimeKey(asked) + "-"`, `RestoreQueuePrefix + Countdown(asked) + "-"`,
	},
	{
		"./internal/services/managedhsm TestRestoresUnderstandEveryAnswer", "a restore of no key version has succeeded",
		"internal/services/managedhsm/restore.go",
		"case err == nil && s.Done && r.Kind == backup.RestoreKey && noneRestored", "case false && noneRestored",
	},
	{
		"./internal/engine TestAPermitAcquiredTwiceIsReclaimed", "B10 a permit that a run acquired twice is not reclaimed while the run lives",
		"internal/admission/dispatch.go",
		"run.State.Final() && !run.Unpublished || len(run.Permits) > 0\n", "run.State.Final() && !run.Unpublished\n",
	},
	{
		"./internal/engine TestNobodyIsToldTwiceWhileOneTargetCannotBeRead", "B15 others are told again while one target cannot be read",
		"internal/health/evaluation.go",
		"	is.Published = append(is.Published, holds...)\n", "	is.Published = holds\n",
	},
	{
		"./internal/engine TestManySuspectPointsHideNoLiveOne", "B16 where the ten newest points are suspect a timer run does not look for an older live one",
		"internal/evaluation/facts.go",
		"if points == few && !slices", "if points > few && !slices",
	},
	{
		"./internal/engine TestALedgerIsTheSameInAnyCase", `B32 a ledger whose name is spelled otherwise in "into" is refused`,
		"internal/restore/preview.go",
		"case traits.Recreates && !strings.EqualFold(from.Name, into.Name):", "case traits.Recreates && from.Name != into.Name:",
	},
	{
		"./internal/engine TestARestoreThatMayHaveBegunIsNotCanceled", "B35 a restore whose start was lost can be canceled, and is called canceled",
		"internal/restore/cancel.go",
		"case r.MayRun():", "case r.MayRun() && r.Lost == 0:",
	},
	{
		"./internal/plans TestARefusedPlanIsToldOnceHoweverOftenTheTimerRunDies", "B55 the event about a refused plan has another ID each time that its timer run dies before the save",
		"internal/event/events.go",
		`backup.Digest(t.Hash+"\n"+t.LastGood.UTC()`, `backup.Digest(t.Hash+"\n"+t.Found.UTC()`,
	},
	{
		"./internal/engine TestCleanupSeesTheNewestOfTheLongestRun", "B58 cleanup does not read far enough back for the newest point of a long run",
		"internal/deletion/due.go",
		"const LongestRun = 6", "const LongestRun = 1",
	},
	{
		"./internal/engine TestWhatIsNoIDIsNotAskedFor", "B68 any text is taken for the ID of a batch, and goes into a table key",
		"internal/engine/batch.go",
		"if err = backup.ErrNotFound; batchID.MatchString(id) {", `if err = backup.ErrNotFound; id != "" && batchID != nil {`,
	},
	{
		"./internal/engine TestADestinationThatHasFailed", "a restore waits for a day for a service that says that it has failed",
		"internal/engine/backingup.go",
		"if f.Code == backup.ServiceFailed && s.run.Restore != nil {", "if f.Code == backup.ServiceFailed && s.run.Restore == nil {",
	},
	{
		"./internal/engine TestAbandonWaitsForTheLease", "a run is abandoned while its operation is being started",
		"internal/engine/abandon.go",
		"case r.StartingUntil().After(s.now):", "case r.StartingUntil().After(s.now.Add(time.Hour)):",
	},
	{
		"./internal/health TestAPointThatCannotBeRestoredProtectsNothing", "a point that its service restores no more protects",
		"internal/health/health.go",
		"return p.Created.Add(s.Restorable)", "return p.Created.Add(10 * s.Restorable)",
	},
	{
		"./internal/health TestAnEditHasItsFirstInterval", "an edit makes its targets unprotected at once",
		"internal/health/health.go",
		"h.Deadline = backup.Later(from.Add(two), s.grace(h.Point != nil, from))", "h.Deadline = from.Add(two)",
	},
	{
		"./internal/health TestAnEditHasItsFirstInterval", "an edit hides that a target was unprotected before",
		"internal/health/grace.go",
		"return two == 0 || !from.Add(two).Before(at)", "return two == 0 || !from.Before(at) || true",
	},
	{
		"./internal/engine TestAbandonWaitsForALostRestore", "a restore is abandoned whose lost start may still arrive",
		"internal/backup/run.go",
		"n > 0 && r.MayRestore()", "n > 9 && r.MayRestore()",
	},
	{
		"./internal/engine TestARefusedRestorePreemptsNothing", "a restore that will be refused ends a backup",
		"internal/engine/restoring.go",
		"if over, _, err := s.able(ctx); over || err != nil {", "if over := false; over {",
	},
	{
		"./internal/engine TestADeletionThatWasToldIsTakenBack", "an event about a deletion is sent before its row says so",
		"internal/deletion/deletion.go",
		"if err := d.save(ctx, p, more...); err != nil {\n\t\treturn err\n\t}\n\tif err := d.Announce", "if err := d.Announce",
	},
	{
		"./internal/engine TestAnEventAboutADeletionComesSoon", "a death before an event about a deletion delays it by a week",
		"internal/deletion/deletion.go",
		"kind, true, time.Time{}", "kind, true, again",
	},
	{
		"./internal/engine TestATouchedArtifactCanBeRestoredWhileItIsRead", "a touched artifact is given up while it is read",
		"internal/deletion/deletion.go",
		"p.State, p.Reason = former, reading(p).Reason()", "p.Reason = reading(p).Reason()",
	},
	{
		"./internal/engine TestAbandonARestore", "a restore that runs is abandoned",
		"internal/restore/abandon.go",
		`case f == nil && answer.Token != "":`, `case f == nil && answer.Token == "restore":`,
	},
	{
		"./internal/engine TestAbandonABackup", "what an abandoned run has written stays",
		"internal/deletion/due.go",
		"if run.GivenUp() {", "if run.GivenUp() && run.Polls < 0 {",
	},
	{
		"./internal/engine TestPreempt", "a backup is preempted before it hangs",
		"internal/restore/abandon.go",
		"now.Sub(backup.Later(r.Intent, r.Finished)) >= window", "now.Sub(backup.Later(r.Intent, r.Finished)) >= 0*window",
	},
	{
		"./internal/engine TestNoSafetyBackup", "a request goes without the safety backup that a plan requires",
		"internal/restore/preview.go",
		`if p.secures != "" && p.NoSafety {`, `if p.secures == "-" && p.NoSafety {`,
	},
	{
		"./internal/engine TestARestoreSaysWhichRunItWaitsFor", "a restore does not say for which run it waits",
		"internal/engine/abandon.go",
		"return restore.Behind(other), nil", "return restore.Behind(backup.Run{Plan: other.Plan}), nil",
	},
	{
		"./internal/config TestYesIsSpelledAsYAMLSpellsIt", "C02 paused: True, as YAML allows, does not pause",
		"internal/config/plan.go",
		`p.Paused = strings.EqualFold(paused, "true")`, `p.Paused = paused == "true"`,
	},
	{
		"./internal/config TestSecureWhereverAzureRunsIt", "C05 on Flex Consumption, where there is no WEBSITE_INSTANCE_ID, links are http",
		"internal/config/settings.go",
		`getenv("WEBSITE_INSTANCE_ID") != "" || getenv("CONTAINER_NAME") != ""`, `getenv("WEBSITE_INSTANCE_ID") != ""`,
	},
	{
		"./internal/config TestAnswersNeverGoToAQueueOfTheApp", "C12 answers may go to restore-requests-poison",
		"internal/backup/queue.go",
		"RestoreQueue, RestoreQueue + Poison,", "RestoreQueue,",
	},
	{
		"./internal/config TestYesIsSpelledAsYAMLSpellsIt", "C13 safetyBackup: True, as YAML allows, makes no safety backup",
		"internal/config/plan.go",
		"switch strings.ToLower(safety) {", "switch safety {",
	},
	{
		"./internal/config TestASlashAtTheEndIsNoPartOfAnID", "C16 restore.into with a slash at its end is refused",
		"internal/config/plan.go",
		"into := id(item)", "into := item.Value",
	},
	{
		"./internal/storage/entity TestTextIsMeasuredAsAzureDoes", "G02 text is measured in runes: a column with 20,000 emoji is sent, and refused by Azure",
		"internal/storage/entity/entity.go",
		"n += utf16.RuneLen(r)", "n += min(utf16.RuneLen(r), 1)",
	},
	{
		"./handler TestMetricsOfATargetNeverBackedUp", "H03 a target that was never backed up has a recovery point of 1970",
		"internal/metrics/families.go",
		"if t.Point == nil || t.Point.CopyOnly != copies {\n\t\t\treturn 0, false", "if t.Point == nil || t.Point.CopyOnly != copies {\n\t\t\treturn 0, t.Point == nil",
	},
	{
		"./handler TestWhileAnEditIsRefused", "H04 lifeboat_plan_refused stays 0 while the last good plan is active",
		"handler/metrics.go",
		"Refused: active.Refused != nil || noPlan != nil,", "Refused: noPlan != nil,",
	},
	{
		"./handler TestRetryAfterIsOneToSixtySeconds", "H07 Retry-After is negative or 0 for a run that is overdue",
		"handler/api.go",
		"after = min(max(after, time.Second), time.Minute)", "after = min(after, time.Minute)",
	},
	{
		"./handler TestEveryRefusalOfARestoreIsAConflict", "H09 POST /api/restores answers 202 to a request that has expired",
		"handler/restore.go",
		"if run.State == backup.StateRefused {", `if run.State == backup.StateRefused && run.Reason.Code != "RequestExpired" {`,
	},
	{
		"./handler TestMetricsComeOncePerThing", "H18 the next scheduled time of a plan is written once for each target: a scraper refuses the whole answer",
		"internal/metrics/families.go",
		"for _, plan := range s.Plans {\n\t\t\t\ti := slices", "for range s.Targets {\n\t\t\t\tplan := s.Plans[0]\n\t\t\t\ti := slices",
	},
	{
		"./handler TestARequestsIDHasAtMost128Characters", "H23 a request ID of more than 128 characters is taken",
		"internal/request/fields.go",
		"longestID   = 128", "longestID   = 1280",
	},
	{
		"./internal/services/managedhsm TestWhatADeletionLeft", "S01 a folder with a file written anew, and one less, is deleted",
		"internal/services/managedhsm/folder.go",
		"return int64(len(f.Files)) < files && f.Newest.Unix() <= newest", "return int64(len(f.Files)) < files",
	},
	{
		"./internal/services/managedhsm TestAFaultOfTheLookEndsTheCallOnceAllIsRead", "S05 a fault of the HSM's look that came without reading is no fault: the verification never ends",
		"internal/services/managedhsm/verify.go",
		"	if !nothing {", "	if !nothing && fault.Kind != backup.Refused {\n\t\treturn backup.Operation{Token: token}, nil\n\t}\n\tif !nothing {",
	},
	{
		"./internal/services/managedhsm TestDirectoriesGoInnermostFirst", "S12 directories are deleted outermost first: they are not empty",
		"internal/services/managedhsm/folder.go",
		"return strings.Compare(b, a) })", "return strings.Compare(a, b) })",
	},
	{
		"./internal/cli/names TestLabels", "X05 of three targets with alike short names the third is shown short",
		"internal/cli/names/names.go",
		"if len(x.Find(label)) == 1 {", "if len(x.Find(label))%2 == 1 {",
	},
	{
		"./internal/cli/client TestRetryAfterIsFollowedForAMinuteAtMost", "X08 a Retry-After of hours is waited for",
		"internal/cli/client/client.go",
		"return time.Duration(min(seconds, 60)) * time.Second", "return time.Duration(seconds) * time.Second",
	},
	{
		"./internal/cli TestDiffTellsWhichTargetsAreNoLongerBackedUp", "X17 plan diff calls targets of paused plans no longer backed up",
		"internal/diff/diff.go",
		"return p.Has(target) }", "return p.Has(target) && !p.Paused }",
	},
	{
		"./internal/checkpoint TestTimerRun", "an edited schedule has missed what nobody had planned", "internal/checkpoint/checkpoint.go",
		"plan.Schedule.Due(backup.Later(since, l.Looked), l.Now, plan.Window)", "plan.Schedule.Due(since, l.Now, plan.Window)",
	},
	{
		"./internal/engine TestAPlanLeavesAndComesBack", "nothing notes that a plan has left plan.yaml", "internal/engine/schedule.go",
		"if plans != nil {", "if plans == nil {",
	},
	{
		"./internal/engine TestRestoreOfWhatHasLeft", "itself is also a target that has left", "internal/restore/request.go",
		"	return plan.Restore.Names(q.Destination())\n", "	return plan.Restore.Allows(q.Target, q.Destination())\n",
	},
	{
		"./internal/plans TestAnEditIsToldOnceHoweverItsTimerRunDies", "an edit of plan.yaml is not told", "internal/plans/store.go",
		"events = append(turned(head, next, now), events...)", "events = turned(head, next, now)",
	},
	{
		"./internal/plans TestWhatHasLeft", "an edit forgets what left plan.yaml before", "internal/plans/past.go",
		"all = append([]Past{{h.Hash, now}}, all...)", "all = []Past{{h.Hash, now}}",
	},
	{
		"./handler TestRunbooks", "an edit that takes targets away is no warning", "handler/logged.go",
		` || data["attention"] != nil`, "",
	},
	{
		"./internal/engine TestARenameWhileTheAppWasDownIsTold", "a plan that leaves loses its scheduled times silently", "internal/checkpoint/checkpoint.go",
		"Missed(c.At, l.Now).Because(why)", "Missed(l.Now, l.Now).Because(why)",
	},
	{
		"./internal/engine TestAnAlarmAboutWhatHasLeftIsTakenBack", "the alarm about a target that has left is never taken back", "internal/evaluation/evaluation.go",
		"events = append(events, event.TargetLeft(d, alarm))", "_ = event.TargetLeft(d, alarm)",
	},
	{
		"./internal/engine TestAnAlarmAboutWhatHasLeftIsTakenBack", "the alarm about a target that came back has the ID of the one before", "internal/health/evaluation.go",
		"if at, ok := v.Back[key]; ok {", "if at, ok := v.Back[key]; ok && at.IsZero() {",
	},
	{
		"./internal/event TestEveryEventFitsInBase64", "an event with long words of Azure's does not fit into a message in base64", "internal/event/bounds.go",
		"len(data) > longestData && most >= 128", "len(data) > 2*longestData && most >= 128",
	},
	{
		"./handler TestHealthOfReaders", "health does not look beside the queues for answers to requests for backups", "handler/poison.go",
		"slices.Concat(answers, p.OnDemandReplyTo, p.Restore.ReplyTo)", "slices.Concat(answers, p.Restore.ReplyTo)",
	},
	{
		"./internal/storage/queue TestBase64", "answers are sent as plain JSON whatever LIFEBOAT_EVENTS_ENCODING says", "internal/storage/queue/queue.go",
		"	case q.Base64:\n", "	case q.Base64 && e.To == \"\":\n",
	},
	{
		"./internal/storage/queue TestTopicTakesTheEventsAlone", "with a topic of Event Grid answers go to the topic too",
		"internal/storage/queue/queue.go",
		"q.Topic != nil && e.Queue() == backup.EventsQueue", "q.Topic != nil",
	},
	{
		"./internal/storage/queue TestTopicRefuses", "a topic of another schema loses every event", "internal/storage/queue/queue.go",
		" && !azure.OtherSchema(no.words)", "",
	},
	{
		"./internal/storage/queue TestTopicRefuses", "an event is given up because the app has no role on the topic yet",
		"internal/storage/queue/queue.go",
		"http.StatusBadRequest, http.StatusRequestEntityTooLarge}", "http.StatusBadRequest, http.StatusUnauthorized}",
	},
	{
		"./internal/storage/queue TestALookAtTheTopic", "a look at the topic is an event", "internal/azure/topic.go",
		"return t.post(ctx, batchOfEvents, \"[]\")", "return t.Send(ctx, []byte(`{\"id\":\"1\",\"source\":\"/\",\"type\":\"t\",\"specversion\":\"1.0\"}`))",
	},
	{
		"./internal/storage/queue TestALookAtTheTopic", "a check says that nothing is wrong with a topic that takes events of another schema",
		"internal/storage/queue/queue.go",
		"	case azure.OtherSchema(no.words):\n", "	case no.words == \"\" && azure.OtherSchema(no.words):\n",
	},
	{
		"./internal/storage TestTheHostsBlobs", "a firewall of the app's account looks like a missing role of the host", "internal/storage/hostblobs.go",
		"azure.LacksRole(err) && !azure.ShutOut(err)", "azure.LacksRole(err)",
	},
	{
		"./internal/storage TestTheHostsBlobs", "nobody looks whether the host may write its keys", "internal/storage/hostblobs.go",
		"names = append(names, hostSecrets)", "names = append(names[:0], hostLocks)",
	},
	{
		"./internal/azure TestTopicAddresses", "a host whose name only ends like Event Grid's gets tokens", "internal/azure/topic.go",
		"!below.MatchString(name)", "name == \"\"",
	},
	{
		"./internal/config TestEachSettingIsTakenOver", "what is wrong with another setting is told to the queue in place of the topic",
		"internal/config/settings.go",
		"if text := strings.TrimSpace(getenv(\"LIFEBOAT_EVENTS_TOPIC\")); text != \"\" {", "if text := getenv(\"LIFEBOAT_EVENTS_TOPIC\"); text != \"\" && s.Plan != \"\" {",
	},
	{
		"./internal/azure TestASignatureIsShownInNoSpelling", "Z05 SIG= and sig%3d are overlooked where signatures are taken out",
		"internal/azure/words.go",
		"`(?i)(sig(?:=|%3D))", "`(sig(?:=|%3D))",
	},
	{
		"./internal/services/apim TestADryRunComparesSourceAndDestination", "the dry run does not say that a backup brings access along",
		"internal/services/apim/compare.go",
		"backup.Warn(ctx, backup.Refuse(\"BringsAccess\"",
		"backup.Warn(context.Background(), backup.Refuse(\"BringsAccess\"",
	},
	{
		"./internal/services/apim TestADryRunComparesSourceAndDestination", "a source that is gone counts as compared",
		"internal/services/apim/compare.go",
		"backup.Warn(ctx, backup.Refuse(\"SourceNotCompared\"",
		"backup.Warn(context.Background(), backup.Refuse(\"SourceNotCompared\"",
	},
	{
		"./internal/services/apim TestADryRunComparesSourceAndDestination", "the host names that Azure gives count as custom ones",
		"internal/services/apim/compare.go",
		"if !own {",
		"if own || !own {",
	},
	{
		"./internal/services/apim TestADryRunComparesSourceAndDestination", "host names that only the destination has are not told",
		"internal/services/apim/compare.go",
		"if lacks(from, into) || lacks(into, from) {",
		"if lacks(into, from) {",
	},
	{
		"./internal/services/apim TestADryRunComparesSourceAndDestination", "missing certificates are not told",
		"internal/services/apim/compare.go",
		"authorities(from), authorities(into)",
		"authorities(into), authorities(into)",
	},
	{
		"./internal/services/apim TestADryRunComparesSourceAndDestination", "missing identities are not told",
		"internal/services/apim/compare.go",
		"identities(from), identities(into)",
		"identities(into), identities(into)",
	},
	{
		"./internal/services/apim TestADryRunComparesSourceAndDestination", "another region is not told",
		"internal/services/apim/compare.go",
		"regions(from), regions(into)",
		"regions(into), regions(into)",
	},
	{
		"./internal/services/apim TestADryRunComparesSourceAndDestination", "another network is not told",
		"internal/services/apim/compare.go",
		"network(from), network(into)",
		"network(into), network(into)",
	},
	{
		"./internal/services/apim TestADryRunComparesSourceAndDestination", "another tier of the source is told only where that of the backup was checked",
		"internal/services/apim/compare.go",
		"if r.SKU == \"\" { // else",
		"if r.SKU != \"\" { // else",
	},
	{
		"./internal/services/apim TestADryRunComparesSourceAndDestination", "a run reads the source too",
		"internal/services/apim/compare.go",
		"if !backup.Watched(ctx) || backup.Same",
		"if backup.Same",
	},
	{
		"./internal/restore TestADryRunShowsTheWarningsOfTheLook", "a dry run keeps the warnings of the look to itself",
		"internal/restore/preview.go",
		"for _, why := range notes.Warnings() {",
		"for _, why := range notes.Warnings()[:0] {",
	},
	{
		"./internal/engine TestEachTargetHasItsContainer", "a run by a request keeps the plan's text in place of its container",
		"internal/engine/request.go",
		"Settings: c.Settings.For(target), ReplyTo",
		"Settings: c.Settings, ReplyTo",
	},
	{
		"./internal/engine TestRestoresKnowTheirContainers", "a safety backup goes into the container of the service that was backed up",
		"internal/restore/preview.go",
		"p.Allowing.Safety().For(p.Destination)",
		"p.Allowing.Safety().For(p.Target)",
	},
	{
		"./internal/engine TestLooksKnowTheContainers", "all targets are searched in the container of the first",
		"internal/manifest/finder.go",
		"plan.Settings.Storage.For(plan.Targets[i]) }",
		"plan.Settings.Storage.For(plan.Targets[0]) }",
	},
	{
		"./internal/engine TestADeletedPointTakesNoPlace", "a point that a person deletes keeps its place in the counts",
		"internal/engine/counted.go",
		"\tc.Row = c.Row.Remove(p.ID)\n", "",
	},
	{
		"./internal/engine TestAnotherPlansBackupMakesAPointLive", "a point that another plan's backup makes live is in no row", "internal/engine/counted.go",
		"\t\t\truns = append(runs, run)\n", "\t\t\t_ = run\n",
	},
	{
		"./internal/engine TestTenThousandTargetsAreDueAtOnce", "the runs of a scheduled time are made one after another", "internal/engine/engine.go",
		"min(cmp.Or(e.Parallelism, 16), max(n, 1))", "cmp.Or(1, n)",
	},
	{
		"./internal/engine TestTenThousandTargetsAreDueAtOnce", "each target is marked by a request of its own", "internal/engine/schedule.go",
		"\t\t\terr = e.mark(ctx, targetsOf(runs)...)\n", "\t\t\terr = e.forEach(len(runs), func(i int) error { return e.mark(ctx, runs[i].Target) })\n",
	},
	{
		"./internal/engine TestTheManifestOfAnAlteredPointComes", "an altered point is saved without the note of its manifest", "internal/deletion/deletion.go",
		"if err := d.save(ctx, p, more...); err != nil {", "if err := d.save(ctx, p); err != nil {",
	},
	{
		"./internal/retention TestAgeEqualsTheSpecification", "an accepted point older than the clock loses the time until the next success", "internal/retention/worked.go",
		"\t\tp.Idle = min(p.Idle, until(known, *p, at, grace))\n", "",
	},
	{
		"./internal/engine TestAnUndoAsTheTimeEnds", "an index entry that stays in its second is moved", "internal/deletion/softdelete.go",
		"if writes[0].Key != own {", "if true {",
	},
	{
		"./internal/engine TestAnAcceptedPointBeginsTheClock", "age: a soft-deleted point is no success", "internal/retention/worked.go",
		"p.State == backup.Live && !p.Safety", "p.Live()",
	},
	{
		"./internal/engine TestAPersonsChangeIsCounted", "a point that is undeleted gets no place in the counts",
		"internal/engine/counted.go",
		"\treturn e.countUndeleted(ctx, *p, now)\n", "\treturn counting{}, nil\n",
	},
	{
		"./internal/engine TestNoDeletionWithoutItsRow", "a point is deleted although the row of its counts cannot be read",
		"internal/engine/counted.go",
		"if err != nil || !c.Judges() {\n\t\treturn counting{}, err", "if err != nil || !c.Judges() {\n\t\treturn counting{}, nil",
	},
	{
		"./internal/config TestBackupsByHandHaveTheirOwnTime", "the schedule's keep.within is the time of a backup by hand",
		"internal/config/keep.go",
		"p.OnDemandKeepWithin = onDemandKeep\n", "p.OnDemandKeepWithin = cmp.Or(s.KeepWithin, onDemandKeep)\n",
	},
	{
		"./internal/config TestASelectedTypeHasAHorizon", "a plan that selects one type is judged without its horizon",
		"internal/config/doubts.go",
		"if len(p.Targets) == 0 && p.Select != nil && len(p.Select.Types) == 1 {", "if len(p.Targets) > 0 && p.Select != nil {",
	},
	{
		"./internal/engine TestTroubleOfOneTarget", "a target's trouble stops the clean-up of all others",
		"internal/engine/cleanup.go",
		"if len(rows) < cleanupPage || !past {", "if len(rows) < cleanupPage || past {",
	},
	{
		"./internal/engine TestMinimumOfTwoPlans", "a plan's backup ends the minimum of another plan",
		"internal/retention/review.go",
		"\t\tn = max(n, c.Minimum)\n", "",
	},
	{
		"./internal/engine TestAnEditOfMinimumIsTold", "a lower minimum beside keep.within is not told",
		"internal/engine/counted.go",
		"if len(points) == 0 || !judges && !lower {", "if len(points) == 0 || !judges {",
	},
	{
		"./internal/cli TestDiffListsWhatALowerMinimumExpires", "plan diff does not ask about a lower minimum",
		"internal/cli/falls.go",
		" && least(a) == least(b)", " && least(a) > 0",
	},
	{
		"./internal/engine TestAFutureStartStays", "a point that is dated after now is judged by its day",
		"internal/retention/review.go",
		"case p.Began.After(r.now) && !person:", "case p.Began.After(r.now) && person:",
	},
	{
		"./internal/engine TestPaceOfBackupsByHand", "the pace leaves out backups by hand",
		"internal/retention/review.go",
		"if !p.Created.Before(PaceFrom(r.now)) &&", "if !p.OnDemand && !p.Created.Before(PaceFrom(r.now)) &&",
	},
	{
		"./internal/cli TestPreviewCountsWhatWaits", "the preview counts a point that waits as one that stays",
		"internal/cli/retention.go",
		"case p.Waits:\n\t\treturn 1", "case p.Waits:\n\t\treturn 0",
	},
	{
		"./internal/engine TestTheHorizonIsAReason", "no reason says that a point is beyond the horizon",
		"internal/retention/explain.go",
		"\tr.horizons(all)\n", "",
	},
	{
		"./internal/cli TestTheCostHasSoftDeletedPoints", "plan check leaves soft-deleted points out of the cost",
		"internal/cli/cost.go",
		"least, most := least+soft, most+mostSoft", "least, most := least+0*soft, most",
	},
	{
		"./internal/roles TestOf", "a destination gets no role on the containers that it restores out of",
		"internal/roles/roles.go",
		"from.Type == service.Type {",
		"from.Type == service.Type && source == into {",
	},
	{
		"./internal/roles TestTheScriptGoesOn", "one role that Azure refuses keeps all others away",
		"internal/roles/az.go",
		"  failed=1\n  echo \"$1\" >&2\n",
		"  failed=1\n  echo \"$1\" >&2\n  exit 1\n",
	},
	{
		"./internal/roles TestARoleWaitsForTheOneInItsPlace", "a role is taken away although the one in its place was refused",
		"internal/roles/az.go",
		"case \" $ungiven \" in",
		"case '' in",
	},
	{
		"./internal/roles TestOf", "a ledger of an old preview needs an action that Azure did not know then",
		"internal/services/ledger/service.go",
		"If: exports, When: \"without",
		"When: \"without",
	},
	{
		"./internal/services/apim TestDeleteInAVault", "what a vault keeps is an alarm each time", "internal/azure/vault.go",
		"f.Kind, f.Code, f.Until, f.Hint = backup.Kept, CodeKeptByVault", "f.Code, f.Until, f.Hint = CodeKeptByVault",
	},
	{
		"./internal/services/apim TestDeleteInAVault", "one request about a policy that Azure throttles is an alarm", "internal/azure/vault.go",
		"if err != nil && !HasStatus(err, http.StatusForbidden, http.StatusNotFound) {", "if err != nil && HasStatus(err, http.StatusConflict) {",
	},
	{
		"./internal/engine TestWhatStorageKeepsIsTakenBack", "an alarm about what storage keeps is never over", "internal/deletion/deletion.go",
		"return d.calm(ctx, p, f)", "return nil",
	},
	{
		"./internal/engine TestWhatStorageKeepsIsTakenBack", "a second alarm about a point has the ID of the first", "internal/event/events.go",
		"if n := p.Undeleted.TakenBack; n > 0 {", "if n := p.Undeleted.TakenBack; n > 9 {",
	},
	{
		"./internal/services/apim TestDeleteInAVault", "a legal hold in a vault is called a rule that deletes in time", "internal/azure/vault.go",
		"	case held:\n", "	case held && until.IsZero():\n",
	},
	{
		"./internal/services/apim TestWhoMayDeleteIsNotGuessed", "a hint gives a role that deletes in a vault", "internal/azure/vault.go",
		"		if s.Vault {\n			return hint", "		if false {\n			return hint",
	},
	{
		"./internal/engine TestADeletionThatFails", "a copy of a lost attempt that a vault keeps is an alarm", "internal/deletion/deletion.go",
		"	case !f.Until.IsZero():\n", "	case f.Kind == backup.Kept && !f.Until.IsZero():\n",
	},
	{
		"./internal/services/apim TestACopyThatStays", "a copy of a lost attempt can be restored, as a hint says", "internal/services/apim/delete.go",
		"	if f.Kind == backup.Kept {\n		f.Hint = hintCopy\n	}\n", "",
	},
	{
		"./internal/azure TestTheRoleOfAVault", "a check takes an older role of a vault for the one that sees its policy", "internal/azure/access.go",
		"if err == nil && len(r.Role.Actions) > 0 {", "if false {",
	},
	{
		"./internal/services/apim TestDeleteInAVault", "a policy of a container never ends, as far as cleanup says", "internal/azure/vault.go",
		"until = made.Add(time.Duration(days) * day)", "_ = made.Add(time.Duration(days) * day)",
	},
	{
		"./internal/services/apim TestDeleteInAVault", "a vault without a rule keeps backups for ever, and nobody knows", "internal/azure/vault.go",
		"case now.After(later(until, made.Add(ruleDays*day)).Add(ruleSlack)):", "case now.IsZero():",
	},
	{
		"./internal/services/apim TestDeleteInAVault", "what the rule of a vault has deleted is never expired", "internal/azure/vault.go",
		"return true // storage looks", "return false // storage looks",
	},
	{
		"./internal/deletion TestWhatStorageKeepsIsNoFailure", "what an abandoned run has left in a vault fails each cleanup for a week",
		"internal/deletion/due.go",
		"if late != nil && backup.AsFault(late).Kind == backup.Kept {", "if late != nil && backup.AsFault(late).Kind == backup.Touched {",
	},
	{
		"./internal/roles TestOf", "the app gets a role that deletes in a vault", "internal/roles/roles.go",
		"if p.Settings.Storage.Vault {", "if p.Settings.Storage.Vault && g.Writer != nil {",
	},
	{
		"./internal/config TestVault", "the account's key goes into a plan with a vault", "internal/backup/grant.go",
		"stored := g.On == OnContainer || g.On == OnManifests || g.On == OnAccount && !g.Optional", "stored := g.On == OnContainer || g.On == OnManifests",
	},
	{
		"./internal/services/ledger TestPreflight", "a ledger is backed up beside a vault",
		"internal/services/ledger/preflight.go",
		"case account.Properties.HasImmutability():",
		"case account.Properties.HasImmutability() && account.Kind == \"\":",
	},
	{
		"./internal/config TestContainerOfEachTarget", "the containers of destinations are not checked",
		"internal/config/containers.go",
		"list(restore, \"into\") {",
		"list(restore, \"from\") {",
	},
	{
		"./internal/restore TestNoCallRestoresACopy", "a dry run lists the restore of a ledger that only exports",
		"internal/restore/preview.go",
		"into.CopyOnly(p.Allowing.Settings.Blocks) {",
		"into.CopyOnly(\"{}\") && p.Chosen.ID == \"-\" {",
	},
	{
		"./internal/services/managedhsm TestRestoresUnderstandEveryAnswer", "a full restore does not name the grants",
		"internal/services/managedhsm/restore.go",
		"\t\tif r.Kind == backup.RestoreFull {\n\t\t\twarnings",
		"\t\tif r.Kind == backup.RestoreKey {\n\t\t\twarnings",
	},
	{
		"./internal/services/managedhsm TestRestoresUnderstandEveryAnswer", "an app without its role is not told of the grants",
		"internal/services/managedhsm/fault.go",
		"if status == http.StatusForbidden && r.Kind == backup.RestoreFull {",
		"if status == http.StatusGone && r.Kind == backup.RestoreFull {",
	},
	{
		"./internal/services/managedhsm TestADryRunOfAFullRestoreNamesTheGrants", "the dry run of a full restore does not name the grants",
		"internal/services/managedhsm/restore.go",
		"\tif r.Kind == backup.RestoreFull {\n\t\tbackup.Warn",
		"\tif r.Kind == backup.RestoreKey {\n\t\tbackup.Warn",
	},
	{
		"./internal/services/managedhsm TestRestoresUnderstandEveryAnswer", "the hint about nothing restored knows only a key in the way",
		"internal/services/managedhsm/restore.go",
		" Or the backup has no such key: choose another recovery point.\"",
		"\"",
	},
	{
		"./internal/azure TestOneRegionOfSourceAndBackupsIsTold", "regions are compared as they are spelled",
		"internal/azure/region.go",
		"a != \"\" && Region(a) == Region(b)",
		"a != \"\" && a == b",
	},
	{
		"./internal/azure TestOneRegionOfSourceAndBackupsIsTold", "an account that is copied elsewhere counts as one that is not",
		"internal/azure/region.go",
		"case strings.Contains(redundancy, \"G\"):",
		"case strings.Contains(redundancy, \"GG\"):",
	},
	{
		"./internal/services/apim TestPreflightWarnsOfOneRegion", "an API Management in the region of its backups is not told",
		"internal/services/apim/preflight.go",
		"\tif t.work == backing {\n\t\tazure.WarnOfRegion",
		"\tif t.work == restoring {\n\t\tazure.WarnOfRegion",
	},
	{
		"./internal/services/managedhsm TestPreflightWarnsOfOneRegion", "an HSM in the region of its backups is not told",
		"internal/services/managedhsm/preflight.go",
		"\tif !restores {\n\t\tazure.WarnOfRegion",
		"\tif restores {\n\t\tazure.WarnOfRegion",
	},
	{
		"./internal/services/ledger TestPreflightWarnsOfOneRegion", "a ledger in the region of its backups is not told",
		"internal/services/ledger/operation.go",
		"resource.Properties.Location = resource.Location",
		"resource.Properties.Location = \"\"",
	},
	{
		"./internal/services/ledger TestThePreflightOfAPersonLooksAtTheNewestShare", "a share that fills is told once it is full",
		"internal/services/ledger/room.go",
		"used*100 >= quota*fullShare",
		"used >= quota",
	},
	{
		"./internal/services/ledger TestThePreflightOfAPersonLooksAtTheNewestShare", "only the first page of the shares is read",
		"internal/azure/shares.go",
		"if err != nil || page.Next == \"\" {",
		"if err != nil || page.Next != \"-\" {",
	},
	{
		"./internal/services/ledger TestThePreflightOfAPersonLooksAtTheNewestShare", "a look at the shares that failed counts as one",
		"internal/services/ledger/room.go",
		"if !azure.LacksRole(err) { // else",
		"if azure.LacksRole(err) { // else",
	},
	{
		"./internal/services/ledger TestVerifyRefuses", "a ledger that does not verify is a backup",
		"internal/services/ledger/proof.go",
		"ended && err == nil && !report.Proven()",
		"ended && err == nil && report.Signed == \"\"",
	},
	{
		"./internal/services/ledger TestVerifyRefuses", "a copy that is still written is refused",
		"internal/services/ledger/proof.go",
		"		if v.Unfinished() {",
		"		if v.Unfinished() && over() {",
	},
	{
		"./internal/services/ledger TestVerifyAgain", "a restore is refused by a finding, whatever the hash",
		"internal/services/ledger/verify.go",
		"	if s.attempt.SHA256 == \"\" {\n		verified",
		"	if s.attempt.SHA256 != \"-\" {\n		verified",
	},
	{
		"./internal/services/ledger TestVerifyOfManyFiles", "the long list of an older version is another hash",
		"internal/services/ledger/verify.go",
		"sum != s.attempt.SHA256 && s.sums.long && !s.ByName",
		"sum == \"\" && s.sums.long && !s.ByName",
	},
	{
		"./internal/services/ledger TestDoubts", "any service is the pinned one",
		"internal/services/ledger/proof.go",
		"pinned != \"\" && r.Service != pinned",
		"pinned != \"\" && r.Service == \"\"",
	},
	{
		"./internal/services/ledger TestDoubts", "an older copy continues the newer one",
		"internal/services/ledger/proof.go",
		"earlier == \"\" || r.Earlier == ccf.EarlierContained",
		"earlier == \"\" || r.Earlier != ccf.EarlierDiffers",
	},
	{
		"./internal/services/ledger TestDoubts", "a service from nowhere goes on with the ledger",
		"internal/services/ledger/proof.go",
		"seqno(r.Alone) <= seqno(earlier)",
		"seqno(r.Alone) >= 0",
	},
	{
		"./internal/services/ledger/ccf TestEarlierCopy", "another ledger of the same length contains the earlier one",
		"internal/services/ledger/ccf/earlier.go",
		"hex.EncodeToString(root[:]) == v.options.Earlier.Root",
		"hex.EncodeToString(root[:]) != \"\"",
	},
	{
		"./internal/services/ledger/ccf TestFewKeysAndMany", "a snapshot may have the former value of a key",
		"internal/services/ledger/ccf/state.go",
		"sums[state.place/64] &^= bit",
		"sums[state.place/64] &^= 0",
	},
	{
		"./internal/services/ledger TestLongLedgerIsReadOnce", "the end of a file is fetched again",
		"internal/services/ledger/once.go",
		"	if found := k.end.from(offset); found != nil {",
		"	if found := k.end.from(offset); found != nil && offset == 0 {",
	},
	{
		"./internal/retention TestDoubted", "three doubted backups alike make it live",
		"internal/retention/size.go",
		"p.State == backup.Suspect || 2*",
		"2*",
	},
	{
		"./internal/engine TestBackupsThatFollow", "a doubted backup is the one that the next is held against",
		"internal/engine/backingup.go",
		"p.ID != a.Run && p.InBaseline() && p.Facts != nil",
		"p.ID != a.Run && p.Facts != nil",
	},
	{
		"./internal/cli TestCheckLiveShowsWarnings", "a target with a warning is ok",
		"internal/cli/check.go",
		"[len(codes) > 0]",
		"[len(codes) > 9]",
	},
	{
		"./internal/cli TestGoldenOutcomes", "a backup whose starts were lost keeps the last words to itself",
		"internal/engine/backingup.go",
		"\"backup of theirs was found; at last: %s\", r.Lost, r.Reason.Message)",
		"\"backup of theirs was found; at last: %s\", r.Lost, r.Reason.Code)",
	},
	{
		"./internal/cli TestGoldenOutcomes", "a recovery point that storage keeps is shown without the hint",
		"internal/cli/runs.go",
		"if k := p.Kept; k != nil && k.Reason != nil {",
		"if k := p.Kept; k != nil && k.Reason == nil {",
	},
	{
		"./internal/cli TestGoldenOutcomes", "a backup that is too old is refused without its target",
		"internal/restore/points.go",
		"older than %d days: Cannot restore: backup expired\", target, written",
		"older than %d days: Cannot restore: backup expired\", service.Title, written",
	},
}

// tryEdges tries the bugs with those words in their names, one per processor at a time, and writes a line for each into the
// table. It returns the number of bugs that it tried, and the number that no test caught.
func tryEdges(ctx context.Context, dir, only string, table io.Writer) (tried, missed int) {
	outcomes := make([]string, len(edges))
	var group sync.WaitGroup
	free := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i, e := range edges {
		if !strings.Contains(e.name, only) {
			continue
		}
		tried++
		free <- struct{}{}
		group.Go(func() {
			defer func() { <-free }()
			own := filepath.Join(dir, fmt.Sprint("edge", i))
			caught, err := e.try(ctx, own)
			switch outcomes[i] = e.test; {
			case err != nil:
				outcomes[i] = "FAILED"
				fmt.Fprintf(os.Stderr, "%s … failed: %v\n", e.name, err)
			case !caught:
				outcomes[i] = "NOT CAUGHT by " + e.test
			}
			fmt.Fprintf(os.Stderr, "%s … %s\n", e.name, outcomes[i])
		})
	}
	group.Wait()
	for i, e := range edges {
		if outcomes[i] == "" {
			continue
		}
		if outcomes[i] != e.test {
			missed++
		}
		fmt.Fprintf(table, "%s\t%s\t\t\t\n", e.name, outcomes[i])
	}
	return tried, missed
}

// apply returns the file's text with the bug in it.
func (e edge) apply(root string) ([]byte, error) { return replace(root, e.file, e.old, e.new) }

// try runs the test with the bug in the code, and tells whether it fails. The folder is for this bug only.
func (e edge) try(ctx context.Context, dir string) (caught bool, err error) {
	text, err := e.apply(".")
	if err != nil {
		return false, err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return false, err
	}
	path, err := overlay.Write(dir, e.file, text)
	if err != nil {
		return false, err
	}
	pkg, test, _ := strings.Cut(e.test, " ")
	run := exec.CommandContext(ctx, "go", "test", "-overlay", path, "-vet=off", "-count=1", "-run", "^"+test+"$", pkg)
	run.Env = append(os.Environ(), "GOEXPERIMENT=") // as "make test" builds it, however this program was built
	out, err := run.CombinedOutput()
	switch {
	case err == nil:
		return false, nil
	case strings.Contains(string(out), "--- FAIL: "+test):
		return true, nil
	}
	return false, fmt.Errorf("run %s: %w\n%s", e.test, err, out)
}
