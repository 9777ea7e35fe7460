// The storage account of the app: its table, its queues, the plan, the package, and what the Functions host keeps.

import { textMap } from 'types.bicep'

@description('The name of the account.')
param name string

@description('The region.')
param location string

@description('Tags of the account.')
param tags textMap

@description('How often Azure keeps each byte, and where.')
param sku string

@description('The container that Flex Consumption takes the package from.')
param packageContainer string

@description('False lets nobody in but through private endpoints.')
param public bool

@description('The workspace for the logs of the account.')
param workspaceId string

@description('The services of the account that log who read, wrote and deleted.')
param logged string[]

@description('The app would make a queue that is missing. They are here so that a grant on one has a scope from the first minute.')
var queues = [
  'execute'
  'execute-poison'
  'backup-requests'
  'backup-requests-poison'
  'restore-requests'
  'restore-requests-poison'
  'lifeboat-events'
]

@description('Each edit of the plan is kept for so many days. The blobs of the host have versions too, which nobody needs longer.')
var keptDays = 90

@description('The logs of a service: each reading, writing and deleting.')
var logs = [
  { category: 'StorageRead', enabled: true }
  { category: 'StorageWrite', enabled: true }
  { category: 'StorageDelete', enabled: true }
]

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: sku }
  properties: {
    accessTier: 'Hot'
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: public ? 'Enabled' : 'Disabled'
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: public ? 'Allow' : 'Deny'
    }
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-06-01' = {
  parent: account
  name: 'default'
  properties: {
    isVersioningEnabled: true
    deleteRetentionPolicy: { enabled: true, days: 30 }
    containerDeleteRetentionPolicy: { enabled: true, days: 30 }
  }
}

resource package 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' = {
  parent: blobs
  name: packageContainer
}

resource config 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' = {
  parent: blobs
  name: 'lifeboat-config'
}

resource oldVersions 'Microsoft.Storage/storageAccounts/managementPolicies@2025-06-01' = {
  parent: account
  name: 'default'
  properties: {
    policy: {
      rules: [
        {
          name: 'delete-old-versions'
          type: 'Lifecycle'
          definition: {
            filters: { blobTypes: ['blockBlob'] }
            actions: { version: { delete: { daysAfterCreationGreaterThan: keptDays } } }
          }
        }
      ]
    }
  }
  dependsOn: [blobs]
}

resource queueService 'Microsoft.Storage/storageAccounts/queueServices@2025-06-01' = {
  parent: account
  name: 'default'
}

resource queue 'Microsoft.Storage/storageAccounts/queueServices/queues@2025-06-01' = [
  for one in queues: {
    parent: queueService
    name: one
  }
]

resource tableService 'Microsoft.Storage/storageAccounts/tableServices@2025-06-01' = {
  parent: account
  name: 'default'
}

resource table 'Microsoft.Storage/storageAccounts/tableServices/tables@2025-06-01' = {
  parent: tableService
  name: 'lifeboat'
}

resource blobLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (contains(logged, 'blob')) {
  name: 'lifeboat'
  scope: blobs
  properties: { workspaceId: workspaceId, logs: logs }
}

resource queueLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (contains(logged, 'queue')) {
  name: 'lifeboat'
  scope: queueService
  properties: { workspaceId: workspaceId, logs: logs }
}

resource tableLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (contains(logged, 'table')) {
  name: 'lifeboat'
  scope: tableService
  properties: { workspaceId: workspaceId, logs: logs }
}
