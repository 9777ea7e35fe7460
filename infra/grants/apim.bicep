// The grants on one API Management. Deploy it into the group of the service, after roles.bicep into its subscription:
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

@description('True: a restore may overwrite this API Management.')
param restores bool = false

@description('True: the app may read the activity log of the subscription, and tells of changes during a backup.')
param activityLog bool = false

@description('The ID of the role for backups that roles.bicep made.')
var backupRole = guid(toLower(subscription().id), 'Lifeboat API Management Backup')

@description('The ID of the role for restores.')
var restoreRole = guid(toLower(subscription().id), 'Lifeboat API Management Restore')

@description('The ID of the role for the activity log.')
var logRole = guid(toLower(subscription().id), 'Lifeboat Activity Log Reader')

resource service 'Microsoft.ApiManagement/service@2024-05-01' existing = {
  name: name
}

resource backUp 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(toLower(service.id), toLower(principalId), backupRole)
  scope: service
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', backupRole)
  }
}

resource restore 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (restores) {
  name: guid(toLower(service.id), toLower(principalId), restoreRole)
  scope: service
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', restoreRole)
  }
}

module log 'subscription.bicep' = if (activityLog) {
  scope: subscription()
  params: { principalId: principalId, role: logRole }
}

@description('The system-assigned identity of the service, for writers in backups.bicep; empty if it has none.')
output writer string = service.?identity.?principalId ?? ''
