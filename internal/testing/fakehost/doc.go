// Package fakehost is a local Azure Functions host for custom handlers: it runs the handler's program and calls it for
// timers, queue messages and HTTP requests as the host in Azure does, sharp edges included.
//
// It reads host.json and each function's function.json in place. The model is what was seen with the real host
// (4.1045.200, on Linux, with Azurite), or else read in azure-functions-host, azure-webjobs-sdk-extensions and the storage
// extensions of azure-sdk-for-net; where those leave a choice, the stricter reading was taken. The edges that a handler is
// most likely to be cut by:
//
//   - of two HTTP functions whose routes match, the first by name is called, and its key is the one that opens;
//   - values in Data and Metadata are JSON inside JSON strings, unless a queue trigger has dataType "binary";
//   - a 2xx without a body never completes: the invocation hangs until functionTimeout, and two seconds later the handler
//     is killed, once for each such invocation;
//   - any other status fails the invocation and drops the body; so does a body that is not declared as JSON;
//   - exit code 0 is never restarted: the host answers nobody, takes messages, and ends when the first of them has waited
//     four times as long as a start may take; exit code 200 is always restarted, and the third crash ends the host;
//   - a host that ends so goes on taking messages while HTTP calls last, and all that it took is locked until the lease ends;
//   - a proxied call to a handler that is gone ends as an empty 500 after two seconds;
//   - the end is SIGKILL, without a signal before it, and sometimes the handler is left behind;
//   - a storage error other than a missing queue or a 5xx on receive stops the whole host;
//   - one host of several fires a timer; without a role on blobs none does, and nothing says so.
//
// Different from the real host: redirects in the answer to an invocation fail it (the host follows them where forwarding is
// off); a TimerInfo's status is kept in memory; route constraints other than regex, retry policies, binding expressions in
// braces and connection strings are refused at the start rather than half supported.
//
// Not imitated: a percent sign in a path that begins no escape (net/http answers 400; Azure's passes it on as %25); HTTP/2;
// the host's own HTTP surface but for POST /admin/functions/NAME; its keys in the blob container azure-webjobs-secrets (here
// they are made anew by each Start); Application Insights; the half minute for which a host that ended was once seen to take
// messages; a handler that outlives the death of the process that holds this host, which takes it along (Linux), so that no
// test leaves one behind: [Host.Kill] plays that death.
//
// Nobody has seen what becomes of a timer whose host loses its lease: here it is silent until the host has it again.
package fakehost
