// The roles of the app on its own account and telemetry, and those of the person who deploys it.

import { rolesType } from 'types.bicep'

@description('The name of the storage account.')
param account string

@description('The name of the Application Insights component.')
param insights string

@description('The ID of the identity of the app, which names the grants.')
param identityId string

@description('The object ID of the identity of the app.')
param app string

@description('The object ID of whoever uploads the plan and looks at events; empty for nobody.')
param person string

@description('The type of that principal.')
@allowed(['Group', 'ServicePrincipal', 'User'])
param personType string

@description('All roles.')
var roles rolesType = toObject(loadJsonContent('../roles.json'), role => role.name)

@description('The host keeps its locks and keys in containers that it makes itself, and the queues of replyTo in a plan are not known here: so nothing smaller than the account will do.')
var onAccount = ['Storage Blob Data Owner', 'Storage Queue Data Contributor', 'Storage Table Data Contributor']

resource storage 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: account

  resource blobs 'blobServices' existing = {
    name: 'default'

    resource config 'containers' existing = {
      name: 'lifeboat-config'
    }
  }

  resource queues 'queueServices' existing = {
    name: 'default'

    resource events 'queues' existing = {
      name: 'lifeboat-events'
    }
  }
}

resource component 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insights
}

// Without the type of the principal Azure does not find an identity that is some seconds old.
resource ofApp 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for role in onAccount: {
    name: guid(storage.id, identityId, roles[role].id!)
    scope: storage
    properties: {
      principalId: app
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles[role].id!)
    }
  }
]

@description('To send telemetry.')
var publisher = roles['Monitoring Metrics Publisher'].id!

resource telemetry 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(component.id, identityId, publisher)
  scope: component
  properties: {
    principalId: app
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', publisher)
  }
}

@description('To upload the plan.')
var contributor = roles['Storage Blob Data Contributor'].id!

resource plan 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(person)) {
  name: guid(storage::blobs::config.id, person, contributor)
  scope: storage::blobs::config
  properties: {
    principalId: person
    principalType: personType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', contributor)
  }
}

@description('To look at events.')
var processor = roles['Storage Queue Data Message Processor'].id!

resource events 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(person)) {
  name: guid(storage::queues::events.id, person, processor)
  scope: storage::queues::events
  properties: {
    principalId: person
    principalType: personType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', processor)
  }
}
