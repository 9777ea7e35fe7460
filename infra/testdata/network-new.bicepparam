// A network and private DNS zones of the app's own, and endpoints for an account for backups and an HSM.
using '../app.bicep'

param cloud = 'public'
param network = 'new'
param networkAddresses = '10.20.30.0/24'
param privateDns = 'new'
param endpoints = [
  {
    name: 'pe-backups'
    id: '/subscriptions/0c0ffee0-0000-4000-8000-000000000009/resourceGroups/rg-lifeboat-backups/providers/Microsoft.Storage/storageAccounts/contosobackups'
    group: 'blob'
  }
  {
    name: 'pe-hsm'
    id: '/subscriptions/0c0ffee0-0000-4000-8000-000000000009/resourceGroups/sec/providers/Microsoft.KeyVault/managedHSMs/contoso-hsm'
    group: 'managedhsm'
  }
]
param alerts = false
