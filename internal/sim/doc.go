// Package sim stands in for Azure's side of a backup on the developer's own machine: the managed-identity endpoint
// of App Service, Azure Resource Manager with API Management behind it, and the way to the storage emulator.
//
// A Sim is a CONNECT proxy for Azure's real host names. Clients keep their production endpoints, credentials and
// TLS checks; the variables of [Sim.Env] (or the client of [Sim.Client]) lead them here. The proxy ends TLS with
// certificates of its own authority and answers each request by host name:
//
//	management.azure.com                          Resource Manager: API Management services and their backups,
//	                                              what storage accounts admit, and their keys
//	{account}.{blob,queue,table}.core.windows.net the storage emulator attached with [Sim.Storage]
//	anything else                                 502 to CONNECT, as a name that does not resolve
//
// It is as strict as Azure and, where nobody knows, stricter: tokens must be its own, fresh and for the right
// audience; every call needs a role assignment; bodies are checked field by field. The recorded traffic that it
// imitates is that of the public test suites of Azure CLI, Azure PowerShell and the .NET SDK, 2015 to 2023.
//
// # Unverified behaviour
//
// Nothing public shows how API Management behaves in these cases, so they are knobs whose zero value is the reading
// that is worse for the client (see [Knobs]):
//
//   - what is to be seen of a running backup: nothing at all, or provisioningState Updating and 409 (Trace);
//   - the code of that 409 (ConflictCode);
//   - a missing container: refused, or created (MissingContainer);
//   - a blob of the same name: overwritten, or refused (ExistingBlob);
//   - storage that denies access: found out at the end of the operation, or at its start (Denied);
//   - CORS rules without PATCH: refused, or taken (OtherCORS);
//   - a firewall that admits trusted Azure services: admits a backup no longer, or still (TrustedServices);
//   - the list of workspaces in tiers without: refused, or empty (WorkspaceList).
//
// Also unverified, with one reading only: the codes that refuse wrong tiers and workspaces, the code of a failed
// backup, a retired api-version answered as an unknown one, and that polling needs
// Microsoft.ApiManagement/service/operationresults/read (the built-in operator role has it).
//
// Faults on purpose are made with [Sim.Intercept] (any request, at an exact point) and [Sim.Inject] (API Management).
package sim
