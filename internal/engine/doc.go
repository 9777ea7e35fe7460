// Package engine takes backups and restores from their creation to their end, one step an invocation. Each verb has its file:
// schedule makes runs, execute makes their next step, cleanup deletes what is past its time, request and restores take what
// people and other systems ask for.
//
// Time, IDs and randomness come in through [Engine]. Every step may be killed before or after any call of the catalog, a queue
// or a provider, and may happen twice; docs/design.md tells how it stays right.
package engine
