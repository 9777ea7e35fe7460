// Restores that another system asks for by a message, with the official JavaScript client and its default encoding: see
// "make clients". The services are this file's own, since files are tested at once.
import assert from "node:assert/strict";
import { test } from "node:test";

import { ApiManagementClient } from "@azure/arm-apimanagement";
import { createDefaultHttpClient, createPipelineFromOptions, createPipelineRequest } from "@azure/core-rest-pipeline";
import { ManagedIdentityCredential } from "@azure/identity";
import { QueueServiceClient } from "@azure/storage-queue";

const env = process.env;
const credential = new ManagedIdentityCredential();
const scope = `/subscriptions/${env.CLIENTS_SUBSCRIPTION}/resourceGroups/${env.CLIENTS_GROUP}/providers/`;
const queues = new QueueServiceClient(`https://${env.CLIENTS_APP_ACCOUNT}.queue.core.windows.net`, credential);
const requests = queues.getQueueClient("restore-requests");
const answers = queues.getQueueClient("soar");
const ends = ["succeeded", "refused", "failed", "unknown", "canceled", "previewed"];

const pipeline = createPipelineFromOptions({});
const client = createDefaultHttpClient();
const send = (method, url, headers, body) => {
  const request = createPipelineRequest({ method, url, body: body && JSON.stringify(body), allowInsecureConnection: true });
  for (const [name, value] of Object.entries(headers)) request.headers.set(name, value);
  if (body) request.headers.set("content-type", "application/json");
  return pipeline.sendRequest(client, request);
};
const pause = () => new Promise((done) => setTimeout(done, 300));

// backup has Lifeboat back a service up, and waits for the end.
const backup = async (target) => {
  const key = { "x-functions-key": env.CLIENTS_KEY };
  const accepted = await send("POST", `${env.CLIENTS_API}/backups`, key, { target });
  assert.equal(accepted.status, 202, accepted.bodyAsText);
  for (;;) {
    const run = await send("GET", accepted.headers.get("operation-location"), key);
    if (run.status === 200) return assert.equal(JSON.parse(run.bodyAsText).status, "Succeeded", run.bodyAsText);
    await pause();
  }
};

// restore asks for a restore and reads the answers until its end.
const restore = async (request) => {
  await requests.sendMessage(JSON.stringify({ recoveryPoint: "latest", requestedBy: "node", replyTo: "soar", ...request }));
  const told = [];
  for (;;) {
    const { receivedMessageItems } = await answers.receiveMessages({ numberOfMessages: 32, visibilityTimeout: 30 });
    for (const message of receivedMessageItems) {
      const event = JSON.parse(message.messageText);
      await answers.deleteMessage(message.messageId, message.popReceipt);
      assert.equal(event.specversion, "1.0");
      if (event.data.request !== request.id) continue; // an earlier answer that came twice
      const word = event.type.replace("lifeboat.restore.", "");
      told.push(word);
      if (ends.includes(word)) return { told, end: word, data: event.data };
    }
    await pause();
  }
};

const done = ({ end, data }) => assert.equal(end, "succeeded", JSON.stringify(data.reason));

test("restores asked for by a message", { timeout: 180_000 }, async (t) => {
  await requests.createIfNotExists();
  await answers.createIfNotExists();

  await t.test("of API Management", async () => {
    const target = `${scope}Microsoft.ApiManagement/service/${env.CLIENTS_RESTORED}`;
    const { api: apis } = new ApiManagementClient(credential, env.CLIENTS_SUBSCRIPTION);
    const put = (path) => apis.beginCreateOrUpdateAndWait(env.CLIENTS_GROUP, env.CLIENTS_RESTORED, "orders",
      { displayName: "Orders", path, protocols: ["https"] });
    const path = async () => (await apis.get(env.CLIENTS_GROUP, env.CLIENTS_RESTORED, "orders")).path;
    await put("orders");
    await backup(target);
    await put("damaged");
    const previewed = await restore({ id: "node-dry", target, dryRun: true });
    assert.equal(previewed.end, "previewed");
    assert.ok(previewed.data.preview.guards.every(({ outcome }) => outcome !== "refused"));
    assert.equal(await path(), "damaged");
    done(await restore({ id: "node-apim", target }));
    assert.equal(await path(), "orders");
  });

  await t.test("of a Managed HSM", async () => {
    const target = `${scope}Microsoft.KeyVault/managedHSMs/${env.CLIENTS_RESTORED}`;
    await backup(target);
    const { told, end, data } = await restore({ id: "node-hsm", target });
    done({ end, data });
    assert.ok(told.includes("accepted") && told.includes("started"), String(told));
    assert.ok(data.safetyBackup);
  });

  await t.test("of a Managed CCF", async () => {
    const target = `${scope}Microsoft.ConfidentialLedger/managedCCFs/${env.CLIENTS_RESTORED}`;
    await backup(target);
    const { end, data } = await restore({ id: "node-too-early", target });
    assert.equal(end, "refused");
    assert.equal(data.reason.code, "OriginalExists");
    const { token } = await credential.getToken("https://management.azure.com/.default");
    const resource = (method) => send(method, `https://management.azure.com${target}?api-version=2025-06-10-preview`,
      { authorization: `Bearer ${token}` });
    assert.ok([200, 202, 204].includes((await resource("DELETE")).status));
    while ((await resource("GET")).status !== 404) await pause();
    done(await restore({ id: "node-ccf", target }));
    assert.equal(JSON.parse((await resource("GET")).bodyAsText).properties.runningState, "Active");
  });

  await t.test("of what no plan allows", async () => {
    const target = `${scope}Microsoft.ApiManagement/service/${env.CLIENTS_RESTORED}`;
    const { end, data } = await restore({ id: "node-refused", target, into: `${target}-other` });
    assert.equal(end, "refused");
    assert.equal(data.reason.code, "DestinationNotAllowed");
  });
});
