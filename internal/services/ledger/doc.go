// Package ledger backs up Azure Managed CCF and Azure Confidential Ledger: it is the [backup.Provider] for
// Microsoft.ConfidentialLedger/managedCCFs and /ledgers.
//
// Azure copies the ledger's files into a new share of an Azure Files account, by a SAS of the whole file service that is
// made for the one request and forgotten. It names the share itself, <name>-<timestamp>, and never says which it was: the
// share is the one that was not there when the backup was asked for. This package starts that, asks how it is getting on,
// finds the share and looks after it. The SDK's retries are off throughout: they would repeat the POST that starts a
// backup. The SDK has no client of the service, so there is one here, of no more than is needed.
package ledger
