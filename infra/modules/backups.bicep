// One account for backups: its containers, who may write to which, and a lock.

import { containerType, rolesType, textMap } from 'types.bicep'

@description('The name of the account.')
param name string

@description('The region.')
param location string

@description('Tags of the account.')
param tags textMap

@description('How often Azure keeps each byte, and where.')
param sku string

@description('True for ledgers: Azure copies their files with a SAS of the account, and so wants its keys and no firewall.')
param keys bool

@description('False lets in private endpoints and the Azure services that storage trusts, and nobody else.')
param public bool

@description('How many days a deleted blob can be brought back.')
param softDeleteDays int

@description('True: nobody can delete the account, unless they remove the lock first.')
param locked bool

@description('The object ID of the identity of the app.')
param app string

@description('The containers, and the object IDs of the identities of the services that write to each.')
param containers containerType[]

@description('All roles.')
var roles rolesType = toObject(loadJsonContent('../roles.json'), role => role.name)

@description('Each writer of each container.')
var grants = flatten(map(
  range(0, length(containers)),
  i => map(union([app], containers[i].writers), who => { container: i, principal: who })
))

@description('To write backups, and to delete them.')
var writer = roles['Storage Blob Data Contributor'].id!

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
    allowSharedKeyAccess: keys
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: 'Enabled' // Disabled would keep the trusted services out as well
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
    deleteRetentionPolicy: { enabled: true, days: softDeleteDays }
    containerDeleteRetentionPolicy: { enabled: true, days: softDeleteDays }
  }
}

resource shares 'Microsoft.Storage/storageAccounts/fileServices@2025-06-01' = if (keys) {
  parent: account
  name: 'default'
  properties: { shareDeleteRetentionPolicy: { enabled: true, days: softDeleteDays } }
}

// A deleted blob leaves a version, which stays for ever unless a rule deletes it. It can be brought back for as long again.
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
            actions: { version: { delete: { daysAfterCreationGreaterThan: softDeleteDays } } }
          }
        }
      ]
    }
  }
  dependsOn: [blobs]
}

resource container 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' = [
  for one in containers: {
    parent: blobs
    name: one.name
  }
]

// lifeboat plan roles and the templates in grants name a grant in the same way: Azure refuses a second one of the same role.
resource write 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for grant in grants: {
    name: guid(toLower(container[grant.container].id), toLower(grant.principal), writer)
    scope: container[grant.container]
    properties: {
      principalId: grant.principal
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', writer)
    }
  }
]

@description('The app looks at the account before each backup. With keys it also reads them, for the SAS, but cannot make new ones.')
var look = keys ? roles['Reader and Data Access'].id! : roles.Reader.id!

resource read 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(toLower(account.id), toLower(app), look)
  scope: account
  properties: {
    principalId: app
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', look)
  }
}

// The lock also keeps grants on the account from being deleted: remove it for the moment in which you revoke one.
resource lock 'Microsoft.Authorization/locks@2020-05-01' = if (locked) {
  name: 'lifeboat-backups'
  scope: account
  properties: {
    level: 'CanNotDelete'
    notes: 'Backups by Lifeboat. Lifeboat itself deletes old ones all the same: the lock is on the account.'
  }
  dependsOn: [read, write]
}

@description('The ID of the account.')
output accountId string = account.id
