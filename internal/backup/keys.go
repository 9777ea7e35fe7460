package backup

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"lifeboat/internal/schedule"
)

// This file states the whole table: its partitions, and the keys of the rows in them. docs/design.md has it as a table, and a
// test compares the two.

// These are the partitions that belong neither to a target ([Partition]) nor to one request.
const (
	// SchedulePartition holds the rows that each timer run of the schedule reads: side by side, from [ActivePlanKey] to the
	// checkpoints. The missed periods stand behind them, so that no timer run reads them.
	SchedulePartition = "schedule"
	// InflightPartition is the index of runs that have not ended, by the time of the next check.
	InflightPartition = "inflight"
	// DuePartition is the index of recovery points, by the time of their expiry.
	DuePartition = "due"
	// PlanTextPartition holds the good texts of plan.yaml, by their hash. They are never changed.
	PlanTextPartition = "plan"
	// DeadLetterPartition holds messages that Lifeboat can do nothing with.
	DeadLetterPartition = "deadletter"

	requestPrefix = "request-"
	restorePrefix = "restore-"
)

// The rows of a target's partition begin with these, and go on with the rest of a run's ID, or with a hash.
const (
	// CountedPrefix begins the rows of the plans whose counts hold recovery points of the target: just before those points, so that both
	// are read by one request.
	CountedPrefix = "plan-"
	// PaceRow is the row of the target's pace: just before those, for the same reason.
	PaceRow        = "pace"
	RunPrefix      = "run-"
	PointPrefix    = "point-"
	FilesPrefix    = "files-"
	ArtifactPrefix = "artifact-"
	OutboxPrefix   = "outbox-"

	lockRow    = "lock"
	historyRow = "history"
)

// The rows of SchedulePartition begin with these. A timer run reads the rows from [ActivePlanKey] on by one request, in this
// order, with [UndeliverableKey] and the rows of the outbox between TimerPrefix and UnpublishedPrefix.
const (
	ChangesPrefix     = "changes-"
	DeletionPrefix    = "deletion-"
	QueuePrefix       = "enqueued-"
	MarkPrefix        = "evaluate-"
	EvaluatedPrefix   = "evaluated-"
	IncompletePrefix  = "incomplete-"
	AppsPrefix        = "known-"
	TimerPrefix       = "last-run-"
	UnpublishedPrefix = "pending-"
	PermitPrefix      = "permit-"
	CheckpointPrefix  = "plan-"

	// OtherAppPrefix begins the rows of the apps that do not own the catalog. With [OwnerKey] they are the rows of AppsPrefix: the
	// owner comes first, so that no number of others hides it. They stand just before the rows of TimerPrefix, so that cleanup
	// reads both by one request.
	OtherAppPrefix = AppsPrefix + "second-"

	// RestoreNotePrefix begins the notes of the restores that wait for a permit. They stand beside the owner, so that the first step
	// of a run reads both by one request.
	RestoreNotePrefix = AppsPrefix + "waiting-"

	// RecordPrefix, MissedRunsPrefix, StatementsPrefix and FactsPrefix sort behind CheckpointPrefix, so that no idle timer run reads their rows.
	RecordPrefix     = "recorded-"
	MissedRunsPrefix = "schedule-missed-"
	StatementsPrefix = "statements-"
	FactsPrefix      = "target-"
)

