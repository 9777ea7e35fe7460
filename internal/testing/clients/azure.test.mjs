// The official JavaScript clients, unchanged, against the local stand-ins and Lifeboat's own API: see "make clients".
import assert from "node:assert/strict";
import { test } from "node:test";

import { ApiManagementClient } from "@azure/arm-apimanagement";
import { createHttpPoller } from "@azure/core-lro";
import { createDefaultHttpClient, createPipelineFromOptions, createPipelineRequest } from "@azure/core-rest-pipeline";
import { TableClient, odata } from "@azure/data-tables";
import { DefaultAzureCredential, ManagedIdentityCredential } from "@azure/identity";
import { BlobSASPermissions, BlobClient, BlobServiceClient, generateBlobSASQueryParameters } from "@azure/storage-blob";
import { QueueServiceClient } from "@azure/storage-queue";

const env = process.env;
const credential = new ManagedIdentityCredential();
const account = (service) => `https://${env.CLIENTS_ACCOUNT}.${service}.core.windows.net`;
const blobs = new BlobServiceClient(account("blob"), credential);

// refusal checks the error of a client: the service's status and code.
const refusal = (statusCode, code) => (err) => {
  assert.equal(err.statusCode, statusCode, err.message);
  assert.equal(err.code ?? JSON.parse(err.message)["odata.error"].code, code);
  return true;
};

test("backups of API Management", async (t) => {
  const { apiManagementService: services } = new ApiManagementClient(credential, env.CLIENTS_SUBSCRIPTION);
  const group = env.CLIENTS_GROUP;
  const to = (backupName) => ({
    storageAccount: env.CLIENTS_ACCOUNT, containerName: env.CLIENTS_CONTAINER, backupName,
    accessType: "SystemAssignedManagedIdentity",
  });
  const container = blobs.getContainerClient(env.CLIENTS_CONTAINER);
  await container.createIfNotExists();

  await t.test("is waited for, and leaves a blob", async () => {
    const service = await services.beginBackupAndWait(group, env.CLIENTS_SERVICE, to("node-1"));
    assert.equal(service.name, env.CLIENTS_SERVICE);
    assert.ok((await container.getBlobClient("node-1").getProperties()).contentLength > 0);
  });
  await t.test("is followed by another process", async () => {
    const begun = await services.beginBackup(group, env.CLIENTS_SERVICE, to("node-2"));
    const resumeFrom = begun.toString();
    const resumed = await services.beginBackup(group, env.CLIENTS_SERVICE, to("node-2"), { resumeFrom });
    assert.equal((await resumed.pollUntilDone()).name, env.CLIENTS_SERVICE);
  });
  await t.test("is refused", () => assert.rejects(
    services.beginBackupAndWait(group, env.CLIENTS_REFUSED, to("node-3")),
    refusal(400, "MethodNotAllowedInPricingTier")));
  await t.test("fails", () => assert.rejects(
    services.beginBackupAndWait(group, env.CLIENTS_FAILING, to("node-4")), /BackupFailed.*Cannot backup: the container is gone/));
  await t.test("of nothing", () => assert.rejects(
    services.beginBackupAndWait(group, "nobody", to("node-5")), refusal(404, "ResourceNotFound")));
});

