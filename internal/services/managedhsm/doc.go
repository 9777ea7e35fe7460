// Package managedhsm backs up Azure Key Vault Managed HSM: it is the [backup.Provider] for Microsoft.KeyVault/managedHSMs.
//
// The HSM writes a backup itself, as a folder of blobs that it names: mhsm-<name>-<when it began, in UTC, to the
// hundredth of a second>. It writes with its user-assigned identity, or with a SAS that this package makes for the one
// request and forgets. This package starts the backup, asks for its state, and manages the folder. Before a backup it
// asks the HSM whether it can make one (PreFullBackup), and afterwards whether it could restore it (PreFullRestore). The
// SDK's retries are always off: they would repeat the POST that starts a backup. The caller decides whether to try again.
package managedhsm
