// The accounts for backups, in a resource group that azd does not know, so that azd down leaves it alone. Deploy it once by hand,
// and again with each new target:
//
//   az deployment sub create -n lifeboat-backups -l REGION -f infra/backups.bicep -p principalId=PRINCIPAL containers=@containers.json
targetScope = 'subscription'

import { containerType, textMap } from 'modules/types.bicep'

@description('The region of the group and the accounts.')
param location string = deployment().location

@description('The name of the new group.')
@minLength(1)
@maxLength(90)
param resourceGroupName string = 'rg-lifeboat-backups'

@description('Tags of everything that is made.')
param tags textMap = {}

@description('The object ID of the identity of the app: the output LIFEBOAT_PRINCIPAL_ID.')
@minLength(36)
@maxLength(36)
param principalId string

@description('A container for each target: whoever may edit one API Management can use its identity, and should not reach the backups of another.')
param containers containerType[]

@description('The name of the account without keys, for API Management and Managed HSM. Empty: one made up here.')
@maxLength(24)
param accountName string = ''

@description('True makes a second account, with keys, for Managed CCF and Confidential Ledger.')
param ledgers bool = false

@description('The name of the account with keys. Empty: one made up here.')
@maxLength(24)
param ledgerAccountName string = ''

@description('How often Azure keeps each backup, and where.')
@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GRS', 'Standard_GZRS', 'Standard_RAGRS', 'Standard_RAGZRS'])
param storageSku string = 'Standard_ZRS'

@description('How many days a deleted backup can be brought back.')
@minValue(1)
@maxValue(365)
param softDeleteDays int = 14

@description('True lets in private endpoints and the Azure services that storage trusts alone. The app needs a private endpoint then, and API Management identity: system.')
param firewall bool = false

@description('True: nobody can delete the accounts, unless they remove the lock first.')
param lock bool = true

@description('The part of names that makes them unique.')
var tok = uniqueString(subscription().id, resourceGroupName, location)

resource group 'Microsoft.Resources/resourceGroups@2024-11-01' = {
  name: resourceGroupName
  location: location
  tags: tags
}

module keyless 'modules/backups.bicep' = {
  scope: group
  params: {
    name: empty(accountName) ? 'stbackups${tok}' : accountName
    location: location
    tags: tags
    sku: storageSku
    keys: false
    public: !firewall
    softDeleteDays: softDeleteDays
    locked: lock
    app: principalId
    containers: containers
  }
}

module keyed 'modules/backups.bicep' = if (ledgers) {
  scope: group
  params: {
    name: empty(ledgerAccountName) ? 'stledgers${tok}' : ledgerAccountName
    location: location
    tags: tags
    sku: storageSku
    keys: true
    public: true
    softDeleteDays: softDeleteDays
    locked: lock
    app: principalId
    // The files of ledgers go into shares, which Azure makes. Lifeboat writes what it knows of them into this container.
    containers: [{ name: 'lifeboat-manifests', writers: [] }]
  }
}

@description('The ID of the account, for plan.yaml.')
output account string = keyless.outputs.accountId

@description('The ID of the account for ledgers, for plan.yaml; empty if there is none.')
output ledgerAccount string = ledgers ? keyed!.outputs.accountId : ''
