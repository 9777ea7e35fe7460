// Package devhost is a local Azure Functions host for custom handlers: it runs the handler's program and calls it for
// timers, queue messages and HTTP requests as the host in Azure does, sharp edges included.
//
// It reads host.json and each function's function.json in place. What is modelled was read in azure-functions-host
// (host 4.1052), azure-webjobs-sdk-extensions and the storage extensions of azure-sdk-for-net; where those leave a
// choice, the stricter reading was taken. The edges that a handler is most likely to be cut by:
//
//   - values in Data and Metadata are JSON inside JSON strings, unless a queue trigger has dataType "binary";
//   - a 2xx without a body never completes: the invocation hangs until functionTimeout, and then the handler is killed;
//   - any other status fails the invocation and drops the body; so does a body that is not declared as JSON;
//   - exit code 0 is never restarted, 200 always, and the third crash stops the host;
//   - the end is SIGKILL, without a signal before it;
//   - a storage error other than a missing queue or a 5xx on receive stops the whole host.
//
// Different from Azure: redirects in the answer to an invocation fail it (the host follows them where forwarding is
// off); a TimerInfo's status is kept in memory; route constraints, retry policies, binding expressions in braces and
// connection strings are refused at the start rather than half supported.
package devhost
