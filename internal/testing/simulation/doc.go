// Package simulation runs the real engine, its schedule and its retention against storage and services that do their
// worst. Its clock jumps from one instant at which something can happen to the next: sixty days in a third of a second.
// One seed decides everything. After every step the invariants check the engine's promises (invariants.go). A seed that
// breaks a promise replays exactly, and is shrunk to a short trace.
//
// The parts of a world, each in a file of its own:
//
//	choices.go     the choices: drawn from the seed, written down, replayed, shrunk (shrink.go)
//	profile.go     which accidents a world knows, how often, and the weather of each day
//	events.go      what befalls a day: outages, edits of the plan, jumping clocks, requests by hand
//	holds.go       people who hold recovery points, and release them
//	softdelete.go  people who delete recovery points, and take deletions back
//	host.go        the Functions host: timers, queue triggers with leases, five deliveries, the poison queue
//	invocation.go  one invocation: it runs through, or stops in front of each outside call while others run; it can die
//	apps.go        the second app: its visits, its settings, takeovers (ownership.go checks what it may do)
//	storage.go     the catalog and the queues of internal/testing/memory, with lost, late, repeated and refused requests
//	service.go     an Azure service and the container it writes to
//	ledger.go      what the world has seen, against which the invariants check
//	trace.go       what happened, for people
package simulation
