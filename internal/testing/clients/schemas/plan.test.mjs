// What editors and validators say of a plan.yaml, the program says: "make schemas".
//
// plans.json are edits of docs/plan.yaml, each with the evaluation of all: "schema" where a schema cannot know better.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import Ajv2020 from "ajv/dist/2020.js";
import { parse } from "yaml";

const { LIFEBOAT_DOCS: docs, LIFEBOAT_PROGRAM: program, LIFEBOAT_CHECK: check } = process.env;
const example = readFileSync(join(docs, "plan.yaml"), "utf8");
const dir = mkdtempSync(join(tmpdir(), "lifeboat-schemas-"));
const plans = JSON.parse(readFileSync("plans.json", "utf8")).map((plan, i) => {
  let text = example;
  for (const [from, to] of [[plan.from, plan.to], plan.and ?? []]) {
    if (from === undefined) continue;
    assert.ok(text.includes(from), `${plan.name}: nothing to replace`);
    text = text.replace(from, to);
  }
  const file = join(dir, `${i}.yaml`);
  writeFileSync(file, text);
  return { ...plan, text, file };
});

test("ajv in its default strict mode compiles the strict schema, and says what the program says", () => {
  const schema = JSON.parse(readFileSync(join(docs, "plan.strict.schema.json"), "utf8"));
  const log = [];
  const note = (...words) => log.push(words.join(" "));
  const validate = new Ajv2020({ logger: { log: note, warn: note, error: note } }).compile(schema);
  assert.deepEqual(log, [], "ajv warns of the schema");
  for (const plan of plans) {
    let good = false;
    try {
      good = validate(parse(plan.text));
    } catch { /* not YAML */ }
    assert.equal(good, plan.schema ?? plan.good, plan.name);
  }
});

test("check-jsonschema says what the program says", () => {
  for (const schema of ["plan.schema.json", "plan.strict.schema.json"]) {
    const { stdout } = spawnSync(check, ["-o", "JSON", "--schemafile", join(docs, schema), ...plans.map((p) => p.file)], { encoding: "utf8" });
    const said = JSON.parse(stdout);
    const bad = new Set([...(said.errors ?? []), ...(said.parse_errors ?? [])].map((e) => e.filename));
    for (const plan of plans) {
      assert.equal(!bad.has(plan.file), plan.checkJSONSchema ?? plan.schema ?? plan.good, `${schema}: ${plan.name}`);
    }
  }
});

test("the program", () => {
  for (const plan of plans) {
    let good = true;
    try {
      execFileSync(program, ["plan", "check", plan.file], { stdio: "pipe" });
    } catch (e) {
      assert.equal(e.status, 1, plan.name);
      good = false;
    }
    assert.equal(good, plan.good, plan.name);
  }
});
