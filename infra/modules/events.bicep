// A topic of Event Grid for the events of the app, and a first subscription of it.

import { rolesType, textMap } from 'types.bicep'

@description('The region.')
param location string

@description('Tags of the topic.')
param tags textMap

@description('The name of the topic.')
param name string

@description('The ID of the identity of the app, which names the grant.')
param identityId string

@description('The object ID of the identity of the app.')
param app string

@description('Whether the app gets its role here.')
param grant bool

@description('The address that gets all events; empty for none.')
@secure()
param webhook string

@description('All roles.')
var roles rolesType = toObject(loadJsonContent('../roles.json'), role => role.name)

@description('To publish.')
var sender = roles['EventGrid Data Sender'].id!

resource topic 'Microsoft.EventGrid/topics@2025-02-15' = {
  name: name
  location: location
  tags: tags
  properties: {
    inputSchema: 'CloudEventSchemaV1_0'
    disableLocalAuth: true
    minimumTlsVersionAllowed: '1.2'
    publicNetworkAccess: 'Enabled'
  }
}

resource ofApp 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (grant) {
  name: guid(topic.id, identityId, sender)
  scope: topic
  properties: {
    principalId: app
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', sender)
  }
}

// Azure asks the address before it makes the subscription: one that does not answer the handshake of CloudEvents fails the deployment.
resource all 'Microsoft.EventGrid/topics/eventSubscriptions@2025-02-15' = if (!empty(webhook)) {
  parent: topic
  name: 'webhook'
  properties: {
    eventDeliverySchema: 'CloudEventSchemaV1_0'
    destination: { endpointType: 'WebHook', properties: { endpointUrl: webhook } }
    retryPolicy: { eventTimeToLiveInMinutes: 1440, maxDeliveryAttempts: 30 }
  }
}

@description('Where the app publishes.')
output endpoint string = topic.properties.endpoint