// These rows of SchedulePartition exist once.
var (
	// ActivePlanKey is the first row that a timer run reads.
	ActivePlanKey = Key{Partition: SchedulePartition, Row: "active-plan"}
	// OwnerKey names the app that owns the catalog.
	OwnerKey = Key{Partition: SchedulePartition, Row: AppsPrefix + "owner"}
	// StopKey is the switch for an incident: behind the owner, so that everything that reads the owner's row reads it too.
	StopKey = Key{Partition: SchedulePartition, Row: AppsPrefix + "owner-stopped"}
	// StockKey says how many recovery points there are: between the rows of AppsPrefix and of TimerPrefix, which cleanup reads by one
	// request.
	StockKey = Key{Partition: SchedulePartition, Row: "last-count"}
	// CheckKey is the newest look at the roles of the app: beside StockKey, for the same request.
	CheckKey = Key{Partition: SchedulePartition, Row: "last-check"}
	// CoverageKey says which services no plan has, beside StockKey for the same reason.
	CoverageKey = Key{Partition: SchedulePartition, Row: "last-coverage"}
	// PrunedKey says when the history was pruned last, beside StockKey for the same reason.
	PrunedKey = Key{Partition: SchedulePartition, Row: "last-history"}
	// SelectionKey is the row that says which targets the plans select.
	SelectionKey = Key{Partition: SchedulePartition, Row: "last-selection"}
	// UndeliverableKey counts the events that were given up.
	UndeliverableKey = Key{Partition: SchedulePartition, Row: "lost-events"}
)

// claimRow is the row of a request's partition, and targetsPrefix begins the rows of the request's targets.
const (
	claimRow      = "request"
	targetsPrefix = "targets-"
)

// Behind returns the row key behind all keys with the prefix, which ends with "-".
func Behind(prefix string) string { return strings.TrimSuffix(prefix, "-") + "." }

// Partition returns the target's partition: resource IDs are compared without regard to case.
func Partition(target string) string { return Digest(strings.ToLower(target), 16) }

// NewRunID makes the ID of a run: the target's partition, the time counted down, so that the newest comes first, and a hash of
// its cause. The same scheduled time of the same plan and target, or the same request, always gives the same ID.
func NewRunID(target string, at time.Time, cause string) string {
	return fmt.Sprintf("%s-%s-%s", Partition(target), Countdown(at), Digest(cause, 12))
}

// Countdown makes a text that sorts the newest first.
func Countdown(at time.Time) string { return fmt.Sprintf("%010d", 9_999_999_999-at.Unix()) }

// RunTime returns the time in the ID of a run, for which [NewRunID] made it.
func RunTime(id string) (time.Time, error) {
	key, err := RunKey(id)
	if err != nil {
		return time.Time{}, err
	}
	countdown, err := strconv.ParseInt(key.Row[len(RunPrefix):len(RunPrefix)+10], 10, 64)
	return time.Unix(9_999_999_999-countdown, 0).UTC(), err
}

// RunKey returns the key of the run with the ID.
func RunKey(id string) (Key, error) {
	partition, row, _ := strings.Cut(id, "-")
	countdown, hash, _ := strings.Cut(row, "-")
	if !consists(partition, 16, "0123456789abcdef") || !consists(countdown, 10, "0123456789") ||
		!consists(hash, 12, "0123456789abcdef") {
		return Key{}, fmt.Errorf("%q is not the ID of a run", id)
	}
	return Key{Partition: partition, Row: RunPrefix + row}, nil
}

// consists says whether the text has the length, and only characters from of.
func consists(text string, length int, of string) bool {
	return len(text) == length && strings.Trim(text, of) == ""
}

// Key is the key of the run itself; NewRunID made its ID.
func (r Run) Key() Key {
	k, err := RunKey(r.ID)
	if err != nil {
		panic(err)
	}
	return k
}

// HistoryKey is the row that says which runs of the target were pruned.
func HistoryKey(target string) Key { return Key{Partition: Partition(target), Row: historyRow} }

// LockKey is the row that only one run of the target can own.
func (r Run) LockKey() Key { return Key{Partition: r.Key().Partition, Row: lockRow} }

// Key is the key of the recovery point, beside the row of its run.
func (p Point) Key() Key {
	partition, row, _ := strings.Cut(p.ID, "-")
	return Key{Partition: partition, Row: PointPrefix + row}
}

// CountedKey is the row that says which recovery points of the target the counts of the plan hold.
func CountedKey(target, plan string) Key {
	return Key{Partition: Partition(target), Row: CountedPrefix + plan}
}

