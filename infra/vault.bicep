// A vault: an account whose blobs nobody can change or delete for some days. Deploy it into another subscription than the services,
// whose owners then have no power over it. It is for API Management alone: a Managed HSM cannot write to such an account, and
// a ledger needs keys.
//
//   az deployment sub create --subscription VAULT -n lifeboat-vault -l REGION -f infra/vault.bicep -p principalId=PRINCIPAL containers=@containers.json
targetScope = 'subscription'

import { containerType, roleType, textMap } from 'modules/types.bicep'

@description('The region of the group and the account.')
param location string = deployment().location

@description('The name of the new group.')
@minLength(1)
@maxLength(90)
param resourceGroupName string = 'rg-lifeboat-vault'

@description('Tags of everything that is made.')
param tags textMap = {}

@description('The object ID of the identity of the app: the output LIFEBOAT_PRINCIPAL_ID.')
@minLength(36)
@maxLength(36)
param principalId string

@description('A container for each API Management.')
param containers containerType[]

@description('The name of the account. Empty: one made up here.')
@maxLength(24)
param accountName string = ''

@description('How often Azure keeps each backup, and where.')
@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GRS', 'Standard_GZRS', 'Standard_RAGRS', 'Standard_RAGZRS'])
param storageSku string = 'Standard_ZRS'

@description('For how many days nobody can change or delete a backup. Azure restores an API Management for 30 days.')
@minValue(1)
@maxValue(365)
param immutableDays int = 30

@description('True lets in private endpoints and the Azure services that storage trusts alone.')
param firewall bool = false

@description('True: nobody can delete the account, unless they remove the lock first.')
param lock bool = true

@description('True where an API Management writes its backups in blocks: Azure has no action for that but the one that may overwrite. The immutability of the container then keeps its backups, and not the role. The app gets no more by it.')
param blocks bool = false

@description('The role that adds blobs.')
var adder roleType = filter(loadJsonContent('roles.json'), one => one.name == 'Lifeboat Vault Writer')[0]

@description('The role that writes blobs in blocks.')
var blockWriter roleType = filter(loadJsonContent('roles.json'), one => one.name == 'Lifeboat Vault Block Writer')[0]

@description('The roles that this deployment needs.')
var custom = blocks ? [adder, blockWriter] : [adder]

resource group 'Microsoft.Resources/resourceGroups@2024-11-01' = {
  name: resourceGroupName
  location: location
  tags: tags
}

// The names of roles are unique in a tenant, and not in a subscription.
resource role 'Microsoft.Authorization/roleDefinitions@2022-04-01' = [
  for one in custom: {
    name: guid(toLower(subscription().id), one.name)
    properties: {
      type: 'CustomRole'
      roleName: '${one.name} (${toLower(subscription().subscriptionId)})'
      description: 'May read blobs and add new ones, and delete none.'
      permissions: [{ actions: one.actions!, notActions: [], dataActions: one.dataActions!, notDataActions: [] }]
      assignableScopes: [subscription().id]
    }
  }
]

module vault 'modules/vault.bicep' = {
  scope: group
  params: {
    name: empty(accountName) ? 'stvault${uniqueString(subscription().id, resourceGroupName, location)}' : accountName
    location: location
    tags: tags
    sku: storageSku
    immutableDays: immutableDays
    locked: lock
    public: !firewall
    app: principalId
    containers: containers
    appRole: subscriptionResourceId(
      'Microsoft.Authorization/roleDefinitions',
      guid(toLower(subscription().id), adder.name)
    )
    writerRole: subscriptionResourceId(
      'Microsoft.Authorization/roleDefinitions',
      guid(toLower(subscription().id), (blocks ? blockWriter : adder).name)
    )
  }
  dependsOn: [role]
}

@description('The ID of the account, for plan.yaml.')
output account string = vault.outputs.accountId
