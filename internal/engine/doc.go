// Package engine takes backups and restores from their creation to their end, one step an invocation. Each verb has its file:
// schedule makes runs, execute makes their next step, cleanup deletes expired points, request and restores accept requests from
// people and other systems.
//
// Time, IDs and randomness come in through [Engine]. Every step may be killed before or after any call of the catalog, a queue or
// a provider, and may happen twice; docs/design.md tells how the state stays right.
package engine
