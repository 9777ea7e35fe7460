// Package engine takes backups and restores from their creation to their end, one step an invocation. Each file has one subject:
// schedule.go makes runs, step.go makes their next step, cleanup.go deletes expired points, request.go and restores.go accept
// requests from people and other systems.
//
// Time, IDs and randomness come in through [Engine]. Every step may be killed before or after any call of the catalog, a queue or
// a provider, and may happen twice; docs/design.md tells how the state stays right.
package engine
