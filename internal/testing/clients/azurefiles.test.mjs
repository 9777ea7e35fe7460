// The official JavaScript client of Azure Files, unchanged, reads and deletes what the backup of a Managed CCF
// application, and the export of a Confidential Ledger, leave: see "make clients".
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout } from "node:timers/promises";

import { createDefaultHttpClient, createPipelineFromOptions, createPipelineRequest } from "@azure/core-rest-pipeline";
import { ManagedIdentityCredential } from "@azure/identity";
import {
  AccountSASPermissions, ShareServiceClient, StorageSharedKeyCredential, generateAccountSASQueryParameters,
} from "@azure/storage-file-share";

const env = process.env;
const credential = new ManagedIdentityCredential();
const endpoint = `https://${env.CLIENTS_ACCOUNT}.file.core.windows.net`;
const group = `https://management.azure.com/subscriptions/${env.CLIENTS_SUBSCRIPTION}/resourceGroups/${env.CLIENTS_GROUP}`;

// manage sends one request to Resource Manager.
const pipeline = createPipelineFromOptions({});
const http = createDefaultHttpClient();
const manage = async (method, url, body) => {
  const request = createPipelineRequest({ method, url, body: body && JSON.stringify(body) });
  const { token } = await credential.getToken("https://management.azure.com/.default");
  request.headers.set("authorization", `Bearer ${token}`);
  if (body) request.headers.set("content-type", "application/json");
  return pipeline.sendRequest(http, request);
};

const refusal = (statusCode, code) => (err) => {
  assert.equal(err.statusCode, statusCode, err.message);
  assert.equal(err.code, code);
  return true;
};

test("the share of a backup", async (t) => {
  const account = `${group}/providers/Microsoft.Storage/storageAccounts/${env.CLIENTS_ACCOUNT}`;
  const { keys: [{ value: key }] } =
    JSON.parse((await manage("POST", `${account}/listKeys?api-version=2024-01-01`)).bodyAsText);
  const owner = new StorageSharedKeyCredential(env.CLIENTS_ACCOUNT, key);
  const files = new ShareServiceClient(endpoint, owner);
  const sas = (change) => generateAccountSASQueryParameters({
    permissions: AccountSASPermissions.parse("rwdlc"), services: "f", resourceTypes: "sco",
    expiresOn: new Date(Date.now() + 3600_000), ...change,
  }, owner).toString();

  for (const [path, version] of [
    [`managedCCFs/${env.CLIENTS_CCF}/backup`, "2025-06-10-preview"],
    [`ledgers/${env.CLIENTS_LEDGER}/filesExport`, "2026-05-22-preview"],
  ]) {
    const started = await manage("POST", `${group}/providers/Microsoft.ConfidentialLedger/${path}?api-version=${version}`,
      { uri: `${endpoint}/?${sas()}` });
    assert.equal(started.status, 202, started.bodyAsText);
    let status;
    do {
      await setTimeout(200);
      ({ status } = JSON.parse((await manage("GET", started.headers.get("azure-asyncoperation"))).bodyAsText));
    } while (["Accepted", "InProgress"].includes(status));
    assert.equal(status, "Succeeded");
  }

  const list = async (client, prefix = `${env.CLIENTS_CCF}-`) => {
    const shares = [];
    for await (const page of client.listShares({ prefix, includeMetadata: true }).byPage({ maxPageSize: 1 })) {
      shares.push(...page.shareItems ?? []);
    }
    return shares;
  };
  let share;
  await t.test("is listed", async () => {
    const shares = await list(files);
    assert.equal(shares.length, 1);
    assert.ok(Date.now() - shares[0].properties.lastModified < 600_000);
    share = files.getShareClient(shares[0].name);
    assert.equal((await list(files, "nobody")).length, 0);
    const made = [env.CLIENTS_CCF, env.CLIENTS_LEDGER]; // other tests make shares of other ledgers meanwhile
    assert.equal((await list(files, "")).filter(({ name }) => made.some((of) => name.startsWith(`${of}-`))).length, 2);
    assert.equal((await list(files, `${env.CLIENTS_LEDGER}-`)).length, 1);
  });
  await t.test("is read", async () => {
    const names = [];
    const walk = async (directory, path) => {
      for await (const item of directory.listFilesAndDirectories()) {
        if (item.kind === "directory") {
          await walk(directory.getDirectoryClient(item.name), `${path}${item.name}/`);
          continue;
        }
        const file = directory.getFileClient(item.name);
        const { contentLength } = await file.getProperties();
        assert.equal(item.properties.contentLength, contentLength);
        assert.equal((await file.downloadToBuffer()).length, contentLength);
        const part = await file.download(10, 20);
        assert.equal(part.contentLength, 20);
        part.readableStreamBody.resume();
        names.push(path + item.name);
      }
    };
    await walk(share.rootDirectoryClient, "");
    assert.ok(names.some((name) => /^ledger\/ledger_1-\d+\.committed$/.test(name)), names.join());
    assert.ok(names.some((name) => name.startsWith("snapshots/snapshot_")), names.join());
  });
  await t.test("takes files", async () => {
    const directory = share.getDirectoryClient("added");
    await directory.create();
    const content = Buffer.alloc(5 << 20, 7); // more than one range
    const file = directory.getFileClient("a b+c ü");
    await file.uploadData(content);
    assert.deepEqual(await file.downloadToBuffer(), content);
    await file.delete();
    await directory.delete();
    assert.equal(await directory.exists(), false);
  });
  await t.test("is read with a SAS, which is checked", async () => {
    const by = (query) => new ShareServiceClient(`${endpoint}?${query}`);
    assert.equal((await list(by(sas()))).length, 1);
    const minute = 60_000;
    for (const [query, code] of [
      [sas().replace("sp=rwdlc", "sp=rwlc"), "AuthenticationFailed"],
      [sas({ expiresOn: new Date(Date.now() - minute) }), "AuthenticationFailed"],
      [sas({ startsOn: new Date(Date.now() + minute) }), "AuthenticationFailed"],
      [sas({ permissions: AccountSASPermissions.parse("rwdc") }), "AuthorizationPermissionMismatch"],
      [sas({ services: "bqt" }), "AuthorizationServiceMismatch"],
      [sas({ resourceTypes: "co" }), "AuthorizationResourceTypeMismatch"],
    ]) {
      await assert.rejects(list(by(query)), refusal(403, code));
    }
    const wrong = new StorageSharedKeyCredential(env.CLIENTS_ACCOUNT, Buffer.alloc(64).toString("base64"));
    await assert.rejects(list(new ShareServiceClient(endpoint, wrong)), refusal(403, "AuthenticationFailed"));
    await assert.rejects(list(new ShareServiceClient(endpoint, credential, { fileRequestIntent: "backup" })),
      refusal(409, "FileOAuthManagementApiRestrictedToSrp"));
  });
  await t.test("is deleted with its snapshots", async () => {
    const { snapshot } = await share.createSnapshot();
    assert.ok(snapshot);
    await assert.rejects(share.delete(), refusal(409, "ShareHasSnapshots"));
    await share.delete({ deleteSnapshots: "include" });
    await assert.rejects(share.delete(), refusal(404, "ShareNotFound"));
    assert.equal((await list(files)).length, 0);
  });
});
