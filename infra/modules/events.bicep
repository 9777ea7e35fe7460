// A topic of Event Grid for the events of the app, and its subscriptions.

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

@description('The name of the storage account of the app.')
param account string

@description('Whether Teams gets cards.')
param teams bool

@description('The address of a workflow of Teams.')
@secure()
param teamsAddress string

@description('Whether a ticket system gets events.')
param tickets bool

@description('The address of a ticket system.')
@secure()
param ticketsAddress string

@description('The header Authorization of requests to the ticket system; empty for none.')
@secure()
param ticketsAuthorization string

@description('All roles.')
var roles rolesType = toObject(loadJsonContent('../roles.json'), role => role.name)

@description('To publish.')
var sender = roles['EventGrid Data Sender'].id!

resource topic 'Microsoft.EventGrid/topics@2025-02-15' = {
  name: name
  location: location
  tags: tags
  identity: { type: teams || tickets ? 'SystemAssigned' : 'None' }
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

module toTeams 'relay.bicep' = if (teams) {
  params: {
    location: location
    tags: tags
    name: 'logic-${name}-teams'
    topic: topic.name
    account: account
    queue: 'lifeboat-teams'
    address: empty(teamsAddress) ? fail('eventsTeams needs eventsTeamsAddress') : teamsAddress
    authorization: ''
    card: true
  }
}

module toTickets 'relay.bicep' = if (tickets) {
  params: {
    location: location
    tags: tags
    name: 'logic-${name}-tickets'
    topic: topic.name
    account: account
    queue: 'lifeboat-tickets'
    address: empty(ticketsAddress) ? fail('eventsTickets needs eventsTicketsAddress') : ticketsAddress
    authorization: ticketsAuthorization
    card: false
  }
}

@description('Where the app publishes.')
output endpoint string = topic.properties.endpoint
