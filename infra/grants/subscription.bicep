// A role for an identity on a subscription.
targetScope = 'subscription'

@description('The object ID of the identity.')
@minLength(36)
@maxLength(36)
param principalId string

@description('The GUID of the role.')
@minLength(36)
@maxLength(36)
param role string

resource grant 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(toLower(subscription().id), toLower(principalId), role)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role)
  }
}
