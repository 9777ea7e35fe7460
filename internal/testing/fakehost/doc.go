// Package fakehost is a local Azure Functions host for custom handlers: it runs the handler's program and calls it for
// timers, queue messages and HTTP requests as the host in Azure does, sharp edges included.
//
// It reads host.json and each function's function.json in place. The model was seen with the real host (4.1045.200, on Linux,
// with Azurite), or else read in azure-functions-host, azure-webjobs-sdk-extensions and the storage extensions of
// azure-sdk-for-net; where those leave a choice, the stricter reading was taken. The following edges are the most dangerous
// for a handler:
//
//   - if the routes of two HTTP functions match, the host calls the first by name, and only its key opens;
//   - values in Data and Metadata are JSON inside JSON strings, unless a queue trigger has dataType "binary";
//   - a 2xx without a body never completes: the invocation hangs until functionTimeout, and two seconds later the handler
//     is killed, once for each such invocation;
//   - any other status fails the invocation and drops the body; so does a body that is not declared as JSON;
//   - exit code 0 is never restarted: the host answers no call, takes messages, and ends when the first of them has waited
//     four times as long as a start may take; exit code 200 is always restarted, and the third crash ends the host;
//   - a host that ends so goes on taking messages while HTTP calls last, and all of them are locked until the lease ends;
//   - a proxied call to a handler that is gone ends as an empty 500 after two seconds;
//   - the end is SIGKILL, without a signal before it, and sometimes the handler is left behind;
//   - a storage error other than a missing queue or a 5xx on receive stops the whole host;
//   - one host of several fires a timer; without a role on blobs none does, and no line of the log says so.
//
// It differs from the real host in these points: redirects in the answer to an invocation fail it (the host follows them where
// forwarding is off); a TimerInfo's status is kept in memory; route constraints other than regex, retry policies, binding
// expressions in braces and connection strings are refused at the start rather than half supported.
//
// It does not imitate these features:
//
//   - a percent sign in a path that begins no escape (net/http answers 400; Azure's passes it on as %25); HTTP/2;
//   - the host's own HTTP surface except POST /admin/functions/NAME;
//   - its keys in the blob container azure-webjobs-secrets (here they come from [Config.Secret]); Application Insights;
//   - the half minute for which a host that ended was once seen to take messages;
//   - a handler that outlives the death of the process with this host: here the handler dies with it (Linux), so that no
//     test leaves one behind, and [Host.Kill] plays that death.
//
// It is not known how a timer behaves whose host loses its lease: here it is silent until the host has the lease again.
package fakehost
