// Loaded into Azurite before its own code.
//
// In a table transaction, Azurite 3.37.0 finds the table's name only in path-style URLs (/account/table) and answers
// 500 to Azure's own form (https://account.table.core.windows.net/table), which it takes everywhere else. This lets
// transactions read Azure's form too; Azurite's rules for the transaction itself are untouched.
"use strict";

const path = require("node:path");
const Module = require("node:module");

// Azurite loads the client of Application Insights, which takes more than half of its start, and with --disableTelemetry never
// calls it.
const load = Module._load;
Module._load = function (request, ...rest) {
  return request === "applicationinsights" ? {} : load.call(this, request, ...rest);
};

const source = path.dirname(process.argv[1]);
const { BatchSerialization } = require(path.join(source, "table", "batch", "BatchSerialization.js"));

const azureForm = /^https:\/\/[a-z0-9]+\.table\.core\.windows\.net(?::\d+)?\/(\w+)/;
const pathStyle = BatchSerialization.prototype.extractPath;
BatchSerialization.prototype.extractPath = function (url) {
  return url.match(azureForm) ?? pathStyle.call(this, url);
};

// Where the kernel does not end this process with its parent, this does: the parent's ID changes when the parent dies. Azurite
// writes its data at SIGTERM and then ends; if it cannot, it is ended after ten seconds.
const parent = process.ppid;
const watch = setInterval(() => {
  if (process.ppid !== parent) {
    clearInterval(watch);
    process.kill(process.pid, "SIGTERM");
  }
}, 1000);
watch.unref();
process.on("SIGTERM", () => {
  clearInterval(watch);
  setTimeout(() => process.exit(1), 10000).unref();
});
