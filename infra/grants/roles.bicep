// The two roles that Azure has not got: they can back up and restore a service, and neither delete it nor read its secrets.
// Deploy it into each subscription that has such services, before apim.bicep and ledger.bicep:
//
//   az deployment sub create --subscription TARGETS -n lifeboat-roles -l REGION -f infra/grants/roles.bicep
targetScope = 'subscription'

import { roleType } from '../modules/types.bicep'

@description('False leaves the actions out that restore: the app can then back up, and no more.')
param restores bool = true

@description('The roles that Azure has not got.')
var custom roleType[] = filter(
  loadJsonContent('../roles.json'),
  role => contains(['Lifeboat API Management Operator', 'Lifeboat Ledger Operator'], role.name)
)

// The names of roles are unique in a tenant, and not in a subscription.
resource role 'Microsoft.Authorization/roleDefinitions@2022-04-01' = [
  for one in custom: {
    name: guid(subscription().id, one.name)
    properties: {
      type: 'CustomRole'
      roleName: '${one.name} ${subscription().subscriptionId}'
      description: 'What Lifeboat needs on a service that it backs up.'
      permissions: [
        {
          actions: filter(one.actions!, action => restores || !endsWith(action, '/restore/action'))
          notActions: []
          dataActions: one.dataActions!
          notDataActions: []
        }
      ]
      assignableScopes: [subscription().id]
    }
  }
]