test("restores of API Management", async (t) => {
  const client = new ApiManagementClient(credential, env.CLIENTS_SUBSCRIPTION);
  const { api: apis, apiManagementService: services, namedValue: values } = client;
  const group = env.CLIENTS_GROUP, service = env.CLIENTS_SERVICE;
  const from = (backupName) => ({
    storageAccount: env.CLIENTS_ACCOUNT, containerName: env.CLIENTS_CONTAINER, backupName,
    accessType: "SystemAssignedManagedIdentity",
  });
  const configure = async (path, value) => {
    await apis.beginCreateOrUpdateAndWait(group, service, "orders", { displayName: "Orders", path, protocols: ["https"] });
    await values.beginCreateOrUpdateAndWait(group, service, "token", { displayName: "token", value, secret: true });
  };
  const configured = async () => [
    (await apis.get(group, service, "orders")).path, (await values.listValue(group, service, "token")).value,
  ];
  await blobs.getContainerClient(env.CLIENTS_CONTAINER).createIfNotExists();
  await configure("orders", "one");
  await services.beginBackupAndWait(group, service, from("node-restore"));

  await t.test("brings back what was", async () => {
    await configure("changed", "two");
    const restored = await services.beginRestoreAndWait(group, service, from("node-restore"));
    assert.equal(restored.provisioningState, "Succeeded");
    assert.deepEqual(await configured(), ["orders", "one"]);
  });
  await t.test("is followed by another process", async () => {
    await configure("changed", "two");
    const begun = await services.beginRestore(group, service, from("node-restore"));
    const resumed = await services.beginRestore(group, service, from("node-restore"), { resumeFrom: begun.toString() });
    assert.equal((await resumed.pollUntilDone()).name, service);
    assert.deepEqual(await configured(), ["orders", "one"]);
  });
  await t.test("of a backup of another tier fails in Azure's words", () => assert.rejects(
    services.beginRestoreAndWait(group, env.CLIENTS_PREMIUM, from("node-restore")),
    /RestoreFailed.*Cannot restore: current SKU is 'Premium', backup SKU is 'Developer'/));
  await t.test("of nothing fails", () => assert.rejects(
    services.beginRestoreAndWait(group, service, from("nothing")), /RestoreFailed/));
  await t.test("is refused", () => assert.rejects(
    services.beginRestoreAndWait(group, env.CLIENTS_REFUSED, from("node-restore")),
    refusal(400, "MethodNotAllowedInPricingTier")));
});

test("identities", async () => {
  const token = await new DefaultAzureCredential().getToken("https://management.azure.com/.default");
  assert.ok(token.expiresOnTimestamp > Date.now());
  await assert.rejects(new ManagedIdentityCredential({ clientId: "00000000-0000-4000-8000-000000000000" })
    .getToken("https://management.azure.com/.default"));
});

test("tables", async () => {
  const table = new TableClient(account("table"), "clients", credential);
  await table.createTable();
  const row = { partitionKey: "it's a b", rowKey: "ü 1+%20", n: 1 };
  const first = await table.createEntity(row);
  await assert.rejects(table.createEntity(row), refusal(409, "EntityAlreadyExists"));
  const second = await table.updateEntity({ ...row, n: 2 }, "Replace", { etag: first.etag });
  await assert.rejects(table.updateEntity(row, "Replace", { etag: first.etag }),
    refusal(412, "UpdateConditionNotSatisfied"));

  const sibling = { ...row, rowKey: "2" };
  const { subResponses } = await table.submitTransaction([
    ["create", sibling], ["update", { ...row, n: 3 }, "Replace", { etag: second.etag }],
  ]);
  assert.deepEqual(subResponses.map((r) => r.status), [204, 204]);
  await assert.rejects(table.submitTransaction([
    ["create", { ...row, rowKey: "3" }], ["update", { ...row, n: 4 }, "Replace", { etag: second.etag }],
  ]), refusal(412, "UpdateConditionNotSatisfied"));
  await assert.rejects(table.getEntity(row.partitionKey, "3"), refusal(404, "ResourceNotFound"));
  assert.equal((await table.getEntity(row.partitionKey, row.rowKey)).n, 3);

  const pages = [];
  const filter = odata`PartitionKey eq ${row.partitionKey}`;
  for await (const page of table.listEntities({ queryOptions: { filter } }).byPage({ maxPageSize: 1 })) {
    pages.push(page.length);
  }
  assert.deepEqual(pages.filter((n) => n > 0), [1, 1]);
  await table.deleteTable();
});

test("queues", async () => {
  const queue = new QueueServiceClient(account("queue"), credential).getQueueClient("clients");
  await queue.create();
  await queue.sendMessage("grüße <&>");
  const [message] = (await queue.receiveMessages({ visibilityTimeout: 30 })).receivedMessageItems;
  assert.equal(message.messageText, "grüße <&>");
  const { popReceipt } = await queue.updateMessage(message.messageId, message.popReceipt, "again", 30);
  await assert.rejects(queue.deleteMessage(message.messageId, message.popReceipt), refusal(400, "PopReceiptMismatch"));
  await queue.deleteMessage(message.messageId, popReceipt);
  await assert.rejects(queue.deleteMessage(message.messageId, popReceipt), refusal(404, "MessageNotFound"));
  await queue.delete();
});

