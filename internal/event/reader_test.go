package event_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
)

// data is a reader's type for the data of every event. The readers of make readers have it in other languages.
type data struct {
	Reason              *reason
	ChangedDuringBackup *struct {
		DateTime            time.Time
		Resource, Operation string
	}
	FailedAttempts []struct {
		Attempt  int
		DateTime time.Time
		Code     string
	}
	LastVerified *knownPoint
	Preview      *struct {
		Hash, Plan, Target, Destination, Kind, Key, RestoreRegion string
		CreatedDateTime                                           time.Time
		RecoveryPoint                                             *knownPoint
		SafetyBackup, NoSafetyBackup                              bool
		Overwrites, NotIncluded, Calls                            []string
		Custody                                                   *struct {
			Title, Status                 string
			Reason                        *reason
			Holders, Quorum, Of           int64
			ProvenDateTime, UntilDateTime time.Time
		}
		Guards []struct {
			Name, Outcome string
			Reason        *reason
		}
	}

	Findings []struct {
		Result, What, Target string
		Reason               reason
	}

	CopyOnly, NoSafetyBackup, Backups                                              bool
	Runs, Changes, Attention, RecoveryPoints                                       []string
	DeletionsPerDay, Holders, Of, Quorum, Stay                                     int64
	Artifacts, Bytes, Count, IntervalInSeconds, Manifests, Omitted, SizeInBytes    int64
	Account, Alarm, App, Artifact, Batch, By, Container, First, Key, Kind, NewHash string
	Hold                                                                           string
	OldHash, Owner, Plan, PreviewHash, Queue, RecoveryPoint, RecoveryPointState    string
	Replaced, Request, RequestReason, RequestedBy, Row, Run, SafetyBackup, Source  string
	State, Status, Target, Warning                                                 string
	AcceptedDateTime, ActiveSinceDateTime, CreatedDateTime, DeletedDateTime        time.Time
	EndedDateTime, ExpiresDateTime, FirstScheduledTime, LastScheduledTime          time.Time
	NextScheduledTime, OwnerSinceDateTime, ProcessDateTime, ScheduledTime          time.Time
	RecoveredDateTime, ReleasedDateTime, SinceDateTime, StoppedSinceDateTime       time.Time
	StorageDateTime                                                                time.Time
	ProvenDateTime, UntilDateTime                                                  time.Time
}

type reason struct{ Code, Message, Hint, Said, RequestID string }

type knownPoint struct {
	ID, State, SHA256         string
	CreatedDateTime           time.Time
	AgeInSeconds, SizeInBytes int64
	CopyOnly                  bool
}

// TestOneTypeReadsEveryEvent: one type, which takes no unknown member, reads the examples of all events behind the SDK of CloudEvents.
func TestOneTypeReadsEveryEvent(t *testing.T) {
	file, err := os.Open("../../docs/examples/events.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	seen := map[string]data{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var e cloudevents.Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil || e.Validate() != nil || e.DataContentType() != "application/json" || len(e.Extensions()) != 0 {
			t.Errorf("%s: %v, %v", lines.Text(), err, e.Validate())
		}
		var d data
		decoder := json.NewDecoder(bytes.NewReader(e.Data()))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&d); err != nil {
			t.Errorf("%s: %v", e.Data(), err)
		}
		if _, ok := seen[e.Type()]; !ok {
			seen[e.Type()] = d
		}
	}
	if len(seen) < 36 || seen["lifeboat.plan.refused"].Reason.Code != "PlanRefused" || seen["lifeboat.stopped"].RequestReason != "incident 4711" ||
		!seen["lifeboat.run.succeeded"].EndedDateTime.Equal(time.Date(2026, 3, 28, 2, 30, 0, 123456789, time.UTC)) ||
		seen["lifeboat.recovery-point.accepted"].SizeInBytes != 41_943_040 {
		t.Errorf("%d types: %+v", len(seen), seen)
	}
}
