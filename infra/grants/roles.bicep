// The roles that Azure has not got: they can back up and restore a service, and neither delete it nor read its secrets.
// Deploy it into each subscription that has such services, before apim.bicep and ledger.bicep:
//
//   az deployment sub create --subscription TARGETS -n lifeboat-roles -l REGION -f infra/grants/roles.bicep
targetScope = 'subscription'

import { roleType } from '../modules/types.bicep'

@description('False leaves out the roles that restore: the app can then back up, and no more.')
param restores bool = true

@description('True makes the roles for a ledger of a plan with a ccf.apiVersion before 2026-02-23 too. Azure refuses a role with an action that it does not know.')
param before20260223 bool = false

@description('The roles that Azure has not got, but for those of a vault, which are on data.')
var custom roleType[] = filter(
  loadJsonContent('../roles.json'),
  role => startsWith(role.name, 'Lifeboat ') && empty(role.?dataActions)
)

module role 'role.bicep' = [
  for one in filter(
    custom,
    role => (restores || !endsWith(role.name, ' Restore')) && (before20260223 || !(role.?onDemand ?? false))
  ): {
    params: { name: one.name, actions: one.actions! }
  }
]
