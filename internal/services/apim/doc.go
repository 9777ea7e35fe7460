// Package apim backs up and restores Azure API Management: it is the [backup.Provider] for
// Microsoft.ApiManagement/service.
//
// The service writes a backup itself, with its own system-assigned identity, as one block blob of the run's storage
// account, and reads it again for a restore. This package starts that, asks how it is getting on, and looks after the blob
// with the identity that it was given. It keeps no keys and knows no SAS. The SDK's retries are off throughout: they would
// repeat the POST that starts an operation, and hold an invocation for three Retry-Afters. Trying again is the caller's
// business.
package apim
