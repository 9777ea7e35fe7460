// Package apim backs up and restores Azure API Management: it is the [backup.Provider] for
// Microsoft.ApiManagement/service.
//
// The service writes a backup itself, with its own system-assigned identity, as one block blob in the run's storage
// account, and reads the blob again for a restore. This package starts the backup or restore, asks for its state, and
// manages the blob with the identity behind its credential. It keeps no keys and knows no SAS. The SDK's retries are
// always off: they would repeat the POST that starts an operation, and hold an invocation for three Retry-Afters. The
// caller decides whether to try again.
package apim
