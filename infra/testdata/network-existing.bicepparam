// A landing zone: its subnets, its private DNS zones in another subscription, that of Managed HSM too, its workspace, its names.
using '../app.bicep'

param cloud = 'public'
param names = {
  app: 'contoso-lifeboat'
  plan: 'contoso-plan'
  identity: 'contoso-identity'
  storage: 'contosolifeboat'
  insights: 'contoso-insights'
}
param tags = { owner: 'platform', costCenter: '4711' }
param workspaceId = '/subscriptions/0c0ffee0-0000-4000-8000-000000000009/resourceGroups/monitor/providers/Microsoft.OperationalInsights/workspaces/central'
param network = 'existing'
param appSubnetId = '/subscriptions/0c0ffee0-0000-4000-8000-000000000009/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/spoke/subnets/lifeboat-app'
param endpointSubnetId = '/subscriptions/0c0ffee0-0000-4000-8000-000000000009/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/spoke/subnets/endpoints'
param privateDns = 'existing'
param privateDnsZones = {
  blob: '/subscriptions/0c0ffee0-0000-4000-8000-000000000009/resourceGroups/dns/providers/Microsoft.Network/privateDnsZones/privatelink.blob.core.windows.net'
  queue: '/subscriptions/0c0ffee0-0000-4000-8000-000000000009/resourceGroups/dns/providers/Microsoft.Network/privateDnsZones/privatelink.queue.core.windows.net'
  table: '/subscriptions/0c0ffee0-0000-4000-8000-000000000009/resourceGroups/dns/providers/Microsoft.Network/privateDnsZones/privatelink.table.core.windows.net'
  managedhsm: '/subscriptions/0c0ffee0-0000-4000-8000-000000000009/resourceGroups/dns/providers/Microsoft.Network/privateDnsZones/privatelink.managedhsm.azure.net'
}
param endpoints = [
  {
    name: 'pe-hsm'
    id: '/subscriptions/0c0ffee0-0000-4000-8000-000000000009/resourceGroups/sec/providers/Microsoft.KeyVault/managedHSMs/contoso-hsm'
    group: 'managedhsm'
  }
]
param alerts = false
