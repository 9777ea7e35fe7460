package event_test

import (
	"bytes"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/check"
	"lifeboat/internal/event"
	"lifeboat/internal/health"
	"lifeboat/internal/request"
	"lifeboat/internal/restore"
	"lifeboat/internal/retention"
	"lifeboat/internal/schedule"
	"lifeboat/internal/stop"
	"lifeboat/internal/testing/memory"
)

var update = flag.Bool("update", false, "write docs/examples/events.jsonl anew")

// samples are events of every type, each as full as it can be, and some with the fewest members. Their times are in the zone.
func samples(zone *time.Location) (events []backup.Event) {
	const (
		scope   = "/subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/prod/providers/"
		target  = scope + "Microsoft.ApiManagement/service/contoso"
		standby = scope + "Microsoft.ApiManagement/service/contoso-standby"
		id      = "5bfba3ce1fe045f1-8204720343-0ad2c6423cab"
		sum     = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	)
	now := time.Date(2026, 3, 28, 2, 30, 0, 123456789, time.UTC).In(zone)
	ago := func(hours int) time.Time { return now.Truncate(time.Second).Add(-time.Duration(hours) * time.Hour) }
	add := func(more ...backup.Event) {
		for _, e := range more {
			if e.To == "" {
				events = append(events, e)
			}
		}
	}
	why := backup.Reason{
		Code: "AuthorizationFailed", Message: "begin the backup of " + target + ": The client has no authorization.", Hint: "Give the app its role.",
		Said: "The client has no authorization.", RequestID: "9f1c9a52-8c1b-4f6f-9d59-6f1d2f0a3c11",
	}
	storage := backup.Storage{Account: scope + "Microsoft.Storage/storageAccounts/contosobackups", Container: "lifeboat"}
	point := backup.Point{
		ID: id, Plan: "nightly", Target: target, State: backup.Suspect, Created: ago(50), Expires: ago(2), Deleted: ago(1), Size: 41_943_040, CopyOnly: true,
		Storage: storage, Artifact: "contoso-2026032602", Accepted: backup.Acceptance{Time: ago(1), By: "invocation 4711", Reason: "half of the APIs were retired"},
	}

	run := backup.Run{
		ID: id, Plan: "nightly", Target: target, State: backup.Succeeded, ScheduledTime: ago(1), Request: "deploy-4711", Created: ago(1), Ended: now,
		Changed: backup.Change{Time: ago(1), Resource: target + "/apis/orders", Operation: "Microsoft.ApiManagement/service/apis/write"},
		Failed:  []backup.FailedAttempt{{Attempt: 1, Time: ago(1), Code: "InternalServerError", Message: "an internal error"}},
		Reason:  backup.Reason{Code: "SizeSuspect", Message: "it has a tenth of the size of the points before", Hint: "Compare them."},
	}
	add(event.RunEnded(run, true)...)
	add(event.RunEnded(backup.Run{ID: id, Plan: "nightly", Target: target, State: backup.Succeeded, Created: ago(1), Ended: now}, false)...)
	for _, state := range []backup.State{backup.Failed, backup.Superseded, backup.StateRefused, backup.Missed, backup.Unknown, backup.Canceled} {
		ended := run
		ended.State, ended.Reason, ended.Changed = state, why, backup.Change{}
		add(event.RunEnded(ended, false)...)
	}

	asked := request.Backup{ID: "deploy-4711", Plan: "nightly", Target: target, RequestedBy: "the pipeline deploy", Reason: "before deployment 4711"}
	add(event.BackupAnswered(event.BackupAnswer{Request: asked, Batch: sum[:32], Plan: "nightly", Runs: []string{id}, Time: now}, "")...)
	add(event.BackupAnswered(event.BackupAnswer{Request: asked, Refused: &why, Time: now}, "")...)
	add(event.BackupAnswered(event.BackupAnswer{Message: []byte("{"), Refused: &backup.Reason{Code: request.InvalidRequest, Message: "no JSON"}, Time: now}, "")...)

	restored := backup.Run{ID: id, Plan: "nightly", Target: standby, State: backup.Queued, Request: "incident-4711", Created: ago(1), Restore: &backup.Restoring{
		Source: target, Point: id, Kind: backup.RestoreFull, Preview: sum,
	}}
	add(event.Restore(restored, event.RestoreAccepted, ago(1))...)
	restored.Restore = &backup.Restoring{
		Source: target, Point: id, Kind: backup.RestoreKey, Key: "rsa-1", RequestedBy: "the person on call", Reason: "a bad deployment", Preview: sum, NoSafety: true,
		SafetyBackedUp: ago(1), Warning: "the network stays as it was",
	}
	restored.Reason = why
	add(event.Restore(restored, event.RestoreWaiting, ago(1))...)
	add(event.Restore(restored, event.RestoreStarted, ago(1))...)
	restored.Ended = now
	for _, state := range []backup.State{backup.Succeeded, backup.Failed, backup.StateRefused, backup.Unknown, backup.Canceled} {
		restored.State = state
		add(event.Restore(restored, event.RestoreEnded(restored), now)...)
	}
	q := restore.Request{ID: "incident-4711", Target: target, Into: standby, RequestedBy: "the person on call", Reason: "a bad deployment"}
	add(event.RequestRefused([]byte("m"), q, why, "", now)...)
	add(event.RequestRefused([]byte("{"), restore.Request{}, backup.Reason{Code: request.InvalidRequest, Message: "no JSON"}, "", now)...)
	dry := restore.Preview{
		Hash: sum, Made: now, Plan: "nightly", Target: target, Destination: standby, Kind: backup.RestoreKey, Key: "rsa-1", Region: "westeurope",
		Point:  &restore.PreviewedPoint{ID: id, State: backup.Live, Written: ago(9), Age: 32_400, Size: 41_943_040, SHA256: sum},
		Safety: true, NoSafety: true, Overwrites: []string{"all APIs"}, NotIncluded: []string{"the developer portal"}, Calls: []string{"POST …/restore"},
		Custody: &restore.PreviewedCustody{
			Title: "security domain", Proof: backup.Proof{Status: backup.ProofLate, Reason: why, Proven: ago(5000).UTC(), Holders: 1, Quorum: 2, Of: 3, Until: ago(680).UTC()},
		},
	}
	dry.Ask("allowed", nil)
	dry.Warn(&why)
	dry.Ask("destination", &why)
	add(event.RestorePreviewed(q, dry)...)
	refused := restore.Preview{Made: now, Target: target, Destination: standby}
	refused.Ask("allowed", &why)
	add(event.RestorePreviewed(q, refused)...)

	ill := health.TargetHealth{
		Target: target, Plan: "nightly", Status: health.Unprotected, Reason: why, Interval: 24 * time.Hour, Deadline: ago(2), Age: 50 * time.Hour,
		Point: &health.Verified{ID: point.ID, Created: point.Created, AsOf: point.StateTime(), CopyOnly: point.CopyOnly}, NextScheduledTime: ago(-22),
	}
	add(event.TargetUnprotected(ill, "df24b17470823587"))
	verified, well := ill.Point, ill
	well.Status, well.Age = health.Protected, time.Hour
	add(event.TargetProtected(well, "df24b17470823587", now))
	well.Status, well.Point = health.Pending, nil
	add(event.TargetProtected(well, "e571050b109bb3b7", now))
	ill.Point, ill.NextScheduledTime = nil, time.Time{}
	add(event.TargetUnprotected(ill, "e571050b109bb3b7"))
	add(event.TargetLeft(health.Departed{Plan: "nightly", Target: target, At: now, Point: verified}, "df24b17470823587"))
	add(event.TargetLeft(health.Departed{Plan: "nightly", Target: target, At: now}, "e571050b109bb3b7"))

	add(event.PointAccepted(point), event.PointNotDeleted(point, event.PointUndeleted, why, now), event.PointNotDeleted(point, event.PointAltered, why, now),
		event.PointDeleted(point), event.PointKept(point, why, now))
	changed := point
	changed.Changed, changed.Changed.Found = run.Changed, now
	add(event.PointChanged(changed))
	hold := backup.PersonHold{ID: "fe05bcdcdc49", Since: ago(1), By: "invocation 6c0b", Reason: "case 4711"}
	add(event.PointHeld(point, hold))
	hold.ID, hold.Until = "5e1a0c7d3b92", ago(-24)
	add(event.PointHeld(point, hold), event.PointReleased(point, hold, backup.HoldRelease{Hold: hold.ID, Time: now, By: "invocation 7d1c"}))
	deleted := point
	deleted.SoftDeletion = backup.SoftDeletion{Since: ago(2), Until: ago(-166), ID: "a2ebcf99c73f", By: "invocation 77aa", Reason: "it has a secret"}
	add(event.PointSoftDeleted(deleted), event.PointRecovered(point, hold, deleted.SoftDeletion, now))
	add(event.DeletionsWait(target, retention.Waiting{Points: []backup.Point{point, {ID: "5bfba3ce1fe045f1-8204720342-0ad2c6423cab"}}, Limit: 2, Until: ago(-24)}, 1, now))
	add(event.TargetForgotten(target, deleted.SoftDeletion, 12, 1, now))
	add(event.ManyExpire(run, []backup.Point{point}, 1, now))
	lost := health.Incomplete{Target: target, Plan: "nightly", Storage: storage, Artifacts: 7, Manifests: 3, First: "contoso-2026032602", Found: now, Alarm: "1"}
	add(event.CatalogIncomplete(lost), event.CatalogComplete(lost, now))
	proof := backup.Proof{Status: backup.ProofLate, Reason: why, Proven: ago(5000), Holders: 1, Quorum: 2, Of: 3}
	add(event.CustodyChanged(target, "nightly", proof, now))
	proof = backup.Proof{Status: backup.Proven, Proven: ago(2), Holders: 2, Quorum: 2, Of: 3, Until: ago(-4318)}
	add(event.CustodyChanged(target, "nightly", proof, now))
	missed := schedule.MissedRuns{Plan: "nightly", First: ago(49), Last: ago(1), Count: 3, Why: "no timer run read the plan", Found: now}
	add(event.ScheduleMissed(missed))
	turn := event.PlanTurn{Hash: sum, Refused: true, Reason: `plan.yaml:7: a plan needs the field "storage"`, LastGood: ago(9), ActiveSince: ago(9), Found: now}
	add(event.PlanTurned(turn))
	turn.ActiveSince = time.Time{}
	add(event.PlanTurned(turn))
	add(event.PlanTurned(event.PlanTurn{Hash: sum, LastGood: ago(9), ActiveSince: now, Found: now}))
	edit := event.PlanEdit{Old: sum, New: sum[:32], OldSince: ago(9), Found: now, Attention: []string{"targets"}}
	edit.Changes = []string{"! no plan has the target " + standby + " any more: it is not backed up", strings.Repeat("a long line ", 1<<12)}
	add(event.PlanChanged(edit))
	looked := check.Report{Plans: sum[:32], Began: ago(1), Ended: now, Looked: 3, Total: 3, Ok: 2}
	add(event.Checked(looked))
	for range 9 {
		looked.Findings = append(looked.Findings, check.Finding{Result: check.Refused, What: "the role Reader on contoso, for the app", Target: target, Reason: why})
	}
	add(event.Checked(looked))
	add(event.DeadLettered(event.DeadLetter{Queue: "execute-poison", Reason: why, Bytes: 65_536, Row: backup.DeadLetterKey("execute-poison", nil), Time: now}))
	halt := stop.Switch{Reason: "incident 4711", By: "invocation 4711", Since: ago(1), Backups: true, Request: "r"}
	add(event.Stop(halt, "contoso", ago(1)))
	halt.Resumed, halt.ResumedBy, halt.ResumeRequest = now, "invocation 4712", "s"
	add(event.Stop(halt, "contoso", now))
	add(event.AppRefused(event.AppTurn{App: "contoso/staging", Owner: "contoso", Since: ago(99), Seen: now}))
	add(event.AppReplaced("contoso-new", "contoso", "invocation 4711", now))
	add(event.ClockJumped(now, ago(1)))
	return events
}

