// Hands the events that a person must know to a web address that does not answer the handshake of Event Grid: a subscription puts them into a
// queue, and a Logic App takes each from there, posts it, and deletes it once the address has taken it. So an event may come twice. None of
// this needs a key.

import { rolesType, textMap } from 'types.bicep'

@description('The region.')
param location string

@description('Tags of the Logic App.')
param tags textMap

@description('The name of the Logic App, with which names of subscriptions end.')
param name string

@description('The name of the topic.')
param topic string

@description('The name of the storage account of the app.')
param account string

@description('The name of the new queue.')
param queue string

@description('The https address that gets each event as a POST.')
@secure()
param address string

@description('The header Authorization of these requests; empty for none.')
@secure()
param authorization string

@description('True: the address is of a workflow of Teams, which wants a card. False: it gets the CloudEvent.')
param card bool

@description('The types of the events that a person must know: a Go test writes them from the index of the runbooks.')
var types string[] = loadJsonContent('../events.json')

@description('All roles.')
var roles rolesType = toObject(loadJsonContent('../roles.json'), role => role.name)

@description('The host of the queues, which is also the audience of tokens for them.')
var host = 'https://${account}.queue.${environment().suffixes.storage}'

@description('The version of the queue service, and the identity that asks it.')
var asked = {
  headers: { 'x-ms-version': '2021-12-02' }
  authentication: { type: 'ManagedServiceIdentity', audience: host }
}

@description('A card with the type of the event, what it is about, and the reason.')
var cardBody = {
  type: 'message'
  attachments: [
    {
      contentType: 'application/vnd.microsoft.card.adaptive'
      content: {
        '$schema': 'http://adaptivecards.io/schemas/adaptive-card.json'
        type: 'AdaptiveCard'
        version: '1.4'
        body: [
          { type: 'TextBlock', weight: 'Bolder', wrap: true, text: '@{outputs(\'event\')?[\'type\']}' }
          {
            type: 'TextBlock'
            wrap: true
            text: '@{coalesce(outputs(\'event\')?[\'subject\'], outputs(\'event\')?[\'source\'])}'
          }
          {
            type: 'TextBlock'
            wrap: true
            text: '@{coalesce(outputs(\'event\')?[\'data\']?[\'reason\']?[\'message\'], outputs(\'event\')?[\'time\'])}'
          }
        ]
      }
    }
  ]
}

resource storage 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: account

  resource queues 'queueServices' existing = {
    name: 'default'
  }
}

resource waiting 'Microsoft.Storage/storageAccounts/queueServices/queues@2025-06-01' = {
  parent: storage::queues
  name: queue
}

resource events 'Microsoft.EventGrid/topics@2025-02-15' existing = {
  name: topic
}

@description('To put events there.')
var sender = roles['Storage Queue Data Message Sender'].id!

@description('To take them from there.')
var processor = roles['Storage Queue Data Message Processor'].id!

resource ofTopic 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(waiting.id, events.id, sender)
  scope: waiting
  properties: {
    principalId: events.identity.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', sender)
  }
}

resource ofWorkflow 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(waiting.id, workflow.id, processor)
  scope: waiting
  properties: {
    principalId: workflow.identity.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', processor)
  }
}

// Every five minutes it takes all messages that wait, one at a time. One that the address refuses comes again ten minutes later, for seven days.
resource workflow 'Microsoft.Logic/workflows@2019-05-01' = {
  name: name
  location: location
  tags: tags
  identity: { type: 'SystemAssigned' }
  properties: {
    state: 'Enabled'
    parameters: { address: { value: address }, authorization: { value: authorization } }
    definition: {
      '$schema': 'https://schema.management.azure.com/providers/Microsoft.Logic/schemas/2016-06-01/workflowdefinition.json#'
      contentVersion: '1.0.0.0'
      parameters: { address: { type: 'SecureString' }, authorization: { type: 'SecureString' } }
      triggers: {
        often: {
          type: 'Recurrence'
          recurrence: { frequency: 'Minute', interval: 5 }
          runtimeConfiguration: { concurrency: { runs: 1 } }
        }
      }
      actions: {
        empty: {
          type: 'InitializeVariable'
          inputs: { variables: [{ name: 'empty', type: 'boolean', value: false }] }
          runAfter: {}
        }
        all: {
          type: 'Until'
          expression: '@equals(variables(\'empty\'), true)'
          limit: { count: 100, timeout: 'PT4M' }
          runAfter: { empty: ['Succeeded'] }
          actions: {
            take: {
              type: 'Http'
              inputs: {
                ...asked
                method: 'GET'
                uri: '${host}/${queue}/messages?numofmessages=1&visibilitytimeout=600'
              }
              runAfter: {}
            }
            message: {
              type: 'Compose'
              inputs: {
                // of an empty answer each is empty
                id: '@xpath(xml(body(\'take\')), \'string(//MessageId)\')'
                receipt: '@xpath(xml(body(\'take\')), \'string(//PopReceipt)\')'
                text: '@xpath(xml(body(\'take\')), \'string(//MessageText)\')'
              }
              runAfter: { take: ['Succeeded'] }
            }
            one: {
              type: 'If'
              expression: { and: [{ not: { equals: ['@outputs(\'message\')?[\'id\']', ''] } }] }
              runAfter: { message: ['Succeeded'] }
              actions: {
                // Event Grid puts events there in base64.
                event: {
                  type: 'Compose'
                  inputs: '@json(if(startsWith(outputs(\'message\')?[\'text\'], \'{\'), outputs(\'message\')?[\'text\'], base64ToString(outputs(\'message\')?[\'text\'])))'
                  runAfter: {}
                }
                tell: {
                  type: 'Http'
                  operationOptions: 'DisableAsyncPattern' // a 202 is the end: else it would ask on where that points
                  inputs: {
                    method: 'POST'
                    uri: '@parameters(\'address\')'
                    headers: union(
                      { 'Content-Type': card ? 'application/json' : 'application/cloudevents+json' },
                      empty(authorization) ? {} : { Authorization: '@parameters(\'authorization\')' }
                    )
                    body: card ? cardBody : '@outputs(\'event\')'
                  }
                  runtimeConfiguration: { secureData: { properties: ['inputs'] } }
                  runAfter: { event: ['Succeeded'] }
                }
                done: {
                  type: 'Http'
                  inputs: {
                    ...asked
                    method: 'DELETE'
                    uri: '${host}/${queue}/messages/@{outputs(\'message\')?[\'id\']}?popreceipt=@{encodeUriComponent(outputs(\'message\')?[\'receipt\'])}'
                  }
                  runAfter: { tell: ['Succeeded'] }
                }
              }
              else: {
                actions: {
                  end: { type: 'SetVariable', inputs: { name: 'empty', value: true }, runAfter: {} }
                }
              }
            }
          }
        }
      }
      outputs: {}
    }
  }
}

resource subscribed 'Microsoft.EventGrid/topics/eventSubscriptions@2025-02-15' = {
  parent: events
  name: queue
  properties: {
    eventDeliverySchema: 'CloudEventSchemaV1_0'
    filter: { includedEventTypes: types }
    deliveryWithResourceIdentity: {
      identity: { type: 'SystemAssigned' }
      destination: {
        endpointType: 'StorageQueue'
        properties: { resourceId: storage.id, queueName: waiting.name, queueMessageTimeToLiveInSeconds: 604800 }
      }
    }
    retryPolicy: { eventTimeToLiveInMinutes: 1440, maxDeliveryAttempts: 30 }
  }
  dependsOn: [ofTopic]
}
