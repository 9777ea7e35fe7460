// JavaScript's pollers, core-lro 2 and 3, unchanged, on Lifeboat's own API: see "make clients". The services are this file's
// own, since files are tested at once.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { create, send, state } from "./azurepollers.mjs";

const env = process.env;
const service = (name) => `/subscriptions/${env.CLIENTS_SUBSCRIPTION}/resourceGroups/${env.CLIENTS_GROUP}/providers/` +
  `Microsoft.ApiManagement/service/${name}`;
const good = service(env.CLIENTS_POLLED), bad = service(env.CLIENTS_BROKEN);
const backups = `${env.CLIENTS_API}/backups`, restores = `${env.CLIENTS_API}/restores`;
const script = fileURLToPath(new URL("azurepollers.mjs", import.meta.url));

for (const version of [2, 3]) {
  test(`Lifeboat's API, followed by core-lro ${version}`, { timeout: 240_000 }, async (t) => {
    const ask = (url, body, id) => () => send("POST", url, body, { "Repeatability-Request-ID": `js-${version}-${id}` });
    // twice follows an operation to its end, then a repeat of the request, and one that another process goes on with.
    const twice = async (url, body, id, check) => {
      const { poller } = await create(version, ask(url, body, id));
      await check(poller.pollUntilDone());
      const { poller: again } = await create(version, ask(url, body, id));
      const { stdout } = await promisify(execFile)(process.execPath, [script, version, await state(again)]);
      await check(again.pollUntilDone());
      return stdout.trim();
    };

    await t.test("to a success", async () => {
      const end = await twice(backups, { target: good }, "good", async (run) => {
        assert.equal((await run).status, "Succeeded");
        assert.equal((await run).recoveryPoint.sha256.length, 64);
      });
      assert.equal(end, "Succeeded");
    });
    await t.test("by a process that did not start it", async () => {
      const { poller: begun } = await create(version, ask(backups, { target: good }, "resumed"));
      const { stdout } = await promisify(execFile)(process.execPath, [script, version, await state(begun)]);
      assert.equal(stdout.trim(), "Succeeded");
    });
    await t.test("to a failure in Azure's words", async () => {
      const words = /BackupFailed.*Cannot backup: the container is gone/;
      assert.match(await twice(backups, { target: bad }, "bad", (run) => assert.rejects(run, words)), words);
    });
    await t.test("to a batch of which a part failed", async () => {
      const words = /BatchIncomplete.*1 of 2 backups did not succeed/;
      assert.match(await twice(backups, { plan: "polled" }, "batch", (run) => assert.rejects(run, words)), words);
    });
    await t.test("to a restore", async () => {
      const end = await twice(restores, { target: good, recoveryPoint: "latest" }, "restore", async (run) => {
        assert.equal((await run).status, "Succeeded");
      });
      assert.equal(end, "Succeeded");
    });
    await t.test("to a restore that is canceled", async () => {
      await ask(backups, { target: good }, "busy")(); // the restore waits for it
      const body = { target: good, recoveryPoint: "latest" };
      const { poller } = await create(version, ask(restores, body, "canceled"));
      const { flatResponse } = await ask(restores, body, "canceled")();
      const { rawResponse } = await send("POST", `${restores}/${flatResponse.id}/cancel`);
      assert.equal(rawResponse.statusCode, 200, JSON.stringify(rawResponse.body));
      await assert.rejects(poller.pollUntilDone(), /canceled/);
      assert.match(await twice(restores, body, "canceled", (run) => assert.rejects(run, /canceled/)), /canceled/);
    });
  });
}
