// Package fakeazure simulates Azure's side of a backup on the developer's own machine: the managed-identity endpoint of App
// Service, Azure Resource Manager with API Management behind it, Managed HSMs, ledgers (Confidential Ledger and Managed CCF),
// Azure Files, and the way to the storage emulator.
//
// A Sim is a CONNECT proxy for Azure's real host names. Clients keep their production endpoints, credentials and TLS checks;
// the variables of [Sim.Env] (or the client of [Sim.Client]) lead them here. The proxy ends TLS with certificates of its own
// authority and answers each request by host name:
//
//	management.azure.com                          Resource Manager: API Management services and their backups,
//	                                              storage accounts' settings and keys; Managed HSMs' resources;
//	                                              ledgers, their backups and restores; the lists of all of these, of
//	                                              groups and of subscriptions; user-assigned identities; role
//	                                              definitions and role assignments at every scope;
//	                                              custom topics of Event Grid
//	{name}.managedhsm.azure.net                   Managed HSMs: their keys, backups and restores, and their own roles
//	{account}.{blob,queue,table}.core.windows.net the storage emulator attached with [Sim.Storage]
//	{account}.file.core.windows.net               Azure Files, kept in memory
//	{topic}.{region}-1.eventgrid.azure.net        Event Grid: custom topics and topics of namespaces, which take CloudEvents
//	graph.microsoft.com                           403: no identity has a permission there
//	anything else                                 502 to CONNECT, as a name that does not resolve
//
// It is as strict as Azure, and stricter if Azure's behaviour is unknown: tokens must be its own, fresh and for the right
// audience; every call needs a role assignment; bodies are checked field by field. It imitates recorded traffic of the public
// test suites of Azure CLI, Azure PowerShell and the .NET and JavaScript SDKs, 2015 to 2024.
//
// A topic of Event Grid keeps the events that it took, and delivers none: see [Sim.AddTopic] and [Sim.Published]. Its 401 for a missing
// role is recorded (.NET, 2021-07), and the words of its 400 and 415 come from the public AzureEventGridSimulator. Two points are
// unverified: an unknown topic has a host, and answers 404; and a topic of a namespace answers as a custom topic does.
//
// # Unverified behaviour
//
// Nothing public shows how Azure behaves in these cases, so they are options. Their zero value is the reading that is worse for
// the client. API Management has these options (see [Options]):
//
//   - the headers of a start of api-version 2024-05-01: Azure-AsyncOperation and Location, or Location alone (StartHeaders);
//   - the traces of a running backup or restore: nothing at all, or provisioningState Updating and 409 (Trace);
//   - the code of that 409 (ConflictCode);
//   - a missing container: refused, or created (MissingContainer);
//   - a blob of the same name: overwritten, or refused (ExistingBlob);
//   - storage that denies access: found out at the end of the operation, or at its start (Denied);
//   - a backup that cannot be restored: the same (Unrestorable);
//   - a service after the end of a restore: settled, or still Updating for a while (Settles);
//   - CORS rules without PATCH: refused, or accepted (OtherCORS);
//   - a firewall that admits trusted Azure services: admits a backup no longer, or still (TrustedServices);
//   - the list of workspaces in tiers without: refused, or empty (WorkspaceList);
//   - a service that is being deleted: gone at once, or shown as Deleting (Deletion);
//   - a service that is made: there in the end, or Failed (Stillborn).
//
// Managed HSM has these options (see [HSMOptions]). Their zero value is the documented or recorded behaviour if there is any:
//
//   - a SAS that cannot be read: reported by the operation's status, at its start, or at each poll (MalformedSAS, recorded 2021
//     to 2026);
//   - a SAS that is valid for less than 24 hours: refused, or accepted (ShortSAS);
//   - a SAS that is signed with a user delegation key: denied, or accepted (DelegationSAS);
//   - a backup's folder: grows visibly, or appears at the end (Folder);
//   - a full restore: requires a backup of the HSM of the last 30 minutes, or none (BackupFirst);
//   - calls during a full restore: 403, or 503 (Restoring), and polls answered as documented, or rejected as well
//     (RestoringPolls);
//   - a purge where purge protection is on: 403 with the words of a key vault, as none of an HSM were seen (PurgeProtection);
//   - a single key's restore if there is a key of the name: succeeds with nothing done, fails, or adds the versions that the key
//     lacks (KeyInTheWay).
//
// Ledgers have these options (see [LedgerOptions]). Nothing was ever recorded in public about their backups and restores. For
// GET, PUT and DELETE the zero value is the behaviour recorded from 2021 to 2025:
//
//   - GET of the resource: without provisioningState, or with it, Updating while a backup runs (Provisioning);
//   - a backup in parallel to another one: accepted with its own share, or 409 (SecondStart);
//   - a backup's share: grows visibly, or appears at the end (Share);
//   - the timestamp in its name: milliseconds since 1970, or 14 digits (ShareStamp);
//   - its files: in the directories ledger and snapshots, or at the root (ShareLayout);
//   - a SAS with which the service cannot do its work: found out at work, or at the start (SASChecked);
//   - the status of a failed operation: 200 with the error in it, or 400 (FailedPoll); the status of a running one: Accepted,
//     or Deleting with 202, or InProgress (PollWords);
//   - the address of a status: at the tenant's level and signed, some 3,250 characters, or short, or below the subscription
//     (PollURL); with a Location beside it, or without except for DELETE (PollLocation); with Retry-After, or without
//     (PollRetryAfter);
//   - a resource during a restore: looks finished, or says that it is not, or appears at the end (Restored);
//   - a failed restore: leaves a resource that has to be deleted, or nothing (FailedRestore).
//
// For ledgers these points are unverified too, and have only one reading:
//
//   - how long backups and restores take;
//   - all codes and words of refusals and failures, and the names of the actions;
//   - following an operation requires no role;
//   - a SAS must let the service list, create, write and read with all three resource types;
//   - a firewall keeps the service out;
//   - a restore goes only to the region for which the backup was made;
//   - the result of a restore from files that do not verify;
//   - which files there are: here a ledger of CCF 6 with its open file, and its newest snapshot.
//
// These points are documented: the share's name begins with the name of the application, the same name is needed for a
// restore, the resource must be deleted first, no file may be older than 90 days, and the restored ledger has the same
// transaction ID. There is no data plane: see [Sim.AppendToLedger] and [Sim.LedgerState].
//
// The shapes and most codes of Azure Files come from the recorded tests of the JavaScript SDK, 2019 to 2023, and from
// Microsoft's reference. There are no leases, no soft delete, no access policies, no range lists and no SAS of a user
// delegation key.
//
// For Managed HSM these points are unverified too, and have only one reading:
//
//   - the words and code of most refusals;
//   - a backup of another security domain is an "Invalid backup provided";
//   - a prebackup or prerestore is refused during another operation;
//   - it requires a container although the API's description makes one optional;
//   - restoring a single key takes the role of a full restore;
//   - the content of a folder: here opaque blobs, and an index with the keys and role assignments;
//   - the codes and statuses of refused role assignments, and the repetition of one: 409;
//   - an Administrator works with no keys, as documented now; in 2020 the role could.
//
// There are no custom roles of an HSM. An HSM's roles are assigned over HTTP, or by [Sim.AssignHSM].
//
// Roles of Resource Manager are assigned over HTTP, or by [Sim.Assign]; they are valid at once, which may take minutes in Azure.
// The answers and most refusals are recorded, 2017 to 2025. These points are unverified, and have only one reading:
//
//   - the data of an account: calls about containers, queues and tables themselves need actions, as in the built-in roles, so that
//     an Owner makes and deletes containers, and reads and writes no blob;
//   - a scope must exist, its resource included; containers, queues and all else below a resource are taken for granted;
//   - a custom role can be assigned to subscriptions and groups, its name is unique whatever the case of its letters, and an
//     assigned role cannot be deleted: 400;
//   - an assignment is repeated under its own name: 200;
//   - blobs/add/action alone is enough for a call that makes a whole blob, or one of blocks already there;
//   - a copy needs the right to read its source, unless the source is signed.
//
// A condition is shown, set by [Sim.SetCondition] alone, and makes its role permit nothing. There are no deny assignments, no groups and no management groups.
//
// Resource Manager denies changes for good with [Sim.Bar]. Its status for a quota is unverified: 429 (ExceededQuota), or 409
// (ExceededQuotaConflict). A move of a storage account ([Sim.MoveStorage]) is over at once; Azure locks both groups meanwhile.
//
// For API Management these points are unverified too, and have only one reading:
//
//   - a restore requires the same of the storage account as a backup, and failed restores change nothing;
//   - only APIs and named values are configured;
//   - a made service has a tier, tags, and its own identity or none; PUT of an existing one changes its tags alone;
//   - the times for making, deleting and purging one, the status of the refusal of a deleted one's name (409), and the 404 for none;
//   - a failed operation's status says Failed with 200, without Retry-After, and following it requires no role;
//   - a storage account is refused late whatever its fault;
//   - the codes that refuse wrong tiers and workspaces, and the code of a failed backup;
//   - a retired api-version is answered as an unknown one;
//   - polling needs Microsoft.ApiManagement/service/operationresults/read (the built-in operator role has it).
//
// For the lists of Resource Manager these points are unverified, and have only one reading:
//
//   - a list has what the caller may read, and is empty without any role;
//   - a subscription is in the list of a caller who has any role in it;
//   - there are no pages, and faults do not apply.
//
// [Sim.Save] keeps the content of all services for a later Sim, and no operation: the later one answers 404 at its address, as
// Azure does for an operation that it has forgotten.
//
// Tests make deliberate faults with [Sim.Intercept] (any request, at an exact point) and [Sim.Inject] (API Management, Managed
// HSMs and ledgers).
package fakeazure
