// The examples of events are valid under their published schema, in validators of others: "make schemas".
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import Ajv2020 from "ajv/dist/2020.js";

const { LIFEBOAT_DOCS: docs, LIFEBOAT_CHECK: check } = process.env;
const schema = join(docs, "events.schema.json");
const events = readFileSync(join(docs, "examples", "events.jsonl"), "utf8").trim().split("\n");

test("ajv in its default strict mode compiles the schema, and takes each example", () => {
  const log = [];
  const note = (...words) => log.push(words.join(" "));
  const validate = new Ajv2020({ logger: { log: note, warn: note, error: note } }).compile(JSON.parse(readFileSync(schema, "utf8")));
  assert.deepEqual(log, [], "ajv warns of the schema");
  for (const event of events) {
    const one = JSON.parse(event);
    assert.ok(validate(one), `${event}: ${JSON.stringify(validate.errors)}`);
    assert.ok(!validate({ ...one, data: { ...one.data, reason: "words" } }) || !("reason" in one.data), event);
  }
});

test("check-jsonschema takes each example", () => {
  const dir = mkdtempSync(join(tmpdir(), "lifeboat-events-"));
  const files = events.map((event, i) => join(dir, `${i}.json`));
  files.forEach((file, i) => writeFileSync(file, events[i]));
  const { stdout, status } = spawnSync(check, ["--schemafile", schema, ...files], { encoding: "utf8" });
  assert.equal(status, 0, stdout);
});