// sent returns the events as they come from a queue, a line for each.
func sent(t *testing.T, events []backup.Event) (lines []string) {
	t.Helper()
	const source = "/subscriptions/0c0ffee0-0000-4000-8000-000000000001/resourceGroups/prod/providers/Microsoft.Web/sites/contoso-lifeboat"
	for _, e := range events {
		q := memory.NewQueue(func() time.Time { return at })
		if err := q.Publish(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		for _, m := range q.Messages(e.Queue()) {
			lines = append(lines, strings.Replace(string(m.Body), "urn:lifeboat:memory", source, 1)+"\n")
		}
	}
	return lines
}

// TestExamples: docs/examples/events.jsonl has the events as they come from the queue. Make it with go test ./internal/event -run
// TestExamples -update.
func TestExamples(t *testing.T) {
	const file = "../../docs/examples/events.jsonl"
	made := strings.Join(sent(t, samples(time.UTC)), "")
	if *update {
		if err := os.WriteFile(file, []byte(made), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if kept, err := os.ReadFile(file); err != nil || string(kept) != made {
		t.Errorf("%s is not what the program sends (%v): see what go test ./internal/event -run TestExamples -update changes in it", file, err)
	}
}

// TestTimesAreInUTC: an event is the same wherever its times come from.
func TestTimesAreInUTC(t *testing.T) {
	here, there := sent(t, samples(time.UTC)), sent(t, samples(time.FixedZone("", 3600)))
	for i := range here {
		if here[i] != there[i] {
			t.Errorf("%sis in another zone\n%s", here[i], there[i])
		}
	}
}

// TestNoMemberIsEmpty: whatever an event lacks is left out of it.
func TestNoMemberIsEmpty(t *testing.T) {
	for _, e := range slices.Concat(samples(time.UTC), event.RunEnded(backup.Run{}, false), event.Restore(backup.Run{Restore: &backup.Restoring{}}, "k", at),
		event.BackupAnswered(event.BackupAnswer{}, ""), []backup.Event{
			event.TargetUnprotected(health.TargetHealth{}, ""), event.TargetLeft(health.Departed{}, ""), event.PointAccepted(backup.Point{}),
			event.PointNotDeleted(backup.Point{}, "k", backup.Reason{}, at), event.PointDeleted(backup.Point{}),
			event.PointKept(backup.Point{}, backup.Reason{}, at), event.PointHeld(backup.Point{}, backup.PersonHold{}),
			event.PointReleased(backup.Point{}, backup.PersonHold{}, backup.HoldRelease{}),
			event.PointSoftDeleted(backup.Point{}), event.PointRecovered(backup.Point{}, backup.PersonHold{}, backup.SoftDeletion{}, at), event.ScheduleMissed(schedule.MissedRuns{}),
			event.TargetForgotten("", backup.SoftDeletion{}, 0, 0, at), event.ManyExpire(backup.Run{}, nil, 0, at), event.DeletionsWait("", retention.Waiting{}, 1, at),
			event.PlanTurned(event.PlanTurn{}), event.PlanChanged(event.PlanEdit{}), event.Checked(check.Report{}), event.DeadLettered(event.DeadLetter{}), event.Stop(stop.Switch{}, "", at),
			event.AppRefused(event.AppTurn{}), event.AppReplaced("", "", "", at), event.CatalogComplete(health.Incomplete{}, at),
			event.CustodyChanged("", "", backup.Proof{}, at),
		}) {
		for _, empty := range []string{`:""`, `:null`, `"0001-01-01T`} {
			if bytes.Contains(e.Data, []byte(empty)) {
				t.Errorf("%s: %s in %s", e.Type, empty, e.Data)
			}
		}
	}
}
