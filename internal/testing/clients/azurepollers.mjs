// Lifeboat's API as JavaScript's pollers see it, core-lro 2 and 3; and alone, as "node azurepollers.mjs VERSION STATE", a
// process that goes on with what another one began.
import { pathToFileURL } from "node:url";

import { createHttpPoller as createHttpPoller3 } from "@azure/core-lro";
import { createHttpPoller as createHttpPoller2 } from "@azure/core-lro-2";
import { createDefaultHttpClient, createPipelineFromOptions, createPipelineRequest } from "@azure/core-rest-pipeline";

const env = process.env;
const pipeline = createPipelineFromOptions({});
const client = createDefaultHttpClient();

// send calls the API; its answer is in the form that the pollers want.
export const send = async (method, url, body, headers = {}) => {
  const request = createPipelineRequest({ method, url, body: body && JSON.stringify(body), allowInsecureConnection: true });
  request.headers.set("x-functions-key", env.CLIENTS_KEY);
  for (const [name, value] of Object.entries(headers)) request.headers.set(name, value);
  if (body) request.headers.set("content-type", "application/json");
  const response = await pipeline.sendRequest(client, request);
  const parsed = JSON.parse(response.bodyAsText);
  return {
    flatResponse: parsed,
    rawResponse: { statusCode: response.status, headers: response.headers.toJSON(), body: parsed, request },
  };
};

// create makes a poller of the major version: from what starts the operation, or from the state that another one saved. It
// comes in an object, as a poller of core-lro 3 is a promise of its own end.
export const create = async (version, start, options = {}) => {
  const lro = {
    sendInitialRequest: start, sendPollRequest: (path) => send("GET", path), requestMethod: "POST", requestPath: env.CLIENTS_API,
  };
  const all = { intervalInMs: 300, ...options };
  const poller = version == 2 ? await createHttpPoller2(lro, all) : createHttpPoller3(lro, all);
  await poller.submitted?.();
  return { poller };
};

// state is what another process can go on with.
export const state = async (poller) => (poller.serialize ? poller.serialize() : poller.toString());

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [version, restoreFrom] = process.argv.slice(2);
  const { poller } = await create(version, () => Promise.reject(new Error("it has been started")), { restoreFrom });
  try {
    console.log((await poller.pollUntilDone()).status);
  } catch (err) {
    console.log(err.message);
  }
}
