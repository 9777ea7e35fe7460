// Package backup is the domain of Lifeboat: what a run is, which states it passes through, when it is due, who may
// touch it, and when what it left may be deleted.
//
// It knows no Azure SDK. The table, the queues and the Azure services are reached through the three interfaces
// [Catalog], [Queue] and [Provider]; time, IDs and randomness come in through [Engine]. Every step of the engine may be
// killed before or after any call to them, and may happen twice; docs/design.md tells how it stays right.
package backup
