// Package fakeazure stands in for Azure's side of a backup on the developer's own machine: the managed-identity endpoint
// of App Service, Azure Resource Manager with API Management behind it, Managed HSMs, ledgers (Confidential Ledger and
// Managed CCF), Azure Files, and the way to the storage emulator.
//
// A Sim is a CONNECT proxy for Azure's real host names. Clients keep their production endpoints, credentials and
// TLS checks; the variables of [Sim.Env] (or the client of [Sim.Client]) lead them here. The proxy ends TLS with
// certificates of its own authority and answers each request by host name:
//
//	management.azure.com                          Resource Manager: API Management services and their backups,
//	                                              what storage accounts admit, and their keys; Managed HSMs' resources;
//	                                              ledgers, their backups and restores
//	{name}.managedhsm.azure.net                   Managed HSMs: their keys, backups and restores
//	{account}.{blob,queue,table}.core.windows.net the storage emulator attached with [Sim.Storage]
//	{account}.file.core.windows.net               Azure Files, kept in memory
//	anything else                                 502 to CONNECT, as a name that does not resolve
//
// It is as strict as Azure and, where nobody knows, stricter: tokens must be its own, fresh and for the right
// audience; every call needs a role assignment; bodies are checked field by field. The recorded traffic that it
// imitates is that of the public test suites of Azure CLI, Azure PowerShell and the .NET and JavaScript SDKs, 2015 to
// 2024.
//
// # Unverified behaviour
//
// Nothing public shows how Azure behaves in these cases, so they are knobs whose zero value is the reading that is
// worse for the client. Of API Management (see [Knobs]):
//
//   - the headers of a start of api-version 2024-05-01: Azure-AsyncOperation and Location, or Location alone (StartHeaders);
//   - what is to be seen of a running backup or restore: nothing at all, or provisioningState Updating and 409 (Trace);
//   - the code of that 409 (ConflictCode);
//   - a missing container: refused, or created (MissingContainer);
//   - a blob of the same name: overwritten, or refused (ExistingBlob);
//   - storage that denies access: found out at the end of the operation, or at its start (Denied);
//   - a backup that cannot be restored: the same (Unrestorable);
//   - a service that a restore has ended for: settled, or still Updating for a while (Settles);
//   - CORS rules without PATCH: refused, or taken (OtherCORS);
//   - a firewall that admits trusted Azure services: admits a backup no longer, or still (TrustedServices);
//   - the list of workspaces in tiers without: refused, or empty (WorkspaceList).
//
// Of Managed HSM (see [HSMKnobs]), where the zero value is what is documented or recorded if anything is:
//
//   - a SAS that cannot be read: told by the operation's status, at its start, or at each poll (MalformedSAS, recorded 2021 to
//     2026);
//   - a SAS that is valid for less than 24 hours: refused, or taken (ShortSAS);
//   - a SAS that is signed with a user delegation key: denied, or taken (DelegationSAS);
//   - a backup's folder: grows before one's eyes, or appears at the end (Folder);
//   - a full restore: wants a backup of the HSM of the last 30 minutes, or none (BackupFirst);
//   - calls during a full restore: 403, or 503 (Restoring), and polls answered as documented, or turned away as well
//     (RestoringPolls);
//   - a single key's restore where there is a key of the name: succeeds with nothing done, or fails (KeyInTheWay).
//
// Of ledgers (see [LedgerKnobs]), of whose backups and restores nothing was ever recorded in public, while of GET, PUT and
// DELETE the zero value is what was recorded from 2021 to 2025:
//
//   - GET of the resource: without provisioningState, or with it, Updating while a backup runs (Provisioning);
//   - a backup beside another one: accepted with a share of its own, or 409 (SecondStart);
//   - a backup's share: grows before one's eyes, or appears at the end (Share);
//   - the timestamp in its name: milliseconds since 1970, or 14 digits (ShareStamp);
//   - its files: in the directories ledger and snapshots, or at the root (ShareLayout);
//   - a SAS with which the service cannot do its work: found out at work, or at the start (SASChecked);
//   - the status of a failed operation: 200 with the error in it, or 400 (FailedPoll); of one that goes on: Accepted, or
//     Deleting with 202, or InProgress (PollWords);
//   - the address of a status: at the tenant's level and signed, some 3,250 characters, or short, or below the subscription
//     (PollURL); with a Location beside it, or without but for DELETE (PollLocation); with Retry-After, or without
//     (PollRetryAfter);
//   - a resource that is being restored: looks as if it were finished, or says that it is not, or is to be seen at the end
//     (Restored);
//   - a restore that failed: leaves a resource that has to be deleted, or nothing (FailedRestore).
//
// Also unverified, with one reading only, of ledgers: how long backups and restores take, all codes and words of refusals and
// failures, that following an operation takes no role, the names of the actions, that a SAS
// must let the service list, create, write and read with all three resource types, that a firewall keeps the service
// out, that a restore goes to the region that the backup was made for alone, what a restore makes of files that do not
// join up, and what is in the files: here a line of JSON and opaque bytes. Documented are: the share's name begins with
// that of the application, the same name is needed for a restore, the resource must be deleted first, no file may be older
// than 90 days, and the restored ledger has the same transaction ID. There is no data plane: see
// [Sim.AppendToLedger] and [Sim.LedgerState].
//
// Of Azure Files, the shapes and most codes are those of the recorded tests of the JavaScript SDK, 2019 to 2023, and of
// Microsoft's reference. There are no leases, no soft delete, no access policies, no range lists and no SAS of a user
// delegation key.
//
// Also unverified, with one reading only, of Managed HSM: the words and code of most refusals, that a backup of another
// security domain is an "Invalid backup provided", that a prebackup or prerestore is refused beside another operation,
// that it wants a container where the API's description makes one optional, that restoring a single key takes the role
// of a full restore, and what is in a folder: here opaque blobs, and an index with the keys and role assignments. There
// is no purge protection, and no role assignment over HTTP: see [Sim.AssignHSM].
//
// Of API Management: a restore wants of the storage account what a backup wants, failed restores change nothing, and
// what is configured are APIs and named values alone; a failed operation's status says Failed with 200, without
// Retry-After, and following it takes no role; that a storage is refused late whatever is wrong with it; the codes that refuse wrong tiers and workspaces, the code of a failed
// backup, a retired api-version answered as an unknown one, and that polling needs
// Microsoft.ApiManagement/service/operationresults/read (the built-in operator role has it).
//
// Faults on purpose are made with [Sim.Intercept] (any request, at an exact point) and [Sim.Inject] (API Management,
// Managed HSMs and ledgers).
package fakeazure
