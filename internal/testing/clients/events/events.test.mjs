// One class reads every event of docs/examples/events.jsonl, behind the JavaScript SDK of CloudEvents: "make readers".
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { CloudEvent, HTTP } from "cloudevents";

const { LIFEBOAT_DOCS: docs } = process.env;
const read = (...path) => readFileSync(join(docs, ...path), "utf8");

// These make a value of a type, and throw at any other.
const a = (type) => (v) => (assert.equal(typeof v, type), v);
const [text, flag] = [a("string"), a("boolean")];
const count = (v) => (assert.ok(Number.isSafeInteger(v), `${v} is no whole number`), v);
const time = (v) => (assert.match(v, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/), new Date(v));
const list = (item) => (v) => (assert.ok(Array.isArray(v)), v.map(item));
const struct = (members) => (v) => {
  assert.equal(Object.getPrototypeOf(v), Object.prototype);
  return Object.fromEntries(Object.entries(v).map(([name, value]) => {
    assert.ok(members[name], `the member ${name} is not known`);
    return [name, members[name](value)];
  }));
};
const all = (type, names) => Object.fromEntries(names.split(" ").map((name) => [name, type]));

const reason = struct(all(text, "code message hint said requestId"));
const point = struct({ ...all(text, "id state sha256"), ...all(count, "ageInSeconds sizeInBytes"), createdDateTime: time, copyOnly: flag });
const readData = struct({
  reason,
  changedDuringBackup: struct({ dateTime: time, ...all(text, "resource operation") }),
  failedAttempts: list(struct({ attempt: count, dateTime: time, code: text })),
  lastVerified: point,
  findings: list(struct({ ...all(text, "result what target"), reason })),
  preview: struct({
    ...all(text, "hash plan target destination kind key restoreRegion"), createdDateTime: time, recoveryPoint: point,
    custody: struct({ ...all(text, "title status"), reason, ...all(count, "holders quorum of"), ...all(time, "provenDateTime untilDateTime") }),
    ...all(flag, "safetyBackup noSafetyBackup"), ...all(list(text), "overwrites notIncluded calls"),
    guards: list(struct({ name: text, outcome: text, reason })),
  }),
  ...all(flag, "copyOnly noSafetyBackup backups"),
  ...all(list(text), "runs changes attention recoveryPoints"),
  ...all(count, "artifacts bytes count deletionsPerDay holders intervalInSeconds manifests of omitted quorum sizeInBytes stay"),
  ...all(text, "account alarm app artifact batch by container first hold key kind newHash oldHash owner plan previewHash queue recoveryPoint"),
  ...all(text, "recoveryPointState replaced request requestReason requestedBy row run safetyBackup source state status target warning"),
  ...all(time, "acceptedDateTime activeSinceDateTime createdDateTime deletedDateTime endedDateTime expiresDateTime firstScheduledTime"),
  ...all(time, "lastScheduledTime nextScheduledTime ownerSinceDateTime processDateTime scheduledTime sinceDateTime stoppedSinceDateTime"),
  ...all(time, "provenDateTime recoveredDateTime releasedDateTime storageDateTime untilDateTime"),
});

/** The data of every event. */
class Data {
  constructor(data) { Object.assign(this, readData(data)); }
}

test("one class reads every event", () => {
  const seen = {};
  for (const line of read("examples", "events.jsonl").trim().split("\n")) {
    const event = new CloudEvent(JSON.parse(line)); // it validates the event
    assert.equal(event.datacontenttype, "application/json");
    const over = HTTP.toEvent({ headers: { "content-type": "application/cloudevents+json" }, body: line });
    assert.deepEqual(over.data, event.data);
    seen[event.type] ??= new Data(event.data);
  }
  assert.deepEqual(Object.keys(seen).sort(), JSON.parse(read("events.schema.json")).properties.type.enum);
  assert.equal(seen["lifeboat.plan.refused"].reason.code, "PlanRefused");
  assert.equal(seen["lifeboat.stopped"].requestReason, "incident 4711");
  assert.equal(seen["lifeboat.run.succeeded"].endedDateTime.getTime(), Date.UTC(2026, 2, 28, 2, 30, 0, 123));
  assert.equal(seen["lifeboat.recovery-point.accepted"].sizeInBytes, 41_943_040);
});
