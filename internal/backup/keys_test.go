package backup_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"lifeboat/internal/backup"
	"lifeboat/internal/schedule"
)

// TestTheTableIsAsDescribed: docs/design.md has a line for each kind of row, and no other.
func TestTheTableIsAsDescribed(t *testing.T) {
	text, err := os.ReadFile("../../docs/design.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "\n## The table\n\n| partition | row | content |\n|---|---|---|\n")
	table, _, _ = strings.Cut(table, "\n\n")
	type line struct{ partition, row *regexp.Regexp }
	// A name in angle brackets, or an ellipsis, stands for any text.
	pattern := func(text string) *regexp.Regexp {
		return regexp.MustCompile("^" + regexp.MustCompile(`<[^>]*>|…`).ReplaceAllString(regexp.QuoteMeta(text), ".+") + "$")
	}
	var lines []line
	for text := range strings.Lines(table) {
		cells := strings.Split(text, " | ")
		partition := strings.Trim(strings.TrimPrefix(cells[0], "| "), "`")
		if strings.HasPrefix(partition, "the target") {
			partition = backup.Partition(target)
		}
		lines = append(lines, line{pattern(partition), pattern(strings.Trim(cells[1], "`"))})
	}
	at := time.Date(2026, 1, 15, 2, 30, 0, 0, time.UTC)
	run := backup.Run{ID: backup.NewRunID(target, at, "cause"), Target: target}
	point := backup.Point{ID: run.ID, Target: target}
	rows := []backup.Key{
		run.Key(), run.LockKey(), point.Key(), backup.HistoryKey(target), backup.PrunedKey,
		backup.RecordKey(at, "run-"+backup.Partition(target)+"-20260112"), backup.RecordKey(at, "missed-nightly"), backup.RecordKey(at, "request-0123"),
		backup.RecordKey(at, "letter-0123"),
		{Partition: run.Key().Partition, Row: point.FilesPrefix() + "000"},
		backup.Event{ID: "id"}.OutboxKey(run.Key().Partition), backup.Event{ID: "id"}.OutboxKey(backup.SchedulePartition),
		backup.InflightKey(at, run.ID, "mark"), backup.DueKey(at, run.ID), backup.DueOnceKey(at, run.ID), backup.DueOutKey(at, run.ID), backup.RestKey(run.ID), backup.CountedKey(target, "nightly"), backup.PaceKey(target),
		backup.ActivePlanKey, backup.StockKey, backup.CheckKey, backup.CoverageKey, backup.SelectionKey, backup.UndeliverableKey, backup.CheckpointKey("nightly"), backup.EvaluatedKey("nightly"), backup.TimerKey("cleanup"),
		backup.OwnerKey, backup.StopKey, backup.OtherAppKey("contoso-app/staging"),
		backup.MissedRunsKey(schedule.MissedRuns{Plan: "nightly", First: at}), backup.UnpublishedKey("0123"), backup.ScheduleKey(backup.AllPermits + "0001"),
		backup.ScheduleKey(backup.PlanPermits("nightly") + "0001"), backup.ScheduleKey(backup.QueueRow(at, run.ID)),
		backup.ScheduleKey(backup.RestoreQueueRow(at, at, run.ID)), backup.ScheduleKey(backup.RestoreNoteRow(backup.RestoreQueueRow(at, at, run.ID))),
		backup.ChangesKey("nightly", target), backup.RequestKey("0123"), backup.TargetsKey("0123", 0), backup.RestoreClaimKey("id"), backup.PlanTextKey("0123", 0),
		backup.DeadLetterKey("execute", []byte("message")), backup.DeletionKey(target),
		backup.IncompleteKey(target, backup.Storage{}), backup.MarkKey(target), backup.FactsKey(target), backup.StatementsKey(target),
	}
	for _, write := range point.Insert([]backup.File{{}}) {
		rows = append(rows, write.Key)
	}
	used := make([]bool, len(lines))
	for _, key := range rows {
		found := 0
		for i, l := range lines {
			if l.partition.MatchString(key.Partition) && l.row.MatchString(key.Row) {
				found++
				used[i] = true
			}
		}
		if found != 1 {
			t.Errorf("%d lines of the table describe %s/%s", found, key.Partition, key.Row)
		}
	}
	for i, l := range lines {
		if !used[i] {
			t.Errorf("no row is %s/%s", l.partition, l.row)
		}
	}
}

// TestKeysOfHistory: the time of a run and the point of an entry come back from their keys, and no timer run reads the index of history.
func TestKeysOfHistory(t *testing.T) {
	at := time.Date(2026, 1, 15, 2, 30, 7, 0, time.UTC)
	id := backup.NewRunID(target, at, "cause")
	if made, err := backup.RunTime(id); err != nil || !made.Equal(at) {
		t.Errorf("the run was made at %s, %v", made, err)
	}
	if _, err := backup.RunTime("no run"); err == nil {
		t.Error("any text is the ID of a run")
	}
	for _, key := range []backup.Key{backup.DueKey(at, id), backup.DueOnceKey(at, id), backup.DueOutKey(at, id), backup.RestKey(id)} {
		if got := backup.DuePoint(key); got != id {
			t.Errorf("%s is of %q", key.Row, got)
		}
	}
	if got := backup.DuePoint(backup.Key{Row: "short"}); got != "" {
		t.Errorf("a broken entry is of %q", got)
	}
	if backup.RecordPrefix < backup.Behind(backup.CheckpointPrefix) {
		t.Error("idle timer runs read the index of history")
	}
	if row := backup.PrunedKey.Row; row < backup.OwnerKey.Row || row > backup.TimerKey("cleanup").Row {
		t.Error("cleanup needs a request to see whether it is to prune")
	}
}
