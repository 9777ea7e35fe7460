// The account of vault.bicep, in its group.

import { containerType, rolesType, textMap } from 'types.bicep'

@description('The name of the account.')
param name string

@description('The region.')
param location string

@description('Tags of the account.')
param tags textMap

@description('How often Azure keeps each byte, and where.')
param sku string

@description('For how many days nobody can change or delete a blob.')
param immutableDays int

@description('True: nobody can delete the account, unless they remove the lock first.')
param locked bool

@description('False lets in private endpoints and the Azure services that storage trusts, and nobody else.')
param public bool

@description('The object ID of the identity of the app.')
param app string

@description('The containers, and the object IDs of the identities that write to each.')
param containers containerType[]

@description('The ID of the role of the app, which adds blobs.')
param appRole string

@description('The ID of the role of the writers.')
param writerRole string

@description('All roles.')
var roles rolesType = toObject(loadJsonContent('../roles.json'), role => role.name)

@description('Each writer of each container.')
var grants = flatten(map(
  range(0, length(containers)),
  i => map(union([app], containers[i].writers), who => { container: i, principal: who })
))

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
    publicNetworkAccess: 'Enabled' // Disabled would keep API Management out, which storage trusts
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
    deleteRetentionPolicy: { enabled: true, days: 14 }
    containerDeleteRetentionPolicy: { enabled: true, days: 14 }
  }
}

resource container 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' = [
  for one in containers: {
    parent: blobs
    name: one.name
  }
]

// A container with this policy takes new blobs, and lets nobody change or delete one of the last days. Unlocked, as a
// template leaves it, an owner can still shorten it; locking is a step by hand that nobody can undo.
resource immutable 'Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies@2025-06-01' = [
  for (one, i) in containers: {
    parent: container[i]
    name: 'default'
    properties: {
      immutabilityPeriodSinceCreationInDays: immutableDays
      allowProtectedAppendWrites: false
    }
  }
]

// The app may not delete here. Until the policy of a blob is over, nothing can: then this rule does, but not while Azure could still restore
// the backup.
resource oldBackups 'Microsoft.Storage/storageAccounts/managementPolicies@2025-06-01' = {
  parent: account
  name: 'default'
  properties: {
    policy: {
      rules: [
        {
          name: 'delete-old-backups'
          type: 'Lifecycle'
          definition: {
            filters: { blobTypes: ['blockBlob'] }
            actions: { baseBlob: { delete: { daysAfterCreationGreaterThan: max(immutableDays, 31) } } }
          }
        }
      ]
    }
  }
  dependsOn: [blobs]
}

// lifeboat plan roles names a grant of the app in the same way, and one of a service in another, as it does not know its identity. Azure
// refuses a second grant of the same role under another name.
resource add 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for grant in grants: {
    name: guid(
      toLower(container[grant.container].id),
      toLower(grant.principal),
      last(split(grant.principal == app ? appRole : writerRole, '/'))
    )
    scope: container[grant.container]
    properties: {
      principalId: grant.principal
      principalType: 'ServicePrincipal'
      roleDefinitionId: grant.principal == app ? appRole : writerRole
    }
  }
]

resource read 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(toLower(account.id), toLower(app), roles.Reader.id!)
  scope: account
  properties: {
    principalId: app
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.Reader.id!)
  }
}

resource lock 'Microsoft.Authorization/locks@2020-05-01' = if (locked) {
  name: 'lifeboat-vault'
  scope: account
  properties: {
    level: 'CanNotDelete'
    notes: 'Backups by Lifeboat that nobody may change.'
  }
  dependsOn: [add, read]
}

@description('The ID of the account.')
output accountId string = account.id