test("blobs", async () => {
  const container = blobs.getContainerClient("clients");
  await container.create();
  const large = container.getBlockBlobClient("dir/a b+c%20ü");
  const content = Buffer.alloc(20 << 20, 7); // more than a hook holds back
  await large.upload(content, content.length);
  assert.deepEqual(await large.downloadToBuffer(), content);
  await container.getBlockBlobClient("blocks").uploadData(content, { blockSize: 4 << 20, concurrency: 4 });
  await assert.rejects(large.upload("x", 1, { conditions: { ifMatch: '"0x0"' } }), refusal(412, "ConditionNotMet"));
  assert.equal(await container.getBlobClient("nothing").exists(), false);

  const startsOn = new Date(Date.now() - 60_000), expiresOn = new Date(Date.now() + 600_000);
  const key = await blobs.getUserDelegationKey(startsOn, expiresOn);
  const sas = generateBlobSASQueryParameters({
    containerName: "clients", blobName: large.name, permissions: BlobSASPermissions.parse("r"), startsOn, expiresOn,
  }, key, env.CLIENTS_ACCOUNT);
  assert.equal((await new BlobClient(`${large.url}?${sas}`).getProperties()).contentLength, content.length);

  const { subResponses } = await blobs.getBlobBatchClient()
    .deleteBlobs([large.url, container.getBlobClient("blocks").url], credential);
  assert.deepEqual(subResponses.map((r) => r.status), [202, 202]);
  await container.delete();
});

test("Lifeboat's API, followed by a poller", async (t) => {
  const pipeline = createPipelineFromOptions({});
  const client = createDefaultHttpClient();
  const send = async (method, url, body) => {
    const request = createPipelineRequest({
      method, url, body: body && JSON.stringify(body), allowInsecureConnection: true,
    });
    request.headers.set("x-functions-key", env.CLIENTS_KEY);
    if (body) request.headers.set("content-type", "application/json");
    const response = await pipeline.sendRequest(client, request);
    const parsed = JSON.parse(response.bodyAsText);
    return {
      flatResponse: parsed,
      rawResponse: { statusCode: response.status, headers: response.headers.toJSON(), body: parsed, request },
    };
  };
  const follow = (type, name, resourceLocationConfig) => createHttpPoller({
    sendInitialRequest: () => send("POST", `${env.CLIENTS_API}/backups`, {
      target: `/subscriptions/${env.CLIENTS_SUBSCRIPTION}/resourceGroups/${env.CLIENTS_GROUP}/providers/${type}/${name}`,
    }),
    sendPollRequest: (path) => send("GET", path),
  }, { resourceLocationConfig, intervalInMs: 500 }).pollUntilDone();

  for (const location of ["operation-location", "location", undefined]) {
    await t.test(`by ${location ?? "default"}`, async () => {
      const run = await follow("Microsoft.ApiManagement/service", env.CLIENTS_SERVICE, location);
      assert.equal(run.status, "Succeeded");
      assert.equal(run.recoveryPoint.sha256.length, 64);
    });
  }
  // Managed HSM's own client, @azure/keyvault-admin, is not run here: Python's is.
  await t.test("of a Managed HSM", async () => {
    const run = await follow("Microsoft.KeyVault/managedHSMs", env.CLIENTS_HSM);
    assert.equal(run.status, "Succeeded");
    assert.match(run.recoveryPoint.blob, new RegExp(`^${env.CLIENTS_CONTAINER}/mhsm-${env.CLIENTS_HSM}-\\d{16}$`));
  });
  await t.test("to a failure in Azure's words", () =>
    assert.rejects(follow("Microsoft.ApiManagement/service", env.CLIENTS_FAILING), /BackupFailed.*Cannot backup: the container is gone/));
});
