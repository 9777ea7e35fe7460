"""One class reads every event of docs/examples/events.jsonl, behind the Python SDK of CloudEvents: "make readers"."""
import json
import os
import unittest
from datetime import datetime, timezone
from pathlib import Path

from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from cloudevents.core.formats.json import JSONFormat
from pydantic import BaseModel, ConfigDict

DOCS = Path(os.environ["LIFEBOAT_DOCS"])


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Reason(Strict):
    code: str
    message: str
    hint: str | None = None
    said: str | None = None
    requestId: str | None = None


class Change(Strict):
    dateTime: datetime
    resource: str | None = None
    operation: str | None = None


class Attempt(Strict):
    attempt: int
    dateTime: datetime
    code: str


class Point(Strict):
    id: str
    createdDateTime: datetime
    ageInSeconds: int
    copyOnly: bool = False
    state: str | None = None
    sizeInBytes: int | None = None
    sha256: str | None = None


class Guard(Strict):
    name: str
    outcome: str
    reason: Reason | None = None


class Custody(Strict):
    title: str
    status: str
    holders: int
    reason: Reason | None = None
    quorum: int | None = None
    of: int | None = None
    provenDateTime: datetime | None = None
    untilDateTime: datetime | None = None


class Preview(Strict):
    createdDateTime: datetime
    target: str
    destination: str
    safetyBackup: bool
    guards: list[Guard]
    noSafetyBackup: bool = False
    hash: str | None = None
    plan: str | None = None
    kind: str | None = None
    key: str | None = None
    restoreRegion: str | None = None
    recoveryPoint: Point | None = None
    custody: Custody | None = None
    overwrites: list[str] = []
    notIncluded: list[str] = []
    calls: list[str] = []


class Finding(Strict):
    """Something that a check found."""

    result: str
    what: str
    target: str | None = None
    reason: Reason


class Data(Strict):
    """The data of every event."""

    reason: Reason | None = None
    changedDuringBackup: Change | None = None
    failedAttempts: list[Attempt] = []
    lastVerified: Point | None = None
    findings: list[Finding] = []
    preview: Preview | None = None
    copyOnly: bool = False
    noSafetyBackup: bool = False
    backups: bool = False
    runs: list[str] = []
    changes: list[str] = []
    attention: list[str] = []
    recoveryPoints: list[str] = []
    artifacts: int | None = None
    bytes: int | None = None
    count: int | None = None
    deletionsPerDay: int | None = None
    holders: int | None = None
    intervalInSeconds: int | None = None
    manifests: int | None = None
    of: int | None = None
    omitted: int | None = None
    quorum: int | None = None
    sizeInBytes: int | None = None
    stay: int | None = None
    account: str | None = None
    alarm: str | None = None
    app: str | None = None
    artifact: str | None = None
    batch: str | None = None
    by: str | None = None
    container: str | None = None
    first: str | None = None
    hold: str | None = None
    key: str | None = None
    kind: str | None = None
    newHash: str | None = None
    oldHash: str | None = None
    owner: str | None = None
    plan: str | None = None
    previewHash: str | None = None
    queue: str | None = None
    recoveryPoint: str | None = None
    recoveryPointState: str | None = None
    replaced: str | None = None
    request: str | None = None
    requestReason: str | None = None
    requestedBy: str | None = None
    row: str | None = None
    run: str | None = None
    safetyBackup: str | None = None
    source: str | None = None
    state: str | None = None
    status: str | None = None
    target: str | None = None
    warning: str | None = None
    acceptedDateTime: datetime | None = None
    activeSinceDateTime: datetime | None = None
    createdDateTime: datetime | None = None
    deletedDateTime: datetime | None = None
    endedDateTime: datetime | None = None
    expiresDateTime: datetime | None = None
    firstScheduledTime: datetime | None = None
    lastScheduledTime: datetime | None = None
    nextScheduledTime: datetime | None = None
    ownerSinceDateTime: datetime | None = None
    processDateTime: datetime | None = None
    provenDateTime: datetime | None = None
    recoveredDateTime: datetime | None = None
    releasedDateTime: datetime | None = None
    scheduledTime: datetime | None = None
    sinceDateTime: datetime | None = None
    stoppedSinceDateTime: datetime | None = None
    storageDateTime: datetime | None = None
    untilDateTime: datetime | None = None


class Events(unittest.TestCase):
    def test_every_event(self):
        known = json.loads((DOCS / "events.schema.json").read_text())["properties"]["type"]["enum"]
        seen = {}
        for line in (DOCS / "examples" / "events.jsonl").read_bytes().splitlines():
            event = JSONFormat().read(None, line)
            data = Data.model_validate_json(json.dumps(event.get_data()))
            self.assertEqual(event.get_datacontenttype(), "application/json")
            self.assertEqual(event.get_time().tzinfo.utcoffset(None), timezone.utc.utcoffset(None))
            self.assertEqual(set(event.get_attributes()) - {"id", "source", "type", "specversion", "time", "subject", "datacontenttype"}, set())
            over_http = from_http_event(HTTPMessage({"content-type": "application/cloudevents+json"}, line), JSONFormat())
            self.assertEqual(over_http.get_data(), event.get_data())
            seen.setdefault(event.get_type(), data)
        self.assertEqual(sorted(seen), known)
        self.assertEqual(seen["lifeboat.plan.refused"].reason.code, "PlanRefused")
        self.assertEqual(seen["lifeboat.stopped"].requestReason, "incident 4711")
        self.assertEqual(seen["lifeboat.run.succeeded"].endedDateTime, datetime(2026, 3, 28, 2, 30, 0, 123456, timezone.utc))
        self.assertEqual(seen["lifeboat.recovery-point.accepted"].sizeInBytes, 41_943_040)


if __name__ == "__main__":
    unittest.main()