// PaceKey is the row that says how many recovery points of the target cleanup has let go in the last day.
func PaceKey(target string) Key { return Key{Partition: Partition(target), Row: PaceRow} }

// claimKey is the row that says which recovery point the artifact belongs to.
func (p Point) claimKey() Key {
	return Key{Partition: p.Key().Partition, Row: ArtifactPrefix + Digest(p.Location(), 32)}
}

// FilesPrefix begins the rows that list the files of the point's artifact; [Behind] it is their end.
func (p Point) FilesPrefix() string {
	_, row, _ := strings.Cut(p.ID, "-")
	return FilesPrefix + row + "-"
}

// OutboxKey is the row of the event in the outbox of a partition, for its destination.
func (e Event) OutboxKey(partition string) Key {
	return Key{Partition: partition, Row: OutboxPrefix + e.Queue() + "." + e.ID}
}

// TimeKey makes a text that sorts rows by time.
func TimeKey(t time.Time) string { return t.UTC().Format("20060102T150405Z") }

// InflightKey sorts by the time of the next check. If two processes create the same run, the nonce of its first step message
// tells their entries apart.
func InflightKey(at time.Time, run, nonce string) Key {
	return Key{Partition: InflightPartition, Row: TimeKey(at) + "-" + run + "-" + nonce}
}

// InflightNonce returns the nonce in the key of the run's entry.
func InflightNonce(k Key, run string) string { return k.Row[len(TimeKey(time.Time{}))+1+len(run)+1:] }

// DueKey sorts by the time of the next check of the recovery point.
func DueKey(at time.Time, point string) Key {
	return Key{Partition: DuePartition, Row: TimeKey(at) + "-" + point}
}

// RestKey is the entry of a recovery point that only a new one, or a person, can make expire: it stands behind all times.
func RestKey(point string) Key { return Key{Partition: DuePartition, Row: restPrefix + point} }

const restPrefix = "rest-"

// DueOutKey is the entry of a recovery point, besides its own, that a new one makes expire.
func DueOutKey(at time.Time, point string) Key {
	k := DueKey(at, point)
	return Key{Partition: k.Partition, Row: k.Row + "-out"}
}

// DueOnceKey is the key of an entry that a recovery point has besides its own one.
func DueOnceKey(at time.Time, point string) Key {
	k := DueKey(at, point)
	return Key{Partition: k.Partition, Row: k.Row + "-once"}
}

// DuePoint returns the ID of the recovery point that the entry is about.
func DuePoint(k Key) string {
	if point, rests := strings.CutPrefix(k.Row, restPrefix); rests {
		return point
	}
	return strings.TrimSuffix(strings.TrimSuffix(k.Row[min(len(TimeKey(time.Time{}))+1, len(k.Row)):], "-once"), "-out")
}

// CheckpointKey is the row that says up to when the plan's scheduled times are dealt with.
func CheckpointKey(plan string) Key { return ScheduleKey(CheckpointPrefix + plan) }

// ChangesKey is the row of the changes of a target that the plan makes a backup of.
func ChangesKey(plan, target string) Key {
	return ScheduleKey(ChangesPrefix + plan + "." + Partition(target))
}

// DeletionKey is the row of a target whose recovery points are past their time and could not be deleted.
func DeletionKey(target string) Key { return ScheduleKey(DeletionPrefix + Partition(target)) }

// EvaluatedKey is the row that says when the plan's targets were evaluated last.
func EvaluatedKey(plan string) Key { return ScheduleKey(EvaluatedPrefix + plan) }

// MarkKey is the row that says that the target's facts are to be written again.
func MarkKey(target string) Key { return ScheduleKey(MarkPrefix + Partition(target)) }

// FactsKey is the row of the facts by which health evaluates the target.
func FactsKey(target string) Key { return ScheduleKey(FactsPrefix + Partition(target)) }

// StatementsKey is the row of all that people stated about the target.
func StatementsKey(target string) Key { return ScheduleKey(StatementsPrefix + Partition(target)) }

