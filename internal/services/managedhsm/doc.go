// Package managedhsm backs up Azure Key Vault Managed HSM: it is the [backup.Provider] for Microsoft.KeyVault/managedHSMs.
//
// The HSM writes a backup itself, as a folder of blobs that it names: mhsm-<name>-<when it began, in UTC, to the
// hundredth of a second>. It does so with its user-assigned identity, or with a SAS that is made for the one request and
// forgotten. This package starts that, asks how it is getting on, and looks after the folder. Before a backup the HSM is
// asked whether it can make one (PreFullBackup), and afterwards whether it could restore it (PreFullRestore). The SDK's
// retries are off throughout: they would repeat the POST that starts a backup. Trying again is the caller's business.
package managedhsm
