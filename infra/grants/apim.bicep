// The grant on one API Management. Deploy it into the group of the service, after roles.bicep into its subscription:
//
//   az deployment group create --subscription TARGETS -g GROUP -f infra/grants/apim.bicep -p name=NAME principalId=PRINCIPAL
//
// The identity of the service also writes: put it among the writers of its container in backups.bicep.

@description('The name of the API Management.')
@minLength(1)
@maxLength(50)
param name string

@description('The object ID of the identity of the app: the output LIFEBOAT_PRINCIPAL_ID.')
@minLength(36)
@maxLength(36)
param principalId string

@description('The ID of the role that roles.bicep made.')
var roleId = guid(subscription().id, 'Lifeboat API Management Operator')

resource service 'Microsoft.ApiManagement/service@2024-05-01' existing = {
  name: name
}

resource operate 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(service.id, principalId, roleId)
  scope: service
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleId)
  }
}

@description('The system-assigned identity of the service, for writers in backups.bicep; empty if it has none.')
output writer string = service.?identity.?principalId ?? ''