// IncompleteKey is the row of a target with artifacts in the storage that no recovery point of the catalog names.
func IncompleteKey(target string, in Storage) Key {
	place := strings.ToLower(strings.Join([]string{target, in.AccountName(), in.Zone, in.Container}, "\n"))
	return ScheduleKey(IncompletePrefix + Digest(place, 16))
}

// TimerKey is the row that says when the timer's function ran last.
func TimerKey(timer string) Key { return ScheduleKey(TimerPrefix + timer) }

// OtherAppKey is the row of an app that does not own the catalog. A name may have characters that no key has.
func OtherAppKey(app string) Key { return ScheduleKey(OtherAppPrefix + Digest(app, 16)) }

// MissedRunsKey comes from the missed period's plan and first scheduled time, so that a repeat writes the same row.
func MissedRunsKey(m schedule.MissedRuns) Key {
	return ScheduleKey(MissedRunsPrefix + m.Plan + "." + TimeKey(m.First))
}

// RecordKey is an entry of the index of history: the week from which on the history of its rows counts comes first.
func RecordKey(week time.Time, of string) Key {
	return ScheduleKey(RecordPrefix + week.UTC().Format("20060102") + "-" + of)
}

// UnpublishedKey is the row that says that the outbox of the partition holds events that a timer run must send.
func UnpublishedKey(partition string) Key { return ScheduleKey(UnpublishedPrefix + partition) }

// AllPermits begins the rows of the permits of all runs; the number of the permit follows.
const AllPermits = PermitPrefix + "all."

// PlanPermits begins the rows of the permits of the plan's runs; the number of the permit follows.
func PlanPermits(plan string) string { return PermitPrefix + "plan-" + plan + "." }

// RestoreQueuePrefix begins the rows of restores in the wait queue. They sort before the rows of backups, whose times begin with a
// greater digit; so an older version wakes them first too.
const RestoreQueuePrefix = QueuePrefix + "0restore-"

// RestoreQueueRow is the restore's row in the wait queue, by the time at which it was asked for and the time of its arrival.
func RestoreQueueRow(asked, at time.Time, run string) string {
	return RestoreQueuePrefix + TimeKey(asked) + "-" + TimeKey(at) + "-" + run
}

// RestoreNoteRow is the note of the restore with the row in the wait queue.
func RestoreNoteRow(queued string) string {
	return RestoreNotePrefix + strings.TrimPrefix(queued, RestoreQueuePrefix)
}

// QueueRow is the backup's row in the wait queue, by the time of its arrival.
func QueueRow(at time.Time, run string) string { return QueuePrefix + TimeKey(at) + "-" + run }

// ScheduleKey is the key of a row of SchedulePartition, such as a permit, or the row of the wait queue that a run remembers.
func ScheduleKey(row string) Key { return Key{Partition: SchedulePartition, Row: row} }

// RequestKey is the claim of the request for backups whose ID has the hash.
func RequestKey(hash string) Key { return Key{Partition: requestPrefix + hash, Row: claimRow} }

// TargetsKey is page n of the targets of the request for backups whose ID has the hash.
func TargetsKey(hash string, n int) Key {
	return Key{Partition: requestPrefix + hash, Row: fmt.Sprintf("%s%03d", targetsPrefix, n)}
}

// RestoreClaimKey is the claim of the request for a restore with the ID.
func RestoreClaimKey(id string) Key {
	return Key{Partition: restorePrefix + Digest(id, 32), Row: claimRow}
}

// PlanTextKey is page n of the text of plan.yaml with the hash.
func PlanTextKey(hash string, n int) Key {
	return Key{Partition: PlanTextPartition, Row: fmt.Sprintf("%s-%03d", hash, n)}
}

// DeadLetterKey is the row of a message of the queue.
func DeadLetterKey(queue string, message []byte) Key {
	return Key{Partition: DeadLetterPartition, Row: Digest(queue+"\n"+string(message), 32)}
}
