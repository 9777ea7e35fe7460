// A role of Lifeboat's own in one subscription, as lifeboat plan roles -o az makes it: with the same ID and the same name.
targetScope = 'subscription'

@description('The name of the role, without the subscription.')
param name string

@description('What it permits.')
param actions string[]

@description('What it permits on data.')
param dataActions string[] = []

// The names of roles are unique in a tenant, and not in a subscription.
resource role 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(toLower(subscription().id), name)
  properties: {
    type: 'CustomRole'
    roleName: '${name} (${toLower(subscription().subscriptionId)})'
    description: 'Made for Lifeboat, which needs nothing more.'
    permissions: [{ actions: actions, notActions: [], dataActions: dataActions, notDataActions: [] }]
    assignableScopes: [subscription().id]
  }
}
