// Package ledger backs up Azure Managed CCF and Azure Confidential Ledger: it is the [backup.Provider] for
// Microsoft.ConfidentialLedger/managedCCFs and /ledgers.
//
// Azure copies the ledger's files into a new share of an Azure Files account, by a SAS of the whole file service. This
// package makes that SAS for the one request and forgets it. Azure names the share itself, <name>-<timestamp>, and never
// tells the name: the backup's share is the one that did not exist when the backup was requested. This package starts the
// backup, asks for its state, finds the share and manages it. The SDK's retries are always off: they would repeat the
// POST that starts a backup. The SDK has no client of the service, so this package has one, no larger than needed.
package ledger
